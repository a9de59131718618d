//! A model on a device.

use std::sync::Arc;

use hrm_core::config::{Gate, Pooling, QPool};
use hrm_core::engine::EngineError;
use hrm_core::plan::{Axis, Embedding, Plan, RoleEmbedding, Sublayer, TensorId, TokenEmbedding};
use hrm_core::weights::Weights;

use crate::context::GpuContext;
use crate::kernel::Array;
use crate::kernels::Kernels;
use crate::kernels::argmax::Logits;
use crate::kernels::attention::rotations;
use crate::kernels::embed::Tables;
use crate::kernels::roles::Vectors;
use crate::pack::{
    Layout, Matrix, below, fours, from, gate_rows, head_columns, padded_rows, qkv_rows, restride,
};
use crate::program::Program;

/// A sublayer's weights on the device, see [`Sublayer`].
#[derive(Debug)]
pub(crate) enum Layer {
    Attention {
        qkv: Matrix,
        out: Matrix,
        heads: usize,
        head_dim: usize,
        /// Rotations of the positions, if q and k are rotated.
        rotations: Option<Array>,
    },
    GatedMlp {
        axis: Axis,
        gate_up: Matrix,
        down: Matrix,
        inner: usize,
        gate: Gate,
    },
    Relations {
        /// `[relations, parts, fours(message)]` rows ([`Pooling::parts`]).
        project: Matrix,
        /// The state's part of gate and value.
        own: Matrix,
        /// That of each relation's messages.
        messages: Vec<Matrix>,
        down: Matrix,
        message: usize,
        inner: usize,
        gate: Gate,
        pooling: Pooling,
    },
}

/// How the puzzle enters, see [`Embedding`].
#[derive(Debug)]
pub(crate) enum Entry {
    Tokens(Tables),
    Roles(Vectors),
}

/// The output head.
#[derive(Debug)]
pub(crate) enum Head {
    /// A row of logits a position, `[fours(vocabulary), hidden]`.
    Rows(Matrix),
    /// One logit a position, `[hidden]`.
    Scores(Array),
}

/// A model's weights and compiled kernels, shared by any number of runs.
#[derive(Debug)]
pub struct GpuModel {
    kernels: Kernels,
    plan: Arc<Plan>,
    pub(crate) modules: Vec<Vec<Layer>>,
    pub(crate) entry: Entry,
    /// `z_H` and `z_L` of a plain pass's start, `[positions, hidden]` padded.
    pub(crate) initial: [Vec<f32>; 2],
    pub(crate) head: Head,
    pub(crate) q_weight: Array,
    pub(crate) q_bias: [f32; 2],
    bytes: u64,
}

impl GpuModel {
    /// Uploads the weights in the form that they are in, and compiles what the
    /// plan needs.
    ///
    /// # Errors
    /// If the device is lost, out of memory or refuses a kernel.
    pub async fn new(
        context: &GpuContext,
        plan: Arc<Plan>,
        weights: &Weights,
    ) -> Result<Self, EngineError> {
        let made = context
            .scoped(|| {
                let model = Self::upload(context, plan, weights)?;
                // Recording what a batch of one does compiles every kernel.
                Program::new(&model, 1)?;
                Ok(model)
            })
            .await;
        if made.is_err() {
            Kernels::forget(context);
        }
        made
    }

