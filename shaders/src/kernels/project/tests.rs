use rand::Rng;

use super::*;
use crate::kernel::Array;
use crate::testing::{assert_close, gpu_test, matrix, rng, run, sigmoid, silu, values};

fn plain(x: &[f32], weights: &[f64], depth: usize) -> Vec<f64> {
    x.chunks_exact(depth)
        .flat_map(|row| {
            weights
                .chunks_exact(depth)
                .map(|w| row.iter().zip(w).map(|(&a, b)| f64::from(a) * b).sum())
        })
        .collect()
}

gpu_test! {
    /// Random shapes around the edges of tiles, both schemes.
    async fn products_of_any_shape(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(1);
        for case in 0..40 {
            let q8 = case % 2 == 1;
            let rows = rng.random_range(1..=70);
            let [columns, depth] = [40, 24].map(|n| 4 * rng.random_range(1..=n));
            let x = values(&mut rng, rows * depth);
            let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, q8);
            let x_array = Array::new(&context, "x", &x).unwrap();
            let y = Array::zeros(&context, "y", rows * columns).unwrap();
            let found = run(&kernels, &[&y], || {
                dispatch(&kernels, rows, &x_array, &weights, &y, Epilogue::Store).unwrap()
            }).await;
            let what = format!("{rows} x {columns} x {depth}, q8 {q8}, {:?}", context.variant());
            assert_close(&found[0], &plain(&x, &w, depth), 2e-6, &what);
        }
    }
}

gpu_test! {
    async fn residual_with_and_without_factors(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(2);
        let (rows, columns, depth) = (35, 68, 20);
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, false);
        let (residual, factors) = (values(&mut rng, rows * columns), values(&mut rng, rows));
        let [x_array, r_array, f_array] = [&x, &residual, &factors].map(|v| Array::new(&context, "v", v).unwrap());
        let y = Array::zeros(&context, "y", rows * columns).unwrap();
        for scaled in [false, true] {
            let end = Epilogue::Residual { residual: &r_array, factors: scaled.then_some(&f_array) };
            let found = run(&kernels, &[&y], || {
                dispatch(&kernels, rows, &x_array, &weights, &y, end).unwrap()
            }).await;
            let expected: Vec<f64> = plain(&x, &w, depth)
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    let factor = if scaled { f64::from(factors[i / columns]) } else { 1.0 };
                    f64::from(residual[i]) + factor * v
                })
                .collect();
            assert_close(&found[0], &expected, 2e-6, "residual");
        }
    }
}

gpu_test! {
    async fn gates(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(3);
        let (rows, columns, depth) = (7, 132, 12);
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, true);
        let x_array = Array::new(&context, "x", &x).unwrap();
        let y = Array::zeros(&context, "y", rows * columns / 2).unwrap();
        let squares = Array::zeros(&context, "squares", rows * columns / 4).unwrap();
        let products = plain(&x, &w, depth);
        let pairs = || products.chunks_exact(2).map(|p| (p[0], p[1]));

        let found = run(&kernels, &[&y], || {
            dispatch(&kernels, rows, &x_array, &weights, &y, Epilogue::Silu).unwrap()
        }).await;
        let expected: Vec<f64> = pairs().map(|(gate, value)| silu(gate) * value).collect();
        assert_close(&found[0], &expected, 2e-6, "silu");

        let found = run(&kernels, &[&y, &squares], || {
            dispatch(&kernels, rows, &x_array, &weights, &y, Epilogue::Normalized { squares: &squares }).unwrap()
        }).await;
        let expected: Vec<f64> = pairs().map(|(gate, value)| sigmoid(gate) * gate * value).collect();
        assert_close(&found[0], &expected, 2e-6, "normalised");
        let each: Vec<f64> = pairs().map(|(gate, value)| (gate * value).powi(2)).collect();
        let expected: Vec<f64> = each.chunks_exact(2).map(|p| p[0] + p[1]).collect();
        assert_close(&found[1], &expected, 5e-6, "squares");
    }
}

gpu_test! {
    /// Three heads of width 8 in q and k, the rest of the columns unrotated.
    async fn rotations(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(4);
        let (positions, head, rotated, columns, depth) = (5, 8, 48, 72, 16);
        let rows = 3 * positions;
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, false);
        let table = crate::kernels::attention::rotations(positions, head, 100.0);
        let [x_array, t_array] = [&x, &table].map(|v| Array::new(&context, "v", v).unwrap());
        let y = Array::zeros(&context, "y", rows * columns).unwrap();
        let end = Epilogue::Rotary { table: &t_array, positions, head, rotated };
        let found = run(&kernels, &[&y], || {
            dispatch(&kernels, rows, &x_array, &weights, &y, end).unwrap()
        }).await;
        let mut expected = plain(&x, &w, depth);
        for (row, values) in expected.chunks_exact_mut(columns).enumerate() {
            for (pair, v) in values[..rotated].chunks_exact_mut(2).enumerate() {
                let j = pair % (head / 2);
                let angle = (row % positions) as f64 * 100f64.powf(-2.0 * j as f64 / head as f64);
                let (a, b) = (v[0], v[1]);
                v[0] = a * angle.cos() - b * angle.sin();
                v[1] = b * angle.cos() + a * angle.sin();
            }
        }
        assert_close(&found[0], &expected, 2e-6, "rotated");
    }
}

gpu_test! {
    async fn shapes_that_do_not_fit_are_named(context) {
        let kernels = Kernels::new(&context);
        let (weights, _) = matrix(&context, &mut rng(5), [8, 12], 12, false);
        let x = Array::zeros(&context, "x", 3 * 16).unwrap();
        let y = Array::zeros(&context, "y", 3 * 8).unwrap();
        let error = dispatch(&kernels, 3, &x, &weights, &y, Epilogue::Store).unwrap_err().to_string();
        assert!(error.contains("project: x has 48 elements, [rows 3, depth 12] needs 36"), "{error}");
        let (weights, _) = matrix(&context, &mut rng(5), [6, 16], 16, false);
        let error = dispatch(&kernels, 3, &x, &weights, &y, Epilogue::Store).unwrap_err().to_string();
        assert!(error.contains("columns is 6"), "{error}");
    }
}
