//! What every inference engine takes and gives, whichever processor it runs
//! on: a batch of token sequences in, one [`SegmentOutput`] a sequence and
//! segment out.

use crate::plan::{Embedding, Level, Plan};

/// What an engine brings back from a segment besides the summary. Each costs
/// a transfer on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taps {
    /// The logits of every cell.
    pub logits: bool,
    /// `z_H` and `z_L` after the segment.
    pub states: bool,
}

/// What to measure of a state after each of its updates, where it is: a few
/// numbers come back instead of the states.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// `z_H` or `z_L`.
    pub level: Level,
    /// What states are projected onto, each `[positions, hidden]`.
    pub directions: Vec<Vec<f32>>,
    /// How many states, from the first update on, are kept on the device for
    /// products with later ones: the Gram matrix of a trace, from which its
    /// principal components come.
    pub history: usize,
}

impl Probe {
    /// Checks the directions' lengths.
    ///
    /// # Errors
    /// Names the direction that does not fit the model.
    pub fn check(&self, plan: &Plan) -> Result<(), EngineError> {
        let expected = plan.positions * plan.hidden;
        let wrong = self.directions.iter().position(|d| d.len() != expected);
        wrong.map_or(Ok(()), |i| {
            let reason = format!(
                "direction {i} has {} elements, a state has {expected}",
                self.directions[i].len()
            );
            Err(EngineError::Input {
                sequence: 0,
                reason,
            })
        })
    }
}

/// What a [`Probe`] has measured of one sequence after one update.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// Products with the directions.
    pub directions: Vec<f32>,
    /// The product of the state with itself.
    pub square: f32,
    /// Root mean square of the change from the state before the update.
    pub change: f32,
    /// Products with the states kept before this update, the oldest first.
    pub history: Vec<f32>,
}

/// One sequence after one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentOutput {
    /// The most likely token of each cell, `[cells]`; among equals the
    /// smallest token.
    pub tokens: Vec<u8>,
    /// E of the grid those tokens make (see [`crate::puzzle::Board::conflicts`]).
    pub conflicts: u32,
    /// Logit of "the answer is right, halt".
    pub q_halt: f32,
    /// Logit of "worth continuing", where the model has one.
    pub q_continue: Option<f32>,
    /// Root mean square over all elements of the change of `z_H` in this
    /// segment.
    pub residual_h: f32,
    /// The same of `z_L`.
    pub residual_l: f32,
    /// `[cells, vocab]`, if asked for.
    pub logits: Option<Vec<f32>>,
    /// `[positions, hidden]`, if asked for.
    pub z_h: Option<Vec<f32>>,
    /// `[positions, hidden]`, if asked for.
    pub z_l: Option<Vec<f32>>,
}

impl SegmentOutput {
    /// Whether the model says it is done: `q_halt > q_continue`, or
    /// `q_halt > 0` for a model without the latter.
    #[must_use]
    pub fn halts(&self) -> bool {
        self.q_halt > self.q_continue.unwrap_or(0.0)
    }
}

/// Why an engine could not do what it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// The input does not fit the model.
    #[error("input {sequence}: {reason}")]
    Input {
        /// Index into the batch.
        sequence: usize,
        /// What is wrong.
        reason: String,
    },
    /// No device, or not one that can run this model.
    #[error("{0}")]
    Unavailable(String),
    /// The device was lost; a new engine can be made and the run repeated.
    #[error("the GPU device was lost: {0}")]
    Lost(String),
    /// The device ran out of memory.
    #[error("the GPU is out of memory: {0}")]
    OutOfMemory(String),
    /// Anything else the device reported.
    #[error("GPU error: {0}")]
    Device(String),
}

/// Checks that a batch of so many sequences has this one.
///
/// # Errors
/// It has not; names the sequence.
pub fn check_place(batch: usize, sequence: usize) -> Result<(), EngineError> {
    if sequence < batch {
        return Ok(());
    }
    let reason = format!("there are only {batch} in the batch");
    Err(EngineError::Input { sequence, reason })
}

/// Checks that a model has a row of the puzzle embedding for an identifier;
/// one without a puzzle embedding takes 0 alone.
///
/// # Errors
/// It has not; names the sequence and the identifier.
pub fn check_identifier(
    plan: &Plan,
    sequence: usize,
    identifier: usize,
) -> Result<(), EngineError> {
    let table = match &plan.embedding {
        Embedding::Tokens(embedding) => embedding.puzzle,
        Embedding::Roles(_) => None,
    };
    let rows = table.map_or(1, |table| plan.tensor(table).shape[0]);
    if identifier < rows {
        return Ok(());
    }
    let reason = match table {
        Some(_) => format!(
            "puzzle identifier {identifier} has no row in puzzle_emb.weights, which has {rows}"
        ),
        None => format!("puzzle identifier {identifier}, but the model has no puzzle embedding"),
    };
    Err(EngineError::Input { sequence, reason })
}

/// Checks a batch of token sequences against a plan.
///
/// # Errors
/// Names the sequence and what is wrong with it: its length or a token that
/// the vocabulary lacks.
pub fn check_inputs<T: AsRef<[u8]>>(plan: &Plan, inputs: &[T]) -> Result<(), EngineError> {
    let (cells, vocab) = (plan.config.seq_len, plan.config.vocab_size);
    if inputs.is_empty() {
        return Err(EngineError::Input {
            sequence: 0,
            reason: "the batch is empty".into(),
        });
    }
    for (sequence, tokens) in inputs.iter().map(AsRef::as_ref).enumerate() {
        if tokens.len() != cells {
            let reason = format!("has {} tokens, the model takes {cells}", tokens.len());
            return Err(EngineError::Input { sequence, reason });
        }
        if let Some(cell) = tokens.iter().position(|&t| usize::from(t) >= vocab) {
            let reason = format!("token {} at cell {cell} is not below {vocab}", tokens[cell]);
            return Err(EngineError::Input { sequence, reason });
        }
    }
    Ok(())
}
