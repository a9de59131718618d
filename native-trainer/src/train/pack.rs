//! A run's newest checkpoint in little space, to be kept beside a model.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hrm_core::train::without_rows;

use super::config::TrainConfig;
use super::saved::{self, OPTIMIZER, TRAIN_CONFIG, TRAIN_STATE};
use crate::checkpoint::{CARD, CONFIG, MODEL, write_atomically};
use crate::output::outln;

/// Name of the run's log.
const METRICS: &str = "metrics.jsonl";

/// Writes the newest checkpoint of a run to `out`, without the rows in
/// progress and without the folders of its data: another machine has others.
/// The log goes along, lines of single steps left out.
pub(crate) fn write(run: &Path, out: &Path) -> Result<()> {
    let newest = saved::find(run)?;
    ensure!(
        !out.join(TRAIN_STATE).exists() || fs::canonicalize(out)? != fs::canonicalize(&newest)?,
        "{} is the checkpoint itself: give another folder with --out",
        out.display()
    );
    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let read = |path: &Path| {
        let content = fs::read(path);
        content.with_context(|| format!("reading {}", path.display()))
    };
    for name in [CARD, CONFIG, MODEL] {
        write_atomically(&out.join(name), &read(&newest.join(name))?)?;
    }
    let memory = read(&newest.join(OPTIMIZER))?;
    let memory = without_rows(&memory).with_context(|| format!("in {}", newest.display()))?;
    write_atomically(&out.join(OPTIMIZER), &memory)?;

    let path = newest.join(TRAIN_CONFIG);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut config: TrainConfig =
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    config.forget_folders();
    write_atomically(
        &out.join(TRAIN_CONFIG),
        toml::to_string(&config)?.as_bytes(),
    )?;

    let log = run.join(METRICS);
    if log.is_file() {
        let text =
            fs::read_to_string(&log).with_context(|| format!("reading {}", log.display()))?;
        let kept: String = text
            .lines()
            .filter(|line| line.contains("\"held_out\""))
            .flat_map(|line| [line, "\n"])
            .collect();
        write_atomically(&out.join(METRICS), kept.as_bytes())?;
    }

    let mut state = saved::read_state(&newest)?;
    for (name, bytes) in &mut state.files {
        let path = out.join(name);
        let found = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        *bytes = found.len();
    }
    write_atomically(
        &out.join(TRAIN_STATE),
        serde_json::to_string_pretty(&state)?.as_bytes(),
    )?;
    outln!(
        "{}: step {} of {}",
        out.display(),
        state.step,
        run.display()
    );
    Ok(())
}

impl TrainConfig {
    /// Leaves the last part of every path.
    fn forget_folders(&mut self) {
        let name = |path: &str| {
            let last = Path::new(path).file_name();
            last.map_or_else(
                || path.to_owned(),
                |name| name.to_string_lossy().into_owned(),
            )
        };
        for path in self.data.iter_mut().chain(&mut self.held_out) {
            *path = name(path);
        }
        self.out = None;
    }
}
