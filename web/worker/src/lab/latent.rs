//! The latent plane: the trace of the run on the board, other runs beside it,
//! and the frame they are drawn in.

use hrm_core::lens::landscape::{Landscape, LandscapeOptions};
use hrm_core::lens::pca::Plane;
use hrm_core::plan::Level;
use hrm_core::puzzle::AnyPuzzle;
use hrm_core::reason::SegmentReport;
use hrm_core::reason::lab::{LabEvent, Track};

use super::tell;

/// Points that the plane is fitted to at most: a fit costs the square of
/// their number. A longer run goes on in the plane of its beginning.
const FITTED: usize = 96;

/// Points of a track that the page is told of at most: a long one is thinned
/// out, so that the news of a segment costs the same however long the run is.
const TOLD: usize = 400;

/// `z_H` after each of its updates inside a segment.
type Trace = [(Level, Vec<f32>)];

/// A state between segments, `[positions, hidden]` each.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) z_h: Vec<f32>,
    pub(crate) z_l: Vec<f32>,
}

/// A run on the plane.
struct Path {
    track: Track,
    end: State,
}

/// The plane and what is on it.
#[derive(Default)]
pub(crate) struct Latent {
    /// Whether the page wants to be told.
    pub(crate) watched: bool,
    fixed: bool,
    run: u32,
    puzzle: Option<AnyPuzzle>,
    /// `z_H` after every H update of the run on the board, as long as the
    /// plane can still be fitted to them.
    trace: Vec<Vec<f32>>,
    plane: Option<Plane>,
    board: Option<Path>,
    visitors: Vec<Path>,
}

impl Latent {
    /// Another run begins on the board.
    pub(crate) fn begin(&mut self, run: u32, puzzle: &AnyPuzzle) {
        let (watched, fixed) = (self.watched, self.fixed);
        *self = Self {
            watched,
            fixed,
            run,
            puzzle: Some(puzzle.clone()),
            ..Self::default()
        };
    }

    /// The run on the board has done a segment: its `z_H` after the H updates,
    /// and its state now.
    pub(crate) fn follow(&mut self, report: &SegmentReport, trace: &Trace, end: State) {
        let mut points = self.board.take().map_or_else(Vec::new, |b| b.track.points);
        let refit = self.trace.len() < FITTED && !(self.fixed && self.plane.is_some());
        if self.trace.len() < FITTED {
            self.trace.extend(trace.iter().map(|(_, z_h)| z_h.clone()));
        }
        if refit {
            self.plane = None;
            points.clear();
        } else {
            points.extend(trace.iter().map(|(_, z_h)| self.project(z_h)));
        }
        self.board = Some(Path {
            track: track(0, points, report),
            end,
        });
        if self.watched {
            self.show();
        }
    }

    /// Tells the page of the plane, which is fitted if it is not.
    pub(crate) fn show(&mut self) {
        if self.plane.is_none() {
            self.plane = Plane::of_trace(&self.trace);
            let points = self.trace.iter().map(|z_h| self.project(z_h)).collect();
            if let Some(board) = &mut self.board {
                board.track.points = points;
            }
        }
        let (Some(plane), Some(board)) = (&self.plane, &self.board) else {
            return;
        };
        let visitors = self.visitors.iter().map(|path| path.track.clone());
        tell(LabEvent::Plane {
            run: self.run,
            explained: plane.explained.map(|share| share as f32),
            fixed: self.fixed,
            tracks: std::iter::once(thinned(&board.track))
                .chain(visitors)
                .collect(),
        });
    }

    /// Keeps the plane as it is from now on, or not.
    pub(crate) fn fix(&mut self, fixed: bool) {
        // What visits the plane has coordinates in no other.
        self.fixed = fixed || !self.visitors.is_empty();
    }

    /// The puzzle and the state at the end of a track, 0 being the run on the
    /// board.
    pub(crate) fn end(&self, id: u32) -> Option<&State> {
        let mut paths = self.board.iter().chain(&self.visitors);
        paths.find(|path| path.track.id == id).map(|path| &path.end)
    }

