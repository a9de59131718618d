//! The CPU engine: walks a [`Plan`] in f32.
//!
//! It is the reference that every GPU kernel is tested against, and the
//! engine of browsers without WebGPU (or with a software adapter, which it
//! outruns tenfold). Quantized weights are expanded once, when a model is
//! made.

mod gemm;
mod math;
mod ops;
mod run;

use std::sync::Arc;

pub use run::CpuRun;

use crate::plan::{Plan, Sublayer, TensorId};
use crate::weights::Weights;

/// A model ready to run on the CPU; cheap to share between runs and threads.
#[derive(Debug)]
pub struct CpuModel {
    plan: Arc<Plan>,
    /// Dense values in the plan's order.
    tensors: Vec<Vec<f32>>,
    /// Cosines and sines of the rotary embedding, if any layer uses it.
    rotary: Option<ops::Rotary>,
}

impl CpuModel {
    /// Prepares weights, which are of this plan by construction.
    #[must_use]
    pub fn new(plan: Arc<Plan>, weights: &Weights) -> Self {
        let tensors = weights
            .tensors()
            .iter()
            .map(|t| t.dense().into_owned())
            .collect();
        let rotary = plan.modules.iter().flatten().find_map(|s| match s {
            Sublayer::Attention {
                rope_theta: Some(theta),
                head_dim,
                ..
            } => Some(ops::Rotary::new(plan.positions, *head_dim, *theta)),
            _ => None,
        });
        Self {
            plan,
            tensors,
            rotary,
        }
    }

    /// The architecture.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn tensor(&self, id: TensorId) -> &[f32] {
        &self.tensors[id.index()]
    }
}
