//! A part of the batch, computed on a thread of its own: the rows are
//! independent, and much of a step is arithmetic that runs on one thread.

use std::ops::Range;

use burn::tensor::Device;

use super::ModelError;
use super::act::{Carry, Example};
use super::clock::{Clock, Part, timed};
use super::evaluate::most_likely;
use super::fault::Outputs;
use super::loss::{LossKind, cell_loss, q_loss, sigmoid};
use super::network::{Precision, State};
use super::parameters::{Parameters, upload};
use super::pass::{Pass, Slopes};
use super::trainer::StepReport;
use crate::cpu::CpuModel;
use crate::plan::Plan;
use crate::puzzle::TOKEN_PAD;

/// Rows of the batch with what they carry from segment to segment.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Its first row in the batch.
    pub(super) first: usize,
    /// Which of the trainer's devices computes it.
    pub(super) device: usize,
    pub(super) carry: Carry,
    pub(super) state: State,
}

/// What all shards of a device have in common at a step.
pub(super) struct Common<'a> {
    pub(super) plan: &'a Plan,
    pub(super) parameters: &'a Parameters,
    pub(super) device: &'a Device,
    pub(super) precision: Precision,
    /// The weights where the CPU engine computes, instead of the graph; the
    /// parameters are then empty.
    pub(super) host: Option<&'a CpuModel>,
    /// Measures the parts of a step.
    pub(super) clock: Option<&'a Clock>,
    /// The step to be taken, from 1.
    pub(super) step: u64,
    pub(super) loss: LossKind,
    pub(super) q_weight: f64,
    /// Rows of the whole batch.
    pub(super) batch: usize,
}

impl Common<'_> {
    /// The state that every puzzle starts from.
    fn initial(&self, rows: usize) -> State {
        let plan = self.plan;
        let Some(model) = self.host else {
            return State::initial(plan, self.parameters, rows);
        };
        let shape = [rows, plan.positions, plan.hidden];
        let state = |id| {
            let values = model.tensor(id).repeat(rows * plan.positions);
            upload(values, shape, self.device)
        };
        State {
            h: state(plan.init_h),
            l: state(plan.init_l),
        }
    }
}

/// A shard's share of a step: its gradients and measures add up.
pub(super) struct Share {
    pub(super) gradients: Slopes,
    pub(super) report: StepReport,
}

impl Shard {
    pub(super) fn new(
        plan: &Plan,
        parameters: &Parameters,
        device: usize,
        rows: Range<usize>,
    ) -> Self {
        Self {
            first: rows.start,
            device,
            carry: Carry::new(rows.len()),
            state: State::initial(plan, parameters, rows.len()),
        }
    }

