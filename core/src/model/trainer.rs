//! Deep supervision with adaptive halting: one segment of every row and one
//! update of the weights a step.

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::act::Example;
use super::loss::LossKind;
use super::optim::{Optimizer, OptimizerSettings};
use super::parameters::Parameters;
use super::shard::{Common, Shard, Share};
use crate::plan::Plan;
use crate::weights::Weights;

/// How a model is trained, the schedule and the data aside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerSettings {
    /// Puzzles trained on at a time.
    pub batch_size: usize,
    /// Parts of the batch that are computed at the same time, each on a
    /// thread of its own; for processors, where a device's own parallelism
    /// leaves threads idle. 1 for none, and where there are no threads.
    pub threads: usize,
    /// The cells' loss.
    pub loss: LossKind,
    /// Weight of the q losses beside the cells' loss.
    pub q_weight: f64,
    /// Decay of the weights' moving average; none without one. Shorter at
    /// first, `(1 + step) / (10 + step)`, to leave the initial weights.
    pub ema: Option<f64>,
    /// The optimiser.
    pub optimizer: OptimizerSettings,
    /// Seed of exploration.
    pub seed: u64,
}

/// Measures of one step, over all rows of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
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
}

impl StepReport {
    /// Adds a part's measures, which are sums already divided by the whole
    /// batch.
    fn add(&mut self, part: &Self) {
        self.cell_loss += part.cell_loss;
        self.q_halt_loss += part.q_halt_loss;
        self.q_continue_loss += part.q_continue_loss;
        self.loss += part.loss;
        self.cell_accuracy += part.cell_accuracy;
        self.exact_accuracy += part.exact_accuracy;
        self.q_halt_accuracy += part.q_halt_accuracy;
        self.segments += part.segments;
        self.finished += part.finished;
        self.finished_right += part.finished_right;
        self.started += part.started;
    }
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    pub(super) plan: Plan,
    pub(super) settings: TrainerSettings,
    pub(super) device: Device,
    pub(super) parameters: Parameters,
    pub(super) average: Option<Parameters>,
    pub(super) optimizer: Optimizer,
    pub(super) shards: Vec<Shard>,
    pub(super) rng: ChaCha8Rng,
}

/// Gradients in the plan's order, none for a tensor that the loss does not
/// depend on.
pub type Gradients = Vec<Option<Tensor<2>>>;

impl Trainer {
    /// A trainer at its first step.
    #[must_use]
    pub fn new(plan: Plan, weights: &Weights, settings: TrainerSettings, device: Device) -> Self {
        let parameters = Parameters::from_weights(&plan, weights, &device);
        let (batch, parts) = (
            settings.batch_size,
            settings.threads.clamp(1, settings.batch_size.max(1)),
        );
        let shards = (0..parts)
            .map(|i| {
                Shard::new(
                    &plan,
                    &parameters,
                    batch * (i + 1) / parts - batch * i / parts,
                )
            })
            .collect();
        Self {
            average: settings.ema.map(|_| parameters.clone()),
            optimizer: Optimizer::new(&plan, settings.optimizer, &device),
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            shards,
            parameters,
            plan,
            settings,
            device,
        }
    }

    /// The architecture.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Segments that each row of the batch has run on its puzzle.
    #[must_use]
    pub fn row_segments(&self) -> Vec<usize> {
        self.shards
            .iter()
            .flat_map(|s| s.carry.steps.iter().copied())
            .collect()
    }

    /// Rows that take a new puzzle at the next step.
    #[must_use]
    pub fn row_halted(&self) -> Vec<bool> {
        self.shards
            .iter()
            .flat_map(|s| s.carry.halted.iter().copied())
            .collect()
    }

    /// The weights being trained.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The weights to use: their moving average, or themselves without one.
    #[must_use]
    pub fn averaged(&self) -> &Parameters {
        self.average.as_ref().unwrap_or(&self.parameters)
    }

