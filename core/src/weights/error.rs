//! What can be wrong with a weights file.

use super::{Tensor, Values};

/// Why weights can't be used; every variant names the tensor it is about.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// The bytes are no safetensors file: truncated, over-long, or not one.
    #[error("not a readable safetensors file ({bytes} bytes): {reason}")]
    Format {
        /// Length of the file.
        bytes: usize,
        /// What the reader found.
        reason: String,
    },
    /// Not a PyTorch state dict, or one that can't be read.
    #[error("not a readable PyTorch file: {reason}")]
    Pytorch {
        /// What the reader found.
        reason: String,
    },
    /// A tensor that the model has and the file lacks.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// A tensor that the file has and the model lacks.
    #[error("tensor `{name}` does not belong to this model")]
    Extra {
        /// The tensor, by its name in the file.
        name: String,
    },
    /// Two names in the file that mean the same tensor.
    #[error("tensor `{name}` is there twice, under different prefixes")]
    Duplicate {
        /// The tensor.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor `{name}` has shape {found:?}, the model needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// The model's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A number type that is not supported for this tensor.
    #[error(
        "tensor `{name}` has type {dtype}; supported: F64, F32, F16, BF16, and I8 or U8 with `{name}.scale`"
    )]
    Dtype {
        /// The tensor.
        name: String,
        /// The file's type.
        dtype: String,
    },
    /// A value that is not a finite number, or out of the scheme's range.
    #[error("tensor `{name}` has {value} at element {index}")]
    Value {
        /// The tensor.
        name: String,
        /// Position, row-major.
        index: usize,
        /// The value as text.
        value: String,
    },
    /// A different number of tensors than the plan has.
    #[error("{found} tensors, the model has {expected}")]
    Count {
        /// The plan's number.
        expected: usize,
        /// The number given.
        found: usize,
    },
}

/// Refuses values that no computation should start from.
pub(super) fn check_values(name: &str, tensor: &Tensor) -> Result<(), WeightsError> {
    let finite = |values: &[f32], suffix: &str| match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(WeightsError::Value {
            name: format!("{name}{suffix}"),
            index,
            value: values[index].to_string(),
        }),
        None => Ok(()),
    };
    match &tensor.values {
        Values::F32(values) => finite(values, ""),
        Values::F16(values) => {
            let values: Vec<f32> = values.iter().map(|v| v.to_f32()).collect();
            finite(&values, "")
        }
        Values::Q4 { scales, .. } => {
            let values: Vec<f32> = scales.iter().map(|v| v.to_f32()).collect();
            finite(&values, ".scale")
        }
        Values::Q8 { values, scales } => {
            if let Some(index) = values.iter().position(|&v| v == i8::MIN) {
                return Err(WeightsError::Value {
                    name: name.to_owned(),
                    index,
                    value: "-128".to_owned(),
                });
            }
            // What a scale stands for must be finite too.
            let extremes: Vec<f32> = scales.iter().map(|s| 127.0 * s).collect();
            finite(&extremes, ".scale")
        }
    }
}
