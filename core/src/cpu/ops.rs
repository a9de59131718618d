//! The sublayers of a plan on activations `[batch, positions, hidden]`, in
//! place, residual and norm included.

use super::CpuModel;
use super::gemm::{View, ViewMut, gemm};
use super::math::{exp, sigmoid, sum_of_squares};
use crate::config::Gate;
use crate::plan::{Axis, Plan, Sublayer};

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

    /// Rotates one head of one position: element `i` pairs with `i + half`.
    fn rotate(&self, position: usize, head: &mut [f32]) {
        let row = position * self.half..(position + 1) * self.half;
        let (first, second) = head.split_at_mut(self.half);
        for (((a, b), &cos), &sin) in first
            .iter_mut()
            .zip(second)
            .zip(&self.cos[row.clone()])
            .zip(&self.sin[row])
        {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// Buffers that calls reuse.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    projected: Vec<f32>,
    activated: Vec<f32>,
    scores: Vec<f32>,
}

/// `x = rms_norm(x + f(x))` for one sublayer.
pub(super) fn apply(model: &CpuModel, sublayer: &Sublayer, x: &mut [f32], scratch: &mut Scratch) {
    let plan = &*model.plan;
    match *sublayer {
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
                model.tensor(qkv),
                model.tensor(out),
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
            let (up, down) = (model.tensor(gate_up), model.tensor(down));
            match axis {
                Axis::Channels => channel_mlp(plan, up, down, inner, gate, x, scratch),
                Axis::Positions => position_mlp(plan, up, down, inner, gate, x, scratch),
            }
        }
    }
    rms_norm(x, plan.hidden, plan.config.rms_norm_eps as f32);
}

/// Divides each row of `width` by its root mean square.
pub(super) fn rms_norm(x: &mut [f32], width: usize, eps: f32) {
    for row in x.chunks_exact_mut(width) {
        let scale = 1.0 / (sum_of_squares(row) / width as f32 + eps).sqrt();
        for v in row {
            *v *= scale;
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
    qkv: &[f32],
    out: &[f32],
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
    scratch.scores.resize(n * n, 0.0);

    let projected = &mut scratch.projected[..rows * wide];
    gemm(
        (rows, d, wide),
        1.0,
        View::rows(x, d),
        View::columns(qkv, d),
        0.0,
        ViewMut::rows(projected, wide),
    );
    if let Some(rotary) = rotary {
        for (row, values) in projected.chunks_exact_mut(wide).enumerate() {
            for head in values[..2 * d].chunks_exact_mut(heads.width) {
                rotary.rotate(row % n, head);
            }
        }
    }

    let scale = 1.0 / (heads.width as f32).sqrt();
    let sequences = projected
        .chunks_exact(n * wide)
        .zip(scratch.activated.chunks_exact_mut(n * d));
    for (qkv, mixed) in sequences {
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
            let scores = &mut scratch.scores[..n * n];
            gemm(
                (n, heads.width, n),
                scale,
                q,
                k,
                0.0,
                ViewMut::rows(scores, n),
            );
            scores.chunks_exact_mut(n).for_each(softmax);
            let mixed = ViewMut {
                data: &mut mixed[at..],
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
    gemm(
        (rows, d, d),
        1.0,
        View::rows(&scratch.activated, d),
        View::columns(out, d),
        1.0,
        ViewMut::rows(x, d),
    );
}

fn softmax(row: &mut [f32]) {
    let max = row.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    for v in row.iter_mut() {
        *v = exp(*v - max);
    }
    let scale = 1.0 / row.iter().sum::<f32>();
    for v in row {
        *v *= scale;
    }
}

/// Gated MLP over the channels of each position, added to `x`.
fn channel_mlp(
    plan: &Plan,
    up: &[f32],
    down: &[f32],
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
    gemm(
        (rows, d, 2 * inner),
        1.0,
        View::rows(x, d),
        View::columns(up, d),
        0.0,
        ViewMut::rows(projected, 2 * inner),
    );
    activate(
        projected,
        &mut scratch.activated,
        inner,
        gate,
        plan.config.rms_norm_eps as f32,
    );
    let activated = View::rows(&scratch.activated, inner);
    gemm(
        (rows, inner, d),
        1.0,
        activated,
        View::columns(down, inner),
        1.0,
        ViewMut::rows(x, d),
    );
}

/// Gated MLP over the positions of each channel, added to `x`. The strides
/// do the transposing.
fn position_mlp(
    plan: &Plan,
    up: &[f32],
    down: &[f32],
    inner: usize,
    gate: Gate,
    x: &mut [f32],
    scratch: &mut Scratch,
) {
    let (n, d) = (plan.positions, plan.hidden);
    scratch.projected.resize(d * 2 * inner, 0.0);
    scratch.activated.resize(d * inner, 0.0);
    for sequence in x.chunks_exact_mut(n * d) {
        let projected = &mut scratch.projected[..d * 2 * inner];
        let channels = View::columns(sequence, d);
        gemm(
            (d, n, 2 * inner),
            1.0,
            channels,
            View::columns(up, n),
            0.0,
            ViewMut::rows(projected, 2 * inner),
        );
        activate(
            projected,
            &mut scratch.activated,
            inner,
            gate,
            plan.config.rms_norm_eps as f32,
        );
        let activated = View::rows(&scratch.activated, inner);
        gemm(
            (d, inner, n),
            1.0,
            activated,
            View::columns(down, inner),
            1.0,
            ViewMut::columns(sequence, d),
        );
    }
}

/// `[rows, 2·inner]` gate and value to `[rows, inner]`.
fn activate(projected: &[f32], out: &mut Vec<f32>, inner: usize, gate: Gate, eps: f32) {
    let rows = projected.len() / (2 * inner);
    out.resize(rows * inner, 0.0);
    for (row, out) in projected
        .chunks_exact(2 * inner)
        .zip(out.chunks_exact_mut(inner))
    {
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
                let scale = 1.0 / (sum_of_squares(out) / inner as f32 + eps).sqrt();
                for (out, &g) in out.iter_mut().zip(g) {
                    *out *= sigmoid(g) * scale;
                }
            }
        }
    }
}
