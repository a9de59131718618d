//! Sets of generated puzzles, split so that the test set is honest.

use std::collections::{HashMap, HashSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sudoku::board::Board;
use super::sudoku::canonical::{canonical_puzzle, canonical_solution};
use super::sudoku::generator::{GenerateError, Generated, GeneratorOptions, generate_with};
use super::sudoku::shape::Shape;
use super::sudoku::symmetry::Symmetry;

/// What sets are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitOptions {
    /// What every puzzle is to be like.
    pub puzzles: GeneratorOptions,
    /// Puzzles in the training set.
    pub train: usize,
    /// Puzzles in the test set.
    pub test: usize,
    /// Decides everything; the same seed gives the same sets.
    pub seed: u64,
}

/// Puzzles to train on and puzzles to test with, no puzzle twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Training puzzles.
    pub train: Vec<Generated>,
    /// Test puzzles. None is equivalent under the symmetry group to a training
    /// puzzle; except for 4x4, neither is its solution.
    pub test: Vec<Generated>,
}

/// Why no sets came out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A single puzzle could not be had.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// There seem to be no more puzzles of this kind.
    #[error(
        "only {train} training and {test} test puzzles of {shape} were found before new ones became too rare"
    )]
    Exhausted {
        /// The size.
        shape: Shape,
        /// Training puzzles found.
        train: usize,
        /// Test puzzles found.
        test: usize,
    },
}

/// One class of equivalence in this many goes to the test set.
const TEST_CLASSES: u32 = 5;

/// After this many useless puzzles in a row, there are no others.
const PATIENCE: usize = 5_000;

/// Generates a training and a test set such that what is tested was not trained on,
/// not even turned around and renamed: whole classes of equivalent *solutions* go to
/// one side. For 4x4, which has only two such classes, whole classes of equivalent
/// *puzzles* do.
///
/// `progress` is called with the number of puzzles after each one found.
///
/// # Errors
/// Puzzles of this kind could not be generated, or there are not enough of them.
pub fn build_split(
    options: &SplitOptions,
    mut progress: impl FnMut(usize),
) -> Result<Split, SplitError> {
    let shape = options.puzzles.shape;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut sides: HashMap<Board, bool> = HashMap::new();
    let mut seen: HashSet<Board> = HashSet::new();
    let mut split = Split {
        train: Vec::with_capacity(options.train),
        test: Vec::with_capacity(options.test),
    };
    let mut idle = 0;
    while split.train.len() < options.train || split.test.len() < options.test {
        let mut made = generate_with(&mut rng, &options.puzzles)?;
        // The generator favours some members of a class; this does not.
        let symmetry = Symmetry::random(shape, &mut rng);
        made.question = symmetry.apply(&made.question);
        made.answer = symmetry.apply(&made.answer);
        let class = class_of(&made);
        let classes = sides.len() as u32;
        let test_side = *sides.entry(class).or_insert_with(|| {
            // Random, but the first of every group of classes is settled, so that
            // neither side can stay empty.
            match classes {
                0 => false,
                1 => true,
                _ => rng.random_ratio(1, TEST_CLASSES),
            }
        });
        let (side, wanted) = if test_side {
            (&mut split.test, options.test)
        } else {
            (&mut split.train, options.train)
        };
        if side.len() < wanted && seen.insert(made.question.clone()) {
            side.push(made);
            idle = 0;
            progress(split.train.len() + split.test.len());
        } else {
            idle += 1;
            if idle > PATIENCE {
                return Err(SplitError::Exhausted {
                    shape,
                    train: split.train.len(),
                    test: split.test.len(),
                });
            }
        }
    }
    Ok(split)
}

/// The canonical form that decides on which side of a split a puzzle goes.
fn class_of(made: &Generated) -> Board {
    let form = if made.answer.shape() == Shape::S4 {
        canonical_puzzle(&made.question, &made.answer)
    } else {
        canonical_solution(&made.answer)
    };
    // A generated answer solves its question, so there is a form.
    form.unwrap_or_else(|| made.question.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(shape: Shape, train: usize, test: usize) -> SplitOptions {
        SplitOptions {
            puzzles: GeneratorOptions::minimal(shape),
            train,
            test,
            seed: 5,
        }
    }

    fn classes(puzzles: &[Generated]) -> HashSet<Board> {
        puzzles.iter().map(class_of).collect()
    }

    #[test]
    fn sides_share_no_class() {
        for (shape, train, test) in [
            (Shape::S4, 600, 200),
            (Shape::S6, 200, 50),
            (Shape::S9, 12, 4),
        ] {
            let mut calls = 0;
            let split = build_split(&options(shape, train, test), |_| calls += 1).unwrap();
            assert_eq!((split.train.len(), split.test.len()), (train, test));
            assert_eq!(calls, train + test);
            assert!(classes(&split.train).is_disjoint(&classes(&split.test)));
            let all: HashSet<&Board> = split
                .train
                .iter()
                .chain(&split.test)
                .map(|made| &made.question)
                .collect();
            assert_eq!(all.len(), train + test, "a puzzle came twice");
            for made in split.train.iter().chain(&split.test) {
                assert!(made.answer.solves(&made.question));
            }
        }
    }

    #[test]
    fn six_by_six_tests_unseen_solutions() {
        let split = build_split(&options(Shape::S6, 100, 30), |_| {}).unwrap();
        let forms = |side: &[Generated]| -> HashSet<Board> {
            side.iter()
                .filter_map(|made| canonical_solution(&made.answer))
                .collect()
        };
        let (train, test) = (forms(&split.train), forms(&split.test));
        assert!(train.is_disjoint(&test) && !train.is_empty() && !test.is_empty());
    }

    #[test]
    fn seeds_decide() {
        let build = |seed| {
            let options = SplitOptions {
                seed,
                ..options(Shape::S4, 20, 10)
            };
            build_split(&options, |_| {}).unwrap()
        };
        assert_eq!(build(1), build(1));
        assert_ne!(build(1), build(2));
    }

    #[test]
    fn too_many_is_an_error() {
        // All 4x4 puzzles with 15 givens are 288 * 16, in two classes.
        let wish = SplitOptions {
            puzzles: GeneratorOptions {
                clues: Some(15),
                ..GeneratorOptions::any(Shape::S4)
            },
            ..options(Shape::S4, 100_000, 1)
        };
        let error = build_split(&wish, |_| {}).unwrap_err();
        assert!(
            matches!(error, SplitError::Exhausted { train, .. } if train > 0),
            "{error}"
        );
    }
}
