//! What goes beyond the run on the board. Jobs are done piece by piece, in
//! turns, whenever the run on the board has nothing to do.

mod batch;
mod latent;
mod pictures;
mod relief;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use hrm_core::engine::SegmentOutput;
use hrm_core::noise::Noise;
use hrm_core::puzzle::{AnyPuzzle, Puzzle, PuzzleKind};
use hrm_core::reason::lab::{Inner, LabEvent, LabRequest, Origin};
use hrm_core::reason::message::{DeviceChoice, ErrorKind, Event};
use hrm_core::reason::{Limits, SegmentReport};
use hrm_web::timeline::content_shares;

use crate::crew::{Crew, Share};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::{clock, load, post};
use batch::Batch;
use latent::{Latent, State};
use pictures::{Basins, Line, Map, Visit};
use relief::Painter;

/// Sends news to the page.
fn tell(event: LabEvent) {
    post(&Event::Lab { event });
}

/// Bounds on what a page may ask for.
const MAX_HALF: usize = 40;
const MAX_STEPS: usize = 400;

/// The jobs in hand.
#[derive(Default)]
pub(crate) struct Lab {
    jobs: VecDeque<Job>,
    latent: Latent,
    /// Models besides the one that is loaded, by name.
    others: HashMap<(String, PuzzleKind), Rc<Engine>>,
    painter: Painter,
    crew: Crew,
}

struct Job {
    number: u32,
    begin: f64,
    engine: Rc<Engine>,
    task: Task,
}

enum Task {
    Batch(Batch),
    Map(Box<Map>),
    Basins(Box<Basins>),
    Line(Box<Line>),
    Visit(Box<Visit>),
}

impl Task {
    /// Whether it is about the run on the board and ends with it.
    fn is_latent(&self) -> bool {
        !matches!(self, Self::Batch(_))
    }
}

impl Lab {
    /// Whether there is anything to do.
    pub(crate) fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Takes a request; the loaded model and others come from the folder
    /// `base`. What is wrong with a job is told to the page as news
    /// of the job; only what concerns everything is a failure.
    pub(crate) async fn take(
        &mut self,
        request: LabRequest,
        engine: &Rc<Engine>,
        [base, model]: [&str; 2],
        device: DeviceChoice,
    ) -> Result<(), Failure> {
        match request {
            LabRequest::Batch {
                job,
                items,
                limit,
                stop,
            } => {
                let batch = Share {
                    job,
                    items: items.into_iter().enumerate().collect(),
                    limit,
                    stop,
                };
                let helpers = engine.helpers(batch.items.len().saturating_mul(limit));
                let own = self.crew.divide(batch, helpers, [base, model]);
                return self.share(own, engine, base, device).await;
            }
            LabRequest::Cancel { job } => {
                self.crew.cancel(job);
                self.jobs
                    .retain(|known| job.is_some_and(|job| job != known.number));
            }
            LabRequest::Plane { watched, fixed } => {
                self.latent.watched = watched;
                self.latent.fix(fixed);
                if watched {
                    self.latent.show();
                }
            }
            LabRequest::Landscape { job, half } => {
                let task = Map::new(job, half.clamp(1, MAX_HALF), &mut self.latent);
                self.draw(job, engine, task.map(|map| Task::Map(Box::new(map))));
            }
            LabRequest::Basins {
                job,
                half,
                segments,
            } => {
                let half = half.clamp(1, MAX_HALF);
                let task = Basins::new(job, half, segments, &mut self.latent);
                self.draw(
                    job,
                    engine,
                    task.map(|basins| Task::Basins(Box::new(basins))),
                );
            }
            LabRequest::Line {
                job,
                from,
                to,
                steps,
            } => {
                let task = Line::new(job, from, to, steps.clamp(1, MAX_STEPS), &self.latent);
                self.draw(job, engine, task.map(|line| Task::Line(Box::new(line))));
            }
            LabRequest::Relief {
                job,
                values,
                side,
                camera,
                size,
            } => {
                let drawn = self.painter.draw(engine, (&values, side), camera, size);
                if let Err(error) = drawn.await {
                    // The page can draw it too; a lost device is found and
                    // replaced by the next segment.
                    let message = error.to_string();
                    tell(LabEvent::Failed { job, message });
                }
            }
            LabRequest::Visit {
                job,
                from,
                segments,
            } => {
                let state = match from {
                    Origin::Point(at) => self.latent.at(at),
                    Origin::Noise(deviation, seed) => {
                        let mut states = engine.shared().initial();
                        let seed = seed as u32;
                        let noise = Noise { seed, deviation };
                        noise.add_between(0, engine.plan.hidden, &mut states);
                        let [z_h, z_l] = states;
                        // Without a trace there is no plane to be on.
                        self.latent.end(0).map(|_| State { z_h, z_l })
                    }
                };
                let visit = match state {
                    None => None,
                    Some(state) => {
                        match Visit::new(job, state, segments, engine, &mut self.latent).await {
                            Ok(visit) => visit,
                            Err(error) => return report(job, error.into()),
                        }
                    }
                };
                self.draw(job, engine, visit.map(|visit| Task::Visit(Box::new(visit))));
            }
        }
        Ok(())
    }

