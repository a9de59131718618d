//! What a batch of sequences is given, on a device.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::parameters::{indices, upload};
use crate::cpu::input::{fresh_probabilities, role};
use crate::cpu::train::Last;
use crate::plan::{Embedding, Plan};
use crate::train::Sequence;

/// A batch of puzzles, and where a model has feedback, how each sequence's
/// last answer comes about.
#[derive(Debug, Clone)]
pub struct Inputs {
    batch: usize,
    /// Rows of the embedding's table: a token a cell, `[batch * cells]`, or a
    /// role a (cell, symbol), `[batch * positions]`.
    rows: Tensor<1, Int>,
    /// The row of the puzzle embedding that each sequence takes, `[batch]`.
    puzzles: Tensor<1, Int>,
    /// `[batch, positions]`, for sequences that have not run yet.
    given: Option<Tensor<2>>,
    /// For each sequence whether its own last answer counts.
    own: Vec<bool>,
}

impl Inputs {
    /// A batch of fresh sequences.
    #[must_use]
    pub fn new<'t, S: Into<Sequence<'t>>>(
        plan: &Plan,
        sequences: impl Iterator<Item = S>,
        device: &Device,
    ) -> Self {
        let sequences: Vec<Sequence<'t>> = sequences.map(Into::into).collect();
        let tokens: Vec<&[u8]> = sequences.iter().map(|s| s.tokens).collect();
        let puzzles: Vec<u32> = sequences.iter().map(|s| s.identifier as u32).collect();
        let last = vec![Last::None; sequences.len()];
        Self::with_last(plan, &tokens, &puzzles, &last, device)
    }

    /// A batch of sequences with their rows of the puzzle embedding and their
    /// last answers.
    pub(super) fn with_last(
        plan: &Plan,
        sequences: &[&[u8]],
        puzzles: &[u32],
        last: &[Last],
        device: &Device,
    ) -> Self {
        let answers = plan.heads.answers;
        let mut rows: Vec<i64> = Vec::new();
        for &token in sequences.iter().copied().flatten() {
            match plan.embedding {
                Embedding::Tokens(_) => rows.push(i64::from(token)),
                Embedding::Roles(_) => {
                    rows.extend((0..answers.count).map(|s| role(answers, token, s) as i64));
                }
            }
        }
        let given = plan.feeds_back().then(|| {
            let pairs = sequences.iter().zip(last);
            let values = pairs.flat_map(|(tokens, last)| match last {
                Last::None => fresh_probabilities(answers, tokens),
                Last::Own => vec![0.0; plan.positions],
                Last::Given(probabilities) => probabilities.clone(),
            });
            upload(values.collect(), [sequences.len(), plan.positions], device)
        });
        let n = rows.len();
        Self {
            batch: sequences.len(),
            rows: Tensor::from_data(TensorData::new(rows, [n]), device),
            puzzles: indices(puzzles, device),
            given,
            own: last.iter().map(|last| *last == Last::Own).collect(),
        }
    }

    /// After a segment every sequence has an answer of its own.
    pub fn go_on(&mut self) {
        self.own.fill(true);
    }

    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    pub(super) fn rows(&self) -> Tensor<1, Int> {
        self.rows.clone()
    }

    pub(super) fn puzzles(&self) -> Tensor<1, Int> {
        self.puzzles.clone()
    }

    /// The last answers, `[batch, positions]`; `own` computes those that the
    /// states give.
    pub(super) fn last_answers(&self, own: impl FnOnce() -> Tensor<2>) -> Tensor<2> {
        match &self.given {
            Some(given) if !self.own.contains(&true) => given.clone(),
            Some(given) if self.own.contains(&false) => {
                let mask = TensorData::new(self.own.clone(), [self.batch, 1]);
                let mask = Tensor::<2, Bool>::from_data(mask, &given.device());
                given.clone().mask_where(mask.expand(given.dims()), own())
            }
            _ => own(),
        }
    }
}
