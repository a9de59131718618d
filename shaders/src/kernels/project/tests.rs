use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::context::GpuContext;
use crate::kernel::Array;
use crate::pack::Format;
use crate::testing::{
    assert_close, furthest, gpu_test, matrix, of_bytes, rng, run, sigmoid, silu, values,
};

fn plain(x: &[f32], weights: &[f64], depth: usize) -> Vec<f64> {
    x.chunks_exact(depth)
        .flat_map(|row| {
            weights
                .chunks_exact(depth)
                .map(|w| row.iter().zip(w).map(|(&a, b)| f64::from(a) * b).sum())
        })
        .collect()
}

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

/// `1 / sqrt(eps + sum / width)` of the sums of each row of parts.
fn factors(squares: &[f32], rows: usize, width: usize) -> Vec<f64> {
    squares
        .chunks_exact(squares.len() / rows)
        .map(|row| row.iter().map(|&v| f64::from(v)).sum::<f64>())
        .map(|sum| 1.0 / (1e-3 + sum / width as f64).sqrt())
        .collect()
}

/// A product of random shape around the edges of tiles: up to 300 rows, every
/// format in turn, with and without a norm of the input.
struct Drawn {
    found: Vec<u32>,
    expected: Vec<f64>,
    format: Format,
    what: String,
}

/// `x` draws an activation, given its channel.
async fn draw(
    context: &GpuContext,
    rng: &mut ChaCha8Rng,
    case: usize,
    x: impl Fn(&mut ChaCha8Rng, usize) -> f32,
) -> Drawn {
    let kernels = Kernels::new(context);
    let format = FORMATS[case % 4];
    let rows = rng.random_range(1..=if case % 16 < 4 { 300 } else { 40 });
    let [columns, mut depth] = [40, 60].map(|n| 4 * rng.random_range(1..=n));
    if format == Format::Q4 {
        depth = 32 * rng.random_range(1..=7);
    }
    let x: Vec<f32> = (0..rows * depth).map(|i| x(rng, i % depth)).collect();
    let (weights, w) = matrix(context, rng, [columns, depth], depth, format);
    let parts = 4 * rng.random_range(1..=9);
    let squares: Vec<f32> = values(rng, rows * parts).iter().map(|v| v * v).collect();
    let [x_array, s_array] = [&x, &squares].map(|v| Array::new(context, "v", v).unwrap());
    let y = Array::zeros(context, "y", rows * columns).unwrap();
    let norm = Norm {
        squares: &s_array,
        parts,
        width: 2 * parts + 1,
        epsilon: 1e-3,
    };
    let given = Rows {
        values: &x_array,
        norm: (case % 8 < 4).then_some(norm),
    };
    let mut found = run(&kernels, &[&y], || {
        dispatch(&kernels, rows, given, &weights, &y, Epilogue::Store).unwrap()
    })
    .await;
    let mut expected = plain(&x, &w, depth);
    if given.norm.is_some() {
        let factors = factors(&squares, rows, norm.width);
        for (i, e) in expected.iter_mut().enumerate() {
            *e *= factors[i / columns];
        }
    }
    Drawn {
        found: found.remove(0),
        expected,
        format,
        what: format!(
            "{rows} x {columns} x {depth}, {format:?}, {:?}",
            context.variant()
        ),
    }
}

/// Uniform in -1..1.
fn any(rng: &mut ChaCha8Rng, _: usize) -> f32 {
    rng.random_range(-1.0..1.0)
}

gpu_test! {
    async fn products_of_any_shape(context) {
        let mut rng = rng(1);
        for case in 0..64 {
            let drawn = draw(&context, &mut rng, case, any).await;
            assert_close(&drawn.found, &drawn.expected, 4e-6, &drawn.what);
        }
    }
}

gpu_test! {
    packed:
    /// Activations that 8 bits hold exactly, so that results are exact but for
    /// the sums of f32.
    async fn packed_products_of_any_shape(context) {
        let mut rng = rng(6);
        for case in 0..48 {
            let drawn = draw(&context, &mut rng, case, of_bytes).await;
            assert_close(&drawn.found, &drawn.expected, 4e-6, &drawn.what);
        }
    }
}

gpu_test! {
    half:
    /// Off by what 11 bits of every activation and weight bring, and by no
    /// less; matrices of f32 are not rounded.
    async fn half_products_of_any_shape(context) {
        let mut rng = rng(8);
        let mut rounded = 0.0f64;
        for case in 0..48 {
            let drawn = draw(&context, &mut rng, case, any).await;
            let tolerance = if drawn.format == Format::F32 { 4e-6 } else { 2e-3 };
            assert_close(&drawn.found, &drawn.expected, tolerance, &drawn.what);
            rounded = rounded.max(furthest(&drawn.found, &drawn.expected));
        }
        assert!(rounded > 1e-4, "off by {rounded} of the largest, which is not 16 bits");
    }
}

