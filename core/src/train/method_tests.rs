//! Training methods other than HRM's, on very small models.

use std::sync::Arc;

use super::draws::Draws;
use super::*;
use crate::config::ModelConfig;
use crate::cpu::CpuModel;
use crate::cpu::train::{Last, Segment};
use crate::plan::Plan;
use crate::puzzle::{GeneratorOptions, Shape, generate};
use crate::weights::Weights;

const SEED: u64 = 5;

fn settings(batch_size: usize, threads: usize) -> TrainerSettings {
    TrainerSettings {
        batch_size,
        threads,
        precision: Precision::F32,
        clip: None,
        loss: LossKind::Softmax,
        q_weight: 0.5,
        ema: Some(0.9),
        optimizer: OptimizerSettings {
            kind: OptimizerKind::Muon,
            adam: AdamSettings {
                lr: 3e-3,
                weight_decay: 0.1,
                beta1: 0.9,
                beta2: 0.95,
            },
            ..OptimizerSettings::default()
        },
        seed: SEED,
    }
}

fn small(config: ModelConfig) -> ModelConfig {
    ModelConfig {
        mlp_inner: Some(32),
        H_cycles: config.H_cycles.min(2),
        L_cycles: 2,
        gradient_updates: 3,
        halt_max_steps: 3,
        ..config
    }
}

/// Every method with a model that it is for.
fn methods() -> [(&'static str, ModelConfig, TrainingMethod); 4] {
    let noisy = TrainingMethod {
        update_noise: 0.01,
        ..TrainingMethod::default()
    };
    let last = TrainingMethod {
        supervision: Supervision::Last,
        ..TrainingMethod::default()
    };
    let chains = TrainingMethod {
        chains: 3,
        ..TrainingMethod::default()
    };
    let all = TrainingMethod {
        supervision: Supervision::Last,
        chains: 2,
        ..noisy
    };
    [
        ("eqr", small(ModelConfig::eqr(Shape::S4, 16, 24)), noisy),
        ("rsm", small(ModelConfig::rsm(Shape::S4, 16, 24)), last),
        ("wta", small(ModelConfig::wta(Shape::S4, 16, 24)), chains),
        ("all", small(ModelConfig::eqr(Shape::S4, 16, 24)), all),
    ]
}

fn trainer(config: &ModelConfig, method: TrainingMethod, threads: usize) -> Trainer {
    let plan = Plan::new(config).unwrap();
    let weights = Weights::random(&plan, 1);
    Trainer::on_host(plan, &weights, settings(4, threads))
        .with_method(method)
        .unwrap()
}

fn example(seed: u64) -> Example {
    let puzzle = generate(seed, &GeneratorOptions::minimal(Shape::S4)).unwrap();
    Example {
        input: puzzle.question.tokens(),
        label: puzzle.answer.tokens(),
        identifier: 0,
    }
}

#[test]
fn every_method_learns_a_few_puzzles() {
    for (name, config, method) in methods() {
        let mut trainer = trainer(&config, method, 3);
        let mut losses = Vec::new();
        for step in 0..120 {
            trainer.set_depth(1 + step / 50);
            let report = trainer.step(1.0, |row| example(row as u64)).unwrap();
            losses.push(report.cell_loss);
            if method.supervision == Supervision::Last {
                // Every row is new in every step, and over after it.
                assert_eq!((report.started, report.finished), (4, 4), "{name}");
                assert_eq!(report.segments, (1 + step / 50) as f64);
            }
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..5]), mean(&losses[115..]));
        assert!(last < 0.6 * first, "{name}: {first} to {last}");
    }
}

#[test]
fn a_resumed_run_is_the_same_run_with_every_method() {
    for (name, config, method) in methods() {
        let draw = |step: u64| move |row: usize| example(10 * step + row as u64);
        let mut whole = trainer(&config, method, 3);
        for step in 0..4 {
            whole.step(1.0, draw(step)).unwrap();
        }
        let mut resumed = trainer(&config, method, 3);
        resumed.load_state(&whole.save_state().unwrap()).unwrap();
        for step in 4..7 {
            let reports = [&mut whole, &mut resumed].map(|t| t.step(1.0, draw(step)).unwrap());
            assert_eq!(reports[0], reports[1], "{name}");
        }
        // The optimiser, the rows and the random numbers too.
        let states = [&whole, &resumed].map(|t| t.save_state().unwrap());
        let weights = |t: &Trainer| t.weights().unwrap();
        assert_eq!(weights(&whole), weights(&resumed), "{name}");
        assert!(states[0] == states[1], "{name}");
    }
}

#[test]
fn a_state_with_other_chains_is_refused() {
    let [.., (_, config, method), _] = methods();
    let saved = trainer(&config, method, 1).save_state().unwrap();
    let mut other = trainer(
        &config,
        TrainingMethod {
            chains: 2,
            ..method
        },
        1,
    );
    let error = other.load_state(&saved).unwrap_err().to_string();
    assert!(error.contains("carry.z_H"), "{error}");
}

#[test]
fn what_a_step_draws_does_not_depend_on_threads() {
    for (name, config, method) in methods() {
        let [one, three] = [1, 3].map(|threads| {
            let mut trainer = trainer(&config, method, threads);
            trainer.step(1.0, |row| example(row as u64)).unwrap();
            let (_, report) = trainer.gradients(|row| example(row as u64 + 50)).unwrap();
            report
        });
        assert!((one.loss - three.loss).abs() < 1e-4, "{name}");
        let off = (one.gradient_norm / three.gradient_norm - 1.0).abs();
        assert!(off < 1e-3, "{name}: {off}");
    }
}

