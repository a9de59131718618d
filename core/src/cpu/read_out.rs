//! The output head on its own: an answer read off any `z_H`.

use crate::gemm::{View, ViewMut, gemm};
use crate::plan::{Answers, Plan};
use crate::puzzle::PuzzleKind;
use crate::weights::Weights;

/// The output head of a model. It needs no engine, so a caller whose engine
/// runs on a GPU can read answers off states that no segment has ended in.
#[derive(Debug, Clone)]
pub struct ReadOut {
    /// `[logits a row, hidden]`.
    weight: Vec<f32>,
    hidden: usize,
    prefix: usize,
    /// Rows of a state that are answered.
    rows: usize,
    logits_a_row: usize,
    answers: Answers,
    puzzle: PuzzleKind,
}

impl ReadOut {
    /// The head of a model with these weights.
    #[must_use]
    pub fn new(plan: &Plan, weights: &Weights) -> Self {
        let head = &weights.tensors()[plan.heads.lm.index()];
        Self::from_dense(plan, head.dense().into_owned())
    }

    /// The same of the head's dense values.
    pub(super) fn from_dense(plan: &Plan, weight: Vec<f32>) -> Self {
        Self {
            weight,
            hidden: plan.hidden,
            prefix: plan.prefix,
            rows: plan.answering(),
            logits_a_row: plan.logits_a_row(),
            answers: plan.heads.answers,
            puzzle: plan.config.puzzle,
        }
    }

    /// Logits `[cells, answers]` of a state `[positions, hidden]`.
    ///
    /// # Panics
    /// The state has fewer elements.
    #[must_use]
    pub fn logits(&self, z_h: &[f32]) -> Vec<f32> {
        let d = self.hidden;
        let mut logits = vec![0.0; self.rows * self.logits_a_row];
        gemm(
            (self.rows, d, self.logits_a_row),
            1.0,
            View::rows(&z_h[self.prefix * d..], d),
            View::columns(&self.weight, d),
            0.0,
            ViewMut::rows(&mut logits, self.logits_a_row),
        );
        logits
    }

    /// The gradient with respect to `z_H`, `[positions, hidden]`, that a
    /// gradient with respect to the logits, `[cells, answers]`, makes; positions
    /// in front of the cells get none.
    #[must_use]
    pub fn pull_back(&self, by_logits: &[f64], positions: usize) -> Vec<f64> {
        let d = self.hidden;
        let mut gradient = vec![0.0; positions * d];
        let cells = gradient[self.prefix * d..].chunks_exact_mut(d);
        for (out, by_logits) in cells.zip(by_logits.chunks_exact(self.logits_a_row)) {
            for (g, row) in by_logits.iter().zip(self.weight.chunks_exact(d)) {
                for (o, &w) in out.iter_mut().zip(row) {
                    *o += g * f64::from(w);
                }
            }
        }
        gradient
    }

    /// The most likely token of each cell, among equals the smallest.
    #[must_use]
    pub fn tokens(&self, logits: &[f32]) -> Vec<u8> {
        let cells = logits.chunks_exact(self.answers.count);
        cells
            .map(|cell| self.answers.first + argmax(cell))
            .collect()
    }

    /// E of the answer that tokens spell.
    #[must_use]
    pub fn conflicts(&self, tokens: &[u8]) -> u32 {
        // Tokens below the vocabulary always make a board of the kind.
        self.puzzle.conflicts(tokens).unwrap_or(u32::MAX)
    }
}

/// Index of the largest value, the first among equals.
fn argmax(values: &[f32]) -> u8 {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    // Vocabularies of puzzles with tokens in a byte are below 256.
    best as u8
}
