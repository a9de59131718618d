//! A grid of colours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Number of colours, black (0) included.
pub const COLOURS: usize = 10;

/// Largest number of rows, and of columns.
pub const MAX_SIDE: usize = 30;

/// A grid of 1 to 30 rows and columns, each cell a colour from 0 (black) to 9.
///
/// As a text it is its rows, a digit a cell, with `/` between them: `012/340`.
/// In JSON it is a list of rows, each a list of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u64>>", into = "Vec<Vec<u8>>")]
pub struct Grid {
    columns: u8,
    cells: Box<[u8]>,
}

/// Why something is no [`Grid`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// No cell at all, or more than fit.
    #[error("a grid has 1 to {MAX_SIDE} rows and columns, this one {rows} rows of {columns}")]
    Size {
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A row that is longer or shorter than the first.
    #[error("row {row} has {found} cells, the first row {expected}")]
    Ragged {
        /// The row, from 1.
        row: usize,
        /// Its cells.
        found: usize,
        /// Cells of the first row.
        expected: usize,
    },
    /// What is no colour.
    #[error("row {row}, column {column}: {found} is no colour from 0 to 9")]
    Colour {
        /// The row, from 1.
        row: usize,
        /// The column, from 1.
        column: usize,
        /// What stands there.
        found: String,
    },
}

impl Grid {
    /// A grid of so many columns, its cells in reading order.
    ///
    /// # Errors
    /// There are no cells or too many, they form no rectangle, or one is no colour.
    pub fn new(columns: usize, cells: &[u8]) -> Result<Self, GridError> {
        let rows = cells.len().div_ceil(columns.max(1));
        if !(1..=MAX_SIDE).contains(&columns) || !(1..=MAX_SIDE).contains(&rows) {
            return Err(GridError::Size { rows, columns });
        }
        if let Some(found) = Some(cells.len() % columns).filter(|&rest| rest > 0) {
            return Err(GridError::Ragged {
                row: rows,
                found,
                expected: columns,
            });
        }
        if let Some(at) = cells.iter().position(|&c| usize::from(c) >= COLOURS) {
            return Err(GridError::Colour {
                row: at / columns + 1,
                column: at % columns + 1,
                found: cells[at].to_string(),
            });
        }
        Ok(Self {
            columns: columns as u8,
            cells: cells.into(),
        })
    }

    /// A grid of rows, whose cells are read by a function.
    fn of_rows<C: fmt::Display>(
        rows: &[Vec<C>],
        colour: impl Fn(&C) -> Option<u8>,
    ) -> Result<Self, GridError> {
        let columns = rows.first().map_or(0, Vec::len);
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&rows.len()) || !sides.contains(&columns) {
            let rows = rows.len();
            return Err(GridError::Size { rows, columns });
        }
        let mut cells = Vec::with_capacity(rows.len() * columns);
        for (row, values) in rows.iter().enumerate() {
            if values.len() != columns {
                return Err(GridError::Ragged {
                    row: row + 1,
                    found: values.len(),
                    expected: columns,
                });
            }
            for (column, value) in values.iter().enumerate() {
                let colour = colour(value).filter(|&c| usize::from(c) < COLOURS);
                cells.push(colour.ok_or_else(|| GridError::Colour {
                    row: row + 1,
                    column: column + 1,
                    found: value.to_string(),
                })?);
            }
        }
        Self::new(columns, &cells)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.cells.len() / self.columns()
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        usize::from(self.columns)
    }

    /// The colours in reading order.
    #[must_use]
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// A grid with other colours, given by a function of row and column, which gives
    /// colours below [`COLOURS`].
    pub(super) fn from_fn(
        [rows, columns]: [usize; 2],
        colour: impl Fn(usize, usize) -> u8,
    ) -> Self {
        let cells = (0..rows * columns).map(|i| colour(i / columns, i % columns));
        Self {
            columns: columns as u8,
            cells: cells.collect(),
        }
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, row) in self.cells.chunks(self.columns()).enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            row.iter().try_for_each(|colour| write!(f, "{colour}"))?;
        }
        Ok(())
    }
}

impl FromStr for Grid {
    type Err = GridError;

    fn from_str(text: &str) -> Result<Self, GridError> {
        let rows: Vec<Vec<char>> = text
            .trim()
            .split('/')
            .map(|row| row.trim().chars().collect())
            .collect();
        Self::of_rows(&rows, |c| c.to_digit(10).map(|d| d as u8))
    }
}

impl TryFrom<Vec<Vec<u64>>> for Grid {
    type Error = GridError;

    fn try_from(rows: Vec<Vec<u64>>) -> Result<Self, GridError> {
        Self::of_rows(&rows, |&value| u8::try_from(value).ok())
    }
}

impl From<Grid> for Vec<Vec<u8>> {
    fn from(grid: Grid) -> Self {
        grid.cells
            .chunks(grid.columns())
            .map(<[u8]>::to_vec)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_round_trip() {
        for text in ["0", "012/345", "9/8/7"] {
            let grid: Grid = text.parse().unwrap();
            assert_eq!(grid.to_string(), text);
            let json = serde_json::to_string(&grid).unwrap();
            assert_eq!(serde_json::from_str::<Grid>(&json).unwrap(), grid);
        }
        let grid: Grid = serde_json::from_str("[[0, 1, 2], [3, 4, 5]]").unwrap();
        assert_eq!((grid.rows(), grid.columns()), (2, 3));
        assert_eq!(grid.to_string(), "012/345");
    }

    #[test]
    fn what_is_no_grid_is_named() {
        let error = |text: &str| text.parse::<Grid>().unwrap_err().to_string();
        assert!(error("").contains("1 rows of 0"));
        assert!(error("12/3").contains("row 2 has 1 cells"));
        assert!(error("12/3x").contains("row 2, column 2: x"));
        assert!(error(&"0".repeat(31)).contains("of 31"));
        assert!(error(&["0"; 31].join("/")).contains("31 rows"));
        let json = |text: &str| serde_json::from_str::<Grid>(text).unwrap_err().to_string();
        assert!(json("[[0, 10]]").contains("row 1, column 2: 10"));
        assert!(json("[]").contains("0 rows"));
        assert!(json("[[1], [2, 3]]").contains("row 2 has 2 cells"));
    }
}
