//! A trainer's memory as bytes: what is needed beside the weights to go on
//! as if it had never stopped.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::act::Example;
use super::network::State;
use super::parameters::{Parameters, matrix_shape, read, upload};
use super::trainer::{Trainer, check};

/// Prefix of the weights under training, where `model.safetensors` holds
/// their average.
const RAW: &str = "raw.";

/// Prefix of what the rows of the batch carry.
const CARRY: &str = "carry.";

/// Name of the metadata entry with the [`Counters`].
const COUNTERS: &str = "trainer";

/// Where the trainer is, as JSON in the file's metadata.
#[derive(Serialize, Deserialize)]
struct Counters {
    /// Steps taken.
    step: u64,
    /// Position in the exploration's random numbers, as text because JSON's
    /// integers end at 64 bits.
    random_position: String,
}

/// One entry of the file.
struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    fn floats(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        Self {
            name,
            dtype: Dtype::F32,
            shape,
            bytes: bytemuck::cast_slice(values).to_vec(),
        }
    }
}

fn bad(reason: impl Into<String>) -> ModelError {
    ModelError::State(reason.into())
}

/// A file of [`Trainer::save_state`] without what the rows of the batch
/// carry, by far its largest part: a run that goes on from it begins every row
/// anew.
///
/// # Errors
/// If it is no such file.
pub fn without_rows(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
    let mut kept = file.tensors();
    kept.retain(|(name, _)| !name.starts_with(CARRY));
    safetensors::serialize(kept, header.metadata().clone()).map_err(|e| bad(e.to_string()))
}

