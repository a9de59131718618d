//! All segments of a set of puzzles, without gradient.

use burn::tensor::Device;

use super::inputs::Inputs;
use super::network::{Network, State};
use super::parameters::{Parameters, read};
use crate::plan::Plan;
use crate::train::{SegmentGuess, Sequence, TrainError, most_likely};

/// Guesses after each of `segments` segments: `[segment][puzzle]`.
///
/// # Errors
/// If the device fails.
pub fn evaluate(
    plan: &Plan,
    parameters: &Parameters,
    inputs: &[Sequence<'_>],
    segments: usize,
    device: &Device,
) -> Result<Vec<Vec<SegmentGuess>>, TrainError> {
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
