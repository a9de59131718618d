//! Many guesses at many puzzles through one batch: a guess that has ended
//! leaves its place to one that waits, so that cost follows difficulty.
//!
//! What comes out of a guess does not depend on what shares the batch with
//! it, nor on the order in which places fall free.

use serde::{Deserialize, Serialize};

use super::perturb::{Noise, Perturbation};
use super::{Guess, Guessable, Observer, SegmentReport};
use crate::cpu::CpuRun;
use crate::engine::{EngineError, SegmentOutput, Taps};
use crate::puzzle::{Board, Puzzle};

/// What a guess's state may be changed by: its place in the batch and the
/// new state, `[positions, hidden]`, after a module call.
pub type Disturb<'a> = &'a mut dyn FnMut(usize, &mut [f32]);

/// What [`drive`] needs of an engine: a batch whose places change hands.
pub trait Batch {
    /// Adds a sequence, at the initial state, as the last one.
    ///
    /// # Errors
    /// It does not fit the model or the device.
    fn push(&mut self, tokens: &[u8]) -> Result<(), EngineError>;

    /// Gives a place to another sequence, at the initial state.
    ///
    /// # Errors
    /// As [`Batch::push`].
    fn replace(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError>;

    /// Takes a sequence out; the last one takes its place.
    fn swap_remove(&mut self, place: usize);

    /// Changes the initial states of a place that holds `tokens`, `z_H`
    /// first, then `z_L`.
    ///
    /// # Errors
    /// The engine can not do it.
    fn disturb(
        &mut self,
        place: usize,
        tokens: &[u8],
        by: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), EngineError>;

    /// Runs one segment of every sequence, one output each; `by` is called
    /// after every module call.
    ///
    /// # Errors
    /// The device's, or `by` is given and the engine can not do it.
    fn segment(&mut self, by: Option<Disturb<'_>>) -> Result<Vec<SegmentOutput>, EngineError>;
}

impl Batch for CpuRun {
    fn push(&mut self, tokens: &[u8]) -> Result<(), EngineError> {
        Self::push(self, tokens)
    }

    fn replace(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError> {
        Self::replace(self, place, tokens)
    }

    fn swap_remove(&mut self, place: usize) {
        Self::swap_remove(self, place);
    }

    fn disturb(
        &mut self,
        place: usize,
        _tokens: &[u8],
        by: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), EngineError> {
        let (z_h, z_l) = self.states_mut(place);
        by(z_h);
        by(z_l);
        Ok(())
    }

    fn segment(&mut self, by: Option<Disturb<'_>>) -> Result<Vec<SegmentOutput>, EngineError> {
        let batch = self.batch().max(1);
        Ok(match by {
            None => Self::segment(self, Taps::default()),
            Some(by) => self.segment_observed(Taps::default(), |_, states| {
                let width = (states.len() / batch).max(1);
                for (place, state) in states.chunks_exact_mut(width).enumerate() {
                    by(place, state);
                }
            }),
        })
    }
}

/// When a guess, or all guesses at a puzzle, are over.
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
}

impl Stop {
    /// Every choice with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("depth", Self::Depth),
        ("halted", Self::Halted),
        ("solved", Self::Solved),
        ("first-verified", Self::FirstVerified),
    ];

    fn ends(self, report: &SegmentReport) -> bool {
        match self {
            Self::Depth => false,
            Self::Halted => report.halted,
            Self::Solved | Self::FirstVerified => report.solved,
        }
    }
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
    /// Decides images and noise.
    pub seed: u64,
}

/// One guess to be made.
#[derive(Debug, Clone)]
pub struct Job<P: Puzzle = Board> {
    /// The puzzle's place in its set.
    pub puzzle: usize,
    /// Number of the guess, from 0.
    pub guess: usize,
    symmetry: P::Symmetry,
    image: P,
    noise: Option<Noise>,
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
    /// What came of it.
    pub outcome: Outcome<P>,
    /// Its segments, in the labelling of its image.
    pub reports: Vec<SegmentReport>,
}

/// The guesses of one checkpoint that are still to be made, in order.
#[derive(Debug)]
pub struct Agenda<P: Puzzle = Board> {
    how: Guessing,
    checkpoint: usize,
    /// Places and questions, the next one last.
    puzzles: Vec<(usize, P)>,
    /// Guesses at the current puzzle, the next one last.
    waiting: Vec<Job<P>>,
}

impl<P: Guessable> Agenda<P> {
    /// Guesses at these puzzles, given with their places in the set.
    #[must_use]
    pub fn new(how: Guessing, checkpoint: usize, mut puzzles: Vec<(usize, P)>) -> Self {
        puzzles.reverse();
        Self {
            how,
            checkpoint,
            puzzles,
            waiting: Vec::new(),
        }
    }

