//! Muon on the host: momentum made orthogonal (Jordan et al. 2024).

use crate::cpu::simd::simd;
use crate::gemm::{View, ViewMut, gemm};

/// Newton-Schulz steps of [`orthogonal`].
pub(crate) const STEPS: usize = 5;

/// Coefficients of its quintic, chosen for speed near zero; singular values
/// end between 0.7 and 1.2.
pub(crate) const QUINTIC: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);

/// A step on a matrix `[rows, columns]`: moves the momentum towards the
/// gradient, and the weights against the Nesterov momentum made orthogonal,
/// times `sqrt(max(1, rows / columns))`. `keep` is what decay leaves of the
/// weights.
pub(crate) fn step(
    [rows, columns]: [usize; 2],
    [weights, gradient, momentum]: [&mut [f32]; 3],
    decay: f64,
    lr: f64,
    keep: f64,
) {
    nesterov(momentum, gradient, decay as f32);
    let update = orthogonal(gradient, [rows, columns]);
    let rate = lr * (rows as f64 / columns as f64).max(1.0).sqrt();
    subtract(weights, &update, keep as f32, rate as f32);
}

simd! {
/// Makes the gradient the momentum one step ahead.
fn nesterov(momentum: &mut [f32], gradient: &mut [f32], decay: f32) {
    for (m, g) in momentum.iter_mut().zip(gradient) {
        *m = *m * decay + *g * (1.0 - decay);
        *g = *m * decay + *g * (1.0 - decay);
    }
}
}

simd! {
fn subtract(weights: &mut [f32], update: &[f32], keep: f32, rate: f32) {
    for (w, u) in weights.iter_mut().zip(update) {
        *w = *w * keep - u * rate;
    }
}
}

/// Approximately `U Vᵀ` of the singular value decomposition `U S Vᵀ` of a
/// matrix `[rows, columns]`.
fn orthogonal(g: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    // The smaller Gram matrix: of the rows, or of the columns.
    let tall = rows > columns;
    let n = rows.min(columns);
    let norm = g.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() + 1e-7;
    let mut x: Vec<f32> = g.iter().map(|v| (f64::from(*v) / norm) as f32).collect();
    let (a, b, c) = QUINTIC;
    let (mut s, mut polynomial) = (vec![0.0; n * n], vec![0.0; n * n]);
    let mut next = vec![0.0; x.len()];
    for _ in 0..STEPS {
        let (shape, left, right) = if tall {
            let views = (View::columns(&x, columns), View::rows(&x, columns));
            ((n, rows, n), views.0, views.1)
        } else {
            let views = (View::rows(&x, columns), View::columns(&x, columns));
            ((n, columns, n), views.0, views.1)
        };
        gemm(shape, 1.0, left, right, 0.0, ViewMut::rows(&mut s, n));
        // b s + c s².
        polynomial.copy_from_slice(&s);
        let square = (n, n, n);
        let (left, right) = (View::rows(&s, n), View::rows(&s, n));
        gemm(
            square,
            c as f32,
            left,
            right,
            b as f32,
            ViewMut::rows(&mut polynomial, n),
        );
        // x = a x + polynomial x, or its transpose's counterpart.
        next.copy_from_slice(&x);
        let (shape, left, right) = if tall {
            let views = (View::rows(&x, columns), View::rows(&polynomial, n));
            ((rows, n, n), views.0, views.1)
        } else {
            let views = (View::rows(&polynomial, n), View::rows(&x, columns));
            ((n, n, columns), views.0, views.1)
        };
        gemm(
            shape,
            1.0,
            left,
            right,
            a as f32,
            ViewMut::rows(&mut next, columns),
        );
        std::mem::swap(&mut x, &mut next);
    }
    x
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::noise::add_normal;

    #[test]
    fn rows_of_a_direction_are_nearly_orthonormal() {
        for [rows, columns] in [[12, 30], [30, 12]] {
            let mut rng = ChaCha8Rng::seed_from_u64(4);
            let mut g = vec![0.0; rows * columns];
            add_normal(&mut rng, 3.0, &mut g);
            let x = orthogonal(&g, [rows, columns]);
            let at = |i: usize, k: usize| {
                if rows > columns {
                    x[k * columns + i]
                } else {
                    x[i * columns + k]
                }
            };
            for i in 0..12 {
                for j in 0..12 {
                    let product: f32 = (0..30).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 0.55, "{i} {j}: {product}");
                }
            }
        }
    }
}
