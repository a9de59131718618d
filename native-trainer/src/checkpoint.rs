//! Checkpoints on disk: a directory with `config.json`, `model.safetensors`
//! and a model card, or a bare weights file with a configuration beside it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hrm_core::config::ModelConfig;
use hrm_core::import::{Choice, FileKind};
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::weights::{Manifest, Weights};

pub(crate) use crate::names::{CARD, CONFIG, MANIFEST, MODEL};

use crate::foreign::{Located, kind_of, locate, read_config};
use crate::output::errln;

/// A model as read from disk.
pub(crate) struct Checkpoint {
    /// Its architecture.
    pub(crate) plan: Arc<Plan>,
    /// Its values.
    pub(crate) weights: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint: a directory of this program (full or quantized, in
    /// one file or in the parts of a manifest), a run's newest, or what others
    /// publish, a file of weights or a folder with one; what was chosen and
    /// dropped there is said on the error output.
    pub(crate) fn load(path: &Path, config: Option<&Path>) -> Result<Self> {
        let (checkpoint, notes) = Self::open(path, config, &Choice::default())?;
        for note in notes {
            errln!("note: {note}");
        }
        Ok(checkpoint)
    }

    /// The same with the choices that files leave open; returns what should be
    /// said about it.
    pub(crate) fn open(
        path: &Path,
        config: Option<&Path>,
        choice: &Choice,
    ) -> Result<(Self, Vec<String>)> {
        let mut notes = Vec::new();
        match locate(path, config, &mut notes)? {
            Located::Own(dir) => {
                let config = config.map_or_else(|| dir.join(CONFIG), Path::to_path_buf);
                let plan = read_plan(&config)?;
                let bytes = read_parts(&dir)?;
                let weights = Weights::from_safetensors(&plan, &bytes)
                    .with_context(|| format!("weights of {}", dir.display()))?;
                Ok((Self { plan, weights }, notes))
            }
            Located::Foreign(source) => {
                let imported = source.read(choice)?;
                notes.extend(imported.notes);
                let plan = Arc::new(imported.plan);
                let weights = imported.weights;
                Ok((Self { plan, weights }, notes))
            }
        }
    }

    /// The same model on another board.
    pub(crate) fn on(self, puzzle: PuzzleKind) -> Result<Self> {
        let plan = Arc::new(self.plan.on(puzzle)?);
        Ok(Self { plan, ..self })
    }

    /// Writes a checkpoint directory: each file under a temporary name,
    /// flushed, then renamed, so that a kill leaves the previous one whole.
    pub(crate) fn save(&self, dir: &Path, card: &str) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        write_atomically(&dir.join(MODEL), &self.weights.to_safetensors(&self.plan)?)?;
        write_atomically(&dir.join(CONFIG), self.plan.config.to_json().as_bytes())?;
        write_atomically(&dir.join(CARD), card.as_bytes())
    }
}

/// The plan of a configuration file. The file may hold a whole training
/// record with the configuration under `config`, as reference files do.
pub(crate) fn read_plan(path: &Path) -> Result<Arc<Plan>> {
    let named = || format!("in {}", path.display());
    let value = read_config(path)?;
    let config = value.get("config").unwrap_or(&value);
    let config = ModelConfig::from_json(&config.to_string()).with_context(named)?;
    Ok(Arc::new(Plan::new(&config).with_context(named)?))
}

/// The bytes of a checkpoint directory's weights.
fn read_parts(dir: &Path) -> Result<Vec<u8>> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    };
    let manifest = dir.join(MANIFEST);
    if !manifest.exists() {
        let path = dir.join(MODEL);
        return match kind_of(&path)? {
            FileKind::Safetensors | FileKind::Unknown => read(MODEL),
            other => bail!("{}: {}", path.display(), other.instead_of_weights()),
        };
    }
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
    let manifest = Manifest::from_json(&text).with_context(|| format!("in {}", dir.display()))?;
    let mut bytes = Vec::new();
    for part in &manifest.parts {
        let content = read(&part.path)?;
        part.verify(&content)
            .with_context(|| format!("in {}", dir.display()))?;
        bytes.extend(content);
    }
    Ok(bytes)
}

/// Writes a file so that either the old or the new content is there,
/// whatever happens meanwhile.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary: PathBuf = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
