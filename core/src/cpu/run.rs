//! A batch of puzzles in progress.

use std::sync::Arc;

use super::CpuModel;
use super::gemm::{View, ViewMut, gemm};
use super::ops::{self, Scratch};
use crate::config::QPool;
use crate::engine::{EngineError, SegmentOutput, Taps, check_inputs};
use crate::plan::{Level, Plan};
use crate::puzzle::Board;

/// A batch of sequences with their states, advanced segment by segment.
#[derive(Debug)]
pub struct CpuRun {
    model: Arc<CpuModel>,
    batch: usize,
    /// The embedded puzzles, `[batch, positions, hidden]`.
    input: Vec<f32>,
    /// `[batch, positions, hidden]`.
    z_h: Vec<f32>,
    /// `[batch, positions, hidden]`.
    z_l: Vec<f32>,
    /// States before the segment, for the residuals.
    before: [Vec<f32>; 2],
    scratch: Scratch,
}

impl CpuRun {
    /// Starts a batch from the initial state.
    ///
    /// # Errors
    /// If a sequence does not fit the model.
    pub fn new(model: Arc<CpuModel>, inputs: &[Vec<u8>]) -> Result<Self, EngineError> {
        let plan = Arc::clone(model.plan());
        check_inputs(&plan, inputs)?;
        let input = inputs
            .iter()
            .flat_map(|tokens| embed(&model, tokens))
            .collect();
        let rows = inputs.len() * plan.positions;
        let z_h = model.tensor(plan.init_h).repeat(rows);
        let z_l = model.tensor(plan.init_l).repeat(rows);
        Ok(Self {
            model,
            batch: inputs.len(),
            input,
            z_h,
            z_l,
            before: [Vec::new(), Vec::new()],
            scratch: Scratch::default(),
        })
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

    /// Replaces the states, each `[batch, positions, hidden]`.
    ///
    /// # Errors
    /// If a length is off.
    pub fn set_states(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        for (name, state) in [("z_H", z_h), ("z_L", z_l)] {
            if state.len() != self.z_h.len() {
                let reason = format!(
                    "{name} has {} elements, the batch needs {}",
                    state.len(),
                    self.z_h.len()
                );
                return Err(EngineError::Input {
                    sequence: 0,
                    reason,
                });
            }
        }
        self.z_h.copy_from_slice(z_h);
        self.z_l.copy_from_slice(z_l);
        Ok(())
    }

    /// Runs one segment of every sequence.
    pub fn segment(&mut self, taps: Taps) -> Vec<SegmentOutput> {
        self.segment_observed(taps, |_, _| {})
    }

    /// Like [`CpuRun::segment`]; `after_update` is shown the level and the
    /// new state, `[batch, positions, hidden]`, after every module call.
    pub fn segment_observed(
        &mut self,
        taps: Taps,
        mut after_update: impl FnMut(Level, &[f32]),
    ) -> Vec<SegmentOutput> {
        self.before[0].clone_from(&self.z_h);
        self.before[1].clone_from(&self.z_l);
        let plan = Arc::clone(self.model.plan());
        for update in &plan.updates {
            let (state, other) = match update.level {
                Level::High => (&mut self.z_h, &self.z_l),
                Level::Low => (&mut self.z_l, &self.z_h),
            };
            add(state, other);
            if update.adds_input {
                add(state, &self.input);
            }
            for sublayer in &plan.modules[update.module] {
                ops::apply(&self.model, sublayer, state, &mut self.scratch);
            }
            after_update(update.level, state);
        }
        (0..self.batch)
            .map(|i| self.output(&plan, i, taps))
            .collect()
    }

    /// What one sequence's state says.
    fn output(&self, plan: &Plan, sequence: usize, taps: Taps) -> SegmentOutput {
        let (n, d, vocab) = (plan.positions, plan.hidden, plan.config.vocab_size);
        let range = sequence * n * d..(sequence + 1) * n * d;
        let (z_h, z_l) = (&self.z_h[range.clone()], &self.z_l[range.clone()]);

        let cells = plan.config.seq_len;
        let mut logits = vec![0.0; cells * vocab];
        let lm = self.model.tensor(plan.heads.lm);
        let rows = View::rows(&z_h[plan.prefix * d..], d);
        gemm(
            (cells, d, vocab),
            1.0,
            rows,
            View::columns(lm, d),
            0.0,
            ViewMut::rows(&mut logits, vocab),
        );
        let tokens: Vec<u8> = logits.chunks_exact(vocab).map(argmax).collect();
        // Tokens below the vocabulary always make a board of the plan's shape.
        let conflicts =
            Board::from_tokens(plan.config.puzzle, &tokens).map_or(u32::MAX, |b| b.conflicts());

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
        }
    }
}

/// The embedded puzzle, `[positions, hidden]`.
fn embed(model: &CpuModel, tokens: &[u8]) -> Vec<f32> {
    let plan = model.plan();
    let (e, d) = (&plan.embedding, plan.hidden);
    let table = model.tensor(e.tokens);
    let mut x = Vec::with_capacity(plan.positions * d);
    if let Some(puzzle) = e.puzzle {
        x.extend_from_slice(&model.tensor(puzzle)[..d]);
    }
    for &token in tokens {
        let at = usize::from(token) * d;
        x.extend_from_slice(&table[at..at + d]);
    }
    if let Some(positions) = e.positions {
        add(&mut x, model.tensor(positions));
    }
    for v in &mut x {
        *v *= e.scale;
    }
    x
}

fn add(to: &mut [f32], from: &[f32]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a += b;
    }
}

/// Index of the largest value, the first among equals.
fn argmax(values: &[f32]) -> u8 {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    // Vocabularies of puzzles with tokens in a byte are below 256.
    best as u8
}

fn rms_difference(a: &[f32], b: &[f32]) -> f32 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (sum / a.len().max(1) as f64).sqrt() as f32
}
