//! Turning and mirroring grids, and renaming their colours.

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::grid::{COLOURS, Grid};

/// A rewriting of a task: one of the eight symmetries of the square, and a
/// permutation of the colours that leaves black (0) as it is. The published
/// models were trained on such rewritings, and name them as [`Self::suffix`]
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArcSymmetry {
    /// 0 to 7: as it is; turned by 90, 180, 270 degrees against the clock;
    /// mirrored left to right, top to bottom; transposed; transposed about the
    /// other diagonal.
    turn: u8,
    /// What each colour becomes.
    colours: [u8; COLOURS],
}

impl ArcSymmetry {
    /// The one that changes nothing.
    #[must_use]
    pub fn identity() -> Self {
        Self {
            turn: 0,
            colours: std::array::from_fn(|colour| colour as u8),
        }
    }

    /// A uniformly random one, black kept.
    #[must_use]
    pub fn random<R: Rng + ?Sized>(rng: &mut R) -> Self {
        let mut symmetry = Self::identity();
        symmetry.turn = rng.random_range(0..8);
        symmetry.colours[1..].shuffle(rng);
        symmetry
    }

    /// The symmetry of a number from 0 to 7 and what each colour becomes.
    ///
    /// None if the number is larger, or the colours are no permutation.
    #[must_use]
    pub fn new(turn: u8, colours: [u8; COLOURS]) -> Option<Self> {
        let mut seen = colours;
        seen.sort_unstable();
        let known = turn < 8 && seen == Self::identity().colours;
        known.then_some(Self { turn, colours })
    }

    /// The number of the symmetry of the square, 0 to 7.
    #[must_use]
    pub fn turn(self) -> u8 {
        self.turn
    }

    /// What each colour becomes.
    #[must_use]
    pub fn colours(self) -> [u8; COLOURS] {
        self.colours
    }

    /// The one that undoes it.
    #[must_use]
    pub fn inverse(self) -> Self {
        let mut colours = [0; COLOURS];
        for (old, &new) in self.colours.iter().enumerate() {
            colours[usize::from(new)] = old as u8;
        }
        Self {
            turn: match self.turn {
                1 => 3,
                3 => 1,
                other => other,
            },
            colours,
        }
    }

    /// The grid rewritten.
    #[must_use]
    pub fn apply(self, grid: &Grid) -> Grid {
        let (rows, columns) = (grid.rows(), grid.columns());
        let size = match self.turn {
            1 | 3 | 6 | 7 => [columns, rows],
            _ => [rows, columns],
        };
        Grid::from_fn(size, |row, column| {
            let (r, c) = match self.turn {
                1 => (column, columns - 1 - row),
                2 => (rows - 1 - row, columns - 1 - column),
                3 => (rows - 1 - column, row),
                4 => (row, columns - 1 - column),
                5 => (rows - 1 - row, column),
                6 => (column, row),
                7 => (rows - 1 - column, columns - 1 - row),
                _ => (row, column),
            };
            self.colours[usize::from(grid.cells()[r * columns + c])]
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn turned(turn: u8, text: &str) -> String {
        let symmetry = ArcSymmetry::new(turn, ArcSymmetry::identity().colours).unwrap();
        symmetry.apply(&text.parse().unwrap()).to_string()
    }

    /// numpy's rot90, fliplr, flipud and transpose, worked out by hand.
    #[test]
    fn the_eight_are_the_published_ones() {
        let found: Vec<String> = (0..8).map(|t| turned(t, "123/456")).collect();
        let expected = [
            "123/456", "36/25/14", "654/321", "41/52/63", "321/654", "456/123", "14/25/36",
            "63/52/41",
        ];
        assert_eq!(found, expected);
        let different: HashSet<String> = found.into_iter().collect();
        assert_eq!(different.len(), 8);
    }

    #[test]
    fn inverses_undo_and_black_stays() {
        let grid: Grid = "0123/4567/8900".parse().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut turns = HashSet::new();
        for _ in 0..200 {
            let symmetry = ArcSymmetry::random(&mut rng);
            let image = symmetry.apply(&grid);
            assert_eq!(symmetry.inverse().apply(&image), grid, "{symmetry:?}");
            assert_eq!(symmetry.inverse().inverse(), symmetry);
            assert_eq!(image.cells().iter().filter(|&&c| c == 0).count(), 3);
            turns.insert(symmetry.turn());
        }
        assert_eq!(turns.len(), 8);
        assert_eq!(ArcSymmetry::new(8, ArcSymmetry::identity().colours), None);
        assert_eq!(ArcSymmetry::new(0, [1; COLOURS]), None);
    }
}
