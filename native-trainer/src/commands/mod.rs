//! The subcommands of `hrm`, one file each.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod solve;
pub(crate) mod trace;
pub(crate) mod train;
