//! Where other people's checkpoints are: a file of any name, or a folder of
//! files, with a configuration beside it.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hrm_core::config::ModelConfig;
use hrm_core::import::{self, CONFIGS, Choice, FileKind, Imported, SNIFFED, WeightsFile};
use serde_json::Value;

use crate::names::{CONFIG, MANIFEST, MODEL};

/// Endings of downloads that are not complete.
const PARTS: [&str; 5] = ["part", "partial", "incomplete", "crdownload", "download"];

/// What stands at a path.
#[derive(Debug, PartialEq)]
pub(crate) enum Located {
    /// A checkpoint directory of this program.
    Own(PathBuf),
    /// Somebody else's files.
    Foreign(Source),
}

/// Files that together are a checkpoint.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Source {
    pub(crate) weights: PathBuf,
    /// Raw weights under a partial average.
    pub(crate) below: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
}

/// Finds the checkpoint that a path means; says in `notes` what was chosen.
pub(crate) fn locate(
    path: &Path,
    config: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Located> {
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(e) if e.kind() == ErrorKind::NotFound => bail!("{}", missing(path)),
        Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
    };
    if facts.is_dir() {
        return folder(path, config, notes);
    }
    if unfinished(path) {
        bail!(
            "{} is a download that did not end: let it end, or download it again",
            path.display()
        );
    }
    let config = match config {
        Some(config) => Some(config.to_owned()),
        None => beside(path, notes),
    };
    let below = raw_of_average(path, notes);
    Ok(Located::Foreign(Source {
        weights: path.to_owned(),
        below,
        config,
    }))
}

impl Source {
    /// Reads the model.
    pub(crate) fn read(&self, choice: &Choice) -> Result<Imported> {
        let mut file = open(&self.weights)?;
        let mut below = self.below.as_deref().map(open).transpose()?;
        let config = self.config.as_deref().map(read_config).transpose()?;
        let read = import::read(&mut file, below.as_mut(), config, choice);
        read.with_context(|| match &self.config {
            Some(config) => format!("{} with {}", self.weights.display(), config.display()),
            None => self.weights.display().to_string(),
        })
    }
}

/// The JSON or YAML of a configuration file.
pub(crate) fn read_config(path: &Path) -> Result<Value> {
    let text = fs::read(path)
        .with_context(|| format!("reading the model configuration {}", path.display()))?;
    import::parse_config(&text).with_context(|| format!("in {}", path.display()))
}

/// Opens a file of weights, whatever its name.
fn open(path: &Path) -> Result<WeightsFile<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    WeightsFile::open(BufReader::new(file)).with_context(|| path.display().to_string())
}

/// What the first bytes of a file say that it is.
pub(crate) fn kind_of(path: &Path) -> Result<FileKind> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| f.take(SNIFFED as u64).read_to_end(&mut head));
    read.with_context(|| format!("reading {}", path.display()))?;
    Ok(FileKind::of(&head))
}

/// Why there is nothing at a path, as far as it can be seen.
fn missing(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = PARTS
        .iter()
        .map(|end| path.with_file_name(format!("{name}.{end}")))
        .find(|part| part.exists());
    match unfinished {
        Some(part) => format!(
            "{}: no such file, but {} is there: a download that did not end",
            path.display(),
            part.display()
        ),
        None => format!("{}: no such file or folder", path.display()),
    }
}

fn unfinished(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default().to_string_lossy();
    PARTS.contains(&end.to_lowercase().as_str())
}

