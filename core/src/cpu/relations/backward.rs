//! The backward pass of one sequence: the forward pass's steps from the last
//! to the first.

use super::super::lanes::{Lanes, with_lanes};
use super::super::panel::{Left, product};
use super::forward::rows;
use super::{BLOCK, Dims, Packed, transposed};
use crate::config::{Gate, Pooling};
use crate::plan::{Plan, SCORE_LIMIT, TensorId};
use crate::puzzle::Relation;

/// Gradients of a layer's weights, in the forms of [`Packed`], and buffers of
/// one sequence's backward pass.
#[derive(Debug)]
pub(in crate::cpu) struct Accumulated {
    dims: Dims,
    ids: [TensorId; 3],
    /// `[hidden, wide]`.
    wide: Vec<f32>,
    /// `[relations, message, 2·inner]`.
    messages: Vec<f32>,
    /// `[inner, hidden]`.
    down: Vec<f32>,
    /// Slopes by the projections, `[positions, wide]`.
    d_wide: Vec<f32>,
    /// Slopes by the messages' part of gate and value, `[groups, 2·inner]`.
    d_spread: Vec<f32>,
    /// Slopes by the messages, `[groups, message]`.
    d_messages: Vec<f32>,
    /// What the gate made and the slopes by it, `[2, BLOCK, inner]`.
    activated: Vec<f32>,
}

impl Accumulated {
    pub(in crate::cpu) fn new(packed: &Packed, plan: &Plan) -> Self {
        let d = packed.dims;
        let groups = Packed::groups(&plan.relations);
        Self {
            dims: d,
            ids: packed.rows.ids,
            wide: vec![0.0; d.hidden * d.wide()],
            messages: vec![0.0; packed.messages.len()],
            down: vec![0.0; packed.down.len()],
            d_wide: vec![0.0; plan.positions * d.wide()],
            d_spread: vec![0.0; groups * 2 * d.inner],
            d_messages: vec![0.0; groups * d.message],
            activated: vec![0.0; 2 * BLOCK * d.inner],
        }
    }

    /// The gradients in the weights' own layout.
    pub(in crate::cpu) fn gradients(&self) -> [(TensorId, Vec<f32>); 3] {
        let d = self.dims;
        let both = 2 * d.inner;
        let rows = transposed(&self.wide, d.wide());
        let (project, own) = rows.split_at(d.pooled() * d.hidden);
        let mut gate_up = Vec::with_capacity(both * d.joined());
        for (row, own) in own.chunks_exact(d.hidden).enumerate() {
            gate_up.extend_from_slice(own);
            gate_up.extend(self.messages.iter().skip(row).step_by(both));
        }
        [
            (self.ids[0], project.to_vec()),
            (self.ids[1], gate_up),
            (self.ids[2], transposed(&self.down, d.hidden)),
        ]
    }
}

/// What the forward pass has kept of one sequence.
pub(in crate::cpu) struct Kept<'a> {
    /// Its input, `[positions, hidden]`.
    pub(in crate::cpu) x: &'a [f32],
    /// Its output.
    pub(in crate::cpu) y: &'a [f32],
    /// `[positions, wide]`.
    pub(in crate::cpu) wide: &'a [f32],
    /// `[groups, 2·message]`.
    pub(in crate::cpu) messages: &'a [f32],
    /// `[positions]`.
    pub(in crate::cpu) norms: &'a [f32],
}

struct Backward<'a> {
    packed: &'a Packed,
    relations: &'a [Relation],
    kept: Kept<'a>,
    /// The slopes by the output, in place those by the input.
    dy: &'a mut [f32],
    sums: &'a mut Accumulated,
}

