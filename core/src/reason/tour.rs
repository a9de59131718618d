//! Examples for a guided tour, found by running the models that ship, never
//! made up. `hrm demo` finds and writes them.

use serde::{Deserialize, Serialize};

use crate::puzzle::Board;

/// What the tour shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tour {
    /// Folder name of the model of the trap and the vote.
    pub model: String,
    /// Segments of every run.
    pub segments: usize,
    /// A run that lingers and then leaps.
    pub leap: Leap,
    /// A run that rests at a wrong grid, if one was found.
    pub trap: Option<Trap>,
    /// A puzzle that fails as it stands and is solved under other names.
    pub vote: Option<Vote>,
    /// Grids with one blank, for every model.
    pub one_blank: Vec<OneBlank>,
}

/// Non-trivial success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leap {
    /// Folder name of the model.
    pub model: String,
    /// The question.
    pub puzzle: Board,
    /// Segment in which it is solved.
    pub solved_at: usize,
    /// E after each segment up to that.
    pub conflicts: Vec<u32>,
}

/// Non-trivial failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trap {
    /// The question.
    pub puzzle: Board,
    /// Last segment that changed the grid.
    pub settled_at: usize,
    /// E of the grid it rests at.
    pub conflicts: u32,
    /// Whether the model says there that it is done.
    pub halted: bool,
    /// Failures among the puzzles that were searched.
    pub failures: usize,
    /// How many of those had not changed for half of their segments.
    pub settled: usize,
}

/// The same puzzle under the nine (or fewer) cyclic renamings of its digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// The question.
    pub puzzle: Board,
    /// Whether each renaming is solved; the first is the puzzle as it stands.
    pub solved: Vec<bool>,
}

/// One blank in a solved grid, at every place of several grids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneBlank {
    /// Folder name of the model.
    pub model: String,
    /// Questions asked.
    pub tried: usize,
    /// Those not solved after the last segment.
    pub failed: usize,
    /// Those not solved at some segment after they had been.
    pub left: usize,
    /// One that failed, or else one that was left again.
    pub example: Option<Board>,
}

impl Tour {
    /// Reads the examples.
    ///
    /// # Errors
    /// If the text is not the JSON of this format.
    #[inline]
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
