//! A segment as a list of dispatches: the engine's walk of the plan.

use std::rc::Rc;

use hrm_core::config::Gate;
use hrm_core::engine::EngineError;
use hrm_core::plan::{Axis, Level, Update};

use crate::context::Variant;
use crate::kernel::{Array, Dispatch};
use crate::kernels::partials::{self, PARTS};
use crate::kernels::pool::{self, Groups};
use crate::kernels::roles::{self, Given};
use crate::kernels::{
    argmax, attention, columns, embed, factors, mix, norm, project, score, sum, summary,
};
use crate::model::{Entry, GpuModel, Head, Layer};
use crate::pack::fours;

/// Everything a segment of a batch does on the device, recorded once.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) tokens: Array,
    /// Of each sequence, the row of the puzzle embedding.
    pub(crate) identifiers: Array,
    /// `[batch]`: 1 for sequences without a last answer.
    pub(crate) fresh: Array,
    /// `z_H` and `z_L`, `[batch, positions, hidden]`, and what they were
    /// before the segment.
    pub(crate) states: [Array; 2],
    pub(crate) before: [Array; 2],
    /// See [`GpuModel::logits`].
    pub(crate) logits: Array,
    /// See [`summary`].
    pub(crate) summaries: Array,
    /// Fills the embedded puzzles from the tokens and, where the model has
    /// feedback, `z_H`.
    pub(crate) embed: Vec<Dispatch>,
    pub(crate) segment: Vec<Dispatch>,
    pub(crate) updates: Vec<Updated>,
}

/// The end of an update inside a segment.
#[derive(Debug)]
pub(crate) struct Updated {
    /// Which state it has replaced.
    pub(crate) level: Level,
    /// How many of the segment's dispatches have run by then.
    pub(crate) end: usize,
    /// What the next module call works on: a sum with the new state in it.
    pub(crate) next: Array,
}

/// Arrays that module calls work in.
struct Work {
    /// What a sublayer works on: first the module's input, then the sums that
    /// the sublayers before have left, which are yet to be normalised.
    state: Array,
    /// What it leaves.
    sum: Array,
    /// Whether `state` has been normalised already: after a norm over the
    /// positions.
    normed: bool,
    /// Parts of the squares of their rows.
    squares: [Array; 2],
    /// Inner activations of the widest sublayer, by their exact lengths.
    inner: Vec<Array>,
    /// What relations pool over.
    groups: Rc<Groups>,
}

impl Work {
    /// An array of exactly `len` elements; sublayers of the same size share.
    fn array(
        &mut self,
        model: &GpuModel,
        len: usize,
        taken: &[&Array],
    ) -> Result<Array, EngineError> {
        let free = |a: &&Array| a.len() == len && taken.iter().all(|t| t.buffer() != a.buffer());
        if let Some(array) = self.inner.iter().find(free) {
            return Ok(array.clone());
        }
        let array = Array::zeros(model.context(), "activations", len)?;
        self.inner.push(array.clone());
        Ok(array)
    }
}

impl Program {
    /// `z_H` or `z_L`.
    pub(crate) fn state(&self, level: Level) -> &Array {
        match level {
            Level::High => &self.states[0],
            Level::Low => &self.states[1],
        }
    }

