//! Checkpoints from the visitor's disk, as they are published: read piece by
//! piece, quantized, and kept beside the models of the page. What is read, and
//! what is refused with which words, is core's to say.

use std::io::{BufReader, Read, Seek, SeekFrom};

use hrm_core::config::ModelConfig;
use hrm_core::import::{self, Choice, FileKind, ImportError, SNIFFED, WeightsFile, parse_config};
use hrm_core::plan::Plan;
use hrm_core::reason::message::{ErrorKind, Event};
use hrm_core::weights::{Manifest, Part, Weights, sha256_hex};
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{File, FileReaderSync};

use crate::failure::Failure;
use crate::{keep, load, post};

/// Names of imported models begin so.
pub(crate) const IMPORTED: &str = "imported-";

/// Names of files of a model's folder.
const MANIFEST: &str = "manifest.json";
const CONFIG: &str = "config.json";

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// Files that the page hands over to become a model: `{ import: base, files:
/// [File, …] }`, `base` being the address of the models.
pub(crate) struct Handed {
    base: String,
    files: Vec<File>,
}

impl Handed {
    /// None if a message is something else.
    pub(crate) fn of(message: &JsValue) -> Option<Self> {
        let base = Reflect::get(message, &"import".into()).ok()?.as_string()?;
        let files = Reflect::get(message, &"files".into()).ok()?;
        let files = Array::from(&files)
            .into_iter()
            .map(JsCast::dyn_into::<File>);
        let files = files.collect::<Result<Vec<File>, JsValue>>().ok()?;
        Some(Self { base, files })
    }

    /// Reads the model, keeps it, and lists all models anew.
    pub(crate) async fn import(self) -> Result<(), Failure> {
        let model = if self.files.iter().any(|f| f.name() == MANIFEST) {
            exported(&self.files)?
        } else {
            published(&self.files)?
        };
        let folder = format!("{}{}/", self.base, model.manifest.id);
        let manifest = serde_json::to_vec(&model.manifest)
            .map_err(|e| Failure::new(ErrorKind::Internal, e.to_string()))?;
        let mut files = vec![(CONFIG.to_owned(), model.config.into_bytes())];
        files.extend(model.files);
        // Last, so that what is listed is whole.
        files.push((MANIFEST.to_owned(), manifest));
        let mut not_kept = None;
        for (name, content) in files {
            let url = format!("{folder}{name}");
            let kept = keep::put_or_hold(&url, &sha256_hex(&content), content).await;
            not_kept = not_kept.or(kept.err());
        }
        if let Some(reason) = not_kept {
            post(&Event::NotKept { reason });
        }
        post(&Event::Catalog {
            models: load::catalog(&self.base).await?,
        });
        Ok(())
    }
}

/// A model ready to be kept.
struct Model {
    manifest: Manifest,
    config: String,
    /// Its parts.
    files: Vec<(String, Vec<u8>)>,
}

/// A checkpoint as others publish it: quantized to 8 bits.
fn published(files: &[File]) -> Result<Model, Failure> {
    let mut notes = Vec::new();
    let mut named = Vec::with_capacity(files.len());
    for file in files {
        named.push((file.name(), FileKind::of(&bytes(file, SNIFFED as f64)?)));
    }
    let picked = import::pick(&named, &mut notes)?;
    // One text beside the weights is the configuration, whatever its name.
    let texts =
        || (0..files.len()).filter(|&at| matches!(named[at].1, FileKind::Text | FileKind::Json));
    let config = picked.config.or_else(|| match texts().count() {
        1 => texts().next(),
        _ => None,
    });
    let config = match config {
        Some(at) => Some(parse_config(&bytes(&files[at], f64::INFINITY)?)?),
        None => None,
    };
    let mut weights = open(&files[picked.weights])?;
    let mut below = picked.below.map(|at| open(&files[at])).transpose()?;
    let read = import::read(&mut weights, below.as_mut(), config, &Choice::default())?;
    drop((weights, below));
    notes.extend(read.notes);

    let (plan, weights) = (read.plan, read.weights);
    let puzzle =
        plan.config.puzzle.sudoku().map_err(|e| {
            Failure::new(ErrorKind::Weights, format!("{e}: this page plays Sudoku"))
        })?;
    let (weights, _) = weights.quantize_q8(&plan);
    let content = weights.to_safetensors(&plan)?;
    let part = Part::of("model.safetensors", &content);
    let name = named[picked.weights].0.clone();
    let manifest = Manifest {
        id: id_of(&name, &part.sha256),
        title: name,
        summary: notes.join("; "),
        puzzle,
        boards: plan.further_boards(),
        sees_images_alike: plan.sees_images_alike(),
        parameters: plan.parameter_count(),
        scheme: weights.scheme(),
        parts: vec![part.clone()],
    };
    Ok(Model {
        manifest,
        config: plan.config.to_json(),
        files: vec![(part.path, content)],
    })
}

