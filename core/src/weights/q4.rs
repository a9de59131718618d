//! Four bits a weight: groups along a row share an f16 scale, and rounding
//! is chosen so that the layer's *output* moves least.

use half::f16;

use super::{Tensor, Values};
use crate::cpu::Moments;

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

/// Quantizes a matrix `[rows, depth]`.
///
/// Scales are searched a group at a time for the least squared error, each
/// weight's error weighted by how large its input is. Weights are then rounded
/// one column after the other, and what rounding a column did to the outputs
/// is made up for in the columns still to come, as far as inputs are
/// correlated (GPTQ, arXiv 2210.17323). Without statistics all inputs count
/// alike and nothing is made up for.
#[must_use]
pub fn quantize_q4(values: &[f32], [rows, depth]: [usize; 2], inputs: Option<&Moments>) -> Tensor {
    let inputs = inputs.filter(|m| m.rows > 0 && m.sums.len() == depth * depth);
    let weights: Vec<f64> = match inputs {
        Some(m) => (0..depth)
            .map(|k| f64::from(m.sums[k * depth + k]) / m.rows as f64)
            .collect(),
        None => vec![1.0; depth],
    };
    // An input that is always zero still needs a finite weight.
    let mean = weights.iter().sum::<f64>() / depth.max(1) as f64;
    let weights: Vec<f64> = weights.iter().map(|w| w + 0.01 * mean + 1e-12).collect();
    let feedback = inputs.and_then(|m| feedback(m, depth));

    let (row_bytes, groups) = (q4_row_bytes(depth), q4_groups(depth));
    let mut bytes = vec![0x88u8; rows * row_bytes];
    let mut scales = vec![f16::ZERO; rows * groups];
    let mut row = vec![0.0f64; depth];
    for r in 0..rows {
        for (to, &v) in row.iter_mut().zip(&values[r * depth..]) {
            *to = f64::from(v);
        }
        let out = &mut bytes[r * row_bytes..(r + 1) * row_bytes];
        for group in 0..groups {
            let range = group * Q4_GROUP..((group + 1) * Q4_GROUP).min(depth);
            let scale = search_scale(&row[range.clone()], &weights[range.clone()]);
            scales[r * groups + group] = scale;
            let step = f64::from(scale.to_f32());
            for k in range {
                let int = round(row[k], step);
                let shift = 4 * (k % 2);
                out[k / 2] = out[k / 2] & !(15 << shift) | ((int + 8.0) as u8) << shift;
                if let Some(factors) = &feedback {
                    let factors = &factors[k * depth..(k + 1) * depth];
                    let error = (row[k] - int * step) / factors[k];
                    for (later, f) in row[k + 1..].iter_mut().zip(&factors[k + 1..]) {
                        *later -= error * f;
                    }
                }
            }
        }
    }
    Tensor {
        shape: vec![rows, depth],
        values: Values::Q4 {
            values: bytes,
            scales,
        },
    }
}

fn round(value: f64, step: f64) -> f64 {
    if step == 0.0 {
        0.0
    } else {
        (value / step).round().clamp(-8.0, 7.0)
    }
}

/// The scale of a group with the least weighted squared error: candidates
/// that clip the largest weight more or less, of both signs because there is
/// one more negative integer than positive ones.
fn search_scale(values: &[f64], weights: &[f64]) -> f16 {
    let extreme = values
        .iter()
        .fold(0.0f64, |m, &v| if v.abs() > m.abs() { v } else { m });
    let mut best = (f64::INFINITY, f16::ZERO);
    // The extreme lands on -8 at 8, is clipped above and has room below.
    for tenth in 60..=96 {
        for sign in [-1.0, 1.0] {
            let scale = f16::from_f64(sign * extreme / (0.1 * f64::from(tenth)));
            let step = f64::from(scale.to_f32());
            let error: f64 = values
                .iter()
                .zip(weights)
                .map(|(&v, w)| w * (v - step * round(v, step)).powi(2))
                .sum();
            if error < best.0 && scale.is_finite() {
                best = (error, scale);
            }
        }
    }
    best.1
}

/// Rows of the upper Cholesky factor of the inverse of the inputs' second
/// moments: what an error in one column is worth in the later ones. `None` if
/// they are too degenerate even with damping.
fn feedback(inputs: &Moments, depth: usize) -> Option<Vec<f64>> {
    let mut moments: Vec<f64> = inputs
        .sums
        .iter()
        .map(|&v| f64::from(v) / inputs.rows as f64)
        .collect();
    let mean = (0..depth).map(|k| moments[k * depth + k]).sum::<f64>() / depth as f64;
    for k in 0..depth {
        moments[k * depth + k] += 0.01 * mean + 1e-9;
    }
    // inverse(M) = U' · U with U upper. With J the reversal of order and
    // J · M · J = L · L', that U is J · inverse(L) · J: one factorisation and
    // one triangular inverse.
    let at = |r: usize, c: usize| (depth - 1 - r) * depth + depth - 1 - c;
    let mut lower = vec![0.0f64; depth * depth];
    for r in 0..depth {
        for c in 0..=r {
            let (a, b) = (
                &lower[r * depth..r * depth + c],
                &lower[c * depth..c * depth + c],
            );
            let sum = moments[at(r, c)] - dot(a, b);
            lower[r * depth + c] = if r == c {
                if sum <= 0.0 {
                    return None;
                }
                sum.sqrt()
            } else {
                sum / lower[c * depth + c]
            };
        }
    }
    let mut inverse = vec![0.0f64; depth * depth];
    for c in 0..depth {
        // Columns of the inverse, kept as rows so that sums run along memory.
        let column = &mut inverse[c * depth..(c + 1) * depth];
        column[c] = 1.0 / lower[c * depth + c];
        for r in c + 1..depth {
            let sum = dot(&lower[r * depth + c..r * depth + r], &column[c..r]);
            column[r] = -sum / lower[r * depth + r];
        }
    }
    // U[r][c] = inverse(L)[J r][J c], and `inverse` holds columns as rows.
    let upper = (0..depth * depth)
        .map(|i| {
            let (r, c) = (depth - 1 - i / depth, depth - 1 - i % depth);
            inverse[c * depth + r]
        })
        .collect();
    Some(upper)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f64>() + rest
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
