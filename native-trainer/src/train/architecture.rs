//! The architecture that a run's configuration names.

use anyhow::{Context, Result};
use hrm_core::config::{ModelConfig, Modules};
use hrm_core::puzzle::PuzzleKind;

use super::config::TrainConfig;

impl TrainConfig {
    /// The architecture that the configuration names.
    pub(crate) fn model_config(&self) -> Result<ModelConfig> {
        let base = match &self.model {
            Some(path) => crate::checkpoint::read_plan(path)?.config.clone(),
            None => ModelConfig::preset(&self.preset)?,
        };
        self.overridden(base)
    }

    /// An architecture with the fields that the configuration sets.
    pub(crate) fn overridden(&self, base: ModelConfig) -> Result<ModelConfig> {
        if self.architecture.is_empty() {
            return Ok(base);
        }
        let mut fields = serde_json::to_value(&base)?;
        for (key, value) in &self.architecture {
            fields[key] = serde_json::to_value(value)?;
        }
        // What follows from others follows them, unless it is set itself.
        let follow = |key: &str| !self.architecture.contains_key(key);
        if follow("puzzle_emb_ndim") && base.puzzle_emb_ndim == base.hidden_size {
            fields["puzzle_emb_ndim"] = fields["hidden_size"].clone();
        }
        // Gradient through the whole last cycle, however long that is.
        let cycle = |fields: &serde_json::Value| fields["L_cycles"].as_u64().map(|n| n + 1);
        if follow("gradient_updates")
            && base.modules == Modules::Shared
            && base.gradient_updates == base.L_cycles + 1
            && let Some(updates) = cycle(&fields)
        {
            fields["gradient_updates"] = updates.into();
        }
        if let Some(name) = fields["puzzle"].as_str() {
            let kind: PuzzleKind = name.parse().context("architecture.puzzle")?;
            if follow("seq_len") {
                fields["seq_len"] = kind.cells().into();
            }
            if follow("vocab_size") {
                fields["vocab_size"] = kind.vocab().into();
            }
        }
        ModelConfig::from_json(&fields.to_string()).context("in the architecture's overrides")
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;

    #[test]
    fn a_whole_last_cycle_stays_one() {
        let model = |preset: &str, set: &[&str]| {
            let mut args = vec!["--data", "a.csv", "--preset", preset];
            for assignment in set {
                args.extend(["--set", assignment]);
            }
            parse(&args).config(None).unwrap().model_config().unwrap()
        };
        let cycles = "architecture.L_cycles=3";
        assert_eq!(model("trm-mlp", &[cycles]).gradient_updates, 4);
        assert_eq!(model("hrm", &[cycles]).gradient_updates, 2);
        let both = [cycles, "architecture.gradient_updates=5"];
        assert_eq!(model("trm-mlp", &both).gradient_updates, 5);
    }
}
