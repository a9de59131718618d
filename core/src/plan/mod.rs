//! The architecture, written once.
//!
//! A [`Plan`] is what a [`ModelConfig`] means: the tensors by name and shape,
//! and the typed list of operations that make up a segment. The trainable
//! model, the WGSL engine and the CPU engine each walk it, so that a variant
//! is one edit here and the three can't drift apart.
//!
//! Shapes follow the reference's layout: a linear map is `[out, in]`, applied
//! as `y = x · Wᵀ`; activations are `[batch, position, channel]`.

mod init;
mod start;
mod tensors;

pub use crate::config::Axis;
pub use init::sample;
pub use start::{PLAIN_START, Start};
pub use tensors::{Init, TensorId, TensorKind, TensorSpec};

use std::sync::Arc;

use crate::config::{
    ConfigError, Gate, ModelConfig, Modules, Pooling, PosEncodings, QPool, TokenMixer,
};
use crate::puzzle::{PuzzleKind, Relation};
use tensors::TensorList;

/// A state of the recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `z_H`, the slow state that the answer is read from.
    High,
    /// `z_L`, the fast state.
    Low,
}

/// One post-norm residual step of a module: `x = rms_norm(x + f(x))`, the
/// norm without weights, over the axis that [`Plan::norm_axis`] says.
#[derive(Debug, Clone, PartialEq)]
pub enum Sublayer {
    /// Multi-head self-attention without mask or bias.
    Attention {
        /// `[3·hidden, hidden]`: q heads, then k heads, then v heads.
        qkv: TensorId,
        /// `[hidden, hidden]`.
        out: TensorId,
        /// Number of heads.
        heads: usize,
        /// Width of a head.
        head_dim: usize,
        /// Base of the rotary embedding (rotate-half layout, over all
        /// positions, prefix included) of q and k; none without it.
        rope_theta: Option<f64>,
    },
    /// `down(act(gate, value))` with gate and value from one projection.
    GatedMlp {
        /// What it mixes.
        axis: Axis,
        /// `[2·inner, width]`: gate rows first, then value rows. `width` is
        /// `hidden` or the number of positions, by `axis`.
        gate_up: TensorId,
        /// `[width, inner]`.
        down: TensorId,
        /// Inner width.
        inner: usize,
        /// The gate's form. Its norm, if any, is over the inner width.
        gate: Gate,
    },
    /// `down(act(gate, value))` with gate and value from one projection of
    /// the state beside a message from each of [`Plan::relations`]: by
    /// channel, the mean of the values of all members of the position's
    /// group, weighted as `pooling` says.
    Relations {
        /// `[relations · parts · message, hidden]`: of each relation the scores'
        /// rows, then the values', or the values' alone ([`Pooling::parts`]).
        project: TensorId,
        /// `[2·inner, hidden + relations·message]`: gate rows, then value
        /// rows.
        gate_up: TensorId,
        /// `[hidden, inner]`.
        down: TensorId,
        /// Width of a message.
        message: usize,
        /// Inner width.
        inner: usize,
        /// The gate's form.
        gate: Gate,
        /// How a group makes its message.
        pooling: Pooling,
    },
}

/// Scores of [`Sublayer::Relations`] are clamped to ± this.
pub const SCORE_LIMIT: f32 = 10.0;

impl Sublayer {
    /// The matrices: what is quantized, what Muon trains.
    #[must_use]
    pub fn matrices(&self) -> Vec<TensorId> {
        match *self {
            Self::Attention { qkv, out, .. } => vec![qkv, out],
            Self::GatedMlp { gate_up, down, .. } => vec![gate_up, down],
            Self::Relations {
                project,
                gate_up,
                down,
                ..
            } => vec![project, gate_up, down],
        }
    }
}

/// One call of a module: `state = module(state + Σ inputs)`, or with damping
/// λ `state = (1 - λ) state + λ module(state + Σ inputs)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The state that is replaced.
    pub level: Level,
    /// Index into [`Plan::modules`].
    pub module: usize,
    /// Whether the embedded puzzle is added besides the other level's state.
    pub adds_input: bool,
    /// Whether training keeps the gradient of this call.
    pub gradient: bool,
    /// λ, where it is not 1.
    pub damping: Option<f32>,
}

/// How the puzzle enters.
#[derive(Debug, Clone, PartialEq)]
pub enum Embedding {
    /// A position a cell.
    Tokens(TokenEmbedding),
    /// A position a (cell, symbol).
    Roles(RoleEmbedding),
}

