//! Checkpoints of a run: `OUT/step-00001200`, each whole or not there.
//!
//! One is written under a temporary name, flushed to the disk and renamed;
//! one is removed by renaming it first. What a kill leaves under those names
//! goes when the run is taken up again.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use crate::checkpoint::{CARD, CONFIG, MODEL};
use crate::output::errln;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::train::{Backend, Score, Trainer};

/// Name of the trainer's memory.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
/// Name of the run's counters.
pub(crate) const TRAIN_STATE: &str = "train-state.json";
/// Name of the run's configuration.
pub(crate) const TRAIN_CONFIG: &str = "train.toml";

/// Start of a checkpoint directory's name.
const STEP: &str = "step-";
/// Start of the directory's name of a step that diverged.
const DIVERGED: &str = "diverged-";
/// End of a name that is being written.
const WRITING: &str = ".tmp";
/// End of a name that is being removed.
const REMOVING: &str = ".old";
/// Link to the newest checkpoint.
const LATEST: &str = "latest";
/// Locked by the process that trains.
const LOCK: &str = ".lock";

/// Where a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainState {
    /// Steps done. The data and its augmentation follow from it and the seed.
    pub(crate) step: u64,
    /// Puzzles begun.
    pub(crate) puzzles: u64,
    /// Time spent, in seconds.
    pub(crate) seconds: f64,
    /// sha256 of the cells of the training puzzles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    /// The same of the held-out puzzles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_out: Option<String>,
    /// Bytes of the checkpoint's files, by which a part of one is told from
    /// a whole one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, u64>,
}

/// The checkpoint that a path means: itself, or the newest whole one in it.
pub(crate) fn find(path: &Path) -> Result<PathBuf> {
    if path.join(TRAIN_STATE).is_file() {
        check_whole(path)?;
        return Ok(path.to_path_buf());
    }
    let mut damage = None;
    for candidate in all(path)?.into_iter().rev() {
        match check_whole(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => {
                errln!("passing over {}: {error:#}", candidate.display());
                damage.get_or_insert(error);
            }
        }
    }
    Err(match damage {
        Some(error) => error.context(format!("{} has no whole checkpoint", path.display())),
        None => anyhow::anyhow!(
            "{}: neither a checkpoint with {TRAIN_STATE} nor a run that has one",
            path.display()
        ),
    })
}

/// Refuses a directory that lacks a part of a checkpoint.
fn check_whole(dir: &Path) -> Result<()> {
    for (name, bytes) in read_state(dir)?.files {
        let path = dir.join(name);
        let found = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            found.len() == bytes,
            "{} has {} bytes of {bytes}",
            path.display(),
            found.len()
        );
    }
    Ok(())
}

/// A run's checkpoints, oldest first.
fn all(out: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = entries(out)?
        .into_iter()
        .filter_map(|path| Some((step_of(&path)?, path)))
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn entries(out: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(out)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("reading {}", out.display()))
}

