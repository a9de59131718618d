//! Settings in an address: the name of a preset and what differs from it,
//! `hrm-4x4,channels:32,seed:7`; a second run beside the first one after `*`.
//! Whatever is not understood is ignored: an address is easily cut or mangled.

use std::fmt::{Display, Write as _};
use std::str::FromStr;

use hrm_core::puzzle::Shape;

use crate::presets::Preset;
use crate::settings::{Course, Kind, Rule, Settings};

/// Between two runs.
const AND: char = '*';

/// Names of things that are one of a few.
trait Named: Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, value)| *value == self);
        found.map_or("", |(name, _)| name)
    }

    fn from_word(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

impl Named for Kind {
    const NAMES: &'static [(&'static str, Self)] =
        &[("hrm", Self::Hrm), ("relational", Self::Relational)];
}

impl Named for Rule {
    const NAMES: &'static [(&'static str, Self)] =
        &[("adam-atan2", Self::AdamAtan2), ("muon", Self::Muon)];
}

impl Named for Course {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("constant", Self::Constant),
        ("linear", Self::Linear),
        ("cosine", Self::Cosine),
    ];
}

impl Named for bool {
    const NAMES: &'static [(&'static str, Self)] = &[("every", true), ("last", false)];
}

impl Named for Shape {
    const NAMES: &'static [(&'static str, Self)] =
        &[("4", Self::S4), ("6", Self::S6), ("9", Self::S9)];
}

/// A field of the settings by its name in addresses and in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    Kind,
    Shape,
    Channels,
    Layers,
    High,
    Low,
    Gradient,
    Hints,
    Loss,
    Rule,
    Rate,
    Course,
    Warmup,
    Steps,
    Batch,
    Seed,
    Training,
    HeldOut,
    Filled,
}

impl Field {
    /// Every field with its name.
    pub const ALL: [(Self, &'static str); 19] = [
        (Self::Kind, "kind"),
        (Self::Shape, "board"),
        (Self::Channels, "channels"),
        (Self::Layers, "layers"),
        (Self::High, "high"),
        (Self::Low, "low"),
        (Self::Gradient, "gradient"),
        (Self::Hints, "hints"),
        (Self::Loss, "loss"),
        (Self::Rule, "optimizer"),
        (Self::Rate, "rate"),
        (Self::Course, "schedule"),
        (Self::Warmup, "warmup"),
        (Self::Steps, "steps"),
        (Self::Batch, "batch"),
        (Self::Seed, "seed"),
        (Self::Training, "training"),
        (Self::HeldOut, "held-out"),
        (Self::Filled, "filled"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(field, _)| *field == self);
        found.map_or("", |(_, name)| name)
    }

    /// Its value in some settings, as it is written.
    #[must_use]
    pub fn value(self, s: &Settings) -> String {
        match self {
            Self::Kind => s.kind.word().to_owned(),
            Self::Shape => s.shape.word().to_owned(),
            Self::Channels => s.channels.to_string(),
            Self::Layers => s.layers.to_string(),
            Self::High => s.high_cycles.to_string(),
            Self::Low => s.low_cycles.to_string(),
            Self::Gradient => s.gradient.to_string(),
            Self::Hints => s.hints.to_string(),
            Self::Loss => s.every_segment.word().to_owned(),
            Self::Rule => s.rule.word().to_owned(),
            Self::Rate => s.rate.to_string(),
            Self::Course => s.course.word().to_owned(),
            Self::Warmup => s.warmup.to_string(),
            Self::Steps => s.steps.to_string(),
            Self::Batch => s.batch.to_string(),
            Self::Seed => s.seed.to_string(),
            Self::Training => s.training.to_string(),
            Self::HeldOut => s.held_out.to_string(),
            Self::Filled => s.filled.to_string(),
        }
    }

    /// Sets it; whether the text is a value of it.
    pub fn set(self, s: &mut Settings, text: &str) -> bool {
        fn number<T: FromStr>(to: &mut T, text: &str) -> bool {
            text.trim().parse().map(|value| *to = value).is_ok()
        }
        fn named<T: Named>(to: &mut T, text: &str) -> bool {
            T::from_word(text).map(|value| *to = value).is_some()
        }
        match self {
            Self::Kind => named(&mut s.kind, text),
            Self::Shape => named(&mut s.shape, text),
            Self::Channels => number(&mut s.channels, text),
            Self::Layers => number(&mut s.layers, text),
            Self::High => number(&mut s.high_cycles, text),
            Self::Low => number(&mut s.low_cycles, text),
            Self::Gradient => number(&mut s.gradient, text),
            Self::Hints => number(&mut s.hints, text),
            Self::Loss => named(&mut s.every_segment, text),
            Self::Rule => named(&mut s.rule, text),
            Self::Rate => number(&mut s.rate, text),
            Self::Course => named(&mut s.course, text),
            Self::Warmup => number(&mut s.warmup, text),
            Self::Steps => number(&mut s.steps, text),
            Self::Batch => number(&mut s.batch, text),
            Self::Seed => number(&mut s.seed, text),
            Self::Training => number(&mut s.training, text),
            Self::HeldOut => number(&mut s.held_out, text),
            Self::Filled => number(&mut s.filled, text),
        }
    }
}

impl Display for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.preset.name())?;
        let preset = self.preset.settings();
        for (field, name) in Field::ALL {
            let value = field.value(self);
            if value != field.value(&preset) {
                f.write_char(',')?;
                write!(f, "{name}:{value}")?;
            }
        }
        Ok(())
    }
}

