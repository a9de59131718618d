//! From a published configuration and the tensors' shapes to an architecture
//! of this project: what is said is checked against what is there, what is
//! not said follows from it, and what neither says is asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::ImportError;
use super::fields::Fields;
use crate::config::{Axis, InitialState, ModelConfig, Modules, PosEncodings, TokenMixer};
use crate::puzzle::{ArcSize, PuzzleKind, Shape};

/// The shapes of a model's tensors, by plain names.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// Whose code wrote a checkpoint: what it computes beyond what the fields
/// say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// HRM: two modules, one position in front.
    Hrm,
    /// TRM and what computes the same: one module, several positions in
    /// front, norms over positions after mixing them.
    Trm,
    /// EqR: TRM without positions in front, damped, from random states.
    Eqr,
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::Hrm => "HRM",
            Self::Trm => "TRM",
            Self::Eqr => "EqR",
        }
    }
}

/// The architecture, and how its tensors differ from the file's.
pub(super) struct Inferred {
    pub(super) config: ModelConfig,
    /// The second output of the q head was never trained.
    pub(super) drop_continue: bool,
}

/// Tokens of ARC.
const ARC_VOCAB: usize = 12;

/// Refuses for a reason.
fn refuse<T>(reason: impl Into<String>) -> Result<T, ImportError> {
    Err(ImportError::Config(reason.into()))
}

