//! Training through the graph against the CPU engine's own passes, and on
//! several devices.

use std::sync::Arc;

use super::*;
use crate::config::ModelConfig;
use crate::plan::Plan;
use crate::puzzle::{GeneratorOptions, Shape, generate};
use crate::train::{
    AdamSettings, Backend, Example, LossKind, OptimizerKind, OptimizerSettings, Precision,
    StepReport, Supervision, Trainer, TrainerSettings, TrainingMethod,
};
use crate::weights::Weights;

fn settings(kind: OptimizerKind) -> TrainerSettings {
    let compact = kind == OptimizerKind::Muon;
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
            adam: AdamSettings {
                lr: 3e-3,
                weight_decay: 0.1,
                beta1: 0.9,
                beta2: 0.95,
            },
            ..OptimizerSettings::default()
        },
        seed: 5,
    }
}

fn plan(kind: OptimizerKind) -> Plan {
    let shape = Shape::S4;
    let mut config = match kind {
        OptimizerKind::Muon => ModelConfig::compact(shape, 16),
        OptimizerKind::AdamAtan2 => ModelConfig::hrm(shape, 16, 2, 1),
    };
    config.mlp_inner = Some(32);
    config.halt_max_steps = 3;
    Plan::new(&config).unwrap()
}

fn example(seed: u64) -> Example {
    let puzzle = generate(seed, &GeneratorOptions::minimal(Shape::S4)).unwrap();
    Example {
        input: puzzle.question.tokens(),
        label: puzzle.answer.tokens(),
        identifier: 0,
    }
}

fn on_devices(kind: OptimizerKind, devices: Vec<Device>) -> Trainer<Burn> {
    let plan = Arc::new(plan(kind));
    let weights = Weights::random(&plan, 1);
    let settings = settings(kind);
    let burn = Burn::new(&plan, &weights, &settings, devices);
    Trainer::new(plan, burn, settings)
}

fn on_host(kind: OptimizerKind) -> Trainer {
    let plan = plan(kind);
    let weights = Weights::random(&plan, 1);
    Trainer::on_host(plan, &weights, settings(kind))
}