/// A folder that `hrm export` wrote: checked, and kept as it is.
fn exported(files: &[File]) -> Result<Model, Failure> {
    let find = |name: &str| {
        let found = files.iter().find(|f| f.name() == name);
        found.ok_or_else(|| {
            Failure::new(
                ErrorKind::Weights,
                format!("{name} is missing among the files: open all of the exported folder"),
            )
        })
    };
    let text = |name: &str| -> Result<String, Failure> {
        String::from_utf8(bytes(find(name)?, f64::INFINITY)?)
            .map_err(|_| Failure::new(ErrorKind::Weights, format!("{name} is not text")))
    };
    let mut manifest = Manifest::from_json(&text(MANIFEST)?)?;
    let plan = Plan::new(&ModelConfig::from_json(&text(CONFIG)?)?)?;
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    for part in &manifest.parts {
        let content = bytes(find(&part.path)?, f64::INFINITY)?;
        part.verify(&content)?;
        whole.extend_from_slice(&content);
        parts.push((part.path.clone(), content));
    }
    Weights::from_safetensors(&plan, &whole)?;
    let sum = manifest.parts.first().map_or("", |part| &part.sha256);
    manifest.id = id_of(&manifest.id, sum);
    Ok(Model {
        manifest,
        config: plan.config.to_json(),
        files: parts,
    })
}

/// A folder name: of letters that an address takes, and of the content.
fn id_of(name: &str, sha256: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    format!("{IMPORTED}{plain}-{}", &sha256[..sha256.len().min(8)])
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        Self::new(ErrorKind::Weights, error.to_string())
    }
}

/// Opens a file of weights; its name begins what goes wrong.
fn open(file: &File) -> Result<WeightsFile<BufReader<Disk>>, Failure> {
    let reader = BufReader::with_capacity(PIECE, Disk::new(file)?);
    WeightsFile::open(reader)
        .map_err(|e| Failure::new(ErrorKind::Weights, format!("{}: {e}", file.name())))
}

/// The first bytes of a file, at most so many.
fn bytes(file: &File, limit: f64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::new(ErrorKind::Weights, reason(&file.name(), &error));
    let reader = FileReaderSync::new().map_err(failed)?;
    let part = file
        .slice_with_f64_and_f64(0.0, limit.min(file.size()))
        .map_err(failed)?;
    let buffer = reader.read_as_array_buffer(&part).map_err(failed)?;
    Ok(Uint8Array::new(&buffer).to_vec())
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

/// A file of the visitor's, read piece by piece as it is asked for: never all
/// of it is in the memory.
struct Disk {
    file: File,
    reader: FileReaderSync,
    at: u64,
    size: u64,
    /// Bytes read so far, and when it was last said.
    read: u64,
    said: u64,
}

impl Disk {
    fn new(file: &File) -> Result<Self, Failure> {
        let failed = |error| Failure::new(ErrorKind::Weights, reason(&file.name(), &error));
        Ok(Self {
            file: file.clone(),
            reader: FileReaderSync::new().map_err(failed)?,
            at: 0,
            size: file.size() as u64,
            read: 0,
            said: 0,
        })
    }
}

impl Read for Disk {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let end = self.size.min(self.at + to.len() as u64);
        if end <= self.at {
            return Ok(0);
        }
        let failed = |error: JsValue| std::io::Error::other(reason(&self.file.name(), &error));
        let part = self
            .file
            .slice_with_f64_and_f64(self.at as f64, end as f64)
            .map_err(failed)?;
        let buffer = self.reader.read_as_array_buffer(&part).map_err(failed)?;
        let bytes = Uint8Array::new(&buffer);
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
