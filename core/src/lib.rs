//! What a puzzle is and what the Hierarchical Reasoning Model is: no GPU
//! API, no window, no clock.
//!
//! Start at [`config`] (what a model is made of) and [`plan`] (the same,
//! as a list of operations); [`cpu`] runs a plan, [`reason`] turns what it
//! computes into reports, [`weights`] loads and stores what it needs.

pub mod config;
pub mod cpu;
pub mod engine;
#[cfg(feature = "data")]
pub mod files;
mod gemm;
#[cfg(feature = "import")]
pub mod import;
pub mod lens;
#[cfg(feature = "burn")]
pub mod model;
pub mod noise;
pub mod plan;
pub mod puzzle;
pub mod reason;
pub mod train;
pub mod weights;
