//! The page's logic, without a browser: entering a puzzle, naming it in an
//! address, and telling the cells of a run apart.

pub mod address;
pub mod chart;
pub mod draw;
pub mod dynamics;
pub mod entry;
pub mod examples;
pub mod experiments;
pub mod guesses;
pub mod maze;
pub mod mini;
pub mod plane;
pub mod plot;
pub mod surface;
pub mod timeline;
pub mod tour;
pub mod trials;
pub mod view;
