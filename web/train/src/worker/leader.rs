//! Who leads: answers the page, and trains, evaluates and keeps the run in
//! turns.

use std::sync::Arc;

use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::StreamExt;
use hrm_core::train::held_out::Side;
use hrm_train_room::archive::{self, File};
use hrm_train_room::evaluation::Evaluator;
use hrm_train_room::export;
use hrm_train_room::message::{Asked, News, Order};
use hrm_train_room::puzzles::{self, Maker, Row};
use hrm_train_room::saved;
use hrm_train_room::session::{Preparation, SAMPLES, Session};
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};

use crate::clock::{self, Gate};
use crate::crew::Crew;
use crate::keep::Shelf;
use crate::post;

/// Milliseconds between two words of where a run is.
const WORD: f64 = 120.0;
/// Milliseconds of training between two evaluations at least, and times as
/// long as an evaluation takes: it gets a sixth of the time at most.
const EVALUATION: (f64, f64) = (700.0, 5.0);
/// The same of the first few, in which the most is to be seen.
const EARLY: (f64, f64) = (250.0, 1.0);
/// How many those are.
const EARLIEST: usize = 10;
/// The same of keeping the run: it gets a twentieth.
const KEEPING: (f64, f64) = (5_000.0, 19.0);
/// Puzzles of the evaluation of an untrained network, which comes first and
/// says little.
const FIRST: usize = 8;

/// Answers until the page is gone.
pub(crate) async fn serve(mut tasks: UnboundedReceiver<JsValue>) {
    let mut leader = Leader {
        shelf: Shelf::own(),
        state: State::Idle,
    };
    let mut gate = Gate::new();
    loop {
        let task = if leader.has_work() {
            gate.pass().await;
            match tasks.try_recv() {
                Ok(task) => Some(task),
                Err(error) if error.is_closed() => return,
                Err(_) => None,
            }
        } else {
            match tasks.next().await {
                Some(task) => Some(task),
                None => return,
            }
        };
        let outcome = match task {
            Some(task) => leader.answer(&task).await,
            None => leader.work().await,
        };
        if let Err(reason) = outcome {
            leader.pause();
            post::tell(None, News::Failed { reason });
        }
    }
}

struct Leader {
    shelf: Shelf,
    state: State,
}

enum State {
    /// There is no run.
    Idle,
    /// Its puzzles are being made.
    Preparing(Box<Making>),
    /// There is one.
    There(Box<Run>),
}

struct Making {
    request: u32,
    preparation: Preparation,
    workers: usize,
    /// Whether to train at once, or do so many steps.
    train: bool,
    steps: u32,
    said: f64,
}

struct Run {
    session: Session,
    crew: Crew,
    running: bool,
    /// Steps to be done though it rests.
    steps: u32,
    evaluator: Option<Evaluator>,
    measuring: Option<Measuring>,
    /// The evaluation that is wanted after this time of training, and what the
    /// last one has taken.
    evaluation: Pace,
    keeping: Pace,
    /// The step that was kept last.
    kept: Option<u64>,
    /// Steps and time since the last word.
    since: (u32, f64),
    said: f64,
    rate: f64,
}

/// A piece of other work that gets a share of the time.
#[derive(Default)]
struct Pace {
    /// Milliseconds of training since the last one.
    trained: f64,
    /// Milliseconds that it takes.
    takes: f64,
}

impl Pace {
    fn is_due(&self, (least, times): (f64, f64)) -> bool {
        self.trained >= least.max(times * self.takes)
    }
}

/// A measurement on many puzzles, which may have to be made first.
struct Measuring {
    request: u32,
    maker: Maker,
    evaluator: Option<Evaluator>,
}

impl Leader {
    fn has_work(&self) -> bool {
        match &self.state {
            State::Idle => false,
            State::Preparing(_) => true,
            State::There(run) => run.has_work(),
        }
    }

    fn pause(&mut self) {
        if let State::There(run) = &mut self.state {
            run.running = false;
            run.steps = 0;
            run.evaluator = None;
            run.measuring = None;
            run.word();
        }
    }

    async fn work(&mut self) -> Result<(), String> {
        match &mut self.state {
            State::Idle => Ok(()),
            State::Preparing(making) => {
                if !making.work()? {
                    return Ok(());
                }
                let State::Preparing(making) = std::mem::replace(&mut self.state, State::Idle)
                else {
                    return Ok(());
                };
                let run = making.finish().await?;
                self.state = State::There(Box::new(run));
                Ok(())
            }
            State::There(run) => run.work(&mut self.shelf).await,
        }
    }

