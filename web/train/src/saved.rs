//! A run as the files that `hrm` reads: `model.safetensors`, `config.json`
//! and a card, and what it takes to go on, `optimizer.safetensors`,
//! `train.toml` and `train-state.json`. Beside them the room's own: what was
//! measured, and the held-out puzzles that it was measured on.

use std::collections::BTreeMap;

use hrm_core::config::{ModelConfig, TokenMixer};
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::reason::Proportion;
use hrm_core::train::{
    AdamSettings, LossKind, OptimizerKind, OptimizerSettings, Precision, Supervision,
    TrainerSettings, TrainingMethod,
};
use serde::{Deserialize, Serialize};

use crate::archive::File;
use crate::history::{Evaluation, History};
use crate::presets::Preset;
use crate::settings::{Course, DECAY_SHARE, FLOOR, Kind, Rule, Settings};

/// The weights to use.
pub const MODEL: &str = "model.safetensors";
/// The architecture.
pub const CONFIG: &str = "config.json";
/// The card.
pub const CARD: &str = "README.md";
/// The trainer's memory.
pub const OPTIMIZER: &str = "optimizer.safetensors";
/// The run's configuration.
pub const TRAIN_CONFIG: &str = "train.toml";
/// The run's counters.
pub const TRAIN_STATE: &str = "train-state.json";
/// What was measured, and the settings as the room knows them.
pub const ROOM: &str = "room.json";
/// The puzzles it was measured on.
pub const HELD_OUT: &str = "held-out.csv";

/// The configuration of a run in the names of `hrm train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainFile {
    preset: String,
    data: Vec<String>,
    held_out: String,
    generate_rows: usize,
    held_out_rows: usize,
    no_augment: bool,
    hints: f64,
    steps: u64,
    batch_size: usize,
    threads: usize,
    precision: Precision,
    seed: u64,
    loss: String,
    q_weight: f64,
    supervision: Supervision,
    #[serde(default)]
    corrupted: f64,
    optimizer: OptimizerKind,
    lr: f64,
    weight_decay: f64,
    beta1: f64,
    beta2: f64,
    muon_lr: f64,
    muon_weight_decay: f64,
    muon_momentum: f64,
    puzzle_emb_lr: f64,
    puzzle_emb_weight_decay: f64,
    warmup: u64,
    schedule: Course,
    decay_share: f64,
    lr_floor: f64,
    clip: f64,
    ema: f64,
    log_steps: u64,
    eval_minutes: f64,
    checkpoint_minutes: f64,
    keep: usize,
    architecture: BTreeMap<String, toml::Value>,
}

impl TrainFile {
    /// The configuration of a run of these settings, with what they leave
    /// open as the project's recipes have it.
    #[must_use]
    pub fn of(s: &Settings, config: &ModelConfig) -> Self {
        let relational = s.kind == Kind::Relational;
        let board = format!("generate:{}", PuzzleKind::from(s.shape));
        let lr = match s.rule {
            Rule::AdamAtan2 => s.rate,
            // AdamW beside Muon.
            Rule::Muon => s.rate / 10.0,
        };
        let number = |n: usize| toml::Value::Integer(n as i64);
        let mut architecture = BTreeMap::from([
            (
                "puzzle".to_owned(),
                toml::Value::String(PuzzleKind::from(s.shape).to_string()),
            ),
            ("hidden_size".to_owned(), number(config.hidden_size)),
            ("H_layers".to_owned(), number(config.H_layers)),
            ("L_layers".to_owned(), number(config.L_layers)),
            ("H_cycles".to_owned(), number(config.H_cycles)),
            ("L_cycles".to_owned(), number(config.L_cycles)),
            (
                "gradient_updates".to_owned(),
                number(config.gradient_updates),
            ),
            (
                "q_continue".to_owned(),
                toml::Value::Boolean(config.q_continue),
            ),
        ]);
        for (name, value) in [("message", config.message), ("mlp_inner", config.mlp_inner)] {
            architecture.extend(value.map(|n| (name.to_owned(), number(n))));
        }
        Self {
            preset: if relational { "relational" } else { "hrm-4x4" }.to_owned(),
            data: vec![board.clone()],
            held_out: board,
            generate_rows: s.training,
            held_out_rows: 500,
            no_augment: false,
            hints: s.hints,
            steps: s.steps,
            batch_size: s.batch,
            threads: 1,
            precision: Precision::F32,
            seed: s.seed,
            loss: "softmax".to_owned(),
            q_weight: if relational { 0.1 } else { 0.5 },
            supervision: if s.every_segment {
                Supervision::Every
            } else {
                Supervision::Last
            },
            corrupted: if relational { 0.1 } else { 0.0 },
            optimizer: match s.rule {
                Rule::AdamAtan2 => OptimizerKind::AdamAtan2,
                Rule::Muon => OptimizerKind::Muon,
            },
            lr,
            weight_decay: if relational { 0.0 } else { 0.1 },
            beta1: 0.9,
            beta2: 0.95,
            muon_lr: match s.rule {
                Rule::Muon => s.rate,
                Rule::AdamAtan2 => 0.02,
            },
            muon_weight_decay: 0.005,
            muon_momentum: 0.95,
            puzzle_emb_lr: lr / 2.0,
            puzzle_emb_weight_decay: 0.1,
            warmup: s.warmup,
            schedule: s.course,
            decay_share: DECAY_SHARE,
            lr_floor: FLOOR,
            clip: 0.0,
            // As long a memory as suits so short a run.
            ema: if s.steps < 1_500 { 0.99 } else { 0.999 },
            log_steps: 50,
            eval_minutes: 5.0,
            checkpoint_minutes: 5.0,
            keep: 2,
            architecture,
        }
    }

