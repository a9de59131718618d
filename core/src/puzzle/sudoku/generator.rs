//! New puzzles with exactly one solution, from a seed.

use std::fmt;
use std::str::FromStr;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::board::Board;
use super::large;
use super::shape::Shape;
use super::solver::{Narrowed, SolveReport, State, solve_within};
use super::symmetry::Symmetry;
use super::tables::Tables;

/// What puzzle is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorOptions {
    /// The size.
    pub shape: Shape,
    /// Exactly this many givens; otherwise as few as taking away in random order
    /// comes to.
    #[serde(default)]
    pub clues: Option<usize>,
    /// Least number of guesses of the exact solver.
    #[serde(default)]
    pub min_guesses: u64,
    /// Largest number of guesses of the exact solver.
    #[serde(default)]
    pub max_guesses: Option<u64>,
    /// Whether no given may be superfluous.
    #[serde(default)]
    pub minimal: bool,
    /// How many grids to try before giving up.
    #[serde(default = "default_attempts")]
    pub attempts: usize,
}

fn default_attempts() -> usize {
    20_000
}

/// A generated puzzle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The puzzle.
    pub question: Board,
    /// Its only solution.
    pub answer: Board,
    /// Guesses of the exact solver, proof of uniqueness included.
    pub guesses: u64,
}

/// Why no puzzle came out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// Wishes that no puzzle can meet.
    #[error("no {shape} puzzle has {wish}")]
    Impossible {
        /// The size.
        shape: Shape,
        /// What is asked for.
        wish: String,
    },
    /// Wishes that none of the tries met.
    #[error(
        "none of {attempts} tries gave a {shape} puzzle with {wish}; ask for less, or allow more tries"
    )]
    NotFound {
        /// The size.
        shape: Shape,
        /// Number of grids tried.
        attempts: usize,
        /// What was asked for.
        wish: String,
    },
}

/// Named levels of difficulty for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Difficulty {
    /// Many givens, no guess.
    Easy,
    /// Fewer givens, no guess.
    Medium,
    /// No given to spare; for 9x9 also some guesses.
    Hard,
    /// The hardest that a search of well under a second usually finds.
    Extreme,
}

impl Difficulty {
    /// All levels, easiest first.
    pub const ALL: [Self; 4] = [Self::Easy, Self::Medium, Self::Hard, Self::Extreme];

    /// Its name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
            Self::Extreme => "extreme",
        }
    }

    /// What the level means for a shape.
    #[must_use]
    pub fn options(self, shape: Shape) -> GeneratorOptions {
        let share = |share: f64| Some((share * shape.cells() as f64).round() as usize);
        let (clues, min_guesses, max_guesses, minimal) = match (shape.side(), self) {
            (4, Self::Easy) => (Some(8), 0, Some(0), false),
            (4, Self::Medium) => (Some(6), 0, Some(0), false),
            (4, Self::Hard) => (Some(5), 0, None, true),
            (4, Self::Extreme) => (Some(4), 0, None, true),
            (6, Self::Easy) => (Some(18), 0, Some(0), false),
            (6, Self::Medium) => (Some(13), 0, Some(0), false),
            (6, Self::Hard) => (None, 0, Some(0), true),
            (6, Self::Extreme) => (None, 1, None, true),
            (9, Self::Easy) => (Some(40), 0, Some(0), false),
            (9, Self::Medium) => (Some(30), 0, Some(0), false),
            (9, Self::Hard) => (None, 1, Some(4), true),
            (9, Self::Extreme) => (None, 8, None, true),
            // Of 25x25 few blanks: what is hardest in reach is still quickly made.
            (25, Self::Easy) => (share(0.75), 0, Some(0), false),
            (25, Self::Medium) => (share(0.65), 0, Some(0), false),
            (25, Self::Hard) => (share(0.58), 0, None, false),
            (25, Self::Extreme) => (share(0.52), 0, None, false),
            (_, Self::Easy) => (share(0.6), 0, Some(0), false),
            (_, Self::Medium) => (share(0.5), 0, Some(0), false),
            (_, Self::Hard) => (share(0.44), 0, None, false),
            (_, Self::Extreme) => (None, 0, None, true),
        };
        GeneratorOptions {
            clues,
            min_guesses,
            max_guesses,
            minimal,
            ..GeneratorOptions::any(shape)
        }
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`Difficulty`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown difficulty {0:?}; known are easy, medium, hard and extreme")]
pub struct UnknownDifficulty(pub String);

impl FromStr for Difficulty {
    type Err = UnknownDifficulty;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| UnknownDifficulty(text.to_owned()))
    }
}

