//! The one description of a run: command-line arguments and saved file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use hrm_core::train::{
    AdamSettings, LossKind, OptimizerKind, OptimizerSettings, Precision, Rows, Sampler,
    TrainerSettings, TrainingMethod, Variation,
};
use serde::{Deserialize, Serialize};

use super::data::Reading;
use crate::engine::Device;

/// The loss of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Loss {
    /// Stablemax cross entropy (HRM).
    Stablemax,
    /// Softmax cross entropy.
    Softmax,
}

/// The segments whose answers are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Supervision {
    /// Every segment, one a step, until the model halts (HRM).
    #[default]
    Every,
    /// The last of `--depth` segments, the others without gradient (RSM).
    Last,
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
    /// Falls linearly to `--lr-floor` over the last `--decay-share` of the run.
    Linear,
    /// Falls to `--lr-floor` along half a cosine, from the warm-up's end on.
    Cosine,
}

/// The arithmetic of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arithmetic {
    /// f32 throughout.
    F32,
    /// bf16, with weights, norms and losses in f32.
    Bf16,
}

impl From<Arithmetic> for Precision {
    fn from(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::F32 => Self::F32,
            Arithmetic::Bf16 => Self::Bf16,
        }
    }
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
    /// Start from the weights of this checkpoint directory (its architecture
    /// too, but for what is set and does not change the weights' shapes)
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
    /// Columns of the puzzle files, by name or by number, where they are not found by
    /// themselves: `quizzes,solutions`, `2,3`, `question=a,rating=b`
    #[arg(long, value_name = "NAMES")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) columns: Option<String>,
    /// Report lines of the puzzle files that are no puzzle, count them and go on, instead
    /// of stopping at the first
    #[arg(long)]
    #[serde(default)]
    pub(crate) skip_bad: bool,
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
    /// Share of the training puzzles that get a random number of hints (the paper's data
    /// mixing: 0.5)
    #[arg(long, default_value_t = 0.0)]
    pub(crate) hints: f64,
    /// Rewritings of each training puzzle, the same ones in every epoch, as `hrm data
    /// --augment` writes them (the paper's: 1000); 0 for a new one each time
    #[arg(long, default_value_t = 0)]
    #[serde(default)]
    pub(crate) copies: u32,
    /// Rows of the training files that are one puzzle's copies and stand together; an epoch
    /// draws one of them
    #[arg(long, default_value_t = 1)]
    #[serde(default = "one")]
    pub(crate) group_rows: usize,

    /// Steps to train for (without it or --minutes: until stopped)
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<u64>,
    /// Epochs to train for; in one, as many rows are drawn as there are training puzzles
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) epochs: Option<u64>,
    /// The steps that `epochs` come to, once the training set is known.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) epoch_steps: Option<u64>,
    /// Minutes to train for
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minutes: Option<f64>,
    /// Puzzles trained on at a time
    #[arg(long, default_value_t = 768)]
    pub(crate) batch_size: usize,
    /// Parts of a batch that each device computes at the same time (0: the cores shared out
    /// among CPU devices, 1 on a GPU)
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
    /// What to train on
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    #[serde(default)]
    pub(crate) device: Device,
    /// Devices to divide every batch among
    #[arg(long, default_value_t = 1)]
    pub(crate) devices: usize,
    /// Arithmetic of the model's passes
    #[arg(long, value_enum, default_value_t = Arithmetic::F32)]
    pub(crate) precision: Arithmetic,
    /// Seed of the initial weights, the data's order and symmetries, and exploration
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// Loss of a cell
    #[arg(long, value_enum, default_value_t = Loss::Stablemax)]
    pub(crate) loss: Loss,
    /// Weight of the halting losses
    #[arg(long, default_value_t = 0.5)]
    pub(crate) q_weight: f64,
    /// Segments whose answers are trained
    #[arg(long, value_enum, default_value_t = Supervision::Every)]
    #[serde(default)]
    pub(crate) supervision: Supervision,
    /// Segments of a step with `--supervision last` at the end of the run; without it the
    /// architecture's halt_max_steps
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) depth: Option<usize>,
    /// Segments of such a step at the beginning of the run, from which they grow one by one;
    /// without it they are `--depth` throughout
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) depth_start: Option<usize>,
    /// First share of the run over which they grow
    #[arg(long, default_value_t = 0.85)]
    #[serde(default = "depth_share")]
    pub(crate) depth_share: f64,
    /// Standard deviation of Gaussian noise added to every state at every update (EqR: 0.01)
    #[arg(long, default_value_t = 0.0)]
    #[serde(default)]
    pub(crate) update_noise: f64,
    /// Share of the puzzles that begin with a corrupted solution as the last answer, for models
    /// with feedback
    #[arg(long, default_value_t = 0.0)]
    #[serde(default)]
    pub(crate) corrupted: f64,
    /// Initial states of each puzzle, of which only the one with the lowest loss is trained
    /// (winner-take-all: 4)
    #[arg(long, default_value_t = 1)]
    #[serde(default = "one")]
    pub(crate) chains: usize,
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
    /// Share of the learning rate at which a schedule that falls ends
    #[arg(long, default_value_t = 0.02)]
    pub(crate) lr_floor: f64,
    /// Largest norm of the gradients, scaled down beyond; 0 for no limit
    #[arg(long, default_value_t = 0.0)]
    pub(crate) clip: f64,
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
    /// Steps between two checkpoints, beside those by time; 0 for none
    #[arg(long, default_value_t = 0)]
    pub(crate) checkpoint_steps: u64,
    /// Newest checkpoints to keep
    #[arg(long, default_value_t = 2)]
    pub(crate) keep: usize,
    /// Write a checkpoint every N steps and keep the last --keep-series of these too; 0 for none
    #[arg(long, default_value_t = 0)]
    pub(crate) keep_every: u64,
    /// Checkpoints of the series of --keep-every to keep
    #[arg(long, default_value_t = 10)]
    pub(crate) keep_series: usize,
    /// Stop once this share of the held-out puzzles is solved
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop_at: Option<f64>,
    /// Write no TensorBoard event file beside metrics.jsonl
    #[arg(long)]
    #[serde(default)]
    pub(crate) no_tensorboard: bool,

    /// Fields of the architecture that differ from the preset's, by `--set
    /// architecture.FIELD=VALUE`.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) architecture: BTreeMap<String, toml::Value>,
}

