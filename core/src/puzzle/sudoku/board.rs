//! A board, the rules, and how badly a board breaks them.

use std::fmt;
use std::fmt::Write as _;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::augment::{fill_share, random_hints};
use super::canonical::canonical_puzzle;
use super::numerals::{Numerals, digit_char};
use super::parse::ParseError;
use super::shape::Shape;
use super::solver::{Uniqueness, solve_within};
use super::symmetry::Symmetry;
use crate::puzzle::{Puzzle, TOKEN_BLANK, TOKEN_PAD};

/// A Sudoku board, full or not, right or wrong.
///
/// It always has the cells of its shape, each 0 (blank) or a digit `1..=side`.
/// Serialized as its line of text, for example `"1.34…"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Board {
    shape: Shape,
    cells: Vec<u8>,
}

/// Values that do not make a board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The number of values is not the number of cells.
    #[error("{kind} has {expected} cells, but {found} values were given")]
    Length {
        /// Name of the puzzle kind.
        kind: String,
        /// Cells of that kind.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value that the puzzle kind does not have.
    #[error("row {row}, column {column}: {kind} has no value {value}; the largest is {largest}")]
    Value {
        /// Name of the puzzle kind.
        kind: String,
        /// Row of the cell, from 1.
        row: usize,
        /// Column of the cell, from 1.
        column: usize,
        /// The offending value.
        value: u8,
        /// Largest allowed value.
        largest: u8,
    },
}

/// A row, a column or a box: a set of cells that holds every digit once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum House {
    /// Row, from 0.
    Row(usize),
    /// Column, from 0.
    Column(usize),
    /// Box in reading order, from 0.
    Box(usize),
}

impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(i) => write!(f, "row {}", i + 1),
            Self::Column(i) => write!(f, "column {}", i + 1),
            Self::Box(i) => write!(f, "box {}", i + 1),
        }
    }
}

/// Two cells of one house with the same digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {digit} in row {}, column {} and the {digit} in row {}, column {} stand in the same {house}",
    .first.0 + 1, .first.1 + 1, .second.0 + 1, .second.1 + 1
)]
pub struct Clash {
    /// The repeated digit.
    pub digit: u8,
    /// Row and column of the earlier cell in reading order, from 0.
    pub first: (usize, usize),
    /// Row and column of the later cell, from 0.
    pub second: (usize, usize),
    /// The house they share (a row before a column before a box).
    pub house: House,
}

impl Board {
    /// A board without any digit.
    #[must_use]
    pub fn blank(shape: Shape) -> Self {
        Self {
            shape,
            cells: vec![0; shape.cells()],
        }
    }

    /// A board of the given cells: 0 for blank, or a digit, in reading order.
    ///
    /// # Errors
    /// Not as many cells as the shape has, or a digit above its side.
    pub fn new(shape: Shape, cells: Vec<u8>) -> Result<Self, TokenError> {
        Self::check(shape, &cells, shape.side() as u8)?;
        Ok(Self { shape, cells })
    }

    /// For callers in this crate that have made the cells themselves.
    pub(crate) fn from_valid(shape: Shape, cells: Vec<u8>) -> Self {
        debug_assert_eq!(cells.len(), shape.cells());
        debug_assert!(cells.iter().all(|&d| d as usize <= shape.side()));
        Self { shape, cells }
    }

    fn check(shape: Shape, values: &[u8], largest: u8) -> Result<(), TokenError> {
        if values.len() != shape.cells() {
            return Err(TokenError::Length {
                kind: shape.to_string(),
                expected: shape.cells(),
                found: values.len(),
            });
        }
        match values.iter().position(|&v| v > largest) {
            None => Ok(()),
            Some(cell) => Err(TokenError::Value {
                kind: shape.to_string(),
                row: shape.row(cell) + 1,
                column: shape.column(cell) + 1,
                value: values[cell],
                largest,
            }),
        }
    }

