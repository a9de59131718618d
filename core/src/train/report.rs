//! What a step measures.

use serde::{Deserialize, Serialize};

/// A measure's place in a report.
pub type Place = fn(&mut StepReport) -> &mut f64;

/// Measures of one step, over all rows of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StepReport {
    /// The cells' loss: mean over the cells, then over the batch.
    pub cell_loss: f64,
    /// Binary cross entropy of `q_halt`, mean over the batch.
    pub q_halt_loss: f64,
    /// Binary cross entropy of `q_continue`, mean over the batch; 0 without.
    pub q_continue_loss: f64,
    /// What was minimised: `cell_loss + q_weight * (…)`.
    pub loss: f64,
    /// Share of right cells, the givens included.
    pub cell_accuracy: f64,
    /// Share of right grids.
    pub exact_accuracy: f64,
    /// Share of rows where `q_halt > 0` agrees with the grid being right.
    pub q_halt_accuracy: f64,
    /// Mean segments done, this one included.
    pub segments: f64,
    /// Rows that ended their puzzle with this step.
    pub finished: usize,
    /// Of those, the rows whose grid is right.
    pub finished_right: usize,
    /// Rows that began a puzzle with this step.
    pub started: usize,
    /// Euclidean norm of all gradients taken together, before clipping.
    pub gradient_norm: f64,
}

impl StepReport {
    /// The means that people are shown, by name: of several steps' reports
    /// each is averaged.
    pub const MEANS: [(&'static str, Place); 9] = [
        ("loss", |r| &mut r.loss),
        ("cell_loss", |r| &mut r.cell_loss),
        ("q_halt_loss", |r| &mut r.q_halt_loss),
        ("q_continue_loss", |r| &mut r.q_continue_loss),
        ("cell_accuracy", |r| &mut r.cell_accuracy),
        ("exact_accuracy", |r| &mut r.exact_accuracy),
        ("q_halt_accuracy", |r| &mut r.q_halt_accuracy),
        ("segments", |r| &mut r.segments),
        ("gradient_norm", |r| &mut r.gradient_norm),
    ];

    /// Adds another's measures: those of a part of the batch, which are
    /// already divided by the whole batch, or of another step.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (_, of) in Self::MEANS {
            *of(self) += *of(&mut other);
        }
        self.finished += other.finished;
        self.finished_right += other.finished_right;
        self.started += other.started;
    }

    /// The means of so many steps whose reports were added; what is counted
    /// stays a sum.
    #[must_use]
    pub fn averaged(mut self, steps: u64) -> Self {
        for (_, of) in Self::MEANS {
            *of(&mut self) /= steps.max(1) as f64;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_averaged_and_counts_added() {
        let report = |x: f64, n: usize| StepReport {
            loss: x,
            gradient_norm: 2.0 * x,
            finished: n,
            started: 1,
            ..StepReport::default()
        };
        let mut sum = report(1.0, 2);
        sum.add(&report(4.0, 3));
        let mean = sum.averaged(2);
        assert_eq!((mean.loss, mean.gradient_norm), (2.5, 5.0));
        assert_eq!((mean.finished, mean.started), (5, 2));
        // Every measure that is no count has its place in the table.
        let json = serde_json::to_value(StepReport::default()).unwrap();
        assert_eq!(json.as_object().unwrap().len(), StepReport::MEANS.len() + 3);
    }
}
