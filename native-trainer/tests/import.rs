//! `hrm` given what others publish: files of any name, folders, downloads
//! that went wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::Shape;
use hrm_core::weights::Weights;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

#[path = "../../core/tests/torch_file/mod.rs"]
mod torch_file;

use torch_file::{dict, state, zip};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 109124341\n";

fn published(layout: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/published")
        .join(layout)
}

fn hrm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hrm"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command that must fail and name all of these.
fn refused(args: &[&str], parts: &[&str]) {
    let output = hrm(args);
    let said = stderr(&output);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{args:?}: {part:?} is not in {said}");
    }
}

fn done(args: &[&str]) -> Output {
    let output = hrm(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    output
}

/// Imports into a new folder and returns it with what was said.
fn import(dir: &Path, name: &str, args: &[&str]) -> (PathBuf, String) {
    let out = dir.join(name);
    let mut all = vec!["import"];
    all.extend(args);
    all.push(text(&out));
    let output = done(&all);
    (out, stderr(&output))
}

fn floats(path: &Path, name: &str) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor(name).unwrap().data().to_vec();
    let words = data.chunks_exact(4).map(|b| b.try_into().unwrap());
    words.map(f32::from_le_bytes).collect()
}

#[test]
fn a_published_folder_imports_without_options_and_computes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for layout in ["hrm", "trm-att", "trm-mlp"] {
        let folder = published(layout);
        let (imported, said) = import(dir.path(), layout, &[text(&folder)]);
        assert!(
            said.contains("all_config.yaml, beside the weights"),
            "{said}"
        );
        let inputs = folder.with_extension("expected.safetensors");
        for (i, checkpoint) in [&imported, &folder].into_iter().enumerate() {
            let output = dir.path().join(format!("{layout}{i}.safetensors"));
            done(&[
                "trace",
                "--checkpoint",
                text(checkpoint),
                "--inputs",
                text(&inputs),
                "--segments",
                "2",
                "--output",
                text(&output),
            ]);
            for what in ["logits", "z_H", "z_L", "q_halt"] {
                let name = format!("segment2.{what}");
                let (want, found) = (floats(&inputs, &name), floats(&output, &name));
                let scale = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                assert_eq!(want.len(), found.len());
                let worst = want
                    .iter()
                    .zip(&found)
                    .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(worst < 1e-4 * scale, "{layout} {name}: {worst} of {scale}");
            }
        }
    }
    // The configuration inside the file.
    let eqr = published("eqr").join("step_5000_tiny.pth");
    let (_, said) = import(dir.path(), "eqr", &[text(&eqr)]);
    for part in [
        "inside the file",
        "`ema.shadow`, the average",
        "optimizers, rng, config",
        "--update-noise 0.01",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let raw = import(dir.path(), "eqr-raw", &[text(&eqr), "--tensors", "model"]).0;
    let weights = |dir: &Path| fs::read(dir.join("model.safetensors")).unwrap();
    assert_ne!(weights(&raw), weights(&dir.path().join("eqr")));
}

#[test]
fn the_name_of_a_file_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let source = published("hrm").join("checkpoint");
    let config = published("hrm").join("all_config.yaml");
    let mut first = None;
    for name in [
        "checkpoint",
        "step_52080",
        "pytorch_model.bin",
        "model.ckpt",
        "model.pth.tar",
        "MODEL.PT",
        "model.safetensors",
        "weights",
    ] {
        let file = dir.path().join("files").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::copy(&source, &file).unwrap();
        let (out, _) = import(
            dir.path(),
            &format!("out-{name}"),
            &[text(&file), "--config", text(&config)],
        );
        let bytes = fs::read(out.join("model.safetensors")).unwrap();
        assert_eq!(*first.get_or_insert(bytes.clone()), bytes, "{name}");
    }
    // And one with no extension that is safetensors.
    let plain = dir.path().join("files/imported");
    fs::copy(dir.path().join("out-weights/model.safetensors"), &plain).unwrap();
    import(
        dir.path(),
        "again",
        &[text(&plain), "--config", text(&config)],
    );
}

