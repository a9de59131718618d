use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Activations, Kernel, Packed};
use crate::gemm::{View, ViewMut};
use crate::weights::{Tensor, Values};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Random shapes, rows from 1 to 300: every kernel that the processor has
/// against exact sums of the same quantized numbers, and all of them against
/// the product of the numbers themselves.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn every_kernel_at_any_shape() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for case in 0..60 {
        let m = rng.random_range(1..=if case % 6 == 0 { 300 } else { 40 });
        let [n, depth] = [90, 140].map(|limit| rng.random_range(1..=limit));
        let mut random =
            |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect() };
        let (x, weights, before) = (random(m * depth), random(n * depth), random(m * n));
        let tensor = Tensor {
            shape: vec![n, depth],
            values: Values::F32(weights.clone()),
        };
        // Once with the strides of a transposed activation and result.
        let transposed = case % 3 == 0;
        let beta = [0.0, 1.0][case % 2];
        let turn = |v: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..columns)
                .flat_map(|c| (0..rows).map(move |r| (r, c)))
                .map(|(r, c)| v[r * columns + c])
                .collect()
        };
        for kernel in Kernel::available() {
            let packed = Packed::new(kernel, &tensor);
            let (given, mut c) = if transposed {
                (turn(&x, m, depth), turn(&before, m, n))
            } else {
                (x.clone(), before.clone())
            };
            let (view, out) = if transposed {
                (View::columns(&given, m), ViewMut::columns(&mut c, m))
            } else {
                (View::rows(&given, depth), ViewMut::rows(&mut c, n))
            };
            packed.multiply(m, view, beta, out, &mut Activations::default());
            let found = if transposed { turn(&c, n, m) } else { c };
            check(
                &x,
                &weights,
                &before,
                beta,
                [m, n, depth],
                &found,
                kernel.name,
            );
        }
    }
}

fn check(
    x: &[f32],
    weights: &[f32],
    before: &[f32],
    beta: f32,
    [m, n, depth]: [usize; 3],
    found: &[f32],
    name: &str,
) {
    let quantized = |row: &[f32]| -> (Vec<f64>, f64) {
        let scale = f64::from(row.iter().fold(0.0f32, |m, v| m.max(v.abs()))) / 127.0;
        let ints = row
            .iter()
            .map(|&v| (f64::from(v) / scale).round())
            .collect();
        (ints, scale)
    };
    let columns: Vec<_> = weights.chunks_exact(depth).map(quantized).collect();
    for (r, row) in x.chunks_exact(depth).enumerate() {
        let (ints, scale) = quantized(row);
        for (c, (weight_ints, weight_scale)) in columns.iter().enumerate() {
            let old = f64::from(beta * before[r * n + c]);
            let sum: f64 = ints.iter().zip(weight_ints).map(|(a, b)| a * b).sum();
            let value = f64::from(found[r * n + c]);
            let what = format!("{name}: {m} x {n} x {depth} at {r}, {c}");
            // A tie may round to the other side: one step in one product.
            let step = 1.01 * 127.0 * scale * weight_scale;
            let exact = old + sum * scale * weight_scale;
            assert!(
                (value - exact).abs() <= step,
                "{what}: {value}, not {exact}"
            );
            let dense: f64 = row
                .iter()
                .zip(&weights[c * depth..])
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum();
            let bound = depth as f64 * 1.01 / 127.0;
            assert!(
                (value - old - dense).abs() <= bound,
                "{what}: {value}, not {dense}"
            );
        }
    }
}

/// Rows of zeros have no scale, and rows of one value the extreme one.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn zeros_and_extremes() {
    let tensor = Tensor {
        shape: vec![2, 5],
        values: Values::F32(vec![0.0, 0.0, 0.0, 0.0, 0.0, -2.0, -2.0, -2.0, -2.0, -2.0]),
    };
    let x = [0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 3.0];
    for kernel in Kernel::available() {
        let mut c = [9.0; 4];
        Packed::new(kernel, &tensor).multiply(
            2,
            View::rows(&x, 5),
            0.0,
            ViewMut::rows(&mut c, 2),
            &mut Activations::default(),
        );
        for (found, expected) in c.iter().zip([0.0, 0.0, 0.0, -30.0]) {
            assert!((found - expected).abs() < 1e-4, "{}: {c:?}", kernel.name);
        }
    }
}
