//! The mathematics of the pictures: what a run looks like on its principal
//! plane, how its error lies around it, where it can rest, whether it descends,
//! and what its two levels do.
//!
//! Nothing here runs a model. Where a picture needs more segments than the
//! run itself had, a planner hands out batches of states in the order in
//! which they are worth computing, and takes back what an engine (any
//! engine, on a page or on a server) made of them.

pub mod descent;
pub mod fixed_points;
pub mod hierarchy;
pub mod landscape;
pub mod pca;
pub mod spectrum;