/// A row's loss by cells and its gradient, from the engine's passes alone.
fn by_hand(
    plan: &Plan,
    states: [Vec<f32>; 2],
    warm_ups: usize,
    example: &Example,
) -> (f64, Vec<f32>) {
    let weights = Weights::random(plan, 1);
    let dense = weights.tensors().iter().map(|t| t.dense().into_owned());
    let model = CpuModel::for_training(Arc::new(plan.clone()), dense.collect(), false);
    let [h, l] = states;
    let mut segment = Segment::new(
        &model,
        example.input.clone(),
        vec![0],
        vec![Last::None],
        [h, l],
    );
    for _ in 0..warm_ups {
        segment.run_whole(&mut |_| {});
    }
    segment.run_frozen(&mut |_| {});
    let answer = segment.run_tracked(&mut |_| {});
    let vocab = plan.config.vocab_size;
    let weight = 1.0 / plan.config.seq_len as f64;
    let mut slopes = vec![0.0; answer.logits.len()];
    let cells = answer
        .logits
        .chunks_exact(vocab)
        .zip(slopes.chunks_exact_mut(vocab));
    let losses = cells.zip(&example.label).map(|((logits, slopes), &label)| {
        weight * cell_loss(LossKind::Softmax, logits, label.into(), weight, slopes)
    });
    let loss = losses.sum();
    let gradients = segment.gradients(&slopes, &vec![0.0; answer.q.len()]);
    (loss, gradients.tensors.into_iter().flatten().collect())
}

/// A trainer's loss by cells and gradient of one puzzle, without the q head's
/// part.
fn by_trainer(
    plan: &Plan,
    method: TrainingMethod,
    depth: usize,
    example: &Example,
) -> (f64, Vec<f32>) {
    let settings = TrainerSettings {
        q_weight: 0.0,
        ..settings(1, 1)
    };
    let weights = Weights::random(plan, 1);
    let mut trainer = Trainer::on_host(plan.clone(), &weights, settings)
        .with_method(method)
        .unwrap();
    trainer.set_depth(depth);
    let (gradients, report) = trainer.gradients(|_| example.clone()).unwrap();
    (report.cell_loss, gradients.into_iter().flatten().collect())
}

fn assert_same((loss, gradient): &(f64, Vec<f32>), (other, slopes): &(f64, Vec<f32>)) {
    assert!((loss - other).abs() < 1e-9, "{loss} {other}");
    assert_eq!(gradient.len(), slopes.len());
    let largest = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    for (a, b) in gradient.iter().zip(slopes) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
}

#[test]
fn only_the_last_of_the_segments_is_trained() {
    let [_, (_, config, method), ..] = methods();
    let plan = Plan::new(&config).unwrap();
    let weights = Weights::random(&plan, 1);
    let example = example(7);
    let start = || plan.plain_states(|id| weights.dense(id));
    for depth in [1, 3] {
        assert_same(
            &by_hand(&plan, start(), depth - 1, &example),
            &by_trainer(&plan, method, depth, &example),
        );
    }
}

#[test]
fn only_the_best_chain_is_trained() {
    let [.., (_, config, method), _] = methods();
    let plan = Plan::new(&config).unwrap();
    let example = example(9);
    // What the trainer's first step draws: exploration comes before.
    let mut rng = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(SEED);
    super::act::draw_least(1, &config, &mut rng);
    let draws: Draws = method.draws(method.draw(&plan, &mut rng));
    let size = plan.positions * plan.hidden;
    let [h, l] = draws.starts(&plan, 0, 3, &[true; 3]);
    let chains: Vec<(f64, Vec<f32>)> = h
        .chunks_exact(size)
        .zip(l.chunks_exact(size))
        .map(|(h, l)| by_hand(&plan, [h.to_vec(), l.to_vec()], 0, &example))
        .collect();
    let best = chains.iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    assert!(chains.iter().filter(|c| c.0 > best.0).count() == 2);
    assert_same(best, &by_trainer(&plan, method, 1, &example));
}

#[test]
fn methods_that_do_not_suit_a_model_are_refused() {
    let [(_, eqr, _), (_, rsm, _), ..] = methods();
    let with = |method: TrainingMethod, config: &ModelConfig| {
        let plan = Plan::new(config).unwrap();
        method.check(&plan).map_err(|e| e.to_string())
    };
    let plain = TrainingMethod::default();
    let chains = TrainingMethod { chains: 4, ..plain };
    let error = with(chains, &rsm).unwrap_err();
    assert!(error.contains("4 chains would all be the same"), "{error}");
    with(chains, &eqr).unwrap();
    let noisy = TrainingMethod {
        update_noise: 0.1,
        ..chains
    };
    with(noisy, &rsm).unwrap();

    let last = TrainingMethod {
        supervision: Supervision::Last,
        ..plain
    };
    let continues = ModelConfig {
        q_continue: true,
        ..rsm.clone()
    };
    let error = with(last, &continues).unwrap_err();
    assert!(error.contains("q_continue"), "{error}");
    with(last, &rsm).unwrap();

    for (method, named) in [
        (TrainingMethod { chains: 0, ..plain }, "chains"),
        (
            TrainingMethod {
                update_noise: f64::NAN,
                ..plain
            },
            "update_noise",
        ),
    ] {
        let error = with(method, &eqr).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
}
