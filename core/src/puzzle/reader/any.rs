//! The puzzle of a text, whatever its kind.

use super::entry::board;
use super::{PuzzleReader, ReadOptions, first_of};
use crate::puzzle::{AnyPuzzle, Board, Maze};

/// A puzzle that was found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The puzzle. One that was drawn may lack its start or goal.
    pub puzzle: AnyPuzzle,
    /// Further puzzles in the text.
    pub more: usize,
    /// Which sign was read as what, where others than the kind's own were used.
    pub said: Option<String>,
}

/// The one puzzle, of any kind, that somebody has typed, pasted or dropped.
///
/// A text of walls is no Sudoku and the reverse ([`plain_sudoku`]); what is no plain
/// Sudoku and can be read as a maze is that.
///
/// # Errors
/// The text holds none: why what it looks most like is none.
pub fn any_of(text: &str) -> Result<Found, String> {
    let found = |puzzle: AnyPuzzle, more, said| Found { puzzle, more, said };
    if let Some(board) = plain_sudoku(text) {
        return Ok(found(board.into(), 0, None));
    }
    let drawn = match board::<Maze>(text, None) {
        Ok((maze, said)) => return Ok(found(maze.into(), 0, said)),
        Err(what) => what,
    };
    let error = match first_of::<Board>(text) {
        Ok((board, more)) => return Ok(found(board.into(), more, None)),
        Err(error) => error,
    };
    let mazes = PuzzleReader::<Maze>::new(text.as_bytes(), "the text", &ReadOptions::default());
    let mut mazes = mazes.into_iter().flatten().flatten();
    if let Some(first) = mazes.next() {
        let more = mazes.count();
        return Ok(found(first.question.into(), more, first.said));
    }
    let walls = text.chars().filter(|c| Maze::WALLS.contains(c)).count();
    let several = text.trim().lines().count() > 1;
    let maze = several && 4 * walls >= text.chars().count();
    Err(if maze { drawn } else { error })
}

/// The Sudoku that a text plainly is: one that can be read as a Sudoku and not be meant
/// as the walls and ways of a maze.
#[must_use]
pub fn plain_sudoku(text: &str) -> Option<Board> {
    let board = Board::parse(text, None).ok()?;
    let side = board.shape().side();
    // Walls are the same sign again and again: of digits that would be more conflicts
    // than anybody makes by mistake.
    if board.conflicts() as usize > side {
        return None;
    }
    // A blank board is drawn with as many cells in each row.
    let cells = |line: &str| {
        line.chars()
            .filter(|c| matches!(c, '.' | '_' | '0'))
            .count()
    };
    let lines: Vec<usize> = text.lines().map(cells).filter(|&n| n > 0).collect();
    let even = lines.len() == 1 || lines.iter().all(|&n| n == side);
    (board.clues() > 0 || even).then_some(board)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::Puzzle;

    fn kind(text: &str) -> String {
        any_of(text).map_or_else(|e| e, |found| found.puzzle.kind().to_string())
    }

    #[test]
    fn walls_are_no_sudoku_and_digits_no_maze() {
        let nine =
            "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
        let row = |line: &str| format!("{line}\n").repeat(9);
        for (text, expected) in [
            (nine.to_owned(), "sudoku-9x9"),
            (nine.replace('.', "0"), "sudoku-9x9"),
            (nine.replace('.', "x"), "sudoku-9x9"),
            (".".repeat(81), "sudoku-9x9"),
            ("0".repeat(81), "sudoku-9x9"),
            (row("000000000"), "sudoku-9x9"),
            (row(". . . | . . . | . . ."), "sudoku-9x9"),
            // A single one in each of some rows.
            (
                format!("100000000\n000100000\n{}", "000000000\n".repeat(7)),
                "sudoku-9x9",
            ),
            // A slip, not walls.
            ("11..\n....\n....\n....".to_owned(), "sudoku-4x4"),
            (format!("# my puzzles\n{nine}\n"), "sudoku-9x9"),
            (row("101000101"), "maze-9x9"),
            (row("X.X...X.."), "maze-9x9"),
            (format!("{}S{}", "#".repeat(40), " ".repeat(40)), "maze-9x9"),
            // All of these are digits of a 25x25, too.
            (
                format!(
                    "S{}\n{}{}E",
                    ".X".repeat(12),
                    format!("{}X\n", "X.".repeat(12)).repeat(23),
                    "X.".repeat(12)
                ),
                "maze-25x25",
            ),
            ("####\n#SG#\n#  #\n####".to_owned(), "maze-4x4"),
            (
                "+--+--+\n|.....|\n|.----+\n|.....|\n+----.+".to_owned(),
                "maze-7x7",
            ),
            ("question,answer\nS  G,So G\n".to_owned(), "maze-2x2"),
        ] {
            assert_eq!(kind(&text), expected, "{text}");
        }
        // What is wrong is said of what it looks like.
        assert!(kind("####\n#?G#\n####\n####").contains("row 2, column 2"));
        assert!(kind(&nine[1..]).contains("80 cells"));
        let neither = kind("a\nb");
        assert!(neither.contains("'a'"), "{neither}");
    }

    #[test]
    fn what_was_read_as_what_is_said() {
        let found = any_of("█████\n█A  █\n█ █ █\n█  B█\n█████").unwrap();
        let said = found.said.unwrap();
        assert!(
            said.contains("“█” as wall") && said.contains("“A” as start"),
            "{said}"
        );
        let own = any_of("####\n#SG#\n#  #\n####").unwrap();
        assert_eq!((own.said, own.more), (None, 0));
    }

    #[test]
    fn mazes_in_files_are_read_in_every_form() {
        let read = |text: &str| -> Vec<String> {
            let options = ReadOptions::default();
            let reader = PuzzleReader::<Maze>::new(text.as_bytes(), "t", &options).unwrap();
            reader
                .map(|entry| entry.map_or_else(|e| e.to_string(), |e| e.question.to_string()))
                .collect()
        };
        let (a, b) = ("S ##G    ", "G#  # S  ");
        let rows = |text: &str| {
            let rows: Vec<&str> = (0..3).map(|r| &text[3 * r..3 * r + 3]).collect();
            rows.join("\n")
        };
        for text in [
            format!("{a}\n{b}\n"),
            format!("{}\n{}\n", rows(a), rows(b)),
            format!("{}\n\n{}\n", rows(a), rows(b)),
            format!(
                "{}\n\n{}\n",
                rows(a).replace('#', "X").replace(' ', "."),
                rows(b)
            ),
        ] {
            assert_eq!(read(&text), [a, b], "{text}");
        }
        // Sixteen rows of sixteen are one maze, not sixteen of four rows.
        let row = "S##############G\n";
        let large = row.to_owned() + &format!("{}\n", " ".repeat(16)).repeat(15);
        assert_eq!(read(&large).len(), 1);
        let bad = read(&format!("{}\n\nS?\n#G\n", rows(a)));
        assert_eq!(bad[0], a);
        assert!(
            bad[1].contains("line 5") && bad[1].contains("'?'"),
            "{bad:?}"
        );
    }
}
