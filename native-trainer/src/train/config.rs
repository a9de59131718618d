//! The one description of a run: command-line arguments and saved file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use hrm_core::config::ModelConfig;
use hrm_core::model::{AdamSettings, LossKind, OptimizerKind, OptimizerSettings, TrainerSettings};
use serde::{Deserialize, Serialize};

/// The loss of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Loss {
    /// Stablemax cross entropy (HRM).
    Stablemax,
    /// Softmax cross entropy.
    Softmax,
}

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// AdamATan2 (HRM).
    AdamAtan2,
    /// Muon on the modules' matrices, AdamW on the rest.
    Muon,
}

/// How the learning rate goes on after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Schedule {
    /// Stays as it is.
    Constant,
    /// Falls linearly to 2 % over the last `--decay-share` of the run.
    Linear,
}

/// Everything that defines a run. A TOML file with the same names (with
/// underscores) can be given with `--config`; arguments come before it.
#[derive(Debug, Clone, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainConfig {
    /// Directory of the run: checkpoints `step-N`, `latest`, metrics.jsonl
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) out: Option<PathBuf>,
    /// Architecture by name
    #[arg(long, default_value = "hrm")]
    pub(crate) preset: String,
    /// Architecture from a JSON file instead of a preset
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<PathBuf>,
    /// Start from the weights of this checkpoint directory (its architecture too)
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) init: Option<PathBuf>,

    /// Training puzzles: CSV files (question,answer or source,question,answer,rating; .gz too),
    /// or `generate:sudoku-6x6` for minimal puzzles of the project's own generator
    #[arg(long, num_args = 1..)]
    #[serde(default)]
    pub(crate) data: Vec<String>,
    /// Held-out puzzles to evaluate on, likewise; `generate:` sets are split from the training
    /// set by mathematical equivalence
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_out: Option<String>,
    /// Puzzles of a generated training set
    #[arg(long, default_value_t = 20_000)]
    pub(crate) generate_rows: usize,
    /// Held-out puzzles to use at most
    #[arg(long, default_value_t = 500)]
    pub(crate) held_out_rows: usize,
    /// Train on the puzzles as they are, without random symmetries
    #[arg(long)]
    #[serde(default)]
    pub(crate) no_augment: bool,
    /// Share of the training puzzles that get a random number of hints
    #[arg(long, default_value_t = 0.0)]
    pub(crate) hints: f64,

    /// Steps to train for (without it or --minutes: until stopped)
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<u64>,
    /// Minutes to train for
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minutes: Option<f64>,
    /// Puzzles trained on at a time
    #[arg(long, default_value_t = 768)]
    pub(crate) batch_size: usize,
    /// Parts of a batch that are computed at the same time (0: one for each core)
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
    /// Seed of the initial weights, the data's order and symmetries, and exploration
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// Loss of a cell
    #[arg(long, value_enum, default_value_t = Loss::Stablemax)]
    pub(crate) loss: Loss,
    /// Weight of the halting losses
    #[arg(long, default_value_t = 0.5)]
    pub(crate) q_weight: f64,
    /// Optimiser
    #[arg(long, value_enum, default_value_t = Rule::AdamAtan2)]
    pub(crate) optimizer: Rule,
    /// Learning rate (AdamATan2, or AdamW beside Muon)
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) lr: f64,
    /// Decoupled weight decay of the same
    #[arg(long, default_value_t = 1.0)]
    pub(crate) weight_decay: f64,
    /// Decay of the first moment
    #[arg(long, default_value_t = 0.9)]
    pub(crate) beta1: f64,
    /// Decay of the second moment
    #[arg(long, default_value_t = 0.95)]
    pub(crate) beta2: f64,
    /// Learning rate of Muon
    #[arg(long, default_value_t = 0.02)]
    pub(crate) muon_lr: f64,
    /// Decoupled weight decay of Muon
    #[arg(long, default_value_t = 0.005)]
    pub(crate) muon_weight_decay: f64,
    /// Momentum of Muon
    #[arg(long, default_value_t = 0.95)]
    pub(crate) muon_momentum: f64,
    /// Learning rate of the puzzle embedding
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) puzzle_emb_lr: f64,
    /// Decoupled weight decay of the puzzle embedding
    #[arg(long, default_value_t = 1.0)]
    pub(crate) puzzle_emb_weight_decay: f64,
    /// Steps of linear warm-up
    #[arg(long, default_value_t = 2000)]
    pub(crate) warmup: u64,
    /// Learning rate after the warm-up
    #[arg(long, value_enum, default_value_t = Schedule::Constant)]
    pub(crate) schedule: Schedule,
    /// Last share of the run over which a linear schedule falls
    #[arg(long, default_value_t = 0.4)]
    pub(crate) decay_share: f64,
    /// Decay of the weights' moving average; 0 for none
    #[arg(long, default_value_t = 0.999)]
    pub(crate) ema: f64,

    /// Steps between two lines of progress
    #[arg(long, default_value_t = 50)]
    pub(crate) log_steps: u64,
    /// Minutes between two evaluations
    #[arg(long, default_value_t = 10.0)]
    pub(crate) eval_minutes: f64,
    /// Minutes between two checkpoints
    #[arg(long, default_value_t = 10.0)]
    pub(crate) checkpoint_minutes: f64,
    /// Checkpoints to keep
    #[arg(long, default_value_t = 2)]
    pub(crate) keep: usize,
    /// Stop once this share of the held-out puzzles is solved
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop_at: Option<f64>,
}

