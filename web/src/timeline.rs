//! From the reports of a run to what the board and the chart show.

use std::fmt::{self, Display};
use std::num::{NonZeroUsize, ParseIntError};
use std::str::FromStr;

use hrm_core::puzzle::maze::Cell;
use hrm_core::puzzle::{AnyPuzzle, Puzzle, TOKEN_PAD, digit_char};
use hrm_core::reason::SegmentReport;

/// Segments without change after which a cell counts as settled.
pub const SETTLED: usize = 3;

/// One cell after one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellState {
    /// The digit shown, 0 for none; of a maze the token ([`Puzzle::values`]).
    pub digit: u8,
    /// The digit the puzzle gives, 0 for none; of a maze the token, 0 for a way.
    pub given: u8,
    /// Whether that was written by who plays, and is no given of the puzzle.
    pub own: bool,
    /// Whether this segment changed it.
    pub changed: bool,
    /// Whether the last [`SETTLED`] segments all said the same.
    pub settled: bool,
    /// Whether it takes part in a broken rule: its digit stands again in its
    /// row, column or box.
    pub conflict: bool,
}

impl CellState {
    /// Whether the model has written another digit over a given.
    #[must_use]
    pub fn overwritten(self) -> bool {
        self.given != 0 && self.digit != self.given
    }

    /// What a screen reader says of a Sudoku's cell, without its place.
    #[must_use]
    pub fn label(self) -> String {
        let mut text = match self.digit {
            0 => "empty".to_owned(),
            digit => digit_char(digit).to_string(),
        };
        let given = if self.own { "yours" } else { "given" };
        if self.overwritten() {
            text.push_str(&format!(", {given} was {}", digit_char(self.given)));
        } else if self.given != 0 {
            text.push_str(", ");
            text.push_str(given);
        }
        for (holds, word) in [
            (self.changed, "changed"),
            (self.settled, "settled"),
            (self.conflict, "conflict"),
        ] {
            if holds {
                text.push_str(", ");
                text.push_str(word);
            }
        }
        text
    }
}

/// The cells of `puzzle` after the first `segments` reports of a run on it;
/// with none, the puzzle itself.
#[must_use]
pub fn cells(puzzle: &AnyPuzzle, reports: &[SegmentReport], segments: usize) -> Vec<CellState> {
    let reports = &reports[..segments.min(reports.len())];
    let asked = puzzle.values();
    let shown = reports
        .last()
        .map_or(asked.as_slice(), |report| report.grid.as_slice());
    let conflicts = conflicts(puzzle, shown);
    let open = open(puzzle);
    let givens = asked
        .iter()
        .map(|&value| if value == open { 0 } else { value });
    let mut states: Vec<CellState> = givens
        .zip(shown)
        .zip(conflicts)
        .map(|((given, &digit), conflict)| CellState {
            digit,
            given,
            conflict,
            ..CellState::default()
        })
        .collect();
    if let Some(last) = reports.last() {
        for &cell in &last.changed {
            states[cell].changed = true;
        }
    }
    // Settled says something of cells that the model fills, and only after it
    // had time to change its mind.
    if reports.len() > SETTLED {
        let recent = &reports[reports.len() - SETTLED..];
        for (cell, state) in states.iter_mut().enumerate() {
            state.settled = state.given == 0
                && state.digit != open
                && recent.iter().all(|report| !report.changed.contains(&cell));
        }
    }
    states
}

/// The value of a cell that the question leaves open.
fn open(puzzle: &AnyPuzzle) -> u8 {
    match puzzle {
        AnyPuzzle::Sudoku(_) => 0,
        AnyPuzzle::Maze(_) => Cell::Way as u8,
        AnyPuzzle::Arc(_) => TOKEN_PAD,
    }
}

/// The cells of a grid that take part in broken rules.
fn conflicts(puzzle: &AnyPuzzle, grid: &[u8]) -> Vec<bool> {
    AnyPuzzle::from_values(puzzle.kind(), grid).map_or_else(
        |_| vec![false; grid.len()],
        |board| board.conflicting_cells(),
    )
}

/// Turns `cells` into those of another grid of the same run: one from the
/// inside of a segment, with what was there before it.
pub fn show_inside(puzzle: &AnyPuzzle, cells: &mut [CellState], grid: &[u8], before: &[u8]) {
    let conflicts = conflicts(puzzle, grid);
    for (i, cell) in cells.iter_mut().enumerate().take(grid.len()) {
        cell.digit = grid[i];
        cell.conflict = conflicts.get(i).copied().unwrap_or_default();
        cell.changed = before.get(i).is_some_and(|&digit| digit != grid[i]);
    }
}