/// The embedded puzzle: `scale * (token [+ position])`, with the puzzle
/// embedding in front, scaled alike.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenEmbedding {
    /// `[vocab, hidden]`.
    pub tokens: TensorId,
    /// `[identifiers, hidden]`, the first position in front; further ones are
    /// zero.
    pub puzzle: Option<TensorId>,
    /// `[positions, hidden]`, added at every position, prefix included.
    pub positions: Option<TensorId>,
    /// `sqrt(hidden)`, and `1/sqrt(2)` of it with a position table.
    pub scale: f32,
}

/// The vector of a position's role, plus `feedback` times the probability
/// that the last segment gave its symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleEmbedding {
    /// `[3, hidden]`: the cell is blank, is given as this symbol, is given as
    /// another.
    pub roles: TensorId,
    /// `[hidden]`.
    pub feedback: Option<TensorId>,
}

/// The tokens that a cell's logits stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// Token of the first logit; the others follow.
    pub first: u8,
    /// Logits of a cell.
    pub count: usize,
}

/// What is read off `z_H` after a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    /// `[vocab, hidden]`, applied to the cells (the prefix is dropped); with a
    /// position a (cell, symbol) `[hidden]`, applied to each.
    pub lm: TensorId,
    /// What the logits mean.
    pub answers: Answers,
    /// `[q_outputs, hidden]`.
    pub q_weight: TensorId,
    /// `[q_outputs]`.
    pub q_bias: TensorId,
    /// Where the q head looks.
    pub q_pool: QPool,
    /// 2 with `q_continue`, else 1.
    pub q_outputs: usize,
}

/// A model's architecture as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it was made from.
    pub config: ModelConfig,
    /// Every tensor; a [`TensorId`] indexes this.
    pub tensors: Vec<TensorSpec>,
    /// How the puzzle enters.
    pub embedding: Embedding,
    /// What [`Sublayer::Relations`] pools over.
    pub relations: Arc<[Relation]>,
    /// Where the states begin.
    pub start: Start,
    /// The modules, each the sublayers in order.
    pub modules: Vec<Vec<Sublayer>>,
    /// The module calls of one segment, in order.
    pub updates: Vec<Update>,
    /// The outputs.
    pub heads: Heads,
    /// Positions, prefix included.
    pub positions: usize,
    /// Positions in front of the cells.
    pub prefix: usize,
    /// Channels.
    pub hidden: usize,
}

impl Plan {
    /// The plan of a configuration.
    ///
    /// # Errors
    /// If the configuration does not validate.
    pub fn new(config: &ModelConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let hidden = config.hidden_size;
        let mut t = TensorList::default();

        let embedding = embedding(config, &mut t);
        let relational = config.token_mixer == TokenMixer::Relations;
        let relations: Arc<[Relation]> = if relational {
            config.puzzle.relations().into()
        } else {
            Arc::new([])
        };
        let start = Start::new(config.initial_state, hidden, &mut t);

        let mut module = |prefix: &str, layers: usize| -> Vec<Sublayer> {
            let mut sublayers = Vec::with_capacity(2 * layers);
            for layer in 0..layers {
                // The reference of the relational mixer leaves out the name of a
                // module that is the only one.
                let base = if prefix.is_empty() {
                    format!("layers.{layer}")
                } else {
                    format!("{prefix}.layers.{layer}")
                };
                if relational {
                    sublayers.push(related(config, relations.len(), &mut t, &base));
                    continue;
                }
                sublayers.push(mixer(config, &mut t, &base));
                let inner = config.channel_inner();
                sublayers.push(Sublayer::GatedMlp {
                    axis: Axis::Channels,
                    gate_up: t.weight(
                        &format!("{base}.mlp.gate_up_proj.weight"),
                        &[2 * inner, hidden],
                        linear(hidden),
                    ),
                    down: t.weight(
                        &format!("{base}.mlp.down_proj.weight"),
                        &[hidden, inner],
                        linear(inner),
                    ),
                    inner,
                    gate: config.gate,
                });
            }
            sublayers
        };
        let modules = match config.modules {
            Modules::Separate => vec![
                module("H_level", config.H_layers),
                module("L_level", config.L_layers),
            ],
            Modules::Shared if relational => vec![module("", config.L_layers)],
            Modules::Shared => vec![module("L_level", config.L_layers)],
        };
        let (high, low) = (0, modules.len() - 1);

        let damping = config.damping.filter(|d| *d < 1.0).map(|d| d as f32);
        let mut updates = Vec::with_capacity(config.H_cycles * (config.L_cycles + 1));
        for _ in 0..config.H_cycles {
            for _ in 0..config.L_cycles {
                updates.push(Update {
                    level: Level::Low,
                    module: low,
                    adds_input: true,
                    gradient: false,
                    damping,
                });
            }
            updates.push(Update {
                level: Level::High,
                module: high,
                adds_input: false,
                gradient: false,
                damping,
            });
        }
        let without = updates.len() - config.gradient_updates;
        for update in &mut updates[without..] {
            update.gradient = true;
        }

        let q_outputs = 1 + usize::from(config.q_continue);
        let (lm, answers) = if let (true, Some(count)) = (relational, config.puzzle.symbols()) {
            let answers = Answers {
                first: config.puzzle.first_symbol(),
                count,
            };
            (t.weight("head.weight", &[hidden], linear(hidden)), answers)
        } else {
            let shape = [config.vocab_size, hidden];
            let answers = Answers {
                first: 0,
                count: config.vocab_size,
            };
            (t.weight("lm_head.weight", &shape, linear(hidden)), answers)
        };
        let heads = Heads {
            lm,
            answers,
            q_weight: t.weight("q_head.weight", &[q_outputs, hidden], Init::Zeros),
            q_bias: t.weight("q_head.bias", &[q_outputs], Init::Constant(-5.0)),
            q_pool: config.q_pool,
            q_outputs,
        };

        Ok(Self {
            config: config.clone(),
            tensors: t.into_vec(),
            embedding,
            relations,
            start,
            modules,
            updates,
            heads,
            positions: config.positions(),
            prefix: config.prefix(),
            hidden,
        })
    }