    /// The puzzle.
    pub(crate) fn puzzle(&self) -> Option<&AnyPuzzle> {
        self.puzzle.as_ref()
    }

    /// A grid as large as the reference's around the end of the run on the
    /// board, on a plane that stays from now on; also where its centre is.
    pub(crate) fn grid(&mut self, half: usize) -> Option<(Landscape, [f32; 2])> {
        if self.plane.is_none() {
            self.show();
        }
        let (plane, board) = (self.plane.clone()?, self.board.as_ref()?);
        let centre = self.project(&board.end.z_h);
        let options = LandscapeOptions {
            half,
            spacing: spacing(half),
            ..LandscapeOptions::default()
        };
        let State { z_h, z_l } = board.end.clone();
        self.fixed = true;
        Some((Landscape::new(plane, z_h, z_l, options), centre))
    }

    /// The state at a point of the plane through the end of the run on the
    /// board, on a plane that stays from now on.
    pub(crate) fn at(&mut self, point: [f32; 2]) -> Option<State> {
        if self.plane.is_none() {
            self.show();
        }
        self.fixed = true;
        let (plane, board) = (self.plane.as_ref()?, self.board.as_ref()?);
        let centre = self.project(&board.end.z_h);
        let step = step(plane.dimension());
        let offset = [0, 1].map(|k| f64::from(point[k] - centre[k]) * step);
        Some(State {
            z_h: plane.point(offset, &board.end.z_h),
            z_l: board.end.z_l.clone(),
        })
    }

    /// Adds a visitor at a state.
    pub(crate) fn visit(&mut self, id: u32, state: State) {
        self.fixed = true;
        let point = self.project(&state.z_h);
        let track = Track {
            id,
            points: vec![point],
            conflicts: 0,
            solved: false,
            residual: 0.0,
        };
        self.visitors.push(Path { track, end: state });
    }

    /// A visitor has done a segment.
    pub(crate) fn move_on(&mut self, id: u32, report: &SegmentReport, trace: &Trace, end: State) {
        let added: Vec<[f32; 2]> = trace.iter().map(|(_, z_h)| self.project(z_h)).collect();
        if let Some(path) = self.visitors.iter_mut().find(|path| path.track.id == id) {
            let mut points = std::mem::take(&mut path.track.points);
            points.extend(added);
            path.track = track(id, points, report);
            path.end = end;
        }
        if self.watched {
            self.show();
        }
    }

    /// Coordinates on the plane, in the reference's grid steps from the mean
    /// of the trace.
    pub(crate) fn project(&self, z_h: &[f32]) -> [f32; 2] {
        match &self.plane {
            None => [0.0; 2],
            Some(plane) => {
                let step = step(plane.dimension());
                plane.project(z_h, &plane.mean).map(|x| (x / step) as f32)
            }
        }
    }
}

/// A track with [`TOLD`] points at most, its ends among them.
fn thinned(track: &Track) -> Track {
    let every = track.points.len().div_ceil(TOLD).max(1);
    let last = track.points.len().saturating_sub(1);
    let points = track.points.iter().enumerate();
    Track {
        points: points
            .filter(|(i, _)| i % every == 0 || *i == last)
            .map(|(_, &point)| point)
            .collect(),
        ..*track
    }
}

fn track(id: u32, points: Vec<[f32; 2]>, report: &SegmentReport) -> Track {
    Track {
        id,
        points,
        conflicts: report.conflicts,
        solved: report.solved,
        residual: report.residual,
    }
}

/// Distance of a grid's points so that it is as large as the reference's, in
/// units of the norm of a normalised state.
fn spacing(half: usize) -> f64 {
    let reference = LandscapeOptions::default();
    reference.spacing * reference.half as f64 / half.max(1) as f64
}

/// The reference's grid step in a latent space of that dimension.
fn step(dimension: usize) -> f64 {
    LandscapeOptions::default().spacing * (dimension as f64).sqrt()
}

/// The distance of a grid's points, in the reference's steps.
pub(crate) fn relative_step(half: usize) -> f32 {
    (spacing(half) / LandscapeOptions::default().spacing) as f32
}
