//! Training runs that are killed, run out of disk, diverge, or ask for
//! devices that are not there: each as a process.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use hrm_core::config::ModelConfig;
use hrm_core::puzzle::Shape;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Arguments of a run that takes milliseconds a step.
struct Tiny {
    dir: tempfile::TempDir,
}

impl Tiny {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ModelConfig::hrm(Shape::S4, 16, 2, 1);
        config.mlp_inner = Some(32);
        config.halt_max_steps = 4;
        fs::write(dir.path().join("tiny.json"), config.to_json()).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new run in the folder `out`.
    fn train(&self, out: &str, more: &str) -> Command {
        let mut command = self.hrm("train --threads 1 --data generate:sudoku-4x4");
        command
            .args("--generate-rows 12 --batch-size 4 --warmup 5 --hints 0.5".split(' '))
            .args(["--model".as_ref(), self.path("tiny.json").as_os_str()])
            .args(["--out".as_ref(), self.path(out).as_os_str()])
            .args(more.split_whitespace());
        if !more.contains("--device") {
            command.args(["--device", "cpu"]);
        }
        command
    }

    fn resume(&self, out: &str, more: &str) -> Command {
        let mut command = self.hrm("train --resume");
        command.arg(self.path(out)).args(more.split_whitespace());
        command
    }

    fn hrm(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hrm"));
        command
            .args(arguments.split(' '))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Names in the folder `out` that begin with `start` and end with `end`.
    fn names(&self, out: &str, start: &str, end: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(out)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(start) && name.ends_with(end))
            .collect();
        names.sort();
        names
    }

    /// Step of the newest checkpoint in `out`, 0 without one.
    fn newest(&self, out: &str) -> u64 {
        let names = self.names(out, "step-", "");
        names.last().map_or(0, |name| name[5..].parse().unwrap())
    }

