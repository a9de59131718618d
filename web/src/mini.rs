//! Small boards, drawn: for guesses and experiments. Sudokus are drawn here, mazes in
//! [`crate::maze`].

use hrm_core::puzzle::{AnyPuzzle, Board, Puzzle, PuzzleKind, Shape, digit_char};
use hrm_core::reason::SegmentReport;

use crate::draw::{Anchor, Drawing};
use crate::experiments::Standing;
use crate::guesses::{Vote, votes};
use crate::maze;

/// Side of a cell in the drawing's units.
pub const CELL: f64 = 10.0;
/// From the middle of a cell to the foot of its digit.
const FOOT: f64 = 2.6;

/// The drawing area of a board.
#[must_use]
pub fn view_box(kind: impl Into<PuzzleKind>) -> String {
    let length = kind.into().side() as f64 * CELL + 1.0;
    format!("-0.5 -0.5 {length} {length}")
}

/// A run on `puzzle` after its last segment, with the cells it has committed
/// itself to; before the first, the puzzle.
#[must_use]
pub fn runner(puzzle: &AnyPuzzle, last: Option<&SegmentReport>) -> String {
    let (grid, own) = last
        .map(|r| (r.grid.as_slice(), r.committed.as_slice()))
        .unzip();
    shown(puzzle, grid, own.unwrap_or_default())
}

/// A grid on `puzzle`.
#[must_use]
pub fn mini(puzzle: &AnyPuzzle, grid: &[u8]) -> String {
    shown(puzzle, Some(grid), &[])
}

fn shown(puzzle: &AnyPuzzle, grid: Option<&[u8]>, own: &[usize]) -> String {
    match puzzle {
        AnyPuzzle::Sudoku(board) => drawn(board, grid, own),
        AnyPuzzle::Maze(question) => maze::small(question, grid.unwrap_or_default(), own),
        AnyPuzzle::Arc(_) => String::new(),
    }
}

/// What the runs' last answers have in common: votes on every cell.
#[must_use]
pub fn ballot(puzzle: &AnyPuzzle, runs: &[Vec<SegmentReport>]) -> String {
    match puzzle {
        AnyPuzzle::Sudoku(board) => ballots(board, &votes(board.shape(), runs)),
        AnyPuzzle::Maze(question) => maze::shares(question, runs),
        AnyPuzzle::Arc(_) => String::new(),
    }
}

/// How the boards with one open cell stand, in the order of
/// [`crate::experiments::Experiment::OneBlank`] on an answer.
#[must_use]
pub fn one_open(question: &AnyPuzzle, answer: &AnyPuzzle, found: &[Option<Standing>]) -> String {
    match (question, answer) {
        (AnyPuzzle::Maze(question), AnyPuzzle::Maze(answer)) => {
            let solved: Vec<_> = found.iter().map(|f| f.map(|f| f.solved)).collect();
            maze::one_open(question, &answer.written(), &solved)
        }
        (AnyPuzzle::Sudoku(board), _) => one_blank(board.shape(), found),
        _ => String::new(),
    }
}

fn drawn(puzzle: &Board, grid: Option<&[u8]>, own: &[usize]) -> String {
    let shape = puzzle.shape();
    let givens = puzzle.cells();
    let shown = grid.unwrap_or(givens);
    let pick = |kept: bool| -> Vec<u8> {
        let cells = shown.iter().zip(givens);
        cells
            .map(|(&digit, &given)| if (digit == given) == kept { digit } else { 0 })
            .collect()
    };
    let conflicts = Board::new(shape, shown.to_vec()).map_or_else(
        |_| vec![false; shown.len()],
        |board| board.conflicting_cells(),
    );
    let mut d = Drawing::new();
    d.path("mini-given", &cells_path(shape, |cell| givens[cell] != 0))
        .path("mini-own", &cells_path(shape, |cell| own.contains(&cell)))
        .path("mini-conflict", &cells_path(shape, |cell| conflicts[cell]));
    lines(&mut d, shape);
    digits(&mut d, shape, &pick(true), "mini-fixed");
    digits(&mut d, shape, &pick(false), "mini-digit");
    d.svg()
}

/// Votes on every cell: the winner as opaque as its share, the runner-up
/// small beside it.
fn ballots(puzzle: &Board, votes: &[Vote]) -> String {
    let shape = puzzle.shape();
    let givens = puzzle.cells();
    let mut d = Drawing::new();
    d.path("mini-given", &cells_path(shape, |cell| givens[cell] != 0));
    lines(&mut d, shape);
    for (cell, vote) in votes.iter().enumerate().filter(|(_, vote)| vote.digit != 0) {
        let [x, y] = middle(shape, cell);
        let class = if givens[cell] == vote.digit {
            "mini-fixed"
        } else {
            "mini-digit"
        };
        let winner = digit_char(vote.digit).to_string();
        d.faint_text(
            class,
            Anchor::Middle,
            [x, y + FOOT],
            &winner,
            0.15 + 0.85 * vote.share,
        );
        if vote.second != 0 {
            let opacity = 0.3 + 0.7 * vote.second_share;
            let text = digit_char(vote.second).to_string();
            d.faint_text(
                "mini-second",
                Anchor::Middle,
                [x + 3.2, y - 1.6],
                &text,
                opacity,
            );
        }
    }
    d.svg()
}

