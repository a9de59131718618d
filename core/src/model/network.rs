//! The forward pass, walking a plan.

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData, activation};

use super::backend::DeviceNoise;
use super::inputs::Inputs;
use super::parameters::{Parameters, upload};
use crate::config::{Gate, Pooling, QPool};
use crate::plan::{Axis, Embedding, Level, Plan, SCORE_LIMIT, Start, Sublayer, Update};
use crate::train::Precision;

/// The type of what the modules compute.
#[must_use]
pub fn dtype(precision: Precision) -> FloatDType {
    match precision {
        Precision::F32 => FloatDType::F32,
        Precision::Bf16 => FloatDType::BF16,
    }
}

/// A tensor in f32, itself where it is.
fn full<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::F32)
}

/// `z_H` and `z_L`, each `[batch, positions, hidden]`.
#[derive(Debug, Clone)]
pub struct State {
    /// The slow state, that the answer is read from.
    pub h: Tensor<3>,
    /// The fast state.
    pub l: Tensor<3>,
}

impl State {
    /// The state that a plain pass starts from.
    #[must_use]
    pub fn initial(plan: &Plan, parameters: &Parameters, batch: usize) -> Self {
        let shape = [batch, plan.positions, plan.hidden];
        match plan.start {
            Start::Fixed { h, l } => {
                let rows = |id| {
                    let vector = parameters.get(id).reshape([1, 1, plan.hidden]);
                    vector.expand(shape)
                };
                Self {
                    h: rows(h),
                    l: rows(l),
                }
            }
            Start::Random => {
                let device = parameters.get(plan.heads.lm).inner().device();
                let [h, l] = plan.plain_states(|_| Vec::new().into()).map(|state| {
                    upload(state, [1, plan.positions, plan.hidden], &device).expand(shape)
                });
                Self { h, l }
            }
        }
    }

    /// This state without its gradient graph.
    #[must_use]
    pub fn detached(self) -> Self {
        Self {
            h: self.h.inner(),
            l: self.l.inner(),
        }
    }

    /// `initial` where `restart`, this state elsewhere.
    #[must_use]
    pub fn restarted(self, initial: Self, restart: &[bool]) -> Self {
        if restart.iter().all(|&r| r) {
            return initial;
        }
        if restart.iter().all(|&r| !r) {
            return self;
        }
        let shape = self.h.dims();
        let device = self.h.device();
        let mask = TensorData::new(restart.to_vec(), [restart.len(), 1, 1]);
        let mask = Tensor::<3, burn::tensor::Bool>::from_data(mask, &device).expand(shape);
        Self {
            h: self.h.mask_where(mask.clone(), initial.h),
            l: self.l.mask_where(mask, initial.l),
        }
    }
}

/// What a segment computes.
#[derive(Debug, Clone)]
pub struct Output {
    /// The states after it.
    pub state: State,
    /// `[batch * cells, answers]`.
    pub logits: Tensor<2>,
    /// `[batch, q_outputs]`: the logits of halting and, where the model has
    /// it, of continuing.
    pub q: Tensor<2>,
}

/// Rotary tables, over the heads side by side: `[1, positions, hidden]`.
#[derive(Debug, Clone)]
struct Rotary {
    cos: Tensor<3>,
    sin: Tensor<3>,
    /// `[head_dim, head_dim]`: `x · turn = (-x₂, x₁)` of the halves of `x`.
    turn: Tensor<2>,
}

/// A sublayer with its weights transposed to `[in, out]` and split, once a
/// step instead of once a call.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a model has a handful")]
enum Layer {
    Attention {
        query: Tensor<2>,
        key: Tensor<2>,
        value: Tensor<2>,
        out: Tensor<2>,
        heads: usize,
        rotary: Option<Rotary>,
    },
    GatedMlp {
        axis: Axis,
        gate: Tensor<2>,
        value: Tensor<2>,
        down: Tensor<2>,
        form: Gate,
    },
    Relations {
        project: Tensor<2>,
        gate: Tensor<2>,
        value: Tensor<2>,
        down: Tensor<2>,
        message: usize,
        form: Gate,
        pooling: Pooling,
        groups: Vec<Groups>,
    },
}

/// A relation's tables on the device.
#[derive(Debug, Clone)]
struct Groups {
    size: usize,
    /// `[groups * size]`.
    members: Tensor<1, Int>,
    /// `[positions]`.
    group_of: Tensor<1, Int>,
}

