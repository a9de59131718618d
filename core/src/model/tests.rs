//! Training as a whole, on a very small model.

use super::*;
use crate::config::ModelConfig;
use crate::plan::Plan;
use crate::puzzle::{GeneratorOptions, Shape, generate};
use crate::weights::Weights;

fn plan(compact: bool) -> Plan {
    let shape = Shape::S4;
    let mut config = if compact {
        ModelConfig::compact(shape, 16)
    } else {
        ModelConfig::hrm(shape, 16, 2, 1)
    };
    config.mlp_inner = Some(32);
    config.halt_max_steps = 3;
    Plan::new(&config).unwrap()
}

fn settings(compact: bool) -> TrainerSettings {
    let kind = if compact {
        OptimizerKind::Muon
    } else {
        OptimizerKind::AdamAtan2
    };
    let adam = AdamSettings {
        lr: 3e-3,
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.95,
    };
    TrainerSettings {
        batch_size: 4,
        // Parts of different sizes.
        threads: if compact { 3 } else { 1 },
        precision: Precision::F32,
        clip: None,
        loss: if compact {
            LossKind::Softmax
        } else {
            LossKind::Stablemax
        },
        q_weight: 0.5,
        ema: Some(0.9),
        optimizer: OptimizerSettings {
            kind,
            adam,
            ..OptimizerSettings::default()
        },
        seed: 5,
    }
}

fn example(seed: u64) -> Example {
    let puzzle = generate(seed, &GeneratorOptions::minimal(Shape::S4)).unwrap();
    Example {
        input: puzzle.question.tokens(),
        label: puzzle.answer.tokens(),
    }
}

fn trainer(compact: bool) -> Trainer {
    let plan = plan(compact);
    let weights = Weights::random(&plan, 1);
    Trainer::new(plan, &weights, settings(compact), Device::flex())
}

#[test]
fn the_loss_of_a_few_puzzles_falls() {
    for compact in [false, true] {
        let mut trainer = trainer(compact);
        let first = trainer.step(1.0, |row| example(row as u64)).unwrap();
        let mut last = first;
        for _ in 0..80 {
            last = trainer.step(1.0, |row| example(row as u64)).unwrap();
        }
        assert!(last.cell_loss < 0.5 * first.cell_loss, "{first:?} {last:?}");
        assert!(
            last.cell_accuracy > first.cell_accuracy,
            "{first:?} {last:?}"
        );
    }
}

#[test]
fn a_resumed_run_is_the_same_run() {
    for compact in [false, true] {
        let mut whole = trainer(compact);
        let draw = |step: u64| move |row: usize| example(10 * step + row as u64);
        for step in 0..5 {
            whole.step(1.0, draw(step)).unwrap();
        }
        let plan = whole.plan().clone();
        let weights = whole.averaged().to_weights(&plan).unwrap();
        let state = whole.save_state().unwrap();
        let mut resumed = Trainer::new(plan.clone(), &weights, settings(compact), Device::flex());
        resumed.load_state(&state).unwrap();
        assert_eq!(resumed.steps(), 5);
        for step in 5..8 {
            let (a, b) = (
                whole.step(1.0, draw(step)).unwrap(),
                resumed.step(1.0, draw(step)).unwrap(),
            );
            assert_eq!(a, b);
        }
        let weights = |t: &Trainer| {
            (
                t.parameters().to_weights(&plan).unwrap(),
                t.averaged().to_weights(&plan).unwrap(),
            )
        };
        assert_eq!(weights(&whole), weights(&resumed));
    }
}

#[test]
fn a_state_without_its_rows_goes_on_with_new_puzzles() {
    let mut whole = trainer(true);
    let draw = |step: u64| move |row: usize| example(10 * step + row as u64);
    for step in 0..3 {
        whole.step(1.0, draw(step)).unwrap();
    }
    let plan = whole.plan().clone();
    let weights = whole.averaged().to_weights(&plan).unwrap();
    let state = whole.save_state().unwrap();
    let small = without_rows(&state).unwrap();
    assert!(small.len() < state.len());
    let mut resumed = Trainer::new(plan.clone(), &weights, settings(true), Device::flex());
    resumed.load_state(&small).unwrap();
    assert_eq!(resumed.steps(), 3);
    let raw = |t: &Trainer| t.parameters().to_weights(&plan).unwrap();
    assert_eq!(raw(&whole), raw(&resumed));
    let rows = resumed.rows().len();
    let report = resumed.step(1.0, draw(3)).unwrap();
    assert_eq!(report.started, rows);
    assert!(without_rows(b"nothing").is_err());
}

