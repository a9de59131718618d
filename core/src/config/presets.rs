//! Architectures by name.

use super::{
    Axis, ConfigError, Gate, InitialState, ModelConfig, Modules, Pooling, PosEncodings, QPool,
    TokenMixer, rms_norm_eps, rope_theta,
};
use crate::puzzle::{MazeSize, PuzzleKind, Shape};

impl ModelConfig {
    /// An HRM for `puzzle` with the paper's recurrence (arXiv 2506.21734):
    /// `H_cycles` 2, `L_cycles` 2, 16 segments.
    #[must_use]
    pub fn hrm(
        puzzle: impl Into<PuzzleKind>,
        hidden_size: usize,
        num_heads: usize,
        layers: usize,
    ) -> Self {
        let puzzle = puzzle.into();
        Self {
            puzzle,
            seq_len: puzzle.cells(),
            vocab_size: puzzle.vocab(),
            puzzle_emb_ndim: hidden_size,
            puzzle_emb_len: None,
            num_puzzle_identifiers: 1,
            hidden_size,
            num_heads,
            expansion: 4.0,
            H_cycles: 2,
            L_cycles: 2,
            H_layers: layers,
            L_layers: layers,
            pos_encodings: PosEncodings::Rope,
            rope_theta: rope_theta(),
            rms_norm_eps: rms_norm_eps(),
            halt_max_steps: 16,
            halt_exploration_prob: 0.1,
            modules: Modules::Separate,
            token_mixer: TokenMixer::Attention,
            token_inner: None,
            message: None,
            pooling: Pooling::Softmax,
            feedback: false,
            mixer_norm: Axis::Channels,
            mlp_inner: None,
            gate: Gate::Silu,
            q_pool: QPool::First,
            q_continue: true,
            gradient_updates: 2,
            damping: None,
            initial_state: InitialState::Fixed,
            batch_size: None,
            forward_dtype: None,
        }
    }

    /// An HRM to be trained in minutes: one layer a level, a narrow MLP, and
    /// learned positions. On a small board those find rows, columns and boxes
    /// within hundreds of steps, where rotary ones, which know distances
    /// only, need many thousands.
    #[must_use]
    pub fn hrm_mini(puzzle: impl Into<PuzzleKind>, hidden_size: usize, num_heads: usize) -> Self {
        Self {
            pos_encodings: PosEncodings::Learned,
            mlp_inner: Some(2 * hidden_size),
            ..Self::hrm(puzzle, hidden_size, num_heads, 1)
        }
    }

    /// The same with the compact reasoner's block: an MLP over the positions
    /// in place of attention, and the normalised gate. Trained with Muon; on
    /// 6x6 it solves unseen grids within 3,000 steps, where attention of the
    /// same size is still on its first plateau.
    #[must_use]
    pub fn hrm_mixer(puzzle: impl Into<PuzzleKind>, hidden_size: usize) -> Self {
        Self {
            token_mixer: TokenMixer::Mlp,
            token_inner: Some(2 * hidden_size),
            mlp_inner: Some(3 * hidden_size),
            gate: Gate::NormalizedSigmoid,
            ..Self::hrm_mini(puzzle, hidden_size, 1)
        }
    }

    /// The compact reasoner: one block for both levels, an MLP over the
    /// positions, the normalised gate, no puzzle embedding; `token_inner` and
    /// `mlp_inner` are 2 and 3 times the hidden width.
    #[must_use]
    pub fn compact(puzzle: impl Into<PuzzleKind>, hidden_size: usize) -> Self {
        Self {
            puzzle_emb_ndim: 0,
            num_heads: 1,
            L_cycles: 4,
            H_layers: 1,
            L_layers: 1,
            pos_encodings: PosEncodings::Learned,
            modules: Modules::Shared,
            token_mixer: TokenMixer::Mlp,
            token_inner: Some(2 * hidden_size),
            mlp_inner: Some(3 * hidden_size),
            gate: Gate::NormalizedSigmoid,
            q_pool: QPool::Mean,
            q_continue: false,
            gradient_updates: 3,
            ..Self::hrm(puzzle, hidden_size, 1, 1)
        }
    }

    /// TRM with attention (arXiv 2510.04871): one module of two layers for
    /// both levels, three cycles of six low-level updates, gradient through
    /// the whole last cycle, no `q_continue`. The published model puts 16
    /// positions in front of the cells, of which all but one are zero; here
    /// it is the one (`puzzle_emb_len` adds the others).
    #[must_use]
    pub fn trm_att(puzzle: impl Into<PuzzleKind>, hidden_size: usize, num_heads: usize) -> Self {
        Self {
            H_cycles: 3,
            L_cycles: 6,
            modules: Modules::Shared,
            q_continue: false,
            gradient_updates: 7,
            ..Self::hrm(puzzle, hidden_size, num_heads, 2)
        }
    }

