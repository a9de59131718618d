//! A trainer's memory as bytes: what is needed beside the weights to go on
//! as if it had never stopped.

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::act::Example;
use super::backend::Backend;
use super::optim::Rule;
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

fn bad(reason: impl Into<String>) -> TrainError {
    TrainError::State(reason.into())
}

/// A file of [`Trainer::save_state`] without what the rows of the batch
/// carry, by far its largest part: a run that goes on from it begins every row
/// anew.
///
/// # Errors
/// If it is no such file.
pub fn without_rows(bytes: &[u8]) -> Result<Vec<u8>, TrainError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
    let mut kept = file.tensors();
    kept.retain(|(name, _)| !name.starts_with(CARRY));
    safetensors::serialize(kept, header.metadata().clone()).map_err(|e| bad(e.to_string()))
}

/// What some rows of the batch carry from segment to segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CarriedRows {
    /// The first row.
    pub first: usize,
    /// Their puzzles.
    pub examples: Vec<Example>,
    /// Segments that each has run on its puzzle.
    pub steps: Vec<u32>,
    /// For each whether it takes a new puzzle at the next step.
    pub halted: Vec<bool>,
    /// `z_H` and `z_L`, `[rows * chains, positions, hidden]` each.
    pub states: [Vec<f32>; 2],
}

impl<B: Backend> Trainer<B> {
    /// What the rows here carry, for the leader to save.
    ///
    /// # Errors
    /// If a tensor can't be read from the device.
    pub fn save_rows(&self) -> Result<CarriedRows, TrainError> {
        let mut states = [Vec::new(), Vec::new()];
        for shard in &self.shards {
            let values = self.backend.read_states(&shard.states)?;
            for (all, values) in states.iter_mut().zip(values) {
                all.extend(values);
            }
        }
        let carries = || self.shards.iter().map(|s| &s.carry);
        Ok(CarriedRows {
            first: self.rows.start,
            examples: carries().flat_map(|c| c.examples.clone()).collect(),
            steps: self.row_segments().iter().map(|&s| s as u32).collect(),
            halted: carries().flat_map(|c| c.halted.clone()).collect(),
            states,
        })
    }

    /// The memory of the optimizer, the weights under training, the rows of
    /// the batch with their states, and the exploration's random numbers, as
    /// a safetensors file.
    ///
    /// # Errors
    /// If a tensor can't be read from the device.
    pub fn save_state(&self) -> Result<Vec<u8>, TrainError> {
        self.save_state_with(&[])
    }

