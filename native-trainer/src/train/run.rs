//! The loop of a training run.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hrm_core::model::Burn;
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::train::held_out::Side;
use hrm_core::train::{Backend, Example, Host, Score, StepReport, TrainError, Trainer};
use hrm_core::weights::Weights;
use serde_json::json;

use super::args::TrainArgs;
use super::changes;
use super::config::TrainConfig;
use super::data::Set;
use super::feed::Feed;
use super::saved::{self, Folder, TrainState};
use super::signals::Stop;
use super::watch::{self, METRICS, Watch};
use crate::checkpoint::{Checkpoint, MODEL, write_atomically};
use crate::device::Devices;
use crate::paths::try_new_folder;

/// Trains a model as the arguments say.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    super::system::keep_buffers();
    super::system::survive_full_files();
    let start = Start::of(args)?;
    let (devices, plan) = (&start.devices, &start.plan);
    let settings = start.config.trainer(devices.cpu);
    // The CPU engine's own passes; several devices are burn's to share.
    if devices.cpu && devices.others.is_empty() {
        let host = Host::new(plan, &start.weights, &settings);
        let trainer = Trainer::new(Arc::clone(plan), host, settings);
        return train(args, start, trainer);
    }
    let all = std::iter::once(&devices.first).chain(&devices.others);
    let burn = Burn::new(plan, &start.weights, &settings, all.cloned().collect());
    let trainer = Trainer::new(Arc::clone(plan), burn, settings);
    train(args, start, trainer)
}

fn train<B: Backend>(args: &TrainArgs, start: Start, trainer: Trainer<B>) -> Result<()> {
    let mut run = Run::new(args, start, trainer)?;
    run.train()?;
    let stop = run.stop.clone();
    drop(run);
    stop.pass_on();
    Ok(())
}

/// What a run begins with.
struct Start {
    config: TrainConfig,
    /// The checkpoint that it goes on from.
    from: Option<PathBuf>,
    out: PathBuf,
    /// What differs from how it went until now.
    changed: Vec<String>,
    devices: Devices,
    plan: Arc<Plan>,
    weights: Weights,
    /// The puzzles to train on, where the model had to know them first.
    set: Option<Set>,
}

struct Run<B: Backend> {
    config: TrainConfig,
    folder: Folder,
    trainer: Trainer<B>,
    feed: Feed,
    /// The rows of the step being taken.
    batch: Vec<Example>,
    data: String,
    held_out: Option<Set>,
    /// The newest evaluation, and the step it is of.
    score: Option<(u64, Score)>,
    state: TrainState,
    watch: Watch,
    stop: Stop,
}

impl Start {
    fn of(args: &TrainArgs) -> Result<Self> {
        let from = args.resume().map(saved::find).transpose()?;
        let mut config = args.config(
            from.as_ref()
                .map(|dir| dir.join(saved::TRAIN_CONFIG))
                .as_deref(),
        )?;
        if let (Some(dir), false) = (&from, args.gives("out")) {
            // Where the run is now, wherever it began.
            let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
            config.out = Some(parent.unwrap_or(Path::new(".")).to_path_buf());
        }
        let Some(out) = config.out.clone() else {
            bail!("say where the run's checkpoints go: --out DIR");
        };
        try_new_folder("--out", &out).with_context(|| format!("creating {}", out.display()))?;
        let changed = match &from {
            Some(dir) => {
                let was = TrainArgs::as_saved(&dir.join(saved::TRAIN_CONFIG))?;
                changes::changed(&was, &config)
                    .with_context(|| format!("going on with {}", dir.display()))?
            }
            None => Vec::new(),
        };
        let devices = Devices::find(config.device, config.devices, config.precision.into())?;

        let mut set = None;
        let source = from.as_deref().or(config.init.as_deref());
        let (plan, weights) = match source {
            Some(dir) => {
                let Checkpoint { plan, weights } = Checkpoint::load(dir, None)?;
                let asked = config.overridden(plan.config.clone())?;
                if asked == plan.config {
                    ((*plan).clone(), weights)
                } else {
                    let other = Plan::new(&asked)?;
                    let bytes = weights.to_safetensors(&plan)?;
                    let weights = Weights::from_safetensors(&other, &bytes).with_context(|| {
                        format!(
                            "the architecture that is set does not fit the weights of {}",
                            dir.display()
                        )
                    })?;
                    (other, weights)
                }
            }
            None => {
                let mut model = config.model_config()?;
                let counted = config.architecture.contains_key(IDENTIFIERS);
                if matches!(model.puzzle, PuzzleKind::Arc(_)) && !counted {
                    // As many as the puzzles have.
                    let puzzles = training_set(&config, model.puzzle)?;
                    model.num_puzzle_identifiers = puzzles.rows.identifiers();
                    set = Some(puzzles);
                }
                let plan = Plan::new(&model)?;
                let weights = Weights::random(&plan, config.seed);
                (plan, weights)
            }
        };
        Ok(Self {
            config,
            from,
            out,
            changed,
            devices,
            plan: Arc::new(plan),
            weights,
            set,
        })
    }
}

