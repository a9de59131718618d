//! What a page and its worker say to each other. As JSON these messages are
//! also the format of a recorded run: whatever can produce them can drive the
//! view.

use serde::{Deserialize, Serialize};

use super::lab::{LabEvent, LabRequest};
use super::{SegmentReport, Verdict};
use crate::puzzle::{AnyPuzzle, Difficulty, MazeSize, Shape};
use crate::weights::Manifest;

/// Which processor is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// A real GPU if there is one, otherwise the CPU: a software adapter is
    /// ten times slower than the CPU engine.
    #[default]
    Auto,
    /// WebGPU, on a software adapter too.
    Gpu,
    /// The CPU engine.
    Cpu,
}

impl DeviceChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Gpu, Self::Cpu];

    /// The name used in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
        }
    }

    /// The choice of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

/// Which processor computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// The WGSL engine on a GPU.
    Gpu,
    /// The WGSL engine on an adapter that says it is a CPU.
    SoftwareGpu,
    /// The CPU engine.
    Cpu,
}

/// The engine that runs a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// The processor.
    pub kind: EngineKind,
    /// Name of the adapter or of the CPU engine's variant.
    pub name: String,
    /// Why it is not the engine one would expect, if it isn't.
    pub note: Option<String>,
}

/// What puzzle is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// A Sudoku with exactly one solution.
    Sudoku {
        /// Size.
        shape: Shape,
        /// How hard it is to be.
        difficulty: Difficulty,
    },
    /// A maze.
    Maze {
        /// Size.
        size: MazeSize,
        /// How long the shortest way is to be.
        way: WayLength,
    },
}

/// How long a maze's shortest way is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayLength {
    /// As it comes.
    Any,
    /// At least half as long as that of [`WayLength::Long`].
    Medium,
    /// As long as in the published hard mazes
    /// ([`MazeOptions::hard`](crate::puzzle::MazeOptions::hard)).
    Long,
}

impl WayLength {
    /// Every length with its name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("any", Self::Any),
        ("medium", Self::Medium),
        ("long", Self::Long),
    ];
}

/// How many solutions a puzzle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Solutions {
    /// Exactly one: a proper Sudoku, a maze with a single shortest route.
    One,
    /// None: no answer can be right.
    None,
    /// More than one: any of them counts.
    Several,
    /// The search was cut off before it was settled.
    Unknown,
}

/// What went wrong, by what one can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// A file did not arrive: retry, or look at the network.
    Network,
    /// A file arrived and is not what its manifest says.
    Weights,
    /// The input does not fit the model.
    Input,
    /// The wanted engine is not to be had: choose another.
    Unavailable,
    /// The GPU was lost or failed in mid-run: load the model again.
    DeviceLost,
    /// Out of memory: choose a smaller model or the CPU.
    OutOfMemory,
    /// A defect of the program.
    Internal,
}

