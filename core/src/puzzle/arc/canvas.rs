//! The canvas on which the model sees a grid.

use std::fmt::{self, Write as _};

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::grid::{COLOURS, Grid};
use super::size::ArcSize;
use super::symmetry::ArcSymmetry;
use crate::puzzle::sudoku::board::TokenError;
use crate::puzzle::{Puzzle, TOKEN_PAD};

/// Token of the marks right of and below a grid.
pub const TOKEN_EOS: u8 = 1;

/// Token of black; the other colours follow.
const FIRST_COLOUR: u8 = 2;

/// Number of tokens: padding, the mark, the colours.
const VOCAB: usize = FIRST_COLOUR as usize + COLOURS;

/// A square of tokens with a grid on it, as HRM lays it out: the grid's
/// colours, a column of marks right of it and a row of marks below it where the
/// canvas goes on, padding everywhere else (and at the corner of the marks).
///
/// A model's answer may be any tokens; [`Canvas::grid_at`] reads the grid that
/// is meant. As a text it is its rows with `/` between them, `.` for padding and
/// `$` for marks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Canvas {
    size: ArcSize,
    tokens: Box<[u8]>,
}

/// Why a text is no [`Canvas`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanvasError {
    /// It is no square, or not of this size.
    #[error("{found} characters in {rows} rows are no {wanted}")]
    Size {
        /// Characters of the first row.
        found: usize,
        /// Rows.
        rows: usize,
        /// What is expected.
        wanted: String,
    },
    /// A character that means nothing.
    #[error("{0:?} is no colour from 0 to 9, no `.` and no `$`")]
    Character(char),
}

impl Canvas {
    /// A grid at a row and column of the canvas. What does not fit is cut off:
    /// [`super::ArcRow::check`] says whether all does.
    #[must_use]
    pub fn of(size: ArcSize, grid: &Grid, [top, left]: [usize; 2]) -> Self {
        let side = size.side();
        let mut tokens = vec![TOKEN_PAD; size.cells()].into_boxed_slice();
        let mut set = |row: usize, column: usize, token| {
            if row < side && column < side {
                tokens[row * side + column] = token;
            }
        };
        let (rows, columns) = (grid.rows(), grid.columns());
        for (i, &colour) in grid.cells().iter().enumerate() {
            set(top + i / columns, left + i % columns, FIRST_COLOUR + colour);
        }
        for column in 0..columns {
            set(top + rows, left + column, TOKEN_EOS);
        }
        for row in 0..rows {
            set(top + row, left + columns, TOKEN_EOS);
        }
        Self { size, tokens }
    }

    /// A canvas with nothing on it: what is known of a missing answer.
    #[must_use]
    pub fn empty(size: ArcSize) -> Self {
        Self {
            size,
            tokens: vec![TOKEN_PAD; size.cells()].into(),
        }
    }

    /// The size.
    #[must_use]
    pub fn size(&self) -> ArcSize {
        self.size
    }

    /// One line a row.
    #[must_use]
    pub fn to_grid_string(&self) -> String {
        self.to_string().replace('/', "\n")
    }

    fn colour(&self, row: usize, column: usize) -> Option<u8> {
        let token = self.tokens[row * self.size.side() + column];
        token.checked_sub(FIRST_COLOUR)
    }

    /// Row and column of the first colour in reading order: the top left corner
    /// of a grid that was laid out.
    #[must_use]
    pub fn origin(&self) -> Option<[usize; 2]> {
        let side = self.size.side();
        let first = self.tokens.iter().position(|&t| t >= FIRST_COLOUR)?;
        Some([first / side, first % side])
    }

    /// The grid whose top left corner is here, as the published evaluation
    /// reads it: the largest rectangle of colours alone. None if there is no
    /// colour.
    #[must_use]
    pub fn grid_at(&self, [top, left]: [usize; 2]) -> Option<Grid> {
        let side = self.size.side();
        let mut width = side.saturating_sub(left);
        let mut best = [0, 0];
        for row in top..side {
            let run = (left..left + width).take_while(|&c| self.colour(row, c).is_some());
            width = run.count();
            let rows = row - top + 1;
            if rows * width > best[0] * best[1] {
                best = [rows, width];
            }
        }
        let [rows, columns] = best;
        let grid = |row, column| self.colour(top + row, left + column).unwrap_or(0);
        (rows > 0).then(|| Grid::from_fn([rows, columns], grid))
    }

    /// The canvas with the grid at its top left corner rewritten, and itself if
    /// there is no grid.
    fn rewritten(&self, symmetry: ArcSymmetry) -> Self {
        self.grid_at([0, 0]).map_or_else(
            || self.clone(),
            |grid| Self::of(self.size, &symmetry.apply(&grid), [0, 0]),
        )
    }
}

