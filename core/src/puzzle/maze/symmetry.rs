//! Turning and mirroring mazes.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::grid::{Cell, Maze};

/// One of the eight symmetries of a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dihedral {
    transpose: bool,
    flip_rows: bool,
    flip_columns: bool,
}

impl Dihedral {
    /// All eight, the identity first.
    #[must_use]
    pub fn all() -> [Self; 8] {
        std::array::from_fn(|bits| Self {
            transpose: bits & 1 > 0,
            flip_rows: bits & 2 > 0,
            flip_columns: bits & 4 > 0,
        })
    }

    /// A uniformly random one.
    #[must_use]
    pub fn random<R: Rng + ?Sized>(rng: &mut R) -> Self {
        Self::all()[rng.random_range(0..8)]
    }

    /// The cell, in a square of this side, that a cell of the result comes from.
    fn source(self, side: usize, cell: usize) -> usize {
        let flip = |flip: bool, i: usize| if flip { side - 1 - i } else { i };
        let row = flip(self.flip_rows, cell / side);
        let column = flip(self.flip_columns, cell % side);
        if self.transpose {
            column * side + row
        } else {
            row * side + column
        }
    }

    /// The one that undoes it.
    #[must_use]
    pub fn inverse(self) -> Self {
        if self.transpose {
            // What flips the rows of the image flips the columns of the square.
            Self {
                flip_rows: self.flip_columns,
                flip_columns: self.flip_rows,
                ..self
            }
        } else {
            self
        }
    }

    /// The maze turned or mirrored.
    #[must_use]
    pub fn apply(self, maze: &Maze) -> Maze {
        let side = maze.size().side();
        let cells = (0..maze.size().cells())
            .map(|cell| maze.cells()[self.source(side, cell)])
            .collect();
        Maze::from_valid(maze.size(), cells)
    }
}

/// A rewriting of a maze: turned or mirrored, and its start made the goal and its goal
/// the start or not. A shortest route stays one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MazeSymmetry {
    square: Dihedral,
    swap: bool,
}

impl MazeSymmetry {
    /// Turned or mirrored, and with start and goal exchanged if `swap`.
    #[must_use]
    pub fn new(square: Dihedral, swap: bool) -> Self {
        Self { square, swap }
    }

    /// Leaves every maze as it is.
    #[must_use]
    pub fn identity() -> Self {
        Dihedral::all()[0].into()
    }

    /// Exchanges start and goal and moves nothing.
    #[must_use]
    pub fn swap() -> Self {
        Self {
            swap: true,
            ..Self::identity()
        }
    }

    /// The one that undoes it.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self {
            square: self.square.inverse(),
            ..self
        }
    }

    /// The maze rewritten.
    #[must_use]
    pub fn apply(self, maze: &Maze) -> Maze {
        let image = self.square.apply(maze);
        if !self.swap {
            return image;
        }
        let exchanged = image.cells().iter().map(|&cell| match cell {
            Cell::Start => Cell::Goal,
            Cell::Goal => Cell::Start,
            other => other,
        });
        Maze::from_valid(maze.size(), exchanged.collect())
    }
}

impl From<Dihedral> for MazeSymmetry {
    fn from(square: Dihedral) -> Self {
        Self {
            square,
            swap: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn eight_different_images_that_form_a_group() {
        let maze = Maze::parse("S # #G  #", None).unwrap();
        let images: HashSet<Maze> = Dihedral::all().map(|d| d.apply(&maze)).into();
        assert_eq!(images.len(), 8);
        for image in &images {
            let again: HashSet<Maze> = Dihedral::all().map(|d| d.apply(image)).into();
            assert_eq!(again, images);
        }
        assert_eq!(Dihedral::all()[0].apply(&maze), maze);
    }

    #[test]
    fn inverses_undo() {
        // No symmetry of the square leaves these cells as they are.
        let maze = Maze::parse("So#oG ## ", None).unwrap();
        for square in Dihedral::all() {
            for swap in [false, true] {
                let symmetry = MazeSymmetry { square, swap };
                let image = symmetry.apply(&maze);
                assert_eq!(symmetry.inverse().apply(&image), maze, "{symmetry:?}");
                assert_eq!(image == maze, symmetry == MazeSymmetry::identity());
            }
        }
        let swapped = MazeSymmetry::swap().apply(&maze);
        assert_eq!(swapped.to_string(), "Go#oS ## ");
    }
}