/// The field of the architecture that says how many puzzle embeddings there
/// are.
const IDENTIFIERS: &str = "num_puzzle_identifiers";

/// The puzzles that a run trains on.
fn training_set(config: &TrainConfig, kind: PuzzleKind) -> Result<Set> {
    let reading = config.reading()?;
    let (rows, seed) = (config.generate_rows, config.seed);
    Set::load(&config.data, &reading, kind, rows, seed, Side::Training)
}

/// Refuses puzzles that have no row in a model's table of puzzle embeddings.
fn check_identifiers(plan: &Plan, option: &str, set: &Set) -> Result<()> {
    let Some(largest) = set.rows.identifiers().checked_sub(1) else {
        return Ok(());
    };
    match plan.no_identifier(largest) {
        None => Ok(()),
        Some(reason) => bail!("{option}: {reason}"),
    }
}

impl<B: Backend> Run<B> {
    fn new(args: &TrainArgs, start: Start, trainer: Trainer<B>) -> Result<Self> {
        let Start {
            mut config,
            from,
            out,
            mut changed,
            devices,
            plan,
            set,
            ..
        } = start;
        let shape = plan.config.puzzle;
        let mut trainer = trainer.with_method(config.method())?;
        let mut state = TrainState::default();
        if let Some(dir) = &from {
            state = TrainState {
                files: BTreeMap::new(),
                ..saved::read_state(dir)?
            };
            let path = dir.join(saved::OPTIMIZER);
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            trainer
                .load_state(&bytes)
                .with_context(|| format!("in {}", path.display()))?;
            if trainer.steps() != state.step {
                bail!(
                    "{}: {} is of step {}, {} of step {}",
                    dir.display(),
                    saved::OPTIMIZER,
                    trainer.steps(),
                    saved::TRAIN_STATE,
                    state.step
                );
            }
        } else if out.is_dir() && saved::find(&out).is_ok() {
            bail!(
                "{} already holds a run; go on with it by --resume, or choose another --out",
                out.display()
            );
        }

        let folder = Folder::open(&out, state.step)?;
        let reading = config.reading()?;
        let set = match set {
            Some(set) => set,
            None => training_set(&config, shape)?,
        };
        check_identifiers(&plan, "--data", &set)?;
        let held_out = match &config.held_out {
            Some(name) => {
                let name = std::slice::from_ref(name);
                let mut set = Set::load(
                    name,
                    &reading,
                    shape,
                    config.held_out_rows,
                    config.seed,
                    Side::HeldOut,
                )?;
                set.truncate(config.held_out_rows);
                check_identifiers(&plan, "--held-out", &set)?;
                Some(set)
            }
            None => None,
        };
        let data = set.description.clone();
        let metrics = open_metrics(&out.join(METRICS), state.step)?;
        changed.extend(changes::note_data(&mut state, &set, held_out.as_ref()));
        let stop = Stop::listen()?;
        let sampler = config.sampler(set.rows)?;
        config.count_epochs(sampler.groups());
        let mut watch = Watch::new(&out, metrics, !config.no_tensorboard, args.plain())?;
        for line in &changed {
            watch.say(&format!("changed: {line}"));
        }
        watch.say(&format!("training: {data}"));
        if let Some(set) = &held_out {
            watch.say(&format!("held out: {}", set.description));
        }
        watch.say(&format!(
            "model: {} parameters, {shape}; {}; step {}",
            trainer.plan().parameter_count(),
            devices.name,
            state.step
        ));
        Ok(Self {
            feed: Feed::start(sampler, config.batch_size, state.step)?,
            batch: Vec::new(),
            config,
            folder,
            trainer,
            data,
            held_out,
            score: None,
            state,
            watch,
            stop,
        })
    }

