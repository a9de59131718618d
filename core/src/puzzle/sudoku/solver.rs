//! The exact solver: solutions, uniqueness, and how many guesses they took.
//!
//! Candidates are kept as one bit set per digit. Whole boards are narrowed at once
//! by bit operations: naked singles by counting the nine sets bitwise, hidden
//! singles and locked candidates per digit. What these leave open is searched, a
//! cell with two candidates first.

use super::board::Board;
use super::shape::Shape;
use super::tables::{BANDS, Bits, Tables, split};

/// What an exact search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolveReport {
    /// The solutions found, at most the wanted number.
    pub solutions: Vec<Board>,
    /// How often the search had to try a value because no single was left: a
    /// measure of difficulty, 0 for puzzles that singles and locked candidates
    /// solve. It includes the search for further solutions up to the limit.
    pub guesses: u64,
    /// Whether the search ended by itself, having found all solutions or as many
    /// as wanted; `false` if it ran out of guesses.
    pub finished: bool,
}

/// How many solutions a puzzle has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Uniqueness {
    /// None.
    Impossible,
    /// Exactly one, as a puzzle should.
    Unique,
    /// Two or more.
    Ambiguous,
    /// The search was cut off, or had a limit below two, before it was settled.
    Unknown,
}

impl SolveReport {
    /// The verdict, which needs a search with a limit of at least 2 to be
    /// [`Uniqueness::Unique`].
    #[must_use]
    pub fn uniqueness(&self, limit: usize) -> Uniqueness {
        match self.solutions.len() {
            0 if self.finished && limit > 0 => Uniqueness::Impossible,
            1 if self.finished && limit > 1 => Uniqueness::Unique,
            0 | 1 => Uniqueness::Unknown,
            _ => Uniqueness::Ambiguous,
        }
    }

    /// The solution, if the search (with a limit of at least 2) proved it to be the
    /// only one.
    #[must_use]
    pub fn unique(self, limit: usize) -> Option<Board> {
        match self.uniqueness(limit) {
            Uniqueness::Unique => self.solutions.into_iter().next(),
            _ => None,
        }
    }
}

/// Finds up to `limit` solutions; 2 settles uniqueness. A board that breaks the
/// rules has none.
#[must_use]
pub fn solve(puzzle: &Board, limit: usize) -> SolveReport {
    solve_within(puzzle, limit, u64::MAX)
}

/// Like [`solve`], giving up after `max_guesses` guesses (about half a microsecond
/// each), for boards that anybody may have typed.
#[must_use]
pub fn solve_within(puzzle: &Board, limit: usize, max_guesses: u64) -> SolveReport {
    let mut search = Search {
        tables: Tables::of(puzzle.shape()),
        limit,
        max_guesses,
        report: SolveReport {
            solutions: Vec::new(),
            guesses: 0,
            finished: true,
        },
    };
    if limit > 0
        && let Some(state) = State::of(search.tables, puzzle)
    {
        search.run(state);
    }
    search.report
}

struct Search {
    tables: &'static Tables,
    limit: usize,
    max_guesses: u64,
    report: SolveReport,
}

impl Search {
    /// Searches below a state; `false` stops the whole search.
    fn run(&mut self, mut state: State) -> bool {
        loop {
            let guess = match state.narrow(self.tables) {
                Narrowed::Contradiction => return true,
                Narrowed::Solved => {
                    self.report.solutions.push(state.board(self.tables.shape));
                    return self.report.solutions.len() < self.limit;
                }
                Narrowed::Open(guess) => guess,
            };
            if self.report.guesses == self.max_guesses {
                self.report.finished = false;
                return false;
            }
            self.report.guesses += 1;
            let mut child = state.clone();
            if child.place(self.tables, guess) && !self.run(child) {
                return false;
            }
            state.strike(guess);
        }
    }
}

/// A candidate: a digit (from 0) in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) digit: usize,
    pub(super) band: usize,
    pub(super) bit: u32,
}

impl Candidate {
    pub(super) fn new(shape: Shape, digit: usize, cell: usize) -> Self {
        let (band, bit) = split(shape, cell);
        Self { digit, band, bit }
    }

