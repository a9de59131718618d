//! What a segment reports of each sequence, small enough to read back every
//! time.

use hrm_core::engine::EngineError;
use hrm_core::puzzle::PuzzleKind;

use super::{Kernels, partials::PARTS};
use crate::kernel::{Array, Dispatch, check_shape};

/// Words in front of a summary's tokens: conflicts (see [`counts`]), `q_halt`,
/// `q_continue`, residuals of `z_H` and `z_L`, three unused.
pub(crate) const HEAD: usize = 8;

/// Whether the kernel counts the conflicts of such puzzles. Those of others are
/// counted on the host, of the tokens, and the summary says 0.
pub(crate) fn counts(puzzle: PuzzleKind) -> bool {
    puzzle.sudoku().is_ok()
}

/// Words of a sequence's summary.
pub(crate) fn words(cells: usize) -> usize {
    HEAD + cells
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    sequences: u32,
    words: u32,
    head: u32,
    side: u32,
    box_rows: u32,
    box_columns: u32,
    pool_factor: f32,
    mean_factor: f32,
    q_bias: [f32; 2],
    unused: [u32; 2],
}

/// What the sums are divided by, and the q head's bias.
pub(crate) struct Scales {
    /// Positions that the q head looks at.
    pub(crate) pooled: usize,
    /// Elements of a state, padding not counted.
    pub(crate) elements: usize,
    pub(crate) q_bias: [f32; 2],
}

/// `partials` is `[sequences, PARTS, 4]`; `summaries` has the tokens of the
/// sequences already.
pub(crate) fn dispatch(
    kernels: &Kernels,
    sequences: usize,
    puzzle: PuzzleKind,
    scales: &Scales,
    partials: &Array,
    summaries: &Array,
) -> Result<Dispatch, EngineError> {
    check_shape(
        "summary",
        partials,
        &[("sequences", sequences), ("parts", PARTS), ("sums", 4)],
    )?;
    check_shape(
        "summary",
        summaries,
        &[("sequences", sequences), ("words", words(puzzle.cells()))],
    )?;
    // Without rows there is nothing to count.
    let houses = puzzle.sudoku().map_or([0; 3], |shape| {
        [shape.side(), shape.box_rows(), shape.box_cols()].map(|length| length as u32)
    });
    let params = Params {
        sequences: sequences as u32,
        words: words(puzzle.cells()) as u32,
        head: HEAD as u32,
        side: houses[0],
        box_rows: houses[1],
        box_columns: houses[2],
        pool_factor: 1.0 / scales.pooled as f32,
        mean_factor: 1.0 / scales.elements as f32,
        q_bias: scales.q_bias,
        unused: [0; 2],
    };
    let kernel = kernels.get("summary", &[include_str!("summary.wgsl")]);
    let groups = [sequences.div_ceil(32), 1, 1];
    kernel.dispatch(
        kernels.context(),
        params,
        &[(1, partials), (2, summaries)],
        groups,
    )
}

#[cfg(test)]
mod tests {
    use hrm_core::puzzle::{MazeSize, Shape};
    use rand::Rng;

    use super::*;
    use crate::kernels::partials::{self, States};
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        /// Random grids with blanks and padding against the definition of E,
        /// and the sums of both kernels against plain ones.
        async fn conflicts_q_values_and_residuals(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            let mazes = [2, 7, 30].into_iter().filter_map(MazeSize::of_side).map(PuzzleKind::from);
            for puzzle in Shape::ALL.into_iter().map(PuzzleKind::from).chain(mazes) {
                let (sequences, cells, hidden) = (35, puzzle.cells(), 8);
                let positions = cells + 1;
                let elements = positions * hidden;
                let grids: Vec<Vec<u8>> = (0..sequences)
                    .map(|_| (0..cells).map(|_| rng.random_range(0..puzzle.vocab() as u8)).collect())
                    .collect();
                let words: Vec<u32> =
                    grids.iter().flat_map(|g| [0; HEAD].into_iter().chain(g.iter().map(|&t| u32::from(t)))).collect();
                let summaries = Array::new(&context, "summaries", &words).unwrap();
                let state = [(); 4].map(|()| values(&mut rng, sequences * elements));
                let q = values(&mut rng, 2 * hidden);
                let [z_h, z_l, old_h, old_l] = state.each_ref().map(|v| Array::new(&context, "state", v).unwrap());
                let q_weight = Array::new(&context, "q", &q).unwrap();
                let sums = Array::zeros(&context, "sums", sequences * PARTS * 4).unwrap();
                for (outputs, pooled) in [(2, 1), (1, positions)] {
                    let weight = if outputs == 2 { q_weight.clone() } else { Array::new(&context, "q", &q[..hidden]).unwrap() };
                    let states = States { now: [&z_h, &z_l], before: [&old_h, &old_l] };
                    run(&kernels, &[&sums], || {
                        partials::dispatch(&kernels, [sequences, positions, hidden], &states, (&weight, outputs, pooled), &sums).unwrap()
                    }).await;
                    let scales = Scales { pooled, elements, q_bias: [0.5, -0.25] };
                    let found = run(&kernels, &[&summaries], || {
                        dispatch(&kernels, sequences, puzzle, &scales, &sums, &summaries).unwrap()
                    }).await;
                    for (s, (found, grid)) in found[0].chunks_exact(HEAD + cells).zip(&grids).enumerate() {
                        let conflicts = if counts(puzzle) { puzzle.conflicts(grid).unwrap() } else { 0 };
                        assert_eq!(found[0], conflicts, "{puzzle}");
                        let part = |i: usize| &state[i][s * elements..(s + 1) * elements];
                        let q_value = |output: usize, bias: f64| {
                            let products = part(0)[..pooled * hidden].iter().enumerate().map(|(i, &z)| {
                                f64::from(z) * f64::from(q[output * hidden + i % hidden])
                            });
                            products.sum::<f64>() / pooled as f64 + bias
                        };
                        let residual = |now: usize, before: usize| {
                            let squares = part(now).iter().zip(part(before)).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
                            (squares.sum::<f64>() / elements as f64).sqrt()
                        };
                        let expected = [q_value(0, 0.5), q_value(outputs - 1, -0.25), residual(0, 2), residual(1, 3)];
                        assert_close(&found[1..5], &expected, 1e-5, "sums");
                    }
                }
            }
        }
    }
}