#[test]
fn what_is_not_there_or_something_else_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let out = at("out");
    let put = |name: &str, content: &[u8]| {
        let path = at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    };
    let config = published("hrm").join("all_config.yaml");
    let weights = fs::read(published("hrm").join("checkpoint")).unwrap();
    let files: [(&str, &[u8], &[&str]); 8] = [
        (
            "lfs/step_52080",
            POINTER.as_bytes(),
            &["Git LFS pointer", "git lfs pull"],
        ),
        (
            "lfs/checkpoint.pt",
            POINTER.as_bytes(),
            &["Git LFS pointer"],
        ),
        (
            "html/model.pt",
            b"<!doctype html><title>Sign in</title>",
            &["web page"],
        ),
        ("empty/model.pt", b"", &["empty"]),
        ("gz/model.pt.gz", b"\x1f\x8b\x08\0", &["gzip"]),
        (
            "cut/model.pt",
            &weights[..weights.len() / 2],
            &["did not end"],
        ),
        ("text/model.pt", b"hello", &["a text, not weights"]),
        (
            "part/model.pt.part",
            &weights,
            &["download that did not end"],
        ),
    ];
    for (name, content, parts) in files {
        let path = put(name, content);
        refused(
            &["import", text(&path), text(&out), "--config", text(&config)],
            parts,
        );
    }
    put("pulled/model.pt.incomplete", &weights);
    let missing = at("pulled/model.pt");
    refused(
        &["import", text(&missing), text(&out)],
        &["no such file", "model.pt.incomplete", "did not end"],
    );
    refused(
        &["import", text(&at("nowhere")), text(&out)],
        &["no such file or folder"],
    );

    // Folders: of pointers, empty, without weights, with several, with folders.
    let pointers = put("clone/checkpoint", POINTER.as_bytes());
    put("clone/all_config.yaml", POINTER.as_bytes());
    refused(
        &["import", text(pointers.parent().unwrap()), text(&out)],
        &["git lfs pull"],
    );
    fs::create_dir(at("void")).unwrap();
    refused(
        &["import", text(&at("void")), text(&out)],
        &["empty folder"],
    );
    put("notes/README.md", b"# nothing\n");
    refused(
        &["import", text(&at("notes")), text(&out)],
        &["holds no weights", "README.md"],
    );
    put("two/a.pt", &weights);
    put("two/b.pt", &weights);
    refused(
        &["import", text(&at("two")), text(&out)],
        &["a.pt, b.pt", "give one of them"],
    );
    put("outer/inner/a.pt", &weights);
    refused(
        &["import", text(&at("outer")), text(&out)],
        &["folders in it do", "inner"],
    );
    // Weights that were pulled, a configuration that was not.
    put("half/checkpoint", &weights);
    put("half/all_config.yaml", POINTER.as_bytes());
    refused(
        &["import", text(&at("half")), text(&out)],
        &["all_config.yaml", "Git LFS pointer"],
    );
    put("bare/checkpoint", &weights);
    refused(
        &["import", text(&at("bare")), text(&out)],
        &["all_config.yaml, config.json", "--config"],
    );
    assert!(!out.exists(), "nothing was written");
}

#[test]
fn folders_lead_to_the_newest_and_to_the_average() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan::new(&ModelConfig::hrm(Shape::S4, 8, 2, 1)).unwrap();
    let [old, new, mean] = [1, 2, 3].map(|seed| Weights::random(&plan, seed));
    let folder = dir.path().join("published");
    fs::create_dir(&folder).unwrap();
    let file = |weights: &Weights, all: bool| {
        let tensors = state(&plan, weights, "_orig_mod.model.inner.");
        zip(&dict(
            tensors
                .into_iter()
                .filter(|(name, _)| all || !name.ends_with("_init")),
        ))
    };
    fs::copy(
        published("hrm").join("all_config.yaml"),
        folder.join("all_config.yaml"),
    )
    .unwrap();
    fs::write(folder.join("step_900"), file(&old, true)).unwrap();
    fs::write(folder.join("step_1000"), file(&new, true)).unwrap();
    let saved = |dir: &Path, name: &str| floats(&dir.join("model.safetensors"), name);
    let of = |weights: &Weights, name: &str| {
        let at = plan.tensors.iter().position(|t| t.name == name).unwrap();
        weights.tensors()[at].dense().into_owned()
    };
    let head = "lm_head.weight";
    let (out, said) = import(dir.path(), "newest", &[text(&folder)]);
    assert!(
        said.contains("taken: step_1000, of step_1000, step_900"),
        "{said}"
    );
    assert_eq!(saved(&out, head), of(&new, head));
    // An average of what is trained lies over the raw weights.
    fs::write(folder.join("step_1000_ema"), file(&mean, false)).unwrap();
    let (out, said) = import(dir.path(), "average", &[text(&folder)]);
    assert!(
        said.contains("step_1000_ema, the average, over step_1000"),
        "{said}"
    );
    assert!(
        said.contains("taken from the raw weights: H_init, L_init"),
        "{said}"
    );
    assert_eq!(saved(&out, head), of(&mean, head));
    let (out, _) = import(dir.path(), "file", &[text(&folder.join("step_1000_ema"))]);
    assert_eq!(saved(&out, head), of(&mean, head));

    // A run's folder, with `hrm`'s own checkpoints.
    let run = dir.path().join("run");
    for (step, weights) in [("step-00000001", &old), ("step-00000012", &new)] {
        let dir = run.join(step);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("config.json"), plan.config.to_json()).unwrap();
        fs::write(
            dir.join("model.safetensors"),
            weights.to_safetensors(&plan).unwrap(),
        )
        .unwrap();
    }
    let (out, said) = import(dir.path(), "of-run", &[text(&run)]);
    assert!(
        said.contains("newest checkpoint is taken, step-00000012"),
        "{said}"
    );
    assert_eq!(saved(&out, head), of(&new, head));
    // A pointer in a folder of ours.
    fs::write(run.join("step-00000012/model.safetensors"), POINTER).unwrap();
    refused(
        &[
            "import",
            text(&run.join("step-00000012")),
            text(&dir.path().join("x")),
        ],
        &["Git LFS pointer"],
    );
}