/// The step that a checkpoint's name says it is of.
fn step_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix(STEP)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Reads where the run of a checkpoint is.
pub(crate) fn read_state(dir: &Path) -> Result<TrainState> {
    let path = dir.join(TRAIN_STATE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// A run's directory while this process trains in it.
pub(crate) struct Folder {
    path: PathBuf,
    /// Unlocked by the system when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Takes a directory, made if need be, for a run that has done `step`
    /// steps, and clears away what an earlier process left half done.
    ///
    /// # Errors
    /// If another process trains there, or it holds whole checkpoints of
    /// later steps, which going on would contradict.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
        let lock = File::create(path.join(LOCK))
            .with_context(|| format!("writing to {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another process is training in {}", path.display())
            }
            // A file system without locks: nothing to be told from it.
            Err(TryLockError::Error(_)) => {}
        }
        for entry in entries(path)? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') && (name.ends_with(WRITING) || name.ends_with(REMOVING)) {
                remove(&entry)?;
            }
        }
        let folder = Self {
            path: path.to_path_buf(),
            _lock: lock,
        };
        for later in all(path)? {
            if step_of(&later).is_none_or(|of| of <= step) {
                continue;
            }
            if check_whole(&later).is_ok() {
                bail!(
                    "{} comes after step {step}: remove it to go on from there, or choose \
                     another --out",
                    later.display()
                );
            }
            folder.discard(&later)?;
        }
        Ok(folder)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a checkpoint, or finds that of this very step. Those that
    /// `config` does not keep go.
    pub(crate) fn write<B: Backend>(
        &self,
        config: &TrainConfig,
        trainer: &Trainer<B>,
        state: &TrainState,
        card: &str,
    ) -> Result<PathBuf> {
        let name = format!("{STEP}{:08}", state.step);
        let target = self.path.join(&name);
        if target.is_dir() && check_whole(&target).is_ok() {
            return Ok(target);
        }
        let plan = trainer.plan();
        let weights = trainer.averaged()?.to_safetensors(plan)?;
        let mut files = memory(config, trainer)?;
        files.push((MODEL, weights));
        self.publish(&name, files, state, card).with_context(|| {
            let newest = find(&self.path).map_or_else(
                |_| "there is no earlier one".to_owned(),
                |dir| format!("the newest whole one is {}", dir.display()),
            );
            format!("writing checkpoint {}; {newest}", target.display())
        })?;
        point_latest(&self.path, &name)?;
        self.prune(config)?;
        Ok(target)
    }

    /// Writes what is needed to look at a step that diverged, and to take it
    /// again with `--resume`: the state before it, and its `batch` as JSON.
    pub(crate) fn write_diverged<B: Backend>(
        &self,
        config: &TrainConfig,
        trainer: &Trainer<B>,
        state: &TrainState,
        batch: Vec<u8>,
        card: &str,
    ) -> Result<PathBuf> {
        let name = format!("{DIVERGED}{STEP}{:08}", state.step + 1);
        let target = self.path.join(&name);
        let mut files = memory(config, trainer)?;
        let plan = trainer.plan();
        // Weights that are no numbers are in the optimiser's file all the same.
        if let Ok(weights) = trainer.averaged() {
            files.push((MODEL, weights.to_safetensors(plan)?));
        }
        files.push((BATCH, batch));
        self.publish(&name, files, state, card)
            .with_context(|| format!("writing {}", target.display()))?;
        Ok(target)
    }

    /// Makes a directory of these files appear at once.
    fn publish(
        &self,
        name: &str,
        mut files: Vec<(&'static str, Vec<u8>)>,
        state: &TrainState,
        card: &str,
    ) -> Result<()> {
        let state = TrainState {
            files: files
                .iter()
                .map(|(name, content)| ((*name).to_owned(), content.len() as u64))
                .collect(),
            ..state.clone()
        };
        files.push((TRAIN_STATE, serde_json::to_vec_pretty(&state)?));
        files.push((CARD, card.as_bytes().to_vec()));
        let temporary = self.path.join(format!(".{name}{WRITING}"));
        let target = self.path.join(name);
        let write = || -> io::Result<()> {
            fs::create_dir(&temporary)?;
            for (file, content) in &files {
                let path = temporary.join(file);
                fs::write(&path, content)?;
                File::open(&path)?.sync_all()?;
            }
            sync_directory(&temporary)
        };
        if let Err(error) = write() {
            // Only frees the space; the next start would do it too.
            let _ = fs::remove_dir_all(&temporary);
            return Err(error.into());
        }
        if target.exists() {
            self.discard(&target)?;
        }
        fs::rename(&temporary, &target)?;
        sync_directory(&self.path)?;
        Ok(())
    }

    /// Removes the checkpoints that are neither among the newest `keep` nor
    /// among the last `keep_series` of those at multiples of `keep_every`.
    fn prune(&self, config: &TrainConfig) -> Result<()> {
        let found = all(&self.path)?;
        let steps: Vec<u64> = found.iter().filter_map(|path| step_of(path)).collect();
        let kept = kept(&steps, config);
        for path in found {
            if step_of(&path).is_some_and(|step| !kept.contains(&step)) {
                self.discard(&path)?;
            }
        }
        Ok(())
    }

    /// Removes a directory so that no part of it is ever seen under its name.
    fn discard(&self, dir: &Path) -> Result<()> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.path.join(format!(".{name}{REMOVING}"));
        fs::rename(dir, &aside).with_context(|| format!("removing {}", dir.display()))?;
        remove(&aside)
    }
}

/// Name of the batch of a step that diverged.
const BATCH: &str = "batch.json";