    fn train(&mut self) -> Result<()> {
        let begun = Instant::now();
        let before = self.state.seconds;
        let (mut evaluated, mut saved_at) = (Instant::now(), Instant::now());
        let mut window = Window::new();
        let mut ended = false;
        while !self.stop.asked() {
            self.state.seconds = before + begun.elapsed().as_secs_f64();
            if self
                .config
                .progress(self.state.step, self.state.seconds)
                .is_some_and(|done| done >= 1.0)
            {
                ended = true;
                break;
            }
            let factor = self.config.lr_factor(self.state.step, self.state.seconds);
            let longest = self.trainer.plan().config.halt_max_steps;
            let (step, seconds) = (self.state.step, self.state.seconds);
            self.trainer
                .set_depth(self.config.depth_at(step, seconds, longest));
            self.batch = self.feed.next()?;
            let batch = &self.batch;
            let report = match self.trainer.step(factor, |row| batch[row].clone()) {
                Ok(report) => report,
                Err(error) => return Err(self.stopped(error)),
            };
            self.state.step += 1;
            self.state.puzzles += report.started as u64;
            window.add(&report);
            if self.state.step.is_multiple_of(self.config.log_steps) {
                self.log(&window, factor)?;
                window = Window::new();
            }
            if evaluated.elapsed().as_secs_f64() > 60.0 * self.config.eval_minutes {
                let enough = self.evaluate()?;
                evaluated = Instant::now();
                self.feed.take_waited();
                window = Window::new();
                if enough {
                    self.watch.say(&format!(
                        "{} solved: that is enough",
                        percent(self.config.stop_at.unwrap_or(1.0))
                    ));
                    ended = true;
                    break;
                }
            }
            if self.config.checkpoint_due(self.state.step)
                || saved_at.elapsed().as_secs_f64() > 60.0 * self.config.checkpoint_minutes
            {
                self.save()?;
                saved_at = Instant::now();
            }
        }
        self.state.seconds = before + begun.elapsed().as_secs_f64();
        let dir = self.save()?;
        if !ended {
            self.watch.say("stopped by a signal; go on with --resume");
        }
        if ended
            && self
                .score
                .as_ref()
                .is_none_or(|(step, _)| *step != self.state.step)
        {
            self.evaluate()?;
            saved::write_card(&dir, &self.card())?;
        }
        let model = dir.join(MODEL);
        self.watch
            .say(&format!("step {}: {}", self.state.step, model.display()));
        Ok(())
    }

    fn card(&self) -> String {
        // An evaluation of an earlier step says nothing certain of this one.
        let score = self
            .score
            .as_ref()
            .filter(|(step, _)| *step == self.state.step)
            .map(|(_, score)| score);
        let held_out = self
            .held_out
            .as_ref()
            .map(|set| set.description.as_str())
            .zip(score);
        saved::card(
            &self.config,
            &self.trainer,
            &self.state,
            &self.data,
            held_out,
        )
    }

