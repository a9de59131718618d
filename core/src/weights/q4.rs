//! Four bits a weight: groups along a row share an f16 scale, and rounding
//! is chosen so that the layer's *output* moves least.

use half::f16;

use super::Moments;
use super::rounding::{Steps, round_matrix};
use super::{Tensor, Values};

/// Weights along a row that share a scale.
pub const Q4_GROUP: usize = 32;

/// Groups in a row of `depth` weights; the last may be short.
#[must_use]
pub fn q4_groups(depth: usize) -> usize {
    depth.div_ceil(Q4_GROUP)
}

/// Bytes of a row of `depth` weights, whole groups.
#[must_use]
pub fn q4_row_bytes(depth: usize) -> usize {
    q4_groups(depth) * Q4_GROUP / 2
}

/// A row's weights in f32 from its bytes and scales.
pub(super) fn expand_row<'a>(
    bytes: &'a [u8],
    scales: &'a [f16],
    depth: usize,
) -> impl Iterator<Item = f32> + 'a {
    (0..depth).map(move |k| f32::from(nibble(bytes, k)) * scales[k / Q4_GROUP].to_f32())
}

/// The integer in -8..=7 of one weight of a row.
fn nibble(bytes: &[u8], k: usize) -> i8 {
    (bytes[k / 2] >> (4 * (k % 2)) & 15).cast_signed() - 8
}

/// What 4 bits hold. Steps clip the largest weight of a group more or less,
/// and are of both signs because there is one more negative integer than
/// positive ones. The extreme lands on -8 at 8, is clipped above and has room
/// below.
const STEPS: Steps = Steps {
    least: -8.0,
    most: 7.0,
    candidates: |extreme| {
        let places = (60..=96).flat_map(|tenth| [-0.1, 0.1].map(|part| part * f64::from(tenth)));
        let steps = places.map(|place| f16::from_f64(extreme / place));
        let finite = steps.filter(|step| step.is_finite());
        finite.map(|step| f64::from(step.to_f32())).collect()
    },
};

/// Quantizes a matrix `[rows, depth]`, as [`super::rounding`] says. Without
/// statistics all inputs count alike and nothing is made up for.
#[must_use]
pub fn quantize_q4(values: &[f32], [rows, depth]: [usize; 2], inputs: Option<&Moments>) -> Tensor {
    let (ints, steps) = round_matrix(values, [rows, depth], Q4_GROUP, inputs, &STEPS);
    let row_bytes = q4_row_bytes(depth);
    let mut bytes = vec![0x88u8; rows * row_bytes];
    for (out, ints) in bytes.chunks_mut(row_bytes).zip(ints.chunks(depth)) {
        for (k, &int) in ints.iter().enumerate() {
            let shift = 4 * (k % 2);
            out[k / 2] = out[k / 2] & !(15 << shift) | ((int + 8) as u8) << shift;
        }
    }
    Tensor {
        shape: vec![rows, depth],
        values: Values::Q4 {
            values: bytes,
            scales: steps.into_iter().map(f16::from_f64).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Inputs that are correlated and of unequal size, as activations are.
    fn sample(depth: usize, rows: usize) -> (Vec<f32>, Moments) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut x = Vec::new();
        for _ in 0..rows {
            let common: f32 = rng.random_range(-1.0..1.0);
            x.extend(
                (0..depth).map(|k| {
                    (common + 0.5 * rng.random_range(-1.0f32..1.0)) * (1.0 + (k % 7) as f32)
                }),
            );
        }
        let mut sums = vec![0.0; depth * depth];
        for row in x.chunks_exact(depth) {
            for (i, a) in row.iter().enumerate() {
                for (sum, b) in sums[i * depth..].iter_mut().zip(row) {
                    *sum += a * b;
                }
            }
        }
        (x, Moments { sums, rows })
    }

    #[test]
    fn statistics_make_outputs_better_and_weights_worse() {
        let (rows, depth) = (24, 45);
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let weights: Vec<f32> = (0..rows * depth)
            .map(|_| rng.random_range(-1.0f32..1.0))
            .collect();
        let (x, moments) = sample(depth, 400);
        let error = |tensor: &Tensor| -> (f64, f64) {
            let found = tensor.dense();
            let delta: Vec<f64> = weights
                .iter()
                .zip(found.iter())
                .map(|(a, b)| f64::from(a - b))
                .collect();
            let outputs = x
                .chunks_exact(depth)
                .flat_map(|x| delta.chunks_exact(depth).map(move |d| (x, d)))
                .map(|(x, d)| {
                    x.iter()
                        .zip(d)
                        .map(|(&x, d)| f64::from(x) * d)
                        .sum::<f64>()
                        .powi(2)
                })
                .sum::<f64>();
            (outputs, delta.iter().map(|d| d * d).sum())
        };
        let plain = error(&quantize_q4(&weights, [rows, depth], None));
        let informed = error(&quantize_q4(&weights, [rows, depth], Some(&moments)));
        assert!(informed.0 < 0.3 * plain.0, "{informed:?} {plain:?}");
        assert!(informed.1 > plain.1);
        // A step of the largest group is 2 / 15 at most; plain rounding stays
        // within one even where the search chose to clip.
        let worst = weights
            .iter()
            .zip(quantize_q4(&weights, [rows, depth], None).dense().iter())
            .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst < 2.0 / 15.0, "{worst}");
    }

    #[test]
    fn eight_bits_gain_from_statistics_too() {
        let (rows, depth) = (24, 45);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let weights: Vec<f32> = (0..rows * depth)
            .map(|_| rng.random_range(-1.0f32..1.0))
            .collect();
        let (x, moments) = sample(depth, 400);
        let tensor = Tensor {
            shape: vec![rows, depth],
            values: Values::F32(weights.clone()),
        };
        let error = |tensor: &Tensor| -> f64 {
            let found = tensor.dense();
            let moved = |(x, row): (&[f32], usize)| -> f64 {
                let terms = x.iter().enumerate().map(|(k, &x)| {
                    let at = row * depth + k;
                    f64::from(x) * f64::from(weights[at] - found[at])
                });
                terms.sum::<f64>().powi(2)
            };
            x.chunks_exact(depth)
                .flat_map(|x| (0..rows).map(move |row| (x, row)))
                .map(moved)
                .sum()
        };
        let (plain, informed) = (tensor.to_q8(), tensor.to_q8_calibrated(&moments));
        assert!(error(&informed) < 0.3 * error(&plain));
        assert_eq!(plain.bytes(), informed.bytes());
    }

    #[test]
    fn degenerate_inputs_and_weights_are_no_trouble() {
        let moments = Moments {
            sums: vec![0.0; 9],
            rows: 4,
        };
        let tensor = quantize_q4(&[0.0, 0.0, 0.0, 1.0, -2.0, 0.5], [2, 3], Some(&moments));
        let found = tensor.dense();
        assert_eq!(&found[..3], [0.0; 3]);
        assert!((found[4] + 2.0).abs() < 0.1, "{found:?}");
    }
}
