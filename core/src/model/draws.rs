//! What a step draws, row by row: a row's numbers depend on the step and its
//! place in the batch alone, not on how the batch is divided.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Distribution, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::act::Example;
use crate::plan::Plan;
use crate::puzzle::TOKEN_BLANK;
use crate::reason::perturb::add_normal;

/// Held while a device is seeded and draws: some backends have one generator
/// for all threads.
static DEVICE_GENERATOR: Mutex<()> = Mutex::new(());

/// The random numbers of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws {
    /// From the trainer's generator, whose position is saved.
    pub(super) seed: u64,
    /// Standard deviation of the noise at every update.
    pub(super) noise: f32,
    /// Share of the beginning rows with a corrupted answer.
    pub(super) corrupted: f64,
}

impl Draws {
    /// The generator of a row of states, one for each purpose.
    fn rng(self, row: usize, purpose: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((row as u64) << 1 | purpose);
        rng
    }

    /// Initial `z_H` and `z_L` of the rows of states from `first` on, `[rows,
    /// positions, hidden]` each, where they are drawn; zero in rows that don't
    /// begin. The `chains` of a puzzle, which stand together, have the first
    /// one's `z_H`.
    pub(super) fn starts(
        self,
        plan: &Plan,
        first: usize,
        chains: usize,
        begins: &[bool],
    ) -> [Vec<f32>; 2] {
        let size = plan.positions * plan.hidden;
        let [mut high, mut low] = [(); 2].map(|()| vec![0.0; begins.len() * size]);
        for (i, _) in begins.iter().enumerate().filter(|(_, begins)| **begins) {
            let [h, l] = plan.initial_states(|_| Vec::new().into(), &mut self.rng(first + i, 0));
            low[i * size..(i + 1) * size].copy_from_slice(&l);
            if (first + i).is_multiple_of(chains) {
                let own = &mut high[i * size..];
                for chain in own.chunks_exact_mut(size).take(chains) {
                    chain.copy_from_slice(&h);
                }
            }
        }
        [high, low]
    }

    /// The answer that a beginning row is given as its last one, `[cells,
    /// symbols]`: none for most.
    pub(super) fn corrupted(self, plan: &Plan, row: usize, example: &Example) -> Option<Vec<f32>> {
        if self.corrupted == 0.0 {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(!(row as u64));
        if !rng.random_bool(self.corrupted) {
            return None;
        }
        let answers = plan.heads.answers;
        let level: f64 = rng.random();
        let mut given = vec![0.0; example.label.len() * answers.count];
        let cells = given.chunks_exact_mut(answers.count);
        for ((cell, &question), &label) in cells.zip(&example.input).zip(&example.label) {
            let replaced = question == TOKEN_BLANK && rng.random_bool(level);
            let symbol = if replaced {
                rng.random_range(0..answers.count)
            } else {
                usize::from(label.saturating_sub(answers.first))
            };
            cell[symbol] = 1.0;
        }
        Some(given)
    }

    /// The noise on the rows of states from `first` on.
    pub(super) fn noise(self, first: usize, rows: usize) -> Noise {
        let rows = if self.noise > 0.0 { rows } else { 0 };
        Noise {
            deviation: self.noise,
            rows: (first..first + rows).map(|row| self.rng(row, 1)).collect(),
            seed: self.seed.wrapping_add(first as u64),
            drawn: 0,
        }
    }
}

/// Noise at the updates of some rows.
#[derive(Debug)]
pub(super) struct Noise {
    deviation: f32,
    /// A generator for each row; empty without noise.
    rows: Vec<ChaCha8Rng>,
    /// For a device's own generator.
    seed: u64,
    /// Tensors drawn there so far.
    drawn: u64,
}

impl Noise {
    /// None at all.
    pub(super) fn none() -> Self {
        Self {
            deviation: 0.0,
            rows: Vec::new(),
            seed: 0,
            drawn: 0,
        }
    }

    /// Disturbs states `[rows, positions, hidden]` on the host.
    pub(super) fn add(&mut self, states: &mut [f32]) {
        let width = states.len() / self.rows.len().max(1);
        for (rng, state) in self
            .rows
            .iter_mut()
            .zip(states.chunks_exact_mut(width.max(1)))
        {
            add_normal(rng, self.deviation, state);
        }
    }

    /// Noise for states of this shape, drawn by the device itself: the host's
    /// generator would hold a GPU up.
    pub(super) fn tensor(&mut self, shape: [usize; 3], device: &Device) -> Option<Tensor<3>> {
        if self.rows.is_empty() {
            return None;
        }
        self.drawn += 1;
        // Far from what the steps before and after draw, as their seeds are
        // random themselves.
        let seed = self.seed ^ self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _held = DEVICE_GENERATOR
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        device.seed(seed);
        let normal = Distribution::Normal(0.0, f64::from(self.deviation));
        Some(Tensor::random(shape, normal, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::puzzle::Shape;

    #[test]
    fn a_row_draws_the_same_however_the_batch_is_divided() {
        let plan = Plan::new(&ModelConfig::eqr(Shape::S4, 16, 8)).unwrap();
        let size = plan.positions * plan.hidden;
        let draws = Draws {
            seed: 7,
            noise: 0.5,
            corrupted: 0.0,
        };
        let [whole, _] = draws.starts(&plan, 0, 1, &[true, false, true, true]);
        let [part, low] = draws.starts(&plan, 2, 1, &[true, true]);
        assert_eq!(whole[2 * size..], part);
        assert!(whole[size..2 * size].iter().all(|v| *v == 0.0));
        assert_ne!(part, low);
        let [high, low] = draws.starts(&plan, 2, 2, &[true, true, false, false]);
        assert_eq!(high[..size], high[size..2 * size]);
        assert_ne!(low[..size], low[size..2 * size]);
        assert!(high[2 * size..].iter().all(|v| *v == 0.0));

        let noise = |first, rows: usize| {
            let mut noise = draws.noise(first, rows);
            let mut states = vec![0.0; rows * size];
            noise.add(&mut states);
            noise.add(&mut states);
            states
        };
        assert_eq!(noise(0, 4)[2 * size..], noise(2, 2));
        assert_ne!(noise(0, 1), noise(1, 1));
    }

    #[test]
    fn a_device_draws_normal_noise_that_can_be_repeated() {
        let device = Device::flex();
        let draw = |seed| {
            let draws = Draws {
                seed,
                noise: 0.5,
                corrupted: 0.0,
            };
            let mut noise = draws.noise(0, 4);
            let mut next = || -> Vec<f32> {
                let tensor = noise.tensor([4, 50, 50], &device).unwrap();
                tensor.try_into_vec_as().unwrap()
            };
            [next(), next()]
        };
        let [first, second] = draw(3);
        assert_ne!(first, second);
        assert_eq!([first.clone(), second], draw(3));
        assert_ne!(draw(4)[0], first);
        let mean = |k: i32| {
            let powers = first.iter().map(|v| f64::from(*v).powi(k));
            powers.sum::<f64>() / first.len() as f64
        };
        // 10,000 values: standard errors 0.005 and 0.0035.
        assert!(mean(1).abs() < 0.03 && (mean(2) - 0.25).abs() < 0.02);
        assert!(Noise::none().tensor([1, 1, 1], &device).is_none());
    }
}
