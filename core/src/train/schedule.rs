//! The learning rate in the course of a run.

use serde::{Deserialize, Serialize};

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fall {
    /// Not at all.
    #[default]
    Constant,
    /// In a straight line, over the last part of the run.
    Linear,
    /// Along half a cosine, over the whole run.
    Cosine,
}

/// The factor on every learning rate, from the start of a run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How it falls.
    pub fall: Fall,
    /// Steps in which it rises to 1.
    pub warmup: u64,
    /// The factor at the end.
    pub floor: f64,
    /// Share of the run in which [`Fall::Linear`] falls.
    pub share: f64,
}

impl Schedule {
    /// The factor at a step, counted from 0. `done` is the share of the run
    /// that is done, none in one without an end; `steps` those that it has,
    /// where that is how its length is given.
    #[must_use]
    pub fn factor(&self, step: u64, done: Option<f64>, steps: Option<u64>) -> f64 {
        let warm = if self.warmup == 0 {
            1.0
        } else {
            ((step + 1) as f64 / self.warmup as f64).min(1.0)
        };
        // Share of the fall that is still to come.
        let left = match (self.fall, done) {
            (Fall::Linear, Some(done)) if self.share > 0.0 => {
                ((1.0 - done) / self.share).clamp(0.0, 1.0)
            }
            (Fall::Cosine, Some(done)) => {
                // The warm-up is counted in steps: a run by time has no share for it.
                let warmup =
                    steps.map_or(0.0, |all| (self.warmup as f64 / all.max(1) as f64).min(1.0));
                let fallen = ((done - warmup) / (1.0 - warmup).max(1e-9)).clamp(0.0, 1.0);
                0.5 * (1.0 + (std::f64::consts::PI * fallen).cos())
            }
            _ => 1.0,
        };
        warm * (self.floor + (1.0 - self.floor) * left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_warms_up_holds_and_falls() {
        let linear = Schedule {
            fall: Fall::Linear,
            warmup: 10,
            floor: 0.02,
            share: 0.4,
        };
        let at = |s: &Schedule, step: u64| s.factor(step, Some(step as f64 / 1e3), Some(1000));
        for (step, factor) in [(0, 0.1), (300, 1.0), (800, 0.51), (1000, 0.02)] {
            assert!((at(&linear, step) - factor).abs() < 1e-12, "{step}");
        }
        let cosine = Schedule {
            fall: Fall::Cosine,
            floor: 0.1,
            ..linear
        };
        for (step, factor) in [(4, 0.5), (10, 1.0), (505, 0.55), (1000, 0.1)] {
            assert!((at(&cosine, step) - factor).abs() < 1e-12, "{step}");
        }
        // Without an end nothing falls.
        assert!((linear.factor(5000, None, None) - 1.0).abs() < 1e-12);
    }
}
