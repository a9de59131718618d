//! A segment as a list of dispatches: the engine's walk of the plan.

use hrm_core::config::Gate;
use hrm_core::engine::EngineError;
use hrm_core::plan::{Axis, Level};

use crate::kernel::{Array, Dispatch};
use crate::kernels::partials::{self, PARTS};
use crate::kernels::{argmax, attention, embed, factors, mix, norm, project, sum, summary};
use crate::model::{GpuModel, Layer};
use crate::pack::fours;

/// Everything a segment of a batch does on the device, recorded once.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) tokens: Array,
    /// `z_H` and `z_L`, `[batch, positions, hidden]`, and what they were
    /// before the segment.
    pub(crate) states: [Array; 2],
    pub(crate) before: [Array; 2],
    /// `[batch, positions, fours(vocabulary)]`.
    pub(crate) logits: Array,
    /// See [`summary`].
    pub(crate) summaries: Array,
    /// Fills the embedded puzzles from the tokens.
    pub(crate) embed: Dispatch,
    pub(crate) segment: Vec<Dispatch>,
}

/// Arrays that module calls work in.
struct Work {
    /// The state inside a module, `[batch, positions, hidden]`.
    state: Array,
    /// The same before its norm.
    sum: Array,
    /// Inner activations of the widest sublayer, by their exact lengths.
    inner: Vec<Array>,
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
    pub(crate) fn new(model: &GpuModel, batch: usize) -> Result<Self, EngineError> {
        let (kernels, plan, context) = (model.kernels(), model.plan(), model.context());
        let (n, hidden) = (plan.positions, model.hidden());
        let (cells, vocabulary) = (plan.config.seq_len, plan.config.vocab_size);
        let state = |name| Array::zeros(context, name, batch * n * hidden);
        let tokens = Array::zeros(context, "tokens", batch * cells)?;
        let input = state("embedded puzzle")?;
        let states = [state("z_H")?, state("z_L")?];
        let before = [state("z_H before")?, state("z_L before")?];
        let logits = Array::zeros(context, "logits", batch * n * fours(vocabulary))?;
        let summaries = Array::zeros(context, "summaries", batch * summary::words(cells))?;
        let sums = Array::zeros(context, "partial sums", batch * PARTS * 4)?;

        let embed = embed::dispatch(kernels, [batch, n, hidden], &model.tables, &tokens, &input)?;

        let mut segment = Vec::new();
        let mut work = Work {
            state: state("module state")?,
            sum: state("module sum")?,
            inner: Vec::new(),
        };
        for update in &plan.updates {
            let (to, other) = match update.level {
                Level::High => (&states[0], &states[1]),
                Level::Low => (&states[1], &states[0]),
            };
            segment.push(sum::dispatch(
                kernels,
                to,
                other,
                update.adds_input.then_some(&input),
                &work.state,
            )?);
            let layers = &model.modules[update.module];
            for (i, layer) in layers.iter().enumerate() {
                push_layer(model, batch, layer, &mut work, &mut segment)?;
                // The last norm's result is the new state.
                let normed = if i + 1 == layers.len() {
                    to
                } else {
                    &work.state
                };
                let epsilon = plan.config.rms_norm_eps as f32;
                segment.push(norm::dispatch(
                    kernels,
                    [batch * n, plan.hidden],
                    epsilon,
                    &work.sum,
                    normed,
                )?);
            }
        }

        segment.push(project::dispatch(
            kernels,
            batch * n,
            &states[0],
            &model.lm,
            &logits,
            project::Epilogue::Store,
        )?);
        segment.push(argmax::dispatch(
            kernels,
            [batch, n, vocabulary],
            plan.prefix,
            &logits,
            &summaries,
        )?);
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
            states,
            before,
            logits,
            summaries,
            embed,
            segment,
        })
    }
}

/// Records `work.sum = work.state + layer(work.state)`.
fn push_layer(
    model: &GpuModel,
    batch: usize,
    layer: &Layer,
    work: &mut Work,
    segment: &mut Vec<Dispatch>,
) -> Result<(), EngineError> {
    let (kernels, plan) = (model.kernels(), model.plan());
    let (n, hidden) = (plan.positions, model.hidden());
    let rows = batch * n;
    let epsilon = plan.config.rms_norm_eps as f32;
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
            segment.push(project::dispatch(
                kernels,
                rows,
                &work.state,
                qkv,
                &projected,
                end,
            )?);
            segment.push(attention::dispatch(
                kernels,
                [batch, n],
                [*heads, *head_dim],
                &projected,
                &mixed,
            )?);
            let end = project::Epilogue::Residual {
                residual: &work.state,
                factors: None,
            };
            segment.push(project::dispatch(
                kernels, rows, &mixed, out, &work.sum, end,
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
            let factors = match gate {
                Gate::Silu => {
                    let end = project::Epilogue::Silu;
                    segment.push(project::dispatch(
                        kernels,
                        rows,
                        &work.state,
                        gate_up,
                        &gated,
                        end,
                    )?);
                    None
                }
                Gate::NormalizedSigmoid => {
                    let terms = fours(*inner) / 2;
                    let squares = work.array(model, rows * terms, &[&gated])?;
                    let factors = work.array(model, rows, &[&gated, &squares])?;
                    let end = project::Epilogue::Normalized { squares: &squares };
                    segment.push(project::dispatch(
                        kernels,
                        rows,
                        &work.state,
                        gate_up,
                        &gated,
                        end,
                    )?);
                    segment.push(factors::dispatch(
                        kernels,
                        [rows, terms, 1],
                        *inner,
                        epsilon,
                        &squares,
                        &factors,
                    )?);
                    Some(factors)
                }
            };
            let end = project::Epilogue::Residual {
                residual: &work.state,
                factors: factors.as_ref(),
            };
            segment.push(project::dispatch(
                kernels, rows, &gated, down, &work.sum, end,
            )?);
        }
        Layer::GatedMlp {
            axis: Axis::Positions,
            gate_up,
            down,
            inner,
            gate,
        } => {
            let terms = fours(*inner);
            let gated = work.array(model, batch * terms * hidden, &[])?;
            let shape = [batch, n, hidden];
            let factors = match gate {
                Gate::Silu => {
                    let end = mix::Epilogue::Silu;
                    segment.push(mix::dispatch(
                        kernels,
                        shape,
                        &work.state,
                        gate_up,
                        &gated,
                        end,
                    )?);
                    None
                }
                Gate::NormalizedSigmoid => {
                    let squares = work.array(model, batch * terms * hidden, &[&gated])?;
                    let factors = work.array(model, batch * hidden, &[&gated, &squares])?;
                    let end = mix::Epilogue::Normalized { squares: &squares };
                    segment.push(mix::dispatch(
                        kernels,
                        shape,
                        &work.state,
                        gate_up,
                        &gated,
                        end,
                    )?);
                    let axes = [batch, terms, hidden];
                    segment.push(factors::dispatch(
                        kernels, axes, *inner, epsilon, &squares, &factors,
                    )?);
                    Some(factors)
                }
            };
            let end = mix::Epilogue::Residual {
                residual: &work.state,
                factors: factors.as_ref(),
            };
            segment.push(mix::dispatch(
                kernels,
                [batch, terms, hidden],
                &gated,
                down,
                &work.sum,
                end,
            )?);
        }
    }
    Ok(())
}
