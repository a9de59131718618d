use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::context::GpuContext;
use crate::kernel::Array;
use crate::pack::{Format, fours};
use crate::testing::{
    assert_close, furthest, gpu_test, matrix, of_bytes, rng, run, sigmoid, silu, values,
};

fn plain(x: &[f32], weights: &[f64], [batch, depth, columns]: [usize; 3]) -> Vec<f64> {
    let mut y = Vec::new();
    for b in 0..batch {
        for w in weights.chunks_exact(depth) {
            for c in 0..columns {
                y.push(
                    (0..depth)
                        .map(|k| w[k] * f64::from(x[(b * depth + k) * columns + c]))
                        .sum(),
                );
            }
        }
    }
    y
}

gpu_test! {
    /// Random shapes around the edges of tiles, any depth, both schemes.
    async fn products_of_any_shape(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(1);
        for case in 0..40 {
            let format = [Format::F32, Format::Q8, Format::F16, Format::Q4][case % 4];
            let [batch, rows, mut depth] = [3, 70, 90].map(|n| rng.random_range(1..=n));
            let columns = 4 * rng.random_range(1..=34);
            if format == Format::Q4 {
                depth = 32 * rng.random_range(1..=3);
            }
            let shape = [batch, depth, columns];
            let x = values(&mut rng, batch * depth * columns);
            let (weights, w) = matrix(&context, &mut rng, [rows, depth], fours(depth), format);
            let residual = values(&mut rng, batch * rows * columns);
            let factors = values(&mut rng, batch * columns);
            let [x_array, r_array, f_array] = [&x, &residual, &factors].map(|v| Array::new(&context, "v", v).unwrap());
            let y = Array::zeros(&context, "y", batch * rows * columns).unwrap();
            let scaled = case % 8 < 4;
            let squares = Array::new(&context, "squares", &vec![9.0f32; batch * rows * parts(columns)]).unwrap();
            let end = Epilogue::Residual { residual: &r_array, factors: scaled.then_some(&f_array), squares: &squares };
            let found = run(&kernels, &[&y, &squares], || {
                dispatch(&kernels, shape, &x_array, &weights, &y, end).unwrap()
            }).await;
            let expected: Vec<f64> = plain(&x, &w, shape)
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    let factor = factors[i / (rows * columns) * columns + i % columns];
                    f64::from(residual[i]) + if scaled { f64::from(factor) } else { 1.0 } * v
                })
                .collect();
            let what = format!("{batch} x {rows} x {columns} x {depth}, {format:?}, {:?}", context.variant());
            assert_close(&found[0], &expected, 4e-6, &what);
            let squares: Vec<f64> = expected
                .chunks_exact(columns)
                .flat_map(|row| {
                    let mut sums: Vec<f64> = row.chunks_exact(4).map(|v| v.iter().map(|v| v * v).sum()).collect();
                    sums.resize(parts(columns), 0.0);
                    sums
                })
                .collect();
            assert_close(&found[1], &squares, 1e-5, &what);
        }
    }
}

/// A product of random shape and nothing added to it, every format in turn:
/// what comes out, what should, the format and a name. `x` draws an activation,
/// given its position.
async fn draw(
    context: &GpuContext,
    rng: &mut ChaCha8Rng,
    case: usize,
    x: impl Fn(&mut ChaCha8Rng, usize) -> f32,
) -> (Vec<u32>, Vec<f64>, Format, String) {
    let kernels = Kernels::new(context);
    let format = [Format::Q8, Format::Q4, Format::F16, Format::F32][case % 4];
    let [batch, rows, mut depth] = [3, 80, 100].map(|n| rng.random_range(1..=n));
    let columns = 4 * rng.random_range(1..=34);
    if format == Format::Q4 {
        depth = 32 * rng.random_range(1..=4);
    }
    let shape = [batch, depth, columns];
    let x: Vec<f32> = (0..batch * depth * columns)
        .map(|i| x(rng, i / columns % depth))
        .collect();
    let (weights, w) = matrix(context, rng, [rows, depth], fours(depth), format);
    let residual = vec![0.0f32; batch * rows * columns];
    let [x_array, r_array] = [&x, &residual].map(|v| Array::new(context, "v", v).unwrap());
    let y = Array::zeros(context, "y", batch * rows * columns).unwrap();
    let squares = Array::zeros(context, "squares", batch * rows * parts(columns)).unwrap();
    let end = Epilogue::Residual {
        residual: &r_array,
        factors: None,
        squares: &squares,
    };
    let mut found = run(&kernels, &[&y], || {
        dispatch(&kernels, shape, &x_array, &weights, &y, end).unwrap()
    })
    .await;
    let what = format!(
        "{batch} x {rows} x {columns} x {depth}, {format:?}, {:?}",
        context.variant()
    );
    (found.remove(0), plain(&x, &w, shape), format, what)
}