    /// What the trainer needs to know.
    #[must_use]
    pub fn trainer(&self) -> TrainerSettings {
        TrainerSettings {
            batch_size: self.batch_size,
            threads: 1,
            precision: Precision::F32,
            loss: LossKind::Softmax,
            q_weight: self.q_weight,
            ema: (self.ema > 0.0).then_some(self.ema),
            clip: None,
            optimizer: OptimizerSettings {
                kind: self.optimizer,
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

    /// How it is trained.
    #[must_use]
    pub fn method(&self) -> TrainingMethod {
        TrainingMethod {
            supervision: self.supervision,
            corrupted: self.corrupted,
            ..TrainingMethod::default()
        }
    }
}

/// Where a run is, as `hrm train` writes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrainState {
    /// Steps done.
    pub step: u64,
    /// Puzzles begun.
    pub puzzles: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Bytes of the other files.
    #[serde(default)]
    pub files: BTreeMap<String, u64>,
}

/// What only the room knows of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomFile {
    /// Its settings.
    pub settings: Settings,
    /// What it has measured.
    pub history: History,
    /// Workers that share the work: with another number it would go on as
    /// another run, by the rounding of sums.
    pub workers: usize,
}

/// Everything of a run that its files are made of.
#[derive(Debug)]
pub struct Whole<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// Its architecture.
    pub plan: &'a Plan,
    /// Where it is.
    pub state: TrainState,
    /// Workers that share the work.
    pub workers: usize,
    /// What it has measured.
    pub history: &'a History,
    /// The weights to use, as a safetensors file.
    pub weights: Vec<u8>,
    /// The trainer's memory.
    pub optimizer: Vec<u8>,
    /// The newest measurement on many puzzles, of this very step.
    pub measured: Option<&'a Evaluation>,
    /// The held-out puzzles as text.
    pub held_out: String,
}

impl Whole<'_> {
    /// The files.
    ///
    /// # Errors
    /// If one can't be written as text, which no run leads to.
    pub fn files(self) -> Result<Vec<File>, String> {
        let config = &self.plan.config;
        let train = TrainFile::of(self.settings, config);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let room = RoomFile {
            settings: self.settings.clone(),
            history: self.history.clone(),
            workers: self.workers,
        };
        let card = card(self.settings, self.plan, &self.state, self.measured);
        let mut files = vec![
            (MODEL.to_owned(), self.weights),
            (CONFIG.to_owned(), config.to_json().into_bytes()),
            (OPTIMIZER.to_owned(), self.optimizer),
            (
                TRAIN_CONFIG.to_owned(),
                toml::to_string(&train).map_err(|e| text(&e))?.into_bytes(),
            ),
        ];
        let state = TrainState {
            files: files
                .iter()
                .map(|(name, content)| (name.clone(), content.len() as u64))
                .collect(),
            ..self.state
        };
        let json = |value: &dyn Fn() -> serde_json::Result<Vec<u8>>| value().map_err(|e| text(&e));
        files.push((
            TRAIN_STATE.to_owned(),
            json(&|| serde_json::to_vec_pretty(&state))?,
        ));
        files.push((CARD.to_owned(), card.into_bytes()));
        files.push((ROOM.to_owned(), json(&|| serde_json::to_vec(&room))?));
        files.push((HELD_OUT.to_owned(), self.held_out.into_bytes()));
        Ok(files)
    }
}

