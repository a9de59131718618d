//! The trainer: one segment of every row and one update of the weights a
//! step.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::act::{Carry, Example, Sequence, draw_least};
use super::backend::{Backend, SegmentGuess};
use super::clock::{Clock, Part, timed};
use super::host::{Host, to_weights};
use super::method::{Supervision, TrainingMethod};
use super::optim::Stride;
use super::report::StepReport;
use super::settings::TrainerSettings;
use super::shard::{Common, RowOrder, Shard, Stepped};
use super::threads::in_order;
use crate::plan::Plan;
use crate::puzzle::TOKEN_PAD;
use crate::weights::Weights;

/// A model in training, with all rows of a batch or some of them.
#[derive(Debug)]
pub struct Trainer<B: Backend = Host> {
    pub(super) plan: Arc<Plan>,
    pub(super) settings: TrainerSettings,
    pub(super) method: TrainingMethod,
    /// Segments of a row in a step that trains the last one.
    depth: usize,
    pub(super) backend: B,
    /// Steps taken.
    pub(super) steps: u64,
    /// The rows of the batch that are computed here.
    pub(super) rows: Range<usize>,
    pub(super) shards: Vec<Shard<B::States>>,
    /// The shards after a step that is not over yet.
    stepped: Option<Vec<Shard<B::States>>>,
    /// Rows of the whole batch that take a new puzzle at the next step.
    pub(super) halted: Vec<bool>,
    pub(super) rng: ChaCha8Rng,
    clock: Option<Clock>,
}

/// What a step asks of those who share a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The step, from 1.
    step: u64,
    /// Of what is drawn in it.
    seed: u64,
    /// Segments before the one that is trained.
    warm_ups: usize,
    /// Of every row of the batch.
    rows: Vec<RowOrder>,
}

/// What some rows of the batch contribute to a step.
#[derive(Debug)]
pub struct Share<G> {
    /// Their gradients, added up.
    pub gradients: G,
    /// Their measures, each divided by the whole batch.
    pub report: StepReport,
    /// Which rows they are.
    pub rows: Range<usize>,
    /// For each whether it takes a new puzzle at the next step.
    pub halted: Vec<bool>,
}

impl Trainer<Host> {
    /// A trainer at its first step, on the host.
    #[must_use]
    pub fn on_host(plan: Plan, weights: &Weights, settings: TrainerSettings) -> Self {
        let plan = Arc::new(plan);
        let host = Host::new(&plan, weights, &settings);
        Self::new(plan, host, settings)
    }
}

impl<B: Backend> Trainer<B> {
    /// A trainer at its first step. Where the backend has several devices,
    /// each batch is divided among them: the same step as one would take with
    /// the whole batch, up to rounding.
    #[must_use]
    pub fn new(plan: Arc<Plan>, backend: B, settings: TrainerSettings) -> Self {
        let mut trainer = Self {
            method: TrainingMethod::default(),
            depth: plan.config.halt_max_steps,
            clock: None,
            steps: 0,
            rows: 0..settings.batch_size,
            shards: Vec::new(),
            stepped: None,
            halted: vec![true; settings.batch_size],
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            backend,
            plan,
            settings,
        };
        trainer.divide();
        trainer
    }

    /// The same trainer, at its first step, with another method than HRM's.
    ///
    /// # Errors
    /// If the method's options contradict each other or the model.
    pub fn with_method(mut self, method: TrainingMethod) -> Result<Self, TrainError> {
        method.check(&self.plan)?;
        self.method = method;
        self.divide();
        Ok(self)
    }

    /// The same trainer, at its first step, for some rows of the batch, which
    /// it shares with others: see [`Trainer::begin`].
    #[must_use]
    pub fn of_rows(mut self, rows: Range<usize>) -> Self {
        let end = rows.end.min(self.settings.batch_size);
        self.rows = rows.start.min(end)..end;
        self.divide();
        self
    }