gpu_test! {
    packed:
    /// No result is further off than roundings of half a step can bring it,
    /// and they do bring it somewhere.
    async fn packed_products_round_activations(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(7);
        let (rows, columns, depth) = (33, 68, 100);
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, Format::Q8);
        let x_array = Array::new(&context, "x", &x).unwrap();
        let y = Array::zeros(&context, "y", rows * columns).unwrap();
        let found = run(&kernels, &[&y], || {
            dispatch(&kernels, rows, &x_array, &weights, &y, Epilogue::Store).unwrap()
        }).await;
        let mut furthest = 0.0f64;
        for (i, e) in plain(&x, &w, depth).iter().enumerate() {
            let x = &x[i / columns * depth..][..depth];
            let w = &w[i % columns * depth..][..depth];
            let most: f64 = x
                .chunks(32)
                .zip(w.chunks(32))
                .map(|(x, w)| {
                    let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                    f64::from(largest) / 254.0 * w.iter().map(|v| v.abs()).sum::<f64>()
                })
                .sum();
            let off = (f64::from(f32::from_bits(found[0][i])) - e).abs();
            assert!(off <= most * 1.001, "element {i} is off by {off}, roundings by {most} at most");
            furthest = furthest.max(off / most);
        }
        assert!(furthest > 0.1, "off by {furthest} of what roundings can do");
    }
}

gpu_test! {
    half:
    /// Beyond f16's largest number they count as 4,000 rather than infinite.
    async fn half_products_of_large_activations_are_finite(context) {
        let kernels = Kernels::new(&context);
        let (rows, columns, depth) = (3, 8, 36);
        let x: Vec<f32> = (0..rows * depth).map(|i| [1e6, -1e6, 1e38][i / depth]).collect();
        let (weights, w) = matrix(&context, &mut rng(9), [columns, depth], depth, Format::Q8);
        let x_array = Array::new(&context, "x", &x).unwrap();
        let y = Array::zeros(&context, "y", rows * columns).unwrap();
        let found = run(&kernels, &[&y], || {
            dispatch(&kernels, rows, &x_array, &weights, &y, Epilogue::Store).unwrap()
        }).await;
        let x: Vec<f32> = x.iter().map(|v| v.clamp(-4000.0, 4000.0)).collect();
        assert_close(&found[0], &plain(&x, &w, depth), 4e-3, "large");
    }
}

gpu_test! {
    /// 68 columns leave 17 parts, padded to 20.
    async fn residual_with_and_without_norms(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(2);
        let (rows, columns, depth) = (35, 68, 20);
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, Format::F32);
        let residual = values(&mut rng, rows * columns);
        let squares: Vec<f32> = values(&mut rng, rows * 8).iter().map(|v| v * v).collect();
        let [x_array, r_array, s_array] = [&x, &residual, &squares].map(|v| Array::new(&context, "v", v).unwrap());
        let y = Array::zeros(&context, "y", rows * columns).unwrap();
        let y_squares = Array::new(&context, "squares", &vec![9.0f32; rows * 20]).unwrap();
        let norm = Norm { squares: &s_array, parts: 8, width: 7, epsilon: 1e-3 };
        for (of_x, of_residual) in [(None, None), (Some(norm), None), (None, Some(norm)), (Some(norm), Some(norm))] {
            let end = Epilogue::Residual {
                residual: Rows { values: &r_array, norm: of_residual },
                squares: &y_squares,
            };
            let given = Rows { values: &x_array, norm: of_x };
            let found = run(&kernels, &[&y, &y_squares], || {
                dispatch(&kernels, rows, given, &weights, &y, end).unwrap()
            }).await;
            let factors = factors(&squares, rows, 7);
            let factor = |norm: Option<Norm>, i: usize| if norm.is_some() { factors[i / columns] } else { 1.0 };
            let expected: Vec<f64> = plain(&x, &w, depth)
                .iter()
                .enumerate()
                .map(|(i, v)| factor(of_residual, i) * f64::from(residual[i]) + factor(of_x, i) * v)
                .collect();
            assert_close(&found[0], &expected, 2e-6, "residual");
            let squares: Vec<f64> = expected
                .chunks_exact(columns)
                .flat_map(|row| {
                    let parts = row.chunks_exact(4).map(|v| v.iter().map(|v| v * v).sum());
                    parts.chain([0.0; 3]).collect::<Vec<f64>>()
                })
                .collect();
            assert_close(&found[1], &squares, 5e-6, "squares");
        }
    }
}

