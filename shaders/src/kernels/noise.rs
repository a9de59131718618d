//! Gaussian noise on a state; see [`hrm_core::noise`].

use hrm_core::engine::EngineError;

use super::{Kernels, spread};
use crate::kernel::{Array, Dispatch, check_shape};
use crate::pack::fours;

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    hidden: u32,
    lanes: u32,
    positions: u32,
    lanes_all: u32,
    stride: u32,
    update: u32,
    unused: [u32; 2],
}

/// Words of a sequence's stream: the seed, the bits of the deviation, the
/// updates before the segment, and one that is unused.
pub(crate) const STREAM: usize = 4;

/// Adds to both of `to`, each `[batch, positions, fours(hidden)]`, the noise
/// after the segment's update of number `update`. `streams` is
/// `[batch, STREAM]`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [batch, positions, hidden]: [usize; 3],
    update: u32,
    streams: &Array,
    to: [&Array; 2],
) -> Result<Dispatch, EngineError> {
    check_shape("noise", streams, &[("batch", batch), ("stream", STREAM)])?;
    for array in to {
        let axes = [
            ("batch", batch),
            ("positions", positions),
            ("hidden", fours(hidden)),
        ];
        check_shape("noise", array, &axes)?;
    }
    let lanes = fours(hidden) / 4;
    let all = batch * positions * lanes;
    let (stride, groups) = spread(all);
    let params = Params {
        hidden: hidden as u32,
        lanes: lanes as u32,
        positions: positions as u32,
        lanes_all: all as u32,
        stride,
        update,
        unused: [0; 2],
    };
    let kernel = kernels.get("noise", &[include_str!("noise.wgsl")]);
    let [state, next] = to;
    kernel.dispatch(
        kernels.context(),
        params,
        &[(1, streams), (2, state), (3, next)],
        groups,
    )
}

#[cfg(test)]
mod tests {
    use hrm_core::noise::Noise;

    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        /// Against the same draws on the CPU, at widths that are no multiple
        /// of four; padding stays as it is.
        async fn noise_is_that_of_the_cpu(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(2);
            for [batch, positions, hidden] in [[1, 1, 1], [3, 5, 6], [2, 300, 130]] {
                let width = fours(hidden);
                let before = [(); 2].map(|()| values(&mut rng, batch * positions * width));
                let noise: Vec<Noise> = (0..batch)
                    .map(|i| Noise { seed: 40 + i as u32, deviation: 0.5 * i as f32 + 0.25 })
                    .collect();
                let streams: Vec<u32> = noise
                    .iter()
                    .flat_map(|n| [n.seed, n.deviation.to_bits(), 7, 0])
                    .collect();
                let streams = Array::new(&context, "noise", &streams).unwrap();
                let [a, b] = before.each_ref().map(|v| Array::new(&context, "v", v).unwrap());
                let shape = [batch, positions, hidden];
                let found = run(&kernels, &[&a, &b], || {
                    dispatch(&kernels, shape, 2, &streams, [&a, &b]).unwrap()
                }).await;
                for (found, before) in found.iter().zip(&before) {
                    let mut expected: Vec<f64> = before.iter().map(|&v| f64::from(v)).collect();
                    for (i, noise) in noise.iter().enumerate() {
                        let mut dense = vec![0.0; positions * hidden];
                        noise.add(9, hidden, &mut dense);
                        for (p, row) in dense.chunks(hidden).enumerate() {
                            for (c, &v) in row.iter().enumerate() {
                                expected[(i * positions + p) * width + c] += f64::from(v);
                            }
                        }
                    }
                    assert_close(found, &expected, 1e-3, "noise");
                }
            }
        }
    }
}
