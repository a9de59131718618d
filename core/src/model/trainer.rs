//! Deep supervision with adaptive halting: one segment of every row and one
//! update of the weights a step.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::act::Example;
use super::clock::{Clock, Part, timed};
use super::host;
use super::loss::LossKind;
use super::method::{Supervision, TrainingMethod};
use super::network::Precision;
use super::optim::{Optimizer, OptimizerSettings};
use super::parameters::{Parameters, matrix_shape, read, upload};
use super::pass::Slopes;
use super::shard::{Common, Shard, Share};
use crate::cpu::CpuModel;
use crate::plan::Plan;
use crate::puzzle::TOKEN_PAD;
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
    /// The arithmetic of the forward and backward passes. Weights, their
    /// updates, norms and losses are f32 (the loss f64) in any case.
    pub precision: Precision,
    /// The cells' loss.
    pub loss: LossKind,
    /// Weight of the q losses beside the cells' loss.
    pub q_weight: f64,
    /// Decay of the weights' moving average; none without one. Shorter at
    /// first, `(1 + step) / (10 + step)`, to leave the initial weights.
    pub ema: Option<f64>,
    /// Largest norm of all gradients taken together; larger ones are scaled
    /// down to it. Not limited without one.
    pub clip: Option<f64>,
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
    /// Euclidean norm of all gradients taken together, before clipping.
    pub gradient_norm: f64,
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
    pub(super) method: TrainingMethod,
    /// Segments of a row in a step that trains the last one.
    depth: usize,
    /// Where the weights, their average and the optimiser's memory are.
    pub(super) device: Device,
    /// Devices that compute parts of the batch beside it.
    pub(super) others: Vec<Device>,
    pub(super) parameters: Parameters,
    /// The weights on the other devices.
    pub(super) replicas: Vec<Parameters>,
    pub(super) average: Option<Parameters>,
    pub(super) optimizer: Optimizer,
    pub(super) shards: Vec<Shard>,
    pub(super) rng: ChaCha8Rng,
    /// Whether the CPU engine's own passes compute instead of the graph.
    on_host: bool,
    clock: Option<Clock>,
}

/// Gradients in the plan's order, none for a tensor that the loss does not
/// depend on.
pub type Gradients = Vec<Option<Tensor<2>>>;

impl Trainer {
    /// A trainer at its first step.
    #[must_use]
    pub fn new(plan: Plan, weights: &Weights, settings: TrainerSettings, device: Device) -> Self {
        Self::on_devices(plan, weights, settings, device, Vec::new())
    }

    /// A trainer at its first step that divides each batch among `device`
    /// and `others`. Their gradients are added up on `device`, which updates
    /// the weights and hands them out again: the same step as one device
    /// would take with the whole batch, up to rounding.
    #[must_use]
    pub fn on_devices(
        plan: Plan,
        weights: &Weights,
        settings: TrainerSettings,
        device: Device,
        others: Vec<Device>,
    ) -> Self {
        let parameters = Parameters::from_weights(&plan, weights, &device);
        let replicas: Vec<Parameters> = others.iter().map(|d| parameters.copied_to(d)).collect();
        let threads = settings.threads.max(1);
        let on_host = device == Device::flex() && others.is_empty();
        // What a few sequences of a fused sublayer keep for the backward pass
        // stays in the caches.
        let smallest = if on_host && !plan.relations.is_empty() {
            settings.batch_size.div_ceil(TOGETHER)
        } else {
            1
        };
        let parts = (threads * (1 + others.len())).max(smallest);
        let parts = parts.clamp(1, settings.batch_size.max(1));
        let start = |part: usize| settings.batch_size * part / parts;
        let shards = (0..parts)
            .map(|i| {
                let device = i * (1 + others.len()) / parts;
                let local = if device == 0 {
                    &parameters
                } else {
                    &replicas[device - 1]
                };
                Shard::new(&plan, local, device, start(i)..start(i + 1), 1)
            })
            .collect();
        let mut optimizer = Optimizer::new(&plan, settings.optimizer, &device);
        if on_host {
            optimizer.use_host(threads);
        }
        Self {
            on_host,
            method: TrainingMethod::default(),
            depth: plan.config.halt_max_steps,
            clock: None,
            average: settings.ema.map(|_| parameters.clone()),
            optimizer,
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            shards,
            parameters,
            replicas,
            plan,
            settings,
            device,
            others,
        }
    }