    pub(crate) fn new(model: &GpuModel, batch: usize) -> Result<Self, EngineError> {
        let (kernels, plan, context) = (model.kernels(), model.plan(), model.context());
        let (n, hidden) = (plan.positions, model.hidden());
        let (cells, form) = (plan.config.seq_len, model.logits());
        let state = |name| Array::zeros(context, name, batch * n * hidden);
        let tokens = Array::zeros(context, "tokens", batch * cells)?;
        let identifiers = Array::zeros(context, "identifiers", batch)?;
        let fresh = Array::zeros(context, "fresh", batch)?;
        let input = state("embedded puzzle")?;
        let states = [state("z_H")?, state("z_L")?];
        let before = [state("z_H before")?, state("z_L before")?];
        let logits = Array::zeros(context, "logits", batch * form.elements())?;
        let summaries = Array::zeros(context, "summaries", batch * summary::words(cells))?;
        let sums = Array::zeros(context, "partial sums", batch * PARTS * 4)?;

        let read_out = || match &model.head {
            Head::Rows(weights) => {
                let end = project::Epilogue::Store;
                project::dispatch(kernels, batch * n, &states[0], weights, &logits, end)
            }
            Head::Scores(weights) => {
                score::dispatch(kernels, [batch * n, hidden], &states[0], weights, &logits)
            }
        };
        let embed = match &model.entry {
            Entry::Tokens(tables) => {
                let shape = [batch, n, hidden];
                vec![embed::dispatch(
                    kernels,
                    shape,
                    tables,
                    &tokens,
                    &identifiers,
                    &input,
                )?]
            }
            Entry::Roles(vectors) => {
                let given = Given {
                    tokens: &tokens,
                    fresh: &fresh,
                    logits: &logits,
                };
                let shape = [batch, cells, hidden];
                let roles = roles::dispatch(kernels, shape, form.answers, vectors, &given, &input)?;
                if vectors.feedback {
                    vec![read_out()?, roles]
                } else {
                    vec![roles]
                }
            }
        };

        let squares = || Array::zeros(context, "squares", batch * n * project::parts(hidden));
        let mut segment = Vec::new();
        let mut work = Work {
            state: state("module state")?,
            sum: state("module sum")?,
            normed: false,
            squares: [squares()?, squares()?],
            inner: Vec::new(),
            groups: Rc::new(Groups::new(context, &plan.relations, batch)?),
        };
        let other = |level| match level {
            Level::High => (&states[0], &states[1]),
            Level::Low => (&states[1], &states[0]),
        };
        let added = |update: &Update| update.adds_input.then_some(&input);
        if let Some(first) = plan.updates.first() {
            let (to, from) = other(first.level);
            segment.push(sum::dispatch(kernels, to, from, added(first), &work.state)?);
        }
        let mut updates = Vec::new();
        for (i, update) in plan.updates.iter().enumerate() {
            let (to, from) = other(update.level);
            for (j, layer) in model.modules[update.module].iter().enumerate() {
                let normed = j > 0 && !std::mem::take(&mut work.normed);
                push_layer(model, batch, layer, normed, &mut work, &mut segment)?;
            }
            // The last norm's result is the new state; what the next call
            // works on is the sum of both states whichever it updates.
            let next = norm::Next {
                other: from,
                input: plan.updates.get(i + 1).and_then(added),
                next: &work.state,
                damping: update.damping,
            };
            let shape = [batch * n, plan.hidden];
            let epsilon = plan.config.rms_norm_eps as f32;
            segment.push(norm::dispatch(
                kernels,
                shape,
                epsilon,
                &work.sum,
                to,
                Some(next),
            )?);
            updates.push(Updated {
                level: update.level,
                end: segment.len(),
                next: work.state.clone(),
            });
        }

        segment.push(read_out()?);
        segment.push(argmax::dispatch(kernels, batch, form, &logits, &summaries)?);
        let compared = partials::States {
            now: states.each_ref(),
            before: before.each_ref(),
        };
        let head = (&model.q_weight, plan.heads.q_outputs, model.pooled());
        segment.push(partials::dispatch(
            kernels,
            [batch, n, hidden],
            &compared,
            head,
            &sums,
        )?);
        let scales = summary::Scales {
            pooled: model.pooled(),
            elements: n * plan.hidden,
            q_bias: model.q_bias,
        };
        segment.push(summary::dispatch(
            kernels,
            batch,
            plan.config.puzzle,
            &scales,
            &sums,
            &summaries,
        )?);

        Ok(Self {
            tokens,
            identifiers,
            fresh,
            states,
            before,
            logits,
            summaries,
            embed,
            segment,
            updates,
        })
    }
}

