//! Pictures of the latent plane, drawn piece by piece: the error landscape,
//! the basins, the line between two ends, and runs that visit the plane.

use hrm_core::engine::{EngineError, Run, SegmentOutput, Taps};
use hrm_core::lens::landscape::Landscape;
use hrm_core::puzzle::{AnyPuzzle, Puzzle};
use hrm_core::reason::Observer;
use hrm_core::reason::lab::{Arrow, BasinEnd, GridMap, LabEvent, LinePoint};
use hrm_core::reason::modes::AT_REST;

use super::latent::{Latent, State, relative_step};
use super::{read, tell};
use crate::clock;
use crate::engine::{Engine, observed, segment};

/// Points of the landscape that are read off in one piece: a few
/// milliseconds' worth.
const READ_AT_ONCE: usize = 24;
/// Arrows on each side of the centre.
const ARROWS: i32 = 5;
/// Milliseconds between two tellings of the same picture.
const PATIENCE: f64 = 250.0;

/// Only the state after the segment matters.
const STATES: Taps = Taps {
    logits: false,
    states: true,
    z_h_updates: false,
    z_l_updates: false,
};

/// Puts a batch of states on the engine.
async fn start(
    engine: &Engine,
    puzzle: &AnyPuzzle,
    states: &[State],
) -> Result<Box<dyn Run>, EngineError> {
    let mut run = engine.start(&vec![puzzle.tokens(); states.len()]).await?;
    for (place, state) in states.iter().enumerate() {
        run.set_states(place, [&state.z_h, &state.z_l])?;
    }
    Ok(run)
}

fn state_of(output: &SegmentOutput) -> State {
    State {
        z_h: output.z_h.clone().unwrap_or_default(),
        z_l: output.z_l.clone().unwrap_or_default(),
    }
}

/// E of what the output head reads off a state.
fn conflicts(engine: &Engine, z_h: &[f32]) -> u32 {
    engine.read_out.conflicts(&read(engine, z_h))
}

/// A picture on a grid that is told of from time to time.
struct Canvas {
    job: u32,
    half: usize,
    grid: Landscape,
    centre: [f32; 2],
    told: f64,
}

impl Canvas {
    fn new(job: u32, half: usize, latent: &mut Latent) -> Option<Self> {
        let (grid, centre) = latent.grid(half)?;
        Some(Self {
            job,
            half,
            grid,
            centre,
            told: 0.0,
        })
    }

    fn map(&self) -> GridMap {
        let values = self.grid.preview();
        GridMap {
            side: self.grid.side(),
            step: relative_step(self.half),
            centre: self.centre,
            values: values.into_iter().map(|s| Some(s?.conflicts)).collect(),
            known: self.grid.progress().0,
        }
    }

    /// Whether it is time to tell; if so, the next time is counted from now.
    fn is_due(&mut self, done: bool) -> bool {
        let now = clock::now();
        let due = done || now - self.told >= PATIENCE;
        if due {
            self.told = now;
        }
        due
    }
}

/// E around the end of the run: first read off every point, then arrows.
pub(crate) struct Map {
    canvas: Canvas,
    puzzle: AnyPuzzle,
    waiting: Vec<usize>,
    arrows: Vec<Arrow>,
}

impl Map {
    pub(crate) fn new(job: u32, half: usize, latent: &mut Latent) -> Option<Self> {
        let canvas = Canvas::new(job, half, latent)?;
        let every = (half as i32 / ARROWS).max(1);
        let waiting = (0..canvas.grid.side().pow(2))
            .filter(|&point| {
                canvas
                    .grid
                    .coordinates(point)
                    .iter()
                    .all(|c| c % every == 0)
            })
            .collect();
        Some(Self {
            puzzle: latent.puzzle()?.clone(),
            canvas,
            waiting,
            arrows: Vec::new(),
        })
    }

