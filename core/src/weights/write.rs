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
        let mut buffers: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (spec, tensor) in plan.tensors.iter().zip(&self.tensors) {
            match &tensor.values {
                Values::F32(values) => buffers.push((
                    spec.name.clone(),
                    Dtype::F32,
                    tensor.shape.clone(),
                    bytemuck::cast_slice(values).to_vec(),
                )),
                Values::Q8 { values, scales } => {
                    buffers.push((
                        spec.name.clone(),
                        Dtype::I8,
                        tensor.shape.clone(),
                        bytemuck::cast_slice(values).to_vec(),
                    ));
                    buffers.push((
                        format!("{}{SCALE}", spec.name),
                        Dtype::F32,
                        vec![scales.len()],
                        bytemuck::cast_slice(scales).to_vec(),
                    ));
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
