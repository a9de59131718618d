//! Checkpoints of a run: `OUT/step-00001200`, each whole or not there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::score::Score;
use crate::checkpoint::{CARD, CONFIG, MODEL};
use hrm_core::model::Trainer;

/// Name of the trainer's memory.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
/// Name of the run's counters.
pub(crate) const TRAIN_STATE: &str = "train-state.json";
/// Name of the run's configuration.
pub(crate) const TRAIN_CONFIG: &str = "train.toml";

/// Start of a checkpoint directory's name.
const STEP: &str = "step-";
/// Link to the newest checkpoint.
const LATEST: &str = "latest";

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainState {
    /// Steps done. The data and its augmentation follow from it and the seed.
    pub(crate) step: u64,
    /// Puzzles begun.
    pub(crate) puzzles: u64,
    /// Time spent, in seconds.
    pub(crate) seconds: f64,
}

/// The checkpoint that a path means: itself, or the newest one in it.
pub(crate) fn find(path: &Path) -> Result<PathBuf> {
    if path.join(TRAIN_STATE).is_file() {
        return Ok(path.to_path_buf());
    }
    match all(path)?.pop() {
        Some(newest) => Ok(newest),
        None => bail!(
            "{}: neither a checkpoint with {TRAIN_STATE} nor a run that has one",
            path.display()
        ),
    }
}

/// A run's checkpoints, oldest first.
fn all(out: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(out).with_context(|| format!("reading {}", out.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading {}", out.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name
            .strip_prefix(STEP)
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads where the run of a checkpoint is.
pub(crate) fn read_state(dir: &Path) -> Result<TrainState> {
    let path = dir.join(TRAIN_STATE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// Writes a checkpoint: complete under a temporary name, flushed, renamed.
/// Older ones beyond `config.keep` go.
pub(crate) fn write(
    out: &Path,
    config: &TrainConfig,
    trainer: &Trainer,
    state: &TrainState,
    card: &str,
) -> Result<PathBuf> {
    let name = format!("{STEP}{:08}", state.step);
    let (temporary, target) = (out.join(format!(".{name}.tmp")), out.join(&name));
    let plan = trainer.plan();
    let files = [
        (CONFIG, plan.config.to_json().into_bytes()),
        (
            MODEL,
            trainer.averaged().to_weights(plan)?.to_safetensors(plan)?,
        ),
        (OPTIMIZER, trainer.save_state()?),
        (TRAIN_STATE, serde_json::to_vec_pretty(state)?),
        (TRAIN_CONFIG, toml::to_string(config)?.into_bytes()),
        (CARD, card.as_bytes().to_vec()),
    ];
    let publish = || -> std::io::Result<()> {
        if temporary.exists() {
            fs::remove_dir_all(&temporary)?;
        }
        fs::create_dir_all(&temporary)?;
        for (file, content) in files {
            let path = temporary.join(file);
            fs::write(&path, content)?;
            File::open(&path)?.sync_all()?;
        }
        if target.exists() {
            // The same step again (a resumed run that did nothing): the two
            // hold the same, so the order of removal and renaming is safe.
            fs::remove_dir_all(&target)?;
        }
        fs::rename(&temporary, &target)?;
        File::open(out)?.sync_all()
    };
    publish().with_context(|| format!("writing {}", target.display()))?;
    point_latest(out, &name)?;
    let mut old = all(out)?;
    old.truncate(old.len().saturating_sub(config.keep));
    for path in old {
        fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(target)
}

/// Rewrites the model card of a finished checkpoint.
pub(crate) fn write_card(dir: &Path, card: &str) -> Result<()> {
    crate::checkpoint::write_atomically(&dir.join(CARD), card.as_bytes())
}

/// Makes `latest` mean the newest checkpoint, where the system has links.
fn point_latest(out: &Path, name: &str) -> Result<()> {
    #[cfg(unix)]
    {
        let temporary = out.join(".latest.tmp");
        if temporary.symlink_metadata().is_ok() {
            fs::remove_file(&temporary)
                .with_context(|| format!("removing {}", temporary.display()))?;
        }
        std::os::unix::fs::symlink(name, &temporary)
            .and_then(|()| fs::rename(&temporary, out.join(LATEST)))
            .with_context(|| format!("linking {}", out.join(LATEST).display()))?;
    }
    #[cfg(not(unix))]
    let _ = (out, name, LATEST);
    Ok(())
}

/// The model card of a checkpoint.
pub(crate) fn card(
    config: &TrainConfig,
    trainer: &Trainer,
    state: &TrainState,
    data: &str,
    held_out: Option<(&str, &Score)>,
) -> String {
    let plan = trainer.plan();
    let name = config.model.as_ref().map_or_else(
        || config.preset.clone(),
        |p| {
            p.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        },
    );
    let mut text = format!(
        "# {name}, {} steps\n\n\
         - board: {}\n\
         - parameters: {}\n\
         - training data: {data}\n\
         - augmentation: {}; share of puzzles with random hints: {}\n\
         - steps: {} of {} puzzles, {} puzzles begun\n\
         - seed: {}\n\
         - wall time: {:.1} minutes\n\
         - weights: {}\n",
        state.step,
        plan.config.puzzle,
        plan.parameter_count(),
        if config.no_augment {
            "none"
        } else {
            "random symmetries"
        },
        config.hints,
        state.step,
        config.batch_size,
        state.puzzles,
        config.seed,
        state.seconds / 60.0,
        if config.ema > 0.0 {
            format!("moving average, decay {}", config.ema)
        } else {
            "as trained".to_owned()
        },
    );
    if let Some((set, score)) = held_out {
        let (low, high) = score.interval();
        text += &format!(
            "- accuracy: {} of {} solved, {:.1} % (95 % Wilson interval {:.1} to {:.1} %), \
             after {} segments, one pass\n\
             - measured on: {set}\n\
             - q_halt right about being solved: {:.1} %\n",
            score.right(),
            score.puzzles,
            100.0 * score.accuracy(),
            100.0 * low,
            100.0 * high,
            score.solved.len(),
            100.0 * score.q_accuracy,
        );
    } else {
        text += "- accuracy: not measured\n";
    }
    text + "- licence: Apache-2.0 OR MIT\n"
}
