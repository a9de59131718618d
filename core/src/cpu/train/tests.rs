//! The gradients against finite differences, for every kind of sublayer.

use std::sync::Arc;

use super::{Last, Segment};
use crate::config::{Axis, Gate, ModelConfig, Modules, Pooling, PosEncodings};
use crate::cpu::CpuModel;
use crate::plan::{Plan, TensorKind};
use crate::puzzle::Shape;
use crate::weights::Weights;

/// A loss that is linear in the answer, so that its slopes are known.
fn loss(model: &CpuModel, tokens: &[u8], states: &[Vec<f32>; 2], slopes: &[Vec<f32>; 2]) -> f64 {
    let [h, l] = states.clone();
    let mut segment = Segment::new(
        model,
        tokens.to_vec(),
        identifiers_of(&model.plan),
        lasts(&model.plan, 2),
        [h, l],
    );
    let answer = segment.run_tracked(&mut noise_of(3));
    let along = |a: &[f32], b: &[f32]| -> f64 {
        let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        terms.sum()
    };
    along(&answer.logits, &slopes[0]) + along(&answer.q, &slopes[1])
}

/// A fresh sequence and one whose last answer is given: no gradient passes
/// through an answer, which differences would see.
fn lasts(plan: &Plan, batch: usize) -> Vec<Last> {
    let answer = noise(plan.positions, 11).iter().map(|p| p.abs()).collect();
    [Last::None, Last::Given(answer)][..batch].to_vec()
}

/// Different ones where the model has them.
fn identifiers_of(plan: &Plan) -> Vec<u32> {
    let rows = plan.config.num_puzzle_identifiers as u32;
    vec![rows - 1, rows / 2]
}

/// Numbers between -1 and 1 that look random.
fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
        .collect()
}

/// Adds the same noise to the states of every pass.
fn noise_of(seed: usize) -> impl FnMut(&mut [f32]) {
    let mut seed = seed;
    move |state| {
        seed += 1;
        let noise = noise(state.len(), seed);
        for (x, noise) in state.iter_mut().zip(noise) {
            *x += 0.1 * noise;
        }
    }
}

