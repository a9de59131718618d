//! A guess in progress.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::commit::{Committer, Move};
use super::guess::{Done, Job, Outcome};
use super::{Guessable, Observer, SegmentReport};
use crate::engine::{Engine, EngineError, Run, SegmentOutput};
use crate::noise::Noise;
use crate::plan::Start;

/// Key of the draws of initial states; symmetries and commitments have others.
const START_KEY: u64 = 0x0073_7461_7274;

/// A guess that has a place in a run.
#[derive(Debug)]
pub(super) struct Attempt<P: Guessable> {
    pub(super) job: Job<P>,
    /// Which guesses it began together with.
    pub(super) team: u64,
    observer: Observer<P>,
    /// The image that it is at.
    symmetry: Option<P::Symmetry>,
    committer: Option<Committer<P>>,
    halted_at: Option<usize>,
    accepted: Vec<bool>,
    keeps_givens: bool,
}

/// What a run's answers so far amount to.
pub(super) type Seen<P> = (Observer<P>, Option<usize>);

impl<P: Guessable> Attempt<P> {
    /// Begins a guess in a place of a run.
    pub(super) fn begin(
        job: Job<P>,
        team: u64,
        engine: &dyn Engine,
        run: &mut dyn Run,
        place: usize,
    ) -> Result<Self, EngineError> {
        let plan = engine.plan();
        let plays = plan.config.puzzle;
        if job.question.kind().into() != plays {
            return Err(EngineError::Input {
                sequence: job.guess,
                reason: format!("is no {plays}, which the model plays"),
            });
        }
        let image = job.question.image(job.symmetry.as_ref());
        run.set(place, &image.tokens(), job.identifier)?;
        if job.random_start || job.initial_noise.deviation != 0.0 {
            let mut states = engine.initial();
            if job.random_start {
                let (seed, stream) = job.draws;
                let mut rng = ChaCha8Rng::seed_from_u64(seed ^ START_KEY);
                rng.set_stream(stream);
                for state in &mut states {
                    *state = Start::draw(state.len(), &mut rng);
                }
            }
            job.initial_noise.add_between(0, plan.hidden, &mut states);
            run.begin_at(place, [&states[0], &states[1]])?;
        }
        if job.update_noise != Noise::NONE {
            run.disturb(place, job.update_noise)?;
        }
        let committer = job
            .commitment
            .map(|how| Committer::new(how, job.question.clone(), job.symmetry.clone(), job.draws));
        Ok(Self {
            team,
            observer: Observer::new(&job.question),
            symmetry: job.symmetry.clone(),
            committer,
            halted_at: None,
            accepted: Vec::new(),
            keeps_givens: false,
            job,
        })
    }

    /// Whether it looks at logits.
    pub(super) fn reads_logits(&self) -> bool {
        self.committer.is_some()
    }

    /// The report of a segment. What it has committed is what it has seen, not
    /// what it will see next.
    pub(super) fn observe(&mut self, output: &SegmentOutput) -> SegmentReport {
        let mut report = self.observer.observe_image(output, self.symmetry.as_ref());
        if report.halted && self.halted_at.is_none() {
            self.halted_at = Some(report.segment);
        }
        if let Some(committer) = &self.committer {
            report.committed = committer.cells();
        }
        self.accepted.push(report.solved);
        self.keeps_givens = report.keeps_givens;
        report
    }

    /// What it does by itself after a segment that is not its last.
    pub(super) fn go_on(
        &mut self,
        run: &mut dyn Run,
        place: usize,
        output: &SegmentOutput,
    ) -> Result<(), EngineError> {
        let Some(committer) = &mut self.committer else {
            return Ok(());
        };
        match committer.after(output) {
            Move::Stay => Ok(()),
            Move::Commit(tokens) => run.rewrite(place, &tokens),
            Move::Restart(tokens) => {
                self.symmetry = committer.symmetry().cloned();
                self.halted_at = None;
                run.set(place, &tokens, self.job.identifier)
            }
        }
    }

    /// It goes on from the initial state at another image.
    pub(super) fn restart(&mut self, symmetry: P::Symmetry) {
        self.symmetry = Some(symmetry);
        self.halted_at = None;
    }

    /// Segments so far.
    pub(super) fn segments(&self) -> usize {
        self.observer.segments()
    }

    /// The last answer, in the asker's labelling.
    pub(super) fn answer(&self) -> &P {
        self.observer.board()
    }

    /// Whether the last answer keeps the givens.
    pub(super) fn keeps_givens(&self) -> bool {
        self.keeps_givens
    }

    /// What its answers amount to, for another one that goes on from its
    /// state.
    pub(super) fn seen(&self) -> Seen<P> {
        (self.observer.clone(), self.halted_at)
    }

    /// It goes on from the state of another one.
    pub(super) fn adopt(&mut self, (observer, halted_at): Seen<P>) {
        self.observer = observer;
        self.halted_at = halted_at;
    }

    /// The guess as it ended with its last report.
    pub(super) fn done(self, last: &SegmentReport) -> Done<P> {
        Done {
            puzzle: self.job.puzzle,
            guess: self.job.guess,
            outcome: Outcome {
                grid: self.observer.board().clone(),
                halted_at: self.halted_at,
                halted: last.halted,
                q_halt: last.q_halt,
                residual: last.residual,
                solved: last.solved,
                valid: self.observer.valid(),
                segments: last.segment,
            },
            question: self.job.question,
            accepted: self.accepted,
        }
    }
}
