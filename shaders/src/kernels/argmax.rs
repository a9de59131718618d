//! The most likely token of every cell.

use hrm_core::engine::EngineError;

use super::{Kernels, summary};
use crate::kernel::{Array, Dispatch, check_shape};
use crate::pack::fours;

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    sequences: u32,
    positions: u32,
    prefix: u32,
    vocabulary: u32,
    stride: u32,
    summary: u32,
    head: u32,
    unused: u32,
}

/// `logits` is `[sequences, positions, fours(vocabulary)]`; the tokens of all
/// positions from `prefix` on go into `summaries` (see [`summary`]).
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, positions, vocabulary]: [usize; 3],
    prefix: usize,
    logits: &Array,
    summaries: &Array,
) -> Result<Dispatch, EngineError> {
    let cells = positions - prefix;
    let stride = fours(vocabulary);
    check_shape(
        "argmax",
        logits,
        &[
            ("sequences", sequences),
            ("positions", positions),
            ("vocabulary", stride),
        ],
    )?;
    check_shape(
        "argmax",
        summaries,
        &[("sequences", sequences), ("words", summary::words(cells))],
    )?;
    let params = Params {
        sequences: sequences as u32,
        positions: positions as u32,
        prefix: prefix as u32,
        vocabulary: vocabulary as u32,
        stride: stride as u32,
        summary: summary::words(cells) as u32,
        head: summary::HEAD as u32,
        unused: 0,
    };
    let kernel = kernels.get("argmax", &[include_str!("argmax.wgsl")]);
    let groups = [cells.div_ceil(32), sequences, 1];
    kernel.dispatch(
        kernels.context(),
        params,
        &[(1, logits), (2, summaries)],
        groups,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gpu_test, run};

    gpu_test! {
        /// Logits of few distinct values, so that ties are common.
        async fn first_among_equals(context) {
            let kernels = Kernels::new(&context);
            let (sequences, cells, vocabulary, prefix) = (2, 36, 11, 1);
            let stride = fours(vocabulary);
            let logits: Vec<f32> = (0..sequences * (cells + prefix) * stride)
                // What is beyond the vocabulary must not be looked at.
                .map(|i| if i % stride < vocabulary { (i * i % 7) as f32 - 9.0 } else { 99.0 })
                .collect();
            let array = Array::new(&context, "logits", &logits).unwrap();
            let summaries = Array::zeros(&context, "summaries", sequences * summary::words(cells)).unwrap();
            let found = run(&kernels, &[&summaries], || {
                dispatch(&kernels, [sequences, cells + prefix, vocabulary], prefix, &array, &summaries).unwrap()
            }).await;
            for (s, words) in found[0].chunks_exact(summary::words(cells)).enumerate() {
                for (cell, &token) in words[summary::HEAD..].iter().enumerate() {
                    let row = (s * (cells + prefix) + prefix + cell) * stride;
                    let row = &logits[row..row + vocabulary];
                    let top = row.iter().fold(f32::MIN, |m, &v| m.max(v));
                    assert_eq!(token as usize, row.iter().position(|&v| v == top).unwrap());
                }
            }
        }
    }
}
