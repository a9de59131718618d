//! Puzzles: what the model reads and writes, and what can be checked about it exactly.
//!
//! Everything here is deterministic and free of clocks, threads and files (the
//! readers of `dataset` aside, which are behind the feature `data`), so that it
//! runs in the browser as it does on a server.
//!
//! [`Puzzle`] is the face that training, evaluation and the page see: tokens in
//! and out, rules, conflicts and symmetries. [`Board`] implements it for Sudoku
//! in the sizes of [`Shape`], [`Maze`] for mazes, [`Canvas`] for ARC, which has no rules;
//! [`PuzzleKind`] names any of them, and [`AnyPuzzle`] holds a board of any.

pub mod any;
pub mod arc;
pub mod copies;
#[cfg(feature = "data")]
pub mod dataset;
pub mod kind;
pub mod maze;
pub mod reader;
pub mod relations;
pub mod split;
pub mod sudoku;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use rand::Rng;

pub use any::{AnyParseError, AnyPuzzle, AnySymmetry};
pub use arc::{ArcRow, ArcSize, Canvas};
pub use copies::Copies;
pub use kind::{NoSudoku, PuzzleKind, UnknownKind};
pub use maze::{Fault, Maze, MazeError, MazeOptions, MazeSize, MazeSymmetry, generate_maze};
pub use relations::Relation;
pub use split::{Split, SplitError, SplitOptions, build_split};
pub use sudoku::augment::{augment, fill_hints, fill_share, random_hints};
pub use sudoku::board::{Board, Clash, House, TokenError};
pub use sudoku::canonical::{canonical_puzzle, canonical_solution};
pub use sudoku::generator::{
    Difficulty, GenerateError, Generated, GeneratorOptions, UnknownDifficulty, generate,
    generate_with, random_solution,
};
pub use sudoku::numerals::{Numerals, digit_char};
pub use sudoku::parse::ParseError;
pub use sudoku::shape::{Shape, UnknownShape};
pub use sudoku::solver::{SolveReport, Uniqueness, solve, solve_within};
pub use sudoku::symmetry::{Symmetry, SymmetryError, Ways};

/// Token of padding. It never stands in a well-formed puzzle.
pub const TOKEN_PAD: u8 = 0;

/// Token of a blank Sudoku cell; the digit `d` has the token `d + 1`.
pub const TOKEN_BLANK: u8 = 1;

/// A puzzle of a fixed size that is written as one token per cell.
///
/// A value is a *state of the board*: a question, an answer, or the model's guess
/// in between. Nothing here is specific to Sudoku; a maze is a puzzle whose
/// tokens are wall, way, start, goal and path.
pub trait Puzzle: Sized + Clone + Eq + Debug + Display + Send + Sync {
    /// Whether answers can be better and worse, as routes through a maze can: then an
    /// answer may be valid and no solution ([`Puzzle::is_valid`]), and a solution need
    /// not be the one that a file holds.
    const GRADED: bool = false;

    /// Whether every character of a text counts, so that it is a board as it stands or
    /// not at all: a space is a cell of a maze, and `#` its wall.
    const LITERAL: bool = false;

    /// The kind and size of a puzzle, with a name such as `sudoku-9x9`.
    type Kind: Copy + Eq + Debug + Display + FromStr + Into<PuzzleKind> + Send + Sync;

    /// A rewriting of the board that takes puzzles to equivalent puzzles.
    type Symmetry: Clone + Debug + Send + Sync;

    /// Why a text spells no puzzle.
    type ParseError: std::error::Error;

    /// Reads a puzzle of one kind, or of whichever kind the text has the size of.
    ///
    /// # Errors
    /// The text spells no puzzle, or one of another kind.
    fn parse(text: &str, kind: Option<Self::Kind>) -> Result<Self, Self::ParseError>;

    /// Reads a board drawn in other signs than the kind's own, with a sentence on what
    /// was read as what; none where the kind has no others.
    fn drawn(text: &str) -> Option<Result<(Self, String), String>> {
        let _ = text;
        None
    }

    /// Kind and size of this puzzle.
    fn kind(&self) -> Self::Kind;

    /// Number of cells, which is the length of [`Puzzle::tokens`].
    fn cell_count(kind: Self::Kind) -> usize;

    /// Whether a character of a text stands for a cell; what does not is white space, a
    /// line between cells or a mark around them.
    fn is_cell(kind: Self::Kind, character: char) -> bool;