/// Marks as changed the cells whose digit differs from another moment's grid.
/// Returns how many there are.
pub fn compare(cells: &mut [CellState], other: &[u8]) -> usize {
    let mut count = 0;
    for (cell, &digit) in cells.iter_mut().zip(other) {
        cell.changed = cell.digit != digit;
        count += usize::from(cell.changed);
    }
    count
}

/// What a run did to one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellHistory {
    /// Segments that changed it.
    pub changes: usize,
    /// Segment after which it has kept its digit; none if the last one
    /// changed it, or there was none.
    pub settled_at: Option<usize>,
}

/// What the first `segments` reports of a run did to a cell.
#[must_use]
pub fn history(reports: &[SegmentReport], segments: usize, cell: usize) -> CellHistory {
    let reports = &reports[..segments.min(reports.len())];
    let mut changed = reports
        .iter()
        .filter(|report| report.changed.contains(&cell))
        .map(|report| report.segment);
    let changes = changed.clone().count();
    let last = changed.next_back().unwrap_or(0);
    CellHistory {
        changes,
        settled_at: (last < reports.len()).then_some(last),
    }
}

/// A moment of a run: after an H update of a segment. Moment 0 is the puzzle,
/// the last of a segment its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Segment, from 1; 0 for the puzzle.
    pub segment: usize,
    /// H update inside it, from 0; none for its end.
    pub update: Option<usize>,
}

impl Moment {
    /// Its place among all moments, `updates` to a segment.
    #[must_use]
    pub fn index(self, updates: usize) -> usize {
        let updates = updates.max(1);
        match (self.segment, self.update) {
            (0, _) => 0,
            (segment, None) => segment * updates,
            (segment, Some(update)) => (segment - 1) * updates + update.min(updates - 1) + 1,
        }
    }

    /// The moment at a place.
    #[must_use]
    pub fn at(index: usize, updates: usize) -> Self {
        let updates = updates.max(1);
        let segment = index.div_ceil(updates);
        let update = (index + updates - 1) % updates;
        Self {
            segment,
            update: (segment > 0 && update + 1 < updates).then_some(update),
        }
    }
}

impl Display for Moment {
    /// As addresses name it: `3` for the end of the third segment, `3.1` for
    /// the first update inside it, nothing for the puzzle.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.segment, self.update) {
            (0, _) => Ok(()),
            (segment, None) => write!(f, "{segment}"),
            (segment, Some(update)) => write!(f, "{segment}.{}", update + 1),
        }
    }
}

impl FromStr for Moment {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (segment, update) = match text.split_once('.') {
            None => (text.parse()?, None),
            Some((segment, update)) => {
                let update: NonZeroUsize = update.parse()?;
                (segment.parse()?, Some(update.get() - 1))
            }
        };
        Ok(Self { segment, update })
    }
}

/// The model's confidence that its answer is right: the logistic function of
/// `q_halt`.
#[must_use]
pub fn probability(q_halt: f32) -> f32 {
    1.0 / (1.0 + (-q_halt).exp())
}

