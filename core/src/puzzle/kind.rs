//! Every kind of puzzle that a model can be built for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Puzzle;
use super::arc::{ArcSize, Canvas};
use super::maze::{Maze, MazeSize};
use super::sudoku::board::{Board, TokenError};
use super::sudoku::shape::Shape;

/// Kind and size of a puzzle, written as its name: `sudoku-9x9`, `maze-30x30`,
/// `arc-30x30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PuzzleKind {
    /// A Sudoku.
    Sudoku(Shape),
    /// A maze.
    Maze(MazeSize),
    /// A task of ARC on a canvas of this size.
    Arc(ArcSize),
}

/// A name that is no [`PuzzleKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown puzzle kind {0:?}; known are sudoku-NxN with N of 4, 6, 8, 9, 10, 12, 16 or 25 maze-NxN with N from 2 to 64 and arc-NxN with N from 3 to 30"
)]
pub struct UnknownKind(pub String);

/// A kind of puzzle where a Sudoku is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no Sudoku, and nothing else can be used here")]
pub struct NoSudoku(pub PuzzleKind);

impl PuzzleKind {
    /// Length of a row.
    #[must_use]
    pub const fn side(self) -> usize {
        match self {
            Self::Sudoku(shape) => shape.side(),
            Self::Maze(size) => size.side(),
            Self::Arc(size) => size.side(),
        }
    }

    /// Number of cells.
    #[must_use]
    pub const fn cells(self) -> usize {
        self.side() * self.side()
    }

    /// Number of tokens, padding included.
    #[must_use]
    pub fn vocab(self) -> usize {
        match self {
            Self::Sudoku(shape) => shape.vocab(),
            Self::Maze(size) => Maze::vocab(size),
            Self::Arc(size) => Canvas::vocab(size),
        }
    }

    /// Contents that a cell of an answer can have: the digits of a Sudoku; wall, way,
    /// start, goal and route of a maze. They are the last tokens of the vocabulary.
    #[must_use]
    pub fn contents(self) -> usize {
        match self {
            Self::Sudoku(shape) => shape.side(),
            Self::Maze(size) => Maze::vocab(size) - 1,
            Self::Arc(size) => Canvas::vocab(size) - 1,
        }
    }

    /// All sizes of this kind of puzzle.
    #[must_use]
    pub fn sizes(self) -> Vec<Self> {
        match self {
            Self::Sudoku(_) => Shape::ALL.map(Self::Sudoku).to_vec(),
            Self::Maze(_) => MazeSize::all().map(Self::Maze).collect(),
            Self::Arc(_) => ArcSize::all().map(Self::Arc).collect(),
        }
    }

    /// The size of a Sudoku.
    ///
    /// # Errors
    /// It is another kind of puzzle.
    pub const fn sudoku(self) -> Result<Shape, NoSudoku> {
        match self {
            Self::Sudoku(shape) => Ok(shape),
            Self::Maze(_) | Self::Arc(_) => Err(NoSudoku(self)),
        }
    }

    /// E of the board that tokens spell, see [`Puzzle::conflicts`].
    ///
    /// # Errors
    /// The tokens spell no board of this kind.
    pub fn conflicts(self, tokens: &[u8]) -> Result<u32, TokenError> {
        Ok(match self {
            Self::Sudoku(shape) => Board::from_tokens(shape, tokens)?.conflicts(),
            Self::Maze(size) => Maze::from_tokens(size, tokens)?.conflicts(),
            Self::Arc(size) => Canvas::from_tokens(size, tokens)?.conflicts(),
        })
    }
}

impl fmt::Display for PuzzleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sudoku(shape) => shape.fmt(f),
            Self::Maze(size) => size.fmt(f),
            Self::Arc(size) => size.fmt(f),
        }
    }
}

impl FromStr for PuzzleKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sudoku = text.parse().map(Self::Sudoku);
        sudoku
            .or_else(|_| text.parse().map(Self::Maze))
            .or_else(|_| text.parse().map(Self::Arc))
            .map_err(|_| UnknownKind(text.to_owned()))
    }
}

impl TryFrom<String> for PuzzleKind {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PuzzleKind> for String {
    fn from(kind: PuzzleKind) -> Self {
        kind.to_string()
    }
}

impl From<Shape> for PuzzleKind {
    fn from(shape: Shape) -> Self {
        Self::Sudoku(shape)
    }
}

impl From<MazeSize> for PuzzleKind {
    fn from(size: MazeSize) -> Self {
        Self::Maze(size)
    }
}

impl From<ArcSize> for PuzzleKind {
    fn from(size: ArcSize) -> Self {
        Self::Arc(size)
    }
}

impl PartialEq<Shape> for PuzzleKind {
    fn eq(&self, shape: &Shape) -> bool {
        *self == Self::Sudoku(*shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "sudoku-4x4",
            "sudoku-9x9",
            "maze-30x30",
            "maze-8x8",
            "arc-30x30",
        ] {
            let kind: PuzzleKind = name.parse().unwrap();
            assert_eq!(kind.to_string(), name);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<PuzzleKind>(&json).unwrap(), kind);
        }
        for wrong in [
            "",
            "sudoku-5x5",
            "maze-30x31",
            "maze-1x1",
            "maze-65x65",
            "arc-31x31",
        ] {
            assert_eq!(
                wrong.parse::<PuzzleKind>(),
                Err(UnknownKind(wrong.to_owned()))
            );
        }
    }

    #[test]
    fn sizes_and_conflicts() {
        let (sudoku, maze) = (
            PuzzleKind::from(Shape::S4),
            PuzzleKind::from(MazeSize::HARD),
        );
        assert_eq!((sudoku.cells(), sudoku.vocab()), (16, 6));
        assert_eq!((maze.cells(), maze.vocab()), (900, 6));
        assert_eq!(sudoku.conflicts(&[2; 16]), Ok(36));
        assert!(maze.conflicts(&[2; 16]).is_err());
        let arc = PuzzleKind::from(ArcSize::FULL);
        assert_eq!((arc.cells(), arc.vocab()), (900, 12));
        assert_eq!(arc.conflicts(&[2; 900]), Ok(0));
        assert!(arc.sudoku().is_err() && arc.conflicts(&[12; 900]).is_err());
        assert!(maze.sudoku().is_err() && sudoku == Shape::S4 && maze != Shape::S4);
    }
}
