//! Noise at every update of a part's sequences.

use hrm_core::engine::EngineError;
use hrm_core::noise::UpdateNoise;

use crate::context::GpuContext;
use crate::kernel::{Array, Dispatch};
use crate::kernels::noise::{self, STREAM};
use crate::model::GpuModel;
use crate::program::Program;

/// The noise of the sequences that go through a program together.
#[derive(Debug)]
pub(crate) struct GpuNoise {
    /// See [`noise::dispatch`].
    streams: Array,
    noise: Vec<UpdateNoise>,
    /// Updates before the next segment.
    updates: u32,
    /// One an update of the segment, to be run right after it.
    pub(crate) dispatches: Vec<Dispatch>,
}

impl GpuNoise {
    /// For a program that takes `size` sequences, of which `noise` are used.
    pub(crate) fn new(
        model: &GpuModel,
        program: &Program,
        size: usize,
        noise: &[UpdateNoise],
    ) -> Result<Self, EngineError> {
        let plan = model.plan();
        let streams = Array::zeros(model.context(), "noise", size * STREAM)?;
        let shape = [size, plan.positions, plan.hidden];
        let updates = program.updates.iter().enumerate();
        let dispatches = updates
            .map(|(i, update)| {
                let state = program.state(update.level);
                noise::dispatch(
                    model.kernels(),
                    shape,
                    i as u32,
                    &streams,
                    [state, &update.next],
                )
            })
            .collect::<Result<_, EngineError>>()?;
        Ok(Self {
            streams,
            noise: noise.to_vec(),
            updates: 0,
            dispatches,
        })
    }

    /// Before a segment of `updates` updates.
    pub(crate) fn begin(&mut self, context: &GpuContext, updates: usize) {
        let streams = self.noise.iter();
        let words: Vec<u32> = streams
            .flat_map(|noise| [noise.seed, noise.deviation.to_bits(), self.updates, 0])
            .collect();
        self.streams.write(context, &words);
        self.updates = self.updates.wrapping_add(updates as u32);
    }
}
