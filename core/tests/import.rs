//! Other people's checkpoints: what is read, what is dropped, what is
//! refused. Every file is made here, tiny and random.
#![cfg(feature = "import")]

mod torch_file;

use std::io::Cursor;

use hrm_core::config::ModelConfig;
use hrm_core::import::{self, Choice, ImportError, Imported, WeightsFile, parse_config};
use hrm_core::plan::Plan;
use hrm_core::puzzle::Shape;
use hrm_core::weights::Weights;
use proptest::prelude::*;
use torch_file::{Py, bf16s, bytes, dict, f32s, f64s, i64s, legacy, state, transposed, zip};

const PREFIX: &str = "_orig_mod.model.inner.";

const HRM_YAML: &str = "\
arch:
  H_cycles: 2
  H_layers: 1
  L_cycles: 2
  L_layers: 1
  expansion: 4
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 8
  loss:
    loss_type: stablemax_cross_entropy
    name: losses@ACTLossHead
  name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1
  num_heads: 2
  pos_encodings: rope
  puzzle_emb_ndim: 8
data_path: data/sudoku-extreme-1k-aug-1000
epochs: 10
global_batch_size: 8
lr: 1.0e-4
run_name: example
";

/// A tiny HRM as published: its plan, and weights that bf16 can hold where
/// the file has them in it.
fn hrm() -> (Plan, Weights) {
    let plan = Plan::new(&ModelConfig::hrm(Shape::S9, 8, 2, 1)).unwrap();
    let weights = random(&plan, 3);
    (plan, weights)
}

fn random(plan: &Plan, seed: u64) -> Weights {
    let weights = Weights::random(plan, seed);
    let tensors = plan.tensors.iter().zip(weights.tensors());
    let rounded = tensors.map(|(spec, tensor)| {
        let mut values = tensor.dense().into_owned();
        if spec.name.ends_with("_init") {
            for v in &mut values {
                *v = half::bf16::from_f32(*v).to_f32();
            }
        }
        hrm_core::weights::Tensor {
            shape: spec.shape.clone(),
            values: hrm_core::weights::Values::F32(values),
        }
    });
    Weights::from_tensors(plan, rounded.collect()).unwrap()
}

fn read(file: &[u8], config: Option<&str>) -> Result<Imported, ImportError> {
    read_with(file, config, &Choice::default())
}

fn read_with(file: &[u8], config: Option<&str>, choice: &Choice) -> Result<Imported, ImportError> {
    let mut file = WeightsFile::open(Cursor::new(file))?;
    let config = config
        .map(|text| parse_config(text.as_bytes()))
        .transpose()?;
    import::read(&mut file, None, config, choice)
}