    fn save(&self) -> Result<PathBuf> {
        self.folder
            .write(&self.config, &self.trainer, &self.state, &self.card())
    }

    /// What to say of a step that failed, which left the trainer as before
    /// it. Of one that diverged everything is kept.
    fn stopped(&mut self, error: TrainError) -> anyhow::Error {
        let mut hints = Vec::new();
        if matches!(error, TrainError::Diverged { .. }) {
            match self.keep_diverged(&error) {
                Ok(dir) => hints.push(format!(
                    "weights, states and batch of that step are in {}",
                    dir.display()
                )),
                Err(error) => hints.push(format!("that step could not be kept: {error:#}")),
            }
        }
        if let Ok(dir) = saved::find(self.folder.path()) {
            hints.push(format!("the newest checkpoint is {}", dir.display()));
        }
        anyhow::Error::new(error).context(format!("training stopped; {}", hints.join("; ")))
    }

    fn keep_diverged(&mut self, error: &TrainError) -> Result<PathBuf> {
        let segments = self.trainer.row_segments();
        let rows: Vec<serde_json::Value> = self
            .trainer
            .row_halted()
            .iter()
            .copied()
            .enumerate()
            .map(|(row, fresh)| {
                let (segment, example) = if fresh {
                    (1, self.batch[row].clone())
                } else {
                    let carried = (*self.trainer.rows()[row]).clone();
                    (segments[row] + 1, carried)
                };
                let Example {
                    input,
                    label,
                    identifier,
                } = example;
                json!({"row": row, "segment": segment, "input": input, "label": label, "identifier": identifier})
            })
            .collect();
        let batch = json!({"step": self.state.step + 1, "error": error.to_string(), "rows": rows});
        self.folder.write_diverged(
            &self.config,
            &self.trainer,
            &self.state,
            serde_json::to_vec(&batch)?,
            &self.card(),
        )
    }

    fn log(&mut self, window: &Window, factor: f64) -> Result<()> {
        let mut m = window.sum.averaged(window.steps);
        let seconds = window.begun.elapsed().as_secs_f64();
        let rate = window.steps as f64 / seconds;
        let waited = self.feed.take_waited().as_secs_f64() / seconds.max(1e-9);
        let progress = self.config.progress(self.state.step, self.state.seconds);
        let left = progress
            .filter(|done| *done > 0.0)
            .map(|done| self.state.seconds * (1.0 / done - 1.0).max(0.0));
        self.watch.say(&format!(
            "step {:6}  loss {:.4}  cells {}  exact {}  q {}  {:.2} steps/s  {:.0} examples/s  eta {}",
            self.state.step,
            m.loss,
            percent(m.cell_accuracy),
            percent(m.exact_accuracy),
            percent(m.q_halt_accuracy),
            rate,
            rate * self.config.batch_size as f64,
            left.map_or_else(|| "-".to_owned(), watch::duration),
        ));
        let mut value = json!({
            "kind": "train", "step": self.state.step, "seconds": self.state.seconds, "puzzles": self.state.puzzles,
            "lr_factor": factor, "finished": m.finished, "finished_right": m.finished_right, "steps_per_second": rate,
            "data_wait": waited, "progress": progress, "seconds_left": left,
        });
        for (name, of) in StepReport::MEANS {
            value[name] = json!(*of(&mut m));
        }
        self.watch.record(&value)
    }

