//! How a recurrence is trained, where that is not HRM's way.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::draws::Draws;
use crate::plan::{Plan, Start};

/// Which segments' answers are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supervision {
    /// That of every segment, one a step; a row goes on with its puzzle until
    /// it halts (HRM's deep supervision).
    #[default]
    Every,
    /// That of the last segment alone: in a step every row takes a new puzzle
    /// and runs all its segments, all but the last without gradient (RSM,
    /// arXiv 2603.15641). How many they are is [`super::Trainer::set_depth`]'s
    /// to say, so that they can grow in the course of a run.
    Last,
}

/// Options of training that are HRM's by default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingMethod {
    /// The segments that are trained.
    pub supervision: Supervision,
    /// Standard deviation of Gaussian noise added to every element of a state
    /// after each of its updates (EqR, arXiv 2605.21488: 0.01).
    pub update_noise: f64,
    /// Share of the rows that begin with a corrupted answer in the feedback:
    /// the puzzle's own, each blank cell's symbol replaced by a random one
    /// with a probability drawn for the row.
    #[serde(default)]
    pub corrupted: f64,
    /// Initial states of each puzzle, alike in `z_H`. Each is a chain of its
    /// own, and only the one whose cells' loss is lowest after a segment is
    /// trained; its `z_H` is then every chain's, while each keeps its `z_L`
    /// (winner-take-all, arXiv 2601.19085: 4).
    pub chains: usize,
}

impl Default for TrainingMethod {
    fn default() -> Self {
        Self {
            supervision: Supervision::Every,
            update_noise: 0.0,
            corrupted: 0.0,
            chains: 1,
        }
    }
}

impl TrainingMethod {
    /// Checks the options against a model.
    ///
    /// # Errors
    /// Names the option that does not suit it, and why.
    pub fn check(&self, plan: &Plan) -> Result<(), TrainError> {
        let fail = |reason: String| Err(TrainError::Method(reason));
        if !(self.update_noise >= 0.0 && self.update_noise.is_finite()) {
            return fail(format!(
                "update_noise is {}, must be a number from 0 up",
                self.update_noise
            ));
        }
        if !(0.0..=1.0).contains(&self.corrupted) {
            return fail(format!(
                "corrupted is {}, must be in [0, 1]",
                self.corrupted
            ));
        }
        if self.corrupted > 0.0 && !plan.feeds_back() {
            return fail(format!(
                "corrupted is {}, but the model has no feedback to begin with",
                self.corrupted
            ));
        }
        if !(1..=64).contains(&self.chains) {
            return fail(format!("chains is {}, must be 1 to 64", self.chains));
        }
        if self.chains > 1 && plan.start != Start::Random && self.update_noise == 0.0 {
            return fail(format!(
                "{} chains would all be the same: the model's initial state is fixed and there is no noise",
                self.chains
            ));
        }
        if self.supervision == Supervision::Last && plan.config.q_continue {
            return fail(
                "with supervision of the last segment alone nothing is ever continued, which the model's q_continue is for".into(),
            );
        }
        Ok(())
    }

    /// A seed of what a step draws; `rng` is asked only where there is any.
    pub(super) fn draw(&self, plan: &Plan, rng: &mut ChaCha8Rng) -> u64 {
        let any = plan.start == Start::Random || self.update_noise > 0.0 || self.corrupted > 0.0;
        if any { rng.random() } else { 0 }
    }

    /// The random numbers of a step with that seed.
    pub(super) fn draws(&self, seed: u64) -> Draws {
        Draws {
            seed,
            noise: self.update_noise as f32,
            corrupted: self.corrupted,
        }
    }
}
