//! The forward pass of one sequence.

use super::super::lanes::{Lanes, with_lanes};
use super::super::panel::{Left, product};
use super::{BLOCK, Packed};
use crate::config::{Gate, Pooling};
use crate::plan::SCORE_LIMIT;
use crate::puzzle::Relation;

/// One sequence and where its parts go.
pub(super) struct Forward<'a> {
    pub(super) packed: &'a Packed,
    pub(super) relations: &'a [Relation],
    /// Whether the scores become their exponentials, for the backward pass.
    pub(super) keep: bool,
    /// `[positions, hidden]`, in place.
    pub(super) x: &'a mut [f32],
    /// `[positions, wide]`.
    pub(super) wide: &'a mut [f32],
    /// `[groups, 2·message]`: messages and the sums of their weights.
    pub(super) messages: &'a mut [f32],
    /// `[positions]`.
    pub(super) norms: &'a mut [f32],
    /// `[groups, 2·inner]`: the messages' part of gate and value.
    pub(super) spread: &'a mut [f32],
    /// `[BLOCK, inner]`.
    pub(super) activated: &'a mut [f32],
}

/// Runs it.
pub(super) fn forward(f: &mut Forward<'_>) {
    let d = f.packed.dims;
    let (n, groups) = (f.norms.len(), Packed::groups(f.relations));
    assert_eq!(f.x.len(), n * d.hidden);
    assert_eq!(f.wide.len(), n * d.wide());
    assert_eq!(f.messages.len(), groups * 2 * d.message);
    assert_eq!(f.spread.len(), groups * 2 * d.inner);
    assert_eq!(f.activated.len(), BLOCK * d.inner);
    assert!(f.relations.iter().all(|r| r.group_of.len() == n));
    // SAFETY: the processor has the width, every slice has just been measured
    // and relations hold positions and groups below their number.
    unsafe { with_lanes!(f.packed.width, run, f, &mut Forward<'_>) }
}

/// # Safety
/// The processor has what `L` needs, and the slices their lengths.
#[inline(always)]
unsafe fn run<L: Lanes>(f: &mut Forward<'_>) {
    let (p, d) = (f.packed, f.packed.dims);
    let (n, w) = (f.norms.len(), d.wide());
    let (x, wide, spread) = (f.x.as_mut_ptr(), f.wide.as_mut_ptr(), f.spread.as_mut_ptr());
    // SAFETY: by the caller's word.
    unsafe {
        product::<L, false>(
            [n, d.hidden, w],
            rows(x, d.hidden),
            (p.wide.as_ptr(), w),
            (wide, w),
        );
        let mut first = 0;
        for (r, relation) in f.relations.iter().enumerate() {
            let messages = f.messages.as_mut_ptr().add(first * 2 * d.message);
            let scores = wide.add(r * d.of_relation());
            pool::<L>(p, relation, (scores, w), messages, f.keep);
            product::<L, false>(
                [relation.groups(), d.message, 2 * d.inner],
                rows(messages, 2 * d.message),
                (
                    p.messages.as_ptr().add(r * d.message * 2 * d.inner),
                    2 * d.inner,
                ),
                (spread.add(first * 2 * d.inner), 2 * d.inner),
            );
            first += relation.groups();
        }
        for from in (0..n).step_by(BLOCK) {
            let block = BLOCK.min(n - from);
            for i in 0..block {
                let position = from + i;
                let both = wide.add(position * w + d.pooled());
                gather::<L>(f.relations, position, (spread, 2 * d.inner), both);
                activate::<L>(p, both, f.activated.as_mut_ptr().add(i * d.inner));
            }
            product::<L, true>(
                [block, d.inner, d.hidden],
                rows(f.activated.as_ptr(), d.inner),
                (p.down.as_ptr(), d.hidden),
                (x.add(from * d.hidden), d.hidden),
            );
            for position in from..from + block {
                f.norms[position] = normalize::<L>(x.add(position * d.hidden), d.hidden, p.eps);
            }
        }
    }
}

/// A matrix whose rows lie one after another.
pub(super) fn rows(data: *const f32, width: usize) -> Left {
    Left {
        data,
        row: width,
        column: 1,
    }
}

/// One relation's messages: `[groups, 2·message]`, means and sums of weights.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn pool<L: Lanes>(
    p: &Packed,
    relation: &Relation,
    (scores, w): (*mut f32, usize),
    messages: *mut f32,
    keep: bool,
) {
    let m = p.dims.message;
    // SAFETY: by the caller's word.
    unsafe {
        let limit = L::splat(SCORE_LIMIT);
        let low = L::splat(-SCORE_LIMIT);
        let members = relation.members.chunks_exact(relation.size);
        for (group, members) in members.enumerate() {
            for c in (0..m).step_by(L::COUNT) {
                let (mut sum, mut weights) = (L::splat(0.0), L::splat(0.0));
                for &member in members {
                    let at = scores.add(member as usize * w + c);
                    let (weight, value) = match p.pooling {
                        Pooling::Softmax => {
                            let weight = L::exp(L::max(L::min(L::load(at), limit), low));
                            if keep {
                                L::store(at, weight);
                            }
                            (weight, L::load(at.add(m)))
                        }
                        Pooling::Mean => (L::splat(1.0), L::load(at)),
                    };
                    weights = L::add(weights, weight);
                    sum = L::fma(weight, value, sum);
                }
                let to = messages.add(group * 2 * m + c);
                L::store(to, L::div(sum, weights));
                L::store(to.add(m), weights);
            }
        }
    }
}

/// Adds the messages' part to a position's gate and value.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn gather<L: Lanes>(
    relations: &[Relation],
    position: usize,
    (spread, width): (*const f32, usize),
    both: *mut f32,
) {
    // SAFETY: by the caller's word.
    unsafe {
        let mut first = 0;
        // Four relations, as a Sudoku has, in one pass.
        let mut rest = relations;
        while let [a, b, c, d, others @ ..] = rest {
            let at = |r: &Relation, first: usize| {
                spread.add((first + *r.group_of.get_unchecked(position) as usize) * width)
            };
            let a = (at(a, first), first + a.groups());
            let b = (at(b, a.1), a.1 + b.groups());
            let c = (at(c, b.1), b.1 + c.groups());
            let d = (at(d, c.1), c.1 + d.groups());
            for i in (0..width).step_by(L::COUNT) {
                let two = L::add(L::load(a.0.add(i)), L::load(b.0.add(i)));
                let others = L::add(L::load(c.0.add(i)), L::load(d.0.add(i)));
                let own = L::load(both.add(i));
                L::store(both.add(i), L::add(own, L::add(two, others)));
            }
            first = d.1;
            rest = others;
        }
        for relation in rest {
            let group = *relation.group_of.get_unchecked(position) as usize;
            let from = spread.add((first + group) * width);
            for i in (0..width).step_by(L::COUNT) {
                let sum = L::add(L::load(both.add(i)), L::load(from.add(i)));
                L::store(both.add(i), sum);
            }
            first += relation.groups();
        }
    }
}

