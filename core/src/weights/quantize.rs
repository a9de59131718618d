//! Quantization of weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Tensor, Values, Weights};
use crate::plan::{Plan, TensorId};

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// 32-bit floats.
    F32,
    /// Matrices of the modules as 8-bit integers, symmetric, one f32 scale a
    /// row; embeddings, heads and initial vectors in f32.
    Q8,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Q8 => "q8",
        })
    }
}

/// How far quantization moved one tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorError {
    /// The tensor.
    pub name: String,
    /// Root of the mean squared error over the root of the mean square.
    pub relative_rms: f64,
    /// Largest absolute error.
    pub max_abs: f32,
    /// Bytes before.
    pub bytes_before: usize,
    /// Bytes after, scales included.
    pub bytes_after: usize,
}

impl Weights {
    /// The same weights with the modules' matrices in 8 bits, and what that
    /// did to each tensor. Embeddings, heads and initial vectors are a small
    /// share of the bytes and feed every segment: they stay in f32.
    #[must_use]
    pub fn quantize_q8(&self, plan: &Plan) -> (Self, Vec<TensorError>) {
        let mut tensors = self.tensors.clone();
        let mut report = Vec::new();
        for id in matrices(plan) {
            let spec = plan.tensor(id);
            let before = self.dense(id);
            let quantized = q8_rows(&before, spec.shape[0], &spec.shape);
            let after = quantized.dense();
            let (mut error, mut power, mut max_abs) = (0.0f64, 0.0f64, 0.0f32);
            for (&a, &b) in before.iter().zip(after.iter()) {
                error += f64::from(a - b).powi(2);
                power += f64::from(a).powi(2);
                max_abs = max_abs.max((a - b).abs());
            }
            report.push(TensorError {
                name: spec.name.clone(),
                relative_rms: (error / power.max(f64::MIN_POSITIVE)).sqrt(),
                max_abs,
                bytes_before: 4 * before.len(),
                bytes_after: before.len() + 4 * spec.shape[0],
            });
            drop(after);
            tensors[id.index()] = quantized;
        }
        (Self { tensors }, report)
    }
}

/// The matrices of a plan's modules, each once.
fn matrices(plan: &Plan) -> Vec<TensorId> {
    use crate::plan::Sublayer;
    plan.modules
        .iter()
        .flatten()
        .flat_map(|s| match s {
            Sublayer::Attention { qkv, out, .. } => [*qkv, *out],
            Sublayer::GatedMlp { gate_up, down, .. } => [*gate_up, *down],
        })
        .collect()
}

/// Symmetric 8-bit integers with the scale `max |row| / 127`.
fn q8_rows(values: &[f32], rows: usize, shape: &[usize]) -> Tensor {
    let width = values.len() / rows;
    let mut ints = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(rows);
    for row in values.chunks_exact(width) {
        let max = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let scale = max / 127.0;
        // A row of zeros has scale 0 and stays zero.
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        ints.extend(
            row.iter()
                .map(|v| (v * inverse).round().clamp(-127.0, 127.0) as i8),
        );
        scales.push(scale);
    }
    Tensor {
        shape: shape.to_vec(),
        values: Values::Q8 {
            values: ints,
            scales,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;

    #[test]
    fn q8_moves_no_element_by_more_than_half_a_step() {
        let plan = Plan::new(&ModelConfig::preset("compact-6x6").unwrap()).unwrap();
        let weights = Weights::random(&plan, 7);
        let (quantized, report) = weights.quantize_q8(&plan);
        assert_eq!(report.len(), 4);
        for id in matrices(&plan) {
            let Values::Q8 { scales, .. } = &quantized.get(id).values else {
                panic!("{} was not quantized", plan.tensor(id).name);
            };
            let width = plan.tensor(id).shape[1];
            for (i, (a, b)) in weights
                .dense(id)
                .iter()
                .zip(quantized.dense(id).iter())
                .enumerate()
            {
                assert!((a - b).abs() <= 0.5001 * scales[i / width]);
            }
        }
        assert!(quantized.bytes() < weights.bytes() / 2);
    }

    #[test]
    fn files_round_trip_in_both_schemes() {
        let plan = Plan::new(&ModelConfig::preset("hrm-4x4").unwrap()).unwrap();
        let weights = Weights::random(&plan, 3);
        for weights in [weights.clone(), weights.quantize_q8(&plan).0] {
            let bytes = weights.to_safetensors(&plan).unwrap();
            assert_eq!(Weights::from_safetensors(&plan, &bytes).unwrap(), weights);
        }
    }
}
