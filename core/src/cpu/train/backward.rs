//! The gradients of the sublayers, `y = rms_norm(x + f(x))` each.

use super::heads::slot;
use super::{Call, Tensors};
use crate::config::Gate;
use crate::cpu::bf16::{Operands, add_product};
use crate::cpu::math::sigmoid;
use crate::cpu::ops::norm_factor;
use crate::cpu::relations::{self, Accumulated, Kept};
use crate::cpu::simd::simd;
use crate::cpu::{CpuModel, Stored};
use crate::gemm::{View, ViewMut, gemm};
use crate::plan::{Axis, Sublayer, TensorId};

/// The backward pass of a segment: what every sublayer's gradient needs.
pub(super) struct Backward<'a> {
    pub(super) model: &'a CpuModel,
    pub(super) gradients: Tensors,
    pub(super) operands: Operands,
    /// Sums of the relational sublayers, by module and place.
    pub(super) relations: Vec<([usize; 2], Accumulated)>,
}

impl Backward<'_> {
    /// Turns `dy`, the gradient by the output `y`, into that by the input,
    /// and adds the gradients of the weights.
    pub(super) fn sublayer(&mut self, place: [usize; 2], call: &Call, y: &[f32], dy: &mut [f32]) {
        let plan = &self.model.plan;
        let sublayer = &plan.modules[place[0]][place[1]];
        if let Sublayer::Relations { .. } = sublayer {
            self.relations(place, call, y, dy);
            return;
        }
        match plan.norm_axis(sublayer) {
            Axis::Channels => norm_backward(y, &call.scratch.norms, plan.hidden, dy),
            Axis::Positions => {
                let shape = [plan.positions, plan.hidden];
                position_norm_backward(y, &call.scratch.norms, shape, dy);
            }
        }
        match *sublayer {
            Sublayer::Attention {
                qkv,
                out,
                heads,
                head_dim,
                ..
            } => self.attention([qkv, out], heads, head_dim, call, dy),
            Sublayer::GatedMlp {
                axis,
                gate_up,
                down,
                inner,
                gate,
            } => {
                let eps = plan.config.rms_norm_eps as f32;
                let mlp = Mlp {
                    up: gate_up,
                    down,
                    inner,
                    gate,
                    eps,
                };
                match axis {
                    Axis::Channels => self.channels(&mlp, call, dy),
                    Axis::Positions => self.positions(&mlp, call, dy),
                }
            }
            Sublayer::Relations { .. } => {}
        }
    }

    /// A relational sublayer: one sequence after another.
    fn relations(&mut self, place: [usize; 2], call: &Call, y: &[f32], dy: &mut [f32]) {
        let plan = &self.model.plan;
        let Some(packed) = &self.model.relations[place[0]][place[1]] else {
            return;
        };
        let at = self.relations.iter().position(|(p, _)| *p == place);
        let at = at.unwrap_or_else(|| {
            self.relations.push((place, Accumulated::new(packed, plan)));
            self.relations.len() - 1
        });
        let n = plan.positions;
        let size = n * plan.hidden;
        let batch = dy.len() / size;
        let part = |values: &[f32]| values.len() / batch.max(1);
        let s = &call.scratch;
        let (wide, messages) = (part(&s.projected), part(&s.activated));
        for (i, dy) in dy.chunks_exact_mut(size).enumerate() {
            let kept = Kept {
                x: &call.x[i * size..][..size],
                y: &y[i * size..][..size],
                wide: &s.projected[i * wide..][..wide],
                messages: &s.activated[i * messages..][..messages],
                norms: &s.norms[i * n..][..n],
            };
            let sums = &mut self.relations[at].1;
            relations::backward(packed, &plan.relations, kept, dy, sums);
        }
    }

    /// Adds the relational sublayers' sums to the gradients.
    pub(super) fn collect(&mut self) {
        for (_, sums) in std::mem::take(&mut self.relations) {
            for (id, values) in sums.gradients() {
                let sum = slot(&mut self.gradients, self.model, id);
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
    }

    /// The gradient by the input of `y = x · Wᵀ` for `rows` rows of `dy`:
    /// `dx = beta · dx + dy · W`, `beta` 0 or 1.
    fn through(&mut self, id: TensorId, rows: usize, dy: View<'_>, beta: f32, dx: ViewMut<'_>) {
        match self.model.stored(id) {
            Stored::Bf16(matrix) => {
                matrix
                    .backward
                    .multiply(rows, dy, beta, dx, &mut self.operands);
            }
            _ => {
                let shape = &self.model.plan.tensor(id).shape;
                let weights = View::rows(self.model.tensor(id), shape[1]);
                gemm((rows, shape[0], shape[1]), 1.0, dy, weights, beta, dx);
            }
        }
    }

    /// The same by the weights: adds `dyᵀ · x` over `rows` rows. `dy` is
    /// given transposed.
    fn outer(&mut self, id: TensorId, rows: usize, dy: View<'_>, x: View<'_>) {
        let shape = &self.model.plan.tensor(id).shape;
        let (m, n) = (shape[0], shape[1]);
        let sum = ViewMut::rows(slot(&mut self.gradients, self.model, id), n);
        if let Stored::Bf16(_) = self.model.stored(id) {
            add_product((m, rows, n), dy, x, sum, &mut self.operands);
        } else {
            gemm((m, rows, n), 1.0, dy, x, 1.0, sum);
        }
    }
}

simd! {
/// Gradient of `y = u * norm` by `u`, in place: `norm * (dy - y * mean(y *
/// dy))`.
fn norm_backward(y: &[f32], norms: &[f32], width: usize, dy: &mut [f32]) {
    let rows = y.chunks_exact(width).zip(dy.chunks_exact_mut(width));
    for ((y, dy), norm) in rows.zip(norms) {
        let along = dot(y, dy) / width as f32;
        for (dy, y) in dy.iter_mut().zip(y) {
            *dy = norm * (*dy - y * along);
        }
    }
}
}

simd! {
/// The same where the norm is over the positions of each channel: `norms` is
/// `[sequence, hidden]`.
fn position_norm_backward(y: &[f32], norms: &[f32], shape: [usize; 2], dy: &mut [f32]) {
    let [positions, hidden] = shape;
    let mut along = vec![0.0f32; hidden];
    let sequences = y
        .chunks_exact(positions * hidden)
        .zip(dy.chunks_exact_mut(positions * hidden));
    for ((y, dy), norms) in sequences.zip(norms.chunks_exact(hidden)) {
        along.fill(0.0);
        for (y, dy) in y.chunks_exact(hidden).zip(dy.chunks_exact(hidden)) {
            for ((along, y), dy) in along.iter_mut().zip(y).zip(dy) {
                *along += y * dy / positions as f32;
            }
        }
        for (y, dy) in y.chunks_exact(hidden).zip(dy.chunks_exact_mut(hidden)) {
            for (((dy, y), along), norm) in dy.iter_mut().zip(y).zip(&along).zip(norms) {
                *dy = norm * (*dy - y * along);
            }
        }
    }
}
}

/// Scalar product in lanes, so that it vectorises.
#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (a, b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// A gated MLP `down(gate(g, v))` of one sublayer.
struct Mlp {
    up: TensorId,
    down: TensorId,
    inner: usize,
    gate: Gate,
    eps: f32,
}

impl Backward<'_> {
    /// A gated MLP over the channels: all rows are one matrix.
    fn channels(&mut self, mlp: &Mlp, call: &Call, du: &mut [f32]) {
        let (d, inner) = (self.model.plan.hidden, mlp.inner);
        let rows = du.len() / d;
        let scratch = &call.scratch;
        let mut d_activated = vec![0.0; rows * inner];
        let target = ViewMut::rows(&mut d_activated, inner);
        self.through(mlp.down, rows, View::rows(du, d), 0.0, target);
        let activated = View::rows(&scratch.activated, inner);
        self.outer(mlp.down, rows, View::columns(du, d), activated);
        let mut d_projected = vec![0.0; rows * 2 * inner];
        gate_backward(
            &scratch.projected,
            &d_activated,
            &mut d_projected,
            inner,
            mlp.gate,
            mlp.eps,
        );
        let transposed = View::columns(&d_projected, 2 * inner);
        self.outer(mlp.up, rows, transposed, View::rows(&call.x, d));
        let slopes = View::rows(&d_projected, 2 * inner);
        self.through(mlp.up, rows, slopes, 1.0, ViewMut::rows(du, d));
    }

    /// One over the positions: one sequence after another, transposed by
    /// strides.
    fn positions(&mut self, mlp: &Mlp, call: &Call, du: &mut [f32]) {
        let (n, d) = (self.model.plan.positions, self.model.plan.hidden);
        let inner = mlp.inner;
        let mut d_activated = vec![0.0; d * inner];
        let mut d_projected = vec![0.0; d * 2 * inner];
        let saved = call
            .scratch
            .projected
            .chunks_exact(d * 2 * inner)
            .zip(call.scratch.activated.chunks_exact(d * inner));
        let sequences = du.chunks_exact_mut(n * d).zip(call.x.chunks_exact(n * d));
        for ((du, x), (projected, activated)) in sequences.zip(saved) {
            let target = ViewMut::rows(&mut d_activated, inner);
            self.through(mlp.down, d, View::columns(du, d), 0.0, target);
            let activated = View::rows(activated, inner);
            self.outer(mlp.down, d, View::rows(du, d), activated);
            gate_backward(
                projected,
                &d_activated,
                &mut d_projected,
                inner,
                mlp.gate,
                mlp.eps,
            );
            let transposed = View::columns(&d_projected, 2 * inner);
            self.outer(mlp.up, d, transposed, View::columns(x, d));
            let slopes = View::rows(&d_projected, 2 * inner);
            self.through(mlp.up, d, slopes, 1.0, ViewMut::columns(du, d));
        }
    }
}

