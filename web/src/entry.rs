//! Entering a puzzle: digits of a Sudoku, cells of a maze, undo and redo.

use hrm_core::puzzle::maze::Cell;
use hrm_core::puzzle::{AnyPuzzle, Puzzle, PuzzleKind, Shape};

/// Edits kept for undo; beyond, the oldest are forgotten.
const HISTORY: usize = 500;

/// What a typed digit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is written into the cell.
    #[default]
    Digit,
    /// It is pencilled into a corner: where in the box it can stand.
    Corner,
    /// It is pencilled into the middle: what the cell can hold.
    Centre,
}

/// A puzzle with its pencil marks and its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    now: Moment,
    past: Vec<Moment>,
    future: Vec<Moment>,
}

/// What an edit changes.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    board: AnyPuzzle,
    /// The puzzle as it was put there as a whole.
    base: AnyPuzzle,
    /// Pencilled digits of each cell, bit `d` for the digit `d`.
    corner: Vec<u32>,
    centre: Vec<u32>,
}

impl Moment {
    fn new(board: AnyPuzzle) -> Self {
        let cells = board.kind().cells();
        Self {
            base: board.clone(),
            board,
            corner: vec![0; cells],
            centre: vec![0; cells],
        }
    }

    fn marks(&mut self, mode: Mode) -> &mut [u32] {
        if mode == Mode::Corner {
            &mut self.corner
        } else {
            &mut self.centre
        }
    }
}

impl Entry {
    /// A puzzle without history.
    #[must_use]
    pub fn new(board: AnyPuzzle) -> Self {
        Self {
            now: Moment::new(board),
            past: Vec::new(),
            future: Vec::new(),
        }
    }

    /// The puzzle.
    #[must_use]
    pub fn board(&self) -> &AnyPuzzle {
        &self.now.board
    }

    /// The puzzle as it was put there as a whole, before digits were written
    /// into it one by one.
    #[must_use]
    pub fn base(&self) -> &AnyPuzzle {
        &self.now.base
    }

    /// Whether a digit was written into the puzzle by who plays it. Who
    /// begins with a blank board makes a puzzle, and plays none yet; who draws
    /// a maze makes one, too.
    #[must_use]
    pub fn is_own(&self, cell: usize) -> bool {
        let (Some(base), Some(board)) = (self.now.base.sudoku(), self.now.board.sudoku()) else {
            return false;
        };
        base.clues() > 0
            && base.get(cell) == Some(0)
            && board.get(cell).is_some_and(|digit| digit != 0)
    }

    /// Its kind and size.
    #[must_use]
    pub fn kind(&self) -> PuzzleKind {
        self.now.board.kind()
    }

    /// The digits pencilled into a cell, in order.
    #[must_use]
    pub fn marks(&self, cell: usize, mode: Mode) -> Vec<u8> {
        let marks = match mode {
            Mode::Digit => return Vec::new(),
            Mode::Corner => &self.now.corner,
            Mode::Centre => &self.now.centre,
        };
        let bits = marks.get(cell).copied().unwrap_or(0);
        (1..=Shape::LARGEST as u8)
            .filter(|digit| bits >> digit & 1 == 1)
            .collect()
    }

    /// Writes a digit, or clears the cell with 0. Returns whether that
    /// changed anything; a cell or digit beyond the board does not.
    pub fn set(&mut self, cell: usize, digit: u8) -> bool {
        self.fill(&[cell], digit)
    }

    /// Writes a digit into several cells of a Sudoku, or clears them with 0.
    pub fn fill(&mut self, cells: &[usize], digit: u8) -> bool {
        let mut next = self.now.clone();
        let AnyPuzzle::Sudoku(board) = &mut next.board else {
            return false;
        };
        let shape = board.shape();
        if usize::from(digit) > shape.side() || cells.iter().any(|&cell| cell >= shape.cells()) {
            return false;
        }
        for &cell in cells {
            board.set(cell, digit);
        }
        self.go(next)
    }

