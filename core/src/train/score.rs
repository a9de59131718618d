//! How well a network answers puzzles that it was not trained on.

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::act::{Example, Sequence};
use super::backend::{Backend, SegmentGuess};
use super::rows::Rows;
use super::trainer::Trainer;
use crate::puzzle::TOKEN_PAD;
use crate::reason::Proportion;

/// Accuracy on a set of puzzles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Puzzles.
    pub puzzles: usize,
    /// Puzzles solved after each segment; a maze by any shortest route.
    pub solved: Vec<usize>,
    /// Mazes where a way is marked after the last segment, shortest or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub led_through: Option<usize>,
    /// Share of cells right after the last segment, givens included; cells whose
    /// answer is padding don't count.
    pub cells: f64,
    /// Share of puzzles where `q_halt` says rightly whether it is solved.
    pub q_accuracy: f64,
}

impl Score {
    /// Of no puzzle, after so many segments.
    #[must_use]
    pub fn new(segments: usize) -> Self {
        Self {
            puzzles: 0,
            solved: vec![0; segments],
            led_through: None,
            cells: 0.0,
            q_accuracy: 0.0,
        }
    }

    /// Evaluates the weights to use on all puzzles, `batch` at a time.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of<B: Backend>(
        trainer: &Trainer<B>,
        rows: &Rows,
        batch: usize,
    ) -> Result<Self, TrainError> {
        let segments = trainer.plan().config.halt_max_steps;
        let mut score = Self::new(segments);
        let examples = rows.plain();
        for part in examples.chunks(batch.max(1)) {
            let inputs: Vec<Sequence<'_>> = part.iter().map(Example::sequence).collect();
            let guesses = trainer.evaluate(&inputs, segments)?;
            let labels: Vec<&[u8]> = part.iter().map(|e| e.label.as_slice()).collect();
            score.add(rows, &labels, &guesses);
        }
        Ok(score)
    }

    /// Adds what was guessed, `[segment][puzzle]`, of the puzzles that follow
    /// those added before, whose answers are these.
    pub fn add(&mut self, rows: &Rows, labels: &[&[u8]], guesses: &[Vec<SegmentGuess>]) {
        let first = self.puzzles;
        for (solved, guesses) in self.solved.iter_mut().zip(guesses) {
            let right = |(i, guess): &(usize, &SegmentGuess)| rows.solved(first + i, &guess.tokens);
            *solved += guesses.iter().enumerate().filter(right).count();
        }
        for (guess, label) in guesses.last().into_iter().flatten().zip(labels) {
            let at = self.puzzles;
            let pairs = guess.tokens.iter().zip(*label);
            let asked = pairs.filter(|(_, label)| **label != TOKEN_PAD);
            let (right, cells) = asked.fold((0, 0), |(right, cells), (a, b)| {
                (right + usize::from(a == b), cells + 1)
            });
            let right = right as f64 / cells.max(1) as f64;
            let knows = (guess.q_halt > 0.0) == rows.solved(at, &guess.tokens);
            let mean = |mean: f64, value: f64| mean + (value - mean) / (at + 1) as f64;
            self.cells = mean(self.cells, right);
            self.q_accuracy = mean(self.q_accuracy, f64::from(u8::from(knows)));
            if let Some(leads) = rows.leads_through(at, &guess.tokens) {
                *self.led_through.get_or_insert(0) += usize::from(leads);
            }
            self.puzzles += 1;
        }
    }

    /// Puzzles solved after the last segment.
    #[must_use]
    pub fn right(&self) -> usize {
        self.solved.last().copied().unwrap_or(0)
    }

    /// Share of puzzles solved after the last segment, with its interval.
    #[must_use]
    pub fn accuracy(&self) -> Proportion {
        Proportion::new(self.right(), self.puzzles)
    }
}
