//! The sublayers of a plan on activations `[batch, positions, hidden]`, in
//! place, residual and norm included.

use super::int4::Buffers;
use super::int8::Activations;
use super::math::{exp, largest, sigmoid, sum, sum_of_squares};
use super::simd::simd;
use super::{CpuModel, Stored};
use crate::config::Gate;
use crate::gemm::{View, ViewMut, gemm};
use crate::plan::{Axis, Plan, Sublayer, TensorId};
use crate::weights::Statistics;

/// Tables of the rotary position embedding, `[positions, head_dim / 2]`.
#[derive(Debug)]
pub(super) struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotary {
    pub(super) fn new(positions: usize, head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in 0..positions {
            for i in 0..half {
                // The reference computes frequencies and angles in f32.
                let frequency = (1.0 / theta.powf(2.0 * i as f64 / head_dim as f64)) as f32;
                let angle = position as f32 * frequency;
                cos.push(angle.cos());
                sin.push(angle.sin());
            }
        }
        Self { cos, sin, half }
    }

    /// Rotates the queries and keys of `[rows, 3 * hidden]`, rows of one
    /// sequence after another: element `i` of a head pairs with `i + half`.
    /// With `direction` -1 instead of 1 it turns back.
    pub(super) fn apply(
        &self,
        projected: &mut [f32],
        hidden: usize,
        positions: usize,
        direction: f32,
    ) {
        rotate(
            projected,
            [&self.cos, &self.sin],
            self.half,
            hidden,
            positions,
            direction,
        );
    }
}

simd! {
fn rotate(
    projected: &mut [f32],
    tables: [&[f32]; 2],
    half: usize,
    hidden: usize,
    positions: usize,
    direction: f32,
) {
    for (row, values) in projected.chunks_exact_mut(3 * hidden).enumerate() {
        let at = row % positions * half;
        let [cos, sin] = tables.map(|table| &table[at..at + half]);
        for head in values[..2 * hidden].chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((a, b), &cos), &sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                let sin = sin * direction;
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
}

/// Buffers that calls reuse.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Whether everything that a backward pass needs is kept, instead of
    /// being overwritten sequence by sequence.
    pub(super) keep: bool,
    /// Attention: rotated queries, rotated keys and values,
    /// `[rows, 3 * hidden]`. Gated MLP: gate and value, `[rows, 2 * inner]`,
    /// over positions `[sequence, hidden, 2 * inner]`.
    pub(super) projected: Vec<f32>,
    /// What the second matrix product takes: the mixed values `[rows,
    /// hidden]`, or the gated `[.., inner]`.
    pub(super) activated: Vec<f32>,
    /// Attention's shares, `[sequence, head, positions, positions]`.
    pub(super) scores: Vec<f32>,
    /// The factor of the norm at the end, by row, or by sequence and channel
    /// where it is over the positions; only with `keep`.
    pub(super) norms: Vec<f32>,
    /// Those of the norm over the positions.
    pub(super) factors: Vec<f32>,
    pub(super) products: Products,
}

/// What the products with weights need besides.
#[derive(Debug, Default)]
pub(super) struct Products {
    quantized: Activations,
    buffers: Buffers,
    pub(super) operands: super::bf16::Operands,
    /// Told the inputs of every one, if anyone asked.
    pub(super) watch: Option<Statistics>,
}

impl Scratch {
    /// Where the part of a buffer for item `i` of `size` elements is.
    fn part(&self, i: usize, size: usize) -> std::ops::Range<usize> {
        let start = if self.keep { i * size } else { 0 };
        start..start + size
    }

    /// Forgets what was kept of the other rows of the batch.
    pub(super) fn retain_rows(&mut self, kept: &[bool]) {
        for values in [
            &mut self.projected,
            &mut self.activated,
            &mut self.scores,
            &mut self.norms,
        ] {
            super::train::rows::retain(values, kept);
        }
    }

    /// Buffers of so many parts, or one that is used again and again.
    fn parts(&self, count: usize) -> usize {
        if self.keep { count } else { 1 }
    }
}

/// A projection from `depth` to `columns` channels.
#[derive(Clone, Copy)]
struct Linear<'a> {
    model: &'a CpuModel,
    id: TensorId,
    depth: usize,
    columns: usize,
}

impl<'a> Linear<'a> {
    fn new(model: &'a CpuModel, id: TensorId) -> Self {
        let shape = &model.plan.tensor(id).shape;
        Self {
            model,
            id,
            depth: shape[1],
            columns: shape[0],
        }
    }

    /// `c = beta · c + x · Wᵀ` for `rows` rows of `x`, `beta` 0 or 1.
    fn apply(self, rows: usize, x: View<'_>, beta: f32, c: ViewMut<'_>, products: &mut Products) {
        if let Some(watch) = &mut products.watch {
            watch.add(self.id, [rows, self.depth], x);
        }
        match self.model.stored(self.id) {
            Stored::Dense(weights) => {
                let shape = (rows, self.depth, self.columns);
                gemm(shape, 1.0, x, View::columns(weights, self.depth), beta, c);
            }
            Stored::Int8(packed) => packed.multiply(rows, x, beta, c, &mut products.quantized),
            Stored::Int4(packed) => {
                let Products {
                    quantized, buffers, ..
                } = products;
                packed.multiply(rows, x, beta, c, quantized, buffers);
            }
            Stored::Bf16(matrix) => {
                let operands = &mut products.operands;
                matrix.forward.multiply(rows, x, beta, c, operands);
            }
        }
    }
}

