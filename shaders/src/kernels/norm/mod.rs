//! RMS norm over the channels, without weights.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::context::Variant;
use crate::kernel::{Array, Dispatch, check_shape};
use crate::pack::fours;

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    rows: u32,
    width4: u32,
    width: f32,
    epsilon: f32,
}

/// `x` and `y` are `[rows, fours(width)]`, zero beyond `width`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [rows, width]: [usize; 2],
    epsilon: f32,
    x: &Array,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    for array in [x, y] {
        check_shape("norm", array, &[("rows", rows), ("width", fours(width))])?;
    }
    let params = Params {
        rows: rows as u32,
        width4: (fours(width) / 4) as u32,
        width: width as f32,
        epsilon,
    };
    let (body, variant) =
        kernels.by_variant(include_str!("direct.wgsl"), include_str!("tiled.wgsl"));
    let kernel = kernels.get(
        &format!("norm {variant}"),
        &[include_str!("params.wgsl"), body],
    );
    let groups = match kernels.context().variant() {
        Variant::Direct => rows.div_ceil(32),
        Variant::Tiled => rows,
    };
    kernel.dispatch(kernels.context(), params, &[(1, x), (2, y)], [groups, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::restride;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn rows_of_any_width(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (rows, width) in [(1, 1), (3, 30), (33, 128), (70, 513)] {
                let x = values(&mut rng, rows * width);
                let x_array = Array::new(&context, "x", &restride(&x, width, fours(width))).unwrap();
                let y = Array::zeros(&context, "y", x_array.len()).unwrap();
                let found = run(&kernels, &[&y], || {
                    dispatch(&kernels, [rows, width], 1e-5, &x_array, &y).unwrap()
                }).await;
                let mut expected = Vec::new();
                for row in x.chunks_exact(width) {
                    let mean = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / width as f64;
                    let values = row.iter().map(|&v| f64::from(v) / (mean + 1e-5).sqrt());
                    // The padding stays zero.
                    expected.extend(values.chain(vec![0.0; fours(width) - width]));
                }
                assert_close(&found[0], &expected, 2e-6, &format!("{rows} x {width}"));
            }
        }
    }
}