impl fmt::Display for Canvas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, row) in self.tokens.chunks(self.size.side()).enumerate() {
            if i > 0 {
                f.write_char('/')?;
            }
            for &token in row {
                f.write_char(match token {
                    TOKEN_PAD => '.',
                    TOKEN_EOS => '$',
                    colour => char::from(b'0' + (colour - FIRST_COLOUR)),
                })?;
            }
        }
        Ok(())
    }
}

impl From<Canvas> for String {
    fn from(canvas: Canvas) -> Self {
        canvas.to_string()
    }
}

impl TryFrom<String> for Canvas {
    type Error = CanvasError;

    fn try_from(text: String) -> Result<Self, CanvasError> {
        Self::parse(&text, None)
    }
}

fn token_of(character: char) -> Option<u8> {
    match character {
        '.' => Some(TOKEN_PAD),
        '$' => Some(TOKEN_EOS),
        digit => digit.to_digit(10).map(|d| FIRST_COLOUR + d as u8),
    }
}

/// What has rules and what is given are matters of other puzzles: of an ARC
/// canvas nothing but its task says what is right. So there are no conflicts,
/// nothing is given that an answer must keep, no answer is accepted, and there
/// are no hints. Who has the key compares with it.
impl Puzzle for Canvas {
    const LITERAL: bool = true;

    type Kind = ArcSize;
    type Symmetry = ArcSymmetry;
    type ParseError = CanvasError;

    /// A canvas of whichever size the text has; or where the size is known, a
    /// grid alone, which is put at the top left corner.
    fn parse(text: &str, kind: Option<ArcSize>) -> Result<Self, CanvasError> {
        let rows: Vec<&str> = text.trim().split('/').collect();
        let found = rows[0].chars().count();
        if let Some(size) = kind
            && let Ok(grid) = text.parse::<Grid>()
            && grid.rows().max(grid.columns()) <= size.side()
        {
            return Ok(Self::of(size, &grid, [0, 0]));
        }
        let square = rows.iter().all(|row| row.chars().count() == rows.len());
        let size =
            ArcSize::of_side(rows.len()).filter(|&size| square && kind.is_none_or(|k| k == size));
        let Some(size) = size else {
            return Err(CanvasError::Size {
                found,
                rows: rows.len(),
                wanted: kind.map_or_else(|| "square of 3 to 30 a side".into(), |k| k.to_string()),
            });
        };
        let tokens = rows.iter().flat_map(|row| row.chars());
        let tokens = tokens.map(|c| token_of(c).ok_or(CanvasError::Character(c)));
        Ok(Self {
            size,
            tokens: tokens.collect::<Result<_, _>>()?,
        })
    }

    fn kind(&self) -> ArcSize {
        self.size
    }

    fn cell_count(kind: ArcSize) -> usize {
        kind.cells()
    }

    fn is_cell(_: ArcSize, character: char) -> bool {
        token_of(character).is_some()
    }

    fn kind_of_cells(cells: usize) -> Option<ArcSize> {
        ArcSize::from_cells(cells)
    }

    fn answered(&self) -> Result<(Self, u32), String> {
        Err("no exact method answers an ARC task".to_owned())
    }

    fn vocab(_: ArcSize) -> usize {
        VOCAB
    }

    fn tokens(&self) -> Vec<u8> {
        self.tokens.to_vec()
    }

    fn from_tokens(kind: ArcSize, tokens: &[u8]) -> Result<Self, TokenError> {
        if tokens.len() != kind.cells() {
            return Err(TokenError::Length {
                kind: kind.to_string(),
                expected: kind.cells(),
                found: tokens.len(),
            });
        }
        if let Some(at) = tokens.iter().position(|&t| usize::from(t) >= VOCAB) {
            return Err(TokenError::Value {
                kind: kind.to_string(),
                row: at / kind.side() + 1,
                column: at % kind.side() + 1,
                value: tokens[at],
                largest: (VOCAB - 1) as u8,
            });
        }
        Ok(Self {
            size: kind,
            tokens: tokens.into(),
        })
    }

    fn conflicts(&self) -> u32 {
        0
    }

    fn conflicting_cells(&self) -> Vec<bool> {
        vec![false; self.tokens.len()]
    }

    fn keeps_givens(&self, _: &Self) -> bool {
        true
    }

    fn solves(&self, _: &Self) -> bool {
        false
    }

    fn flaw(&self) -> Option<String> {
        let blank = self.origin().is_none();
        blank.then(|| "there is no grid on the canvas".to_owned())
    }

    fn fault(&self, _: &Self) -> Option<String> {
        Some("nothing but its task says whether an ARC answer is right".to_owned())
    }

