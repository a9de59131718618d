//! The model in WGSL: kernels and the engine that dispatches them, natively
//! (Vulkan, Metal, Direct3D 12) and in the browser (WebGPU).
//!
//! [`GpuContext`] is a device, [`GpuModel`] a model's weights and pipelines
//! on it, [`GpuRun`] a batch of puzzles in progress. A segment is one
//! submission; what comes back is a summary of a few hundred bytes a puzzle
//! and whatever else was asked for. Nothing here blocks in the browser.

mod context;
mod kernel;
mod kernels;
mod model;
mod noise;
mod pack;
mod places;
mod program;
mod readback;
mod relief;
mod run;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tune;

pub use context::{GpuContext, GpuOptions, Variant};
pub use model::GpuModel;
pub use relief::{Relief, Scene};
pub use run::GpuRun;
