//! Explicit search on top of guessing, so that guessing itself can be put to
//! the test: at equal segments, does looking at the guesses while they run
//! and choosing among them find more than letting each go its way?

use serde::{Deserialize, Serialize};

use super::Guessable;
use super::attempt::Attempt;
use super::commit::Commitment;
use super::images::Images;
use crate::engine::{EngineError, Run, SegmentOutput};
use crate::noise::Noise;

/// How to search with all guesses at a puzzle. It ends when the rules accept
/// the grid of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Search {
    /// Every `period` segments, the better half of the states is kept and
    /// each is copied, with noise of this deviation on the copy.
    Beam {
        /// What "better" is.
        by: Key,
        /// Segments between choices.
        period: usize,
        /// Deviation of the noise on copies.
        noise: f64,
    },
    /// Every `period` segments, all start again on fresh images of the
    /// puzzle, with the cells filled in on which all guesses agreed, as long
    /// as those break no rule ([`crate::puzzle::Puzzle::agreed`]).
    Agreement {
        /// Segments between restarts.
        period: usize,
    },
    /// Every state goes its own way, and commits itself to one more cell now
    /// and then ([`super::commit`]).
    Commit(Commitment),
}

/// What a beam keeps states by; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// RMS change of `z_H` in the last segment.
    Residual,
    /// E, a changed or missing given counting like a conflict.
    Conflicts,
}

impl Search {
    /// Whether it acts on all guesses together after a segment.
    pub(super) fn is_due(self, segment: usize) -> bool {
        match self {
            Self::Beam { period, .. } | Self::Agreement { period } => {
                segment.is_multiple_of(period.max(1))
            }
            // Each guess does it by itself.
            Self::Commit(_) => false,
        }
    }

    /// Whether it copies states after a segment.
    pub(super) fn copies(self, segment: usize) -> bool {
        matches!(self, Self::Beam { .. }) && self.is_due(segment)
    }
}

/// The guesses of a team, each with its place and what came of its segment.
pub(super) type Members<'a, P> = [(usize, &'a mut Attempt<P>, &'a SegmentOutput)];

/// Replaces the worse half of a beam by disturbed copies of the better one.
/// All its members are at the same image, so states can be copied.
pub(super) fn choose<P: Guessable>(
    run: &mut dyn Run,
    members: &mut Members<'_, P>,
    (by, noise): (Key, f64),
    hidden: usize,
) -> Result<(), EngineError> {
    let key = |(_, attempt, output): &(usize, &mut Attempt<P>, &SegmentOutput)| match by {
        Key::Residual => f64::from(output.residual_h),
        Key::Conflicts => {
            f64::from(output.conflicts) + f64::from(u8::from(!attempt.keeps_givens()))
        }
    };
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| key(&members[a]).total_cmp(&key(&members[b])));
    let kept = members.len().div_ceil(2);
    for (rank, &to) in order.iter().enumerate().skip(kept) {
        let (_, from, output) = &members[order[rank - kept]];
        let copy = from.seen();
        let mut states = [&output.z_h, &output.z_l].map(|z| z.clone().unwrap_or_default());
        let (place, attempt, _) = &mut members[to];
        attempt.adopt(copy);
        let noise = Noise {
            seed: attempt.job.noise_seed(),
            deviation: noise as f32,
        };
        noise.add_between(attempt.segments() as u32, hidden, &mut states);
        run.set_states(*place, [&states[0], &states[1]])?;
    }
    Ok(())
}

/// Restarts all members at fresh images of the question, with what all of
/// them agree on filled in. They are judged by the question all the same.
pub(super) fn agree<P: Guessable>(
    run: &mut dyn Run,
    members: &mut Members<'_, P>,
    images: Images,
) -> Result<(), EngineError> {
    let answers: Vec<P> = members.iter().map(|(_, m, _)| m.answer().clone()).collect();
    let Some((_, first, _)) = members.first() else {
        return Ok(());
    };
    let (job, segment) = (&first.job, first.segments());
    let hinted = job.question.agreed(&answers);
    let seed = job.draws.0.wrapping_add((segment as u64) << 32);
    let symmetries = images.symmetries::<P>(hinted.kind(), members.len(), seed, job.puzzle);
    for ((place, attempt, _), symmetry) in members.iter_mut().zip(symmetries) {
        run.set(*place, &hinted.transformed(&symmetry).tokens(), 0)?;
        attempt.restart(symmetry);
    }
    Ok(())
}
