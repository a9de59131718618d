//! What an evaluation says.

use anyhow::Result;
use hrm_core::model::{Device, Parameters, evaluate};
use hrm_core::plan::Plan;
use serde::Serialize;

use super::data::Set;

/// Accuracy on a set of puzzles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Score {
    /// Puzzles.
    pub(crate) puzzles: usize,
    /// Puzzles solved after each segment; a maze by any shortest route.
    pub(crate) solved: Vec<usize>,
    /// Mazes where a way is marked after the last segment, shortest or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) led_through: Option<usize>,
    /// Share of cells right after the last segment, givens included.
    pub(crate) cells: f64,
    /// Share of puzzles where `q_halt` says rightly whether it is solved.
    pub(crate) q_accuracy: f64,
}

impl Score {
    /// Runs the model on a set, `batch` puzzles at a time.
    pub(crate) fn of(
        plan: &Plan,
        parameters: &Parameters,
        set: &Set,
        batch: usize,
        device: &Device,
    ) -> Result<Self> {
        let segments = plan.config.halt_max_steps;
        let mut score = Self {
            puzzles: set.len(),
            solved: vec![0; segments],
            led_through: None,
            cells: 0.0,
            q_accuracy: 0.0,
        };
        let examples = set.plain();
        for (chunk, part) in examples.chunks(batch).enumerate() {
            let first = chunk * batch;
            let inputs: Vec<&[u8]> = part.iter().map(|e| e.input.as_slice()).collect();
            let guesses = evaluate(plan, parameters, &inputs, segments, device)?;
            for (solved, guesses) in score.solved.iter_mut().zip(&guesses) {
                *solved += guesses
                    .iter()
                    .enumerate()
                    .filter(|(i, guess)| set.solved(first + i, &guess.tokens))
                    .count();
            }
            for (i, (guess, example)) in guesses.last().into_iter().flatten().zip(part).enumerate()
            {
                let right = guess
                    .tokens
                    .iter()
                    .zip(&example.label)
                    .filter(|(a, b)| a == b)
                    .count();
                score.cells += right as f64 / example.label.len() as f64;
                let solved = set.solved(first + i, &guess.tokens);
                score.q_accuracy += f64::from(u8::from((guess.q_halt > 0.0) == solved));
                if let Some(leads) = set.leads_through(first + i, &guess.tokens) {
                    *score.led_through.get_or_insert(0) += usize::from(leads);
                }
            }
        }
        let n = set.len().max(1) as f64;
        score.cells /= n;
        score.q_accuracy /= n;
        Ok(score)
    }

    /// Puzzles solved after the last segment.
    pub(crate) fn right(&self) -> usize {
        self.solved.last().copied().unwrap_or(0)
    }

    /// Share of puzzles solved after the last segment.
    pub(crate) fn accuracy(&self) -> f64 {
        self.right() as f64 / self.puzzles.max(1) as f64
    }

    /// The 95 % confidence interval of [`Score::accuracy`].
    pub(crate) fn interval(&self) -> (f64, f64) {
        wilson(self.right(), self.puzzles)
    }
}

/// Wilson's 95 % interval of a share: `right` of `n`.
pub(crate) fn wilson(right: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, z) = (n as f64, 1.959_964);
    let p = right as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_of_a_known_case() {
        // Brown, Cai & DasGupta (2001): 0 of 10 and 5 of 10.
        let (low, high) = wilson(0, 10);
        assert!(low.abs() < 1e-12 && (high - 0.2775).abs() < 1e-4);
        let (low, high) = wilson(5, 10);
        assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4);
    }
}