    /// The tensor an id stands for.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &TensorSpec {
        &self.tensors[id.index()]
    }

    /// The table of puzzle embeddings, where there is one.
    #[must_use]
    pub fn puzzle_table(&self) -> Option<TensorId> {
        match &self.embedding {
            Embedding::Tokens(embedding) => embedding.puzzle,
            Embedding::Roles(_) => None,
        }
    }

    /// Why a puzzle can't have this identifier, if it can't: it picks a row of
    /// the table of puzzle embeddings, and is 0 where there is none.
    #[must_use]
    pub fn no_identifier(&self, identifier: usize) -> Option<String> {
        let table = self.puzzle_table();
        let rows = table.map_or(1, |table| self.tensor(table).shape[0]);
        (identifier >= rows).then(|| match table {
            Some(_) => format!(
                "puzzle identifier {identifier} has no row in puzzle_emb.weights, which has {rows}"
            ),
            None => {
                format!("puzzle identifier {identifier}, but the model has no puzzle embedding")
            }
        })
    }

    /// The axis of the norm that ends a sublayer.
    #[must_use]
    pub fn norm_axis(&self, sublayer: &Sublayer) -> Axis {
        match sublayer {
            Sublayer::GatedMlp {
                axis: Axis::Positions,
                ..
            } => self.config.mixer_norm,
            _ => Axis::Channels,
        }
    }

    /// The matrices of the modules, each once: what is quantized.
    #[must_use]
    pub fn matrices(&self) -> Vec<TensorId> {
        self.modules
            .iter()
            .flatten()
            .flat_map(Sublayer::matrices)
            .collect()
    }

    /// Whether a segment's input depends on the last one's answer.
    #[must_use]
    pub fn feeds_back(&self) -> bool {
        matches!(&self.embedding, Embedding::Roles(roles) if roles.feedback.is_some())
    }

    /// Boards that the same weights play beside the configuration's.
    #[must_use]
    pub fn further_boards(&self) -> Vec<PuzzleKind> {
        if self.relations.is_empty() {
            return Vec::new();
        }
        let mut sizes = self.config.puzzle.sizes();
        sizes.retain(|size| *size != self.config.puzzle);
        sizes
    }

    /// Whether images of a puzzle under relabelling and permutation of lines
    /// are all the same to the network, so that guesses at them can't differ.
    #[must_use]
    pub fn sees_images_alike(&self) -> bool {
        matches!(self.embedding, Embedding::Roles(_))
    }

    /// The same architecture on another board.
    ///
    /// # Errors
    /// If the weights are of this board alone, or the puzzle is of another kind.
    pub fn on(&self, puzzle: PuzzleKind) -> Result<Self, ConfigError> {
        if self.config.puzzle != puzzle && !self.further_boards().contains(&puzzle) {
            return Err(ConfigError::Invalid {
                field: "puzzle",
                reason: format!("is {}, so the model plays no {puzzle}", self.config.puzzle),
            });
        }
        Self::new(&self.config.on(puzzle))
    }

    /// Rows of `z_H` that the output head is applied to, prefix left out:
    /// each has a logit for every token, or with a position a (cell, symbol)
    /// one.
    #[must_use]
    pub fn answering(&self) -> usize {
        self.positions - self.prefix
    }

    /// Logits of such a row.
    #[must_use]
    pub fn logits_a_row(&self) -> usize {
        self.config.seq_len * self.heads.answers.count / self.answering().max(1)
    }

    /// Number of trained elements as the reference counts them: without the
    /// puzzle embedding and the initial vectors.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.tensors
            .iter()
            .filter(|t| t.kind == TensorKind::Weight)
            .map(TensorSpec::elements)
            .sum()
    }

    /// Multiply-add operations of one segment for one puzzle, counted as two
    /// floating-point operations each, heads included.
    #[must_use]
    pub fn segment_flops(&self) -> f64 {
        self.updates_flops(|_| true) + self.heads_flops()
    }

    /// The same of a training step: forward, the second forward for the
    /// target of `q_continue` where there is one, and backward, which costs
    /// two forwards of what carries gradient.
    #[must_use]
    pub fn training_flops(&self) -> f64 {
        let backward = 2.0 * (self.updates_flops(|u| u.gradient) + self.heads_flops());
        (1 + usize::from(self.config.q_continue)) as f64 * self.segment_flops() + backward
    }

    fn heads_flops(&self) -> f64 {
        match self.embedding {
            Embedding::Tokens(_) => {
                2.0 * (self.positions * self.hidden * self.config.vocab_size) as f64
            }
            Embedding::Roles(_) => 2.0 * (self.positions * self.hidden) as f64,
        }
    }

    /// Of the updates that are chosen.
    fn updates_flops(&self, chosen: impl Fn(&Update) -> bool) -> f64 {
        let (n, d) = (self.positions as f64, self.hidden as f64);
        let sublayer = |s: &Sublayer| match s {
            Sublayer::Attention { .. } => 2.0 * n * d * 4.0 * d + 4.0 * n * n * d,
            Sublayer::GatedMlp { axis, inner, .. } => {
                let (rows, width) = match axis {
                    Axis::Channels => (n, d),
                    Axis::Positions => (d, n),
                };
                6.0 * rows * width * *inner as f64
            }
            Sublayer::Relations {
                message,
                inner,
                pooling,
                ..
            } => {
                let (inner, messages) = (*inner as f64, (self.relations.len() * message) as f64);
                let projected = pooling.parts() as f64 * messages;
                2.0 * n * (d * projected + (d + messages) * 2.0 * inner + inner * d)
            }
        };
        let modules: Vec<f64> = self
            .modules
            .iter()
            .map(|m| m.iter().map(sublayer).sum())
            .collect();
        let chosen = self.updates.iter().filter(|u| chosen(u));
        chosen.map(|u| modules[u.module]).sum()
    }
}