fn error(result: Result<Imported, ImportError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

fn said(imported: &Imported, what: &[&str]) {
    let text = imported.notes.join("\n");
    for part in what {
        assert!(text.contains(part), "{part:?} is not said:\n{text}");
    }
}

#[test]
fn a_checkpoint_as_published_needs_no_other_name() {
    let (plan, weights) = hrm();
    let dict = dict(state(&plan, &weights, PREFIX));
    for file in [zip(&dict), legacy(&dict)] {
        let imported = read(&file, Some(HRM_YAML)).unwrap();
        assert_eq!(imported.plan.config, plan.config);
        assert_eq!(imported.weights, weights);
        said(
            &imported,
            &[
                "epochs, global_batch_size",
                "2 of bf16",
                "HRM for sudoku-9x9",
            ],
        );
    }
    // The same by the fields alone, as `config.json` has them.
    let own = plan.config.to_json();
    assert_eq!(read(&zip(&dict), Some(&own)).unwrap().weights, weights);
    // And as safetensors, with the prefix.
    let bytes = weights.to_safetensors(&plan).unwrap();
    assert_eq!(read(&bytes, Some(HRM_YAML)).unwrap().weights, weights);
}

#[test]
fn weights_lie_where_others_put_them() {
    let (plan, weights) = hrm();
    let raw = || dict(state(&plan, &weights, PREFIX));
    let average = random(&plan, 4);
    let mean = || dict(state(&plan, &average, "model.inner."));
    let trained = |named: &(String, Py)| !named.0.ends_with("_init");
    let shadow = dict(
        state(&plan, &average, "model.inner.")
            .into_iter()
            .filter(trained),
    );
    let numpy = Py::Call(
        "numpy._core.multiarray",
        "_reconstruct",
        vec![Py::Tuple(vec![]), Py::Int(0)],
    );
    let optimizers = Py::List(vec![dict([(
        "state",
        Py::Dict(vec![(
            Py::Int(0),
            dict([("exp_avg", f32s(&[2, 2], &[1.0; 4]))]),
        )]),
    )])]);
    let carry = Py::Call("models.hrm", "Carry", vec![f32s(&[3], &[1.0; 3])]);
    let files: Vec<(&str, Py, &Weights, &[&str])> = vec![
        ("state_dict", dict([("state_dict", raw())]), &weights, &[]),
        (
            "model_state_dict",
            dict([("model_state_dict", raw()), ("epoch", Py::Int(3))]),
            &weights,
            &["not read: epoch"],
        ),
        (
            "model and ema",
            dict([("model", raw()), ("ema", mean())]),
            &average,
            &["taken: `ema`, the average; also in the file: `model`"],
        ),
        (
            "pair of state dicts",
            dict([("model_state_dict", raw()), ("ema_state_dict", mean())]),
            &average,
            &["`ema_state_dict`, the average"],
        ),
        (
            "averaged model",
            dict(
                [("n_averaged", i64s(&[], &[7]))]
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .chain(state(&plan, &average, "module._orig_mod.model.inner.")),
            ),
            &average,
            &["dropped: n_averaged"],
        ),
        (
            "lightning",
            dict([
                (
                    "state_dict",
                    dict(state(&plan, &weights, "model.model.inner.")),
                ),
                ("optimizer_states", optimizers.clone()),
                ("hparams_name", "kwargs".into()),
            ]),
            &weights,
            &["optimizer_states"],
        ),
        (
            "optimiser by names",
            dict([
                ("model", raw()),
                ("optimizer", dict([("exp_avg", mean())])),
                ("carry", carry),
            ]),
            &weights,
            &["not read: optimizer, carry"],
        ),
    ];
    for (name, file, expected, notes) in files {
        let imported = read(&zip(&file), Some(HRM_YAML)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(&imported.weights, expected, "{name}");
        said(&imported, notes);
    }

    // EqR's layout: an average of what is trained, its configuration inside.
    let mut arch: Vec<(&str, Py)> = vec![
        (
            "name",
            "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1".into(),
        ),
        ("pos_encodings", "rope".into()),
        ("expansion", Py::Float(4.0)),
    ];
    for (field, value) in [
        ("H_cycles", 2),
        ("L_cycles", 2),
        ("num_heads", 2),
        ("hidden_size", 8),
    ] {
        arch.push((field, Py::Int(value)));
    }
    let eqr = dict([
        ("step", Py::Int(9)),
        ("model", raw()),
        ("optimizers", optimizers),
        ("rng", dict([("torch", bytes(&[1; 64]))])),
        ("numpy", Py::Tuple(vec!["MT19937".into(), numpy])),
        (
            "config",
            dict([("arch", dict(arch)), ("lr", Py::Float(1e-4))]),
        ),
        ("ema", dict([("mu", Py::Float(0.999)), ("shadow", shadow)])),
    ]);
    let imported = read(&zip(&eqr), None).unwrap();
    said(
        &imported,
        &[
            "`ema.shadow`, the average",
            "taken from `model`: H_init, L_init",
            "inside the file",
        ],
    );
    for (i, spec) in plan.tensors.iter().enumerate() {
        let from = if spec.name.ends_with("_init") {
            &weights
        } else {
            &average
        };
        assert_eq!(
            imported.weights.tensors()[i],
            from.tensors()[i],
            "{}",
            spec.name
        );
    }
    for name in ["model", "ema", "ema.shadow", "shadow"] {
        let choice = Choice {
            tensors: Some(name.to_owned()),
            ..Choice::default()
        };
        let imported = read_with(&zip(&eqr), None, &choice).unwrap();
        let at = plan
            .tensors
            .iter()
            .position(|t| t.name == "lm_head.weight")
            .unwrap();
        let from = if name == "model" { &weights } else { &average };
        assert_eq!(imported.weights.tensors()[at], from.tensors()[at], "{name}");
    }
    // The same without dictionaries, as safetensors have it.
    let flat = {
        let named = [("model.", &weights), ("ema.", &average)].into_iter();
        let parts: Vec<(String, Vec<usize>, Vec<u8>)> = named
            .flat_map(|(prefix, weights)| {
                let tensors = plan.tensors.iter().zip(weights.tensors());
                tensors.map(move |(spec, t)| {
                    let bytes = t.dense().iter().flat_map(|v| v.to_le_bytes()).collect();
                    (format!("{prefix}{}", spec.name), spec.shape.clone(), bytes)
                })
            })
            .collect();
        let views = parts.iter().map(|(name, shape, bytes)| {
            let view =
                safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
            (name.clone(), view.unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    };
    for (name, expected) in [(None, &average), (Some("model"), &weights)] {
        let choice = Choice {
            tensors: name.map(str::to_owned),
            ..Choice::default()
        };
        let imported = read_with(&flat, Some(HRM_YAML), &choice).unwrap();
        assert_eq!(&imported.weights, expected, "{name:?}");
    }
    let choice = Choice {
        tensors: Some("best".into()),
        ..Choice::default()
    };
    let unknown = error(read_with(&zip(&eqr), None, &choice));
    assert!(
        unknown.contains("no tensors `best`") && unknown.contains("`model`, `ema.shadow`"),
        "{unknown}"
    );
    let two = error(read(
        &zip(&dict([("teacher", raw()), ("student", mean())])),
        Some(HRM_YAML),
    ));
    assert!(
        two.contains("`teacher`, `student`") && two.contains("--tensors"),
        "{two}"
    );
    let none = error(read(
        &zip(&dict([("fc.weight", f32s(&[1], &[1.0]))])),
        Some(HRM_YAML),
    ));
    assert!(
        none.contains("none of its 1 tensors is of an HRM"),
        "{none}"
    );
}

#[test]
fn what_training_leaves_behind_is_dropped_with_a_line() {
    let (plan, weights) = hrm();
    let with = |extra: Vec<(&str, Py)>| {
        let extra = extra.into_iter().map(|(k, v)| (format!("{PREFIX}{k}"), v));
        zip(&dict(
            state(&plan, &weights, PREFIX).into_iter().chain(extra),
        ))
    };
    let buffers = with(vec![
        ("puzzle_emb.local_weights", f32s(&[4, 8], &[0.0; 32])),
        ("puzzle_emb.local_ids", i64s(&[4], &[0; 4])),
    ]);
    let tables = with(vec![
        ("rotary_emb.cos_cached", bf16s(&[2, 4], &[1.0; 8])),
        ("rotary_emb.sin_cached", bf16s(&[2, 4], &[0.0; 8])),
        (
            "H_level.layers.0.self_attn.rotary_emb.inv_freq",
            f32s(&[2], &[1.0; 2]),
        ),
    ]);
    let counter = with(vec![("step", i64s(&[], &[52080]))]);
    for (file, line) in [
        (buffers, "puzzle_emb.local_ids, puzzle_emb.local_weights"),
        (tables, "rotary_emb.cos_cached"),
        (counter, "dropped: step"),
    ] {
        let imported = read(&file, Some(HRM_YAML)).unwrap();
        assert_eq!(imported.weights, weights);
        said(&imported, &["left over from training", line]);
    }
    let unknown = with(vec![("memory.weight", f32s(&[2], &[0.0; 2]))]);
    let text = error(read(&unknown, Some(HRM_YAML)));
    assert!(text.contains("`memory.weight` does not belong"), "{text}");
}

#[test]
fn other_number_types_and_views_are_converted() {
    let (plan, weights) = hrm();
    let remade = |make: &dyn Fn(&[usize], &[f32]) -> Py| {
        let named = plan.tensors.iter().zip(weights.tensors());
        zip(&dict(named.map(|(spec, t)| {
            (spec.name.clone(), make(&spec.shape, &t.dense()))
        })))
    };
    let imported = read(&remade(&f64s), Some(HRM_YAML)).unwrap();
    assert_eq!(imported.weights, weights);
    said(&imported, &[&format!("{} of f64", plan.tensors.len())]);
    // Views by columns, and vectors with axes of length one.
    let views = remade(&|shape, values| match shape {
        [rows, columns] => transposed([*rows, *columns], values),
        [n] => f32s(&[1, 1, *n], values),
        _ => unreachable!(),
    });
    assert_eq!(read(&views, Some(HRM_YAML)).unwrap().weights, weights);
    // One that is not finite is named.
    let broken = remade(&|shape, values| {
        let mut values = values.to_vec();
        values[0] = f32::NAN;
        f64s(shape, &values)
    });
    assert!(error(read(&broken, Some(HRM_YAML))).contains("has NaN at element 0"));
}

#[test]
fn configurations_are_read_as_they_come() {
    let (plan, weights) = hrm();
    let file = zip(&dict(state(&plan, &weights, PREFIX)));
    let own = plan.config.to_json();
    // As Hugging Face's tools write it, with fields of theirs; of the
    // reference's architecture, and of this project's.
    let own_and_hf = own.replacen(
        '{',
        r#"{"architectures": ["HierarchicalReasoningModel_ACTV1"], "model_type": "hrm", "transformers_version": "4.57.1", "torch_dtype": "bfloat16", "_name_or_path": "x/y","#,
        1,
    );
    let mut hf: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&own_and_hf).unwrap();
    for field in [
        "puzzle",
        "gate",
        "q_pool",
        "q_continue",
        "modules",
        "token_mixer",
        "gradient_updates",
    ] {
        hf.remove(field);
    }
    let hf = serde_json::Value::Object(hf).to_string();
    let interpolated = HRM_YAML.replace("puzzle_emb_ndim: 8", "puzzle_emb_ndim: ${.hidden_size}");
    let readable = [
        format!("\u{feff}{own}"),
        format!("[{own}]"),
        own.replace('\n', "\r\n"),
        format!("\u{feff}{}", HRM_YAML.replace('\n', "\r\n")),
        hf,
        own_and_hf,
        interpolated,
        HRM_YAML
            .replace("  L_layers: 1\n", "")
            .replace("  puzzle_emb_ndim: 8\n", ""),
    ];
    for config in &readable {
        let imported = read(&file, Some(config)).unwrap_or_else(|e| panic!("{config}: {e}"));
        assert_eq!(imported.plan.config, plan.config, "{config}");
        assert_eq!(imported.weights, weights);
    }
    let refused: [(String, &[&str]); 9] = [
        (format!("[{own}, {own}]"), &["list of 2"]),
        (
            HRM_YAML.replace("L_layers: 1", "L_layers: 2"),
            &["`L_layers` is 2", "it is 1"],
        ),
        (
            HRM_YAML.replace("hidden_size: 8", "hidden_size: 16"),
            &["`hidden_size` is 16", "embed_tokens"],
        ),
        (
            HRM_YAML.replace("  H_cycles: 2\n", ""),
            &["`H_cycles` is missing"],
        ),
        (
            HRM_YAML.replace("H_cycles: 2", "H_cycles: two"),
            &["`H_cycles` is the text \"two\""],
        ),
        (
            HRM_YAML.replace("rope", "rope2d"),
            &["`pos_encodings` is \"rope2d\""],
        ),
        (
            HRM_YAML.replace(
                "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1",
                "hrm.v2@OtherModel",
            ),
            &["hrm.v2@OtherModel", "not known here"],
        ),
        (
            HRM_YAML.replace("  expansion: 4\n", "  expansion: 4\n  activation: gelu\n"),
            &[
                "`activation` (the text \"gelu\") is not known",
                "--ignore activation",
            ],
        ),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n".into(),
            &["Git LFS pointer"],
        ),
    ];
    for (config, parts) in refused {
        let text = error(read(&file, Some(&config)));
        for part in parts {
            assert!(text.contains(part), "{part:?}: {text}");
        }
    }
    let unknown = HRM_YAML.replace("  expansion: 4\n", "  expansion: 4\n  activation: gelu\n");
    let ignoring = Choice {
        ignore: vec!["activation".into()],
        ..Choice::default()
    };
    assert_eq!(
        read_with(&file, Some(&unknown), &ignoring).unwrap().weights,
        weights
    );
    let setting = Choice {
        set: vec![("H_cycles".into(), 3.into())],
        ..Choice::default()
    };
    assert_eq!(
        read_with(&file, Some(HRM_YAML), &setting)
            .unwrap()
            .plan
            .config
            .H_cycles,
        3
    );
    assert_eq!(
        read_with(&file, Some(&own), &setting)
            .unwrap()
            .plan
            .config
            .H_cycles,
        3
    );
    // None given and none inside.
    assert!(error(read(&file, None)).contains("--config"));
}

#[test]
fn what_is_no_weights_says_what_it_is() {
    let files: [(&[u8], &str); 11] = [
        (b"", "empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"{\"weight_map\": {}}", "JSON"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (
            b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.",
            "torch.save did not write",
        ),
        (b"hello, this is a text", "a text"),
        (b"PK\x03\x04\0\0\0\0\0\0\0\0", "did not end"),
        (&[9, 0, 255, 254, 7, 7], "first bytes"),
    ];
    for (file, part) in files {
        let text = error(read(file, Some(HRM_YAML)));
        assert!(text.contains(part), "{part}: {text}");
    }
    let other = torch_file::archive(&[("notes.txt".into(), b"x".to_vec())]);
    assert!(error(read(&other, Some(HRM_YAML))).contains("without PyTorch's data.pkl"));
}

#[test]
fn a_hostile_pickle_runs_nothing_and_hides_nothing() {
    let (plan, weights) = hrm();
    let evil = Py::Call(
        "os",
        "system",
        vec!["touch /tmp/should-not-be-there".into()],
    );
    let mut items = state(&plan, &weights, PREFIX);
    items.push(("evil".into(), evil));
    assert_eq!(
        read(&zip(&dict(items)), Some(HRM_YAML)).unwrap().weights,
        weights
    );
}

proptest! {
    #[test]
    fn damaged_files_are_refused_or_read_right(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        old in any::<bool>(),
    ) {
        let (plan, weights) = hrm();
        let dict = dict(state(&plan, &weights, PREFIX));
        let mut file = if old { legacy(&dict) } else { zip(&dict) };
        let n = file.len();
        // Most damage where the structure is.
        let place = if at.index(2) == 0 { at.index(n) } else { at.index(4000.min(n)) };
        file[place] = byte;
        if let Some(cut) = cut {
            file.truncate(cut.index(n));
        }
        if let Ok(imported) = read(&file, Some(HRM_YAML)) {
            // Checksums cover a ZIP archive; the old form has none.
            prop_assert!(old || imported.weights == weights);
        }
    }

    #[test]
    fn random_pickles_and_configurations(noise in prop::collection::vec(any::<u8>(), 0..200), text in any::<String>()) {
        let mut pickle = torch_file::archive(&[("a/data.pkl".into(), noise)]);
        let _ = read(&pickle, Some(HRM_YAML));
        pickle.truncate(100);
        let _ = read(&pickle, Some(HRM_YAML));
        let _ = parse_config(text.as_bytes());
        let (plan, weights) = hrm();
        let file = zip(&dict(state(&plan, &weights, PREFIX)));
        let _ = read(&file, Some(&text));
        let _ = read(&file, Some(&format!("arch:\n  hidden_size: {text}")));
    }
}

/// A model of ARC with seven puzzle embeddings, and its configuration.
fn arc() -> (Plan, Weights, String) {
    let config = ModelConfig {
        num_puzzle_identifiers: 7,
        ..ModelConfig::hrm(hrm_core::puzzle::ArcSize::FULL, 8, 2, 1)
    };
    let plan = Plan::new(&config).unwrap();
    let mut weights = random(&plan, 3);
    let table = plan.puzzle_table().unwrap();
    let values = (0..7 * 8).map(|i| i as f32 / 8.0).collect();
    let tensor = hrm_core::weights::Tensor {
        shape: vec![7, 8],
        values: hrm_core::weights::Values::F32(values),
    };
    weights = weights.with(&plan, table, tensor).unwrap();
    (plan, weights, HRM_YAML.replace("sudoku-extreme-1k", "arc"))
}

#[test]
fn an_arc_model_is_read_with_the_rows_that_are_wanted() {
    let (plan, weights, yaml) = arc();
    let state = dict(state(&plan, &weights, PREFIX));
    let flat = weights.to_safetensors(&plan).unwrap();
    let table = plan.puzzle_table().unwrap();
    for bytes in [zip(&state), legacy(&state), flat] {
        let all = read_with(&bytes, Some(&yaml), &Choice::default()).unwrap();
        assert_eq!(all.plan.config.puzzle.to_string(), "arc-30x30");
        assert_eq!(all.weights, weights);
        let choice = Choice {
            identifiers: Some(vec![0, 5, 2]),
            ..Choice::default()
        };
        let some = read_with(&bytes, Some(&yaml), &choice).unwrap();
        assert_eq!(some.plan.config.num_puzzle_identifiers, 3);
        let rows = some.weights.dense(some.plan.puzzle_table().unwrap());
        let whole = weights.dense(table);
        let expected: Vec<f32> = [0, 5, 2]
            .iter()
            .flat_map(|r| whole[r * 8..(r + 1) * 8].to_vec())
            .collect();
        assert_eq!(*rows, *expected);
        assert!(
            some.notes
                .iter()
                .any(|n| n.contains("7 rows, of which 3 are read"))
        );
        let beyond = Choice {
            identifiers: Some(vec![0, 7]),
            ..Choice::default()
        };
        let said = error(read_with(&bytes, Some(&yaml), &beyond));
        assert!(
            said.contains("puzzle identifier 7 has no row in puzzle_emb.weights, which has 7"),
            "{said}"
        );
    }
}

#[test]
fn headers_that_do_not_fit_their_file_are_named() {
    let (plan, weights, yaml) = arc();
    let bytes = weights.to_safetensors(&plan).unwrap();
    let said = |bytes: &[u8]| error(read_with(bytes, Some(&yaml), &Choice::default()));
    let cut = said(&bytes[..bytes.len() - 4]);
    assert!(cut.contains("its tensors end at byte"), "{cut}");
    let text = String::from_utf8_lossy(&bytes[..2000]).into_owned();
    let shape = text.find("[7,8]").expect("the table's shape");
    let mut wrong = bytes.clone();
    wrong[shape + 1] = b'6';
    let wrong = said(&wrong);
    assert!(wrong.contains("invalid shape"), "{wrong}");
}
