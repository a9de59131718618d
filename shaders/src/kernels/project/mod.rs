//! Activations times weights, over the channels: `y = x · Wᵀ`, with what
//! follows it fused in.

use hrm_core::engine::EngineError;

use super::{Kernels, weight_source};
use crate::context::Variant;
use crate::kernel::{Array, Dispatch, check_fours, check_shape};
use crate::pack::Matrix;

/// What happens to a product.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epilogue<'a> {
    /// It is stored: y is `[rows, columns]`.
    Store,
    /// y = residual + product, the product times its row's factor if there
    /// are any (`[rows]`).
    Residual {
        residual: &'a Array,
        factors: Option<&'a Array>,
    },
    /// Columns below `rotated` are rotated: `table` is `[positions, head]`,
    /// cosine and sine alternating; y is `[rows, columns]`.
    Rotary {
        table: &'a Array,
        positions: usize,
        head: usize,
        rotated: usize,
    },
    /// Columns are gates and values alternating, y is `[rows, columns / 2]`.
    Silu,
    /// The same with the normalised gate; `squares` is `[rows, columns / 4]`.
    Normalized { squares: &'a Array },
}

impl Epilogue<'_> {
    fn source(&self) -> (&'static str, &'static str) {
        match self {
            Self::Store => (include_str!("store.wgsl"), "store"),
            Self::Residual { .. } => (include_str!("residual.wgsl"), "residual"),
            Self::Rotary { .. } => (include_str!("rotary.wgsl"), "rotary"),
            Self::Silu => (include_str!("silu.wgsl"), "silu"),
            Self::Normalized { .. } => (include_str!("normalized.wgsl"), "normalized"),
        }
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    rows: u32,
    depth4: u32,
    columns4: u32,
    positions: u32,
    head4: u32,
    rotated4: u32,
    scaled: u32,
    unused: u32,
}

/// `x` is `[rows, depth]`; columns are the rows of `weights`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    rows: usize,
    x: &Array,
    weights: &Matrix,
    y: &Array,
    epilogue: Epilogue<'_>,
) -> Result<Dispatch, EngineError> {
    let (columns, depth) = (weights.rows, weights.depth);
    check_fours("project", "columns", columns)?;
    check_fours("project", "depth", depth)?;
    check_shape("project", x, &[("rows", rows), ("depth", depth)])?;
    check_shape("project", &weights.values, &weights.axes())?;

    let mut params = Params {
        rows: rows as u32,
        depth4: (depth / 4) as u32,
        columns4: (columns / 4) as u32,
        ..Params::default()
    };
    let mut arrays = vec![(1, x), (2, &weights.values), (4, y)];
    arrays.extend(weights.scales.as_ref().map(|scales| (3, scales)));
    let mut width = columns;
    match epilogue {
        Epilogue::Store => {}
        Epilogue::Residual { residual, factors } => {
            check_shape("project", residual, &[("rows", rows), ("columns", columns)])?;
            if let Some(factors) = factors {
                check_shape("project", factors, &[("rows", rows)])?;
                params.scaled = 1;
            }
            // Unread without factors, but the binding must be there.
            arrays.extend([(5, residual), (6, factors.unwrap_or(residual))]);
        }
        Epilogue::Rotary {
            table,
            positions,
            head,
            rotated,
        } => {
            check_fours("project", "head", head)?;
            check_fours("project", "rotated", rotated)?;
            check_shape(
                "project",
                table,
                &[("positions", positions), ("head", head)],
            )?;
            params.positions = positions as u32;
            params.head4 = (head / 4) as u32;
            params.rotated4 = (rotated / 4) as u32;
            arrays.push((5, table));
        }
        Epilogue::Silu => width = columns / 2,
        Epilogue::Normalized { squares } => {
            width = columns / 2;
            check_shape(
                "project",
                squares,
                &[("rows", rows), ("columns / 4", columns / 4)],
            )?;
            arrays.push((5, squares));
        }
    }
    check_shape("project", y, &[("rows", rows), ("columns", width)])?;

    let (body, variant) =
        kernels.by_variant(include_str!("direct.wgsl"), include_str!("tiled.wgsl"));
    let (access, scheme) = weight_source(weights.is_q8());
    let (end, name) = epilogue.source();
    let kernel = kernels.get(
        &format!("project {scheme} {name} {variant}"),
        &[include_str!("params.wgsl"), access, end, body],
    );
    let (tile_rows, tile_columns) = match kernels.context().variant() {
        Variant::Direct => (6, 8 * 16),
        Variant::Tiled => (32, 64),
    };
    let workgroups = [columns.div_ceil(tile_columns), rows.div_ceil(tile_rows), 1];
    kernel.dispatch(kernels.context(), params, &arrays, workgroups)
}

#[cfg(test)]
mod tests;
