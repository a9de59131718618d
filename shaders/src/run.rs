//! A batch of puzzles in progress.

use std::sync::Arc;

use hrm_core::engine::{EngineError, SegmentOutput, Taps, check_inputs};

use crate::kernels::summary;
use crate::model::GpuModel;
use crate::pack::{fours, restride};
use crate::program::Program;
use crate::readback::Readback;

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
