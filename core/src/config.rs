//! The typed configuration of a model: everything that determines its
//! architecture, nothing about how it is trained.
//!
//! The JSON form uses the field names of the HRM reference configuration, so
//! that a published `config` block reads as it is; what other recurrences
//! need beyond it is optional and defaults to HRM.

mod presets;

use serde::{Deserialize, Serialize};

use crate::puzzle::{PuzzleKind, Shape};

/// Why a configuration can't be built into a model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The text is no valid JSON of this format (unknown fields included).
    #[error("model config: {0}")]
    Syntax(String),
    /// A field has a value that no model can have.
    #[error("model config: `{field}` {reason}")]
    Invalid {
        /// Name of the offending field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A preset that does not exist.
    #[error("unknown preset `{name}`; known: {known}")]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// The names there are, comma separated.
        known: String,
    },
}

/// How positions are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PosEncodings {
    /// Rotary embedding of queries and keys (HRM).
    Rope,
    /// A learned table added to the token embedding.
    Learned,
    /// Not at all: for an MLP over positions, which has weights of its own
    /// for each (TRM-MLP).
    None,
}

/// Whether the high and the low level have weights of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modules {
    /// `H_level` and `L_level` are two modules (HRM).
    #[default]
    Separate,
    /// One module, stored as `L_level`, serves as both (TRM).
    Shared,
}

/// How information crosses from one position to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenMixer {
    /// Multi-head self-attention (HRM).
    #[default]
    Attention,
    /// A gated MLP over the positions, the same for every channel (TRM-MLP).
    Mlp,
    /// Pooling over what the puzzle says belongs together, with a state for
    /// every (cell, symbol): no weight knows a position or a symbol, and one
    /// set of weights plays every board. The layer's channel MLP is part of it.
    Relations,
}

/// How the members of a group make one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Weighted by `exp` of a score a channel, clamped to ±10.
    #[default]
    Softmax,
    /// All alike: there are no scores.
    Mean,
}

impl Pooling {
    /// What a state is projected to for each relation: scores and values, or
    /// values alone.
    #[must_use]
    pub const fn parts(self) -> usize {
        match self {
            Self::Softmax => 2,
            Self::Mean => 1,
        }
    }
}

/// The gate of the gated MLPs, `down(gate(g) · v)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// SwiGLU: `silu(g) * v` (HRM).
    #[default]
    Silu,
    /// `sigmoid(g) * rms_norm(g * v)`: the form whose scale does not depend
    /// on the weights' scale, which Muon needs.
    NormalizedSigmoid,
}

/// What `z_H` and `z_L` are before the first update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialState {
    /// The two vectors `H_init` and `L_init` at every position (HRM).
    #[default]
    Fixed,
    /// Drawn for every sequence: each element of its own from a normal
    /// distribution of deviation 1 cut at two deviations, as the vectors are
    /// (EqR, arXiv 2605.21488).
    Random,
}

/// What the q head looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QPool {
    /// The first position (HRM: the puzzle embedding's).
    #[default]
    First,
    /// The mean over all positions.
    Mean,
}

/// An axis of the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Over the channels of each position.
    #[default]
    Channels,
    /// Over the positions of each channel.
    Positions,
}

/// A model's architecture.
///
/// Lengths are counts of elements; `expansion` is the ratio of SwiGLU's
/// nominal inner width to `hidden_size`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
pub struct ModelConfig {
    /// The board the model plays on.
    #[serde(default = "sudoku_9x9")]
    pub puzzle: PuzzleKind,
    /// Cells of a puzzle, without any prefix position.
    pub seq_len: usize,
    /// Number of tokens, `side + 2` for a Sudoku, 6 for a maze, 12 for ARC.
    pub vocab_size: usize,
    /// Width of the puzzle embedding put in front as one position: 0 for
    /// none, otherwise `hidden_size`.
    #[serde(default)]
    pub puzzle_emb_ndim: usize,
    /// Positions in front of the cells where there is a puzzle embedding:
    /// its row is the first of them, the others are zero. Left out it is 1
    /// (HRM); TRM has 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puzzle_emb_len: Option<usize>,
    /// Rows of the puzzle embedding table: 1 where all puzzles are of one task,
    /// for ARC one for each task and each rewriting of it, and row 0.
    #[serde(default = "one")]
    pub num_puzzle_identifiers: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Attention heads; `hidden_size` is a multiple. Unused without attention.
    #[serde(default = "one")]
    pub num_heads: usize,
    /// Inner width of the channel MLP relative to `hidden_size`, see
    /// [`ModelConfig::channel_inner`].
    #[serde(default = "four")]
    pub expansion: f64,
    /// High-level updates a segment.
    pub H_cycles: usize,
    /// Low-level updates before each high-level one.
    pub L_cycles: usize,
    /// Blocks of the high-level module (equal to `L_layers` when shared).
    pub H_layers: usize,
    /// Blocks of the low-level module.
    pub L_layers: usize,
    /// Position information.
    pub pos_encodings: PosEncodings,
    /// Base of the rotary frequencies.
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
    /// Epsilon of every RMS norm.
    #[serde(default = "rms_norm_eps")]
    pub rms_norm_eps: f64,
    /// Segments after which a training sequence halts at the latest, and
    /// the number an evaluation runs.
    pub halt_max_steps: usize,
    /// Probability that a training sequence must run a random minimum of
    /// segments before it may halt.
    #[serde(default)]
    pub halt_exploration_prob: f64,