fn linear(fan_in: usize) -> Init {
    Init::TruncatedNormal {
        std: 1.0 / (fan_in as f32).sqrt(),
    }
}

fn embedding(config: &ModelConfig, t: &mut TensorList) -> Embedding {
    let hidden = config.hidden_size;
    if config.token_mixer == TokenMixer::Relations && config.puzzle.symbols().is_some() {
        // Of the states' size, as an embedding is after its scaling.
        let unit = Init::TruncatedNormal { std: 1.0 };
        let roles = t.weight("embed_roles.weight", &[3, hidden], unit);
        let feedback = config
            .feedback
            .then(|| t.weight("feedback.weight", &[hidden], unit));
        return Embedding::Roles(RoleEmbedding { roles, feedback });
    }
    let embed_init = linear(hidden);
    let tokens = t.weight(
        "embed_tokens.embedding_weight",
        &[config.vocab_size, hidden],
        embed_init,
    );
    let positions = (config.pos_encodings == PosEncodings::Learned).then(|| {
        t.weight(
            "embed_pos.embedding_weight",
            &[config.positions(), hidden],
            embed_init,
        )
    });
    let puzzle = (config.prefix() > 0).then(|| {
        t.push(
            "puzzle_emb.weights",
            &[config.num_puzzle_identifiers, hidden],
            TensorKind::PuzzleEmbedding,
            Init::Zeros,
        )
    });
    let scale = (hidden as f32).sqrt()
        * if positions.is_some() {
            std::f32::consts::FRAC_1_SQRT_2
        } else {
            1.0
        };
    Embedding::Tokens(TokenEmbedding {
        tokens,
        puzzle,
        positions,
        scale,
    })
}

