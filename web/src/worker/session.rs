//! The one task of the worker: a model, a run on it, and whether it plays.

use std::pin::pin;

use futures::channel::mpsc::UnboundedReceiver;
use futures::future::{Either, select};
use futures::stream::StreamExt;
use hrm_core::puzzle::{Board, Uniqueness, generate, solve_within};
use hrm_core::reason::message::{ErrorKind, Event, Request, Solutions};
use hrm_core::reason::{Observer, SegmentReport};

use crate::engine::{Engine, Run};
use crate::failure::Failure;
use crate::{clock, load, post};

/// Answers requests until the page is gone.
pub(crate) async fn serve(mut requests: UnboundedReceiver<Request>) {
    let mut session = Session::default();
    loop {
        let request = match session.playing {
            // Between two segments the page may have something to say.
            Some(playing) => match select(requests.next(), pin!(clock::sleep(playing.pause))).await
            {
                Either::Left((request, _)) => request,
                Either::Right(_) => {
                    session.play_on().await;
                    continue;
                }
            },
            None => requests.next().await,
        };
        let Some(request) = request else { return };
        if let Err(failure) = session.answer(request).await {
            session.playing = None;
            post(&failure.into());
        }
    }
}

#[derive(Default)]
struct Session {
    engine: Option<Engine>,
    active: Option<Active>,
    playing: Option<Playing>,
}

/// A run with what is said about it.
struct Active {
    number: u32,
    run: Run,
    observer: Observer,
    last: Option<SegmentReport>,
}

#[derive(Clone, Copy)]
struct Playing {
    limit: usize,
    delay: u32,
    /// Milliseconds to wait before the next segment: none before the first.
    pause: u32,
}

impl Session {
    async fn answer(&mut self, request: Request) -> Result<(), Failure> {
        match request {
            Request::Catalog { base } => {
                post(&Event::Catalog {
                    models: load::catalog(&base).await?,
                });
            }
            Request::Load {
                base,
                model,
                device,
            } => {
                // Give the memory back before asking for more.
                *self = Self::default();
                let (plan, weights) = load::model(&base, &model).await?;
                let segments = plan.config.halt_max_steps;
                let (engine, facts) = Engine::new(plan, &weights, device).await?;
                self.engine = Some(engine);
                post(&Event::Loaded {
                    model,
                    segments,
                    engine: facts,
                });
            }
            Request::Start { run, puzzle } => {
                self.playing = None;
                self.active = None;
                let engine = self.engine.as_ref().ok_or_else(no_model)?;
                self.active = Some(Active {
                    number: run,
                    run: engine.start(puzzle.tokens()).await?,
                    observer: Observer::new(&puzzle),
                    last: None,
                });
            }
            Request::Step => {
                self.playing = None;
                self.segment().await?;
            }
            Request::Play { limit, delay } => {
                let pause = if self.playing.is_some() { delay } else { 0 };
                self.playing = Some(Playing {
                    limit,
                    delay,
                    pause,
                });
            }
            Request::Pause => self.playing = None,
            Request::Check { puzzle } => {
                let solutions = count_solutions(&puzzle);
                post(&Event::Checked { puzzle, solutions });
            }
            Request::Generate {
                shape,
                difficulty,
                seed,
            } => {
                let generated = generate(seed, &difficulty.options(shape))
                    .map_err(|error| Failure::new(ErrorKind::Input, error.to_string()))?;
                let puzzle = generated.question;
                post(&Event::Generated { puzzle, difficulty });
            }
        }
        Ok(())
    }

    /// One segment of a playing run, and its end if that was it.
    async fn play_on(&mut self) {
        let Some(playing) = &mut self.playing else {
            return;
        };
        playing.pause = playing.delay;
        let limit = playing.limit;
        match self.segment().await {
            Ok(report) if report.solved || report.segment >= limit => {
                self.playing = None;
                if let Some(active) = &self.active {
                    post(&Event::Finished {
                        run: active.number,
                        verdict: report.verdict(),
                    });
                }
            }
            Ok(_) => {}
            Err(failure) => {
                self.playing = None;
                post(&failure.into());
            }
        }
    }

    async fn segment(&mut self) -> Result<SegmentReport, Failure> {
        let active = self.active.as_mut().ok_or_else(no_model)?;
        let begin = clock::now();
        let output = match active.run.segment().await {
            Ok(output) => output,
            Err(error) => {
                // Its state is not to be trusted any more.
                self.active = None;
                return Err(error.into());
            }
        };
        let milliseconds = clock::now() - begin;
        let report = active.observer.observe(&output);
        active.last = Some(report.clone());
        post(&Event::Segment {
            run: active.number,
            report: report.clone(),
            milliseconds,
        });
        Ok(report)
    }
}

fn no_model() -> Failure {
    Failure::new(
        ErrorKind::Input,
        "there is no model loaded, or no puzzle set",
    )
}

/// Anybody may have typed anything: bounds the search to about a second.
const MAX_GUESSES: u64 = 1_000_000;

fn count_solutions(puzzle: &Board) -> Solutions {
    match solve_within(puzzle, 2, MAX_GUESSES).uniqueness(2) {
        Uniqueness::Unique => Solutions::One,
        Uniqueness::Impossible => Solutions::None,
        Uniqueness::Ambiguous => Solutions::Several,
        Uniqueness::Unknown => Solutions::Unknown,
    }
}
