//! A batch of puzzles in progress.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::CpuModel;
use super::input::input;
use super::ops::{self, Scratch};
use crate::config::QPool;
use crate::engine::{
    EngineError, SegmentOutput, Taps, check_identifier, check_inputs, check_noise, check_place,
    check_states,
};
use crate::noise::Noise;
use crate::plan::{Level, Plan};
use crate::weights::Statistics;

/// Sequences that go through a module together.
const TOGETHER: usize = 4;

/// A batch of sequences with their states, advanced segment by segment.
#[derive(Debug)]
pub struct CpuRun {
    model: Arc<CpuModel>,
    batch: usize,
    /// The puzzles, `[batch, cells]`.
    tokens: Vec<u8>,
    /// The row of the puzzle embedding that each takes.
    identifiers: Vec<usize>,
    /// Sequences that have run no segment yet: they have no last answer.
    fresh: Vec<bool>,
    /// The embedded puzzles, `[batch, positions, hidden]`.
    input: Vec<f32>,
    /// `[batch, positions, hidden]`.
    z_h: Vec<f32>,
    /// `[batch, positions, hidden]`.
    z_l: Vec<f32>,
    /// `z_H` and `z_L` of a plain pass's start, `[positions, hidden]` each.
    initial: [Vec<f32>; 2],
    /// States before the segment, for the residuals.
    before: [Vec<f32>; 2],
    /// The state before an update with damping.
    old: Vec<f32>,
    scratch: Scratch,
    /// The noise of each sequence, with the updates since it was set.
    noise: Vec<(Noise, u32)>,
}

impl CpuRun {
    /// A batch without sequences, to be filled by [`CpuRun::push`].
    #[must_use]
    pub fn empty(model: Arc<CpuModel>) -> Self {
        let vector = |id| Cow::Borrowed(model.tensor(id));
        Self {
            initial: model.plan().plain_states(vector),
            model,
            batch: 0,
            tokens: Vec::new(),
            identifiers: Vec::new(),
            fresh: Vec::new(),
            input: Vec::new(),
            z_h: Vec::new(),
            z_l: Vec::new(),
            before: [Vec::new(), Vec::new()],
            old: Vec::new(),
            scratch: Scratch::default(),
            noise: Vec::new(),
        }
    }

    /// Starts a batch from the initial state.
    ///
    /// # Errors
    /// If a sequence does not fit the model.
    pub fn new(model: Arc<CpuModel>, inputs: &[Vec<u8>]) -> Result<Self, EngineError> {
        check_inputs(model.plan(), inputs)?;
        let mut run = Self::empty(model);
        for tokens in inputs {
            run.push(tokens)?;
        }
        Ok(run)
    }

    /// Starts a batch from the initial state, each sequence with the row of
    /// the puzzle embedding that its identifier picks.
    ///
    /// # Errors
    /// If a sequence or an identifier does not fit the model, or there is not
    /// one for each.
    pub fn with_identifiers(
        model: Arc<CpuModel>,
        inputs: &[Vec<u8>],
        identifiers: &[usize],
    ) -> Result<Self, EngineError> {
        check_inputs(model.plan(), inputs)?;
        if identifiers.len() != inputs.len() {
            let reason = format!(
                "there are {} puzzle identifiers for {} sequences",
                identifiers.len(),
                inputs.len()
            );
            return Err(EngineError::Input {
                sequence: identifiers.len().min(inputs.len()),
                reason,
            });
        }
        let mut run = Self::empty(model);
        for (tokens, &identifier) in inputs.iter().zip(identifiers) {
            run.push_identified(tokens, identifier)?;
        }
        Ok(run)
    }

    /// Number of sequences.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// `z_H` and `z_L`, each `[batch, positions, hidden]`.
    #[must_use]
    pub fn states(&self) -> (&[f32], &[f32]) {
        (&self.z_h, &self.z_l)
    }

    /// Replaces the states, each `[batch, positions, hidden]`, by some that a
    /// segment may have ended in: where a model has feedback, the answer that
    /// `z_H` gives is the last one.
    ///
    /// # Errors
    /// If a length is off.
    pub fn set_states(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        self.begin_at(z_h, z_l)?;
        self.fresh.fill(false);
        Ok(())
    }

    /// Replaces the states like [`CpuRun::set_states`] before the first
    /// segment: there is no last answer.
    ///
    /// # Errors
    /// If a length is off.
    pub fn begin_at(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        check_states(self.model.plan(), self.batch, [z_h, z_l])?;
        self.z_h.copy_from_slice(z_h);
        self.z_l.copy_from_slice(z_l);
        self.fresh.fill(true);
        Ok(())
    }