/// How the puzzle enters, on the device.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a model has one")]
enum Entry {
    Tokens {
        tokens: Tensor<2>,
        puzzle: Option<Tensor<2>>,
        positions: Option<Tensor<2>>,
        scale: f32,
    },
    Roles {
        roles: Tensor<2>,
        feedback: Option<Tensor<2>>,
    },
}

/// A plan with parameters, ready for forward passes. With
/// [`Parameters::tracked`] parameters the passes build a gradient graph.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    plan: &'a Plan,
    dtype: FloatDType,
    entry: Entry,
    modules: Vec<Vec<Layer>>,
    lm: Tensor<2>,
    q_weight: Tensor<2>,
    q_bias: Tensor<2>,
}

impl<'a> Network<'a> {
    /// Makes parameters ready for passes in f32.
    #[must_use]
    pub fn new(plan: &'a Plan, parameters: &Parameters) -> Self {
        Self::with_precision(plan, parameters, Precision::F32)
    }

    /// Makes parameters ready for passes.
    #[must_use]
    pub fn with_precision(plan: &'a Plan, parameters: &Parameters, precision: Precision) -> Self {
        let device = parameters.get(plan.heads.lm).inner().device();
        let dtype = dtype(precision);
        let weight = |id| parameters.get(id).cast(dtype);
        let layer = |sublayer: &Sublayer| match sublayer {
            Sublayer::Attention {
                qkv,
                out,
                heads,
                head_dim,
                rope_theta,
            } => {
                let qkv = weight(*qkv);
                let part = |i: usize| {
                    qkv.clone()
                        .narrow(0, i * plan.hidden, plan.hidden)
                        .transpose()
                };
                Layer::Attention {
                    query: part(0),
                    key: part(1),
                    value: part(2),
                    out: weight(*out).transpose(),
                    heads: *heads,
                    rotary: rope_theta
                        .map(|theta| rotary(plan, *heads, *head_dim, theta, dtype, &device)),
                }
            }
            Sublayer::GatedMlp {
                axis,
                gate_up,
                down,
                inner,
                gate,
            } => {
                let both = weight(*gate_up);
                Layer::GatedMlp {
                    axis: *axis,
                    gate: both.clone().narrow(0, 0, *inner).transpose(),
                    value: both.narrow(0, *inner, *inner).transpose(),
                    down: weight(*down).transpose(),
                    form: *gate,
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
                let both = weight(*gate_up);
                let table = |values: &[u32]| {
                    let values: Vec<i64> = values.iter().map(|&v| i64::from(v)).collect();
                    let n = values.len();
                    Tensor::from_data(TensorData::new(values, [n]), &device)
                };
                let relations = plan.relations.iter();
                Layer::Relations {
                    project: weight(*project).transpose(),
                    gate: both.clone().narrow(0, 0, *inner).transpose(),
                    value: both.narrow(0, *inner, *inner).transpose(),
                    down: weight(*down).transpose(),
                    message: *message,
                    form: *gate,
                    pooling: *pooling,
                    groups: relations
                        .map(|r| Groups {
                            size: r.size,
                            members: table(&r.members),
                            group_of: table(&r.group_of),
                        })
                        .collect(),
                }
            }
        };
        let entry = match &plan.embedding {
            Embedding::Tokens(e) => Entry::Tokens {
                tokens: parameters.get(e.tokens),
                puzzle: e.puzzle.map(|id| parameters.get(id)),
                positions: e.positions.map(|id| parameters.get(id)),
                scale: e.scale,
            },
            Embedding::Roles(e) => Entry::Roles {
                roles: parameters.get(e.roles),
                feedback: e.feedback.map(|id| parameters.get(id)),
            },
        };
        Self {
            plan,
            dtype,
            entry,
            modules: plan
                .modules
                .iter()
                .map(|m| m.iter().map(layer).collect())
                .collect(),
            lm: weight(plan.heads.lm).transpose(),
            q_weight: parameters.get(plan.heads.q_weight).transpose(),
            q_bias: parameters.get(plan.heads.q_bias),
        }
    }

    /// One segment, all of it with this network's parameters.
    #[must_use]
    pub fn segment(&self, state: State, inputs: &Inputs) -> Output {
        let input = self.embed(inputs, self.last_answers(inputs, &state));
        let state = self.run(&self.plan.updates, state, &input, &mut DeviceNoise::none());
        self.heads(state)
    }

    /// What a training segment does without gradient: `warm_ups` whole
    /// segments, and the updates that the plan keeps no gradient of, which
    /// come first. Returns the state with the answers that the trained
    /// segment is given.
    pub(super) fn frozen_updates(
        &self,
        mut state: State,
        inputs: &mut Inputs,
        warm_ups: usize,
        noise: &mut DeviceNoise,
    ) -> (State, Option<Tensor<2>>) {
        let (frozen, _) = self.updates();
        for _ in 0..warm_ups {
            let input = self.embed(inputs, self.last_answers(inputs, &state));
            state = self.run(&self.plan.updates, state, &input, noise);
            inputs.go_on();
        }
        let answers = self.last_answers(inputs, &state);
        let input = self.embed(inputs, answers.clone());
        (self.run(frozen, state, &input, noise).detached(), answers)
    }

    /// The other updates and the heads, on what [`Network::frozen_updates`]
    /// leaves.
    pub(super) fn tracked_updates(
        &self,
        state: State,
        inputs: &Inputs,
        answers: Option<Tensor<2>>,
        noise: &mut DeviceNoise,
    ) -> Output {
        let (_, tracked) = self.updates();
        let state = self.run(tracked, state, &self.embed(inputs, answers), noise);
        self.heads(state)
    }

    /// The updates without gradient, and those with.
    fn updates(&self) -> (&'a [Update], &'a [Update]) {
        let kept = self.plan.updates.iter().take_while(|u| !u.gradient).count();
        self.plan.updates.split_at(kept)
    }

    /// What the last segment has answered, `[batch, positions]`; none without
    /// feedback.
    fn last_answers(&self, inputs: &Inputs, state: &State) -> Option<Tensor<2>> {
        if !self.plan.feeds_back() {
            return None;
        }
        let (batch, symbols) = (state.h.dims()[0], self.plan.heads.answers.count);
        let own = || {
            let answer = self.logits(state.h.clone().cast(self.dtype));
            activation::softmax(answer, 1).reshape([batch, self.plan.positions])
        };
        debug_assert_eq!(self.plan.positions, self.plan.config.seq_len * symbols);
        Some(inputs.last_answers(own))
    }

    /// The embedded puzzles, `[batch, positions, hidden]`.
    fn embed(&self, inputs: &Inputs, answers: Option<Tensor<2>>) -> Tensor<3> {
        let hidden = self.plan.hidden;
        let (rows, batch) = (inputs.rows(), inputs.batch());
        let x = match &self.entry {
            Entry::Tokens {
                tokens,
                puzzle,
                positions,
                scale,
            } => {
                let cells = self.plan.config.seq_len;
                let mut x = tokens
                    .clone()
                    .select(0, rows)
                    .reshape([batch, cells, hidden]);
                if let Some(puzzle) = puzzle {
                    let own = puzzle.clone().select(0, inputs.puzzles());
                    let mut parts = vec![own.reshape([batch, 1, hidden])];
                    if self.plan.prefix > 1 {
                        let shape = [batch, self.plan.prefix - 1, hidden];
                        parts.push(Tensor::zeros(shape, &x.device()));
                    }
                    parts.push(x);
                    x = Tensor::cat(parts, 1);
                }
                if let Some(positions) = positions {
                    x = x + positions.clone().unsqueeze();
                }
                x * *scale
            }
            Entry::Roles { roles, feedback } => {
                let shape = [batch, self.plan.positions, hidden];
                let x = roles.clone().select(0, rows).reshape(shape);
                match (feedback, answers) {
                    (Some(vector), Some(answers)) => {
                        let answers = answers.reshape([batch, self.plan.positions, 1]);
                        x + answers * vector.clone().reshape([1, 1, hidden])
                    }
                    _ => x,
                }
            }
        };
        x.cast(self.dtype)
    }

    fn run(
        &self,
        updates: &[Update],
        state: State,
        input: &Tensor<3>,
        noise: &mut DeviceNoise,
    ) -> State {
        let device = state.h.clone().inner().device();
        let mut state = State {
            h: state.h.cast(self.dtype),
            l: state.l.cast(self.dtype),
        };
        for update in updates {
            let (own, other) = match update.level {
                Level::High => (&mut state.h, &state.l),
                Level::Low => (&mut state.l, &state.h),
            };
            let mut x = own.clone() + other.clone();
            if update.adds_input {
                x = x + input.clone();
            }
            let sublayers = &self.plan.modules[update.module];
            for (layer, sublayer) in self.modules[update.module].iter().zip(sublayers) {
                let sum = layer.forward(x.clone(), self.plan) + x;
                x = match self.plan.norm_axis(sublayer) {
                    Axis::Channels => self.norm(sum),
                    Axis::Positions => self.norm(sum.swap_dims(1, 2)).swap_dims(1, 2),
                };
            }
            if let Some(damping) = update.damping {
                x = own.clone() * (1.0 - damping) + x * damping;
            }
            if let Some(noise) = noise.tensor(x.dims(), &device) {
                x = x + noise.cast(self.dtype);
            }
            *own = x;
        }
        state
    }

    /// The heads on states in the modules' precision; what leaves is f32.
    fn heads(&self, state: State) -> Output {
        let plan = self.plan;
        let hidden = plan.hidden;
        let batch = state.h.dims()[0];
        let logits = self.logits(state.h.clone());
        let state = State {
            h: full(state.h),
            l: full(state.l),
        };
        let pooled = match plan.heads.q_pool {
            QPool::First => state.h.clone().narrow(1, 0, 1),
            QPool::Mean => state.h.clone().mean_dim(1),
        };
        Output {
            logits,
            q: pooled
                .reshape([batch, hidden])
                .matmul(self.q_weight.clone())
                + self.q_bias.clone(),
            state,
        }
    }

    /// `[batch * cells, answers]` of a `z_H` in the modules' precision.
    fn logits(&self, z_h: Tensor<3>) -> Tensor<2> {
        let plan = self.plan;
        let [batch, _, hidden] = z_h.dims();
        let rows = plan.answering();
        let answer = z_h
            .narrow(1, plan.prefix, rows)
            .reshape([batch * rows, hidden]);
        let logits = full(answer.matmul(self.lm.clone()));
        logits.reshape([batch * plan.config.seq_len, plan.heads.answers.count])
    }

    fn norm<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        rms_norm(x, self.plan.config.rms_norm_eps)
    }
}

