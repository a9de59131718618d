//! All segments of a set of puzzles, without gradient.

use burn::tensor::Device;

use std::sync::Arc;

use super::ModelError;
use super::inputs::Inputs;
use super::network::{Network, State};
use super::parameters::{Parameters, read};
use crate::cpu::{CpuModel, CpuRun};
use crate::engine::{SegmentOutput, Taps};
use crate::plan::Plan;

/// What the model says of one puzzle after one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentGuess {
    /// The most likely token of each cell; among equals the smallest.
    pub tokens: Vec<u8>,
    /// Logit of halting.
    pub q_halt: f32,
    /// Logit of continuing, where the model has one.
    pub q_continue: Option<f32>,
}

impl SegmentGuess {
    /// Whether the model says that it is done.
    #[must_use]
    pub fn halts(&self) -> bool {
        self.q_halt > self.q_continue.unwrap_or(0.0)
    }
}

/// Guesses after each of `segments` segments: `[segment][puzzle]`.
///
/// # Errors
/// If the device fails.
pub fn evaluate(
    plan: &Plan,
    parameters: &Parameters,
    inputs: &[&[u8]],
    segments: usize,
    device: &Device,
) -> Result<Vec<Vec<SegmentGuess>>, ModelError> {
    if *device == Device::flex() {
        return on_host(plan, parameters, inputs, segments);
    }
    let network = Network::new(plan, parameters);
    let mut given = Inputs::new(plan, inputs.iter().copied(), device);
    let mut state = State::initial(plan, parameters, inputs.len());
    let mut guesses = Vec::with_capacity(segments);
    for _ in 0..segments {
        let output = network.segment(state, &given);
        given.go_on();
        let logits = read(output.logits, "logits")?;
        let q = read(output.q, "q")?;
        let answers = plan.heads.answers;
        let per_puzzle = plan.config.seq_len * answers.count;
        guesses.push(
            logits
                .chunks_exact(per_puzzle)
                .zip(q.chunks_exact(plan.heads.q_outputs))
                .map(|(logits, q)| SegmentGuess {
                    tokens: logits
                        .chunks_exact(answers.count)
                        .map(|cell| answers.first + most_likely(cell))
                        .collect(),
                    q_halt: q[0],
                    q_continue: q.get(1).copied(),
                })
                .collect(),
        );
        state = output.state;
    }
    Ok(guesses)
}

/// The same by the CPU engine, which is faster where the weights are in the
/// host's memory anyway.
fn on_host(
    plan: &Plan,
    parameters: &Parameters,
    inputs: &[&[u8]],
    segments: usize,
) -> Result<Vec<Vec<SegmentGuess>>, ModelError> {
    let model = CpuModel::new(Arc::new(plan.clone()), &parameters.to_weights(plan)?);
    let mut run = CpuRun::empty(Arc::new(model));
    for (row, tokens) in inputs.iter().enumerate() {
        run.push(tokens).map_err(|error| ModelError::Input {
            row,
            reason: error.to_string(),
        })?;
    }
    let guess = |output: SegmentOutput| SegmentGuess {
        tokens: output.tokens,
        q_halt: output.q_halt,
        q_continue: output.q_continue,
    };
    let segment = |_| {
        run.segment(Taps::default())
            .into_iter()
            .map(guess)
            .collect()
    };
    Ok((0..segments).map(segment).collect())
}

/// Index of the largest logit, the first among equals.
pub(super) fn most_likely(logits: &[f32]) -> u8 {
    let mut best = 0;
    for (i, &x) in logits.iter().enumerate() {
        if x > logits[best] {
            best = i;
        }
    }
    best as u8
}
