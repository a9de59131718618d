//! The exact solver: solutions, uniqueness, and how many guesses they took.
//!
//! Candidates are kept as one bit set per digit. Whole boards are narrowed at once
//! by bit operations: naked singles by counting the nine sets bitwise, hidden
//! singles and locked candidates per digit. What these leave open is searched, a
//! cell with two candidates first.

// Bands, rows and boxes index several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::board::Board;
use super::large;
use super::shape::Shape;
use super::tables::{BANDS, Bits, Tables};

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

/// Like [`solve`], giving up after `max_guesses` guesses (under a microsecond each),
/// for boards that anybody may have typed.
#[must_use]
pub fn solve_within(puzzle: &Board, limit: usize, max_guesses: u64) -> SolveReport {
    match puzzle.shape().side() {
        4 => Search::<2, 2>::of(puzzle, limit, max_guesses),
        6 => Search::<2, 3>::of(puzzle, limit, max_guesses),
        9 => Search::<3, 3>::of(puzzle, limit, max_guesses),
        _ => large::solve_within(puzzle, limit, max_guesses),
    }
}

/// A search on boards with boxes of `ROWS` x `COLS` cells, compiled for each shape so
/// that its inner loops are unrolled.
struct Search<const ROWS: usize, const COLS: usize> {
    tables: &'static Tables,
    limit: usize,
    max_guesses: u64,
    report: SolveReport,
}