/// The model card.
fn card(s: &Settings, plan: &Plan, state: &TrainState, measured: Option<&Evaluation>) -> String {
    let filled = if s.filled > 0.0 {
        format!(", {:.0} % of their blanks filled in", 100.0 * s.filled)
    } else {
        String::new()
    };
    let mut text = format!(
        "# {}, {} steps\n\n\
         - trained in a browser, in the playground's room of training\n\
         - board: {}\n\
         - parameters: {}\n\
         - training data: {} generated minimal puzzles, four in five classes of equivalent {}\n\
         - augmentation: random symmetries; share of puzzles with random hints: {}\n\
         - steps: {} of {} puzzles, {} puzzles begun\n\
         - seed: {}\n\
         - time: {:.1} minutes\n",
        s.title(),
        state.step,
        plan.config.puzzle,
        plan.parameter_count(),
        s.training,
        if s.shape.side() == 4 {
            "puzzles"
        } else {
            "solution grids"
        },
        s.hints,
        state.step,
        s.batch,
        state.puzzles,
        s.seed,
        state.seconds / 60.0,
    );
    match measured {
        Some(e) => {
            let share = Proportion::new(e.right(), e.puzzles);
            text += &format!(
                "- accuracy: {} of {} solved, {:.1} % (95 % Wilson interval {:.1} to {:.1} %), \
                 after {} segments, one pass\n\
                 - measured on: {} generated minimal puzzles of the other classes{filled} \
                 (`{HELD_OUT}`)\n",
                e.right(),
                e.puzzles,
                100.0 * share.value,
                100.0 * share.low,
                100.0 * share.high,
                e.solved.len(),
                e.puzzles,
            );
        }
        None => text += "- accuracy: not measured\n",
    }
    text + "- licence: Apache-2.0 OR MIT\n"
}

/// A run read from its files.
#[derive(Debug)]
pub struct Restored {
    /// Its settings.
    pub settings: Settings,
    /// Where it is.
    pub state: TrainState,
    /// What it has measured, if the files say it.
    pub history: History,
    /// The weights to use.
    pub weights: Vec<u8>,
    /// The trainer's memory; none to begin anew with these weights.
    pub optimizer: Option<Vec<u8>>,
    /// Workers that have shared the work, if the files say it.
    pub workers: Option<usize>,
}

/// Reads a run from files: everything of a run goes on, weights with their
/// configuration begin one.
///
/// # Errors
/// A sentence that names the file.
pub fn restore(files: Vec<File>) -> Result<Restored, String> {
    let mut files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
    let mut take = |name: &str| files.remove(name);
    let needed = "a network is model.safetensors with its config.json";
    let weights = take(MODEL).ok_or_else(|| format!("{MODEL} is missing: {needed}"))?;
    let config = take(CONFIG).ok_or_else(|| format!("{CONFIG} is missing: {needed}"))?;
    let text = |name: &str, bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| format!("{name} is no text"))
    };
    let config = ModelConfig::from_json(&text(CONFIG, config)?).map_err(|e| e.to_string())?;
    let train: Option<TrainFile> = take(TRAIN_CONFIG)
        .map(|bytes| {
            let text = text(TRAIN_CONFIG, bytes)?;
            toml::from_str(&text).map_err(|e| format!("{TRAIN_CONFIG}: {}", e.message()))
        })
        .transpose()?;
    let room: Option<RoomFile> = take(ROOM)
        .map(|bytes| serde_json::from_slice(&bytes).map_err(|e| format!("{ROOM}: {e}")))
        .transpose()?;
    let state: Option<TrainState> = take(TRAIN_STATE)
        .map(|bytes| serde_json::from_slice(&bytes).map_err(|e| format!("{TRAIN_STATE}: {e}")))
        .transpose()?;
    let settings = match &room {
        Some(room) => room.settings.clone(),
        None => settings(&config, train.as_ref())?,
    };
    settings.check()?;
    if settings.config().map_err(|e| e.to_string())? != config {
        return Err(format!(
            "{CONFIG} describes a network of another kind than this room trains: HRM with \
             attention, or a relational one"
        ));
    }
    let optimizer = take(OPTIMIZER);
    let (Some(optimizer), Some(state)) = (optimizer, state) else {
        return Ok(Restored {
            settings,
            state: TrainState::default(),
            history: History::default(),
            weights,
            optimizer: None,
            workers: None,
        });
    };
    for (name, content) in [(MODEL, &weights), (OPTIMIZER, &optimizer)] {
        let wanted = state.files.get(name).copied();
        if wanted.is_some_and(|bytes| bytes != content.len() as u64) {
            let bytes = content.len();
            return Err(format!(
                "{name} has {bytes} bytes, {TRAIN_STATE} says {}: it is incomplete, or of another run",
                wanted.unwrap_or_default()
            ));
        }
    }
    Ok(Restored {
        settings,
        workers: room.as_ref().map(|room| room.workers),
        history: room.map(|room| room.history).unwrap_or_default(),
        state,
        weights,
        optimizer: Some(optimizer),
    })
}

