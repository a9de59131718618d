//! Losses with their gradients, on the host in f64.
//!
//! Halting is decided on the host anyway, so the logits are there; computed
//! here, the losses are exact on every device and the graph starts at their
//! gradients.

use serde::{Deserialize, Serialize};

/// The loss of a cell's logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// Cross entropy of stablemax (arXiv 2501.04697): `s(x) / Σ s` with
    /// `s(x) = x + 1` for `x >= 0` and `1 / (1 - x)` below (HRM).
    #[default]
    Stablemax,
    /// Cross entropy of softmax.
    Softmax,
}

/// Cross entropy of one cell's logits, and its gradient by the logits times
/// `weight` into `gradient` (as long as `logits`). Returns the unweighted
/// loss, in nats.
pub fn cell_loss(
    kind: LossKind,
    logits: &[f32],
    label: usize,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    match kind {
        LossKind::Stablemax => {
            // s and s' of a logit.
            let stable = |x: f32| {
                let x = f64::from(x);
                if x >= 0.0 {
                    (x + 1.0, 1.0)
                } else {
                    (1.0 / (1.0 - x), (1.0 - x).powi(-2))
                }
            };
            let total: f64 = logits.iter().map(|&x| stable(x).0).sum();
            for (i, (g, &x)) in gradient.iter_mut().zip(logits).enumerate() {
                let (s, slope) = stable(x);
                let own = if i == label { 1.0 / s } else { 0.0 };
                *g = (weight * slope * (1.0 / total - own)) as f32;
            }
            (total / stable(logits[label]).0).ln()
        }
        LossKind::Softmax => {
            let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let total: f64 = logits.iter().map(|&x| (f64::from(x) - top).exp()).sum();
            for (i, (g, &x)) in gradient.iter_mut().zip(logits).enumerate() {
                let p = (f64::from(x) - top).exp() / total;
                *g = (weight * (p - if i == label { 1.0 } else { 0.0 })) as f32;
            }
            total.ln() + top - f64::from(logits[label])
        }
    }
}

/// A binary cross entropy and its gradient by the logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QLoss {
    /// The loss, in nats.
    pub loss: f64,
    /// Its derivative by the logit.
    pub gradient: f64,
}

/// Binary cross entropy of a logit against a target in `[0, 1]`.
#[must_use]
pub fn q_loss(logit: f32, target: f64) -> QLoss {
    let x = f64::from(logit);
    QLoss {
        loss: x.max(0.0) - x * target + (-x.abs()).exp().ln_1p(),
        gradient: sigmoid(x) - target,
    }
}

/// The logistic function.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_the_slopes_of_the_losses() {
        let logits = [0.7_f32, -1.3, 2.1, -0.2, 0.4];
        for kind in [LossKind::Stablemax, LossKind::Softmax] {
            for label in 0..logits.len() {
                let mut gradient = [0.0; 5];
                cell_loss(kind, &logits, label, 1.0, &mut gradient);
                for i in 0..logits.len() {
                    let at = |delta: f32| {
                        let mut moved = logits;
                        moved[i] += delta;
                        cell_loss(kind, &moved, label, 1.0, &mut [0.0; 5])
                    };
                    let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
                    assert!(
                        (slope - f64::from(gradient[i])).abs() < 1e-4,
                        "{kind:?} {label} {i}"
                    );
                }
            }
        }
        for (logit, target) in [(-5.0, 0.0), (-5.0, 1.0), (0.3, 0.25), (90.0, 0.0)] {
            let slope =
                (q_loss(logit + 1e-2, target).loss - q_loss(logit - 1e-2, target).loss) / 2e-2;
            assert!((slope - q_loss(logit, target).gradient).abs() < 1e-3);
        }
    }

    #[test]
    fn stablemax_of_equal_logits_is_uniform() {
        let loss = cell_loss(LossKind::Stablemax, &[-3.0; 11], 4, 1.0, &mut [0.0; 11]);
        assert!((loss - 11.0_f64.ln()).abs() < 1e-12);
    }
}