/// `x / sqrt(mean(x²) + eps)` over the last axis, computed in f32.
fn rms_norm<const D: usize>(x: Tensor<D>, eps: f64) -> Tensor<D> {
    let dtype: FloatDType = x.dtype().into();
    let x = full(x);
    let scale = (x.clone() * x.clone())
        .mean_dim(D - 1)
        .add_scalar(eps)
        .sqrt()
        .recip();
    (x * scale).cast(dtype)
}

/// The tables of a rotary embedding in rotate-half layout.
fn rotary(
    plan: &Plan,
    heads: usize,
    head_dim: usize,
    theta: f64,
    dtype: FloatDType,
    device: &Device,
) -> Rotary {
    let half = head_dim / 2;
    let mut cos = Vec::with_capacity(plan.positions * plan.hidden);
    let mut sin = Vec::with_capacity(plan.positions * plan.hidden);
    for position in 0..plan.positions {
        for channel in 0..heads * head_dim {
            let i = (channel % half) as f64;
            // f32 like the reference's tables.
            let angle = position as f32 * theta.powf(-2.0 * i / head_dim as f64) as f32;
            cos.push(angle.cos());
            sin.push(angle.sin());
        }
    }
    let mut turn = vec![0.0; head_dim * head_dim];
    for i in 0..half {
        turn[(i + half) * head_dim + i] = -1.0;
        turn[i * head_dim + i + half] = 1.0;
    }
    let shape = [1, plan.positions, plan.hidden];
    Rotary {
        cos: upload(cos, shape, device),
        sin: upload(sin, shape, device),
        // Zeros and ones: exact in any type.
        turn: upload(turn, [head_dim, head_dim], device).cast(dtype),
    }
}

