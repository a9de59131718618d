//! The ends of a training segment: embedding and output heads, with their
//! gradients.

use super::Tensors;
use crate::config::QPool;
use crate::cpu::CpuModel;
use crate::cpu::input::role;
use crate::gemm::{View, ViewMut, gemm};
use crate::plan::{Embedding, RoleEmbedding, TensorId, TokenEmbedding};

/// The gradient of a tensor, zeros at its first use.
pub(super) fn slot<'g>(
    gradients: &'g mut Tensors,
    model: &CpuModel,
    id: TensorId,
) -> &'g mut [f32] {
    let slot = &mut gradients[id.index()];
    if slot.is_empty() {
        slot.resize(model.tensor(id).len(), 0.0);
    }
    slot
}

/// Logits of every cell, `[batch * cells, answers]`, of `z_h` `[batch,
/// positions, hidden]`.
pub(super) fn logits(model: &CpuModel, z_h: &[f32]) -> Vec<f32> {
    let plan = &*model.plan;
    let (n, d, vocab) = (plan.positions, plan.hidden, plan.logits_a_row());
    let cells = plan.answering();
    let mut logits = vec![0.0; z_h.len() / (n * d) * cells * vocab];
    let sequences = z_h
        .chunks_exact(n * d)
        .zip(logits.chunks_exact_mut(cells * vocab));
    for (z, logits) in sequences {
        gemm(
            (cells, d, vocab),
            1.0,
            View::rows(&z[plan.prefix * d..], d),
            View::columns(model.tensor(plan.heads.lm), d),
            0.0,
            ViewMut::rows(logits, vocab),
        );
    }
    logits
}

/// What the q head looks at, `[batch, hidden]`.
fn pooled(model: &CpuModel, z_h: &[f32]) -> Vec<f32> {
    let plan = &*model.plan;
    let (n, d) = (plan.positions, plan.hidden);
    let sequences = z_h.chunks_exact(n * d);
    match plan.heads.q_pool {
        QPool::First => sequences.flat_map(|z| &z[..d]).copied().collect(),
        QPool::Mean => sequences
            .flat_map(|z| {
                let mut sum = vec![0.0f32; d];
                for row in z.chunks_exact(d) {
                    crate::cpu::run::add(&mut sum, row);
                }
                sum.into_iter().map(move |s| s / n as f32)
            })
            .collect(),
    }
}

/// The q logits, `[batch, outputs]`.
pub(super) fn q(model: &CpuModel, z_h: &[f32]) -> Vec<f32> {
    let heads = &model.plan.heads;
    let (weight, bias) = (model.tensor(heads.q_weight), model.tensor(heads.q_bias));
    let d = model.plan.hidden;
    pooled(model, z_h)
        .chunks_exact(d)
        .flat_map(|z| {
            let outputs = weight.chunks_exact(d).zip(bias);
            outputs.map(move |(w, b)| w.iter().zip(z).map(|(w, z)| w * z).sum::<f32>() + b)
        })
        .collect()
}

/// The gradients of the heads from the slopes by their outputs; returns the
/// gradient by `z_h`.
pub(super) fn backward(
    model: &CpuModel,
    z_h: &[f32],
    d_logits: &[f32],
    d_q: &[f32],
    gradients: &mut Tensors,
) -> Vec<f32> {
    let plan = &*model.plan;
    let (n, d, vocab) = (plan.positions, plan.hidden, plan.logits_a_row());
    let (cells, prefix) = (plan.answering(), plan.prefix);
    let mut d_h = vec![0.0; z_h.len()];
    let lm = model.tensor(plan.heads.lm);
    let d_lm = slot(gradients, model, plan.heads.lm);
    let sequences = z_h
        .chunks_exact(n * d)
        .zip(d_h.chunks_exact_mut(n * d))
        .zip(d_logits.chunks_exact(cells * vocab));
    for ((z, d_z), d_logits) in sequences {
        gemm(
            (vocab, cells, d),
            1.0,
            View::columns(d_logits, vocab),
            View::rows(&z[prefix * d..], d),
            1.0,
            ViewMut::rows(d_lm, d),
        );
        gemm(
            (cells, vocab, d),
            1.0,
            View::rows(d_logits, vocab),
            View::rows(lm, d),
            0.0,
            ViewMut::rows(&mut d_z[prefix * d..], d),
        );
    }

    let outputs = plan.heads.q_outputs;
    let weight = model.tensor(plan.heads.q_weight);
    let pooled = pooled(model, z_h);
    for (row, d_q) in d_q.chunks_exact(outputs).enumerate() {
        let z = &pooled[row * d..(row + 1) * d];
        let mut d_pooled = vec![0.0f32; d];
        for (output, &slope) in d_q.iter().enumerate() {
            let at = output * d;
            let d_weight = slot(gradients, model, plan.heads.q_weight);
            axpy(slope, z, &mut d_weight[at..at + d]);
            slot(gradients, model, plan.heads.q_bias)[output] += slope;
            axpy(slope, &weight[at..at + d], &mut d_pooled);
        }
        let d_z = &mut d_h[row * n * d..(row + 1) * n * d];
        match plan.heads.q_pool {
            QPool::First => axpy(1.0, &d_pooled, &mut d_z[..d]),
            QPool::Mean => {
                for d_row in d_z.chunks_exact_mut(d) {
                    axpy(1.0 / n as f32, &d_pooled, d_row);
                }
            }
        }
    }
    d_h
}

