//! `hrm eval` and `hrm analyze` as processes: shards, kills, repeated runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Difficulty, Shape, dataset, fill_share, generate};
use hrm_core::weights::Weights;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hrm"));
    command.args(args).stdin(Stdio::null());
    command
}

fn hrm(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = hrm(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(args: &[&str]) -> String {
    let output = hrm(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(!error.contains("panicked"), "{error}");
    error
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A checkpoint of a small 4x4 model with random weights.
fn checkpoint(dir: &Path, name: &str, seed: u64) -> PathBuf {
    let plan = Plan::new(&ModelConfig::compact(Shape::S4, 16)).unwrap();
    let dir = dir.join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.json"), plan.config.to_json()).unwrap();
    let weights = Weights::random(&plan, seed).to_safetensors(&plan).unwrap();
    fs::write(dir.join("model.safetensors"), weights).unwrap();
    dir
}

/// The shipped 4x4 model.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/hrm-4x4")
}

/// Puzzles from hard to full.
fn puzzles(dir: &Path, count: u64) -> PathBuf {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<dataset::Row> = (0..count)
        .map(|i| {
            let puzzle = generate(i, &Difficulty::Hard.options(Shape::S4)).unwrap();
            let share = (i % 7) as f64 / 6.0;
            dataset::Row {
                source: "test".into(),
                question: fill_share(&mut rng, &puzzle.question, &puzzle.answer, share),
                answer: puzzle.answer,
                rating: (i % 7) as u32,
            }
        })
        .collect();
    let path = dir.join("puzzles.csv");
    dataset::write_file(&path, &rows).unwrap();
    path
}

/// A result without what depends on the machine.
fn result(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).unwrap();
    value.as_object_mut().unwrap().remove("seconds").unwrap();
    value
}

#[test]
fn shards_merged_equal_the_whole_run() {
    let dir = tempfile::tempdir().unwrap();
    // One that knows nothing first, so that rules have something to tell apart.
    let (a, b) = (checkpoint(dir.path(), "a", 5), shipped());
    let data = puzzles(dir.path(), 41);
    for stop in ["depth", "first-verified"] {
        let common = [
            "eval",
            "--checkpoint",
            text(&a),
            text(&b),
            "--data",
            text(&data),
            "--guesses",
            "3",
            "--initial-noise",
            "0.5",
            "--update-noise",
            "0.05",
            "--segments",
            "5",
            "--stop",
            stop,
            "--json",
        ];
        let whole = result(&ok(&common));
        assert_eq!(whole["puzzles"], 41);
        assert_eq!(whole["rules"][1][0], "majority");
        let right = |rule: usize| whole["rules"][rule][1]["successes"].as_u64().unwrap();
        assert_eq!(whole["rules"][5][0], "verifier");
        assert!(right(5) > right(0), "nothing to tell apart");
        // The machine's division of work changes nothing either.
        let other = [&common[..], &["--threads", "1", "--batch", "3"]].concat();
        assert_eq!(result(&ok(&other)), whole);

        let mut files = Vec::new();
        for i in 1..=3 {
            let file = dir.path().join(format!("{stop}-{i}.jsonl"));
            let shard = format!("{i}/3");
            ok(&[&common[..], &["--shard", &shard, "--records", text(&file)]].concat());
            files.push(file);
        }
        let mut merge = vec!["eval", "merge", "--json"];
        merge.extend(files.iter().rev().map(|f| text(f)));
        assert_eq!(result(&ok(&merge)), whole);

        let missing = refused(&["eval", "merge", text(&files[0]), text(&files[2])]);
        assert!(missing.contains("missing: 2"), "{missing}");
        let twice = refused(&["eval", "merge", text(&files[0]), text(&files[0])]);
        assert!(twice.contains("shard 1"), "{twice}");
        // A file of another evaluation is not gone on with.
        let mut changed = [
            &common[..],
            &["--shard", "1/3", "--records", text(&files[0])],
        ]
        .concat();
        changed.extend(["--seed", "9"]);
        let error = refused(&changed);
        assert!(error.contains("how"), "{error}");
    }
}

#[test]
fn a_killed_evaluation_goes_on_to_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path(), "model", 5);
    let data = puzzles(dir.path(), 200);
    let common = [
        "eval",
        "--checkpoint",
        text(&model),
        "--data",
        text(&data),
        "--guesses",
        "4",
        "--segments",
        "20",
        "--json",
    ];
    let whole = result(&ok(&common));
    let records = dir.path().join("records.jsonl");
    let args = [&common[..], &["--records", text(&records)]].concat();
    let lines = || fs::read_to_string(&records).map_or(0, |t| t.matches('\n').count());
    let mut killed = 0;
    // Kill it a few times, whenever it has got somewhat further.
    for _ in 0..3 {
        let goal = lines() + 30;
        let mut child = command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while lines() < goal && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += usize::from(lines() < 201);
    }
    assert!(killed > 0, "it was never killed in the middle");
    let before = lines();
    // As if the kill had come in the middle of a line.
    let mut content = fs::read_to_string(&records).unwrap();
    content.push_str("{\"elapsed\":1.0,\"rec");
    fs::write(&records, content).unwrap();
    assert_eq!(result(&ok(&args)), whole);
    assert!(before > 1 && lines() == 201);
    // Once more, with nothing left to do.
    assert_eq!(result(&ok(&args)), whole);
    // Damage in the middle is named.
    let content = fs::read_to_string(&records)
        .unwrap()
        .replacen("\"puzzle\"", "\"pu\"", 1);
    fs::write(&records, content).unwrap();
    let error = refused(&args);
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn analyses_give_the_same_data_and_figures_twice() {
    let dir = tempfile::tempdir().unwrap();
    let model = shipped();
    let data = puzzles(dir.path(), 10);
    let analyses: [(&str, &[&str]); 8] = [
        ("stability", &["--segments", "6", "--blanks", "1,3"]),
        ("grokking", &["--segments", "6"]),
        ("modes", &["--segments", "6"]),
        ("trajectory", &["--segments", "4", "--row", "3"]),
        ("landscape", &["--segments", "4", "--half", "3"]),
        (
            "fixed-points",
            &["--segments", "30", "--starts", "4", "--arnoldi", "6"],
        ),
        ("descent", &["--segments", "4"]),
        ("hierarchy", &["--segments", "3"]),
    ];
    for (name, options) in analyses {
        let run = |stem: &str| {
            let output = dir.path().join(format!("{name}-{stem}"));
            let mut args = vec!["analyze", name, "--checkpoint", text(&model)];
            args.extend(["--data", text(&data), "--output", text(&output)]);
            args.extend(options);
            ok(&args);
            let read =
                |ending: &str| fs::read_to_string(format!("{}{ending}", output.display())).unwrap();
            (read(".json"), read(".svg"))
        };
        let (json, svg) = run("1");
        assert_eq!((json.clone(), svg.clone()), run("2"), "{name}");
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["analysis"], name);
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{name}");
    }
    let beyond = refused(&[
        "analyze",
        "landscape",
        "--checkpoint",
        text(&model),
        "--data",
        text(&data),
        "--row",
        "11",
        "--output",
        text(&dir.path().join("x")),
    ]);
    assert!(beyond.contains("rows 1 to 10"), "{beyond}");
}

#[test]
fn wishes_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path(), "model", 5);
    let data = puzzles(dir.path(), 2);
    let eval = |more: &[&str]| {
        let mut args = vec!["eval", "--checkpoint", text(&model), "--data", text(&data)];
        args.extend(more);
        refused(&args)
    };
    assert!(eval(&["--images", "cyclic", "--guesses", "5"]).contains("4 digit shifts"));
    assert!(eval(&["--images", "identity", "--guesses", "2"]).contains("equal guesses"));
    assert!(eval(&["--initial-noise=-1"]).contains("--initial-noise"));
    assert!(eval(&["--shard", "4/3"]).contains("i/n"));
    assert!(eval(&["--stop", "never"]).contains("first-verified"));
    assert!(refused(&["eval"]).contains("--checkpoint"));
}
