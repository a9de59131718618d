//! Entering a puzzle: digits, undo and redo.

use hrm_core::puzzle::{Board, Shape};

/// Edits kept for undo; beyond, the oldest are forgotten.
const HISTORY: usize = 500;

/// A puzzle with its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    board: Board,
    past: Vec<Board>,
    future: Vec<Board>,
}

impl Entry {
    /// A puzzle without history.
    #[must_use]
    pub fn new(board: Board) -> Self {
        Self {
            board,
            past: Vec::new(),
            future: Vec::new(),
        }
    }

    /// The puzzle.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Its size.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.board.shape()
    }

    /// Writes a digit, or clears the cell with 0. Returns whether that
    /// changed anything; a cell or digit beyond the board does not.
    pub fn set(&mut self, cell: usize, digit: u8) -> bool {
        if usize::from(digit) > self.shape().side() || cell >= self.shape().cells() {
            return false;
        }
        let mut board = self.board.clone();
        board.set(cell, digit);
        self.replace(board)
    }

    /// Puts another puzzle in its place. Returns whether it is another.
    pub fn replace(&mut self, board: Board) -> bool {
        if board == self.board {
            return false;
        }
        if self.past.len() == HISTORY {
            self.past.remove(0);
        }
        self.past.push(std::mem::replace(&mut self.board, board));
        self.future.clear();
        true
    }

    /// Takes the last edit back. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some(board) = self.past.pop() else {
            return false;
        };
        self.future.push(std::mem::replace(&mut self.board, board));
        true
    }

    /// Repeats the last edit taken back. Returns whether there was one.
    pub fn redo(&mut self) -> bool {
        let Some(board) = self.future.pop() else {
            return false;
        };
        self.past.push(std::mem::replace(&mut self.board, board));
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
}

/// The cell that a key leads to from `cell`, or none if the key is no
/// movement. Movement stops at the edge.
#[must_use]
pub fn moved(shape: Shape, cell: usize, key: &str, control: bool) -> Option<usize> {
    let side = shape.side();
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

    #[test]
    fn edits_undo_and_redo() {
        let mut entry = Entry::new(Board::blank(Shape::S4));
        assert!(!entry.undo() && !entry.redo());
        assert!(entry.set(0, 3));
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
        let mut entry = Entry::new(Board::blank(Shape::S4));
        assert!(entry.replace(Board::blank(Shape::S9)));
        assert_eq!(entry.shape(), Shape::S9);
        assert!(entry.undo());
        assert_eq!(entry.shape(), Shape::S4);
    }

    #[test]
    fn history_is_bounded() {
        let mut entry = Entry::new(Board::blank(Shape::S9));
        for i in 0..HISTORY + 7 {
            assert!(entry.set(i % 81, (1 + i / 81) as u8));
        }
        let undone = std::iter::repeat_with(|| entry.undo())
            .take_while(|&done| done)
            .count();
        assert_eq!(undone, HISTORY);
    }

    #[test]
    fn movement_stops_at_the_edges() {
        let at = |cell, key, control| moved(Shape::S6, cell, key, control);
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
