//! The one task of the worker: a model, a run on it, and whether it plays.

use std::pin::pin;
use std::rc::Rc;

use futures::channel::mpsc::UnboundedReceiver;
use futures::future::{Either, select};
use futures::stream::StreamExt;
use hrm_core::engine::Run;
use hrm_core::puzzle::{AnyPuzzle, Puzzle};
use hrm_core::reason::message::{AHEAD, DeviceChoice, ErrorKind, Event, Request};
use hrm_core::reason::{Observer, SegmentReport, answer};

use crate::crew::{Share, Task};
use crate::engine::{Engine, observed};
use crate::failure::Failure;
use crate::lab::{self, Lab};
use crate::{brought, clock, load, post};

/// Answers requests until the page is gone.
pub(crate) async fn serve(mut tasks: UnboundedReceiver<Task>) {
    let mut session = Session::default();
    loop {
        let task = match session.patience() {
            // Between two pieces of work the page may have something to say.
            Some(pause) => match select(tasks.next(), pin!(clock::sleep(pause))).await {
                Either::Left((task, _)) => task,
                Either::Right(_) => {
                    let worked = session.work().await;
                    session.hear(worked);
                    continue;
                }
            },
            None => tasks.next().await,
        };
        let answered = match task {
            None => return,
            Some(Task::Page(request)) => session.answer(request).await,
            Some(Task::Share(share)) => session.share(share).await,
            Some(Task::Keep(brought)) => brought.keep().await,
        };
        session.hear(answered);
    }
}

#[derive(Default)]
struct Session {
    engine: Option<Rc<Engine>>,
    device: DeviceChoice,
    /// Folder and name of the model, to load it again.
    source: Option<(String, String)>,
    /// Devices lost since the last segment that went well.
    lost: u32,
    active: Option<Active>,
    playing: Option<Playing>,
    /// The last segment of the run that the page has shown.
    seen: usize,
    lab: Lab,
}

/// A run with what is said about it.
struct Active {
    number: u32,
    run: Box<dyn Run>,
    observer: Observer<AnyPuzzle>,
    last: Option<SegmentReport>,
    /// The question, and `z_H` and `z_L` after the last segment: what it takes
    /// to go on elsewhere.
    tokens: Vec<u8>,
    states: Option<(Vec<f32>, Vec<f32>)>,
}

/// Devices that may be lost one after the other before it is given up.
const MOST_LOST: u32 = 2;

#[derive(Clone, Copy)]
struct Playing {
    limit: usize,
    delay: u32,
    /// When the next segment is due, by the worker's clock: the first at once.
    due: f64,
}

impl Session {
    /// Milliseconds to the next piece of work, if there is any.
    fn patience(&self) -> Option<u32> {
        if self.lab.is_busy() {
            return Some(0);
        }
        if self.waits() {
            return None;
        }
        self.playing
            .map(|playing| (playing.due - clock::now()).max(0.0) as u32)
    }

    /// Whether the run is as far ahead of what the page has shown as it may be.
    fn waits(&self) -> bool {
        let last = self.active.as_ref().and_then(|active| active.last.as_ref());
        last.is_some_and(|last| last.segment >= self.seen + AHEAD)
    }

    /// A segment of the playing run if one is due, else a piece of a job.
    async fn work(&mut self) -> Result<(), Failure> {
        match self.playing.filter(|_| !self.waits()) {
            Some(playing) if playing.due <= clock::now() || !self.lab.is_busy() => {
                self.play_on().await
            }
            _ => match self.lab.work().await {
                // The jobs are lost with the device, the run is not.
                Err(failure) if failure.kind == ErrorKind::DeviceLost && self.lost < MOST_LOST => {
                    self.lost += 1;
                    self.recover(failure).await
                }
                outcome => outcome,
            },
        }
    }

