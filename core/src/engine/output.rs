//! What comes back from a segment.

use crate::plan::Level;

/// What an engine brings back from a segment besides the summary. Each costs
/// a transfer on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taps {
    /// The logits of every cell.
    pub logits: bool,
    /// `z_H` and `z_L` after the segment.
    pub states: bool,
    /// `z_H` after each of its updates inside the segment.
    pub z_h_updates: bool,
    /// `z_L` after each of its updates inside the segment.
    pub z_l_updates: bool,
}

impl Taps {
    /// Whether the states of that level are asked for after each update.
    #[must_use]
    pub fn updates(self, level: Level) -> bool {
        match level {
            Level::High => self.z_h_updates,
            Level::Low => self.z_l_updates,
        }
    }
}

/// One sequence after one segment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SegmentOutput {
    /// The most likely token of each cell, `[cells]`; among equals the
    /// smallest token.
    pub tokens: Vec<u8>,
    /// E of the grid those tokens make (see [`crate::puzzle::Board::conflicts`]).
    pub conflicts: u32,
    /// Logit of "the answer is right, halt".
    pub q_halt: f32,
    /// Logit of "worth continuing", where the model has one.
    pub q_continue: Option<f32>,
    /// Root mean square over all elements of the change of `z_H` in this
    /// segment.
    pub residual_h: f32,
    /// The same of `z_L`.
    pub residual_l: f32,
    /// `[cells, vocab]`, if asked for.
    pub logits: Option<Vec<f32>>,
    /// `[positions, hidden]`, if asked for.
    pub z_h: Option<Vec<f32>>,
    /// `[positions, hidden]`, if asked for.
    pub z_l: Option<Vec<f32>>,
    /// The states after those updates that were asked for, in order,
    /// `[positions, hidden]` each.
    pub updates: Vec<(Level, Vec<f32>)>,
}

impl SegmentOutput {
    /// Whether the model says it is done: `q_halt > q_continue`, or
    /// `q_halt > 0` for a model without the latter.
    #[must_use]
    pub fn halts(&self) -> bool {
        self.q_halt > self.q_continue.unwrap_or(0.0)
    }
}
