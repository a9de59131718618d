//! Checkpoints laid out as HRM, TRM and EqR publish theirs, saved by PyTorch
//! with `native-trainer/benches/pytorch/make_published.py`: they import
//! without any option and compute what PyTorch computes.
#![cfg(feature = "import")]

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hrm_core::config::{Axis, InitialState, Modules, TokenMixer};
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::Taps;
use hrm_core::import::{self, Choice, ImportError, Imported, WeightsFile, parse_config};
use safetensors::{Dtype, SafeTensors};

fn folder(layout: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/published")
        .join(layout)
}

fn import(
    layout: &str,
    file: &str,
    edit: &dyn Fn(String) -> String,
) -> Result<Imported, ImportError> {
    let folder = folder(layout);
    let mut weights = WeightsFile::open(File::open(folder.join(file)).unwrap())?;
    let config = std::fs::read_to_string(folder.join("all_config.yaml")).ok();
    let config = config.map(|text| parse_config(edit(text).as_bytes()).unwrap());
    import::read(&mut weights, None, config, &Choice::default())
}

/// Floats and integers of the expected file.
fn expected(layout: &str) -> HashMap<String, Vec<f32>> {
    let path = folder(layout).with_extension("expected.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        let words = view.data().chunks_exact(4).map(|b| b.try_into().unwrap());
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => words.map(f32::from_le_bytes).collect(),
            _ => words.map(|b| i32::from_le_bytes(b) as f32).collect(),
        };
        (name.to_owned(), values)
    };
    file.iter().map(numbers).collect()
}

/// Largest difference relative to the largest value.
fn difference(want: &[f32], found: &[f32]) -> f32 {
    assert_eq!(want.len(), found.len());
    let scale = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = want
        .iter()
        .zip(found)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    worst / scale
}

#[test]
fn published_layouts_import_and_compute_what_pytorch_computes() {
    for (layout, file) in [
        ("hrm", "checkpoint"),
        ("trm-att", "step_9765"),
        ("trm-mlp", "step_16275"),
        ("eqr", "step_5000_tiny.pth"),
    ] {
        let imported = import(layout, file, &|text| text).unwrap();
        let config = imported.plan.config.clone();
        let expected = expected(layout);
        let inputs: Vec<Vec<u8>> = expected["inputs"]
            .chunks_exact(config.seq_len)
            .map(|row| row.iter().map(|&t| t as u8).collect())
            .collect();
        let identifiers: Vec<usize> = expected["puzzle_identifiers"]
            .iter()
            .map(|&i| i as usize)
            .collect();
        let model = Arc::new(CpuModel::new(Arc::new(imported.plan), &imported.weights));
        let mut run = CpuRun::with_identifiers(model, &inputs, &identifiers).unwrap();
        if config.initial_state == InitialState::Random {
            run.set_states(&expected["start.z_H"], &expected["start.z_L"])
                .unwrap();
        }
        let taps = Taps {
            logits: true,
            states: true,
            ..Taps::default()
        };
        let mut worst = 0.0f32;
        for segment in 1..=2 {
            let outputs = run.segment(taps);
            let join = |pick: &dyn Fn(usize) -> Vec<f32>| -> Vec<f32> {
                (0..outputs.len()).flat_map(pick).collect()
            };
            let mut found = vec![
                ("logits", join(&|i| outputs[i].logits.clone().unwrap())),
                ("q_halt", join(&|i| vec![outputs[i].q_halt])),
                ("z_H", join(&|i| outputs[i].z_h.clone().unwrap())),
                ("z_L", join(&|i| outputs[i].z_l.clone().unwrap())),
            ];
            if config.q_continue {
                found.push((
                    "q_continue",
                    join(&|i| outputs[i].q_continue.into_iter().collect()),
                ));
            }
            for (what, found) in found {
                let d = difference(&expected[&format!("segment{segment}.{what}")], &found);
                assert!(d < 1e-4, "{layout}, segment{segment}.{what}: {d}");
                worst = worst.max(d);
            }
        }
        println!("{layout}: largest relative difference {worst:.1e}");
    }
}

