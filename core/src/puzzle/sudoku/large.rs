//! The exact solver for boards that have none of their own: candidates as one
//! bit set a cell, narrowed by singles and locked candidates, then searched.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rand::Rng;
use rand::seq::SliceRandom;

use super::board::Board;
use super::shape::Shape;
use super::solver::SolveReport;
use super::symmetry::Symmetry;

/// Which cells see each other, and the cells of every house.
struct Layout {
    shape: Shape,
    peers: Vec<Vec<u16>>,
    /// Rows, then columns, then boxes.
    houses: Vec<Vec<u16>>,
    /// A box and a line that share cells: those they share, the box's others and
    /// the line's others.
    crossings: Vec<[Vec<u16>; 3]>,
}

impl Layout {
    fn new(shape: Shape) -> Self {
        let (side, cells) = (shape.side(), shape.cells());
        let of = |house: &dyn Fn(usize) -> usize, index: usize| -> Vec<u16> {
            let cells = (0..cells).filter(|&cell| house(cell) == index);
            cells.map(|cell| cell as u16).collect()
        };
        let (row, column) = (|c| shape.row(c), |c| shape.column(c));
        let by_box = |c| shape.box_of(c);
        let lines: Vec<Vec<u16>> = (0..side)
            .map(|i| of(&row, i))
            .chain((0..side).map(|i| of(&column, i)))
            .collect();
        let boxes: Vec<Vec<u16>> = (0..side).map(|i| of(&by_box, i)).collect();
        let mut crossings = Vec::new();
        for line in &lines {
            for own in &boxes {
                let both = |a: &[u16], b: &[u16], inside: bool| -> Vec<u16> {
                    let cells = a.iter().filter(|cell| b.contains(cell) == inside);
                    cells.copied().collect()
                };
                let shared = both(line, own, true);
                if !shared.is_empty() {
                    crossings.push([shared, both(own, line, false), both(line, own, false)]);
                }
            }
        }
        let peers = (0..cells)
            .map(|a| {
                let seen = (0..cells).filter(|&b| shape.see_each_other(a, b));
                seen.map(|b| b as u16).collect()
            })
            .collect();
        let houses = lines.into_iter().chain(boxes).collect();
        Self {
            shape,
            peers,
            houses,
            crossings,
        }
    }

    /// The layout of a shape, made once.
    fn of(shape: Shape) -> Arc<Self> {
        static ALL: LazyLock<Mutex<HashMap<Shape, Arc<Layout>>>> = LazyLock::new(Mutex::default);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let layout = all
            .entry(shape)
            .or_insert_with(|| Arc::new(Self::new(shape)));
        Arc::clone(layout)
    }
}

/// Finds up to `limit` solutions, giving up after `max_guesses` guesses.
pub(super) fn solve_within(puzzle: &Board, limit: usize, max_guesses: u64) -> SolveReport {
    let layout = Layout::of(puzzle.shape());
    let mut search = Search {
        layout: &layout,
        limit,
        max_guesses,
        report: SolveReport {
            solutions: Vec::new(),
            guesses: 0,
            finished: true,
        },
    };
    if limit > 0
        && let Some(state) = State::of(&layout, puzzle)
    {
        search.run(state, &mut |_, _| {});
    }
    search.report
}

/// A random full board: a search from the empty one that tries digits in random
/// order, started again where it takes too long.
pub(super) fn random_solution<R: Rng + ?Sized>(shape: Shape, rng: &mut R) -> Board {
    /// Guesses of a try, and tries.
    const PATIENCE: (u64, usize) = (400, 12);
    let layout = Layout::of(shape);
    for _ in 0..PATIENCE.1 {
        let mut search = Search {
            layout: &layout,
            limit: 1,
            max_guesses: PATIENCE.0,
            report: SolveReport {
                solutions: Vec::new(),
                guesses: 0,
                finished: true,
            },
        };
        if let Some(state) = State::of(&layout, &Board::blank(shape)) {
            search.run(state, &mut |guesses: &mut Vec<Guess>, _| {
                guesses.shuffle(rng);
            });
        }
        if let Some(board) = search.report.solutions.pop() {
            return board;
        }
    }
    // A grid in a regular pattern, its digits, bands and lines in random order.
    let (side, cols) = (shape.side(), shape.box_cols());
    let digit = |cell: usize| {
        let (row, column) = (shape.row(cell), shape.column(cell));
        let start = row % shape.box_rows() * cols + row / shape.box_rows();
        ((start + column) % side + 1) as u8
    };
    let board = Board::from_valid(shape, (0..shape.cells()).map(digit).collect());
    Symmetry::random(shape, rng).apply(&board)
}