    /// Takes a share of a batch: what this worker has left to itself or gets
    /// back, or what another worker gives. As [`Lab::take`].
    pub(crate) async fn share(
        &mut self,
        share: Share,
        engine: &Rc<Engine>,
        base: &str,
        device: DeviceChoice,
    ) -> Result<(), Failure> {
        if !self.crew.take(&share) {
            return Ok(());
        }
        let mut assigned = Vec::with_capacity(share.items.len());
        for (index, item) in share.items {
            let kind = item.puzzle.kind();
            let engine = match &item.model {
                None => Engine::on(engine, kind).await.map_err(Failure::from),
                Some(id) => self.other(base, id, kind, device).await,
            };
            let engine = match engine {
                Ok(engine) => engine,
                Err(failure) => return self.fail(share.job, failure),
            };
            assigned.push((index, engine, item));
        }
        let limits = Limits {
            segments: share.limit,
            stop: share.stop,
        };
        match Batch::new(assigned, limits) {
            Ok(batch) => self.push(share.job, Rc::clone(engine), Task::Batch(batch)),
            Err(error) => return self.fail(share.job, error.into()),
        }
        Ok(())
    }

    /// A run begins on the board: what was about the one before is over.
    pub(crate) fn begin(&mut self, run: u32, puzzle: &AnyPuzzle) {
        self.jobs.retain(|job| !job.task.is_latent());
        self.latent.begin(run, puzzle);
    }

    /// The run on the board has done a segment.
    pub(crate) fn follow(&mut self, report: &SegmentReport, output: &SegmentOutput) {
        if let (Some(z_h), Some(z_l)) = (output.z_h.clone(), output.z_l.clone()) {
            self.latent
                .follow(report, &output.updates, State { z_h, z_l });
        }
    }

    /// Takes on a picture of the plane, if there is a plane.
    fn draw(&mut self, job: u32, engine: &Rc<Engine>, task: Option<Task>) {
        match task {
            Some(task) => self.push(job, Rc::clone(engine), task),
            None => tell(LabEvent::Failed {
                job,
                message: "The plane needs a run of at least one segment on the board".to_owned(),
            }),
        }
    }

    fn push(&mut self, number: u32, engine: Rc<Engine>, task: Task) {
        self.jobs.push_back(Job {
            number,
            begin: clock::now(),
            engine,
            task,
        });
    }

    /// Drops every job, and tells the page why.
    pub(crate) fn give_up(&mut self, message: &str) {
        for job in self.jobs.drain(..) {
            tell(LabEvent::Failed {
                job: job.number,
                message: message.to_owned(),
            });
        }
        self.crew.cancel(None);
        self.others.clear();
        self.painter = Painter::default();
    }