gpu_test! {
    packed:
    /// Activations that 8 bits hold exactly, so that results are exact but for
    /// the sums of f32.
    async fn packed_products_of_any_shape(context) {
        let mut rng = rng(6);
        for case in 0..80 {
            let (found, expected, _, what) = draw(&context, &mut rng, case, of_bytes).await;
            assert_close(&found, &expected, 4e-6, &what);
        }
    }
}

gpu_test! {
    half:
    /// Off by what 11 bits of every activation and weight bring, and by no
    /// less.
    async fn half_products_of_any_shape(context) {
        let mut rng = rng(8);
        let mut rounded = 0.0f64;
        for case in 0..40 {
            let any = |rng: &mut ChaCha8Rng, _| rng.random_range(-1.0..1.0);
            let (found, expected, format, what) = draw(&context, &mut rng, case, any).await;
            let tolerance = if format == Format::F32 { 4e-6 } else { 2e-3 };
            assert_close(&found, &expected, tolerance, &what);
            rounded = rounded.max(furthest(&found, &expected));
        }
        assert!(rounded > 1e-4, "off by {rounded} of the largest, which is not 16 bits");
    }
}

gpu_test! {
    async fn gates(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(3);
        let (batch, rows, depth, columns) = (2, 40, 9, 136);
        let shape = [batch, depth, columns];
        let x = values(&mut rng, batch * depth * columns);
        let (weights, w) = matrix(&context, &mut rng, [rows, depth], fours(depth), Format::Q8);
        let x_array = Array::new(&context, "x", &x).unwrap();
        let y = Array::zeros(&context, "y", batch * rows / 2 * columns).unwrap();
        let squares = Array::zeros(&context, "squares", y.len()).unwrap();
        let products = plain(&x, &w, shape);
        let gated = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            products
                .chunks_exact(2 * columns)
                .flat_map(|pair| pair[..columns].iter().zip(&pair[columns..]).map(|(&g, &v)| f(g, v)))
                .collect()
        };

        let found = run(&kernels, &[&y], || {
            dispatch(&kernels, shape, &x_array, &weights, &y, Epilogue::Silu).unwrap()
        }).await;
        assert_close(&found[0], &gated(&|g, v| silu(g) * v), 2e-6, "silu");

        let found = run(&kernels, &[&y, &squares], || {
            dispatch(&kernels, shape, &x_array, &weights, &y, Epilogue::Normalized { squares: &squares }).unwrap()
        }).await;
        assert_close(&found[0], &gated(&|g, v| sigmoid(g) * g * v), 2e-6, "normalised");
        assert_close(&found[1], &gated(&|g, v| (g * v).powi(2)), 5e-6, "squares");
    }
}

gpu_test! {
    async fn shapes_that_do_not_fit_are_named(context) {
        let kernels = Kernels::new(&context);
        let (weights, _) = matrix(&context, &mut rng(5), [6, 9], 12, Format::F32);
        let x = Array::zeros(&context, "x", 2 * 9 * 8).unwrap();
        let y = Array::zeros(&context, "y", 2 * 3 * 8).unwrap();
        let error = |shape| dispatch(&kernels, shape, &x, &weights, &y, Epilogue::Silu).unwrap_err().to_string();
        assert!(error([2, 5, 8]).contains("depth is 5, the weights have 12"));
        assert!(error([2, 9, 12]).contains("mix: x has 144 elements, [batch 2, depth 9, columns 12] needs 216"));
        assert!(error([2, 9, 6]).contains("columns is 6"));
    }
}