/// A digit (as its bit) in a cell, to be tried.
type Guess = (u16, u32);

/// Puts the guesses that a search is about to try into another order.
type Order<'a> = &'a mut dyn FnMut(&mut Vec<Guess>, &State);

struct Search<'a> {
    layout: &'a Layout,
    limit: usize,
    max_guesses: u64,
    report: SolveReport,
}

impl Search<'_> {
    /// Searches below a state; `false` stops the whole search.
    fn run(&mut self, mut state: State, order: Order<'_>) -> bool {
        if !state.narrow(self.layout) {
            return true;
        }
        let Some(mut guesses) = state.branches(self.layout) else {
            self.report.solutions.push(state.board(self.layout.shape));
            return self.report.solutions.len() < self.limit;
        };
        order(&mut guesses, &state);
        for (cell, bit) in guesses {
            if self.report.guesses == self.max_guesses {
                self.report.finished = false;
                return false;
            }
            self.report.guesses += 1;
            let mut child = state.clone();
            if child.place(self.layout, cell, bit) && !self.run(child, &mut *order) {
                return false;
            }
        }
        true
    }
}

/// The candidates of every cell, as bits; a cell that is placed keeps its one.
#[derive(Clone)]
struct State {
    candidates: Vec<u32>,
    placed: Vec<bool>,
    open: usize,
}

impl State {
    /// The state of a board, none if its digits clash.
    fn of(layout: &Layout, board: &Board) -> Option<Self> {
        let cells = layout.shape.cells();
        let mut state = Self {
            candidates: vec![(1 << layout.shape.side()) - 1; cells],
            placed: vec![false; cells],
            open: cells,
        };
        for (cell, &digit) in board.cells().iter().enumerate() {
            if digit > 0 && !state.place(layout, cell as u16, 1 << (digit - 1)) {
                return None;
            }
        }
        Some(state)
    }

    fn board(&self, shape: Shape) -> Board {
        let digits = self.candidates.iter().map(|c| c.trailing_zeros() as u8 + 1);
        Board::from_valid(shape, digits.collect())
    }

    /// Writes a digit and strikes it from the cells it sees; `false` if it is no
    /// candidate or leaves one of them without any.
    fn place(&mut self, layout: &Layout, cell: u16, bit: u32) -> bool {
        let at = usize::from(cell);
        if self.candidates[at] & bit == 0 {
            return false;
        }
        if !self.placed[at] {
            self.placed[at] = true;
            self.open -= 1;
        }
        self.candidates[at] = bit;
        layout.peers[at].iter().all(|&peer| self.strike(peer, bit))
    }

    /// Strikes candidates; `false` if none is left.
    fn strike(&mut self, cell: u16, bits: u32) -> bool {
        let candidates = &mut self.candidates[usize::from(cell)];
        *candidates &= !bits;
        *candidates != 0
    }

    /// Draws all conclusions from singles and locked candidates; `false` for a
    /// contradiction.
    fn narrow(&mut self, layout: &Layout) -> bool {
        loop {
            let before = self.candidates.clone();
            if !(self.naked(layout) && self.hidden(layout)) {
                return false;
            }
            if self.candidates == before {
                if !self.locked(layout) {
                    return false;
                }
                if self.candidates == before {
                    return true;
                }
            }
        }
    }

