//! Weights times activations, over the positions: `y = W · x` for each
//! sequence, so that nothing is ever transposed.

use hrm_core::engine::EngineError;

use super::project::parts;
use super::{Bodies, Kernels};
use crate::kernel::{Array, Dispatch, check_fours, check_shape};
use crate::pack::Matrix;

/// What happens to a product.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epilogue<'a> {
    /// y = residual + product, the product times its column's factor if there
    /// are any (`[batch, columns]`); y is `[batch, rows, columns]`, and
    /// `squares` gets the parts of its rows' squares, `[batch, rows,
    /// parts(columns)]`.
    Residual {
        residual: &'a Array,
        factors: Option<&'a Array>,
        squares: &'a Array,
    },
    /// Rows are gates and values alternating, y is `[batch, rows / 2, columns]`.
    Silu,
    /// The same with the normalised gate; `squares` is like y.
    Normalized { squares: &'a Array },
}

impl Epilogue<'_> {
    fn source(&self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Residual { .. } => (
                &[
                    include_str!("residual.wgsl"),
                    include_str!("../project/squares.wgsl"),
                ],
                "residual",
            ),
            Self::Silu => (&[include_str!("silu.wgsl")], "silu"),
            Self::Normalized { .. } => (&[include_str!("normalized.wgsl")], "normalized"),
        }
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    rows: u32,
    depth: u32,
    depth4: u32,
    columns4: u32,
    scaled: u32,
    y_parts: u32,
    unused: [u32; 2],
}

/// `x` is `[batch, depth, columns]`, where the weights' depth may be padded
/// beyond `depth`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [batch, depth, columns]: [usize; 3],
    x: &Array,
    weights: &Matrix,
    y: &Array,
    epilogue: Epilogue<'_>,
) -> Result<Dispatch, EngineError> {
    let rows = weights.rows;
    check_fours("mix", "columns", columns)?;
    check_fours("mix", "weights' depth", weights.depth)?;
    if !(depth..depth + 4).contains(&weights.depth) {
        return Err(EngineError::Device(format!(
            "mix: depth is {depth}, the weights have {}",
            weights.depth
        )));
    }
    check_shape(
        "mix",
        x,
        &[("batch", batch), ("depth", depth), ("columns", columns)],
    )?;
    check_shape("mix", &weights.values, &weights.axes())?;

    let mut params = Params {
        rows: rows as u32,
        depth: depth as u32,
        depth4: (weights.depth / 4) as u32,
        columns4: (columns / 4) as u32,
        y_parts: parts(columns) as u32,
        ..Params::default()
    };
    let mut arrays = vec![(1, x), (2, &weights.values), (4, y)];
    arrays.extend(weights.scales.as_ref().map(|scales| (3, scales)));
    let gated = [
        ("batch", batch),
        ("rows / 2", rows / 2),
        ("columns", columns),
    ];
    let full = [("batch", batch), ("rows", rows), ("columns", columns)];
    let shape = match epilogue {
        Epilogue::Residual {
            residual,
            factors,
            squares,
        } => {
            check_shape("mix", residual, &full)?;
            let parts = ("parts", parts(columns));
            check_shape("mix", squares, &[("batch", batch), ("rows", rows), parts])?;
            arrays.push((7, squares));
            if let Some(factors) = factors {
                check_shape("mix", factors, &[("batch", batch), ("columns", columns)])?;
                params.scaled = 1;
            }
            // Unread without factors, but the binding must be there.
            arrays.extend([(5, residual), (6, factors.unwrap_or(residual))]);
            full
        }
        Epilogue::Silu => gated,
        Epilogue::Normalized { squares } => {
            check_shape("mix", squares, &gated)?;
            arrays.push((5, squares));
            gated
        }
    };
    check_shape("mix", y, &shape)?;

    let form = kernels.product(
        weights.format,
        &Bodies {
            direct: include_str!("direct.wgsl"),
            tiled: include_str!("tiled.wgsl"),
            packed: include_str!("packed.wgsl"),
        },
    );
    let (end, name) = epilogue.source();
    let kernel = kernels.get(
        &format!("mix {name} {}", form.name),
        &[&form.sources, &[include_str!("params.wgsl")][..], end].concat(),
    );
    let [tile_rows, tile_columns] = form.tile;
    let workgroups = [
        columns.div_ceil(tile_columns),
        rows.div_ceil(tile_rows),
        batch,
    ];
    kernel.dispatch(kernels.context(), params, &arrays, workgroups)
}

#[cfg(test)]
mod tests;
