//! A training segment on the CPU: the forward pass, keeping what the gradient
//! needs, and the gradient, written out for the plan's operations.
//!
//! The same computation as the burn model's graph, which serves every other
//! device; on a processor it saves the graph's temporaries and copies: matrix
//! products read transposed operands through strides, write into the residual
//! and add to the weights' gradients in place.

mod backward;
mod gradients;
mod heads;
pub(super) mod rows;
#[cfg(test)]
mod tests;

use super::CpuModel;
use super::bf16::Operands;
use super::input;
use super::ops::{self, Scratch};
use super::run::{add, damp};
use crate::plan::{Embedding, Level, Update};
use backward::Backward;

pub use gradients::Gradients;
pub(crate) use gradients::distinct;

/// Gradients of the tensors, as [`Gradients`] has them.
type Tensors = Vec<Vec<f32>>;

/// What a segment says: logits `[batch * cells, vocab]` and q `[batch,
/// outputs]`.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) logits: Vec<f32>,
    pub(crate) q: Vec<f32>,
}

/// One sublayer's call, for its gradient.
#[derive(Debug)]
struct Call {
    /// Its input, `[batch, positions, hidden]`.
    x: Vec<f32>,
    /// What it computed on the way.
    scratch: Scratch,
}

/// One update with gradient.
#[derive(Debug)]
struct Tracked {
    calls: Vec<Call>,
    /// What the module made, before damping and noise.
    y: Vec<f32>,
}

/// Noise on the states: told each new state, `[batch, positions, hidden]`.
pub(crate) type Disturb<'a> = &'a mut dyn FnMut(&mut [f32]);

/// The answer that a sequence has given before a segment, for models with
/// feedback.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Last {
    /// None: it begins.
    None,
    /// What its `z_H` says.
    Own,
    /// These probabilities, `[cells, symbols]`.
    Given(Vec<f32>),
}

/// A batch of training sequences at one segment.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    model: &'a CpuModel,
    tokens: Vec<u8>,
    /// The row of the puzzle embedding that each takes.
    identifiers: Vec<u32>,
    /// The last answer of each sequence.
    last: Vec<Last>,
    /// What it says of every (cell, symbol), where the model has feedback.
    probabilities: Vec<f32>,
    /// The embedded puzzles, `[batch, positions, hidden]`.
    input: Vec<f32>,
    pub(crate) z_h: Vec<f32>,
    pub(crate) z_l: Vec<f32>,
    /// The updates with gradient.
    tape: Vec<Tracked>,
}

impl<'a> Segment<'a> {
    /// Sequences of tokens side by side with the rows of the puzzle embedding
    /// that they take, their last answers and their states, each `[batch,
    /// positions, hidden]`.
    pub(crate) fn new(
        model: &'a CpuModel,
        tokens: Vec<u8>,
        identifiers: Vec<u32>,
        last: Vec<Last>,
        [z_h, z_l]: [Vec<f32>; 2],
    ) -> Self {
        let mut segment = Self {
            model,
            tokens,
            identifiers,
            last,
            probabilities: Vec::new(),
            input: Vec::new(),
            z_h,
            z_l,
            tape: Vec::new(),
        };
        segment.look();
        segment
    }

    /// Embeds the puzzles, with the last answers where the model has feedback.
    fn look(&mut self) {
        let (model, plan) = (self.model, &self.model.plan);
        self.input.clear();
        self.probabilities.clear();
        let size = plan.positions * plan.hidden;
        let sequences = self.tokens.chunks_exact(plan.config.seq_len);
        let told = self.last.iter().zip(&self.identifiers);
        for ((tokens, (last, &identifier)), z_h) in
            sequences.zip(told).zip(self.z_h.chunks_exact(size))
        {
            let Embedding::Roles(roles) = &plan.embedding else {
                let identifier = identifier as usize;
                self.input
                    .extend(input::input(model, tokens, identifier, None));
                continue;
            };
            let probabilities = roles.feedback.map(|_| match last {
                Last::None => input::fresh_probabilities(plan.heads.answers, tokens),
                Last::Own => input::probabilities(model, z_h),
                Last::Given(probabilities) => probabilities.clone(),
            });
            let probabilities = probabilities.as_deref();
            self.input
                .extend(input::roles(model, roles, tokens, probabilities));
            self.probabilities.extend(probabilities.unwrap_or_default());
        }
    }

