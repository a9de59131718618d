//! The CPU engine against reference values: the HRM of the reference
//! implementation and the compact model of the PyTorch twin.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::Taps;
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use safetensors::SafeTensors;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

struct Expected {
    floats: HashMap<String, Vec<f32>>,
    inputs: Vec<Vec<u8>>,
}

fn read(path: &Path) -> Expected {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<[u8; 4]> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4)
            .map(|b| [b[0], b[1], b[2], b[3]])
            .collect()
    };
    let cells = file.tensor("inputs").unwrap().shape()[1];
    let tokens: Vec<u8> = words("inputs")
        .iter()
        .map(|b| i32::from_le_bytes(*b) as u8)
        .collect();
    let floats = file
        .names()
        .iter()
        .filter(|n| n.starts_with("segment"))
        .map(|n| {
            (
                (*n).to_string(),
                words(n).into_iter().map(f32::from_le_bytes).collect(),
            )
        })
        .collect();
    Expected {
        floats,
        inputs: tokens.chunks(cells).map(<[u8]>::to_vec).collect(),
    }
}

/// Largest difference over the largest absolute expected value.
fn relative(expected: &[f32], found: &[f32]) -> f32 {
    assert_eq!(expected.len(), found.len());
    let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = expected
        .iter()
        .zip(found)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    worst / scale
}

/// Runs four segments and compares every value there is.
fn check(config: &ModelConfig, weights: &Path, expected: &Path) {
    let plan = Arc::new(Plan::new(config).unwrap());
    let weights = Weights::from_safetensors(&plan, &std::fs::read(weights).unwrap()).unwrap();
    let expected = read(expected);
    let mut run = CpuRun::new(
        Arc::new(CpuModel::new(Arc::clone(&plan), &weights)),
        &expected.inputs,
    )
    .unwrap();
    let (mut compared, mut worst) = (0, 0.0f32);
    for segment in 1..=4 {
        let mut found: HashMap<String, Vec<f32>> = HashMap::new();
        let outputs = run.segment(Taps {
            logits: true,
            states: true,
            z_h_updates: true,
            z_l_updates: false,
        });
        let join = |pick: &dyn Fn(usize) -> Vec<f32>| (0..outputs.len()).flat_map(pick).collect();
        found.insert(
            "logits".into(),
            join(&|i| outputs[i].logits.clone().unwrap()),
        );
        found.insert("q_halt".into(), join(&|i| vec![outputs[i].q_halt]));
        found.insert(
            "q_continue".into(),
            join(&|i| outputs[i].q_continue.into_iter().collect()),
        );
        found.insert("z_H".into(), join(&|i| outputs[i].z_h.clone().unwrap()));
        found.insert("z_L".into(), join(&|i| outputs[i].z_l.clone().unwrap()));
        for update in 0..outputs[0].updates.len() {
            let z_h = join(&|i| outputs[i].updates[update].1.clone());
            found.insert(format!("trace{}.z_H", update + 1), z_h);
        }
        for (name, found) in found {
            if let Some(want) = expected.floats.get(&format!("segment{segment}.{name}")) {
                let difference = relative(want, &found);
                assert!(difference < 1e-4, "segment{segment}.{name}: {difference}");
                worst = worst.max(difference);
                compared += 1;
            }
        }
    }
    assert_eq!(
        compared,
        expected.floats.len(),
        "every reference value was compared"
    );
    println!("{compared} tensors, largest relative difference {worst:.2e}");
}

#[test]
fn hrm_of_the_reference() {
    let dir = fixtures().join("parity");
    let text = std::fs::read_to_string(dir.join("tiny.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let config = ModelConfig::from_json(&record["config"].to_string()).unwrap();
    check(
        &config,
        &dir.join("tiny.weights.safetensors"),
        &dir.join("tiny.expected.safetensors"),
    );
}

#[test]
fn compact_model_of_the_pytorch_twin() {
    let dir = fixtures().join("compact");
    let config =
        ModelConfig::from_json(&std::fs::read_to_string(dir.join("config.json")).unwrap()).unwrap();
    check(
        &config,
        &dir.join("weights.safetensors"),
        &dir.join("expected.safetensors"),
    );
}

#[test]
#[cfg(feature = "import")]
fn a_state_dict_reads_like_the_safetensors_file() {
    let dir = fixtures().join("parity");
    let text = std::fs::read_to_string(dir.join("tiny.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let config = ModelConfig::from_json(&record["config"].to_string()).unwrap();
    let plan = Plan::new(&config).unwrap();
    let bytes = std::fs::read(dir.join("tiny.weights.safetensors")).unwrap();
    let expected = Weights::from_safetensors(&plan, &bytes).unwrap();
    let file = std::fs::File::open(dir.join("tiny.pt")).unwrap();
    let mut file = hrm_core::import::WeightsFile::open(file).unwrap();
    let choice = hrm_core::import::Choice::default();
    let imported = hrm_core::import::read(&mut file, None, Some(record), &choice).unwrap();
    assert_eq!(imported.weights, expected);
}
