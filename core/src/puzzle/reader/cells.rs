//! Boards and rows of boards within a line of somebody's text.

use crate::puzzle::Puzzle;

/// A board of one piece of text, in the characters of this project. Where a blank has
/// another sign throughout (`*`, `x`, `-`), it is put in its place.
pub(super) fn board<P: Puzzle>(text: &str, kind: Option<P::Kind>) -> Option<String> {
    let found = P::kind_of_cells(text.chars().count())?;
    let fits = kind.is_none_or(|kind| kind == found);
    if fits { cells::<P>(found, text) } else { None }
}

/// The largest board that is a field of a line, and a full one of the same size after
/// it: its answer.
pub(super) fn boards<P: Puzzle>(
    line: &str,
    kind: Option<P::Kind>,
) -> Option<(String, Option<String>)> {
    if P::LITERAL {
        let mut fields = line.split('\t').filter_map(|field| board::<P>(field, kind));
        return Some((fields.next()?, fields.next()));
    }
    let fields: Vec<String> = line
        .split(|c: char| c.is_whitespace() || ",;:\"'|()[]{}=".contains(c))
        .filter_map(|field| board::<P>(field, kind))
        .collect();
    let largest = fields.iter().map(String::len).max()?;
    let mut fields = fields.into_iter().filter(|field| field.len() == largest);
    let question = fields.next()?;
    let answer = fields.next().filter(|field| is_full(field));
    Some((question, answer))
}

/// A row of a board that is written line by line: its cells without what stands between
/// them, if they are as many as a board has in a row.
pub(super) fn row<P: Puzzle>(line: &str, kind: Option<P::Kind>) -> Option<String> {
    let whole = |text: &str| {
        let side = text.chars().count();
        let found = P::kind_of_cells(side * side)?;
        let fits = kind.is_none_or(|kind| kind == found);
        fits.then(|| cells::<P>(found, text)).flatten()
    };
    if P::LITERAL {
        return whole(line);
    }
    let line = line.trim();
    if let Some(row) = whole(line) {
        return Some(row);
    }
    // One cell a field, nothing for a blank.
    for separator in [',', ';', '\t'] {
        let fields: Vec<&str> = line.split(separator).map(str::trim).collect();
        if fields.len() > 1 && fields.iter().all(|field| field.chars().count() <= 1) {
            let blank = |field: &&str| if field.is_empty() { "." } else { *field }.to_owned();
            let row: String = fields.iter().map(blank).collect();
            return whole(&row);
        }
    }
    let row: String = line.chars().filter(|c| !is_drawing(*c)).collect();
    whole(&row)
}

/// Whether a line only draws: what stands above, below and between the rows of a board.
pub(super) fn is_rule(line: &str) -> bool {
    let line = line.trim();
    let count = |signs: &str| line.chars().filter(|c| signs.contains(*c)).count();
    let drawn = line.chars().all(|c| is_drawing(c) || "*=_:.'`".contains(c));
    drawn && count("-=\u{2500}\u{2501}\u{2550}\u{2574}") >= 3 && count(".") <= 4
}

/// What people draw between cells.
fn is_drawing(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '|' | '-' | '+' | '!' | '\u{2500}'..='\u{257f}')
}

/// A text of cells only, with one sign for blanks; none if it is something else.
fn cells<P: Puzzle>(kind: P::Kind, text: &str) -> Option<String> {
    let is_cell = |c: char| P::is_cell(kind, c);
    if text.chars().all(is_cell) {
        return Some(text.to_owned());
    }
    if P::LITERAL {
        return None;
    }
    let mut foreign = text.chars().filter(|&c| !is_cell(c));
    let sign = foreign.next()?;
    let one = foreign.all(|c| c == sign) && !text.contains(['.', '0', '_']);
    let known = "*-xX?~\u{b7}\u{2022}".contains(sign);
    (one && known).then(|| text.replace(sign, "."))
}

/// Whether a board has no blank.
fn is_full(board: &str) -> bool {
    !board.contains(['.', '0', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{Board, Maze, MazeSize, Shape};

    const NINE: &str =
        "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

    #[test]
    fn boards_are_found_among_other_fields() {
        let full = "1".repeat(81);
        for line in [
            NINE.to_owned(),
            format!("  \"{NINE}\"  "),
            format!("{NINE}\tsolved"),
            format!("{NINE}:0:22:"),
            format!("{NINE}  ED=1.2/1.2/1.2"),
            format!("1234123412341234,{NINE}"),
            NINE.replace('.', "*"),
            NINE.replace('.', "-"),
            NINE.replace('.', "x"),
        ] {
            let found = boards::<Board>(&line, None);
            assert_eq!(found, Some((NINE.to_owned(), None)), "{line}");
        }
        let both = boards::<Board>(&format!("{NINE};{full};3"), Some(Shape::S9));
        assert_eq!(both, Some((NINE.to_owned(), Some(full))));
        for line in [
            &NINE[1..],
            "53",
            "",
            "the next one is hard",
            &NINE.replace('5', "x"),
        ] {
            assert_eq!(boards::<Board>(line, None), None, "{line}");
        }
        assert_eq!(boards::<Board>(NINE, Some(Shape::S4)), None);
        let maze = "S   G";
        assert_eq!(boards::<Maze>(maze, None), None);
        let maze = "S  G".to_owned();
        let size = MazeSize::of_side(2);
        assert_eq!(boards::<Maze>(&maze, size), Some((maze, None)));
    }

    #[test]
    fn rows_are_read_as_they_are_drawn() {
        for line in [
            "53..7....",
            "5 3 . | . 7 . | . . .",
            "|53.|.7.|...|",
            "│ 5 3 . │ . 7 . │ . . . │",
            "53--7----",
            "53**7****",
            "530070000",
            "5,3,,,7,,,,",
            "5;3;.;.;7;.;.;.;.",
        ] {
            let found = row::<Board>(line, None).map(|row| row.replace('0', "."));
            assert_eq!(found.as_deref(), Some("53..7...."), "{line}");
        }
        for line in ["53..7..", "Grid 01", "53..7....x", "---------+", "1 2 3"] {
            assert_eq!(row::<Board>(line, None), None, "{line}");
        }
        assert_eq!(
            row::<Maze>("S # ", MazeSize::of_side(4)).as_deref(),
            Some("S # ")
        );
        for line in [
            "------+-------+------",
            "*-----------*",
            "|---+---+---|",
            "+===+",
            "├───┼",
        ] {
            assert!(is_rule(line), "{line}");
        }
        for line in [".........", ". . . | . . . | . . .", "| | |", ""] {
            assert!(!is_rule(line), "{line}");
        }
    }
}
