//! The optimisers, over a plan's tensors and their gradients.
//!
//! The state of each tensor is kept, saved and loaded under its name.

mod adam;
mod muon;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::host::{adam_step, lend_four};
use super::parameters::{Parameters, matrix_shape, upload};
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

/// What a rule remembers of one tensor.
#[derive(Debug, Clone)]
enum Slot {
    /// Not trained.
    Fixed,
    /// Sign of the gradient: no memory.
    Sign,
    /// First and second moment.
    Atan2 { m: Tensor<2>, v: Tensor<2> },
    /// First and second moment.
    AdamW { m: Tensor<2>, v: Tensor<2> },
    /// Momentum.
    Muon { momentum: Tensor<2> },
}

/// The optimiser of one model.
#[derive(Debug, Clone)]
pub struct Optimizer {
    settings: OptimizerSettings,
    /// Steps taken.
    step: u64,
    /// In the plan's order.
    slots: Vec<Slot>,
    /// Threads of the passes on the host; 0: the device computes.
    host: usize,
}

impl Optimizer {
    /// An optimiser without memory.
    #[must_use]
    pub fn new(plan: &Plan, settings: OptimizerSettings, device: &Device) -> Self {
        let mut in_modules = vec![false; plan.tensors.len()];
        for sublayer in plan.modules.iter().flatten() {
            for id in sublayer.matrices() {
                in_modules[id.index()] = true;
            }
        }
        let slots = plan
            .tensors
            .iter()
            .zip(in_modules)
            .map(|(spec, in_module)| {
                let zeros = || Tensor::zeros(matrix_shape(&spec.shape), device);
                match (spec.kind, settings.kind) {
                    (TensorKind::Buffer, _) => Slot::Fixed,
                    (TensorKind::PuzzleEmbedding, _) => Slot::Sign,
                    (TensorKind::Weight, OptimizerKind::AdamAtan2) => Slot::Atan2 {
                        m: zeros(),
                        v: zeros(),
                    },
                    (TensorKind::Weight, OptimizerKind::Muon) if in_module => {
                        Slot::Muon { momentum: zeros() }
                    }
                    (TensorKind::Weight, OptimizerKind::Muon) => Slot::AdamW {
                        m: zeros(),
                        v: zeros(),
                    },
                }
            })
            .collect();
        Self {
            settings,
            step: 0,
            slots,
            host: 0,
        }
    }

    /// Lets the host compute on so many threads, for tensors that are in its
    /// memory; with 0 the device.
    pub(super) fn use_host(&mut self, threads: usize) {
        self.host = threads;
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Moves the parameters by one step. `gradients` are in the plan's
    /// order, none where the loss does not depend on the tensor; `factor`
    /// scales every learning rate (warm-up, decay).
    ///
    /// # Errors
    /// If the host computes and can't read a tensor.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: Vec<Option<Tensor<2>>>,
        factor: f64,
    ) -> Result<(), ModelError> {
        self.step += 1;
        let s = &self.settings;
        let all = parameters
            .tensors_mut()
            .iter_mut()
            .zip(&mut self.slots)
            .zip(gradients);
        for ((parameter, slot), gradient) in all {
            let Some(mut gradient) = gradient else {
                continue;
            };
            if self.host > 0
                && let Slot::Atan2 { m, v } | Slot::AdamW { m, v } = slot
            {
                let quotient = s.kind == OptimizerKind::Muon;
                let (shape, device) = (parameter.dims(), parameter.device());
                let mut tensors = [parameter, &mut gradient, m, v];
                let [mut p, mut g, mut m, mut v] = lend_four(&mut tensors, &device)?;
                let vectors = [&mut p[..], &mut g, &mut m, &mut v];
                let lr = s.adam.lr * factor;
                adam_step(&s.adam, lr, self.step, vectors, quotient, self.host);
                for (tensor, values) in tensors.into_iter().zip([p, g, m, v]) {
                    *tensor = upload(values, shape, &device);
                }
                continue;
            }
            let p = parameter.clone();
            *parameter = match slot {
                Slot::Fixed => continue,
                Slot::Sign => {
                    let lr = s.puzzle_emb_lr * factor;
                    p * (1.0 - lr * s.puzzle_emb_weight_decay) - gradient.sign() * lr
                }
                Slot::Atan2 { m, v } => {
                    adam::atan2_step(&s.adam, s.adam.lr * factor, self.step, p, gradient, m, v)
                }
                Slot::AdamW { m, v } => {
                    adam::adamw_step(&s.adam, s.adam.lr * factor, self.step, p, gradient, m, v)
                }
                Slot::Muon { momentum } => {
                    let lr = s.muon_lr * factor;
                    let update = muon::direction(gradient, momentum, s.muon_momentum);
                    p * (1.0 - lr * s.muon_weight_decay) - update * lr
                }
            };
        }
        Ok(())
    }

    /// The memory by name: `<tensor>.exp_avg`, `.exp_avg_sq`, `.momentum`.
    pub(super) fn named(&self, plan: &Plan) -> Vec<(String, Tensor<2>)> {
        let mut named = Vec::new();
        for (slot, spec) in self.slots.iter().zip(&plan.tensors) {
            for (part, tensor) in slot.parts() {
                named.push((format!("{}.{part}", spec.name), tensor.clone()));
            }
        }
        named
    }

    /// Takes memory from values by name, removing what it takes.
    ///
    /// # Errors
    /// If a tensor is missing or of the wrong length.
    pub(super) fn restore(
        &mut self,
        plan: &Plan,
        step: u64,
        values: &mut BTreeMap<String, Vec<f32>>,
        device: &Device,
    ) -> Result<(), ModelError> {
        for (slot, spec) in self.slots.iter_mut().zip(&plan.tensors) {
            for (part, tensor) in slot.parts_mut() {
                let name = format!("{}.{part}", spec.name);
                let found = values
                    .remove(&name)
                    .ok_or_else(|| ModelError::State(format!("tensor `{name}` is missing")))?;
                if found.len() != spec.elements() {
                    let reason = format!(
                        "tensor `{name}` has {} elements, not {}",
                        found.len(),
                        spec.elements()
                    );
                    return Err(ModelError::State(reason));
                }
                *tensor = upload(found, matrix_shape(&spec.shape), device);
            }
        }
        self.step = step;
        Ok(())
    }
}

impl Slot {
    fn parts(&self) -> Vec<(&'static str, &Tensor<2>)> {
        match self {
            Self::Fixed | Self::Sign => Vec::new(),
            Self::Atan2 { m, v } | Self::AdamW { m, v } => vec![("exp_avg", m), ("exp_avg_sq", v)],
            Self::Muon { momentum } => vec![("momentum", momentum)],
        }
    }

    fn parts_mut(&mut self) -> Vec<(&'static str, &mut Tensor<2>)> {
        match self {
            Self::Fixed | Self::Sign => Vec::new(),
            Self::Atan2 { m, v } | Self::AdamW { m, v } => vec![("exp_avg", m), ("exp_avg_sq", v)],
            Self::Muon { momentum } => vec![("momentum", momentum)],
        }
    }
}