    /// One module or two.
    #[serde(default)]
    pub modules: Modules,
    /// Attention or an MLP over positions.
    #[serde(default)]
    pub token_mixer: TokenMixer,
    /// Inner width of the MLP over positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_inner: Option<usize>,
    /// Width of a message between related positions, for the mixer
    /// `relations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<usize>,
    /// How related positions make a message.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pooling: Pooling,
    /// Whether the last segment's probability of a position's symbol is part
    /// of the input, for the mixer `relations`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub feedback: bool,
    /// The axis of the norm after the MLP over positions: TRM's and EqR's
    /// published code has the positions, every other norm is over the
    /// channels.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mixer_norm: Axis,
    /// Inner width of the channel MLP where it does not follow `expansion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlp_inner: Option<usize>,
    /// The MLPs' gate.
    #[serde(default)]
    pub gate: Gate,
    /// The q head's input.
    #[serde(default)]
    pub q_pool: QPool,
    /// Whether the q head has a second output, the value of continuing.
    #[serde(default = "yes")]
    pub q_continue: bool,
    /// How many of a segment's last module calls carry gradient in training
    /// (2 is HRM's one-step gradient: the last L and the last H call).
    #[serde(default = "two")]
    pub gradient_updates: usize,
    /// The share λ of the new state in an update, `z = (1 - λ) z + λ f(…)`
    /// with `z` the state that the update replaces; 1, or none, replaces it
    /// whole (HRM). EqR (arXiv 2605.21488) has 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damping: Option<f64>,
    /// How a sequence begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initial_state: InitialState,

    /// Accepted from reference configurations and not kept: a property of
    /// training, not of the model.
    #[serde(default, skip_serializing)]
    pub batch_size: Option<usize>,
    /// Accepted from reference configurations and not kept.
    #[serde(default, skip_serializing)]
    pub forward_dtype: Option<String>,
}

fn sudoku_9x9() -> PuzzleKind {
    PuzzleKind::Sudoku(Shape::S9)
}
fn one() -> usize {
    1
}
fn two() -> usize {
    2
}
fn four() -> f64 {
    4.0
}
fn rope_theta() -> f64 {
    10_000.0
}
fn rms_norm_eps() -> f64 {
    1e-5
}
fn yes() -> bool {
    true
}
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Sizes beyond which a configuration is taken for a mistake or an attack:
/// far above any published model, far below what exhausts memory.
const MAX_WIDTH: usize = 1 << 14;
const MAX_COUNT: usize = 1 << 12;
const MAX_DEPTH: usize = 64;
/// ARC with a thousand rewritings of each task has about a million.
const MAX_IDENTIFIERS: usize = 1 << 22;

impl ModelConfig {
    /// Reads and checks a JSON configuration.
    ///
    /// # Errors
    /// On bad syntax, unknown fields and values no model can have.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            serde_json::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// The configuration as indented JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data with string keys: serialising it can't fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Inner width of the channel MLP: `mlp_inner`, or `round(expansion *
    /// hidden * 2/3)` rounded up to a multiple of 256 as the reference does.
    #[must_use]
    pub fn channel_inner(&self) -> usize {
        self.mlp_inner.unwrap_or_else(|| {
            let nominal = (self.expansion * self.hidden_size as f64 * 2.0 / 3.0).round() as usize;
            nominal.div_ceil(256) * 256
        })
    }

    /// Positions of the sequence the modules see: the cells, and those in
    /// front of them; with the mixer `relations` one for every (cell, symbol), or
    /// for every cell where the puzzle asks for no symbols.
    #[must_use]
    pub fn positions(&self) -> usize {
        match self.token_mixer {
            TokenMixer::Relations => self.seq_len * self.puzzle.symbols().unwrap_or(1),
            _ => self.seq_len + self.prefix(),
        }
    }

