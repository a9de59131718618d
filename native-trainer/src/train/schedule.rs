//! What changes while a run goes on: learning rate and depth.

use hrm_core::train::Fall;

use super::config::{Schedule, TrainConfig};

impl TrainConfig {
    /// Segments of a step with `--supervision last`; `longest` are those of
    /// the architecture. They are at their most from `depth_share` of the run
    /// on, and in a run without an end.
    pub(crate) fn depth_at(&self, step: u64, seconds: f64, longest: usize) -> usize {
        let depth = self.depth.unwrap_or(longest);
        let start = self.depth_start.unwrap_or(depth).min(depth);
        let grown = match self.progress(step, seconds) {
            Some(done) if done < self.depth_share => done / self.depth_share,
            _ => 1.0,
        };
        // The shares of whole stages are often a rounding below them.
        depth.min(start + ((depth - start + 1) as f64 * grown + 1e-9) as usize)
    }

    /// Steps that the run has, if that is how its length is given: by `steps`, by
    /// `epochs`, or the fewer of both.
    pub(crate) fn total_steps(&self) -> Option<u64> {
        match (self.steps, self.epoch_steps) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Takes the number of training puzzles, which says how long an epoch is: an epoch
    /// draws as many rows, and every step draws a full batch (rows for sequences that
    /// have not halted are dropped, as in the reference).
    pub(crate) fn count_epochs(&mut self, puzzles: usize) {
        self.epoch_steps = self
            .epochs
            .map(|epochs| epochs.saturating_mul(puzzles as u64) / self.batch_size as u64);
    }

    /// Share of the run that is done, by steps or by time, whichever is
    /// further; none for a run without an end.
    pub(crate) fn progress(&self, step: u64, seconds: f64) -> Option<f64> {
        let by_steps = self.total_steps().map(|steps| {
            if step < steps {
                step as f64 / steps as f64
            } else {
                1.0
            }
        });
        let by_time = self
            .minutes
            .map(|minutes| seconds / (minutes * 60.0).max(1e-9));
        match (by_steps, by_time) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }

    /// Factor on every learning rate at `step`, counted from 0.
    pub(crate) fn lr_factor(&self, step: u64, seconds: f64) -> f64 {
        let schedule = hrm_core::train::Schedule {
            fall: match self.schedule {
                Schedule::Constant => Fall::Constant,
                Schedule::Linear => Fall::Linear,
                Schedule::Cosine => Fall::Cosine,
            },
            warmup: self.warmup,
            floor: self.lr_floor,
            share: self.decay_share,
        };
        schedule.factor(step, self.progress(step, seconds), self.total_steps())
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;

    #[test]
    fn the_rate_follows_the_options() {
        let args = "--data a.csv --steps 1000 --warmup 10 --schedule linear";
        let args: Vec<&str> = args.split(' ').collect();
        let config = parse(&args).config(None).unwrap();
        assert!((config.lr_factor(0, 0.0) - 0.1).abs() < 1e-12);
        assert!((config.lr_factor(800, 0.0) - 0.51).abs() < 1e-12);
        let cosine = [&args[..6], &["--schedule", "cosine", "--lr-floor", "0.1"]].concat();
        let config = parse(&cosine).config(None).unwrap();
        assert!((config.lr_factor(505, 0.0) - 0.55).abs() < 1e-12);
    }

    #[test]
    fn depth_grows_one_by_one_and_then_stays() {
        let args = "--data a.csv --steps 1000 --supervision last --depth 6 --depth-start 3";
        let args: Vec<&str> = args.split(' ').chain(["--depth-share", "0.8"]).collect();
        let config = parse(&args).config(None).unwrap();
        let at = |step| config.depth_at(step, 0.0, 16);
        assert_eq!([at(0), at(199), at(200), at(400)], [3, 3, 4, 5]);
        assert_eq!([at(600), at(799), at(1000)], [6, 6, 6]);
        let constant = parse(&args[..6]).config(None).unwrap();
        assert_eq!(constant.depth_at(0, 0.0, 16), 16);
    }

    #[test]
    fn epochs_count_rows_drawn() {
        let mut config = parse(&["--data", "a.csv", "--epochs", "20000"])
            .config(None)
            .unwrap();
        assert_eq!(config.total_steps(), None);
        config.count_epochs(1000);
        // The published run: 20,000 epochs of 1,000 groups at batch 768.
        assert_eq!(config.total_steps(), Some(26_041));
        config.steps = Some(5);
        assert_eq!(config.total_steps(), Some(5));
    }
}
