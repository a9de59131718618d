//! `hrm eval`, `hrm solve` and `hrm analyze` as processes, on Sudokus and on mazes:
//! shards, kills, repeated runs.

#[path = "../../core/tests/copier/mod.rs"]
mod copier;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{
    Difficulty, MazeOptions, MazeSize, Puzzle, PuzzleKind, Shape, dataset, generate, generate_maze,
};
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

/// Writes a checkpoint.
fn save(dir: &Path, name: &str, plan: &Plan, weights: &Weights) -> PathBuf {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.json"), plan.config.to_json()).unwrap();
    let bytes = weights.to_safetensors(plan).unwrap();
    fs::write(dir.join("model.safetensors"), bytes).unwrap();
    dir
}

/// A checkpoint of a small model with random weights.
fn checkpoint(dir: &Path, name: &str, puzzle: impl Into<PuzzleKind>) -> PathBuf {
    let plan = Plan::new(&ModelConfig::compact(puzzle, 16)).unwrap();
    save(dir, name, &plan, &Weights::random(&plan, 5))
}

/// The shipped 4x4 model.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/hrm-4x4")
}

/// Questions, answers and ratings as a file, from hard to full.
fn write<P: Puzzle>(path: &Path, made: impl Iterator<Item = (P, P)>) -> PathBuf {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<dataset::Row<P>> = made
        .zip(0_u32..)
        .map(|((question, answer), i)| dataset::Row {
            source: "test".into(),
            question: question.filled(&answer, f64::from(i % 7) / 6.0, &mut rng),
            answer,
            rating: i % 7,
        })
        .collect();
    dataset::write_file(path, &rows).unwrap();
    path.to_path_buf()
}

fn puzzles(dir: &Path, count: u64) -> PathBuf {
    let made = (0..count).map(|i| generate(i, &Difficulty::Hard.options(Shape::S4)).unwrap());
    write(
        &dir.join("puzzles.csv"),
        made.map(|p| (p.question, p.answer)),
    )
}

fn maze_size() -> MazeSize {
    MazeSize::of_side(5).unwrap()
}

fn mazes(dir: &Path, count: u64) -> PathBuf {
    let options = MazeOptions::hard(maze_size());
    let made = (0..count).map(|i| generate_maze(i, &options).unwrap());
    write(&dir.join("mazes.csv"), made)
}

/// Puzzles of one kind, a model that knows nothing and one that solves some of them.
struct Field {
    ignorant: PathBuf,
    able: PathBuf,
    data: PathBuf,
}

/// Sudokus, then mazes.
fn fields(dir: &Path, count: u64) -> [Field; 2] {
    let (plan, weights) = copier::copier(maze_size());
    [
        Field {
            ignorant: checkpoint(dir, "ignorant", Shape::S4),
            able: shipped(),
            data: puzzles(dir, count),
        },
        Field {
            ignorant: checkpoint(dir, "ignorant-maze", maze_size()),
            able: save(dir, "copier", &plan, &weights),
            data: mazes(dir, count),
        },
    ]
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
    for field in fields(dir.path(), 41) {
        merged_equal_whole(&field);
    }
}