    /// Tasks are equivalent, not single grids.
    fn class(_: &Self, _: &Self) -> Option<Self> {
        None
    }

    fn with_hints<R: Rng + ?Sized>(&self, _: &Self, _: &mut R) -> Self {
        self.clone()
    }

    fn filled<R: Rng + ?Sized>(&self, _: &Self, _: f64, _: &mut R) -> Self {
        self.clone()
    }

    fn written(&self) -> Vec<usize> {
        Vec::new()
    }

    fn without(&self, _: &[usize]) -> Self {
        self.clone()
    }

    fn agreed(&self, _: &[Self]) -> Self {
        self.clone()
    }

    fn random_symmetry<R: Rng + ?Sized>(_: ArcSize, rng: &mut R) -> ArcSymmetry {
        ArcSymmetry::random(rng)
    }

    /// The grid at the top left corner rewritten. It is for a task's own
    /// identifier that a model answers; the image is another task.
    fn transformed(&self, symmetry: &ArcSymmetry) -> Self {
        self.rewritten(*symmetry)
    }

    /// The grid at the top left corner before; what else is on the canvas is
    /// not kept.
    fn restored(&self, symmetry: &ArcSymmetry) -> Self {
        self.rewritten(symmetry.inverse())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn size(side: usize) -> ArcSize {
        ArcSize::of_side(side).unwrap()
    }

    fn laid(text: &str, at: [usize; 2]) -> String {
        Canvas::of(size(5), &text.parse().unwrap(), at).to_string()
    }

    /// As the published data builder lays grids out.
    #[test]
    fn marks_stand_right_of_and_below_a_grid() {
        assert_eq!(laid("12/34", [0, 0]), "12$../34$../$$.../...../.....");
        assert_eq!(laid("12/34", [1, 2]), "...../..12$/..34$/..$$./.....");
        // No marks where the canvas ends.
        assert_eq!(laid("12/34", [3, 3]), "...../...../...../...12/...34");
        assert_eq!(laid("1", [4, 0]), "...../...../...../...../1$...");
        let canvas = Canvas::of(size(5), &"09".parse().unwrap(), [0, 0]);
        assert_eq!(canvas.tokens()[..4], [2, 11, 1, 0]);
        assert_eq!(canvas.tokens()[5..8], [1, 1, 0]);
        assert_eq!(Canvas::vocab(ArcSize::FULL), 12);
    }

    #[test]
    fn a_grid_is_read_where_it_begins() {
        let grid: Grid = "120/340".parse().unwrap();
        for at in [[0, 0], [1, 2], [3, 0]] {
            let canvas = Canvas::of(size(5), &grid, at);
            assert_eq!(canvas.origin(), Some(at));
            assert_eq!(canvas.grid_at(at).as_ref(), Some(&grid));
            let text = canvas.to_string();
            assert_eq!(Canvas::parse(&text, None).unwrap(), canvas);
        }
        let read = |text: &str| {
            let canvas = Canvas::parse(text, None).unwrap();
            canvas.grid_at([0, 0]).map(|g| g.to_string())
        };
        // The largest rectangle of colours, wherever marks are missing or stray.
        assert_eq!(read("12$./3$../45../$$..").unwrap(), "1/3/4");
        assert_eq!(read("123./45$./$$../....").unwrap(), "12/45");
        assert_eq!(read("$123/..../..../...."), None);
        assert_eq!(read("..../1.../..../...."), None);
        assert_eq!(Canvas::empty(size(4)).origin(), None);
        assert!(Canvas::empty(size(4)).flaw().is_some());
    }

    #[test]
    fn texts_and_tokens_that_are_no_canvas_are_named() {
        let said = |text: &str, kind| Canvas::parse(text, kind).unwrap_err().to_string();
        assert!(said("123/45", None).contains("no square"));
        assert!(said("12x/345/678", None).contains("'x'"));
        assert!(said("1234/1234/1234/1234", Some(size(3))).contains("no arc-3x3"));
        let small = Canvas::parse("12", Some(size(3))).unwrap();
        assert_eq!(small.to_string(), "12$/$$./...");
        let error = Canvas::from_tokens(size(3), &[0, 0, 0, 0, 12, 0, 0, 0, 0]).unwrap_err();
        assert!(error.to_string().contains("row 2, column 2"), "{error}");
        assert!(Canvas::from_tokens(size(3), &[0; 8]).is_err());
    }

    #[test]
    fn rewritings_are_undone() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let canvas = Canvas::of(size(5), &"120/345".parse().unwrap(), [0, 0]);
        for _ in 0..50 {
            let symmetry = Canvas::random_symmetry(size(5), &mut rng);
            let image = canvas.transformed(&symmetry);
            assert_eq!(image.restored(&symmetry), canvas, "{symmetry:?}");
        }
    }
}