    /// Replaces the states of one sequence, `[positions, hidden]` each;
    /// `fresh`: it has given no answer yet.
    pub(super) fn set_states_of(
        &mut self,
        sequence: usize,
        states: [&[f32]; 2],
        fresh: bool,
    ) -> Result<(), EngineError> {
        check_place(self.batch, sequence)?;
        check_states(self.model.plan(), 1, states)?;
        let range = self.range(sequence);
        self.z_h[range.clone()].copy_from_slice(states[0]);
        self.z_l[range].copy_from_slice(states[1]);
        self.fresh[sequence] = fresh;
        Ok(())
    }

    /// Adds a sequence, at the initial state, as the last one.
    ///
    /// # Errors
    /// If it does not fit the model.
    pub fn push(&mut self, tokens: &[u8]) -> Result<(), EngineError> {
        self.push_identified(tokens, 0)
    }

    /// The same with the row of the puzzle embedding that `identifier` picks.
    pub(crate) fn push_identified(
        &mut self,
        tokens: &[u8],
        identifier: usize,
    ) -> Result<(), EngineError> {
        check_inputs(self.model.plan(), &[tokens])?;
        check_identifier(self.model.plan(), self.batch, identifier)?;
        self.input
            .extend(input(&self.model, tokens, identifier, None));
        self.tokens.extend_from_slice(tokens);
        self.identifiers.push(identifier);
        self.fresh.push(true);
        self.noise.push((Noise::NONE, 0));
        let width = self.input.len() / (self.batch + 1);
        self.batch += 1;
        self.z_h.resize(self.batch * width, 0.0);
        self.z_l.resize(self.batch * width, 0.0);
        self.reset(self.batch - 1);
        Ok(())
    }

    /// Gives a sequence's place to another one, at the initial state. The
    /// place's noise goes on.
    ///
    /// # Errors
    /// If it does not fit the model or there is no such place.
    pub fn replace(&mut self, sequence: usize, tokens: &[u8]) -> Result<(), EngineError> {
        self.replace_identified(sequence, tokens, 0)
    }

    /// The same with the row of the puzzle embedding that `identifier` picks.
    pub(super) fn replace_identified(
        &mut self,
        sequence: usize,
        tokens: &[u8],
        identifier: usize,
    ) -> Result<(), EngineError> {
        check_identifier(self.model.plan(), sequence, identifier)?;
        check_place(self.batch, sequence)?;
        self.identifiers[sequence] = identifier;
        self.rewrite(sequence, tokens)?;
        self.reset(sequence);
        Ok(())
    }

    /// Gives a sequence another input; its state stays as it is.
    ///
    /// # Errors
    /// If it does not fit the model or there is no such place.
    pub fn rewrite(&mut self, sequence: usize, tokens: &[u8]) -> Result<(), EngineError> {
        check_inputs(self.model.plan(), &[tokens])?;
        check_place(self.batch, sequence)?;
        let cells = tokens.len();
        self.tokens[sequence * cells..][..cells].copy_from_slice(tokens);
        self.look(sequence);
        Ok(())
    }

    /// Takes a sequence out of the batch; the last one takes its place.
    pub fn swap_remove(&mut self, sequence: usize) {
        if sequence >= self.batch {
            return;
        }
        let (hole, last) = (self.range(sequence), self.range(self.batch - 1));
        for array in [&mut self.input, &mut self.z_h, &mut self.z_l] {
            array.copy_within(last.clone(), hole.start);
            array.truncate(last.start);
        }
        let cells = self.model.plan().config.seq_len;
        let last = (self.batch - 1) * cells;
        self.tokens.copy_within(last.., sequence * cells);
        self.tokens.truncate(last);
        self.identifiers.swap_remove(sequence);
        self.fresh.swap_remove(sequence);
        self.noise.swap_remove(sequence);
        self.batch -= 1;
    }

    /// Where a sequence lies in the arrays.
    fn range(&self, sequence: usize) -> Range<usize> {
        let plan = self.model.plan();
        let width = plan.positions * plan.hidden;
        sequence * width..(sequence + 1) * width
    }

    /// Embeds a sequence anew, with its last answer where it has one.
    fn look(&mut self, sequence: usize) {
        let range = self.range(sequence);
        let cells = self.model.plan().config.seq_len;
        let tokens = &self.tokens[sequence * cells..][..cells];
        let z_h = (!self.fresh[sequence]).then_some(&self.z_h[range.clone()]);
        let input = input(&self.model, tokens, self.identifiers[sequence], z_h);
        self.input[range].copy_from_slice(&input);
    }

    /// Puts a sequence back to the initial state.
    fn reset(&mut self, sequence: usize) {
        self.fresh[sequence] = true;
        self.look(sequence);
        let range = self.range(sequence);
        for (state, initial) in [&mut self.z_h, &mut self.z_l]
            .into_iter()
            .zip(&self.initial)
        {
            state[range.clone()].copy_from_slice(initial);
        }
    }

