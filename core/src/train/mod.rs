//! Training: deep supervision with adaptive halting, on any backend.
//!
//! A [`Trainer`] takes steps: one segment of every row of the batch and one
//! update of the weights. What a step decides (which puzzles begin, the loss,
//! who halts, what is drawn) is here and the same everywhere; its arithmetic
//! is a [`Backend`]'s: [`Host`], the CPU engine's forward and backward passes,
//! natively and in browsers, or burn on a GPU (`model::Burn`).
//!
//! Several processes, as the workers of a page, can share a batch: each has a
//! trainer for some of its rows. The leader hands out [`Orders`], everyone
//! computes a [`Share`], and the leader adds them up.

mod act;
mod backend;
mod clock;
mod draws;
mod fault;
pub mod held_out;
mod host;
mod loss;
mod method;
#[cfg(test)]
mod method_tests;
mod optim;
mod report;
mod rows;
mod sampler;
mod schedule;
mod score;
mod settings;
mod shard;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod trainer;
mod vectors;

pub use act::{Example, Sequence};
pub use backend::{Answers, Backend, Given, SegmentGuess, Slopes};
pub use clock::{Clock, Part};
pub use draws::Noise;
pub use host::{Gradients, Host};
pub use loss::{LossKind, QLoss, cell_loss, q_loss};
pub use method::{Supervision, TrainingMethod};
pub use optim::{AdamSettings, OptimizerKind, OptimizerSettings, Rule, Stride};
pub use report::{Place, StepReport};
pub use rows::Rows;
pub use sampler::{Sampler, Variation};
pub use schedule::{Fall, Schedule};
pub use score::Score;
pub use settings::{Precision, TrainerSettings};
pub use state::{CarriedRows, without_rows};
pub use trainer::{Orders, Share, Trainer};

#[cfg(feature = "burn")]
pub(crate) use {
    clock::timed,
    optim::muon::{QUINTIC, STEPS as ORTHOGONAL_STEPS},
    shard::most_likely,
};

/// Why training can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A tensor could not be read back from the device.
    #[error("reading `{what}` back from the device: {reason}")]
    Read {
        /// The tensor.
        what: String,
        /// The device's message.
        reason: String,
    },
    /// Weights that do not fit the plan.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightsError),
    /// A puzzle that does not fit the model.
    #[error("puzzle {row}: {reason}")]
    Input {
        /// Row of the batch.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A value is not a finite number any more: training has diverged.
    #[error("not a finite number at step {step}: {part}{}", place(*.at))]
    Diverged {
        /// The step that found it.
        step: u64,
        /// The value: a part of the loss, a weight, a state, a gradient.
        part: String,
        /// The first row of the batch where it is, and the segment which
        /// that row was in, from 1; none for what all rows share.
        at: Option<(usize, usize)>,
    },
    /// Options of training that contradict each other or the model.
    #[error("training: {0}")]
    Method(String),
    /// A saved state that does not fit the model.
    #[error("optimizer state: {0}")]
    State(String),
}

fn place(at: Option<(usize, usize)>) -> String {
    at.map_or_else(String::new, |(row, segment)| {
        format!(", in segment {segment} of row {row} of the batch")
    })
}
