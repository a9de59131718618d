//! Adaptive computation: what each row of a training batch carries from one
//! segment to the next, and when it is done.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;

/// A question with its answer, as tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The question, one token a cell.
    pub input: Vec<u8>,
    /// The answer.
    pub label: Vec<u8>,
    /// The row of the puzzle embedding that the puzzle has; 0 where puzzles
    /// have none of their own.
    #[serde(default)]
    pub identifier: u32,
}

/// What a model is given of a puzzle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// The question, one token a cell.
    pub tokens: &'a [u8],
    /// The row of the puzzle embedding.
    pub identifier: usize,
}

impl<'a> From<&'a [u8]> for Sequence<'a> {
    /// A puzzle with the first row of the puzzle embedding.
    fn from(tokens: &'a [u8]) -> Self {
        let identifier = 0;
        Self { tokens, identifier }
    }
}

impl Example {
    /// The question alone.
    #[must_use]
    pub fn sequence(&self) -> Sequence<'_> {
        Sequence {
            tokens: &self.input,
            identifier: self.identifier as usize,
        }
    }
}

/// The rows of a batch, or of a part of one: puzzle, segments done, and whether the row has
/// halted and takes a new puzzle at the next step. The states `z_H` and
/// `z_L` stay on the device.
#[derive(Debug, Clone)]
pub(super) struct Carry {
    /// The puzzle of each row; none before the first step.
    pub(super) examples: Vec<Example>,
    /// Segments that each row has run on its puzzle.
    pub(super) steps: Vec<usize>,
    /// Rows that start anew at the next step.
    pub(super) halted: Vec<bool>,
}

impl Carry {
    /// A batch whose every row is about to take its first puzzle.
    pub(super) fn new(batch: usize) -> Self {
        let nothing = Example {
            input: Vec::new(),
            label: Vec::new(),
            identifier: 0,
        };
        Self {
            examples: vec![nothing; batch],
            steps: vec![0; batch],
            halted: vec![true; batch],
        }
    }

    /// Ends every row after `depth` segments: where only the last is trained.
    /// Returns what [`Carry::advance`] does.
    pub(super) fn finish(&mut self, depth: usize) -> Vec<bool> {
        self.steps.fill(depth);
        self.halted.fill(true);
        vec![true; self.steps.len()]
    }

    /// Counts a segment of every row and decides which are done: at the last
    /// segment, or where the model wants to halt and may. Returns for each
    /// row whether this was its last segment by count.
    pub(super) fn advance(
        &mut self,
        config: &ModelConfig,
        wants_halt: &[bool],
        least: &[usize],
    ) -> Vec<bool> {
        let limit = config.halt_max_steps;
        let mut last = Vec::with_capacity(self.steps.len());
        for (row, &wants) in wants_halt.iter().enumerate() {
            self.steps[row] += 1;
            let is_last = self.steps[row] >= limit;
            self.halted[row] = (is_last || (limit > 1 && wants)) && self.steps[row] >= least[row];
            last.push(is_last);
        }
        last
    }
}

/// The segments that each row must run before it may halt, drawn anew at every
/// segment, as the reference does: 0 for most, a random number from 2 for the
/// rows that explore.
pub(super) fn draw_least(rows: usize, config: &ModelConfig, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let limit = config.halt_max_steps;
    let explores =
        |rng: &mut ChaCha8Rng| limit > 1 && rng.random_bool(config.halt_exploration_prob);
    let draw = |_| {
        if explores(rng) {
            rng.random_range(2..=limit)
        } else {
            0
        }
    };
    (0..rows).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn rows_halt_when_they_want_to_or_must() {
        let mut config = ModelConfig::preset("hrm-4x4").unwrap();
        config.halt_max_steps = 3;
        let mut carry = Carry::new(2);
        assert_eq!(
            carry.advance(&config, &[true, false], &[0, 0]),
            [false, false]
        );
        assert_eq!(carry.halted, [true, false]);
        carry.advance(&config, &[false, false], &[0, 0]);
        assert_eq!(carry.halted, [false, false]);
        assert_eq!(
            carry.advance(&config, &[false, false], &[0, 0]),
            [true, true]
        );
        assert_eq!(carry.halted, [true, true]);
    }

    #[test]
    fn exploration_keeps_rows_going() {
        let mut config = ModelConfig::preset("hrm-4x4").unwrap();
        config.halt_exploration_prob = 1.0;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut carry = Carry::new(64);
        let least = draw_least(64, &config, &mut rng);
        assert!(least.iter().all(|n| (2..=16).contains(n)));
        carry.advance(&config, &[true; 64], &least);
        assert!(carry.halted.iter().all(|h| !h), "no minimum is below 2");
    }
}
