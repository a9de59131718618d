//! The driver of many guesses: places of one or several runs, given to
//! guesses as they fall free, so that cost follows difficulty. The command
//! line and the page run this code.
//!
//! What comes out of a guess does not depend on what shares a run with it, nor
//! on the order in which places fall free.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::attempt::Attempt;
use super::guess::{Done, Limits, Stop, Team};
use super::search::{self, Members, Search};
use super::{Guessable, Images, SegmentReport};
use crate::engine::{Engine, EngineError, Run, SegmentOutput, Taps};
use crate::puzzle::Puzzle;

/// One segment of one run.
#[derive(Debug, Clone)]
pub struct Step<P: Puzzle> {
    /// Of each guess in the run, its number, and its report in the asker's
    /// labelling.
    pub reports: Vec<(usize, SegmentReport)>,
    /// The guesses that have ended with it.
    pub done: Vec<Done<P>>,
}

/// Guesses in progress.
///
/// It works step by step: whoever calls [`Driver::step`] sees every segment,
/// may do other things in between, and gives up by dropping the driver.
pub struct Driver<P: Guessable> {
    limits: Limits,
    /// They take turns, so that all guesses are seen to move on together.
    groups: Vec<Group<P>>,
    turn: usize,
    /// Teams that have begun.
    teams: u64,
}

/// The places of one run.
struct Group<P: Guessable> {
    engine: Arc<dyn Engine>,
    places: usize,
    /// Opened when its first guess begins.
    run: Option<Box<dyn Run>>,
    attempts: Vec<Option<Attempt<P>>>,
    /// Guesses that only this run makes.
    waiting: VecDeque<Team<P>>,
    /// The searches of teams in the run.
    searches: Vec<(u64, Search, Images)>,
}

impl<P: Guessable> Driver<P> {
    /// A driver without places.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            groups: Vec::new(),
            turn: 0,
            teams: 0,
        }
    }

    /// Adds a run with so many places, at least one, and guesses that it is to
    /// make. A team needs as many places as it has guesses.
    pub fn add(
        &mut self,
        engine: Arc<dyn Engine>,
        places: usize,
        teams: impl IntoIterator<Item = Team<P>>,
    ) {
        self.groups.push(Group::new(
            engine,
            places.max(1),
            teams.into_iter().collect(),
        ));
    }

    /// Whether there is nothing in progress and nothing waiting.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.groups.iter().all(Group::is_idle)
    }

    /// Gives free places of the run whose turn it is to guesses, and runs one
    /// segment of it. `next` is asked for further guesses that fit so many
    /// free places. None if there is nothing left to do.
    ///
    /// # Errors
    /// The engine's, or a puzzle that does not fit the model.
    pub async fn step(
        &mut self,
        next: &mut dyn FnMut(usize) -> Option<Team<P>>,
    ) -> Result<Option<Step<P>>, EngineError> {
        loop {
            if self.groups.is_empty() {
                return Ok(None);
            }
            let turn = self.turn % self.groups.len();
            let group = &mut self.groups[turn];
            match group.fill(&mut self.teams, next).await {
                Ok(()) => {}
                // A smaller run may fit.
                Err(error @ EngineError::OutOfMemory(_)) if group.run.is_none() => {
                    let rest = group.split().ok_or(error)?;
                    self.groups.insert(turn + 1, rest);
                    continue;
                }
                Err(error) => return Err(error),
            }
            if group.is_idle() {
                self.groups.remove(turn);
                self.turn = turn;
                continue;
            }
            let step = group.segment(self.limits).await?;
            self.turn = turn + 1;
            return Ok(Some(step));
        }
    }
}