/// What the inputs of a batch were made of.
pub(super) struct Puzzles<'a> {
    /// `[batch, cells]`.
    pub(super) tokens: &'a [u8],
    /// `[batch]`.
    pub(super) identifiers: &'a [u32],
    /// The rows of the puzzle embedding that get gradients, ascending: those of
    /// all identifiers.
    pub(super) rows: &'a [u32],
    /// `[batch, positions]`, where the model has feedback.
    pub(super) probabilities: &'a [f32],
}

/// The gradients of the tables that made the input, from the gradient by it.
pub(super) fn embedding_backward(
    model: &CpuModel,
    puzzles: &Puzzles<'_>,
    d_input: &[f32],
    gradients: &mut Tensors,
) {
    match &model.plan.embedding {
        Embedding::Tokens(e) => tokens_backward(model, e, puzzles, d_input, gradients),
        Embedding::Roles(e) => roles_backward(model, e, puzzles, d_input, gradients),
    }
}

fn roles_backward(
    model: &CpuModel,
    e: &RoleEmbedding,
    puzzles: &Puzzles<'_>,
    d_input: &[f32],
    gradients: &mut Tensors,
) {
    let d = model.plan.hidden;
    let answers = model.plan.heads.answers;
    let table = slot(gradients, model, e.roles);
    let cells = d_input.chunks_exact(answers.count * d);
    for (d_cell, &token) in cells.zip(puzzles.tokens) {
        for (symbol, row) in d_cell.chunks_exact(d).enumerate() {
            let at = role(answers, token, symbol) * d;
            axpy(1.0, row, &mut table[at..at + d]);
        }
    }
    if let Some(feedback) = e.feedback {
        let sum = slot(gradients, model, feedback);
        for (row, &p) in d_input.chunks_exact(d).zip(puzzles.probabilities) {
            axpy(p, row, sum);
        }
    }
}

fn tokens_backward(
    model: &CpuModel,
    e: &TokenEmbedding,
    puzzles: &Puzzles<'_>,
    d_input: &[f32],
    gradients: &mut Tensors,
) {
    let plan = &*model.plan;
    let d = plan.hidden;
    if let Some(puzzle) = e.puzzle {
        gradients[puzzle.index()].resize(puzzles.rows.len() * d, 0.0);
    }
    let sequences = d_input.chunks_exact(plan.positions * d);
    let given = puzzles.tokens.chunks_exact(plan.config.seq_len);
    let given = given.zip(puzzles.identifiers);
    for (d_x, (tokens, identifier)) in sequences.zip(given) {
        if let Some(positions) = e.positions {
            axpy(e.scale, d_x, slot(gradients, model, positions));
        }
        // Of the positions in front the first alone has a table.
        if let (Some(puzzle), Ok(at)) = (e.puzzle, puzzles.rows.binary_search(identifier)) {
            let row = at * d..(at + 1) * d;
            axpy(e.scale, &d_x[..d], &mut gradients[puzzle.index()][row]);
        }
        let rows = d_x[plan.prefix * d..].chunks_exact(d);
        let table = slot(gradients, model, e.tokens);
        for (&token, row) in tokens.iter().zip(rows) {
            let at = usize::from(token) * d;
            axpy(e.scale, row, &mut table[at..at + d]);
        }
    }
}

/// `y += a * x`.
fn axpy(a: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
