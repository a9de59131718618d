//! A batch of puzzles in progress.

use std::sync::Arc;

use hrm_core::engine::{
    EngineError, SegmentOutput, Taps, check_identifier, check_inputs, check_noise, check_place,
    check_states,
};
use hrm_core::noise::Noise;
use hrm_core::plan::Level;

use crate::kernel::{Array, Dispatch};
use crate::kernels::summary;
use crate::model::GpuModel;
use crate::noise::GpuNoise;
use crate::pack::restride;
use crate::program::{Program, Updated};
use crate::readback::Readback;

/// Operations that one submission may take: some tenths of a second on a small
/// GPU, far from what operating systems take for a hang.
const SUBMISSION_FLOPS: f64 = 5e11;

/// States after the updates of a segment that were asked for, in order.
type Trace = Vec<(Level, Vec<f32>)>;

/// A batch of sequences with their states on the device, advanced segment by
/// segment. What does not fit the device at once goes through in parts.
#[derive(Debug)]
pub struct GpuRun {
    model: Arc<GpuModel>,
    batch: usize,
    program: Program,
    /// Sequences that the program takes.
    size: usize,
    /// The sequences by part; one part's states stay in the program.
    parts: Vec<Part>,
    /// `[updates, size, positions, hidden]` of the states that are followed
    /// inside segments, once they have been.
    followed: Option<Array>,
    bytes: u64,
}

/// Sequences that go through the program together.
#[derive(Debug)]
struct Part {
    /// `[size, cells]`, the last part padded.
    tokens: Vec<u32>,
    /// `[size]`, rows of the puzzle embedding.
    identifiers: Vec<u32>,
    sequences: usize,
    /// `z_H` and `z_L` between segments, if there are several parts.
    parked: Option<[Array; 2]>,
    /// Whether the tokens have changed since they were embedded.
    stale: bool,
    /// `[size]`: 1 for sequences that have run no segment yet, which have no
    /// last answer.
    fresh: Vec<u32>,
    /// `[size]`: the noise of each, with the updates since it was set.
    noise: Vec<(Noise, u32)>,
    /// What adds it, once there has been some.
    adds_noise: Option<GpuNoise>,
}

impl GpuRun {
    /// Starts a batch from the initial state.
    ///
    /// # Errors
    /// If a sequence does not fit the model, not even one sequence fits the
    /// device's memory, or the device is lost.
    pub async fn new(model: Arc<GpuModel>, inputs: &[Vec<u8>]) -> Result<Self, EngineError> {
        check_inputs(model.plan(), inputs)?;
        let mut run = Self::open(model, inputs.len()).await?;
        run.set_inputs(inputs)?;
        Ok(run)
    }

    /// A batch of so many blank boards at the initial state.
    ///
    /// # Errors
    /// If not even one sequence fits the device's memory, or the device is
    /// lost.
    pub(crate) async fn open(model: Arc<GpuModel>, batch: usize) -> Result<Self, EngineError> {
        let batch = batch.max(1);
        let most = (SUBMISSION_FLOPS / model.plan().segment_flops()).max(1.0) as usize;
        let mut count = batch.div_ceil(most);
        loop {
            // Equal parts, so that the last is nearly full.
            let size = batch.div_ceil(count);
            let context = model.context();
            let before = context.counted_bytes();
            let made = context.scoped(|| Self::allocate(&model, batch, size)).await;
            match made {
                Err(EngineError::OutOfMemory(_)) if size > 1 => count = batch.div_ceil(size / 2),
                Err(error) => return Err(error),
                Ok((program, parts)) => {
                    let bytes = context.counted_bytes() - before;
                    let mut run = Self {
                        bytes,
                        model,
                        batch,
                        program,
                        size,
                        parts,
                        followed: None,
                    };
                    run.reset_states();
                    return Ok(run);
                }
            }
        }
    }

    /// A program for `size` sequences, and as many parts as the batch needs.
    fn allocate(
        model: &GpuModel,
        batch: usize,
        size: usize,
    ) -> Result<(Program, Vec<Part>), EngineError> {
        let program = Program::new(model, size)?;
        let count = batch.div_ceil(size);
        let parts = (0..count)
            .map(|i| {
                let park = |name| Array::zeros(model.context(), name, program.states[0].len());
                Ok(Part {
                    // Blanks, which every vocabulary has.
                    tokens: vec![1; size * model.plan().config.seq_len],
                    identifiers: vec![0; size],
                    sequences: size.min(batch - i * size),
                    parked: match count {
                        1 => None,
                        _ => Some([park("parked z_H")?, park("parked z_L")?]),
                    },
                    stale: true,
                    fresh: vec![1; size],
                    noise: vec![(Noise::NONE, 0); size],
                    adds_noise: None,
                })
            })
            .collect::<Result<_, EngineError>>()?;
        Ok((program, parts))
    }

