//! A file of weights, whichever format it is in: its tensors by name, their
//! values read when asked for.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use safetensors::{Dtype, SafeTensors};
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
    Bytes(Range<usize>),
}

#[derive(Debug)]
enum Content<R> {
    Torch(Box<TorchFile<R>>),
    Safetensors(Vec<u8>),
}

/// A PyTorch or safetensors file. Opening reads what it says of its tensors;
/// of a ZIP archive nothing more is read than is needed.
#[derive(Debug)]
pub struct WeightsFile<R> {
    pub(super) entries: Vec<Entry>,
    content: Content<R>,
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
            FileKind::Safetensors => {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map_err(io)?;
                return Self::of_safetensors(bytes);
            }
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

    fn of_safetensors(bytes: Vec<u8>) -> Result<Self, ImportError> {
        let format = |e: safetensors::SafeTensorError| crate::weights::WeightsError::Format {
            bytes: bytes.len(),
            reason: e.to_string(),
        };
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let entries = metadata.tensors().into_iter().map(|(name, info)| Entry {
            within: Vec::new(),
            name,
            dtype: Some(info.dtype),
            shape: info.shape.clone(),
            at: At::Bytes(8 + header + info.data_offsets.0..8 + header + info.data_offsets.1),
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            entries,
            content: Content::Safetensors(bytes),
        })
    }

    /// The values of an entry, little-endian, row-major.
    pub(super) fn read(&mut self, entry: &Entry) -> Result<Vec<u8>, ImportError> {
        match (&mut self.content, &entry.at) {
            (Content::Torch(file), At::Torch(tensor)) => file
                .read(tensor)
                .map_err(|e| ImportError::Torch(format!("tensor `{}`: {e}", entry.name))),
            (Content::Safetensors(bytes), At::Bytes(range)) => Ok(bytes[range.clone()].to_vec()),
            _ => Err(ImportError::Torch(format!(
                "tensor `{}` is of another file",
                entry.name
            ))),
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