    /// The same with what the rows of others carry.
    ///
    /// # Errors
    /// If a tensor can't be read from the device, or rows are missing.
    pub fn save_state_with(&self, others: &[CarriedRows]) -> Result<Vec<u8>, TrainError> {
        let mut entries = Vec::new();
        for (spec, values) in self.plan.tensors.iter().zip(self.backend.values()?) {
            let name = format!("{RAW}{}", spec.name);
            entries.push(Entry::floats(name, spec.shape.clone(), &values));
        }
        let rules = self.rules();
        let memory = self.backend.memory()?;
        for ((spec, rule), memory) in self.plan.tensors.iter().zip(rules).zip(memory) {
            for (part, values) in rule.memory().iter().zip(memory) {
                let name = format!("{}.{part}", spec.name);
                entries.push(Entry::floats(name, spec.matrix_shape().to_vec(), &values));
            }
        }
        let mut rows = vec![self.save_rows()?];
        rows.extend_from_slice(others);
        rows.sort_by_key(|rows| rows.first);
        let batch = self.settings.batch_size;
        let found: usize = rows.iter().map(|rows| rows.steps.len()).sum();
        if found != batch {
            return Err(bad(format!("{found} rows were to be saved, not {batch}")));
        }
        let states = batch * self.method.chains;
        let shape = vec![states, self.plan.positions, self.plan.hidden];
        for (i, name) in ["z_H", "z_L"].into_iter().enumerate() {
            let values: Vec<f32> = rows.iter().flat_map(|r| &r.states[i]).copied().collect();
            entries.push(Entry::floats(
                format!("{CARRY}{name}"),
                shape.clone(),
                &values,
            ));
        }
        // Before the first step no row has a puzzle: nothing to carry.
        if self.steps() > 0 {
            entries.extend(carried(&rows, [batch, self.plan.config.seq_len]));
            if self.plan.config.num_puzzle_identifiers > 1 {
                entries.push(identifiers(&rows));
            }
        }
        let views = entries
            .iter()
            .map(|e| {
                let view = TensorView::new(e.dtype, e.shape.clone(), &e.bytes)?;
                Ok((e.name.as_str(), view))
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

    fn rules(&self) -> Vec<Rule> {
        Rule::of(&self.plan, self.settings.optimizer.kind)
    }

    /// Goes on from what [`Trainer::save_state`] wrote, the trainer having
    /// been made with the same plan, settings and method and the saved (averaged)
    /// weights. It takes the rows that are its own. Where the rows were left out
    /// ([`without_rows`]), each takes a new puzzle at the next step.
    ///
    /// # Errors
    /// If the file is no such state, or of another model or batch size.
    pub fn load_state(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        let mut file = Saved::read(bytes)?;
        let mut values = Vec::new();
        for spec in &self.plan.tensors {
            values.push(file.floats(&format!("{RAW}{}", spec.name), spec.elements())?);
        }
        let mut memory = Vec::new();
        for (spec, rule) in self.plan.tensors.iter().zip(self.rules()) {
            let parts = rule.memory().iter();
            let parts =
                parts.map(|part| file.floats(&format!("{}.{part}", spec.name), spec.elements()));
            memory.push(parts.collect::<Result<Vec<_>, _>>()?);
        }
        let batch = self.settings.batch_size;
        let size = self.plan.positions * self.plan.hidden;
        let states = if file.has_rows {
            let elements = batch * self.method.chains * size;
            let h = file.floats(&format!("{CARRY}z_H"), elements)?;
            Some([h, file.floats(&format!("{CARRY}z_L"), elements)?])
        } else {
            None
        };
        if let Some(name) = file.floats.keys().next() {
            return Err(bad(format!("tensor `{name}` does not belong to this run")));
        }
        let carried = if file.counters.step > 0 && file.has_rows {
            Some(self.read_carried(&mut file)?)
        } else {
            None
        };
        let position = file.counters.random_position.parse();
        let position: u128 = position.map_err(|e| bad(format!("`random_position`: {e}")))?;

        self.backend.set_values(values);
        self.backend.set_memory(memory);
        if let Some(rows) = carried {
            for shard in &mut self.shards {
                let own = shard.first..shard.first + shard.carry.steps.len();
                shard.carry.examples = rows.examples[own.clone()].to_vec();
                shard.carry.halted = rows.halted[own.clone()].to_vec();
                shard.carry.steps = rows.steps[own].iter().map(|&s| s as usize).collect();
            }
            self.halted = rows.halted;
        }
        if let Some(states) = states {
            let row = self.method.chains * size;
            for shard in &mut self.shards {
                let own = shard.first * row..(shard.first + shard.carry.steps.len()) * row;
                let own = states.each_ref().map(|all| all[own.clone()].to_vec());
                shard.states = self.backend.states(shard.device, own);
            }
        }
        self.steps = file.counters.step;
        self.rng = ChaCha8Rng::seed_from_u64(self.settings.seed);
        self.rng.set_word_pos(position);
        Ok(())
    }

    /// The puzzles of all rows of the batch, and where each is.
    fn read_carried(&self, file: &mut Saved) -> Result<CarriedRows, TrainError> {
        let (batch, cells) = (self.settings.batch_size, self.plan.config.seq_len);
        let inputs = file.bytes("inputs", batch * cells)?;
        let labels = file.bytes("labels", batch * cells)?;
        let halted = file.bytes("halted", batch)?;
        let steps = file.bytes("steps", 4 * batch)?;
        // Only models with several puzzle embeddings have them.
        let identifiers = match file.has("identifiers") {
            true => words(&file.bytes("identifiers", 4 * batch)?),
            false => vec![0; batch],
        };
        let pairs = inputs.chunks_exact(cells).zip(labels.chunks_exact(cells));
        let mut examples = Vec::with_capacity(batch);
        for (row, ((input, label), identifier)) in pairs.zip(identifiers).enumerate() {
            let example = Example {
                input: input.to_vec(),
                label: label.to_vec(),
                identifier,
            };
            check(&self.plan, row, &example)?;
            examples.push(example);
        }
        Ok(CarriedRows {
            first: 0,
            examples,
            steps: words(&steps),
            halted: halted.iter().map(|&h| h != 0).collect(),
            states: [Vec::new(), Vec::new()],
        })
    }
}

/// The entries of what all rows of a batch carry, their states aside.
fn carried(rows: &[CarriedRows], [batch, cells]: [usize; 2]) -> [Entry; 4] {
    let entry = |name: &str, dtype, shape, bytes| Entry {
        name: format!("{CARRY}{name}"),
        dtype,
        shape,
        bytes,
    };
    let tokens = |f: fn(&Example) -> &Vec<u8>| {
        let examples = rows.iter().flat_map(|rows| &rows.examples);
        examples.flat_map(f).copied().collect()
    };
    let halted = rows.iter().flat_map(|rows| &rows.halted);
    let steps = rows.iter().flat_map(|rows| &rows.steps);
    [
        entry(
            "inputs",
            Dtype::U8,
            vec![batch, cells],
            tokens(|e| &e.input),
        ),
        entry(
            "labels",
            Dtype::U8,
            vec![batch, cells],
            tokens(|e| &e.label),
        ),
        entry(
            "halted",
            Dtype::U8,
            vec![batch],
            halted.map(|&h| h.into()).collect(),
        ),
        entry(
            "steps",
            Dtype::U32,
            vec![batch],
            steps.flat_map(|s| s.to_le_bytes()).collect(),
        ),
    ]
}

/// The entry of the identifiers of their puzzles.
fn identifiers(rows: &[CarriedRows]) -> Entry {
    let examples = rows.iter().flat_map(|rows| &rows.examples);
    let bytes: Vec<u8> = examples.flat_map(|e| e.identifier.to_le_bytes()).collect();
    Entry {
        name: format!("{CARRY}identifiers"),
        dtype: Dtype::U32,
        shape: vec![bytes.len() / 4],
        bytes,
    }
}

/// Little-endian words of four bytes.
fn words(bytes: &[u8]) -> Vec<u32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

/// A state's file, from which tensors are taken one by one.
struct Saved {
    counters: Counters,
    floats: BTreeMap<String, Vec<f32>>,
    others: BTreeMap<String, Vec<u8>>,
    /// Whether it holds what the rows carry.
    has_rows: bool,
}

impl Saved {
    fn read(bytes: &[u8]) -> Result<Self, TrainError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|m| m.get(COUNTERS));
        let text = text.ok_or_else(|| bad(format!("`{COUNTERS}` is missing from its metadata")))?;
        let counters = serde_json::from_str(text).map_err(|e| bad(format!("`{COUNTERS}`: {e}")))?;
        let mut saved = Self {
            counters,
            floats: BTreeMap::new(),
            others: BTreeMap::new(),
            has_rows: file.names().iter().any(|name| name.starts_with(CARRY)),
        };
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                saved.others.insert(name, view.data().to_vec());
                continue;
            }
            let numbers = view.data().chunks_exact(4);
            let values: Vec<f32> = numbers
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                let value = values[i];
                return Err(bad(format!("tensor `{name}` has {value} at element {i}")));
            }
            saved.floats.insert(name, values);
        }
        Ok(saved)
    }

    fn floats(&mut self, name: &str, elements: usize) -> Result<Vec<f32>, TrainError> {
        let values = self.floats.remove(name);
        of_length(name, values, elements, "elements")
    }

    fn has(&self, name: &str) -> bool {
        self.others.contains_key(&format!("{CARRY}{name}"))
    }

    fn bytes(&mut self, name: &str, bytes: usize) -> Result<Vec<u8>, TrainError> {
        let name = format!("{CARRY}{name}");
        let values = self.others.remove(&name);
        of_length(&name, values, bytes, "bytes")
    }
}

fn of_length<T>(
    name: &str,
    values: Option<Vec<T>>,
    wanted: usize,
    unit: &str,
) -> Result<Vec<T>, TrainError> {
    let values = values.ok_or_else(|| bad(format!("tensor `{name}` is missing")))?;
    if values.len() == wanted {
        return Ok(values);
    }
    let found = values.len();
    Err(bad(format!(
        "tensor `{name}` has {found} {unit}, not {wanted}"
    )))
}