    /// The architecture.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Bytes that the weights take on the device.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The device it is on.
    #[must_use]
    pub fn context(&self) -> &GpuContext {
        self.kernels.context()
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// `z_H` and `z_L` of a plain pass's start, `[positions, hidden]` each.
    pub(crate) fn dense_initial(&self) -> [Vec<f32>; 2] {
        let dense = |state: &Vec<f32>| restride(state, self.hidden(), self.plan.hidden);
        self.initial.each_ref().map(dense)
    }

    /// Channels of an activation with padding.
    pub(crate) fn hidden(&self) -> usize {
        fours(self.plan.hidden)
    }

    /// Positions that the q head looks at.
    pub(crate) fn pooled(&self) -> usize {
        match self.plan.heads.q_pool {
            QPool::First => 1,
            QPool::Mean => self.plan.positions,
        }
    }

    /// How logits are stored.
    pub(crate) fn logits(&self) -> Logits {
        let answers = self.plan.heads.answers;
        Logits {
            prefix: self.plan.prefix,
            cells: self.plan.config.seq_len,
            answers,
            stride: match self.head {
                Head::Rows(_) => fours(answers.count),
                Head::Scores(_) => answers.count,
            },
        }
    }

    fn upload(
        context: &GpuContext,
        plan: Arc<Plan>,
        weights: &Weights,
    ) -> Result<Self, EngineError> {
        let d = plan.hidden;
        let before = context.counted_bytes();
        let table = |name, id: TensorId| table(context, weights, d, name, id);
        let entry = match &plan.embedding {
            Embedding::Tokens(e) => Entry::Tokens(token_tables(context, weights, &plan, e)?),
            Embedding::Roles(e) => Entry::Roles(role_vectors(context, weights, d, e)?),
        };

        let mut shared = None;
        let modules = plan
            .modules
            .iter()
            .map(|module| {
                let layer = |sublayer| upload_layer(context, &plan, weights, sublayer, &mut shared);
                module.iter().map(layer).collect()
            })
            .collect::<Result<_, _>>()?;

        let head = match &entry {
            Entry::Roles(_) => Head::Scores(table("head", plan.heads.lm)?),
            Entry::Tokens(_) => {
                let vocabulary = plan.config.vocab_size;
                let layout = Layout {
                    rows: fours(vocabulary),
                    depth: fours(d),
                    row: &below(vocabulary),
                    column: &below(d),
                };
                let weights = weights.get(plan.heads.lm);
                Head::Rows(Matrix::new(context, "lm_head", weights, &layout)?)
            }
        };
        let bias = weights.dense(plan.heads.q_bias);
        Ok(Self {
            kernels: Kernels::new(context),
            modules,
            entry,
            initial: plan
                .plain_states(|id| weights.dense(id))
                .map(|state| restride(&state, d, fours(d))),
            head,
            q_weight: table("q_head", plan.heads.q_weight)?,
            q_bias: [bias[0], bias[plan.heads.q_outputs - 1]],
            bytes: context.counted_bytes() - before,
            plan,
        })
    }
}

/// A tensor whose rows are as wide as a state, with padding.
fn table(
    context: &GpuContext,
    weights: &Weights,
    hidden: usize,
    name: &'static str,
    id: TensorId,
) -> Result<Array, EngineError> {
    let values = restride(&weights.dense(id), hidden, fours(hidden));
    Array::new(context, name, &values)
}

fn token_tables(
    context: &GpuContext,
    weights: &Weights,
    plan: &Plan,
    e: &TokenEmbedding,
) -> Result<Tables, EngineError> {
    let d = plan.hidden;
    let table = |name, id| table(context, weights, d, name, id);
    Ok(Tables {
        tokens: table("token embedding", e.tokens)?,
        puzzles: e
            .puzzle
            .map(|id| table("puzzle embedding", id))
            .transpose()?,
        prefix: plan.prefix,
        positions: e
            .positions
            .map(|id| table("position embedding", id))
            .transpose()?,
        scale: e.scale,
    })
}

fn role_vectors(
    context: &GpuContext,
    weights: &Weights,
    hidden: usize,
    e: &RoleEmbedding,
) -> Result<Vectors, EngineError> {
    let mut values = weights.dense(e.roles).into_owned();
    match e.feedback {
        Some(id) => values.extend_from_slice(&weights.dense(id)),
        None => values.resize(values.len() + hidden, 0.0),
    }
    Ok(Vectors {
        values: Array::new(context, "roles", &restride(&values, hidden, fours(hidden)))?,
        feedback: e.feedback.is_some(),
    })
}

/// `shared` keeps the rotations of the first layer that has some.
fn upload_layer(
    context: &GpuContext,
    plan: &Plan,
    weights: &Weights,
    sublayer: &Sublayer,
    shared: &mut Option<(f64, Array)>,
) -> Result<Layer, EngineError> {
    let (n, d) = (plan.positions, plan.hidden);
    Ok(match sublayer {
        Sublayer::Attention {
            qkv,
            out,
            heads,
            head_dim,
            rope_theta,
        } => {
            let (heads, head_dim) = (*heads, *head_dim);
            let width = heads * fours(head_dim);
            let rotations = match (rope_theta, &*shared) {
                (None, _) => None,
                (Some(theta), Some((known, array))) if theta == known => Some(array.clone()),
                (Some(theta), _) => {
                    let array = Array::new(context, "rotations", &rotations(n, head_dim, *theta))?;
                    *shared = Some((*theta, array.clone()));
                    Some(array)
                }
            };
            Layer::Attention {
                qkv: Matrix::new(
                    context,
                    "qkv_proj",
                    weights.get(*qkv),
                    &Layout {
                        rows: 3 * width,
                        depth: fours(d),
                        row: &qkv_rows(heads, head_dim),
                        column: &below(d),
                    },
                )?,
                out: Matrix::new(
                    context,
                    "o_proj",
                    weights.get(*out),
                    &Layout {
                        rows: fours(d),
                        depth: width,
                        row: &below(d),
                        column: &head_columns(head_dim),
                    },
                )?,
                heads,
                head_dim,
                rotations,
            }
        }
        Sublayer::GatedMlp {
            axis,
            gate_up,
            down,
            inner,
            gate,
        } => {
            // Channels come out padded, positions don't.
            let (width, rows) = match axis {
                Axis::Channels => (d, fours(d)),
                Axis::Positions => (n, n),
            };
            let inner = *inner;
            Layer::GatedMlp {
                axis: *axis,
                gate_up: Matrix::new(
                    context,
                    "gate_up_proj",
                    weights.get(*gate_up),
                    &Layout {
                        rows: 2 * fours(inner),
                        depth: fours(width),
                        row: &gate_rows(inner),
                        column: &below(width),
                    },
                )?,
                down: Matrix::new(
                    context,
                    "down_proj",
                    weights.get(*down),
                    &Layout {
                        rows,
                        depth: fours(inner),
                        row: &below(width),
                        column: &below(inner),
                    },
                )?,
                inner,
                gate: *gate,
            }
        }
        Sublayer::Relations {
            project,
            gate_up,
            down,
            message,
            inner,
            gate,
            pooling,
        } => {
            let (message, inner) = (*message, *inner);
            let gates = |name, depth, column: &dyn Fn(usize) -> Option<usize>| {
                let layout = Layout {
                    rows: 2 * fours(inner),
                    depth,
                    row: &gate_rows(inner),
                    column,
                };
                Matrix::new(context, name, weights.get(*gate_up), &layout)
            };
            let relations = plan.relations.len();
            Layer::Relations {
                project: Matrix::new(
                    context,
                    "relations",
                    weights.get(*project),
                    &Layout {
                        rows: relations * pooling.parts() * fours(message),
                        depth: fours(d),
                        row: &padded_rows(message),
                        column: &below(d),
                    },
                )?,
                own: gates("gate_up_proj", fours(d), &below(d))?,
                messages: (0..relations)
                    .map(|r| {
                        let column = from(d + r * message, message);
                        gates("messages' gate_up_proj", fours(message), &column)
                    })
                    .collect::<Result<_, _>>()?,
                down: Matrix::new(
                    context,
                    "down_proj",
                    weights.get(*down),
                    &Layout {
                        rows: fours(d),
                        depth: fours(inner),
                        row: &below(d),
                        column: &below(inner),
                    },
                )?,
                message,
                inner,
                gate: *gate,
                pooling: *pooling,
            }
        }
    })
}
