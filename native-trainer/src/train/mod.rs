//! Training runs: configuration, data, the loop, evaluation, checkpoints.

mod args;
mod config;
mod data;
mod feed;
pub(crate) mod report;
mod run;
mod sampler;
mod saved;
mod score;
mod system;
mod watch;

pub(crate) use args::TrainArgs;
pub(crate) use config::Arithmetic;
pub(crate) use run::run;
pub(crate) use system::{cpu_seconds, keep_buffers};
