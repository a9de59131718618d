//! What a run of a reasoner is: segments, one report each, and a verdict.

pub mod message;
mod report;
mod select;
mod stats;

pub use report::{Observer, SegmentReport, Verdict};
pub use select::{Guess, Rule};
pub use stats::Proportion;