/// The architecture that a configuration and shapes agree on.
pub(super) fn infer(
    arch: Map<String, Value>,
    shapes: &Shapes,
    notes: &mut Vec<String>,
) -> Result<Inferred, ImportError> {
    let data = arch
        .get("data_path")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_lowercase();
    let mut fields = Fields(arch);
    let family = family(&mut fields, shapes)?;

    let tokens = matrix(shapes, "embed_tokens.embedding_weight")?;
    let (vocab, hidden) = (tokens[0], tokens[1]);
    agree(
        "vocab_size",
        fields.count("vocab_size")?,
        vocab,
        "embed_tokens.embedding_weight",
    )?;
    agree(
        "hidden_size",
        fields.count("hidden_size")?,
        hidden,
        "embed_tokens.embedding_weight",
    )?;

    let separate = family == Family::Hrm;
    let low = layers(shapes, "L_level");
    let high = if separate {
        layers(shapes, "H_level")
    } else {
        low
    };
    agree("L_layers", fields.count("L_layers")?, low, "L_level")?;
    let said_high = fields.count("H_layers")?;
    if separate {
        agree("H_layers", said_high, high, "H_level")?;
    }
    if low == 0 || high == 0 {
        return refuse(format!(
            "an {} has layers in H_level and L_level; the file has {high} and {low}",
            family.name()
        ));
    }

    let mixing = mixing(&mut fields, shapes, family, hidden)?;
    let inner = mixing_inner(shapes, "L_level.layers.0.mlp.gate_up_proj.weight")?;
    let expansion = fields.number("expansion")?.unwrap_or(4.0);

    let ends = shapes
        .get("embed_pos.embedding_weight")
        .and_then(|s| s.first().copied())
        .or(mixing.positions);
    let prefix = prefix(&mut fields, shapes, family, hidden, notes)?;
    let cells = match (fields.count("seq_len")?, ends) {
        (Some(cells), Some(positions)) if cells + prefix != positions => {
            return refuse(format!(
                "`seq_len` is {cells} and {prefix} positions stand in front, but the tensors have {positions} positions"
            ));
        }
        (Some(cells), _) => Some(cells),
        (None, Some(positions)) => Some(positions.checked_sub(prefix).ok_or_else(|| {
            ImportError::Config(format!(
                "{prefix} positions in front are more than the tensors' {positions}"
            ))
        })?),
        (None, None) => None,
    };
    let puzzle = puzzle(&mut fields, vocab, cells, &data)?;

    let rows = shapes
        .get("puzzle_emb.weights")
        .and_then(|s| s.first().copied());
    let identifiers = fields.count("num_puzzle_identifiers")?;
    if let Some(rows) = rows {
        agree(
            "num_puzzle_identifiers",
            identifiers,
            rows,
            "puzzle_emb.weights",
        )?;
    }

    let need = |name: &str, value: Option<usize>| {
        value.ok_or_else(|| {
            ImportError::Config(format!("`{name}` is missing, and no tensor says it"))
        })
    };
    let h_cycles = fields.count("H_cycles")?;
    let l_cycles = fields.count("L_cycles")?;
    let (h_cycles, l_cycles) = (need("H_cycles", h_cycles)?, need("L_cycles", l_cycles)?);
    let heads = fields.count("num_heads")?;
    let heads = match mixing.mixer {
        TokenMixer::Attention => need("num_heads", heads)?,
        _ => 1,
    };

    let without = fields.flag("no_ACT_continue")?;
    let outputs = matrix(shapes, "q_head.weight")?[0];
    // TRM's code has the second output always and trains it only on request.
    let drop_continue = outputs == 2
        && match family {
            Family::Hrm => false,
            Family::Trm => without.unwrap_or(true),
            Family::Eqr => true,
        };
    if drop_continue {
        notes.push("q_head: its second output (continue) was not trained and is dropped".into());
    }

    let (damping, initial_state) = recurrence(&mut fields, family, shapes, notes)?;
    let mut config = ModelConfig {
        vocab_size: vocab,
        num_heads: heads,
        expansion,
        H_cycles: h_cycles,
        L_cycles: l_cycles,
        H_layers: high,
        L_layers: low,
        num_puzzle_identifiers: rows.unwrap_or(1),
        puzzle_emb_ndim: if prefix > 0 { hidden } else { 0 },
        puzzle_emb_len: (prefix > 1).then_some(prefix),
        pos_encodings: mixing.encodings,
        modules: if separate {
            Modules::Separate
        } else {
            Modules::Shared
        },
        token_mixer: mixing.mixer,
        token_inner: mixing.inner,
        mixer_norm: mixing.norm,
        q_continue: outputs == 2 && !drop_continue,
        gradient_updates: if separate { 2 } else { l_cycles + 1 },
        damping,
        initial_state,
        ..ModelConfig::hrm(puzzle, hidden, heads, low)
    };
    if let Some(theta) = fields.number("rope_theta")? {
        config.rope_theta = theta;
    }
    if let Some(eps) = fields.number("rms_norm_eps")? {
        config.rms_norm_eps = eps;
    }
    if let Some(steps) = fields.count("halt_max_steps")? {
        config.halt_max_steps = steps;
    }
    if let Some(p) = fields.number("halt_exploration_prob")? {
        config.halt_exploration_prob = p;
    }
    if config.channel_inner() != inner {
        config.mlp_inner = Some(inner);
        notes.push(format!(
            "the MLPs are {inner} wide, as their tensors; an expansion of {expansion} would give {}",
            ModelConfig { mlp_inner: None, ..config.clone() }.channel_inner()
        ));
    }
    fields.finish(notes)?;
    config.validate()?;
    notes.push(describe(&config, family));
    Ok(Inferred {
        config,
        drop_continue,
    })
}

/// One line on what was understood.
fn describe(config: &ModelConfig, family: Family) -> String {
    let mixer = match (config.token_mixer, config.mixer_norm) {
        (TokenMixer::Mlp, Axis::Positions) => {
            "an MLP over the positions, a norm over them after it"
        }
        (TokenMixer::Mlp, Axis::Channels) => {
            "an MLP over the positions, a norm over the channels after it"
        }
        _ => "attention",
    };
    format!(
        "read as {} for {}: {} H cycles of {} L cycles, {mixer}, {} position(s) in front of the cells",
        family.name(),
        config.puzzle,
        config.H_cycles,
        config.L_cycles,
        config.prefix()
    )
}

