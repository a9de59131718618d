//! The subcommands of `hrm`, one file each.

pub(crate) mod analyze;
pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod export;
mod export_folder;
pub(crate) mod import;
pub(crate) mod report;
pub(crate) mod solve;
pub(crate) mod trace;
pub(crate) mod train;
