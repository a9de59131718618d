//! Output that goes away, terminals that close, paths that can't be written, files that
//! are somebody's: each with `hrm` as a process.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, Said, shipped};
use hrm_core::config::ModelConfig;
use hrm_core::puzzle::Shape;

/// A run that takes milliseconds a step; `more` follows.
fn train(place: &Place, more: &str) -> String {
    let mut config = ModelConfig::hrm(Shape::S4, 16, 2, 1);
    config.mlp_inner = Some(32);
    config.halt_max_steps = 4;
    place.write("tiny.json", config.to_json());
    format!(
        "train --model tiny.json --data generate:sudoku-4x4 --generate-rows 12 --batch-size 4 \
         --device cpu --threads 1 {more}"
    )
}

fn until(child: &mut Child, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "ended by itself: {ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(120), "stuck");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn has_checkpoint(run: &Path) -> bool {
    fs::read_dir(run).is_ok_and(|mut entries| {
        entries.any(|e| {
            e.unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("step-")
        })
    })
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the child is ours and not waited for yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

#[test]
fn training_goes_on_when_its_reader_goes_away() {
    let place = Place::new();
    for (i, redirect) in ["| head -1", "2>&1 | head -1", ">&-", ">/dev/full"]
        .iter()
        .enumerate()
    {
        let words = train(&place, &format!("--steps 60 --log-steps 1 --out run{i}"));
        let line = format!("( $HRM {words}; echo \"status $?\" >status ) {redirect}");
        let said = Said::of(&line, &place.shell(&line));
        assert_eq!(
            place.read("status").trim(),
            "status 0",
            "{redirect}: {said:?}"
        );
        assert!(
            place.path(&format!("run{i}/step-00000060")).is_dir(),
            "{redirect}"
        );
    }
}

#[test]
fn other_commands_end_quietly_when_their_reader_goes_away() {
    let place = Place::new();
    place.ok("data generate --puzzle sudoku-4x4 --minimal --count 200 --output q.csv");
    let model = shipped();
    for words in [
        format!("solve --checkpoint {model} --device cpu --segments 1 q.csv"),
        format!("eval --checkpoint {model} --data q.csv --segments 1"),
        format!("bench engine --checkpoint {model} --repetitions 2"),
        "data sudoku q.csv --output made.csv".to_owned(),
        format!("export --checkpoint {model} --title t --summary s --quantize f16 made"),
        "data --help".to_owned(),
    ] {
        let line = format!("( $HRM {words}; echo \"status $?\" >status ) 2>err | true");
        place.shell(&line);
        let status = place.read("status");
        let quiet = ["status 0", "status 3", "status 141"].contains(&status.trim());
        assert!(quiet, "{words}: {status}{}", place.read("err"));
        assert!(
            !place.read("err").contains("panicked"),
            "{words}: {}",
            place.read("err")
        );
    }
    // Those whose product is a file have made it.
    assert_eq!(place.read("made.csv").lines().count(), 201);
    assert!(place.path("made/manifest.json").is_file());
    // A disk that is full is another matter.
    let line = format!("$HRM solve --checkpoint {model} --device cpu q.csv >/dev/full");
    let said = Said::of(&line, &place.shell(&line));
    assert!(
        said.code == Some(1) && said.err.contains("writing the output: No space"),
        "{said:?}"
    );
}

#[test]
fn a_closed_terminal_leaves_a_checkpoint() {
    let place = Place::new();
    let words = train(&place, "--steps 100000000 --checkpoint-steps 20 --out run");
    let mut child = place.command(&words).stdout(Stdio::null()).spawn().unwrap();
    until(&mut child, || has_checkpoint(&place.path("run")));
    send(&child, libc::SIGHUP);
    send(&child, libc::SIGHUP);
    assert!(child.wait().unwrap().success());
    place.ok("train --resume run --minutes 0");

    // Who has asked for that to be ignored goes on.
    let words = train(
        &place,
        "--steps 100000000 --checkpoint-steps 20 --out other",
    );
    let mut child = Command::new("nohup");
    let line = place.command(&words);
    let mut child = child
        .arg(line.get_program())
        .args(line.get_args())
        .current_dir(place.path("."))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until(&mut child, || has_checkpoint(&place.path("other")));
    let newest = || {
        place
            .names("other")
            .into_iter()
            .filter(|n| n.starts_with("step-"))
            .max()
    };
    send(&child, libc::SIGHUP);
    let before = newest();
    until(&mut child, || newest() > before);
    send(&child, libc::SIGTERM);
    assert!(child.wait().unwrap().success());
}

/// A shell stops a loop when what runs in it was ended by the interrupt, and sees 130.
#[test]
fn an_interrupt_saves_and_stops_a_loop_over_seeds() {
    let place = Place::new();
    let words = train(&place, "--steps 100000000 --checkpoint-steps 20");
    place.write(
        "loop.sh",
        format!("for seed in 1 2; do $HRM {words} --seed $seed --out run$seed; echo \"status $?\" >status$seed; done"),
    );
    use std::os::unix::process::CommandExt as _;
    let mut child = Command::new("bash");
    child
        .arg("loop.sh")
        .env("HRM", env!("CARGO_BIN_EXE_hrm"))
        .current_dir(place.path("."))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Of its own, as a terminal's foreground has one.
        .process_group(0);
    // SAFETY: between fork and exec, a signal's action is set and nothing else done. A
    // shell that was started in the background would ignore interrupts for good.
    unsafe {
        child.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = child.spawn().unwrap();
    until(&mut child, || has_checkpoint(&place.path("run1")));
    // SAFETY: the group is that of our child, which is not waited for yet.
    assert_eq!(unsafe { libc::kill(-(child.id() as i32), libc::SIGINT) }, 0);
    assert!(!child.wait().unwrap().success());
    assert!(has_checkpoint(&place.path("run1")) && !place.path("run2").exists());

    // Alone, its status is 130 in a shell.
    let line = format!(
        "set -m; $HRM {words} --out run3 & P=$!; while ! ls run3/step-* >/dev/null 2>&1; do sleep 0.05; done; kill -INT $P; wait $P; echo \"status $?\" >status"
    );
    place.shell(&line);
    assert_eq!(place.read("status").trim(), "status 130");
    place.ok("train --resume run3 --minutes 0");
}

#[test]
fn paths_are_tried_before_the_work() {
    let place = Place::new();
    place.model("model", Shape::S4);
    place.ok("data generate --puzzle sudoku-4x4 --minimal --count 40 --output q.csv");
    place.write("file", "x");
    let begun = Instant::now();
    let eval =
        "eval --checkpoint model --data q.csv --segments 100000 --guesses 8 --images symmetry";
    let analyze = "analyze modes --checkpoint model --data q.csv --segments 100000";
    for (words, part) in [
        (
            format!("{eval} --output missing/result.json"),
            "--output missing/result.json: there is no folder missing",
        ),
        (
            format!("{eval} --output model"),
            "a folder is there, not a file",
        ),
        (format!("{eval} --output file/x.json"), "Not a directory"),
        (format!("{eval} --output q.csv"), "this file is read"),
        (
            format!("{eval} --records r --output r"),
            "--output and --records are one file",
        ),
        (
            format!("{eval} --records missing/r"),
            "--records missing/r: there is no folder",
        ),
        (
            format!("{analyze} --output missing/modes"),
            "there is no folder missing",
        ),
        (
            "data generate --count 100000000 --output missing/x.csv".to_owned(),
            "there is no folder missing",
        ),
        (
            "data split --train 10000000 --test 10 --train-output a.csv --test-output a.csv"
                .to_owned(),
            "are one file",
        ),
        (
            "data sudoku q.csv --subsample 2 --output missing/x.csv".to_owned(),
            "there is no folder missing",
        ),
        (
            "trace --checkpoint model --inputs q.csv --segments 100000 --output missing/x"
                .to_owned(),
            "there is no folder missing",
        ),
        (
            "export --preset hrm --title t --summary s file/x".to_owned(),
            "file is no folder",
        ),
        (
            "demo --run missing/x --tour y".to_owned(),
            "--run missing/x",
        ),
        (
            "report --output missing/x.md".to_owned(),
            "there is no folder missing",
        ),
        (
            train(&place, "--steps 1 --out file/run"),
            "file is no folder",
        ),
    ] {
        let said = place.refused(&words);
        assert!(said.contains(part), "{words}: {said} has no {part:?}");
    }
    // The work of any of them takes minutes.
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn nothing_is_overwritten_without_being_asked() {
    let place = Place::new();
    let made = "data generate --puzzle sudoku-4x4 --minimal --count 10 --output";
    place.ok(&format!("{made} q.csv"));
    let before = place.read("q.csv");
    for words in [
        format!("{made} q.csv --seed 5"),
        "data sudoku q.csv --subsample 5 --held-out 3 --output same.csv --held-out-output same.csv"
            .to_owned(),
        "data sudoku q.csv --subsample 2 --output q.csv".to_owned(),
        // Not even when asked: it is what is read.
        "data sudoku q.csv --subsample 2 --output q.csv --force".to_owned(),
        "data sudoku q.csv --exclude q.csv --output ./q.csv --force".to_owned(),
    ] {
        let said = place.refused(&words);
        assert!(
            ["--force", "one file", "is read"]
                .iter()
                .any(|p| said.contains(p)),
            "{said}"
        );
    }
    assert!(!place.path("same.csv").exists());
    assert_eq!(place.read("q.csv"), before);
    place.ok(&format!("{made} q.csv --seed 5 --force"));
    assert_ne!(place.read("q.csv"), before);

    // Links are followed, pipes and devices written to.
    place.write("real.csv", "old\n");
    symlink("real.csv", place.path("link.csv")).unwrap();
    assert!(
        place
            .refused(&format!("{made} link.csv"))
            .contains("--force")
    );
    assert_eq!(place.read("real.csv"), "old\n");
    place.ok(&format!("{made} link.csv --force"));
    assert!(place.path("link.csv").is_symlink() && place.read("real.csv").lines().count() == 11);
    let line = format!(
        "mkfifo pipe; cat pipe >got & $HRM {made} pipe; wait; $HRM {made} /dev/stdout >all"
    );
    let said = Said::of(&line, &place.shell(&line));
    assert_eq!(
        (said.code, place.read("got").lines().count()),
        (Some(0), 11),
        "{said:?}"
    );
    assert!(
        fs::metadata(place.path("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    // What is printed beside it does not get in between.
    assert!(
        place
            .read("all")
            .starts_with("source,question,answer,rating\n")
    );
    assert_eq!(place.read("all").lines().count(), 11);
    symlink("/dev/null", place.path("null")).unwrap();
    place.ok(&format!("{made} null"));
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    assert!(place.path("null").is_symlink());
}

#[test]
fn exports_do_no_harm() {
    let place = Place::new();
    let with = "--title t --summary s";
    place.ok(&train(&place, "--steps 4 --out run"));
    let step = "run/step-00000004";
    let before = fs::read(place.path(step).join("model.safetensors")).unwrap();
    for more in ["", "--force"] {
        for folder in [step, "run/latest", "run", "run/../run/latest/."] {
            let words =
                format!("export --checkpoint {step} {with} --calibration 0 {folder} {more}");
            let said = place.refused(&words);
            assert!(said.contains("choose another folder"), "{said}");
        }
    }
    assert_eq!(
        fs::read(place.path(step).join("model.safetensors")).unwrap(),
        before
    );
    place.ok("train --resume run --steps 5");

    fs::create_dir(place.path("mine")).unwrap();
    place.write("mine/README.md", "my notes");
    let export = format!("export --checkpoint {} {with} --quantize f32", shipped());
    assert!(
        place
            .refused(&format!("{export} mine"))
            .contains("README.md for one")
    );
    assert_eq!(place.read("mine/README.md"), "my notes");

    // Parts of an earlier export go.
    place.ok(&format!("{export} --part-bytes 50000 parts"));
    assert!(place.names("parts").len() > 6);
    place.write("parts/notes.txt", "mine");
    assert!(
        place
            .refused(&format!("{export} parts"))
            .contains("--force")
    );
    place.ok(&format!("{export} parts --force"));
    let names = place.names("parts");
    assert_eq!(
        names,
        [
            "README.md",
            "config.json",
            "manifest.json",
            "model.safetensors",
            "notes.txt"
        ]
    );
    let solved = place.run("solve --checkpoint parts --device cpu 1...3...2...4...");
    assert_eq!(solved.code, Some(0), "{solved:?}");

    for (bytes, part) in [
        ("0", "'--part-bytes"),
        ("-5", "'--part-bytes"),
        ("999", "'--part-bytes"),
        ("1000", "more than 100"),
    ] {
        let said = place.refused(&format!("{export} --part-bytes {bytes} tiny"));
        assert!(
            said.contains(part) && !place.path("tiny").exists(),
            "{said}"
        );
    }
}

#[test]
fn what_changes_numbers_is_said() {
    let place = Place::new();
    let export = format!("export --checkpoint {} --title t --summary s", shipped());
    let said = place.ok(&format!("{export} --quantize f32 as-f32 --calibration 3"));
    assert!(
        said.err.contains("quantized (q8) already") && said.err.contains("--calibration"),
        "{}",
        said.err
    );
    assert!(place.read("as-f32/manifest.json").contains("\"f32\""));
    let said = place.ok(&format!("{export} --calibration-segments 3 as-q8"));
    assert!(said.err.contains("stay as they are"), "{}", said.err);
    for (words, part) in [
        ("--max-bytes 900000 x", "give --quantize q4"),
        ("--quantize f16 --max-bytes 900000 x", "give --quantize q4"),
        (
            "--quantize q4 --calibration 2 --max-bytes 1000 x",
            "the weights have",
        ),
    ] {
        let said = place.refused(&format!("{export} {words}"));
        assert!(said.contains(part) && !place.path("x").exists(), "{said}");
    }
    let model = shipped();
    let said = place.ok(&format!(
        "export --checkpoint {model} --format onnx --quantize q4 onnx"
    ));
    assert!(said.err.contains("ONNX is written in f32"), "{}", said.err);

    // An evaluation's records, by the value that differs.
    place.ok("data generate --puzzle sudoku-4x4 --count 3 --output q.csv");
    let eval = format!("eval --checkpoint {model} --data q.csv --records r.jsonl --segments");
    place.ok(&format!("{eval} 2"));
    let said = place.refused(&format!("{eval} 3"));
    assert!(
        said.contains("its records are of another evaluation: how differ: segments 2, now 3"),
        "{said}"
    );
    let said = place.refused(&format!("{eval} 2 --limit 2"));
    assert!(said.contains("rows 3, now 2"), "{said}");
}

#[test]
fn a_run_that_goes_on_says_what_is_different() {
    let place = Place::new();
    place.ok("data generate --puzzle sudoku-4x4 --count 12 --output data.csv");
    let words = train(&place, "--steps 3 --out run").replace("generate:sudoku-4x4", "data.csv");
    place.ok(&words);
    let said = place.ok("train --resume run --steps 4");
    assert!(!said.out.contains("changed"), "{}", said.out);
    let said = place.ok("train --resume run --steps 5 --lr 0.5 --seed 7");
    assert!(
        said.out.contains("changed: --lr was 0.0001, now 0.5"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("changed: --seed was 0, now 7"),
        "{}",
        said.out
    );
    // What differs is remembered: it is said once.
    let said = place.ok("train --resume run --steps 6");
    assert!(!said.out.contains("changed"), "{}", said.out);

    // Other puzzles under the same name, or fewer of them.
    place.ok("data generate --puzzle sudoku-4x4 --count 12 --seed 50 --output data.csv --force");
    let said = place.ok("train --resume run --steps 7");
    assert!(
        said.out
            .contains("changed: --data: these are not the puzzles"),
        "{}",
        said.out
    );
    for (more, part) in [
        ("--batch-size 8", "--batch-size was 4, now 8"),
        (
            "--optimizer muon",
            "--optimizer was \"adam-atan2\", now \"muon\"",
        ),
        ("--chains 2", "--chains was 1, now 2"),
        ("--preset rsm", "--preset was"),
        ("--ema 0", "--ema was"),
        ("--set batch_size=8", "--batch-size was 4, now 8"),
    ] {
        let said = place.refused(&format!("train --resume run --steps 9 {more}"));
        assert!(
            said.contains(part) && !said.contains("tensor"),
            "{said} has no {part:?}"
        );
    }
}