    pub(crate) async fn work(
        &mut self,
        engine: &Engine,
        latent: &Latent,
    ) -> Result<bool, EngineError> {
        let batch = self.canvas.grid.next_batch(READ_AT_ONCE);
        let reading = !batch.is_empty();
        for point in batch {
            let z_h = self.canvas.grid.state(point);
            let value = conflicts(engine, &z_h);
            self.canvas.grid.record(point, value, &z_h);
        }
        if !reading {
            let rest = self.waiting.len().saturating_sub(engine.batch());
            let points = self.waiting.split_off(rest);
            self.follow(engine, latent, &points).await?;
        }
        let done = !reading && self.waiting.is_empty();
        if self.canvas.is_due(done) {
            tell(LabEvent::Landscape {
                job: self.canvas.job,
                map: self.canvas.map(),
                arrows: self.arrows.clone(),
            });
        }
        Ok(done)
    }

    /// One segment from some points.
    async fn follow(
        &mut self,
        engine: &Engine,
        latent: &Latent,
        points: &[usize],
    ) -> Result<(), EngineError> {
        let grid = &self.canvas.grid;
        let states: Vec<State> = points
            .iter()
            .map(|&point| State {
                z_h: grid.state(point),
                z_l: grid.centre_l().to_vec(),
            })
            .collect();
        if states.is_empty() {
            return Ok(());
        }
        let mut run = start(engine, &self.puzzle, &states).await?;
        for (state, output) in states.iter().zip(segment(&mut *run, STATES).await?) {
            self.arrows.push(Arrow {
                from: latent.project(&state.z_h),
                to: latent.project(&state_of(&output).z_h),
            });
        }
        Ok(())
    }
}

/// Which end takes the points of the square.
pub(crate) struct Basins {
    canvas: Canvas,
    puzzle: AnyPuzzle,
    segments: usize,
    ends: Vec<BasinEnd>,
    /// The points that are followed now, with the segments they have done.
    followed: Option<(Vec<usize>, Box<dyn Run>, usize)>,
}

impl Basins {
    pub(crate) fn new(job: u32, half: usize, segments: usize, latent: &mut Latent) -> Option<Self> {
        Some(Self {
            canvas: Canvas::new(job, half, latent)?,
            puzzle: latent.puzzle()?.clone(),
            segments: segments.max(1),
            ends: Vec::new(),
            followed: None,
        })
    }

    pub(crate) async fn work(&mut self, engine: &Engine) -> Result<bool, EngineError> {
        let (points, mut run, done) = match self.followed.take() {
            Some(followed) => followed,
            None => {
                let grid = &mut self.canvas.grid;
                let points = grid.next_batch(engine.batch());
                if points.is_empty() {
                    return Ok(true);
                }
                let states: Vec<State> = points
                    .iter()
                    .map(|&point| State {
                        z_h: grid.state(point),
                        z_l: grid.centre_l().to_vec(),
                    })
                    .collect();
                let run = start(engine, &self.puzzle, &states).await?;
                (points, run, 0)
            }
        };
        let outputs = segment(&mut *run, Taps::default()).await?;
        let done = done + 1;
        // The first segment from an arbitrary point always moves far.
        let rest = done > 1 && outputs.iter().all(|o| f64::from(o.residual_h) < AT_REST);
        if done < self.segments && !rest {
            self.followed = Some((points, run, done));
            return Ok(false);
        }
        for (point, output) in points.into_iter().zip(outputs) {
            let end = self.end(&output);
            let z_h = self.canvas.grid.state(point);
            self.canvas.grid.record(point, end, &z_h);
        }
        let (known, all) = self.canvas.grid.progress();
        if self.canvas.is_due(known == all) {
            tell(LabEvent::Basins {
                job: self.canvas.job,
                map: self.canvas.map(),
                ends: self.ends.clone(),
            });
        }
        Ok(known == all)
    }

