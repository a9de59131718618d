//! The loop of a training run.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hrm_core::model::{Device, StepReport, Trainer};
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::config::{TrainArgs, TrainConfig};
use super::data::{Sampler, Set, Side};
use super::saved::{self, TrainState};
use super::score::Score;
use crate::checkpoint::{Checkpoint, MODEL};

/// Name of the run's measurements, one JSON object a line.
const METRICS: &str = "metrics.jsonl";

/// Trains a model as the arguments say.
pub(crate) fn run(args: &TrainArgs, device: &Device) -> Result<()> {
    super::allocator::keep_buffers();
    Run::start(args, device)?.train()
}

struct Run {
    config: TrainConfig,
    out: PathBuf,
    trainer: Trainer,
    sampler: Sampler,
    data: String,
    held_out: Option<Set>,
    /// The newest evaluation, and the step it is of.
    score: Option<(u64, Score)>,
    state: TrainState,
    metrics: File,
    stop: Arc<AtomicBool>,
}

impl Run {
    fn start(args: &TrainArgs, device: &Device) -> Result<Self> {
        let from = args.resume().map(saved::find).transpose()?;
        let config = args.config(
            from.as_ref()
                .map(|dir| dir.join(saved::TRAIN_CONFIG))
                .as_deref(),
        )?;
        let Some(out) = config.out.clone() else {
            bail!("say where the run's checkpoints go: --out DIR");
        };

        let source = from.as_deref().or(config.init.as_deref());
        let (plan, weights) = match source {
            Some(dir) => {
                let checkpoint = Checkpoint::load(dir, None)?;
                ((*checkpoint.plan).clone(), checkpoint.weights)
            }
            None => {
                let plan = Plan::new(&config.model_config()?)?;
                let weights = Weights::random(&plan, config.seed);
                (plan, weights)
            }
        };
        let shape = plan.config.puzzle;
        let mut trainer = Trainer::new(plan, &weights, config.trainer(), device.clone());
        let mut state = TrainState {
            step: 0,
            puzzles: 0,
            seconds: 0.0,
        };
        if let Some(dir) = &from {
            state = saved::read_state(dir)?;
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

        fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
        let set = Set::load(
            &config.data,
            shape,
            config.generate_rows,
            config.seed,
            Side::Training,
        )?;
        let held_out = match &config.held_out {
            Some(name) => {
                let name = std::slice::from_ref(name);
                let mut set = Set::load(
                    name,
                    shape,
                    config.held_out_rows,
                    config.seed,
                    Side::HeldOut,
                )?;
                set.truncate(config.held_out_rows);
                Some(set)
            }
            None => None,
        };
        let data = set.description.clone();
        let path = out.join(METRICS);
        let metrics = OpenOptions::new().create(true).append(true).open(&path);
        let metrics = metrics.with_context(|| format!("opening {}", path.display()))?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // A second signal ends the process the hard way.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        println!("training: {data}");
        if let Some(set) = &held_out {
            println!("held out: {}", set.description);
        }
        println!(
            "model: {} parameters, {shape}; step {}",
            trainer.plan().parameter_count(),
            state.step
        );
        let sampler = Sampler::new(set, config.seed, !config.no_augment, config.hints)?;
        Ok(Self {
            config,
            out,
            trainer,
            sampler,
            data,
            held_out,
            score: None,
            state,
            metrics,
            stop,
        })
    }

    fn train(&mut self) -> Result<()> {
        let begun = Instant::now();
        let before = self.state.seconds;
        let (mut evaluated, mut saved_at) = (Instant::now(), Instant::now());
        let mut window = Window::new();
        let mut ended = false;
        while !self.stop.load(Ordering::Relaxed) {
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
            let first = self.state.step * self.config.batch_size as u64;
            let sampler = &mut self.sampler;
            let report = match self
                .trainer
                .step(factor, |row| sampler.draw(first + row as u64))
            {
                Ok(report) => report,
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "training stopped; the newest checkpoint is in {}",
                            self.out.display()
                        )
                    });
                }
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
                window = Window::new();
                if enough {
                    println!(
                        "{} solved: that is enough",
                        percent(self.config.stop_at.unwrap_or(1.0))
                    );
                    ended = true;
                    break;
                }
            }
            if saved_at.elapsed().as_secs_f64() > 60.0 * self.config.checkpoint_minutes {
                self.save()?;
                saved_at = Instant::now();
            }
        }
        self.state.seconds = before + begun.elapsed().as_secs_f64();
        let dir = self.save()?;
        if ended
            && self
                .score
                .as_ref()
                .is_none_or(|(step, _)| *step != self.state.step)
        {
            self.evaluate()?;
            saved::write_card(&dir, &self.card())?;
        }
        println!("step {}: {}", self.state.step, dir.join(MODEL).display());
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
        saved::write(
            &self.out,
            &self.config,
            &self.trainer,
            &self.state,
            &self.card(),
        )
    }

    fn record(&mut self, value: &serde_json::Value) -> Result<()> {
        writeln!(self.metrics, "{value}").with_context(|| format!("writing {METRICS}"))
    }

    fn log(&mut self, window: &Window, factor: f64) -> Result<()> {
        let m = window.mean();
        let seconds = window.begun.elapsed().as_secs_f64();
        let rate = window.steps as f64 / seconds;
        let left = match self.config.progress(self.state.step, self.state.seconds) {
            Some(done) if done > 0.0 => {
                format!("{:.0} min", self.state.seconds * (1.0 / done - 1.0) / 60.0)
            }
            _ => "-".to_owned(),
        };
        println!(
            "step {:6}  loss {:.4}  cells {}  exact {}  q {}  {:.2} steps/s  {:.0} examples/s  eta {left}",
            self.state.step,
            m.loss,
            percent(m.cell_accuracy),
            percent(m.exact_accuracy),
            percent(m.q_halt_accuracy),
            rate,
            rate * self.config.batch_size as f64,
        );
        let value = json!({
            "kind": "train", "step": self.state.step, "seconds": self.state.seconds, "puzzles": self.state.puzzles,
            "lr_factor": factor, "loss": m.loss, "cell_loss": m.cell_loss, "q_halt_loss": m.q_halt_loss,
            "q_continue_loss": m.q_continue_loss, "cell_accuracy": m.cell_accuracy,
            "exact_accuracy": m.exact_accuracy, "q_halt_accuracy": m.q_halt_accuracy, "segments": m.segments,
            "finished": window.finished, "finished_right": window.finished_right, "steps_per_second": rate,
        });
        self.record(&value)
    }

    /// Evaluates on the held-out puzzles; whether that was enough to stop.
    fn evaluate(&mut self) -> Result<bool> {
        let Some(set) = &self.held_out else {
            return Ok(false);
        };
        let begun = Instant::now();
        let plan = self.trainer.plan();
        let score = Score::of(
            plan,
            self.trainer.averaged(),
            set,
            self.config.batch_size,
            self.trainer.device(),
        )?;
        let (low, high) = score.interval();
        println!(
            "step {:6}  held out: {} of {} solved, {} ({} to {}); cells {}; q {}; after 1, 2, 4, 8 segments {}",
            self.state.step,
            score.right(),
            score.puzzles,
            percent(score.accuracy()),
            percent(low),
            percent(high),
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
            "accuracy": score.accuracy(), "interval": [low, high], "took": begun.elapsed().as_secs_f64(),
        });
        let enough = self
            .config
            .stop_at
            .is_some_and(|wanted| score.accuracy() >= wanted);
        self.score = Some((self.state.step, score));
        self.record(&value)?;
        Ok(enough)
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Sums of the steps since the last line of progress.
struct Window {
    begun: Instant,
    steps: u64,
    sum: StepReport,
    finished: usize,
    finished_right: usize,
}