/// Arguments of `hrm train`.
#[derive(Debug, Clone)]
pub(crate) struct TrainArgs {
    config: TrainConfig,
    file: Option<PathBuf>,
    resume: Option<PathBuf>,
    /// Fields given on the command line, which come before those of a file.
    given: HashSet<String>,
}

// What no saved configuration holds. Its description is the subcommand's, as
// it is added last.
/// Train a model. Checkpoints and a signal to stop leave everything that
/// `--resume` needs to go on.
#[derive(Debug, Args)]
struct Sources {
    /// Read the run's configuration from a TOML file
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on with a run: its directory, or one of its checkpoints
    #[arg(long, conflicts_with_all = ["init", "model", "config"])]
    resume: Option<PathBuf>,
}

impl Args for TrainArgs {
    fn augment_args(command: Command) -> Command {
        Sources::augment_args(TrainConfig::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TrainArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let sources = Sources::from_arg_matches(matches)?;
        let given =
            |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        Ok(Self {
            config: TrainConfig::from_arg_matches(matches)?,
            file: sources.config,
            resume: sources.resume,
            given: matches
                .ids()
                .filter(given)
                .map(ToString::to_string)
                .collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl TrainArgs {
    /// The directory given with `--resume`.
    pub(crate) fn resume(&self) -> Option<&Path> {
        self.resume.as_deref()
    }

    /// The run's configuration: what the command line says, then `--config`
    /// or `saved` (the file of the run that goes on), then the defaults.
    pub(crate) fn config(&self, saved: Option<&Path>) -> Result<TrainConfig> {
        let Some(path) = saved.or(self.file.as_deref()) else {
            self.config.check()?;
            return Ok(self.config.clone());
        };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let named = || format!("in {}", path.display());
        let mut merged = toml::Table::try_from(&self.config)?;
        for (key, value) in text.parse::<toml::Table>().with_context(named)? {
            if !self.given.contains(&key) {
                merged.insert(key, value);
            }
        }
        let config: TrainConfig = merged.try_into().with_context(named)?;
        config.check().with_context(named)?;
        Ok(config)
    }
}

impl TrainConfig {
    fn check(&self) -> Result<()> {
        let share = |name: &str, value: f64| {
            if (0.0..=1.0).contains(&value) {
                Ok(())
            } else {
                bail!("--{name} is {value}, must be in [0, 1]")
            }
        };
        share("hints", self.hints)?;
        share("ema", self.ema)?;
        share("decay-share", self.decay_share)?;
        share("stop-at", self.stop_at.unwrap_or(0.0))?;
        let rates = [
            ("lr", self.lr),
            ("muon-lr", self.muon_lr),
            ("puzzle-emb-lr", self.puzzle_emb_lr),
            ("weight-decay", self.weight_decay),
            ("q-weight", self.q_weight),
            ("minutes", self.minutes.unwrap_or(0.0)),
        ];
        for (name, value) in rates {
            if !(value >= 0.0 && value.is_finite()) {
                bail!("--{name} is {value}, must be a number from 0 up");
            }
        }
        for (name, value) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("muon-momentum", self.muon_momentum),
        ] {
            if !(0.0..1.0).contains(&value) {
                bail!("--{name} is {value}, must be in [0, 1)");
            }
        }
        if self.batch_size == 0 || self.log_steps == 0 || self.keep == 0 {
            bail!("--batch-size, --log-steps and --keep must be at least 1");
        }
        if self.data.is_empty() {
            bail!("no training data: give --data FILE.csv or --data generate:sudoku-4x4");
        }
        Ok(())
    }

    /// The architecture that the configuration names.
    pub(crate) fn model_config(&self) -> Result<ModelConfig> {
        Ok(match &self.model {
            Some(path) => crate::checkpoint::read_plan(path)?.config.clone(),
            None => ModelConfig::preset(&self.preset)?,
        })
    }

    /// What the trainer needs to know.
    pub(crate) fn trainer(&self) -> TrainerSettings {
        TrainerSettings {
            batch_size: self.batch_size,
            threads: match self.threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                n => n,
            },
            loss: match self.loss {
                Loss::Stablemax => LossKind::Stablemax,
                Loss::Softmax => LossKind::Softmax,
            },
            q_weight: self.q_weight,
            ema: (self.ema > 0.0).then_some(self.ema),
            optimizer: OptimizerSettings {
                kind: match self.optimizer {
                    Rule::AdamAtan2 => OptimizerKind::AdamAtan2,
                    Rule::Muon => OptimizerKind::Muon,
                },
                adam: AdamSettings {
                    lr: self.lr,
                    weight_decay: self.weight_decay,
                    beta1: self.beta1,
                    beta2: self.beta2,
                },
                muon_lr: self.muon_lr,
                muon_weight_decay: self.muon_weight_decay,
                muon_momentum: self.muon_momentum,
                puzzle_emb_lr: self.puzzle_emb_lr,
                puzzle_emb_weight_decay: self.puzzle_emb_weight_decay,
            },
            seed: self.seed,
        }
    }

    /// Share of the run that is done, by steps or by time, whichever is
    /// further; none for a run without an end.
    pub(crate) fn progress(&self, step: u64, seconds: f64) -> Option<f64> {
        let by_steps = self.steps.map(|steps| {
            if step < steps {
                step as f64 / steps as f64
            } else {
                1.0
            }
        });
        let by_time = self
            .minutes
            .map(|minutes| seconds / (minutes * 60.0).max(1e-9));
        match (by_steps, by_time) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }

    /// Factor on every learning rate at `step`, counted from 0.
    pub(crate) fn lr_factor(&self, step: u64, seconds: f64) -> f64 {
        let warm = if self.warmup == 0 {
            1.0
        } else {
            ((step + 1) as f64 / self.warmup as f64).min(1.0)
        };
        let fallen = match (self.schedule, self.progress(step, seconds)) {
            (Schedule::Linear, Some(done)) if self.decay_share > 0.0 => {
                let left = ((1.0 - done) / self.decay_share).clamp(0.0, 1.0);
                0.02 + 0.98 * left
            }
            _ => 1.0,
        };
        warm * fallen
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

    fn parse(args: &[&str]) -> TrainArgs {
        Cli::try_parse_from(std::iter::once(&"train").chain(args))
            .unwrap()
            .args
    }

    #[test]
    fn arguments_come_before_the_file_and_the_file_before_defaults() {
        let dir = std::env::temp_dir().join(format!("hrm-train-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("train.toml");
        std::fs::write(
            &path,
            "data = [\"generate:sudoku-4x4\"]\nlr = 0.5\nwarmup = 7\n",
        )
        .unwrap();
        let file = path.to_str().unwrap();
        let config = parse(&["--config", file, "--lr", "0.25"])
            .config(None)
            .unwrap();
        assert_eq!(
            (config.lr, config.warmup, config.batch_size),
            (0.25, 7, 768)
        );

        std::fs::write(&path, "data = [\"x.csv\"]\nlearning_rate = 1\n").unwrap();
        let error = format!("{:#}", parse(&["--config", file]).config(None).unwrap_err());
        assert!(
            error.contains("learning_rate") && error.contains("train.toml"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_saved_configuration_reads_back_as_it_was() {
        let args = parse(&[
            "--data",
            "a.csv",
            "b.csv",
            "--minutes",
            "3",
            "--optimizer",
            "muon",
            "--no-augment",
        ]);
        let config = args.config(None).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);
    }

    #[test]
    fn the_rate_warms_up_holds_and_falls() {
        let args = [
            "--data",
            "a.csv",
            "--steps",
            "1000",
            "--warmup",
            "10",
            "--schedule",
            "linear",
        ];
        let config = parse(&args).config(None).unwrap();
        assert!((config.lr_factor(0, 0.0) - 0.1).abs() < 1e-12);
        assert!((config.lr_factor(300, 0.0) - 1.0).abs() < 1e-12);
        assert!((config.lr_factor(800, 0.0) - 0.51).abs() < 1e-12);
        assert!((config.lr_factor(1000, 0.0) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn impossible_settings_are_named() {
        for (args, named) in [
            (vec!["--data", "a.csv", "--hints", "2"], "hints"),
            (vec!["--data", "a.csv", "--batch-size", "0"], "batch-size"),
            (vec![], "--data"),
        ] {
            let error = parse(&args).config(None).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