fn merged_equal_whole(field: &Field) {
    let dir = tempfile::tempdir().unwrap();
    // One that knows nothing first, so that rules have something to tell apart.
    let (a, b, data) = (&field.ignorant, &field.able, &field.data);
    for stop in ["depth", "first-verified"] {
        let common = [
            "eval",
            "--checkpoint",
            text(a),
            text(b),
            "--data",
            text(data),
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
        // What stands in a Sudoku's files is what stood there before there were mazes.
        let maze = whole["puzzle"] == "maze-5x5";
        assert!(maze != whole.get("puzzle").is_none());
        assert!(maze == whole.get("graded").is_some());
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

/// The outcomes of a run's guesses by puzzle, read from its records.
fn outcomes(records: &Path) -> Vec<Vec<Value>> {
    let text = fs::read_to_string(records).unwrap();
    let mut all: Vec<Value> = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["record"].take())
        .collect();
    all.sort_by_key(|record| record["puzzle"].as_u64());
    all.iter_mut()
        .map(|record| record["outcomes"].as_array_mut().unwrap().split_off(0))
        .collect()
}

#[test]
fn noise_and_searches_run_on_a_gpu_as_on_the_cpu() {
    let dir = tempfile::tempdir().unwrap();
    let data = puzzles(dir.path(), 12);
    let shipped = shipped();
    let gpu = ["--device", "wgpu", "--kernels", "direct"];
    let eval = |name: &str, more: &[&str]| {
        let records = dir.path().join(name);
        let common = [
            "eval",
            "--checkpoint",
            text(&shipped),
            "--data",
            text(&data),
        ];
        let args = [&common[..], more, &["--records", text(&records)]].concat();
        (hrm(&args), records)
    };
    // From one state to the next a rounding grows too little to be seen.
    let noisy = [
        "--images",
        "identity",
        "--guesses",
        "3",
        "--initial-noise",
        "0.3",
        "--update-noise",
        "0.2",
        "--segments",
        "2",
    ];
    let (output, on_gpu) = eval("gpu.jsonl", &[&noisy[..], &gpu].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("no GPU adapter") && std::env::var_os("HRM_REQUIRE_GPU").is_none() {
        println!("skipped: {error}");
        return;
    }
    assert!(output.status.success(), "{error}");
    let (output, on_cpu) = eval("cpu.jsonl", &noisy);
    assert!(output.status.success());
    let (found, expected) = (outcomes(&on_gpu), outcomes(&on_cpu));
    assert_eq!(found.len(), 12);
    let residual = |outcome: &Value| outcome["residual"].as_f64().unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!((found.len(), expected.len()), (3, 3));
        for (found, expected) in found.iter().zip(expected) {
            let (found, expected) = (residual(found), residual(expected));
            assert!(
                (found - expected).abs() < 0.02 * expected,
                "{found}, not {expected}"
            );
        }
        // They differ by their noise alone.
        let [plain, first, second] = [0, 1, 2].map(|guess| residual(&found[guess]));
        assert!((plain - first).abs() > 0.02 * plain && (first - second).abs() > 1e-5);
    }

    // A search ends when a grid is accepted, on a GPU too.
    let commit = ["--search", "commit", "--guesses", "2", "--segments", "64"];
    let (output, records) = eval("search.jsonl", &[&commit[..], &gpu].concat());
    assert!(output.status.success());
    let found = outcomes(&records);
    let accepted = |outcomes: &Vec<Value>| outcomes.iter().any(|o| o["solved"] == true);
    assert!(found.iter().filter(|outcomes| accepted(outcomes)).count() > 10);
    for outcomes in &found {
        assert_eq!(outcomes[0]["segments"], outcomes[1]["segments"]);
    }
}

#[test]
fn a_killed_evaluation_goes_on_to_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    for field in fields(dir.path(), 200) {
        killed_goes_on(&field);
    }
}

fn killed_goes_on(field: &Field) {
    let dir = tempfile::tempdir().unwrap();
    let common = [
        "eval",
        "--checkpoint",
        text(&field.ignorant),
        "--data",
        text(&field.data),
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
    // Fewer rows first: those that are there stay.
    ok(&[&args[..], &["--limit", "10"]].concat());
    assert_eq!(lines(), 11);
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
    // Rows that are there are not thrown away.
    let error = refused(&[&args[..], &["--limit", "10"]].concat());
    assert!(error.contains("rows differ"), "{error}");
    // Damage in the middle is named.
    let content = fs::read_to_string(&records).unwrap().replacen(
        "\"record\":{\"puzzle\"",
        "\"record\":{\"pu\"",
        1,
    );
    fs::write(&records, content).unwrap();
    let error = refused(&args);
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn analyses_give_the_same_data_and_figures_twice() {
    let dir = tempfile::tempdir().unwrap();
    for field in fields(dir.path(), 10) {
        analysed_twice(&field.able, &field.data);
    }
}

fn analysed_twice(model: &Path, data: &Path) {
    let dir = tempfile::tempdir().unwrap();
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
            let mut args = vec!["analyze", name, "--checkpoint", text(model)];
            args.extend(["--data", text(data), "--output", text(&output)]);
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
        text(model),
        "--data",
        text(data),
        "--row",
        "11",
        "--output",
        text(&dir.path().join("x")),
    ]);
    assert!(beyond.contains("rows 1 to 10"), "{beyond}");
}

#[test]
fn quantized_versions_are_compared_with_their_original() {
    let dir = tempfile::tempdir().unwrap();
    let own = checkpoint(dir.path(), "own", Shape::S4);
    fs::write(own.join("README.md"), "# A model card\n").unwrap();
    let data = fields(dir.path(), 14)[0].data.clone();
    let fewer = dir.path().join("fewer");
    let export = ["--title", "T", "--summary", "S", "--quantize", "q8"];
    let mut args = vec!["export", "--checkpoint", text(&own), text(&fewer)];
    args.extend(export);
    ok(&args);
    let output = dir.path().join("compared");
    let run = |checkpoints: &[&Path], more: &[&str]| {
        let mut args = vec!["analyze", "quantization", "--segments", "3", "--force"];
        args.extend([
            "--data",
            text(&data),
            "--output",
            text(&output),
            "--checkpoint",
        ]);
        args.extend(checkpoints.iter().map(|path| text(path)));
        args.extend(more);
        args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>()
    };
    let measured = |args: Vec<String>| -> Vec<f64> {
        ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let json = fs::read_to_string(format!("{}.json", output.display())).unwrap();
        let value: Value = serde_json::from_str(&json).unwrap();
        let drift = value["comparisons"][0]["drift_h"]
            .as_array()
            .unwrap()
            .clone();
        drift.iter().map(|d| d[0].as_f64().unwrap()).collect()
    };
    let weights = measured(run(&[&own, &fewer], &[]));
    assert_eq!(weights.len(), 3);
    assert!(weights.iter().all(|d| *d > 1e-4 && *d < 0.5), "{weights:?}");
    // Rounding activations too is a different run.
    assert_ne!(weights, measured(run(&[&own, &fewer], &["--int8"])));
    assert_eq!(measured(run(&[&own, &own], &[])), [0.0; 3]);

    let alone = run(&[&own], &[]);
    let error = refused(&alone.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.contains("at least one quantized version"), "{error}");
}

#[test]
fn both_passes_at_a_maze_count_by_the_reference_and_every_search_runs() {
    let dir = tempfile::tempdir().unwrap();
    let [_, mazes] = fields(dir.path(), 21);
    let eval = |more: &[&str]| {
        let mut args = vec!["eval", "--checkpoint", text(&mazes.able), "--json"];
        args.extend(["--data", text(&mazes.data), "--segments", "4"]);
        args.extend(more);
        result(&ok(&args))
    };
    // The copying model answers rightly where all is given, that is every seventh.
    let plain = eval(&[]);
    for share in [
        &plain["rules"][0],
        &plain["graded"]["valid"][0],
        &plain["graded"]["optimal"][0],
    ] {
        assert_eq!(
            (&share[0], &share[1]["successes"]),
            (&"single".into(), &3.into())
        );
        assert_eq!(share[1]["n"], 21);
        assert!(share[1]["low"].as_f64() < share[1]["high"].as_f64());
    }
    let swap = eval(&["--images", "swap", "--guesses", "2"]);
    assert_eq!(swap["labelled"][0][0], "reference rule (uses labels)");
    assert_eq!(swap["labelled"][0][1]["successes"], 3);
    let given = eval(&["--filled", "1"]);
    assert_eq!(given["rules"][0][1]["successes"], 21);
    for search in ["beam-conflicts", "beam-residual", "agreement"] {
        let searched = eval(&["--search", search, "--guesses", "3", "--search-period", "1"]);
        assert_eq!(searched["graded"]["optimal"][5][0], "verifier");
        let solved = &searched["graded"]["optimal"][5][1]["successes"];
        assert!(solved.as_u64() >= Some(3), "{search}: {solved}");
    }
}

#[test]
fn mazes_are_solved_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let [_, mazes] = fields(dir.path(), 1);
    let model = text(&mazes.able);
    let given = "S  # o#  #o #  o ## G    ";
    let open = "S  #  #  #  #    ## G    ";
    let line = ok(&["solve", "--checkpoint", model, "--device", "cpu", given]);
    assert_eq!(line, format!("{given} solved\n"));
    let output = hrm(&[
        "solve",
        "--checkpoint",
        model,
        "--device",
        "cpu",
        given,
        open,
    ]);
    assert_eq!(output.status.code(), Some(3), "some were not solved");
    // In other signs, as an argument and in a file; what they were read as is said.
    let drawn: Vec<String> = given
        .as_bytes()
        .chunks(5)
        .map(|row| String::from_utf8_lossy(row).into_owned())
        .collect();
    let drawn = drawn
        .join("\n")
        .replace('#', "X")
        .replace(' ', ".")
        .replace('S', "A")
        .replace('G', "B");
    let file = dir.path().join("drawn.txt");
    std::fs::write(&file, format!("{drawn}\n\n{drawn}\n")).unwrap();
    for (argument, count) in [(drawn.as_str(), 1), (text(&file), 2)] {
        let output = hrm(&["solve", "--checkpoint", model, "--device", "cpu", argument]);
        let answers = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            answers,
            format!("{given} solved\n").repeat(count),
            "{argument}"
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.matches("“X” as wall").count(), count, "{said}");
        assert!(said.contains("“A” as start"), "{said}");
    }
    let flawed = |text: &str| refused(&["solve", "--checkpoint", model, text]);
    assert!(flawed(&open.replace('G', " ")).contains("0 cells that are its goal"));
    assert!(flawed("S### ##  #  #    ## G    ").contains("no way leads"));
    assert!(flawed("S G").contains("maze-5x5 has 25"));
}