/// Whose code it is: by the name that the configuration gives, or else by
/// the tensors.
fn family(fields: &mut Fields, shapes: &Shapes) -> Result<Family, ImportError> {
    let two = shapes.keys().any(|name| name.starts_with("H_level."));
    let hf = match fields.0.get("architectures") {
        Some(Value::Array(names)) => names.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let Some(name) = fields.word("name")?.or(hf) else {
        return Ok(if two { Family::Hrm } else { Family::Trm });
    };
    let (module, class) = name.rsplit_once('@').unwrap_or(("", &name));
    let module = module.rsplit('.').next().unwrap_or_default();
    let family = match (module, class) {
        ("" | "hrm" | "hrm_act_v1", "HierarchicalReasoningModel_ACTV1" | "HRMModel") => Family::Hrm,
        (
            "" | "trm" | "trm_cgar" | "trm_gar",
            "TinyRecursiveReasoningModel_ACTV1"
            | "TinyRecursiveReasoningModel_ACTV1_CGAR"
            | "TinyRecursiveReasoningModel_ACTV1_GAR"
            | "TRMModel",
        ) => Family::Trm,
        ("" | "eqr", "EqRModel") => Family::Eqr,
        _ => {
            return refuse(format!(
                "`name` is `{name}`, a model that is not known here (known: HierarchicalReasoningModel_ACTV1, TinyRecursiveReasoningModel_ACTV1 with CGAR and GAR, TRMModel, EqRModel); if it computes the same as HRM or TRM, say --ignore name"
            ));
        }
    };
    if two != (family == Family::Hrm) {
        return refuse(format!(
            "`name` is `{name}`, but the file has {} H_level",
            if two { "an" } else { "no" }
        ));
    }
    Ok(family)
}

/// How positions are mixed.
struct Mixing {
    mixer: TokenMixer,
    inner: Option<usize>,
    /// Positions that the weights are for.
    positions: Option<usize>,
    norm: Axis,
    encodings: PosEncodings,
}

fn mixing(
    fields: &mut Fields,
    shapes: &Shapes,
    family: Family,
    hidden: usize,
) -> Result<Mixing, ImportError> {
    let learned = shapes.contains_key("embed_pos.embedding_weight");
    let said = fields.flag("mlp_t")?;
    let words = fields.word("pos_encodings")?;
    let norm = fields.word("mixer_norm")?;
    let mlp = "L_level.layers.0.mlp_t.gate_up_proj.weight";
    if shapes.contains_key(mlp) {
        if said == Some(false) {
            return refuse("`mlp_t` is false, but the file has mlp_t tensors");
        }
        let down = matrix(shapes, "L_level.layers.0.mlp_t.down_proj.weight")?;
        let norm = match norm.as_deref() {
            Some("positions") => Axis::Positions,
            Some("channels") => Axis::Channels,
            Some(other) => {
                return refuse(format!(
                    "`mixer_norm` is {other:?}, positions or channels is expected"
                ));
            }
            // Its own code says so; names and shapes alone don't.
            None if said == Some(true) && family != Family::Hrm => Axis::Positions,
            None => {
                return refuse(
                    "whether the norm after mixing positions is over the positions (TRM, EqR) or the channels (RSM) is said neither by the configuration nor by the tensors; say --set mixer_norm=positions or channels",
                );
            }
        };
        let encodings = if learned {
            PosEncodings::Learned
        } else {
            PosEncodings::None
        };
        return Ok(Mixing {
            mixer: TokenMixer::Mlp,
            inner: Some(mixing_inner(shapes, mlp)?),
            positions: Some(down[0]),
            norm,
            encodings,
        });
    }
    if said == Some(true) {
        return refuse("`mlp_t` is true, but the file has no mlp_t tensors");
    }
    let qkv = matrix(shapes, "L_level.layers.0.self_attn.qkv_proj.weight")?;
    if qkv[0] != 3 * hidden {
        return refuse(format!(
            "tensor `L_level.layers.0.self_attn.qkv_proj.weight` has {} rows, not three times {hidden}: shared keys are not known here",
            qkv[0]
        ));
    }
    let encodings = match (words.as_deref(), learned) {
        (Some("learned") | None, true) => PosEncodings::Learned,
        (Some("rope"), false) => PosEncodings::Rope,
        (Some(word), true) => {
            return refuse(format!(
                "`pos_encodings` is {word:?}, but the file has embed_pos"
            ));
        }
        (Some("learned"), false) => {
            return refuse("`pos_encodings` is \"learned\", but the file has no embed_pos");
        }
        (Some(word), false) => {
            return refuse(format!(
                "`pos_encodings` is {word:?}; rope and learned are known for attention"
            ));
        }
        (None, false) => return refuse("`pos_encodings` is missing, and no tensor says it"),
    };
    Ok(Mixing {
        mixer: TokenMixer::Attention,
        inner: None,
        positions: None,
        norm: Axis::Channels,
        encodings,
    })
}

/// Positions in front of the cells.
fn prefix(
    fields: &mut Fields,
    shapes: &Shapes,
    family: Family,
    hidden: usize,
    notes: &mut Vec<String>,
) -> Result<usize, ImportError> {
    let length = fields.count("puzzle_emb_len")?;
    let width = fields.count("puzzle_emb_ndim")?;
    let Some(table) = shapes.get("puzzle_emb.weights") else {
        if width.is_some_and(|w| w > 0) {
            return refuse(format!(
                "`puzzle_emb_ndim` is {}, but the file has no puzzle_emb.weights",
                width.unwrap_or(0)
            ));
        }
        return Ok(0);
    };
    let columns = table.get(1).copied().unwrap_or(0);
    agree("puzzle_emb_ndim", width, columns, "puzzle_emb.weights")?;
    if columns == 0 || columns > hidden {
        return refuse(format!(
            "tensor `puzzle_emb.weights` is {columns} wide: a row that fills several positions ({hidden} each) is not known here"
        ));
    }
    if columns < hidden {
        notes.push(format!(
            "puzzle_emb.weights is {columns} wide and filled up with zeros to {hidden}, as its code does"
        ));
    }
    match (length.filter(|n| *n > 0), length, family) {
        (Some(length), _, _) => Ok(length),
        (None, Some(_), _) | (None, None, Family::Hrm) => Ok(1),
        _ => refuse(
            "`puzzle_emb_len`, the number of positions in front of the cells, is missing, and no tensor says it: TRM has 16; say --set puzzle_emb_len=16, or what it is",
        ),
    }
}

/// The board, by what is said and by the number of tokens and cells.
fn puzzle(
    fields: &mut Fields,
    vocab: usize,
    cells: Option<usize>,
    data: &str,
) -> Result<PuzzleKind, ImportError> {
    if let Some(name) = fields.word("puzzle")? {
        return name.parse().map_err(|e: crate::puzzle::UnknownKind| {
            ImportError::Config(format!("`puzzle`: {e}"))
        });
    }
    let sudoku = [Shape::S4, Shape::S6, Shape::S9]
        .into_iter()
        .map(PuzzleKind::Sudoku)
        .find(|kind| kind.vocab() == vocab && cells.is_none_or(|n| n == kind.cells()));
    let side = cells
        .map(|n| (n as f64).sqrt() as usize)
        .filter(|s| Some(s * s) == cells);
    let named: Option<PuzzleKind> =
        size_in(data).and_then(|n| format!("maze-{n}x{n}").parse().ok());
    let maze = if vocab == 6 {
        match side {
            Some(side) => format!("maze-{side}x{side}").parse().ok(),
            None => named,
        }
    } else {
        None
    };
    match (sudoku, maze) {
        (Some(kind), None) => Ok(kind),
        (None, Some(kind)) => Ok(kind),
        (Some(kind), Some(maze)) => Ok(if data.contains("maze") { maze } else { kind }),
        (None, None)
            if vocab == ARC_VOCAB && cells.is_none_or(|n| ArcSize::from_cells(n).is_some()) =>
        {
            // Where no tensor says it, the canvas is the published one.
            let size = cells.and_then(ArcSize::from_cells);
            Ok(size.unwrap_or(ArcSize::FULL).into())
        }
        (None, None) if vocab == 6 => refuse(
            "six tokens are a maze's or a 4x4 Sudoku's, and no tensor says how many cells: say --set puzzle=maze-30x30, or which it is",
        ),
        (None, None) => refuse(format!(
            "{vocab} tokens{} are of no puzzle known here (Sudoku 4x4, 6x6, 9x9 have 6, 8 and 11, mazes 6, ARC 12)",
            cells.map_or_else(String::new, |n| format!(" and {n} cells"))
        )),
    }
}

/// The N of an `NxN` in the path of the data.
fn size_in(data: &str) -> Option<usize> {
    if !data.contains("maze") {
        return None;
    }
    let words: BTreeSet<usize> = data
        .split(|c: char| !(c.is_ascii_digit() || c == 'x'))
        .filter_map(|word| {
            let (a, b) = word.split_once('x')?;
            (a == b).then(|| a.parse().ok()).flatten()
        })
        .collect();
    words.first().copied()
}

/// Damping and initial states.
fn recurrence(
    fields: &mut Fields,
    family: Family,
    shapes: &Shapes,
    notes: &mut Vec<String>,
) -> Result<(Option<f64>, InitialState), ImportError> {
    let fixed = shapes.contains_key("H_init") || shapes.contains_key("L_init");
    if family != Family::Eqr {
        return Ok((fields.number("damping")?, InitialState::Fixed));
    }
    for name in ["H_init_std", "L_init_std"] {
        if let Some(std) = fields.number(name)?.filter(|std| (std - 1.0).abs() > 1e-9) {
            return refuse(format!(
                "`{name}` is {std}: random states of deviation 1 are known"
            ));
        }
    }
    let damping = fields.number("lambda_")?.unwrap_or(0.95);
    let noise = fields.number("noise_scale")?.unwrap_or(0.01);
    if noise > 0.0 {
        notes.push(format!(
            "its code adds noise of {noise} at every update in use too: `hrm eval --update-noise {noise}`"
        ));
    }
    let state = if fixed {
        InitialState::Fixed
    } else {
        InitialState::Random
    };
    Ok(((damping < 1.0).then_some(damping), state))
}

/// Checks a field against what the tensors say.
fn agree(name: &str, said: Option<usize>, found: usize, tensor: &str) -> Result<(), ImportError> {
    match said {
        Some(said) if said != found => refuse(format!(
            "`{name}` is {said}, but by tensor `{tensor}` it is {found}: weights and configuration are of different models"
        )),
        _ => Ok(()),
    }
}

/// Number of blocks of a module.
fn layers(shapes: &Shapes, module: &str) -> usize {
    let number = |name: &String| {
        let rest = name.strip_prefix(module)?.strip_prefix(".layers.")?;
        rest.split('.').next()?.parse::<usize>().ok()
    };
    let numbers: BTreeSet<usize> = shapes.keys().filter_map(number).collect();
    numbers.len()
}

fn matrix(shapes: &Shapes, name: &str) -> Result<[usize; 2], ImportError> {
    match shapes.get(name).map(Vec::as_slice) {
        Some([rows, columns]) => Ok([*rows, *columns]),
        Some(other) => refuse(format!(
            "tensor `{name}` has shape {other:?}, a matrix is expected"
        )),
        None => Err(crate::weights::WeightsError::Missing {
            name: name.to_owned(),
        }
        .into()),
    }
}

/// Inner width of a gated MLP.
fn mixing_inner(shapes: &Shapes, name: &str) -> Result<usize, ImportError> {
    let [rows, _] = matrix(shapes, name)?;
    if rows % 2 != 0 {
        return refuse(format!(
            "tensor `{name}` has {rows} rows; gate and value are as many"
        ));
    }
    Ok(rows / 2)
}
