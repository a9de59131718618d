//! Which guesses at a set of puzzles are made, and in which order.

use super::Guessable;
use super::guess::{Done, Guessing, Job, Limits, Stop, Team};
use super::images::Images;
use super::search::Search;

/// The guesses of one checkpoint that are still to be made, in order.
#[derive(Debug)]
pub struct Agenda<P: Guessable> {
    how: Guessing,
    search: Option<Search>,
    checkpoint: usize,
    /// Places and questions, the next one last.
    puzzles: Vec<(usize, P)>,
    /// Teams that are next, the first one last.
    waiting: Vec<Team<P>>,
}

impl<P: Guessable> Agenda<P> {
    /// Guesses at these puzzles, given with their places in the set. A
    /// `search` takes all guesses at a puzzle together, and ends with the
    /// first that is accepted.
    #[must_use]
    pub fn new(
        how: Guessing,
        search: Option<Search>,
        checkpoint: usize,
        mut puzzles: Vec<(usize, P)>,
    ) -> Self {
        puzzles.reverse();
        let stop = match search {
            Some(_) => Stop::FirstSolved,
            None => how.stop,
        };
        Self {
            how: Guessing {
                guesses: how.guesses.max(1),
                stop,
                ..how
            },
            search,
            checkpoint,
            puzzles,
            waiting: Vec::new(),
        }
    }

    /// When guesses end.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            segments: self.how.segments,
            stop: self.how.stop,
        }
    }

    /// Places that a team takes: a run with fewer gets none.
    #[must_use]
    pub fn together(&self) -> usize {
        match self.how.stop {
            Stop::FirstSolved => self.how.guesses,
            _ => 1,
        }
    }

    /// The next guesses for so many free places.
    pub fn next(&mut self, free: usize) -> Option<Team<P>> {
        if free < self.together() {
            return None;
        }
        if self.waiting.is_empty() {
            let (puzzle, question) = self.puzzles.pop()?;
            let mut jobs = self.jobs(puzzle, &question);
            if self.how.stop == Stop::FirstSolved {
                let images = self.how.perturbation.images;
                let search = self.search.map(|search| (search, images));
                return Some(Team { jobs, search });
            }
            if self.how.stop == Stop::FirstVerified {
                jobs.truncate(1);
            }
            jobs.reverse();
            self.waiting = jobs.into_iter().map(Team::of_one).collect();
        }
        self.waiting.pop()
    }

    /// A guess has ended, which may ask for another one.
    pub fn ended(&mut self, done: &Done<P>) {
        if self.how.stop == Stop::FirstVerified && !self.settles(done) {
            let next = self.jobs(done.puzzle, &done.question).into_iter();
            let next = next.skip(done.guess + 1).take(1);
            self.waiting.extend(next.map(Team::of_one));
        }
    }

    /// Whether a guess that has ended leaves nothing to be done for its
    /// puzzle, whatever other guesses were made.
    #[must_use]
    pub fn settles(&self, done: &Done<P>) -> bool {
        self.how.stop == Stop::FirstVerified
            && (done.outcome.solved || done.guess + 1 == self.how.guesses)
    }

    /// All guesses at a puzzle.
    fn jobs(&self, puzzle: usize, question: &P) -> Vec<Job<P>> {
        let how = &self.how;
        let mut perturbation = how.perturbation;
        if let Some(Search::Beam { noise, .. }) = self.search {
            // All at the puzzle as it stands, so that states can be copied;
            // the first state is the plain pass until the first choice.
            perturbation.images = Images::Identity;
            perturbation.initial_noise = noise;
        }
        let images = perturbation.images;
        let commitment = match self.search {
            Some(Search::Commit(commitment)) => Some(commitment),
            _ => None,
        };
        images
            .symmetries::<P>(question.kind(), how.guesses, how.seed, puzzle)
            .into_iter()
            .enumerate()
            .map(|(guess, symmetry)| {
                // A checkpoint makes 10,000 guesses at most.
                let stream = (self.checkpoint as u64) << 48 | (puzzle as u64) << 16;
                Job {
                    guess,
                    symmetry: Some(symmetry).filter(|_| images != Images::Identity),
                    commitment,
                    draws: (how.seed, stream | guess as u64),
                    ..Job::plain(puzzle, question.clone())
                }
                .perturbed(&perturbation)
            })
            .collect()
    }
}
