//! The sizes a Sudoku comes in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Size of a Sudoku, given by the size of its boxes.
///
/// Written (and serialized) as `sudoku-4x4`, `sudoku-9x9`, `sudoku-16x16`. Those of
/// [`Shape::ALL`] exist, so every other function can rely on a side of at most
/// [`Shape::LARGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shape {
    box_rows: u8,
    box_cols: u8,
}

/// A name that is no [`Shape`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown puzzle kind {0:?}; known are {names}", names = names())]
pub struct UnknownShape(pub String);

impl Shape {
    /// 4x4, boxes of 2 rows and 2 columns.
    pub const S4: Self = Self::of(2, 2);
    /// 6x6, boxes of 2 rows and 3 columns.
    pub const S6: Self = Self::of(2, 3);
    /// 9x9, boxes of 3 rows and 3 columns.
    pub const S9: Self = Self::of(3, 3);
    /// 8x8, boxes of 2 rows and 4 columns.
    pub const S8: Self = Self::of(2, 4);
    /// 10x10, boxes of 2 rows and 5 columns.
    pub const S10: Self = Self::of(2, 5);
    /// 12x12, boxes of 3 rows and 4 columns.
    pub const S12: Self = Self::of(3, 4);
    /// 16x16, boxes of 4 rows and 4 columns.
    pub const S16: Self = Self::of(4, 4);
    /// 25x25, boxes of 5 rows and 5 columns.
    pub const S25: Self = Self::of(5, 5);
    /// Every shape, smallest first.
    pub const ALL: [Self; 8] = [
        Self::S4,
        Self::S6,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::S12,
        Self::S16,
        Self::S25,
    ];
    /// Those that networks of this project are trained on and that have an
    /// exact solver of their own.
    pub const COMMON: [Self; 3] = [Self::S4, Self::S6, Self::S9];
    /// The largest side.
    pub const LARGEST: usize = 25;

    const fn of(box_rows: u8, box_cols: u8) -> Self {
        Self { box_rows, box_cols }
    }

    /// Rows of a box.
    #[must_use]
    pub const fn box_rows(self) -> usize {
        self.box_rows as usize
    }

    /// Columns of a box.
    #[must_use]
    pub const fn box_cols(self) -> usize {
        self.box_cols as usize
    }

    /// Length of a row, which is also the number of rows, columns, boxes and digits.
    #[must_use]
    pub const fn side(self) -> usize {
        self.box_rows() * self.box_cols()
    }

    /// Number of cells.
    #[must_use]
    pub const fn cells(self) -> usize {
        self.side() * self.side()
    }

    /// Number of tokens: padding, blank and the digits.
    #[must_use]
    pub const fn vocab(self) -> usize {
        self.side() + 2
    }

    /// Bands of boxes, one above the other.
    #[must_use]
    pub const fn bands(self) -> usize {
        self.box_cols()
    }

    /// Stacks of boxes, side by side.
    #[must_use]
    pub const fn stacks(self) -> usize {
        self.box_rows()
    }

    /// Whether boxes are square, so that the transposed board has the same shape.
    #[must_use]
    pub const fn square_boxes(self) -> bool {
        self.box_rows == self.box_cols
    }

    /// Row of a cell, from 0.
    #[must_use]
    pub const fn row(self, cell: usize) -> usize {
        cell / self.side()
    }

    /// Column of a cell, from 0.
    #[must_use]
    pub const fn column(self, cell: usize) -> usize {
        cell % self.side()
    }

    /// Box of a cell, from 0, in reading order of the boxes.
    #[must_use]
    pub const fn box_of(self, cell: usize) -> usize {
        self.row(cell) / self.box_rows() * self.stacks() + self.column(cell) / self.box_cols()
    }

    /// Whether two different cells share a row, a column or a box.
    #[must_use]
    pub const fn see_each_other(self, a: usize, b: usize) -> bool {
        a != b
            && (self.row(a) == self.row(b)
                || self.column(a) == self.column(b)
                || self.box_of(a) == self.box_of(b))
    }

    /// The shape with this many cells.
    #[must_use]
    pub fn from_cells(cells: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.cells() == cells)
    }

    /// The name, for example `sudoku-9x9`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.side() {
            4 => "sudoku-4x4",
            6 => "sudoku-6x6",
            8 => "sudoku-8x8",
            9 => "sudoku-9x9",
            10 => "sudoku-10x10",
            12 => "sudoku-12x12",
            16 => "sudoku-16x16",
            _ => "sudoku-25x25",
        }
    }
}

/// The names of all shapes, for people.
fn names() -> String {
    let [first @ .., last] = Shape::ALL.map(Shape::name);
    format!("{} and {last}", first.join(", "))
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Shape {
    type Err = UnknownShape;

    /// Reads `sudoku-9x9`, or `9x9` for short.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|shape| {
                text == shape.name() || shape.name().strip_prefix("sudoku-") == Some(text)
            })
            .ok_or_else(|| UnknownShape(text.to_owned()))
    }
}

impl TryFrom<String> for Shape {
    type Error = UnknownShape;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Shape> for String {
    fn from(shape: Shape) -> Self {
        shape.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let sizes = Shape::ALL.map(|s| (s.side(), s.cells(), s.vocab(), s.bands(), s.stacks()));
        assert_eq!(
            sizes,
            [
                (4, 16, 6, 2, 2),
                (6, 36, 8, 3, 2),
                (8, 64, 10, 4, 2),
                (9, 81, 11, 3, 3),
                (10, 100, 12, 5, 2),
                (12, 144, 14, 4, 3),
                (16, 256, 18, 4, 4),
                (25, 625, 27, 5, 5)
            ]
        );
        assert_eq!(sizes.last().unwrap().0, Shape::LARGEST);
    }

    #[test]
    fn boxes_partition_the_board() {
        for shape in Shape::ALL {
            let mut count = vec![0; shape.side()];
            for cell in 0..shape.cells() {
                count[shape.box_of(cell)] += 1;
            }
            assert!(count.iter().all(|&n| n == shape.side()), "{shape}");
        }
        // In 6x6, boxes are two rows high and three columns wide.
        assert_eq!(Shape::S6.box_of(2), 0);
        assert_eq!(Shape::S6.box_of(3), 1);
        assert_eq!(Shape::S6.box_of(6), 0);
        assert_eq!(Shape::S6.box_of(12), 2);
    }

    #[test]
    fn names_round_trip() {
        for shape in Shape::ALL {
            assert_eq!(shape.to_string().parse(), Ok(shape));
            assert_eq!(Shape::try_from(String::from(shape)), Ok(shape));
        }
        assert_eq!("6x6".parse(), Ok(Shape::S6));
        for wrong in ["", "sudoku-", "sudoku-7x7", "Sudoku-9x9"] {
            assert_eq!(wrong.parse::<Shape>(), Err(UnknownShape(wrong.into())));
        }
    }
}