impl GeneratorOptions {
    /// Any puzzle of a shape.
    #[must_use]
    pub fn any(shape: Shape) -> Self {
        Self {
            shape,
            clues: None,
            min_guesses: 0,
            max_guesses: None,
            minimal: false,
            attempts: default_attempts(),
        }
    }

    /// Any minimal puzzle of a shape.
    #[must_use]
    pub fn minimal(shape: Shape) -> Self {
        Self {
            minimal: true,
            ..Self::any(shape)
        }
    }

    fn wish(&self) -> String {
        let mut parts = vec![];
        if let Some(clues) = self.clues {
            parts.push(format!("{clues} givens"));
        }
        if self.minimal {
            parts.push("none of them superfluous".to_owned());
        }
        match (self.min_guesses, self.max_guesses) {
            (0, None) => {}
            (least, None) => parts.push(format!("at least {least} guesses")),
            (least, Some(most)) => parts.push(format!("{least} to {most} guesses")),
        }
        if parts.is_empty() {
            parts.push("one solution".to_owned());
        }
        parts.join(", ")
    }

    fn possible(&self) -> bool {
        // Fewest givens of any puzzle with one solution: 4, 8 and 17. Of the larger
        // ones it is not known; but two digits that are missing could be exchanged.
        let fewest = match self.shape.side() {
            4 => 4,
            6 => 8,
            9 => 17,
            side => side - 1,
        };
        self.clues
            .is_none_or(|clues| (fewest..=self.shape.cells()).contains(&clues))
            && self.max_guesses.is_none_or(|most| most >= self.min_guesses)
    }
}

/// Makes a puzzle with exactly one solution; the same seed gives the same puzzle on
/// every platform.
///
/// # Errors
/// The wish is impossible, or was not met within the allowed attempts.
pub fn generate(seed: u64, options: &GeneratorOptions) -> Result<Generated, GenerateError> {
    generate_with(&mut ChaCha8Rng::seed_from_u64(seed), options)
}

/// Like [`generate`], drawing on a given source of randomness.
///
/// # Errors
/// As [`generate`].
pub fn generate_with<R: Rng + ?Sized>(
    rng: &mut R,
    options: &GeneratorOptions,
) -> Result<Generated, GenerateError> {
    if !options.possible() {
        return Err(GenerateError::Impossible {
            shape: options.shape,
            wish: options.wish(),
        });
    }
    for _ in 0..options.attempts {
        let answer = random_solution(options.shape, rng);
        let Some(question) = dig(rng, &answer, options) else {
            continue;
        };
        let report = proof(&question);
        let guesses = report.guesses;
        if guesses >= options.min_guesses && options.max_guesses.is_none_or(|most| guesses <= most)
        {
            return Ok(Generated {
                question,
                answer,
                guesses,
            });
        }
    }
    Err(GenerateError::NotFound {
        shape: options.shape,
        attempts: options.attempts,
        wish: options.wish(),
    })
}

/// Guesses that a proof that a large puzzle has one solution may take; what takes
/// more is not taken away.
const LARGE_PROOF: u64 = 100;

/// Searches for a second solution.
fn proof(puzzle: &Board) -> SolveReport {
    let small = puzzle.shape().side() <= 9;
    solve_within(puzzle, 2, if small { u64::MAX } else { LARGE_PROOF })
}

/// Takes digits away in random order while the solution stays the only one. `None`
/// if the wanted number of givens was not met.
fn dig<R: Rng + ?Sized>(rng: &mut R, answer: &Board, options: &GeneratorOptions) -> Option<Board> {
    let mut order: Vec<usize> = (0..answer.cells().len()).collect();
    order.shuffle(rng);
    let mut puzzle = answer.clone();
    let mut clues = order.len();
    // A given that can not be spared now can not be spared later either, so one
    // pass over all cells leaves a minimal puzzle.
    for cell in order {
        if !options.minimal && options.clues == Some(clues) {
            break;
        }
        let digit = puzzle.cells()[cell];
        puzzle.set(cell, 0);
        if proof(&puzzle).unique(2).is_some() {
            clues -= 1;
        } else {
            puzzle.set(cell, digit);
        }
    }
    options
        .clues
        .is_none_or(|wanted| wanted == clues)
        .then_some(puzzle)
}

