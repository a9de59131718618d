//! A puzzle of whatever kind: what goes between a page and its worker, and what a
//! person may have put on the board.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::arc::{ArcSymmetry, Canvas, CanvasError};
use super::kind::{NoSudoku, PuzzleKind};
use super::maze::{Maze, MazeError, MazeSymmetry};
use super::sudoku::board::{Board, TokenError};
use super::sudoku::parse::ParseError;
use super::sudoku::symmetry::Symmetry;
use super::{Puzzle, maze};

/// A puzzle of any kind. Each kind is a variant; what all kinds have in common is
/// [`Puzzle`], what only one has is asked of the board inside.
///
/// Serialized as the text of the board inside, which says by its signs what it is:
/// mazes have walls `#` and ways (spaces), ARC canvases `/` between their rows, Sudokus
/// digits, letters and `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AnyPuzzle {
    /// A Sudoku.
    Sudoku(Board),
    /// A maze.
    Maze(Maze),
    /// A grid of an ARC task.
    Arc(Canvas),
}

/// A rewriting of an [`AnyPuzzle`]. Serialized as the one inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnySymmetry {
    /// Of a Sudoku.
    Sudoku(Symmetry),
    /// Of a maze.
    Maze(MazeSymmetry),
    /// Of an ARC task.
    Arc(ArcSymmetry),
}