    /// Makes shards of the rows, all about to begin.
    fn divide(&mut self) {
        let devices = self.backend.devices().max(1);
        let rows = self.rows.len();
        let smallest = self
            .backend
            .together()
            .map_or(1, |together| rows.div_ceil(together));
        let parts = (self.settings.threads.max(1) * devices).max(smallest);
        let parts = parts.clamp(1, rows.max(1));
        let start = |part: usize| rows * part / parts;
        let shard = |part: usize| {
            let device = part * devices / parts;
            let count = start(part + 1) - start(part);
            let states = count * self.method.chains;
            Shard {
                first: self.rows.start + start(part),
                device,
                carry: Carry::new(count),
                states: self.backend.initial(device, states),
            }
        };
        self.shards = (0..parts).map(shard).collect();
        self.stepped = None;
    }

    /// From the next step on a row has this many segments, of which the last
    /// is trained; for [`Supervision::Last`], where it is at first the model's
    /// `halt_max_steps`.
    pub fn set_depth(&mut self, segments: usize) {
        self.depth = segments.max(1);
    }

    /// The architecture.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &TrainerSettings {
        &self.settings
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What computes.
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// What computes, to be given other weights.
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Segments that each row here has run on its puzzle.
    #[must_use]
    pub fn row_segments(&self) -> Vec<usize> {
        let carries = self.shards.iter().map(|s| &s.carry);
        carries.flat_map(|c| c.steps.iter().copied()).collect()
    }

    /// Rows of the batch that take a new puzzle at the next step.
    #[must_use]
    pub fn row_halted(&self) -> &[bool] {
        &self.halted
    }

    /// The rows here that the next step takes up where this one left them:
    /// the puzzle of each, none before its first.
    #[must_use]
    pub fn rows(&self) -> Vec<&Example> {
        self.shards.iter().flat_map(|s| &s.carry.examples).collect()
    }

    /// The weights being trained.
    ///
    /// # Errors
    /// If the device fails, or they hold values that are not finite.
    pub fn weights(&self) -> Result<Weights, TrainError> {
        to_weights(&self.plan, self.backend.values()?)
    }

    /// The weights to use: their moving average, or themselves without one.
    ///
    /// # Errors
    /// If the device fails, or they hold values that are not finite.
    pub fn averaged(&self) -> Result<Weights, TrainError> {
        to_weights(&self.plan, self.backend.average()?)
    }

