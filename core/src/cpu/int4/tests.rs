use half::f16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::int8::Activations;
use super::{Buffers, Kernel, Packed};
use crate::gemm::{View, ViewMut};
use crate::weights::{Q4_GROUP, Tensor, Values, q4_groups, q4_row_bytes};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn kernel() -> &'static Kernel {
    Kernel::best().expect("AVX2 or relaxed SIMD")
}

/// The transpose of a matrix `[rows, columns]`.
fn turn(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| values[r * columns + c]))
        .collect()
}

/// Any bits are a weight, also those beyond the end of a row.
fn random(rng: &mut ChaCha8Rng, [rows, depth]: [usize; 2]) -> Tensor {
    let values = (0..rows * q4_row_bytes(depth)).map(|_| rng.random());
    let values = values.collect();
    let scales = (0..rows * q4_groups(depth)).map(|_| f16::from_f32(rng.random_range(-0.5..0.5)));
    Tensor {
        shape: vec![rows, depth],
        values: Values::Q4 {
            values,
            scales: scales.collect(),
        },
    }
}

/// Random shapes, rows from 1 to 300, against f64 sums of the same weights
/// and the activations as they are rounded.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn any_shape() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut activations, mut buffers) = (Activations::default(), Buffers::default());
    for case in 0..60 {
        let m = rng.random_range(1..=if case % 6 == 0 { 300 } else { 40 });
        let [n, depth] = [90, 140].map(|limit| rng.random_range(1..=limit));
        let tensor = random(&mut rng, [n, depth]);
        let mut draw =
            |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (x, before) = (draw(m * depth), draw(m * n));
        let (transposed, beta) = (case % 3 == 0, [0.0, 1.0][case % 2]);
        let packed = Packed::new(kernel(), &tensor).expect("4 bits");
        let (given, mut c) = if transposed {
            (turn(&x, [m, depth]), turn(&before, [m, n]))
        } else {
            (x.clone(), before.clone())
        };
        let (view, out) = if transposed {
            (View::columns(&given, m), ViewMut::columns(&mut c, m))
        } else {
            (View::rows(&given, depth), ViewMut::rows(&mut c, n))
        };
        // With buffers that hold what another shape has left.
        packed.multiply(m, view, beta, out, &mut activations, &mut buffers);
        let found = if transposed { turn(&c, [n, m]) } else { c };

        let dense = tensor.dense();
        for (r, row) in x.chunks_exact(depth).enumerate() {
            let step = f64::from(row.iter().fold(0.0f32, |m, v| m.max(v.abs()))) / 127.0;
            let rounded: Vec<f64> = row.iter().map(|&v| (f64::from(v) / step).round()).collect();
            for (c, weights) in dense.chunks_exact(depth).enumerate() {
                let pairs = weights.iter().map(|&w| f64::from(w)).zip(&rounded);
                let sum: f64 = pairs.map(|(w, a)| w * a * step).sum();
                let expected = f64::from(beta * before[r * n + c]) + sum;
                let value = f64::from(found[r * n + c]);
                // A tie may round to the other side: one step in one product.
                let bound = 4.0 * step + 1e-4;
                assert!(
                    (value - expected).abs() <= bound,
                    "{m} x {n} x {depth} at {r}, {c}: {value}, not {expected}"
                );
            }
        }
    }
}

/// The largest numbers that there can be leave 16 bits room.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn extremes_do_not_overflow() {
    let depth = 3 * Q4_GROUP;
    for (byte, weight) in [(0x00, -8.0), (0xFF, 7.0), (0x88, 0.0)] {
        let tensor = Tensor {
            shape: vec![3, depth],
            values: Values::Q4 {
                values: vec![byte; 3 * q4_row_bytes(depth)],
                scales: vec![f16::ONE; 3 * q4_groups(depth)],
            },
        };
        let packed = Packed::new(kernel(), &tensor).expect("4 bits");
        for value in [127.0, -127.0, 0.0] {
            let mut c = [9.0; 6];
            packed.multiply(
                2,
                View::rows(&vec![value; 2 * depth], depth),
                0.0,
                ViewMut::rows(&mut c, 3),
                &mut Activations::default(),
                &mut Buffers::default(),
            );
            assert_eq!(c, [value * weight * depth as f32; 6], "{value} · {weight}");
        }
    }
}

/// Weights in 8 bits are no business of these kernels.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn other_weights_are_refused() {
    let tensor = Tensor {
        shape: vec![1, 2],
        values: Values::F32(vec![1.0, 2.0]),
    };
    assert!(Packed::new(kernel(), &tensor).is_none());
}