    /// The size.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The cells in reading order; 0 is blank.
    #[must_use]
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// The digit of a cell, 0 if it is blank; `None` beyond the board.
    #[must_use]
    pub fn get(&self, cell: usize) -> Option<u8> {
        self.cells.get(cell).copied()
    }

    /// Writes a digit, or 0 to clear the cell.
    ///
    /// # Panics
    /// The cell is beyond the board or the digit above its side.
    pub fn set(&mut self, cell: usize, digit: u8) {
        assert!(
            digit as usize <= self.shape.side(),
            "{} has no digit {digit}",
            self.shape
        );
        self.cells[cell] = digit;
    }

    /// Number of blank cells.
    #[must_use]
    pub fn blanks(&self) -> usize {
        self.cells.iter().filter(|&&d| d == 0).count()
    }

    /// Number of cells with a digit.
    #[must_use]
    pub fn clues(&self) -> usize {
        self.cells.len() - self.blanks()
    }

    /// One token a cell: [`TOKEN_BLANK`], or the digit plus one.
    #[must_use]
    pub fn tokens(&self) -> Vec<u8> {
        self.cells.iter().map(|&d| d + TOKEN_BLANK).collect()
    }

    /// The board that tokens spell. [`TOKEN_PAD`] counts as blank, so that whatever
    /// a model says can be shown.
    ///
    /// # Errors
    /// Not as many tokens as cells, or one outside the vocabulary.
    pub fn from_tokens(shape: Shape, tokens: &[u8]) -> Result<Self, TokenError> {
        Self::check(shape, tokens, (shape.vocab() - 1) as u8)?;
        let cells = tokens
            .iter()
            .map(|&t| t.saturating_sub(TOKEN_BLANK))
            .collect();
        debug_assert_eq!(TOKEN_PAD.saturating_sub(TOKEN_BLANK), 0);
        Ok(Self { shape, cells })
    }

    /// E of arXiv 2601.10679: the sum over all rows, columns and boxes and over all
    /// digits of max(0, count - 1). Blanks count nothing and givens are not looked
    /// at, so E = 0 alone does not mean solved; see [`Board::solves`].
    #[must_use]
    pub fn conflicts(&self) -> u32 {
        let counts = self.counts();
        counts
            .iter()
            .flat_map(|house| &house[1..])
            .map(|&count| u32::from(count.saturating_sub(1)))
            .sum()
    }

    /// For each cell, whether its digit stands again in its row, column or box.
    #[must_use]
    pub fn conflicting_cells(&self) -> Vec<bool> {
        let counts = self.counts();
        self.cells
            .iter()
            .enumerate()
            .map(|(cell, &digit)| {
                digit != 0
                    && self
                        .house_indices(cell)
                        .iter()
                        .any(|&house| counts[house][digit as usize] > 1)
            })
            .collect()
    }

    /// How often each digit stands in each row, then each column, then each box.
    fn counts(&self) -> Vec<[u8; Shape::LARGEST + 1]> {
        let mut counts = vec![[0; Shape::LARGEST + 1]; 3 * self.shape.side()];
        for (cell, &digit) in self.cells.iter().enumerate() {
            for house in self.house_indices(cell) {
                counts[house][digit as usize] += 1;
            }
        }
        counts
    }

    fn house_indices(&self, cell: usize) -> [usize; 3] {
        let shape = self.shape;
        [
            shape.row(cell),
            shape.side() + shape.column(cell),
            2 * shape.side() + shape.box_of(cell),
        ]
    }

    /// The first repetition in reading order, if a house holds a digit twice.
    #[must_use]
    pub fn clash(&self) -> Option<Clash> {
        let shape = self.shape;
        for (second, &digit) in self.cells.iter().enumerate() {
            if digit == 0 {
                continue;
            }
            let earlier = (0..second)
                .find(|&first| self.cells[first] == digit && shape.see_each_other(first, second));
            if let Some(first) = earlier {
                let house = if shape.row(first) == shape.row(second) {
                    House::Row(shape.row(first))
                } else if shape.column(first) == shape.column(second) {
                    House::Column(shape.column(first))
                } else {
                    House::Box(shape.box_of(first))
                };
                return Some(Clash {
                    digit,
                    first: (shape.row(first), shape.column(first)),
                    second: (shape.row(second), shape.column(second)),
                    house,
                });
            }
        }
        None
    }