    fn cell(self, shape: Shape) -> usize {
        self.band * shape.box_rows() * shape.side() + self.bit.trailing_zeros() as usize
    }
}

/// What is left after all conclusions are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrowed {
    /// Some cell or house has no place left.
    Contradiction,
    /// Every cell has its digit.
    Solved,
    /// Nothing follows any more; this is a good candidate to try.
    Open(Candidate),
}

/// Candidates of all digits, and the cells that are still open.
#[derive(Clone, Debug)]
pub(super) struct State {
    candidates: [Bits; 9],
    open: Bits,
    /// Digits (as bits) whose candidates changed since they were last looked at.
    stale: u16,
}

impl State {
    /// The state of an empty board.
    pub(super) fn empty(tables: &Tables) -> Self {
        let side = tables.shape.side();
        let mut candidates = [[0; BANDS]; 9];
        candidates[..side].fill(tables.full);
        Self {
            candidates,
            open: tables.full,
            stale: (1 << side) - 1,
        }
    }

    /// The state of a board, or `None` if its digits clash.
    pub(super) fn of(tables: &Tables, board: &Board) -> Option<Self> {
        let mut state = Self::empty(tables);
        for (cell, &digit) in board.cells().iter().enumerate() {
            if digit != 0 {
                let given = Candidate::new(tables.shape, digit as usize - 1, cell);
                if !state.place(tables, given) {
                    return None;
                }
            }
        }
        Some(state)
    }

