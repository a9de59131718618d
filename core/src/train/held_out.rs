//! Generated puzzles kept apart: those to train on and those to evaluate with.
//! A whole class of puzzles that are equivalent under the symmetry group is
//! on one side, so that nothing that is evaluated was trained on, not even
//! turned around and renamed.

use std::collections::HashSet;
use std::hash::Hash;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::puzzle::{Board, Puzzle, Shape, canonical_puzzle, canonical_solution};

/// One class of equivalent puzzles in this many is held out of generated
/// training sets.
const HELD_OUT: u64 = 5;

/// Which side of the split a generated set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// To train on.
    Training,
    /// To evaluate on.
    HeldOut,
}

impl Side {
    /// The random numbers that generate a side.
    #[must_use]
    pub fn stream(self, seed: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(match self {
            Self::Training => 1,
            Self::HeldOut => 2,
        });
        rng
    }

    /// Which side a class of equivalent puzzles belongs to, by any one way of
    /// writing the class.
    #[must_use]
    pub fn of<P: Puzzle>(class: &P) -> Self {
        // FNV-1a over the contents of the cells (a Sudoku's digits are one below
        // their tokens), and its high bits, which every cell has reached.
        let hash = class
            .tokens()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &token| {
                (hash ^ u64::from(token - 1)).wrapping_mul(0x0100_0000_01b3)
            });
        if (hash >> 32).is_multiple_of(HELD_OUT) {
            Self::HeldOut
        } else {
            Self::Training
        }
    }
}

/// What Sudokus are split by. Only two 4x4 solutions are not equivalent, so
/// there the puzzles are split; in the larger shapes the solutions.
#[must_use]
pub fn sudoku_class(question: &Board, answer: &Board) -> Option<Board> {
    if question.shape() == Shape::S4 {
        canonical_puzzle(question, answer)
    } else {
        canonical_solution(answer)
    }
}

/// Generates until there are so many different puzzles of a side, or nothing
/// new comes any more: small shapes have few minimal puzzles. `found` is told
/// of each.
///
/// # Errors
/// Those of `generate`.
pub fn collect<P: Puzzle + Hash, E>(
    rows: usize,
    side: Side,
    class: impl Fn(&P, &P) -> Option<P>,
    mut generate: impl FnMut() -> Result<(P, P), E>,
    mut found: impl FnMut(),
) -> Result<Vec<(P, P)>, E> {
    let mut all = Vec::with_capacity(rows);
    let mut seen = HashSet::new();
    let mut vain = 0;
    while all.len() < rows && vain < 200 * rows {
        let (question, answer) = generate()?;
        let new = class(&question, &answer).is_some_and(|class| Side::of(&class) == side)
            && seen.insert(question.clone());
        if new {
            all.push((question, answer));
            found();
        }
        vain = if new { 0 } else { vain + 1 };
    }
    Ok(all)
}