    /// The same trainer, at its first step, with another method than HRM's.
    ///
    /// # Errors
    /// If the method's options contradict each other or the model.
    pub fn with_method(mut self, method: TrainingMethod) -> Result<Self, ModelError> {
        method.check(&self.plan)?;
        self.method = method;
        for shard in &mut self.shards {
            let local = match shard.device {
                0 => &self.parameters,
                other => &self.replicas[other - 1],
            };
            let rows = shard.first..shard.first + shard.carry.steps.len();
            *shard = Shard::new(&self.plan, local, shard.device, rows, method.chains);
        }
        Ok(self)
    }

    /// From the next step on a row has this many segments, of which the last
    /// is trained; for [`Supervision::Last`], where it is at first the model's
    /// `halt_max_steps`.
    pub fn set_depth(&mut self, segments: usize) {
        self.depth = segments.max(1);
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

    /// The rows of the batch that the next step takes up where this one left
    /// them: the puzzle of each, none before its first.
    #[must_use]
    pub fn rows(&self) -> Vec<&Example> {
        self.shards.iter().flat_map(|s| &s.carry.examples).collect()
    }

    /// The device that holds the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One segment of every row and one update. Rows that have halted take
    /// a new puzzle from `draw`, which gets the row's index. `factor` scales
    /// the learning rates.
    ///
    /// # Errors
    /// If a puzzle does not fit the model, the device fails, or a loss or
    /// gradient is no finite number. The trainer is then as before the step.
    pub fn step(
        &mut self,
        factor: f64,
        draw: impl FnMut(usize) -> Example,
    ) -> Result<StepReport, ModelError> {
        let (gradients, report) = self.gradients(draw)?;
        let clock = self.clock.take();
        let device = self.device.clone();
        let updated = timed(clock.as_ref(), Part::Optimizer, &device, || {
            self.update(gradients, factor)
        });
        self.clock = clock;
        updated?;
        Ok(report)
    }

    /// Moves the weights along gradients, and their average after them.
    fn update(&mut self, gradients: Gradients, factor: f64) -> Result<(), ModelError> {
        self.optimizer
            .step(&mut self.parameters, gradients, factor)?;
        self.hand_out();
        let (Some(average), Some(limit)) = (&mut self.average, self.settings.ema) else {
            return Ok(());
        };
        let step = self.optimizer.steps() as f64;
        let keep = limit.min((1.0 + step) / (10.0 + step));
        if self.on_host {
            let (device, threads) = (&self.device, self.settings.threads);
            let mut values = host::lend_all(&mut self.parameters, device)?;
            let mut means = host::lend_all(average, device)?;
            for (mean, value) in means.iter_mut().zip(&mut values) {
                host::average(mean, value, keep, threads);
            }
            host::give_back(&self.plan, average, means, device);
            host::give_back(&self.plan, &mut self.parameters, values, device);
            return Ok(());
        }
        for (mean, value) in average
            .tensors_mut()
            .iter_mut()
            .zip(self.parameters.tensors())
        {
            *mean = mean.clone() * keep + value.clone() * (1.0 - keep);
        }
        Ok(())
    }

    /// Starts to measure the parts of each step. On devices that compute
    /// while the host goes on, a step then waits for each part's end.
    pub fn measure_parts(&mut self) {
        self.clock = Some(Clock::default());
    }

    /// What [`Trainer::measure_parts`] started.
    #[must_use]
    pub fn clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    /// Computes through the graph where the CPU engine would: the two are
    /// compared in tests.
    pub fn use_graph(&mut self) {
        self.on_host = false;
        self.optimizer.use_host(0);
    }

    /// Gives the other devices the weights of the first.
    pub(super) fn hand_out(&mut self) {
        for (replica, device) in self.replicas.iter_mut().zip(&self.others) {
            *replica = self.parameters.copied_to(device);
        }
    }

    /// The gradients that [`Trainer::step`] would follow. Advances the batch
    /// like a step, and leaves the weights alone.
    ///
    /// # Errors
    /// Those of [`Trainer::step`].
    pub fn gradients(
        &mut self,
        draw: impl FnMut(usize) -> Example,
    ) -> Result<(Gradients, StepReport), ModelError> {
        let before = (self.shards.clone(), self.rng.clone());
        let model = if self.on_host {
            let values = host::lend_all(&mut self.parameters, &self.device)?;
            let plan = Arc::new(self.plan.clone());
            let bf16 = self.settings.precision == Precision::Bf16;
            Some(CpuModel::for_training(plan, values, bf16))
        } else {
            None
        };
        let advanced = self.advance(draw, model.as_ref());
        if let Some(model) = model {
            let values = model.into_dense();
            host::give_back(&self.plan, &mut self.parameters, values, &self.device);
        }
        let measured = advanced.and_then(|(total, report, norm)| {
            let norm = norm.map_or_else(|| self.gradient_norm(&total), Ok)?;
            Ok((total, report, norm))
        });
        let (mut total, mut report, norm) = match measured {
            Ok(measured) => measured,
            Err(error) => {
                (self.shards, self.rng) = before;
                return Err(self.trace_back(error));
            }
        };
        report.gradient_norm = norm;
        if let Some(limit) = self.settings.clip
            && report.gradient_norm > limit
        {
            let scale = limit / report.gradient_norm;
            for gradient in total.iter_mut().flatten() {
                *gradient = gradient.clone() * scale;
            }
        }
        Ok((total, report))
    }

    /// The shards' gradients and measures added up; on the host with the norm
    /// of the gradients, where it costs nothing extra.
    fn advance(
        &mut self,
        mut draw: impl FnMut(usize) -> Example,
        host: Option<&CpuModel>,
    ) -> Result<(Gradients, StepReport, Option<f64>), ModelError> {
        let begun = Instant::now();
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
            let least = match self.method.supervision {
                Supervision::Every => shard.carry.draw_least(&self.plan.config, &mut self.rng),
                Supervision::Last => Vec::new(),
            };
            work.push((fresh, least));
        }
        let draws = self.method.draw(&self.plan, &mut self.rng);
        let warm_ups = match self.method.supervision {
            Supervision::Every => 0,
            Supervision::Last => self.depth - 1,
        };
        if let Some(clock) = &self.clock {
            clock.add(Part::Data, begun);
        }
        let step = self.optimizer.steps() + 1;
        let devices = std::iter::once((&self.device, &self.parameters))
            .chain(self.others.iter().zip(&self.replicas));
        let commons: Vec<Common<'_>> = devices
            .map(|(device, parameters)| Common {
                plan: &self.plan,
                parameters,
                device,
                precision: self.settings.precision,
                host,
                clock: self.clock.as_ref(),
                step,
                loss: self.settings.loss,
                q_weight: self.settings.q_weight,
                method: self.method,
                warm_ups,
                draws,
                batch: self.settings.batch_size,
            })
            .collect();
        let workers = self.settings.threads.max(1) * commons.len();
        let work = self.shards.iter_mut().zip(work);
        let shares: Vec<Result<Share, ModelError>> =
            in_order(workers, work.collect(), |(shard, (fresh, least))| {
                shard.step(&commons[shard.device], fresh, &least)
            });

        timed(self.clock.as_ref(), Part::Optimizer, &self.device, || {
            self.add_up(shares)
        })
    }