    /// Digits (from 0) that an open cell can hold.
    pub(super) fn digits_of(&self, shape: Shape, cell: usize) -> impl Iterator<Item = usize> + '_ {
        let (band, bit) = split(shape, cell);
        (0..shape.side()).filter(move |&digit| self.candidates[digit][band] & bit != 0)
    }

    /// Whether a cell is still open.
    pub(super) fn is_open(&self, shape: Shape, cell: usize) -> bool {
        let (band, bit) = split(shape, cell);
        self.open[band] & bit != 0
    }

    /// Writes a digit and strikes it from the cells it sees; `false` if it is no
    /// candidate any more.
    pub(super) fn place(&mut self, tables: &Tables, at: Candidate) -> bool {
        let Candidate { digit, band, bit } = at;
        if self.candidates[digit][band] & bit == 0 {
            return false;
        }
        for other in 0..tables.shape.side() {
            let bits = &mut self.candidates[other][band];
            self.stale |= u16::from(*bits & bit != 0) << other;
            *bits &= !bit;
        }
        let peers = &tables.peers[at.cell(tables.shape)];
        for (bits, peers) in self.candidates[digit].iter_mut().zip(peers) {
            *bits &= !peers;
        }
        self.candidates[digit][band] |= bit;
        self.open[band] &= !bit;
        true
    }

    /// Strikes a candidate.
    pub(super) fn strike(&mut self, at: Candidate) {
        self.candidates[at.digit][at.band] &= !at.bit;
        self.stale |= 1 << at.digit;
    }

    /// Draws all conclusions from singles and locked candidates.
    pub(super) fn narrow(&mut self, tables: &Tables) -> Narrowed {
        let side = tables.shape.side();
        loop {
            // Cells with at least one, two, three candidates.
            let mut one: Bits = [0; BANDS];
            let mut two: Bits = [0; BANDS];
            let mut three: Bits = [0; BANDS];
            for digit in &self.candidates[..side] {
                for band in 0..BANDS {
                    three[band] |= two[band] & digit[band];
                    two[band] |= one[band] & digit[band];
                    one[band] |= digit[band];
                }
            }
            if one != tables.full {
                return Narrowed::Contradiction;
            }
            if self.open == [0; BANDS] {
                return Narrowed::Solved;
            }
            let mut naked = false;
            for band in 0..BANDS {
                let mut singles = self.open[band] & !two[band];
                naked |= singles != 0;
                while singles != 0 {
                    let bit = singles & singles.wrapping_neg();
                    singles ^= bit;
                    // An earlier single may have struck this cell's last candidate.
                    let Some(digit) = self.first_digit(side, band, bit) else {
                        return Narrowed::Contradiction;
                    };
                    self.place(tables, Candidate { digit, band, bit });
                }
            }
            if naked {
                continue;
            }
            if self.stale != 0 {
                let before = self.candidates;
                while self.stale != 0 {
                    let digit = self.stale.trailing_zeros() as usize;
                    self.stale &= self.stale - 1;
                    if !self.narrow_digit(tables, digit) {
                        return Narrowed::Contradiction;
                    }
                }
                if self.candidates != before {
                    continue;
                }
            }
            return Narrowed::Open(self.choose(side, &two, &three));
        }
    }

    /// Smallest digit (from 0) that a cell can hold.
    fn first_digit(&self, side: usize, band: usize, bit: u32) -> Option<usize> {
        (0..side).find(|&digit| self.candidates[digit][band] & bit != 0)
    }

    /// Locked candidates and hidden singles of one digit; `false` is a contradiction.
    fn narrow_digit(&mut self, tables: &Tables, digit: usize) -> bool {
        let shape = tables.shape;
        let (side, box_rows, box_cols) = (shape.side(), shape.box_rows(), shape.box_cols());
        let bands = shape.bands();
        let row_mask = (1_u32 << side) - 1;
        let mut bits = self.candidates[digit];

        // Every row and every box of a band needs the digit once.
        for bits in &mut bits[..bands] {
            let mut squares = 0;
            for row in 0..box_rows {
                let segment = tables.segments[(*bits >> (row * side) & row_mask) as usize];
                squares |= usize::from(segment) << (row * box_rows);
            }
            *bits &= tables.band_locks[squares];
            if *bits == 0 {
                return false;
            }
        }

        // So does every column and every box of a stack.
        let column_mask = (1_u32 << box_cols) - 1;
        let mut columns = [0_u32; BANDS];
        for band in 0..bands {
            for row in 0..box_rows {
                columns[band] |= bits[band] >> (row * side) & row_mask;
            }
        }
        let mut kept = [0_u32; BANDS];
        for stack in 0..shape.stacks() {
            let mut squares = 0;
            for band in 0..bands {
                let part = columns[band] >> (stack * box_cols) & column_mask;
                squares |= (part as usize) << (band * box_cols);
            }
            let locked = u32::from(tables.stack_locks[squares]);
            if locked == 0 {
                return false;
            }
            for band in 0..bands {
                kept[band] |= (locked >> (band * box_cols) & column_mask) << (stack * box_cols);
            }
        }
        // Columns with at least one, at least two candidates.
        let mut one = 0;
        let mut two = 0;
        for band in 0..bands {
            for row in 0..box_rows {
                bits[band] &= !(row_mask << (row * side)) | kept[band] << (row * side);
                let line = bits[band] >> (row * side) & row_mask;
                two |= one & line;
                one |= line;
            }
        }
        self.candidates[digit] = bits;

        // Cells that are alone in a row, a box or a column.
        for band in 0..bands {
            let mut alone = 0;
            for row in 0..box_rows {
                alone |= only_bit(bits[band] & tables.rows[row]);
                alone |= (!two & row_mask) << (row * side) & bits[band];
            }
            for stack in 0..shape.stacks() {
                alone |= only_bit(bits[band] & tables.boxes[stack]);
            }
            alone &= self.open[band];
            while alone != 0 {
                let bit = alone & alone.wrapping_neg();
                alone ^= bit;
                if !self.place(tables, Candidate { digit, band, bit }) {
                    return false;
                }
            }
        }
        true
    }

    /// The candidate to try: in a cell with two candidates if there is one, else in
    /// one with three, else in any.
    fn choose(&self, side: usize, two: &Bits, three: &Bits) -> Candidate {
        let pick = |wanted: &dyn Fn(usize) -> u32| {
            (0..BANDS).find_map(|band| {
                let cells = self.open[band] & wanted(band);
                (cells != 0).then(|| (band, cells & cells.wrapping_neg()))
            })
        };
        let mut four: Bits = [0; BANDS];
        let (band, bit) = pick(&|band| two[band] & !three[band])
            .or_else(|| {
                four = self.at_least_four(side);
                pick(&|band| three[band] & !four[band])
            })
            .or_else(|| pick(&|_| !0))
            .unwrap_or((0, 1));
        let digit = self.first_digit(side, band, bit).unwrap_or(0);
        Candidate { digit, band, bit }
    }

    /// Cells with at least four candidates.
    fn at_least_four(&self, side: usize) -> Bits {
        let mut counts = [[0; BANDS]; 4];
        for digit in &self.candidates[..side] {
            for band in 0..BANDS {
                for more in (1..4).rev() {
                    counts[more][band] |= counts[more - 1][band] & digit[band];
                }
                counts[0][band] |= digit[band];
            }
        }
        counts[3]
    }

    /// The board of a solved state.
    pub(super) fn board(&self, shape: Shape) -> Board {
        let mut cells = vec![0; shape.cells()];
        let size = shape.box_rows() * shape.side();
        for digit in 0..shape.side() {
            for (band, &bits) in self.candidates[digit].iter().enumerate() {
                let mut bits = bits & !self.open[band];
                while bits != 0 {
                    cells[band * size + bits.trailing_zeros() as usize] = digit as u8 + 1;
                    bits &= bits - 1;
                }
            }
        }
        Board::from_valid(shape, cells)
    }
}

