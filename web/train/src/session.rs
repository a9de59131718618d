//! A run in training: puzzles, trainer, schedule and measurements, driven
//! step by step from outside, by the room's worker or natively.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use hrm_core::plan::Plan;
use hrm_core::puzzle::GenerateError;
use hrm_core::train::held_out::Side;
use hrm_core::train::{
    Backend, CarriedRows, Example, Fall, Orders, Rows, Sampler, Schedule, Share, StepReport,
    TrainError, Trainer, Variation,
};
use hrm_core::weights::{Weights, WeightsError};

use crate::evaluation::Evaluator;
use crate::history::{Evaluation, History, Mark};
use crate::message::{Begun, Place, Sample};
use crate::puzzles::{self, Maker, Row};
use crate::saved::{Restored, TrainFile, TrainState, Whole};
use crate::settings::{Course, DECAY_SHARE, FLOOR, Settings};

/// Held-out puzzles whose runs are shown.
pub const SAMPLES: usize = 3;

/// Why a run can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Settings or files that are none of a run.
    #[error("{0}")]
    Refused(String),
    /// No puzzles could be made.
    #[error(transparent)]
    Puzzles(#[from] GenerateError),
    /// A step failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Weights that do not fit.
    #[error("model.safetensors: {0}")]
    Weights(#[from] WeightsError),
    /// A puzzle does not fit the network.
    #[error(transparent)]
    Engine(#[from] hrm_core::engine::EngineError),
}

pub use hrm_core::train::Gradients;

/// The rows of a batch that worker `worker` of `workers` computes.
#[must_use]
pub fn rows(batch: usize, worker: usize, workers: usize) -> Range<usize> {
    let workers = workers.max(1);
    batch * worker / workers..batch * (worker + 1) / workers
}

/// A trainer of these settings for some rows of the batch.
///
/// # Errors
/// If there is no such network, or its method does not suit it.
pub fn trainer(
    settings: &Settings,
    weights: Option<&[u8]>,
    rows: Range<usize>,
) -> Result<Trainer, SessionError> {
    let config = settings
        .config()
        .map_err(|e| SessionError::Refused(e.to_string()))?;
    let plan = Plan::new(&config).map_err(|e| SessionError::Refused(e.to_string()))?;
    let weights = match weights {
        Some(bytes) => Weights::from_safetensors(&plan, bytes)?,
        None => Weights::random(&plan, settings.seed),
    };
    let file = TrainFile::of(settings, &config);
    let trainer = Trainer::on_host(plan, &weights, file.trainer());
    Ok(trainer.with_method(file.method())?.of_rows(rows))
}

/// A run that is being prepared: its puzzles are made piece by piece.
#[derive(Debug)]
pub struct Preparation {
    settings: Settings,
    restored: Option<Restored>,
    training: Maker,
    held_out: Maker,
}

impl Preparation {
    /// A new run.
    ///
    /// # Errors
    /// If there can be none of these settings.
    pub fn new(settings: Settings) -> Result<Self, SessionError> {
        settings.check().map_err(SessionError::Refused)?;
        Ok(Self::of(settings, None))
    }

    /// A run that was kept.
    #[must_use]
    pub fn restored(restored: Restored) -> Self {
        Self::of(restored.settings.clone(), Some(restored))
    }

    fn of(settings: Settings, restored: Option<Restored>) -> Self {
        Self {
            training: Maker::new(&settings, Side::Training, settings.training),
            held_out: Maker::new(&settings, Side::HeldOut, settings.held_out.max(SAMPLES)),
            settings,
            restored,
        }
    }

    /// Tries for one more puzzle; false once all are there.
    ///
    /// # Errors
    /// If the generator finds none.
    pub fn work(&mut self) -> Result<bool, SessionError> {
        for maker in [&mut self.held_out, &mut self.training] {
            if !maker.is_done() {
                maker.work()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puzzles made and wanted.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (
            self.held_out.made() + self.training.made(),
            self.settings.held_out.max(SAMPLES) + self.settings.training,
        )
    }

    /// Workers that are to share the work, where `wanted` are and it had none
    /// before.
    #[must_use]
    pub fn workers(&self, wanted: usize) -> usize {
        let had = self.restored.as_ref().and_then(|r| r.workers);
        had.unwrap_or(wanted).clamp(1, self.settings.batch)
    }

    /// The run, of which `workers` share the work.
    ///
    /// # Errors
    /// If what was kept does not fit.
    pub fn finish(mut self, workers: usize) -> Result<Session, SessionError> {
        let settings = self.settings;
        let own = rows(settings.batch, 0, workers);
        let weights = self.restored.as_ref().map(|r| r.weights.as_slice());
        let mut trainer = trainer(&settings, weights, own)?;
        let mut session_state = TrainState::default();
        let mut history = History::default();
        let mut memory = None;
        if let Some(restored) = self.restored
            && let Some(optimizer) = restored.optimizer
        {
            trainer.load_state(&optimizer)?;
            if trainer.steps() != restored.state.step {
                return Err(SessionError::Refused(format!(
                    "optimizer.safetensors is of step {}, train-state.json of step {}",
                    trainer.steps(),
                    restored.state.step
                )));
            }
            session_state = TrainState {
                files: BTreeMap::new(),
                ..restored.state
            };
            history = restored.history;
            memory = Some(optimizer);
        }
        let variation = Variation {
            augment: true,
            copies: 0,
            hints: settings.hints,
            group: 1,
        };
        let training = self.training.take_rows();
        let count = training.len();
        let sampler = Sampler::new(Rows::Sudoku(training), settings.seed, variation)
            .map_err(|error| SessionError::Refused(error.to_string()))?;
        let held_out = puzzles::asked(&settings, self.held_out.take_rows());
        Ok(Session {
            settings,
            trainer,
            sampler,
            training: count,
            held_out: held_out.into(),
            workers,
            history,
            state: session_state,
            fresh: Vec::new(),
            measured: None,
            memory,
        })
    }
}

/// The rate's course.
#[must_use]
pub fn schedule(settings: &Settings) -> Schedule {
    Schedule {
        fall: match settings.course {
            Course::Constant => Fall::Constant,
            Course::Linear => Fall::Linear,
            Course::Cosine => Fall::Cosine,
        },
        warmup: settings.warmup,
        floor: FLOOR,
        share: DECAY_SHARE,
    }
}

/// The factor on the rate at a step, counted from 0.
#[must_use]
pub fn factor(settings: &Settings, step: u64) -> f64 {
    let done = (step as f64 / settings.steps.max(1) as f64).min(1.0);
    schedule(settings).factor(step, Some(done), Some(settings.steps))
}

/// A run in training.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    trainer: Trainer,
    sampler: Sampler,
    training: usize,
    held_out: Arc<[Row]>,
    workers: usize,
    history: History,
    state: TrainState,
    /// Measured since it was last asked for.
    fresh: Vec<Mark>,
    /// The newest measurement on many puzzles.
    measured: Option<(Evaluation, Arc<[Row]>)>,
    /// The memory that it was taken up with, for the other workers.
    memory: Option<Vec<u8>>,
}

impl Session {
    /// What the room is told of it.
    #[must_use]
    pub fn begun(&self) -> Begun {
        let samples = self.held_out.iter().take(SAMPLES);
        Begun {
            settings: self.settings.clone(),
            history: self.history.clone(),
            samples: samples
                .map(|(question, answer)| Sample {
                    question: question.clone(),
                    answer: answer.clone(),
                })
                .collect(),
            parameters: self.trainer.plan().parameter_count(),
            training: self.training,
            workers: self.workers,
            step: self.state.step,
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has measured.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Its architecture.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        self.trainer.plan()
    }

    /// Workers that share the work.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The memory that it was taken up with, once: the other workers take
    /// their rows from it.
    pub fn take_memory(&mut self) -> Option<Vec<u8>> {
        self.memory.take()
    }

    /// The weights being trained, in the plan's order.
    ///
    /// # Errors
    /// Never, on a processor.
    pub fn values(&self) -> Result<Vec<Vec<f32>>, SessionError> {
        Ok(self.trainer.backend().values()?)
    }

    /// Where it is; `rate` and whether it goes on are the worker's to say.
    #[must_use]
    pub fn place(&self, rate: f64, running: bool) -> Place {
        Place {
            step: self.state.step,
            puzzles: self.state.puzzles,
            seconds: self.state.seconds,
            rate,
            running,
            over: self.is_over(),
        }
    }

    /// Steps done.
    #[must_use]
    pub fn step_number(&self) -> u64 {
        self.state.step
    }

    /// Whether the schedule has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.step >= self.settings.steps
    }

    /// The factor on the rate at the next step.
    #[must_use]
    pub fn factor(&self) -> f64 {
        factor(&self.settings, self.state.step)
    }

    /// One step, all rows being here.
    ///
    /// # Errors
    /// If it diverges; the run is then as before the step.
    pub fn step(&mut self) -> Result<(), SessionError> {
        let orders = self.begin()?;
        let share = self.share(&orders)?;
        self.finish(vec![share])
    }

    /// Begins a step that workers share.
    ///
    /// # Errors
    /// Never, with puzzles of the board.
    pub fn begin(&mut self) -> Result<Orders, SessionError> {
        let first = self.state.step * self.settings.batch as u64;
        let sampler = &mut self.sampler;
        let draw = |row: usize| -> Example { sampler.draw(first + row as u64) };
        Ok(self.trainer.begin(draw)?)
    }

    /// The leader's own share of a step.
    ///
    /// # Errors
    /// If it diverges.
    pub fn share(&mut self, orders: &Orders) -> Result<Share<Gradients>, SessionError> {
        Ok(self.trainer.share(orders)?)
    }

    /// Ends a step with everybody's shares, in the order of their rows.
    ///
    /// # Errors
    /// If it diverges, or rows are missing.
    pub fn finish(&mut self, shares: Vec<Share<Gradients>>) -> Result<(), SessionError> {
        let factor = self.factor();
        let report = self.trainer.finish(shares, factor)?;
        self.state.step += 1;
        self.state.puzzles += report.started as u64;
        self.note(&report);
        Ok(())
    }

    /// Adds time that was spent in training.
    pub fn spend(&mut self, seconds: f64) {
        self.state.seconds += seconds;
    }

    fn note(&mut self, report: &StepReport) {
        let mark = Mark {
            step: self.state.step,
            seconds: self.state.seconds,
            steps: 1,
            loss: report.loss,
            cells: report.cell_accuracy,
            exact: report.exact_accuracy,
            segments: report.segments,
            q: report.q_halt_accuracy,
        };
        self.history.add(&[mark]);
        self.fresh.push(mark);
    }

    /// What was measured since it was last asked for.
    pub fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.fresh)
    }

    /// An evaluation of the network as it is, on the held-out puzzles that are
    /// looked at as it goes.
    ///
    /// # Errors
    /// If the weights are no finite numbers.
    pub fn evaluator(&self) -> Result<Evaluator, SessionError> {
        self.evaluator_on(Arc::clone(&self.held_out), SAMPLES)
    }

    /// The same on the first few of them.
    ///
    /// # Errors
    /// If the weights are no finite numbers.
    pub fn first_evaluator(&self, puzzles: usize) -> Result<Evaluator, SessionError> {
        let first = self.held_out.iter().take(puzzles).cloned().collect();
        self.evaluator_on(first, SAMPLES)
    }

    /// The same on other puzzles.
    ///
    /// # Errors
    /// If the weights are no finite numbers.
    pub fn evaluator_on(
        &self,
        rows: Arc<[Row]>,
        samples: usize,
    ) -> Result<Evaluator, SessionError> {
        let weights = self.trainer.averaged()?;
        let (step, seconds) = (self.state.step, self.state.seconds);
        let plan = Arc::clone(self.trainer.plan());
        Ok(Evaluator::new(plan, &weights, rows, samples, step, seconds))
    }

    /// Keeps an evaluation.
    pub fn evaluated(&mut self, evaluation: Evaluation) {
        self.history.evaluate(evaluation);
    }

    /// Keeps a measurement on many puzzles.
    pub fn measured(&mut self, evaluation: Evaluation, rows: Arc<[Row]>) {
        self.measured = Some((evaluation, rows));
    }

    /// The run as files, with the rows that the other workers carry.
    ///
    /// # Errors
    /// If the weights are no finite numbers.
    pub fn files(&self, others: &[CarriedRows]) -> Result<Vec<(String, Vec<u8>)>, SessionError> {
        let plan = self.trainer.plan();
        let here = |e: &&(Evaluation, Arc<[Row]>)| e.0.step == self.state.step;
        let measured = self.measured.as_ref().filter(here);
        let rows = measured.map_or(&self.held_out, |(_, rows)| rows);
        let whole = Whole {
            settings: &self.settings,
            plan,
            state: self.state.clone(),
            workers: self.workers,
            history: &self.history,
            weights: self.trainer.averaged()?.to_safetensors(plan)?,
            optimizer: self.trainer.save_state_with(others)?,
            measured: measured.map(|(evaluation, _)| evaluation),
            held_out: puzzles::to_csv(rows),
        };
        whole.files().map_err(SessionError::Refused)
    }

    /// The weights to use.
    ///
    /// # Errors
    /// If they are no finite numbers.
    pub fn weights(&self) -> Result<Weights, SessionError> {
        Ok(self.trainer.averaged()?)
    }
}
