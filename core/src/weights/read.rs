//! Weights from a safetensors file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::error::check_values;
use super::{Tensor, Values, Weights, WeightsError, q4_groups, q4_row_bytes};
use crate::plan::Plan;

/// Suffix of the tensor that holds a quantized tensor's scales.
pub(crate) const SCALE: &str = ".scale";

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

/// A tensor as it stands in a file.
#[derive(Debug, Clone)]
pub struct RawTensor<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Little-endian, row-major.
    data: Cow<'a, [u8]>,
}

impl<'a> RawTensor<'a> {
    /// Of values that are little-endian and row-major.
    #[must_use]
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            dtype,
            shape,
            data: data.into(),
        }
    }
}

impl Weights {
    /// Reads a plan's weights from the bytes of a safetensors file, whatever
    /// prefixes the names carry and whichever of f32, f16, bf16, q8 or q4
    /// each tensor is in.
    ///
    /// # Errors
    /// Names the tensor that is missing, extra, misshapen, of an unsupported
    /// type or not finite; or says that the file can't be read.
    pub fn from_safetensors(plan: &Plan, bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| WeightsError::Format {
            bytes: bytes.len(),
            reason: e.to_string(),
        })?;
        let tensors = file.iter().map(|(name, view)| {
            let raw = RawTensor {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                data: Cow::Borrowed(view.data()),
            };
            (name.to_owned(), raw)
        });
        Self::from_raw(plan, tensors)
    }

    /// Picks a plan's tensors out of those of a file, by their names without
    /// prefixes.
    ///
    /// # Errors
    /// As [`Weights::from_safetensors`].
    pub fn from_raw<'a>(
        plan: &Plan,
        file: impl Iterator<Item = (String, RawTensor<'a>)>,
    ) -> Result<Self, WeightsError> {
        let mut found: BTreeMap<String, RawTensor<'a>> = BTreeMap::new();
        for (name, raw) in file {
            let name = plain_name(&name).to_owned();
            if found.contains_key(&name) {
                return Err(WeightsError::Duplicate { name });
            }
            found.insert(name, raw);
        }

        let weights = Self::read_each(
            plan,
            |name| Ok::<_, WeightsError>(found.remove(name)),
            |_, tensor| tensor,
        )?;
        match found.pop_first() {
            Some((name, _)) => Err(WeightsError::Extra { name }),
            None => Ok(weights),
        }
    }

    /// Reads a plan's tensors one after the other: `read` gives the one of a
    /// name, none if the file has none, and `keep` makes of it, whose place in
    /// the plan it gets too, what is kept. So no more than one is in memory as
    /// the file has it.
    ///
    /// # Errors
    /// As [`Weights::from_safetensors`], and those of `read`.
    pub(crate) fn read_each<'a, E: From<WeightsError>>(
        plan: &Plan,
        mut read: impl FnMut(&str) -> Result<Option<RawTensor<'a>>, E>,
        mut keep: impl FnMut(usize, Tensor) -> Tensor,
    ) -> Result<Self, E> {
        let mut take = |name: &str, shape: &[usize]| -> Result<RawTensor<'a>, E> {
            let raw = read(name)?.ok_or_else(|| WeightsError::Missing {
                name: name.to_owned(),
            })?;
            // Of 4-bit values a row is a row of bytes.
            let packed = [shape[0], q4_row_bytes(shape.iter().skip(1).product())];
            let expected = if raw.dtype == Dtype::U8 {
                &packed
            } else {
                shape
            };
            if raw.shape != expected {
                return Err(WeightsError::Shape {
                    name: name.to_owned(),
                    expected: expected.to_vec(),
                    found: raw.shape,
                }
                .into());
            }
            Ok(raw)
        };
        let mut tensors = Vec::with_capacity(plan.tensors.len());
        for (place, spec) in plan.tensors.iter().enumerate() {
            let raw = take(&spec.name, &spec.shape)?;
            let scale = format!("{}{SCALE}", spec.name);
            let rows = spec.shape.first().copied().unwrap_or(1);
            let values = match raw.dtype {
                Dtype::I8 => Values::Q8 {
                    values: raw.data.iter().map(|&b| b.cast_signed()).collect(),
                    scales: floats(&scale, &take(&scale, &[rows])?)?,
                },
                Dtype::U8 => {
                    let groups = q4_groups(spec.shape.iter().skip(1).product());
                    let scales = take(&scale, &[rows, groups])?;
                    Values::Q4 {
                        values: raw.data.to_vec(),
                        scales: halves(&scale, &scales)?,
                    }
                }
                Dtype::F16 => Values::F16(halves(&spec.name, &raw)?),
                _ => Values::F32(floats(&spec.name, &raw)?),
            };
            drop(raw);
            let tensor = Tensor {
                shape: spec.shape.clone(),
                values,
            };
            // Before it may become one of integers, which are always finite.
            check_values(&spec.name, &tensor)?;
            tensors.push(keep(place, tensor));
        }
        Ok(Self::from_tensors(plan, tensors)?)
    }
}

/// A tensor's elements, which must be f16.
fn halves(name: &str, raw: &RawTensor<'_>) -> Result<Vec<f16>, WeightsError> {
    if raw.dtype != Dtype::F16 {
        return Err(WeightsError::Dtype {
            name: name.to_owned(),
            dtype: format!("{:?}", raw.dtype),
        });
    }
    let pairs = raw.data.chunks_exact(2);
    Ok(pairs.map(|b| f16::from_le_bytes([b[0], b[1]])).collect())
}

/// A tensor's elements as f32. The bytes need not be aligned.
fn floats(name: &str, raw: &RawTensor<'_>) -> Result<Vec<f32>, WeightsError> {
    let data = &raw.data;
    let pairs = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
    match raw.dtype {
        Dtype::F32 => Ok(data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()),
        Dtype::F16 => Ok(pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect()),
        Dtype::F64 => Ok(data
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
            .collect()),
        Dtype::BF16 => Ok(pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect()),
        other => Err(WeightsError::Dtype {
            name: name.to_owned(),
            dtype: format!("{other:?}"),
        }),
    }
}