    /// Places what is alone in its cell.
    fn naked(&mut self, layout: &Layout) -> bool {
        let mut again = true;
        while again {
            again = false;
            for cell in 0..self.placed.len() {
                let bits = self.candidates[cell];
                if !self.placed[cell] && bits.is_power_of_two() {
                    again = true;
                    if !self.place(layout, cell as u16, bits) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Places what has one place in a house; every digit must have one.
    fn hidden(&mut self, layout: &Layout) -> bool {
        let full = (1 << layout.shape.side()) - 1;
        for house in &layout.houses {
            let (mut once, mut twice) = (0, 0);
            for &cell in house {
                let bits = self.candidates[usize::from(cell)];
                twice |= once & bits;
                once |= bits;
            }
            if once != full {
                return false;
            }
            let single = once & !twice;
            for &cell in house {
                let bits = self.candidates[usize::from(cell)] & single;
                // Two in one cell are too many.
                if bits != 0
                    && !self.placed[usize::from(cell)]
                    && !(bits.is_power_of_two() && self.place(layout, cell, bits))
                {
                    return false;
                }
            }
        }
        true
    }

    /// What a box has only where a line crosses it, the line has nowhere else, and
    /// the other way round.
    fn locked(&mut self, layout: &Layout) -> bool {
        for [shared, in_box, in_line] in &layout.crossings {
            let union = |cells: &[u16]| {
                let bits = cells.iter().map(|&cell| self.candidates[usize::from(cell)]);
                bits.fold(0, |all, bits| all | bits)
            };
            let (both, boxed, lined) = (union(shared), union(in_box), union(in_line));
            let (from_line, from_box) = (both & !boxed & lined, both & !lined & boxed);
            let line = in_line.iter().map(|&cell| (cell, from_line));
            let own = in_box.iter().map(|&cell| (cell, from_box));
            for (cell, bits) in line.chain(own) {
                if bits != 0 && !self.strike(cell, bits) {
                    return false;
                }
            }
        }
        true
    }

    /// What to try: the candidates of the cell with the fewest, or the places of a
    /// digit in a house where these are fewer; none if every cell is placed.
    fn branches(&self, layout: &Layout) -> Option<Vec<Guess>> {
        if self.open == 0 {
            return None;
        }
        let open = (0..self.placed.len()).filter(|&cell| !self.placed[cell]);
        let cell = open.min_by_key(|&cell| self.candidates[cell].count_ones())?;
        let bits = self.candidates[cell];
        let side = layout.shape.side();
        let of_cell = || {
            let digits = (0..side).map(|digit| 1 << digit);
            let own = digits.filter(|bit| bits & bit != 0);
            own.map(|bit| (cell as u16, bit)).collect()
        };
        if bits.count_ones() == 2 {
            return Some(of_cell());
        }
        for house in &layout.houses {
            // Digits seen once, twice, more often.
            let (mut one, mut two, mut three) = (0, 0, 0);
            for &cell in house {
                let bits = self.candidates[usize::from(cell)];
                three |= two & bits;
                two |= one & bits;
                one |= bits;
            }
            let pairs = two & !three;
            if pairs != 0 {
                let bit = pairs & pairs.wrapping_neg();
                let places = house.iter().copied();
                let places = places.filter(|&c| self.candidates[usize::from(c)] & bit != 0);
                return Some(places.map(|cell| (cell, bit)).collect());
            }
        }
        Some(of_cell())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::puzzle::{
        Difficulty, GeneratorOptions, Uniqueness, generate, random_solution, solve,
    };

    /// On the boards that have one of their own, it finds what that one finds.
    #[test]
    fn it_agrees_with_the_small_boards_solver() {
        for shape in Shape::COMMON {
            for seed in 0..20 {
                let options = GeneratorOptions::minimal(shape);
                let made = generate(seed, &options).unwrap();
                let found = solve_within(&made.question, 2, u64::MAX);
                assert_eq!(found.solutions, vec![made.answer], "{shape} {seed}");
                // One given less: several solutions, all of them right.
                let mut open = made.question.clone();
                let cell = open.cells().iter().position(|&d| d > 0).unwrap();
                open.set(cell, 0);
                let (a, b) = (solve(&open, 50), solve_within(&open, 50, u64::MAX));
                assert_eq!(a.solutions.len(), b.solutions.len(), "{shape} {seed}");
                assert!(b.solutions.iter().all(|s| s.solves(&open)));
            }
        }
    }

    #[test]
    fn large_boards_are_filled_dug_and_solved() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for shape in Shape::ALL
            .into_iter()
            .filter(|s| !Shape::COMMON.contains(s))
        {
            let (a, b) = (
                random_solution(shape, &mut rng),
                random_solution(shape, &mut rng),
            );
            assert!(a.solves(&a) && b.solves(&b) && a != b, "{shape}");
            for difficulty in Difficulty::ALL {
                if shape == Shape::S25 && difficulty > Difficulty::Medium {
                    continue;
                }
                let made = generate(3, &difficulty.options(shape)).unwrap();
                let report = solve(&made.question, 2);
                assert_eq!(report.uniqueness(2), Uniqueness::Unique, "{shape}");
                assert_eq!(report.solutions, [made.answer]);
            }
        }
    }

    #[test]
    fn clashes_and_impossible_boards_have_no_solution() {
        let mut board = Board::blank(Shape::S16);
        board.set(0, 16);
        board.set(17, 16);
        assert_eq!(solve(&board, 2).uniqueness(2), Uniqueness::Impossible);
        let blank = solve_within(&Board::blank(Shape::S12), 2, 1000);
        assert_eq!(blank.uniqueness(2), Uniqueness::Ambiguous);
        let cut = solve_within(&Board::blank(Shape::S25), 2, 3);
        assert!(!cut.finished && cut.solutions.is_empty());
    }
}
