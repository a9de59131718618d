//! A file of weights, whichever format it is in: its tensors by name, their
//! values read when asked for.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde_json::Value;

use super::ImportError;
use super::pickle::TensorRef;
use super::sniff::{FileKind, SNIFFED};
use super::torch::TorchFile;

/// A tensor of a file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The keys of the dictionaries around it, outermost first.
    pub(super) within: Vec<String>,
    /// Its own key.
    pub(super) name: String,
    /// None for a type that no tensor here can have.
    pub(super) dtype: Option<Dtype>,
    pub(super) shape: Vec<usize>,
    at: At,
}

#[derive(Debug, Clone)]
enum At {
    Torch(TensorRef),
    Bytes(Range<u64>),
}

#[derive(Debug)]
enum Content<R> {
    Torch(Box<TorchFile<R>>),
    Safetensors(R),
}

/// The longest header of a safetensors file, as its own reader has it.
const MAX_HEADER: u64 = 100_000_000;

/// A PyTorch or safetensors file. Opening reads what it says of its tensors;
/// nothing more is read than is needed.
#[derive(Debug)]
pub struct WeightsFile<R> {
    pub(super) entries: Vec<Entry>,
    content: Content<R>,
}

fn unreadable(error: &std::io::Error) -> ImportError {
    ImportError::Unreadable(error.to_string())
}

fn other_file(entry: &Entry) -> ImportError {
    ImportError::Torch(format!("tensor `{}` is of another file", entry.name))
}

impl<R: Read + Seek> WeightsFile<R> {
    /// Opens a file by its content.
    ///
    /// # Errors
    /// If it is no file of weights: says which kind it is instead, or what is
    /// damaged.
    pub fn open(mut reader: R) -> Result<Self, ImportError> {
        let io = |e: std::io::Error| ImportError::Unreadable(e.to_string());
        let mut head = Vec::new();
        reader
            .by_ref()
            .take(SNIFFED as u64)
            .read_to_end(&mut head)
            .map_err(io)?;
        reader.seek(SeekFrom::Start(0)).map_err(io)?;
        let torch = match FileKind::of(&head) {
            FileKind::Zip => TorchFile::open_zip(reader),
            FileKind::TorchLegacy => TorchFile::open_legacy(reader),
            FileKind::Safetensors => return Self::of_safetensors(reader),
            other => return Err(ImportError::Kind(other)),
        };
        let torch = torch.map_err(ImportError::Torch)?;
        let entries = torch
            .pickle
            .tensors()
            .into_iter()
            .map(|(mut within, tensor)| Entry {
                name: within.pop().unwrap_or_default(),
                within,
                dtype: tensor.storage.dtype,
                shape: tensor.shape.clone(),
                at: At::Torch(tensor),
            });
        Ok(Self {
            entries: entries.collect(),
            content: Content::Torch(Box::new(torch)),
        })
    }

    fn of_safetensors(mut reader: R) -> Result<Self, ImportError> {
        let end = reader.seek(SeekFrom::End(0)).map_err(|e| unreadable(&e))?;
        let format = |reason: String| crate::weights::WeightsError::Format {
            bytes: end as usize,
            reason,
        };
        reader
            .seek(SeekFrom::Start(0))
            .map_err(|e| unreadable(&e))?;
        let mut length = [0; 8];
        reader.read_exact(&mut length).map_err(|e| unreadable(&e))?;
        let length = u64::from_le_bytes(length);
        let data = length.saturating_add(8);
        if length > MAX_HEADER || data > end {
            return Err(format(format!("its header is said to have {length} bytes")).into());
        }
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header).map_err(|e| unreadable(&e))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| format(e.to_string()))?;
        let mut tensors: Vec<_> = metadata.tensors().into_iter().collect();
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let mut entries = Vec::new();
        // Reading the header has made sure that they lie one after the other, each
        // as long as its shape says.
        let mut last = data;
        for (name, info) in tensors {
            let (from, to) = info.data_offsets;
            let (from, to) = (last, last.saturating_add(to.saturating_sub(from) as u64));
            last = to;
            entries.push(Entry {
                within: Vec::new(),
                name,
                dtype: Some(info.dtype),
                shape: info.shape.clone(),
                at: At::Bytes(from..to),
            });
        }
        if last != end {
            return Err(format(format!("its tensors end at byte {last}")).into());
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            entries,
            content: Content::Safetensors(reader),
        })
    }

    /// The values of these rows of an entry, `[rows, columns]`, one after the
    /// other. Of the others nothing is kept in memory.
    pub(super) fn read_rows(
        &mut self,
        entry: &Entry,
        rows: &[u32],
    ) -> Result<Vec<u8>, ImportError> {
        let size = entry.dtype.map_or(0, |dtype| dtype.bitsize() / 8);
        let width = size * entry.shape.iter().skip(1).product::<usize>();
        match (&mut self.content, &entry.at) {
            (Content::Torch(file), At::Torch(tensor)) => file
                .read_rows(tensor, rows)
                .map_err(|e| ImportError::Torch(format!("tensor `{}`: {e}", entry.name))),
            (Content::Safetensors(reader), At::Bytes(range)) => {
                let mut data = vec![0; rows.len() * width];
                for (&row, own) in rows.iter().zip(data.chunks_exact_mut(width.max(1))) {
                    let at = range.start + u64::from(row) * width as u64;
                    let sought = reader.seek(SeekFrom::Start(at));
                    sought
                        .and_then(|_| reader.read_exact(own))
                        .map_err(|e| unreadable(&e))?;
                }
                Ok(data)
            }
            _ => Err(other_file(entry)),
        }
    }

    /// The values of an entry, little-endian, row-major.
    pub(super) fn read(&mut self, entry: &Entry) -> Result<Vec<u8>, ImportError> {
        match (&mut self.content, &entry.at) {
            (Content::Torch(file), At::Torch(tensor)) => file
                .read(tensor)
                .map_err(|e| ImportError::Torch(format!("tensor `{}`: {e}", entry.name))),
            (Content::Safetensors(reader), At::Bytes(range)) => {
                let mut data = vec![0; range.end.saturating_sub(range.start) as usize];
                let sought = reader.seek(SeekFrom::Start(range.start));
                sought
                    .and_then(|_| reader.read_exact(&mut data))
                    .map_err(|e| unreadable(&e))?;
                Ok(data)
            }
            _ => Err(other_file(entry)),
        }
    }

    /// The outermost keys of a PyTorch file.
    pub(super) fn keys(&self) -> Vec<String> {
        match &self.content {
            Content::Torch(file) => file.pickle.keys(),
            Content::Safetensors(_) => Vec::new(),
        }
    }

    /// The configuration that a training checkpoint holds beside its weights.
    #[must_use]
    pub fn own_config(&self) -> Option<Value> {
        let Content::Torch(file) = &self.content else {
            return None;
        };
        ["config", "cfg", "hyper_parameters", "args"]
            .into_iter()
            .filter_map(|key| file.pickle.json(key))
            .find(Value::is_object)
    }
}
