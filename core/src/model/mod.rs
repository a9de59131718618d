//! The trainable model, in burn: a [`Plan`](crate::plan::Plan) walked with
//! gradients.
//!
//! [`Parameters`] hold one tensor for each of the plan's, a [`Network`] is
//! those made ready for a forward pass (with or without gradient),
//! [`Trainer`] does the training steps of deep supervision with adaptive
//! halting, [`evaluate`] runs all segments. The device is chosen at run time;
//! nothing here knows which one it is.

mod act;
mod clock;
mod draws;
mod evaluate;
mod fault;
mod host;
mod inputs;
mod loss;
mod method;
#[cfg(test)]
mod method_tests;
mod network;
mod optim;
mod parameters;
mod pass;
mod shard;
mod state;
#[cfg(test)]
mod tests;
mod trainer;

pub use burn::tensor::{Device, DeviceKind, DeviceType};

pub use act::Example;
pub use clock::{Clock, Part};
pub use evaluate::{SegmentGuess, evaluate};
pub use inputs::Inputs;
pub use loss::{LossKind, QLoss, cell_loss, q_loss};
pub use method::{Supervision, TrainingMethod};
pub use network::{Network, Output, Precision, State};
pub use optim::{AdamSettings, Optimizer, OptimizerKind, OptimizerSettings};
pub use parameters::Parameters;
pub use state::without_rows;
pub use trainer::{Gradients, StepReport, Trainer, TrainerSettings};

/// What can go wrong between the host and the device.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
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
    /// A saved optimizer state that does not fit the model.
    #[error("optimizer state: {0}")]
    State(String),
}

fn place(at: Option<(usize, usize)>) -> String {
    at.map_or_else(String::new, |(row, segment)| {
        format!(", in segment {segment} of row {row} of the batch")
    })
}
