//! `hrm train`: a model from puzzles.

use anyhow::Result;

use crate::output::outln;
pub(crate) use crate::train::TrainArgs;

/// Trains, or draws the curves of a run.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    match args.report() {
        Some(run) => {
            outln!("{}", crate::train::report::write(run)?.display());
            Ok(())
        }
        None => crate::train::run(args),
    }
}