    async fn answer(&mut self, message: &JsValue) -> Result<(), String> {
        let list = message.dyn_ref::<Array>();
        let text = match list {
            Some(list) => list.get(0).as_string(),
            None => message.as_string(),
        };
        let text = text.unwrap_or_default();
        let asked: Asked = serde_json::from_str(&text)
            .map_err(|error| format!("The worker does not understand {text:?}: {error}"))?;
        let request = asked.request;
        match asked.order {
            Order::TakeUp { workers } => match self.shelf.take().await {
                None => post::tell(Some(request), News::Nothing),
                Some(files) => {
                    let restored = saved::restore(files)?;
                    let preparation = Preparation::restored(restored);
                    self.prepare(request, preparation, workers, false);
                }
            },
            Order::Begin {
                settings,
                workers,
                train,
            } => {
                let preparation = Preparation::new(*settings).map_err(|e| e.to_string())?;
                self.prepare(request, preparation, workers, train);
            }
            Order::Import { names, workers } => {
                let contents = list.map(|list| list.iter().skip(1)).into_iter().flatten();
                let contents = contents.map(|bytes| post::bytes(&bytes).unwrap_or_default());
                let files: Vec<File> = names.into_iter().zip(contents).collect();
                let restored = archive::opened(files).and_then(saved::restore)?;
                let preparation = Preparation::restored(restored);
                self.prepare(request, preparation, workers, false);
            }
            Order::Forget => {
                self.state = State::Idle;
                self.shelf.clear().await;
                post::tell(Some(request), News::Nothing);
            }
            Order::Train => match &mut self.state {
                State::Preparing(making) => making.train = true,
                State::There(run) => run.go(true),
                State::Idle => {}
            },
            Order::Pause => match &mut self.state {
                State::Preparing(making) => making.train = false,
                State::There(run) => {
                    run.go(false);
                    run.keep(&mut self.shelf).await?;
                }
                State::Idle => {}
            },
            Order::Step => match &mut self.state {
                State::Preparing(making) => making.steps += 1,
                State::There(run) => run.steps += 1,
                State::Idle => {}
            },
            Order::Keep => {
                if let State::There(run) = &mut self.state {
                    run.keep(&mut self.shelf).await?;
                }
            }
            Order::Measure { puzzles } => {
                if let State::There(run) = &mut self.state {
                    run.measure(request, puzzles);
                }
            }
            Order::Export => {
                if let State::There(run) = &mut self.state {
                    let files = run.files().await?;
                    let name =
                        export::archive_name(run.session.settings(), run.session.step_number());
                    let packed = archive::pack(&files)?;
                    post::files(Some(request), &[(name, packed)]);
                }
            }
            Order::Model => {
                if let State::There(run) = &mut self.state {
                    let session = &run.session;
                    let weights = session.weights().map_err(|e| e.to_string())?;
                    let last = session.history().evaluations.last();
                    let files = export::model(
                        session.settings(),
                        session.plan(),
                        &weights,
                        session.step_number(),
                        last,
                    )?;
                    post::files(Some(request), &files);
                }
            }
        }
        Ok(())
    }

    fn prepare(&mut self, request: u32, preparation: Preparation, workers: usize, train: bool) {
        self.state = State::Preparing(Box::new(Making {
            request,
            workers: preparation.workers(workers),
            preparation,
            train,
            steps: 0,
            said: 0.0,
        }));
    }
}

impl Making {
    /// Some puzzles; whether all are there.
    fn work(&mut self) -> Result<bool, String> {
        let begun = clock::now();
        while clock::now() - begun < 20.0 {
            if !self.preparation.work().map_err(|e| e.to_string())? {
                return Ok(true);
            }
        }
        if clock::now() - self.said > WORD {
            self.said = clock::now();
            let (done, total) = self.preparation.progress();
            post::tell(Some(self.request), News::Making { done, total });
        }
        Ok(false)
    }

    async fn finish(self) -> Result<Run, String> {
        let failed = |error: hrm_train_room::session::SessionError| error.to_string();
        let mut session = self.preparation.finish(self.workers).map_err(failed)?;
        let memory = session.take_memory();
        let crew = Crew::start(session.settings(), self.workers, memory.as_deref()).await?;
        let run = Box::new(session.begun());
        post::tell(Some(self.request), News::Begun { run });
        // An untrained network is looked at before it is trained.
        let evaluator = if session.history().evaluations.is_empty() {
            Some(session.first_evaluator(FIRST).map_err(failed)?)
        } else {
            None
        };
        let mut run = Run {
            kept: Some(session.step_number()).filter(|step| *step > 0),
            session,
            crew,
            running: self.train,
            steps: self.steps,
            evaluator,
            measuring: None,
            evaluation: Pace::default(),
            keeping: Pace::default(),
            since: (0, 0.0),
            said: clock::now(),
            rate: 0.0,
        };
        run.word();
        Ok(run)
    }
}

impl Run {
    fn has_work(&self) -> bool {
        self.running || self.steps > 0 || self.evaluator.is_some() || self.measuring.is_some()
    }

    fn go(&mut self, running: bool) {
        self.running = running;
        self.since = (0, 0.0);
        self.word();
        // The last network is looked at before it rests.
        let newest = self.session.history().evaluations.last();
        let seen = newest.is_some_and(|e| e.step == self.session.step_number());
        if !running && !seen && self.evaluator.is_none() {
            self.evaluator = self.session.evaluator().ok();
        }
    }