/// `x = rms_norm(x + f(x))` for one sublayer, given by its module and its
/// place there.
pub(super) fn apply(
    model: &CpuModel,
    [module, index]: [usize; 2],
    x: &mut [f32],
    scratch: &mut Scratch,
) {
    let plan = &*model.plan;
    if let Some(packed) = &model.relations[module][index] {
        super::relations::apply(packed, plan, x, scratch);
        return;
    }
    match plan.modules[module][index] {
        Sublayer::Attention {
            qkv,
            out,
            heads,
            head_dim,
            rope_theta,
        } => {
            let rotary = rope_theta.and(model.rotary.as_ref());
            let dims = Heads {
                count: heads,
                width: head_dim,
            };
            attention(
                plan,
                Linear::new(model, qkv),
                Linear::new(model, out),
                dims,
                rotary,
                x,
                scratch,
            );
        }
        Sublayer::GatedMlp {
            axis,
            gate_up,
            down,
            inner,
            gate,
        } => {
            let (up, down) = (Linear::new(model, gate_up), Linear::new(model, down));
            match axis {
                Axis::Channels => channel_mlp(plan, up, down, inner, gate, x, scratch),
                Axis::Positions => position_mlp(plan, up, down, inner, gate, x, scratch),
            }
        }
        // Packed in every model.
        Sublayer::Relations { .. } => {}
    }
    let eps = plan.config.rms_norm_eps as f32;
    if plan.norm_axis(&plan.modules[module][index]) == Axis::Positions {
        scratch.factors.resize(x.len() / plan.positions, 0.0);
        position_norm(x, [plan.positions, plan.hidden], eps, &mut scratch.factors);
        if scratch.keep {
            scratch.norms.clone_from(&scratch.factors);
        }
        return;
    }
    if scratch.keep {
        scratch.norms.resize(x.len() / plan.hidden, 0.0);
        let rows = x.chunks_exact(plan.hidden);
        for (norm, row) in scratch.norms.iter_mut().zip(rows) {
            *norm = norm_factor(row, eps);
        }
    }
    rms_norm(x, plan.hidden, eps);
}

/// What a row is multiplied with to divide it by its root mean square.
#[inline]
pub(super) fn norm_factor(row: &[f32], eps: f32) -> f32 {
    1.0 / (sum_of_squares(row) / row.len() as f32 + eps).sqrt()
}

simd! {
/// Divides each row of `width` by its root mean square.
pub(super) fn rms_norm(x: &mut [f32], width: usize, eps: f32) {
    for row in x.chunks_exact_mut(width) {
        let scale = norm_factor(row, eps);
        for v in row {
            *v *= scale;
        }
    }
}
}

simd! {
/// Divides each channel of a sequence `[positions, hidden]` by its root mean
/// square over the positions; leaves the factors, `[sequence, hidden]`.
fn position_norm(x: &mut [f32], shape: [usize; 2], eps: f32, factors: &mut [f32]) {
    let [positions, hidden] = shape;
    let sequences = x.chunks_exact_mut(positions * hidden);
    for (sequence, factors) in sequences.zip(factors.chunks_exact_mut(hidden)) {
        factors.fill(0.0);
        for row in sequence.chunks_exact(hidden) {
            for (sum, v) in factors.iter_mut().zip(row) {
                *sum += v * v;
            }
        }
        for factor in factors.iter_mut() {
            *factor = 1.0 / (*factor / positions as f32 + eps).sqrt();
        }
        for row in sequence.chunks_exact_mut(hidden) {
            for (v, factor) in row.iter_mut().zip(&*factors) {
                *v *= factor;
            }
        }
    }
}
}

#[derive(Clone, Copy)]
struct Heads {
    count: usize,
    width: usize,
}