/// Turns `dy`, the slopes by one sequence's output, into those by its input,
/// and adds the gradients of the weights.
pub(in crate::cpu) fn backward(
    packed: &Packed,
    relations: &[Relation],
    kept: Kept<'_>,
    dy: &mut [f32],
    sums: &mut Accumulated,
) {
    let d = packed.dims;
    let (n, groups) = (kept.norms.len(), Packed::groups(relations));
    for states in [kept.x, kept.y, dy] {
        assert_eq!(states.len(), n * d.hidden);
    }
    assert_eq!(kept.wide.len(), n * d.wide());
    assert_eq!(kept.messages.len(), groups * 2 * d.message);
    assert_eq!(sums.d_wide.len(), kept.wide.len());
    assert_eq!(sums.d_spread.len(), groups * 2 * d.inner);
    assert!(relations.iter().all(|r| r.group_of.len() == n));
    let mut b = Backward {
        packed,
        relations,
        kept,
        dy,
        sums,
    };
    // SAFETY: as in the forward pass.
    unsafe { with_lanes!(packed.width, run, &mut b, &mut Backward<'_>) }
}

/// # Safety
/// The processor has what `L` needs, and the slices their lengths.
#[inline(always)]
unsafe fn run<L: Lanes>(b: &mut Backward<'_>) {
    let (p, d) = (b.packed, b.packed.dims);
    let (n, w, both) = (b.kept.norms.len(), d.wide(), 2 * d.inner);
    let dy = b.dy.as_mut_ptr();
    let d_wide = b.sums.d_wide.as_mut_ptr();
    b.sums.d_spread.fill(0.0);
    let d_spread = b.sums.d_spread.as_mut_ptr();
    // SAFETY: by the caller's word.
    unsafe {
        for from in (0..n).step_by(BLOCK) {
            let block = BLOCK.min(n - from);
            for position in from..from + block {
                let y = b.kept.y.as_ptr().add(position * d.hidden);
                let slopes = dy.add(position * d.hidden);
                norm_backward::<L>(y, b.kept.norms[position], d.hidden, slopes);
            }
            let activated = b.sums.activated.as_mut_ptr();
            let d_activated = activated.add(BLOCK * d.inner);
            product::<L, false>(
                [block, d.hidden, d.inner],
                rows(dy.add(from * d.hidden), d.hidden),
                (p.rows.down.as_ptr(), d.inner),
                (d_activated, d.inner),
            );
            for i in 0..block {
                let at = (from + i) * w + d.pooled();
                gate_backward::<L>(
                    p,
                    b.kept.wide.as_ptr().add(at),
                    activated.add(i * d.inner),
                    d_activated.add(i * d.inner),
                    d_wide.add(at),
                );
                scatter::<L>(b.relations, from + i, d_wide.add(at), (d_spread, both));
            }
            product::<L, true>(
                [d.inner, block, d.hidden],
                columns(activated, d.inner),
                (dy.add(from * d.hidden), d.hidden),
                (b.sums.down.as_mut_ptr(), d.hidden),
            );
        }
        let mut first = 0;
        for (r, relation) in b.relations.iter().enumerate() {
            let messages = b.kept.messages.as_ptr().add(first * 2 * d.message);
            let d_spread = d_spread.add(first * both);
            let d_messages = b.sums.d_messages.as_mut_ptr().add(first * d.message);
            product::<L, false>(
                [relation.groups(), both, d.message],
                rows(d_spread, both),
                (
                    p.rows.gate_up.as_ptr().add(d.hidden + r * d.message),
                    d.joined(),
                ),
                (d_messages, d.message),
            );
            product::<L, true>(
                [d.message, relation.groups(), both],
                columns(messages, 2 * d.message),
                (d_spread, both),
                (b.sums.messages.as_mut_ptr().add(r * d.message * both), both),
            );
            let at = r * d.of_relation();
            pool_backward::<L>(
                p,
                relation,
                (b.kept.wide.as_ptr().add(at), w),
                (messages, d_messages),
                d_wide.add(at),
            );
            first += relation.groups();
        }
        product::<L, true>(
            [d.hidden, n, w],
            columns(b.kept.x.as_ptr(), d.hidden),
            (d_wide, w),
            (b.sums.wide.as_mut_ptr(), w),
        );
        product::<L, true>(
            [n, w, d.hidden],
            rows(d_wide, w),
            (p.rows.wide.as_ptr(), d.hidden),
            (dy, d.hidden),
        );
    }
}

/// The transpose of a matrix whose rows lie one after another.
fn columns(data: *const f32, width: usize) -> Left {
    Left {
        data,
        row: 1,
        column: width,
    }
}

/// Slopes by `u` of `y = u * norm`: `norm * (dy - y * mean(y * dy))`.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn norm_backward<L: Lanes>(y: *const f32, norm: f32, width: usize, dy: *mut f32) {
    // SAFETY: by the caller's word.
    unsafe {
        let mut along = L::splat(0.0);
        for i in (0..width).step_by(L::COUNT) {
            along = L::fma(L::load(y.add(i)), L::load(dy.add(i)), along);
        }
        let (along, norm) = (L::splat(-L::sum(along) / width as f32), L::splat(norm));
        for i in (0..width).step_by(L::COUNT) {
            let d = L::fma(L::load(y.add(i)), along, L::load(dy.add(i)));
            L::store(dy.add(i), L::mul(norm, d));
        }
    }
}

/// Slopes by a position's gate and value, `[2·inner]`, from those by what the
/// gate made of them, which is written too. The latter slopes are overwritten.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn gate_backward<L: Lanes>(
    p: &Packed,
    both: *const f32,
    activated: *mut f32,
    da: *mut f32,
    out: *mut f32,
) {
    let inner = p.dims.inner;
    // SAFETY: by the caller's word.
    unsafe {
        let one = L::splat(1.0);
        match p.gate {
            Gate::Silu => {
                for i in (0..inner).step_by(L::COUNT) {
                    let g = L::load(both.add(i));
                    let v = L::load(both.add(inner + i));
                    let slope = L::load(da.add(i));
                    let s = L::sigmoid(g);
                    let gs = L::mul(g, s);
                    L::store(activated.add(i), L::mul(gs, v));
                    L::store(out.add(inner + i), L::mul(slope, gs));
                    // s (1 + g (1 - s))
                    let along = L::mul(s, L::fma(g, L::sub(one, s), one));
                    L::store(out.add(i), L::mul(L::mul(slope, v), along));
                }
            }
            // a = σ(g) · r, r = q · norm, q = g · v.
            Gate::NormalizedSigmoid => {
                let (mut squares, mut along) = (L::splat(0.0), L::splat(0.0));
                for i in (0..inner).step_by(L::COUNT) {
                    let g = L::load(both.add(i));
                    let q = L::mul(g, L::load(both.add(inner + i)));
                    squares = L::fma(q, q, squares);
                    let s = L::sigmoid(g);
                    let slope = L::mul(L::load(da.add(i)), s);
                    along = L::fma(slope, q, along);
                    // The sigmoid's part of the slope by g, its norm still to
                    // come: da · q · s · (1 - s).
                    L::store(out.add(i), L::mul(L::mul(slope, q), L::sub(one, s)));
                    L::store(da.add(i), slope);
                    L::store(activated.add(i), L::mul(s, q));
                }
                let norm = 1.0 / (L::sum(squares) / inner as f32 + p.eps).sqrt();
                let along = L::splat(-L::sum(along) * norm * norm / inner as f32);
                let norm = L::splat(norm);
                for i in (0..inner).step_by(L::COUNT) {
                    let g = L::load(both.add(i));
                    let v = L::load(both.add(inner + i));
                    let dq = L::fma(L::mul(g, v), along, L::load(da.add(i)));
                    let dq = L::mul(norm, dq);
                    let dg = L::mul(norm, L::load(out.add(i)));
                    L::store(out.add(i), L::fma(dq, v, dg));
                    L::store(out.add(inner + i), L::mul(dq, g));
                    L::store(activated.add(i), L::mul(L::load(activated.add(i)), norm));
                }
            }
        }
    }
}

