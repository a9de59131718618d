//! The puzzle as a model with a position a (cell, symbol) sees it: the roles'
//! vectors, and the last answer.

use hrm_core::engine::EngineError;
use hrm_core::plan::Answers;

use super::{Kernels, spread};
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    positions: u32,
    cells: u32,
    symbols: u32,
    first: u32,
    hidden4: u32,
    feedback: u32,
    stride: u32,
    unused: u32,
}

/// The vectors of such an embedding.
#[derive(Debug)]
pub(crate) struct Vectors {
    /// `[4, hidden]`: a cell that is blank, is given as this symbol, is given
    /// as another; feedback, zeros where there is none.
    pub(crate) values: Array,
    /// Whether there is feedback.
    pub(crate) feedback: bool,
}

/// What the sequences are given.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// `[sequences, cells]`.
    pub(crate) tokens: &'a Array,
    /// `[sequences]`, 1 for those without a last answer.
    pub(crate) fresh: &'a Array,
    /// `[sequences, cells, symbols]`: logits of the last answers.
    pub(crate) logits: &'a Array,
}

/// `y` is `[sequences, cells, symbols, hidden]`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, cells, hidden]: [usize; 3],
    answers: Answers,
    vectors: &Vectors,
    given: &Given<'_>,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    check_fours("roles", "hidden", hidden)?;
    let axes = [
        ("sequences", sequences),
        ("cells", cells),
        ("symbols", answers.count),
        ("hidden", hidden),
    ];
    check_shape("roles", given.tokens, &axes[..2])?;
    check_shape("roles", given.fresh, &axes[..1])?;
    check_shape("roles", given.logits, &axes[..3])?;
    check_shape("roles", &vectors.values, &[("vectors", 4), axes[3]])?;
    check_shape("roles", y, &axes)?;
    let positions = sequences * cells * answers.count;
    let (stride, groups) = spread(positions);
    let params = Params {
        positions: positions as u32,
        cells: cells as u32,
        symbols: answers.count as u32,
        first: u32::from(answers.first),
        hidden4: (hidden / 4) as u32,
        feedback: u32::from(vectors.feedback),
        stride,
        unused: 0,
    };
    let kernel = kernels.get("roles", &[include_str!("roles.wgsl")]);
    let arrays = [
        (1, given.tokens),
        (2, given.fresh),
        (3, given.logits),
        (4, &vectors.values),
        (5, y),
    ];
    kernel.dispatch(kernels.context(), params, &arrays, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn roles_and_feedback(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (sequences, cells, count, hidden) in [(3, 7, 5, 12), (2, 81, 9, 32)] {
                let answers = Answers { first: 2, count };
                let tokens: Vec<u32> = (0..sequences * cells).map(|i| 1 + (i * i) as u32 % (1 + count as u32)).collect();
                let fresh: Vec<u32> = (0..sequences).map(|s| s as u32 % 2).collect();
                // Some probabilities near 0 and 1.
                let logits: Vec<f32> = values(&mut rng, sequences * cells * count).iter().map(|v| 9.0 * v).collect();
                let table = values(&mut rng, 4 * hidden);
                let [tokens_array, fresh_array] = [&tokens, &fresh].map(|v| Array::new(&context, "t", v).unwrap());
                let logits_array = Array::new(&context, "logits", &logits).unwrap();
                for feedback in [false, true] {
                    let values = Array::new(&context, "vectors", &table).unwrap();
                    let vectors = Vectors { values, feedback };
                    let given = Given { tokens: &tokens_array, fresh: &fresh_array, logits: &logits_array };
                    let y = Array::zeros(&context, "y", logits.len() * hidden).unwrap();
                    let found = run(&kernels, &[&y], || {
                        dispatch(&kernels, [sequences, cells, hidden], answers, &vectors, &given, &y).unwrap()
                    }).await;
                    let mut expected = Vec::new();
                    for (cell, of_cell) in logits.chunks_exact(count).enumerate() {
                        let sum: f64 = of_cell.iter().map(|&v| f64::from(v).exp()).sum();
                        for (symbol, &logit) in of_cell.iter().enumerate() {
                            let token = tokens[cell] as usize;
                            let role = if token == 1 { 0 } else if token == 2 + symbol { 1 } else { 2 };
                            let share = match (feedback, fresh[cell / cells], role) {
                                (false, ..) => 0.0,
                                (_, 0, _) => f64::from(logit).exp() / sum,
                                (_, _, 0) => 1.0 / count as f64,
                                (_, _, role) => f64::from(2 - role as u8),
                            };
                            let vector = |i: usize| table[i * hidden..].iter().take(hidden);
                            let sums = vector(role).zip(vector(3)).map(|(&a, &b)| f64::from(a) + share * f64::from(b));
                            expected.extend(sums);
                        }
                    }
                    assert_close(&found[0], &expected, 2e-6, &format!("{count} symbols, feedback {feedback}"));
                }
            }
        }
    }
}
