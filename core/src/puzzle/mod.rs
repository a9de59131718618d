//! Puzzles: what the model reads and writes, and what can be checked about it exactly.
//!
//! Everything here is deterministic and free of clocks, threads and files (the
//! readers of `dataset` aside, which are behind the feature `data`), so that it
//! runs in the browser as it does on a server.
//!
//! [`Puzzle`] is the face that training, evaluation and the page see: tokens in
//! and out, rules, conflicts and symmetries. [`Board`] implements it for Sudoku
//! in the sizes of [`Shape`].

#[cfg(feature = "data")]
pub mod dataset;
pub mod split;
pub mod sudoku;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use rand::Rng;

pub use split::{Split, SplitError, SplitOptions, build_split};
pub use sudoku::augment::{augment, fill_hints, fill_share, random_hints};
pub use sudoku::board::{Board, Clash, House, TokenError};
pub use sudoku::canonical::{canonical_puzzle, canonical_solution};
pub use sudoku::generator::{
    Difficulty, GenerateError, Generated, GeneratorOptions, UnknownDifficulty, generate,
    generate_with, random_solution,
};
pub use sudoku::parse::ParseError;
pub use sudoku::shape::{Shape, UnknownShape};
pub use sudoku::solver::{SolveReport, Uniqueness, solve, solve_within};
pub use sudoku::symmetry::{Symmetry, SymmetryError};

/// Token of padding. It never stands in a well-formed puzzle.
pub const TOKEN_PAD: u8 = 0;

/// Token of a blank Sudoku cell; the digit `d` has the token `d + 1`.
pub const TOKEN_BLANK: u8 = 1;

/// A puzzle of a fixed size that is written as one token per cell.
///
/// A value is a *state of the board*: a question, an answer, or the model's guess
/// in between. Nothing here is specific to Sudoku; a maze is a puzzle whose
/// tokens are wall, way, start, goal and path.
pub trait Puzzle: Sized + Clone + Eq + Debug + Display {
    /// The kind and size of a puzzle, with a name such as `sudoku-9x9`.
    type Kind: Copy + Eq + Debug + Display + FromStr;

    /// A rewriting of the board that takes puzzles to equivalent puzzles.
    type Symmetry: Clone + Debug;

    /// Kind and size of this puzzle.
    fn kind(&self) -> Self::Kind;

    /// Number of cells, which is the length of [`Puzzle::tokens`].
    fn cell_count(kind: Self::Kind) -> usize;

    /// Number of distinct tokens, padding included.
    fn vocab(kind: Self::Kind) -> usize;

    /// One token per cell, in reading order.
    fn tokens(&self) -> Vec<u8>;

    /// The board that the tokens spell.
    ///
    /// # Errors
    /// The number of tokens is not the number of cells, or a token is not in the
    /// vocabulary.
    fn from_tokens(kind: Self::Kind, tokens: &[u8]) -> Result<Self, TokenError>;

    /// How badly the board breaks the rules; 0 if it breaks none. For Sudoku this
    /// is E of arXiv 2601.10679.
    fn conflicts(&self) -> u32;

    /// For each cell, whether it takes part in a broken rule.
    fn conflicting_cells(&self) -> Vec<bool>;

    /// Whether every cell that `question` fixes has the same content here.
    fn keeps_givens(&self, question: &Self) -> bool;

    /// Whether this is a complete, correct answer to `question`.
    fn solves(&self, question: &Self) -> bool;

    /// A uniformly random element of the symmetry group.
    fn random_symmetry<R: Rng + ?Sized>(kind: Self::Kind, rng: &mut R) -> Self::Symmetry;

    /// The board rewritten by a symmetry of its own kind.
    ///
    /// # Panics
    /// The symmetry is of another kind.
    #[must_use]
    fn transformed(&self, symmetry: &Self::Symmetry) -> Self;
}