/// The gradients of a fresh trainer, tensor after tensor, and its report.
fn gradients<B: Backend>(mut trainer: Trainer<B>) -> (Vec<Vec<f32>>, StepReport) {
    // A row of each kind: some fresh, some carried.
    trainer.step(1.0, |row| example(row as u64)).unwrap();
    trainer.gradients(|row| example(50 + row as u64)).unwrap()
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

#[test]
fn devices_that_share_a_batch_take_the_step_of_one() {
    let kind = OptimizerKind::AdamAtan2;
    let three_devices = vec![Device::flex(); 3];
    let (one, report) = gradients(on_devices(kind, vec![Device::flex()]));
    let (three, shared) = gradients(on_devices(kind, three_devices.clone()));
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
    let mut trainer = on_devices(kind, three_devices);
    for step in 0..3 {
        trainer
            .step(1.0, |row| example(10 * step + row as u64))
            .unwrap();
    }
    let [first, others @ ..] = trainer.backend().parameters() else {
        panic!("no device")
    };
    for other in others {
        for (a, b) in other.tensors().iter().zip(first.tensors()) {
            let values =
                |t: &burn::tensor::Tensor<2>| -> Vec<f32> { t.clone().try_into_vec_as().unwrap() };
            assert_eq!(values(a), values(b));
        }
    }
    let mut alone = on_devices(kind, vec![Device::flex()]);
    alone.load_state(&trainer.save_state().unwrap()).unwrap();
    let draw = |row: usize| example(70 + row as u64);
    let (a, b) = (
        trainer.step(1.0, draw).unwrap(),
        alone.step(1.0, draw).unwrap(),
    );
    assert!((a.loss - b.loss).abs() < 1e-6, "{a:?} {b:?}");
}

/// Training through wgpu, on whatever adapter there is, and on a processor
/// and a GPU that share the batch.
#[cfg(feature = "wgpu")]
#[test]
fn wgpu_takes_the_same_steps() {
    let kind = OptimizerKind::AdamAtan2;
    let gpu = Device::enumerate(DeviceType::Wgpu)
        .into_iter()
        .next()
        .expect("a Vulkan driver, a software one will do");
    let (expected, report) = gradients(on_devices(kind, vec![Device::flex()]));
    for devices in [
        vec![gpu.clone()],
        vec![Device::flex(), gpu.clone()],
        vec![gpu.clone(), Device::flex()],
    ] {
        let (found, other) = gradients(on_devices(kind, devices));
        let off = deviation(&expected, &found);
        assert!(off < 1e-3, "{off}");
        assert!(
            (report.loss - other.loss).abs() < 1e-4,
            "{report:?} {other:?}"
        );
    }
    let mut trainer = on_devices(kind, vec![gpu]);
    let first = trainer.step(1.0, |row| example(row as u64)).unwrap();
    let mut last = first;
    for _ in 0..30 {
        last = trainer.step(1.0, |row| example(row as u64)).unwrap();
    }
    assert!(last.cell_loss < first.cell_loss, "{first:?} {last:?}");
}

/// Loss, norm of the gradient and sums of the averaged weights of six steps.
fn measures<B: Backend>(trainer: Trainer<B>) -> Vec<f64> {
    measures_of(trainer, example)
}

fn measures_of<B: Backend>(mut trainer: Trainer<B>, of: impl Fn(u64) -> Example) -> Vec<f64> {
    let mut seed = 0;
    let mut measures = Vec::new();
    for _ in 0..6 {
        let report = trainer.step(1.0, |_| {
            seed += 1;
            of(seed)
        });
        let report = report.unwrap();
        measures.extend([report.loss, report.gradient_norm]);
    }
    let average = trainer.averaged().unwrap();
    for tensor in average.tensors() {
        measures.push(tensor.dense().iter().map(|v| f64::from(v.abs())).sum());
    }
    measures
}

#[test]
fn the_host_trains_like_the_graph() {
    for kind in [OptimizerKind::AdamAtan2, OptimizerKind::Muon] {
        let host = measures(on_host(kind));
        let graph = measures(on_devices(kind, vec![Device::flex()]));
        for (a, b) in host.iter().zip(&graph) {
            assert!(
                (a - b).abs() <= 2e-3 * b.abs().max(0.1),
                "{a} on the host, {b} by the graph"
            );
        }
    }
}

/// A state that one backend has saved is the other's too.
#[test]
fn a_run_changes_its_backend() {
    for kind in [OptimizerKind::AdamAtan2, OptimizerKind::Muon] {
        let mut host = on_host(kind);
        for step in 0..3 {
            host.step(1.0, |row| example(10 * step + row as u64))
                .unwrap();
        }
        let state = host.save_state().unwrap();
        let mut graph = on_devices(kind, vec![Device::flex()]);
        graph.load_state(&state).unwrap();
        assert!(graph.save_state().unwrap() == state);
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
    let plain = TrainingMethod::default();
    let last = TrainingMethod {
        supervision: Supervision::Last,
        ..plain
    };
    [
        ("eqr", small(ModelConfig::eqr(Shape::S4, 16, 24)), plain),
        ("rsm", small(ModelConfig::rsm(Shape::S4, 16, 24)), last),
        (
            "wta",
            small(ModelConfig::wta(Shape::S4, 16, 24)),
            TrainingMethod { chains: 3, ..plain },
        ),
        (
            "all",
            small(ModelConfig::eqr(Shape::S4, 16, 24)),
            TrainingMethod { chains: 2, ..last },
        ),
    ]
}

/// The weights stay: updates of Muon turn on gradients' directions, however
/// small they are, and would drive rounding apart.
#[test]
fn every_method_has_the_same_gradients_on_both() {
    for (name, config, method) in methods() {
        let plan = Arc::new(Plan::new(&config).unwrap());
        let weights = Weights::random(&plan, 1);
        let settings = TrainerSettings {
            threads: 1,
            ..settings(OptimizerKind::Muon)
        };
        let host = Trainer::on_host((*plan).clone(), &weights, settings);
        let burn = Burn::new(&plan, &weights, &settings, vec![Device::flex()]);
        let graph = Trainer::new(Arc::clone(&plan), burn, settings);
        let reports = [four_segments(host, method), four_segments(graph, method)];
        for (a, b) in reports[0].iter().zip(&reports[1]) {
            for (a, b) in [(a.loss, b.loss), (a.gradient_norm, b.gradient_norm)] {
                assert!((a - b).abs() <= 1e-4 * b.abs(), "{name}: {a}, {b}");
            }
        }
    }
}

fn four_segments<B: Backend>(trainer: Trainer<B>, method: TrainingMethod) -> Vec<StepReport> {
    let mut trainer = trainer.with_method(method).unwrap();
    trainer.set_depth(2);
    let segment = |i: u64| {
        let draw = |row: usize| example(4 * i + row as u64);
        trainer.gradients(draw).unwrap().1
    };
    (0..4).map(segment).collect()
}

#[test]
fn noise_reaches_the_graph() {
    let [(_, config, method), ..] = methods();
    let loss = |noise: f64| {
        let plan = Arc::new(Plan::new(&config).unwrap());
        let settings = settings(OptimizerKind::AdamAtan2);
        let weights = Weights::random(&plan, 1);
        let burn = Burn::new(&plan, &weights, &settings, vec![Device::flex()]);
        let trainer = Trainer::new(plan, burn, settings);
        let mut trainer = trainer
            .with_method(TrainingMethod {
                update_noise: noise,
                ..method
            })
            .unwrap();
        trainer.gradients(|row| example(row as u64)).unwrap().1.loss
    };
    assert_eq!(loss(0.2), loss(0.2));
    assert!((loss(0.2) - loss(0.0)).abs() > 1e-5);
}

/// A model with puzzle embeddings, and puzzles that take them.
fn with_tasks(devices: Option<usize>) -> Vec<f64> {
    let kind = OptimizerKind::AdamAtan2;
    let config = ModelConfig {
        num_puzzle_identifiers: 7,
        puzzle_emb_len: Some(2),
        ..plan(kind).config
    };
    let plan = Arc::new(Plan::new(&config).unwrap());
    let weights = Weights::random(&plan, 1);
    let mut settings = settings(kind);
    settings.optimizer.puzzle_emb_lr = 0.01;
    let of = |seed: u64| Example {
        identifier: (seed * 5 % 7) as u32,
        ..example(seed)
    };
    match devices {
        None => {
            let trainer = Trainer::on_host((*plan).clone(), &weights, settings);
            measures_of(trainer, of)
        }
        Some(count) => {
            let burn = Burn::new(&plan, &weights, &settings, vec![Device::flex(); count]);
            measures_of(Trainer::new(plan, burn, settings), of)
        }
    }
}

#[test]
fn the_host_and_the_graph_train_the_same_puzzle_embeddings() {
    let host = with_tasks(None);
    for devices in [1, 3] {
        for (a, b) in host.iter().zip(with_tasks(Some(devices))) {
            assert!(
                (a - b).abs() <= 2e-3 * b.abs().max(0.1),
                "{a} on the host, {b} by the graph on {devices}"
            );
        }
    }
}