impl Rotary {
    /// Turns `x`, `[batch, positions, hidden]`, in f32.
    fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        let shape = x.dims();
        let dtype: FloatDType = x.dtype().into();
        let width = self.turn.dims()[0];
        let rows = shape.iter().product::<usize>() / width;
        let turned = x
            .clone()
            .reshape([rows, width])
            .matmul(self.turn.clone())
            .reshape(shape);
        (full(x) * self.cos.clone() + full(turned) * self.sin.clone()).cast(dtype)
    }
}

impl Layer {
    /// The sublayer's function, without residual and norm; `[batch,
    /// positions, hidden]` to the same.
    fn forward(&self, x: Tensor<3>, plan: &Plan) -> Tensor<3> {
        match self {
            Self::Attention {
                query,
                key,
                value,
                out,
                heads,
                rotary,
            } => {
                let [batch, positions, hidden] = x.dims();
                let head_dim = hidden / heads;
                let rows = x.reshape([batch * positions, hidden]);
                let project = |w: &Tensor<2>| {
                    rows.clone()
                        .matmul(w.clone())
                        .reshape([batch, positions, hidden])
                };
                let turn = |x| match rotary {
                    Some(rotary) => rotary.apply(x),
                    None => x,
                };
                let split = |x: Tensor<3>| {
                    x.reshape([batch, positions, *heads, head_dim])
                        .swap_dims(1, 2)
                };
                let (q, k, v) = (
                    split(turn(project(query))),
                    split(turn(project(key))),
                    split(project(value)),
                );
                // Scaling q is cheaper than scaling the scores.
                let scores = (q * (head_dim as f64).powf(-0.5)).matmul(k.transpose());
                let shares = activation::softmax(full(scores), 3).cast(v.dtype());
                let mixed = shares.matmul(v);
                let mixed = mixed.swap_dims(1, 2).reshape([batch * positions, hidden]);
                mixed
                    .matmul(out.clone())
                    .reshape([batch, positions, hidden])
            }
            Self::GatedMlp {
                axis,
                gate,
                value,
                down,
                form,
            } => {
                let mlp = |rows| gated([gate, value, down], *form, rows, plan);
                match axis {
                    Axis::Channels => {
                        let [batch, positions, hidden] = x.dims();
                        mlp(x.reshape([batch * positions, hidden]))
                            .reshape([batch, positions, hidden])
                    }
                    Axis::Positions => {
                        let [batch, positions, hidden] = x.dims();
                        let rows = x.swap_dims(1, 2).reshape([batch * hidden, positions]);
                        mlp(rows)
                            .reshape([batch, hidden, positions])
                            .swap_dims(1, 2)
                    }
                }
            }
            Self::Relations {
                project,
                gate,
                value,
                down,
                message,
                form,
                pooling,
                groups,
            } => {
                let [batch, positions, hidden] = x.dims();
                let rows = x.clone().reshape([batch * positions, hidden]);
                let projected = rows.matmul(project.clone());
                let width = pooling.parts() * message;
                let projected = projected.reshape([batch, positions, width * groups.len()]);
                let mut joined = vec![x];
                for (r, group) in groups.iter().enumerate() {
                    let part = |at| full(projected.clone().narrow(2, at, *message));
                    let scores = (*pooling == Pooling::Softmax).then(|| part(r * width));
                    joined.push(group.pool(scores, part((r + 1) * width - message)));
                }
                let dtype: FloatDType = joined[0].dtype().into();
                let joined: Vec<_> = joined.into_iter().map(|x| x.cast(dtype)).collect();
                let width = hidden + message * groups.len();
                let rows = Tensor::cat(joined, 2).reshape([batch * positions, width]);
                gated([gate, value, down], *form, rows, plan).reshape([batch, positions, hidden])
            }
        }
    }
}

