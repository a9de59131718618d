//! Explicit search on top of guessing, so that guessing itself can be put to
//! the test: at equal segments, does looking at the guesses while they run
//! and choosing among them find more than letting each go its way?

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::commit::{Commitment, Committer, Move};
use super::flow::{Guessing, Outcome};
use super::images::Images;
use super::perturb::add_normal;
use super::{Guessable, Observer, SegmentReport};
use crate::cpu::{CpuModel, CpuRun};
use crate::engine::{EngineError, Taps};
use crate::puzzle::Puzzle;

/// How to search.
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
    /// as those break no rule ([`Puzzle::agreed`]).
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

/// One guess of the search, with its image of the puzzle.
struct Member<P: Puzzle> {
    symmetry: P::Symmetry,
    observer: Observer<P>,
    halted_at: Option<usize>,
    last: Option<SegmentReport>,
}

impl<P: Puzzle> Member<P> {
    fn new(symmetry: P::Symmetry, question: &P) -> Self {
        Self {
            observer: Observer::new(&question.transformed(&symmetry)),
            symmetry,
            halted_at: None,
            last: None,
        }
    }

    /// The answer in the asker's labelling.
    fn grid(&self) -> P {
        self.observer.board().restored(&self.symmetry)
    }
}

/// Searches for one puzzle's answer with `how.guesses` states at a time and
/// at most `how.segments` segments of each: the segments that plain guessing
/// would spend. It ends when the rules accept some state's grid. One outcome
/// a state comes back; an outcome's segments are those that its place took.
///
/// Images, noise and restarts depend on `how.seed` and on the puzzle's place
/// in its set.
///
/// # Errors
/// The puzzle does not fit the model.
pub fn search<P: Guessable>(
    model: &Arc<CpuModel>,
    question: &P,
    puzzle: usize,
    how: &Guessing,
    search: Search,
) -> Result<Vec<Outcome<P>>, EngineError> {
    let mut rng = ChaCha8Rng::seed_from_u64(how.seed ^ 0x7365_6172_6368);
    rng.set_stream(puzzle as u64);
    let width = how.guesses.max(1);
    let mut members: Vec<Member<P>> = match search {
        // All at the puzzle as it stands, so that states can be copied.
        Search::Beam { .. } => members(question, how, puzzle, (Images::Identity, 0)),
        Search::Agreement { .. } | Search::Commit(_) => images(question, how, puzzle, 0),
    };
    let mut committers = match search {
        Search::Commit(commitment) => committers(&members, question, how, puzzle, commitment),
        _ => Vec::new(),
    };
    let taps = Taps {
        logits: !committers.is_empty(),
        states: false,
    };
    let mut run = begin(model, &members, question)?;
    if let Search::Beam { noise, .. } = search {
        // The first state is the plain pass until the first choice.
        for place in 1..width {
            disturb(&mut run, place, noise, &mut rng);
        }
    }
    let mut spent = 0;
    for segment in 1..=how.segments {
        let outputs = run.segment(taps);
        for (member, output) in members.iter_mut().zip(&outputs) {
            let report = member.observer.observe(output);
            if report.halted && member.halted_at.is_none() {
                member.halted_at = Some(segment);
            }
            member.last = Some(report);
        }
        spent = segment;
        let solved = |m: &Member<P>| m.last.as_ref().is_some_and(|l| l.solved);
        if segment == how.segments || members.iter().any(solved) {
            break;
        }
        match search {
            Search::Beam { by, period, noise } if segment % period.max(1) == 0 => {
                choose(&mut run, &mut members, by, noise, &mut rng);
            }
            Search::Agreement { period } if segment % period.max(1) == 0 => {
                let answers: Vec<P> = members.iter().map(Member::grid).collect();
                let hinted = question.agreed(&answers);
                members = images(question, how, puzzle, segment);
                run = begin(model, &members, &hinted)?;
            }
            Search::Commit(_) => {
                for (place, (committer, output)) in committers.iter_mut().zip(&outputs).enumerate()
                {
                    match committer.after(output) {
                        Move::Stay => {}
                        Move::Commit(tokens) => run.rewrite(place, &tokens)?,
                        Move::Restart(tokens) => {
                            run.replace(place, &tokens)?;
                            members[place] = Member::new(committer.symmetry().clone(), question);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(members.iter().filter_map(|m| outcome(m, spent)).collect())
}

/// Fresh images; those of the first round are the ones of plain guessing.
fn images<P: Guessable>(
    question: &P,
    how: &Guessing,
    puzzle: usize,
    round: usize,
) -> Vec<Member<P>> {
    members(question, how, puzzle, (how.perturbation.images, round))
}

/// Members at images of a kind, drawn anew every round.
fn members<P: Guessable>(
    question: &P,
    how: &Guessing,
    puzzle: usize,
    (images, round): (Images, usize),
) -> Vec<Member<P>> {
    let seed = how.seed.wrapping_add((round as u64) << 32);
    images
        .symmetries::<P>(question.kind(), how.guesses.max(1), seed, puzzle)
        .into_iter()
        .map(|symmetry| Member::new(symmetry, question))
        .collect()
}

/// What the members commit themselves to, each by draws of its own.
fn committers<P: Guessable>(
    members: &[Member<P>],
    question: &P,
    how: &Guessing,
    puzzle: usize,
    commitment: Commitment,
) -> Vec<Committer<P>> {
    let committer = |(place, member): (usize, &Member<P>)| {
        let stream = (puzzle as u64) << 16 | place as u64;
        let (question, symmetry) = (question.clone(), member.symmetry.clone());
        Committer::new(commitment, question, symmetry, (how.seed, stream))
    };
    members.iter().enumerate().map(committer).collect()
}

/// A batch of images of `question`, which may have more filled in than what
/// the members are judged by.
fn begin<P: Puzzle>(
    model: &Arc<CpuModel>,
    members: &[Member<P>],
    question: &P,
) -> Result<CpuRun, EngineError> {
    let inputs: Vec<Vec<u8>> = members
        .iter()
        .map(|m| question.transformed(&m.symmetry).tokens())
        .collect();
    CpuRun::new(Arc::clone(model), &inputs)
}

fn disturb(run: &mut CpuRun, place: usize, noise: f64, rng: &mut ChaCha8Rng) {
    let (z_h, z_l) = run.states_mut(place);
    add_normal(rng, noise as f32, z_h);
    add_normal(rng, noise as f32, z_l);
}

/// Replaces the worse half of a beam by disturbed copies of the better one.
/// All its members are at the same image, so states can be copied.
fn choose<P: Puzzle>(
    run: &mut CpuRun,
    members: &mut [Member<P>],
    by: Key,
    noise: f64,
    rng: &mut ChaCha8Rng,
) {
    let key = |m: &Member<P>| -> f64 {
        m.last.as_ref().map_or(f64::INFINITY, |l| match by {
            Key::Residual => f64::from(l.residual),
            Key::Conflicts => f64::from(l.conflicts) + f64::from(u8::from(!l.keeps_givens)),
        })
    };
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| key(&members[a]).total_cmp(&key(&members[b])));
    let kept = members.len().div_ceil(2);
    for (rank, &to) in order.iter().enumerate().skip(kept) {
        let from = order[rank - kept];
        let (z_h, z_l) = run.states_mut(from);
        let copy = (z_h.to_vec(), z_l.to_vec());
        let (z_h, z_l) = run.states_mut(to);
        z_h.copy_from_slice(&copy.0);
        z_l.copy_from_slice(&copy.1);
        disturb(run, to, noise, rng);
        members[to].observer = members[from].observer.clone();
        members[to].halted_at = members[from].halted_at;
    }
}

fn outcome<P: Puzzle>(member: &Member<P>, segments: usize) -> Option<Outcome<P>> {
    let last = member.last.as_ref()?;
    Some(Outcome {
        grid: member.grid(),
        halted_at: member.halted_at,
        halted: last.halted,
        q_halt: last.q_halt,
        residual: last.residual,
        solved: last.solved,
        valid: member.observer.valid(),
        segments,
    })
}
