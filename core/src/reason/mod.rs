//! What a run of a reasoner is: segments, one report each, and a verdict.

mod report;

pub use report::{Observer, SegmentReport, Verdict};