#[test]
fn foreign_states_are_refused() {
    let mut hrm = trainer(false);
    let error = hrm
        .load_state(&trainer(true).save_state().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("is missing") || error.contains("elements"),
        "{error}"
    );
    let mut state = hrm.save_state().unwrap();
    state.truncate(state.len() - 1);
    assert!(hrm.load_state(&state).is_err());
}

#[test]
fn puzzles_that_do_not_fit_are_named() {
    let mut trainer = trainer(false);
    let wrong = |row: usize| {
        let mut example = example(0);
        if row == 2 {
            example.input[3] = 9;
        }
        example
    };
    let error = trainer.step(1.0, wrong).unwrap_err().to_string();
    assert!(
        error.contains("puzzle 2") && error.contains("token 9"),
        "{error}"
    );
}

#[test]
fn divergence_stops_with_the_weights_as_they_were() {
    let mut trainer = trainer(false);
    let plan = trainer.plan().clone();
    let before = trainer.parameters().to_weights(&plan).unwrap();
    // A head this large overflows its logits.
    let head = plan.heads.lm.index();
    let parameters = trainer.parameters.tensors_mut();
    let good = parameters[head].clone();
    parameters[head] = good.clone() * f32::INFINITY;
    let error = trainer.step(1.0, |row| example(row as u64)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("step 1") && text.contains("`lm_head.weight` before the step"),
        "{text}"
    );
    trainer.parameters.tensors_mut()[head] = good;
    assert_eq!(trainer.parameters().to_weights(&plan).unwrap(), before);
}

#[test]
fn evaluation_gives_every_segment_of_every_puzzle() {
    let plan = plan(true);
    let device = Device::flex();
    let parameters = Parameters::from_weights(&plan, &Weights::random(&plan, 2), &device);
    let examples: Vec<Example> = (0..3).map(example).collect();
    let inputs: Vec<&[u8]> = examples.iter().map(|e| e.input.as_slice()).collect();
    let all = evaluate(&plan, &parameters, &inputs, 2, &device).unwrap();
    assert_eq!(
        (all.len(), all[0].len(), all[0][0].tokens.len()),
        (2, 3, 16)
    );
    // Batching changes nothing: each puzzle has its own state.
    let alone = evaluate(&plan, &parameters, &inputs[1..2], 2, &device).unwrap();
    assert_eq!(alone[1][0].tokens, all[1][1].tokens);
    assert!(all[0][0].q_continue.is_none() && !all[0][0].halts());
}

/// The gradients of a fresh trainer, tensor after tensor, and its report.
fn gradients(mut trainer: Trainer) -> (Vec<Vec<f32>>, StepReport) {
    // A row of each kind: some fresh, some carried.
    trainer.step(1.0, |row| example(row as u64)).unwrap();
    let (gradients, report) = trainer.gradients(|row| example(50 + row as u64)).unwrap();
    let values = gradients
        .into_iter()
        .map(|g| g.map_or_else(Vec::new, |g| g.try_into_vec_as().unwrap()))
        .collect();
    (values, report)
}

