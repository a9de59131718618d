//! The symmetry group of Sudoku: rewritings that take right boards to right boards.

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::board::Board;
use super::shape::Shape;
use crate::puzzle::TOKEN_BLANK;

/// An element of the symmetry group of a shape: digits are renamed, the board is
/// transposed (where boxes are square), bands and the rows in each, stacks and the
/// columns in each are permuted.
///
/// Written as a map of the board: the cell at row `r`, column `c` of the result
/// comes from row `rows[r]`, column `columns[c]` of the board, which is transposed
/// first if `transpose` is set; then digits are renamed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Symmetry {
    shape: Shape,
    /// `digits[d - 1]` is the new name of the digit d.
    digits: Vec<u8>,
    transpose: bool,
    rows: Vec<u8>,
    columns: Vec<u8>,
}

/// What a random [`Symmetry`] may vary; nothing by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ways {
    /// Names of the digits.
    pub digits: bool,
    /// Rows for columns, where boxes are square.
    pub transpose: bool,
    /// Order of bands and stacks, and of the lines in each.
    pub lines: bool,
}

/// The stored form, checked on the way in.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    shape: Shape,
    digits: Vec<u8>,
    transpose: bool,
    rows: Vec<u8>,
    columns: Vec<u8>,
}

/// Why some permutations are no [`Symmetry`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymmetryError {
    /// Not a permutation of the digits.
    #[error("the digits {0:?} are not each of 1 to the side once")]
    Digits(Vec<u8>),
    /// Not a permutation of rows (columns) that keeps bands (stacks) together.
    #[error("the {0} {1:?} do not permute bands or stacks and the lines in each")]
    Lines(&'static str, Vec<u8>),
    /// Boxes that are not square change their shape when transposed.
    #[error("{0} can not be transposed")]
    Transpose(Shape),
}

impl Symmetry {
    /// Leaves every board as it is.
    #[must_use]
    pub fn identity(shape: Shape) -> Self {
        let lines: Vec<u8> = (0..shape.side() as u8).collect();
        Self {
            shape,
            digits: lines.iter().map(|d| d + 1).collect(),
            transpose: false,
            rows: lines.clone(),
            columns: lines,
        }
    }

    /// Renames digits in a circle: d becomes d + `shift`, and the side is followed
    /// by 1. The side's multiples are the identity.
    #[must_use]
    pub fn digit_shift(shape: Shape, shift: usize) -> Self {
        let side = shape.side();
        Self {
            digits: (0..side)
                .map(|d| ((d + shift % side) % side + 1) as u8)
                .collect(),
            ..Self::identity(shape)
        }
    }

    /// The symmetry of the given permutations; see [`Symmetry`] for their meaning.
    ///
    /// # Errors
    /// Something is no permutation, tears a band or a stack apart, or transposes
    /// boxes that are not square.
    pub fn new(
        shape: Shape,
        digits: Vec<u8>,
        transpose: bool,
        rows: Vec<u8>,
        columns: Vec<u8>,
    ) -> Result<Self, SymmetryError> {
        let side = shape.side() as u8;
        let mut sorted = digits.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(1..=side) {
            return Err(SymmetryError::Digits(digits));
        }
        for (name, lines, group) in [
            ("rows", &rows, shape.box_rows()),
            ("columns", &columns, shape.box_cols()),
        ] {
            let mut sorted = lines.clone();
            sorted.sort_unstable();
            let together = lines.chunks(group).all(|chunk| {
                chunk
                    .iter()
                    .all(|&line| line as usize / group == chunk[0] as usize / group)
            });
            if !sorted.into_iter().eq(0..side) || !together {
                return Err(SymmetryError::Lines(name, lines.clone()));
            }
        }
        if transpose && !shape.square_boxes() {
            return Err(SymmetryError::Transpose(shape));
        }
        Ok(Self {
            shape,
            digits,
            transpose,
            rows,
            columns,
        })
    }

    /// Renames digits by a uniformly random permutation; cells stay in place.
    #[must_use]
    pub fn random_digits<R: Rng + ?Sized>(shape: Shape, rng: &mut R) -> Self {
        let mut symmetry = Self::identity(shape);
        symmetry.digits.shuffle(rng);
        symmetry
    }

    /// A uniformly random element of the group.
    #[must_use]
    pub fn random<R: Rng + ?Sized>(shape: Shape, rng: &mut R) -> Self {
        let mut digits: Vec<u8> = (1..=shape.side() as u8).collect();
        digits.shuffle(rng);
        Self {
            shape,
            digits,
            transpose: shape.square_boxes() && rng.random_bool(0.5),
            rows: random_lines(shape.bands(), shape.box_rows(), rng),
            columns: random_lines(shape.stacks(), shape.box_cols(), rng),
        }
    }

    /// A random element of the subgroup that varies in the given ways only.
    #[must_use]
    pub fn random_of<R: Rng + ?Sized>(shape: Shape, ways: Ways, rng: &mut R) -> Self {
        let all = Self::random(shape, rng);
        let none = Self::identity(shape);
        Self {
            shape,
            digits: if ways.digits { all.digits } else { none.digits },
            transpose: ways.transpose && all.transpose,
            rows: if ways.lines { all.rows } else { none.rows },
            columns: if ways.lines {
                all.columns
            } else {
                none.columns
            },
        }
    }

