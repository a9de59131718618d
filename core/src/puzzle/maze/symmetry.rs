//! Turning and mirroring mazes.

use rand::Rng;

use super::grid::Maze;

/// One of the eight symmetries of a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}
