//! Weights from a safetensors file.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{Tensor, Values, Weights, WeightsError};
use crate::plan::Plan;

/// Suffix of the tensor that holds a quantized tensor's scales.
pub(super) const SCALE: &str = ".scale";

/// A tensor's name without the prefixes that wrappers add (`torch.compile`'s
/// `_orig_mod.`, the reference's `model.inner.`), in any order and number.
#[must_use]
pub fn plain_name(name: &str) -> &str {
    let mut name = name;
    loop {
        let shorter = ["_orig_mod.", "model.", "inner.", "module."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        match shorter {
            Some(rest) => name = rest,
            None => return name,
        }
    }
}

impl Weights {
    /// Reads a plan's weights from the bytes of a safetensors file, whatever
    /// prefixes the names carry and whichever of f32, f16, bf16 or q8 each
    /// tensor is in.
    ///
    /// # Errors
    /// Names the tensor that is missing, extra, misshapen, of an unsupported
    /// type or not finite; or says that the file can't be read.
    pub fn from_safetensors(plan: &Plan, bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| WeightsError::Format {
            bytes: bytes.len(),
            reason: e.to_string(),
        })?;
        let mut found: BTreeMap<&str, TensorView<'_>> = BTreeMap::new();
        let names = file.names();
        for name in &names {
            let view = file.tensor(name).map_err(|e| WeightsError::Format {
                bytes: bytes.len(),
                reason: e.to_string(),
            })?;
            if found.insert(plain_name(name), view).is_some() {
                return Err(WeightsError::Duplicate { name: plain_name(name).to_owned() });
            }
        }

        let mut tensors = Vec::with_capacity(plan.tensors.len());
        for spec in &plan.tensors {
            let view = found
                .remove(spec.name.as_str())
                .ok_or_else(|| WeightsError::Missing { name: spec.name.clone() })?;
            if view.shape() != spec.shape {
                return Err(WeightsError::Shape {
                    name: spec.name.clone(),
                    expected: spec.shape.clone(),
                    found: view.shape().to_vec(),
                });
            }
            let values = if view.dtype() == Dtype::I8 {
                let name = format!("{}{SCALE}", spec.name);
                let scale = found
                    .remove(name.as_str())
                    .ok_or_else(|| WeightsError::Missing { name: name.clone() })?;
                let rows = spec.shape.first().copied().unwrap_or(1);
                if scale.shape() != [rows] {
                    return Err(WeightsError::Shape {
                        name,
                        expected: vec![rows],
                        found: scale.shape().to_vec(),
                    });
                }
                Values::Q8 {
                    values: view.data().iter().map(|&b| b.cast_signed()).collect(),
                    scales: floats(&name, &scale)?,
                }
            } else {
                Values::F32(floats(&spec.name, &view)?)
            };
            tensors.push(Tensor { shape: spec.shape.clone(), values });
        }
        if let Some(name) = found.keys().next() {
            return Err(WeightsError::Extra { name: (*name).to_owned() });
        }
        Self::from_tensors(plan, tensors)
    }
}

/// A tensor's elements as f32. The bytes need not be aligned.
fn floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let data = view.data();
    let pairs = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
    match view.dtype() {
        Dtype::F32 => Ok(data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()),
        Dtype::F16 => Ok(pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect()),
        Dtype::BF16 => Ok(pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect()),
        other => Err(WeightsError::Dtype { name: name.to_owned(), dtype: format!("{other:?}") }),
    }
}