    /// For callers in this crate that have made the permutations themselves.
    pub(super) fn from_valid(
        shape: Shape,
        digits: Vec<u8>,
        transpose: bool,
        rows: Vec<u8>,
        columns: Vec<u8>,
    ) -> Self {
        Self {
            shape,
            digits,
            transpose,
            rows,
            columns,
        }
    }

    /// The shape it belongs to.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The new name of a digit; blank (0) stays blank.
    #[must_use]
    pub fn digit(&self, digit: u8) -> u8 {
        match digit {
            0 => 0,
            d => self.digits[d as usize - 1],
        }
    }

    /// The cell of the board that a cell of the result comes from.
    #[must_use]
    pub fn source(&self, cell: usize) -> usize {
        let side = self.shape.side();
        let row = self.rows[cell / side] as usize;
        let column = self.columns[cell % side] as usize;
        if self.transpose {
            column * side + row
        } else {
            row * side + column
        }
    }

    /// The board rewritten.
    ///
    /// # Panics
    /// The board has another shape.
    #[must_use]
    pub fn apply(&self, board: &Board) -> Board {
        assert_eq!(self.shape, board.shape(), "a symmetry of another shape");
        let cells = (0..self.shape.cells())
            .map(|cell| self.digit(board.cells()[self.source(cell)]))
            .collect();
        Board::from_valid(self.shape, cells)
    }

    /// A grid of tokens rewritten; padding and blanks keep their value, as do tokens
    /// outside the vocabulary.
    ///
    /// # Panics
    /// There are not as many tokens as cells.
    #[must_use]
    pub fn apply_tokens(&self, tokens: &[u8]) -> Vec<u8> {
        assert_eq!(self.shape.cells(), tokens.len(), "tokens of {}", self.shape);
        (0..tokens.len())
            .map(|cell| {
                let token = tokens[self.source(cell)];
                let digit = token.saturating_sub(TOKEN_BLANK) as usize;
                if digit == 0 || digit > self.shape.side() {
                    token
                } else {
                    self.digits[digit - 1] + TOKEN_BLANK
                }
            })
            .collect()
    }

    /// The symmetry that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let rows = invert(&self.rows);
        let columns = invert(&self.columns);
        let mut digits = vec![0; self.digits.len()];
        for (old, &new) in self.digits.iter().enumerate() {
            digits[new as usize - 1] = old as u8 + 1;
        }
        let (rows, columns) = if self.transpose {
            (columns, rows)
        } else {
            (rows, columns)
        };
        Self {
            shape: self.shape,
            digits,
            transpose: self.transpose,
            rows,
            columns,
        }
    }

    /// The symmetry that does this one and then `next`.
    ///
    /// # Panics
    /// They belong to different shapes.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        assert_eq!(self.shape, next.shape, "a symmetry of another shape");
        let through = |outer: &[u8], inner: &[u8]| -> Vec<u8> {
            inner.iter().map(|&line| outer[line as usize]).collect()
        };
        // A transposed `next` reads its rows from the columns of what this one made.
        let (rows, columns) = if next.transpose {
            (
                through(&self.columns, &next.rows),
                through(&self.rows, &next.columns),
            )
        } else {
            (
                through(&self.rows, &next.rows),
                through(&self.columns, &next.columns),
            )
        };
        Self {
            shape: self.shape,
            digits: self.digits.iter().map(|&d| next.digit(d)).collect(),
            transpose: self.transpose != next.transpose,
            rows,
            columns,
        }
    }
}

impl TryFrom<Parts> for Symmetry {
    type Error = SymmetryError;

    fn try_from(parts: Parts) -> Result<Self, SymmetryError> {
        Self::new(
            parts.shape,
            parts.digits,
            parts.transpose,
            parts.rows,
            parts.columns,
        )
    }
}

impl From<Symmetry> for Parts {
    fn from(symmetry: Symmetry) -> Self {
        Self {
            shape: symmetry.shape,
            digits: symmetry.digits,
            transpose: symmetry.transpose,
            rows: symmetry.rows,
            columns: symmetry.columns,
        }
    }
}

/// Rows in random order, bands (groups) staying together.
fn random_lines<R: Rng + ?Sized>(groups: usize, size: usize, rng: &mut R) -> Vec<u8> {
    let mut order: Vec<usize> = (0..groups).collect();
    order.shuffle(rng);
    let mut lines = Vec::with_capacity(groups * size);
    for group in order {
        let start = lines.len();
        lines.extend((group * size..(group + 1) * size).map(|line| line as u8));
        lines[start..].shuffle(rng);
    }
    lines
}