    /// Draws into a cell of a maze. A stroke that goes on is taken back as one.
    pub fn draw(&mut self, cell: usize, content: Cell, goes_on: bool) -> bool {
        let mut next = self.now.clone();
        let AnyPuzzle::Maze(maze) = &mut next.board else {
            return false;
        };
        maze.set(cell, content);
        if next == self.now {
            return false;
        }
        if goes_on && !self.past.is_empty() {
            self.now = next;
            return true;
        }
        self.go(next)
    }

    /// Pencils a digit into the blank ones of some cells, or rubs it out if
    /// all of them have it. [`Mode::Digit`] is no pencil and does nothing.
    pub fn mark(&mut self, cells: &[usize], mode: Mode, digit: u8) -> bool {
        let Some(board) = self.now.board.sudoku() else {
            return false;
        };
        let side = board.shape().side();
        if mode == Mode::Digit || digit == 0 || usize::from(digit) > side {
            return false;
        }
        let blank: Vec<usize> = cells
            .iter()
            .copied()
            .filter(|&cell| board.get(cell) == Some(0))
            .collect();
        let bit = 1 << digit;
        let mut next = self.now.clone();
        let marks = next.marks(mode);
        let all = blank.iter().all(|&cell| marks[cell] & bit != 0);
        for &cell in &blank {
            if all {
                marks[cell] &= !bit;
            } else {
                marks[cell] |= bit;
            }
        }
        self.go(next)
    }

    /// Empties some cells: of their digits, or where there are none, of
    /// their marks.
    pub fn erase(&mut self, cells: &[usize]) -> bool {
        let mut next = self.now.clone();
        let AnyPuzzle::Sudoku(board) = &mut next.board else {
            return false;
        };
        let count = board.shape().cells();
        let cells = cells.iter().filter(|&&cell| cell < count);
        let digits = cells.clone().any(|&cell| board.cells()[cell] != 0);
        for &cell in cells {
            if digits {
                board.set(cell, 0);
            } else {
                next.corner[cell] = 0;
                next.centre[cell] = 0;
            }
        }
        self.go(next)
    }

    /// Puts another puzzle in its place. Returns whether it is another.
    pub fn replace(&mut self, board: AnyPuzzle) -> bool {
        board != self.now.board && self.go(Moment::new(board))
    }

    fn go(&mut self, next: Moment) -> bool {
        if next == self.now {
            return false;
        }
        if self.past.len() == HISTORY {
            self.past.remove(0);
        }
        self.past.push(std::mem::replace(&mut self.now, next));
        self.future.clear();
        true
    }

    /// Takes the last edit back. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some(moment) = self.past.pop() else {
            return false;
        };
        self.future.push(std::mem::replace(&mut self.now, moment));
        true
    }

    /// Repeats the last edit taken back. Returns whether there was one.
    pub fn redo(&mut self) -> bool {
        let Some(moment) = self.future.pop() else {
            return false;
        };
        self.past.push(std::mem::replace(&mut self.now, moment));
        true
    }

    /// Whether there is an edit to take back.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether there is an edit to repeat.
    #[must_use]
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty()
    }

    /// Cells whose digits, written into the puzzle one by one, are not those
    /// of its solution.
    #[must_use]
    pub fn mistakes(&self, answer: &AnyPuzzle) -> Vec<usize> {
        let boards = [&self.now.board, &self.now.base, answer].map(AnyPuzzle::sudoku);
        let [Some(now), Some(base), Some(answer)] = boards else {
            return Vec::new();
        };
        let (now, base, answer) = (now.cells(), base.cells(), answer.cells());
        (0..now.len().min(base.len()).min(answer.len()))
            .filter(|&cell| now[cell] != base[cell] && now[cell] != 0)
            .filter(|&cell| now[cell] != answer[cell])
            .collect()
    }

    /// Where a hint belongs and what it says: `cursor` if it is blank or
    /// wrong, else the first such cell. None if all is right.
    #[must_use]
    pub fn hint(&self, answer: &AnyPuzzle, cursor: usize) -> Option<(usize, u8)> {
        let (now, answer) = (self.now.board.sudoku()?, answer.sudoku()?);
        let open = |cell: usize| now.get(cell) != answer.get(cell);
        std::iter::once(cursor)
            .chain(0..now.shape().cells())
            .find(|&cell| open(cell))
            .and_then(|cell| Some((cell, answer.get(cell)?)))
    }
}