    /// TRM with an MLP over the positions in place of attention (the same
    /// paper). `token_inner` is of the published size at 9x9. Its norms are
    /// over the channels; the published ones after the mixing of positions
    /// are over the positions (`mixer_norm`).
    #[must_use]
    pub fn trm_mlp(puzzle: impl Into<PuzzleKind>, hidden_size: usize, token_inner: usize) -> Self {
        Self {
            token_mixer: TokenMixer::Mlp,
            token_inner: Some(token_inner),
            pos_encodings: PosEncodings::None,
            ..Self::trm_att(puzzle, hidden_size, 1)
        }
    }

    /// RSM (arXiv 2603.15641): TRM-MLP with one layer and segments of one
    /// cycle, as many as the depth; the rest is in how it is trained
    /// (`--supervision last` and a depth curriculum). The published model
    /// has no q head, and one table for embedding and output.
    #[must_use]
    pub fn rsm(puzzle: impl Into<PuzzleKind>, hidden_size: usize, token_inner: usize) -> Self {
        Self {
            H_cycles: 1,
            H_layers: 1,
            L_layers: 1,
            ..Self::trm_mlp(puzzle, hidden_size, token_inner)
        }
    }

    /// EqR (arXiv 2605.21488): TRM-MLP without puzzle embedding, with random
    /// initial states and damping.
    #[must_use]
    pub fn eqr(puzzle: impl Into<PuzzleKind>, hidden_size: usize, token_inner: usize) -> Self {
        Self {
            puzzle_emb_ndim: 0,
            damping: Some(0.95),
            initial_state: InitialState::Random,
            ..Self::trm_mlp(puzzle, hidden_size, token_inner)
        }
    }

    /// The model of "Speed is Confidence" (arXiv 2601.19085), TRM-MLP with
    /// the gate that Muon needs, with random initial states, of which
    /// winner-take-all training takes several a puzzle (`--chains`); the
    /// published model has as many fixed ones.
    #[must_use]
    pub fn wta(puzzle: impl Into<PuzzleKind>, hidden_size: usize, token_inner: usize) -> Self {
        Self {
            gate: Gate::NormalizedSigmoid,
            initial_state: InitialState::Random,
            ..Self::trm_mlp(puzzle, hidden_size, token_inner)
        }
    }

    /// The relational reasoner: a state for every (cell, symbol), one layer
    /// for both levels that pools over the puzzle's relations, its last
    /// answer fed back, gradient through a whole segment. `mlp_inner` is
    /// twice the width, a message half of it.
    #[must_use]
    pub fn relational(puzzle: impl Into<PuzzleKind>, hidden_size: usize) -> Self {
        Self {
            puzzle_emb_ndim: 0,
            pos_encodings: PosEncodings::None,
            modules: Modules::Shared,
            token_mixer: TokenMixer::Relations,
            message: Some(hidden_size / 2),
            feedback: true,
            mlp_inner: Some(2 * hidden_size),
            gate: Gate::NormalizedSigmoid,
            q_pool: QPool::Mean,
            q_continue: false,
            gradient_updates: 6,
            ..Self::hrm(puzzle, hidden_size, 1, 1)
        }
    }

    /// The relational reasoner for mazes: a state for every cell, which hears
    /// from its four neighbours. A segment has two cycles of five low-level
    /// updates, so that what a cell knows goes twelve cells far.
    #[must_use]
    pub fn relational_maze(size: MazeSize, hidden_size: usize) -> Self {
        Self {
            L_cycles: 5,
            // A neighbour is alone in its group: there is nothing to weigh.
            pooling: Pooling::Mean,
            feedback: false,
            gradient_updates: 12,
            ..Self::relational(size, hidden_size)
        }
    }

    /// Names that [`ModelConfig::preset`] knows.
    pub const PRESETS: [&'static str; 13] = [
        "hrm",
        "hrm-small",
        "hrm-4x4",
        "hrm-6x6",
        "compact",
        "compact-6x6",
        "trm-att",
        "trm-mlp",
        "rsm",
        "eqr",
        "wta",
        "relational",
        "relational-maze",
    ];

    /// A configuration by name; `hrm` is the paper's 27,275,266 parameters.
    ///
    /// # Errors
    /// If there is no preset of that name.
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        Ok(match name {
            "hrm" => Self::hrm(Shape::S9, 512, 8, 4),
            "hrm-small" => Self::hrm(Shape::S9, 128, 4, 2),
            "hrm-4x4" => Self::hrm_mini(Shape::S4, 64, 4),
            "hrm-6x6" => Self::hrm_mixer(Shape::S6, 64),
            "compact" => Self::compact(Shape::S9, 128),
            "compact-6x6" => Self::compact(Shape::S6, 64),
            "trm-att" => Self::trm_att(Shape::S9, 512, 8),
            "trm-mlp" => Self::trm_mlp(Shape::S9, 512, 512),
            "rsm" => Self::rsm(Shape::S9, 512, 512),
            "eqr" => Self::eqr(Shape::S9, 512, 256),
            "wta" => Self::wta(Shape::S9, 512, 512),
            "relational" => Self::relational(Shape::S9, 32),
            "relational-maze" => Self::relational_maze(MazeSize::HARD, 32),
            _ => {
                return Err(ConfigError::UnknownPreset {
                    name: name.to_owned(),
                    known: Self::PRESETS.join(", "),
                });
            }
        })
    }
}
