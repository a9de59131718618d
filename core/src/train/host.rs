//! Training by the CPU engine's own forward and backward passes, natively and
//! in browsers.

use std::sync::Arc;

use super::act::Sequence;
use super::backend::{Answers, Backend, Given, SegmentGuess, Slopes};
use super::clock::{Clock, Part, timed};
use super::optim::{Rule, Stride, adam, muon};
use super::settings::TrainerSettings;
use super::threads::in_order;
use super::{Precision, TrainError, vectors};
pub use crate::cpu::train::Gradients;
use crate::cpu::train::Segment;
use crate::cpu::{CpuModel, CpuRun};
use crate::engine::Taps;
use crate::plan::{Plan, Start};
use crate::weights::{Tensor, Values, Weights};

/// Sequences of a fused sublayer that a thread computes together: what they
/// keep for the backward pass stays in the caches.
const TOGETHER: usize = 2;

/// The CPU engine as a backend of training.
#[derive(Debug)]
pub struct Host {
    settings: TrainerSettings,
    /// The weights under training.
    model: CpuModel,
    /// Empty for the puzzle embedding, of which none is kept.
    average: Option<Vec<Vec<f32>>>,
    rules: Vec<Rule>,
    /// By tensor, then as [`Rule::memory`] names it.
    memory: Vec<Vec<Vec<f32>>>,
}

/// `z_H` and `z_L` of some rows, `[rows, positions, hidden]` each.
#[derive(Debug, Clone)]
pub struct States {
    h: Vec<f32>,
    l: Vec<f32>,
}

impl Host {
    /// A backend that begins with these weights, which are of this plan.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, weights: &Weights, settings: &TrainerSettings) -> Self {
        let tensors = weights.tensors().iter();
        let values: Vec<Vec<f32>> = tensors.map(|t| t.dense().into_owned()).collect();
        let rules = Rule::of(plan, settings.optimizer.kind);
        let averaged = |(rule, values): (&Rule, &Vec<f32>)| match rule.averages() {
            true => values.clone(),
            false => Vec::new(),
        };
        let zeros = |(rule, values): (&Rule, &Vec<f32>)| {
            let parts = rule.memory().iter();
            parts.map(|_| vec![0.0; values.len()]).collect()
        };
        Self {
            settings: *settings,
            average: settings
                .ema
                .map(|_| rules.iter().zip(&values).map(averaged).collect()),
            memory: rules.iter().zip(&values).map(zeros).collect(),
            rules,
            model: Self::model(Arc::clone(plan), values, settings),
        }
    }

    fn model(plan: Arc<Plan>, values: Vec<Vec<f32>>, settings: &TrainerSettings) -> CpuModel {
        CpuModel::for_training(plan, values, settings.precision == Precision::Bf16)
    }

    fn plan(&self) -> &Plan {
        self.model.plan()
    }

    fn initial_values(&self, rows: usize) -> [Vec<f32>; 2] {
        let plan = self.plan();
        match plan.start {
            Start::Fixed { h, l } => {
                [h, l].map(|id| self.model.tensor(id).repeat(rows * plan.positions))
            }
            Start::Random => plan
                .plain_states(|_| Vec::new().into())
                .map(|state| state.repeat(rows)),
        }
    }
}

impl Backend for Host {
    type States = States;
    type Gradients = Gradients;

    fn together(&self) -> Option<usize> {
        (!self.plan().relations.is_empty()).then_some(TOGETHER)
    }

    fn initial(&self, _: usize, rows: usize) -> States {
        let [h, l] = self.initial_values(rows);
        States { h, l }
    }

    fn restarted(
        &self,
        _: usize,
        states: &States,
        begins: &[bool],
        drawn: Option<[Vec<f32>; 2]>,
    ) -> States {
        let [h, l] = drawn.unwrap_or_else(|| self.initial_values(begins.len()));
        let size = self.plan().positions * self.plan().hidden;
        let mix = |old: &[f32], mut new: Vec<f32>| {
            for (row, _) in begins.iter().enumerate().filter(|(_, begins)| !**begins) {
                let row = row * size..(row + 1) * size;
                new[row.clone()].copy_from_slice(&old[row]);
            }
            new
        };
        States {
            h: mix(&states.h, h),
            l: mix(&states.l, l),
        }
    }