fn check(mut config: ModelConfig) {
    // Every update with gradient: nothing is hidden from the differences.
    config.gradient_updates = config.H_cycles * (config.L_cycles + 1);
    let plan = Arc::new(Plan::new(&config).unwrap());
    let mut weights: Vec<Vec<f32>> = Weights::random(&plan, 3)
        .tensors()
        .iter()
        .map(|t| t.dense().into_owned())
        .collect();
    // A fresh q head is constant and would hide mistakes.
    let q = plan.heads.q_weight.index();
    weights[q] = noise(weights[q].len(), 1);
    let model = CpuModel::for_training(Arc::clone(&plan), weights.clone(), false);

    let (batch, size) = (2, plan.positions * plan.hidden);
    let tokens: Vec<u8> = (0..batch * plan.config.seq_len)
        .map(|i| 1 + (i * 5 % 3) as u8)
        .collect();
    let states = [noise(batch * size, 5), noise(batch * size, 6)];
    let slopes = [
        noise(tokens.len() * plan.heads.answers.count, 7),
        noise(batch * plan.heads.q_outputs, 8),
    ];
    let mut segment = Segment::new(
        &model,
        tokens.clone(),
        identifiers_of(&plan),
        lasts(&plan, 2),
        states.clone(),
    );
    segment.run_tracked(&mut noise_of(3));
    let gradients = segment.gradients(&slopes[0], &slopes[1]);
    let gradients = match plan.puzzle_table() {
        Some(table) => {
            let shape = plan.tensor(table).matrix_shape();
            gradients.whole(table.index(), shape)
        }
        None => gradients.tensors,
    };

    for (i, spec) in plan.tensors.iter().enumerate() {
        if spec.kind == TensorKind::Buffer {
            assert!(gradients[i].is_empty(), "{}", spec.name);
            continue;
        }
        // Along one direction through the whole tensor.
        let direction = noise(weights[i].len(), 9 + i);
        let step = 1e-3 * weights[i].iter().fold(0.1f32, |m, w| m.max(w.abs()));
        let at = |sign: f32| {
            let mut moved = weights.clone();
            for (w, d) in moved[i].iter_mut().zip(&direction) {
                *w += sign * step * d;
            }
            let model = CpuModel::for_training(Arc::clone(&plan), moved, false);
            loss(&model, &tokens, &states, &slopes)
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
        let found: f64 = gradients[i]
            .iter()
            .zip(&direction)
            .map(|(g, d)| f64::from(*g) * f64::from(*d))
            .sum();
        let size: f64 = gradients[i].iter().map(|g| f64::from(g.abs())).sum();
        assert!(
            (found - slope).abs() < 0.01 * found.abs() + 1e-3 * size.max(1.0),
            "{}: {found} by the gradient, {slope} by differences",
            spec.name
        );
    }
}

#[test]
fn attention_with_rotary_and_learned_positions() {
    let hrm = ModelConfig {
        mlp_inner: Some(24),
        H_cycles: 1,
        ..ModelConfig::hrm(Shape::S4, 16, 2, 2)
    };
    check(ModelConfig {
        pos_encodings: PosEncodings::Learned,
        ..hrm.clone()
    });
    check(ModelConfig {
        num_puzzle_identifiers: 5,
        puzzle_emb_len: Some(2),
        ..hrm.clone()
    });
    check(hrm);
}

#[test]
fn mixing_over_positions_with_both_gates() {
    let compact = ModelConfig {
        L_cycles: 2,
        H_cycles: 1,
        ..ModelConfig::compact(Shape::S4, 16)
    };
    check(ModelConfig {
        gate: Gate::Silu,
        ..compact.clone()
    });
    check(compact);
}

#[test]
fn damping_in_both_kinds_of_blocks() {
    let small = |config: ModelConfig| ModelConfig {
        mlp_inner: Some(24),
        H_cycles: 2,
        L_cycles: 2,
        damping: Some(0.6),
        ..config
    };
    check(small(ModelConfig::eqr(Shape::S4, 16, 12)));
    check(small(ModelConfig::hrm(Shape::S4, 16, 2, 1)));
}

#[test]
fn relations_with_both_gates_and_poolings() {
    let relational = ModelConfig {
        message: Some(8),
        H_cycles: 1,
        ..ModelConfig::relational(Shape::S4, 16)
    };
    check(ModelConfig {
        gate: Gate::Silu,
        pooling: Pooling::Mean,
        modules: Modules::Separate,
        feedback: false,
        ..relational.clone()
    });
    check(ModelConfig {
        H_layers: 2,
        L_layers: 2,
        ..relational.clone()
    });
    check(relational);
}

#[test]
fn norms_over_positions_and_several_positions_in_front() {
    let trm = ModelConfig {
        mixer_norm: Axis::Positions,
        puzzle_emb_len: Some(3),
        mlp_inner: Some(24),
        H_cycles: 1,
        L_cycles: 2,
        ..ModelConfig::trm_mlp(Shape::S4, 16, 12)
    };
    check(ModelConfig {
        gate: Gate::NormalizedSigmoid,
        ..trm.clone()
    });
    check(ModelConfig {
        pos_encodings: PosEncodings::Learned,
        ..trm
    });
    check(ModelConfig {
        puzzle_emb_len: Some(4),
        mlp_inner: Some(24),
        H_cycles: 1,
        L_cycles: 2,
        ..ModelConfig::trm_att(Shape::S4, 16, 2)
    });
}

#[test]
fn rows_without_slopes_leave_the_gradients_of_the_others() {
    for config in [
        ModelConfig::eqr(Shape::S4, 16, 12),
        ModelConfig::hrm(Shape::S4, 16, 2, 1),
        ModelConfig::relational(Shape::S4, 16),
    ] {
        let plan = Arc::new(Plan::new(&config).unwrap());
        let weights = Weights::random(&plan, 3);
        let dense = weights.tensors().iter().map(|t| t.dense().into_owned());
        let model = CpuModel::for_training(Arc::clone(&plan), dense.collect(), false);
        let (cells, size) = (plan.config.seq_len, plan.positions * plan.hidden);
        let logits = cells * plan.heads.answers.count;
        let tokens: Vec<u8> = (0..3 * cells).map(|i| 1 + (i % 3) as u8).collect();
        let [h, l] = [5, 6].map(|seed| noise(3 * size, seed));
        let slopes = [noise(logits, 7), noise(plan.heads.q_outputs, 8)];
        // Of three rows the middle one has slopes, or it is alone.
        let of = |from: usize, to: usize| {
            let part = |z: &[f32]| z[from * size..to * size].to_vec();
            let tokens = tokens[from * cells..to * cells].to_vec();
            let mut segment = Segment::new(
                &model,
                tokens,
                vec![0; to - from],
                vec![Last::Own; to - from],
                [part(&h), part(&l)],
            );
            segment.run_tracked(&mut |_| {});
            let spread = |slopes: &[f32]| {
                let mut all = vec![0.0; (to - from) * slopes.len()];
                all[(1 - from) * slopes.len()..][..slopes.len()].copy_from_slice(slopes);
                all
            };
            segment.gradients(&spread(&slopes[0]), &spread(&slopes[1]))
        };
        let (all, one) = (of(0, 3), of(1, 2));
        assert_eq!(all.rows, one.rows);
        for ((a, b), spec) in all.tensors.iter().zip(&one.tensors).zip(&plan.tensors) {
            assert_eq!(a.len(), b.len());
            let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() <= 1e-5 * largest, "{}: {a} {b}", spec.name);
            }
        }
        // Without any slope every gradient is zero.
        let mut segment = Segment::new(
            &model,
            tokens.clone(),
            vec![0; 3],
            vec![Last::Own; 3],
            [h.clone(), l.clone()],
        );
        segment.run_tracked(&mut |_| {});
        let zero = segment.gradients(&vec![0.0; 3 * logits], &vec![0.0; 3 * plan.heads.q_outputs]);
        assert!(zero.tensors.iter().flatten().all(|g| *g == 0.0));
    }
}