/// `bits` if exactly one is set, else 0.
fn only_bit(bits: u32) -> u32 {
    if bits & bits.wrapping_sub(1) == 0 {
        bits
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(text: &str) -> Board {
        Board::parse(text, None).unwrap()
    }

    #[test]
    fn counts_every_grid_of_four_by_four() {
        // There are 288 complete 4x4 grids.
        let report = solve(&Board::blank(Shape::S4), 1000);
        assert!(report.finished);
        assert_eq!(report.solutions.len(), 288);
        let blank = Board::blank(Shape::S4);
        assert!(report.solutions.iter().all(|s| s.solves(&blank)));
        let mut distinct = report.solutions;
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 288);
    }

    #[test]
    fn counts_every_grid_of_six_by_six() {
        // There are 28,200,960; by renaming digits, 1 in 720 starts with 123456.
        let report = solve(&board(&format!("123456{}", ".".repeat(30))), usize::MAX);
        assert!(report.finished);
        assert_eq!(report.solutions.len() as u64 * 720, 28_200_960);
    }

    #[test]
    fn solves_and_proves_uniqueness() {
        let puzzle = board(
            "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9",
        );
        let report = solve(&puzzle, 2);
        assert_eq!(report.uniqueness(2), Uniqueness::Unique);
        assert!(report.unique(2).unwrap().solves(&puzzle));
    }

    #[test]
    fn verdicts() {
        let verdict = |text: &str| solve(&board(text), 2).uniqueness(2);
        assert_eq!(verdict("1..........4..2."), Uniqueness::Ambiguous);
        assert_eq!(verdict("11.............."), Uniqueness::Impossible);
        // No clash, but the last cell of the first row can hold nothing.
        assert_eq!(verdict("123....4........"), Uniqueness::Impossible);
        assert_eq!(verdict("1234341221434321"), Uniqueness::Unique);
        assert_eq!(
            verdict(&format!("1111111112{}", ".".repeat(71))),
            Uniqueness::Impossible
        );
        let one = solve(&board("1234341221434321"), 1);
        assert_eq!(one.uniqueness(1), Uniqueness::Unknown);
        assert!(solve(&Board::blank(Shape::S4), 0).solutions.is_empty());
    }

    #[test]
    fn gives_up_when_told_to() {
        let report = solve_within(&Board::blank(Shape::S9), usize::MAX, 100);
        assert!(!report.finished);
        assert_eq!(report.guesses, 100);
        assert_eq!(
            solve_within(&Board::blank(Shape::S9), 2, 3).uniqueness(2),
            Uniqueness::Unknown
        );
    }
}