impl Window {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            steps: 0,
            sum: StepReport::default(),
            finished: 0,
            finished_right: 0,
        }
    }

    fn add(&mut self, report: &StepReport) {
        self.steps += 1;
        self.finished += report.finished;
        self.finished_right += report.finished_right;
        let (sum, r) = (&mut self.sum, report);
        for (total, value) in [
            (&mut sum.cell_loss, r.cell_loss),
            (&mut sum.q_halt_loss, r.q_halt_loss),
            (&mut sum.q_continue_loss, r.q_continue_loss),
            (&mut sum.loss, r.loss),
            (&mut sum.cell_accuracy, r.cell_accuracy),
            (&mut sum.exact_accuracy, r.exact_accuracy),
            (&mut sum.q_halt_accuracy, r.q_halt_accuracy),
            (&mut sum.segments, r.segments),
        ] {
            *total += value;
        }
    }

    fn mean(&self) -> StepReport {
        let n = self.steps.max(1) as f64;
        let s = &self.sum;
        StepReport {
            cell_loss: s.cell_loss / n,
            q_halt_loss: s.q_halt_loss / n,
            q_continue_loss: s.q_continue_loss / n,
            loss: s.loss / n,
            cell_accuracy: s.cell_accuracy / n,
            exact_accuracy: s.exact_accuracy / n,
            q_halt_accuracy: s.q_halt_accuracy / n,
            segments: s.segments / n,
            ..StepReport::default()
        }
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
        let fixed = "train --threads 1 --log-steps 2 --held-out-rows 4 --generate-rows 12 --batch-size 4 --hints 0.5";
        let out = out.to_str().unwrap();
        let args = fixed
            .split(' ')
            .chain(["--out", out])
            .chain(more.iter().copied());
        run(&Cli::try_parse_from(args).unwrap().args, &Device::flex())
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