/// Segments that a playing run may be ahead of what the page has shown. Enough
/// that the worker has something to do while the page draws.
pub const AHEAD: usize = 24;

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Request {
    /// List the models under an address. Answered by [`Event::Catalog`].
    Catalog {
        /// Absolute address of the folder with `index.json`, with its final
        /// slash.
        base: String,
    },
    /// Load a model and make an engine for it; whatever was loaded goes.
    Load {
        /// As in [`Request::Catalog`].
        base: String,
        /// Folder name of the model.
        model: String,
        /// The processor wanted.
        device: DeviceChoice,
    },
    /// Begin a run, at rest before its first segment.
    Start {
        /// Number of the run, repeated in its events, so that those of an
        /// abandoned run can be told from those of the present one.
        run: u32,
        /// The question.
        puzzle: AnyPuzzle,
    },
    /// Run one segment.
    Step,
    /// Run segments until the puzzle is solved or `limit` of them are done.
    Play {
        /// Segments of the run, all in all.
        limit: usize,
        /// Pause after each segment, milliseconds.
        delay: u32,
    },
    /// Stop after the present segment.
    Pause,
    /// That segment of the run has been shown. A playing run is never more
    /// than [`AHEAD`] segments ahead of what has been seen of it.
    Seen {
        /// The segment.
        segment: usize,
    },
    /// Run that many segments at once: those of a run that another engine, or
    /// a recording, has shown so far.
    CatchUp {
        /// How many.
        segments: usize,
    },
    /// Remove a model that the visitor has brought. Answered by
    /// [`Event::Catalog`].
    Forget {
        /// As in [`Request::Catalog`].
        base: String,
        /// Folder name of the model.
        model: String,
    },
    /// Find the puzzle in a text of any of the forms that people have. Answered
    /// by [`Event::Read`].
    Read {
        /// The text.
        text: String,
    },
    /// Count a puzzle's solutions. Answered by [`Event::Checked`].
    Check {
        /// The question.
        puzzle: AnyPuzzle,
    },
    /// Make a puzzle. Answered by [`Event::Generated`].
    Generate {
        /// Which.
        wish: Wish,
        /// The same seed gives the same puzzle.
        seed: u64,
    },
    /// What goes beyond a single run.
    Lab {
        /// The request.
        request: LabRequest,
    },
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// Tagged from outside: half the code to read it, and the page is small.
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The worker listens.
    Ready,
    /// The models there are, the default first.
    Catalog {
        /// Their manifests.
        models: Vec<Manifest>,
        /// The one that the visitor has just brought.
        #[serde(default)]
        brought: Option<String>,
    },
    /// Weights are arriving.
    Progress {
        /// Bytes so far.
        received: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A model is ready to run.
    Loaded {
        /// The model.
        model: String,
        /// Segments it was trained for.
        segments: usize,
        /// What runs it.
        engine: EngineFacts,
    },
    /// The device was lost in mid-run; a new one has repeated the run, which
    /// goes on.
    Recovered {
        /// The last segment that was done before.
        segment: usize,
        /// What runs it now.
        engine: EngineFacts,
    },
    /// The weights are there, but could not be kept for the next visit.
    NotKept {
        /// Why, as a sentence.
        reason: String,
    },
    /// One segment is done.
    Segment {
        /// The run it belongs to.
        run: u32,
        /// The board after it.
        report: SegmentReport,
        /// Time the segment took, readback included.
        milliseconds: f64,
    },
    /// Playing has come to its end.
    Finished {
        /// The run.
        run: u32,
        /// How it ended.
        verdict: Verdict,
    },
    /// A text was read.
    Read {
        /// The puzzle in it, if there is one.
        puzzle: Option<AnyPuzzle>,
        /// What there is to say about the text, a sentence: what is wrong, what
        /// was read as what, or what else it holds.
        said: Option<String>,
    },
    /// A puzzle's solutions were counted.
    Checked {
        /// The question.
        puzzle: AnyPuzzle,
        /// The count.
        solutions: Solutions,
        /// The solution, if there is exactly one; of a maze one of the shortest
        /// routes. For looking at: it never gets near the model.
        #[serde(default)]
        answer: Option<AnyPuzzle>,
    },
    /// A new puzzle.
    Generated {
        /// The question.
        puzzle: AnyPuzzle,
    },
    /// News of what goes beyond a single run.
    Lab {
        /// The news.
        event: LabEvent,
    },
    /// Something failed; the run, if any, has stopped.
    Error {
        /// What one can do about it.
        kind: ErrorKind,
        /// What happened, as a sentence.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_json() {
        let puzzle: AnyPuzzle = "1.........4...2.".parse().unwrap();
        let maze: AnyPuzzle = "S ##G    ".parse().unwrap();
        let requests = [
            Request::Catalog {
                base: "https://example.org/models/".into(),
            },
            Request::Load {
                base: "b".into(),
                model: "m".into(),
                device: DeviceChoice::Gpu,
            },
            Request::Start {
                run: 3,
                puzzle: puzzle.clone(),
            },
            Request::Step,
            Request::Play {
                limit: 16,
                delay: 250,
            },
            Request::Pause,
            Request::Seen { segment: 3 },
            Request::CatchUp { segments: 3 },
            Request::Check {
                puzzle: puzzle.clone(),
            },
            Request::Start {
                run: 4,
                puzzle: maze.clone(),
            },
            Request::Generate {
                wish: Wish::Sudoku {
                    shape: Shape::S6,
                    difficulty: Difficulty::Hard,
                },
                seed: u64::MAX,
            },
            Request::Generate {
                wish: Wish::Maze {
                    size: MazeSize::HARD,
                    way: WayLength::Medium,
                },
                seed: 1,
            },
            Request::Lab {
                request: LabRequest::Cancel { job: None },
            },
        ];
        for request in requests {
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(
                serde_json::from_str::<Request>(&text).unwrap(),
                request,
                "{text}"
            );
        }
        let report = SegmentReport {
            segment: 1,
            grid: vec![1; 16],
            changed: vec![1, 2],
            conflicts: 36,
            keeps_givens: false,
            q_halt: -0.5,
            q_continue: None,
            residual: 0.25,
            halted: false,
            solved: false,
            committed: vec![5],
        };
        let events = [
            Event::Ready,
            Event::Progress {
                received: 1,
                total: 2,
            },
            Event::NotKept {
                reason: "full".into(),
            },
            Event::Segment {
                run: 1,
                report,
                milliseconds: 1.5,
            },
            Event::Finished {
                run: 1,
                verdict: Verdict::HaltedWrong,
            },
            Event::Checked {
                puzzle: puzzle.clone(),
                solutions: Solutions::Several,
                answer: None,
            },
            Event::Generated { puzzle: maze },
            Event::Checked {
                puzzle: puzzle.clone(),
                solutions: Solutions::One,
                answer: Some(puzzle),
            },
            Event::Lab {
                event: LabEvent::Done {
                    job: 1,
                    milliseconds: 2.5,
                },
            },
            Event::Error {
                kind: ErrorKind::DeviceLost,
                message: "lost".into(),
            },
        ];
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(
                serde_json::from_str::<Event>(&text).unwrap(),
                event,
                "{text}"
            );
        }
    }

    #[test]
    fn device_names_round_trip() {
        for choice in DeviceChoice::ALL {
            assert_eq!(DeviceChoice::from_name(choice.name()), Some(choice));
        }
        assert_eq!(DeviceChoice::from_name("tpu"), None);
    }
}
