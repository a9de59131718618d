//! The most likely token of every cell.

use hrm_core::engine::EngineError;
use hrm_core::plan::Answers;

use super::{Kernels, summary};
use crate::kernel::{Array, Dispatch, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    sequences: u32,
    rows: u32,
    prefix: u32,
    answers: u32,
    first: u32,
    stride: u32,
    summary: u32,
    head: u32,
}

/// How logits are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logits {
    /// Rows in front of the cells, one of which each cell has.
    pub(crate) prefix: usize,
    /// Cells of a sequence.
    pub(crate) cells: usize,
    /// What a row means.
    pub(crate) answers: Answers,
    /// Length of a row, padding included.
    pub(crate) stride: usize,
}

impl Logits {
    /// Rows of a sequence.
    pub(crate) fn rows(&self) -> usize {
        self.prefix + self.cells
    }

    /// Elements of a sequence.
    pub(crate) fn elements(&self) -> usize {
        self.rows() * self.stride
    }
}

/// `logits` is `[sequences, rows, stride]`; the tokens of all cells go into
/// `summaries` (see [`summary`]).
pub(crate) fn dispatch(
    kernels: &Kernels,
    sequences: usize,
    form: Logits,
    logits: &Array,
    summaries: &Array,
) -> Result<Dispatch, EngineError> {
    let cells = form.cells;
    check_shape(
        "argmax",
        logits,
        &[
            ("sequences", sequences),
            ("rows", form.rows()),
            ("answers", form.stride),
        ],
    )?;
    check_shape(
        "argmax",
        summaries,
        &[("sequences", sequences), ("words", summary::words(cells))],
    )?;
    let params = Params {
        sequences: sequences as u32,
        rows: form.rows() as u32,
        prefix: form.prefix as u32,
        answers: form.answers.count as u32,
        first: u32::from(form.answers.first),
        stride: form.stride as u32,
        summary: summary::words(cells) as u32,
        head: summary::HEAD as u32,
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
            let (sequences, cells) = (2, 36);
            for (prefix, count, first, stride) in [(1, 11, 0, 12), (0, 9, 2, 9)] {
                let answers = Answers { first, count };
                let form = Logits { prefix, cells, answers, stride };
                let logits: Vec<f32> = (0..sequences * (cells + prefix) * stride)
                    // What is beyond the vocabulary must not be looked at.
                    .map(|i| if i % stride < count { (i * i % 7) as f32 - 9.0 } else { 99.0 })
                    .collect();
                let array = Array::new(&context, "logits", &logits).unwrap();
                let summaries = Array::zeros(&context, "summaries", sequences * summary::words(cells)).unwrap();
                let found = run(&kernels, &[&summaries], || {
                    dispatch(&kernels, sequences, form, &array, &summaries).unwrap()
                }).await;
                for (s, words) in found[0].chunks_exact(summary::words(cells)).enumerate() {
                    for (cell, &token) in words[summary::HEAD..].iter().enumerate() {
                        let row = (s * (cells + prefix) + prefix + cell) * stride;
                        let row = &logits[row..row + count];
                        let top = row.iter().fold(f32::MIN, |m, &v| m.max(v));
                        assert_eq!(token as usize, usize::from(first) + row.iter().position(|&v| v == top).unwrap());
                    }
                }
            }
        }
    }
}
