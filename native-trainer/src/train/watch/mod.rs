//! What a run tells while it goes on: measurements in files, and a screen.

mod screen;
mod tensorboard;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use screen::Screen;
pub(super) use screen::duration;
use tensorboard::EventFile;

/// Name of the run's measurements, one JSON object a line.
pub(super) const METRICS: &str = "metrics.jsonl";

/// Where measurements go: each is one line of JSON, a set of TensorBoard scalars under
/// the same names, and a new state of the screen.
pub(super) struct Watch {
    path: PathBuf,
    metrics: File,
    events: Option<EventFile>,
    screen: Screen,
}

impl Watch {
    /// Writes to `metrics`, the file [`METRICS`] of the run directory `out`; `events`:
    /// whether to TensorBoard too; `plain`: lines even on a terminal.
    pub(super) fn new(out: &Path, metrics: File, events: bool, plain: bool) -> Result<Self> {
        Ok(Self {
            path: out.join(METRICS),
            metrics,
            events: events.then(|| EventFile::create(out)).transpose()?,
            screen: if plain {
                Screen::lines()
            } else {
                Screen::of_stdout()
            },
        })
    }

    /// Shows a line.
    pub(super) fn say(&mut self, line: &str) {
        self.screen.say(line);
    }

    /// Keeps a measurement, an object with `kind` and `step`.
    pub(super) fn record(&mut self, value: &Value) -> Result<()> {
        // In one piece, so that a full disk cuts no line unseen.
        self.metrics
            .write_all(format!("{value}\n").as_bytes())
            .with_context(|| format!("writing {}", self.path.display()))?;
        if let Some(events) = &mut self.events {
            let step = value["step"].as_u64().unwrap_or_default();
            events.write(step, &scalars(value))?;
        }
        self.screen.update(value);
        Ok(())
    }
}

/// The numbers of a measurement by name: `train/loss`, `held_out/accuracy`,
/// `held_out/solved_after/04`.
fn scalars(value: &Value) -> Vec<(String, f64)> {
    let kind = value["kind"].as_str().unwrap_or("run");
    let mut scalars = Vec::new();
    for (name, field) in value.as_object().into_iter().flatten() {
        match field {
            _ if name == "step" => {}
            Value::Number(number) => {
                scalars.extend(number.as_f64().map(|x| (format!("{kind}/{name}"), x)));
            }
            _ => {}
        }
    }
    let score = &value["score"];
    if let (Some(solved), Some(puzzles)) = (score["solved"].as_array(), score["puzzles"].as_f64()) {
        for (i, count) in solved.iter().enumerate() {
            let share = count.as_f64().unwrap_or_default() / puzzles.max(1.0);
            scalars.push((format!("{kind}/solved_after/{:02}", i + 1), share));
        }
    }
    scalars
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn measurements_reach_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = File::create(dir.path().join(METRICS)).unwrap();
        let mut watch = Watch::new(dir.path(), metrics, true, true).unwrap();
        let train = json!({"kind": "train", "step": 5, "loss": 0.5});
        let score = json!({"solved": [1, 3], "puzzles": 4});
        let held_out = json!({"kind": "held_out", "step": 5, "accuracy": 0.75, "score": score});
        watch.record(&train).unwrap();
        watch.record(&held_out).unwrap();
        drop(watch);
        let text = std::fs::read_to_string(dir.path().join(METRICS)).unwrap();
        assert_eq!(text, format!("{train}\n{held_out}\n"));
        assert_eq!(
            scalars(&held_out),
            [
                ("held_out/accuracy".to_owned(), 0.75),
                ("held_out/solved_after/01".to_owned(), 0.25),
                ("held_out/solved_after/02".to_owned(), 0.75),
            ]
        );
        let events = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().contains("tfevents"))
            .unwrap();
        let bytes = std::fs::read(events).unwrap();
        let tag = b"held_out/solved_after/02";
        assert!(bytes.windows(tag.len()).any(|part| part == tag));
    }
}