    /// The device it trains on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One segment of every row and one update. Rows that have halted take
    /// a new puzzle from `draw`, which gets the row's index. `factor` scales
    /// the learning rates.
    ///
    /// # Errors
    /// If a puzzle does not fit the model, the device fails, or the loss is
    /// no finite number (the weights are then as before the step).
    pub fn step(
        &mut self,
        factor: f64,
        draw: impl FnMut(usize) -> Example,
    ) -> Result<StepReport, ModelError> {
        let (gradients, report) = self.gradients(draw)?;
        self.optimizer.step(&mut self.parameters, gradients, factor);
        if let (Some(average), Some(limit)) = (&mut self.average, self.settings.ema) {
            let step = self.optimizer.steps() as f64;
            let keep = limit.min((1.0 + step) / (10.0 + step));
            for (mean, value) in average
                .tensors_mut()
                .iter_mut()
                .zip(self.parameters.tensors())
            {
                *mean = mean.clone() * keep + value.clone() * (1.0 - keep);
            }
        }
        Ok(report)
    }

    /// The gradients that [`Trainer::step`] would follow. Advances the batch
    /// like a step, and leaves the weights alone.
    ///
    /// # Errors
    /// Those of [`Trainer::step`].
    pub fn gradients(
        &mut self,
        mut draw: impl FnMut(usize) -> Example,
    ) -> Result<(Gradients, StepReport), ModelError> {
        let mut work = Vec::with_capacity(self.shards.len());
        let mut row = 0;
        for shard in &self.shards {
            let mut fresh = Vec::with_capacity(shard.carry.halted.len());
            for &halted in &shard.carry.halted {
                let example = halted.then(|| draw(row));
                if let Some(example) = &example {
                    check(&self.plan, row, example)?;
                }
                fresh.push(example);
                row += 1;
            }
            work.push((
                fresh,
                shard.carry.draw_least(&self.plan.config, &mut self.rng),
            ));
        }
        let common = Common {
            plan: &self.plan,
            parameters: &self.parameters,
            device: &self.device,
            loss: self.settings.loss,
            q_weight: self.settings.q_weight,
            batch: self.settings.batch_size,
        };
        let work = self.shards.iter_mut().zip(work);
        let shares: Vec<Result<Share, ModelError>> = if self.settings.threads > 1 {
            std::thread::scope(|scope| {
                let common = &common;
                let threads: Vec<_> = work
                    .map(|(shard, (fresh, least))| {
                        scope.spawn(move || shard.step(common, fresh, &least))
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
                    .collect()
            })
        } else {
            work.map(|(shard, (fresh, least))| shard.step(&common, fresh, &least))
                .collect()
        };

        let mut report = StepReport::default();
        let mut total: Gradients = vec![None; self.plan.tensors.len()];
        for share in shares {
            let share = share?;
            report.add(&share.report);
            for (sum, gradient) in total.iter_mut().zip(share.gradients) {
                *sum = match (sum.take(), gradient) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
            }
        }
        if !report.loss.is_finite() {
            return Err(ModelError::Diverged {
                step: self.steps() + 1,
                loss: report.loss,
            });
        }
        Ok((total, report))
    }
}

/// Refuses a puzzle that does not fit the model.
pub(super) fn check(plan: &Plan, row: usize, example: &Example) -> Result<(), ModelError> {
    let (cells, vocab) = (plan.config.seq_len, plan.config.vocab_size);
    for (what, tokens) in [("question", &example.input), ("answer", &example.label)] {
        if tokens.len() != cells {
            let reason = format!(
                "its {what} has {} tokens, the model takes {cells}",
                tokens.len()
            );
            return Err(ModelError::Input { row, reason });
        }
        if let Some(&token) = tokens.iter().find(|&&t| usize::from(t) >= vocab) {
            let reason = format!("its {what} has token {token}, the vocabulary {vocab}");
            return Err(ModelError::Input { row, reason });
        }
    }
    Ok(())
}