/// Reads the settings of one run; none if it names no preset, or settings
/// that no run can have.
#[must_use]
pub fn parse(text: &str) -> Option<Settings> {
    let mut words = text.split(',');
    let mut settings = Preset::from_name(words.next()?)?.settings();
    for word in words {
        let Some((name, value)) = word.split_once(':') else {
            continue;
        };
        if let Some((field, _)) = Field::ALL.iter().find(|(_, known)| *known == name) {
            field.set(&mut settings, value);
        }
    }
    settings.check().is_ok().then_some(settings)
}

/// One or two runs as an address names them.
#[must_use]
pub fn runs(text: &str) -> Vec<Settings> {
    text.split(AND).take(2).filter_map(parse).collect()
}

/// The address of runs.
#[must_use]
pub fn of_runs(runs: &[Settings]) -> String {
    let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
    runs.join(&AND.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_round_trip() {
        for preset in Preset::ALL {
            let settings = preset.settings();
            assert_eq!(settings.to_string(), preset.name());
            assert_eq!(parse(preset.name()), Some(settings));
        }
        let changed = Settings {
            channels: 32,
            every_segment: false,
            rule: Rule::Muon,
            rate: 0.01,
            course: Course::Cosine,
            shape: Shape::S6,
            seed: 7,
            ..Preset::Hrm4.settings()
        };
        let text = changed.to_string();
        assert_eq!(
            text,
            "hrm-4x4,board:6,channels:32,loss:last,optimizer:muon,rate:0.01,schedule:cosine,seed:7"
        );
        assert_eq!(parse(&text), Some(changed.clone()));
        let two = [changed.clone(), Preset::Relational4.settings()];
        assert_eq!(runs(&of_runs(&two)), two);
        // Every field is written and read.
        let mut all = Preset::Relational9.settings();
        for (field, _) in Field::ALL {
            let other = field.value(&changed);
            assert!(field.set(&mut all, &other));
            assert_eq!(field.value(&all), other);
        }
        assert_eq!(
            Settings {
                preset: changed.preset,
                ..all
            },
            changed
        );
    }

    #[test]
    fn mangled_settings_are_ignored() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("hrm-8x8,seed:1"), None);
        assert_eq!(parse("hrm-4x4,channels:20"), None);
        let plain = Preset::Hrm4.settings();
        assert_eq!(
            parse("hrm-4x4,channels:,seed:x,,:,y:2"),
            Some(plain.clone())
        );
        assert_eq!(runs("hrm-4x4*nothing*hrm-4x4"), [plain]);
        assert!(runs("*").is_empty());
    }
}
