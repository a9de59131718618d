//! Sudoku, from 4x4 to 25x25.

pub mod augment;
pub mod board;
pub mod canonical;
pub mod generator;
mod large;
pub mod numerals;
pub mod parse;
pub mod shape;
pub mod solver;
pub mod symmetry;
mod tables;
