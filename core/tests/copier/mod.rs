//! A model that answers with its question, whatever the noise: right where the whole
//! route (or every digit) is given. For tests that need solved and unsolved guesses at
//! a cost of nothing.

use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::weights::{Tensor, Values, Weights};

/// Plan and weights of the copying model for a puzzle. Its blocks add nothing to what
/// they are given, so states are the embedding, and the output head is the embedding
/// once more. Its halting head is random.
pub(crate) fn copier(puzzle: impl Into<PuzzleKind>) -> (Arc<Plan>, Weights) {
    let plan = Arc::new(Plan::new(&ModelConfig::compact(puzzle, 16)).unwrap());
    let random = Weights::random(&plan, 5);
    let tensors = plan
        .tensors
        .iter()
        .zip(random.tensors())
        .map(|(spec, tensor)| {
            let width = spec.shape.last().copied().unwrap_or(1);
            let values = match spec.name.as_str() {
                "embed_tokens.embedding_weight" | "lm_head.weight" => (0..spec.elements())
                    .map(|i| f32::from(u8::from(i / width == i % width)))
                    .collect(),
                "q_head.weight" => tensor.dense().into_owned(),
                _ => vec![0.0; spec.elements()],
            };
            Tensor {
                shape: spec.shape.clone(),
                values: Values::F32(values),
            }
        })
        .collect();
    let weights = Weights::from_tensors(&plan, tensors).unwrap();
    (plan, weights)
}
