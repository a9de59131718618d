//! Reading a board that a person typed or pasted.

use super::board::Board;
use super::numerals::Numerals;
use super::shape::Shape;

/// Why a text is no board. Rows and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No cell at all.
    #[error("there is no board in the text")]
    Empty,
    /// A character that stands for no cell and is no separator.
    #[error(
        "row {row}, column {column}: {character:?} is neither a digit nor a blank (\".\", \"0\" or \"_\")"
    )]
    Character {
        /// Row of the board.
        row: usize,
        /// Column of the board.
        column: usize,
        /// What stands there.
        character: char,
    },
    /// A digit that a board of this size does not have.
    #[error("row {row}, column {column}: {digit} is too large, {shape} has the digits 1 to {}", .shape.side())]
    Digit {
        /// Row of the board.
        row: usize,
        /// Column of the board.
        column: usize,
        /// The digit.
        digit: u8,
        /// Size of the board.
        shape: Shape,
    },
    /// As many lines as a board has rows, but one of them has another length.
    #[error("row {row} has {found} cells instead of {}", .shape.side())]
    Row {
        /// Row of the board.
        row: usize,
        /// Its number of cells.
        found: usize,
        /// Size of the board.
        shape: Shape,
    },
    /// A number of cells that no board, or not the wanted board, has.
    #[error("the text has {found} cells; {}", expected(*.shape))]
    Count {
        /// Number of cells found.
        found: usize,
        /// The wanted size, if one was.
        shape: Option<Shape>,
    },
}

fn expected(shape: Option<Shape>) -> String {
    match shape {
        Some(shape) => format!("{shape} has {}", shape.cells()),
        None => {
            let [cells @ .., last] = Shape::ALL.map(|shape| shape.cells().to_string());
            format!("a board has {} or {last}", cells.join(", "))
        }
    }
}

/// Characters that may stand anywhere between cells: white space, the lines people
/// draw between boxes, and the byte order mark of some editors.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '|' | '-' | '+' | '\u{feff}' | '\u{2500}'..='\u{257f}'
        )
}

impl Board {
    /// Reads a board: the cells in reading order, on one line or many. A cell is a
    /// digit, or `.`, `0` or `_` for blank; beyond 9 letters follow, in any of the
    /// ways of [`Numerals`]. White space, `|`, `-`, `+` and box-drawing lines between
    /// cells are skipped. Without a `shape` the number of cells (or, failing that, of
    /// lines) decides.
    ///
    /// ```
    /// use hrm_core::puzzle::{Board, Shape};
    /// let board = Board::parse("1 2|. .\n. .|1 2\n---+---\n2 .|. .\n. .|. 3", None).unwrap();
    /// assert_eq!(board.shape(), Shape::S4);
    /// assert_eq!(board.to_string(), "12....122......3");
    /// let error = Board::parse("12....x22......3", None).unwrap_err();
    /// assert!(error.to_string().starts_with("row 2, column 3: 'x'"));
    /// ```
    ///
    /// # Errors
    /// See [`ParseError`]. The rules are not checked here; see [`Board::clash`].
    pub fn parse(text: &str, shape: Option<Shape>) -> Result<Self, ParseError> {
        let lines: Vec<Vec<char>> = text
            .lines()
            .map(|line| line.chars().filter(|&c| !is_separator(c)).collect())
            .filter(|line: &Vec<char>| !line.is_empty())
            .collect();
        let found: usize = lines.iter().map(Vec::len).sum();
        if found == 0 {
            return Err(ParseError::Empty);
        }

        // Even a text of a wrong length is best reported in rows and columns, so
        // guess what was meant: by cells, by lines, by the next larger size.
        let by_count = Shape::from_cells(found);
        let by_lines = Shape::ALL.into_iter().find(|s| {
            let rows = lines.len() == s.side();
            rows && (s.side() <= 9 || lines.iter().any(|line| line.len() == s.side()))
        });
        let meant = shape.or(by_count).or(by_lines);
        let layout = meant.unwrap_or_else(|| {
            let larger = Shape::ALL.into_iter().find(|s| s.cells() >= found);
            larger.unwrap_or(Shape::S25)
        });
        let in_rows = lines.len() == layout.side();

        let numerals = Numerals::of(layout, &lines.concat());
        let value = |character: char| {
            // Letters are no digits of a small board, and no slip of one either.
            let letter = character.is_ascii_alphabetic() && layout.side() <= 9;
            numerals.value(character).filter(|_| !letter)
        };

        let mut cells = Vec::with_capacity(layout.cells().min(found));
        let mut index = 0;
        for (line_index, line) in lines.iter().enumerate() {
            for (offset, &character) in line.iter().enumerate() {
                let (row, column) = if in_rows {
                    (line_index + 1, offset + 1)
                } else {
                    (index / layout.side() + 1, index % layout.side() + 1)
                };
                index += 1;
                match value(character) {
                    None => {
                        return Err(ParseError::Character {
                            row,
                            column,
                            character,
                        });
                    }
                    Some(digit) if usize::from(digit) > layout.side() && meant.is_some() => {
                        return Err(ParseError::Digit {
                            row,
                            column,
                            digit,
                            shape: layout,
                        });
                    }
                    Some(digit) => cells.push(digit),
                }
            }
        }
        if in_rows && let Some(row) = lines.iter().position(|line| line.len() != layout.side()) {
            return Err(ParseError::Row {
                row: row + 1,
                found: lines[row].len(),
                shape: layout,
            });
        }
        if found != layout.cells() {
            return Err(ParseError::Count { found, shape });
        }
        Ok(Self::from_valid(layout, cells))
    }
}

