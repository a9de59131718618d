//! What the tests of `hrm` as a process share.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Board, GeneratorOptions, Puzzle, PuzzleKind, Shape, generate};
use hrm_core::weights::Weights;

/// A folder of its own, in which `hrm` runs.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Names in a folder, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A command of words, without quotes.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hrm"));
        command
            .args(words.split_whitespace())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// A line of `sh` in which `$HRM` is the command.
    pub(crate) fn shell(&self, line: &str) -> Output {
        let output = Command::new("bash")
            .args(["-c", line])
            .env("HRM", env!("CARGO_BIN_EXE_hrm"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output();
        output.unwrap()
    }

    pub(crate) fn run(&self, words: &str) -> Said {
        Said::of(words, &self.command(words).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, words: &str) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words}: {said:?}");
        said
    }

    /// Runs a command that must fail; what it says of that.
    pub(crate) fn refused(&self, words: &str) -> String {
        let said = self.run(words);
        assert!(
            said.code.is_some_and(|c| c != 0),
            "{words} succeeded: {said:?}"
        );
        said.err
    }

    /// Runs a command with some standard input.
    pub(crate) fn fed(&self, words: &str, input: &[u8]) -> Said {
        let name = "standard-input";
        self.write(name, input);
        let file = fs::File::open(self.path(name)).unwrap();
        let output = self.command(words).stdin(file).output().unwrap();
        Said::of(words, &output)
    }

    /// A checkpoint of a small model with random weights.
    pub(crate) fn model(&self, name: &str, puzzle: impl Into<PuzzleKind>) -> PathBuf {
        let plan = Plan::new(&ModelConfig::compact(puzzle, 16)).unwrap();
        let dir = self.path(name);
        fs::create_dir_all(&dir).unwrap();
        let weights = Weights::random(&plan, 5).to_safetensors(&plan).unwrap();
        fs::write(dir.join("config.json"), plan.config.to_json()).unwrap();
        fs::write(dir.join("model.safetensors"), weights).unwrap();
        fs::write(dir.join("README.md"), "# Random weights\n").unwrap();
        dir
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(what: &str, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!said.err.contains("panicked"), "{what}: {}", said.err);
        said
    }
}

/// The shipped 4x4 model.
pub(crate) fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/hrm-4x4");
    path.to_str().unwrap().to_owned()
}

/// Questions with their answers.
pub(crate) fn puzzles(shape: Shape, count: u64) -> Vec<(Board, Board)> {
    let options = GeneratorOptions::any(shape);
    let made = (0..count).map(|seed| generate(seed, &options).unwrap());
    made.map(|p| (p.question, p.answer)).collect()
}

/// The rows of a board, one a line.
pub(crate) fn rows(board: &Board) -> String {
    let text = board.to_string();
    let side = board.kind().side();
    let rows: Vec<&str> = (0..side).map(|r| &text[r * side..(r + 1) * side]).collect();
    rows.join("\n")
}