fn attention(
    plan: &Plan,
    qkv: Linear<'_>,
    out: Linear<'_>,
    heads: Heads,
    rotary: Option<&Rotary>,
    x: &mut [f32],
    scratch: &mut Scratch,
) {
    let (n, d) = (plan.positions, plan.hidden);
    let rows = x.len() / d;
    let wide = 3 * d;
    scratch.projected.resize(rows * wide, 0.0);
    scratch.activated.resize(rows * d, 0.0);
    let parts = scratch.parts(rows / n * heads.count);
    scratch.scores.resize(parts * n * n, 0.0);

    let projected = &mut scratch.projected[..rows * wide];
    qkv.apply(
        rows,
        View::rows(x, d),
        0.0,
        ViewMut::rows(projected, wide),
        &mut scratch.products,
    );
    if let Some(rotary) = rotary {
        rotary.apply(projected, d, n, 1.0);
    }

    let scale = 1.0 / (heads.width as f32).sqrt();
    for sequence in 0..rows / n {
        let qkv = &scratch.projected[sequence * n * wide..][..n * wide];
        for h in 0..heads.count {
            let at = h * heads.width;
            let q = View {
                data: &qkv[at..],
                row: wide,
                col: 1,
            };
            let k = View {
                data: &qkv[d + at..],
                row: 1,
                col: wide,
            };
            let v = View {
                data: &qkv[2 * d + at..],
                row: wide,
                col: 1,
            };
            let part = scratch.part(sequence * heads.count + h, n * n);
            let scores = &mut scratch.scores[part];
            gemm(
                (n, heads.width, n),
                scale,
                q,
                k,
                0.0,
                ViewMut::rows(scores, n),
            );
            softmax(scores, n);
            let mixed = ViewMut {
                data: &mut scratch.activated[sequence * n * d + at..],
                row: d,
                col: 1,
            };
            gemm(
                (n, n, heads.width),
                1.0,
                View::rows(scores, n),
                v,
                0.0,
                mixed,
            );
        }
    }
    out.apply(
        rows,
        View::rows(&scratch.activated, d),
        1.0,
        ViewMut::rows(x, d),
        &mut scratch.products,
    );
}

simd! {
    /// Softmax of each row of `width`.
    fn softmax(scores: &mut [f32], width: usize) {
        for row in scores.chunks_exact_mut(width) {
            let max = largest(row);
            for v in row.iter_mut() {
                *v = exp(*v - max);
            }
            let scale = 1.0 / sum(row);
            for v in row {
                *v *= scale;
            }
        }
    }
}

/// Gated MLP over the channels of each position, added to `x`.
fn channel_mlp(
    plan: &Plan,
    up: Linear<'_>,
    down: Linear<'_>,
    inner: usize,
    gate: Gate,
    x: &mut [f32],
    scratch: &mut Scratch,
) {
    let d = plan.hidden;
    let rows = x.len() / d;
    scratch.projected.resize(rows * 2 * inner, 0.0);
    scratch.activated.resize(rows * inner, 0.0);
    let projected = &mut scratch.projected[..rows * 2 * inner];
    up.apply(
        rows,
        View::rows(x, d),
        0.0,
        ViewMut::rows(projected, 2 * inner),
        &mut scratch.products,
    );
    activate(
        projected,
        &mut scratch.activated[..rows * inner],
        inner,
        gate,
        plan.config.rms_norm_eps as f32,
    );
    let activated = View::rows(&scratch.activated, inner);
    down.apply(
        rows,
        activated,
        1.0,
        ViewMut::rows(x, d),
        &mut scratch.products,
    );
}

/// Gated MLP over the positions of each channel, added to `x`. The strides
/// do the transposing.
fn position_mlp(
    plan: &Plan,
    up: Linear<'_>,
    down: Linear<'_>,
    inner: usize,
    gate: Gate,
    x: &mut [f32],
    scratch: &mut Scratch,
) {
    let (n, d) = (plan.positions, plan.hidden);
    let parts = scratch.parts(x.len() / (n * d));
    scratch.projected.resize(parts * d * 2 * inner, 0.0);
    scratch.activated.resize(parts * d * inner, 0.0);
    for (i, sequence) in x.chunks_exact_mut(n * d).enumerate() {
        let part = scratch.part(i, d * inner);
        let projected = &mut scratch.projected[2 * part.start..2 * part.end];
        let channels = View::columns(sequence, d);
        up.apply(
            d,
            channels,
            0.0,
            ViewMut::rows(projected, 2 * inner),
            &mut scratch.products,
        );
        activate(
            projected,
            &mut scratch.activated[part.clone()],
            inner,
            gate,
            plan.config.rms_norm_eps as f32,
        );
        let activated = View::rows(&scratch.activated[part], inner);
        down.apply(
            d,
            activated,
            1.0,
            ViewMut::columns(sequence, d),
            &mut scratch.products,
        );
    }
}

simd! {
    /// `[rows, 2·inner]` gate and value to `[rows, inner]`.
    fn activate(projected: &[f32], out: &mut [f32], inner: usize, gate: Gate, eps: f32) {
        let rows = projected.chunks_exact(2 * inner);
        for (row, out) in rows.zip(out.chunks_exact_mut(inner)) {
            let (g, v) = row.split_at(inner);
            match gate {
                Gate::Silu => {
                    for ((out, &g), &v) in out.iter_mut().zip(g).zip(v) {
                        *out = g * sigmoid(g) * v;
                    }
                }
                Gate::NormalizedSigmoid => {
                    for ((out, &g), &v) in out.iter_mut().zip(g).zip(v) {
                        *out = g * v;
                    }
                    let scale = norm_factor(out, eps);
                    for (out, &g) in out.iter_mut().zip(g) {
                        *out *= sigmoid(g) * scale;
                    }
                }
            }
        }
    }
}
