//! The one interface of the engines that run a model, whichever processor
//! they run it on.
//!
//! An [`Engine`] is a model ready to run; it opens a [`Run`], which has places
//! for sequences. A place is given to a sequence ([`Run::set`]), may be
//! changed in several ways, and is freed again ([`Run::clear`]). A segment
//! advances every sequence that has a place and brings back a
//! [`SegmentOutput`] of each. What may wait for a device is a future, so that
//! nothing blocks in a browser; the futures of the CPU engine are ready at
//! once.

mod check;
mod output;

use std::pin::Pin;
use std::sync::Arc;

pub use check::{
    EngineError, check_identifier, check_inputs, check_noise, check_place, check_states,
};
pub use output::{SegmentOutput, Taps};

use crate::noise::Noise;
use crate::plan::Plan;

/// What an engine comes back with later.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + 'a>>;

/// A model on a processor.
pub trait Engine: 'static {
    /// The architecture.
    fn plan(&self) -> &Arc<Plan>;

    /// The initial `z_H` and `z_L` of a plain pass, `[positions, hidden]`
    /// each.
    fn initial(&self) -> [Vec<f32>; 2];

    /// A run with so many places, at least one, all of them free.
    ///
    /// # Errors
    /// Not even one sequence fits the device's memory, or the device is lost.
    fn open(self: Arc<Self>, places: usize) -> Pending<'static, Box<dyn Run>>;

    /// A run with a place for each of these token sequences, all at the
    /// initial state.
    ///
    /// # Errors
    /// As [`Engine::open`], or a sequence does not fit the model.
    fn start<'a>(self: Arc<Self>, inputs: &'a [Vec<u8>]) -> Pending<'a, Box<dyn Run>> {
        Box::pin(async move {
            check_inputs(self.plan(), inputs)?;
            let mut run = self.open(inputs.len()).await?;
            for (place, tokens) in inputs.iter().enumerate() {
                run.set(place, tokens, 0)?;
            }
            Ok(run)
        })
    }
}

/// Places for sequences that advance together, segment by segment. What comes
/// of a sequence does not depend on the others.
pub trait Run {
    /// How many places there are.
    fn places(&self) -> usize;

    /// Gives a place to a sequence: its tokens, `[cells]`, and the row of the
    /// puzzle embedding that its identifier picks. It begins at the initial
    /// state. Noise that the place has goes on.
    ///
    /// # Errors
    /// The sequence does not fit the model or there is no such place.
    fn set(&mut self, place: usize, tokens: &[u8], identifier: usize) -> Result<(), EngineError>;

    /// Gives a place's sequence other tokens; its state stays as it is.
    ///
    /// # Errors
    /// As [`Run::set`], or the place is free.
    fn rewrite(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError>;

    /// Frees a place; its noise ends.
    fn clear(&mut self, place: usize);

    /// Has a place's sequence begin at another `z_H` and `z_L`,
    /// `[positions, hidden]` each: it has given no answer yet.
    ///
    /// # Errors
    /// As [`Run::rewrite`], or a length is off.
    fn begin_at(&mut self, place: usize, states: [&[f32]; 2]) -> Result<(), EngineError>;

    /// Replaces a place's `z_H` and `z_L`, `[positions, hidden]` each, by some
    /// that a segment may have ended in: where a model has feedback, the
    /// answer that `z_H` gives is the last one.
    ///
    /// # Errors
    /// As [`Run::begin_at`].
    fn set_states(&mut self, place: usize, states: [&[f32]; 2]) -> Result<(), EngineError>;

    /// Disturbs a place's sequence after every update from now on. Updates
    /// are counted anew, so that the same noise is drawn again.
    ///
    /// # Errors
    /// As [`Run::rewrite`], or the deviation is no number from 0 up.
    fn disturb(&mut self, place: usize, noise: Noise) -> Result<(), EngineError>;

    /// Runs one segment of every sequence; one entry a place, none of free
    /// ones.
    ///
    /// # Errors
    /// The device is lost or reports an error; the states are undefined then.
    fn segment(&mut self, taps: Taps) -> Pending<'_, Vec<Option<SegmentOutput>>>;

    /// What it takes on a device; none if it is on no device of its own.
    fn device_costs(&self) -> Option<DeviceCosts> {
        None
    }
}

/// What a run takes on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceCosts {
    /// Dispatches a segment.
    pub dispatches: usize,
    /// Bytes, the model's included.
    pub bytes: u64,
}