    /// The kind with so many cells, if there is one.
    fn kind_of_cells(cells: usize) -> Option<Self::Kind>;

    /// The answer that an exact method finds, with the rating of this question.
    ///
    /// # Errors
    /// In words: there is none, or more than one where only one may be.
    fn answered(&self) -> Result<(Self, u32), String>;

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

    /// One number a cell, as reports and guesses hold boards: a Sudoku's digits with 0
    /// for a blank, the tokens of any other puzzle.
    fn values(&self) -> Vec<u8> {
        self.tokens()
    }

    /// How badly the board breaks the rules; 0 if it breaks none. For Sudoku this
    /// is E of arXiv 2601.10679.
    fn conflicts(&self) -> u32;

    /// For each cell, whether it takes part in a broken rule.
    fn conflicting_cells(&self) -> Vec<bool>;

    /// Whether every cell that `question` fixes has the same content here.
    fn keeps_givens(&self, question: &Self) -> bool;

    /// Whether this is a complete, correct answer to `question`.
    fn solves(&self, question: &Self) -> bool;

    /// Whether this answers `question` at all, if not in the best way; the same as
    /// [`Puzzle::solves`] where answers are not [`Puzzle::GRADED`].
    fn is_valid(&self, question: &Self) -> bool {
        self.solves(question)
    }

    /// Why no answer to this question can be right, as far as that shows at a glance.
    fn flaw(&self) -> Option<String>;

    /// What keeps this from being an answer to `question`, in words; none if
    /// [`Puzzle::solves`].
    fn fault(&self, question: &Self) -> Option<String>;

    /// A form that a puzzle shares with all equivalent ones and no other. `None` if
    /// `answer` is no answer to `question` and the form depends on it.
    fn class(question: &Self, answer: &Self) -> Option<Self>;

    /// The question with a random part of its answer filled in, never all of it: the
    /// data mixing of arXiv 2601.10679 for Sudoku, and its like.
    #[must_use]
    fn with_hints<R: Rng + ?Sized>(&self, answer: &Self, rng: &mut R) -> Self;

    /// The question with this share (0 to 1, rounded to whole cells) of what its answer
    /// writes into it filled in at random.
    #[must_use]
    fn filled<R: Rng + ?Sized>(&self, answer: &Self, share: f64, rng: &mut R) -> Self;

    /// The cells in which something is written that can be taken out again
    /// ([`Puzzle::without`]), in reading order: a Sudoku's digits, a maze's route.
    fn written(&self) -> Vec<usize>;

    /// The board with what is written in these cells taken out.
    #[must_use]
    fn without(&self, cells: &[usize]) -> Self;

    /// The question with what all of these answers write into the same cells, or as it
    /// is if that breaks a rule that no further writing can mend.
    #[must_use]
    fn agreed(&self, answers: &[Self]) -> Self;

    /// A uniformly random element of the symmetry group.
    fn random_symmetry<R: Rng + ?Sized>(kind: Self::Kind, rng: &mut R) -> Self::Symmetry;

    /// A question and its answer as training is given them anew each time:
    /// both rewritten by the same random symmetry, or whatever else leaves a
    /// puzzle the same puzzle to the model.
    #[must_use]
    fn varied<R: Rng + ?Sized>(&self, answer: &Self, rng: &mut R) -> (Self, Self) {
        let symmetry = Self::random_symmetry(self.kind(), rng);
        (self.transformed(&symmetry), answer.transformed(&symmetry))
    }

    /// The board rewritten by a symmetry of its own kind.
    ///
    /// # Panics
    /// The symmetry is of another kind.
    #[must_use]
    fn transformed(&self, symmetry: &Self::Symmetry) -> Self;

    /// The board rewritten by a symmetry, if there is one.
    ///
    /// # Panics
    /// As [`Puzzle::transformed`].
    #[must_use]
    fn image(&self, symmetry: Option<&Self::Symmetry>) -> Self {
        symmetry.map_or_else(|| self.clone(), |symmetry| self.transformed(symmetry))
    }

    /// The board of which this is the image: undoes [`Puzzle::transformed`].
    ///
    /// # Panics
    /// As [`Puzzle::transformed`].
    #[must_use]
    fn restored(&self, symmetry: &Self::Symmetry) -> Self;
}
