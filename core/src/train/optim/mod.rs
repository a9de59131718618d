//! The optimizers: settings, which rule each tensor follows, and what the
//! rule remembers of it.

pub(super) mod adam;
pub(super) mod muon;

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, TensorKind};

/// Which rule updates the weights. The puzzle embedding always follows the
/// sign of its gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// AdamATan2 on every weight (HRM).
    #[default]
    AdamAtan2,
    /// Muon on the matrices of the modules, AdamW on everything else.
    Muon,
}

/// Step size, decay and moments of an Adam-like rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamSettings {
    /// Learning rate.
    pub lr: f64,
    /// Decoupled weight decay: a step scales weights by `1 - lr * decay`.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
}

/// Settings of all rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerSettings {
    /// The rule of the weights.
    pub kind: OptimizerKind,
    /// AdamATan2, or AdamW beside Muon.
    pub adam: AdamSettings,
    /// Muon's learning rate.
    pub muon_lr: f64,
    /// Muon's decoupled weight decay.
    pub muon_weight_decay: f64,
    /// Muon's momentum.
    pub muon_momentum: f64,
    /// Learning rate of the puzzle embedding.
    pub puzzle_emb_lr: f64,
    /// Decoupled decay of the puzzle embedding's rows in use.
    pub puzzle_emb_weight_decay: f64,
}

impl Default for OptimizerSettings {
    /// The paper's run (AdamATan2), with Muon's settings for the compact
    /// model.
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamAtan2,
            adam: AdamSettings {
                lr: 1e-4,
                weight_decay: 1.0,
                beta1: 0.9,
                beta2: 0.95,
            },
            muon_lr: 0.02,
            muon_weight_decay: 0.005,
            muon_momentum: 0.95,
            puzzle_emb_lr: 1e-4,
            puzzle_emb_weight_decay: 1.0,
        }
    }
}

/// The rule that updates a tensor. Weight decay is decoupled everywhere: it
/// never enters the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Not trained.
    Fixed,
    /// Sign of the gradient, on the rows of the table that are in use; decay on
    /// those too.
    Sign,
    /// AdamATan2 (arXiv 2407.05872): `atan2(m, sqrt(v))` in place of the
    /// quotient, so that the step does not depend on the gradient's scale.
    AdamAtan2,
    /// AdamW, its epsilon 1e-8.
    AdamW,
    /// Muon: momentum made orthogonal (Jordan et al. 2024), for matrices.
    Muon,
}

impl Rule {
    /// The rules of a plan's tensors, in its order.
    #[must_use]
    pub fn of(plan: &Plan, kind: OptimizerKind) -> Vec<Self> {
        let mut in_modules = vec![false; plan.tensors.len()];
        for sublayer in plan.modules.iter().flatten() {
            for id in sublayer.matrices() {
                in_modules[id.index()] = true;
            }
        }
        let specs = plan.tensors.iter().zip(in_modules);
        specs
            .map(|(spec, in_module)| match (spec.kind, kind) {
                (TensorKind::Buffer, _) => Self::Fixed,
                (TensorKind::PuzzleEmbedding, _) => Self::Sign,
                (TensorKind::Weight, OptimizerKind::AdamAtan2) => Self::AdamAtan2,
                (TensorKind::Weight, OptimizerKind::Muon) if in_module => Self::Muon,
                (TensorKind::Weight, OptimizerKind::Muon) => Self::AdamW,
            })
            .collect()
    }

    /// Whether a moving average is kept of what it trains. Of the puzzle
    /// embedding there is none, as published: its table may be far larger than
    /// all else, and a step changes a few rows of it.
    #[must_use]
    pub fn averages(self) -> bool {
        self != Self::Sign
    }

    /// What it remembers of a tensor, each as large as the tensor itself, by
    /// the names used in files.
    #[must_use]
    pub fn memory(self) -> &'static [&'static str] {
        match self {
            Self::Fixed | Self::Sign => &[],
            Self::AdamAtan2 | Self::AdamW => &["exp_avg", "exp_avg_sq"],
            Self::Muon => &["momentum"],
        }
    }
}

/// Everything an update needs to know beside the gradients.
#[derive(Debug, Clone, Copy)]
pub struct Stride {
    /// The step, from 1.
    pub step: u64,
    /// On every learning rate.
    pub factor: f64,
    /// On every gradient: below 1 where the norm is above the limit.
    pub shrink: f64,
    /// Share of the average that stays, where one is kept.
    pub keep: Option<f64>,
}
