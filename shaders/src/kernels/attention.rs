//! Softmax attention, one dispatch for all heads and sequences.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::kernel::{Array, Dispatch, check_shape};
use crate::pack::fours;

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    positions: u32,
    heads: u32,
    scale: f32,
    unused: u32,
}

/// `qkv` is `[sequences, positions, 3, heads, fours(head_dim)]`, `y`
/// `[sequences, positions, heads, fours(head_dim)]`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, positions]: [usize; 2],
    [heads, head_dim]: [usize; 2],
    qkv: &Array,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    let width = fours(head_dim);
    let axes = [
        ("sequences", sequences),
        ("positions", positions),
        ("heads", heads),
        ("head", width),
    ];
    check_shape("attention", y, &axes)?;
    check_shape(
        "attention",
        qkv,
        &[("q, k, v", 3), axes[0], axes[1], axes[2], axes[3]],
    )?;
    let params = Params {
        positions: positions as u32,
        heads: heads as u32,
        scale: 1.0 / (head_dim as f32).sqrt(),
        unused: 0,
    };
    let head4 = format!("const HEAD4: u32 = {}u;\n", width / 4);
    let kernel = kernels.get(
        &format!("attention {width}"),
        &[&head4, include_str!("attention.wgsl")],
    );
    let groups = [positions.div_ceil(32), heads, sequences];
    kernel.dispatch(kernels.context(), params, &[(1, qkv), (2, y)], groups)
}

/// The rotations of q and k, `[positions, fours(head_dim)]`: cosine and sine
/// of the angle of each pair (arXiv 2104.09864; frequencies `theta^(-2j/d)`),
/// no rotation where a head is padded.
pub(crate) fn rotations(positions: usize, head_dim: usize, theta: f64) -> Vec<f32> {
    let half = head_dim / 2;
    (0..positions)
        .flat_map(|position| {
            (0..fours(head_dim) / 2).flat_map(move |j| {
                let frequency = theta.powf(-((2 * j) as f64) / head_dim as f64);
                let angle = if j < half {
                    position as f64 * frequency
                } else {
                    0.0
                };
                [angle.cos() as f32, angle.sin() as f32]
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        /// Heads of width 2 and 10 are padded to 4 and 12.
        async fn heads_of_any_width(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (sequences, positions, heads, head_dim) in [(1, 1, 1, 4), (2, 35, 3, 2), (1, 82, 2, 10), (2, 5, 1, 64)] {
                let width = fours(head_dim);
                // Large enough that some weights are near one and some vanish.
                let mut qkv: Vec<f32> = values(&mut rng, sequences * positions * 3 * heads * width)
                    .iter()
                    .map(|v| 4.0 * v)
                    .collect();
                for head in qkv.chunks_exact_mut(width) {
                    head[head_dim..].fill(0.0);
                }
                let array = Array::new(&context, "qkv", &qkv).unwrap();
                let y = Array::zeros(&context, "y", sequences * positions * heads * width).unwrap();
                let found = run(&kernels, &[&y], || {
                    dispatch(&kernels, [sequences, positions], [heads, head_dim], &array, &y).unwrap()
                }).await;
                let at = |s: usize, p: usize, part: usize, h: usize, i: usize| {
                    f64::from(qkv[((((s * positions + p) * 3) + part) * heads + h) * width + i])
                };
                let mut expected = vec![0.0; y.len()];
                for (row, out) in expected.chunks_exact_mut(width).enumerate() {
                    let (s, p, h) = (row / heads / positions, row / heads % positions, row % heads);
                    let scores: Vec<f64> = (0..positions)
                        .map(|key| {
                            let products = (0..head_dim).map(|i| at(s, p, 0, h, i) * at(s, key, 1, h, i));
                            (products.sum::<f64>() / (head_dim as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = scores.iter().sum();
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = (0..positions).map(|key| scores[key] / total * at(s, key, 2, h, i)).sum();
                    }
                }
                assert_close(&found[0], &expected, 1e-5, &format!("{positions} x {heads} x {head_dim}"));
            }
        }
    }
}
