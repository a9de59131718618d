//! The subcommands of `hrm`, one file each.

pub(crate) mod analyze;
pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod eval;
mod eval_arc;
pub(crate) mod export;
mod export_folder;
pub(crate) mod import;
pub(crate) mod report;
pub(crate) mod solve;
mod solve_arc;
pub(crate) mod trace;
pub(crate) mod train;