/// The model's probability of every content of a cell, in 255ths, `[cells,
/// contents]`, from its logits, `[cells, width]`: softmax over all of them, of
/// which the last `contents` are those (padding and blank may stand before).
#[must_use]
pub fn content_shares(logits: &[f32], width: usize, contents: usize) -> Vec<u8> {
    logits
        .chunks_exact(width.max(1))
        .flat_map(|row| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|logit| (logit - largest).exp()).sum();
            row[width.saturating_sub(contents)..]
                .iter()
                .map(move |logit| (255.0 * (logit - largest).exp() / sum).round() as u8)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLVED: &str = "1234341221434321";

    fn digits(text: &str) -> Vec<u8> {
        text.bytes()
            .map(|b| if b == b'.' { 0 } else { b - b'0' })
            .collect()
    }

    fn report(segment: usize, grid: &str, changed: &[usize]) -> SegmentReport {
        let board: AnyPuzzle = grid.parse().unwrap();
        SegmentReport {
            segment,
            grid: digits(grid),
            changed: changed.to_vec(),
            conflicts: board.conflicts(),
            keeps_givens: true,
            q_halt: 0.0,
            q_continue: None,
            residual: 0.0,
            halted: false,
            solved: grid == SOLVED,
            committed: vec![],
        }
    }

    #[test]
    fn before_the_first_segment_the_puzzle_is_shown() {
        let puzzle: AnyPuzzle = "11..............".parse().unwrap();
        let cells = cells(&puzzle, &[], 7);
        assert!(cells[0].conflict && cells[1].conflict && !cells[2].conflict);
        assert_eq!(cells[0].label(), "1, given, conflict");
        assert_eq!(cells[2].label(), "empty");
        assert!(!cells.iter().any(|c| c.changed || c.settled));
    }

    #[test]
    fn a_cell_settles_after_quiet_segments() {
        let puzzle: AnyPuzzle = "1...............".parse().unwrap();
        let reports = [
            report(1, "1111111111111111", &(1..16).collect::<Vec<_>>()),
            report(2, SOLVED, &[1, 2, 3]),
            report(3, SOLVED, &[]),
            report(4, SOLVED, &[]),
            report(5, SOLVED, &[2]),
        ];
        let after = |k: usize| cells(&puzzle, &reports, k);
        assert!(after(1)[1].changed && after(1)[1].conflict);
        assert!(!after(3).iter().any(|c| c.settled), "too early to tell");
        assert!(after(4)[5].settled && !after(4)[1].settled);
        assert!(!after(4)[0].settled, "a given has nothing to settle");
        assert!(after(5)[1].settled && !after(5)[2].settled);
        assert_eq!(after(5)[2].label(), "3, changed");
    }

    #[test]
    fn a_mazes_cells_are_told_apart_too() {
        let puzzle: AnyPuzzle = "S ##G    ".parse().unwrap();
        let answer: AnyPuzzle = "So##Go  #".parse().unwrap();
        let run = [SegmentReport {
            grid: answer.values(),
            changed: vec![1, 5, 8],
            ..report(1, SOLVED, &[])
        }];
        let cells = cells(&puzzle, &run, 1);
        assert_eq!((cells[0].given, cells[1].given, cells[2].given), (3, 0, 1));
        assert!(cells[1].changed && cells[5].conflict && !cells[0].conflict);
        assert!(!cells.iter().any(|cell| cell.overwritten()));
        assert_eq!(cells[8].digit, Cell::Wall as u8);
    }

    #[test]
    fn moments_are_counted_through_the_segments() {
        for updates in 1..4 {
            for index in 0..20 {
                assert_eq!(Moment::at(index, updates).index(updates), index);
            }
        }
        let first = Moment {
            segment: 1,
            update: Some(0),
        };
        assert_eq!(Moment::at(1, 2), first);
        assert_eq!(Moment::at(4, 2).segment, 2);
        assert_eq!(Moment::at(4, 2).update, None);
        assert_eq!(Moment::at(0, 2).segment, 0);
        for index in 1..20 {
            let moment = Moment::at(index, 2);
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
        assert_eq!(first.to_string(), "1.1");
        assert_eq!(Moment::at(0, 2).to_string(), "");
        for text in ["", "x", "3.", "3.0", "-1", "3.1.1"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_moments_and_comparisons() {
        let puzzle: AnyPuzzle = "1...............".parse().unwrap();
        let reports = [report(1, SOLVED, &[1])];
        let mut states = cells(&puzzle, &reports, 1);
        show_inside(
            &puzzle,
            &mut states,
            &digits("1134341221434321"),
            &puzzle.values(),
        );
        assert!(states[0].conflict && states[1].conflict && states[1].changed);
        assert!(!states[0].changed);
        assert_eq!(compare(&mut states, &digits(SOLVED)), 1);
        assert!(states[1].changed && !states[2].changed);
    }

    #[test]
    fn cells_have_a_history() {
        let reports = [
            report(1, SOLVED, &[1, 2]),
            report(2, SOLVED, &[2]),
            report(3, SOLVED, &[2]),
        ];
        let of = |segments, cell| history(&reports, segments, cell);
        assert_eq!((of(3, 1).changes, of(3, 1).settled_at), (1, Some(1)));
        assert_eq!((of(3, 2).changes, of(3, 2).settled_at), (3, None));
        assert_eq!(of(3, 9).settled_at, Some(0));
        assert_eq!(of(0, 9), CellHistory::default());
    }

    #[test]
    fn overwritten_givens_are_named() {
        let puzzle: AnyPuzzle = "2...............".parse().unwrap();
        let cells = cells(&puzzle, &[report(1, SOLVED, &[0])], 1);
        assert!(cells[0].overwritten());
        assert_eq!(cells[0].label(), "1, given was 2, changed");
    }

    #[test]
    fn shares_of_digits_leave_padding_and_blank_out() {
        let even = [0.0; 6];
        assert_eq!(content_shares(&even, 6, 4), [43; 4]);
        let sure = [0.0, 0.0, 900.0, 0.0, 0.0, 0.0];
        assert_eq!(content_shares(&sure, 6, 4), [255, 0, 0, 0]);
        assert_eq!(content_shares(&[sure, even].concat(), 6, 4).len(), 8);
        assert!(content_shares(&[], 6, 4).is_empty());
        // Digits alone.
        assert_eq!(content_shares(&even[..4], 4, 4), [64; 4]);
    }

    #[test]
    fn confidence_is_logistic() {
        assert!((probability(0.0) - 0.5).abs() < 1e-6);
        assert!(probability(-90.0) >= 0.0 && probability(90.0) <= 1.0);
    }
}
