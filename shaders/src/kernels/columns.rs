//! RMS norm over the positions of each channel, without weights: what TRM and
//! EqR have after mixing positions.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    sequences: u32,
    positions: u32,
    hidden4: u32,
    epsilon: f32,
}

/// `x` and `y` are `[sequences, positions, hidden]`; zeros stay zero.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, positions, hidden]: [usize; 3],
    epsilon: f32,
    x: &Array,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    check_fours("columns", "hidden", hidden)?;
    for array in [x, y] {
        let shape = [
            ("sequences", sequences),
            ("positions", positions),
            ("hidden", hidden),
        ];
        check_shape("columns", array, &shape)?;
    }
    let params = Params {
        sequences: sequences as u32,
        positions: positions as u32,
        hidden4: (hidden / 4) as u32,
        epsilon,
    };
    let kernel = kernels.get("columns", &[include_str!("columns.wgsl")]);
    let groups = [(hidden / 4).div_ceil(32), sequences, 1];
    kernel.dispatch(kernels.context(), params, &[(1, x), (2, y)], groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn channels_of_any_length(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (sequences, positions, hidden) in [(1, 1, 4), (3, 17, 12), (2, 97, 132)] {
                let x = values(&mut rng, sequences * positions * hidden);
                let x_array = Array::new(&context, "x", &x).unwrap();
                let y = Array::zeros(&context, "y", x.len()).unwrap();
                let found = run(&kernels, &[&y], || {
                    dispatch(&kernels, [sequences, positions, hidden], 1e-5, &x_array, &y).unwrap()
                }).await;
                let expected: Vec<f64> = (0..x.len())
                    .map(|i| {
                        let (sequence, channel) = (i / (positions * hidden), i % hidden);
                        let at = |p: usize| f64::from(x[(sequence * positions + p) * hidden + channel]);
                        let mean = (0..positions).map(|p| at(p).powi(2)).sum::<f64>() / positions as f64;
                        f64::from(x[i]) / (mean + 1e-5).sqrt()
                    })
                    .collect();
                assert_close(&found[0], &expected, 2e-6, &format!("{sequences} x {positions} x {hidden}"));
            }
        }
    }
}