    /// Adds up what the shards have computed.
    fn add_up(
        &self,
        shares: Vec<Result<Share, ModelError>>,
    ) -> Result<(Gradients, StepReport, Option<f64>), ModelError> {
        let mut report = StepReport::default();
        let mut total: Gradients = vec![None; self.plan.tensors.len()];
        let mut on_host: Option<Vec<Vec<f32>>> = None;
        let mut norms = vec![0.0; self.plan.tensors.len()];
        for share in shares {
            let share = share?;
            report.add(&share.report);
            match share.gradients {
                Slopes::Device(gradients) => {
                    for (sum, gradient) in total.iter_mut().zip(gradients) {
                        *sum = match (sum.take(), gradient.map(|g| g.to_device(&self.device))) {
                            (Some(a), Some(b)) => Some(a + b),
                            (a, b) => a.or(b),
                        };
                    }
                }
                Slopes::Host(mut gradients) => match &mut on_host {
                    Some(sums) => {
                        let pairs = sums.iter_mut().zip(&mut gradients).zip(&mut norms);
                        for ((sum, term), norm) in pairs {
                            *norm = host::add(sum, term, self.settings.threads);
                        }
                    }
                    None => {
                        // Of one shard alone it is not known yet.
                        if self.shards.len() == 1 {
                            for (norm, gradient) in norms.iter_mut().zip(&gradients) {
                                *norm = host::squares(gradient);
                            }
                        }
                        on_host = Some(gradients);
                    }
                },
            }
        }
        let Some(sums) = on_host else {
            return Ok((total, report, None));
        };
        if let Some(i) = norms.iter().position(|s| !s.is_finite()) {
            return Err(self.broken_gradient(&self.plan.tensors[i].name));
        }
        let norm = norms.iter().sum::<f64>().sqrt();
        for ((slot, values), spec) in total.iter_mut().zip(sums).zip(&self.plan.tensors) {
            if !values.is_empty() {
                *slot = Some(upload(values, matrix_shape(&spec.shape), &self.device));
            }
        }
        Ok((total, report, Some(norm)))
    }

