//! `hrm bench`: how long things take on this machine.

mod engine;
mod train;

use anyhow::Result;

/// Measure speed on this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Milliseconds a segment of an inference engine
    Engine(engine::EngineArgs),
    /// A training step: time, its parts, arithmetic a second, memory
    Train(train::TrainArgs),
}

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    match &args.what {
        What::Engine(args) => engine::run(args),
        What::Train(args) => train::run(args),
    }
}
