//! Rows of the batch that are computed together: their puzzles, their states,
//! their loss.

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::act::{Carry, Example};
use super::backend::{Answers, Backend, Given, Slopes};
use super::clock::Clock;
use super::draws::Draws;
use super::fault::Outputs;
use super::loss::{cell_loss, q_loss, sigmoid};
use super::method::{Supervision, TrainingMethod};
use super::report::StepReport;
use super::settings::TrainerSettings;
use crate::cpu::train::Last;
use crate::plan::{Plan, Start};
use crate::puzzle::TOKEN_PAD;

/// Rows of the batch with what they carry from segment to segment. A row is a
/// puzzle; it has a row of states for each of its chains.
#[derive(Debug)]
pub(super) struct Shard<S> {
    /// Its first row in the batch.
    pub(super) first: usize,
    /// Which of the backend's devices computes it.
    pub(super) device: usize,
    pub(super) carry: Carry,
    /// `[rows * chains, positions, hidden]`.
    pub(super) states: S,
}

/// What all shards have in common at a step.
pub(super) struct Common<'a, B> {
    pub(super) plan: &'a Plan,
    pub(super) backend: &'a B,
    /// Measures the parts of a step.
    pub(super) clock: Option<&'a Clock>,
    pub(super) settings: &'a TrainerSettings,
    pub(super) method: TrainingMethod,
    /// The step to be taken, from 1.
    pub(super) step: u64,
    /// Segments before the one that is trained.
    pub(super) warm_ups: usize,
    /// The step's random numbers.
    pub(super) draws: Draws,
}

/// What a row is to do in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowOrder {
    /// The puzzle that it begins, if its last one is done.
    pub(super) fresh: Option<Example>,
    /// The segments that it must run before it may halt.
    pub(super) least: usize,
}

/// A shard after a step, with its share of the gradients and measures.
pub(super) struct Stepped<B: Backend> {
    pub(super) shard: Shard<B::States>,
    pub(super) gradients: B::Gradients,
    pub(super) report: StepReport,
}

impl<S> Shard<S> {
    /// One segment of every row, its loss and gradients; the shard itself
    /// stays as it is.
    pub(super) fn step<B: Backend<States = S>>(
        &self,
        common: &Common<'_, B>,
        orders: &[RowOrder],
    ) -> Result<Stepped<B>, TrainError> {
        let (plan, method) = (common.plan, common.method);
        let mut carry = self.carry.clone();
        for (row, order) in orders.iter().enumerate() {
            if let Some(example) = &order.fresh {
                carry.examples[row] = example.clone();
                carry.steps[row] = 0;
            }
        }
        let restart: Vec<bool> = orders.iter().map(|order| order.fresh.is_some()).collect();
        let least: Vec<usize> = orders.iter().map(|order| order.least).collect();
        let first = self.first * method.chains;
        let begins: Vec<bool> = every(method.chains, restart.iter().copied());
        let drawn = (plan.start == Start::Random)
            .then(|| common.draws.starts(plan, first, method.chains, &begins));
        let backend = common.backend;
        let states = backend.restarted(self.device, &self.states, &begins, drawn);
        let inputs = every(method.chains, carry.examples.iter().map(|e| &e.input));
        let identifiers = carry.examples.iter().map(|e| e.identifier);
        let given = Given {
            tokens: inputs.into_iter().flatten().copied().collect(),
            identifiers: every(method.chains, identifiers),
            last: last_answers(common, first, &carry, &begins),
            warm_ups: common.warm_ups,
            noise: common.draws.noise(first, begins.len()),
        };

        let mut graded = Graded::default();
        let mut grade = |answers: &Answers| {
            graded = grade(common, &carry.examples, &answers.logits);
            let width = plan.heads.q_outputs;
            let own = |chain: usize| &answers.q[chain * width..(chain + 1) * width];
            let wants: Vec<bool> = graded
                .winners
                .iter()
                .map(|&chain| own(chain))
                .map(|q| q[0] > q.get(1).copied().unwrap_or(0.0))
                .collect();
            let last = match method.supervision {
                Supervision::Every => carry.advance(&plan.config, &wants, &least),
                Supervision::Last => carry.finish(common.warm_ups + 1),
            };
            let q = grade_q(common, &mut graded, answers, &last);
            let report = &mut graded.report;
            let share = 1.0 / common.settings.batch_size as f64;
            for (row, &right) in graded.right.iter().enumerate() {
                report.segments += share * carry.steps[row] as f64;
                report.started += usize::from(restart[row]);
                if carry.halted[row] {
                    report.finished += 1;
                    report.finished_right += usize::from(right);
                }
            }
            if !report.loss.is_finite() {
                let outputs = Outputs {
                    logits: &answers.logits,
                    q: &answers.q,
                    next_q: &answers.next_q,
                    segments: &carry.steps,
                };
                return Err(outputs.blame(common.step, self.first));
            }
            Ok(Slopes {
                logits: std::mem::take(&mut graded.gradient),
                q,
            })
        };
        let (mut states, gradients) =
            backend.segment(self.device, states, given, common.clock, &mut grade)?;
        if method.chains > 1 {
            let winners = every(method.chains, graded.winners.iter().copied());
            backend.follow(self.device, &mut states, &winners);
        }
        Ok(Stepped {
            shard: Self {
                first: self.first,
                device: self.device,
                carry,
                states,
            },
            gradients,
            report: graded.report,
        })
    }
}