    fn read(&self, out: &str, step: u64, file: &str) -> Vec<u8> {
        let path = self.path(out).join(format!("step-{step:08}")).join(file);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one sentence of a process that fails as it should.
fn fail(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let code = output.status.code();
    assert!(code.is_some_and(|code| code != 0), "{code:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// Waits until `condition`, or the process has ended by itself.
fn wait_for(child: &mut Child, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(120), "stuck");
        std::hint::spin_loop();
    }
}

#[test]
fn killed_twenty_times_a_run_ends_with_the_same_weights() {
    const STEPS: &str = "--steps 200 --checkpoint-steps 5 --keep 3 --log-steps 50 --lr 1e-3";
    let tiny = Tiny::new();
    let begun = Instant::now();
    succeed(&mut tiny.train("whole", STEPS));
    let life = begun.elapsed();

    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let (mut kills, mut while_writing) = (0, 0);
    while kills < 20 {
        let before = tiny.newest("parts");
        let mut command = if before == 0 {
            tiny.train("parts", STEPS)
        } else {
            tiny.resume("parts", "")
        };
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        if kills == 0 {
            // Not before there is something to resume from.
            wait_for(&mut child, || tiny.newest("parts") > 0);
        }
        if kills % 2 == 0 {
            // Any moment of a life: start, loading, steps, writing; not long
            // after its first checkpoint, so that the run outlasts 20 kills.
            let moment = Instant::now() + life.mul_f64(rng.random_range(0.0..0.15));
            wait_for(&mut child, || {
                Instant::now() > moment || tiny.newest("parts") > before
            });
        } else {
            // A moment within the writing of the life's first checkpoint.
            wait_for(&mut child, || {
                !tiny.names("parts", ".step-", ".tmp").is_empty()
            });
            std::thread::sleep(Duration::from_micros(rng.random_range(0..1000)));
        }
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(!ended.success(), "ended by itself after {kills} kills");
        kills += 1;
        assert!(tiny.newest("parts") > 0, "kill {kills} left nothing");
        // Had the writing been done, its name would be another.
        if !tiny.names("parts", ".step-", ".tmp").is_empty() {
            while_writing += 1;
        }
    }
    println!("{while_writing} of {kills} kills while a checkpoint was written");
    assert!(
        while_writing >= 5,
        "{while_writing} of {kills} while writing"
    );
    let before = tiny.newest("parts");
    let output = succeed(&mut tiny.resume("parts", ""));
    assert!(output.contains(&format!("; step {before}\n")), "{output}");
    for file in ["model.safetensors", "optimizer.safetensors", "train.toml"] {
        let parts = tiny.read("parts", 200, file);
        if file == "train.toml" {
            // The two runs are the same but for their folder.
            let text = String::from_utf8(parts).unwrap().replace("parts", "whole");
            let whole = tiny.read("whole", 200, file);
            assert_eq!(text.into_bytes(), whole);
        } else {
            assert!(tiny.read("whole", 200, file) == parts, "{file} differs");
        }
    }
    let steps = |out: &str| -> Vec<u64> {
        let text = fs::read_to_string(tiny.path(out).join("metrics.jsonl")).unwrap();
        let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines()
            .map(|line| value(line)["step"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(steps("whole"), [50, 100, 150, 200]);
    // A line is only missing where a window of steps was cut by a kill.
    let parts = steps("parts");
    assert!(parts.is_sorted() && parts.last() == Some(&200), "{parts:?}");
    assert_eq!(tiny.names("parts", "step-", "").len(), 3);
    assert!(tiny.names("parts", ".step-", "").is_empty());
}

#[test]
fn a_signal_leaves_a_checkpoint_of_its_step() {
    let tiny = Tiny::new();
    let mut child = tiny
        .train("run", "--steps 100000000 --checkpoint-steps 20")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&mut child, || tiny.newest("run") > 0);
    // SAFETY: the child is ours and not waited for yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("stopped by a signal"), "{text}");
    let step = tiny.newest("run");
    let resumed = succeed(&mut tiny.resume("run", &format!("--steps {}", step + 1)));
    assert!(resumed.contains(&format!("; step {step}\n")), "{resumed}");
}

#[test]
fn a_disk_that_fills_up_stops_the_run_with_the_last_checkpoint_whole() {
    let tiny = Tiny::new();
    succeed(&mut tiny.train("run", "--steps 4 --checkpoint-steps 2"));
    let files = [
        "model.safetensors",
        "optimizer.safetensors",
        "train-state.json",
    ];
    let before = files.map(|file| tiny.read("run", 4, file));
    // No file may grow beyond some kilobytes: every checkpoint is larger.
    let resume = tiny.resume("run", "--steps 8");
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 16 && exec \"$@\"", "sh"])
        .arg(resume.get_program())
        .args(resume.get_args())
        .output()
        .unwrap();
    let error = fail(&output);
    assert!(
        error.contains("step-00000006") && error.contains("File too large"),
        "{error}"
    );
    assert!(
        error.contains("newest whole one is") && error.contains("step-00000004"),
        "{error}"
    );
    assert_eq!(tiny.newest("run"), 4);
    assert!(
        tiny.names("run", ".step-", "").is_empty(),
        "the space is not freed"
    );
    assert!(files.map(|file| tiny.read("run", 4, file)) == before);
    succeed(&mut tiny.resume("run", "--steps 8"));
    assert_eq!(tiny.newest("run"), 8);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let tiny = Tiny::new();
    fs::write(tiny.path("file"), "").unwrap();
    let error = fail(&tiny.train("file/run", "--steps 2").output().unwrap());
    assert!(
        error.contains("creating") && error.contains("file/run"),
        "{error}"
    );

    // The folder goes away in the middle of a run.
    let mut child = tiny
        .train("run", "--steps 100000000 --checkpoint-steps 20")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&mut child, || tiny.newest("run") > 0);
    fs::rename(tiny.path("run"), tiny.path("elsewhere")).unwrap();
    let error = fail(&child.wait_with_output().unwrap());
    assert!(
        error.contains("/run") && error.contains("No such file"),
        "{error}"
    );
    assert!(tiny.newest("elsewhere") > 0);
    succeed(&mut tiny.resume(
        "elsewhere",
        &format!("--steps {}", tiny.newest("elsewhere") + 1),
    ));
}

#[test]
fn a_run_that_diverges_says_where_and_keeps_the_step() {
    let tiny = Tiny::new();
    let steps = "--steps 50 --checkpoint-steps 1 --loss softmax";
    let output = tiny
        .train("run", &format!("{steps} --lr 1e25"))
        .output()
        .unwrap();
    let error = fail(&output);
    assert!(
        error.contains("not a finite number at step") && error.contains("diverged-step-"),
        "{error}"
    );
    let step: u64 = error
        .split("not a finite number at step ")
        .nth(1)
        .and_then(|rest| rest.split(':').next()?.parse().ok())
        .unwrap();
    // The newest checkpoint is that of the step before, and whole.
    assert_eq!(tiny.newest("run"), step - 1);
    let kept = format!("run/diverged-step-{step:08}");
    let batch = fs::read(tiny.path(&kept).join("batch.json")).unwrap();
    let batch: serde_json::Value = serde_json::from_slice(&batch).unwrap();
    assert_eq!(batch["step"], step);
    assert_eq!(batch["rows"].as_array().unwrap().len(), 4);
    assert_eq!(batch["rows"][3]["input"].as_array().unwrap().len(), 16);
    // What was kept is enough to see the same thing happen again.
    let again = fail(&tiny.resume(&kept, "--out again").output().unwrap());
    let cause = |text: &str| {
        let from = text.find("not a finite number").unwrap();
        text[from..].trim().to_owned()
    };
    assert_eq!(cause(&again), cause(&error));
}

#[test]
fn a_missing_driver_is_said_before_anything_starts() {
    let tiny = Tiny::new();
    for (device, named) in [("cuda", "CUDA"), ("wgpu", "wgpu")] {
        let output = tiny
            .train("run", &format!("--steps 1 --device {device}"))
            // Where there are drivers, they are out of sight.
            .env("VK_DRIVER_FILES", "/nowhere.json")
            .env("VK_ICD_FILENAMES", "/nowhere.json")
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .unwrap();
        let error = fail(&output);
        assert_eq!(error.lines().count(), 1, "{error}");
        let missing = if cfg!(feature = "wgpu") && device == "wgpu" {
            "no GPU adapter"
        } else {
            named
        };
        assert!(error.contains(missing), "{error}");
        assert!(output.stdout.is_empty() && !tiny.path("run").exists());
    }
}

#[test]
fn a_later_checkpoint_is_never_contradicted() {
    let tiny = Tiny::new();
    succeed(&mut tiny.train("run", "--steps 4 --checkpoint-steps 2"));
    let early = Path::new("run").join("step-00000002");
    let early = early.to_str().unwrap();
    let error = fail(&tiny.resume(early, "--steps 6").output().unwrap());
    assert!(
        error.contains("step-00000004") && error.contains("--out"),
        "{error}"
    );
    succeed(&mut tiny.resume(early, "--steps 6 --out branch"));
    assert_eq!((tiny.newest("run"), tiny.newest("branch")), (4, 6));
}
