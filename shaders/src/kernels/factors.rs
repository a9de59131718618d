//! The norm of the normalised gate as a factor on what follows it: the norm
//! is over the whole inner width, which no single tile of the projection
//! before it sees.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::kernel::{Array, Dispatch, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    outer: u32,
    terms: u32,
    lanes: u32,
    width: f32,
    epsilon: f32,
    unused: [u32; 3],
}

/// `squares` is `[outer, terms, lanes]`, `factors` `[outer, lanes]`; the mean
/// is over `width` elements.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [outer, terms, lanes]: [usize; 3],
    width: usize,
    epsilon: f32,
    squares: &Array,
    factors: &Array,
) -> Result<Dispatch, EngineError> {
    check_shape(
        "factors",
        squares,
        &[("outer", outer), ("terms", terms), ("lanes", lanes)],
    )?;
    check_shape("factors", factors, &[("outer", outer), ("lanes", lanes)])?;
    let params = Params {
        outer: outer as u32,
        terms: terms as u32,
        lanes: lanes as u32,
        width: width as f32,
        epsilon,
        ..Params::default()
    };
    let kernel = kernels.get("factors", &[include_str!("factors.wgsl")]);
    let groups = [(outer * lanes).div_ceil(32), 1, 1];
    kernel.dispatch(
        kernels.context(),
        params,
        &[(1, squares), (2, factors)],
        groups,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn factors_of_rows_and_of_columns(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (outer, terms, lanes) in [(35, 7, 1), (2, 12, 20), (1, 1, 1)] {
                let squares: Vec<f32> = values(&mut rng, outer * terms * lanes).iter().map(|v| v * v).collect();
                let array = Array::new(&context, "squares", &squares).unwrap();
                let factors = Array::zeros(&context, "factors", outer * lanes).unwrap();
                let width = 2 * terms - 1;
                let found = run(&kernels, &[&factors], || {
                    dispatch(&kernels, [outer, terms, lanes], width, 1e-3, &array, &factors).unwrap()
                }).await;
                let expected: Vec<f64> = (0..outer * lanes)
                    .map(|i| {
                        let (o, lane) = (i / lanes, i % lanes);
                        let at = |t| f64::from(squares[(o * terms + t) * lanes + lane]);
                        let sum: f64 = (0..terms).map(at).sum();
                        1.0 / (1e-3 + sum / width as f64).sqrt()
                    })
                    .collect();
                assert_close(&found[0], &expected, 2e-6, "factors");
            }
        }
    }
}