simd! {
/// Gradient of the gate, by `[rows, 2·inner]` gate and value, from that by
/// `[rows, inner]` its output.
fn gate_backward(
    projected: &[f32],
    d_activated: &[f32],
    d_projected: &mut [f32],
    inner: usize,
    gate: Gate,
    eps: f32,
) {
    let mut product = vec![0.0f32; inner];
    let mut slope = vec![0.0f32; inner];
    let rows = projected
        .chunks_exact(2 * inner)
        .zip(d_activated.chunks_exact(inner))
        .zip(d_projected.chunks_exact_mut(2 * inner));
    for ((row, da), out) in rows {
        let (g, v) = row.split_at(inner);
        let (dg, dv) = out.split_at_mut(inner);
        match gate {
            Gate::Silu => {
                for ((((dg, dv), &g), &v), &da) in dg.iter_mut().zip(dv).zip(g).zip(v).zip(da) {
                    let s = sigmoid(g);
                    *dv = da * g * s;
                    *dg = da * v * s * (1.0 + g * (1.0 - s));
                }
            }
            // a = σ(g) · r, r = p · norm, p = g · v.
            Gate::NormalizedSigmoid => {
                for ((p, &g), &v) in product.iter_mut().zip(g).zip(v) {
                    *p = g * v;
                }
                let norm = norm_factor(&product, eps);
                // Slope by r; the one by the sigmoid goes to dg at once.
                for ((((slope, dg), &g), &p), &da) in
                    slope.iter_mut().zip(&mut *dg).zip(g).zip(&product).zip(da)
                {
                    let s = sigmoid(g);
                    *slope = da * s;
                    *dg = da * p * norm * s * (1.0 - s);
                }
                let along = dot(&slope, &product) * norm * norm / inner as f32;
                for (((((dg, dv), &g), &v), &slope), &p) in
                    dg.iter_mut().zip(dv).zip(g).zip(v).zip(&slope).zip(&product)
                {
                    let dp = norm * (slope - p * along);
                    *dg += dp * v;
                    *dv = dp * g;
                }
            }
        }
    }
}
}