/// Adds a position's slopes by gate and value to those of its groups.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn scatter<L: Lanes>(
    relations: &[Relation],
    position: usize,
    slopes: *const f32,
    (d_spread, width): (*mut f32, usize),
) {
    let mut first = 0;
    for relation in relations {
        // SAFETY: by the caller's word.
        unsafe {
            let group = *relation.group_of.get_unchecked(position) as usize;
            let to = d_spread.add((first + group) * width);
            for i in (0..width).step_by(L::COUNT) {
                let sum = L::add(L::load(to.add(i)), L::load(slopes.add(i)));
                L::store(to.add(i), sum);
            }
        }
        first += relation.groups();
    }
}

/// Slopes by one relation's scores and values from those by its messages.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn pool_backward<L: Lanes>(
    p: &Packed,
    relation: &Relation,
    (weights, w): (*const f32, usize),
    (messages, d_messages): (*const f32, *const f32),
    out: *mut f32,
) {
    let m = p.dims.message;
    // SAFETY: by the caller's word.
    unsafe {
        // Beyond the limits the clamp is flat; the weights there are these.
        let low = L::exp(L::splat(-SCORE_LIMIT));
        let high = L::exp(L::splat(SCORE_LIMIT));
        let members = relation.members.chunks_exact(relation.size);
        for (group, members) in members.enumerate() {
            for c in (0..m).step_by(L::COUNT) {
                let message = L::load(messages.add(group * 2 * m + c));
                let total = L::load(messages.add(group * 2 * m + m + c));
                let slope = L::load(d_messages.add(group * m + c));
                let slope = L::div(slope, total);
                for &member in members {
                    let at = member as usize * w + c;
                    if p.pooling == Pooling::Mean {
                        L::store(out.add(at), slope);
                        continue;
                    }
                    let weight = L::load(weights.add(at));
                    let d_value = L::mul(weight, slope);
                    L::store(out.add(at + m), d_value);
                    let value = L::load(weights.add(at + m));
                    let d = L::mul(d_value, L::sub(value, message));
                    let d = L::where_less(low, weight, L::where_less(weight, high, d));
                    L::store(out.add(at), d);
                }
            }
        }
    }
}
