//! Batches that are ready before they are asked for.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hrm_core::train::{Example, Sampler};

/// Batches that wait at most.
const AHEAD: usize = 4;

/// The batches of a run from some step on, prepared on a thread of their own. Step
/// `s` has the rows at positions `s * batch` and following, so that what a batch
/// holds does not depend on how far ahead the thread is.
pub(super) struct Feed {
    batches: Receiver<Vec<Example>>,
    waited: Duration,
}

impl Feed {
    /// Starts preparing the batch of step `first` and those after it.
    pub(super) fn start(mut sampler: Sampler, batch: usize, first: u64) -> Result<Self> {
        let (sender, batches) = sync_channel(AHEAD);
        thread::Builder::new()
            .name("data".to_owned())
            .spawn(move || {
                for step in first.. {
                    let start = step * batch as u64;
                    let rows = (0..batch as u64).map(|row| sampler.draw(start + row));
                    // Nobody listens any more: the run is over.
                    if sender.send(rows.collect()).is_err() {
                        return;
                    }
                }
            })
            .context("starting the thread that prepares data")?;
        Ok(Self {
            batches,
            waited: Duration::ZERO,
        })
    }

    /// The next step's batch, one puzzle a row.
    pub(super) fn next(&mut self) -> Result<Vec<Example>> {
        let begun = Instant::now();
        let batch = self.batches.recv();
        self.waited += begun.elapsed();
        batch.context("the thread that prepares data has failed")
    }

    /// The time spent waiting since this was last asked.
    pub(super) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}

#[cfg(test)]
mod tests {
    use hrm_core::puzzle::Shape;

    use super::super::args::tests::parse;
    use super::super::data::{Reading, Set};
    use super::*;
    use hrm_core::train::held_out::Side;

    #[test]
    fn batches_are_the_stream_from_any_step_on() {
        let config = parse(&["--data", "x", "--hints", "0.5"])
            .config(None)
            .unwrap();
        let name = ["generate:sudoku-4x4".to_owned()];
        let set = Set::load(
            &name,
            &Reading::default(),
            Shape::S4.into(),
            10,
            1,
            Side::Training,
        )
        .unwrap();
        let sampler = || Sampler::new(set.rows.clone(), 5, config.variation()).unwrap();
        let mut direct = sampler();
        let mut whole = Feed::start(sampler(), 3, 0).unwrap();
        let mut resumed = Feed::start(sampler(), 3, 7).unwrap();
        for step in 0..12 {
            let batch = whole.next().unwrap();
            let expected: Vec<Example> = (0..3).map(|row| direct.draw(3 * step + row)).collect();
            assert_eq!(batch, expected);
            if step >= 7 {
                assert_eq!(resumed.next().unwrap(), expected);
            }
        }
        assert!(whole.take_waited() > Duration::ZERO);
        assert_eq!(whole.take_waited(), Duration::ZERO);
    }
}