gpu_test! {
    async fn gates(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(3);
        let (rows, columns, depth) = (7, 136, 12);
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, Format::Q8);
        let x_array = Array::new(&context, "x", &x).unwrap();
        let y = Array::zeros(&context, "y", rows * columns / 2).unwrap();
        let squares = Array::zeros(&context, "squares", rows * parts(columns)).unwrap();
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
        let expected: Vec<f64> = each
            .chunks_exact(columns / 2)
            .flat_map(|row| {
                let parts = row.chunks_exact(2).map(|p| p[0] + p[1]);
                parts.chain([0.0; 2]).collect::<Vec<f64>>()
            })
            .collect();
        assert_close(&found[1], &expected, 5e-6, "squares");
    }
}

gpu_test! {
    /// Rows of 2 sequences of 15 positions, in 3 groups of one relation and 5
    /// of another.
    async fn gates_with_what_groups_add(context) {
        let kernels = Kernels::new(&context);
        let mut rng = rng(10);
        let (sequences, positions, columns, depth) = (2, 15, 136, 12);
        let rows = sequences * positions;
        let x = values(&mut rng, rows * depth);
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, Format::Q8);
        let message_rows = 2 * 3 + 2 * 5;
        let messages = values(&mut rng, message_rows * columns);
        let places: Vec<u32> = (0..15).flat_map(|p| [p % 3, 3, 6 + p % 5, 5]).collect();
        let [x_array, m_array] = [&x, &messages].map(|v| Array::new(&context, "v", v).unwrap());
        let places = Array::new(&context, "places", &places).unwrap();
        let y = Array::zeros(&context, "y", rows * columns / 2).unwrap();
        let squares = Array::zeros(&context, "squares", rows * parts(columns)).unwrap();
        let mut sums = plain(&x, &w, depth);
        for (i, sum) in sums.iter_mut().enumerate() {
            let (sequence, p, column) = (i / columns / 15, i / columns % 15, i % columns);
            for row in [sequence * 3 + p % 3, 6 + sequence * 5 + p % 5] {
                *sum += f64::from(messages[row * columns + column]);
            }
        }
        let pairs = || sums.chunks_exact(2).map(|p| (p[0], p[1]));
        let messages = Messages {
            values: &m_array,
            rows: message_rows,
            places: &places,
            positions,
            relations: 2,
        };

        let found = run(&kernels, &[&y], || {
            let end = Epilogue::Related { messages, squares: None };
            dispatch(&kernels, rows, &x_array, &weights, &y, end).unwrap()
        }).await;
        let expected: Vec<f64> = pairs().map(|(gate, value)| silu(gate) * value).collect();
        assert_close(&found[0], &expected, 2e-6, "silu");

        let found = run(&kernels, &[&y, &squares], || {
            let end = Epilogue::Related { messages, squares: Some(&squares) };
            dispatch(&kernels, rows, &x_array, &weights, &y, end).unwrap()
        }).await;
        let expected: Vec<f64> = pairs().map(|(gate, value)| sigmoid(gate) * gate * value).collect();
        assert_close(&found[0], &expected, 2e-6, "normalised");
        let all: f64 = pairs().map(|(gate, value)| (gate * value).powi(2)).sum();
        let found: f64 = found[1].iter().map(|&word| f64::from(f32::from_bits(word))).sum();
        assert!((found / all - 1.0).abs() < 1e-5, "squares add up to {found}, expected {all}");
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
        let (weights, w) = matrix(&context, &mut rng, [columns, depth], depth, Format::F32);
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
        let (weights, _) = matrix(&context, &mut rng(5), [8, 12], 12, Format::F32);
        let x = Array::zeros(&context, "x", 3 * 16).unwrap();
        let y = Array::zeros(&context, "y", 3 * 8).unwrap();
        let error = dispatch(&kernels, 3, &x, &weights, &y, Epilogue::Store).unwrap_err().to_string();
        assert!(error.contains("project: x has 48 elements, [rows 3, depth 12] needs 36"), "{error}");
        let (weights, _) = matrix(&context, &mut rng(5), [6, 16], 16, Format::F32);
        let error = dispatch(&kernels, 3, &x, &weights, &y, Epilogue::Store).unwrap_err().to_string();
        assert!(error.contains("columns is 6"), "{error}");
    }
}
