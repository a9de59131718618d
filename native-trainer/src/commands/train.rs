//! `hrm train`: a model from puzzles.

use anyhow::Result;

use crate::output::outln;
pub(crate) use crate::train::TrainArgs;

/// Trains, or draws the curves of a run, or packs one.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    if let Some((run, out)) = args.pack() {
        return crate::train::pack::write(run, out);
    }
    match args.report() {
        Some(run) => {
            outln!("{}", crate::train::report::write(run)?.display());
            Ok(())
        }
        None => crate::train::run(args),
    }
}