    /// What the weights to use say of puzzles after each of so many segments:
    /// `[segment][puzzle]`.
    ///
    /// # Errors
    /// If the device fails, or a puzzle does not fit.
    pub fn evaluate(
        &self,
        inputs: &[Sequence<'_>],
        segments: usize,
    ) -> Result<Vec<Vec<SegmentGuess>>, TrainError> {
        self.backend.evaluate(inputs, segments)
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
    ) -> Result<StepReport, TrainError> {
        let before = self.rng.clone();
        let orders = self.begin(draw)?;
        let share = self.share(&orders);
        let outcome = share.and_then(|share| self.finish(vec![share], factor));
        if outcome.is_err() {
            self.rng = before;
        }
        outcome
    }

    /// The gradients that [`Trainer::step`] would follow, in the plan's
    /// order, empty for a tensor that the loss does not depend on. Advances
    /// the batch like a step, and leaves the weights alone.
    ///
    /// # Errors
    /// Those of [`Trainer::step`].
    pub fn gradients(
        &mut self,
        draw: impl FnMut(usize) -> Example,
    ) -> Result<(Vec<Vec<f32>>, StepReport), TrainError> {
        let before = self.rng.clone();
        let orders = self.begin(draw)?;
        let added = self
            .share(&orders)
            .and_then(|share| self.add_up(vec![share]))
            .and_then(|(total, report, shrink, halted)| {
                let mut values = self.backend.read_gradients(total)?;
                for value in values.iter_mut().flatten() {
                    *value *= shrink as f32;
                }
                Ok((values, report, halted))
            });
        match added {
            Ok((values, report, halted)) => {
                self.keep(halted);
                Ok((values, report))
            }
            Err(error) => {
                self.rng = before;
                Err(error)
            }
        }
    }

    /// Begins a step that is shared: draws what it needs, the puzzles of rows
    /// that have halted included. Everyone, this trainer too, then computes
    /// its [`Trainer::share`], and [`Trainer::finish`] takes them all. The
    /// others need the same weights.
    ///
    /// # Errors
    /// If a puzzle does not fit the model.
    pub fn begin(&mut self, mut draw: impl FnMut(usize) -> Example) -> Result<Orders, TrainError> {
        let begun = self.clock.as_ref().map(|_| Instant::now());
        let mut fresh = Vec::with_capacity(self.halted.len());
        for (row, &halted) in self.halted.iter().enumerate() {
            let example = halted.then(|| draw(row));
            if let Some(example) = &example {
                check(&self.plan, row, example)?;
            }
            fresh.push(example);
        }
        let rows = fresh.len();
        let least = match self.method.supervision {
            Supervision::Every => draw_least(rows, &self.plan.config, &mut self.rng),
            Supervision::Last => vec![0; rows],
        };
        let seed = self.method.draw(&self.plan, &mut self.rng);
        if let (Some(clock), Some(begun)) = (&self.clock, begun) {
            clock.add(Part::Data, begun);
        }
        let rows = fresh.into_iter().zip(least);
        Ok(Orders {
            step: self.steps + 1,
            seed,
            warm_ups: match self.method.supervision {
                Supervision::Every => 0,
                Supervision::Last => self.depth - 1,
            },
            rows: rows
                .map(|(fresh, least)| RowOrder { fresh, least })
                .collect(),
        })
    }

    /// Computes what the rows here contribute to a step. They move on with
    /// [`Trainer::finish`], or for who is not the leader [`Trainer::go_on`].
    ///
    /// # Errors
    /// If the device fails, or a loss is no finite number.
    pub fn share(&mut self, orders: &Orders) -> Result<Share<B::Gradients>, TrainError> {
        let common = Common {
            plan: &self.plan,
            backend: &self.backend,
            clock: self.clock.as_ref(),
            settings: &self.settings,
            method: self.method,
            step: orders.step,
            warm_ups: orders.warm_ups,
            draws: self.method.draws(orders.seed),
        };
        let own = |shard: &Shard<B::States>| {
            let rows = shard.first..shard.first + shard.carry.steps.len();
            orders.rows.get(rows).ok_or_else(|| {
                let rows = orders.rows.len();
                TrainError::State(format!("orders for {rows} rows, of which some are missing"))
            })
        };
        let workers = self.settings.threads.max(1) * self.backend.devices().max(1);
        let shards: Vec<&Shard<B::States>> = self.shards.iter().collect();
        let stepped = in_order(workers, shards, |shard| shard.step(&common, own(shard)?));
        let mut report = StepReport::default();
        let mut total = None;
        let mut shards = Vec::with_capacity(stepped.len());
        let added = timed(self.clock.as_ref(), Part::Optimizer, &self.backend, || {
            for stepped in stepped {
                let Stepped {
                    shard,
                    gradients,
                    report: part,
                } = stepped?;
                report.add(&part);
                total = Some(self.backend.add(total.take(), gradients));
                shards.push(shard);
            }
            Ok(())
        });
        let gradients = match (added, total) {
            (Ok(()), Some(total)) => total,
            (Ok(()), None) => return Err(TrainError::State("there are no rows".into())),
            (Err(error), _) => return Err(self.trace_back(error)),
        };
        let carries = shards.iter().map(|shard| &shard.carry);
        let halted = carries.flat_map(|c| c.halted.iter().copied()).collect();
        self.stepped = Some(shards);
        Ok(Share {
            gradients,
            report,
            rows: self.rows.clone(),
            halted,
        })
    }

    /// The rows here move on, the leader having finished the step.
    pub fn go_on(&mut self) {
        if let Some(shards) = self.stepped.take() {
            self.shards = shards;
            self.steps += 1;
        }
    }

    /// Ends a step: adds up everyone's shares, in this order, and moves the
    /// weights. `factor` scales the learning rates.
    ///
    /// # Errors
    /// If rows are missing, the device fails, or a gradient is no finite
    /// number. The trainer is then as before the step, but for what
    /// [`Trainer::begin`] drew.
    pub fn finish(
        &mut self,
        shares: Vec<Share<B::Gradients>>,
        factor: f64,
    ) -> Result<StepReport, TrainError> {
        let (total, report, shrink, halted) = self.add_up(shares)?;
        let step = self.steps + 1;
        let keep = |limit: f64| limit.min((1.0 + step as f64) / (10.0 + step as f64));
        let stride = Stride {
            step,
            factor,
            shrink,
            keep: self.settings.ema.map(keep),
        };
        let begun = self.clock.as_ref().map(|_| Instant::now());
        self.backend.update(total, stride)?;
        if let (Some(clock), Some(begun)) = (&self.clock, begun) {
            self.backend.wait();
            clock.add(Part::Optimizer, begun);
        }
        self.keep(halted);
        self.steps = step;
        Ok(report)
    }

    /// Takes the rows as the step has left them.
    fn keep(&mut self, halted: Vec<bool>) {
        self.halted = halted;
        if let Some(shards) = self.stepped.take() {
            self.shards = shards;
        }
    }

    /// The gradients of all shares with the measures, the factor that cuts
    /// the gradients to the limit, and who takes a new puzzle.
    #[allow(clippy::type_complexity, reason = "it is used twice, in this file")]
    fn add_up(
        &self,
        shares: Vec<Share<B::Gradients>>,
    ) -> Result<(B::Gradients, StepReport, f64, Vec<bool>), TrainError> {
        let mut report = StepReport::default();
        let mut total = None;
        let mut halted = vec![None; self.halted.len()];
        for share in shares {
            report.add(&share.report);
            total = Some(self.backend.add(total.take(), share.gradients));
            for (row, row_halted) in share.rows.zip(share.halted) {
                if let Some(place) = halted.get_mut(row) {
                    *place = Some(row_halted);
                }
            }
        }
        let missing = halted.iter().position(Option::is_none);
        let (Some(total), None) = (total, missing) else {
            let row = missing.unwrap_or(0);
            return Err(TrainError::State(format!("nobody has computed row {row}")));
        };
        // Before the weights change, so that none ever becomes something else
        // than a number.
        let squares = self.backend.squares(&total)?;
        if let Some(i) = squares.iter().position(|s| !s.is_finite()) {
            let name = &self.plan.tensors[i].name;
            return Err(self.trace_back(TrainError::Diverged {
                step: self.steps + 1,
                part: format!("the gradient of `{name}`"),
                at: None,
            }));
        }
        report.gradient_norm = squares.iter().sum::<f64>().sqrt();
        let shrink = match self.settings.clip {
            Some(limit) if report.gradient_norm > limit => limit / report.gradient_norm,
            _ => 1.0,
        };
        Ok((
            total,
            report,
            shrink,
            halted.into_iter().flatten().collect(),
        ))
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
}

/// Refuses a puzzle that does not fit the model.
pub(super) fn check(plan: &Plan, row: usize, example: &Example) -> Result<(), TrainError> {
    let identifier = plan.no_identifier(example.identifier as usize);
    if let Some(reason) = identifier {
        return Err(TrainError::Input { row, reason });
    }
    let (cells, vocab) = (plan.config.seq_len, plan.config.vocab_size);
    for (what, tokens) in [("question", &example.input), ("answer", &example.label)] {
        if tokens.len() != cells {
            let reason = format!(
                "its {what} has {} tokens, the model takes {cells}",
                tokens.len()
            );
            return Err(TrainError::Input { row, reason });
        }
        let answers = plan.heads.answers;
        if what == "answer"
            && let Some(token) = tokens
                .iter()
                .find(|&&t| t != TOKEN_PAD && t < answers.first)
        {
            let reason = format!("its answer has token {token}, which the model can't give");
            return Err(TrainError::Input { row, reason });
        }
        if let Some(&token) = tokens.iter().find(|&&t| usize::from(t) >= vocab) {
            let reason = format!("its {what} has token {token}, the vocabulary {vocab}");
            return Err(TrainError::Input { row, reason });
        }
    }
    Ok(())
}