/// The checkpoint in a folder: one of this program, a run's newest, or files
/// as they are published.
fn folder(dir: &Path, config: Option<&Path>, notes: &mut Vec<String>) -> Result<Located> {
    if is_own(dir, config) {
        return Ok(Located::Own(dir.to_owned()));
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .with_context(|| format!("reading {}", dir.display()))?;
    entries.retain(|p| !file_name(p).starts_with('.'));
    entries.sort();
    if let Some(newest) = newest_of_run(dir, &entries) {
        notes.push(format!(
            "{} is a run; its newest checkpoint is taken, {}",
            dir.display(),
            file_name(&newest)
        ));
        return Ok(Located::Own(newest));
    }
    let files: Vec<(&PathBuf, FileKind)> = entries
        .iter()
        .filter(|p| p.is_file() && !unfinished(p))
        .filter_map(|p| Some((p, kind_of(p).ok()?)))
        .collect();
    if !files.iter().any(|(_, kind)| kind.is_weights()) {
        bail!("{}", no_weights(dir, &entries, &files));
    }
    let named: Vec<(String, FileKind)> = files
        .iter()
        .map(|(path, kind)| (file_name(path), *kind))
        .collect();
    let picked = import::pick(&named, notes).with_context(|| dir.display().to_string())?;
    let weights = files[picked.weights].0.clone();
    let config = match config {
        Some(config) => Some(config.to_owned()),
        None => beside(&weights, notes),
    };
    Ok(Located::Foreign(Source {
        weights,
        below: picked.below.map(|at| files[at].0.clone()),
        config,
    }))
}

/// Whether a folder is a checkpoint directory of this program.
fn is_own(dir: &Path, config: Option<&Path>) -> bool {
    if dir.join(MANIFEST).is_file() {
        return true;
    }
    let config = config.map_or_else(|| dir.join(CONFIG), Path::to_path_buf);
    let published = CONFIGS[..2].iter().any(|name| dir.join(name).exists());
    let strict = || {
        let text = fs::read_to_string(config).ok()?;
        serde_json::from_str::<ModelConfig>(&text).ok()
    };
    dir.join(MODEL).is_file() && !published && strict().is_some()
}

/// The newest checkpoint of a run of `hrm train`.
fn newest_of_run(dir: &Path, entries: &[PathBuf]) -> Option<PathBuf> {
    let whole = |path: &PathBuf| is_own(path, None);
    let latest = dir.join("latest");
    if whole(&latest) {
        return Some(latest.canonicalize().unwrap_or(latest));
    }
    entries
        .iter()
        .filter(|path| path.is_dir() && file_name(path).starts_with("step-"))
        .filter(|path| whole(path))
        .max()
        .cloned()
}

fn raw_of_average(path: &Path, notes: &mut Vec<String>) -> Option<PathBuf> {
    let raw = path.with_file_name(import::raw_name(&file_name(path))?);
    if !raw.is_file() {
        return None;
    }
    notes.push(format!(
        "{} lies beside it: what the average lacks is taken from there",
        file_name(&raw)
    ));
    Some(raw)
}

/// The configuration in a file's folder.
fn beside(weights: &Path, notes: &mut Vec<String>) -> Option<PathBuf> {
    let found = CONFIGS
        .iter()
        .map(|name| weights.with_file_name(name))
        .find(|path| path.is_file() && path != weights)?;
    notes.push(format!(
        "configuration: {}, beside the weights",
        file_name(&found)
    ));
    Some(found)
}

/// What is in a folder instead of weights.
fn no_weights(dir: &Path, entries: &[PathBuf], files: &[(&PathBuf, FileKind)]) -> String {
    let pointer = files.iter().find(|(_, kind)| *kind == FileKind::LfsPointer);
    if let Some((path, kind)) = pointer {
        return format!("{}: {}", path.display(), kind.instead_of_weights());
    }
    if let Some(part) = entries.iter().find(|p| p.is_file() && unfinished(p)) {
        return format!("{} is a download that did not end", part.display());
    }
    let inside: Vec<String> = entries
        .iter()
        .filter(|p| p.is_dir() && has_weights(p))
        .map(|p| p.display().to_string())
        .collect();
    if !inside.is_empty() {
        return format!(
            "{} holds no weights itself; folders in it do: {}; give one of them",
            dir.display(),
            inside.join(", ")
        );
    }
    let names: Vec<String> = entries.iter().take(12).map(|p| file_name(p)).collect();
    if names.is_empty() {
        return format!("{} is an empty folder", dir.display());
    }
    format!(
        "{} holds no weights (PyTorch or safetensors), only {}{}",
        dir.display(),
        names.join(", "),
        if entries.len() > 12 { ", …" } else { "" }
    )
}

fn has_weights(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .map(|e| e.path())
        .any(|path| path.is_file() && kind_of(&path).is_ok_and(FileKind::is_weights))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
