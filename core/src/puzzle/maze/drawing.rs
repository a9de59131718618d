//! Mazes in the signs in which people draw them.
//!
//! Every program has signs of its own: walls are `#`, `█`, `X`, `1`, `@` or lines, ways
//! spaces, `.`, `0` or `_`. What a sign means is decided by what else stands in the
//! drawing, and said, so that a reader sees what was made of it.

use std::collections::BTreeMap;

use super::grid::{Cell, Maze};
use super::size::MazeSize;

/// Rows and columns at most.
const MOST: usize = 64;

/// Signs that are always walls: blocks, lines and what only walls are written with.
fn is_wall(sign: char) -> bool {
    matches!(
        sign,
        '#' | '%' | '|' | '\u{2500}'..='\u{257f}' | '\u{2580}'..='\u{2590}' | '\u{2592}' | '\u{2593}'
            | '\u{25a0}' | '\u{25fc}' | '\u{25fe}' | '\u{2b1b}' | '\u{1f9f1}' | 'W' | 'w'
    )
}

/// Signs that are always ways.
fn is_way(sign: char) -> bool {
    matches!(
        sign,
        ' ' | '.' | '_' | '\u{b7}' | '\u{2591}' | '\u{25a1}' | '\u{25fb}' | '\u{25fd}' | '\u{2b1c}'
    )
}

/// Signs of a start, and of a goal, the likeliest first.
const STARTS: [char; 8] = ['S', 's', 'A', 'a', 'P', '@', '2', '\u{1f7e2}'];
const GOALS: [char; 14] = [
    'G',
    'g',
    'E',
    'e',
    'F',
    'f',
    'T',
    't',
    'B',
    'b',
    'X',
    'x',
    '3',
    '\u{1f3c1}',
];

/// Reads a drawing, with a sentence on which sign was read as what.
///
/// What is no square is made one with walls to the right or below.
///
/// # Errors
/// In words: a sign that means nothing, no wall or no way, or too many rows or columns.
pub(super) fn read(text: &str) -> Result<(Maze, String), String> {
    let rows = rows(text);
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    if rows.len().max(width) > MOST {
        return Err(format!(
            "{} rows of {width}: a maze has at most {MOST} rows and columns",
            rows.len()
        ));
    }
    let side = MazeSize::of_side(rows.len().max(width)).filter(|_| rows.len().min(width) >= 2);
    let size = side.ok_or("a maze has at least 2 rows and columns")?;
    let meaning = Meaning::of(&rows, width)?;
    let mut cells = vec![Cell::Wall; size.cells()];
    for (r, row) in rows.iter().enumerate() {
        for c in 0..width {
            // Editors cut spaces off at the ends of lines.
            let sign = row.get(c).copied().unwrap_or(' ');
            cells[r * size.side() + c] = meaning.cell(sign);
        }
    }
    let mut notes = Vec::new();
    if rows.len() != width {
        notes.push(format!(
            "walls make its {} rows of {width} a square",
            rows.len()
        ));
    }
    if meaning.has_no_ends() {
        notes.extend(openings(&mut cells, size, rows.len(), width));
    }
    let mut said = meaning.sentence();
    for note in notes {
        said.push_str("; ");
        said.push_str(&note);
    }
    Ok((Maze::from_valid(size, cells), said))
}

/// The signs of each row, without what stands around and between them.
fn rows(text: &str) -> Vec<Vec<char>> {
    if text.trim_start().starts_with(['[', '{']) {
        return listed(text);
    }
    // Signs that only say how the one before them looks.
    let shown = |c: &char| !matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{feff}');
    let rows = text
        .lines()
        .map(|line| line.chars().filter(shown).collect());
    let mut rows: Vec<Vec<char>> = rows.collect();
    // Empty lines around a drawing are none of its rows.
    let empty = |row: &Vec<char>| row.iter().all(|c| c.is_whitespace());
    let first = rows
        .iter()
        .position(|row| !empty(row))
        .unwrap_or(rows.len());
    let end = rows
        .iter()
        .rposition(|row| !empty(row))
        .map_or(first, |last| last + 1);
    rows = rows[first..end].to_vec();
    dedent(&mut rows);
    for separator in [',', ';', '\t'] {
        spaced(&mut rows, separator);
    }
    spaced(&mut rows, ' ');
    rows
}

