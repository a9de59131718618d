//! Several runs at once: guesses and experiments.

use std::rc::Rc;

use hrm_core::engine::EngineError;
use hrm_core::puzzle::AnyPuzzle;
use hrm_core::reason::lab::{Item, LabEvent};
use hrm_core::reason::{Driver, Limits, Stop, Team};

use super::tell;
use crate::engine::Engine;

/// A batch in progress.
pub(crate) struct Batch {
    driver: Driver<AnyPuzzle>,
    stop: Stop,
    /// Whether a run has ended it for all.
    ended: bool,
}

impl Batch {
    /// A batch of items, each with its index and the engine that runs it.
    pub(crate) fn new(
        items: Vec<(usize, Rc<Engine>, Item)>,
        limits: Limits,
    ) -> Result<Self, EngineError> {
        // Runs of as many as an engine does at once.
        let mut runs: Vec<(Rc<Engine>, Vec<Team<AnyPuzzle>>)> = Vec::new();
        for (index, engine, item) in items {
            let team = Team::of_one(item.job(index)?);
            let open = runs
                .iter_mut()
                .rfind(|(known, teams)| Rc::ptr_eq(known, &engine) && teams.len() < engine.batch());
            match open {
                Some((_, teams)) => teams.push(team),
                None => runs.push((engine, vec![team])),
            }
        }
        let mut driver = Driver::new(limits);
        for (engine, teams) in runs {
            driver.add(engine.shared(), teams.len(), teams);
        }
        Ok(Self {
            driver,
            stop: limits.stop,
            ended: false,
        })
    }

    /// Whether all shares of the batch have ended with this one.
    pub(crate) fn ends_all(&self) -> bool {
        self.ended
    }

    /// Runs one segment of one run and tells of it as news of that job.
    /// Returns whether the batch is complete.
    pub(crate) async fn work(&mut self, job: u32) -> Result<bool, EngineError> {
        let Some(step) = self.driver.step(&mut |_| None).await? else {
            return Ok(true);
        };
        let solved = step.reports.iter().any(|(_, report)| report.solved);
        self.ended = solved && self.stop == Stop::FirstSolved;
        let reports = step.reports;
        tell(LabEvent::Batch { job, reports });
        Ok(self.ended || self.driver.is_idle())
    }
}
