//! Noise at every update of a part's sequences.

use hrm_core::engine::EngineError;
use hrm_core::noise::Noise;

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
    /// One an update of the segment, to be run right after it.
    pub(crate) dispatches: Vec<Dispatch>,
}

impl GpuNoise {
    /// For a program that takes `size` sequences.
    pub(crate) fn new(
        model: &GpuModel,
        program: &Program,
        size: usize,
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
            dispatches,
        })
    }

    /// Before a segment: the noise of each sequence, with the updates since
    /// it was set, which those of the segment are added to.
    pub(crate) fn begin(&self, context: &GpuContext, noise: &mut [(Noise, u32)]) {
        let mut words = Vec::with_capacity(noise.len() * STREAM);
        for (noise, updates) in noise {
            words.extend([noise.seed, noise.deviation.to_bits(), *updates, 0]);
            *updates = updates.wrapping_add(self.dispatches.len() as u32);
        }
        self.streams.write(context, &words);
    }
}
