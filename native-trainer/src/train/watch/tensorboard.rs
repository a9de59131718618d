//! TensorBoard's event files: scalars only.
//!
//! A file is a sequence of records: the length of the data as 8 bytes, a checksum of
//! those, the data, and a checksum of the data, all little-endian. The data is an
//! `Event` of TensorFlow's `event.proto` in Protocol Buffers encoding.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// The event file of a run.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts a new file in a directory. A resumed run has several; TensorBoard shows
    /// them as one curve.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = now.unwrap_or_default().as_nanos();
        // Seconds first: TensorBoard reads the files in the order of their names.
        let name = format!(
            "events.out.tfevents.{:010}.{:09}.hrm",
            nanoseconds / 1_000_000_000,
            nanoseconds % 1_000_000_000
        );
        let path = dir.join(name);
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let mut events = Self { path, file };
        let mut event = started(now_seconds(), 0);
        field(&mut event, 3, b"brain.Event:2");
        events.append(&event)?;
        Ok(events)
    }

    /// Adds scalars of one step.
    pub(super) fn write(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            field(&mut entry, 1, tag.as_bytes());
            entry.push(2 << 3 | FIXED_32);
            entry.extend((*value as f32).to_le_bytes());
            field(&mut summary, 1, &entry);
        }
        let mut event = started(now_seconds(), step);
        field(&mut event, 5, &summary);
        self.append(&event)
    }

    fn append(&mut self, event: &[u8]) -> Result<()> {
        self.file
            .write_all(&record(event))
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Wire types of Protocol Buffers, the low bits of a field's key.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

fn now_seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// The first fields of an event: `wall_time` and `step`.
fn started(seconds: f64, step: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | FIXED_64];
    event.extend(seconds.to_le_bytes());
    event.push(2 << 3 | VARINT);
    varint(&mut event, step);
    event
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// A field of text, bytes or a message; `number` is below 16.
fn field(to: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    to.push(number << 3 | BYTES);
    varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// An event framed as a record.
fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend_from_slice(event);
    record.extend(masked(event).to_le_bytes());
    record
}

/// CRC-32C, rotated and shifted so that data which holds its own checksum is
/// checked no worse than other data.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_as_tensorflow_does() {
        // The check value of CRC-32C, masked by hand.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5);
        let framed = record(b"123456789");
        assert_eq!(framed.len(), 8 + 4 + 9 + 4);
        assert_eq!(framed[..8], [9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(framed[8..12], masked(&framed[..8]).to_le_bytes());
        assert_eq!(framed[12..21], *b"123456789");
        assert_eq!(framed[21..], 0xc78a_b0e5_u32.to_le_bytes());
    }

    #[test]
    fn events_are_encoded_as_protocol_buffers() {
        let event = started(1.0, 300);
        assert_eq!(
            event,
            [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02]
        );
        let mut text = Vec::new();
        field(&mut text, 3, b"ab");
        assert_eq!(text, [0x1a, 2, b'a', b'b']);
    }
}
