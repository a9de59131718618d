//! A line of an ARC data set.

use std::fmt;

use rand::Rng;

use super::canvas::Canvas;
use super::grid::Grid;
use super::name::Name;
use super::size::ArcSize;

/// A question of a task under one of its rewritings, with its answer where
/// that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcRow {
    /// Task and rewriting.
    pub name: Name,
    /// The question, rewritten.
    pub question: Grid,
    /// The answer, rewritten.
    pub answer: Option<Grid>,
    /// The row of the puzzle embedding that the rewriting has; 0 belongs to
    /// none, as published.
    pub identifier: u32,
}

impl fmt::Display for ArcRow {
    /// The fields of a line of a data set, a space between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.name, self.question)?;
        if let Some(answer) = &self.answer {
            write!(f, "{answer}")?;
        }
        write!(f, " {}", self.identifier)
    }
}

/// A grid that does not fit a canvas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: a grid of {rows} rows of {columns} does not fit {size}")]
pub struct LayoutError {
    name: String,
    rows: usize,
    columns: usize,
    size: ArcSize,
}

/// How often a pair that may be moved on the canvas stays at its top left
/// corner, where evaluation puts it: the published data leaves one pair of each
/// task there, and a task has about four.
const STAYS: f64 = 0.25;

impl ArcRow {
    /// Checks that both grids fit a canvas.
    ///
    /// # Errors
    /// Names the row and the grid that does not.
    pub fn check(&self, size: ArcSize) -> Result<(), LayoutError> {
        let grids = std::iter::once(&self.question).chain(&self.answer);
        for grid in grids {
            let (rows, columns) = (grid.rows(), grid.columns());
            if rows.max(columns) > size.side() {
                return Err(LayoutError {
                    name: self.name.to_string(),
                    rows,
                    columns,
                    size,
                });
            }
        }
        Ok(())
    }

    /// Question and answer at one place of the canvas; the canvas is empty
    /// where there is no answer.
    #[must_use]
    pub fn canvases(&self, size: ArcSize, at: [usize; 2]) -> [Canvas; 2] {
        let answer = self.answer.as_ref();
        [
            Canvas::of(size, &self.question, at),
            answer.map_or_else(
                || Canvas::empty(size),
                |answer| Canvas::of(size, answer, at),
            ),
        ]
    }

    /// A place of the canvas where both grids fit, as training draws it.
    pub fn random_place<R: Rng + ?Sized>(&self, size: ArcSize, rng: &mut R) -> [usize; 2] {
        if rng.random_bool(STAYS) {
            return [0, 0];
        }
        let answer = self.answer.as_ref().unwrap_or(&self.question);
        let rows = self.question.rows().max(answer.rows());
        let columns = self.question.columns().max(answer.columns());
        [rows, columns].map(|taken| {
            let most = size.side().saturating_sub(taken) as u32;
            rng.random_range(0..=most) as usize
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::puzzle::Puzzle;

    #[test]
    fn a_pair_moves_together_and_stays_on_the_canvas() {
        let row = ArcRow {
            name: Name::plain("a"),
            question: "12/34".parse().unwrap(),
            answer: Some("123".parse().unwrap()),
            identifier: 1,
        };
        let size = ArcSize::of_side(5).unwrap();
        row.check(size).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut places = std::collections::HashSet::new();
        for _ in 0..200 {
            let at = row.random_place(size, &mut rng);
            let [question, answer] = row.canvases(size, at);
            assert_eq!(question.grid_at(at).unwrap(), row.question);
            assert_eq!(answer.grid_at(at), row.answer);
            places.insert(at);
        }
        assert_eq!(places.len(), 4 * 3);
        let wide = ArcRow {
            answer: Some("123456".parse().unwrap()),
            ..row.clone()
        };
        let error = wide.check(size).unwrap_err().to_string();
        assert!(
            error.contains("1 rows of 6 does not fit arc-5x5"),
            "{error}"
        );
        let unknown = ArcRow {
            answer: None,
            ..row
        };
        assert_eq!(unknown.canvases(size, [0, 0])[1].tokens(), [0; 25]);
    }
}