impl Trainer {
    /// The memory of the optimiser, the weights under training, the rows of
    /// the batch with their states, and the exploration's random numbers, as
    /// a safetensors file.
    ///
    /// # Errors
    /// If a tensor can't be read from the device.
    pub fn save_state(&self) -> Result<Vec<u8>, ModelError> {
        let mut entries = Vec::new();
        for (spec, tensor) in self.plan.tensors.iter().zip(self.parameters.tensors()) {
            let values = read(tensor.clone(), &spec.name)?;
            entries.push(Entry::floats(
                format!("{RAW}{}", spec.name),
                spec.shape.clone(),
                &values,
            ));
        }
        for (name, tensor) in self.optimizer.named(&self.plan) {
            let shape = tensor.dims().to_vec();
            let values = read(tensor, &name)?;
            entries.push(Entry::floats(name, shape, &values));
        }
        let states = |f: fn(&State) -> &Tensor<3>| {
            let parts = self.shards.iter();
            let parts = parts.map(|s| f(&s.state).clone().to_device(&self.device));
            Tensor::cat(parts.collect(), 0)
        };
        for (name, tensor) in [
            ("carry.z_H", states(|s| &s.h)),
            ("carry.z_L", states(|s| &s.l)),
        ] {
            let shape = tensor.dims().to_vec();
            entries.push(Entry::floats(name.to_owned(), shape, &read(tensor, name)?));
        }
        // Before the first step no row has a puzzle: nothing to carry.
        if self.steps() > 0 {
            let (batch, cells) = (self.settings.batch_size, self.plan.config.seq_len);
            let carries = || self.shards.iter().map(|s| &s.carry);
            let bytes = |name: &str, shape: Vec<usize>, bytes: Vec<u8>| Entry {
                name: format!("carry.{name}"),
                dtype: Dtype::U8,
                shape,
                bytes,
            };
            let tokens = |f: fn(&Example) -> &Vec<u8>| {
                carries()
                    .flat_map(|c| c.examples.iter().flat_map(f))
                    .copied()
                    .collect()
            };
            entries.push(bytes("inputs", vec![batch, cells], tokens(|e| &e.input)));
            entries.push(bytes("labels", vec![batch, cells], tokens(|e| &e.label)));
            entries.push(bytes(
                "halted",
                vec![batch],
                self.row_halted().iter().map(|&h| h.into()).collect(),
            ));
            let steps = self
                .row_segments()
                .iter()
                .flat_map(|&s| (s as u32).to_le_bytes())
                .collect();
            entries.push(Entry {
                name: "carry.steps".into(),
                dtype: Dtype::U32,
                shape: vec![batch],
                bytes: steps,
            });
        }
        let views = entries
            .iter()
            .map(|e| {
                Ok((
                    e.name.as_str(),
                    TensorView::new(e.dtype, e.shape.clone(), &e.bytes)?,
                ))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| bad(e.to_string()))?;
        let counters = Counters {
            step: self.steps(),
            random_position: self.rng.get_word_pos().to_string(),
        };
        // One entry: the order of several would be random.
        let text = serde_json::to_string(&counters).map_err(|e| bad(e.to_string()))?;
        let metadata = HashMap::from([(COUNTERS.to_owned(), text)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| bad(e.to_string()))
    }

    /// Goes on from what [`Trainer::save_state`] wrote, the trainer having
    /// been made with the same plan, settings and method and the saved (averaged)
    /// weights. Where the rows were left out ([`without_rows`]), each takes a
    /// new puzzle at the next step.
    ///
    /// # Errors
    /// If the file is no such state, or of another model or batch size.
    pub fn load_state(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|m| m.get(COUNTERS));
        let text = text.ok_or_else(|| bad(format!("`{COUNTERS}` is missing from its metadata")))?;
        let counters: Counters =
            serde_json::from_str(text).map_err(|e| bad(format!("`{COUNTERS}`: {e}")))?;
        let position = counters.random_position.parse();
        let position: u128 = position.map_err(|e| bad(format!("`random_position`: {e}")))?;

        let mut floats = BTreeMap::new();
        let mut others = BTreeMap::new();
        for (name, view) in file.tensors() {
            match view.dtype() {
                Dtype::F32 => {
                    let values: Vec<f32> = view
                        .data()
                        .chunks_exact(4)
                        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                        .collect();
                    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                        return Err(bad(format!(
                            "tensor `{name}` has {} at element {i}",
                            values[i]
                        )));
                    }
                    floats.insert(name, values);
                }
                _ => {
                    others.insert(name, view.data().to_vec());
                }
            }
        }
        let mut take = |name: &str, elements: usize| {
            let values: Vec<f32> = floats
                .remove(name)
                .ok_or_else(|| bad(format!("tensor `{name}` is missing")))?;
            if values.len() == elements {
                Ok(values)
            } else {
                Err(bad(format!(
                    "tensor `{name}` has {} elements, not {elements}",
                    values.len()
                )))
            }
        };

        let mut tensors = Vec::new();
        for spec in &self.plan.tensors {
            let values = take(&format!("{RAW}{}", spec.name), spec.elements())?;
            tensors.push(upload(values, matrix_shape(&spec.shape), &self.device));
        }
        let shape = [
            self.settings.batch_size * self.method.chains,
            self.plan.positions,
            self.plan.hidden,
        ];
        let elements = shape.iter().product();
        let rows = file.names().iter().any(|name| name.starts_with(CARRY));
        let states = if rows {
            let h: Tensor<3> = upload(take("carry.z_H", elements)?, shape, &self.device);
            let l: Tensor<3> = upload(take("carry.z_L", elements)?, shape, &self.device);
            Some((h, l))
        } else {
            None
        };

        self.optimizer
            .restore(&self.plan, counters.step, &mut floats, &self.device)?;
        if let Some(name) = floats.keys().next() {
            return Err(bad(format!("tensor `{name}` does not belong to this run")));
        }
        if counters.step > 0 && rows {
            let (batch, cells) = (self.settings.batch_size, self.plan.config.seq_len);
            let mut take = |name: &str, bytes: usize| {
                let found: Vec<u8> = others
                    .remove(name)
                    .ok_or_else(|| bad(format!("tensor `{name}` is missing")))?;
                if found.len() == bytes {
                    Ok(found)
                } else {
                    Err(bad(format!(
                        "tensor `{name}` has {} bytes, not {bytes}",
                        found.len()
                    )))
                }
            };
            let inputs = take("carry.inputs", batch * cells)?;
            let labels = take("carry.labels", batch * cells)?;
            let halted = take("carry.halted", batch)?;
            let steps = take("carry.steps", 4 * batch)?;
            let examples = inputs.chunks_exact(cells).zip(labels.chunks_exact(cells));
            let mut read = Vec::with_capacity(batch);
            for (row, (input, label)) in examples.enumerate() {
                let example = Example {
                    input: input.to_vec(),
                    label: label.to_vec(),
                };
                check(&self.plan, row, &example)?;
                read.push(example);
            }
            let mut examples = read.into_iter();
            let mut halted = halted.iter().map(|&h| h != 0);
            let mut steps = steps
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
            for shard in &mut self.shards {
                let rows = shard.carry.steps.len();
                shard.carry.examples = examples.by_ref().take(rows).collect();
                shard.carry.halted = halted.by_ref().take(rows).collect();
                shard.carry.steps = steps.by_ref().take(rows).collect();
            }
        }
        self.parameters = Parameters::from_vec(tensors);
        self.hand_out();
        if let Some((h, l)) = states {
            for shard in &mut self.shards {
                let device = match shard.device {
                    0 => &self.device,
                    other => &self.others[other - 1],
                };
                let rows = |all: &Tensor<3>| {
                    let chains = self.method.chains;
                    let rows = shard.carry.steps.len() * chains;
                    let own = all.clone().narrow(0, shard.first * chains, rows);
                    own.to_device(device)
                };
                shard.state = State {
                    h: rows(&h),
                    l: rows(&l),
                };
            }
        }
        self.rng = ChaCha8Rng::seed_from_u64(self.settings.seed);
        self.rng.set_word_pos(position);
        Ok(())
    }
}
