//! The trainable relational model against reference values of a plain PyTorch
//! version (`fixtures/relational`): forward on two boards, gradients through
//! half a segment and through all of it, by both of the trainer's paths.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::model::{Burn, Device, Inputs, Network, Parameters, State};
use hrm_core::plan::{Plan, TensorKind};
use hrm_core::puzzle::Shape;
use hrm_core::train::{Example, LossKind, OptimizerSettings, Precision, Trainer, TrainerSettings};
use hrm_core::weights::Weights;
use safetensors::{Dtype, SafeTensors};

fn read(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/relational");
    std::fs::read(fixtures.join(name)).unwrap()
}

/// Every tensor of the reference, whole numbers as floats.
fn expected() -> BTreeMap<String, Vec<f32>> {
    let bytes = read("relational.expected.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |dtype: Dtype, data: &[u8]| -> Vec<f32> {
        let words = data.chunks_exact(4).map(|b| b.try_into().unwrap());
        match dtype {
            Dtype::F32 => words.map(f32::from_le_bytes).collect(),
            Dtype::I32 => words.map(|b| i32::from_le_bytes(b) as f32).collect(),
            other => panic!("unexpected type {other:?}"),
        }
    };
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, numbers(view.dtype(), view.data())))
        .collect()
}

/// The model on a board, with gradient through its last updates.
fn model(shape: Shape, gradient_updates: usize) -> (Plan, Weights) {
    let plan = Plan::new(&ModelConfig {
        message: Some(8),
        gradient_updates,
        ..ModelConfig::relational(shape, 16)
    })
    .unwrap();
    let weights = read("relational.weights.safetensors");
    let weights = Weights::from_safetensors(&plan, &weights).unwrap();
    (plan, weights)
}

fn boards(values: &[f32], shape: Shape) -> Vec<Vec<u8>> {
    values
        .chunks_exact(shape.cells())
        .map(|row| row.iter().map(|&t| t as u8).collect())
        .collect()
}

/// Largest difference, relative to the largest absolute value expected.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let pairs = found.iter().zip(expected);
    let worst = pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst.is_finite() && largest > 0.0);
    worst / largest
}

#[test]
fn one_set_of_weights_plays_two_boards() {
    let expected = expected();
    let device = Device::flex();
    for (board, shape) in [("nine", Shape::S9), ("six", Shape::S6)] {
        let (plan, weights) = model(shape, 6);
        let parameters = Parameters::from_weights(&plan, &weights, &device);
        let network = Network::new(&plan, &parameters);
        let sequences = boards(&expected[&format!("{board}.inputs")], shape);
        let mut inputs = Inputs::new(&plan, sequences.iter().map(Vec::as_slice), &device);
        let mut state = State::initial(&plan, &parameters, sequences.len());
        let mut worst: f32 = 0.0;
        for segment in 1..=3 {
            let output = network.segment(state, &inputs);
            inputs.go_on();
            let found: [(&str, Vec<f32>); 4] = [
                ("logits", output.logits.try_into_vec_as().unwrap()),
                ("q_halt", output.q.try_into_vec_as().unwrap()),
                ("z_H", output.state.h.clone().try_into_vec_as().unwrap()),
                ("z_L", output.state.l.clone().try_into_vec_as().unwrap()),
            ];
            for (name, found) in found {
                let name = format!("{board}.segment{segment}.{name}");
                let difference = difference(&found, &expected[&name]);
                assert!(difference < 1e-4, "{name}: {difference:e}");
                worst = worst.max(difference);
            }
            state = output.state;
        }
        println!("{board}: largest relative difference {worst:.2e}");
    }
}

#[test]
fn gradients_are_the_references_by_both_paths() {
    let expected = expected();
    let json: serde_json::Value = serde_json::from_slice(&read("relational.json")).unwrap();
    let pairs = boards(&expected["nine.inputs"], Shape::S9)
        .into_iter()
        .zip(boards(&expected["nine.labels"], Shape::S9));
    let examples: Vec<Example> = pairs
        .map(|(input, label)| Example {
            input,
            label,
            identifier: 0,
        })
        .collect();
    for updates in [3, 6] {
        let (plan, weights) = model(Shape::S9, updates);
        let losses = &json["training"]["losses"][updates.to_string()];
        for graph in [false, true] {
            let settings = TrainerSettings {
                batch_size: examples.len(),
                threads: 1,
                precision: Precision::F32,
                clip: None,
                loss: LossKind::Softmax,
                q_weight: json["training"]["q_weight"].as_f64().unwrap(),
                ema: None,
                optimizer: OptimizerSettings::default(),
                seed: 0,
            };
            let what = format!("{updates} updates, graph {graph}");
            let draw = |row: usize| examples[row].clone();
            let computed = if graph {
                let plan = Arc::new(plan.clone());
                let burn = Burn::new(&plan, &weights, &settings, vec![Device::flex()]);
                Trainer::new(plan, burn, settings).gradients(draw)
            } else {
                Trainer::on_host(plan.clone(), &weights, settings).gradients(draw)
            };
            let (gradients, report) = computed.unwrap();
            for (name, found) in [("loss", report.loss), ("cross_entropy", report.cell_loss)] {
                let want = losses[name].as_f64().unwrap();
                assert!(
                    (found - want).abs() < 1e-5 * want,
                    "{what}, {name}: {found} for {want}"
                );
            }
            let mut worst: f32 = 0.0;
            for (spec, gradient) in plan.tensors.iter().zip(gradients) {
                if spec.kind == TensorKind::Buffer {
                    assert!(gradient.is_empty(), "{} is not trained", spec.name);
                    continue;
                }
                let found = gradient;
                let difference =
                    difference(&found, &expected[&format!("grad{updates}.{}", spec.name)]);
                assert!(difference < 1e-3, "{what}, {}: {difference:e}", spec.name);
                worst = worst.max(difference);
            }
            println!("{what}: largest relative difference {worst:.2e}");
        }
    }
}