    /// The same after a segment.
    fn look_again(&mut self) {
        if self.model.plan.feeds_back() {
            self.last.fill(Last::Own);
            self.look();
        }
    }

    /// A whole segment without gradient.
    pub(crate) fn run_whole(&mut self, disturb: Disturb<'_>) {
        self.updates(&self.model.plan.updates, disturb);
        self.look_again();
    }

    /// The updates that the plan keeps no gradient of, which come first.
    pub(crate) fn run_frozen(&mut self, disturb: Disturb<'_>) {
        let frozen = self.frozen();
        self.updates(&self.model.plan.updates[..frozen], disturb);
    }

    /// The other updates and the heads.
    pub(crate) fn run_tracked(&mut self, disturb: Disturb<'_>) -> Answer {
        let model = self.model;
        for update in &model.plan.updates[self.frozen()..] {
            let tracked = self.tracked(update);
            self.tape.push(tracked);
            disturb(self.state(update.level));
        }
        Answer {
            logits: heads::logits(model, &self.z_h),
            q: heads::q(model, &self.z_h),
        }
    }

    /// The q of one more segment without gradient; the states stay.
    pub(crate) fn next_q(&mut self) -> Vec<f32> {
        let states = (self.z_h.clone(), self.z_l.clone());
        let seen = (self.input.clone(), self.probabilities.clone());
        self.look_again();
        self.updates(&self.model.plan.updates, &mut |_| {});
        let q = heads::q(self.model, &self.z_h);
        (self.z_h, self.z_l) = states;
        (self.input, self.probabilities) = seen;
        q
    }

    /// The gradients of a loss with these slopes by the answer.
    pub(crate) fn gradients(mut self, logits: &[f32], q: &[f32]) -> Gradients {
        let rows = match self.model.plan.puzzle_table() {
            Some(_) => distinct(&self.identifiers),
            None => Vec::new(),
        };
        let kept = self.with_slopes([logits, q]);
        let [logits, q] = [logits, q].map(|slopes| rows::keep(slopes, &kept));
        self.keep_rows(&kept);
        let tensors = self.backward(&rows, &logits, &q);
        Gradients { tensors, rows }
    }

    /// For each row whether it has any slope. One has to be left.
    fn with_slopes(&self, slopes: [&[f32]; 2]) -> Vec<bool> {
        let batch = self.tokens.len() / self.model.plan.config.seq_len;
        let mut kept = vec![false; batch];
        for slopes in slopes {
            let rows = slopes.chunks_exact((slopes.len() / batch.max(1)).max(1));
            for (kept, row) in kept.iter_mut().zip(rows) {
                *kept |= row.iter().any(|slope| *slope != 0.0);
            }
        }
        if !kept.contains(&true) {
            kept.iter_mut().take(1).for_each(|first| *first = true);
        }
        kept
    }

    /// Forgets the other rows: what is not trained, as chains that have lost,
    /// needs no backward pass.
    fn keep_rows(&mut self, kept: &[bool]) {
        if kept.iter().all(|kept| *kept) {
            return;
        }
        rows::retain(&mut self.tokens, kept);
        rows::retain(&mut self.identifiers, kept);
        rows::retain(&mut self.probabilities, kept);
        rows::retain(&mut self.z_h, kept);
        for Tracked { calls, y } in &mut self.tape {
            rows::retain(y, kept);
            for Call { x, scratch } in calls {
                rows::retain(x, kept);
                scratch.retain_rows(kept);
            }
        }
    }

