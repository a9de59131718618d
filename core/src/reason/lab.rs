//! What the page's rooms beyond the single run ask of its worker: batches of
//! runs (guesses, experiments), the inside of a segment, and the latent plane.
//!
//! Every job has a number that its events repeat, so that those of a job that
//! was given up can be told apart. Jobs wait for the run on the board: its
//! segments come first.

use serde::{Deserialize, Serialize};

use super::commit::Commitment;
use super::{Job, SegmentReport, Stop};
use crate::engine::EngineError;
use crate::noise::Noise;
use crate::puzzle::{AnyPuzzle, AnySymmetry, Puzzle};

/// One run of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The question, as the asker wrote it.
    pub puzzle: AnyPuzzle,
    /// How it is rewritten for the model; answers are mapped back.
    pub symmetry: Option<AnySymmetry>,
    /// Folder name of the model, if not the one that is loaded.
    pub model: Option<String>,
    /// Standard deviation of the Gaussian noise on every element of the
    /// initial `z_H` and `z_L`, whose own is 1.
    pub noise: f32,
    /// Standard deviation of the Gaussian noise on the state that an update
    /// has replaced, after every update ([`crate::noise`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub update_noise: f32,
    /// The same seed gives the same noise and the same commitments.
    pub seed: u64,
    /// Whether the run commits itself to cells, as [`super::commit`] does by
    /// default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub commits: bool,
}

impl Item {
    /// The puzzle as it is, from the model's own initial state.
    #[must_use]
    pub fn plain(puzzle: AnyPuzzle) -> Self {
        Self {
            puzzle,
            symmetry: None,
            model: None,
            noise: 0.0,
            update_noise: 0.0,
            seed: 0,
            commits: false,
        }
    }

    /// The guess that it is as number `index` of its batch.
    ///
    /// # Errors
    /// Its symmetry is of another kind or size than its puzzle.
    pub fn job(self, index: usize) -> Result<Job<AnyPuzzle>, EngineError> {
        let kind = self.puzzle.kind();
        if self.symmetry.as_ref().is_some_and(|s| !s.fits(kind)) {
            return Err(EngineError::Input {
                sequence: index,
                reason: format!("is a {kind} to be rewritten as another kind of puzzle"),
            });
        }
        let noise = |deviation| Noise {
            seed: self.seed as u32,
            deviation,
        };
        Ok(Job {
            guess: index,
            symmetry: self.symmetry,
            initial_noise: noise(self.noise),
            update_noise: noise(self.update_noise),
            commitment: self.commits.then(Commitment::default),
            draws: (self.seed, index as u64),
            ..Job::plain(0, self.puzzle)
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(deviation: &f32) -> bool {
    *deviation == 0.0
}

/// Where a run on the plane begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// At a point of the plane, with the `z_L` of its centre.
    Point([f32; 2]),
    /// At the model's initial state with noise of that standard deviation and
    /// seed on it.
    Noise(f32, u64),
}

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabRequest {
    /// Run several puzzles at once. Answered by [`LabEvent::Batch`] and, at
    /// the end, [`LabEvent::Done`].
    Batch {
        /// Number of the job.
        job: u32,
        /// The runs.
        items: Vec<Item>,
        /// Segments each takes at most.
        limit: usize,
        /// When to end before.
        stop: Stop,
    },
    /// Whether to tell of the plane, and whether it stays as it is while the
    /// run goes on or is fitted again to all of its points.
    Plane {
        /// Whether to tell of it.
        watched: bool,
        /// Whether it stays.
        fixed: bool,
    },
    /// Follow another run on the plane, which stays as it is from now on.
    Visit {
        /// Number of the job and of its track.
        job: u32,
        /// Where it begins.
        from: Origin,
        /// Segments to follow it for.
        segments: usize,
    },
    /// E on a square grid around the last state of the run on the board, with
    /// arrows to where one segment leads; coarse points first. The grid is
    /// always as large as the reference's.
    Landscape {
        /// Number of the job.
        job: u32,
        /// Points on each side of the centre.
        half: usize,
    },
    /// Which attractor takes the points of the same square.
    Basins {
        /// Number of the job.
        job: u32,
        /// Points on each side of the centre.
        half: usize,
        /// Segments each point is followed for.
        segments: usize,
    },
    /// E and flow on the straight line between the ends of two tracks.
    Line {
        /// Number of the job.
        job: u32,
        /// Track whose end is at 0.
        from: u32,
        /// Track whose end is at 1.
        to: u32,
        /// Steps between the two.
        steps: usize,
    },
    /// Draw a landscape as a surface, where there is a GPU. The answer is a
    /// picture and no message of this kind; where there can't be one, the job
    /// has failed.
    Relief {
        /// Number of the job.
        job: u32,
        /// As in [`GridMap`].
        values: Vec<Option<u32>>,
        /// Points along one side.
        side: usize,
        /// Turn of the camera around the vertical and height above the
        /// horizon, a sine and a cosine each.
        camera: [[f64; 2]; 2],
        /// Width and height of the picture in pixels.
        size: [u32; 2],
    },
    /// Give up a job; if none is named, all.
    Cancel {
        /// The job.
        job: Option<u32>,
    },
}

/// The state after one H update inside a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inner {
    /// What the output head would answer, as [`Puzzle::values`].
    pub grid: Vec<u8>,
    /// E of that grid.
    pub conflicts: u32,
}

/// A run seen on the plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Number of the job that made it; 0 is the run on the board.
    pub id: u32,
    /// One point an H update, in order.
    pub points: Vec<[f32; 2]>,
    /// E after the last.
    pub conflicts: u32,
    /// Whether the last grid solves the puzzle.
    pub solved: bool,
    /// RMS change of `z_H` in the last segment.
    pub residual: f32,
}

/// Values on a square grid of the plane. Coordinates count the reference's
/// grid steps, an eighth of the norm of a normalised state, from the mean of
/// the trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridMap {
    /// Points along one side.
    pub side: usize,
    /// Distance of neighbouring points.
    pub step: f32,
    /// Where the middle of the grid is.
    pub centre: [f32; 2],
    /// `[side, side]`, the coordinate along the first component being the
    /// fast one. Where nothing is known yet, a coarser grid's value stands
    /// in, if there is one.
    pub values: Vec<Option<u32>>,
    /// Points that are known.
    pub known: usize,
}