    /// The same architecture for another board. Only the mixer `relations`
    /// has weights that fit both.
    #[must_use]
    pub fn on(&self, puzzle: PuzzleKind) -> Self {
        Self {
            puzzle,
            seq_len: puzzle.cells(),
            vocab_size: puzzle.vocab(),
            ..self.clone()
        }
    }

    /// Positions in front of the cells: none without a puzzle embedding.
    #[must_use]
    pub fn prefix(&self) -> usize {
        if self.puzzle_emb_ndim == 0 {
            return 0;
        }
        self.puzzle_emb_len.unwrap_or(1)
    }

    /// Checks every field and their combinations.
    ///
    /// # Errors
    /// Names the first field that is off, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |field, reason: String| Err(ConfigError::Invalid { field, reason });
        let sizes = [
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("vocab_size", self.vocab_size, MAX_WIDTH),
            ("seq_len", self.seq_len, MAX_COUNT),
            ("num_heads", self.num_heads, MAX_COUNT),
            ("H_cycles", self.H_cycles, MAX_DEPTH),
            ("L_cycles", self.L_cycles, MAX_DEPTH),
            ("H_layers", self.H_layers, MAX_DEPTH),
            ("L_layers", self.L_layers, MAX_DEPTH),
            ("halt_max_steps", self.halt_max_steps, MAX_COUNT),
            ("gradient_updates", self.gradient_updates, MAX_WIDTH),
            (
                "num_puzzle_identifiers",
                self.num_puzzle_identifiers,
                MAX_IDENTIFIERS,
            ),
            ("token_inner", self.token_inner.unwrap_or(1), MAX_WIDTH),
            ("mlp_inner", self.mlp_inner.unwrap_or(1), MAX_WIDTH),
            ("message", self.message.unwrap_or(1), MAX_WIDTH),
            (
                "puzzle_emb_len",
                self.puzzle_emb_len.unwrap_or(1),
                MAX_COUNT,
            ),
        ];
        for (field, value, max) in sizes {
            if value == 0 || value > max {
                return fail(field, format!("is {value}, must be 1 to {max}"));
            }
        }
        if !(self.expansion > 0.0 && self.expansion <= 64.0) {
            return fail(
                "expansion",
                format!("is {}, must be in (0, 64]", self.expansion),
            );
        }
        if !(self.rope_theta > 1.0 && self.rope_theta.is_finite()) {
            return fail(
                "rope_theta",
                format!("is {}, must be above 1", self.rope_theta),
            );
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            return fail(
                "rms_norm_eps",
                format!("is {}, must be in (0, 1)", self.rms_norm_eps),
            );
        }
        if !(0.0..=1.0).contains(&self.halt_exploration_prob) {
            return fail(
                "halt_exploration_prob",
                format!("is {}, must be in [0, 1]", self.halt_exploration_prob),
            );
        }
        if self.puzzle_emb_ndim != 0 && self.puzzle_emb_ndim != self.hidden_size {
            return fail(
                "puzzle_emb_ndim",
                format!(
                    "is {}, must be 0 or hidden_size ({})",
                    self.puzzle_emb_ndim, self.hidden_size
                ),
            );
        }
        if self.seq_len != self.puzzle.cells() {
            return fail(
                "seq_len",
                format!(
                    "is {}, but a {} has {} cells",
                    self.seq_len,
                    self.puzzle,
                    self.puzzle.cells()
                ),
            );
        }
        if self.vocab_size != self.puzzle.vocab() {
            return fail(
                "vocab_size",
                format!(
                    "is {}, but a {} has {} tokens",
                    self.vocab_size,
                    self.puzzle,
                    self.puzzle.vocab()
                ),
            );
        }
        if self.puzzle_emb_len.is_some() && self.puzzle_emb_ndim == 0 {
            return fail(
                "puzzle_emb_len",
                "is set, but without a puzzle embedding (puzzle_emb_ndim 0) there is no position in front".into(),
            );
        }
        if self.mixer_norm == Axis::Positions && self.token_mixer != TokenMixer::Mlp {
            return fail(
                "mixer_norm",
                "is `positions`, which the norm after an MLP over positions can be; token_mixer is another".into(),
            );
        }
        match self.token_mixer {
            TokenMixer::Attention => {
                if !self.hidden_size.is_multiple_of(self.num_heads)
                    || !(self.hidden_size / self.num_heads).is_multiple_of(2)
                {
                    return fail(
                        "num_heads",
                        format!(
                            "is {}: hidden_size ({}) must divide into heads of even width",
                            self.num_heads, self.hidden_size
                        ),
                    );
                }
                if self.token_inner.is_some() {
                    return fail("token_inner", "is set, but attention has none".into());
                }
                if self.pos_encodings == PosEncodings::None {
                    return fail(
                        "pos_encodings",
                        "is `none`, but attention tells positions apart by them alone".into(),
                    );
                }
            }
            TokenMixer::Mlp => {
                if self.token_inner.is_none() {
                    return fail(
                        "token_inner",
                        "is missing, an MLP over positions needs it".into(),
                    );
                }
                if self.pos_encodings == PosEncodings::Rope {
                    return fail(
                        "pos_encodings",
                        "is `rope`, which acts on attention only; use `learned` or `none`".into(),
                    );
                }
            }
            TokenMixer::Relations => self.validate_relations()?,
        }
        if self.token_mixer != TokenMixer::Relations {
            if self.message.is_some() {
                return fail(
                    "message",
                    "is set, but only `relations` has messages".into(),
                );
            }
            if self.feedback {
                return fail("feedback", "is set, but only `relations` has it".into());
            }
        }
        if let Some(damping) = self.damping
            && !(damping > 0.0 && damping <= 1.0)
        {
            return fail(
                "damping",
                format!("is {damping}, must be in (0, 1]: the share of the new state"),
            );
        }
        if self.modules == Modules::Shared && self.H_layers != self.L_layers {
            return fail(
                "H_layers",
                format!(
                    "is {}, but shared modules have L_layers ({})",
                    self.H_layers, self.L_layers
                ),
            );
        }
        let updates = self.H_cycles * (self.L_cycles + 1);
        if self.gradient_updates > updates {
            return fail(
                "gradient_updates",
                format!(
                    "is {}, but a segment has {updates} updates",
                    self.gradient_updates
                ),
            );
        }
        Ok(())
    }

    /// What the mixer `relations` asks for besides.
    fn validate_relations(&self) -> Result<(), ConfigError> {
        let fail = |field, reason: String| Err(ConfigError::Invalid { field, reason });
        if self.puzzle.relations().is_empty() {
            return fail(
                "token_mixer",
                format!("is `relations`, but a {} states none", self.puzzle),
            );
        }
        if self.feedback && self.puzzle.symbols().is_none() {
            return fail(
                "feedback",
                format!("is set, but a {} asks for no symbols", self.puzzle),
            );
        }
        if self.message.is_none() {
            return fail("message", "is missing, `relations` needs it".into());
        }
        if self.token_inner.is_some() {
            return fail("token_inner", "is set, but `relations` has none".into());
        }
        if self.pos_encodings != PosEncodings::None {
            return fail(
                "pos_encodings",
                "must be `none`: with `relations` no position is told from another".into(),
            );
        }
        if self.puzzle_emb_ndim != 0 {
            return fail(
                "puzzle_emb_ndim",
                format!(
                    "is {}, but `relations` has no position in front of the cells",
                    self.puzzle_emb_ndim
                ),
            );
        }
        if self.q_pool != QPool::Mean {
            return fail(
                "q_pool",
                "must be `mean`: with `relations` no position is the first".into(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_at_their_default_leave_no_trace_in_the_file() {
        let hrm = ModelConfig::hrm(Shape::S4, 16, 2, 1);
        let text = hrm.to_json();
        for name in ["damping", "initial_state"] {
            assert!(!text.contains(name), "{text}");
        }
        assert_eq!(ModelConfig::from_json(&text).unwrap(), hrm);
        for name in ModelConfig::PRESETS {
            let preset = ModelConfig::preset(name).unwrap();
            assert_eq!(ModelConfig::from_json(&preset.to_json()).unwrap(), preset);
        }
        let eqr = ModelConfig::eqr(Shape::S4, 16, 8).to_json();
        assert!(eqr.contains(r#""damping": 0.95"#) && eqr.contains(r#""initial_state": "random""#));
    }

    #[test]
    fn combinations_that_can_not_be_are_refused_with_the_reason() {
        let eqr = ModelConfig::eqr(Shape::S4, 16, 8);
        let refused = |config: ModelConfig, field: &str, why: &str| {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(field) && error.contains(why), "{error}");
        };
        for damping in [0.0, -0.5, 1.5, f64::NAN] {
            let config = ModelConfig {
                damping: Some(damping),
                ..eqr.clone()
            };
            refused(config, "damping", "must be in (0, 1]");
        }
        let attention = ModelConfig {
            pos_encodings: PosEncodings::None,
            ..ModelConfig::hrm(Shape::S4, 16, 2, 1)
        };
        refused(attention, "pos_encodings", "tells positions apart");
        let rope = ModelConfig {
            pos_encodings: PosEncodings::Rope,
            ..eqr.clone()
        };
        refused(rope, "pos_encodings", "acts on attention only");
        let deeper = ModelConfig {
            gradient_updates: eqr.H_cycles * (eqr.L_cycles + 1) + 1,
            ..eqr
        };
        refused(deeper, "gradient_updates", "a segment has 21 updates");
    }
}
