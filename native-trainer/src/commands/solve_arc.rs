//! `hrm solve` with a model that plays ARC.

use std::path::Path;

use anyhow::{Result, bail};

use super::solve::{Outcome, SolveArgs};
use crate::checkpoint::Checkpoint;
use crate::engine::Engine;
use crate::evaluate::arc;
use crate::output::outln;

/// Guesses that run at a time in a thread.
const PLACES: usize = 8;

/// Answers every test in the files of rows: one line a test, with the two most
/// frequent answers.
pub(super) fn run(args: &SolveArgs, checkpoint: &Checkpoint) -> Result<Outcome> {
    if args.guesses > 1 {
        bail!("--guesses: not for ARC, where the guesses at a test are its rewritings in the file");
    }
    let (plan, weights) = (&checkpoint.plan, &checkpoint.weights);
    let engine = Engine::new(args.device, None, plan, weights)?;
    let mut outcome = Outcome::Solved;
    for path in &args.puzzles {
        if !Path::new(path).is_file() {
            bail!("{path}: no such file; ARC is read from files of rows that hrm data arc writes");
        }
        let rows = arc::load(Path::new(path), plan, None)?;
        let how = [rayon::current_num_threads(), PLACES];
        let passes = arc::passes(&engine, &rows, args.segments as usize, how)?;
        for task in arc::voted(&rows, &passes) {
            for (i, test) in task.tests.iter().enumerate() {
                let right = test.right_within(2);
                if right == Some(false) {
                    outcome = Outcome::Unsolved;
                }
                if args.json {
                    outln!(
                        "{}",
                        serde_json::json!({
                            "task": task.task, "test": i + 1, "right": right, "votes": test,
                        })
                    );
                    continue;
                }
                let given = test.answers.iter().take(2);
                let given: Vec<String> = given
                    .map(|a| format!("{} ({} of {})", a.grid, a.votes, test.passes))
                    .collect();
                let verdict = match right {
                    Some(true) => "right",
                    Some(false) => "wrong",
                    None => "unknown",
                };
                let given = match given.is_empty() {
                    true => "no grid".to_owned(),
                    false => given.join(" "),
                };
                outln!("{} test {}: {given} {verdict}", task.task, i + 1);
            }
        }
    }
    Ok(outcome)
}
