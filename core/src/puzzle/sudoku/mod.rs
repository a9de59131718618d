//! Sudoku with boxes of 2x2, 2x3 and 3x3 cells.

pub mod augment;
pub mod board;
pub mod canonical;
pub mod generator;
pub mod parse;
pub mod shape;
pub mod solver;
pub mod symmetry;
mod tables;
