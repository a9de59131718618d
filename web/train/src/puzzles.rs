//! The puzzles of a run, made piece by piece: the very ones that `hrm train`
//! makes with the same seed.
//!
//! Training and held-out puzzles have no class of equivalent ones in common
//! ([`hrm_core::train::held_out`]): no held-out puzzle is a training puzzle
//! turned around or renamed. For 6x6 and 9x9 neither is its solution. Of 4x4
//! solutions there are two classes only, which every network sees; there the
//! puzzles' own classes are split, so what is new is where the clues are.

use std::collections::HashSet;

use hrm_core::puzzle::{Board, GenerateError, GeneratorOptions, fill_share, generate_with};
use hrm_core::train::held_out::{Side, sudoku_class};
use rand_chacha::ChaCha8Rng;

use crate::settings::Settings;

/// A question with its only answer.
pub type Row = (Board, Board);

/// Puzzles of one side being made.
#[derive(Debug)]
pub struct Maker {
    options: GeneratorOptions,
    rng: ChaCha8Rng,
    side: Side,
    seen: HashSet<Board>,
    /// Puzzles in a row that were not new, or of the other side.
    vain: usize,
    wanted: usize,
    rows: Vec<Row>,
}

impl Maker {
    /// None made yet of `wanted` minimal puzzles.
    #[must_use]
    pub fn new(settings: &Settings, side: Side, wanted: usize) -> Self {
        Self {
            options: GeneratorOptions::minimal(settings.shape),
            rng: side.stream(settings.seed),
            side,
            seen: HashSet::new(),
            vain: 0,
            wanted,
            rows: Vec::new(),
        }
    }

    /// Tries for one more.
    ///
    /// # Errors
    /// If the generator finds none at all.
    pub fn work(&mut self) -> Result<(), GenerateError> {
        let made = generate_with(&mut self.rng, &self.options)?;
        let class = sudoku_class(&made.question, &made.answer);
        let new = class.is_some_and(|class| Side::of(&class) == self.side)
            && self.seen.insert(made.question.clone());
        if new {
            self.rows.push((made.question, made.answer));
        }
        self.vain = if new { 0 } else { self.vain + 1 };
        Ok(())
    }

    /// Whether all are there, or there seem to be no more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.rows.len() >= self.wanted || self.vain >= 200 * self.wanted
    }

    /// How many are there.
    #[must_use]
    pub fn made(&self) -> usize {
        self.rows.len()
    }

    /// The puzzles, which it then has no more.
    #[must_use]
    pub fn take_rows(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }
}

/// All puzzles of a side at once.
///
/// # Errors
/// If the generator finds none at all.
pub fn make(settings: &Settings, side: Side, wanted: usize) -> Result<Vec<Row>, GenerateError> {
    let mut maker = Maker::new(settings, side, wanted);
    while !maker.is_done() {
        maker.work()?;
    }
    Ok(maker.take_rows())
}

/// Held-out puzzles as a run is measured on them: with a share of their blanks
/// filled in, always the same.
#[must_use]
pub fn asked(settings: &Settings, rows: Vec<Row>) -> Vec<Row> {
    if settings.filled <= 0.0 {
        return rows;
    }
    // Another stream than those that made them.
    let mut rng = Side::HeldOut.stream(!settings.seed);
    let filled = rows.into_iter().map(|(question, answer)| {
        let question = fill_share(&mut rng, &question, &answer, settings.filled);
        (question, answer)
    });
    filled.collect()
}

/// Questions and answers as `hrm` reads them.
#[must_use]
pub fn to_csv(rows: &[Row]) -> String {
    let mut text = String::from("question,answer\n");
    for (question, answer) in rows {
        text += &format!("{question},{answer}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Preset;

    #[test]
    fn what_is_held_out_is_new_and_always_the_same() {
        for preset in [Preset::Relational4, Preset::Relational6] {
            let settings = preset.settings();
            let train = make(&settings, Side::Training, 60).unwrap();
            let held_out = make(&settings, Side::HeldOut, 20).unwrap();
            assert_eq!((train.len(), held_out.len()), (60, 20));
            let class = |row: &Row| sudoku_class(&row.0, &row.1).unwrap();
            for row in &held_out {
                assert!(train.iter().all(|other| class(other) != class(row)));
            }
            assert_eq!(make(&settings, Side::HeldOut, 20).unwrap(), held_out);
            // More of them begin with the same ones.
            let more = make(&settings, Side::HeldOut, 25).unwrap();
            assert_eq!(more[..20], held_out);
        }
    }

    #[test]
    fn a_share_of_the_blanks_is_filled_in() {
        let mut settings = Preset::Relational4.settings();
        let rows = make(&settings, Side::HeldOut, 10).unwrap();
        assert_eq!(asked(&settings, rows.clone()), rows);
        settings.filled = 0.5;
        let filled = asked(&settings, rows.clone());
        assert_eq!(asked(&settings, rows.clone()), filled);
        for ((question, answer), (before, _)) in filled.iter().zip(&rows) {
            assert!(answer.solves(question));
            let half = (before.blanks() as f64 / 2.0).round() as usize;
            assert_eq!(question.blanks(), before.blanks() - half);
        }
        let csv = to_csv(&rows);
        assert_eq!(csv.lines().count(), 11);
        assert!(csv.starts_with("question,answer\n"));
    }
}
