//! What is different about a run that goes on.

use anyhow::{Result, bail};
use hrm_core::puzzle::Puzzle;
use sha2::{Digest, Sha256};

use super::config::{Schedule, TrainConfig};
use super::data::Set;
use super::saved::TrainState;
use crate::puzzles::hex;
use hrm_core::train::Rows;

/// Options of which the checkpoint holds the outcome.
const FIXED: [(&str, &str); 6] = [
    ("batch_size", "a batch of that size"),
    ("chains", "states of so many chains"),
    ("optimizer", "that optimiser's memory"),
    ("preset", "weights of that architecture"),
    ("model", "weights of that architecture"),
    ("group_rows", "a position in that order of puzzles"),
];

/// Options that change no number of the weights.
const QUIET: [&str; 17] = [
    "out",
    "steps",
    "epochs",
    "minutes",
    "threads",
    "device",
    "devices",
    "log_steps",
    "eval_minutes",
    "checkpoint_minutes",
    "checkpoint_steps",
    "keep",
    "keep_every",
    "keep_series",
    "stop_at",
    "no_tensorboard",
    "held_out_rows",
];

/// What is to be said about the options of a run that goes on: those that differ from
/// the ones it had.
///
/// # Errors
/// One differs that the checkpoint can't go on with, by its name.
pub(super) fn changed(was: &TrainConfig, now: &TrainConfig) -> Result<Vec<String>> {
    let (before, after) = (toml::Table::try_from(was)?, toml::Table::try_from(now)?);
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut lines = Vec::new();
    for key in keys {
        let (was_set, is_set) = (before.get(key), after.get(key));
        let averages = key == "ema" && (was.ema > 0.0) == (now.ema > 0.0);
        if was_set == is_set {
            continue;
        }
        let option = match key.as_str() {
            "architecture" => "--set architecture".to_owned(),
            key => format!("--{}", key.replace('_', "-")),
        };
        let shown =
            |value: Option<&toml::Value>| value.map_or("unset".to_owned(), ToString::to_string);
        let difference = format!("{option} was {}, now {}", shown(was_set), shown(is_set));
        let fixed = FIXED.iter().find(|(name, _)| name == key);
        let fixed = fixed.map(|(_, what)| *what);
        if let Some(what) = fixed.or((key == "ema" && !averages).then_some("averages or none")) {
            bail!(
                "{difference}: a run can't go on with another one, as its checkpoint holds {what}; \
                 begin a new run from its weights with --init"
            );
        }
        // The end of a run matters where the learning rate or the depth follow it.
        let follows = now.schedule != Schedule::Constant || now.depth_start.is_some();
        let end = ["steps", "epochs", "minutes"].contains(&key.as_str());
        if !QUIET.contains(&key.as_str()) || (end && follows) {
            lines.push(difference);
        }
    }
    Ok(lines)
}

/// What a set of puzzles is known by: their cells in order.
pub(super) fn digest(set: &Set) -> String {
    fn of<P: Puzzle>(rows: &[(P, P)]) -> String {
        let mut hash = Sha256::new();
        for (question, answer) in rows {
            hash.update(question.tokens());
            hash.update(answer.tokens());
        }
        hex(&hash.finalize())
    }
    match &set.rows {
        Rows::Sudoku(rows) => of(rows),
        Rows::Maze(rows) => of(rows),
        Rows::Arc(_, rows) => {
            let mut hash = Sha256::new();
            for row in rows {
                hash.update(row.to_string());
            }
            hex(&hash.finalize())
        }
    }
}

/// Notes the puzzles in the state of a run; returns what is to be said if they are not
/// those that it had.
pub(super) fn note_data(state: &mut TrainState, data: &Set, held_out: Option<&Set>) -> Vec<String> {
    let mut lines = Vec::new();
    for (option, known, set, effect) in [
        (
            "--data",
            &mut state.data,
            Some(data),
            "from here on it is another run than the one that began",
        ),
        (
            "--held-out",
            &mut state.held_out,
            held_out,
            "accuracies before and after can't be compared",
        ),
    ] {
        let found = set.map(digest);
        if known.is_some() && *known != found {
            lines.push(format!(
                "{option}: these are not the puzzles that the run had until now; {effect}"
            ));
        }
        *known = found;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_differ_are_said_or_refused_by_name() {
        let was = TrainConfig::example();
        let now = |change: fn(&mut TrainConfig)| {
            let mut now = was.clone();
            change(&mut now);
            changed(&was, &now)
        };
        assert!(now(|c| c.log_steps = 7).unwrap().is_empty());
        assert!(now(|c| c.steps = Some(9)).unwrap().is_empty());
        let said = now(|c| {
            c.seed = 5;
            c.lr = 0.5;
            c.data = vec!["b.csv".to_owned()];
        });
        assert_eq!(
            said.unwrap(),
            [
                "--data was [\"a.csv\"], now [\"b.csv\"]",
                "--lr was 0.0001, now 0.5",
                "--seed was 0, now 5"
            ]
        );
        let end = now(|c| {
            c.schedule = Schedule::Cosine;
            c.steps = Some(9);
        });
        assert!(
            end.unwrap()
                .iter()
                .any(|line| line.starts_with("--steps was unset"))
        );
        type Change = fn(&mut TrainConfig);
        let refused: [(Change, &str); 4] = [
            (|c| c.batch_size = 32, "--batch-size was 768, now 32"),
            (
                |c| c.optimizer = super::super::config::Rule::Muon,
                "--optimizer was",
            ),
            (|c| c.preset = "rsm".to_owned(), "--preset was"),
            (|c| c.ema = 0.0, "--ema was 0.999, now 0.0"),
        ];
        for (change, part) in refused {
            let error = now(change).unwrap_err().to_string();
            assert!(error.starts_with(part), "{error}");
        }
    }
}
