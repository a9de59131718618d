//! The file of an evaluation: its setup, then one record a line.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use hrm_core::reason::score::Record;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Setup, since};
use crate::paths::write;

/// The first line's mark.
const FORMAT: &str = "hrm-eval-1";

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    setup: Setup,
}

#[derive(Serialize, Deserialize)]
struct Entry<P> {
    /// Seconds of work up to here, those of earlier runs included.
    elapsed: f64,
    record: Record<P>,
}

/// The records of an evaluation, in memory and, if wanted, in a file that a
/// kill at any moment leaves usable.
pub(crate) struct Log<P> {
    file: Option<(PathBuf, File)>,
    records: Vec<Record<P>>,
    before: f64,
    start: Instant,
}

impl<P: Serialize + DeserializeOwned> Log<P> {
    /// Records that no file keeps.
    pub(crate) fn in_memory() -> Self {
        Self {
            file: None,
            records: Vec::new(),
            before: 0.0,
            start: Instant::now(),
        }
    }

    /// Opens the file of an evaluation, with what it holds already: the same
    /// evaluation of fewer rows goes on, since no row depends on the others.
    pub(crate) fn open(path: &Path, setup: &Setup) -> Result<Self> {
        let named = || format!("writing {}", path.display());
        let (records, before) = if path.exists() && fs::metadata(path)?.len() > 0 {
            let (theirs, records, before, mut whole) = parse(path)?;
            let with_more = Setup {
                rows: setup.rows,
                skipped: setup.skipped,
                ..theirs.clone()
            };
            let more = theirs.rows < setup.rows && with_more == *setup;
            ensure!(
                more || theirs == *setup,
                "{}: its records are of another evaluation: {}",
                path.display(),
                difference(&theirs, setup)?
            );
            if more {
                whole = rewrite_head(path, setup, whole)?;
            }
            // A kill may have cut the last line short.
            let file = OpenOptions::new()
                .write(true)
                .open(path)
                .with_context(named)?;
            file.set_len(whole).with_context(named)?;
            (records, before)
        } else {
            fs::write(path, head_line(setup)?).with_context(named)?;
            (Vec::new(), 0.0)
        };
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .with_context(named)?;
        Ok(Self {
            file: Some((path.to_path_buf(), file)),
            records,
            before,
            start: Instant::now(),
        })
    }

    /// Keeps a record.
    pub(crate) fn push(&mut self, record: Record<P>) -> Result<()> {
        let entry = Entry {
            elapsed: self.seconds(),
            record,
        };
        if let Some((path, file)) = &mut self.file {
            // One write a line, so that only a line can be cut short.
            let line = serde_json::to_string(&entry)? + "\n";
            file.write_all(line.as_bytes())
                .with_context(|| format!("writing {}", path.display()))?;
        }
        self.records.push(entry.record);
        Ok(())
    }

    pub(crate) fn records(&self) -> &[Record<P>] {
        &self.records
    }

    /// Wall time so far.
    pub(crate) fn seconds(&self) -> f64 {
        self.before + since(self.start)
    }
}

/// Setup of an evaluation's file.
pub(crate) fn read_setup(path: &Path) -> Result<Setup> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut line = String::new();
    BufReader::new(file)
        .read_line(&mut line)
        .with_context(|| format!("reading {}", path.display()))?;
    head(path, &line)
}

/// Setup, records and seconds of an evaluation's file.
pub(crate) fn read<P: DeserializeOwned>(path: &Path) -> Result<(Setup, Vec<Record<P>>, f64)> {
    let (setup, records, seconds, _) = parse(path)?;
    Ok((setup, records, seconds))
}

/// The same, and the length of the whole lines.
fn parse<P: DeserializeOwned>(path: &Path) -> Result<(Setup, Vec<Record<P>>, f64, u64)> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut lines = text[..whole].lines();
    let setup = head(path, lines.next().unwrap_or_default())?;
    let (mut records, mut seconds) = (Vec::new(), 0.0_f64);
    for (i, line) in lines.enumerate() {
        let entry: Entry<P> = serde_json::from_str(line)
            .with_context(|| format!("{}, line {}", path.display(), i + 2))?;
        seconds = seconds.max(entry.elapsed);
        records.push(entry.record);
    }
    Ok((setup, records, seconds, whole as u64))
}

/// The first line of an evaluation's file.
fn head_line(setup: &Setup) -> Result<String> {
    let head = Head {
        format: FORMAT.into(),
        setup: setup.clone(),
    };
    Ok(serde_json::to_string(&head)? + "\n")
}

/// Gives the first `whole` bytes of a file another first line; returns how many
/// there are then.
fn rewrite_head(path: &Path, setup: &Setup, whole: u64) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = &text[..whole as usize];
    let records = lines.split_once('\n').map_or("", |(_, records)| records);
    let text = head_line(setup)? + records;
    write(path, text.as_bytes())?;
    Ok(text.len() as u64)
}

/// The setup that a file's first line holds.
fn head(path: &Path, line: &str) -> Result<Setup> {
    let head: Head = serde_json::from_str(line)
        .ok()
        .with_context(|| format!("{} is no file of `hrm eval`", path.display()))?;
    if head.format != FORMAT {
        bail!(
            "{}: its format is {}, not {FORMAT}",
            path.display(),
            head.format
        );
    }
    Ok(head.setup)
}

/// What two setups differ in, as it was and as it is now.
fn difference(was: &Setup, now: &Setup) -> Result<String> {
    let (was, now) = (serde_json::to_value(was)?, serde_json::to_value(now)?);
    let keys = [&was, &now].into_iter().filter_map(Value::as_object);
    let fields: BTreeSet<&String> = keys.flat_map(|object| object.keys()).collect();
    let parts = fields.into_iter().filter_map(|field| {
        let mut leaves = Vec::new();
        compare(field, &was[field], &now[field], &mut leaves);
        let leaves = leaves.join(", ");
        (!leaves.is_empty()).then(|| format!("{field} differ: {leaves}"))
    });
    Ok(parts.collect::<Vec<_>>().join("; "))
}

/// Adds the values that differ below a name: `segments 16, now 32`.
fn compare(name: &str, was: &Value, now: &Value, leaves: &mut Vec<String>) {
    if let (Value::Object(a), Value::Object(b)) = (was, now) {
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            compare(key, &was[key], &now[key], leaves);
        }
    } else if was != now {
        let shown = |value: &Value| match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        leaves.push(format!("{name} {}, now {}", shown(was), shown(now)));
    }
}
