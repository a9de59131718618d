//! Files of the visitor's, read piece by piece as they are asked for: never
//! all of one is in the memory.

use std::io::{BufReader, Read, Seek, SeekFrom};

use hrm_core::reason::message::Event;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::{File, FileReaderSync};

use crate::post;

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// The first bytes of a file, at most so many.
///
/// # Errors
/// Why it can't be read.
pub(crate) fn bytes(file: &File, limit: f64) -> Result<Vec<u8>, String> {
    let end = limit.min(file.size());
    let bytes = FileReaderSync::new().and_then(|reader| piece(&reader, file, 0.0, end));
    bytes
        .map(|bytes| bytes.to_vec())
        .map_err(|error| reason(&file.name(), &error))
}

/// Opens a file to be read in any order.
///
/// # Errors
/// Why it can't be read.
pub(crate) fn open(file: &File) -> Result<BufReader<Disk>, String> {
    let reader = FileReaderSync::new().map_err(|error| reason(&file.name(), &error))?;
    let disk = Disk {
        file: file.clone(),
        reader,
        at: 0,
        size: file.size() as u64,
        read: 0,
        said: 0,
    };
    Ok(BufReader::with_capacity(PIECE, disk))
}

/// The bytes from `begin` to `end`.
fn piece(
    reader: &FileReaderSync,
    file: &File,
    begin: f64,
    end: f64,
) -> Result<Uint8Array, JsValue> {
    let part = file.slice_with_f64_and_f64(begin, end)?;
    let buffer = reader.read_as_array_buffer(&part)?;
    Ok(Uint8Array::new(&buffer))
}

fn reason(name: &str, error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into())
        .ok()
        .and_then(|m| m.as_string());
    format!(
        "{name} could not be read: {}",
        message.as_deref().unwrap_or("the browser refused")
    )
}

/// A file of the visitor's.
pub(crate) struct Disk {
    file: File,
    reader: FileReaderSync,
    at: u64,
    size: u64,
    /// Bytes read so far, and when it was last said.
    read: u64,
    said: u64,
}

impl Read for Disk {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let end = self.size.min(self.at + to.len() as u64);
        if end <= self.at {
            return Ok(0);
        }
        let bytes = piece(&self.reader, &self.file, self.at as f64, end as f64)
            .map_err(|error| std::io::Error::other(reason(&self.file.name(), &error)))?;
        let length = (bytes.length() as usize).min(to.len());
        bytes.subarray(0, length as u32).copy_to(&mut to[..length]);
        self.at += length as u64;
        self.read = (self.read + length as u64).min(self.size);
        // A hundred steps are enough for any progress bar.
        if self.read == self.size || self.read - self.said >= self.size.div_ceil(100) {
            self.said = self.read;
            post(&Event::Progress {
                received: self.read,
                total: self.size,
            });
        }
        Ok(length)
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::other("before the beginning"))?;
        Ok(self.at)
    }
}