    fn segment(
        &self,
        _: usize,
        states: States,
        given: Given,
        clock: Option<&Clock>,
        grade: &mut dyn FnMut(&Answers) -> Result<Slopes, TrainError>,
    ) -> Result<(States, Self::Gradients), TrainError> {
        let Given {
            tokens,
            identifiers,
            last,
            warm_ups,
            mut noise,
        } = given;
        let mut segment =
            Segment::new(&self.model, tokens, identifiers, last, [states.h, states.l]);
        let mut disturb = |states: &mut [f32]| noise.add(states);
        timed(clock, Part::Frozen, self, || {
            for _ in 0..warm_ups {
                segment.run_whole(&mut disturb);
            }
            segment.run_frozen(&mut disturb);
        });
        let answer = timed(clock, Part::Tracked, self, || {
            segment.run_tracked(&mut disturb)
        });
        let next_q = if self.plan().heads.q_outputs > 1 {
            timed(clock, Part::QTarget, self, || segment.next_q())
        } else {
            Vec::new()
        };
        let answers = Answers {
            logits: answer.logits,
            q: answer.q,
            next_q,
        };
        let slopes = timed(clock, Part::Loss, self, || grade(&answers))?;
        let states = States {
            h: segment.z_h.clone(),
            l: segment.z_l.clone(),
        };
        let gradients = timed(clock, Part::Backward, self, || {
            segment.gradients(&slopes.logits, &slopes.q)
        });
        Ok((states, gradients))
    }

    fn follow(&self, _: usize, states: &mut States, leaders: &[usize]) {
        let size = self.plan().positions * self.plan().hidden;
        let rows = leaders.iter();
        states.h = rows
            .flat_map(|&row| &states.h[row * size..(row + 1) * size])
            .copied()
            .collect();
    }

    fn read_states(&self, states: &States) -> Result<[Vec<f32>; 2], TrainError> {
        Ok([states.h.clone(), states.l.clone()])
    }

    fn states(&self, _: usize, [h, l]: [Vec<f32>; 2]) -> States {
        States { h, l }
    }

    fn add(&self, sum: Option<Self::Gradients>, mut term: Self::Gradients) -> Self::Gradients {
        let Some(mut sum) = sum else { return term };
        if let Some(table) = self.plan().puzzle_table() {
            sum.align(&mut term, table.index(), self.plan().hidden);
        }
        for (sum, term) in sum.tensors.iter_mut().zip(&mut term.tensors) {
            if sum.is_empty() {
                *sum = std::mem::take(term);
            } else if !term.is_empty() {
                vectors::add(sum, term, self.settings.threads);
            }
        }
        sum
    }

    fn squares(&self, gradients: &Self::Gradients) -> Result<Vec<f64>, TrainError> {
        let tensors = gradients.tensors.iter();
        Ok(tensors.map(|g| vectors::squares(g)).collect())
    }

    fn read_gradients(&self, gradients: Self::Gradients) -> Result<Vec<Vec<f32>>, TrainError> {
        let plan = self.plan();
        Ok(match plan.puzzle_table() {
            Some(table) => gradients.whole(table.index(), plan.tensor(table).matrix_shape()),
            None => gradients.tensors,
        })
    }

    fn update(&mut self, gradients: Self::Gradients, stride: Stride) -> Result<(), TrainError> {
        let Gradients { mut tensors, rows } = gradients;
        if stride.shrink < 1.0 {
            for gradient in &mut tensors {
                vectors::scale(gradient, stride.shrink as f32);
            }
        }
        let Self {
            settings,
            model,
            average,
            rules,
            memory,
        } = self;
        let plan = Arc::clone(model.plan());
        let bf16 = settings.precision == Precision::Bf16;
        model.retrain(bf16, |values| {
            let moved = plan.tensors.iter().zip(&mut *values);
            let remembered = rules.iter().zip(memory);
            let moved = moved.zip(remembered).zip(tensors);
            let moved = moved.map(|(((spec, values), (rule, memory)), gradient)| Moved {
                shape: spec.matrix_shape(),
                values,
                gradient,
                rule: *rule,
                memory,
            });
            move_values(settings, moved, &rows, stride);
            if let (Some(average), Some(keep)) = (average, stride.keep) {
                let kept = average.iter_mut().zip(values);
                for (mean, value) in kept.filter(|(mean, _)| !mean.is_empty()) {
                    vectors::average(mean, value, keep, settings.threads);
                }
            }
        });
        Ok(())
    }

    fn values(&self) -> Result<Vec<Vec<f32>>, TrainError> {
        Ok(self.model.dense_values())
    }

    fn set_values(&mut self, values: Vec<Vec<f32>>) {
        self.model = Self::model(Arc::clone(self.model.plan()), values, &self.settings);
    }

    fn average(&self) -> Result<Vec<Vec<f32>>, TrainError> {
        Ok(match &self.average {
            Some(average) => {
                let mut average = average.clone();
                let pairs = average.iter_mut().zip(&self.rules).enumerate();
                for (i, (mean, _)) in pairs.filter(|(_, (_, rule))| !rule.averages()) {
                    *mean = self.model.dense_value(i);
                }
                average
            }
            None => self.model.dense_values(),
        })
    }

