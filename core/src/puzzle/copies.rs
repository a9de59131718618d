//! A fixed set of rewritten copies of each puzzle, made when they are needed.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Puzzle;

/// The copies of a training set: of each puzzle itself and `count` random rewritings
/// by its symmetries, each of them with hints too where those are asked for. They
/// depend on the seed and the puzzle's row alone, so a file of them and a run that
/// makes them anew have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Rewritings of each puzzle beside itself.
    pub count: u32,
    /// Decides all of them.
    pub seed: u64,
}

/// What a random stream is for.
const SYMMETRY: u64 = 1;
const HINTS: u64 = 2;

impl Copies {
    /// A copy of the puzzle in a row, question and answer: 0 is the puzzle itself, 1
    /// to `count` are the rewritings.
    #[must_use]
    pub fn copy<P: Puzzle>(&self, row: u64, copy: u32, question: &P, answer: &P) -> (P, P) {
        if copy == 0 {
            return (question.clone(), answer.clone());
        }
        let mut rng = self.stream(row, copy, SYMMETRY);
        let symmetry = P::random_symmetry(question.kind(), &mut rng);
        (
            question.transformed(&symmetry),
            answer.transformed(&symmetry),
        )
    }

    /// The question of a copy with hints from its answer.
    #[must_use]
    pub fn hinted<P: Puzzle>(&self, row: u64, copy: u32, question: &P, answer: &P) -> P {
        question.with_hints(answer, &mut self.stream(row, copy, HINTS))
    }

    fn stream(&self, row: u64, copy: u32, purpose: u64) -> ChaCha8Rng {
        let mut seed = [0; 32];
        let words = [self.seed, row, u64::from(copy), purpose];
        for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{Board, canonical_puzzle};

    #[test]
    fn copies_are_equivalent_and_depend_on_row_and_number() {
        let question = Board::parse("1.........4...2.", None).unwrap();
        let answer = Board::parse("1234341221434321", None).unwrap();
        let copies = Copies { count: 50, seed: 3 };
        let class = canonical_puzzle(&question, &answer);
        let mut seen = std::collections::HashSet::new();
        for number in 0..=50 {
            let (q, a) = copies.copy(7, number, &question, &answer);
            assert_eq!(canonical_puzzle(&q, &a), class);
            assert_eq!(copies.copy(7, number, &question, &answer).0, q);
            let hinted = copies.hinted(7, number, &q, &a);
            assert!(hinted.clues() > q.clues() && a.solves(&hinted) && hinted != a);
            seen.insert(q);
        }
        assert!(seen.len() > 40 && seen.contains(&question));
        let (other, _) = copies.copy(8, 1, &question, &answer);
        assert_ne!(other, copies.copy(7, 1, &question, &answer).0);
    }
}
