//! Statistics of counted successes.

use serde::{Deserialize, Serialize};

/// Standard deviations on each side of a mean between which 95 % of a normal
/// distribution lie.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A share with its 95 % Wilson score interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Successes.
    pub successes: usize,
    /// Trials.
    pub n: usize,
    /// Successes over trials, 0 without trials.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Proportion {
    /// The share of `successes` in `n` trials.
    #[must_use]
    pub fn new(successes: usize, n: usize) -> Self {
        let (low, high) = wilson(successes, n);
        Self {
            successes,
            n,
            value: successes as f64 / n.max(1) as f64,
            low,
            high,
        }
    }
}

/// The 95 % interval of a share of `successes` in `n` trials after Wilson
/// (1927), which stays sensible near 0 and 1; from 0 to 1 without trials.
#[must_use]
pub fn wilson(successes: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (p, n) = (successes as f64 / n as f64, n as f64);
    let z2 = Z_95 * Z_95 / n;
    let centre = (p + z2 / 2.0) / (1.0 + z2);
    let half = Z_95 / (1.0 + z2) * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

impl std::fmt::Display for Proportion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |v: f64| 100.0 * v;
        write!(
            f,
            "{:.2} % [{:.2}, {:.2}] (n = {})",
            percent(self.value),
            percent(self.low),
            percent(self.high),
            self.n
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_agrees_with_published_values() {
        // Newcombe 1998, table I: 81/263 and 0/20.
        let p = Proportion::new(81, 263);
        assert!(
            (p.low - 0.2553).abs() < 1e-4 && (p.high - 0.3662).abs() < 1e-4,
            "{p}"
        );
        let p = Proportion::new(0, 20);
        assert!(p.low == 0.0 && (p.high - 0.1611).abs() < 1e-4, "{p}");
        // Brown, Cai and DasGupta 2001: 5 of 10.
        let (low, high) = wilson(5, 10);
        assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}
