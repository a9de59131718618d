//! Errors of engines, and what every engine checks.

use crate::noise::Noise;
use crate::plan::Plan;

/// Why an engine could not do what it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// The input does not fit the model.
    #[error("input {sequence}: {reason}")]
    Input {
        /// Index into the batch.
        sequence: usize,
        /// What is wrong.
        reason: String,
    },
    /// No device, or not one that can run this model.
    #[error("{0}")]
    Unavailable(String),
    /// The device was lost; a new engine can be made and the run repeated.
    #[error("the GPU device was lost: {0}")]
    Lost(String),
    /// The device ran out of memory.
    #[error("the GPU is out of memory: {0}")]
    OutOfMemory(String),
    /// Anything else the device reported.
    #[error("GPU error: {0}")]
    Device(String),
}

/// Checks that a batch of so many sequences has this one.
///
/// # Errors
/// It has not; names the sequence.
pub fn check_place(batch: usize, sequence: usize) -> Result<(), EngineError> {
    if sequence < batch {
        return Ok(());
    }
    let reason = format!("there are only {batch} in the batch");
    Err(EngineError::Input { sequence, reason })
}

/// Checks that a model has a row of the puzzle embedding for an identifier;
/// one without a puzzle embedding takes 0 alone.
///
/// # Errors
/// It has not; names the sequence and the identifier.
pub fn check_identifier(
    plan: &Plan,
    sequence: usize,
    identifier: usize,
) -> Result<(), EngineError> {
    match plan.no_identifier(identifier) {
        None => Ok(()),
        Some(reason) => Err(EngineError::Input { sequence, reason }),
    }
}

/// Checks a batch of token sequences against a plan.
///
/// # Errors
/// Names the sequence and what is wrong with it: its length or a token that
/// the vocabulary lacks.
pub fn check_inputs<T: AsRef<[u8]>>(plan: &Plan, inputs: &[T]) -> Result<(), EngineError> {
    let (cells, vocab) = (plan.config.seq_len, plan.config.vocab_size);
    if inputs.is_empty() {
        return Err(EngineError::Input {
            sequence: 0,
            reason: "the batch is empty".into(),
        });
    }
    for (sequence, tokens) in inputs.iter().map(AsRef::as_ref).enumerate() {
        if tokens.len() != cells {
            let reason = format!("has {} tokens, the model takes {cells}", tokens.len());
            return Err(EngineError::Input { sequence, reason });
        }
        if let Some(cell) = tokens.iter().position(|&t| usize::from(t) >= vocab) {
            let reason = format!("token {} at cell {cell} is not below {vocab}", tokens[cell]);
            return Err(EngineError::Input { sequence, reason });
        }
    }
    Ok(())
}

/// Checks the length of `z_H` and `z_L` for so many sequences.
///
/// # Errors
/// Names the state that is too long or too short.
pub fn check_states(plan: &Plan, sequences: usize, states: [&[f32]; 2]) -> Result<(), EngineError> {
    let expected = sequences * plan.positions * plan.hidden;
    for (name, state) in ["z_H", "z_L"].into_iter().zip(states) {
        if state.len() != expected {
            let reason = format!("{name} has {} elements, must have {expected}", state.len());
            return Err(EngineError::Input {
                sequence: 0,
                reason,
            });
        }
    }
    Ok(())
}

/// Checks the noise of a sequence.
///
/// # Errors
/// Its deviation is no number from 0 up; names the sequence.
pub fn check_noise(sequence: usize, noise: Noise) -> Result<(), EngineError> {
    let deviation = noise.deviation;
    if deviation >= 0.0 && deviation.is_finite() {
        return Ok(());
    }
    let reason = format!("the noise's deviation is {deviation}, must be a number from 0 up");
    Err(EngineError::Input { sequence, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_that_is_no_number_from_0_up_is_refused() {
        let check = |deviation| check_noise(3, Noise { seed: 1, deviation });
        assert!(check(0.0).is_ok() && check(0.1).is_ok());
        for (deviation, said) in [(f32::NAN, "NaN"), (-1.0, "-1"), (f32::INFINITY, "inf")] {
            let error = check(deviation).unwrap_err().to_string();
            let expected = format!("input 3: the noise's deviation is {said}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