    /// Dispatches of a segment of the sequences that go through the device
    /// together.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.program.segment.len()
    }

    /// Bytes that the run takes on the device, the model not counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sequences that go through the device together.
    #[must_use]
    pub fn together(&self) -> usize {
        self.size
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
        let cells = self.model.plan().config.seq_len;
        for (part, inputs) in self.parts.iter_mut().zip(inputs.chunks(self.size)) {
            part.tokens = inputs.iter().flatten().map(|&t| u32::from(t)).collect();
            // Blanks, which every vocabulary has.
            part.tokens.resize(self.size * cells, 1);
            part.stale = true;
        }
        Ok(())
    }

    /// Puts every sequence back to the initial state.
    pub fn reset_states(&mut self) {
        self.set_fresh(true);
        for (level, initial) in self.model.initial.iter().enumerate() {
            let state = initial.repeat(self.size);
            for part in &self.parts {
                self.home(part, level).write(self.model.context(), &state);
            }
        }
    }

    /// Gives a sequence's place to another puzzle with the row of the puzzle
    /// embedding that its identifier picks, at the initial state. The other
    /// sequences go on undisturbed, and so does the place's noise.
    ///
    /// # Errors
    /// If the puzzle does not fit the model, which may have no such row, or
    /// there is no such place.
    pub fn replace(
        &mut self,
        sequence: usize,
        tokens: &[u8],
        identifier: usize,
    ) -> Result<(), EngineError> {
        check_identifier(self.model.plan(), sequence, identifier)?;
        self.rewrite(sequence, tokens)?;
        let place = sequence % self.size;
        self.parts[sequence / self.size].identifiers[place] = identifier as u32;
        let states = self.model.initial.clone();
        self.write_states_of(sequence, &states, true);
        Ok(())
    }

    /// Replaces the states of one sequence, `[positions, hidden]` each;
    /// `fresh`: it has given no answer yet.
    pub(crate) fn set_states_of(
        &mut self,
        sequence: usize,
        states: [&[f32]; 2],
        fresh: bool,
    ) -> Result<(), EngineError> {
        let plan = self.model.plan();
        check_place(self.batch, sequence)?;
        check_states(plan, 1, states)?;
        let states = states.map(|state| restride(state, plan.hidden, self.model.hidden()));
        self.write_states_of(sequence, &states, fresh);
        Ok(())
    }

    /// The same of padded states.
    fn write_states_of(&mut self, sequence: usize, states: &[Vec<f32>; 2], fresh: bool) {
        let place = sequence % self.size;
        self.parts[sequence / self.size].fresh[place] = u32::from(fresh);
        let part = &self.parts[sequence / self.size];
        for (level, state) in states.iter().enumerate() {
            let home = self.home(part, level);
            home.write_at(self.model.context(), place * state.len(), state);
        }
    }

    /// Gives a sequence another input; its state stays as it is.
    ///
    /// # Errors
    /// If the puzzle does not fit the model or there is no such place.
    pub fn rewrite(&mut self, sequence: usize, tokens: &[u8]) -> Result<(), EngineError> {
        check_inputs(self.model.plan(), &[tokens])?;
        check_place(self.batch, sequence)?;
        let place = sequence % self.size;
        let part = &mut self.parts[sequence / self.size];
        let words = &mut part.tokens[place * tokens.len()..][..tokens.len()];
        for (word, &token) in words.iter_mut().zip(tokens) {
            *word = u32::from(token);
        }
        part.stale = true;
        Ok(())
    }

    /// Where a part's `z_H` (0) or `z_L` (1) is between segments.
    fn home<'a>(&'a self, part: &'a Part, level: usize) -> &'a Array {
        let own = part.parked.as_ref().unwrap_or(&self.program.states);
        &own[level]
    }

    /// Replaces the states, each `[batch, positions, hidden]`, by some that a
    /// segment may have ended in: where a model has feedback, the answer that
    /// `z_H` gives is the last one.
    ///
    /// # Errors
    /// If a length is off.
    pub fn set_states(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        self.begin_at(z_h, z_l)?;
        self.set_fresh(false);
        Ok(())
    }

    /// Whether all sequences are without a last answer.
    fn set_fresh(&mut self, fresh: bool) {
        for part in &mut self.parts {
            part.fresh.fill(u32::from(fresh));
        }
    }

    /// Replaces the states like [`GpuRun::set_states`] before the first
    /// segment: there is no last answer.
    ///
    /// # Errors
    /// If a length is off.
    pub fn begin_at(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        let plan = self.model.plan();
        let each = plan.positions * plan.hidden;
        check_states(plan, self.batch, [z_h, z_l])?;
        for (level, state) in [z_h, z_l].into_iter().enumerate() {
            for (part, state) in self.parts.iter().zip(state.chunks(self.size * each)) {
                let padded = restride(state, plan.hidden, self.model.hidden());
                self.home(part, level).write(self.model.context(), &padded);
            }
        }
        self.set_fresh(true);
        Ok(())
    }

    /// Disturbs a sequence after every update from now on; updates are
    /// counted anew.
    ///
    /// # Errors
    /// If there is no such sequence, or the deviation is no number from 0 up.
    pub fn disturb(&mut self, sequence: usize, noise: Noise) -> Result<(), EngineError> {
        check_place(self.batch, sequence)?;
        check_noise(sequence, noise)?;
        let part = &mut self.parts[sequence / self.size];
        part.noise[sequence % self.size] = (noise, 0);
        Ok(())
    }

    /// Runs one segment of every sequence: a submission and a read-back for
    /// each part. Natively it waits for the device; in the browser it yields.
    ///
    /// # Errors
    /// If the device is lost or reports an error; the states are undefined
    /// then.
    pub async fn segment(&mut self, taps: Taps) -> Result<Vec<SegmentOutput>, EngineError> {
        let context = self.model.context();
        let updates = self.program.updates.iter();
        let len = updates.filter(|u| taps.updates(u.level)).count() * self.program.states[0].len();
        if len > 0 && self.followed.as_ref().is_none_or(|kept| kept.len() != len) {
            let make = || Array::zeros(context, "followed states", len);
            self.followed = Some(context.scoped(make).await?);
        }
        for part in &mut self.parts {
            let disturbed = part.noise.iter().any(|(noise, _)| noise.deviation > 0.0);
            if disturbed && part.adds_noise.is_none() {
                let (model, program, size) = (&self.model, &self.program, self.size);
                let make = || GpuNoise::new(model, program, size);
                part.adds_noise = Some(context.scoped(make).await?);
            }
        }
        let mut outputs = Vec::with_capacity(self.batch);
        for part in 0..self.parts.len() {
            outputs.extend(self.segment_of(part, taps).await?);
        }
        Ok(outputs)
    }

    async fn segment_of(
        &mut self,
        index: usize,
        taps: Taps,
    ) -> Result<Vec<SegmentOutput>, EngineError> {
        let context = self.model.context();
        context.check().await?;
        let program = &self.program;
        let part = &mut self.parts[index];
        let feeds_back = self.model.plan().feeds_back();
        // The program's arrays are those of one part at a time.
        let embeds = part.stale || part.parked.is_some() || feeds_back;
        if embeds {
            program.tokens.write(context, &part.tokens);
            program.identifiers.write(context, &part.identifiers);
        }
        if feeds_back {
            program.fresh.write(context, &part.fresh);
        }
        let mut encoder =
            context
                .device()
                .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                    label: Some("segment"),
                });
        let copy = |encoder: &mut wgpu::CommandEncoder, from: &Array, to: &Array| {
            let bytes = 4 * from.len() as u64;
            encoder.copy_buffer_to_buffer(from.buffer(), 0, to.buffer(), 0, bytes);
        };
        for (state, parked) in program.states.iter().zip(part.parked.iter().flatten()) {
            copy(&mut encoder, parked, state);
        }
        for (state, before) in program.states.iter().zip(&program.before) {
            copy(&mut encoder, state, before);
        }
        if embeds {
            encode(&mut encoder, &program.embed);
        }
        let mut done = 0;
        let disturbed = part.noise.iter().any(|(noise, _)| noise.deviation > 0.0);
        let noise = part.adds_noise.as_ref().filter(|_| disturbed);
        if let Some(noise) = noise {
            noise.begin(context, &mut part.noise);
        }
        let followed = self.followed.as_ref();
        // How many states have been kept.
        let mut count = 0;
        for (i, &Updated { level, end, .. }) in program.updates.iter().enumerate() {
            let kept = followed.filter(|_| taps.updates(level));
            if kept.is_some() || noise.is_some() {
                encode(&mut encoder, &program.segment[done..end]);
                done = end;
            }
            if let Some(noise) = noise {
                encode(&mut encoder, &noise.dispatches[i..=i]);
            }
            if let Some(kept) = kept {
                let state = program.state(level);
                let bytes = 4 * state.len() as u64;
                let to = bytes * count;
                encoder.copy_buffer_to_buffer(state.buffer(), 0, kept.buffer(), to, bytes);
                count += 1;
            }
        }
        encode(&mut encoder, &program.segment[done..]);
        for (state, parked) in program.states.iter().zip(part.parked.iter().flatten()) {
            copy(&mut encoder, state, parked);
        }
        let mut arrays = vec![&program.summaries];
        if taps.logits {
            arrays.push(&program.logits);
        }
        if taps.states {
            arrays.extend(&program.states);
        }
        let followed = followed.filter(|_| count > 0);
        arrays.extend(followed);
        let kept = followed.map_or(0, Array::len);
        let readback = Readback::record(context, &mut encoder, &arrays);
        context.queue().submit([encoder.finish()]);
        part.stale = false;
        part.fresh.fill(0);
        let words = readback.read(context).await?;
        let sequences = self.parts[index].sequences;
        let (words, states) = words.split_at(words.len() - kept);
        let mut outputs = self.outputs(words, taps, sequences);
        if kept > 0 {
            for (output, trace) in outputs.iter_mut().zip(self.traces(states, taps, sequences)) {
                output.updates = trace;
            }
        }
        Ok(outputs)
    }

    /// Takes apart the states that were followed: for each sequence, one an
    /// update.
    fn traces(&self, words: &[u32], taps: Taps, sequences: usize) -> Vec<Trace> {
        let (stride, hidden) = (self.model.hidden(), self.model.plan().hidden);
        let each = self.model.plan().positions * stride;
        let floats: Vec<f32> = words.iter().map(|&w| f32::from_bits(w)).collect();
        let levels = self.program.updates.iter().map(|update| update.level);
        let levels = levels.filter(|&level| taps.updates(level));
        let updates = levels.zip(floats.chunks_exact(self.size * each));
        (0..sequences)
            .map(|i| {
                let of_update = |(level, states): (Level, &[f32])| {
                    (level, restride(&states[i * each..][..each], stride, hidden))
                };
                updates.clone().map(of_update).collect()
            })
            .collect()
    }

    /// Takes apart what a part's segment has read back.
    fn outputs(&self, words: &[u32], taps: Taps, sequences: usize) -> Vec<SegmentOutput> {
        let plan = self.model.plan();
        let (n, cells, form) = (plan.positions, plan.config.seq_len, self.model.logits());
        let (summaries, rest) = words.split_at(self.size * summary::words(cells));
        let (logits, states) = rest.split_at(if taps.logits {
            self.program.logits.len()
        } else {
            0
        });
        let (z_h, z_l) = states.split_at(states.len() / 2);
        // Of a sequence, rows of `width` from rows of `stride`, all but some.
        let part = |words: &[u32], i: usize, skip: usize, [stride, width]: [usize; 2]| {
            let length = words.len() / self.size;
            let floats: Vec<f32> = words[i * length..(i + 1) * length]
                .iter()
                .map(|&w| f32::from_bits(w))
                .collect();
            restride(&floats[skip * stride..], stride, width)
        };
        let state = [self.model.hidden(), plan.hidden];
        debug_assert_eq!(
            z_h.len(),
            if taps.states {
                self.size * n * self.model.hidden()
            } else {
                0
            }
        );
        summaries
            .chunks_exact(summary::words(cells))
            .take(sequences)
            .enumerate()
            .map(|(i, summary)| {
                let (head, tokens) = summary.split_at(summary::HEAD);
                let tokens: Vec<u8> = tokens.iter().map(|&t| t as u8).collect();
                let puzzle = plan.config.puzzle;
                let conflicts = if summary::counts(puzzle) {
                    head[0]
                } else {
                    // Answers always spell a board of the kind.
                    puzzle.conflicts(&tokens).unwrap_or(u32::MAX)
                };
                SegmentOutput {
                    tokens,
                    conflicts,
                    q_halt: f32::from_bits(head[1]),
                    q_continue: (plan.heads.q_outputs == 2).then(|| f32::from_bits(head[2])),
                    residual_h: f32::from_bits(head[3]),
                    residual_l: f32::from_bits(head[4]),
                    logits: taps
                        .logits
                        .then(|| part(logits, i, form.prefix, [form.stride, form.answers.count])),
                    z_h: taps.states.then(|| part(z_h, i, 0, state)),
                    z_l: taps.states.then(|| part(z_l, i, 0, state)),
                    updates: Vec::new(),
                }
            })
            .collect()
    }
}

/// Records dispatches in a pass of their own.
fn encode(encoder: &mut wgpu::CommandEncoder, dispatches: &[Dispatch]) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for dispatch in dispatches {
        dispatch.encode(&mut pass);
    }
}
