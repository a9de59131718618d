//! The gradients of the sublayers, `y = rms_norm(x + f(x))` each.

use super::heads::slot;
use super::{Call, Gradients};
use crate::config::Gate;
use crate::cpu::CpuModel;
use crate::cpu::gemm::{View, ViewMut, gemm};
use crate::cpu::math::sigmoid;
use crate::cpu::ops::norm_factor;
use crate::cpu::simd::simd;
use crate::plan::{Axis, Sublayer, TensorId};

/// Turns `dy`, the gradient by the output `y`, into that by the input, and
/// adds the gradients of the weights.
pub(super) fn sublayer(
    model: &CpuModel,
    sublayer: &Sublayer,
    call: &Call,
    y: &[f32],
    dy: &mut [f32],
    gradients: &mut Gradients,
) {
    norm_backward(y, &call.scratch.norms, model.plan.hidden, dy);
    match *sublayer {
        Sublayer::Attention {
            qkv,
            out,
            heads,
            head_dim,
            ..
        } => attention(model, [qkv, out], heads, head_dim, call, dy, gradients),
        Sublayer::GatedMlp {
            axis,
            gate_up,
            down,
            inner,
            gate,
        } => {
            let mlp = Mlp {
                up: model.tensor(gate_up),
                down: model.tensor(down),
                inner,
                gate,
                eps: model.plan.config.rms_norm_eps as f32,
            };
            match axis {
                Axis::Channels => mlp.channels(model, [gate_up, down], call, dy, gradients),
                Axis::Positions => mlp.positions(model, [gate_up, down], call, dy, gradients),
            }
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
struct Mlp<'a> {
    up: &'a [f32],
    down: &'a [f32],
    inner: usize,
    gate: Gate,
    eps: f32,
}

impl Mlp<'_> {
    /// Over the channels: all rows are one matrix.
    fn channels(
        &self,
        model: &CpuModel,
        [up, down]: [TensorId; 2],
        call: &Call,
        du: &mut [f32],
        gradients: &mut Gradients,
    ) {
        let (d, inner) = (model.plan.hidden, self.inner);
        let rows = du.len() / d;
        let mut d_activated = vec![0.0; rows * inner];
        gemm(
            (rows, d, inner),
            1.0,
            View::rows(du, d),
            View::rows(self.down, inner),
            0.0,
            ViewMut::rows(&mut d_activated, inner),
        );
        gemm(
            (d, rows, inner),
            1.0,
            View::columns(du, d),
            View::rows(&call.scratch.activated, inner),
            1.0,
            ViewMut::rows(slot(gradients, model, down), inner),
        );
        let projected = &call.scratch.projected;
        let mut d_projected = vec![0.0; rows * 2 * inner];
        gate_backward(
            projected,
            &d_activated,
            &mut d_projected,
            inner,
            self.gate,
            self.eps,
        );
        gemm(
            (2 * inner, rows, d),
            1.0,
            View::columns(&d_projected, 2 * inner),
            View::rows(&call.x, d),
            1.0,
            ViewMut::rows(slot(gradients, model, up), d),
        );
        gemm(
            (rows, 2 * inner, d),
            1.0,
            View::rows(&d_projected, 2 * inner),
            View::rows(self.up, d),
            1.0,
            ViewMut::rows(du, d),
        );
    }

    /// Over the positions: one sequence after another, transposed by strides.
    fn positions(
        &self,
        model: &CpuModel,
        [up, down]: [TensorId; 2],
        call: &Call,
        du: &mut [f32],
        gradients: &mut Gradients,
    ) {
        let (n, d, inner) = (model.plan.positions, model.plan.hidden, self.inner);
        let mut d_activated = vec![0.0; d * inner];
        let mut d_projected = vec![0.0; d * 2 * inner];
        let saved = call
            .scratch
            .projected
            .chunks_exact(d * 2 * inner)
            .zip(call.scratch.activated.chunks_exact(d * inner));
        let sequences = du.chunks_exact_mut(n * d).zip(call.x.chunks_exact(n * d));
        for ((du, x), (projected, activated)) in sequences.zip(saved) {
            gemm(
                (d, n, inner),
                1.0,
                View::columns(du, d),
                View::rows(self.down, inner),
                0.0,
                ViewMut::rows(&mut d_activated, inner),
            );
            gemm(
                (n, d, inner),
                1.0,
                View::rows(du, d),
                View::rows(activated, inner),
                1.0,
                ViewMut::rows(slot(gradients, model, down), inner),
            );
            gate_backward(
                projected,
                &d_activated,
                &mut d_projected,
                inner,
                self.gate,
                self.eps,
            );
            gemm(
                (2 * inner, d, n),
                1.0,
                View::columns(&d_projected, 2 * inner),
                View::columns(x, d),
                1.0,
                ViewMut::rows(slot(gradients, model, up), n),
            );
            gemm(
                (d, 2 * inner, n),
                1.0,
                View::rows(&d_projected, 2 * inner),
                View::rows(self.up, n),
                1.0,
                ViewMut::columns(du, d),
            );
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

fn attention(
    model: &CpuModel,
    [qkv, out]: [TensorId; 2],
    heads: usize,
    width: usize,
    call: &Call,
    du: &mut [f32],
    gradients: &mut Gradients,
) {
    let (n, d) = (model.plan.positions, model.plan.hidden);
    let wide = 3 * d;
    let rows = du.len() / d;
    let scratch = &call.scratch;
    let mut d_mixed = vec![0.0; rows * d];
    gemm(
        (rows, d, d),
        1.0,
        View::rows(du, d),
        View::rows(model.tensor(out), d),
        0.0,
        ViewMut::rows(&mut d_mixed, d),
    );
    gemm(
        (d, rows, d),
        1.0,
        View::columns(du, d),
        View::rows(&scratch.activated, d),
        1.0,
        ViewMut::rows(slot(gradients, model, out), d),
    );
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
    if let Some(rotary) = &model.rotary {
        rotary.apply(&mut d_qkv, d, n, -1.0);
    }
    gemm(
        (wide, rows, d),
        1.0,
        View::columns(&d_qkv, wide),
        View::rows(&call.x, d),
        1.0,
        ViewMut::rows(slot(gradients, model, qkv), d),
    );
    gemm(
        (rows, wide, d),
        1.0,
        View::rows(&d_qkv, wide),
        View::rows(model.tensor(qkv), d),
        1.0,
        ViewMut::rows(du, d),
    );
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
