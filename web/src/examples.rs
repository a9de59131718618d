//! Puzzles to begin with, made by the project's own generator.

use hrm_core::puzzle::Difficulty::{Easy, Extreme, Hard, Medium};
use hrm_core::puzzle::{AnyPuzzle, Board, Difficulty, Puzzle, PuzzleKind, Shape};

/// A puzzle with how hard it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Its level.
    pub difficulty: Difficulty,
    /// The puzzle as one line.
    pub line: &'static str,
}

const fn example(difficulty: Difficulty, line: &'static str) -> Example {
    Example { difficulty, line }
}

const FOUR: [Example; 4] = [
    example(Easy, ".13.3....3.4.413"),
    example(Medium, ".13.3......4..13"),
    example(Hard, ".1..3......4..13"),
    example(Extreme, "..3..2.....31..."),
];

const SIX: [Example; 4] = [
    example(Easy, ".23..6..4.3..415.335612......246..5."),
    example(Medium, ".2...6..4.3..41...3.612......246...."),
    example(Hard, ".2...6....3..41...3.61.......2.6...."),
    example(Extreme, "52......1......2.44....5.64..2...6.."),
];

const NINE: [Example; 4] = [
    example(
        Easy,
        "9....57267859621.36.17..5...13.....9.5639.2144.782......2648.5........37.....36..",
    ),
    example(
        Medium,
        "......72.7..9....3..17..5...13.....9.5639.21.4.782......2648.5........37.....36..",
    ),
    example(
        Hard,
        ".843.....7.3.......1...2.5.....8...9.....7..51.2...7..3.516...7247..36...........",
    ),
    example(
        Extreme,
        "..92...6..4.......63..5...49..3.57....419..2.........68.5..1..3.1...74......3....",
    ),
];

/// A maze of 12x12 whose shortest way has 26 steps.
const MAZE: &str = "### # ##    ##    # G ##     #     # #   ## #     ## #  #   ##   #   #   ##   # # #   #  #  # #  #    ###      #  #  #   S  #           #  #  # ";

/// The examples of a size, easiest first; of large boards there are none.
#[must_use]
pub fn of(shape: Shape) -> &'static [Example] {
    match shape.side() {
        4 => &FOUR,
        6 => &SIX,
        9 => &NINE,
        _ => &[],
    }
}

/// The puzzle shown first to a network for this kind and size, or of another size
/// that it plays: hard enough to be worth watching, and within reach of a small
/// model. A bare field where there is no example of a maze.
#[must_use]
pub fn first(kind: PuzzleKind, plays: impl Fn(PuzzleKind) -> bool) -> AnyPuzzle {
    match kind {
        PuzzleKind::Sudoku(shape) => sudoku(shape).into(),
        PuzzleKind::Maze(_) => {
            let example = MAZE.parse().ok();
            let fits = example.filter(|example: &AnyPuzzle| plays(example.kind()));
            fits.unwrap_or_else(|| AnyPuzzle::blank(kind))
        }
        PuzzleKind::Arc(_) => AnyPuzzle::blank(kind),
    }
}

/// The Sudoku shown first in a size.
#[must_use]
pub fn sudoku(shape: Shape) -> Board {
    let example = of(shape).get(1);
    let board = example.and_then(|e| Board::parse(e.line, Some(shape)).ok());
    board.unwrap_or_else(|| Board::blank(shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use hrm_core::puzzle::{MazeSize, solve};

    /// They stand as links in the page itself.
    #[test]
    fn famous_puzzles_have_one_solution() {
        let page = include_str!("../../index.html");
        let links = page.split("href=\"#puzzle=").skip(1);
        let lines = links.filter_map(|rest| rest.split('"').next());
        let read = |line: &str| Address::parse(&format!("#puzzle={line}")).puzzle.unwrap();
        let all: Vec<AnyPuzzle> = lines.map(read).collect();
        let mazes: Vec<_> = all.iter().filter_map(AnyPuzzle::maze).collect();
        let sides: Vec<_> = mazes
            .iter()
            .map(|maze| (maze.size().side(), maze.distance()))
            .collect();
        assert_eq!(sides, [(12, Some(26)), (20, Some(55)), (30, Some(121))]);
        assert_eq!(mazes[0].to_string(), MAZE);
        assert!(mazes.iter().all(|maze| maze.flaw().is_none()));
        let boards: Vec<Board> = all.iter().filter_map(|p| p.sudoku().cloned()).collect();
        let (blank, famous): (Vec<_>, Vec<_>) = boards.iter().partition(|b| b.clues() == 0);
        assert_eq!((blank.len(), famous.len()), (1, 7));
        let reports: Vec<_> = famous.iter().map(|board| solve(board, 2)).collect();
        for (board, report) in famous.iter().zip(&reports) {
            assert_eq!(report.solutions.len(), 1, "{board}");
        }
        // The last is hard for a search by trial alone: singles and locked
        // candidates solve it.
        let guesses: Vec<bool> = reports.iter().map(|report| report.guesses > 0).collect();
        assert_eq!(guesses, [true, true, true, true, true, true, false]);
    }

    #[test]
    fn a_maze_is_shown_first_to_who_plays_mazes() {
        let small = PuzzleKind::from(MazeSize::of_side(8).unwrap());
        assert_eq!(first(small, |kind| kind == small), AnyPuzzle::blank(small));
        assert_eq!(first(small, |_| true).to_string(), MAZE);
    }

    #[test]
    fn examples_are_puzzles_of_rising_difficulty() {
        for shape in Shape::COMMON {
            assert_eq!(first(shape.into(), |_| true).to_string(), of(shape)[1].line);
            let ratings: Vec<_> = of(shape)
                .iter()
                .map(|example| {
                    let board = Board::parse(example.line, Some(shape)).unwrap();
                    let report = solve(&board, 2);
                    assert_eq!(report.solutions.len(), 1, "{shape} {}", example.difficulty);
                    (example.difficulty, report.guesses, board.blanks())
                })
                .collect();
            for pair in ratings.windows(2) {
                assert!(pair[0].0 < pair[1].0);
                assert!(pair[0].1 <= pair[1].1, "guesses: {ratings:?}");
                // Where no guess tells levels apart, the givens do.
                assert!(
                    pair[0].1 < pair[1].1 || pair[0].2 < pair[1].2,
                    "blanks: {ratings:?}"
                );
            }
        }
    }
}