#[test]
fn wishes_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [sudokus, mazes] = fields(dir.path(), 2);
    let eval_of = |field: &Field, data: &Path, more: &[&str]| {
        let mut args = vec!["eval", "--checkpoint", text(&field.ignorant)];
        args.extend(["--data", text(data)]);
        args.extend(more);
        refused(&args)
    };
    let eval = |more: &[&str]| eval_of(&sudokus, &sudokus.data, more);
    assert!(eval(&["--images", "cyclic", "--guesses", "5"]).contains("sudoku-4x4 has 4"));
    assert!(eval(&["--images", "identity", "--guesses", "2"]).contains("has 1 of them"));
    assert!(eval(&["--images", "swap"]).contains("identity, cyclic, relabel, symmetry"));
    let maze = |more: &[&str]| eval_of(&mazes, &mazes.data, more);
    assert!(maze(&["--images", "swap", "--guesses", "3"]).contains("maze-5x5 has 2"));
    assert!(maze(&["--guesses", "9"]).contains("maze-5x5 has 8"));
    assert!(maze(&["--images", "cyclic"]).contains("identity, swap, symmetry"));
    // Puzzles of another kind than the model's.
    assert!(eval_of(&mazes, &sudokus.data, &[]).contains("the model plays maze-5x5"));
    assert!(eval_of(&sudokus, &mazes.data, &[]).contains("the model plays sudoku-4x4"));
    let larger = write(&dir.path().join("larger.csv"), {
        let options = MazeOptions::hard(MazeSize::of_side(6).unwrap());
        std::iter::once(generate_maze(0, &options).unwrap())
    });
    assert!(eval_of(&mazes, &larger, &[]).contains("row 1 is a maze-6x6"));
    assert!(eval(&["--initial-noise=-1"]).contains("--initial-noise"));
    assert!(eval(&["--shard", "4/3"]).contains("i/n"));
    assert!(eval(&["--stop", "never"]).contains("first-verified"));
    assert!(refused(&["eval"]).contains("--checkpoint"));
}