impl<P: Guessable> Group<P> {
    fn new(engine: Arc<dyn Engine>, places: usize, waiting: VecDeque<Team<P>>) -> Self {
        Self {
            engine,
            places,
            run: None,
            attempts: (0..places).map(|_| None).collect(),
            waiting,
            searches: Vec::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.attempts.iter().all(Option::is_none)
    }

    /// Leaves half of its places to another group, with the guesses that wait
    /// for them, if each still has room for the largest team.
    fn split(&mut self) -> Option<Self> {
        let places = self.places / 2;
        let largest = self.waiting.iter().map(|team| team.jobs.len()).max();
        if places < largest.unwrap_or(1) {
            return None;
        }
        let kept = self.places - places;
        let mut taken = 0;
        let mut stays = |team: &Team<P>| {
            taken += team.jobs.len();
            taken <= kept
        };
        let count = self.waiting.iter().take_while(|team| stays(team)).count();
        let rest = self.waiting.split_off(count);
        self.places = kept;
        self.attempts.truncate(kept);
        Some(Self::new(Arc::clone(&self.engine), places, rest))
    }

    /// Begins guesses as long as there is room.
    async fn fill(
        &mut self,
        teams: &mut u64,
        next: &mut dyn FnMut(usize) -> Option<Team<P>>,
    ) -> Result<(), EngineError> {
        loop {
            let free = self.attempts.iter().filter(|a| a.is_none()).count();
            if free > 0 && self.waiting.is_empty() {
                self.waiting.extend(next(free));
            }
            if self
                .waiting
                .front()
                .is_none_or(|team| team.jobs.len() > free)
            {
                return Ok(());
            }
            if self.run.is_none() {
                self.run = Some(Arc::clone(&self.engine).open(self.places).await?);
            }
            let (Some(run), Some(team)) = (&mut self.run, self.waiting.pop_front()) else {
                return Ok(());
            };
            *teams += 1;
            let places = (0..self.places).filter(|&place| self.attempts[place].is_none());
            let places: Vec<usize> = places.take(team.jobs.len()).collect();
            for (place, job) in places.into_iter().zip(team.jobs) {
                let attempt = Attempt::begin(job, *teams, &*self.engine, &mut **run, place)?;
                self.attempts[place] = Some(attempt);
            }
            if let Some((search, images)) = team.search {
                self.searches.push((*teams, search, images));
            }
        }
    }

    /// Runs one segment.
    async fn segment(&mut self, limits: Limits) -> Result<Step<P>, EngineError> {
        let taps = self.taps();
        let outputs = match &mut self.run {
            Some(run) => run.segment(taps).await?,
            None => Vec::new(),
        };
        let mut reports = Vec::new();
        for (attempt, output) in self.attempts.iter_mut().zip(&outputs) {
            if let (Some(attempt), Some(output)) = (attempt, output) {
                reports.push((attempt.team, attempt.job.guess, attempt.observe(output)));
            }
        }
        let done = self.end(limits, &reports, &outputs)?;
        self.search(&outputs)?;
        let reports = reports.into_iter();
        Ok(Step {
            reports: reports.map(|(_, guess, report)| (guess, report)).collect(),
            done,
        })
    }

    /// What has to be brought back from the next segment.
    fn taps(&self) -> Taps {
        let running = || self.attempts.iter().flatten();
        Taps {
            logits: running().any(Attempt::reads_logits),
            states: self.searches.iter().any(|(team, search, _)| {
                let mut members = running().filter(|attempt| attempt.team == *team);
                members.any(|attempt| search.copies(attempt.segments() + 1))
            }),
            ..Taps::default()
        }
    }

    /// Ends the guesses that are over and has the others do what they do by
    /// themselves. `reports`: team, number and report of each guess in the
    /// order of places.
    fn end(
        &mut self,
        limits: Limits,
        reports: &[(u64, usize, SegmentReport)],
        outputs: &[Option<SegmentOutput>],
    ) -> Result<Vec<Done<P>>, EngineError> {
        let mut done = Vec::new();
        let Some(run) = &mut self.run else {
            return Ok(done);
        };
        let solved = reports.iter().filter(|(_, _, report)| report.solved);
        let solved: HashSet<u64> = solved.map(|(team, ..)| *team).collect();
        let mut reports = reports.iter();
        for (place, (slot, output)) in self.attempts.iter_mut().zip(outputs).enumerate() {
            let (Some(attempt), Some(output)) = (slot.as_mut(), output) else {
                continue;
            };
            let Some((team, _, report)) = reports.next() else {
                break;
            };
            let over = match limits.stop {
                Stop::Depth => false,
                Stop::Halted => report.halted,
                Stop::Solved | Stop::FirstVerified => report.solved,
                Stop::FirstSolved => solved.contains(team),
            };
            if over || report.segment >= limits.segments {
                run.clear(place);
                done.extend(slot.take().map(|attempt| attempt.done(report)));
            } else {
                attempt.go_on(&mut **run, place, output)?;
            }
        }
        Ok(done)
    }

    /// Has the searches act whose time it is, and forgets those that are over.
    fn search(&mut self, outputs: &[Option<SegmentOutput>]) -> Result<(), EngineError> {
        let hidden = self.engine.plan().hidden;
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        let mut going_on = Vec::new();
        for &(team, search, images) in &self.searches {
            let both = self.attempts.iter_mut().zip(outputs).enumerate();
            let members = both.filter_map(|(place, (attempt, output))| {
                let attempt = attempt.as_mut().filter(|attempt| attempt.team == team)?;
                Some((place, attempt, output.as_ref()?))
            });
            let mut members: Vec<_> = members.collect();
            let Some((_, first, _)) = members.first() else {
                continue;
            };
            if search.is_due(first.segments()) {
                act(search, images, &mut **run, &mut members, hidden)?;
            }
            going_on.push((team, search, images));
        }
        self.searches = going_on;
        Ok(())
    }
}

/// What a search does between segments.
fn act<P: Guessable>(
    search: Search,
    images: Images,
    run: &mut dyn Run,
    members: &mut Members<'_, P>,
    hidden: usize,
) -> Result<(), EngineError> {
    match search {
        Search::Beam { by, noise, .. } => search::choose(run, members, (by, noise), hidden),
        Search::Agreement { .. } => search::agree(run, members, images),
        Search::Commit(_) => Ok(()),
    }
}
