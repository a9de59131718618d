//! Measuring states where they are.

use hrm_core::engine::{EngineError, Probe, Probed};
use hrm_core::plan::Level;

use crate::kernel::{Array, Dispatch};
use crate::kernels::products::{self, With};
use crate::model::GpuModel;
use crate::pack::restride;
use crate::program::Program;

/// A probe on a device, for the sequences of one part.
#[derive(Debug)]
pub(crate) struct GpuProbe {
    pub(crate) level: Level,
    directions: usize,
    /// States that may be kept besides the last one.
    history: usize,
    /// `[1 + history, sequences, elements]`: the last state, then those after
    /// each update so far.
    pub(crate) kept: Array,
    /// How many there are of the latter.
    count: usize,
    /// `[updates, sequences, columns, 2]`.
    pub(crate) results: Array,
    /// After each update of a segment.
    pub(crate) measure: Vec<Dispatch>,
    sequences: usize,
}

impl GpuProbe {
    pub(crate) fn new(
        model: &GpuModel,
        program: &Program,
        sequences: usize,
        probe: &Probe,
    ) -> Result<Self, EngineError> {
        let (context, plan) = (model.context(), model.plan());
        let elements = program.states[0].len() / sequences.max(1);
        let mut directions: Vec<f32> = probe
            .directions
            .iter()
            .flat_map(|d| restride(d, plan.hidden, model.hidden()))
            .collect();
        // Something must be bound.
        directions.resize(directions.len().max(elements), 0.0);
        let directions = Array::new(context, "directions", &directions)?;
        let slots = 1 + probe.history;
        let kept = Array::zeros(context, "kept states", slots * sequences * elements)?;
        let with = With {
            directions: (&directions, probe.directions.len()),
            kept: (&kept, slots),
        };
        let updates = plan
            .updates
            .iter()
            .filter(|u| u.level == probe.level)
            .count();
        let results = updates * sequences * with.columns() * 2;
        let results = Array::zeros(context, "products", results)?;
        let measure = (0..updates)
            .map(|row| {
                let shape = [sequences, elements];
                let state = program.state(probe.level);
                let rows = [row, updates];
                products::dispatch(model.kernels(), shape, state, &with, &results, rows)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            level: probe.level,
            directions: probe.directions.len(),
            history: probe.history,
            count: 0,
            measure,
            sequences,
            kept,
            results,
        })
    }

    /// Records that `state` is the last one, and, unless it is what came
    /// before the first update, keeps it if there is room.
    pub(crate) fn keep(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        state: &Array,
        update: Option<usize>,
    ) {
        let bytes = 4 * state.len() as u64;
        encoder.copy_buffer_to_buffer(state.buffer(), 0, self.kept.buffer(), 0, bytes);
        let slot = update
            .map(|update| self.count + update)
            .filter(|&slot| slot < self.history);
        if let Some(slot) = slot {
            let to = bytes * (1 + slot as u64);
            encoder.copy_buffer_to_buffer(state.buffer(), 0, self.kept.buffer(), to, bytes);
        }
    }

    /// Takes apart the results of a segment: for each of the first
    /// `sequences`, its updates.
    pub(crate) fn results(
        &mut self,
        words: &[u32],
        sequences: usize,
        elements: usize,
    ) -> Vec<Vec<Probed>> {
        let columns = self.directions + self.history + 2;
        let number = |update: usize, sequence: usize, column: usize, which: usize| {
            let at = ((update * self.sequences + sequence) * columns + column) * 2 + which;
            f32::from_bits(words[at])
        };
        let probed = (0..sequences)
            .map(|s| {
                (0..self.measure.len())
                    .map(|u| {
                        let product = |column| number(u, s, column, 0);
                        let known = (self.count + u).min(self.history);
                        let first = self.directions + 1;
                        Probed {
                            directions: (0..self.directions).map(product).collect(),
                            square: product(columns - 1),
                            change: (number(u, s, self.directions, 1) / elements as f32).sqrt(),
                            history: (first..first + known).map(product).collect(),
                        }
                    })
                    .collect()
            })
            .collect();
        self.count += self.measure.len();
        probed
    }
}