/// The cell that a key leads to from `cell` of a board of that side, or none
/// if the key is no movement. Movement stops at the edge.
#[must_use]
pub fn moved(side: usize, cell: usize, key: &str, control: bool) -> Option<usize> {
    let (row, column) = (cell / side, cell % side);
    let last = side - 1;
    let (row, column) = match (key, control) {
        ("ArrowUp", false) => (row.saturating_sub(1), column),
        ("ArrowDown", false) => ((row + 1).min(last), column),
        ("ArrowLeft", false) => (row, column.saturating_sub(1)),
        ("ArrowRight", false) => (row, (column + 1).min(last)),
        ("Home", false) | ("ArrowLeft", true) => (row, 0),
        ("End", false) | ("ArrowRight", true) => (row, last),
        ("PageUp", _) | ("ArrowUp", true) => (0, column),
        ("PageDown", _) | ("ArrowDown", true) => (last, column),
        ("Home", true) => (0, 0),
        ("End", true) => (last, last),
        _ => return None,
    };
    Some(row * side + column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hrm_core::puzzle::{Board, MazeSize};

    fn blank(shape: Shape) -> AnyPuzzle {
        Board::blank(shape).into()
    }

    fn clues(entry: &Entry) -> usize {
        entry.board().sudoku().unwrap().clues()
    }

    #[test]
    fn edits_undo_and_redo() {
        let mut entry = Entry::new(blank(Shape::S4));
        assert!(!entry.undo() && !entry.redo());
        assert!(entry.set(0, 3));
        assert!(!entry.is_own(0), "it becomes a puzzle");
        assert!(!entry.set(0, 3), "the same digit again is no edit");
        assert!(!entry.set(0, 5), "a 4x4 has no 5");
        assert!(!entry.set(16, 1));
        assert!(entry.set(5, 4));
        let both = entry.board().clone();
        assert!(entry.undo());
        assert_eq!(entry.board().to_string(), "3...............");
        assert!(entry.can_redo() && entry.redo());
        assert_eq!(*entry.board(), both);
        assert!(entry.undo() && entry.set(1, 1));
        assert!(!entry.can_redo(), "a new edit forgets what was taken back");
    }

    #[test]
    fn another_size_can_be_undone_too() {
        let mut entry = Entry::new(blank(Shape::S4));
        assert!(entry.replace(blank(Shape::S9)));
        assert_eq!(entry.kind(), Shape::S9);
        assert!(entry.undo());
        assert_eq!(entry.kind(), Shape::S4);
    }

    #[test]
    fn mazes_are_drawn_stroke_by_stroke() {
        let size = MazeSize::of_side(4).unwrap();
        let mut entry = Entry::new(AnyPuzzle::blank(size.into()));
        let open = entry.board().clone();
        assert!(entry.draw(5, Cell::Wall, false) && entry.draw(6, Cell::Wall, true));
        assert!(!entry.draw(6, Cell::Wall, true), "nothing changes");
        assert!(!entry.draw(16, Cell::Wall, false), "beyond the maze");
        assert!(entry.draw(3, Cell::Start, false));
        assert_eq!(entry.board().to_string(), "   S ##        G");
        assert!(entry.undo() && entry.undo());
        assert_eq!(*entry.board(), open, "a stroke is taken back as one");
        assert!(!entry.is_own(5) && !entry.fill(&[1], 1) && !entry.erase(&[0]));
        assert!(!entry.mark(&[1], Mode::Corner, 1) && entry.hint(&open, 0).is_none());
    }

    #[test]
    fn history_is_bounded() {
        let mut entry = Entry::new(blank(Shape::S9));
        for i in 0..HISTORY + 7 {
            assert!(entry.set(i % 81, (1 + i / 81) as u8));
        }
        let undone = std::iter::repeat_with(|| entry.undo())
            .take_while(|&done| done)
            .count();
        assert_eq!(undone, HISTORY);
    }

    #[test]
    fn marks_toggle_and_undo() {
        let mut entry = Entry::new("1...............".parse().unwrap());
        assert!(entry.mark(&[0, 1, 2], Mode::Corner, 3));
        assert_eq!(entry.marks(1, Mode::Corner), [3]);
        assert!(entry.marks(0, Mode::Corner).is_empty(), "a digit is there");
        assert!(entry.mark(&[1], Mode::Centre, 4) && entry.mark(&[1], Mode::Centre, 2));
        assert_eq!(entry.marks(1, Mode::Centre), [2, 4]);
        assert!(
            entry.mark(&[1, 3], Mode::Corner, 3),
            "one has it, one not: both get it"
        );
        assert_eq!(entry.marks(3, Mode::Corner), [3]);
        assert!(
            entry.mark(&[1, 3], Mode::Corner, 3),
            "both have it: neither keeps it"
        );
        assert!(entry.marks(1, Mode::Corner).is_empty());
        assert!(entry.undo());
        assert_eq!(entry.marks(3, Mode::Corner), [3]);
        assert!(!entry.mark(&[1], Mode::Corner, 5) && !entry.mark(&[1], Mode::Digit, 1));
        assert_eq!(clues(&entry), 1, "marks are no digits");
    }

    #[test]
    fn erasing_takes_digits_first_and_then_marks() {
        let mut entry = Entry::new(blank(Shape::S4));
        assert!(entry.mark(&[2], Mode::Centre, 1) && entry.fill(&[2, 3], 4));
        assert!(entry.erase(&[2, 3]));
        assert_eq!(entry.board().sudoku().unwrap().blanks(), 16);
        assert_eq!(entry.marks(2, Mode::Centre), [1]);
        assert!(entry.erase(&[2]));
        assert!(entry.marks(2, Mode::Centre).is_empty() && !entry.erase(&[2]));
    }

    #[test]
    fn hints_and_mistakes_look_at_the_solution() {
        let answer: AnyPuzzle = "1234341221434321".parse().unwrap();
        let mut entry = Entry::new("1.........4...2.".parse().unwrap());
        assert_eq!(entry.hint(&answer, 3), Some((3, 4)), "where the cursor is");
        assert_eq!(entry.hint(&answer, 0), Some((1, 2)), "that cell is given");
        assert!(entry.set(1, 3) && entry.set(2, 3));
        assert_eq!(entry.mistakes(&answer), [1]);
        assert!(entry.is_own(1) && !entry.is_own(0) && !entry.is_own(3));
        assert_eq!(
            entry.hint(&answer, 1),
            Some((1, 2)),
            "a wrong cell is put right"
        );
        assert_eq!(entry.base().to_string(), "1.........4...2.");
        entry.replace(answer.clone());
        assert_eq!(entry.hint(&answer, 5), None);
        assert!(entry.mistakes(&answer).is_empty());
    }

    #[test]
    fn movement_stops_at_the_edges() {
        let at = |cell, key, control| moved(6, cell, key, control);
        assert_eq!(at(0, "ArrowUp", false), Some(0));
        assert_eq!(at(0, "ArrowRight", false), Some(1));
        assert_eq!(at(5, "ArrowRight", false), Some(5));
        assert_eq!(at(7, "ArrowDown", false), Some(13));
        assert_eq!(at(7, "ArrowDown", true), Some(31));
        assert_eq!(at(7, "End", false), Some(11));
        assert_eq!(at(7, "Home", true), Some(0));
        assert_eq!(at(7, "End", true), Some(35));
        assert_eq!(at(7, "a", false), None);
    }
}
