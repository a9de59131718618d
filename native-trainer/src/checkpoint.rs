//! Checkpoints on disk: a directory with `config.json`, `model.safetensors`
//! and a model card, or a bare weights file with a configuration beside it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::weights::{Manifest, Weights};

/// Name of the configuration in a checkpoint directory.
pub(crate) const CONFIG: &str = "config.json";
/// Name of the weights.
pub(crate) const MODEL: &str = "model.safetensors";
/// Name of the model card.
pub(crate) const CARD: &str = "README.md";
/// Name of a shipped model's manifest.
pub(crate) const MANIFEST: &str = "manifest.json";

/// A model as read from disk.
pub(crate) struct Checkpoint {
    /// Its architecture.
    pub(crate) plan: Arc<Plan>,
    /// Its values.
    pub(crate) weights: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint directory (full or quantized, in one file or in
    /// the parts of a manifest), a bare `.safetensors` or a `.pt`; the bare
    /// ones need `config`.
    pub(crate) fn load(path: &Path, config: Option<&Path>) -> Result<Self> {
        if path.is_dir() {
            let config = config.map_or_else(|| path.join(CONFIG), Path::to_path_buf);
            let plan = read_plan(&config)?;
            let bytes = read_parts(path)?;
            let weights = Weights::from_safetensors(&plan, &bytes)
                .with_context(|| format!("weights of {}", path.display()))?;
            return Ok(Self { plan, weights });
        }
        let Some(config) = config else {
            bail!(
                "{}: a bare weights file needs its configuration, give it with --config",
                path.display()
            );
        };
        let plan = read_plan(config)?;
        let is_pytorch = path.extension().is_some_and(|e| e == "pt" || e == "pth");
        let weights = if is_pytorch {
            Weights::from_pytorch(&plan, path)
        } else {
            let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            Weights::from_safetensors(&plan, &bytes)
        };
        let weights = weights.with_context(|| format!("weights of {}", path.display()))?;
        Ok(Self { plan, weights })
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
    let text = fs::read_to_string(path)
        .with_context(|| format!("reading the model configuration {}", path.display()))?;
    let named = || format!("in {}", path.display());
    let value: serde_json::Value = serde_json::from_str(&text).with_context(named)?;
    let config = match value.get("config") {
        Some(inner) => ModelConfig::from_json(&inner.to_string()),
        None => ModelConfig::from_json(&text),
    }
    .with_context(named)?;
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
        return read(MODEL);
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
