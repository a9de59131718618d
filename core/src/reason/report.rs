//! From what an engine computes to what a person (or a selection rule) sees.

use serde::{Deserialize, Serialize};

use crate::engine::SegmentOutput;
use crate::puzzle::Board;

/// The state of a run after one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Number of the segment, from 1.
    pub segment: usize,
    /// The answer so far: 0 for blank, else the digit, row-major.
    pub grid: Vec<u8>,
    /// Cells whose value differs from the previous segment's (in the first
    /// segment: from the puzzle).
    pub changed: Vec<usize>,
    /// E, the number of surplus digits over rows, columns and boxes.
    pub conflicts: u32,
    /// Whether every given is still in its place.
    pub keeps_givens: bool,
    /// Logit of halting.
    pub q_halt: f32,
    /// Logit of continuing, where the model has one.
    pub q_continue: Option<f32>,
    /// RMS change of `z_H` in this segment.
    pub residual: f32,
    /// Whether the model says it is done.
    pub halted: bool,
    /// Whether the grid is complete, breaks no rule and keeps the givens:
    /// checked by the rules alone, without knowing the solution.
    pub solved: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rules accept the grid.
    Solved,
    /// The model says it is done, and the rules disagree.
    HaltedWrong,
    /// Neither solved nor halted.
    Wandering,
}

impl SegmentReport {
    /// What this report says of a run that ends with it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.solved {
            Verdict::Solved
        } else if self.halted {
            Verdict::HaltedWrong
        } else {
            Verdict::Wandering
        }
    }
}

/// Turns the outputs of one sequence, segment by segment, into reports.
#[derive(Debug, Clone)]
pub struct Observer {
    givens: Board,
    previous: Vec<u8>,
    segment: usize,
}

impl Observer {
    /// An observer of a run on `givens`.
    #[must_use]
    pub fn new(givens: &Board) -> Self {
        Self {
            givens: givens.clone(),
            previous: givens.cells().to_vec(),
            segment: 0,
        }
    }

    /// The report of the next segment.
    pub fn observe(&mut self, output: &SegmentOutput) -> SegmentReport {
        self.segment += 1;
        // Pad and blank are both "no digit".
        let grid: Vec<u8> = output.tokens.iter().map(|t| t.saturating_sub(1)).collect();
        let changed = (0..grid.len())
            .filter(|&i| grid[i] != self.previous[i])
            .collect();
        let keeps_givens = self
            .givens
            .cells()
            .iter()
            .zip(&grid)
            .all(|(&given, &cell)| given == 0 || given == cell);
        let solved = keeps_givens && output.conflicts == 0 && grid.iter().all(|&c| c != 0);
        self.previous.clone_from(&grid);
        SegmentReport {
            segment: self.segment,
            grid,
            changed,
            conflicts: output.conflicts,
            keeps_givens,
            q_halt: output.q_halt,
            q_continue: output.q_continue,
            residual: output.residual_h,
            halted: output.halts(),
            solved,
        }
    }
}