    fn broken_gradient(&self, name: &str) -> ModelError {
        ModelError::Diverged {
            step: self.steps() + 1,
            part: format!("the gradient of `{name}`"),
            at: None,
        }
    }

    /// Euclidean norm of all gradients. Read back before the weights change,
    /// so that no weight ever becomes something else than a number: the one
    /// wait for the device at the end of a step, of a few bytes.
    fn gradient_norm(&self, gradients: &Gradients) -> Result<f64, ModelError> {
        let named = || {
            let specs = self.plan.tensors.iter();
            specs
                .zip(gradients)
                .filter_map(|(spec, g)| Some((spec, g.as_ref()?)))
        };
        // Row by row first: a sum of fixed order on every device.
        let squares: Vec<Tensor<1>> = named()
            .map(|(_, g)| (g.clone() * g.clone()).sum_dim(1).sum())
            .collect();
        if squares.is_empty() {
            return Ok(0.0);
        }
        let squares = read(Tensor::cat(squares, 0), "gradient norms")?;
        if let Some(i) = squares.iter().position(|s| !s.is_finite()) {
            let name = named().nth(i).map_or("?", |(spec, _)| spec.name.as_str());
            return Err(self.broken_gradient(name));
        }
        Ok(squares.iter().map(|&s| f64::from(s)).sum::<f64>().sqrt())
    }
}

/// Rows that a thread computes together where that is not simply its share.
const TOGETHER: usize = 2;

/// Does some work on so many threads, each a run of items that follow one
/// another; the results in order.
fn in_order<T: Send, R: Send>(
    workers: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let n = items.len();
    let workers = workers.clamp(1, n.max(1));
    if workers == 1 {
        return items.into_iter().map(work).collect();
    }
    let mut items = items.into_iter();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..workers)
            .map(|i| {
                let count = n * (i + 1) / workers - n * i / workers;
                let own: Vec<T> = items.by_ref().take(count).collect();
                scope.spawn(move || own.into_iter().map(work).collect::<Vec<R>>())
            })
            .collect();
        let done = threads.into_iter();
        done.flat_map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    })
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
        let answers = plan.heads.answers;
        if what == "answer"
            && let Some(token) = tokens
                .iter()
                .find(|&&t| t != TOKEN_PAD && t < answers.first)
        {
            let reason = format!("its answer has token {token}, which the model can't give");
            return Err(ModelError::Input { row, reason });
        }
        if let Some(&token) = tokens.iter().find(|&&t| usize::from(t) >= vocab) {
            let reason = format!("its {what} has token {token}, the vocabulary {vocab}");
            return Err(ModelError::Input { row, reason });
        }
    }
    Ok(())
}
