//! Rounding a matrix to integers so that the layer's *output* moves least.
//!
//! Steps are searched a group of weights at a time for the least squared error,
//! each weight's error weighted by how large its input is. Weights are then
//! rounded one column after the other, and what rounding a column did to the
//! outputs is made up for in the columns still to come, as far as inputs are
//! correlated (GPTQ, arXiv 2210.17323).

use super::Moments;

/// The integers that weights become, and the steps between them.
pub(super) struct Steps {
    /// The least integer.
    pub(super) least: f64,
    /// The greatest integer.
    pub(super) most: f64,
    /// Steps to try for a group, by its value of the largest magnitude.
    pub(super) candidates: fn(f64) -> Vec<f64>,
}

impl Steps {
    fn round(&self, value: f64, step: f64) -> f64 {
        if step == 0.0 {
            0.0
        } else {
            (value / step).round().clamp(self.least, self.most)
        }
    }

    /// The step of a group with the least weighted squared error.
    fn search(&self, values: &[f64], weights: &[f64]) -> f64 {
        let extreme = values
            .iter()
            .fold(0.0f64, |m, &v| if v.abs() > m.abs() { v } else { m });
        let mut best = (f64::INFINITY, 0.0);
        for step in (self.candidates)(extreme) {
            let error: f64 = values
                .iter()
                .zip(weights)
                .map(|(&v, w)| w * (v - step * self.round(v, step)).powi(2))
                .sum();
            if error < best.0 {
                best = (error, step);
            }
        }
        best.1
    }
}

/// Integers of a matrix `[rows, depth]`, and the steps of its groups of `group`
/// weights along a row, `[rows, groups]`. Without statistics of the inputs all
/// count alike, and nothing is made up for.
pub(super) fn round_matrix(
    values: &[f32],
    [rows, depth]: [usize; 2],
    group: usize,
    inputs: Option<&Moments>,
    steps: &Steps,
) -> (Vec<i8>, Vec<f64>) {
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

    let group = group.max(1);
    let mut ints = Vec::with_capacity(rows * depth);
    let mut found = Vec::with_capacity(rows * depth.div_ceil(group));
    for row in values.chunks(depth.max(1)).take(rows) {
        let mut row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        for start in (0..depth).step_by(group) {
            let range = start..(start + group).min(depth);
            let step = steps.search(&row[range.clone()], &weights[range.clone()]);
            found.push(step);
            for k in range {
                let int = steps.round(row[k], step);
                ints.push(int as i8);
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
    (ints, found)
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
