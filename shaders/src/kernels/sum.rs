//! The input of a module call: the sum of states and the embedded puzzle.

use hrm_core::engine::EngineError;

use super::{Kernels, spread};
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    elements4: u32,
    three: u32,
    stride: u32,
    unused: u32,
}

/// `y = a + b (+ c)`, all of the same length, a multiple of four.
pub(crate) fn dispatch(
    kernels: &Kernels,
    a: &Array,
    b: &Array,
    c: Option<&Array>,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    let elements = y.len();
    check_fours("sum", "elements", elements)?;
    for array in [a, b].into_iter().chain(c) {
        check_shape("sum", array, &[("elements", elements)])?;
    }
    let (stride, groups) = spread(elements / 4);
    let params = Params {
        elements4: (elements / 4) as u32,
        three: u32::from(c.is_some()),
        stride,
        unused: 0,
    };
    let kernel = kernels.get("sum", &[include_str!("sum.wgsl")]);
    let arrays = [(1, a), (2, b), (3, c.unwrap_or(b)), (4, y)];
    kernel.dispatch(kernels.context(), params, &arrays, groups)
}

#[cfg(test)]
mod tests {
    use super::super::ROW;
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        /// The longest needs more workgroups than one row of them.
        async fn sums_of_two_and_three(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for len in [4, 260, 4 * 64 * ROW + 12] {
                let parts = [(); 3].map(|()| values(&mut rng, len));
                let [a, b, c] = parts.each_ref().map(|v| Array::new(&context, "v", v).unwrap());
                let y = Array::zeros(&context, "y", len).unwrap();
                for third in [None, Some(&c)] {
                    let found = run(&kernels, &[&y], || dispatch(&kernels, &a, &b, third, &y).unwrap()).await;
                    let expected: Vec<f64> = (0..len)
                        .map(|i| {
                            let [a, b, c] = parts.each_ref().map(|v| f64::from(v[i]));
                            a + b + if third.is_some() { c } else { 0.0 }
                        })
                        .collect();
                    assert_close(&found[0], &expected, 1e-6, "sum");
                }
            }
        }
    }
}