/// The files that hold everything but the weights to use.
fn memory<B: Backend>(
    config: &TrainConfig,
    trainer: &Trainer<B>,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    Ok(vec![
        (CONFIG, trainer.plan().config.to_json().into_bytes()),
        (OPTIMIZER, trainer.save_state()?),
        (TRAIN_CONFIG, toml::to_string(config)?.into_bytes()),
    ])
}

/// Of the steps that have a checkpoint, ascending, those that keep it.
fn kept(steps: &[u64], config: &TrainConfig) -> Vec<u64> {
    let newest = steps.iter().rev().take(config.keep);
    let every = config.keep_every;
    let series = steps
        .iter()
        .rev()
        .filter(|step| every > 0 && step.is_multiple_of(every))
        .take(config.keep_series);
    newest.chain(series).copied().collect()
}

fn remove(path: &Path) -> Result<()> {
    let is_link_or_file = path.symlink_metadata().is_ok_and(|m| !m.is_dir());
    if is_link_or_file {
        fs::remove_file(path)
    } else {
        fs::remove_dir_all(path)
    }
    .with_context(|| format!("removing {}", path.display()))
}

/// Makes names in a directory survive a loss of power, where the system can.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

/// Rewrites the model card of a finished checkpoint.
pub(crate) fn write_card(dir: &Path, card: &str) -> Result<()> {
    crate::checkpoint::write_atomically(&dir.join(CARD), card.as_bytes())
}

/// Makes `latest` mean the newest checkpoint, where the system has links.
fn point_latest(out: &Path, name: &str) -> Result<()> {
    #[cfg(unix)]
    {
        let temporary = out.join(format!(".{LATEST}{WRITING}"));
        if temporary.symlink_metadata().is_ok() {
            remove(&temporary)?;
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
pub(crate) fn card<B: Backend>(
    config: &TrainConfig,
    trainer: &Trainer<B>,
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
        match (config.no_augment, plan.config.puzzle) {
            (true, _) => "none",
            (false, PuzzleKind::Arc(_)) => "random places on the canvas",
            (false, _) => "random symmetries",
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
        let accuracy = score.accuracy();
        text += &format!(
            "- accuracy: {} of {} solved, {:.1} % (95 % Wilson interval {:.1} to {:.1} %), \
             after {} segments, one pass\n\
             - measured on: {set}\n\
             - q_halt right about being solved: {:.1} %\n",
            score.right(),
            score.puzzles,
            100.0 * accuracy.value,
            100.0 * accuracy.low,
            100.0 * accuracy.high,
            score.solved.len(),
            100.0 * score.q_accuracy,
        );
    } else {
        text += "- accuracy: not measured\n";
    }
    text + "- licence: Apache-2.0 OR MIT\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_the_last_of_the_series_stay() {
        let config = |keep, keep_every, keep_series| TrainConfig {
            keep,
            keep_every,
            keep_series,
            ..TrainConfig::example()
        };
        let steps = [5, 10, 15, 20, 25, 30, 32];
        assert_eq!(kept(&steps, &config(2, 0, 10)), [32, 30]);
        assert_eq!(kept(&steps, &config(1, 10, 2)), [32, 30, 20]);
        assert_eq!(kept(&steps, &config(1, 10, 10)), [32, 30, 20, 10]);
    }

    #[test]
    fn parts_of_a_checkpoint_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, written: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("weights"), written).unwrap();
            let state = TrainState {
                files: BTreeMap::from([("weights".to_owned(), 5)]),
                ..TrainState::default()
            };
            let state = serde_json::to_vec(&state).unwrap();
            fs::write(path.join(TRAIN_STATE), state).unwrap();
            path
        };
        let whole = make("step-00000010", "12345");
        let cut = make("step-00000020", "123");
        make(".step-00000030.tmp", "12345");
        fs::create_dir(dir.path().join("step-00000040")).unwrap();
        assert_eq!(find(dir.path()).unwrap(), whole);
        let error = format!("{:#}", find(&cut).unwrap_err());
        assert!(error.contains("weights has 3 bytes of 5"), "{error}");

        // Taken up again, the folder holds whole checkpoints only.
        let folder = Folder::open(dir.path(), 10).unwrap();
        let names: Vec<PathBuf> = entries(dir.path()).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        let error = Folder::open(dir.path(), 10).err().unwrap().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(folder);
        let error = Folder::open(dir.path(), 5).err().unwrap().to_string();
        assert!(error.contains("step-00000010 comes after"), "{error}");
    }
}
