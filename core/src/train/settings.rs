//! How a model is trained, the schedule and the data aside.

use serde::{Deserialize, Serialize};

use super::loss::LossKind;
use super::optim::OptimizerSettings;

/// The arithmetic of forward and backward passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// bf16 in the modules, rounded from f32 weights at every use; f32 in
    /// norms, rotations, softmax and the q head; f32 logits.
    Bf16,
}

/// How a model is trained, the schedule and the data aside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerSettings {
    /// Puzzles trained on at a time.
    pub batch_size: usize,
    /// Parts of the batch that are computed at the same time, each on a
    /// thread of its own; for processors, where a device's own parallelism
    /// leaves threads idle. 1 for none, and where there are no threads.
    pub threads: usize,
    /// The arithmetic of the forward and backward passes. Weights, their
    /// updates, norms and losses are f32 (the loss f64) in any case.
    pub precision: Precision,
    /// The cells' loss.
    pub loss: LossKind,
    /// Weight of the q losses beside the cells' loss.
    pub q_weight: f64,
    /// Decay of the weights' moving average; none without one. Shorter at
    /// first, `(1 + step) / (10 + step)`, to leave the initial weights.
    pub ema: Option<f64>,
    /// Largest norm of all gradients taken together; larger ones are scaled
    /// down to it. Not limited without one.
    pub clip: Option<f64>,
    /// The optimizer.
    pub optimizer: OptimizerSettings,
    /// Seed of exploration.
    pub seed: u64,
}
