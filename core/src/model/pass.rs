//! A segment's arithmetic: through the burn graph on any device, or by the
//! CPU engine's own forward and backward passes.

use burn::tensor::Tensor;

use super::ModelError;
use super::clock::{Part, timed};
use super::draws::Noise;
use super::inputs::Inputs;
use super::network::{Network, State};
use super::parameters::{Parameters, read, upload};
use super::shard::Common;
use crate::cpu::train::{self, Last};

/// Gradients where they were computed, in the plan's order.
pub(super) enum Slopes {
    /// None where the loss does not depend on a tensor.
    Device(Vec<Option<Tensor<2>>>),
    /// Empty where it does not.
    Host(train::Gradients),
}

/// A segment between its forward and its backward pass.
pub(super) struct Pass<'a> {
    work: Work<'a>,
    common: &'a Common<'a>,
    /// The logits `[batch * cells, vocab]` and q `[batch, outputs]`.
    pub(super) logits: Vec<f32>,
    pub(super) q: Vec<f32>,
}

enum Work<'a> {
    Graph(Box<Graph<'a>>),
    Host(train::Segment<'a>),
}

/// A forward pass on a device's autodiff graph.
struct Graph<'a> {
    tracked: Parameters,
    frozen: Network<'a>,
    inputs: Inputs,
    logits: Tensor<2>,
    q: Tensor<2>,
    state: State,
}

impl<'a> Pass<'a> {
    /// Runs the segment's forward pass, after [`Common::warm_ups`] segments
    /// without gradient. `tokens` are those of the rows of states, side by
    /// side, `last` their last answers.
    pub(super) fn forward(
        common: &'a Common<'a>,
        state: State,
        tokens: Vec<u8>,
        last: Vec<Last>,
        mut noise: Noise,
    ) -> Result<Self, ModelError> {
        let (plan, clock, device) = (common.plan, common.clock, common.device);
        if let Some(model) = common.host {
            let states = [read(state.h, "z_H")?, read(state.l, "z_L")?];
            let mut segment = train::Segment::new(model, tokens, last, states);
            let mut disturb = |states: &mut [f32]| noise.add(states);
            timed(clock, Part::Frozen, device, || {
                for _ in 0..common.warm_ups {
                    segment.run_whole(&mut disturb);
                }
                segment.run_frozen(&mut disturb);
            });
            let answer = timed(clock, Part::Tracked, device, || {
                segment.run_tracked(&mut disturb)
            });
            return Ok(Self {
                work: Work::Host(segment),
                common,
                logits: answer.logits,
                q: answer.q,
            });
        }
        let sequences: Vec<&[u8]> = tokens.chunks_exact(plan.config.seq_len).collect();
        let mut inputs = Inputs::with_last(plan, &sequences, &last, device);
        let tracked = common.parameters.tracked();
        let frozen = Network::with_precision(plan, common.parameters, common.precision);
        let (state, answers) = timed(clock, Part::Frozen, device, || {
            frozen.frozen_updates(state, &mut inputs, common.warm_ups, &mut noise)
        });
        let output = timed(clock, Part::Tracked, device, || {
            Network::with_precision(plan, &tracked, common.precision)
                .tracked_updates(state, &inputs, answers, &mut noise)
        });
        inputs.go_on();
        Ok(Self {
            common,
            logits: read(output.logits.clone().inner(), "logits")?,
            q: read(output.q.clone().inner(), "q")?,
            work: Work::Graph(Box::new(Graph {
                tracked,
                frozen,
                inputs,
                logits: output.logits,
                q: output.q,
                state: output.state.detached(),
            })),
        })
    }

    /// The states after the segment.
    pub(super) fn state(&self) -> State {
        match &self.work {
            Work::Graph(graph) => graph.state.clone(),
            Work::Host(segment) => {
                let plan = self.common.plan;
                let size = plan.positions * plan.hidden;
                let shape = [segment.z_h.len() / size, plan.positions, plan.hidden];
                let tensor = |z: &Vec<f32>| upload(z.clone(), shape, self.common.device);
                State {
                    h: tensor(&segment.z_h),
                    l: tensor(&segment.z_l),
                }
            }
        }
    }

    /// The q of one more segment, by the same weights.
    pub(super) fn next_q(&mut self) -> Result<Vec<f32>, ModelError> {
        let (clock, device) = (self.common.clock, self.common.device);
        timed(clock, Part::QTarget, device, || match &mut self.work {
            Work::Graph(graph) => {
                let state = graph.state.clone();
                read(graph.frozen.segment(state, &graph.inputs).q, "next q")
            }
            Work::Host(segment) => Ok(segment.next_q()),
        })
    }

    /// The gradients of a loss with these slopes by logits and q.
    pub(super) fn gradients(self, d_logits: Vec<f32>, d_q: Vec<f32>) -> Slopes {
        let (clock, device) = (self.common.clock, self.common.device);
        timed(clock, Part::Backward, device, || match self.work {
            Work::Graph(graph) => {
                let Graph {
                    tracked, logits, q, ..
                } = *graph;
                let (logits_shape, q_shape) = (logits.dims(), q.dims());
                let slope = (logits * upload(d_logits, logits_shape, device)).sum()
                    + (q * upload(d_q, q_shape, device)).sum();
                let mut gradients = slope.backward();
                let tensors = tracked.tensors().iter();
                Slopes::Device(tensors.map(|t| t.grad_remove(&mut gradients)).collect())
            }
            Work::Host(segment) => Slopes::Host(segment.gradients(&d_logits, &d_q)),
        })
    }
}
