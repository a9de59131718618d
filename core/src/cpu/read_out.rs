//! The output head on its own: an answer read off any `z_H`.

use super::gemm::{View, ViewMut, gemm};
use crate::plan::Plan;
use crate::puzzle::PuzzleKind;
use crate::weights::Weights;

/// The output head of a model. It needs no engine, so a caller whose engine
/// runs on a GPU can read answers off states that no segment has ended in.
#[derive(Debug, Clone)]
pub struct ReadOut {
    /// `[vocab, hidden]`.
    weight: Vec<f32>,
    hidden: usize,
    prefix: usize,
    cells: usize,
    vocab: usize,
    puzzle: PuzzleKind,
}

impl ReadOut {
    /// The head of a model with these weights.
    #[must_use]
    pub fn new(plan: &Plan, weights: &Weights) -> Self {
        let head = &weights.tensors()[plan.heads.lm.index()];
        Self::from_dense(plan, head.dense().into_owned())
    }

    /// The same of the head's dense values, `[vocab, hidden]`.
    pub(super) fn from_dense(plan: &Plan, weight: Vec<f32>) -> Self {
        Self {
            weight,
            hidden: plan.hidden,
            prefix: plan.prefix,
            cells: plan.config.seq_len,
            vocab: plan.config.vocab_size,
            puzzle: plan.config.puzzle,
        }
    }

    /// Logits `[cells, vocab]` of a state `[positions, hidden]`.
    ///
    /// # Panics
    /// The state has fewer elements.
    #[must_use]
    pub fn logits(&self, z_h: &[f32]) -> Vec<f32> {
        let d = self.hidden;
        let mut logits = vec![0.0; self.cells * self.vocab];
        gemm(
            (self.cells, d, self.vocab),
            1.0,
            View::rows(&z_h[self.prefix * d..], d),
            View::columns(&self.weight, d),
            0.0,
            ViewMut::rows(&mut logits, self.vocab),
        );
        logits
    }

    /// The gradient with respect to `z_H`, `[positions, hidden]`, that a
    /// gradient with respect to the logits, `[cells, vocab]`, makes; positions
    /// in front of the cells get none.
    #[must_use]
    pub fn pull_back(&self, by_logits: &[f64], positions: usize) -> Vec<f64> {
        let d = self.hidden;
        let mut gradient = vec![0.0; positions * d];
        let cells = gradient[self.prefix * d..].chunks_exact_mut(d);
        for (out, by_logits) in cells.zip(by_logits.chunks_exact(self.vocab)) {
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
        logits.chunks_exact(self.vocab).map(argmax).collect()
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