/// What each row of states has answered last, for models with feedback.
fn last_answers<B>(
    common: &Common<'_, B>,
    first: usize,
    carry: &Carry,
    begins: &[bool],
) -> Vec<Last> {
    let chains = common.method.chains;
    let rows = begins.iter().enumerate();
    let of = |(row, &begins): (usize, &bool)| {
        if !begins {
            return Last::Own;
        }
        let example = &carry.examples[row / chains];
        let given = common.draws.corrupted(common.plan, first + row, example);
        given.map_or(Last::None, Last::Given)
    };
    rows.map(of).collect()
}

/// Adds the losses of q to what was graded; returns their slopes.
fn grade_q<B>(
    common: &Common<'_, B>,
    graded: &mut Graded,
    answers: &Answers,
    last: &[bool],
) -> Vec<f32> {
    let (width, q_weight) = (common.plan.heads.q_outputs, common.settings.q_weight);
    let share = 1.0 / common.settings.batch_size as f64;
    let report = &mut graded.report;
    let mut slopes = vec![0.0; answers.q.len()];
    for (row, (&right, &chain)) in graded.right.iter().zip(&graded.winners).enumerate() {
        let own = chain * width;
        let halt = q_loss(answers.q[own], f64::from(u8::from(right)));
        slopes[own] = (share * q_weight * halt.gradient) as f32;
        report.q_halt_loss += share * halt.loss;
        if width > 1 {
            // The value of continuing is that of the next segment's best
            // choice.
            let (next_halt, next_continue) = (answers.next_q[own], answers.next_q[own + 1]);
            let best = if last[row] {
                next_halt
            } else {
                next_halt.max(next_continue)
            };
            let go_on = q_loss(answers.q[own + 1], sigmoid(f64::from(best)));
            slopes[own + 1] = (share * q_weight * go_on.gradient) as f32;
            report.q_continue_loss += share * go_on.loss;
        }
        if (answers.q[own] > 0.0) == right {
            report.q_halt_accuracy += share;
        }
    }
    report.loss = report.cell_loss + q_weight * (report.q_halt_loss + report.q_continue_loss);
    slopes
}

/// Compares logits with the answers; the loss is averaged over the cells
/// whose answer is not padding, then over the batch. Of a puzzle's chains
/// only the one with the lowest loss counts.
fn grade<B>(common: &Common<'_, B>, examples: &[Example], logits: &[f32]) -> Graded {
    let per_puzzle = common.plan.config.seq_len * common.plan.heads.answers.count;
    let chains = common.method.chains;
    let share = 1.0 / common.settings.batch_size as f64;
    let mut graded = Graded {
        gradient: vec![0.0; logits.len()],
        ..Graded::default()
    };
    let rows = logits
        .chunks_exact(chains * per_puzzle)
        .zip(graded.gradient.chunks_exact_mut(chains * per_puzzle));
    for ((logits, gradient), example) in rows.zip(examples) {
        let graded_chains = logits
            .chunks_exact(per_puzzle)
            .zip(gradient.chunks_exact_mut(per_puzzle))
            .map(|(logits, gradient)| grade_chain(common, example, logits, gradient));
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
fn grade_chain<B>(
    common: &Common<'_, B>,
    example: &Example,
    logits: &[f32],
    gradient: &mut [f32],
) -> Grade {
    let answers = common.plan.heads.answers;
    let labels = example.label.iter();
    let counted = labels.filter(|&&t| t != TOKEN_PAD).count().max(1);
    let weight = 1.0 / (common.settings.batch_size as f64 * counted as f64);
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
        loss += weight * cell_loss(common.settings.loss, logits, label, weight, gradient);
        right += usize::from(usize::from(most_likely(logits)) == label);
    }
    Grade {
        loss,
        cells: weight * right as f64,
        right: right == counted,
    }
}

/// Index of the largest logit, the first among equals.
pub(crate) fn most_likely(logits: &[f32]) -> u8 {
    let mut best = 0;
    for (i, &x) in logits.iter().enumerate() {
        if x > logits[best] {
            best = i;
        }
    }
    best as u8
}

/// Each item as often as there are chains.
fn every<T: Clone>(chains: usize, items: impl Iterator<Item = T>) -> Vec<T> {
    items
        .flat_map(|item| std::iter::repeat_n(item, chains))
        .collect()
}

/// Logits compared with their answers.
#[derive(Default)]
struct Graded {
    /// Of the loss by the logits.
    gradient: Vec<f32>,
    /// The row of states that each puzzle's best chain is.
    winners: Vec<usize>,
    /// Whether each puzzle's whole grid is right, by that chain.
    right: Vec<bool>,
    /// The measures.
    report: StepReport,
}
