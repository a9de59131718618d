//! Adam without (AdamATan2) and with (AdamW) an epsilon. Weight decay is
//! decoupled: it never enters the gradient.

use burn::tensor::Tensor;

use super::AdamSettings;

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

/// A step of AdamATan2 (arXiv 2407.05872): `atan2(m, sqrt(v))` in place of
/// the quotient, so that the step does not depend on the gradient's scale.
pub(super) fn atan2_step(
    s: &AdamSettings,
    lr: f64,
    step: u64,
    p: Tensor<2>,
    gradient: Tensor<2>,
    m: &mut Tensor<2>,
    v: &mut Tensor<2>,
) -> Tensor<2> {
    let (correction, root) = moments(s, step, gradient, m, v);
    p * (1.0 - lr * s.weight_decay) - m.clone().atan2(root) * (lr * correction)
}

/// A step of AdamW, its epsilon 1e-8.
pub(super) fn adamw_step(
    s: &AdamSettings,
    lr: f64,
    step: u64,
    p: Tensor<2>,
    gradient: Tensor<2>,
    m: &mut Tensor<2>,
    v: &mut Tensor<2>,
) -> Tensor<2> {
    let (correction, root) = moments(s, step, gradient, m, v);
    p * (1.0 - lr * s.weight_decay) - m.clone() / (root + 1e-8) * (lr * correction)
}
