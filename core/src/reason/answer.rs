//! What a page's worker answers of itself, without a model: the puzzle of a text, a
//! puzzle's solutions, and new puzzles. Each kind of puzzle has its own answers.

use super::message::{Event, Solutions, WayLength, Wish};
use crate::puzzle::reader::any_of;
use crate::puzzle::{
    AnyPuzzle, Board, Maze, MazeOptions, Puzzle, Uniqueness, generate_maze, solve_within,
};

/// The puzzle of a text, or why there is none.
#[must_use]
pub fn read(text: &str) -> Event {
    let found = match any_of(text) {
        Ok(found) => found,
        Err(what) => {
            let said = Some(format!("Not a puzzle: {what}."));
            return Event::Read { puzzle: None, said };
        }
    };
    let more = (found.more > 0).then(|| {
        format!(
            "This is the first of {} puzzles in the text.",
            found.more + 1
        )
    });
    let signs = found.said.map(|said| capitalized(&said));
    // One that was drawn may lack something that can be put in.
    let flaw = found.puzzle.maze().and_then(Maze::flaw);
    let flaw = flaw.map(|flaw| capitalized(&flaw));
    let said: Vec<String> = [more, signs, flaw].into_iter().flatten().collect();
    Event::Read {
        puzzle: Some(found.puzzle),
        said: (!said.is_empty()).then(|| said.join(" ")),
    }
}

/// A part of a sentence as a whole one.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

/// How many solutions a puzzle has, and one where there is only one, or where they are
/// all as good.
#[must_use]
pub fn check(puzzle: AnyPuzzle) -> Event {
    let (solutions, answer) = match &puzzle {
        AnyPuzzle::Sudoku(board) => {
            let (solutions, answer) = sudoku(board);
            (solutions, answer.map(AnyPuzzle::from))
        }
        AnyPuzzle::Maze(maze) => {
            let (solutions, answer) = routes(maze);
            (solutions, answer.map(AnyPuzzle::from))
        }
        // Its task knows; no rule does.
        AnyPuzzle::Arc(_) => (Solutions::Unknown, None),
    };
    Event::Checked {
        puzzle,
        solutions,
        answer,
    }
}

/// Anybody may have typed anything: bounds the search to about a second.
const MAX_GUESSES: u64 = 1_000_000;

fn sudoku(board: &Board) -> (Solutions, Option<Board>) {
    let report = solve_within(board, 2, MAX_GUESSES);
    let solutions = match report.uniqueness(2) {
        Uniqueness::Unique => Solutions::One,
        Uniqueness::Impossible => Solutions::None,
        Uniqueness::Ambiguous => Solutions::Several,
        Uniqueness::Unknown => Solutions::Unknown,
    };
    (solutions, report.unique(2))
}

fn routes(maze: &Maze) -> (Solutions, Option<Maze>) {
    let answer = maze.answered().ok().map(|(answer, _)| answer);
    let solutions = match (&answer, maze.shortest_routes(2)) {
        (None, _) | (_, 0) => Solutions::None,
        (_, 1) => Solutions::One,
        _ => Solutions::Several,
    };
    (solutions, answer)
}

/// Tries for a maze: some seconds' worth of the largest.
const MAZE_TRIES: usize = 100_000;

/// A new puzzle.
///
/// # Errors
/// In words: none was found that is as it is wished for.
pub fn generate(wish: Wish, seed: u64) -> Result<AnyPuzzle, String> {
    match wish {
        Wish::Sudoku { shape, difficulty } => {
            let made = crate::puzzle::generate(seed, &difficulty.options(shape));
            made.map(|made| made.question.into())
                .map_err(|error| error.to_string())
        }
        Wish::Maze { size, way } => {
            let hard = MazeOptions::hard(size);
            let options = MazeOptions {
                min_distance: match way {
                    WayLength::Any => 1,
                    WayLength::Medium => hard.min_distance / 2,
                    WayLength::Long => hard.min_distance,
                },
                attempts: MAZE_TRIES,
                ..hard
            };
            generate_maze(seed, &options)
                .map(|(question, _)| question.into())
                .map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{Difficulty, MazeSize, PuzzleKind, Shape};

    fn checked(text: &str) -> (Solutions, Option<String>) {
        match check(text.parse().unwrap()) {
            Event::Checked {
                solutions, answer, ..
            } => (solutions, answer.map(|a| a.to_string())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_kind_is_checked_by_its_own_rules() {
        for (text, solutions, answer) in [
            (".2..3......34..1", Solutions::One, Some("1234341221434321")),
            ("................", Solutions::Several, None),
            ("11..............", Solutions::None, None),
            ("S  ## G  ", Solutions::One, Some("Soo##oGoo")),
            ("S   #   G", Solutions::Several, Some("Soo #o  G")),
            ("S ###   G", Solutions::None, None),
            ("S        ", Solutions::None, None),
            ("SG##", Solutions::One, Some("SG##")),
        ] {
            let (found, best) = checked(text);
            assert_eq!(found, solutions, "{text}");
            // Of several shortest routes any is right.
            if found == Solutions::Several && answer.is_some() {
                let question: AnyPuzzle = text.parse().unwrap();
                let best: AnyPuzzle = best.unwrap().parse().unwrap();
                assert!(best.solves(&question), "{best}");
            } else {
                assert_eq!(best.as_deref(), answer, "{text}");
            }
        }
    }

    #[test]
    fn texts_of_every_kind_are_read_and_told_of() {
        let read = |text: &str| match read(text) {
            Event::Read { puzzle, said } => {
                (puzzle.map(|p| p.to_string()), said.unwrap_or_default())
            }
            other => panic!("{other:?}"),
        };
        let (puzzle, said) = read("XXXX\nXA.X\nX.BX\nXXXX");
        assert_eq!(puzzle.as_deref(), Some("#####S ## G#####"));
        assert_eq!(
            said,
            "Read “X” as wall, “.” as way, “A” as start, “B” as goal."
        );
        // What is missing can be drawn.
        let (puzzle, said) = read("1111\n1001\n1001\n1111");
        assert_eq!(puzzle.as_deref(), Some("#####  ##  #####"));
        assert!(
            said.ends_with("the maze has 0 cells that are its start."),
            "{said}"
        );
        let (puzzle, said) = read("1.........4...2.\n................");
        assert!(puzzle.is_some() && said.contains("first of 2"));
        let (puzzle, said) = read("nothing here");
        assert!(
            puzzle.is_none() && said.starts_with("Not a puzzle: "),
            "{said}"
        );
    }

    #[test]
    fn new_puzzles_are_as_wished() {
        let size = MazeSize::of_side(12).unwrap();
        let steps = |way| {
            let puzzle = generate(Wish::Maze { size, way }, 3).unwrap();
            assert_eq!(puzzle.kind(), PuzzleKind::from(size));
            puzzle.maze().and_then(Maze::distance).unwrap()
        };
        let hard = MazeOptions::hard(size).min_distance;
        assert!(steps(WayLength::Any) >= 1);
        assert!(steps(WayLength::Medium) >= hard / 2);
        assert!(steps(WayLength::Long) >= hard);
        let wish = Wish::Sudoku {
            shape: Shape::S4,
            difficulty: Difficulty::Easy,
        };
        let made = generate(wish, 1).unwrap();
        assert_eq!(checked(&made.to_string()).0, Solutions::One);
        assert_eq!(generate(wish, 1), Ok(made));
    }
}
