//! What a run of a reasoner is: segments, one report each, and a verdict; and
//! the driver of many guesses.

mod agenda;
pub mod answer;
mod attempt;
pub mod commit;
mod driver;
mod guess;
pub mod images;
pub mod lab;
pub mod message;
pub mod modes;
mod recording;
mod report;
pub mod score;
mod search;
mod select;
mod standing;
mod stats;
mod tour;
pub mod votes;

pub use agenda::Agenda;
pub use driver::{Driver, Step};
pub use guess::{Done, Guessing, Job, Limits, Outcome, Perturbation, Stop, Team};
pub use images::{Guessable, Images};
pub use recording::{Batch, Recording, RecordingError};
pub use report::{Observer, SegmentReport, Verdict};
pub use search::{Key, Search};
pub use select::{Guess, Rule};
pub use standing::{Route, Standing, State};
pub use stats::{Proportion, Z_95, wilson};
pub use tour::{Leap, OneBlank, Tour, Trap, Vote};