/// How the boards with one blank stand: at each cell the segments it took, or
/// a cross.
fn one_blank(shape: Shape, found: &[Option<Standing>]) -> String {
    let known = |cell: usize| found.get(cell).copied().flatten();
    let mut d = Drawing::new();
    d.path(
        "trial-solved",
        &cells_path(shape, |cell| known(cell).is_some_and(|f| f.solved)),
    )
    .path(
        "mini-conflict",
        &cells_path(shape, |cell| known(cell).is_some_and(|f| !f.solved)),
    );
    lines(&mut d, shape);
    for cell in 0..shape.cells() {
        let Some(found) = known(cell) else { continue };
        let [x, y] = middle(shape, cell);
        let text = if found.solved {
            found.segments.to_string()
        } else {
            "✗".to_owned()
        };
        d.text("mini-digit", Anchor::Middle, [x, y + FOOT], &text);
    }
    d.svg()
}

fn middle(shape: Shape, cell: usize) -> [f64; 2] {
    [shape.column(cell), shape.row(cell)].map(|i| (i as f64 + 0.5) * CELL)
}

/// Lines of the board and its frame.
fn lines(d: &mut Drawing, shape: Shape) {
    let side = shape.side();
    let length = side as f64 * CELL;
    let (mut thin, mut thick) = (String::new(), String::new());
    for i in 1..side {
        let at = i as f64 * CELL;
        for (step, text) in [
            (shape.box_rows(), format!("M0 {at}h{length}")),
            (shape.box_cols(), format!("M{at} 0v{length}")),
        ] {
            let path = if i % step == 0 { &mut thick } else { &mut thin };
            path.push_str(&text);
        }
    }
    d.path("mini-thin", &thin).path("mini-thick", &thick).rect(
        "mini-frame",
        [0.0, 0.0],
        [length, length],
    );
}

/// One text a row, with a place for each digit.
fn digits(d: &mut Drawing, shape: Shape, cells: &[u8], class: &str) {
    let side = shape.side();
    let xs: Vec<String> = (0..side)
        .map(|column| ((column as f64 + 0.5) * CELL).to_string())
        .collect();
    let xs = xs.join(" ");
    for (row, cells) in cells.chunks_exact(side).enumerate() {
        if cells.iter().all(|&digit| digit == 0) {
            continue;
        }
        let text: String = cells
            .iter()
            .map(|&digit| match digit {
                // A space that is not collapsed.
                0 => '\u{a0}',
                digit => digit_char(digit),
            })
            .collect();
        d.spread_text(class, &xs, (row as f64 + 0.5) * CELL + FOOT, &text);
    }
}

/// A path over the cells for which `holds`.
fn cells_path(shape: Shape, holds: impl Fn(usize) -> bool) -> String {
    (0..shape.cells())
        .filter(|&cell| holds(cell))
        .map(|cell| {
            let (x, y) = (
                shape.column(cell) as f64 * CELL,
                shape.row(cell) as f64 * CELL,
            );
            format!("M{x} {y}h{CELL}v{CELL}h-{CELL}z")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_shows_givens_and_digits() {
        let puzzle: Board = "1...............".parse().unwrap();
        let drawing = drawn(&puzzle, Some(&[1; 16]), &[15]);
        assert_eq!(drawing.matches("class=\"mini-fixed\"").count(), 1);
        assert_eq!(drawing.matches("class=\"mini-digit\"").count(), 4);
        assert!(drawing.contains("x=\"5 15 25 35\" y=\"7.60\">1\u{a0}\u{a0}\u{a0}<"));
        assert!(drawing.contains("class=\"mini-conflict\" d=\"M0 0"));
        assert!(drawing.contains("class=\"mini-own\" d=\"M30 30"));
        let alone = runner(&puzzle.into(), None);
        assert!(!alone.contains("mini-digit") && alone.contains("class=\"mini-conflict\" d=\"\""));
    }

    #[test]
    fn votes_and_single_blanks_are_drawn() {
        let puzzle: Board = "1...............".parse().unwrap();
        let mut votes = vec![Vote::default(); 16];
        votes[0] = Vote {
            digit: 1,
            share: 1.0,
            ..Vote::default()
        };
        votes[5] = Vote {
            digit: 2,
            share: 0.5,
            second: 3,
            second_share: 0.5,
        };
        let drawn = ballots(&puzzle, &votes);
        assert_eq!(drawn.matches("<text").count(), 3);
        assert!(
            drawn.contains("fill-opacity=\"0.57\">2<")
                || drawn.contains("fill-opacity=\"0.58\">2<")
        );
        let standing = |solved| {
            Some(Standing {
                segments: 3,
                solved,
                conflicts: 0,
                wrong: 0,
            })
        };
        let drawn = one_blank(Shape::S4, &[standing(true), standing(false), None]);
        assert!(drawn.contains(">3<") && drawn.contains(">✗<"));
        assert_eq!(drawn.matches("<text").count(), 2);
    }
}