/// A whole block of the mixer `relations`.
fn related(config: &ModelConfig, relations: usize, t: &mut TensorList, base: &str) -> Sublayer {
    let (hidden, inner) = (config.hidden_size, config.channel_inner());
    // Validation has made sure that the width is there.
    let message = config.message.unwrap_or(hidden);
    let width = hidden + relations * message;
    Sublayer::Relations {
        project: t.weight(
            &format!("{base}.relations.weight"),
            &[relations * config.pooling.parts() * message, hidden],
            linear(hidden),
        ),
        gate_up: t.weight(
            &format!("{base}.mlp.gate_up_proj.weight"),
            &[2 * inner, width],
            linear(width),
        ),
        down: t.weight(
            &format!("{base}.mlp.down_proj.weight"),
            &[hidden, inner],
            linear(inner),
        ),
        message,
        inner,
        gate: config.gate,
        pooling: config.pooling,
    }
}

/// The first half of a block: what mixes positions.
fn mixer(config: &ModelConfig, t: &mut TensorList, base: &str) -> Sublayer {
    let hidden = config.hidden_size;
    match config.token_mixer {
        TokenMixer::Attention => Sublayer::Attention {
            qkv: t.weight(
                &format!("{base}.self_attn.qkv_proj.weight"),
                &[3 * hidden, hidden],
                linear(hidden),
            ),
            out: t.weight(
                &format!("{base}.self_attn.o_proj.weight"),
                &[hidden, hidden],
                linear(hidden),
            ),
            heads: config.num_heads,
            head_dim: hidden / config.num_heads,
            rope_theta: (config.pos_encodings == PosEncodings::Rope).then_some(config.rope_theta),
        },
        TokenMixer::Mlp | TokenMixer::Relations => {
            let n = config.positions();
            // Validation has made sure that the width is there.
            let inner = config.token_inner.unwrap_or(n);
            Sublayer::GatedMlp {
                axis: Axis::Positions,
                gate_up: t.weight(
                    &format!("{base}.mlp_t.gate_up_proj.weight"),
                    &[2 * inner, n],
                    linear(n),
                ),
                down: t.weight(
                    &format!("{base}.mlp_t.down_proj.weight"),
                    &[n, inner],
                    linear(inner),
                ),
                inner,
                gate: config.gate,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::Shape;

    #[test]
    fn paper_preset_has_the_published_parameter_count() {
        let plan = Plan::new(&ModelConfig::preset("hrm").unwrap()).unwrap();
        assert_eq!(plan.parameter_count(), 27_275_266);
        // FIELD's count: 13.74 GFLOP a segment.
        assert!((plan.segment_flops() / 13.74e9 - 1.0).abs() < 0.01);
        // 64 layer calls of 0.573 GFLOP a training step.
        assert!((plan.training_flops() / 36.7e9 - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_segment_alternates_levels_and_ends_with_gradient() {
        let plan = Plan::new(&ModelConfig::compact(Shape::S9, 128)).unwrap();
        let levels: String = plan
            .updates
            .iter()
            .map(|u| if u.level == Level::High { 'H' } else { 'L' })
            .collect();
        assert_eq!(levels, "LLLLHLLLLH");
        let kept: Vec<bool> = plan.updates.iter().map(|u| u.gradient).collect();
        assert_eq!(
            kept,
            [
                false, false, false, false, false, false, false, true, true, true
            ]
        );
        assert_eq!(plan.modules.len(), 1);
    }

    #[test]
    fn presets_have_the_published_sizes() {
        // In millions, as the papers give them; EqR gives none of its own.
        for (name, millions) in [
            ("trm-att", 7.0),
            ("trm-mlp", 5.0),
            ("rsm", 2.5),
            ("wta", 5.0),
        ] {
            let plan = Plan::new(&ModelConfig::preset(name).unwrap()).unwrap();
            let found = plan.parameter_count() as f64 / 1e6;
            assert!((found / millions - 1.0).abs() < 0.05, "{name}: {found}");
        }
    }

    #[test]
    fn a_damping_of_one_is_none() {
        let mut config = ModelConfig::preset("eqr").unwrap();
        let damping = |config: &ModelConfig| {
            let plan = Plan::new(config).unwrap();
            plan.updates.iter().map(|u| u.damping).collect::<Vec<_>>()
        };
        assert_eq!(damping(&config), [Some(0.95); 21]);
        config.damping = Some(1.0);
        assert_eq!(damping(&config), [None; 21]);
    }

    #[test]
    fn every_preset_has_a_plan_with_distinct_tensor_names() {
        for name in ModelConfig::PRESETS {
            let plan = Plan::new(&ModelConfig::preset(name).unwrap()).unwrap();
            let mut names: Vec<&str> = plan.tensors.iter().map(|t| t.name.as_str()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{name}");
        }
    }
}