    /// Whether every digit of `givens` stands here too.
    #[must_use]
    pub fn keeps_givens(&self, givens: &Self) -> bool {
        self.shape == givens.shape
            && self
                .cells
                .iter()
                .zip(&givens.cells)
                .all(|(&here, &given)| given == 0 || here == given)
    }

    /// Whether this is a right answer to `givens`: it keeps them, has no blank, and
    /// E is 0.
    #[must_use]
    pub fn solves(&self, givens: &Self) -> bool {
        self.keeps_givens(givens) && self.blanks() == 0 && self.conflicts() == 0
    }

    /// The board drawn with lines between the boxes, which [`Board::parse`] reads
    /// again:
    ///
    /// ```text
    /// 1 2 | . .
    /// . . | 1 2
    /// ----+----
    /// 2 . | . .
    /// . . | . 3
    /// ```
    #[must_use]
    pub fn to_grid_string(&self) -> String {
        let shape = self.shape;
        let side = shape.side();
        let mut text = String::new();
        for row in 0..side {
            if row > 0 && row % shape.box_rows() == 0 {
                for stack in 0..shape.stacks() {
                    // A box is `box_cols` characters with a space after each; the
                    // inner ones have a space in front as well.
                    let inner = usize::from(stack > 0 && stack + 1 < shape.stacks());
                    let width = 2 * shape.box_cols() + inner;
                    text.push_str(if stack > 0 { "+" } else { "" });
                    text.push_str(&"-".repeat(width));
                }
                text.push('\n');
            }
            for column in 0..side {
                if column > 0 {
                    let edge = column % shape.box_cols() == 0;
                    text.push_str(if edge { " | " } else { " " });
                }
                text.push(digit_char(self.cells[row * side + column]));
            }
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for Board {
    /// One line without separators; `.` is blank.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cells
            .iter()
            .try_for_each(|&digit| f.write_char(digit_char(digit)))
    }
}

impl From<Board> for String {
    fn from(board: Board) -> Self {
        board.to_string()
    }
}

/// Guesses after which the exact solver gives a puzzle up: a few seconds.
const PATIENCE: u64 = 5_000_000;

impl Puzzle for Board {
    type Kind = Shape;
    type Symmetry = Symmetry;
    type ParseError = ParseError;

    fn parse(text: &str, kind: Option<Shape>) -> Result<Self, ParseError> {
        Self::parse(text, kind)
    }

    fn kind(&self) -> Shape {
        self.shape
    }

    fn cell_count(kind: Shape) -> usize {
        kind.cells()
    }

    fn is_cell(kind: Shape, character: char) -> bool {
        if !character.is_ascii_alphabetic() {
            return Numerals::FromOne.value(character).is_some();
        }
        // The last letter that some way of writing has.
        let last = Numerals::Letters.value(character);
        kind.side() > 9 && last.is_some_and(|last| usize::from(last) <= kind.side())
    }

    fn kind_of_cells(cells: usize) -> Option<Shape> {
        Shape::from_cells(cells)
    }

    fn answered(&self) -> Result<(Self, u32), String> {
        let report = solve_within(self, 2, PATIENCE);
        let guesses = u32::try_from(report.guesses).unwrap_or(u32::MAX);
        let verdict = report.uniqueness(2);
        match (verdict, report.solutions.into_iter().next()) {
            (Uniqueness::Unique, Some(answer)) => Ok((answer, guesses)),
            (Uniqueness::Impossible, _) => Err("the puzzle has no solution".to_owned()),
            (Uniqueness::Ambiguous, _) => Err("the puzzle has more than one solution".to_owned()),
            _ => Err(format!(
                "no solution was found to be the only one in {PATIENCE} guesses"
            )),
        }
    }

    fn vocab(kind: Shape) -> usize {
        kind.vocab()
    }

    fn tokens(&self) -> Vec<u8> {
        Self::tokens(self)
    }

    fn from_tokens(kind: Shape, tokens: &[u8]) -> Result<Self, TokenError> {
        Self::from_tokens(kind, tokens)
    }

    fn values(&self) -> Vec<u8> {
        self.cells.clone()
    }

    fn conflicts(&self) -> u32 {
        Self::conflicts(self)
    }

    fn conflicting_cells(&self) -> Vec<bool> {
        Self::conflicting_cells(self)
    }

    fn keeps_givens(&self, question: &Self) -> bool {
        Self::keeps_givens(self, question)
    }

    fn solves(&self, question: &Self) -> bool {
        Self::solves(self, question)
    }

    fn flaw(&self) -> Option<String> {
        self.clash().map(|clash| clash.to_string())
    }

    fn fault(&self, question: &Self) -> Option<String> {
        let mut pairs = self.cells.iter().zip(&question.cells);
        let changed = |(&here, &given): (&u8, &u8)| here != 0 && given != 0 && here != given;
        if self.shape != question.shape || pairs.any(changed) {
            Some("the answer changes a given of the question".to_owned())
        } else if self.blanks() > 0 {
            Some("the answer is not complete".to_owned())
        } else {
            let conflicts = self.conflicts();
            (conflicts > 0).then(|| format!("the answer breaks the rules, E = {conflicts}"))
        }
    }

    fn class(question: &Self, answer: &Self) -> Option<Self> {
        canonical_puzzle(question, answer)
    }

    fn with_hints<R: Rng + ?Sized>(&self, answer: &Self, rng: &mut R) -> Self {
        random_hints(rng, self, answer)
    }

    fn filled<R: Rng + ?Sized>(&self, answer: &Self, share: f64, rng: &mut R) -> Self {
        fill_share(rng, self, answer, share)
    }

    fn written(&self) -> Vec<usize> {
        let cells = 0..self.cells.len();
        cells.filter(|&cell| self.cells[cell] != 0).collect()
    }

    fn without(&self, cells: &[usize]) -> Self {
        let mut board = self.clone();
        for &cell in cells {
            board.set(cell, 0);
        }
        board
    }

    fn agreed(&self, answers: &[Self]) -> Self {
        let mut hinted = self.clone();
        for cell in 0..self.cells.len() {
            let digit = answers.first().and_then(|a| a.get(cell)).unwrap_or(0);
            let all = answers.iter().all(|a| a.get(cell) == Some(digit));
            if all && digit != 0 && self.get(cell) == Some(0) {
                hinted.set(cell, digit);
            }
        }
        if hinted.clash().is_some() {
            return self.clone();
        }
        hinted
    }

    fn random_symmetry<R: Rng + ?Sized>(kind: Shape, rng: &mut R) -> Symmetry {
        Symmetry::random(kind, rng)
    }

    fn transformed(&self, symmetry: &Symmetry) -> Self {
        symmetry.apply(self)
    }

    fn restored(&self, symmetry: &Symmetry) -> Self {
        symmetry.inverse().apply(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(text: &str) -> Board {
        Board::parse(text, None).unwrap()
    }

    const SOLVED: &str = "1234341221434321";

    #[test]
    fn conflicts_follow_the_definition() {
        assert_eq!(board(SOLVED).conflicts(), 0);
        assert_eq!(Board::blank(Shape::S9).conflicts(), 0);
        // All ones: every one of the 12 houses has 4 of them, 3 too many.
        assert_eq!(board(&"1".repeat(16)).conflicts(), 36);
        assert_eq!(board(&"1".repeat(36)).conflicts(), 18 * 5);
        assert_eq!(board(&"7".repeat(81)).conflicts(), 27 * 8);
        // A pair in one row and one box counts twice, in one column once.
        assert_eq!(board("11..............").conflicts(), 2);
        assert_eq!(board("1...........1...").conflicts(), 1);
        // Three in a row, two of them in one box.
        assert_eq!(board("11.1............").conflicts(), 3);
    }

    #[test]
    fn conflicting_cells_are_those_that_repeat() {
        let cells = board("11.1..2......2..").conflicting_cells();
        let marked: Vec<usize> = (0..16).filter(|&c| cells[c]).collect();
        assert_eq!(marked, [0, 1, 3]);
    }

    #[test]
    fn clash_names_the_first_pair() {
        assert_eq!(board(SOLVED).clash(), None);
        let clash = board("1......1.......1").clash().unwrap();
        assert_eq!((clash.first, clash.second), ((1, 3), (3, 3)));
        assert_eq!(clash.house, House::Column(3));
        assert_eq!(
            clash.to_string(),
            "the 1 in row 2, column 4 and the 1 in row 4, column 4 stand in the same column 4"
        );
        assert_eq!(
            board("1....1..........").clash().unwrap().house,
            House::Box(0)
        );
        assert_eq!(
            board("1.1.............").clash().unwrap().house,
            House::Row(0)
        );
    }

    #[test]
    fn solved_means_full_consistent_and_true_to_the_givens() {
        let solved = board(SOLVED);
        assert!(!solved.solves(&board("1..........4..2.")));
        assert!(solved.solves(&board("1.........4...2.")));
        assert!(solved.solves(&Board::blank(Shape::S4)));
        assert!(!solved.solves(&board("2...............")));
        assert!(!solved.solves(&Board::blank(Shape::S6)));
        // Consistent, but not full.
        let partial = board("1...............");
        assert_eq!(partial.conflicts(), 0);
        assert!(partial.keeps_givens(&partial) && !partial.solves(&partial));
    }

    #[test]
    fn tokens_round_trip_and_are_checked() {
        let puzzle = board("1..........4..2.");
        assert_eq!(puzzle.tokens()[..2], [2, 1]);
        assert_eq!(
            Board::from_tokens(Shape::S4, &puzzle.tokens()),
            Ok(puzzle.clone())
        );
        let mut tokens = puzzle.tokens();
        tokens[1] = TOKEN_PAD;
        assert_eq!(
            Board::from_tokens(Shape::S4, &tokens),
            Ok(puzzle),
            "padding is shown as blank"
        );
        tokens[6] = 6;
        let error = Board::from_tokens(Shape::S4, &tokens).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 2, column 3: sudoku-4x4 has no value 6; the largest is 5"
        );
        let error = Board::from_tokens(Shape::S6, &tokens).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sudoku-6x6 has 36 cells, but 16 values were given"
        );
        assert!(Board::new(Shape::S4, vec![5; 16]).is_err());
        assert!(Board::new(Shape::S4, vec![4; 16]).is_ok());
    }

    #[test]
    fn drawn_boards_read_back() {
        let drawn = board("12....122......3").to_grid_string();
        assert_eq!(
            drawn,
            "1 2 | . .\n. . | 1 2\n----+----\n2 . | . .\n. . | . 3\n"
        );
        let nine = board(&"123456789".repeat(9)).to_grid_string();
        assert_eq!(nine.lines().nth(3), Some("------+-------+------"));
        assert_eq!(nine.lines().next().map(str::len), Some(21));
        let six = board(&"123456".repeat(6)).to_grid_string();
        assert_eq!(six.lines().nth(2), Some("------+------"));
        assert_eq!(six.lines().count(), 8);
    }

    #[test]
    fn serde_form_is_the_line() {
        let text: String = board(SOLVED).into();
        assert_eq!(text, SOLVED);
        assert_eq!(Board::try_from(text), Ok(board(SOLVED)));
    }
}
