//! The sizes a maze comes in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Size of a square maze: 2 to 64 cells a side. Written as `maze-30x30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MazeSize(u8);

/// A text that names no [`MazeSize`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown maze size {0:?}; sizes are maze-NxN with N from 2 to 64")]
pub struct UnknownSize(pub String);

impl MazeSize {
    /// The size of Maze-Hard, 30x30.
    pub const HARD: Self = Self(30);

    /// The size with this many cells a side, 2 to 64.
    #[must_use]
    pub const fn of_side(side: usize) -> Option<Self> {
        match side {
            2..=64 => Some(Self(side as u8)),
            _ => None,
        }
    }

    /// Every size, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (2..=64).filter_map(Self::of_side)
    }

    /// The size with this many cells, if they form such a square.
    #[must_use]
    pub fn from_cells(cells: usize) -> Option<Self> {
        Self::all().find(|size| size.cells() == cells)
    }

    /// Length of a row.
    #[must_use]
    pub const fn side(self) -> usize {
        self.0 as usize
    }

    /// Number of cells.
    #[must_use]
    pub const fn cells(self) -> usize {
        self.side() * self.side()
    }

    /// The cells above, below, left and right of a cell, none beyond the border.
    #[must_use]
    pub fn around(self, cell: usize) -> [Option<usize>; 4] {
        let side = self.side();
        let (row, column) = (cell / side, cell % side);
        [
            (row > 0).then(|| cell - side),
            (row + 1 < side).then(|| cell + side),
            (column > 0).then(|| cell - 1),
            (column + 1 < side).then(|| cell + 1),
        ]
    }

    /// Those that there are.
    pub fn neighbours(self, cell: usize) -> impl Iterator<Item = usize> {
        self.around(cell).into_iter().flatten()
    }
}

impl fmt::Display for MazeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("maze-{0}x{0}", self.0))
    }
}

impl From<MazeSize> for String {
    fn from(size: MazeSize) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for MazeSize {
    type Error = UnknownSize;

    fn try_from(text: String) -> Result<Self, UnknownSize> {
        text.parse()
    }
}

impl FromStr for MazeSize {
    type Err = UnknownSize;

    /// Reads `maze-30x30`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sides = text.strip_prefix("maze-").and_then(|t| t.split_once('x'));
        sides
            .filter(|(rows, columns)| rows == columns)
            .and_then(|(rows, _)| rows.parse().ok())
            .and_then(Self::of_side)
            .ok_or_else(|| UnknownSize(text.to_owned()))
    }
}