    fn backward(self, rows: &[u32], logits: &[f32], q: &[f32]) -> Tensors {
        let plan = &*self.model.plan;
        let mut backward = Backward {
            model: self.model,
            gradients: vec![Vec::new(); plan.tensors.len()],
            operands: Operands::default(),
            relations: Vec::new(),
        };
        let gradients = &mut backward.gradients;
        let mut d_h = heads::backward(self.model, &self.z_h, logits, q, gradients);
        let mut d_l = vec![0.0; d_h.len()];
        let mut d_input = vec![0.0; d_h.len()];
        let updates = &plan.updates[self.frozen()..];
        for (update, Tracked { calls, mut y }) in updates.iter().zip(self.tape).rev() {
            let (own, other) = match update.level {
                Level::High => (&mut d_h, &mut d_l),
                Level::Low => (&mut d_l, &mut d_h),
            };
            // The share of the old state passes by the module.
            let kept: Option<Vec<f32>> = update.damping.map(|damping| {
                let kept = own.iter().map(|d| (1.0 - damping) * d).collect();
                own.iter_mut().for_each(|d| *d *= damping);
                kept
            });
            for (sublayer, call) in calls.into_iter().enumerate().rev() {
                backward.sublayer([update.module, sublayer], &call, &y, own);
                y = call.x;
            }
            add(other, own);
            if update.adds_input {
                add(&mut d_input, own);
            }
            if let Some(kept) = kept {
                add(own, &kept);
            }
        }
        backward.collect();
        let mut gradients = backward.gradients;
        let puzzle = heads::Puzzles {
            tokens: &self.tokens,
            identifiers: &self.identifiers,
            rows,
            probabilities: &self.probabilities,
        };
        heads::embedding_backward(self.model, &puzzle, &d_input, &mut gradients);
        gradients
    }

    /// Number of updates without gradient.
    fn frozen(&self) -> usize {
        let updates = &self.model.plan.updates;
        updates.iter().take_while(|u| !u.gradient).count()
    }

    fn state(&mut self, level: Level) -> &mut Vec<f32> {
        match level {
            Level::High => &mut self.z_h,
            Level::Low => &mut self.z_l,
        }
    }

    fn updates(&mut self, updates: &[Update], disturb: Disturb<'_>) {
        let mut scratch = Scratch::default();
        for update in updates {
            let old = self.begin(update);
            let model = self.model;
            let state = self.state(update.level);
            for sublayer in 0..model.plan.modules[update.module].len() {
                ops::apply(model, [update.module, sublayer], state, &mut scratch);
            }
            end(update, state, old.as_deref());
            disturb(state);
        }
    }

    /// Makes the state that an update replaces the module's input; returns
    /// what it was, where damping needs it.
    fn begin(&mut self, update: &Update) -> Option<Vec<f32>> {
        let (state, other) = match update.level {
            Level::High => (&mut self.z_h, &self.z_l),
            Level::Low => (&mut self.z_l, &self.z_h),
        };
        let old = update.damping.map(|_| state.clone());
        add(state, other);
        if update.adds_input {
            add(state, &self.input);
        }
        old
    }

    fn tracked(&mut self, update: &Update) -> Tracked {
        let old = self.begin(update);
        let model = self.model;
        let state = self.state(update.level);
        let sublayers = 0..model.plan.modules[update.module].len();
        let calls = sublayers.map(|sublayer| {
            let x = state.clone();
            let mut scratch = Scratch {
                keep: true,
                ..Scratch::default()
            };
            ops::apply(model, [update.module, sublayer], state, &mut scratch);
            Call { x, scratch }
        });
        let calls = calls.collect();
        let y = state.clone();
        end(update, state, old.as_deref());
        Tracked { calls, y }
    }
}

/// What an update does after its module.
fn end(update: &Update, state: &mut [f32], old: Option<&[f32]>) {
    if let (Some(damping), Some(old)) = (update.damping, old) {
        damp(state, old, damping);
    }
}
