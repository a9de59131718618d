//! Explicit search on top of guessing, so that guessing itself can be put to
//! the test: at equal segments, does looking at the guesses while they run
//! and choosing among them find more than letting each go its way?

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::flow::{Guessing, Outcome};
use super::perturb::add_normal;
use super::{Observer, SegmentReport};
use crate::cpu::{CpuModel, CpuRun};
use crate::engine::{EngineError, Taps};
use crate::puzzle::{Board, Symmetry};

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
    /// as those break no rule.
    Agreement {
        /// Segments between restarts.
        period: usize,
    },
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
struct Member {
    symmetry: Symmetry,
    observer: Observer,
    halted_at: Option<usize>,
    last: Option<SegmentReport>,
}

impl Member {
    fn new(symmetry: Symmetry, question: &Board) -> Self {
        Self {
            observer: Observer::new(&symmetry.apply(question)),
            symmetry,
            halted_at: None,
            last: None,
        }
    }

    /// The answer in the asker's labelling.
    fn grid(&self) -> Board {
        let shape = self.symmetry.shape();
        let grid = self
            .last
            .as_ref()
            .map(|l| Board::new(shape, l.grid.clone()));
        match grid {
            Some(Ok(grid)) => self.symmetry.inverse().apply(&grid),
            _ => Board::blank(shape),
        }
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
pub fn search(
    model: &Arc<CpuModel>,
    question: &Board,
    puzzle: usize,
    how: &Guessing,
    search: Search,
) -> Result<Vec<Outcome>, EngineError> {
    let mut rng = ChaCha8Rng::seed_from_u64(how.seed ^ 0x7365_6172_6368);
    rng.set_stream(puzzle as u64);
    let identity = Symmetry::identity(question.shape());
    let width = how.guesses.max(1);
    let mut members: Vec<Member> = match search {
        Search::Beam { .. } => (0..width)
            .map(|_| Member::new(identity.clone(), question))
            .collect(),
        Search::Agreement { .. } => images(question, how, puzzle, 0),
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
        let outputs = run.segment(Taps::default());
        for (member, output) in members.iter_mut().zip(&outputs) {
            let report = member.observer.observe(output);
            if report.halted && member.halted_at.is_none() {
                member.halted_at = Some(segment);
            }
            member.last = Some(report);
        }
        spent = segment;
        let solved = |m: &Member| m.last.as_ref().is_some_and(|l| l.solved);
        if segment == how.segments || members.iter().any(solved) {
            break;
        }
        match search {
            Search::Beam { by, period, noise } if segment % period.max(1) == 0 => {
                choose(&mut run, &mut members, by, noise, &mut rng);
            }
            Search::Agreement { period } if segment % period.max(1) == 0 => {
                let hinted = agreed(question, &members);
                members = images(question, how, puzzle, segment);
                run = begin(model, &members, &hinted)?;
            }
            _ => {}
        }
    }
    Ok(members.iter().filter_map(|m| outcome(m, spent)).collect())
}

/// Fresh images; those of the first round are the ones of plain guessing.
fn images(question: &Board, how: &Guessing, puzzle: usize, round: usize) -> Vec<Member> {
    let seed = how.seed.wrapping_add((round as u64) << 32);
    how.perturbation
        .images
        .symmetries(question.shape(), how.guesses.max(1), seed, puzzle)
        .into_iter()
        .map(|symmetry| Member::new(symmetry, question))
        .collect()
}

/// A batch of images of `question`, which may have more filled in than what
/// the members are judged by.
fn begin(
    model: &Arc<CpuModel>,
    members: &[Member],
    question: &Board,
) -> Result<CpuRun, EngineError> {
    let inputs: Vec<Vec<u8>> = members
        .iter()
        .map(|m| m.symmetry.apply(question).tokens())
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
fn choose(run: &mut CpuRun, members: &mut [Member], by: Key, noise: f64, rng: &mut ChaCha8Rng) {
    let key = |m: &Member| -> f64 {
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

/// The question with the cells on which all answers agree, or as it was if
/// they break a rule.
fn agreed(question: &Board, members: &[Member]) -> Board {
    let grids: Vec<Board> = members.iter().map(Member::grid).collect();
    let mut hinted = question.clone();
    for cell in 0..question.cells().len() {
        let digit = grids.first().and_then(|g| g.get(cell)).unwrap_or(0);
        let all = grids.iter().all(|g| g.get(cell) == Some(digit));
        if all && digit != 0 && question.get(cell) == Some(0) {
            hinted.set(cell, digit);
        }
    }
    if hinted.clash().is_some() {
        question.clone()
    } else {
        hinted
    }
}

fn outcome(member: &Member, segments: usize) -> Option<Outcome> {
    let last = member.last.as_ref()?;
    Some(Outcome {
        grid: member.grid(),
        halted_at: member.halted_at,
        halted: last.halted,
        q_halt: last.q_halt,
        residual: last.residual,
        solved: last.solved,
        segments,
    })
}
