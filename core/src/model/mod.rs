//! The trainable model, in burn: a [`Plan`](crate::plan::Plan) walked with
//! gradients.
//!
//! [`Parameters`] hold one tensor for each of the plan's, a [`Network`] is
//! those made ready for a forward pass (with or without gradient),
//! [`Trainer`] does the training steps of deep supervision with adaptive
//! halting, [`evaluate`] runs all segments. The device is chosen at run time;
//! nothing here knows which one it is.

mod act;
mod evaluate;
mod loss;
mod network;
mod optim;
mod parameters;
mod shard;
mod state;
#[cfg(test)]
mod tests;
mod trainer;

pub use burn::tensor::Device;

pub use act::Example;
pub use evaluate::{SegmentGuess, evaluate};
pub use loss::{LossKind, QLoss, cell_loss, q_loss};
pub use network::{Network, Output, State, token_tensor};
pub use optim::{AdamSettings, Optimizer, OptimizerKind, OptimizerSettings};
pub use parameters::Parameters;
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
    /// The loss is not a number any more: training has diverged.
    #[error(
        "the loss is {loss} at step {step}: lower the learning rate, or resume from a checkpoint"
    )]
    Diverged {
        /// The step that found it.
        step: u64,
        /// Its value.
        loss: f64,
    },
    /// A saved optimizer state that does not fit the model.
    #[error("optimizer state: {0}")]
    State(String),
}