impl<const ROWS: usize, const COLS: usize> Search<ROWS, COLS> {
    fn of(puzzle: &Board, limit: usize, max_guesses: u64) -> SolveReport {
        let mut search = Self {
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

    /// Searches below a state; `false` stops the whole search.
    fn run(&mut self, mut state: State<ROWS, COLS>) -> bool {
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

/// A candidate: a digit (from 0) in a cell, given by its band and its bit there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    digit: usize,
    band: usize,
    bit: u32,
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
pub(super) struct State<const ROWS: usize, const COLS: usize> {
    candidates: [Bits; 9],
    open: Bits,
    /// Digits (as bits) whose candidates changed since they were last looked at.
    stale: u16,
}

impl<const ROWS: usize, const COLS: usize> State<ROWS, COLS> {
    const SIDE: usize = ROWS * COLS;
    /// Cells of a band.
    const BAND: usize = ROWS * Self::SIDE;
    /// The first row of a band.
    const ROW: u32 = (1 << Self::SIDE) - 1;
    /// The first row of a box.
    const SEGMENT: u32 = (1 << COLS) - 1;

    /// The state of an empty board.
    pub(super) fn empty(tables: &Tables) -> Self {
        let mut candidates = [[0; BANDS]; 9];
        candidates[..Self::SIDE].fill(tables.full);
        Self {
            candidates,
            open: tables.full,
            stale: Self::ROW as u16,
        }
    }

    /// The state of a board, or `None` if its digits clash.
    fn of(tables: &Tables, board: &Board) -> Option<Self> {
        let mut state = Self::empty(tables);
        for (cell, &digit) in board.cells().iter().enumerate() {
            if digit != 0 && !state.place(tables, Self::candidate(cell, digit as usize - 1)) {
                return None;
            }
        }
        Some(state)
    }

    fn candidate(cell: usize, digit: usize) -> Candidate {
        Candidate {
            digit,
            band: cell / Self::BAND,
            bit: 1 << (cell % Self::BAND),
        }
    }

    /// Every candidate of a cell, or none if the cell is filled.
    pub(super) fn choices(&self, cell: usize) -> impl Iterator<Item = Candidate> + '_ {
        (0..Self::SIDE)
            .map(move |digit| Self::candidate(cell, digit))
            .filter(|&Candidate { digit, band, bit }| {
                self.candidates[digit][band] & self.open[band] & bit != 0
            })
    }

    /// Writes a digit and strikes it from the cells it sees; `false` if it is no
    /// candidate any more.
    pub(super) fn place(&mut self, tables: &Tables, at: Candidate) -> bool {
        let Candidate { digit, band, bit } = at;
        if self.candidates[digit][band] & bit == 0 {
            return false;
        }
        for other in 0..Self::SIDE {
            let bits = &mut self.candidates[other][band];
            self.stale |= u16::from(*bits & bit != 0) << other;
            *bits &= !bit;
        }
        let cell = band * Self::BAND + bit.trailing_zeros() as usize;
        for (bits, peers) in self.candidates[digit].iter_mut().zip(&tables.peers[cell]) {
            *bits &= !peers;
        }
        self.candidates[digit][band] |= bit;
        self.open[band] &= !bit;
        true
    }

    /// Strikes a candidate.
    fn strike(&mut self, at: Candidate) {
        self.candidates[at.digit][at.band] &= !at.bit;
        self.stale |= 1 << at.digit;
    }

    /// Draws all conclusions from singles and locked candidates.
    pub(super) fn narrow(&mut self, tables: &Tables) -> Narrowed {
        loop {
            // Cells with at least one, two, three candidates.
            let mut one: Bits = [0; BANDS];
            let mut two: Bits = [0; BANDS];
            let mut three: Bits = [0; BANDS];
            for digit in &self.candidates[..Self::SIDE] {
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
                    let Some(digit) = self.first_digit(band, bit) else {
                        return Narrowed::Contradiction;
                    };
                    self.place(tables, Candidate { digit, band, bit });
                }
            }
            if naked {
                continue;
            }
            let mut changed = false;
            while self.stale != 0 {
                let digit = self.stale.trailing_zeros() as usize;
                self.stale &= self.stale - 1;
                match self.narrow_digit(tables, digit) {
                    Some(more) => changed |= more,
                    None => return Narrowed::Contradiction,
                }
            }
            if !changed {
                return Narrowed::Open(self.choose(tables, &two, &three));
            }
        }
    }

    /// Smallest digit (from 0) that a cell can hold.
    fn first_digit(&self, band: usize, bit: u32) -> Option<usize> {
        (0..Self::SIDE).find(|&digit| self.candidates[digit][band] & bit != 0)
    }

    /// Locked candidates and hidden singles of one digit: whether there were any, or
    /// `None` for a contradiction.
    fn narrow_digit(&mut self, tables: &Tables, digit: usize) -> Option<bool> {
        let before = self.candidates[digit];
        let mut bits = before;

        // Every row and every box of a band needs the digit once.
        for bits in &mut bits[..COLS] {
            let mut squares = 0;
            for row in 0..ROWS {
                let line = *bits >> (row * Self::SIDE) & Self::ROW;
                squares |= usize::from(tables.segments[line as usize]) << (row * ROWS);
            }
            *bits &= tables.band_locks[squares];
            if *bits == 0 {
                return None;
            }
        }

        // So does every column and every box of a stack.
        let mut columns = [0_u32; BANDS];
        for band in 0..COLS {
            for row in 0..ROWS {
                columns[band] |= bits[band] >> (row * Self::SIDE) & Self::ROW;
            }
        }
        let mut kept = [0_u32; BANDS];
        for stack in 0..ROWS {
            let mut squares = 0;
            for band in 0..COLS {
                let part = columns[band] >> (stack * COLS) & Self::SEGMENT;
                squares |= (part as usize) << (band * COLS);
            }
            let locked = u32::from(tables.stack_locks[squares]);
            if locked == 0 {
                return None;
            }
            for band in 0..COLS {
                kept[band] |= (locked >> (band * COLS) & Self::SEGMENT) << (stack * COLS);
            }
        }
        // Columns with at least one, at least two candidates.
        let mut one = 0;
        let mut two = 0;
        for band in 0..COLS {
            let mut mask = 0;
            for row in 0..ROWS {
                mask |= kept[band] << (row * Self::SIDE);
            }
            bits[band] &= mask;
            for row in 0..ROWS {
                let line = bits[band] >> (row * Self::SIDE) & Self::ROW;
                two |= one & line;
                one |= line;
            }
        }
        self.candidates[digit] = bits;
        let mut changed = bits != before;
        self.stale |= u16::from(changed) << digit;

        // Cells that are alone in a row, a box or a column.
        for band in 0..COLS {
            let mut alone = 0;
            for row in 0..ROWS {
                alone |= only_bit(bits[band] & tables.rows[row]);
                alone |= bits[band] & (!two & Self::ROW) << (row * Self::SIDE);
                alone |= only_bit(bits[band] & tables.boxes[row]);
            }
            alone &= self.open[band];
            changed |= alone != 0;
            while alone != 0 {
                let bit = alone & alone.wrapping_neg();
                alone ^= bit;
                if !self.place(tables, Candidate { digit, band, bit }) {
                    return None;
                }
            }
        }
        Some(changed)
    }

    /// The candidate to try, given the cells with at least two and three: in a cell
    /// with two if there is one, where its digits strike most from other cells (weights
    /// found by trial: 42 guesses a puzzle on hard ones, 90 with the first such cell);
    /// else in any cell with three, or with more.
    fn choose(&self, tables: &Tables, two: &Bits, three: &Bits) -> Candidate {
        let mut best: Option<(u32, Candidate)> = None;
        for band in 0..COLS {
            let mut cells = self.open[band] & !three[band];
            while cells != 0 {
                let bit = cells & cells.wrapping_neg();
                cells ^= bit;
                let peers = &tables.peers[band * Self::BAND + bit.trailing_zeros() as usize];
                let mut touched = 0;
                let mut first = None;
                for digit in 0..Self::SIDE {
                    if self.candidates[digit][band] & bit != 0 {
                        first = first.or(Some(digit));
                        for other in 0..COLS {
                            let reach = peers[other] & self.candidates[digit][other];
                            let tight = reach & two[other] & !three[other];
                            touched += reach.count_ones() + 2 * tight.count_ones();
                        }
                    }
                }
                if let Some(digit) = first
                    && best.is_none_or(|(most, _)| touched > most)
                {
                    best = Some((touched, Candidate { digit, band, bit }));
                }
            }
        }
        if let Some((_, candidate)) = best {
            return candidate;
        }
        let four = self.at_least_four();
        let cell = |wanted: &dyn Fn(usize) -> u32| {
            (0..COLS).find_map(|band| {
                let cells = self.open[band] & wanted(band);
                (cells != 0).then(|| (band, cells & cells.wrapping_neg()))
            })
        };
        let (band, bit) = cell(&|band| !four[band])
            .or_else(|| cell(&|_| !0))
            .unwrap_or((0, 1));
        let digit = self.first_digit(band, bit).unwrap_or(0);
        Candidate { digit, band, bit }
    }

    /// Cells with at least four candidates.
    fn at_least_four(&self) -> Bits {
        let mut counts = [[0; BANDS]; 4];
        for digit in &self.candidates[..Self::SIDE] {
            for band in 0..COLS {
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
        for (digit, bands) in self.candidates[..Self::SIDE].iter().enumerate() {
            for (band, &bits) in bands.iter().enumerate() {
                let mut bits = bits & !self.open[band];
                while bits != 0 {
                    cells[band * Self::BAND + bits.trailing_zeros() as usize] = digit as u8 + 1;
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
