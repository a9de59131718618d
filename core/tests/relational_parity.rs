//! The relational mixer against reference values of a plain PyTorch version:
//! one set of weights on two boards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::Taps;
use hrm_core::plan::Plan;
use hrm_core::puzzle::Shape;
use hrm_core::weights::Weights;
use safetensors::{Dtype, SafeTensors};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/relational")
        .join(name)
}

/// Every tensor of a file: floats as they are, whole numbers as floats.
fn tensors(name: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |data: &[u8]| -> Vec<[u8; 4]> {
        data.chunks_exact(4)
            .map(|b| [b[0], b[1], b[2], b[3]])
            .collect()
    };
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let words = words(view.data()).into_iter();
            let values = match view.dtype() {
                Dtype::F32 => words.map(f32::from_le_bytes).collect(),
                Dtype::I32 => words.map(|b| i32::from_le_bytes(b) as f32).collect(),
                other => panic!("{name} is {other:?}"),
            };
            (name, values)
        })
        .collect()
}

fn model(shape: Shape) -> Arc<CpuModel> {
    let config = ModelConfig {
        message: Some(8),
        ..ModelConfig::relational(shape, 16)
    };
    let plan = Plan::new(&config).unwrap();
    let bytes = std::fs::read(fixture("relational.weights.safetensors")).unwrap();
    let weights = Weights::from_safetensors(&plan, &bytes).unwrap();
    Arc::new(CpuModel::new(Arc::new(plan), &weights))
}

fn close(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = got
        .iter()
        .zip(want)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst <= 1e-4 * largest, "{name}: {worst} of {largest}");
}

#[test]
fn one_set_of_weights_plays_two_boards() {
    let expected = tensors("relational.expected.safetensors");
    for (board, shape) in [("nine", Shape::S9), ("six", Shape::S6)] {
        let inputs: Vec<Vec<u8>> = expected[&format!("{board}.inputs")]
            .chunks_exact(shape.cells())
            .map(|row| row.iter().map(|&t| t as u8).collect())
            .collect();
        let mut run = CpuRun::new(model(shape), &inputs).unwrap();
        let taps = Taps {
            logits: true,
            states: true,
            ..Taps::default()
        };
        for segment in 1..=3 {
            let outputs = run.segment(taps);
            let all = |f: &dyn Fn(&hrm_core::engine::SegmentOutput) -> Vec<f32>| -> Vec<f32> {
                outputs.iter().flat_map(f).collect()
            };
            let want = |what: &str| &expected[&format!("{board}.segment{segment}.{what}")];
            let name = |what| format!("{board}, segment {segment}: {what}");
            close(&name("z_H"), &all(&|o| o.z_h.clone().unwrap()), want("z_H"));
            close(&name("z_L"), &all(&|o| o.z_l.clone().unwrap()), want("z_L"));
            close(
                &name("logits"),
                &all(&|o| o.logits.clone().unwrap()),
                want("logits"),
            );
            close(&name("q_halt"), &all(&|o| vec![o.q_halt]), want("q_halt"));
        }
    }
}