/// Where one segment leads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arrow {
    /// From here, on the plane,
    pub from: [f32; 2],
    /// to the projection of there.
    pub to: [f32; 2],
}

/// An end that points of the plane were led to: one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BasinEnd {
    /// The answer.
    pub grid: Vec<u8>,
    /// E of it.
    pub conflicts: u32,
    /// Whether it solves the puzzle.
    pub solved: bool,
}

/// A point on the line between two states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinePoint {
    /// 0 at the first state, 1 at the second.
    pub t: f32,
    /// E of what the output head reads off the point.
    pub conflicts: u32,
    /// How far one segment moves the point along the line, in units of its
    /// length: positive towards the second state.
    pub flow: f32,
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabEvent {
    /// What happened inside a segment of the run on the board. Comes right
    /// before the segment's report.
    Inside {
        /// The run.
        run: u32,
        /// The segment, from 1.
        segment: usize,
        /// One entry an H update; the last is the segment's answer.
        updates: Vec<Inner>,
        /// Probability of every content of a cell at the end of the segment, in
        /// 255ths, `[cells, contents]`: softmax over the whole vocabulary
        /// ([`crate::puzzle::PuzzleKind::contents`]).
        probabilities: Vec<u8>,
    },
    /// Runs of a batch after one more segment.
    Batch {
        /// The job.
        job: u32,
        /// Index of the item, and its report in the asker's labelling.
        reports: Vec<(usize, SegmentReport)>,
    },
    /// The plane and what is on it.
    Plane {
        /// The run on the board.
        run: u32,
        /// Shares of the variance of the trace that the two axes explain.
        explained: [f32; 2],
        /// Whether it stays as it is while the run goes on.
        fixed: bool,
        /// The runs, in the coordinates of [`GridMap`].
        tracks: Vec<Track>,
    },
    /// The landscape as far as it is known.
    Landscape {
        /// The job.
        job: u32,
        /// E of what the output head reads off each point.
        map: GridMap,
        /// Where one segment leads from some of the points.
        arrows: Vec<Arrow>,
    },
    /// The basins as far as they are known.
    Basins {
        /// The job.
        job: u32,
        /// Index of the end that takes each point.
        map: GridMap,
        /// The ends found so far.
        ends: Vec<BasinEnd>,
    },
    /// The whole line.
    Line {
        /// The job.
        job: u32,
        /// Its points in order.
        points: Vec<LinePoint>,
    },
    /// A job is complete.
    Done {
        /// The job.
        job: u32,
        /// What it took, waiting included.
        milliseconds: f64,
    },
    /// A job could not be done.
    Failed {
        /// The job.
        job: u32,
        /// Why, as a sentence.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{MazeSymmetry, Shape, Symmetry};

    #[test]
    fn requests_survive_json() {
        let puzzle: AnyPuzzle = "1.........4...2.".parse().unwrap();
        let maze: AnyPuzzle = "S ##G    ".parse().unwrap();
        let requests = [
            LabRequest::Batch {
                job: 7,
                items: vec![
                    Item::plain(puzzle.clone()),
                    Item {
                        puzzle,
                        symmetry: Some(Symmetry::digit_shift(Shape::S4, 1).into()),
                        model: Some("m".into()),
                        noise: 0.25,
                        update_noise: 0.1,
                        seed: u64::MAX,
                        commits: true,
                    },
                    Item {
                        symmetry: Some(MazeSymmetry::swap().into()),
                        ..Item::plain(maze)
                    },
                ],
                limit: 16,
                stop: Stop::FirstSolved,
            },
            LabRequest::Plane {
                watched: true,
                fixed: false,
            },
            LabRequest::Visit {
                job: 8,
                from: Origin::Point([0.5, -1.25]),
                segments: 4,
            },
            LabRequest::Visit {
                job: 8,
                from: Origin::Noise(0.5, 3),
                segments: 4,
            },
            LabRequest::Landscape { job: 9, half: 20 },
            LabRequest::Basins {
                job: 10,
                half: 5,
                segments: 16,
            },
            LabRequest::Line {
                job: 11,
                from: 0,
                to: 8,
                steps: 20,
            },
            LabRequest::Relief {
                job: 12,
                values: vec![Some(3), None, Some(0), Some(1)],
                side: 2,
                camera: [[0.0, 1.0], [0.6, 0.8]],
                size: [30, 20],
            },
            LabRequest::Cancel { job: None },
        ];
        for request in requests {
            let text = serde_json::to_string(&request).unwrap();
            let back: LabRequest = serde_json::from_str(&text).unwrap();
            assert_eq!(back, request, "{text}");
        }
    }

    #[test]
    fn events_survive_json() {
        let report = SegmentReport {
            segment: 1,
            grid: vec![1; 16],
            changed: vec![1, 2],
            conflicts: 36,
            keeps_givens: false,
            q_halt: -0.5,
            q_continue: Some(0.5),
            residual: 0.25,
            halted: false,
            solved: false,
            committed: vec![5],
        };
        let inner = Inner {
            grid: vec![1; 16],
            conflicts: 36,
        };
        let track = Track {
            id: 0,
            points: vec![[0.5, 1.5]],
            conflicts: 3,
            solved: false,
            residual: 0.125,
        };
        let end = BasinEnd {
            grid: vec![2; 16],
            conflicts: 36,
            solved: false,
        };
        let map = GridMap {
            side: 1,
            step: 1.0,
            centre: [0.5, -0.25],
            values: vec![Some(3)],
            known: 1,
        };
        let arrow = Arrow {
            from: [0.5, 1.5],
            to: [0.25, -1.0],
        };
        let events = [
            LabEvent::Inside {
                run: 1,
                segment: 2,
                updates: vec![inner],
                probabilities: vec![255, 0],
            },
            LabEvent::Batch {
                job: 1,
                reports: vec![(4, report)],
            },
            LabEvent::Plane {
                run: 1,
                explained: [0.5, 0.25],
                fixed: true,
                tracks: vec![track],
            },
            LabEvent::Landscape {
                job: 2,
                map: map.clone(),
                arrows: vec![arrow],
            },
            LabEvent::Basins {
                job: 3,
                map,
                ends: vec![end],
            },
            LabEvent::Line {
                job: 4,
                points: vec![LinePoint {
                    t: 0.5,
                    conflicts: 2,
                    flow: -0.25,
                }],
            },
            LabEvent::Done {
                job: 5,
                milliseconds: 1.5,
            },
            LabEvent::Failed {
                job: 6,
                message: "why".into(),
            },
        ];
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            let back: LabEvent = serde_json::from_str(&text).unwrap();
            assert_eq!(back, event, "{text}");
        }
    }
}