impl std::str::FromStr for Board {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, None)
    }
}

impl TryFrom<String> for Board {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "1...5..8..2..7...3...8.1...4..3...6.5.......9.1...6..2...2.4...3...1..7..9..3...5";

    #[test]
    fn every_way_to_write_a_board() {
        let expected = Board::parse(LINE, None).unwrap();
        assert_eq!(expected.shape(), Shape::S9);
        assert_eq!(expected.to_string(), LINE);
        let rows: Vec<String> = (0..9).map(|r| LINE[r * 9..r * 9 + 9].to_owned()).collect();
        let variants = [
            LINE.replace('.', "0"),
            LINE.replace('.', "_"),
            format!("  {LINE}\r\n\r\n"),
            format!("\u{feff}{LINE}"),
            rows.join("\n"),
            rows.join("\r\n"),
            // Wrapped somewhere in the middle.
            format!("{}\n{}", &LINE[..40], &LINE[40..]),
            expected.to_grid_string(),
            format!(
                "+---+---+---+\n{}+---+---+---+\n",
                expected.to_grid_string()
            ),
            expected
                .to_grid_string()
                .replace('|', "│")
                .replace('-', "─"),
        ];
        for text in variants {
            assert_eq!(Board::parse(&text, None), Ok(expected.clone()), "{text}");
            assert_eq!(Board::parse(&text, Some(Shape::S9)), Ok(expected.clone()));
        }
    }

    #[test]
    fn large_boards_are_written_in_several_ways() {
        // A full 16x16 grid: row r shifted by 4 r and by r / 4.
        let at = |cell: usize| {
            let (row, column) = (cell / 16, cell % 16);
            (4 * row + row / 4 + column) % 16
        };
        let write = |digits: &str, blank: char| -> String {
            let signs: Vec<char> = digits.chars().collect();
            let sign = |cell: usize| {
                if cell.is_multiple_of(3) {
                    blank
                } else {
                    signs[at(cell)]
                }
            };
            (0..256).map(sign).collect()
        };
        let own = write("123456789ABCDEFG", '.');
        let expected = Board::parse(&own, None).unwrap();
        assert_eq!(expected.shape(), Shape::S16);
        assert_eq!(
            (expected.to_string(), expected.clash()),
            (own.clone(), None)
        );
        for text in [
            write("123456789abcdefg", '_'),
            write("123456789ABCDEFG", '0'),
            write("0123456789ABCDEF", '.'),
            write("ABCDEFGHIJKLMNOP", '.'),
            write("abcdefghijklmnop", '0'),
            expected.to_grid_string(),
        ] {
            assert_eq!(Board::parse(&text, None).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(
            message(&own.replacen('F', "H", 1), None),
            "row 1, column 15: 17 is too large, sudoku-16x16 has the digits 1 to 16"
        );
        for shape in Shape::ALL {
            let blank = Board::blank(shape);
            assert_eq!(Board::parse(&blank.to_string(), None), Ok(blank.clone()));
            assert_eq!(Board::parse(&blank.to_grid_string(), None), Ok(blank));
        }
    }

    fn message(text: &str, shape: Option<Shape>) -> String {
        Board::parse(text, shape).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_place() {
        let mut text = LINE.to_owned();
        text.replace_range(12..13, "x");
        assert!(message(&text, None).starts_with("row 2, column 4: 'x' is neither"));
        // Row and column are those of the board however it is drawn.
        let drawn = Board::parse(LINE, None).unwrap().to_grid_string();
        let drawn = drawn.replacen("3 . . | . 1 .", "3 . . | . ? .", 1);
        assert!(message(&drawn, None).starts_with("row 8, column 5: '?'"));
        assert_eq!(
            message("12....125......3", None),
            "row 3, column 1: 5 is too large, sudoku-4x4 has the digits 1 to 4"
        );
        assert_eq!(message(" \n|---|\n", None), "there is no board in the text");
        assert_eq!(
            message(&LINE[1..], None),
            "the text has 80 cells; a board has 16, 36, 64, 81, 100, 144, 256 or 625"
        );
        assert_eq!(
            message("1234", Some(Shape::S6)),
            "the text has 4 cells; sudoku-6x6 has 36"
        );
        assert_eq!(
            message("12..\n34.\n....\n....", None),
            "row 2 has 3 cells instead of 4"
        );
        // Right in total, but shifted: more likely a slip than a wish.
        assert_eq!(
            message("12...\n34.\n....\n....", None),
            "row 1 has 5 cells instead of 4"
        );
        assert!(message("٣...............", None).contains("'٣'"));
        assert!(message("\0", None).contains("'\\0'"));
    }
}
