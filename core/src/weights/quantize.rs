//! Quantization of weights.

use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

use super::rounding::{Steps, round_matrix};
use super::{Moments, Statistics};
use super::{Tensor, Values, Weights, quantize_q4};
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
    /// Matrices of the modules as 16-bit floats, the rest in f32.
    F16,
    /// Matrices of the modules in 4 bits, in groups with an f16 scale, the
    /// most sensitive ones as in [`Scheme::Q8`]; the rest in f32.
    Q4,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Q8 => "q8",
            Self::F16 => "f16",
            Self::Q4 => "q4",
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
        self.convert(plan, |_, tensor| tensor.to_q8())
    }

    /// The same, rounded so that outputs move least; `inputs` says what each
    /// matrix is multiplied with. Takes longer.
    #[must_use]
    pub fn quantize_q8_calibrated(
        &self,
        plan: &Plan,
        inputs: &Statistics,
    ) -> (Self, Vec<TensorError>) {
        self.convert(plan, |id, tensor| tensor.to_q8_calibrated(inputs.get(id)))
    }

    /// The same with the modules' matrices in 16-bit floats; values beyond
    /// their range become the largest.
    #[must_use]
    pub fn quantize_f16(&self, plan: &Plan) -> (Self, Vec<TensorError>) {
        self.convert(plan, |_, tensor| {
            let half = |&v: &f32| f16::from_f32(v.clamp(-65504.0, 65504.0));
            Tensor {
                shape: tensor.shape.clone(),
                values: Values::F16(tensor.dense().iter().map(half).collect()),
            }
        })
    }

    /// The same with the modules' matrices in 4 bits, those in `in_8_bits` in
    /// 8. `inputs` says what each matrix is multiplied with.
    #[must_use]
    pub fn quantize_q4(
        &self,
        plan: &Plan,
        inputs: Option<&Statistics>,
        in_8_bits: &[TensorId],
    ) -> (Self, Vec<TensorError>) {
        self.convert(plan, |id, tensor| {
            if in_8_bits.contains(&id) {
                return match inputs {
                    Some(inputs) => tensor.to_q8_calibrated(inputs.get(id)),
                    None => tensor.to_q8(),
                };
            }
            let shape = [tensor.shape[0], tensor.shape[1]];
            quantize_q4(&tensor.dense(), shape, inputs.map(|s| s.get(id)))
        })
    }

    /// Replaces the modules' matrices and reports on each.
    fn convert(
        &self,
        plan: &Plan,
        mut convert: impl FnMut(TensorId, &Tensor) -> Tensor,
    ) -> (Self, Vec<TensorError>) {
        let mut tensors = self.tensors.clone();
        let mut report = Vec::new();
        for id in plan.matrices() {
            let spec = plan.tensor(id);
            let before = self.dense(id);
            let converted = convert(id, self.get(id));
            let after = converted.dense();
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
                bytes_after: converted.bytes(),
            });
            drop(after);
            tensors[id.index()] = converted;
        }
        (Self { tensors }, report)
    }
}

impl Tensor {
    /// The same in 8 bits; unchanged if it is in 8 bits already.
    #[must_use]
    pub fn to_q8(&self) -> Self {
        if matches!(self.values, Values::Q8 { .. }) {
            return self.clone();
        }
        let rows = self.shape.first().copied().unwrap_or(1);
        let (values, scales) = int8_rows(&self.dense(), rows);
        Self {
            shape: self.shape.clone(),
            values: Values::Q8 { values, scales },
        }
    }

    /// A matrix in 8 bits with a scale a row, rounded as [`super::rounding`]
    /// says for inputs of these moments.
    #[must_use]
    pub fn to_q8_calibrated(&self, inputs: &Moments) -> Self {
        // Of what lies beyond the last integer little may be cut off.
        const STEPS: Steps = Steps {
            least: -127.0,
            most: 127.0,
            candidates: |extreme| {
                let parts = (0..=20).map(|n| 1.0 - 0.015 * f64::from(n));
                // As they are stored.
                parts
                    .map(|part| f64::from((part * extreme.abs() / 127.0) as f32))
                    .collect()
            },
        };
        let &[rows, depth] = self.shape.as_slice() else {
            return self.to_q8();
        };
        let dense = self.dense();
        let (values, steps) = round_matrix(&dense, [rows, depth], depth, Some(inputs), &STEPS);
        Self {
            shape: self.shape.clone(),
            values: Values::Q8 {
                values,
                scales: steps.into_iter().map(|step| step as f32).collect(),
            },
        }
    }
}

/// Symmetric 8-bit integers of a matrix of `rows` rows, and their scales
/// `max |row| / 127`.
pub(crate) fn int8_rows(values: &[f32], rows: usize) -> (Vec<i8>, Vec<f32>) {
    let width = (values.len() / rows.max(1)).max(1);
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
    (ints, scales)
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
        for id in plan.matrices() {
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
    fn files_round_trip_in_every_scheme() {
        let plan = Plan::new(&ModelConfig::preset("hrm-4x4").unwrap()).unwrap();
        let weights = Weights::random(&plan, 3);
        let mixed = weights.quantize_q4(&plan, None, &plan.matrices()[..1]).0;
        assert_eq!(mixed.scheme(), Scheme::Q4);
        assert!(mixed.bytes() < weights.quantize_q8(&plan).0.bytes());
        for weights in [
            mixed,
            weights.quantize_q8(&plan).0,
            weights.quantize_f16(&plan).0,
            weights,
        ] {
            let bytes = weights.to_safetensors(&plan).unwrap();
            assert_eq!(Weights::from_safetensors(&plan, &bytes).unwrap(), weights);
        }
    }
}
