//! Training runs: configuration, data, the loop, evaluation, checkpoints.

mod allocator;
mod config;
mod data;
mod run;
mod saved;
mod score;

pub(crate) use config::TrainArgs;
pub(crate) use run::run;