fn one() -> usize {
    1
}
fn depth_share() -> f64 {
    0.85
}

impl TrainConfig {
    pub(super) fn check(&self) -> Result<()> {
        let share = |name: &str, value: f64| {
            if (0.0..=1.0).contains(&value) {
                Ok(())
            } else {
                bail!("--{name} is {value}, must be in [0, 1]")
            }
        };
        self.reading()?;
        share("hints", self.hints)?;
        share("ema", self.ema)?;
        share("decay-share", self.decay_share)?;
        share("lr-floor", self.lr_floor)?;
        share("depth-share", self.depth_share)?;
        share("stop-at", self.stop_at.unwrap_or(0.0))?;
        let rates = [
            ("lr", self.lr),
            ("muon-lr", self.muon_lr),
            ("puzzle-emb-lr", self.puzzle_emb_lr),
            ("weight-decay", self.weight_decay),
            ("q-weight", self.q_weight),
            ("clip", self.clip),
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
        for (name, value) in [
            ("batch-size", self.batch_size as u64),
            ("log-steps", self.log_steps),
            ("keep", self.keep as u64),
            ("group-rows", self.group_rows as u64),
        ] {
            if value == 0 {
                bail!("--{name} must be at least 1");
            }
        }
        if self.supervision == Supervision::Every
            && (self.depth.is_some() || self.depth_start.is_some())
        {
            bail!("--depth and --depth-start are of --supervision last");
        }
        if let Some(depth) = self
            .depth
            .into_iter()
            .chain(self.depth_start)
            .find(|d| *d == 0)
        {
            bail!("--depth and --depth-start must be at least 1, one is {depth}");
        }
        if let (Some(start), Some(depth)) = (self.depth_start, self.depth)
            && start > depth
        {
            bail!("--depth-start is {start}, more than --depth, {depth}");
        }
        if self.group_rows > 1 && (self.copies > 0 || self.hints > 0.0 || !self.no_augment) {
            bail!(
                "--group-rows is for files that hold the copies already: set --no-augment, --copies 0 and --hints 0"
            );
        }
        if self.no_augment && self.copies > 0 {
            bail!(
                "--no-augment and --copies {} contradict each other",
                self.copies
            );
        }
        if self.data.is_empty() {
            bail!("no training data: give --data FILE.csv or --data generate:sudoku-4x4");
        }
        Ok(())
    }

    /// Whether a checkpoint is due after `step`, by steps.
    pub(crate) fn checkpoint_due(&self, step: u64) -> bool {
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        due(self.checkpoint_steps) || due(self.keep_every)
    }

    /// How the puzzle files are read.
    pub(super) fn reading(&self) -> Result<Reading> {
        let columns = self.columns.as_deref().map(str::parse).transpose();
        Ok(Reading {
            columns: columns.context("--columns")?,
            skip_bad: self.skip_bad,
        })
    }

    /// What the trainer needs to know. `cpu`: whether it runs on processors.
    pub(crate) fn trainer(&self, cpu: bool) -> TrainerSettings {
        TrainerSettings {
            batch_size: self.batch_size,
            threads: match self.threads {
                0 if cpu => {
                    let cores = std::thread::available_parallelism().map_or(1, usize::from);
                    (cores / self.devices.max(1)).max(1)
                }
                0 => 1,
                n => n,
            },
            loss: match self.loss {
                Loss::Stablemax => LossKind::Stablemax,
                Loss::Softmax => LossKind::Softmax,
            },
            q_weight: self.q_weight,
            precision: self.precision.into(),
            clip: (self.clip > 0.0).then_some(self.clip),
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

    /// The stream of a set's puzzles, which must not be empty.
    pub(crate) fn sampler(&self, rows: Rows) -> Result<Sampler> {
        if !rows.len().is_multiple_of(self.group_rows) {
            bail!(
                "--group-rows is {}, but the training set has {} rows, which is no multiple of it",
                self.group_rows,
                rows.len()
            );
        }
        Ok(Sampler::new(rows, self.seed, self.variation())?)
    }

    /// How puzzles are varied.
    pub(crate) fn variation(&self) -> Variation {
        Variation {
            augment: !self.no_augment,
            copies: self.copies,
            hints: self.hints,
            group: self.group_rows,
        }
    }

    /// The method that the trainer is given, see [`TrainConfig::trainer`].
    pub(crate) fn method(&self) -> TrainingMethod {
        TrainingMethod {
            supervision: match self.supervision {
                Supervision::Every => hrm_core::train::Supervision::Every,
                Supervision::Last => hrm_core::train::Supervision::Last,
            },
            update_noise: self.update_noise,
            corrupted: self.corrupted,
            chains: self.chains,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    impl TrainConfig {
        /// The defaults, with some data.
        pub(crate) fn example() -> Self {
            parse(&["--data", "a.csv"]).config(None).unwrap()
        }
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
    fn impossible_settings_are_named() {
        for (args, named) in [
            (vec!["--data", "a.csv", "--hints", "2"], "hints"),
            (
                vec!["--data", "a.csv", "--depth", "4"],
                "--supervision last",
            ),
            (
                "--data a.csv --supervision last --depth 4 --depth-start 5"
                    .split(' ')
                    .collect(),
                "more than --depth",
            ),
            (vec!["--data", "a.csv", "--batch-size", "0"], "batch-size"),
            (vec![], "--data"),
        ] {
            let error = parse(&args).config(None).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