    /// Evaluates on the held-out puzzles; whether that was enough to stop.
    fn evaluate(&mut self) -> Result<bool> {
        let Some(set) = &self.held_out else {
            return Ok(false);
        };
        let begun = Instant::now();
        let score = Score::of(&self.trainer, &set.rows, self.config.batch_size)?;
        let accuracy = score.accuracy();
        let line = format!(
            "step {:6}  held out: {} of {} solved, {} ({} to {}); cells {}; q {}; after 1, 2, 4, 8 segments {}",
            self.state.step,
            score.right(),
            score.puzzles,
            percent(accuracy.value),
            percent(accuracy.low),
            percent(accuracy.high),
            percent(score.cells),
            percent(score.q_accuracy),
            [0, 1, 3, 7]
                .iter()
                .filter_map(|&i| score.solved.get(i))
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        );
        let value = json!({
            "kind": "held_out", "step": self.state.step, "seconds": self.state.seconds, "score": score,
            "accuracy": accuracy.value, "interval": [accuracy.low, accuracy.high], "took": begun.elapsed().as_secs_f64(),
        });
        let enough = self
            .config
            .stop_at
            .is_some_and(|wanted| accuracy.value >= wanted);
        self.score = Some((self.state.step, score));
        self.watch.say(&line);
        self.watch.record(&value)?;
        Ok(enough)
    }
}

/// Opens the measurements of a run that has done `step` steps: without the
/// lines of steps that a kill has undone, nor one that it cut short.
fn open_metrics(path: &Path, step: u64) -> Result<File> {
    let named = || format!("writing {}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(named),
    };
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| {
            let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
            let of = value.and_then(|value| value.get("step")?.as_u64());
            line.ends_with('\n') && of.is_some_and(|of| of <= step)
        })
        .collect();
    if kept != text {
        write_atomically(path, kept.as_bytes())?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(named)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Sums of the steps since the last line of progress.
struct Window {
    begun: Instant,
    steps: u64,
    sum: StepReport,
}

impl Window {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            steps: 0,
            sum: StepReport::default(),
        }
    }

    fn add(&mut self, report: &StepReport) {
        self.steps += 1;
        self.sum.add(report);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn train(out: &std::path::Path, more: &[&str]) -> Result<()> {
        let fixed = "train --device cpu --threads 1 --log-steps 2 --held-out-rows 4 --generate-rows 12 --batch-size 4 --hints 0.5";
        let out = out.to_str().unwrap();
        let args = fixed
            .split(' ')
            .chain(["--out", out])
            .chain(more.iter().copied());
        run(&Cli::try_parse_from(args).unwrap().args)
    }

    const NEW: [&str; 6] = [
        "--preset",
        "hrm-4x4",
        "--data",
        "generate:sudoku-4x4",
        "--held-out",
        "generate:sudoku-4x4",
    ];

    #[test]
    fn a_run_goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        train(&whole, &[&NEW[..], &["--steps", "6"]].concat()).unwrap();
        train(&parts, &[&NEW[..], &["--steps", "3"]].concat()).unwrap();
        let again = train(&parts, &NEW).unwrap_err().to_string();
        assert!(again.contains("--resume"), "{again}");
        train(
            &parts,
            &["--steps", "6", "--resume", parts.to_str().unwrap()],
        )
        .unwrap();
        for file in [MODEL, saved::OPTIMIZER] {
            let read =
                |out: &std::path::Path| fs::read(out.join("step-00000006").join(file)).unwrap();
            assert!(read(&whole) == read(&parts), "{file} differs");
        }
        let card = fs::read_to_string(parts.join("step-00000006").join("README.md")).unwrap();
        assert!(
            card.contains("of 4 solved") && card.contains("Wilson"),
            "{card}"
        );
        let metrics = fs::read_to_string(parts.join(METRICS)).unwrap();
        assert!(
            metrics
                .lines()
                .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        );
        // The checkpoint is one that every other command reads.
        let checkpoint = Checkpoint::load(&parts.join("step-00000006"), None).unwrap();
        assert_eq!(checkpoint.plan.config.seq_len, 16);
    }

    #[test]
    fn a_damaged_checkpoint_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run");
        train(&out, &[&NEW[..], &["--steps", "1"]].concat()).unwrap();
        let path = out.join("step-00000001").join(saved::OPTIMIZER);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = train(&out, &["--steps", "2", "--resume", out.to_str().unwrap()]).unwrap_err();
        assert!(
            format!("{error:#}").contains("optimizer.safetensors"),
            "{error:#}"
        );
    }
}