    /// Says where the run is, and what was measured.
    fn word(&mut self) {
        let (steps, milliseconds) = self.since;
        if milliseconds > 0.0 {
            self.rate = 1e3 * f64::from(steps) / milliseconds;
        }
        // The rate is of some seconds.
        if milliseconds > 3_000.0 {
            self.since = (0, 0.0);
        }
        let place = self.session.place(self.rate, self.running);
        let marks = self.session.take_marks();
        post::tell(None, News::Progress { place, marks });
        self.said = clock::now();
    }

    async fn work(&mut self, shelf: &mut Shelf) -> Result<(), String> {
        if self.evaluator.is_some() {
            return self.evaluate();
        }
        if self.measuring.is_some() {
            return self.measured();
        }
        if self.running && self.keeping.is_due(KEEPING) {
            return self.keep(shelf).await;
        }
        let early = self.session.history().evaluations.len() <= EARLIEST;
        let pace = if early { EARLY } else { EVALUATION };
        if (self.running || self.steps > 0) && self.evaluation.is_due(pace) {
            self.evaluation = Pace::default();
            self.evaluator = Some(self.session.evaluator().map_err(|e| e.to_string())?);
            return Ok(());
        }
        let was_over = self.session.is_over();
        self.step().await?;
        self.steps = self.steps.saturating_sub(1);
        let single = !self.running && self.steps == 0;
        // The end of the schedule is a place to rest.
        let ended = self.running && self.session.is_over() && !was_over;
        if single || ended {
            self.go(false);
        }
        if ended {
            self.keep(shelf).await?;
        }
        if clock::now() - self.said > WORD {
            self.word();
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), String> {
        let begun = clock::now();
        let failed = |error: hrm_train_room::session::SessionError| error.to_string();
        let orders = self.session.begin().map_err(failed)?;
        if self.session.workers() > 1 {
            let values = self.session.values().map_err(failed)?;
            self.crew.ask(&orders, &values);
        }
        let mut shares = vec![self.session.share(&orders).map_err(failed)?];
        shares.extend(self.crew.shares().await?);
        self.session.finish(shares).map_err(failed)?;
        let took = clock::now() - begun;
        self.session.spend(took / 1e3);
        self.since.0 += 1;
        self.since.1 += took;
        self.evaluation.trained += took;
        self.keeping.trained += took;
        Ok(())
    }

    /// A piece of the evaluation under way.
    fn evaluate(&mut self) -> Result<(), String> {
        let Some(evaluator) = &mut self.evaluator else {
            return Ok(());
        };
        let begun = clock::now();
        let done = evaluator.work().map_err(|e| e.to_string())?;
        self.evaluation.takes += clock::now() - begun;
        if let Some(evaluation) = done {
            self.evaluator = None;
            self.session.evaluated(evaluation.clone());
            let evaluation = Box::new(evaluation);
            post::tell(None, News::Evaluated { evaluation });
        }
        Ok(())
    }

    fn measure(&mut self, request: u32, puzzles: usize) {
        self.measuring = Some(Measuring {
            request,
            maker: Maker::new(self.session.settings(), Side::HeldOut, puzzles),
            evaluator: None,
        });
    }

    /// A piece of the measurement under way.
    fn measured(&mut self) -> Result<(), String> {
        let Some(mut measuring) = self.measuring.take() else {
            return Ok(());
        };
        let Some(evaluator) = &mut measuring.evaluator else {
            let begun = clock::now();
            while !measuring.maker.is_done() && clock::now() - begun < 20.0 {
                measuring.maker.work().map_err(|e| e.to_string())?;
            }
            if measuring.maker.is_done() {
                let rows = measuring.maker.take_rows();
                let rows: Arc<[Row]> = puzzles::asked(self.session.settings(), rows).into();
                let evaluator = self.session.evaluator_on(rows, 0);
                measuring.evaluator = Some(evaluator.map_err(|e| e.to_string())?);
            }
            self.measuring = Some(measuring);
            return Ok(());
        };
        let rows = Arc::clone(evaluator.rows());
        match evaluator.work().map_err(|e| e.to_string())? {
            Some(evaluation) => {
                self.session.measured(evaluation.clone(), rows);
                let evaluation = Box::new(evaluation);
                post::tell(Some(measuring.request), News::Measured { evaluation });
            }
            None => self.measuring = Some(measuring),
        }
        Ok(())
    }

    async fn files(&mut self) -> Result<Vec<File>, String> {
        let others = self.crew.rows().await?;
        self.session.files(&others).map_err(|e| e.to_string())
    }

    /// Keeps the run, if it is another than was kept.
    async fn keep(&mut self, shelf: &mut Shelf) -> Result<(), String> {
        let step = self.session.step_number();
        if step == 0 || self.kept == Some(step) {
            self.keeping = Pace::default();
            return Ok(());
        }
        let begun = clock::now();
        let files = self.files().await?;
        let kept = shelf.put(files).await;
        self.keeping = Pace {
            trained: 0.0,
            takes: clock::now() - begun,
        };
        match kept {
            Ok(bytes) => {
                self.kept = Some(step);
                post::tell(None, News::Kept { step, bytes });
            }
            Err(reason) => post::tell(None, News::NotKept { reason }),
        }
        Ok(())
    }
}

// Samples come first among the held-out puzzles, whatever is measured.
const _: () = assert!(FIRST >= SAMPLES);
