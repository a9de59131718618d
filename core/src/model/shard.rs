//! A part of the batch, computed on a thread of its own: the rows are
//! independent, and much of a step is arithmetic that runs on one thread.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::ModelError;
use super::act::{Carry, Example};
use super::clock::{Clock, Part, timed};
use super::draws::Draws;
use super::evaluate::most_likely;
use super::fault::Outputs;
use super::loss::{LossKind, cell_loss, q_loss, sigmoid};
use super::method::{Supervision, TrainingMethod};
use super::network::{Precision, State};
use super::parameters::{Parameters, upload};
use super::pass::{Pass, Slopes};
use super::trainer::StepReport;
use crate::cpu::CpuModel;
use crate::cpu::train::Last;
use crate::plan::{Plan, Start};
use crate::puzzle::TOKEN_PAD;

/// Rows of the batch with what they carry from segment to segment. A row is a
/// puzzle; it has a row of states for each of its chains.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Its first row in the batch.
    pub(super) first: usize,
    /// Which of the trainer's devices computes it.
    pub(super) device: usize,
    pub(super) carry: Carry,
    /// `[rows * chains, positions, hidden]`.
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
    pub(super) method: TrainingMethod,
    /// Segments before the one that is trained.
    pub(super) warm_ups: usize,
    /// The step's random numbers.
    pub(super) draws: Draws,
    /// Rows of the whole batch.
    pub(super) batch: usize,
}