/// A random complete solution: a randomised search from the empty board, and a
/// random symmetry on top. Every solution can come out; the odds of the classes of
/// equivalent solutions are close to, but not exactly, their sizes.
#[must_use]
pub fn random_solution<R: Rng + ?Sized>(shape: Shape, rng: &mut R) -> Board {
    if !Shape::COMMON.contains(&shape) {
        let board = large::random_solution(shape, rng);
        return Symmetry::random(shape, rng).apply(&board);
    }
    let tables = Tables::of(shape);
    loop {
        let board = match shape.side() {
            4 => random_descent::<2, 2, R>(tables, rng),
            6 => random_descent::<2, 3, R>(tables, rng),
            _ => random_descent::<3, 3, R>(tables, rng),
        };
        if let Some(board) = board {
            return Symmetry::random(shape, rng).apply(&board);
        }
    }
}

/// Fills cells at random, the narrowest first, until the board is full or a
/// contradiction shows up (then `None`: starting again keeps the odds fairer than
/// going back a step, and costs little as it is rare).
fn random_descent<const ROWS: usize, const COLS: usize, R: Rng + ?Sized>(
    tables: &Tables,
    rng: &mut R,
) -> Option<Board> {
    let mut state = State::<ROWS, COLS>::empty(tables);
    loop {
        match state.narrow(tables) {
            Narrowed::Contradiction => return None,
            Narrowed::Solved => return Some(state.board(tables.shape)),
            Narrowed::Open(_) => {}
        }
        let mut fewest = usize::MAX;
        let mut choices = vec![];
        for cell in 0..tables.shape.cells() {
            let count = state.choices(cell).count();
            if count == 0 || count > fewest {
                continue;
            }
            if count < fewest {
                fewest = count;
                choices.clear();
            }
            choices.extend(state.choices(cell));
        }
        let choice = choices[rng.random_range(0..choices.len() as u32) as usize];
        state.place(tables, choice);
    }
}

#[cfg(test)]
mod tests {
    use super::super::solver::Uniqueness;
    use super::*;
    use crate::puzzle::solve;

    fn is_minimal(puzzle: &Board) -> bool {
        (0..puzzle.cells().len())
            .filter(|&cell| puzzle.cells()[cell] != 0)
            .all(|cell| {
                let mut fewer = puzzle.clone();
                fewer.set(cell, 0);
                solve(&fewer, 2).uniqueness(2) == Uniqueness::Ambiguous
            })
    }

    #[test]
    fn every_level_of_every_shape_can_be_had() {
        for shape in Shape::COMMON {
            for level in Difficulty::ALL {
                let options = level.options(shape);
                for seed in 0..3 {
                    let made = generate(seed, &options).unwrap();
                    let report = solve(&made.question, 2);
                    assert_eq!(report.uniqueness(2), Uniqueness::Unique);
                    assert_eq!(report.guesses, made.guesses);
                    assert_eq!(report.unique(2).as_ref(), Some(&made.answer));
                    assert!(made.guesses >= options.min_guesses);
                    assert!(made.guesses <= options.max_guesses.unwrap_or(u64::MAX));
                    if let Some(clues) = options.clues {
                        assert_eq!(made.question.clues(), clues, "{shape} {level}");
                    }
                    assert!(!options.minimal || is_minimal(&made.question));
                }
            }
        }
    }

    #[test]
    fn seeds_decide() {
        let options = GeneratorOptions::minimal(Shape::S9);
        let first = generate(7, &options).unwrap();
        assert_eq!(generate(7, &options).unwrap(), first);
        assert_ne!(generate(8, &options).unwrap().question, first.question);
    }

    #[test]
    fn impossible_wishes_are_named() {
        let few = GeneratorOptions {
            clues: Some(16),
            ..GeneratorOptions::any(Shape::S9)
        };
        assert_eq!(
            generate(0, &few).unwrap_err().to_string(),
            "no sudoku-9x9 puzzle has 16 givens"
        );
        let rare = GeneratorOptions {
            clues: Some(19),
            attempts: 3,
            ..GeneratorOptions::minimal(Shape::S9)
        };
        assert_eq!(
            generate(0, &rare).unwrap_err().to_string(),
            "none of 3 tries gave a sudoku-9x9 puzzle with 19 givens, none of them \
             superfluous; ask for less, or allow more tries"
        );
        let full = GeneratorOptions {
            clues: Some(81),
            ..GeneratorOptions::any(Shape::S9)
        };
        let made = generate(0, &full).unwrap();
        assert_eq!(made.question, made.answer);
    }

    #[test]
    fn solutions_are_spread_over_all_grids() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut seen = std::collections::HashMap::new();
        for _ in 0..288 * 30 {
            let solution = random_solution(Shape::S4, &mut rng);
            assert_eq!((solution.blanks(), solution.conflicts()), (0, 0));
            *seen.entry(solution).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 288);
        let most = seen.values().max().unwrap();
        assert!(*most < 100, "one grid came {most} times, 30 expected");
    }
}
