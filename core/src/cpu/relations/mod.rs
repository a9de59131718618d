//! The sublayer that pools over a puzzle's relations, fused: every pass over
//! memory does all there is to do, one sequence at a time, so that what it
//! works on stays in the caches.
//!
//! A message is the same for all members of its group, and so is its part of
//! the gate's projection: that is computed once a group and added to the
//! members, which saves most of the arithmetic of the definition.

mod backward;
mod forward;
#[cfg(test)]
mod tests;

pub(super) use backward::{Accumulated, Kept, backward};

use super::lanes::Width;
use super::ops::Scratch;
use crate::config::{Gate, Pooling};
use crate::plan::{Plan, Sublayer, TensorId};
use crate::puzzle::Relation;

/// Positions that go through the gate and the projection after it together.
const BLOCK: usize = 24;

/// The lengths of a layer.
#[derive(Debug, Clone, Copy)]
struct Dims {
    hidden: usize,
    /// Number of relations.
    relations: usize,
    message: usize,
    /// Messages' widths that a state is projected to for each relation
    /// ([`Pooling::parts`]).
    parts: usize,
    inner: usize,
}

impl Dims {
    /// Width of what a state is projected to: scores and values of every
    /// relation, then the state's own part of gate and value.
    fn wide(self) -> usize {
        self.pooled() + 2 * self.inner
    }

    /// Width of the scores and values.
    fn pooled(self) -> usize {
        self.relations * self.of_relation()
    }

    /// Width of one relation's.
    fn of_relation(self) -> usize {
        self.parts * self.message
    }

    /// Width of what gate and value are projected from.
    fn joined(self) -> usize {
        self.hidden + self.relations * self.message
    }
}

/// A layer's weights in the forms that its kernels read.
#[derive(Debug)]
pub(super) struct Packed {
    dims: Dims,
    width: Width,
    gate: Gate,
    pooling: Pooling,
    eps: f32,
    /// `[hidden, wide]`: the scores, values and own part of gate and value.
    wide: Vec<f32>,
    /// `[relations, message, 2·inner]`: the messages' part.
    messages: Vec<f32>,
    /// `[inner, hidden]`.
    down: Vec<f32>,
    rows: Rows,
}

/// What the backward pass needs besides: the matrices as they are stored.
#[derive(Debug)]
struct Rows {
    ids: [TensorId; 3],
    /// The transpose of [`Packed::wide`].
    wide: Vec<f32>,
    /// `[2·inner, joined]`.
    gate_up: Vec<f32>,
    /// `[hidden, inner]`.
    down: Vec<f32>,
}

/// The transpose of `[rows, columns]`.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns.max(1);
    let mut out = Vec::with_capacity(matrix.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| matrix[row * columns + column]));
    }
    out
}

impl Packed {
    /// The weights of a sublayer of this kind, none for another; `values`
    /// gives a tensor's.
    pub(super) fn new<'t>(
        plan: &Plan,
        sublayer: &Sublayer,
        values: impl Fn(TensorId) -> &'t [f32],
    ) -> Option<Self> {
        let Sublayer::Relations {
            project,
            gate_up,
            down,
            message,
            inner,
            gate,
            pooling,
        } = *sublayer
        else {
            return None;
        };
        let dims = Dims {
            hidden: plan.hidden,
            relations: plan.relations.len(),
            message,
            parts: pooling.parts(),
            inner,
        };
        let lengths = [dims.hidden, message, inner];
        let own = values(gate_up).chunks_exact(dims.joined());
        let mut wide_rows = values(project).to_vec();
        wide_rows.extend(own.clone().flat_map(|row| &row[..dims.hidden]));
        let mut messages = Vec::with_capacity(dims.relations * message * 2 * inner);
        for relation in 0..dims.relations {
            for channel in 0..message {
                let column = dims.hidden + relation * message + channel;
                messages.extend(own.clone().map(|row| row[column]));
            }
        }
        Some(Self {
            dims,
            width: Width::best(&lengths),
            gate,
            pooling,
            eps: plan.config.rms_norm_eps as f32,
            wide: transposed(&wide_rows, dims.hidden),
            messages,
            down: transposed(values(down), inner),
            rows: Rows {
                ids: [project, gate_up, down],
                wide: wide_rows,
                gate_up: values(gate_up).to_vec(),
                down: values(down).to_vec(),
            },
        })
    }

    /// The processor's vectors that it computes with, for people.
    pub(super) fn kernel_name(&self) -> &'static str {
        self.width.name()
    }

    /// Groups of all relations together.
    fn groups(relations: &[Relation]) -> usize {
        relations.iter().map(Relation::groups).sum()
    }
}

/// `x = rms_norm(x + f(x))` for sequences `[batch, positions, hidden]`.
///
/// With `keep` the scratch then holds what the backward pass needs: in
/// `projected`, `[positions, wide]`, the scores' exponentials (if any), the values,
/// gate and value; in `activated`, `[groups, 2·message]`, messages and sums
/// of weights; in `norms` the factor of the norm.
pub(super) fn apply(packed: &Packed, plan: &Plan, x: &mut [f32], scratch: &mut Scratch) {
    let dims = packed.dims;
    let n = plan.positions;
    let batch = x.len() / (n * dims.hidden).max(1);
    let parts = if scratch.keep { batch } else { 1 };
    let (wide, pooled) = (
        n * dims.wide(),
        Packed::groups(&plan.relations) * 2 * dims.message,
    );
    scratch.projected.resize(parts * wide, 0.0);
    scratch.activated.resize(parts * pooled, 0.0);
    let groups = Packed::groups(&plan.relations);
    scratch
        .scores
        .resize(groups * 2 * dims.inner + BLOCK * dims.inner, 0.0);
    scratch
        .norms
        .resize(if scratch.keep { batch * n } else { n }, 0.0);
    for (i, x) in x.chunks_exact_mut(n * dims.hidden).enumerate() {
        let part = if scratch.keep { i } else { 0 };
        let (spread, activated) = scratch.scores.split_at_mut(groups * 2 * dims.inner);
        forward::forward(&mut forward::Forward {
            packed,
            relations: &plan.relations,
            keep: scratch.keep,
            x,
            wide: &mut scratch.projected[part * wide..][..wide],
            messages: &mut scratch.activated[part * pooled..][..pooled],
            norms: &mut scratch.norms[part * n..][..n],
            spread,
            activated,
        });
    }
}
