//! What a sequence is given at a segment: the embedded puzzle, and where the
//! model has feedback, its last answer.

use super::CpuModel;
use super::run::add;
use crate::plan::{Answers, Embedding, RoleEmbedding, TokenEmbedding};
use crate::puzzle::TOKEN_BLANK;

/// What a (cell, symbol) position is to the puzzle: row of
/// [`RoleEmbedding::roles`].
pub(crate) fn role(answers: Answers, token: u8, symbol: usize) -> usize {
    if token == TOKEN_BLANK {
        0
    } else if usize::from(token) == usize::from(answers.first) + symbol {
        1
    } else {
        2
    }
}

/// The probabilities that a fresh sequence starts with, `[cells, symbols]`:
/// certain where a cell is given, elsewhere alike.
pub(crate) fn fresh_probabilities(answers: Answers, tokens: &[u8]) -> Vec<f32> {
    let uniform = 1.0 / answers.count as f32;
    let cell = |&token: &u8| {
        (0..answers.count).map(move |symbol| match role(answers, token, symbol) {
            0 => uniform,
            1 => 1.0,
            _ => 0.0,
        })
    };
    tokens.iter().flat_map(cell).collect()
}

/// Logits `[cells, symbols]` to probabilities, in place.
pub(crate) fn softmax(logits: &mut [f32], symbols: usize) {
    for cell in logits.chunks_exact_mut(symbols) {
        let top = cell.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for v in cell.iter_mut() {
            *v = super::math::exp(*v - top);
            sum += *v;
        }
        for v in cell.iter_mut() {
            *v /= sum;
        }
    }
}

/// The input of a segment, `[positions, hidden]`. `z_h`: the state that the
/// last answer is read off, none for a sequence that has not run yet.
/// `identifier`: the row of the puzzle embedding.
pub(crate) fn input(
    model: &CpuModel,
    tokens: &[u8],
    identifier: usize,
    z_h: Option<&[f32]>,
) -> Vec<f32> {
    match &model.plan().embedding {
        Embedding::Tokens(embedding) => embed(model, embedding, tokens, identifier),
        Embedding::Roles(embedding) => {
            let probabilities = embedding.feedback.map(|_| match z_h {
                None => fresh_probabilities(model.plan().heads.answers, tokens),
                Some(z_h) => probabilities(model, z_h),
            });
            roles(model, embedding, tokens, probabilities.as_deref())
        }
    }
}

/// What the model thinks of every (cell, symbol), read off a state.
pub(crate) fn probabilities(model: &CpuModel, z_h: &[f32]) -> Vec<f32> {
    let mut logits = model.read_out().logits(z_h);
    softmax(&mut logits, model.plan().heads.answers.count);
    logits
}

fn embed(model: &CpuModel, e: &TokenEmbedding, tokens: &[u8], identifier: usize) -> Vec<f32> {
    let (plan, d) = (model.plan(), model.plan().hidden);
    let table = model.tensor(e.tokens);
    let mut x = Vec::with_capacity(plan.positions * d);
    if let Some(puzzle) = e.puzzle {
        x.extend_from_slice(&model.tensor(puzzle)[identifier * d..(identifier + 1) * d]);
        // Further positions in front are zero.
        x.resize(plan.prefix * d, 0.0);
    }
    for &token in tokens {
        let at = usize::from(token) * d;
        x.extend_from_slice(&table[at..at + d]);
    }
    if let Some(positions) = e.positions {
        add(&mut x, model.tensor(positions));
    }
    for v in &mut x {
        *v *= e.scale;
    }
    x
}

/// The roles' vectors, and the feedback's as often as the probabilities say.
pub(crate) fn roles(
    model: &CpuModel,
    e: &RoleEmbedding,
    tokens: &[u8],
    probabilities: Option<&[f32]>,
) -> Vec<f32> {
    let (plan, d) = (model.plan(), model.plan().hidden);
    let answers = plan.heads.answers;
    let table = model.tensor(e.roles);
    let mut x = Vec::with_capacity(plan.positions * d);
    for &token in tokens {
        for symbol in 0..answers.count {
            let at = role(answers, token, symbol) * d;
            x.extend_from_slice(&table[at..at + d]);
        }
    }
    if let (Some(feedback), Some(probabilities)) = (e.feedback, probabilities) {
        let vector = model.tensor(feedback);
        for (x, p) in x.chunks_exact_mut(d).zip(probabilities) {
            for (x, v) in x.iter_mut().zip(vector) {
                *x += p * v;
            }
        }
    }
    x
}
