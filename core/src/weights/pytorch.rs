//! Weights from a PyTorch state dict.

use std::borrow::Cow;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use safetensors::Dtype;

use super::read::Raw;
use super::{Weights, WeightsError};
use crate::plan::Plan;

impl Weights {
    /// Reads a plan's weights from a `.pt` file: a state dict, or one level
    /// of dictionaries around it, with whatever prefixes the names carry.
    ///
    /// # Errors
    /// As [`Weights::from_safetensors`], and if the file is no state dict.
    pub fn from_pytorch(plan: &Plan, path: &Path) -> Result<Self, WeightsError> {
        let failed = |e: &dyn std::fmt::Display| WeightsError::Pytorch {
            reason: e.to_string(),
        };
        let file = PytorchReader::new(path).map_err(|e| failed(&e))?;
        let mut tensors = Vec::new();
        for (name, tensor) in file.into_tensors() {
            let dtype = match tensor.dtype() {
                DType::F32 => Dtype::F32,
                DType::F16 => Dtype::F16,
                DType::BF16 => Dtype::BF16,
                other => {
                    return Err(WeightsError::Dtype {
                        name,
                        dtype: format!("{other:?}"),
                    });
                }
            };
            let data = tensor.read().map_err(|e| failed(&e))?;
            let raw = Raw {
                dtype,
                shape: tensor.shape().to_vec(),
                data: Cow::Owned(data),
            };
            tensors.push((name, raw));
        }
        Self::from_raw(plan, tensors.into_iter())
    }
}
