//! What makes one guess at a puzzle differ from another.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::images::Images;
use crate::plan::Start;

/// How a puzzle's guesses are made to differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perturbation {
    /// Images of the puzzle.
    pub images: Images,
    /// Standard deviation of Gaussian noise added to every element of both
    /// initial states. States have a root mean square of about 1.
    pub initial_noise: f64,
    /// The same, added to the new state after every module call.
    pub update_noise: f64,
    /// Whether initial states are drawn anew, for a model whose initial state
    /// is random; the noise comes on top.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub random_start: bool,
}

impl Perturbation {
    /// The noise of one guess; none for the first guess of a checkpoint,
    /// which is always the plain pass, and without noise.
    #[must_use]
    pub fn noise(
        &self,
        seed: u64,
        puzzle: usize,
        checkpoint: usize,
        guess: usize,
    ) -> Option<Noise> {
        let any = self.initial_noise > 0.0 || self.update_noise > 0.0 || self.random_start;
        (guess > 0 && any).then(|| {
            // Another key than the symmetries'.
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x006e_6f69_7365);
            // 10,000 guesses fit in 14 bits.
            rng.set_stream((puzzle as u64) << 24 | (checkpoint as u64) << 14 | guess as u64);
            Noise {
                rng,
                initial: self.initial_noise as f32,
                update: self.update_noise as f32,
                random_start: self.random_start,
            }
        })
    }
}

/// Gaussian noise for one guess.
#[derive(Debug, Clone)]
pub struct Noise {
    rng: ChaCha8Rng,
    initial: f32,
    update: f32,
    random_start: bool,
}

impl Noise {
    /// Disturbs an initial state, or draws another.
    pub fn disturb_initial(&mut self, state: &mut [f32]) {
        if self.random_start {
            state.copy_from_slice(&Start::draw(state.len(), &mut self.rng));
        }
        add_normal(&mut self.rng, self.initial, state);
    }

    /// Disturbs a state after a module call.
    pub fn disturb_update(&mut self, state: &mut [f32]) {
        add_normal(&mut self.rng, self.update, state);
    }

    /// Whether initial states are disturbed or drawn.
    #[must_use]
    pub fn disturbs_start(&self) -> bool {
        self.initial > 0.0 || self.random_start
    }

    /// Whether updates are disturbed.
    #[must_use]
    pub fn disturbs_updates(&self) -> bool {
        self.update > 0.0
    }
}

/// Adds `deviation` times independent standard normal numbers.
pub fn add_normal<R: Rng + ?Sized>(rng: &mut R, deviation: f32, state: &mut [f32]) {
    if deviation == 0.0 {
        return;
    }
    for pair in state.chunks_mut(2) {
        for (x, normal) in pair.iter_mut().zip(normal_pair(rng)) {
            *x += deviation * normal;
        }
    }
}

/// Two independent standard normal numbers (Box and Muller).
fn normal_pair<R: Rng + ?Sized>(rng: &mut R) -> [f32; 2] {
    // In (0, 1], so that its logarithm is finite.
    let u = 1.0 - rng.random::<f64>();
    let angle = std::f64::consts::TAU * rng.random::<f64>();
    let radius = (-2.0 * u.ln()).sqrt();
    [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_normal_and_its_own_for_every_guess() {
        let perturbation = Perturbation {
            images: Images::Identity,
            initial_noise: 0.5,
            update_noise: 0.0,
            random_start: false,
        };
        assert!(perturbation.noise(1, 2, 0, 0).is_none(), "the plain pass");
        let draw = |puzzle, checkpoint, guess| {
            let mut state = vec![0.0; 20_001];
            let mut noise = perturbation.noise(1, puzzle, checkpoint, guess).unwrap();
            noise.disturb_initial(&mut state);
            noise.disturb_update(&mut state);
            state
        };
        let state = draw(2, 0, 1);
        let n = state.len() as f64;
        let moment = |k: i32| state.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / n;
        // Standard errors: 0.0035, 0.0025 and 0.004.
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 0.25).abs() < 0.015, "{}", moment(2));
        assert!((moment(4) - 3.0 / 16.0).abs() < 0.03, "{}", moment(4));
        assert_eq!(state, draw(2, 0, 1));
        for other in [draw(3, 0, 1), draw(2, 1, 1), draw(2, 0, 2)] {
            assert_ne!(state, other);
        }
    }

    #[test]
    fn random_starts_replace_the_state_and_differ_by_guess() {
        let perturbation = Perturbation {
            images: Images::Identity,
            initial_noise: 0.0,
            update_noise: 0.0,
            random_start: true,
        };
        assert!(perturbation.noise(1, 2, 0, 0).is_none(), "the plain pass");
        let start = |guess, before: f32| {
            let mut state = vec![before; 1000];
            let mut noise = perturbation.noise(1, 2, 0, guess).unwrap();
            assert!(noise.disturbs_start() && !noise.disturbs_updates());
            noise.disturb_initial(&mut state);
            state
        };
        assert_eq!(start(1, 0.0), start(1, 9.0));
        assert_ne!(start(1, 0.0), start(2, 0.0));
        // A normal of deviation 1 cut at two of the uncut one's.
        assert!(start(1, 9.0).iter().all(|v| v.abs() < 2.28));
    }
}
