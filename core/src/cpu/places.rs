//! The engines' interface. A run of the CPU holds just the sequences there
//! are, so that free places cost nothing.

use std::borrow::Cow;
use std::future::ready;
use std::sync::Arc;

use super::{CpuModel, CpuRun};
use crate::engine::{Engine, EngineError, Pending, Run, SegmentOutput, Taps, check_place};
use crate::noise::Noise;
use crate::plan::Plan;

impl Engine for CpuModel {
    fn plan(&self) -> &Arc<Plan> {
        Self::plan(self)
    }

    fn initial(&self) -> [Vec<f32>; 2] {
        let vector = |id| Cow::Borrowed(self.tensor(id));
        Self::plan(self).plain_states(vector)
    }

    fn open(self: Arc<Self>, places: usize) -> Pending<'static, Box<dyn Run>> {
        let run: Box<dyn Run> = Box::new(Places {
            run: CpuRun::empty(self),
            sequence_at: vec![None; places],
            place_of: Vec::new(),
        });
        Box::pin(ready(Ok(run)))
    }
}

/// A run with places.
#[derive(Debug)]
struct Places {
    run: CpuRun,
    /// For each place its sequence in the run, if it has one.
    sequence_at: Vec<Option<usize>>,
    /// For each sequence of the run its place.
    place_of: Vec<usize>,
}

impl Places {
    /// The sequence of a place that is taken.
    fn sequence(&self, place: usize) -> Result<usize, EngineError> {
        check_place(self.sequence_at.len(), place)?;
        self.sequence_at[place].ok_or_else(|| EngineError::Input {
            sequence: place,
            reason: "the place is free".to_owned(),
        })
    }
}

impl Run for Places {
    fn places(&self) -> usize {
        self.sequence_at.len()
    }

    fn set(&mut self, place: usize, tokens: &[u8], identifier: usize) -> Result<(), EngineError> {
        check_place(self.sequence_at.len(), place)?;
        if let Some(sequence) = self.sequence_at[place] {
            return self.run.replace_identified(sequence, tokens, identifier);
        }
        self.run.push_identified(tokens, identifier)?;
        self.sequence_at[place] = Some(self.place_of.len());
        self.place_of.push(place);
        Ok(())
    }

    fn rewrite(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError> {
        self.run.rewrite(self.sequence(place)?, tokens)
    }

    fn clear(&mut self, place: usize) {
        let taken = self.sequence_at.get_mut(place).and_then(Option::take);
        let Some(sequence) = taken else { return };
        self.run.swap_remove(sequence);
        self.place_of.swap_remove(sequence);
        // The last one has moved.
        if let Some(&moved) = self.place_of.get(sequence) {
            self.sequence_at[moved] = Some(sequence);
        }
    }

    fn begin_at(&mut self, place: usize, states: [&[f32]; 2]) -> Result<(), EngineError> {
        let sequence = self.sequence(place)?;
        self.run.set_states_of(sequence, states, true)
    }

    fn set_states(&mut self, place: usize, states: [&[f32]; 2]) -> Result<(), EngineError> {
        let sequence = self.sequence(place)?;
        self.run.set_states_of(sequence, states, false)
    }

    fn disturb(&mut self, place: usize, noise: Noise) -> Result<(), EngineError> {
        self.run.disturb(self.sequence(place)?, noise)
    }

    fn segment(&mut self, taps: Taps) -> Pending<'_, Vec<Option<SegmentOutput>>> {
        let mut outputs: Vec<Option<SegmentOutput>> = vec![None; self.sequence_at.len()];
        for (&place, output) in self.place_of.iter().zip(self.run.segment(taps)) {
            outputs[place] = Some(output);
        }
        Box::pin(ready(Ok(outputs)))
    }
}
