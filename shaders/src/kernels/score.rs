//! The output head of a model with a position a (cell, symbol): one logit a
//! position.

use hrm_core::engine::EngineError;

use super::{Kernels, spread};
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    rows: u32,
    width4: u32,
    stride: u32,
    unused: u32,
}

/// `x` is `[rows, width]`, `weights` `[width]`, `y` `[rows]`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [rows, width]: [usize; 2],
    x: &Array,
    weights: &Array,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    check_fours("score", "width", width)?;
    check_shape("score", x, &[("rows", rows), ("width", width)])?;
    check_shape("score", weights, &[("width", width)])?;
    check_shape("score", y, &[("rows", rows)])?;
    let (stride, groups) = spread(rows);
    let params = Params {
        rows: rows as u32,
        width4: (width / 4) as u32,
        stride,
        unused: 0,
    };
    let kernel = kernels.get("score", &[include_str!("score.wgsl")]);
    let arrays = [(1, x), (2, weights), (3, y)];
    kernel.dispatch(kernels.context(), params, &arrays, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn one_logit_a_row(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (rows, width) in [(1, 4), (67, 12), (1458, 32)] {
                let (x, weights) = (values(&mut rng, rows * width), values(&mut rng, width));
                let [x_array, w_array] = [&x, &weights].map(|v| Array::new(&context, "v", v).unwrap());
                let y = Array::zeros(&context, "y", rows).unwrap();
                let found = run(&kernels, &[&y], || {
                    dispatch(&kernels, [rows, width], &x_array, &w_array, &y).unwrap()
                }).await;
                let product = |row: &[f32]| row.iter().zip(&weights).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                let expected: Vec<f64> = x.chunks_exact(width).map(product).collect();
                assert_close(&found[0], &expected, 2e-6, &format!("{rows} x {width}"));
            }
        }
    }
}
