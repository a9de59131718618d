//! What a guess at a puzzle is: how it begins, when it ends, and what came of
//! it.

use serde::{Deserialize, Serialize};

use super::commit::Commitment;
use super::images::Images;
use super::search::Search;
use super::select::Guess;
use crate::noise::{self, Noise};
use crate::puzzle::{Board, Puzzle};

/// When a guess, or all guesses at a puzzle, are over. Only the rules of the
/// puzzle are looked at, never the solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// At the full depth, whatever happens before: how the papers evaluate.
    Depth,
    /// When the model says it is done, or at the full depth.
    Halted,
    /// When the rules accept the grid, or at the full depth.
    Solved,
    /// As [`Stop::Solved`]; guesses at a puzzle follow one another, and the
    /// first one accepted is the last.
    FirstVerified,
    /// Guesses at a puzzle run together, and the first one accepted ends all
    /// of them: a search or a race.
    FirstSolved,
}

impl Stop {
    /// The choices of a guess that knows nothing of the others, or follows
    /// them, with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("depth", Self::Depth),
        ("halted", Self::Halted),
        ("solved", Self::Solved),
        ("first-verified", Self::FirstVerified),
    ];
}

/// When guesses end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Segments of each, at most.
    pub segments: usize,
    /// When they end before that.
    pub stop: Stop,
}

/// How a puzzle's guesses are made to differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perturbation {
    /// Images of the puzzle.
    pub images: Images,
    /// Standard deviation of Gaussian noise added to every element of both
    /// initial states. States have a root mean square of about 1.
    pub initial_noise: f64,
    /// The same, added to the new state after every module call.
    pub update_noise: f64,
    /// Whether initial states are drawn anew, for a model whose initial state
    /// is random; the noise comes on top.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub random_start: bool,
}

/// How to guess.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guessing {
    /// Guesses a puzzle and checkpoint; the first is the plain pass.
    pub guesses: usize,
    /// Segments of each, at most.
    pub segments: usize,
    /// When they end before that.
    pub stop: Stop,
    /// How they differ.
    pub perturbation: Perturbation,
    /// Decides images, noise and commitments.
    pub seed: u64,
}

/// One guess to be made.
#[derive(Debug, Clone)]
pub struct Job<P: Puzzle = Board> {
    /// The puzzle's place in its set.
    pub puzzle: usize,
    /// Number of the guess, from 0.
    pub guess: usize,
    /// The puzzle.
    pub question: P,
    /// The row of the puzzle embedding; 0 for all puzzles but tasks.
    pub identifier: usize,
    /// From the puzzle to the image that the model is given; none if it is
    /// given the puzzle as it stands.
    pub symmetry: Option<P::Symmetry>,
    /// Noise on the initial states.
    pub initial_noise: Noise,
    /// Noise at every update.
    pub update_noise: Noise,
    /// Whether the initial states are drawn by `draws`.
    pub random_start: bool,
    /// How it commits itself to cells, if it does.
    pub commitment: Option<Commitment>,
    /// Seed and stream of what else is drawn.
    pub draws: (u64, u64),
}

impl<P: Puzzle> Job<P> {
    /// The plain pass at a puzzle.
    #[must_use]
    pub fn plain(puzzle: usize, question: P) -> Self {
        Self {
            puzzle,
            guess: 0,
            question,
            identifier: 0,
            symmetry: None,
            initial_noise: Noise::NONE,
            update_noise: Noise::NONE,
            random_start: false,
            commitment: None,
            draws: (0, 0),
        }
    }

    /// The noise of a guess as a perturbation has it; none for the first guess
    /// of a checkpoint, which is always the plain pass.
    pub(super) fn perturbed(mut self, how: &Perturbation) -> Self {
        if self.guess > 0 {
            let seed = self.noise_seed();
            let noise = |deviation: f64| Noise {
                seed,
                deviation: deviation as f32,
            };
            self.initial_noise = noise(how.initial_noise);
            self.update_noise = noise(how.update_noise);
            self.random_start = how.random_start;
        }
        self
    }

    /// A seed of noise that is this guess's own.
    pub(super) fn noise_seed(&self) -> u32 {
        let (seed, stream) = self.draws;
        let [[a, b], [c, d]] = [seed, stream].map(|word| [word as u32, (word >> 32) as u32]);
        noise::seed([a, b, c, d])
    }
}

/// Guesses that begin together and, under [`Stop::FirstSolved`], end
/// together.
#[derive(Debug, Clone)]
pub struct Team<P: Puzzle = Board> {
    /// The guesses.
    pub jobs: Vec<Job<P>>,
    /// What is done with them all between segments, and the images that they
    /// may start again at.
    pub search: Option<(Search, Images)>,
}

impl<P: Puzzle> Team<P> {
    /// A guess on its own.
    #[must_use]
    pub fn of_one(job: Job<P>) -> Self {
        Self {
            jobs: vec![job],
            search: None,
        }
    }
}

/// What came of a guess, in the asker's labelling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome<P = Board> {
    /// The answer at the end.
    pub grid: P,
    /// First segment after which the model said it was done, from 1.
    pub halted_at: Option<usize>,
    /// Whether it says so at the end.
    pub halted: bool,
    /// Logit of halting at the end.
    pub q_halt: f32,
    /// RMS change of `z_H` in the last segment.
    pub residual: f32,
    /// Whether the rules accept the grid and it keeps the givens.
    pub solved: bool,
    /// Whether the grid is valid, where a valid one need not be a solution
    /// ([`Puzzle::GRADED`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Segments it took.
    pub segments: usize,
}

impl<P: Puzzle> Outcome<P> {
    /// What selection rules look at.
    #[must_use]
    pub fn guess(&self) -> Guess {
        Guess {
            grid: self.grid.values(),
            halted_at: self.halted_at,
            halted: self.halted,
            q_halt: self.q_halt,
            residual: self.residual,
            solved: self.solved,
        }
    }
}

/// A guess that has ended.
#[derive(Debug, Clone)]
pub struct Done<P = Board> {
    /// The puzzle's place in its set.
    pub puzzle: usize,
    /// Number of the guess, from 0.
    pub guess: usize,
    /// The puzzle.
    pub question: P,
    /// What came of it.
    pub outcome: Outcome<P>,
    /// Whether the rules accepted the grid, segment by segment.
    pub accepted: Vec<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guess_but_the_plain_pass_has_noise_of_its_own() {
        let question: Board = "1.........4...2.".parse().unwrap();
        let how = Perturbation {
            images: Images::Identity,
            initial_noise: 0.5,
            update_noise: 0.25,
            random_start: true,
        };
        let job = |guess, draws| {
            let plain = Job::plain(2, question.clone());
            Job {
                guess,
                draws,
                ..plain
            }
            .perturbed(&how)
        };
        let plain = job(0, (1, 2));
        assert_eq!(plain.initial_noise, Noise::NONE);
        assert_eq!(plain.update_noise, Noise::NONE);
        assert!(!plain.random_start);
        let first = job(1, (1, 2));
        assert_eq!(first.initial_noise.deviation, 0.5);
        assert_eq!(first.update_noise.deviation, 0.25);
        assert!(first.random_start);
        assert_eq!(first.initial_noise, job(1, (1, 2)).initial_noise);
        for other in [(2, 2), (1, 3), (1 << 40, 2), (1, 2 | 1 << 40)] {
            let seed = job(1, other).update_noise.seed;
            assert_ne!(seed, first.update_noise.seed, "{other:?}");
        }
    }
}
