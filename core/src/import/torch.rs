//! The containers of `torch.save`: a ZIP archive since PyTorch 1.6, a stream
//! of pickles before.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::pickle::{Pickle, Storage, TensorRef};

/// A PyTorch file: what its pickle says, and where the values are.
#[derive(Debug)]
pub(super) struct TorchFile<R> {
    pub(super) pickle: Pickle,
    container: Container<R>,
    /// The storage read last: several tensors may be views of one.
    last: Option<(String, Vec<u8>)>,
}

#[derive(Debug)]
enum Container<R> {
    /// The archive and the folder in it, its slash included.
    Zip(Box<ZipArchive<R>>, String),
    /// The file, and where each storage begins and how long it is.
    Legacy(R, HashMap<String, (u64, u64)>),
}

/// The name of the pickle in an archive's folder.
const PICKLE: &str = "data.pkl";

impl<R: Read + Seek> TorchFile<R> {
    /// Opens a ZIP archive.
    pub(super) fn open_zip(reader: R) -> Result<Self, String> {
        let mut archive = ZipArchive::new(reader).map_err(|e| {
            format!("the ZIP archive can't be read ({e}): the download or copy did not end, or the file is damaged")
        })?;
        let root = archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.strip_suffix(PICKLE)?.to_owned()))
            .filter(|root| root.is_empty() || root.ends_with('/'))
            .min_by_key(String::len);
        let Some(root) = root else {
            return Err("a ZIP archive without PyTorch's data.pkl: if it packs a checkpoint, unpack it first".into());
        };
        if let Ok(mut order) = archive.by_name(&format!("{root}byteorder")) {
            let mut text = String::new();
            let read = order.by_ref().take(16).read_to_string(&mut text);
            if read.is_err() || text.trim() != "little" {
                return Err(format!("its byte order is {text:?}; little is read"));
            }
        }
        let pickle = {
            let entry = archive.by_name(&format!("{root}{PICKLE}"));
            let mut entry = BufReader::new(entry.map_err(|e| format!("{PICKLE}: {e}"))?);
            let pickle = Pickle::load(&mut entry).map_err(|e| format!("{PICKLE}: {e}"))?;
            // To the end, where the checksum is compared.
            std::io::copy(&mut entry, &mut std::io::sink())
                .map_err(|e| format!("{PICKLE}: {e}"))?;
            pickle
        };
        Ok(Self {
            pickle,
            container: Container::Zip(Box::new(archive), root),
            last: None,
        })
    }

    /// Opens a stream of pickles: a magic number, the version, facts of the
    /// machine, the object, the storages' keys; then the storages.
    pub(super) fn open_legacy(mut reader: R) -> Result<Self, String> {
        let (pickle, keys, mut at) = {
            let mut buffered = BufReader::new(&mut reader);
            for part in ["magic number", "version", "system"] {
                Pickle::load(&mut buffered).map_err(|e| format!("{part}: {e}"))?;
            }
            let pickle = Pickle::load(&mut buffered)?;
            let keys = Pickle::load(&mut buffered)?.strings();
            let keys = keys.ok_or("the list of storages is no list")?;
            (
                pickle,
                keys,
                buffered.stream_position().map_err(|e| e.to_string())?,
            )
        };
        let size_of: HashMap<String, u64> = pickle
            .tensors()
            .into_iter()
            .filter_map(|(_, t)| Some((t.storage.key, t.storage.dtype?.bitsize() as u64 / 8)))
            .collect();
        let mut places = HashMap::new();
        for key in keys {
            let mut count = [0; 8];
            let found = reader
                .seek(SeekFrom::Start(at))
                .and_then(|_| reader.read_exact(&mut count));
            found.map_err(|_| "the file ends before its values")?;
            let elements = u64::from_le_bytes(count);
            let Some(bytes) = size_of
                .get(&key)
                .and_then(|size| size.checked_mul(elements))
            else {
                return Err(format!(
                    "storage {key} has a type or length that can't be read"
                ));
            };
            places.insert(key, (at + 8, bytes));
            at = (at + 8).checked_add(bytes).ok_or("a storage without end")?;
        }
        let end = reader.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
        if at > end {
            return Err("the file ends before its values: the download or copy did not end".into());
        }
        Ok(Self {
            pickle,
            container: Container::Legacy(reader, places),
            last: None,
        })
    }

    /// A tensor's values, little-endian, row-major.
    pub(super) fn read(&mut self, tensor: &TensorRef) -> Result<Vec<u8>, String> {
        let size = tensor.storage.dtype.map_or(1, |d| d.bitsize() / 8).max(1);
        if self
            .last
            .as_ref()
            .is_none_or(|(key, _)| *key != tensor.storage.key)
        {
            let bytes = self.storage(&tensor.storage)?;
            self.last = Some((tensor.storage.key.clone(), bytes));
        }
        let Some((_, bytes)) = &mut self.last else {
            return Err("no storage".into());
        };
        let length = extent(&tensor.shape, &tensor.strides, tensor.offset, size)
            .filter(|end| *end <= bytes.len())
            .ok_or_else(|| format!("it reaches beyond its {} bytes", bytes.len()))?;
        let elements: usize = tensor.shape.iter().product();
        if contiguous(&tensor.shape, &tensor.strides) {
            let start = tensor.offset * size;
            let end = start + elements * size;
            // All of its storage, as is usual: no copy.
            if start == 0 && end == bytes.len() {
                return Ok(self.last.take().map(|(_, bytes)| bytes).unwrap_or_default());
            }
            return Ok(bytes[start.min(length)..end.min(bytes.len())].to_vec());
        }
        // A view may say more elements than its storage has.
        if elements * size > bytes.len() {
            return Err("it repeats the values of its storage; save it made contiguous".into());
        }
        let mut gathered = Vec::with_capacity(elements * size);
        let mut index = vec![0; tensor.shape.len()];
        for _ in 0..elements {
            let at: usize = index.iter().zip(&tensor.strides).map(|(i, s)| i * s).sum();
            let from = (tensor.offset + at) * size;
            gathered.extend_from_slice(&bytes[from..from + size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < tensor.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(gathered)
    }

    /// These rows of a tensor `[rows, columns]`, one after the other, without
    /// the others in memory.
    pub(super) fn read_rows(
        &mut self,
        tensor: &TensorRef,
        rows: &[u32],
    ) -> Result<Vec<u8>, String> {
        let size = tensor.storage.dtype.map_or(1, |d| d.bitsize() / 8).max(1);
        let &[count, columns] = tensor.shape.as_slice() else {
            return Err(format!("it has {} axes, a table has 2", tensor.shape.len()));
        };
        if !contiguous(&tensor.shape, &tensor.strides) {
            return Err("its rows do not lie one after the other; save it made contiguous".into());
        }
        let width = columns * size;
        let whole = tensor.storage.elements.checked_mul(size as u64);
        let end = extent(&tensor.shape, &tensor.strides, tensor.offset, size);
        if end.is_none_or(|end| whole.is_none_or(|whole| end as u64 > whole)) {
            return Err("it reaches beyond its storage".into());
        }
        let places = rows.iter().map(|&row| {
            let inside = (row as usize) < count;
            let at = (tensor.offset * size) as u64 + u64::from(row) * width as u64;
            inside
                .then_some(at)
                .ok_or_else(|| format!("there is no row {row} of {count}"))
        });
        let places: Vec<u64> = places.collect::<Result<_, _>>()?;
        let mut data = vec![0; rows.len() * width];
        let parts = places.into_iter().zip(data.chunks_exact_mut(width.max(1)));
        let damaged =
            |e: std::io::Error| format!("its values can't be read ({e}): the file is damaged");
        match &mut self.container {
            Container::Zip(archive, root) => {
                let name = format!("{root}data/{}", tensor.storage.key);
                let Ok(mut stored) = archive.by_name_seek(&name) else {
                    // Compressed, which PyTorch never does.
                    return self.gathered(tensor, rows);
                };
                for (at, own) in parts {
                    stored.seek(SeekFrom::Start(at)).map_err(damaged)?;
                    stored.read_exact(own).map_err(damaged)?;
                }
            }
            Container::Legacy(reader, storages) => {
                let (start, _) = *storages
                    .get(&tensor.storage.key)
                    .ok_or("its values are not in the file")?;
                for (at, own) in parts {
                    reader.seek(SeekFrom::Start(start + at)).map_err(damaged)?;
                    reader.read_exact(own).map_err(damaged)?;
                }
            }
        }
        Ok(data)
    }

    /// Rows of a tensor that has to be read as a whole.
    fn gathered(&mut self, tensor: &TensorRef, rows: &[u32]) -> Result<Vec<u8>, String> {
        let all = self.read(tensor)?;
        let width = all.len() / tensor.shape[0].max(1);
        let row = |&row: &u32| &all[row as usize * width..][..width];
        Ok(rows.iter().flat_map(row).copied().collect())
    }

    fn storage(&mut self, storage: &Storage) -> Result<Vec<u8>, String> {
        let size = storage.dtype.map_or(1, |d| d.bitsize() as u64 / 8);
        let expected = storage
            .elements
            .checked_mul(size)
            .ok_or("a storage without end")?;
        let mut bytes = Vec::new();
        let read = match &mut self.container {
            Container::Zip(archive, root) => {
                let name = format!("{root}data/{}", storage.key);
                let mut entry = archive.by_name(&name).map_err(|e| format!("{name}: {e}"))?;
                let limit = expected.saturating_add(1);
                entry.by_ref().take(limit).read_to_end(&mut bytes)
            }
            Container::Legacy(reader, places) => {
                let (at, length) = *places
                    .get(&storage.key)
                    .ok_or("its values are not in the file")?;
                reader
                    .seek(SeekFrom::Start(at))
                    .and_then(|_| reader.take(length).read_to_end(&mut bytes))
            }
        };
        read.map_err(|e| format!("its values can't be read ({e}): the file is damaged"))?;
        if bytes.len() as u64 != expected {
            return Err(format!(
                "its values are {} bytes, not {expected}",
                bytes.len()
            ));
        }
        Ok(bytes)
    }
}

/// Where a tensor's last element ends in its storage; none without end.
fn extent(shape: &[usize], strides: &[usize], offset: usize, size: usize) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |n, &len| n.checked_mul(len))?
        .checked_mul(size)?;
    if shape.contains(&0) {
        return Some(0);
    }
    let mut last = offset;
    for (&length, &stride) in shape.iter().zip(strides) {
        last = last.checked_add((length - 1).checked_mul(stride)?)?;
    }
    last.checked_add(1)?.checked_mul(size)
}

fn contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    for (&length, &stride) in shape.iter().zip(strides).rev() {
        if length != 1 && stride != step {
            return false;
        }
        step *= length;
    }
    true
}