/// The rows of a list as programs print it: `[[1, 0], [0, 1]]`, `["#.", ".#"]`.
fn listed(text: &str) -> Vec<Vec<char>> {
    let quote = ['"', '\''].into_iter().find(|quote| text.contains(*quote));
    let mut rows: Vec<Vec<char>> = Vec::new();
    for list in text.split(']') {
        let Some(quote) = quote else {
            let sign = |c: &char| !c.is_whitespace() && !"[]{}(),;".contains(*c);
            rows.push(list.chars().filter(sign).collect());
            continue;
        };
        let parts: Vec<&str> = list.split(quote).skip(1).step_by(2).collect();
        if parts.iter().all(|part| part.chars().count() == 1) {
            rows.push(parts.concat().chars().collect());
        } else {
            rows.extend(parts.iter().map(|part| part.chars().collect()));
        }
    }
    rows.retain(|row| !row.is_empty());
    rows
}

/// Takes away the spaces that all rows begin with, where a frame of walls shows that they
/// are none of it.
fn dedent(rows: &mut [Vec<char>]) {
    let indent = |row: &Vec<char>| row.iter().take_while(|c| **c == ' ').count();
    let least = rows.iter().map(indent).min().unwrap_or(0);
    let framed = rows
        .iter()
        .all(|row| indent(row) == least && row.get(least).copied().is_some_and(is_wall));
    if framed {
        for row in rows {
            row.drain(..least);
        }
    }
}

/// Takes separators away where every row has one between any two of its signs, and
/// something else is left for ways.
fn spaced(rows: &mut [Vec<char>], separator: char) {
    let between = |row: &Vec<char>| {
        let end =
            row.len() - usize::from(row.last() == Some(&separator) && row.len().is_multiple_of(2));
        end % 2 == 1
            && row[..end]
                .iter()
                .skip(1)
                .step_by(2)
                .all(|&c| c == separator)
            && row[..end].iter().step_by(2).all(|&c| c != separator)
    };
    let long = rows.iter().any(|row| row.len() > 2);
    if long && rows.iter().all(|row| !row.is_empty() && between(row)) {
        let kinds: std::collections::BTreeSet<char> = rows
            .iter()
            .flat_map(|row| row.iter().step_by(2).copied())
            .collect();
        if separator != ' '
            || kinds
                .iter()
                .any(|&sign| is_way(sign) || sign == '0' || sign == '-')
        {
            for row in rows {
                *row = row.iter().step_by(2).copied().collect();
            }
        }
    }
}

/// What the signs of a drawing mean.
struct Meaning {
    of: BTreeMap<char, Cell>,
}

