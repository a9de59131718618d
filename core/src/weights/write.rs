//! Weights into a safetensors file.

use std::collections::HashMap;

use safetensors::{Dtype, tensor::TensorView};

use super::read::SCALE;
use super::{Values, Weights, WeightsError};
use crate::plan::Plan;

impl Weights {
    /// The bytes of a safetensors file with these weights under the plan's
    /// names, the scheme in its metadata.
    ///
    /// # Errors
    /// If the format can't hold them (it holds every plan's).
    pub fn to_safetensors(&self, plan: &Plan) -> Result<Vec<u8>, WeightsError> {
        let mut buffers: Vec<(String, Dtype, Vec<usize>, &[u8])> = Vec::new();
        for (spec, tensor) in plan.tensors.iter().zip(&self.tensors) {
            let shape = tensor.shape.clone();
            let mut push = |suffix: &str, dtype, shape, bytes| {
                buffers.push((format!("{}{suffix}", spec.name), dtype, shape, bytes));
            };
            match &tensor.values {
                Values::F32(values) => push("", Dtype::F32, shape, bytemuck::cast_slice(values)),
                Values::F16(values) => push("", Dtype::F16, shape, bytemuck::cast_slice(values)),
                Values::Q8 { values, scales } => {
                    push("", Dtype::I8, shape, bytemuck::cast_slice(values));
                    let rows = vec![scales.len()];
                    push(SCALE, Dtype::F32, rows, bytemuck::cast_slice(scales));
                }
                Values::Q4 { values, scales } => {
                    let rows = shape.first().copied().unwrap_or(1).max(1);
                    push("", Dtype::U8, vec![rows, values.len() / rows], values);
                    let groups = vec![rows, scales.len() / rows];
                    push(SCALE, Dtype::F16, groups, bytemuck::cast_slice(scales));
                }
            }
        }
        let format = |e: safetensors::SafeTensorError| WeightsError::Format {
            bytes: 0,
            reason: e.to_string(),
        };
        let views = buffers
            .iter()
            .map(|(name, dtype, shape, data)| {
                Ok((name.clone(), TensorView::new(*dtype, shape.clone(), data)?))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(format)?;
        let metadata = HashMap::from([("scheme".to_owned(), self.scheme().to_string())]);
        safetensors::serialize(views, Some(metadata)).map_err(format)
    }
}