/// The settings that come nearest to an architecture and a configuration of
/// `hrm train`.
fn settings(config: &ModelConfig, train: Option<&TrainFile>) -> Result<Settings, String> {
    let shape = config.puzzle.sudoku().map_err(|e| e.to_string())?;
    let preset = match (config.token_mixer, shape.side()) {
        (TokenMixer::Relations, 9) => Preset::Relational9,
        (TokenMixer::Relations, 6) => Preset::Relational6,
        (TokenMixer::Relations, _) => Preset::Relational4,
        _ => Preset::Hrm4,
    };
    let mut s = Settings {
        shape,
        channels: config.hidden_size,
        layers: config.L_layers,
        high_cycles: config.H_cycles,
        low_cycles: config.L_cycles,
        gradient: config.gradient_updates,
        ..preset.settings()
    };
    let Some(train) = train else {
        return Ok(s);
    };
    s.hints = train.hints;
    s.every_segment = train.supervision == Supervision::Every;
    (s.rule, s.rate) = match train.optimizer {
        OptimizerKind::AdamAtan2 => (Rule::AdamAtan2, train.lr),
        OptimizerKind::Muon => (Rule::Muon, train.muon_lr),
    };
    s.course = train.schedule;
    s.warmup = train.warmup;
    s.steps = train.steps;
    s.batch = train.batch_size;
    s.seed = train.seed;
    s.training = train.generate_rows;
    // What the room has no setting for has to be as it would be here, or the
    // run would silently go on as another one.
    let here = TrainFile::of(&s, config).trainer();
    let there = train.trainer();
    if here != there || train.method() != TrainFile::of(&s, config).method() {
        return Err(format!(
            "{TRAIN_CONFIG} sets what this room has no setting for (decays, weights of the losses); \
             go on with it by `hrm train --resume`, or open {MODEL} and {CONFIG} alone"
        ));
    }
    Ok(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(settings: &Settings) -> Vec<File> {
        let plan = Plan::new(&settings.config().unwrap()).unwrap();
        let history = History::default();
        let whole = Whole {
            settings,
            plan: &plan,
            state: TrainState {
                step: 7,
                puzzles: 100,
                seconds: 3.5,
                ..TrainState::default()
            },
            history: &history,
            workers: 2,
            weights: vec![1, 2, 3],
            optimizer: vec![4, 5],
            measured: None,
            held_out: "question,answer\n".to_owned(),
        };
        whole.files().unwrap()
    }

    #[test]
    fn a_run_round_trips_through_its_files() {
        for preset in Preset::ALL {
            let settings = preset.settings();
            let restored = restore(files(&settings)).unwrap();
            assert_eq!(restored.settings, settings);
            assert_eq!((restored.state.step, restored.workers), (7, Some(2)));
            assert_eq!(restored.state.files["model.safetensors"], 3);
            assert_eq!(restored.optimizer.as_deref(), Some(&[4, 5][..]));
            // As `hrm train` writes it, without what only the room knows.
            let mut native = files(&settings);
            native.retain(|(name, _)| name != ROOM);
            let mut back = restore(native).unwrap().settings;
            (back.held_out, back.filled) = (settings.held_out, settings.filled);
            assert_eq!(back, settings);
        }
    }

    #[test]
    fn weights_alone_begin_a_run() {
        let settings = Preset::Relational6.settings();
        let mut files = files(&settings);
        files.retain(|(name, _)| name == MODEL || name == CONFIG);
        let restored = restore(files).unwrap();
        assert!(restored.optimizer.is_none());
        assert_eq!(restored.settings.shape, settings.shape);
        assert_eq!(restored.state, TrainState::default());
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        let settings = Preset::Hrm4.settings();
        let all = files(&settings);
        let without = |name: &str| {
            let kept = all.iter().filter(|(n, _)| n != name).cloned();
            restore(kept.collect())
        };
        assert!(
            without(CONFIG)
                .unwrap_err()
                .contains("config.json is missing")
        );
        assert!(
            without(MODEL)
                .unwrap_err()
                .contains("model.safetensors is missing")
        );
        let mut cut = all.clone();
        cut[0].1.pop();
        assert!(restore(cut).unwrap_err().contains("has 2 bytes"));
        let other = ModelConfig::preset("compact").unwrap().to_json();
        let foreign = vec![
            (MODEL.to_owned(), vec![0]),
            (CONFIG.to_owned(), other.into_bytes()),
        ];
        assert!(restore(foreign).unwrap_err().contains("another kind"));
        let mut decayed = all.clone();
        decayed.retain(|(name, _)| name != ROOM);
        let toml = decayed.iter_mut().find(|(n, _)| n == TRAIN_CONFIG).unwrap();
        let text = String::from_utf8(toml.1.clone()).unwrap();
        toml.1 = text
            .replace("weight_decay = 0.1", "weight_decay = 0.3")
            .into_bytes();
        assert!(restore(decayed).unwrap_err().contains("no setting for"));
    }
}