    /// Stops everything and says why, if something has failed.
    fn hear(&mut self, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.playing = None;
            self.lab = Lab::default();
            post(&failure.into());
        }
    }

    async fn answer(&mut self, request: Request) -> Result<(), Failure> {
        match request {
            Request::Catalog { base } => {
                post(&Event::Catalog {
                    models: load::catalog(&base).await?,
                    brought: None,
                });
            }
            Request::Forget { base, model } => {
                brought::forget(&base, &model).await;
                post(&Event::Catalog {
                    models: load::catalog(&base).await?,
                    brought: None,
                });
            }
            Request::Load {
                base,
                model,
                device,
            } => {
                // Give the memory back before asking for more.
                *self = Self::default();
                let report = |received, total| post(&Event::Progress { received, total });
                let (plan, weights) = load::model(&base, &model, report).await?;
                let segments = plan.config.halt_max_steps;
                let (engine, facts) = Engine::new(plan, &weights, device).await?;
                self.engine = Some(Rc::new(engine));
                self.device = device;
                self.source = Some((base, model.clone()));
                post(&Event::Loaded {
                    model,
                    segments,
                    engine: facts,
                });
            }
            Request::Start { run, puzzle } => {
                self.playing = None;
                self.active = None;
                self.seen = 0;
                let engine = self.engine.as_ref().ok_or_else(no_model)?;
                let engine = Engine::on(engine, puzzle.kind()).await?;
                self.engine = Some(Rc::clone(&engine));
                self.lab.begin(run, &puzzle);
                self.active = Some(Active {
                    number: run,
                    run: engine.start(&[puzzle.tokens()]).await?,
                    observer: Observer::new(&puzzle),
                    last: None,
                    tokens: puzzle.tokens(),
                    states: None,
                });
            }
            Request::CatchUp { segments } => {
                for _ in 0..segments {
                    self.segment().await?;
                }
            }
            Request::Step => {
                self.playing = None;
                self.segment().await?;
            }
            Request::Play { limit, delay } => {
                let pause = if self.playing.is_some() { delay } else { 0 };
                let due = clock::now() + f64::from(pause);
                self.playing = Some(Playing { limit, delay, due });
            }
            Request::Pause => self.playing = None,
            Request::Seen { segment } => self.seen = segment,
            Request::Read { text } => post(&answer::read(&text)),
            Request::Check { puzzle } => post(&answer::check(puzzle)),
            Request::Generate { wish, seed } => {
                let puzzle = answer::generate(wish, seed);
                let puzzle = puzzle.map_err(|what| Failure::new(ErrorKind::Input, what))?;
                post(&Event::Generated { puzzle });
            }
            Request::Lab { request } => {
                // Asked for before there is a model: what is asked for is
                // about one that is gone.
                if let (Some(engine), Some((base, model))) = (self.engine.clone(), &self.source) {
                    let source = [base.as_str(), model];
                    self.lab.take(request, &engine, source, self.device).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes a share of another worker's batch.
    async fn share(&mut self, share: Share) -> Result<(), Failure> {
        let engine = self.engine.clone().ok_or_else(no_model)?;
        let (base, _) = self.source.as_ref().ok_or_else(no_model)?;
        self.lab.share(share, &engine, base, self.device).await
    }

    /// One segment of a playing run, and its end if that was it.
    async fn play_on(&mut self) -> Result<(), Failure> {
        let Some(Playing { limit, .. }) = self.playing else {
            return Ok(());
        };
        let report = self.segment().await?;
        if report.solved || report.segment >= limit {
            self.playing = None;
            if let Some(active) = &self.active {
                post(&Event::Finished {
                    run: active.number,
                    verdict: report.verdict(),
                });
            }
        } else if let Some(playing) = &mut self.playing {
            playing.due = clock::now() + f64::from(playing.delay);
        }
        Ok(())
    }

    /// One segment, told to the page. A lost device is replaced, and the
    /// segment repeated on the new one.
    async fn segment(&mut self) -> Result<SegmentReport, Failure> {
        loop {
            match self.try_segment().await {
                Err(failure) if failure.kind == ErrorKind::DeviceLost && self.lost < MOST_LOST => {
                    self.lost += 1;
                    self.recover(failure).await?;
                }
                Ok(report) => {
                    self.lost = 0;
                    return Ok(report);
                }
                Err(failure) => {
                    // Its state is not to be trusted any more.
                    self.active = None;
                    return Err(failure);
                }
            }
        }
    }

    async fn try_segment(&mut self) -> Result<SegmentReport, Failure> {
        let engine = self.engine.as_ref().ok_or_else(no_model)?;
        let active = self.active.as_mut().ok_or_else(no_model)?;
        let begin = clock::now();
        let mut output = observed(&mut *active.run).await?;
        let milliseconds = clock::now() - begin;
        let report = active.observer.observe(&output);
        active.last = Some(report.clone());
        let event = lab::inside(engine, active.number, report.segment, &output);
        post(&Event::Lab { event });
        self.lab.follow(&report, &output);
        post(&Event::Segment {
            run: active.number,
            report: report.clone(),
            milliseconds,
        });
        active.states = output.z_h.take().zip(output.z_l.take());
        Ok(report)
    }

    /// A new device, the model on it once more, and the run where it was.
    /// Gives the failure back where nothing can be loaded again.
    async fn recover(&mut self, failure: Failure) -> Result<(), Failure> {
        let Some((base, model)) = self.source.clone() else {
            return Err(failure);
        };
        self.engine = None;
        self.lab.give_up(&failure.message);
        let (plan, weights) = load::model(&base, &model, |_, _| ()).await?;
        let (engine, facts) = Engine::new(plan, &weights, self.device).await?;
        let mut engine = Rc::new(engine);
        let mut segment = 0;
        if let Some(active) = &mut self.active {
            engine = Engine::on(&engine, active.observer.question().kind()).await?;
            active.run = engine.start(std::slice::from_ref(&active.tokens)).await?;
            if let Some((z_h, z_l)) = &active.states {
                active.run.set_states(0, [z_h, z_l])?;
            }
            segment = active.last.as_ref().map_or(0, |last| last.segment);
        }
        self.engine = Some(engine);
        post(&Event::Recovered {
            segment,
            engine: facts,
        });
        Ok(())
    }
}

fn no_model() -> Failure {
    Failure::new(
        ErrorKind::Input,
        "there is no model loaded, or no puzzle set",
    )
}
