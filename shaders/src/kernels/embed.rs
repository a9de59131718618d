//! The puzzle as the model sees it: token embeddings with the puzzle
//! embedding in front, and learned positions where there are any.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    sequences: u32,
    positions: u32,
    prefix: u32,
    hidden4: u32,
    scale: f32,
    learned: u32,
    unused: [u32; 2],
}

/// The tables of an embedding; rows have the same padded width.
#[derive(Debug)]
pub(crate) struct Tables {
    /// `[vocabulary, hidden]`.
    pub(crate) tokens: Array,
    /// `[identifiers, hidden]`, where there are positions in front.
    pub(crate) puzzles: Option<Array>,
    /// How many there are: the first is the puzzle's row, the others are zeros.
    pub(crate) prefix: usize,
    /// `[positions, hidden]`, where positions are learned.
    pub(crate) positions: Option<Array>,
    pub(crate) scale: f32,
}

/// `tokens` is `[sequences, positions - prefix]`, `identifiers` `[sequences]`,
/// each one of a row of the puzzles' table, `y` `[sequences, positions,
/// hidden]`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, positions, hidden]: [usize; 3],
    tables: &Tables,
    tokens: &Array,
    identifiers: &Array,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    check_fours("embed", "hidden", hidden)?;
    let prefix = tables.prefix;
    check_shape("embed", identifiers, &[("sequences", sequences)])?;
    check_shape(
        "embed",
        tokens,
        &[("sequences", sequences), ("cells", positions - prefix)],
    )?;
    check_shape(
        "embed",
        y,
        &[
            ("sequences", sequences),
            ("positions", positions),
            ("hidden", hidden),
        ],
    )?;
    if let Some(table) = &tables.positions {
        check_shape(
            "embed",
            table,
            &[("positions", positions), ("hidden", hidden)],
        )?;
    }
    let params = Params {
        sequences: sequences as u32,
        positions: positions as u32,
        prefix: prefix as u32,
        hidden4: (hidden / 4) as u32,
        scale: tables.scale,
        learned: u32::from(tables.positions.is_some()),
        ..Params::default()
    };
    let absent = &tables.tokens;
    let arrays = [
        (1, tokens),
        (2, &tables.tokens),
        (3, tables.puzzles.as_ref().unwrap_or(absent)),
        (4, tables.positions.as_ref().unwrap_or(absent)),
        (5, y),
        (6, identifiers),
    ];
    let kernel = kernels.get("embed", &[include_str!("embed.wgsl")]);
    let groups = [(hidden / 4).div_ceil(64), positions, sequences];
    kernel.dispatch(kernels.context(), params, &arrays, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn prefix_and_positions_are_optional(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            let (sequences, cells, hidden, vocabulary) = (3, 7, 12, 5);
            let tokens: Vec<u32> = (0..sequences * cells).map(|i| (i * i % vocabulary) as u32).collect();
            let table = values(&mut rng, vocabulary * hidden);
            let tokens_array = Array::new(&context, "tokens", &tokens).unwrap();
            let kinds = [2u32, 0, 1];
            let kinds_array = Array::new(&context, "identifiers", &kinds).unwrap();
            for prefix in [0, 1, 3] {
                for learned in [false, true] {
                    let positions = cells + prefix;
                    let (first, places) = (values(&mut rng, 3 * hidden), values(&mut rng, positions * hidden));
                    let array = |v: &[f32]| Array::new(&context, "table", v).unwrap();
                    let tables = Tables {
                        tokens: array(&table),
                        puzzles: (prefix > 0).then(|| array(&first)),
                        prefix,
                        positions: learned.then(|| array(&places)),
                        scale: 1.5,
                    };
                    let y = Array::zeros(&context, "y", sequences * positions * hidden).unwrap();
                    let found = run(&kernels, &[&y], || {
                        dispatch(&kernels, [sequences, positions, hidden], &tables, &tokens_array, &kinds_array, &y).unwrap()
                    }).await;
                    let mut expected = Vec::new();
                    for s in 0..sequences {
                        for p in 0..positions {
                            for c in 0..hidden {
                                let base = match p.checked_sub(prefix) {
                                    Some(cell) => table[tokens[s * cells + cell] as usize * hidden + c],
                                    None if p == 0 => first[kinds[s] as usize * hidden + c],
                                    None => 0.0,
                                };
                                let place = if learned { places[p * hidden + c] } else { 0.0 };
                                expected.push(1.5 * (f64::from(base) + f64::from(place)));
                            }
                        }
                    }
                    assert_close(&found[0], &expected, 1e-6, &format!("prefix {prefix}, learned {learned}"));
                }
            }
        }
    }
}