impl Meaning {
    fn of(rows: &[Vec<char>], width: usize) -> Result<Self, String> {
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        for row in rows {
            for &sign in row {
                *counts.entry(sign).or_default() += 1;
            }
            if row.len() < width {
                *counts.entry(' ').or_default() += width - row.len();
            }
        }
        let count = |sign: char| counts.get(&sign).copied().unwrap_or(0);
        let mut of = BTreeMap::new();
        for &sign in counts.keys() {
            if is_wall(sign) {
                of.insert(sign, Cell::Wall);
            } else if is_way(sign) {
                of.insert(sign, Cell::Way);
            }
        }
        let has = |of: &BTreeMap<char, Cell>, cell: Cell| of.values().any(|&c| c == cell);
        // Corners and dashes belong to lines.
        let lines = count('|') > 0 || (count('+') > 1 && count('-') > 1);
        for sign in ['+', '-'] {
            if count(sign) > 0 && lines {
                of.insert(sign, Cell::Wall);
            }
        }
        // Ones are walls, as most programs have it, unless the frame is of noughts.
        if count('0') > 0 || count('1') > 0 {
            let edge = |sign: char| {
                let inner = rows.len().saturating_sub(1);
                let whole = [0, inner].into_iter().flat_map(|r| rows[r].iter());
                let sides = rows
                    .iter()
                    .flat_map(|row| [row.first(), row.last()].into_iter().flatten());
                whole.chain(sides).filter(|&&c| c == sign).count()
            };
            // Beside other walls they are ways, and beside other ways walls.
            let both = match (has(&of, Cell::Wall), has(&of, Cell::Way)) {
                (true, _) => Some(Cell::Way),
                (_, true) => Some(Cell::Wall),
                _ => None,
            };
            let noughts = edge('0') > 2 * edge('1');
            for sign in ['0', '1'].into_iter().filter(|&sign| count(sign) > 0) {
                let own = match (sign == '1') != noughts {
                    true => Cell::Wall,
                    false => Cell::Way,
                };
                of.insert(sign, both.unwrap_or(own));
            }
        }
        // Letters and other signs that are walls where there are many of them and no
        // other wall.
        for sign in ['X', 'x', '@', '*', 'O'] {
            if count(sign) > 1 && !of.contains_key(&sign) && !has(&of, Cell::Wall) {
                of.insert(sign, Cell::Wall);
            }
        }
        if count('-') > 0 && !of.contains_key(&'-') {
            of.insert('-', Cell::Way);
        }
        for (signs, cell) in [(&STARTS[..], Cell::Start), (&GOALS[..], Cell::Goal)] {
            let free = |sign: &&char| count(**sign) == 1 && !of.contains_key(*sign);
            if let Some(&sign) = signs.iter().find(free) {
                of.insert(sign, cell);
            }
        }
        // What is left marks a route, or ways where there are no others.
        for sign in ['o', 'O', '*', '+', 'x', 'X', '\u{2022}'] {
            if count(sign) > 0 && !of.contains_key(&sign) {
                let cell = match has(&of, Cell::Way) {
                    true => Cell::Route,
                    false => Cell::Way,
                };
                of.insert(sign, cell);
            }
        }
        if let Some(unknown) = counts.keys().find(|sign| !of.contains_key(*sign)) {
            let row = rows.iter().position(|row| row.contains(unknown));
            let row = row.unwrap_or_default();
            let column = rows[row].iter().position(|sign| sign == unknown);
            return Err(format!(
                "row {}, column {}: {unknown:?} is no sign of a maze that is known here",
                row + 1,
                column.unwrap_or_default() + 1
            ));
        }
        let meaning = Self { of };
        for (cell, name) in [(Cell::Wall, "wall"), (Cell::Way, "way")] {
            if !has(&meaning.of, cell) {
                return Err(format!("no sign of the text is a {name} of a maze"));
            }
        }
        Ok(meaning)
    }

    fn cell(&self, sign: char) -> Cell {
        // Every sign of the drawing has a meaning.
        self.of.get(&sign).copied().unwrap_or(Cell::Way)
    }

    fn has_no_ends(&self) -> bool {
        !self
            .of
            .values()
            .any(|cell| matches!(cell, Cell::Start | Cell::Goal))
    }

    /// Which sign was read as what.
    fn sentence(&self) -> String {
        let parts = [
            (Cell::Wall, "wall"),
            (Cell::Way, "way"),
            (Cell::Start, "start"),
            (Cell::Goal, "goal"),
            (Cell::Route, "route"),
        ];
        let part = |(cell, name): (Cell, &str)| {
            let signs = self.of.iter().filter(|(_, of)| **of == cell);
            let signs: Vec<String> = signs
                .map(|(sign, _)| match sign {
                    ' ' => "spaces".to_owned(),
                    sign => format!("“{sign}”"),
                })
                .collect();
            (!signs.is_empty()).then(|| format!("{} as {name}", signs.join(" and ")))
        };
        let parts: Vec<String> = parts.into_iter().filter_map(part).collect();
        format!("read {}", parts.join(", "))
    }
}

