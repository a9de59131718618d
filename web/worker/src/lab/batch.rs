//! Several runs at once: guesses and experiments.

use std::rc::Rc;

use hrm_core::engine::{EngineError, Taps};
use hrm_core::noise::UpdateNoise;
use hrm_core::puzzle::{Board, Symmetry};
use hrm_core::reason::commit::{Commitment, Committer, Move};
use hrm_core::reason::lab::{Item, LabEvent, Stop};
use hrm_core::reason::{Observer, SegmentReport};

use super::{noisy, tell};
use crate::engine::{Engine, Run};

/// A batch in progress, cut into groups that an engine runs at once. The
/// groups take turns, so that all runs are seen to move on together.
pub(crate) struct Batch {
    limit: usize,
    stop: Stop,
    groups: Vec<Group>,
    turn: usize,
    /// Whether a run has ended it for all.
    ended: bool,
}

struct Group {
    engine: Rc<Engine>,
    /// Its items, with their indices.
    items: Vec<(usize, Item)>,
    run: Option<Run>,
    watched: Vec<Watched>,
    segment: usize,
}

/// One sequence with what is said about it.
struct Watched {
    observer: Observer,
    /// From the model's labelling back to the asker's.
    back: Option<Symmetry>,
    solved: bool,
    /// If it commits itself to cells.
    committer: Option<Committer<Board>>,
}

impl Batch {
    /// A batch of items, each with its index and the engine that runs it.
    pub(crate) fn new(items: Vec<(usize, Rc<Engine>, Item)>, limit: usize, stop: Stop) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (index, engine, item) in items {
            let open = groups.iter_mut().rfind(|group| {
                Rc::ptr_eq(&group.engine, &engine) && group.items.len() < engine.batch()
            });
            match open {
                Some(group) => group.items.push((index, item)),
                None => groups.push(Group::new(engine, vec![(index, item)])),
            }
        }
        Self {
            limit,
            stop,
            groups,
            turn: 0,
            ended: false,
        }
    }

    /// Whether all shares of the batch have ended with this one.
    pub(crate) fn ends_all(&self) -> bool {
        self.ended
    }

    /// Runs one segment of one group and tells of it as news of that job.
    /// Returns whether the batch is complete.
    pub(crate) async fn work(&mut self, job: u32) -> Result<bool, EngineError> {
        let Some(group) = self.groups.get_mut(self.turn) else {
            return Ok(true);
        };
        let each = self.stop == Stop::EachSolved;
        let reports = match group.segment(each).await {
            Ok(reports) => reports,
            // A smaller batch may fit.
            Err(EngineError::OutOfMemory(_)) if group.items.len() > 1 && group.segment == 0 => {
                let rest = group.items.split_off(group.items.len() / 2);
                let rest = Group::new(Rc::clone(&group.engine), rest);
                group.run = None;
                self.groups.insert(self.turn + 1, rest);
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let any_solved = reports.iter().any(|(_, report)| report.solved);
        let finished = group.segment >= self.limit
            || each && group.watched.iter().all(|watched| watched.solved);
        if finished {
            self.groups.remove(self.turn);
        } else {
            self.turn += 1;
        }
        if self.turn >= self.groups.len() {
            self.turn = 0;
        }
        tell(LabEvent::Batch { job, reports });
        self.ended = any_solved && self.stop == Stop::FirstSolved;
        Ok(self.groups.is_empty() || self.ended)
    }
}

impl Group {
    fn new(engine: Rc<Engine>, items: Vec<(usize, Item)>) -> Self {
        Self {
            engine,
            items,
            run: None,
            watched: Vec::new(),
            segment: 0,
        }
    }

    async fn start(&mut self) -> Result<Run, EngineError> {
        let engine = &self.engine;
        let mut tokens = Vec::with_capacity(self.items.len());
        self.watched.clear();
        for (index, item) in &self.items {
            let kind = engine.plan.config.puzzle;
            let fits = kind == item.puzzle.shape()
                && item.symmetry.as_ref().is_none_or(|s| kind == s.shape());
            if !fits {
                let reason = format!("is no {kind}, which the model plays");
                return Err(EngineError::Input {
                    sequence: *index,
                    reason,
                });
            }
            tokens.push(match &item.symmetry {
                Some(symmetry) => symmetry.apply_tokens(&item.puzzle.tokens()),
                None => item.puzzle.tokens(),
            });
            self.watched.push(Watched {
                observer: Observer::new(&item.puzzle),
                back: item.symmetry.as_ref().map(Symmetry::inverse),
                solved: false,
                committer: item.commits.then(|| committer(item, *index)),
            });
        }
        let mut run = engine.start(&tokens).await?;
        if self.items.iter().any(|(_, item)| item.noise != 0.0) {
            let (mut z_h, mut z_l) = (Vec::new(), Vec::new());
            for (_, item) in &self.items {
                let [high, low] = noisy(engine.initial(), item.noise, item.seed);
                z_h.extend(high);
                z_l.extend(low);
            }
            run.begin_at(&z_h, &z_l)?;
        }
        if self.items.iter().any(|(_, item)| item.update_noise != 0.0) {
            let items = self.items.iter();
            let noise: Vec<UpdateNoise> = items
                .map(|(_, item)| UpdateNoise {
                    seed: item.seed as u32,
                    deviation: item.update_noise,
                })
                .collect();
            run.set_noise(&noise).await?;
        }
        Ok(run)
    }

    /// Runs one segment; returns the reports of those that are not done.
    async fn segment(&mut self, each: bool) -> Result<Vec<(usize, SegmentReport)>, EngineError> {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.start().await?,
        };
        let taps = Taps {
            logits: self.items.iter().any(|(_, item)| item.commits),
            states: false,
        };
        let outputs = run.segment(taps).await?;
        self.segment += 1;
        let mut reports = Vec::new();
        let watched = self.items.iter().zip(&mut self.watched);
        for (place, (mut output, ((index, _), watched))) in
            outputs.into_iter().zip(watched).enumerate()
        {
            if each && watched.solved {
                continue;
            }
            let image = output.tokens.clone();
            if let Some(back) = &watched.back {
                output.tokens = back.apply_tokens(&output.tokens);
            }
            let mut report = watched.observer.observe(&output);
            watched.solved = report.solved;
            if let Some(committer) = &mut watched.committer {
                // What the run has seen is told, not what it will see next.
                report.committed = committer.cells();
                output.tokens = image;
                let turn = if report.solved {
                    Move::Stay
                } else {
                    committer.after(&output)
                };
                match turn {
                    Move::Stay => {}
                    Move::Commit(tokens) => run.rewrite(place, &tokens)?,
                    Move::Restart(tokens) => {
                        run.replace(place, &tokens)?;
                        watched.back = Some(committer.symmetry().inverse());
                    }
                }
            }
            reports.push((*index, report));
        }
        self.run = Some(run);
        Ok(reports)
    }
}

/// The commitments of an item, by draws of its own.
fn committer(item: &Item, index: usize) -> Committer<Board> {
    let identity = || Symmetry::identity(item.puzzle.shape());
    let symmetry = item.symmetry.clone().unwrap_or_else(identity);
    let draws = (item.seed, index as u64);
    Committer::new(Commitment::default(), item.puzzle.clone(), symmetry, draws)
}
