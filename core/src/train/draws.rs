//! What a step draws, row by row: a row's numbers depend on the step and its
//! place in the batch alone, not on how the batch is divided.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::act::Example;
use crate::noise::add_normal;
use crate::plan::Plan;
use crate::puzzle::TOKEN_BLANK;

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
            #[cfg(feature = "burn")]
            seed: self.seed.wrapping_add(first as u64),
        }
    }
}

/// Noise at the updates of some rows.
#[derive(Debug)]
pub struct Noise {
    /// Its standard deviation.
    pub(crate) deviation: f32,
    /// A generator for each row; empty without noise.
    rows: Vec<ChaCha8Rng>,
    /// For a device's own generator.
    #[cfg(feature = "burn")]
    pub(crate) seed: u64,
}

impl Noise {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            deviation: 0.0,
            rows: Vec::new(),
            #[cfg(feature = "burn")]
            seed: 0,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.rows.is_empty()
    }

    /// Disturbs states `[rows, positions, hidden]` on the host.
    pub(super) fn add(&mut self, states: &mut [f32]) {
        let width = states.len() / self.rows.len().max(1);
        let states = states.chunks_exact_mut(width.max(1));
        for (rng, state) in self.rows.iter_mut().zip(states) {
            add_normal(rng, self.deviation, state);
        }
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
}