/// Norm of a difference over the norm of what it is from.
fn deviation(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let norm = |f: &dyn Fn(f32, f32) -> f32| {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs
            .map(|(&a, &b)| f64::from(f(a, b)).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    norm(&|a, b| a - b) / norm(&|a, _| a)
}

fn trainer_on(settings: TrainerSettings, others: Vec<Device>) -> Trainer {
    let plan = plan(false);
    let weights = Weights::random(&plan, 1);
    Trainer::on_devices(plan, &weights, settings, Device::flex(), others)
}

#[test]
fn devices_that_share_a_batch_take_the_step_of_one() {
    let settings = settings(false);
    let (one, report) = gradients(trainer_on(settings, Vec::new()));
    let others = vec![Device::flex(), Device::flex()];
    let (three, shared) = gradients(trainer_on(settings, others.clone()));
    assert!(
        deviation(&one, &three) < 1e-5,
        "{}",
        deviation(&one, &three)
    );
    // Products of fewer rows round in another order.
    assert!((report.loss - shared.loss).abs() < 1e-6);
    assert_eq!(report.started, shared.started);

    // After steps they still agree, and a saved state is the same run
    // whatever the number of devices that goes on with it.
    let mut trainer = trainer_on(settings, others);
    for step in 0..3 {
        trainer
            .step(1.0, |row| example(10 * step + row as u64))
            .unwrap();
    }
    for replica in &trainer.replicas {
        for (a, b) in replica.tensors().iter().zip(trainer.parameters.tensors()) {
            let values =
                |t: &burn::tensor::Tensor<2>| -> Vec<f32> { t.clone().try_into_vec_as().unwrap() };
            assert_eq!(values(a), values(b));
        }
    }
    let mut alone = trainer_on(settings, Vec::new());
    alone.load_state(&trainer.save_state().unwrap()).unwrap();
    let draw = |row: usize| example(70 + row as u64);
    let (a, b) = (
        trainer.step(1.0, draw).unwrap(),
        alone.step(1.0, draw).unwrap(),
    );
    assert!((a.loss - b.loss).abs() < 1e-6, "{a:?} {b:?}");
}

#[test]
fn bf16_follows_f32() {
    let f32 = settings(false);
    let bf16 = TrainerSettings {
        precision: Precision::Bf16,
        ..f32
    };
    let (exact, report) = gradients(trainer_on(f32, Vec::new()));
    let (rounded, low) = gradients(trainer_on(bf16, Vec::new()));
    let off = deviation(&exact, &rounded);
    // bf16 has 8 bits: 0.4 % a rounding. Zero would mean f32 was used.
    assert!(off > 1e-4 && off < 0.1, "{off}");
    assert!((report.loss - low.loss).abs() < 0.02 * report.loss);

    // Its weights stay f32: steps far below bf16's resolution still count.
    let mut trainer = trainer_on(bf16, Vec::new());
    let values = |t: &Trainer| -> Vec<f32> {
        let id = t.plan().heads.lm;
        t.parameters().get(id).try_into_vec_as().unwrap()
    };
    let before = values(&trainer);
    trainer.step(1e-4, |row| example(row as u64)).unwrap();
    let moved = before
        .iter()
        .zip(values(&trainer))
        .filter(|&(a, b)| *a != b)
        .count();
    assert!(moved > before.len() / 2, "{moved} of {}", before.len());
    let last = (0..80).map(|_| {
        trainer
            .step(1.0, |row| example(row as u64))
            .unwrap()
            .cell_loss
    });
    let losses: Vec<f64> = last.collect();
    let end = losses[70..].iter().sum::<f64>() / 10.0;
    assert!(end < 0.6 * losses[0], "{losses:?}");
}

#[test]
fn long_gradients_are_cut_to_the_limit() {
    let plain = settings(false);
    let (full, report) = gradients(trainer_on(plain, Vec::new()));
    let norm = |g: &[Vec<f32>]| {
        let values = g.iter().flatten();
        values.map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
    };
    assert!((norm(&full) / report.gradient_norm - 1.0).abs() < 1e-5);
    let cut = |limit: f64| {
        let clip = Some(limit);
        let mut trainer = trainer_on(TrainerSettings { clip, ..plain }, Vec::new());
        let (g, report) = trainer.gradients(|row| example(row as u64)).unwrap();
        let g: Vec<Vec<f32>> = g
            .into_iter()
            .flatten()
            .map(|g| g.try_into_vec_as().unwrap())
            .collect();
        (norm(&g), report.gradient_norm)
    };
    let (short, before) = cut(1e-3);
    assert!(
        (short / 1e-3 - 1.0).abs() < 1e-4 && before > 1e-3,
        "{short} {before}"
    );
    let (same, before) = cut(1e6);
    assert!((same / before - 1.0).abs() < 1e-5, "{same} {before}");
}

#[test]
fn a_carried_state_that_is_no_number_is_found() {
    let mut trainer = trainer(false);
    trainer.step(1.0, |row| example(row as u64)).unwrap();
    for shard in &mut trainer.shards {
        shard.carry.halted = vec![false, false, true, false];
        let rows = [1.0, 1.0, f32::NAN, f32::NAN]
            .map(|f| vec![f; 17 * 16])
            .concat();
        let rows = burn::tensor::TensorData::new(rows, [4, 17, 16]);
        let rows = burn::tensor::Tensor::<3>::from_data(rows, &Device::flex());
        shard.state.h = shard.state.h.clone() * rows;
    }
    let saved = trainer.save_state().unwrap();
    let error = trainer.step(1.0, |row| example(row as u64)).unwrap_err();
    let text = error.to_string();
    // Row 2 starts anew and is well; row 3 is in its second segment.
    assert!(
        text.contains("step 2: state z_H") && text.contains("segment 2 of row 3"),
        "{text}"
    );
    assert!(trainer.save_state().unwrap() == saved, "the trainer moved");
}

/// Training through wgpu, on whatever adapter there is, and on a processor
/// and a GPU that share the batch.
#[cfg(feature = "wgpu")]
#[test]
fn wgpu_takes_the_same_steps() {
    let gpu = Device::enumerate(DeviceType::Wgpu)
        .into_iter()
        .next()
        .expect("a Vulkan driver, a software one will do");
    let settings = TrainerSettings {
        threads: 1,
        ..settings(false)
    };
    let on = |device: &Device, others| {
        let plan = plan(false);
        let weights = Weights::random(&plan, 1);
        Trainer::on_devices(plan, &weights, settings, device.clone(), others)
    };
    let (expected, report) = gradients(on(&Device::flex(), Vec::new()));
    for trainer in [
        on(&gpu, Vec::new()),
        on(&Device::flex(), vec![gpu.clone()]),
        on(&gpu, vec![Device::flex()]),
    ] {
        let (found, other) = gradients(trainer);
        let off = deviation(&expected, &found);
        assert!(off < 1e-3, "{off}");
        assert!(
            (report.loss - other.loss).abs() < 1e-4,
            "{report:?} {other:?}"
        );
    }
    let mut trainer = on(&gpu, Vec::new());
    let first = trainer.step(1.0, |row| example(row as u64)).unwrap();
    let mut last = first;
    for _ in 0..30 {
        last = trainer.step(1.0, |row| example(row as u64)).unwrap();
    }
    assert!(last.cell_loss < first.cell_loss, "{first:?} {last:?}");
}

#[test]
fn the_cpu_engine_trains_like_the_graph() {
    for compact in [false, true] {
        let plan = plan(compact);
        let weights = Weights::random(&plan, 8);
        let mut losses = [Vec::new(), Vec::new()];
        for (losses, graph) in losses.iter_mut().zip([false, true]) {
            let mut trainer =
                Trainer::new(plan.clone(), &weights, settings(compact), Device::flex());
            if graph {
                trainer.use_graph();
            }
            let mut seed = 0;
            for _ in 0..6 {
                let report = trainer.step(1.0, |_| {
                    seed += 1;
                    example(seed)
                });
                let report = report.unwrap();
                losses.push(report.loss);
                losses.push(report.gradient_norm);
            }
            let average = trainer.averaged().to_weights(&plan).unwrap();
            for tensor in average.tensors() {
                losses.push(tensor.dense().iter().map(|v| f64::from(v.abs())).sum());
            }
        }
        let [engine, graph] = losses;
        for (a, b) in engine.iter().zip(&graph) {
            assert!(
                (a - b).abs() <= 2e-3 * b.abs().max(0.1),
                "{a} by the engine, {b} by the graph"
            );
        }
    }
}
