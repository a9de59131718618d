//! Writes files as `torch.save` does, for tests of their readers: the pickle
//! in protocol 2, in a ZIP archive or in the older stream.
#![allow(dead_code, reason = "each test needs a part of it")]

use half::bf16;

/// A Python value.
#[derive(Debug, Clone)]
pub(crate) enum Py {
    None,
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Py>),
    Tuple(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    Tensor(Tensor),
    /// `module name` called with arguments.
    Call(&'static str, &'static str, Vec<Py>),
}

/// A tensor with its storage.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) storage: &'static str,
    pub(crate) size: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
    pub(crate) data: Vec<u8>,
    /// Zero bytes after `data` that a sparse file does not hold.
    pub(crate) hole: usize,
}

impl From<&str> for Py {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

/// A dictionary with text keys.
pub(crate) fn dict<K: AsRef<str>>(items: impl IntoIterator<Item = (K, Py)>) -> Py {
    let pairs = items.into_iter().map(|(k, v)| (k.as_ref().into(), v));
    Py::Dict(pairs.collect())
}

fn tensor(storage: &'static str, size: usize, shape: &[usize], data: Vec<u8>) -> Py {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    Py::Tensor(Tensor {
        storage,
        size,
        shape: shape.to_vec(),
        strides,
        data,
        hole: 0,
    })
}

pub(crate) fn f32s(shape: &[usize], values: &[f32]) -> Py {
    let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor("FloatStorage", 4, shape, data)
}

pub(crate) fn f64s(shape: &[usize], values: &[f32]) -> Py {
    let data = values.iter().flat_map(|v| f64::from(*v).to_le_bytes());
    tensor("DoubleStorage", 8, shape, data.collect())
}

pub(crate) fn bf16s(shape: &[usize], values: &[f32]) -> Py {
    let data = values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes());
    tensor("BFloat16Storage", 2, shape, data.collect())
}

pub(crate) fn i64s(shape: &[usize], values: &[i64]) -> Py {
    let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor("LongStorage", 8, shape, data)
}

pub(crate) fn bytes(values: &[u8]) -> Py {
    tensor("ByteStorage", 1, &[values.len()], values.to_vec())
}

/// A table of which the first rows are these values, all others zero; for
/// [`sparse_zip`].
pub(crate) fn table(shape: [usize; 2], first: &[f32]) -> Py {
    let Py::Tensor(mut t) = f32s(&shape, first) else {
        unreachable!()
    };
    t.hole = 4 * (shape[0] * shape[1] - first.len());
    Py::Tensor(t)
}

/// A matrix stored by columns, as a transposed view is saved.
pub(crate) fn transposed(shape: [usize; 2], values: &[f32]) -> Py {
    let [rows, columns] = shape;
    let stored: Vec<f32> = (0..rows * columns)
        .map(|i| values[i % rows * columns + i / rows])
        .collect();
    let Py::Tensor(mut t) = f32s(&shape, &stored) else {
        unreachable!()
    };
    t.strides = vec![1, rows];
    Py::Tensor(t)
}

/// The pickle of a value, and the storages it names.
struct Pickler {
    out: Vec<u8>,
    storages: Vec<Vec<u8>>,
    holes: Vec<usize>,
    sizes: Vec<usize>,
}

