//! Puzzles to train on and to evaluate with.

use super::act::Example;
use crate::puzzle::{Board, Maze, Puzzle};

/// Questions with their answers, all of one kind.
#[derive(Debug, Clone)]
pub enum Rows {
    /// Sudokus.
    Sudoku(Vec<(Board, Board)>),
    /// Mazes.
    Maze(Vec<(Maze, Maze)>),
}

impl Rows {
    /// The first so many.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Self::Sudoku(all) => all.truncate(rows),
            Self::Maze(all) => all.truncate(rows),
        }
    }

    /// Number of puzzles.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Sudoku(rows) => rows.len(),
            Self::Maze(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        }
    }

    /// Whether tokens answer a puzzle of the set. A maze has many answers, and any
    /// shortest route is right.
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
