//! Networks that are trained in minutes, to choose from.

use hrm_core::puzzle::Shape;
use serde::{Deserialize, Serialize};

use crate::settings::{Course, Kind, Rule, Settings};

/// A network with everything that trains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The paper's architecture on 4x4 boards.
    #[serde(rename = "hrm-4x4")]
    Hrm4,
    /// The relational reasoner on 4x4 boards.
    #[serde(rename = "relational-4x4")]
    Relational4,
    /// The relational reasoner on 6x6 boards.
    #[serde(rename = "relational-6x6")]
    Relational6,
    /// The relational reasoner on 9x9 boards.
    #[serde(rename = "relational-9x9")]
    Relational9,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [
        Self::Relational4,
        Self::Hrm4,
        Self::Relational6,
        Self::Relational9,
    ];

    /// Its name in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hrm4 => "hrm-4x4",
            Self::Relational4 => "relational-4x4",
            Self::Relational6 => "relational-6x6",
            Self::Relational9 => "relational-9x9",
        }
    }

    /// The preset of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Hrm4 => "HRM 4×4",
            Self::Relational4 => "Relational 4×4",
            Self::Relational6 => "Relational 6×6",
            Self::Relational9 => "Relational 9×9",
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Hrm4 => "The paper’s architecture: attention, two modules",
            Self::Relational4 => "Knows how a board is connected; the quickest to learn",
            Self::Relational6 => "The same on a larger board",
            Self::Relational9 => "Newspaper size, some blanks filled in; takes the longest",
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(self) -> Settings {
        let relational = Settings {
            preset: self,
            kind: Kind::Relational,
            shape: Shape::S4,
            channels: 16,
            layers: 1,
            high_cycles: 2,
            low_cycles: 2,
            gradient: 6,
            hints: 0.5,
            every_segment: true,
            rule: Rule::Muon,
            rate: 0.02,
            course: Course::Linear,
            warmup: 0,
            steps: 400,
            batch: 32,
            seed: 0,
            training: 2_000,
            held_out: 100,
            filled: 0.0,
        };
        match self {
            Self::Relational4 => relational,
            Self::Hrm4 => Settings {
                kind: Kind::Hrm,
                channels: 64,
                gradient: 2,
                hints: 0.3,
                rule: Rule::AdamAtan2,
                rate: 0.002,
                warmup: 100,
                steps: 4_500,
                batch: 64,
                training: 5_000,
                ..relational
            },
            Self::Relational6 => Settings {
                shape: Shape::S6,
                steps: 1_000,
                held_out: 64,
                ..relational
            },
            Self::Relational9 => Settings {
                shape: Shape::S9,
                channels: 32,
                steps: 2_000,
                training: 1_500,
                held_out: 24,
                filled: 0.3,
                ..relational
            },
        }
    }
}
