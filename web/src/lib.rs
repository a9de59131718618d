//! The page's logic, without a browser: entering a puzzle, naming it in an
//! address, and telling the cells of a run apart.

pub mod address;
pub mod entry;
pub mod examples;
pub mod timeline;
