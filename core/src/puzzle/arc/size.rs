//! The sizes of the canvas that grids lie on.

use std::fmt;
use std::str::FromStr;

use super::grid::MAX_SIDE;

/// Size of a square canvas: 3 to 30 cells a side. Written as `arc-30x30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArcSize(u8);

/// A text that names no [`ArcSize`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown ARC canvas {0:?}; there are arc-NxN with N from 3 to 30")]
pub struct UnknownArcSize(pub String);

impl ArcSize {
    /// The canvas of the published models, 30x30: every grid fits.
    pub const FULL: Self = Self(MAX_SIDE as u8);

    /// The size with this many cells a side, 3 to 30.
    #[must_use]
    pub const fn of_side(side: usize) -> Option<Self> {
        match side {
            3..=MAX_SIDE => Some(Self(side as u8)),
            _ => None,
        }
    }

    /// All sizes, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (3..=MAX_SIDE).filter_map(Self::of_side)
    }

    /// The size with this many cells, if they form such a square.
    #[must_use]
    pub fn from_cells(cells: usize) -> Option<Self> {
        (3..=MAX_SIDE)
            .find(|side| side * side == cells)
            .and_then(Self::of_side)
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
}

impl fmt::Display for ArcSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("arc-{0}x{0}", self.0))
    }
}

impl FromStr for ArcSize {
    type Err = UnknownArcSize;

    /// Reads `arc-30x30`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sides = text.strip_prefix("arc-").and_then(|t| t.split_once('x'));
        sides
            .filter(|(rows, columns)| rows == columns)
            .and_then(|(rows, _)| rows.parse().ok())
            .and_then(Self::of_side)
            .ok_or_else(|| UnknownArcSize(text.to_owned()))
    }
}
