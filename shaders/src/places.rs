//! The engines' interface. A run of the device computes all of its places,
//! those that are free too.

use std::sync::Arc;

use hrm_core::engine::{
    DeviceCosts, Engine, EngineError, Pending, Run, SegmentOutput, Taps, check_place,
};
use hrm_core::noise::Noise;
use hrm_core::plan::Plan;

use crate::model::GpuModel;
use crate::run::GpuRun;

impl Engine for GpuModel {
    fn plan(&self) -> &Arc<Plan> {
        Self::plan(self)
    }

    fn initial(&self) -> [Vec<f32>; 2] {
        self.dense_initial()
    }

    fn open(self: Arc<Self>, places: usize) -> Pending<'static, Box<dyn Run>> {
        Box::pin(async move {
            let run: Box<dyn Run> = Box::new(Places {
                run: GpuRun::open(self, places).await?,
                taken: vec![false; places],
            });
            Ok(run)
        })
    }
}

/// A run with places.
#[derive(Debug)]
struct Places {
    run: GpuRun,
    taken: Vec<bool>,
}

impl Places {
    /// Checks that a place is taken.
    fn check(&self, place: usize) -> Result<(), EngineError> {
        check_place(self.taken.len(), place)?;
        if self.taken[place] {
            return Ok(());
        }
        Err(EngineError::Input {
            sequence: place,
            reason: "the place is free".to_owned(),
        })
    }
}

impl Run for Places {
    fn places(&self) -> usize {
        self.taken.len()
    }

    fn set(&mut self, place: usize, tokens: &[u8], identifier: usize) -> Result<(), EngineError> {
        self.run.replace(place, tokens, identifier)?;
        self.taken[place] = true;
        Ok(())
    }

    fn rewrite(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError> {
        self.check(place)?;
        self.run.rewrite(place, tokens)
    }

    fn clear(&mut self, place: usize) {
        if self.check(place).is_ok() {
            self.taken[place] = false;
            // Without a deviation, noise is always accepted.
            drop(self.run.disturb(place, Noise::NONE));
        }
    }

    fn begin_at(&mut self, place: usize, states: [&[f32]; 2]) -> Result<(), EngineError> {
        self.check(place)?;
        self.run.set_states_of(place, states, true)
    }

    fn set_states(&mut self, place: usize, states: [&[f32]; 2]) -> Result<(), EngineError> {
        self.check(place)?;
        self.run.set_states_of(place, states, false)
    }

    fn disturb(&mut self, place: usize, noise: Noise) -> Result<(), EngineError> {
        self.check(place)?;
        self.run.disturb(place, noise)
    }

    fn segment(&mut self, taps: Taps) -> Pending<'_, Vec<Option<SegmentOutput>>> {
        Box::pin(async move {
            let outputs = self.run.segment(taps).await?.into_iter();
            let taken = self.taken.iter();
            Ok(outputs
                .zip(taken)
                .map(|(output, &taken)| taken.then_some(output))
                .collect())
        })
    }

    fn device_costs(&self) -> Option<DeviceCosts> {
        Some(DeviceCosts {
            dispatches: self.run.dispatches(),
            bytes: self.run.bytes() + self.run.model().bytes(),
        })
    }
}
