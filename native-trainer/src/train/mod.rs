//! Training runs: configuration, data, the loop, evaluation, checkpoints.

mod architecture;
mod args;
mod changes;
mod config;
mod data;
mod feed;
pub(crate) mod pack;
pub(crate) mod report;
mod run;
mod saved;
mod schedule;
mod signals;
mod system;
mod watch;

pub(crate) use args::TrainArgs;
pub(crate) use config::Arithmetic;
pub(crate) use run::run;
pub(crate) use system::{cpu_seconds, keep_buffers};