    /// Disturbs a sequence after every update from now on; updates are
    /// counted anew.
    ///
    /// # Errors
    /// If there is no such sequence, or the deviation is no number from 0 up.
    pub fn disturb(&mut self, sequence: usize, noise: Noise) -> Result<(), EngineError> {
        check_place(self.batch, sequence)?;
        check_noise(sequence, noise)?;
        self.noise[sequence] = (noise, 0);
        Ok(())
    }

    /// From now on sums up what every matrix is multiplied with.
    pub fn watch(&mut self) {
        self.scratch.products.watch = Some(Statistics::new(self.model.plan()));
    }

    /// What has been summed up since [`CpuRun::watch`].
    #[must_use]
    pub fn statistics(&self) -> Option<&Statistics> {
        self.scratch.products.watch.as_ref()
    }

    /// Runs one segment of every sequence.
    pub fn segment(&mut self, taps: Taps) -> Vec<SegmentOutput> {
        if self.model.plan().feeds_back() {
            for sequence in 0..self.batch {
                self.look(sequence);
            }
        }
        self.before[0].clone_from(&self.z_h);
        self.before[1].clone_from(&self.z_l);
        let plan = Arc::clone(self.model.plan());
        let mut traces = vec![Vec::new(); self.batch];
        for update in &plan.updates {
            let (state, other) = match update.level {
                Level::High => (&mut self.z_h, &self.z_l),
                Level::Low => (&mut self.z_l, &self.z_h),
            };
            if update.damping.is_some() {
                self.old.clone_from(state);
            }
            add(state, other);
            if update.adds_input {
                add(state, &self.input);
            }
            // Sequences don't meet inside a module: a few at a time through
            // all of it, so that what they work on stays in the caches.
            for part in state.chunks_mut(TOGETHER * plan.positions * plan.hidden) {
                for sublayer in 0..plan.modules[update.module].len() {
                    let place = [update.module, sublayer];
                    ops::apply(&self.model, place, part, &mut self.scratch);
                }
            }
            if let Some(damping) = update.damping {
                damp(state, &self.old, damping);
            }
            let sequences = state.chunks_mut(plan.positions * plan.hidden);
            for ((noise, updates), state) in self.noise.iter_mut().zip(sequences) {
                noise.add(*updates, plan.hidden, state);
                *updates = updates.wrapping_add(1);
            }
            if taps.updates(update.level) {
                let sequences = state.chunks(plan.positions * plan.hidden);
                for (trace, state) in traces.iter_mut().zip(sequences) {
                    trace.push((update.level, state.to_vec()));
                }
            }
        }
        self.fresh.fill(false);
        let output = |(i, updates)| SegmentOutput {
            updates,
            ..self.output(&plan, i, taps)
        };
        traces.into_iter().enumerate().map(output).collect()
    }

    /// What one sequence's state says.
    fn output(&self, plan: &Plan, sequence: usize, taps: Taps) -> SegmentOutput {
        let (n, d) = (plan.positions, plan.hidden);
        let range = sequence * n * d..(sequence + 1) * n * d;
        let (z_h, z_l) = (&self.z_h[range.clone()], &self.z_l[range.clone()]);

        let read_out = self.model.read_out();
        let logits = read_out.logits(z_h);
        let tokens = read_out.tokens(&logits);
        let conflicts = read_out.conflicts(&tokens);

        let (weight, bias) = (
            self.model.tensor(plan.heads.q_weight),
            self.model.tensor(plan.heads.q_bias),
        );
        let pooled: Vec<f32> = match plan.heads.q_pool {
            QPool::First => z_h[..d].to_vec(),
            QPool::Mean => (0..d)
                .map(|c| z_h.iter().skip(c).step_by(d).sum::<f32>() / n as f32)
                .collect(),
        };
        let q = |output: usize| {
            let row = &weight[output * d..(output + 1) * d];
            row.iter().zip(&pooled).map(|(w, z)| w * z).sum::<f32>() + bias[output]
        };

        SegmentOutput {
            tokens,
            conflicts,
            q_halt: q(0),
            q_continue: (plan.heads.q_outputs == 2).then(|| q(1)),
            residual_h: rms_difference(z_h, &self.before[0][range.clone()]),
            residual_l: rms_difference(z_l, &self.before[1][range]),
            logits: taps.logits.then_some(logits),
            z_h: taps.states.then(|| z_h.to_vec()),
            z_l: taps.states.then(|| z_l.to_vec()),
            updates: Vec::new(),
        }
    }
}

pub(super) fn add(to: &mut [f32], from: &[f32]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a += b;
    }
}

/// `new = (1 - damping) * old + damping * new`.
pub(super) fn damp(new: &mut [f32], old: &[f32], damping: f32) {
    for (new, old) in new.iter_mut().zip(old) {
        *new = (1.0 - damping) * old + damping * *new;
    }
}

/// Root mean square of a difference.
pub(super) fn rms_difference(a: &[f32], b: &[f32]) -> f32 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (sum / a.len().max(1) as f64).sqrt() as f32
}
