//! Where a step stopped being a number.

use super::TrainError;
use super::backend::Backend;
use super::trainer::Trainer;

/// What a shard's forward passes brought to the host, row after row.
pub(super) struct Outputs<'a> {
    pub(super) logits: &'a [f32],
    pub(super) q: &'a [f32],
    /// Empty for a model without a value of continuing.
    pub(super) next_q: &'a [f32],
    /// The segment that each row was in, from 1.
    pub(super) segments: &'a [usize],
}

impl Outputs<'_> {
    /// The first part and row that is not finite. `step` counts from 1,
    /// `first` is the shard's first row in the batch.
    pub(super) fn blame(&self, step: u64, first: usize) -> TrainError {
        let rows = self.segments.len();
        let parts = [
            ("the cells' logits", self.logits),
            ("q_halt or q_continue", self.q),
            ("q_continue's target", self.next_q),
        ];
        for (part, values) in parts {
            if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                let row = i * rows / values.len();
                return TrainError::Diverged {
                    step,
                    part: part.to_owned(),
                    at: Some((first + row, self.segments[row])),
                };
            }
        }
        // Finite logits, yet so far apart that their loss is not.
        TrainError::Diverged {
            step,
            part: "the loss".to_owned(),
            at: None,
        }
    }
}

impl<B: Backend> Trainer<B> {
    /// Goes back from what a failed step saw to what it started from: a
    /// weight or a carried state that was not finite before it is the cause.
    /// The trainer is as before the step.
    pub(super) fn trace_back(&self, error: TrainError) -> TrainError {
        let TrainError::Diverged { step, .. } = error else {
            return error;
        };
        // Finite for all that can be told, where it can't be read.
        let values = self.backend.values().unwrap_or_default();
        for (spec, values) in self.plan.tensors.iter().zip(values) {
            if values.iter().any(|v| !v.is_finite()) {
                return TrainError::Diverged {
                    step,
                    part: format!("weight `{}` before the step", spec.name),
                    at: None,
                };
            }
        }
        for shard in &self.shards {
            let Ok(states) = self.backend.read_states(&shard.states) else {
                continue;
            };
            for (name, values) in ["z_H", "z_L"].into_iter().zip(&states) {
                // A row's chains stand together.
                let per_row = values.len() / shard.carry.steps.len().max(1);
                // Rows that have halted start anew: their old state is no cause.
                let row = values
                    .chunks_exact(per_row.max(1))
                    .zip(&shard.carry.halted)
                    .position(|(row, &halted)| !halted && row.iter().any(|v| !v.is_finite()));
                if let Some(row) = row {
                    return TrainError::Diverged {
                        step,
                        part: format!("state {name} carried into the step"),
                        at: Some((shard.first + row, shard.carry.steps[row] + 1)),
                    };
                }
            }
        }
        error
    }
}