    /// One piece of the job whose turn it is.
    pub(crate) async fn work(&mut self) -> Result<(), Failure> {
        let Some(mut job) = self.jobs.pop_front() else {
            return Ok(());
        };
        let done = match &mut job.task {
            // It may have come to its end elsewhere.
            Task::Batch(_) if !self.crew.has(job.number) => return Ok(()),
            Task::Batch(batch) => batch.work(job.number).await,
            Task::Map(map) => map.work(&job.engine, &self.latent).await,
            Task::Basins(basins) => basins.work(&job.engine).await,
            Task::Line(line) => line.work(&job.engine).await,
            Task::Visit(visit) => visit.work(&mut self.latent).await,
        };
        match (done, &job.task) {
            (Ok(false), _) => self.jobs.push_back(job),
            (Ok(true), Task::Batch(batch)) => self.crew.complete(job.number, batch.ends_all()),
            (Ok(true), _) => tell(LabEvent::Done {
                job: job.number,
                milliseconds: clock::now() - job.begin,
            }),
            (Err(error), _) => return self.fail(job.number, error.into()),
        }
        Ok(())
    }

    /// Tells of a job that could not be done; passes on what stops everything.
    fn fail(&self, job: u32, failure: Failure) -> Result<(), Failure> {
        if self.crew.has(job) {
            self.crew.fail(job, failure.message.clone());
            pass_on(failure)
        } else {
            report(job, failure)
        }
    }

    /// A model besides the one on the board.
    async fn other(
        &mut self,
        base: &str,
        id: &str,
        kind: PuzzleKind,
        device: DeviceChoice,
    ) -> Result<Rc<Engine>, Failure> {
        let key = (id.to_owned(), kind);
        if let Some(engine) = self.others.get(&key) {
            return Ok(Rc::clone(engine));
        }
        let (plan, weights) = load::model(base, id, |_, _| ()).await?;
        let (engine, _) = Engine::new(plan, &weights, device).await?;
        let engine = Engine::on(&Rc::new(engine), kind).await?;
        self.others.insert(key, Rc::clone(&engine));
        Ok(engine)
    }
}

/// The tokens that the output head reads off a `z_H`.
fn read(engine: &Engine, z_h: &[f32]) -> Vec<u8> {
    engine.read_out.tokens(&engine.read_out.logits(z_h))
}

/// Tells of a job that could not be done; passes on what stops everything.
fn report(job: u32, failure: Failure) -> Result<(), Failure> {
    tell(LabEvent::Failed {
        job,
        message: failure.message.clone(),
    });
    pass_on(failure)
}

/// What stops everything and not only a job.
fn pass_on(failure: Failure) -> Result<(), Failure> {
    match failure.kind {
        ErrorKind::DeviceLost | ErrorKind::Internal => Err(failure),
        _ => Ok(()),
    }
}

/// What happened inside a segment of the run on the board.
pub(crate) fn inside(
    engine: &Engine,
    run: u32,
    segment: usize,
    output: &SegmentOutput,
) -> LabEvent {
    let config = &engine.plan.config;
    let kind = config.puzzle;
    let values = |tokens: &[u8]| AnyPuzzle::from_tokens(kind, tokens).map(|board| board.values());
    let inner = |tokens: &[u8]| Inner {
        // A model's tokens always spell a board.
        grid: values(tokens).unwrap_or_default(),
        conflicts: config.puzzle.conflicts(tokens).unwrap_or(u32::MAX),
    };
    // The last one's answer is the segment's own.
    let trace = &output.updates;
    let mut updates: Vec<Inner> = trace[..trace.len().saturating_sub(1)]
        .iter()
        .map(|(_, z_h)| inner(&read(engine, z_h)))
        .collect();
    updates.push(inner(&output.tokens));
    let logits = output.logits.as_deref().unwrap_or_default();
    let answers = engine.plan.heads.answers.count;
    let probabilities = content_shares(logits, answers, kind.contents());
    LabEvent::Inside {
        run,
        segment,
        updates,
        probabilities,
    }
}