impl Common<'_> {
    /// The states that the rows of states from `first` on start from; of no
    /// account in those that don't begin.
    fn initial(&self, first: usize, begins: &[bool]) -> State {
        let plan = self.plan;
        let shape = [begins.len(), plan.positions, plan.hidden];
        let [h, l] = match (plan.start, self.host) {
            (Start::Fixed { .. }, None) => {
                return State::initial(plan, self.parameters, begins.len());
            }
            (Start::Fixed { h, l }, Some(model)) => {
                [h, l].map(|id| model.tensor(id).repeat(begins.len() * plan.positions))
            }
            (Start::Random, _) => self.draws.starts(plan, first, self.method.chains, begins),
        };
        State {
            h: upload(h, shape, self.device),
            l: upload(l, shape, self.device),
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
        chains: usize,
    ) -> Self {
        Self {
            first: rows.start,
            device,
            carry: Carry::new(rows.len()),
            state: State::initial(plan, parameters, rows.len() * chains),
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
        let chains = common.method.chains;
        let first = self.first * chains;
        let begins: Vec<bool> = every(chains, restart.iter().copied());
        let state = self
            .state
            .clone()
            .restarted(common.initial(first, &begins), &begins);
        let inputs = every(chains, self.carry.examples.iter().map(|e| &e.input));
        let tokens = inputs.into_iter().flatten().copied().collect();

        let last = self.last_answers(common, &begins);
        let noise = common.draws.noise(first, begins.len());
        let mut pass = Pass::forward(common, state, tokens, last, noise)?;
        let mut graded = timed(common.clock, Part::Loss, common.device, || {
            self.grade(common, &pass.logits)
        });
        let q_values = pass.q.clone();
        let width = plan.heads.q_outputs;
        let wants: Vec<bool> = graded
            .winners
            .iter()
            .map(|&chain| &q_values[chain * width..(chain + 1) * width])
            .map(|q| q[0] > q.get(1).copied().unwrap_or(0.0))
            .collect();
        let last = match common.method.supervision {
            Supervision::Every => self.carry.advance(&plan.config, &wants, least),
            Supervision::Last => self.carry.finish(common.warm_ups + 1),
        };
        // The value of continuing is that of the next segment's best choice,
        // by the weights before the update.
        let next_q = if width > 1 {
            pass.next_q()?
        } else {
            Vec::new()
        };
        self.state = pass.state();
        if chains > 1 {
            let winners = every(chains, graded.winners.iter().map(|&w| w as i64));
            let rows = TensorData::new(winners, [begins.len()]);
            let rows = Tensor::<1, Int>::from_data(rows, common.device);
            self.state.h = self.state.h.clone().select(0, rows);
        }

        let report = &mut graded.report;
        let share = 1.0 / common.batch as f64;
        let mut q_gradient = vec![0.0; q_values.len()];
        for (row, (&right, &chain)) in graded.right.iter().zip(&graded.winners).enumerate() {
            let own = chain * width;
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

    /// What each row of states has answered last, for models with feedback.
    fn last_answers(&self, common: &Common<'_>, begins: &[bool]) -> Vec<Last> {
        let chains = common.method.chains;
        let rows = begins.iter().enumerate();
        let of = |(row, &begins): (usize, &bool)| {
            if !begins {
                return Last::Own;
            }
            let example = &self.carry.examples[row / chains];
            let first = self.first * chains;
            let given = common.draws.corrupted(common.plan, first + row, example);
            given.map_or(Last::None, Last::Given)
        };
        rows.map(of).collect()
    }

    /// Compares logits with the answers; the loss is averaged over the cells
    /// whose answer is not padding, then over the batch. Of a puzzle's chains
    /// only the one with the lowest loss counts.
    fn grade(&self, common: &Common<'_>, logits: &[f32]) -> Graded {
        let per_puzzle = common.plan.config.seq_len * common.plan.heads.answers.count;
        let chains = common.method.chains;
        let share = 1.0 / common.batch as f64;
        let mut graded = Graded {
            gradient: vec![0.0; logits.len()],
            winners: Vec::with_capacity(self.carry.examples.len()),
            right: Vec::with_capacity(self.carry.examples.len()),
            report: StepReport::default(),
        };
        let rows = logits
            .chunks_exact(chains * per_puzzle)
            .zip(graded.gradient.chunks_exact_mut(chains * per_puzzle));
        for ((logits, gradient), example) in rows.zip(&self.carry.examples) {
            let graded_chains = logits
                .chunks_exact(per_puzzle)
                .zip(gradient.chunks_exact_mut(per_puzzle))
                .map(|(logits, gradient)| grade(common, example, logits, gradient));
            let grades: Vec<Grade> = graded_chains.collect();
            let order = |a: &(usize, &Grade), b: &(usize, &Grade)| a.1.loss.total_cmp(&b.1.loss);
            // There is at least one chain.
            let Some((winner, best)) = grades.iter().enumerate().min_by(order) else {
                continue;
            };
            for (chain, gradient) in gradient.chunks_exact_mut(per_puzzle).enumerate() {
                if chain != winner {
                    gradient.fill(0.0);
                }
            }
            graded.winners.push(graded.right.len() * chains + winner);
            graded.right.push(best.right);
            graded.report.cell_loss += best.loss;
            graded.report.cell_accuracy += best.cells;
            graded.report.exact_accuracy += share * f64::from(u8::from(best.right));
        }
        graded
    }
}

/// One chain's logits compared with the answer.
struct Grade {
    /// Its part of the batch's loss.
    loss: f64,
    /// Its part of the batch's share of right cells.
    cells: f64,
    /// Whether the whole grid is right.
    right: bool,
}

/// Compares a chain's logits, `[cells, answers]`, with the answer and writes the
/// loss's gradient by them.
fn grade(common: &Common<'_>, example: &Example, logits: &[f32], gradient: &mut [f32]) -> Grade {
    let answers = common.plan.heads.answers;
    let labels = example.label.iter();
    let counted = labels.filter(|&&t| t != TOKEN_PAD).count().max(1);
    let weight = 1.0 / (common.batch as f64 * counted as f64);
    let (mut loss, mut right) = (0.0, 0);
    let cells = logits
        .chunks_exact(answers.count)
        .zip(gradient.chunks_exact_mut(answers.count));
    for ((logits, gradient), &label) in cells.zip(&example.label) {
        if label == TOKEN_PAD {
            continue;
        }
        // Checked when the example came.
        let label = usize::from(label.saturating_sub(answers.first));
        loss += weight * cell_loss(common.loss, logits, label, weight, gradient);
        right += usize::from(usize::from(most_likely(logits)) == label);
    }
    Grade {
        loss,
        cells: weight * right as f64,
        right: right == counted,
    }
}

/// Each item as often as there are chains.
fn every<T: Clone>(chains: usize, items: impl Iterator<Item = T>) -> Vec<T> {
    items
        .flat_map(|item| std::iter::repeat_n(item, chains))
        .collect()
}

/// Logits compared with their answers.
struct Graded {
    /// Of the loss by the logits.
    gradient: Vec<f32>,
    /// The row of states that each puzzle's best chain is.
    winners: Vec<usize>,
    /// Whether each puzzle's whole grid is right, by that chain.
    right: Vec<bool>,
    /// The cells' part of a report.
    report: StepReport,
}