impl Backward<'_> {
    fn attention(
        &mut self,
        [qkv, out]: [TensorId; 2],
        heads: usize,
        width: usize,
        call: &Call,
        du: &mut [f32],
    ) {
        let (n, d) = (self.model.plan.positions, self.model.plan.hidden);
        let wide = 3 * d;
        let rows = du.len() / d;
        let scratch = &call.scratch;
        let mut d_mixed = vec![0.0; rows * d];
        let target = ViewMut::rows(&mut d_mixed, d);
        self.through(out, rows, View::rows(du, d), 0.0, target);
        let mixed = View::rows(&scratch.activated, d);
        self.outer(out, rows, View::columns(du, d), mixed);
        let scale = 1.0 / (width as f32).sqrt();
        let mut d_qkv = vec![0.0; rows * wide];
        let mut d_scores = vec![0.0; n * n];
        for sequence in 0..rows / n {
            let saved = &scratch.projected[sequence * n * wide..][..n * wide];
            let d_qkv = &mut d_qkv[sequence * n * wide..][..n * wide];
            for head in 0..heads {
                let at = head * width;
                let shares = &scratch.scores[(sequence * heads + head) * n * n..][..n * n];
                let d_mixed = &d_mixed[sequence * n * d + at..];
                gemm(
                    (n, width, n),
                    1.0,
                    View {
                        data: d_mixed,
                        row: d,
                        col: 1,
                    },
                    View {
                        data: &saved[2 * d + at..],
                        row: 1,
                        col: wide,
                    },
                    0.0,
                    ViewMut::rows(&mut d_scores, n),
                );
                gemm(
                    (n, n, width),
                    1.0,
                    View::columns(shares, n),
                    View {
                        data: d_mixed,
                        row: d,
                        col: 1,
                    },
                    0.0,
                    ViewMut {
                        data: &mut d_qkv[2 * d + at..],
                        row: wide,
                        col: 1,
                    },
                );
                softmax_backward(shares, &mut d_scores, n);
                gemm(
                    (n, n, width),
                    scale,
                    View::rows(&d_scores, n),
                    View {
                        data: &saved[d + at..],
                        row: wide,
                        col: 1,
                    },
                    0.0,
                    ViewMut {
                        data: &mut d_qkv[at..],
                        row: wide,
                        col: 1,
                    },
                );
                gemm(
                    (n, n, width),
                    scale,
                    View::columns(&d_scores, n),
                    View {
                        data: &saved[at..],
                        row: wide,
                        col: 1,
                    },
                    0.0,
                    ViewMut {
                        data: &mut d_qkv[d + at..],
                        row: wide,
                        col: 1,
                    },
                );
            }
        }
        if let Some(rotary) = &self.model.rotary {
            rotary.apply(&mut d_qkv, d, n, -1.0);
        }
        let transposed = View::columns(&d_qkv, wide);
        self.outer(qkv, rows, transposed, View::rows(&call.x, d));
        let slopes = View::rows(&d_qkv, wide);
        self.through(qkv, rows, slopes, 1.0, ViewMut::rows(du, d));
    }
}

simd! {
/// Gradient by the scores, in place, from that by their softmax `shares`.
fn softmax_backward(shares: &[f32], d: &mut [f32], width: usize) {
    for (p, d) in shares.chunks_exact(width).zip(d.chunks_exact_mut(width)) {
        let along = dot(p, d);
        for (d, p) in d.iter_mut().zip(p) {
            *d = p * (*d - along);
        }
    }
}
}