    /// The next guess; `after` is one that has just ended, if any.
    pub fn next(&mut self, after: Option<(&Done<P>, &P)>) -> Option<Job<P>> {
        if self.how.stop == Stop::FirstVerified
            && let Some((done, question)) = after
            && !done.outcome.solved
            && done.guess + 1 < self.how.guesses
        {
            return self.job(done.puzzle, question, done.guess + 1);
        }
        if self.waiting.is_empty() {
            let (puzzle, question) = self.puzzles.pop()?;
            let first = match self.how.stop {
                Stop::FirstVerified => 1,
                _ => self.how.guesses,
            };
            self.waiting = (0..first)
                .rev()
                .filter_map(|guess| self.job(puzzle, &question, guess))
                .collect();
        }
        self.waiting.pop()
    }

    /// One guess.
    fn job(&self, puzzle: usize, question: &P, guess: usize) -> Option<Job<P>> {
        let perturbation = &self.how.perturbation;
        let symmetry = perturbation
            .images
            .symmetries::<P>(question.kind(), guess + 1, self.how.seed, puzzle)
            .pop()?;
        Some(Job {
            puzzle,
            guess,
            image: question.transformed(&symmetry),
            symmetry,
            noise: perturbation.noise(self.how.seed, puzzle, self.checkpoint, guess),
        })
    }

    /// Whether a guess that has ended leaves nothing to be done for its
    /// puzzle, whatever other guesses were made.
    #[must_use]
    pub fn settles(&self, done: &Done<P>) -> bool {
        self.how.stop == Stop::FirstVerified
            && (done.outcome.solved || done.guess + 1 == self.how.guesses)
    }
}

/// A guess in progress.
struct Running<P: Puzzle> {
    job: Job<P>,
    observer: Observer<P>,
    reports: Vec<SegmentReport>,
}

impl<P: Puzzle> Running<P> {
    fn new(job: Job<P>) -> Self {
        Self {
            observer: Observer::new(&job.image),
            reports: Vec::new(),
            job,
        }
    }

    /// The guess as it ended with `last`.
    fn done(self, last: &SegmentReport) -> Done<P> {
        Done {
            puzzle: self.job.puzzle,
            guess: self.job.guess,
            outcome: Outcome {
                grid: self.observer.board().restored(&self.job.symmetry),
                halted_at: self.reports.iter().find(|r| r.halted).map(|r| r.segment),
                halted: last.halted,
                q_halt: last.q_halt,
                residual: last.residual,
                solved: last.solved,
                valid: self.observer.valid(),
                segments: last.segment,
            },
            reports: self.reports,
        }
    }
}

/// Runs guesses through an empty batch of at most `capacity` places until
/// there are no more. `next` takes a guess that has ended, if one has, and
/// gives the next one to be made, if there is one.
///
/// # Errors
/// The engine's.
pub fn drive<P: Puzzle, B: Batch>(
    batch: &mut B,
    capacity: usize,
    how: &Guessing,
    next: &mut dyn FnMut(Option<Done<P>>) -> Option<Job<P>>,
) -> Result<(), EngineError> {
    let mut running: Vec<Running<P>> = Vec::with_capacity(capacity);
    loop {
        while running.len() < capacity {
            let Some(job) = next(None) else { break };
            batch.push(&job.image.tokens())?;
            running.push(begin(batch, running.len(), job)?);
        }
        if running.is_empty() {
            return Ok(());
        }
        let disturbed = running
            .iter()
            .any(|r| r.job.noise.as_ref().is_some_and(Noise::disturbs_updates));
        let mut disturb = |place: usize, state: &mut [f32]| {
            if let Some(noise) = running.get_mut(place).and_then(|r| r.job.noise.as_mut()) {
                noise.disturb_update(state);
            }
        };
        let outputs = if disturbed {
            batch.segment(Some(&mut disturb))?
        } else {
            batch.segment(None)?
        };
        // From the back, so that what moves into a place has had its turn.
        for place in (0..running.len().min(outputs.len())).rev() {
            let report = running[place].observer.observe(&outputs[place]);
            let over = how.stop.ends(&report) || report.segment >= how.segments;
            running[place].reports.push(report.clone());
            if !over {
                continue;
            }
            let ended = running.swap_remove(place).done(&report);
            match next(Some(ended)) {
                None => batch.swap_remove(place),
                Some(job) => {
                    batch.replace(place, &job.image.tokens())?;
                    let fresh = begin(batch, place, job)?;
                    // Undoes the swap: the place is the new guess's.
                    running.push(fresh);
                    let last = running.len() - 1;
                    running.swap(place, last);
                }
            }
        }
    }
}

/// Starts a guess in a place that holds its puzzle.
fn begin<P: Puzzle, B: Batch>(
    batch: &mut B,
    place: usize,
    mut job: Job<P>,
) -> Result<Running<P>, EngineError> {
    if let Some(noise) = job.noise.as_mut().filter(|n| n.disturbs_start()) {
        let tokens = job.image.tokens();
        batch.disturb(place, &tokens, &mut |state| noise.disturb_initial(state))?;
    }
    Ok(Running::new(job))
}
