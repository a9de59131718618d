//! The fused sublayer against a plain version of its definition.

use std::sync::Arc;

use super::super::ops::Scratch;
use super::super::{CpuModel, ops};
use crate::config::{Gate, ModelConfig, Pooling};
use crate::plan::{Plan, SCORE_LIMIT, Sublayer};
use crate::puzzle::Shape;
use crate::weights::Weights;

fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
        .collect()
}

/// `y = W x`.
fn times(weight: &[f32], x: &[f64]) -> Vec<f64> {
    let rows = weight.chunks_exact(x.len());
    rows.map(|w| w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum())
        .collect()
}

fn rms_norm(x: &mut [f64], eps: f64) {
    let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    x.iter_mut().for_each(|v| *v /= (mean + eps).sqrt());
}

/// One sequence through the sublayer, as DESIGN words it: position by
/// position, in f64.
fn plain(plan: &Plan, weights: &Weights, x: &[f32]) -> Vec<f64> {
    let Sublayer::Relations {
        project,
        gate_up,
        down,
        message,
        inner,
        gate,
        pooling,
    } = plan.modules[0][0]
    else {
        panic!("another sublayer");
    };
    let dense = |id| weights.dense(id).into_owned();
    let (project, gate_up, down) = (dense(project), dense(gate_up), dense(down));
    let eps = plan.config.rms_norm_eps;
    let rows: Vec<Vec<f64>> = x
        .chunks_exact(plan.hidden)
        .map(|row| row.iter().map(|v| f64::from(*v)).collect())
        .collect();
    let u: Vec<Vec<f64>> = rows.iter().map(|row| times(&project, row)).collect();
    let mut out = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        let mut h = row.clone();
        for (r, relation) in plan.relations.iter().enumerate() {
            let group = relation.group_of[position] as usize;
            let members = &relation.members[group * relation.size..][..relation.size];
            for channel in 0..message {
                let (mut sum, mut total) = (0.0, 0.0);
                for &member in members {
                    let u = &u[member as usize];
                    let limit = f64::from(SCORE_LIMIT);
                    let weight = match pooling {
                        Pooling::Softmax => u[2 * r * message + channel].clamp(-limit, limit).exp(),
                        Pooling::Mean => 1.0,
                    };
                    sum += weight * u[((r + 1) * pooling.parts() - 1) * message + channel];
                    total += weight;
                }
                h.push(sum / total);
            }
        }
        let both = times(&gate_up, &h);
        let (g, v) = both.split_at(inner);
        let sigmoid = |g: f64| 1.0 / (1.0 + (-g).exp());
        let mut product: Vec<f64> = g.iter().zip(v).map(|(g, v)| g * v).collect();
        if gate == Gate::NormalizedSigmoid {
            rms_norm(&mut product, eps);
        }
        let activated: Vec<f64> = g
            .iter()
            .zip(product)
            .map(|(g, q)| sigmoid(*g) * q)
            .collect();
        let mut y: Vec<f64> = times(&down, &activated)
            .iter()
            .zip(row)
            .map(|(a, b)| a + b)
            .collect();
        rms_norm(&mut y, eps);
        out.extend(y);
    }
    out
}

/// Sizes that suit vectors of every width, and one that suits none.
fn configs() -> Vec<ModelConfig> {
    let of = |shape, hidden, message, inner| ModelConfig {
        message: Some(message),
        mlp_inner: Some(inner),
        ..ModelConfig::relational(shape, hidden)
    };
    let mut configs = vec![
        of(Shape::S9, 32, 16, 64),
        of(Shape::S6, 16, 8, 32),
        of(Shape::S4, 12, 4, 20),
        of(Shape::S4, 5, 3, 7),
    ];
    configs[1].gate = Gate::Silu;
    configs[2].pooling = Pooling::Mean;
    configs
}

#[test]
fn the_fused_sublayer_is_its_definition() {
    for config in configs() {
        let plan = Arc::new(Plan::new(&config).unwrap());
        // Weights large enough for scores beyond the limit.
        let mut tensors = Weights::random(&plan, 5).tensors().to_vec();
        let crate::weights::Values::F32(project) = &mut tensors[project_of(&plan)].values else {
            panic!("no f32");
        };
        project.iter_mut().for_each(|w| *w *= 3.0);
        let weights = Weights::from_tensors(&plan, tensors).unwrap();
        let model = CpuModel::new(Arc::clone(&plan), &weights);
        let size = plan.positions * plan.hidden;
        let x: Vec<f32> = noise(2 * size, 3).iter().map(|v| 3.0 * v).collect();
        for keep in [false, true] {
            let mut scratch = Scratch {
                keep,
                ..Scratch::default()
            };
            let mut got = x.clone();
            ops::apply(&model, [0, 0], &mut got, &mut scratch);
            let want = [&x[..size], &x[size..]].map(|x| plain(&plan, &weights, x));
            for (got, want) in got.iter().zip(want.iter().flatten()) {
                assert!((f64::from(*got) - want).abs() < 2e-5, "{config:?}");
            }
        }
    }
}

fn project_of(plan: &Plan) -> usize {
    let Sublayer::Relations { project, .. } = plan.modules[0][0] else {
        panic!("another sublayer");
    };
    project.index()
}