fn invert(permutation: &[u8]) -> Vec<u8> {
    let mut inverse = vec![0; permutation.len()];
    for (to, &from) in permutation.iter().enumerate() {
        inverse[from as usize] = to as u8;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Every cell different, so that a wrong map can not hide.
    fn markers(shape: Shape) -> Vec<usize> {
        (0..shape.cells()).collect()
    }

    fn moved(symmetry: &Symmetry, cells: &[usize]) -> Vec<usize> {
        (0..cells.len())
            .map(|cell| cells[symmetry.source(cell)])
            .collect()
    }

    #[test]
    fn ways_are_kept_to() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let none = Symmetry::identity(Shape::S9);
        let mut transposed = 0;
        for _ in 0..20 {
            let draw = |ways, rng: &mut ChaCha8Rng| Symmetry::random_of(Shape::S9, ways, rng);
            assert_eq!(draw(Ways::default(), &mut rng), none);
            let digits = Ways {
                digits: true,
                ..Ways::default()
            };
            let drawn = draw(digits, &mut rng);
            assert_eq!((&drawn.rows, drawn.transpose), (&none.rows, false));
            assert_ne!(drawn.digits, none.digits);
            let lines = Ways {
                lines: true,
                ..Ways::default()
            };
            let drawn = draw(lines, &mut rng);
            assert_eq!((&drawn.digits, drawn.transpose), (&none.digits, false));
            assert_ne!(drawn.rows, none.rows);
            let transpose = Ways {
                transpose: true,
                ..Ways::default()
            };
            transposed += usize::from(draw(transpose, &mut rng).transpose);
        }
        assert!((1..20).contains(&transposed), "{transposed} of 20");
    }

    #[test]
    fn group_laws() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for shape in Shape::COMMON {
            let identity = Symmetry::identity(shape);
            for _ in 0..200 {
                let [a, b, c] = [(); 3].map(|()| Symmetry::random(shape, &mut rng));
                assert_eq!(a.then(&a.inverse()), identity);
                assert_eq!(a.inverse().then(&a), identity);
                assert_eq!(a.then(&identity), a);
                assert_eq!(a.then(&b).then(&c), a.then(&b.then(&c)));
                let cells = markers(shape);
                let both = moved(&a.then(&b), &cells);
                assert_eq!(both, moved(&b, &moved(&a, &cells)));
                for digit in 0..=shape.side() as u8 {
                    assert_eq!(a.then(&b).digit(digit), b.digit(a.digit(digit)));
                }
                // What `random` makes, `new` accepts.
                let parts = Parts::from(a.clone());
                assert_eq!(Symmetry::try_from(parts), Ok(a));
            }
        }
    }

    #[test]
    fn houses_stay_houses() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for shape in Shape::COMMON {
            for _ in 0..50 {
                let s = Symmetry::random(shape, &mut rng);
                for a in 0..shape.cells() {
                    for b in 0..shape.cells() {
                        assert_eq!(
                            shape.see_each_other(a, b),
                            shape.see_each_other(s.source(a), s.source(b))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn digit_shifts_are_cyclic() {
        let once = Symmetry::digit_shift(Shape::S9, 1);
        assert_eq!(once.digit(1), 2);
        assert_eq!(once.digit(9), 1);
        assert_eq!(once.digit(0), 0);
        let mut all = Symmetry::identity(Shape::S9);
        for shift in 0..9 {
            assert_eq!(all, Symmetry::digit_shift(Shape::S9, shift));
            all = all.then(&once);
        }
        assert_eq!(all, Symmetry::identity(Shape::S9));
    }

    #[test]
    fn tokens_move_like_boards() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let board = Board::parse("1..........4..2.", None).unwrap();
        for _ in 0..20 {
            let s = Symmetry::random(Shape::S4, &mut rng);
            assert_eq!(s.apply_tokens(&board.tokens()), s.apply(&board).tokens());
        }
        let pad = Symmetry::digit_shift(Shape::S4, 1).apply_tokens(&[0; 16]);
        assert_eq!(pad, [0; 16]);
        // A corrupt token passes unchanged instead of panicking.
        let odd = Symmetry::digit_shift(Shape::S4, 1).apply_tokens(&[200; 16]);
        assert_eq!(odd, [200; 16]);
    }

    #[test]
    fn wrong_permutations_are_refused() {
        let new = |digits: &[u8], transpose, rows: &[u8], columns: &[u8]| {
            let [digits, rows, columns] = [digits, rows, columns].map(<[u8]>::to_vec);
            Symmetry::new(Shape::S4, digits, transpose, rows, columns)
        };
        let (digits, lines) = (&[1, 2, 3, 4], &[0, 1, 2, 3]);
        assert!(new(digits, true, &[1, 0, 2, 3], &[2, 3, 1, 0]).is_ok());
        assert!(new(&[0, 1, 2, 3], false, lines, lines).is_err());
        assert!(new(&[1, 1, 3, 4], false, lines, lines).is_err());
        assert!(new(digits, false, &[0, 2, 1, 3], lines).is_err());
        assert!(new(digits, false, lines, &[0, 1, 2]).is_err());
        assert!(new(&[], false, &[], &[]).is_err());
        let six: Vec<u8> = (0..6).collect();
        let names: Vec<u8> = (1..7).collect();
        assert_eq!(
            Symmetry::new(Shape::S6, names, true, six.clone(), six),
            Err(SymmetryError::Transpose(Shape::S6))
        );
    }
}