/// `act(gate, value)` of one position.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn activate<L: Lanes>(p: &Packed, both: *const f32, out: *mut f32) {
    let inner = p.dims.inner;
    // SAFETY: by the caller's word.
    unsafe {
        match p.gate {
            Gate::Silu => {
                for i in (0..inner).step_by(L::COUNT) {
                    let g = L::load(both.add(i));
                    let v = L::load(both.add(inner + i));
                    L::store(out.add(i), L::mul(L::mul(g, v), L::sigmoid(g)));
                }
            }
            Gate::NormalizedSigmoid => {
                let mut squares = L::splat(0.0);
                for i in (0..inner).step_by(L::COUNT) {
                    let g = L::load(both.add(i));
                    let product = L::mul(g, L::load(both.add(inner + i)));
                    squares = L::fma(product, product, squares);
                    L::store(out.add(i), L::mul(product, L::sigmoid(g)));
                }
                let norm = L::splat(1.0 / (L::sum(squares) / inner as f32 + p.eps).sqrt());
                for i in (0..inner).step_by(L::COUNT) {
                    L::store(out.add(i), L::mul(L::load(out.add(i)), norm));
                }
            }
        }
    }
}

/// Divides a row by its root mean square; returns the factor.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn normalize<L: Lanes>(row: *mut f32, width: usize, eps: f32) -> f32 {
    // SAFETY: by the caller's word.
    unsafe {
        let mut squares = L::splat(0.0);
        for i in (0..width).step_by(L::COUNT) {
            let v = L::load(row.add(i));
            squares = L::fma(v, v, squares);
        }
        let norm = 1.0 / (L::sum(squares) / width as f32 + eps).sqrt();
        let factor = L::splat(norm);
        for i in (0..width).step_by(L::COUNT) {
            L::store(row.add(i), L::mul(L::load(row.add(i)), factor));
        }
        norm
    }
}
