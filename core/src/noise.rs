//! Gaussian noise on states, drawn from counters: whichever processor
//! computes, and whatever shares a batch, the same run gets the same noise.
//!
//! Noise makes guesses differ, and between the updates it lets a trapped run
//! out of its false fixed point (Langevin steps of EqR, guided noise of PTRM).

use rand::Rng;

/// Values that one draw gives.
pub const LANES: usize = 4;

/// The noise on the states of one sequence: every element gets a draw of a
/// normal distribution added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// The same seed gives the same noise.
    pub seed: u32,
    /// Standard deviation; that of a normalised state is 1.
    pub deviation: f32,
}

impl Noise {
    /// No noise.
    pub const NONE: Self = Self {
        seed: 0,
        deviation: 0.0,
    };

    /// Adds the noise of the run's `update`-th update to a state,
    /// `[positions, hidden]`.
    pub fn add(&self, update: u32, hidden: usize, state: &mut [f32]) {
        if self.deviation == 0.0 {
            return;
        }
        for (position, row) in state.chunks_mut(hidden).enumerate() {
            for (lane, values) in row.chunks_mut(LANES).enumerate() {
                let draws = normals([self.seed, update, position as u32, lane as u32]);
                for (value, draw) in values.iter_mut().zip(draws) {
                    *value += self.deviation * draw;
                }
            }
        }
    }

    /// Adds noise between segments to `z_H` and `z_L`, `[positions, hidden]`
    /// each: after the segment of that number, or before the first one (0).
    /// Its counters are far beyond those of a run's updates.
    pub fn add_between(&self, segment: u32, hidden: usize, states: &mut [Vec<f32>; 2]) {
        for (level, state) in (0..).zip(states) {
            self.add(u32::MAX - 2 * segment - level, hidden, state);
        }
    }
}

/// A seed that depends on all of these words.
#[must_use]
pub fn seed(words: [u32; 4]) -> u32 {
    hash(words)[0]
}

/// Adds `deviation` times standard normal draws of a generator.
pub fn add_normal<R: Rng + ?Sized>(rng: &mut R, deviation: f32, state: &mut [f32]) {
    if deviation == 0.0 {
        return;
    }
    for values in state.chunks_mut(LANES) {
        let words = [(); LANES].map(|()| rng.random());
        for (value, draw) in values.iter_mut().zip(box_muller(words)) {
            *value += deviation * draw;
        }
    }
}

/// Four independent draws of the standard normal distribution for a counter.
#[must_use]
pub fn normals(counter: [u32; 4]) -> [f32; LANES] {
    box_muller(hash(counter))
}

/// Four independent draws of the standard normal distribution from as many
/// uniform words (Box and Muller, 1958).
fn box_muller(words: [u32; 4]) -> [f32; LANES] {
    // Of 24 bits, so that f32 holds them exactly and the logarithm's argument
    // is never 0.
    let [a, b, c, d] = words.map(|word| (word >> 8) as f32 / (1 << 24) as f32);
    let pair = |radius: f32, angle: f32| {
        let radius = (-2.0 * (1.0 - radius).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * angle).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([w, x], [y, z]) = (pair(a, b), pair(c, d));
    [w, x, y, z]
}

/// The hash `pcg4d` of "Hash Functions for GPU Rendering" (Jarzynski and
/// Olano, JCGT 9(3), 2020): a few multiplications, alike in WGSL.
fn hash(counter: [u32; 4]) -> [u32; 4] {
    let mix = |[mut x, mut y, mut z, mut w]: [u32; 4]| {
        x = x.wrapping_add(y.wrapping_mul(w));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        w = w.wrapping_add(y.wrapping_mul(z));
        [x, y, z, w]
    };
    let spread = counter.map(|word| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix(mix(spread).map(|word| word ^ (word >> 16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_normal_and_independent() {
        let draws: Vec<[f32; 4]> = (0..50_000)
            .map(|i| normals([3, 7, i / 32, i % 32]))
            .collect();
        let n = draws.len() as f64;
        let mean = |f: &dyn Fn(&[f32; 4]) -> f64| draws.iter().map(f).sum::<f64>() / n;
        for lane in 0..4 {
            let power = |p: i32| mean(&|d| f64::from(d[lane]).powi(p));
            // Within five standard errors of the moments 0, 1, 0 and 3.
            for (p, moment, variance) in
                [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
            {
                let off = (power(p) - moment).abs() / f64::sqrt(variance / n);
                assert!(off < 5.0, "lane {lane}, moment {p}: {off} standard errors");
            }
            let next = (lane + 1) % 4;
            let product = mean(&|d| f64::from(d[lane]) * f64::from(d[next]));
            assert!(
                product.abs() * n.sqrt() < 5.0,
                "lanes {lane} and {next}: {product}"
            );
        }
        let neighbours = draws
            .windows(2)
            .map(|d| f64::from(d[0][0]) * f64::from(d[1][0]));
        assert!((neighbours.sum::<f64>() / n).abs() * n.sqrt() < 5.0);
    }

    #[test]
    fn every_counter_counts() {
        let first = normals([1, 2, 3, 4]);
        for place in 0..4 {
            let mut counter = [1, 2, 3, 4];
            counter[place] += 1;
            assert_ne!(normals(counter), first, "word {place}");
        }
        assert!(normals([0; 4]).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn noise_without_deviation_changes_nothing() {
        let mut state = vec![1.0; 12];
        let noise = |deviation| Noise { seed: 5, deviation };
        noise(0.0).add(0, 6, &mut state);
        assert_eq!(state, [1.0; 12]);
        noise(0.5).add(0, 6, &mut state);
        let (first, second) = state.split_at(6);
        assert!(first.iter().all(|&v| v != 1.0));
        assert_ne!(first, second);
    }

    #[test]
    fn noise_between_segments_is_of_its_own() {
        let noise = Noise {
            seed: 5,
            deviation: 1.0,
        };
        let between = |segment| {
            let mut states = [vec![0.0; 12], vec![0.0; 12]];
            noise.add_between(segment, 6, &mut states);
            states
        };
        let mut update = vec![0.0; 12];
        noise.add(0, 6, &mut update);
        let mut all = vec![update];
        all.extend(between(0));
        all.extend(between(1));
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one));
        }
        assert_eq!(between(1), between(1));
    }

    #[test]
    fn draws_of_a_generator_are_normal() {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut state = vec![0.0; 20_001];
        add_normal(&mut rng, 0.5, &mut state);
        add_normal(&mut rng, 0.0, &mut state);
        let n = state.len() as f64;
        let moment = |k: i32| state.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / n;
        // Standard errors: 0.0035, 0.0025 and 0.004.
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 0.25).abs() < 0.015, "{}", moment(2));
        assert!((moment(4) - 3.0 / 16.0).abs() < 0.03, "{}", moment(4));
    }
}