impl Groups {
    /// The message of every position's group, `[batch, positions, message]`,
    /// from values and scores, if there are any, of the same shape.
    fn pool(&self, scores: Option<Tensor<3>>, values: Tensor<3>) -> Tensor<3> {
        let [batch, positions, message] = values.dims();
        let groups = positions / self.size;
        let by_group = |x: Tensor<3>| {
            x.select(1, self.members.clone())
                .reshape([batch, groups, self.size, message])
        };
        let values = by_group(values);
        let messages = match scores {
            None => values.mean_dim(2),
            Some(scores) => {
                let weights = by_group(scores.clamp(-SCORE_LIMIT, SCORE_LIMIT).exp());
                (weights.clone() * values).sum_dim(2) / weights.sum_dim(2)
            }
        };
        messages
            .reshape([batch, groups, message])
            .select(1, self.group_of.clone())
    }
}

/// A gated MLP over the channels of rows.
fn gated(
    [gate, value, down]: [&Tensor<2>; 3],
    form: Gate,
    rows: Tensor<2>,
    plan: &Plan,
) -> Tensor<2> {
    let g = rows.clone().matmul(gate.clone());
    let v = rows.matmul(value.clone());
    let inner = match form {
        Gate::Silu => activation::silu(g) * v,
        Gate::NormalizedSigmoid => {
            activation::sigmoid(g.clone()) * rms_norm(g * v, plan.config.rms_norm_eps)
        }
    };
    inner.matmul(down.clone())
}