#[test]
fn the_architecture_follows_from_the_configuration() {
    let of = |layout, file| import(layout, file, &|text| text).unwrap().plan.config;
    let hrm = of("hrm", "checkpoint");
    assert_eq!(
        (hrm.modules, hrm.prefix(), hrm.num_puzzle_identifiers),
        (Modules::Separate, 1, 5)
    );
    assert!(hrm.q_continue);
    let att = of("trm-att", "step_9765");
    assert_eq!(
        (att.modules, att.prefix(), att.mixer_norm),
        (Modules::Shared, 16, Axis::Channels)
    );
    // TRM trains no q_continue: halting is q_halt > 0.
    assert!(!att.q_continue);
    let mlp = of("trm-mlp", "step_16275");
    assert_eq!(
        (mlp.token_mixer, mlp.prefix(), mlp.mixer_norm),
        (TokenMixer::Mlp, 16, Axis::Positions)
    );
    let eqr = of("eqr", "step_5000_tiny.pth");
    assert_eq!(
        (eqr.prefix(), eqr.damping, eqr.initial_state),
        (0, Some(0.95), InitialState::Random)
    );
    for config in [hrm, att, mlp, eqr] {
        // What was imported is a configuration of this project.
        let again = hrm_core::config::ModelConfig::from_json(&config.to_json()).unwrap();
        assert_eq!(again, config);
    }
}

#[test]
fn what_can_not_be_known_is_asked_for() {
    let without = |line: &'static str| {
        move |text: String| {
            let kept = text.lines().filter(|l| !l.trim().starts_with(line));
            kept.collect::<Vec<_>>().join("\n")
        }
    };
    let error = |layout, file, edit: &dyn Fn(String) -> String| {
        import(layout, file, edit)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    // Nothing in the shapes of an attention model says how many positions.
    let text = error("trm-att", "step_9765", &without("puzzle_emb_len"));
    assert!(
        text.contains("`puzzle_emb_len`") && text.contains("TRM has 16"),
        "{text}"
    );
    // What an MLP over positions says of them has to agree.
    let text = error("trm-mlp", "step_16275", &|text| {
        text.replace("puzzle_emb_len: 16", "puzzle_emb_len: 40")
    });
    assert!(
        text.contains("40 positions in front are more than the tensors' 32"),
        "{text}"
    );
    // Nor over what the norm after it is.
    let text = error("trm-mlp", "step_16275", &without("mlp_t"));
    assert!(text.contains("mixer_norm=positions or channels"), "{text}");
    let text = error("trm-mlp", "step_16275", &|text| {
        text.replace("mlp_t: true", "mlp_t: false")
    });
    assert!(
        text.contains("`mlp_t` is false, but the file has mlp_t tensors"),
        "{text}"
    );
    let text = error("hrm", "checkpoint", &|text| {
        text.replace(
            "hrm.hrm_act_v1@Hierarchical",
            "recursive_reasoning.trm@TinyRecursive",
        )
    });
    assert!(text.contains("has an H_level"), "{text}");
    // A hand-written configuration of this project's that leaves it out.
    let folder = folder("trm-att");
    let mut file = WeightsFile::open(File::open(folder.join("step_9765")).unwrap()).unwrap();
    let own = r#"{"puzzle": "sudoku-4x4", "seq_len": 16, "vocab_size": 6, "puzzle_emb_ndim": 8, "hidden_size": 8,
        "num_heads": 2, "H_cycles": 2, "L_cycles": 3, "H_layers": 1, "L_layers": 1, "pos_encodings": "rope",
        "halt_max_steps": 16, "modules": "shared"}"#;
    let imported = import::read(
        &mut file,
        None,
        Some(parse_config(own.as_bytes()).unwrap()),
        &Choice::default(),
    )
    .unwrap();
    assert!(
        imported
            .notes
            .iter()
            .any(|n| n.starts_with("warning") && n.contains("16")),
        "{:?}",
        imported.notes
    );
}