/// Why a text is no puzzle: as the kind says that it looks most like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnyParseError {
    /// It would be a Sudoku.
    #[error(transparent)]
    Sudoku(#[from] ParseError),
    /// It would be a maze.
    #[error(transparent)]
    Maze(#[from] MazeError),
    /// It would be an ARC canvas.
    #[error(transparent)]
    Arc(#[from] CanvasError),
}

/// Evaluates an expression with the board inside.
macro_rules! inside {
    ($any:expr, $board:ident => $value:expr) => {
        match $any {
            Self::Sudoku($board) => $value,
            Self::Maze($board) => $value,
            Self::Arc($board) => $value,
        }
    };
}

/// Makes a puzzle of the board inside.
macro_rules! wrapped {
    ($any:expr, $board:ident => $value:expr) => {
        match $any {
            Self::Sudoku($board) => Self::Sudoku($value),
            Self::Maze($board) => Self::Maze($value),
            Self::Arc($board) => Self::Arc($value),
        }
    };
}

/// Evaluates an expression with two boards of one kind; `$other` if they are of two.
macro_rules! both {
    ($a:expr, $b:expr, $x:ident, $y:ident => $value:expr, else $other:expr) => {
        match ($a, $b) {
            (Self::Sudoku($x), Self::Sudoku($y)) => $value,
            (Self::Maze($x), Self::Maze($y)) => $value,
            (Self::Arc($x), Self::Arc($y)) => $value,
            _ => $other,
        }
    };
}

/// Makes a puzzle of two boards of one kind; the first as it is if they are of two.
macro_rules! both_wrapped {
    ($a:expr, $b:expr, $x:ident, $y:ident => $value:expr) => {
        match ($a, $b) {
            (Self::Sudoku($x), Self::Sudoku($y)) => Self::Sudoku($value),
            (Self::Maze($x), Self::Maze($y)) => Self::Maze($value),
            (Self::Arc($x), Self::Arc($y)) => Self::Arc($value),
            (other, _) => other.clone(),
        }
    };
}

impl AnyPuzzle {
    /// A puzzle to begin drawing with: of a Sudoku blank cells, of a maze ways only,
    /// with start and goal in opposite corners, of ARC an empty canvas.
    #[must_use]
    pub fn blank(kind: PuzzleKind) -> Self {
        match kind {
            PuzzleKind::Sudoku(shape) => Self::Sudoku(Board::blank(shape)),
            PuzzleKind::Maze(size) => Self::Maze(Maze::empty(size)),
            PuzzleKind::Arc(size) => Self::Arc(Canvas::empty(size)),
        }
    }

    /// The board that [`Puzzle::values`] spell: digits of a Sudoku, tokens of a maze.
    ///
    /// # Errors
    /// They are not as many as the kind has cells, or one of them is none of its own.
    pub fn from_values(kind: PuzzleKind, values: &[u8]) -> Result<Self, TokenError> {
        Ok(match kind {
            PuzzleKind::Sudoku(shape) => Self::Sudoku(Board::new(shape, values.to_vec())?),
            PuzzleKind::Maze(size) => Self::Maze(Maze::from_tokens(size, values)?),
            PuzzleKind::Arc(size) => Self::Arc(Canvas::from_tokens(size, values)?),
        })
    }

    /// The Sudoku, if it is one.
    #[must_use]
    pub fn sudoku(&self) -> Option<&Board> {
        match self {
            Self::Sudoku(board) => Some(board),
            Self::Maze(_) | Self::Arc(_) => None,
        }
    }

    /// The maze, if it is one.
    #[must_use]
    pub fn maze(&self) -> Option<&Maze> {
        match self {
            Self::Maze(maze) => Some(maze),
            Self::Sudoku(_) | Self::Arc(_) => None,
        }
    }

    /// The Sudoku, where nothing else can be used.
    ///
    /// # Errors
    /// It is another kind of puzzle.
    pub fn needs_sudoku(&self) -> Result<&Board, NoSudoku> {
        self.sudoku().ok_or_else(|| NoSudoku(self.kind()))
    }

    /// The cells that the question leaves open: blanks of a Sudoku, ways of a maze, none
    /// of an ARC grid, whose answer is another one.
    #[must_use]
    pub fn open_cells(&self) -> Vec<usize> {
        let open = match self {
            Self::Sudoku(_) => 0,
            Self::Maze(_) => maze::Cell::Way as u8,
            Self::Arc(_) => return Vec::new(),
        };
        let values = self.values();
        (0..values.len()).filter(|&c| values[c] == open).collect()
    }

    /// One line a row, as people read it.
    #[must_use]
    pub fn to_grid_string(&self) -> String {
        inside!(self, board => board.to_grid_string())
    }
}

impl AnySymmetry {
    /// Whether it rewrites puzzles of this kind.
    #[must_use]
    pub fn fits(&self, kind: PuzzleKind) -> bool {
        match (self, kind) {
            (Self::Sudoku(symmetry), PuzzleKind::Sudoku(shape)) => symmetry.shape() == shape,
            (Self::Maze(_), PuzzleKind::Maze(_)) | (Self::Arc(_), PuzzleKind::Arc(_)) => true,
            _ => false,
        }
    }
}

impl From<Board> for AnyPuzzle {
    fn from(board: Board) -> Self {
        Self::Sudoku(board)
    }
}

impl From<Maze> for AnyPuzzle {
    fn from(maze: Maze) -> Self {
        Self::Maze(maze)
    }
}

impl From<Canvas> for AnyPuzzle {
    fn from(canvas: Canvas) -> Self {
        Self::Arc(canvas)
    }
}

impl From<ArcSymmetry> for AnySymmetry {
    fn from(symmetry: ArcSymmetry) -> Self {
        Self::Arc(symmetry)
    }
}

impl From<Symmetry> for AnySymmetry {
    fn from(symmetry: Symmetry) -> Self {
        Self::Sudoku(symmetry)
    }
}

impl From<MazeSymmetry> for AnySymmetry {
    fn from(symmetry: MazeSymmetry) -> Self {
        Self::Maze(symmetry)
    }
}

impl PartialEq<Board> for AnyPuzzle {
    fn eq(&self, board: &Board) -> bool {
        self.sudoku() == Some(board)
    }
}

impl fmt::Display for AnyPuzzle {
    /// As the board inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        inside!(self, board => board.fmt(f))
    }
}

impl From<AnyPuzzle> for String {
    fn from(puzzle: AnyPuzzle) -> Self {
        puzzle.to_string()
    }
}

impl FromStr for AnyPuzzle {
    type Err = AnyParseError;

    fn from_str(text: &str) -> Result<Self, AnyParseError> {
        Self::parse(text, None)
    }
}

impl TryFrom<String> for AnyPuzzle {
    type Error = AnyParseError;

    fn try_from(text: String) -> Result<Self, AnyParseError> {
        text.parse()
    }
}

impl Puzzle for AnyPuzzle {
    /// Of a maze; of a Sudoku, valid answers are those that solve it.
    const GRADED: bool = true;

    type Kind = PuzzleKind;
    type Symmetry = AnySymmetry;
    type ParseError = AnyParseError;

    /// Reads a puzzle in the signs of its own kind. What people have besides is read by
    /// [`super::reader`].
    fn parse(text: &str, kind: Option<PuzzleKind>) -> Result<Self, AnyParseError> {
        let sudoku = |shape| Board::parse(text, shape).map(Self::Sudoku);
        let maze = |size| Maze::parse(text, size).map(Self::Maze);
        match kind {
            Some(PuzzleKind::Sudoku(shape)) => Ok(sudoku(Some(shape))?),
            Some(PuzzleKind::Maze(size)) => Ok(maze(Some(size))?),
            Some(PuzzleKind::Arc(size)) => Ok(Self::Arc(Canvas::parse(text, Some(size))?)),
            // Nothing else is written with slashes.
            None if text.contains('/') => Ok(Self::Arc(Canvas::parse(text, None)?)),
            // Wall and route stand in no Sudoku.
            None if text.contains([maze::Cell::Wall.char(), maze::Cell::Route.char()]) => {
                Ok(maze(None)?)
            }
            None => match sudoku(None) {
                Ok(board) => Ok(board),
                Err(error) => Ok(maze(None).map_err(|_| error)?),
            },
        }
    }

    fn kind(&self) -> PuzzleKind {
        inside!(self, board => board.kind().into())
    }

    fn cell_count(kind: PuzzleKind) -> usize {
        kind.cells()
    }

    fn is_cell(kind: PuzzleKind, character: char) -> bool {
        match kind {
            PuzzleKind::Sudoku(shape) => Board::is_cell(shape, character),
            PuzzleKind::Maze(size) => Maze::is_cell(size, character),
            PuzzleKind::Arc(size) => Canvas::is_cell(size, character),
        }
    }

    /// A Sudoku where there is one of that size.
    fn kind_of_cells(cells: usize) -> Option<PuzzleKind> {
        let sudoku = Board::kind_of_cells(cells).map(PuzzleKind::Sudoku);
        sudoku.or_else(|| Maze::kind_of_cells(cells).map(PuzzleKind::Maze))
    }

    fn answered(&self) -> Result<(Self, u32), String> {
        Ok(match self {
            Self::Sudoku(board) => {
                let (answer, rating) = board.answered()?;
                (Self::Sudoku(answer), rating)
            }
            Self::Maze(maze) => {
                let (answer, rating) = maze.answered()?;
                (Self::Maze(answer), rating)
            }
            Self::Arc(canvas) => {
                let (answer, rating) = canvas.answered()?;
                (Self::Arc(answer), rating)
            }
        })
    }

    fn vocab(kind: PuzzleKind) -> usize {
        kind.vocab()
    }

    fn tokens(&self) -> Vec<u8> {
        inside!(self, board => Puzzle::tokens(board))
    }

    fn from_tokens(kind: PuzzleKind, tokens: &[u8]) -> Result<Self, TokenError> {
        Ok(match kind {
            PuzzleKind::Sudoku(shape) => Self::Sudoku(Board::from_tokens(shape, tokens)?),
            PuzzleKind::Maze(size) => Self::Maze(Maze::from_tokens(size, tokens)?),
            PuzzleKind::Arc(size) => Self::Arc(Canvas::from_tokens(size, tokens)?),
        })
    }

    fn values(&self) -> Vec<u8> {
        inside!(self, board => board.values())
    }

    fn conflicts(&self) -> u32 {
        inside!(self, board => Puzzle::conflicts(board))
    }

    fn conflicting_cells(&self) -> Vec<bool> {
        inside!(self, board => Puzzle::conflicting_cells(board))
    }

    fn keeps_givens(&self, question: &Self) -> bool {
        both!(self, question, a, q => Puzzle::keeps_givens(a, q), else false)
    }

    fn solves(&self, question: &Self) -> bool {
        both!(self, question, a, q => Puzzle::solves(a, q), else false)
    }

    fn is_valid(&self, question: &Self) -> bool {
        both!(self, question, a, q => a.is_valid(q), else false)
    }

    fn flaw(&self) -> Option<String> {
        inside!(self, board => board.flaw())
    }

    fn fault(&self, question: &Self) -> Option<String> {
        both!(self, question, a, q => a.fault(q), else {
            Some(format!("the answer is a {}, not a {}", self.kind(), question.kind()))
        })
    }

    fn class(question: &Self, answer: &Self) -> Option<Self> {
        match (question, answer) {
            (Self::Sudoku(q), Self::Sudoku(a)) => Board::class(q, a).map(Self::Sudoku),
            (Self::Maze(q), Self::Maze(a)) => Maze::class(q, a).map(Self::Maze),
            (Self::Arc(q), Self::Arc(a)) => Canvas::class(q, a).map(Self::Arc),
            _ => None,
        }
    }

    fn with_hints<R: Rng + ?Sized>(&self, answer: &Self, rng: &mut R) -> Self {
        both_wrapped!(self, answer, q, a => q.with_hints(a, rng))
    }

    fn filled<R: Rng + ?Sized>(&self, answer: &Self, share: f64, rng: &mut R) -> Self {
        both_wrapped!(self, answer, q, a => q.filled(a, share, rng))
    }

    fn written(&self) -> Vec<usize> {
        inside!(self, board => board.written())
    }

    fn without(&self, cells: &[usize]) -> Self {
        wrapped!(self, board => board.without(cells))
    }

    fn agreed(&self, answers: &[Self]) -> Self {
        match self {
            Self::Sudoku(board) => {
                let answers: Option<Vec<_>> = answers.iter().map(|a| a.sudoku().cloned()).collect();
                answers.map_or_else(|| self.clone(), |a| Self::Sudoku(board.agreed(&a)))
            }
            Self::Maze(maze) => {
                let answers: Option<Vec<_>> = answers.iter().map(|a| a.maze().cloned()).collect();
                answers.map_or_else(|| self.clone(), |a| Self::Maze(maze.agreed(&a)))
            }
            // Nothing is written into a grid.
            Self::Arc(_) => self.clone(),
        }
    }

    fn random_symmetry<R: Rng + ?Sized>(kind: PuzzleKind, rng: &mut R) -> AnySymmetry {
        match kind {
            PuzzleKind::Sudoku(shape) => AnySymmetry::Sudoku(Board::random_symmetry(shape, rng)),
            PuzzleKind::Maze(size) => AnySymmetry::Maze(Maze::random_symmetry(size, rng)),
            PuzzleKind::Arc(size) => AnySymmetry::Arc(Canvas::random_symmetry(size, rng)),
        }
    }

    /// A symmetry of another kind leaves it as it is.
    fn transformed(&self, symmetry: &AnySymmetry) -> Self {
        match (self, symmetry) {
            (Self::Sudoku(board), AnySymmetry::Sudoku(s)) => Self::Sudoku(board.transformed(s)),
            (Self::Maze(maze), AnySymmetry::Maze(s)) => Self::Maze(maze.transformed(s)),
            (Self::Arc(canvas), AnySymmetry::Arc(s)) => Self::Arc(canvas.transformed(s)),
            _ => self.clone(),
        }
    }

    fn restored(&self, symmetry: &AnySymmetry) -> Self {
        match (self, symmetry) {
            (Self::Sudoku(board), AnySymmetry::Sudoku(s)) => Self::Sudoku(board.restored(s)),
            (Self::Maze(maze), AnySymmetry::Maze(s)) => Self::Maze(maze.restored(s)),
            (Self::Arc(canvas), AnySymmetry::Arc(s)) => Self::Arc(canvas.restored(s)),
            _ => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::puzzle::{MazeOptions, MazeSize, Shape, generate_maze, random_solution};

    #[test]
    fn texts_say_what_they_are() {
        let any = |text: &str| text.parse::<AnyPuzzle>();
        for text in ["1.........4...2.", &".".repeat(81), &".".repeat(625)] {
            assert!(any(text).unwrap().sudoku().is_some(), "{text}");
        }
        for text in [
            "S ##G    ",
            "S G      ",
            "SooG",
            "SG  ",
            &format!("{}#", "# ".repeat(312)),
        ] {
            let found = any(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            assert!(found.maze().is_some(), "{text}");
            assert_eq!(found.to_string(), text);
            let json = serde_json::to_string(&found).unwrap();
            assert_eq!(serde_json::from_str::<AnyPuzzle>(&json).unwrap(), found);
        }
        assert!(any("S #").unwrap_err().to_string().contains("square"));
        assert!(any("123").unwrap_err().to_string().contains("3 cells"));
        let kind = PuzzleKind::from(Shape::S9);
        assert!(AnyPuzzle::parse("1.........4...2.", Some(kind)).is_err());
    }

    #[test]
    fn what_a_kind_says_is_said() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let board = random_solution(Shape::S6, &mut rng);
        let size = MazeSize::of_side(7).unwrap();
        let (question, answer) = generate_maze(1, &MazeOptions::hard(size)).unwrap();
        let (sudoku, maze) = (
            AnyPuzzle::from(board.clone()),
            AnyPuzzle::from(question.clone()),
        );
        assert_eq!(sudoku.values(), board.cells());
        assert_eq!((maze.values(), maze.conflicts()), (question.tokens(), 3));
        assert!(AnyPuzzle::from(answer.clone()).solves(&maze));
        assert!(!sudoku.solves(&maze) && !maze.keeps_givens(&sudoku));
        assert!(sudoku.fault(&maze).unwrap().contains("maze-7x7"));
        for puzzle in [&sudoku, &maze, &AnyPuzzle::from(answer)] {
            let kind = puzzle.kind();
            assert_eq!(
                AnyPuzzle::from_values(kind, &puzzle.values()).as_ref(),
                Ok(puzzle)
            );
            assert_eq!(
                AnyPuzzle::from_tokens(kind, &puzzle.tokens()).as_ref(),
                Ok(puzzle)
            );
            let symmetry = AnyPuzzle::random_symmetry(kind, &mut rng);
            assert!(symmetry.fits(kind));
            assert_eq!(puzzle.transformed(&symmetry).restored(&symmetry), *puzzle);
            let json = serde_json::to_string(&symmetry).unwrap();
            assert_eq!(
                serde_json::from_str::<AnySymmetry>(&json).unwrap(),
                symmetry
            );
            let other = if puzzle == &sudoku { &maze } else { &sudoku };
            assert!(!symmetry.fits(other.kind()));
            assert_eq!(other.transformed(&symmetry), *other);
        }
        assert!(
            maze.needs_sudoku()
                .unwrap_err()
                .to_string()
                .contains("maze-7x7")
        );
        assert_eq!(maze.open_cells().len(), {
            let ways = question.cells().iter().filter(|c| **c == maze::Cell::Way);
            ways.count()
        });
        let blank = AnyPuzzle::blank(size.into());
        assert_eq!((blank.flaw(), blank.open_cells().len()), (None, 47));
    }
}