/// Puts start and goal at the two openings of the frame, if it has just two.
fn openings(cells: &mut [Cell], size: MazeSize, rows: usize, columns: usize) -> Option<String> {
    let side = size.side();
    let edge = |cell: &usize| {
        let (r, c) = (cell / side, cell % side);
        let inside = r < rows && c < columns;
        inside && (r == 0 || c == 0 || r + 1 == rows || c + 1 == columns)
    };
    let ways = (0..cells.len())
        .filter(edge)
        .filter(|&c| cells[c] == Cell::Way);
    let ways: Vec<usize> = ways.collect();
    let [start, goal] = ways[..] else { return None };
    cells[start] = Cell::Start;
    cells[goal] = Cell::Goal;
    Some("start and goal are the two openings of its frame".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAZE: &str = "#####\n#S  #\n# # #\n#  G#\n#####";

    fn expected() -> Maze {
        Maze::parse(MAZE, None).unwrap()
    }

    #[test]
    fn every_alphabet_is_read_alike() {
        let like = |signs: [&str; 4]| {
            let sign = |c: char| match c {
                '#' => signs[0].to_owned(),
                ' ' => signs[1].to_owned(),
                'S' => signs[2].to_owned(),
                'G' => signs[3].to_owned(),
                other => other.to_string(),
            };
            MAZE.chars().map(sign).collect::<String>()
        };
        for signs in [
            ["#", " ", "S", "G"],
            ["#", ".", "S", "E"],
            ["█", " ", "A", "B"],
            ["█", "░", "S", "T"],
            ["▓", "·", "s", "e"],
            ["1", "0", "2", "3"],
            ["1", "0", "S", "G"],
            ["X", ".", "S", "E"],
            ["x", " ", "S", "F"],
            ["X", "_", "A", "B"],
            ["@", ".", "S", "T"],
            ["%", " ", "P", "."],
            ["*", "-", "S", "G"],
            ["W", ".", "S", "G"],
            ["⬛", "⬜", "🟢", "🏁"],
            ["#", "o", "S", "G"],
            ["#", "-", "@", "X"],
        ] {
            // Pac-Man's food is no goal.
            if signs[3] == "." {
                continue;
            }
            let drawn = like(signs);
            let (maze, said) = read(&drawn).unwrap_or_else(|e| panic!("{drawn}: {e}"));
            assert_eq!(maze, expected(), "{drawn}");
            assert!(
                said.starts_with("read “") && said.contains(" as wall"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_stands_around_and_between_is_no_cell() {
        let digits = "11111\n12001\n10101\n10031\n11111";
        let rows: Vec<&str> = digits.lines().collect();
        let between = |with: &str| {
            let row = |row: &&str| row.chars().map(String::from).collect::<Vec<_>>().join(with);
            rows.iter().map(row).collect::<Vec<_>>()
        };
        let spaced = between(" ").join("\n");
        let table = between(",").join("\r\n");
        let listed = format!("[[{}]]", between(", ").join("],\n ["));
        let one_line = format!("[[{}]]", between(",").join("],["));
        let strings = format!("[\"{}\"]", rows.join("\", \""));
        let signs = MAZE
            .lines()
            .map(|line| line.chars().map(|c| format!("'{c}'")).collect::<Vec<_>>());
        let signs: Vec<String> = signs.map(|row| format!("[{}]", row.join(","))).collect();
        let signs = format!("[{}]", signs.join(", "));
        let indented = MAZE
            .lines()
            .map(|line| format!("   {line}\n"))
            .collect::<String>();
        let framed = format!("\n\n{MAZE}\n\n");
        for text in [
            digits, &spaced, &table, &listed, &one_line, &indented, &framed, &strings, &signs,
        ] {
            let read = read(text);
            let (maze, _) = read.unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(maze, expected(), "{text}");
        }
        // Spaces that are ways stay, and those that an editor cut off come back.
        let (maze, said) = read("# # #\n#S G#\n# # \n#####\n#####").unwrap();
        assert_eq!(maze.to_grid_string(), "# # #\n#S G#\n# #  \n#####\n#####\n");
        assert_eq!(
            said,
            "read “#” as wall, spaces as way, “S” as start, “G” as goal"
        );
    }

    #[test]
    fn a_frame_of_noughts_means_walls_and_openings_are_ends() {
        let (maze, said) = read("00000\n01110\n01010\n01110\n00000").unwrap();
        assert_eq!(maze.cells()[0], Cell::Wall);
        assert!(said.contains("“0” as wall, “1” as way"), "{said}");
        let (maze, said) = read("+-+-+\n|   |\n+ +-+\n    |\n+-+ +").unwrap();
        assert!(said.contains("two openings"), "{said}");
        assert_eq!(
            (maze.cells()[15], maze.cells()[23]),
            (Cell::Start, Cell::Goal)
        );
    }

    #[test]
    fn rectangles_become_squares_and_what_is_none_is_named() {
        let (maze, said) = read("S.#\n#.G").unwrap();
        assert_eq!(maze.to_grid_string(), "S #\n# G\n###\n");
        assert!(
            said.ends_with("walls make its 2 rows of 3 a square"),
            "{said}"
        );
        for (text, part) in [
            ("S.#\n#?G", "row 2, column 2: '?'"),
            ("hello\nworld", "'"),
            ("###\n###", "way"),
            ("S..\n..G", "wall"),
            ("S.#", "at least 2 rows"),
            ("", "at least 2 rows"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let wide = format!("{}\n{0}", "#.".repeat(40));
        assert!(read(&wide).unwrap_err().contains("at most 64"));
    }
}
