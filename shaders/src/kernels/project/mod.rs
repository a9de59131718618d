//! Activations times weights, over the channels: `y = x · Wᵀ`, with what
//! follows it fused in.

use hrm_core::engine::EngineError;

use super::{Bodies, Kernels};
use crate::kernel::{Array, Dispatch, check_fours, check_shape};
use crate::pack::{Matrix, fours};

/// How rows are normalised: by the root of the mean of their squares. The norm
/// has no weights, so that it is one factor a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// `[rows, parts]`: sums of squares in parts, see [`parts`].
    pub(crate) squares: &'a Array,
    pub(crate) parts: usize,
    /// Elements that the mean is over, padding not counted.
    pub(crate) width: usize,
    pub(crate) epsilon: f32,
}

/// Rows, and the norm that they have not been through yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a Array,
    pub(crate) norm: Option<Norm<'a>>,
}

impl<'a> From<&'a Array> for Rows<'a> {
    fn from(values: &'a Array) -> Self {
        Self { values, norm: None }
    }
}

/// Parts in which an epilogue leaves the squares of a row of `columns`: one
/// for four columns, and zeros up to whole vectors.
pub(crate) fn parts(columns: usize) -> usize {
    fours(columns.div_ceil(4))
}

/// What happens to a product.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epilogue<'a> {
    /// It is stored: y is `[rows, columns]`.
    Store,
    /// y = residual + product, the residual through its norm first; `squares`
    /// gets the parts of y's squares, `[rows, parts(columns)]`.
    Residual {
        residual: Rows<'a>,
        squares: &'a Array,
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
    /// The same with the normalised gate, whose norm is left to the rows'
    /// next use; `squares` is `[rows, parts(columns)]`.
    Normalized { squares: &'a Array },
    /// The one gate or, with `squares`, the other, after the product has got
    /// what its row's groups add.
    Related {
        messages: Messages<'a>,
        squares: Option<&'a Array>,
    },
}

/// What groups of positions add to a product of their members' rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages<'a> {
    /// `[rows of groups, columns]`.
    pub(crate) values: &'a Array,
    /// Number of those rows.
    pub(crate) rows: usize,
    /// Which of them, see [`super::pool::Groups`].
    pub(crate) places: &'a Array,
    pub(crate) positions: usize,
    pub(crate) relations: usize,
}

impl Epilogue<'_> {
    fn source(&self) -> (&'static [&'static str], &'static str) {
        const SQUARES: &str = include_str!("squares.wgsl");
        const SILU: &str = include_str!("silu.wgsl");
        const NORMALIZED: &str = include_str!("normalized.wgsl");
        const ALONE: &str = include_str!("alone.wgsl");
        const JOINED: &str = include_str!("joined.wgsl");
        match self {
            Self::Store => (&[include_str!("store.wgsl")], "store"),
            Self::Residual { .. } => (&[include_str!("residual.wgsl"), SQUARES], "residual"),
            Self::Rotary { .. } => (&[include_str!("rotary.wgsl")], "rotary"),
            Self::Silu => (&[SILU, ALONE], "silu"),
            Self::Normalized { .. } => (&[NORMALIZED, SQUARES, ALONE], "normalized"),
            Self::Related { squares: None, .. } => (&[SILU, JOINED], "related silu"),
            Self::Related { .. } => (&[NORMALIZED, SQUARES, JOINED], "related normalized"),
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
    parts4: u32,
    width: f32,
    epsilon: f32,
    residual_parts4: u32,
    residual_width: f32,
    y_parts: u32,
    relations: u32,
    unused: [u32; 3],
}

/// `x` is `[rows, depth]`; columns are the rows of `weights`.
pub(crate) fn dispatch<'a>(
    kernels: &Kernels,
    rows: usize,
    x: impl Into<Rows<'a>>,
    weights: &Matrix,
    y: &Array,
    epilogue: Epilogue<'_>,
) -> Result<Dispatch, EngineError> {
    let x = x.into();
    let (columns, depth) = (weights.rows, weights.depth);
    check_fours("project", "columns", columns)?;
    check_fours("project", "depth", depth)?;
    check_shape("project", x.values, &[("rows", rows), ("depth", depth)])?;
    check_shape("project", &weights.values, &weights.axes())?;

    let mut params = Params {
        rows: rows as u32,
        depth4: (depth / 4) as u32,
        columns4: (columns / 4) as u32,
        y_parts: parts(columns) as u32,
        ..Params::default()
    };
    let check_squares = |array: &Array, parts: usize| {
        check_fours("project", "parts", parts)?;
        check_shape("project", array, &[("rows", rows), ("parts", parts)])
    };
    if let Some(norm) = x.norm {
        check_squares(norm.squares, norm.parts)?;
        params.parts4 = (norm.parts / 4) as u32;
        params.width = norm.width as f32;
        params.epsilon = norm.epsilon;
    }
    // Unread without a norm, but the binding must be there.
    let x_squares = x.norm.map_or(x.values, |norm| norm.squares);
    let mut arrays = vec![(1, x.values), (2, &weights.values), (4, y), (7, x_squares)];
    arrays.extend(weights.scales.as_ref().map(|scales| (3, scales)));
    let mut width = columns;
    match epilogue {
        Epilogue::Store => {}
        Epilogue::Residual { residual, squares } => {
            let values = residual.values;
            check_shape("project", values, &[("rows", rows), ("columns", columns)])?;
            check_squares(squares, parts(columns))?;
            if let Some(norm) = residual.norm {
                check_squares(norm.squares, norm.parts)?;
                params.residual_parts4 = (norm.parts / 4) as u32;
                params.residual_width = norm.width as f32;
                params.epsilon = norm.epsilon;
            }
            let residual_squares = residual.norm.map_or(values, |norm| norm.squares);
            arrays.extend([(5, values), (6, residual_squares), (8, squares)]);
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
            check_squares(squares, parts(columns))?;
            arrays.push((5, squares));
        }
        Epilogue::Related { messages, squares } => {
            width = columns / 2;
            let Messages {
                values,
                places,
                positions,
                relations,
                ..
            } = messages;
            check_shape(
                "project",
                values,
                &[("rows of groups", messages.rows), ("columns", columns)],
            )?;
            let axes = [("positions", positions), ("relations", relations)];
            check_shape("project", places, &[axes[0], axes[1], ("numbers", 2)])?;
            params.positions = positions as u32;
            params.relations = relations as u32;
            arrays.extend([(6, values), (8, places)]);
            if let Some(squares) = squares {
                check_squares(squares, parts(columns))?;
                arrays.push((5, squares));
            }
        }
    }
    check_shape("project", y, &[("rows", rows), ("columns", width)])?;

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
        &format!("project {name} {}", form.name),
        &[&form.sources, &[include_str!("params.wgsl")][..], end].concat(),
    );
    let [tile_rows, tile_columns] = form.tile;
    let workgroups = [columns.div_ceil(tile_columns), rows.div_ceil(tile_rows), 1];
    kernel.dispatch(kernels.context(), params, &arrays, workgroups)
}

#[cfg(test)]
mod tests;