impl Pickler {
    fn new() -> Self {
        Self {
            out: vec![0x80, 2],
            storages: Vec::new(),
            holes: Vec::new(),
            sizes: Vec::new(),
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push(b'X');
        self.out.extend((text.len() as u32).to_le_bytes());
        self.out.extend(text.as_bytes());
    }

    fn int(&mut self, value: i64) {
        self.out.extend([0x8a, 8]);
        self.out.extend(value.to_le_bytes());
    }

    fn class(&mut self, module: &str, name: &str) {
        self.out.extend(format!("c{module}\n{name}\n").as_bytes());
    }

    fn lengths(&mut self, values: &[usize]) {
        self.out.push(b'(');
        for &v in values {
            self.int(v as i64);
        }
        self.out.push(b't');
    }

    fn put(&mut self, value: &Py) {
        match value {
            Py::None => self.out.push(b'N'),
            Py::Int(i) => self.int(*i),
            Py::Float(f) => {
                self.out.push(b'G');
                self.out.extend(f.to_be_bytes());
            }
            Py::Str(text) => self.text(text),
            Py::List(items) => {
                self.out.extend(b"](");
                items.iter().for_each(|item| self.put(item));
                self.out.push(b'e');
            }
            Py::Tuple(items) => {
                self.out.push(b'(');
                items.iter().for_each(|item| self.put(item));
                self.out.push(b't');
            }
            Py::Dict(pairs) => {
                self.out.extend(b"}(");
                for (key, value) in pairs {
                    self.put(key);
                    self.put(value);
                }
                self.out.push(b'u');
            }
            Py::Call(module, name, arguments) => {
                self.class(module, name);
                self.put(&Py::Tuple(arguments.clone()));
                self.out.push(b'R');
            }
            Py::Tensor(t) => {
                self.class("torch._utils", "_rebuild_tensor_v2");
                self.out.extend(b"((");
                self.text("storage");
                self.class("torch", t.storage);
                self.text(&self.storages.len().to_string());
                self.text("cpu");
                self.int(((t.data.len() + t.hole) / t.size) as i64);
                self.out.extend(b"tQ");
                self.int(0);
                self.lengths(&t.shape);
                self.lengths(&t.strides);
                self.out.push(0x89);
                self.class("collections", "OrderedDict");
                self.out.extend(b")RtR");
                self.storages.push(t.data.clone());
                self.holes.push(t.hole);
                self.sizes.push(t.size);
            }
        }
    }
}

/// A file as PyTorch writes since 1.6.
pub(crate) fn zip(value: &Py) -> Vec<u8> {
    let mut pickler = Pickler::new();
    pickler.put(value);
    pickler.out.push(b'.');
    let mut files = vec![
        ("archive/data.pkl".to_owned(), pickler.out),
        ("archive/byteorder".to_owned(), b"little".to_vec()),
    ];
    for (i, storage) in pickler.storages.into_iter().enumerate() {
        files.push((format!("archive/data/{i}"), storage));
    }
    files.push(("archive/version".to_owned(), b"3\n".to_vec()));
    archive(&files)
}

/// The same into a file whose zero bytes take no space on the disk. Checksums
/// of what has such are left out, as nothing reads it whole.
pub(crate) fn sparse_zip(value: &Py, file: &mut std::fs::File) {
    use std::io::{Seek, SeekFrom, Write};
    let mut pickler = Pickler::new();
    pickler.put(value);
    pickler.out.push(b'.');
    let mut files = vec![
        ("archive/data.pkl".to_owned(), pickler.out, 0),
        ("archive/byteorder".to_owned(), b"little".to_vec(), 0),
    ];
    let storages = pickler.storages.into_iter().zip(pickler.holes);
    for (i, (storage, hole)) in storages.enumerate() {
        files.push((format!("archive/data/{i}"), storage, hole));
    }
    let mut directory = Vec::new();
    for (name, content, hole) in &files {
        let at = file.stream_position().unwrap() as u32;
        let length = (content.len() + hole) as u32;
        let crc = if *hole > 0 { 0 } else { crc32(content) };
        let entry = entry_of(name, crc, length);
        file.write_all(b"PK\x03\x04").unwrap();
        file.write_all(&entry).unwrap();
        file.write_all(name.as_bytes()).unwrap();
        file.write_all(content).unwrap();
        file.seek(SeekFrom::Current(*hole as i64)).unwrap();
        list(&mut directory, name, &entry, at);
    }
    let at = file.stream_position().unwrap() as u32;
    file.write_all(&ended(&directory, at, files.len())).unwrap();
}

/// A file as PyTorch wrote before 1.6.
pub(crate) fn legacy(value: &Py) -> Vec<u8> {
    let mut file = vec![0x80, 2, 0x8a, 10];
    file.extend([
        0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.',
    ]);
    file.extend([0x80, 2, b'M', 0xe9, 3, b'.']);
    let mut system = Pickler::new();
    system.put(&dict([("protocol_version", Py::Int(1001))]));
    file.extend(system.out);
    file.push(b'.');
    let mut pickler = Pickler::new();
    pickler.put(value);
    file.extend(&pickler.out);
    file.push(b'.');
    let mut keys = Pickler::new();
    let names = (0..pickler.storages.len()).map(|i| Py::Str(i.to_string()));
    keys.put(&Py::List(names.collect()));
    file.extend(keys.out);
    file.push(b'.');
    for (storage, size) in pickler.storages.iter().zip(&pickler.sizes) {
        file.extend(((storage.len() / size) as u64).to_le_bytes());
        file.extend(storage);
    }
    file
}

/// A ZIP archive of stored files.
pub(crate) fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let at = out.len() as u32;
        let entry = entry_of(name, crc32(content), content.len() as u32);
        out.extend(b"PK\x03\x04");
        out.extend(&entry);
        out.extend(name.as_bytes());
        out.extend(content);
        list(&mut directory, name, &entry, at);
    }
    let at = out.len() as u32;
    out.extend(ended(&directory, at, files.len()));
    out
}

/// What the heads of a stored file have in common.
fn entry_of(name: &str, crc: u32, length: u32) -> Vec<u8> {
    let mut entry = Vec::new();
    for short in [20u16, 0, 0, 0, 0x21] {
        entry.extend(short.to_le_bytes());
    }
    for long in [crc, length, length] {
        entry.extend(long.to_le_bytes());
    }
    entry.extend((name.len() as u16).to_le_bytes());
    entry.extend(0u16.to_le_bytes());
    entry
}

/// Adds a file to an archive's directory.
fn list(directory: &mut Vec<u8>, name: &str, entry: &[u8], at: u32) {
    directory.extend(b"PK\x01\x02\x14\x00");
    directory.extend(entry);
    directory.extend([0; 10]);
    directory.extend(at.to_le_bytes());
    directory.extend(name.as_bytes());
}

/// The directory with the end of an archive.
fn ended(directory: &[u8], at: u32, count: usize) -> Vec<u8> {
    let mut out = directory.to_vec();
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((count as u16).to_le_bytes());
    out.extend((count as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A model's tensors under a prefix, the initial vectors in bf16 as the
/// reference's buffers are.
pub(crate) fn state(
    plan: &hrm_core::plan::Plan,
    weights: &hrm_core::weights::Weights,
    prefix: &str,
) -> Vec<(String, Py)> {
    let named = plan.tensors.iter().zip(weights.tensors());
    named
        .map(|(spec, tensor)| {
            let values = tensor.dense();
            let py = if spec.name.ends_with("_init") {
                bf16s(&spec.shape, &values)
            } else {
                f32s(&spec.shape, &values)
            };
            (format!("{prefix}{}", spec.name), py)
        })
        .collect()
}