    /// One segment of every row, its loss and gradients. `fresh` holds a new
    /// puzzle for each row that has halted, `least` the segments that each
    /// row must run.
    pub(super) fn step(
        &mut self,
        common: &Common<'_>,
        fresh: Vec<Option<Example>>,
        least: &[usize],
    ) -> Result<Share, ModelError> {
        let plan = common.plan;
        let restart: Vec<bool> = fresh.iter().map(Option::is_some).collect();
        for (row, example) in fresh.into_iter().enumerate() {
            if let Some(example) = example {
                self.carry.examples[row] = example;
                self.carry.steps[row] = 0;
            }
        }
        let state = self
            .state
            .clone()
            .restarted(common.initial(restart.len()), &restart);
        let examples = self.carry.examples.iter();
        let tokens = examples.flat_map(|e| e.input.iter().copied()).collect();

        let mut pass = Pass::forward(common, state, tokens)?;
        let mut graded = timed(common.clock, Part::Loss, common.device, || {
            self.grade(common, &pass.logits)
        });
        let q_values = pass.q.clone();
        let width = plan.heads.q_outputs;
        let wants: Vec<bool> = q_values
            .chunks_exact(width)
            .map(|q| q[0] > q.get(1).copied().unwrap_or(0.0))
            .collect();
        let last = self.carry.advance(&plan.config, &wants, least);
        // The value of continuing is that of the next segment's best choice,
        // by the weights before the update.
        let next_q = if width > 1 {
            pass.next_q()?
        } else {
            Vec::new()
        };
        self.state = pass.state();

        let report = &mut graded.report;
        let share = 1.0 / common.batch as f64;
        let mut q_gradient = vec![0.0; q_values.len()];
        for (row, &right) in graded.right.iter().enumerate() {
            let own = row * width;
            let halt = q_loss(q_values[own], f64::from(u8::from(right)));
            q_gradient[own] = (share * common.q_weight * halt.gradient) as f32;
            report.q_halt_loss += share * halt.loss;
            if width > 1 {
                let (next_halt, next_continue) = (next_q[own], next_q[own + 1]);
                let best = if last[row] {
                    next_halt
                } else {
                    next_halt.max(next_continue)
                };
                let go_on = q_loss(q_values[own + 1], sigmoid(f64::from(best)));
                q_gradient[own + 1] = (share * common.q_weight * go_on.gradient) as f32;
                report.q_continue_loss += share * go_on.loss;
            }
            if (q_values[own] > 0.0) == right {
                report.q_halt_accuracy += share;
            }
            report.segments += share * self.carry.steps[row] as f64;
            report.started += usize::from(restart[row]);
            if self.carry.halted[row] {
                report.finished += 1;
                report.finished_right += usize::from(right);
            }
        }
        report.loss =
            report.cell_loss + common.q_weight * (report.q_halt_loss + report.q_continue_loss);
        if !report.loss.is_finite() {
            let outputs = Outputs {
                logits: &pass.logits,
                q: &q_values,
                next_q: &next_q,
                segments: &self.carry.steps,
            };
            return Err(outputs.blame(common.step, self.first));
        }

        Ok(Share {
            gradients: pass.gradients(graded.gradient, q_gradient),
            report: graded.report,
        })
    }

    /// Compares logits with the answers; the loss is averaged over the cells
    /// whose answer is not padding, then over the batch.
    fn grade(&self, common: &Common<'_>, logits: &[f32]) -> Graded {
        let vocab = common.plan.config.vocab_size;
        let per_puzzle = common.plan.config.seq_len * vocab;
        let share = 1.0 / common.batch as f64;
        let mut graded = Graded {
            gradient: vec![0.0; logits.len()],
            right: Vec::with_capacity(self.carry.examples.len()),
            report: StepReport::default(),
        };
        let rows = logits
            .chunks_exact(per_puzzle)
            .zip(graded.gradient.chunks_exact_mut(per_puzzle));
        for ((logits, gradient), example) in rows.zip(&self.carry.examples) {
            let counted = example
                .label
                .iter()
                .filter(|&&t| t != TOKEN_PAD)
                .count()
                .max(1);
            let weight = share / counted as f64;
            let mut right = 0;
            let cells = logits
                .chunks_exact(vocab)
                .zip(gradient.chunks_exact_mut(vocab));
            for ((logits, gradient), &label) in cells.zip(&example.label) {
                if label == TOKEN_PAD {
                    continue;
                }
                graded.report.cell_loss +=
                    weight * cell_loss(common.loss, logits, usize::from(label), weight, gradient);
                right += usize::from(most_likely(logits) == label);
            }
            graded.report.cell_accuracy += weight * right as f64;
            graded.right.push(right == counted);
            graded.report.exact_accuracy += share * f64::from(u8::from(right == counted));
        }
        graded
    }
}

/// Logits compared with their answers.
struct Graded {
    /// Of the loss by the logits.
    gradient: Vec<f32>,
    /// Whether each row's whole grid is right.
    right: Vec<bool>,
    /// The cells' part of a report.
    report: StepReport,
}
