//! A batch of puzzles in progress.

use std::sync::Arc;

use hrm_core::config::Gate;
use hrm_core::engine::{EngineError, SegmentOutput, Taps, check_inputs};
use hrm_core::plan::{Axis, Level};

use crate::kernel::{Array, Dispatch};
use crate::kernels::partials::{self, PARTS};
use crate::kernels::{argmax, attention, embed, factors, mix, norm, project, sum, summary};
use crate::model::{GpuModel, Layer};
use crate::pack::{fours, restride};
use crate::readback::Readback;

/// Everything a segment of a batch does on the device, recorded once.
#[derive(Debug)]
pub(crate) struct Program {
    tokens: Array,
    /// `z_H` and `z_L`, `[batch, positions, hidden]`, and what they were
    /// before the segment.
    states: [Array; 2],
    before: [Array; 2],
    logits: Array,
    summaries: Array,
    /// Fills the embedded puzzles from the tokens.
    embed: Dispatch,
    segment: Vec<Dispatch>,
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

/// A batch of sequences with their states on the device, advanced segment by
/// segment.
#[derive(Debug)]
pub struct GpuRun {
    model: Arc<GpuModel>,
    batch: usize,
    program: Program,
    /// Whether the tokens have changed since they were embedded.
    stale: bool,
}

impl GpuRun {
    /// Starts a batch from the initial state.
    ///
    /// # Errors
    /// If a sequence does not fit the model, the batch does not fit the
    /// device, or the device is lost.
    pub async fn new(model: Arc<GpuModel>, inputs: &[Vec<u8>]) -> Result<Self, EngineError> {
        check_inputs(model.plan(), inputs)?;
        let batch = inputs.len();
        let program = model
            .context()
            .scoped(|| Program::new(&model, batch))
            .await?;
        let mut run = Self {
            model,
            batch,
            program,
            stale: true,
        };
        run.set_inputs(inputs)?;
        run.reset_states();
        Ok(run)
    }

    /// Number of sequences.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<GpuModel> {
        &self.model
    }

    /// Replaces the puzzles and keeps the states; see
    /// [`GpuRun::reset_states`].
    ///
    /// # Errors
    /// If there are not as many as before or one does not fit the model.
    pub fn set_inputs(&mut self, inputs: &[Vec<u8>]) -> Result<(), EngineError> {
        check_inputs(self.model.plan(), inputs)?;
        if inputs.len() != self.batch {
            let reason = format!(
                "the batch has {} sequences, was made for {}",
                inputs.len(),
                self.batch
            );
            return Err(EngineError::Input {
                sequence: inputs.len().min(self.batch),
                reason,
            });
        }
        let tokens: Vec<u32> = inputs.iter().flatten().map(|&t| u32::from(t)).collect();
        self.program.tokens.write(self.model.context(), &tokens);
        self.stale = true;
        Ok(())
    }

    /// Puts every sequence back to the initial state.
    pub fn reset_states(&mut self) {
        let rows = self.batch * self.model.plan().positions;
        for (array, initial) in self.program.states.iter().zip(&self.model.initial) {
            array.write(self.model.context(), &initial.repeat(rows));
        }
    }

    /// Replaces the states, each `[batch, positions, hidden]`.
    ///
    /// # Errors
    /// If a length is off.
    pub fn set_states(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        let plan = self.model.plan();
        let expected = self.batch * plan.positions * plan.hidden;
        for (name, state) in [("z_H", z_h), ("z_L", z_l)] {
            if state.len() != expected {
                let reason = format!(
                    "{name} has {} elements, the batch needs {expected}",
                    state.len()
                );
                return Err(EngineError::Input {
                    sequence: 0,
                    reason,
                });
            }
        }
        for (array, state) in self.program.states.iter().zip([z_h, z_l]) {
            array.write(
                self.model.context(),
                &restride(state, plan.hidden, self.model.hidden()),
            );
        }
        Ok(())
    }

    /// Runs one segment of every sequence: one submission, one read-back.
    /// Natively it waits for the device; in the browser it yields.
    ///
    /// # Errors
    /// If the device is lost or reports an error; the states are undefined
    /// then.
    pub async fn segment(&mut self, taps: Taps) -> Result<Vec<SegmentOutput>, EngineError> {
        let context = self.model.context();
        context.check()?;
        let program = &self.program;
        let mut encoder =
            context
                .device()
                .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                    label: Some("segment"),
                });
        for (state, before) in program.states.iter().zip(&program.before) {
            encoder.copy_buffer_to_buffer(
                state.buffer(),
                0,
                before.buffer(),
                0,
                4 * state.len() as u64,
            );
        }
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            if self.stale {
                program.embed.encode(&mut pass);
            }
            for dispatch in &program.segment {
                dispatch.encode(&mut pass);
            }
        }
        let mut arrays = vec![&program.summaries];
        if taps.logits {
            arrays.push(&program.logits);
        }
        if taps.states {
            arrays.extend(&program.states);
        }
        let readback = Readback::record(context, &mut encoder, &arrays);
        context.queue().submit([encoder.finish()]);
        self.stale = false;
        let words = readback.read(context).await?;
        Ok(self.outputs(&words, taps))
    }

    /// Takes apart what [`GpuRun::segment`] has read back.
    fn outputs(&self, words: &[u32], taps: Taps) -> Vec<SegmentOutput> {
        let plan = self.model.plan();
        let (n, cells, vocabulary) = (plan.positions, plan.config.seq_len, plan.config.vocab_size);
        let (summaries, rest) = words.split_at(self.batch * summary::words(cells));
        let (logits, states) = rest.split_at(if taps.logits {
            self.program.logits.len()
        } else {
            0
        });
        let (z_h, z_l) = states.split_at(states.len() / 2);
        let part = |words: &[u32], i: usize, skip: usize, width: usize| -> Vec<f32> {
            let length = words.len() / self.batch;
            let floats: Vec<f32> = words[i * length..(i + 1) * length]
                .iter()
                .map(|&w| f32::from_bits(w))
                .collect();
            restride(&floats[skip * fours(width)..], fours(width), width)
        };
        debug_assert_eq!(
            z_h.len(),
            if taps.states {
                self.batch * n * self.model.hidden()
            } else {
                0
            }
        );
        summaries
            .chunks_exact(summary::words(cells))
            .enumerate()
            .map(|(i, summary)| {
                let (head, tokens) = summary.split_at(summary::HEAD);
                SegmentOutput {
                    tokens: tokens.iter().map(|&t| t as u8).collect(),
                    conflicts: head[0],
                    q_halt: f32::from_bits(head[1]),
                    q_continue: (plan.heads.q_outputs == 2).then(|| f32::from_bits(head[2])),
                    residual_h: f32::from_bits(head[3]),
                    residual_l: f32::from_bits(head[4]),
                    logits: taps
                        .logits
                        .then(|| part(logits, i, plan.prefix, vocabulary)),
                    z_h: taps.states.then(|| part(z_h, i, 0, plan.hidden)),
                    z_l: taps.states.then(|| part(z_l, i, 0, plan.hidden)),
                }
            })
            .collect()
    }
}
