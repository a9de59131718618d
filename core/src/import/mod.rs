//! Reading other people's checkpoints: a tolerant door in front of the strict
//! readers. What a file is, its content says; which of its tensors are the
//! model's, how they are named and what the model computes follows from them
//! and from the configuration beside them, and where it can't, the answer is
//! a question. Command line and page read through here.

mod config;
mod fields;
mod file;
mod infer;
mod pick;
mod pickle;
mod select;
mod sniff;
mod torch;

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use safetensors::Dtype;
use serde_json::Value;

pub use config::parse_config;
pub use file::WeightsFile;
pub use pick::{CONFIGS, Picked, pick, raw_name};
pub use sniff::{FileKind, SNIFFED};

use crate::config::{ConfigError, ModelConfig, Modules, TokenMixer};
use crate::plan::Plan;
use crate::weights::{RawTensor, SCALE, Tensor, Weights, WeightsError};
use config::Given;
use select::Chosen;

/// Why a checkpoint can't be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The bytes can't be had.
    #[error("{0}")]
    Unreadable(String),
    /// The file is no file of weights.
    #[error("{}", .0.instead_of_weights())]
    Kind(FileKind),
    /// A PyTorch file that can't be read.
    #[error("not a readable PyTorch file: {0}")]
    Torch(String),
    /// The configuration is missing, or says what can't be.
    #[error("the model configuration: {0}")]
    Config(String),
    /// It is not clear which tensors are meant.
    #[error("{0}")]
    Choose(String),
    /// The weights are not those of the configuration.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The architecture can't be.
    #[error(transparent)]
    Model(#[from] ConfigError),
}

/// What the user says where files leave a choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// Which set of tensors, by the key they are under.
    pub tensors: Option<String>,
    /// Fields of the configuration to set.
    pub set: Vec<(String, Value)>,
    /// Fields of the configuration that don't matter.
    pub ignore: Vec<String>,
    /// The puzzle identifiers whose rows of the puzzle embedding are read, in
    /// the order that they get; without them all, or of a table of more than
    /// [`LARGE_TABLE`] bytes row 0 alone.
    pub identifiers: Option<Vec<u32>>,
}

/// Bytes of a table of puzzle embeddings up to which it is read as a whole:
/// ARC's published ones are 1.8 to 2.2 GB, of which a task needs a thousandth.
pub const LARGE_TABLE: usize = 1 << 26;

/// The name of the table of puzzle embeddings.
const PUZZLE_TABLE: &str = "puzzle_emb.weights";

/// A model that was read, and what should be said about it.
#[derive(Debug)]
pub struct Imported {
    /// Its architecture.
    pub plan: Plan,
    /// Its values.
    pub weights: Weights,
    /// What was taken, dropped, converted and understood, a line each.
    pub notes: Vec<String>,
}

/// Reads a model from a file of weights and its configuration, the parsed
/// text of [`parse_config`] or, if none is given, what the file holds beside
/// the weights. `below` is a file whose tensors stand in for those that
/// `file` lacks: the raw weights under a partial average.
///
/// # Errors
/// If anything is missing, contradicts or leaves open what is computed;
/// names the tensor or the field.
pub fn read<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    below: Option<&mut WeightsFile<R>>,
    config: Option<Value>,
    choice: &Choice,
) -> Result<Imported, ImportError> {
    read_as(file, below, config, choice, |_, _, tensor| tensor)
}

/// As [`read`], with the modules' matrices in 8 bits as soon as each is read:
/// the memory never holds much more than what comes out.
///
/// # Errors
/// As [`read`].
pub fn read_small<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    below: Option<&mut WeightsFile<R>>,
    config: Option<Value>,
    choice: &Choice,
) -> Result<Imported, ImportError> {
    read_as(file, below, config, choice, |plan, place, tensor| {
        let matrix = plan.matrices().iter().any(|id| id.index() == place);
        if matrix { tensor.to_q8() } else { tensor }
    })
}

