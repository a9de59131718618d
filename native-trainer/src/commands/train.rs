//! `hrm train`: a model from puzzles.

use anyhow::Result;
use hrm_core::model::Device;

pub(crate) use crate::train::TrainArgs;

/// Trains on the CPU.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    crate::train::run(args, &Device::flex())
}
