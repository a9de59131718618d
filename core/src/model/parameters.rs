//! A plan's tensors on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::plan::{Plan, TensorId};
use crate::train::TrainError;
use crate::weights::{self, Values, Weights};

/// One tensor for each of a plan's, in its order; vectors are held as
/// `[1, n]`, so that all have two axes.
#[derive(Debug, Clone)]
pub struct Parameters {
    tensors: Vec<Tensor<2>>,
}

/// Reads a tensor's values, in f32 and row-major.
pub(super) fn read<const D: usize>(tensor: Tensor<D>, what: &str) -> Result<Vec<f32>, TrainError> {
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|e| TrainError::Read {
            what: what.to_owned(),
            reason: format!("{e:?}"),
        })
}

/// A tensor of these values.
pub(super) fn upload<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Numbers of rows, as a device takes them.
pub(super) fn indices(rows: &[u32], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.iter().map(|&row| row.into()).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

impl Parameters {
    /// Copies weights to a device, dequantized where they are not f32.
    #[must_use]
    pub fn from_weights(plan: &Plan, weights: &Weights, device: &Device) -> Self {
        let tensors = weights.tensors().iter();
        let values = tensors.map(|tensor| tensor.dense().into_owned()).collect();
        Self::of_values(plan, values, device)
    }

    /// Copies values in the plan's order to a device.
    pub(super) fn of_values(plan: &Plan, values: Vec<Vec<f32>>, device: &Device) -> Self {
        let tensors = plan.tensors.iter().zip(values);
        let tensors = tensors.map(|(spec, values)| upload(values, spec.matrix_shape(), device));
        Self {
            tensors: tensors.collect(),
        }
    }

    /// The same values on another device.
    pub(super) fn copied_to(&self, device: &Device) -> Self {
        let tensors = self.tensors.iter();
        Self {
            tensors: tensors.map(|t| t.clone().to_device(device)).collect(),
        }
    }

    /// Copies the values back.
    ///
    /// # Errors
    /// If a tensor can't be read, or holds values that are not finite.
    pub fn to_weights(&self, plan: &Plan) -> Result<Weights, TrainError> {
        let tensors = plan
            .tensors
            .iter()
            .zip(&self.tensors)
            .map(|(spec, tensor)| {
                let values = Values::F32(read(tensor.clone(), &spec.name)?);
                Ok(weights::Tensor {
                    shape: spec.shape.clone(),
                    values,
                })
            })
            .collect::<Result<_, TrainError>>()?;
        Ok(Weights::from_tensors(plan, tensors)?)
    }

    /// One tensor, `[1, n]` for a vector.
    #[must_use]
    pub fn get(&self, id: TensorId) -> Tensor<2> {
        self.tensors[id.index()].clone()
    }

    /// The tensors in the plan's order.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor<2>] {
        &self.tensors
    }

    /// The tensors, to be replaced.
    pub(super) fn tensors_mut(&mut self) -> &mut [Tensor<2>] {
        &mut self.tensors
    }

    /// The same with one tensor replaced.
    pub(super) fn with(&self, id: TensorId, tensor: Tensor<2>) -> Self {
        let mut tensors = self.tensors.clone();
        tensors[id.index()] = tensor;
        Self { tensors }
    }

    /// The same with these rows of a tensor alone.
    pub(super) fn with_rows(&self, id: TensorId, rows: &[u32], device: &Device) -> Self {
        self.with(id, self.get(id).select(0, indices(rows, device)))
    }

    /// The same values as leaves of a gradient graph.
    #[must_use]
    pub fn tracked(&self) -> Self {
        let tensors = self
            .tensors
            .iter()
            .map(|t| t.clone().autodiff().require_grad())
            .collect();
        Self { tensors }
    }
}