    fn memory(&self) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
        Ok(self.memory.clone())
    }

    fn set_memory(&mut self, memory: Vec<Vec<Vec<f32>>>) {
        self.memory = memory;
    }

    fn evaluate(
        &self,
        inputs: &[Sequence<'_>],
        segments: usize,
    ) -> Result<Vec<Vec<SegmentGuess>>, TrainError> {
        let plan = self.model.plan();
        evaluate(plan, &to_weights(plan, self.average()?)?, inputs, segments)
    }
}

/// A tensor that an update moves.
struct Moved<'a> {
    shape: [usize; 2],
    values: &'a mut Vec<f32>,
    /// Empty where the loss does not depend on the tensor.
    gradient: Vec<f32>,
    rule: Rule,
    /// As [`Rule::memory`] names it.
    memory: &'a mut Vec<Vec<f32>>,
}

fn move_values<'a>(
    settings: &TrainerSettings,
    tensors: impl Iterator<Item = Moved<'a>>,
    rows: &[u32],
    stride: Stride,
) {
    let s = settings.optimizer;
    let threads = settings.threads;
    // Muon's products are one thread's, and there are many of them.
    let mut matrices = Vec::new();
    for mut moved in tensors.filter(|moved| !moved.gradient.is_empty()) {
        match (moved.rule, moved.memory.as_mut_slice()) {
            (Rule::Fixed, _) => {}
            (Rule::Sign, _) => {
                let lr = s.puzzle_emb_lr * stride.factor;
                let keep = (1.0 - lr * s.puzzle_emb_weight_decay) as f32;
                let width = moved.shape[1];
                let slopes = moved.gradient.chunks_exact(width);
                for (&row, slopes) in rows.iter().zip(slopes) {
                    let values = &mut moved.values[row as usize * width..][..width];
                    for (value, slope) in values.iter_mut().zip(slopes) {
                        let sign = if *slope == 0.0 { 0.0 } else { slope.signum() };
                        *value = *value * keep - sign * lr as f32;
                    }
                }
            }
            (Rule::AdamAtan2 | Rule::AdamW, [m, v]) => {
                let lr = s.adam.lr * stride.factor;
                let vectors = [&mut moved.values[..], &mut moved.gradient, m, v];
                let quotient = moved.rule == Rule::AdamW;
                adam::step(&s.adam, lr, stride.step, vectors, quotient, threads);
            }
            (Rule::Muon, [_]) => matrices.push(moved),
            // A rule's memory is as long as its names.
            _ => {}
        }
    }
    let lr = s.muon_lr * stride.factor;
    in_order(threads, matrices, |mut moved| {
        let Some(momentum) = moved.memory.first_mut() else {
            return;
        };
        let vectors = [&mut moved.values[..], &mut moved.gradient, momentum];
        let keep = 1.0 - lr * s.muon_weight_decay;
        muon::step(moved.shape, vectors, s.muon_momentum, lr, keep);
    });
}

/// Weights of values in the plan's order.
///
/// # Errors
/// If there are values that are not finite.
pub(super) fn to_weights(plan: &Plan, values: Vec<Vec<f32>>) -> Result<Weights, TrainError> {
    let tensors = plan.tensors.iter().zip(values);
    let tensors = tensors.map(|(spec, values)| Tensor {
        shape: spec.shape.clone(),
        values: Values::F32(values),
    });
    Ok(Weights::from_tensors(plan, tensors.collect())?)
}

/// What weights say of puzzles after each of so many segments, by the CPU
/// engine: `[segment][puzzle]`.
///
/// # Errors
/// If a puzzle does not fit the model.
pub(super) fn evaluate(
    plan: &Arc<Plan>,
    weights: &Weights,
    inputs: &[Sequence<'_>],
    segments: usize,
) -> Result<Vec<Vec<SegmentGuess>>, TrainError> {
    let model = CpuModel::new(Arc::clone(plan), weights);
    let mut run = CpuRun::empty(Arc::new(model));
    for (row, sequence) in inputs.iter().enumerate() {
        let pushed = run.push_identified(sequence.tokens, sequence.identifier);
        pushed.map_err(|error| TrainError::Input {
            row,
            reason: error.to_string(),
        })?;
    }
    let mut segment = |_| {
        let outputs = run.segment(Taps::default()).into_iter();
        outputs
            .map(|output| SegmentGuess {
                tokens: output.tokens,
                q_halt: output.q_halt,
                q_continue: output.q_continue,
            })
            .collect()
    };
    Ok((0..segments).map(&mut segment).collect())
}