/// Records `work.sum = x + layer(x)` with `x` the state, `normed` or as it is
/// (a module's input), and the parts of its squares. Before every sublayer but
/// a module's first, state and sum change places, or the norm comes between.
fn push_layer(
    model: &GpuModel,
    batch: usize,
    layer: &Layer,
    normed: bool,
    work: &mut Work,
    segment: &mut Vec<Dispatch>,
) -> Result<(), EngineError> {
    let (kernels, plan) = (model.kernels(), model.plan());
    let (n, hidden) = (plan.positions, model.hidden());
    let rows = batch * n;
    let epsilon = plan.config.rms_norm_eps as f32;
    // Where a CPU plays GPU a dispatch costs next to nothing, less than that
    // every invocation adds up the parts of its rows' squares.
    let fused = model.context().variant() != Variant::Direct;
    if normed && fused {
        std::mem::swap(&mut work.state, &mut work.sum);
        work.squares.swap(0, 1);
    } else if normed {
        let shape = [rows, plan.hidden];
        segment.push(norm::dispatch(
            kernels,
            shape,
            epsilon,
            &work.sum,
            &work.state,
            None,
        )?);
    }
    let normed = normed && fused;
    let (state, sum) = (work.state.clone(), work.sum.clone());
    let [squares, squares_out] = work.squares.clone();
    let norm = project::Norm {
        squares: &squares,
        parts: project::parts(hidden),
        width: plan.hidden,
        epsilon,
    };
    let x = project::Rows {
        values: &state,
        norm: normed.then_some(norm),
    };
    let residual = project::Epilogue::Residual {
        residual: x,
        squares: &squares_out,
    };
    match layer {
        Layer::Attention {
            qkv,
            out,
            heads,
            head_dim,
            rotations,
        } => {
            let head = fours(*head_dim);
            let width = heads * head;
            let projected = work.array(model, rows * 3 * width, &[])?;
            let mixed = work.array(model, rows * width, &[&projected])?;
            let end = rotations
                .as_ref()
                .map_or(project::Epilogue::Store, |table| {
                    project::Epilogue::Rotary {
                        table,
                        positions: n,
                        head,
                        rotated: 2 * width,
                    }
                });
            segment.push(project::dispatch(kernels, rows, x, qkv, &projected, end)?);
            let heads = [*heads, *head_dim];
            segment.push(attention::dispatch(
                kernels,
                [batch, n],
                heads,
                &projected,
                &mixed,
            )?);
            segment.push(project::dispatch(
                kernels, rows, &mixed, out, &sum, residual,
            )?);
        }
        Layer::GatedMlp {
            axis: Axis::Channels,
            gate_up,
            down,
            inner,
            gate,
        } => {
            let gated = work.array(model, rows * fours(*inner), &[])?;
            let parts = project::parts(gate_up.rows);
            let squares = match gate {
                Gate::Silu => None,
                Gate::NormalizedSigmoid => Some(work.array(model, rows * parts, &[&gated])?),
            };
            let end = squares.as_ref().map_or(project::Epilogue::Silu, |squares| {
                project::Epilogue::Normalized { squares }
            });
            segment.push(project::dispatch(kernels, rows, x, gate_up, &gated, end)?);
            let gated = project::Rows {
                values: &gated,
                norm: squares.as_ref().map(|squares| project::Norm {
                    squares,
                    parts,
                    width: *inner,
                    epsilon,
                }),
            };
            segment.push(project::dispatch(
                kernels, rows, gated, down, &sum, residual,
            )?);
        }
        Layer::GatedMlp {
            axis: Axis::Positions,
            gate_up,
            down,
            inner,
            gate,
        } => {
            // The norm's factors would be in the way along the depth.
            let normalized;
            let x = if normed {
                normalized = work.array(model, rows * hidden, &[])?;
                let shape = [rows, plan.hidden];
                segment.push(norm::dispatch(
                    kernels,
                    shape,
                    epsilon,
                    &state,
                    &normalized,
                    None,
                )?);
                normalized
            } else {
                state
            };
            let terms = fours(*inner);
            let gated = work.array(model, batch * terms * hidden, &[&x])?;
            let squares = match gate {
                Gate::Silu => None,
                Gate::NormalizedSigmoid => {
                    Some(work.array(model, batch * terms * hidden, &[&x, &gated])?)
                }
            };
            let end =
                squares
                    .as_ref()
                    .map_or(mix::Epilogue::Silu, |squares| mix::Epilogue::Normalized {
                        squares,
                    });
            segment.push(mix::dispatch(
                kernels,
                [batch, n, hidden],
                &x,
                gate_up,
                &gated,
                end,
            )?);
            let axes = [batch, terms, hidden];
            let mut factors = None;
            if let Some(squares) = &squares {
                let array = work.array(model, batch * hidden, &[&x, &gated, squares])?;
                segment.push(factors::dispatch(
                    kernels, axes, *inner, epsilon, squares, &array,
                )?);
                factors = Some(array);
            }
            let end = mix::Epilogue::Residual {
                residual: &x,
                factors: factors.as_ref(),
                squares: &squares_out,
            };
            segment.push(mix::dispatch(kernels, axes, &gated, down, &sum, end)?);
            if plan.config.mixer_norm == Axis::Positions {
                let shape = [batch, n, hidden];
                segment.push(columns::dispatch(
                    kernels,
                    shape,
                    epsilon,
                    &sum,
                    &work.state,
                )?);
                work.normed = true;
            }
        }
        Layer::Relations {
            project: scores_and_values,
            own,
            messages: of_messages,
            down,
            message,
            inner,
            gate,
            pooling,
        } => {
            let groups = Rc::clone(&work.groups);
            let message = fours(*message);
            let projected = work.array(model, rows * scores_and_values.rows, &[])?;
            segment.push(project::dispatch(
                kernels,
                rows,
                x,
                scores_and_values,
                &projected,
                project::Epilogue::Store,
            )?);
            let pooled = work.array(model, groups.rows() * message, &[&projected])?;
            segment.push(pool::dispatch(
                kernels, n, message, *pooling, &groups, &projected, &pooled,
            )?);
            // What a message adds to gate and value is the same for all
            // members of its group.
            let added = work.array(model, groups.rows() * own.rows, &[&pooled])?;
            for (relation, weights) in of_messages.iter().enumerate() {
                let (from, rows) = groups.of_relation(relation, &pooled, message)?;
                let (to, _) = groups.of_relation(relation, &added, own.rows)?;
                let end = project::Epilogue::Store;
                segment.push(project::dispatch(kernels, rows, &from, weights, &to, end)?);
            }
            let gated = work.array(model, rows * fours(*inner), &[&added])?;
            let parts = project::parts(own.rows);
            let squares = match gate {
                Gate::Silu => None,
                Gate::NormalizedSigmoid => {
                    Some(work.array(model, rows * parts, &[&added, &gated])?)
                }
            };
            let messages = project::Messages {
                values: &added,
                rows: groups.rows(),
                places: &groups.places,
                positions: n,
                relations: groups.count(),
            };
            let end = project::Epilogue::Related {
                messages,
                squares: squares.as_ref(),
            };
            segment.push(project::dispatch(kernels, rows, x, own, &gated, end)?);
            let gated = project::Rows {
                values: &gated,
                norm: squares.as_ref().map(|squares| project::Norm {
                    squares,
                    parts,
                    width: *inner,
                    epsilon,
                }),
            };
            segment.push(project::dispatch(
                kernels, rows, gated, down, &sum, residual,
            )?);
        }
    }
    Ok(())
}
