//! What a run is made of: network, puzzles, and how it is trained.

use hrm_core::config::{ConfigError, ModelConfig};
use hrm_core::puzzle::Shape;
use serde::{Deserialize, Serialize};

use crate::presets::Preset;

/// How a network's positions hear of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The paper's: two modules of attention.
    Hrm,
    /// Pooling over rows, columns, boxes and cells.
    Relational,
}

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// AdamATan2 on all weights (HRM).
    AdamAtan2,
    /// Muon on the matrices, AdamW with a tenth of the rate on the rest.
    Muon,
}

/// How the rate goes on after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// It stays.
    Constant,
    /// It falls in a line over the last 40 % of the steps.
    Linear,
    /// It falls along half a cosine from the warm-up on.
    Cosine,
}

/// Share of a run over which a linear course falls.
pub const DECAY_SHARE: f64 = 0.4;
/// Share of the rate that a course that falls ends at.
pub const FLOOR: f64 = 0.02;

/// Everything that decides a run, the number of workers aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What it was chosen as, or is a change of.
    pub preset: Preset,
    /// The network.
    pub kind: Kind,
    /// The board.
    pub shape: Shape,
    /// Width of the states.
    pub channels: usize,
    /// Layers of a module.
    pub layers: usize,
    /// High-level updates a segment.
    pub high_cycles: usize,
    /// Low-level updates before each of them.
    pub low_cycles: usize,
    /// Updates at the end of a segment that the gradient goes through.
    pub gradient: usize,
    /// Share of the training puzzles that get hints.
    pub hints: f64,
    /// Whether every segment is trained, or the last one only.
    pub every_segment: bool,
    /// The optimiser.
    pub rule: Rule,
    /// Its rate at its highest.
    pub rate: f64,
    /// What becomes of the rate.
    pub course: Course,
    /// Steps over which the rate rises.
    pub warmup: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Puzzles trained on at a time.
    pub batch: usize,
    /// Decides the first weights, the puzzles and their order.
    pub seed: u64,
    /// Different puzzles to train on.
    pub training: usize,
    /// Held-out puzzles that it is measured on as it goes.
    pub held_out: usize,
    /// Share of the blanks of those that is filled in.
    pub filled: f64,
}

impl Settings {
    /// The architecture.
    ///
    /// # Errors
    /// Why there is no such network.
    pub fn config(&self) -> Result<ModelConfig, ConfigError> {
        let base = match self.kind {
            Kind::Hrm => ModelConfig {
                H_layers: self.layers,
                L_layers: self.layers,
                // With the last segment alone nothing is ever continued.
                q_continue: self.every_segment,
                ..ModelConfig::hrm_mini(self.shape, self.channels, 4)
            },
            Kind::Relational => ModelConfig {
                H_layers: self.layers,
                L_layers: self.layers,
                ..ModelConfig::relational(self.shape, self.channels)
            },
        };
        let config = ModelConfig {
            H_cycles: self.high_cycles,
            L_cycles: self.low_cycles,
            gradient_updates: self.gradient,
            ..base
        };
        // The plan checks what the fields mean together.
        hrm_core::plan::Plan::new(&config)?;
        Ok(config)
    }

    /// Updates of a segment.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.high_cycles * (self.low_cycles + 1)
    }

    /// Whether it is another network, or trained otherwise, than its preset.
    #[must_use]
    pub fn is_own(&self) -> bool {
        let preset = Self {
            seed: self.seed,
            ..self.preset.settings()
        };
        *self != preset
    }

    /// What is to be mended before a run can begin, as a sentence.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self) -> Result<(), String> {
        let between = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} has to be {low} to {high}, not {value}."))
            }
        };
        between("The number of channels", self.channels as f64, 4.0, 256.0)?;
        between("The number of layers", self.layers as f64, 1.0, 4.0)?;
        between("High-level cycles", self.high_cycles as f64, 1.0, 8.0)?;
        between("Low-level cycles", self.low_cycles as f64, 1.0, 8.0)?;
        between(
            "The number of updates with gradient",
            self.gradient as f64,
            1.0,
            self.updates() as f64,
        )?;
        between("The share with hints", self.hints, 0.0, 1.0)?;
        between("The share filled in", self.filled, 0.0, 0.9)?;
        between("The rate", self.rate, 1e-6, 1.0)?;
        between("The batch", self.batch as f64, 1.0, 512.0)?;
        between("The number of steps", self.steps as f64, 1.0, 1e6)?;
        between("The warm-up", self.warmup as f64, 0.0, self.steps as f64)?;
        between("Training puzzles", self.training as f64, 1.0, 20_000.0)?;
        between("Held-out puzzles", self.held_out as f64, 1.0, 1_000.0)?;
        if self.kind == Kind::Hrm && !self.channels.is_multiple_of(8) {
            return Err(format!(
                "With attention the channels have to be a multiple of 8 (four heads of an even width), not {}.",
                self.channels
            ));
        }
        if self.kind == Kind::Relational && !self.channels.is_multiple_of(2) {
            return Err(format!(
                "The channels have to be even (a message is half as wide), not {}.",
                self.channels
            ));
        }
        self.config().map(drop).map_err(|error| format!("{error}."))
    }

    /// What a network of these settings is called.
    #[must_use]
    pub fn title(&self) -> String {
        let own = if self.is_own() { ", changed" } else { "" };
        format!("{}{own}", self.preset.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_networks_and_not_ones_own() {
        for preset in Preset::ALL {
            let settings = preset.settings();
            settings.check().unwrap();
            assert!(!settings.is_own());
            let seeded = Settings {
                seed: 9,
                ..settings.clone()
            };
            assert!(!seeded.is_own());
            let wider = Settings {
                channels: 48,
                ..settings
            };
            assert!(wider.is_own() && wider.title().ends_with("changed"));
        }
    }

    #[test]
    fn what_can_not_be_is_said() {
        let base = Preset::Hrm4.settings();
        let said = |change: fn(&mut Settings)| {
            let mut settings = base.clone();
            change(&mut settings);
            settings.check().unwrap_err()
        };
        assert!(said(|s| s.channels = 20).contains("multiple of 8"));
        assert!(said(|s| s.gradient = 9).contains("updates with gradient"));
        assert!(said(|s| s.rate = f64::NAN).contains("rate"));
        assert!(said(|s| s.batch = 0).contains("batch"));
        assert!(said(|s| s.warmup = s.steps + 1).contains("warm-up"));
    }

    #[test]
    fn the_last_segment_alone_needs_no_second_q() {
        let settings = Settings {
            every_segment: false,
            ..Preset::Hrm4.settings()
        };
        assert!(!settings.config().unwrap().q_continue);
        assert!(Preset::Hrm4.settings().config().unwrap().q_continue);
    }
}