#[test]
fn a_sequence_has_the_puzzle_embedding_of_its_identifier() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = ModelConfig::hrm(Shape::S4, 8, 2, 1);
    config.num_puzzle_identifiers = 5;
    let plan = Plan::new(&config).unwrap();
    // Embeddings are zero in a fresh model.
    let tensors = plan
        .tensors
        .iter()
        .zip(Weights::random(&plan, 1).tensors().to_vec());
    let tensors = tensors.map(|(spec, mut tensor)| {
        if spec.name == "puzzle_emb.weights" {
            let values = (0..spec.elements()).map(|i| (i as f32).sin());
            tensor.values = hrm_core::weights::Values::F32(values.collect());
        }
        tensor
    });
    let weights = Weights::from_tensors(&plan, tensors.collect()).unwrap();
    let checkpoint = dir.path().join("five.pt");
    fs::write(
        &checkpoint,
        zip(&dict(state(&plan, &weights, "model.inner."))),
    )
    .unwrap();
    let settings = dir.path().join("config.json");
    fs::write(&settings, config.to_json()).unwrap();

    let trace = |name: &str, identifiers: Option<&[i32]>| {
        let inputs = dir.path().join(format!("{name}.in.safetensors"));
        let tokens: Vec<u8> = (0..32i32).flat_map(|i| (1 + i % 3).to_le_bytes()).collect();
        let ids: Vec<u8> = identifiers
            .iter()
            .flat_map(|i| i.iter())
            .flat_map(|i| i.to_le_bytes())
            .collect();
        let mut views = vec![(
            "inputs",
            TensorView::new(Dtype::I32, vec![2, 16], &tokens).unwrap(),
        )];
        if let Some(i) = identifiers {
            views.push((
                "puzzle_identifiers",
                TensorView::new(Dtype::I32, vec![i.len()], &ids).unwrap(),
            ));
        }
        fs::write(&inputs, safetensors::serialize(views, None).unwrap()).unwrap();
        let output = dir.path().join(format!("{name}.out.safetensors"));
        let ran = hrm(&[
            "trace",
            "--checkpoint",
            text(&checkpoint),
            "--config",
            text(&settings),
            "--inputs",
            text(&inputs),
            "--segments",
            "1",
            "--output",
            text(&output),
        ]);
        ran.status
            .success()
            .then(|| floats(&output, "segment1.logits"))
            .ok_or(stderr(&ran))
    };
    let none = trace("none", None).unwrap();
    let zero = trace("zero", Some(&[0, 0])).unwrap();
    let other = trace("other", Some(&[4, 2])).unwrap();
    assert_eq!(none, zero);
    let half = zero.len() / 2;
    assert!(zero[..half] != other[..half] && zero[half..] != other[half..]);
    assert_eq!(trace("mixed", Some(&[0, 2])).unwrap()[..half], zero[..half]);
    for (ids, parts) in [
        (&[0, 5][..], ["input 1", "identifier 5", "has 5"]),
        (
            &[-1, 0][..],
            ["-1 of sequence 0", "puzzle_identifiers", "no row"],
        ),
        (&[1][..], ["puzzle_identifiers", "[1]", "expected I32 [2]"]),
    ] {
        let said = trace("wrong", Some(ids)).unwrap_err();
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let (_, said) = import(
        dir.path(),
        "imported",
        &[text(&checkpoint), "--config", text(&settings)],
    );
    assert!(
        said.contains("puzzle_emb.weights has 5 rows") && said.contains("row 0"),
        "{said}"
    );
}

#[test]
fn fields_can_be_set_and_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let source = published("trm-att").join("step_9765");
    let config = dir.path().join("all_config.yaml");
    let yaml = fs::read_to_string(published("trm-att").join("all_config.yaml")).unwrap();
    let yaml = yaml.replace("puzzle_emb_len: 16", "activation: swish");
    fs::write(&config, yaml).unwrap();
    let out = dir.path().join("out");
    let base = [
        "import",
        text(&source),
        text(&out),
        "--config",
        text(&config),
    ];
    refused(
        &base,
        &[
            "all_config.yaml",
            "`puzzle_emb_len`",
            "--set puzzle_emb_len=16",
        ],
    );
    let mut set = base.to_vec();
    set.extend(["--set", "puzzle_emb_len=16"]);
    refused(&set, &["`activation`", "--ignore activation"]);
    set.extend(["--ignore", "activation"]);
    let said = stderr(&done(&set));
    assert!(
        said.contains("16 position(s) in front") && said.contains("ignored as asked: activation"),
        "{said}"
    );
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.contains("read as TRM for sudoku-4x4"), "{card}");
}
