//! What a run of a reasoner is: segments, one report each, and a verdict.

pub mod commit;
pub mod flow;
pub mod images;
pub mod lab;
pub mod message;
pub mod perturb;
mod recording;
mod report;
pub mod score;
pub mod search;
mod select;
mod standing;
mod stats;
mod tour;

pub use images::{Guessable, Images};
pub use recording::{Batch, Recording, RecordingError};
pub use report::{Observer, SegmentReport, Verdict};
pub use select::{Guess, Rule};
pub use standing::{Standing, State};
pub use stats::Proportion;
pub use tour::{Leap, OneBlank, Tour, Trap, Vote};
