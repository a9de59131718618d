//! The optimizers on a device's tensors.

use burn::tensor::{Device, IndexingUpdateOp, Tensor};

use super::parameters::{Parameters, indices, read, upload};
use crate::plan::Plan;
use crate::train::{
    AdamSettings, ORTHOGONAL_STEPS, OptimizerSettings, QUINTIC, Rule, Stride, TrainError,
};

/// The optimizer of one model.
#[derive(Debug, Clone)]
pub(super) struct Optimizer {
    settings: OptimizerSettings,
    /// In the plan's order.
    rules: Vec<Rule>,
    /// What each rule remembers, as [`Rule::memory`] names it.
    memory: Vec<Vec<Tensor<2>>>,
}

impl Optimizer {
    /// An optimizer without memory.
    pub(super) fn new(plan: &Plan, settings: OptimizerSettings, device: &Device) -> Self {
        let rules = Rule::of(plan, settings.kind);
        let zeros = |(rule, spec): (&Rule, &crate::plan::TensorSpec)| {
            let parts = rule.memory().iter();
            parts
                .map(|_| Tensor::zeros(spec.matrix_shape(), device))
                .collect()
        };
        Self {
            settings,
            memory: rules.iter().zip(&plan.tensors).map(zeros).collect(),
            rules,
        }
    }

    /// Moves the parameters by one step. `gradients` are in the plan's
    /// order, none where the loss does not depend on the tensor; those of the
    /// puzzle embedding, whose rows are moved by [`signs`], are not looked at.
    pub(super) fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: Vec<Option<Tensor<2>>>,
        stride: Stride,
    ) {
        let s = &self.settings;
        let all = parameters
            .tensors_mut()
            .iter_mut()
            .zip(self.rules.iter().zip(&mut self.memory))
            .zip(gradients);
        for ((parameter, (rule, memory)), gradient) in all {
            let Some(gradient) = gradient else { continue };
            let p = parameter.clone();
            let adam = s.adam.lr * stride.factor;
            *parameter = match (rule, memory.as_mut_slice()) {
                (Rule::AdamAtan2, [m, v]) => {
                    let (correction, root) = moments(&s.adam, stride.step, gradient, m, v);
                    let kept = p * (1.0 - adam * s.adam.weight_decay);
                    kept - m.clone().atan2(root) * (adam * correction)
                }
                (Rule::AdamW, [m, v]) => {
                    let (correction, root) = moments(&s.adam, stride.step, gradient, m, v);
                    let kept = p * (1.0 - adam * s.adam.weight_decay);
                    kept - m.clone() / (root + 1e-8) * (adam * correction)
                }
                (Rule::Muon, [momentum]) => {
                    let lr = s.muon_lr * stride.factor;
                    let update = direction(gradient, momentum, s.muon_momentum);
                    p * (1.0 - lr * s.muon_weight_decay) - update * lr
                }
                // Not trained; a rule's memory is as long as its names.
                _ => continue,
            };
        }
    }

    /// How it is set.
    pub(super) fn settings(&self) -> &OptimizerSettings {
        &self.settings
    }

    /// Reads what it remembers.
    pub(super) fn read(&self) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
        let of = |parts: &Vec<Tensor<2>>| {
            let parts = parts.iter();
            parts
                .map(|tensor| read(tensor.clone(), "the optimizer's memory"))
                .collect()
        };
        self.memory.iter().map(of).collect()
    }

    /// Replaces what it remembers.
    pub(super) fn replace(&mut self, plan: &Plan, memory: Vec<Vec<Vec<f32>>>, device: &Device) {
        let tensors = plan.tensors.iter().zip(memory);
        self.memory = tensors
            .map(|(spec, parts)| {
                let parts = parts.into_iter();
                parts
                    .map(|values| upload(values, spec.matrix_shape(), device))
                    .collect()
            })
            .collect();
    }
}

/// Moves these rows of the puzzle embedding against the signs of their
/// gradients, `[rows, hidden]`, on the device where both are. What is not in use
/// is not looked at.
pub(super) fn signs(
    s: &OptimizerSettings,
    table: Tensor<2>,
    rows: &[u32],
    gradient: Tensor<2>,
    factor: f64,
) -> Tensor<2> {
    let at = indices(rows, &table.device());
    let lr = s.puzzle_emb_lr * factor;
    let old = table.clone().select(0, at.clone());
    let change = old * (-lr * s.puzzle_emb_weight_decay) - gradient.sign() * lr;
    table.select_assign(0, at, change, IndexingUpdateOp::Add)
}

/// Moves the moments towards a gradient and returns the correction of the
/// first (a factor) and the bias-corrected root of the second.
fn moments(
    s: &AdamSettings,
    step: u64,
    gradient: Tensor<2>,
    m: &mut Tensor<2>,
    v: &mut Tensor<2>,
) -> (f64, Tensor<2>) {
    let square = gradient.clone() * gradient.clone();
    *m = m.clone() * s.beta1 + gradient * (1.0 - s.beta1);
    *v = v.clone() * s.beta2 + square * (1.0 - s.beta2);
    let (first, second) = (
        1.0 - s.beta1.powf(step as f64),
        1.0 - s.beta2.powf(step as f64),
    );
    (1.0 / first, v.clone().sqrt() * (1.0 / second.sqrt()))
}

/// Moves the momentum towards a gradient; returns the direction to subtract:
/// the Nesterov momentum made orthogonal, times `sqrt(max(1, rows/columns))`.
fn direction(gradient: Tensor<2>, momentum: &mut Tensor<2>, decay: f64) -> Tensor<2> {
    let [rows, columns] = gradient.dims();
    *momentum = momentum.clone() * decay + gradient.clone() * (1.0 - decay);
    let ahead = momentum.clone() * decay + gradient * (1.0 - decay);
    orthogonal(ahead) * (rows as f64 / columns as f64).max(1.0).sqrt()
}

/// Approximately `U Vᵀ` of the singular value decomposition `U S Vᵀ`.
fn orthogonal(g: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = g.dims();
    let tall = rows > columns;
    let mut x = if tall { g.transpose() } else { g };
    let norm = (x.clone() * x.clone()).sum().sqrt().add_scalar(1e-7);
    x = x / norm.unsqueeze();
    let (a, b, c) = QUINTIC;
    for _ in 0..ORTHOGONAL_STEPS {
        let s = x.clone().matmul(x.clone().transpose());
        let polynomial = s.clone() * b + s.clone().matmul(s) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn rows_of_a_direction_are_nearly_orthonormal() {
        let device = Device::flex();
        for shape in [[12, 30], [30, 12]] {
            let g = Tensor::<2>::random(shape, Distribution::Normal(0.0, 3.0), &device);
            let x = orthogonal(g);
            let x = if shape[0] > shape[1] {
                x.transpose()
            } else {
                x
            };
            let gram: Vec<f32> = x.clone().matmul(x.transpose()).try_into_vec_as().unwrap();
            for i in 0..12 {
                for j in 0..12 {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!(
                        (gram[i * 12 + j] - expected).abs() < 0.55,
                        "{i} {j}: {}",
                        gram[i * 12 + j]
                    );
                }
            }
        }
    }
}
