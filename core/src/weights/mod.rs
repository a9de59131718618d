//! Weights: the tensors of a plan with their values, in memory and on disk.
//!
//! On disk a model is one safetensors file (`model.safetensors`); a quantized
//! tensor `name` is stored as `I8` (or, in 4 bits, `U8`) with its scales
//! beside it as `name.scale`. See `docs/formats.md`.

mod error;
mod init;
mod manifest;
mod q4;
mod quantize;
mod read;
mod rounding;
mod statistics;
mod write;

use std::borrow::Cow;

use half::f16;

pub use error::WeightsError;
pub use manifest::{Manifest, ManifestError, ModelIndex, Part, sha256_hex};
pub use q4::{Q4_GROUP, q4_groups, q4_row_bytes, quantize_q4};
pub(crate) use quantize::int8_rows;
pub use quantize::{Scheme, TensorError};
#[cfg(feature = "import")]
pub(crate) use read::SCALE;
pub use read::{RawTensor, plain_name};
pub use statistics::{Moments, Statistics};

use crate::plan::{Plan, TensorId};

/// Values of one tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Full precision.
    F32(Vec<f32>),
    /// Signed 8-bit integers in `-127..=127` with one scale a row: element
    /// `[r, c]` stands for `values[r, c] * scales[r]`.
    Q8 {
        /// The integers.
        values: Vec<i8>,
        /// One factor a row.
        scales: Vec<f32>,
    },
    /// Half precision.
    F16(Vec<f16>),
    /// 4-bit integers in `-8..=7`, in groups of [`Q4_GROUP`] along a row (the
    /// last of a row may be short) with one scale each.
    Q4 {
        /// Two a byte, 8 added, the first in the low half; rows of
        /// [`q4_row_bytes`] bytes.
        values: Vec<u8>,
        /// `[rows, groups]`.
        scales: Vec<f16>,
    },
}

/// One tensor's values with their shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Values,
}

impl Tensor {
    /// The values in f32, dequantized where they are not.
    #[must_use]
    pub fn dense(&self) -> Cow<'_, [f32]> {
        match &self.values {
            Values::F32(v) => Cow::Borrowed(v),
            Values::F16(v) => Cow::Owned(v.iter().map(|v| v.to_f32()).collect()),
            Values::Q4 { values, scales } => {
                let depth: usize = self.shape.iter().skip(1).product();
                let rows = values
                    .chunks_exact(q4_row_bytes(depth).max(1))
                    .zip(scales.chunks_exact(q4_groups(depth).max(1)));
                Cow::Owned(
                    rows.flat_map(|(bytes, scales)| q4::expand_row(bytes, scales, depth))
                        .collect(),
                )
            }
            Values::Q8 { values, scales } => {
                let width = values.len() / scales.len().max(1);
                Cow::Owned(
                    values
                        .iter()
                        .enumerate()
                        .map(|(i, &v)| f32::from(v) * scales[i / width])
                        .collect(),
                )
            }
        }
    }
}

impl Tensor {
    /// Bytes that the values take, scales included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::F32(v) => 4 * v.len(),
            Values::F16(v) => 2 * v.len(),
            Values::Q8 { values, scales } => values.len() + 4 * scales.len(),
            Values::Q4 { values, scales } => values.len() + 2 * scales.len(),
        }
    }
}

/// The values of every tensor of a plan, in the plan's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    tensors: Vec<Tensor>,
}

impl Weights {
    /// Makes weights of tensors in the plan's order.
    ///
    /// # Errors
    /// If one is missing, extra, misshapen or not finite.
    pub fn from_tensors(plan: &Plan, tensors: Vec<Tensor>) -> Result<Self, WeightsError> {
        if tensors.len() != plan.tensors.len() {
            return Err(WeightsError::Count {
                expected: plan.tensors.len(),
                found: tensors.len(),
            });
        }
        for (tensor, spec) in tensors.iter().zip(&plan.tensors) {
            if tensor.shape != spec.shape {
                return Err(WeightsError::Shape {
                    name: spec.name.clone(),
                    expected: spec.shape.clone(),
                    found: tensor.shape.clone(),
                });
            }
            error::check_values(&spec.name, tensor)?;
        }
        Ok(Self { tensors })
    }

    /// One tensor.
    #[must_use]
    pub fn get(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.index()]
    }

    /// One tensor's values in f32.
    #[must_use]
    pub fn dense(&self, id: TensorId) -> Cow<'_, [f32]> {
        self.get(id).dense()
    }

    /// The tensors in the plan's order.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Bytes that the values take, scales included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tensors.iter().map(Tensor::bytes).sum()
    }

    /// The scheme that the values are stored in: the smallest that any tensor
    /// has.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        let has = |f: fn(&Values) -> bool| self.tensors.iter().any(|t| f(&t.values));
        if has(|v| matches!(v, Values::Q4 { .. })) {
            Scheme::Q4
        } else if has(|v| matches!(v, Values::Q8 { .. })) {
            Scheme::Q8
        } else if has(|v| matches!(v, Values::F16(_))) {
            Scheme::F16
        } else {
            Scheme::F32
        }
    }

    /// The same with one tensor replaced.
    ///
    /// # Errors
    /// If it does not fit the plan.
    pub fn with(&self, plan: &Plan, id: TensorId, tensor: Tensor) -> Result<Self, WeightsError> {
        let mut tensors = self.tensors.clone();
        tensors[id.index()] = tensor;
        Self::from_tensors(plan, tensors)
    }
}
