//! Where a step's time goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::backend::Backend;

/// The parts of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Drawing puzzles and making them ready.
    Data,
    /// The updates without gradient.
    Frozen,
    /// The updates with gradient, and the heads.
    Tracked,
    /// The loss and its slopes.
    Loss,
    /// The second forward pass, for the target of `q_continue`.
    QTarget,
    /// Gradients.
    Backward,
    /// Adding up gradients, their norm, the update of weights and average.
    Optimizer,
}

impl Part {
    /// Every part with its name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("data", Self::Data),
        ("no-gradient forward", Self::Frozen),
        ("gradient forward", Self::Tracked),
        ("loss", Self::Loss),
        ("q target", Self::QTarget),
        ("backward", Self::Backward),
        ("optimizer", Self::Optimizer),
    ];
}

/// Time spent in each part, added up over the threads that work on a step.
#[derive(Debug, Default)]
pub struct Clock {
    nanos: [AtomicU64; Part::ALL.len()],
}

impl Clock {
    /// Seconds by part, in the order of [`Part::ALL`], since the last call.
    pub fn take(&self) -> [f64; Part::ALL.len()] {
        std::array::from_fn(|i| self.nanos[i].swap(0, Ordering::Relaxed) as f64 * 1e-9)
    }

    pub(super) fn add(&self, part: Part, since: Instant) {
        let nanos = since.elapsed().as_nanos() as u64;
        self.nanos[part as usize].fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Runs a part of a step. With a clock it waits for the devices, so that the
/// part's time is its own; without one it costs nothing.
pub(crate) fn timed<T>(
    clock: Option<&Clock>,
    part: Part,
    backend: &impl Backend,
    work: impl FnOnce() -> T,
) -> T {
    // There may be no clock at all: browsers have another.
    let Some(clock) = clock else { return work() };
    let begun = Instant::now();
    let out = work();
    backend.wait();
    clock.add(part, begun);
    out
}