    /// The index of the end that an answer is.
    fn end(&mut self, output: &SegmentOutput) -> u32 {
        let report = Observer::new(&self.puzzle).observe(output);
        let known = self.ends.iter().position(|end| end.grid == report.grid);
        let index = known.unwrap_or_else(|| {
            self.ends.push(BasinEnd {
                grid: report.grid,
                conflicts: report.conflicts,
                solved: report.solved,
            });
            self.ends.len() - 1
        });
        index as u32
    }
}

/// E and flow between two ends.
pub(crate) struct Line {
    job: u32,
    puzzle: AnyPuzzle,
    from: State,
    to: State,
    steps: usize,
    points: Vec<LinePoint>,
}

impl Line {
    pub(crate) fn new(job: u32, from: u32, to: u32, steps: usize, latent: &Latent) -> Option<Self> {
        Some(Self {
            job,
            puzzle: latent.puzzle()?.clone(),
            from: latent.end(from)?.clone(),
            to: latent.end(to)?.clone(),
            steps: steps.max(1),
            points: Vec::new(),
        })
    }

    pub(crate) async fn work(&mut self, engine: &Engine) -> Result<bool, EngineError> {
        let first = self.points.len();
        let last = (first + engine.batch()).min(self.steps + 1);
        let mix = |a: &[f32], b: &[f32], t: f32| -> Vec<f32> {
            a.iter().zip(b).map(|(a, b)| a + t * (b - a)).collect()
        };
        let shares: Vec<f32> = (first..last)
            .map(|step| step as f32 / self.steps as f32)
            .collect();
        let states: Vec<State> = shares
            .iter()
            .map(|&t| State {
                z_h: mix(&self.from.z_h, &self.to.z_h, t),
                z_l: mix(&self.from.z_l, &self.to.z_l, t),
            })
            .collect();
        let mut run = start(engine, &self.puzzle, &states).await?;
        let outputs = segment(&mut *run, STATES).await?;
        for ((t, state), output) in shares.into_iter().zip(&states).zip(outputs) {
            let flow = along(
                &self.from.z_h,
                &self.to.z_h,
                &state.z_h,
                &state_of(&output).z_h,
            );
            self.points.push(LinePoint {
                t,
                conflicts: conflicts(engine, &state.z_h),
                flow,
            });
        }
        let done = self.points.len() > self.steps;
        tell(LabEvent::Line {
            job: self.job,
            points: self.points.clone(),
        });
        Ok(done)
    }
}

/// How far `before` to `after` goes along `from` to `to`, as a share of that.
fn along(from: &[f32], to: &[f32], before: &[f32], after: &[f32]) -> f32 {
    let (mut moved, mut length) = (0.0_f64, 0.0_f64);
    for i in 0..from.len() {
        let direction = f64::from(to[i] - from[i]);
        moved += direction * f64::from(after[i] - before[i]);
        length += direction * direction;
    }
    if length > 0.0 {
        (moved / length) as f32
    } else {
        0.0
    }
}

/// A run that visits the plane.
pub(crate) struct Visit {
    job: u32,
    run: Box<dyn Run>,
    observer: Observer<AnyPuzzle>,
    segments: usize,
}

impl Visit {
    pub(crate) async fn new(
        job: u32,
        state: State,
        segments: usize,
        engine: &Engine,
        latent: &mut Latent,
    ) -> Result<Option<Self>, EngineError> {
        let Some(puzzle) = latent.puzzle().cloned() else {
            return Ok(None);
        };
        let run = start(engine, &puzzle, std::slice::from_ref(&state)).await?;
        latent.visit(job, state);
        Ok(Some(Self {
            job,
            run,
            observer: Observer::new(&puzzle),
            segments,
        }))
    }

    pub(crate) async fn work(&mut self, latent: &mut Latent) -> Result<bool, EngineError> {
        let output = observed(&mut *self.run).await?;
        let report = self.observer.observe(&output);
        latent.move_on(self.job, &report, &output.updates, state_of(&output));
        Ok(report.segment >= self.segments)
    }
}
