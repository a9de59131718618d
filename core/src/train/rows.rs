//! Puzzles to train on and to evaluate with.

use super::act::Example;
use crate::puzzle::arc::{ArcRow, ArcSize, Canvas, LayoutError};
use crate::puzzle::{Board, Maze, Puzzle};

/// Questions with their answers, all of one kind.
#[derive(Debug, Clone)]
pub enum Rows {
    /// Sudokus.
    Sudoku(Vec<(Board, Board)>),
    /// Mazes.
    Maze(Vec<(Maze, Maze)>),
    /// Pairs of ARC tasks, which fit the canvas.
    Arc(ArcSize, Vec<ArcRow>),
}

impl Rows {
    /// Pairs of ARC tasks for a canvas.
    ///
    /// # Errors
    /// Names the first row that does not fit.
    pub fn arc(size: ArcSize, rows: Vec<ArcRow>) -> Result<Self, LayoutError> {
        rows.iter().try_for_each(|row| row.check(size))?;
        Ok(Self::Arc(size, rows))
    }

    /// The first so many.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Self::Sudoku(all) => all.truncate(rows),
            Self::Maze(all) => all.truncate(rows),
            Self::Arc(_, all) => all.truncate(rows),
        }
    }

    /// Number of puzzles.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Sudoku(rows) => rows.len(),
            Self::Maze(rows) => rows.len(),
            Self::Arc(_, rows) => rows.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that a table of puzzle embeddings needs for these puzzles.
    #[must_use]
    pub fn identifiers(&self) -> usize {
        match self {
            Self::Sudoku(_) | Self::Maze(_) => 1,
            Self::Arc(_, rows) => {
                let largest = rows.iter().map(|row| row.identifier).max();
                largest.map_or(1, |largest| largest as usize + 1)
            }
        }
    }

    /// The puzzles as they are.
    #[must_use]
    pub fn plain(&self) -> Vec<Example> {
        fn all<P: Puzzle>(rows: &[(P, P)]) -> Vec<Example> {
            rows.iter().map(|(q, a)| example(q, a)).collect()
        }
        match self {
            Self::Sudoku(rows) => all(rows),
            Self::Maze(rows) => all(rows),
            Self::Arc(size, rows) => {
                let laid = |row| of_task(*size, row, [0, 0]);
                rows.iter().map(laid).collect()
            }
        }
    }

    /// Whether tokens answer a puzzle of the set. A maze has many answers, and any
    /// shortest route is right; an ARC answer is compared with the key.
    #[must_use]
    pub fn solved(&self, puzzle: usize, tokens: &[u8]) -> bool {
        fn solves<P: Puzzle>(row: Option<&(P, P)>, tokens: &[u8]) -> bool {
            row.is_some_and(|(question, _)| {
                P::from_tokens(question.kind(), tokens).is_ok_and(|board| board.solves(question))
            })
        }
        match self {
            Self::Sudoku(rows) => solves(rows.get(puzzle), tokens),
            Self::Maze(rows) => solves(rows.get(puzzle), tokens),
            Self::Arc(size, rows) => rows.get(puzzle).is_some_and(|row| {
                let canvas = Canvas::from_tokens(*size, tokens);
                let grid = canvas.ok().and_then(|canvas| canvas.grid_at([0, 0]));
                grid.is_some() && grid == row.answer
            }),
        }
    }

    /// Whether tokens mark a way through a maze, short or not; none if the puzzles are
    /// no mazes.
    #[must_use]
    pub fn leads_through(&self, puzzle: usize, tokens: &[u8]) -> Option<bool> {
        let Self::Maze(rows) = self else {
            return None;
        };
        Some(rows.get(puzzle).is_some_and(|(question, _)| {
            Maze::from_tokens(question.size(), tokens)
                .is_ok_and(|maze| maze.keeps_givens(question) && maze.is_connected())
        }))
    }
}

/// A question with its answer as tokens.
pub(super) fn example<P: Puzzle>(question: &P, answer: &P) -> Example {
    Example {
        input: question.tokens(),
        label: answer.tokens(),
        identifier: 0,
    }
}

/// A pair of an ARC task at a place of the canvas, as tokens.
pub(super) fn of_task(size: ArcSize, row: &ArcRow, at: [usize; 2]) -> Example {
    let [question, answer] = row.canvases(size, at);
    Example {
        identifier: row.identifier,
        ..example(&question, &answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::arc::Name;

    #[test]
    fn a_maze_is_judged_by_its_route() {
        let question = Maze::parse("S  \n # \n  G", None).unwrap();
        let answer = question.marked(&question.shortest_route().unwrap());
        let rows = Rows::Maze(vec![(question, answer.clone())]);
        let judge = |text: &str| {
            let tokens = Maze::parse(text, None).unwrap().tokens();
            (rows.solved(0, &tokens), rows.leads_through(0, &tokens))
        };
        assert_eq!(judge(&answer.to_string()), (true, Some(true)));
        assert_eq!(judge("S  o# ooG"), (true, Some(true)));
        assert_eq!(judge("Soo # o G"), (false, Some(false)));
        assert_eq!(judge("Sooo#oooG"), (false, Some(true)));
    }

    #[test]
    fn an_arc_answer_is_judged_by_its_key() {
        let size = ArcSize::of_side(4).unwrap();
        let row = |answer: Option<&str>, identifier| ArcRow {
            name: Name::plain("a"),
            question: "12/34".parse().unwrap(),
            answer: answer.map(|text| text.parse().unwrap()),
            identifier,
        };
        let rows = Rows::arc(size, vec![row(Some("43"), 7), row(None, 2)]).unwrap();
        assert_eq!(rows.identifiers(), 8);
        let examples = rows.plain();
        assert_eq!((examples[0].identifier, examples[1].identifier), (7, 2));
        let answer = |text: &str| Canvas::parse(text, None).unwrap().tokens();
        assert!(rows.solved(0, &examples[0].label));
        // What lies around the grid does not matter.
        assert!(rows.solved(0, &answer("43$9/$$../..../....")));
        assert!(!rows.solved(0, &answer("433$/$$$./..../....")));
        assert!(!rows.solved(0, &answer("..../..../..../....")));
        // What is not known is not right.
        assert!(!rows.solved(1, &answer("..../..../..../....")));
        assert!(Rows::arc(size, vec![row(Some("12345"), 1)]).is_err());
    }
}
