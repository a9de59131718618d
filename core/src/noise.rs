//! Gaussian noise at every update of a state, drawn from counters: whichever
//! processor computes, the same run gets the same noise.
//!
//! Noise between the updates lets a trapped run out of its false fixed point
//! (Langevin steps of EqR, guided noise of PTRM).

use crate::engine::EngineError;

/// Values that one draw gives.
pub const LANES: usize = 4;

/// The noise of one sequence: after an update, every element of the state
/// that it has replaced gets a draw of a normal distribution added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateNoise {
    /// The same seed gives the same noise.
    pub seed: u32,
    /// Standard deviation; that of a normalised state is 1.
    pub deviation: f32,
}

impl UpdateNoise {
    /// No noise.
    pub const NONE: Self = Self {
        seed: 0,
        deviation: 0.0,
    };

    /// Checks that it is the noise of so many sequences, or none.
    ///
    /// # Errors
    /// Says how many there are, or which deviation is no number from 0 up.
    pub fn check(noise: &[Self], batch: usize) -> Result<(), EngineError> {
        let wrong = |sequence, reason| Err(EngineError::Input { sequence, reason });
        if !noise.is_empty() && noise.len() != batch {
            let reason = format!("there is noise for {} sequences of {batch}", noise.len());
            return wrong(noise.len().min(batch), reason);
        }
        let fits = |noise: &Self| noise.deviation >= 0.0 && noise.deviation.is_finite();
        match noise.iter().position(|noise| !fits(noise)) {
            None => Ok(()),
            Some(i) => {
                let deviation = noise[i].deviation;
                wrong(
                    i,
                    format!("the noise's deviation is {deviation}, must be a number from 0 up"),
                )
            }
        }
    }

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
}

/// Four independent draws of the standard normal distribution (Box and
/// Muller, 1958) for a counter.
#[must_use]
pub fn normals(counter: [u32; 4]) -> [f32; LANES] {
    // Of 24 bits, so that f32 holds them exactly and the logarithm's argument
    // is never 0.
    let [a, b, c, d] = hash(counter).map(|word| (word >> 8) as f32 / (1 << 24) as f32);
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
    fn noise_that_does_not_fit_is_refused() {
        let of = |deviation| UpdateNoise { seed: 1, deviation };
        assert!(UpdateNoise::check(&[], 3).is_ok());
        assert!(UpdateNoise::check(&[of(0.1); 3], 3).is_ok());
        let said = |noise: &[UpdateNoise]| UpdateNoise::check(noise, 2).unwrap_err().to_string();
        assert!(said(&[of(0.1)]).contains("for 1 sequences of 2"));
        assert!(said(&[of(0.1), of(f32::NAN)]).contains("deviation is NaN"));
        assert!(said(&[of(-1.0), of(0.0)]).contains("deviation is -1"));
    }

    #[test]
    fn noise_without_deviation_changes_nothing() {
        let mut state = vec![1.0; 12];
        let noise = |deviation| UpdateNoise { seed: 5, deviation };
        noise(0.0).add(0, 6, &mut state);
        assert_eq!(state, [1.0; 12]);
        noise(0.5).add(0, 6, &mut state);
        let (first, second) = state.split_at(6);
        assert!(first.iter().all(|&v| v != 1.0));
        assert_ne!(first, second);
    }
}
