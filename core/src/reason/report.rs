//! From what an engine computes to what a person (or a selection rule) sees.

use serde::{Deserialize, Serialize};

use crate::engine::SegmentOutput;
use crate::puzzle::{Board, Puzzle};

/// The state of a run after one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Number of the segment, from 1.
    pub segment: usize,
    /// The answer so far, row-major: 0 for blank, else the digit; tokens where the
    /// puzzle is no Sudoku ([`Puzzle::values`]).
    pub grid: Vec<u8>,
    /// Cells whose value differs from the previous segment's (in the first
    /// segment: from the puzzle).
    pub changed: Vec<usize>,
    /// E of the answer ([`Puzzle::conflicts`]).
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
    /// Whether the grid solves the puzzle ([`Puzzle::solves`]): checked by the rules
    /// alone, without knowing the solution.
    pub solved: bool,
    /// Cells to which the run has committed itself ([`super::commit`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub committed: Vec<usize>,
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
pub struct Observer<P = Board> {
    givens: P,
    board: P,
    segment: usize,
}

impl<P: Puzzle> Observer<P> {
    /// The question.
    #[must_use]
    pub fn question(&self) -> &P {
        &self.givens
    }

    /// An observer of a run on `givens`.
    #[must_use]
    pub fn new(givens: &P) -> Self {
        Self {
            board: givens.clone(),
            givens: givens.clone(),
            segment: 0,
        }
    }

    /// The answer of the last segment seen; the question before the first.
    #[must_use]
    pub fn board(&self) -> &P {
        &self.board
    }

    /// Whether that answer is valid, where there are valid answers that are no
    /// solutions ([`Puzzle::GRADED`]).
    #[must_use]
    pub fn valid(&self) -> Option<bool> {
        P::GRADED.then(|| self.board.is_valid(&self.givens))
    }

    /// Segments seen so far.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segment
    }

    /// The report of the next segment.
    pub fn observe(&mut self, output: &SegmentOutput) -> SegmentReport {
        self.observe_image(output, None)
    }

    /// The report of the next segment of a run on the question's image by a
    /// symmetry. The report is in the question's labelling.
    pub fn observe_image(
        &mut self,
        output: &SegmentOutput,
        symmetry: Option<&P::Symmetry>,
    ) -> SegmentReport {
        self.segment += 1;
        // A model's tokens are those of its puzzle, so they always spell a board.
        let board = match (P::from_tokens(self.givens.kind(), &output.tokens), symmetry) {
            (Err(_), _) => self.board.clone(),
            (Ok(board), None) => board,
            (Ok(image), Some(symmetry)) => image.restored(symmetry),
        };
        let (before, grid) = (self.board.values(), board.values());
        let changed = (0..grid.len()).filter(|&i| grid[i] != before[i]).collect();
        let report = SegmentReport {
            segment: self.segment,
            grid,
            changed,
            conflicts: output.conflicts,
            keeps_givens: board.keeps_givens(&self.givens),
            q_halt: output.q_halt,
            q_continue: output.q_continue,
            residual: output.residual_h,
            halted: output.halts(),
            solved: board.solves(&self.givens),
            committed: Vec::new(),
        };
        self.board = board;
        report
    }
}