fn read_as<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    below: Option<&mut WeightsFile<R>>,
    config: Option<Value>,
    choice: &Choice,
    keep: impl Fn(&Plan, usize, Tensor) -> Tensor,
) -> Result<Imported, ImportError> {
    let mut notes = Vec::new();
    let mut chosen = select::choose(&file.entries, choice.tensors.as_deref(), &mut notes)?;
    select::drop_left_overs(&mut chosen, &file.entries, &mut notes);
    name_others(file, &chosen, &mut notes);
    let mut under = match below {
        None => None,
        Some(below) => {
            let mut base = select::choose(&below.entries, None, &mut Vec::new())?;
            select::drop_left_overs(&mut base, &below.entries, &mut Vec::new());
            base.tensors
                .retain(|name, _| !chosen.tensors.contains_key(name));
            Some((below, base))
        }
    };

    let config = match config {
        Some(config) => config,
        None => {
            let own = file.own_config().ok_or_else(|| {
                ImportError::Config(
                    "none is given and none lies beside the weights (all_config.yaml, config.json); give it with --config".into(),
                )
            })?;
            notes.push("the configuration is the one inside the file".into());
            own
        }
    };

    let mut shapes = infer::Shapes::new();
    let below_entries = under.as_ref().map(|(below, base)| (&below.entries, base));
    for (entries, set) in std::iter::once((&file.entries, &chosen)).chain(below_entries) {
        for (name, &at) in &set.tensors {
            shapes.insert(name.clone(), plain_shape(&entries[at].shape));
        }
    }
    let (model, drop_continue) = match Given::of(config, &choice.set, &choice.ignore, &mut notes)? {
        Given::Own(config) => {
            warn_of_own(&config, &mut notes);
            (*config, false)
        }
        Given::Published(arch) => {
            let inferred = infer::infer(arch, &shapes, &mut notes)?;
            (inferred.config, inferred.drop_continue)
        }
    };
    let mut model = model;
    let rows = table_rows(&mut model, choice, &mut notes)?;
    let plan = Plan::new(&model)?;

    let mut left: BTreeSet<String> = chosen.tensors.keys().cloned().collect();
    let filled: Vec<String> = match &under {
        Some((_, base)) => base.tensors.keys().cloned().collect(),
        None => Vec::new(),
    };
    left.extend(filled.iter().cloned());
    // Before any values are read: there may be many.
    let known = |name: &str| plan.tensors.iter().any(|t| t.name == name);
    if let Some(extra) = left.iter().find(|n| !known(n) && !n.ends_with(SCALE)) {
        let name = extra.clone();
        return Err(WeightsError::Extra { name }.into());
    }
    let mut converted = Converted::default();
    let mut one = |name: &str| -> Result<Option<RawTensor<'static>>, ImportError> {
        left.remove(name);
        let (from, at) = match (chosen.tensors.get(name), &mut under) {
            (Some(&at), _) => (&mut *file, at),
            (None, Some((below, base))) => match base.tensors.get(name) {
                Some(&at) => (&mut **below, at),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let entry = from.entries[at].clone();
        let how = Taking {
            plan: &plan,
            drop_continue,
            rows: rows.as_deref(),
        };
        take(from, &entry, name, &how, &mut converted).map(Some)
    };
    let weights = Weights::read_each(&plan, &mut one, |place, tensor| keep(&plan, place, tensor))?;
    if let Some(name) = left.pop_first() {
        return Err(WeightsError::Extra { name }.into());
    }
    if !filled.is_empty() {
        notes.push(format!(
            "not in the average, taken from the raw weights: {}",
            note_list(&filled)
        ));
    }
    converted.say(&mut notes);
    Ok(Imported {
        plan,
        weights,
        notes,
    })
}

/// The rows of the table of puzzle embeddings that are read, if not all are;
/// the model then has as many.
fn table_rows(
    model: &mut ModelConfig,
    choice: &Choice,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<u32>>, ImportError> {
    let there = model.num_puzzle_identifiers;
    let chosen = choice.identifiers.clone();
    if model.prefix() == 0 {
        return match chosen {
            Some(rows) if rows.iter().any(|&row| row > 0) => Err(ImportError::Choose(
                "puzzle identifiers are given, but the model has no puzzle embedding".into(),
            )),
            _ => Ok(None),
        };
    }
    let large = there.saturating_mul(model.hidden_size * 4) > LARGE_TABLE;
    let rows = match chosen {
        Some(rows) => rows,
        None if large => vec![0],
        None => {
            if there > 1 {
                notes.push(format!(
                    "{PUZZLE_TABLE} has {there} rows; a puzzle's identifier picks its own, and row 0 is that of puzzles without one"
                ));
            }
            return Ok(None);
        }
    };
    if let Some(row) = rows.iter().find(|&&row| row as usize >= there) {
        return Err(ImportError::Choose(format!(
            "puzzle identifier {row} has no row in {PUZZLE_TABLE}, which has {there}"
        )));
    }
    if rows.is_empty() {
        return Err(ImportError::Choose(
            "no puzzle identifier is given: give at least 0".into(),
        ));
    }
    let hint = if choice.identifiers.is_none() {
        "; `hrm import --identifiers` reads those of a set of puzzles"
    } else {
        ""
    };
    notes.push(format!(
        "{PUZZLE_TABLE} has {there} rows, of which {} read{hint}",
        match rows.as_slice() {
            [0] => "row 0 alone is".to_owned(),
            [one] => format!("row {one} is"),
            many => format!("{} are", many.len()),
        }
    ));
    model.num_puzzle_identifiers = rows.len();
    Ok(Some(rows))
}

/// Says what lies beside the weights in the outermost dictionary.
fn name_others<R: Read + Seek>(file: &WeightsFile<R>, chosen: &Chosen, notes: &mut Vec<String>) {
    if chosen.sets.is_empty() {
        return;
    }
    let others: Vec<String> = file
        .keys()
        .into_iter()
        .filter(|key| !chosen.sets.contains(key))
        .collect();
    if !others.is_empty() {
        notes.push(format!(
            "beside the weights, not read: {}",
            note_list(&others)
        ));
    }
}

/// What an architecture of this project can't tell of a file.
fn warn_of_own(config: &ModelConfig, notes: &mut Vec<String>) {
    if config.modules == Modules::Shared
        && config.token_mixer == TokenMixer::Attention
        && config.prefix() == 1
        && config.puzzle_emb_len.is_none()
    {
        notes.push(
            "warning: one shared module with attention, and no `puzzle_emb_len` in the configuration: one position is put in front of the cells; TRM's published weights want 16 (`puzzle_emb_len`: 16) and compute something else with one".into(),
        );
    }
}

/// Types that were not f32, for a line about them.
#[derive(Default)]
struct Converted {
    kinds: std::collections::BTreeMap<String, usize>,
}

impl Converted {
    fn say(&self, notes: &mut Vec<String>) {
        if !self.kinds.is_empty() {
            let kinds: Vec<String> = self
                .kinds
                .iter()
                .map(|(k, n)| format!("{n} of {k}"))
                .collect();
            notes.push(format!("tensors converted to f32: {}", kinds.join(", ")));
        }
    }
}

/// How tensors are taken over.
struct Taking<'a> {
    plan: &'a Plan,
    /// The second output of the q head was never trained.
    drop_continue: bool,
    /// The rows of the table of puzzle embeddings that are read; all without.
    rows: Option<&'a [u32]>,
}

/// A tensor's values in the model's shape: without axes of length 1, an
/// untrained output cut off, a narrow table filled up with zeros.
fn take<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    entry: &file::Entry,
    name: &str,
    how: &Taking<'_>,
    converted: &mut Converted,
) -> Result<RawTensor<'static>, ImportError> {
    let &Taking {
        plan,
        drop_continue,
        rows,
    } = how;
    let rows = rows.filter(|_| name == PUZZLE_TABLE);
    let dtype = entry.dtype.ok_or_else(|| WeightsError::Dtype {
        name: name.to_owned(),
        dtype: "one that no weights have".into(),
    })?;
    let size = dtype.bitsize() / 8;
    let mut shape = plain_shape(&entry.shape);
    if let (Some(rows), Some(first)) = (rows, shape.first_mut()) {
        *first = rows.len();
    }
    let wanted = plan
        .tensors
        .iter()
        .find(|t| t.name == name)
        .map(|t| &t.shape);
    let fits = |shape: &[usize]| wanted.is_none_or(|wanted| shape == wanted.as_slice());
    let one_output = drop_continue && name.starts_with("q_head.") && shape.first() == Some(&2);
    let narrow = match wanted.map(Vec::as_slice) {
        Some(&[rows, width]) if name == PUZZLE_TABLE => {
            shape.len() == 2 && shape[0] == rows && shape[1] < width
        }
        _ => false,
    };
    // Before any values are read: what does not fit may be large.
    let is_float = matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
    if is_float && !one_output && !narrow && !fits(&shape) {
        return Err(WeightsError::Shape {
            name: name.to_owned(),
            expected: wanted.cloned().unwrap_or_default(),
            found: entry.shape.clone(),
        }
        .into());
    }
    let mut data = match rows {
        Some(rows) => file.read_rows(entry, rows)?,
        None => file.read(entry)?,
    };
    if one_output {
        data.truncate(data.len() / 2);
        shape[0] = 1;
    }
    if narrow {
        let (old, new) = (shape[1] * size, plan.hidden * size);
        data = data
            .chunks_exact(old.max(1))
            .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, new - old)))
            .collect();
        shape[1] = plan.hidden;
    }
    if matches!(dtype, Dtype::F64 | Dtype::BF16) {
        *converted
            .kinds
            .entry(format!("{dtype:?}").to_lowercase())
            .or_default() += 1;
    }
    Ok(RawTensor::new(dtype, shape, data))
}

/// Without axes of length 1 around a vector.
fn plain_shape(shape: &[usize]) -> Vec<usize> {
    match shape {
        [ones @ .., last] if shape.len() != 2 && ones.iter().all(|n| *n == 1) => vec![*last],
        other => other.to_vec(),
    }
}

/// Names in a line: a dozen of them, and how many more.
fn note_list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
