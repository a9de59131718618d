//! Experiments on one puzzle, each a batch of runs and a question.

use hrm_core::puzzle::arc::ArcSymmetry;
use hrm_core::puzzle::maze::Dihedral;
use hrm_core::puzzle::{AnyPuzzle, AnySymmetry, MazeSymmetry, Puzzle, PuzzleKind, Symmetry};
use hrm_core::reason::lab::Item;
use hrm_core::reason::{Proportion, SegmentReport};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg32;

use crate::address::Address;

/// The experiments there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Experiment {
    /// The solution with a single cell blank, for every cell.
    OneBlank,
    /// More and more blanks filled in.
    Hints,
    /// The same puzzle given to two models.
    TwoModels,
    /// The same puzzle with its digits renamed in a circle.
    Relabellings,
    /// Noise in the initial state.
    Noise,
}

/// Boards between the puzzle and its solution, at most.
const HINT_STEPS: usize = 24;
/// Standard deviations of the noise.
pub const NOISES: [f32; 6] = [0.0, 0.1, 0.2, 0.5, 1.0, 2.0];
/// Runs at each of them.
pub const NOISE_RUNS: usize = 8;

/// Address of the fixed-point violation and its repair in one picture
/// (arXiv 2601.10679): two networks, alike but for hints in training, on a
/// puzzle with four blanks that only the one with hints solves.
#[must_use]
pub fn hints_pair() -> String {
    let mut address = Address::default();
    address.model = Some("hrm-6x6-vanilla".to_owned());
    address.puzzle = "1463525321646.342525461.36.2.1421536".parse().ok();
    address.set("room", &"experiments");
    address.set("experiment", &Experiment::TwoModels.name());
    address.set("rival", &"hrm-6x6-hints");
    address.fragment()
}

impl Experiment {
    /// Every experiment.
    pub const ALL: [Self; 5] = [
        Self::OneBlank,
        Self::Hints,
        Self::TwoModels,
        Self::Relabellings,
        Self::Noise,
    ];

    /// The name used in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneBlank => "one-blank",
            Self::Hints => "hints",
            Self::TwoModels => "two-models",
            Self::Relabellings => "relabellings",
            Self::Noise => "noise",
        }
    }

    /// The experiment of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::OneBlank => "One blank cell",
            Self::Hints => "More and more hints",
            Self::TwoModels => "Two networks side by side",
            Self::Relabellings => "The same puzzle, renamed",
            Self::Noise => "Noise against success",
        }
    }

    /// What it asks of a maze, where that is put in other words.
    #[must_use]
    pub const fn question_of_maze(self) -> &'static str {
        match self {
            Self::OneBlank => {
                "A shortest route with one single cell left unmarked, once for each of them. Nothing is easier for a person. Which of them break the network?"
            }
            Self::Hints => {
                "The cells of a shortest route are marked one after the other, from the maze to its solution. From where on does the network solve it, and how fast?"
            }
            Self::Relabellings => {
                "The maze is turned and mirrored, and its start and goal change places: for a person the same maze. For the network?"
            }
            Self::TwoModels | Self::Noise => self.question(),
        }
    }

    /// What it asks.
    #[must_use]
    pub const fn question(self) -> &'static str {
        match self {
            Self::OneBlank => {
                "The solution with one single cell left blank, once for every cell. Nothing is easier for a person. Which of them break the network?"
            }
            Self::Hints => {
                "The blanks are filled in one after the other, from the puzzle to its solution. From where on does the network solve it, and how fast?"
            }
            Self::TwoModels => "Two networks get the same puzzle. Where do they part?",
            Self::Relabellings => {
                "The digits are renamed in a circle: for a person the same puzzle. For the network?"
            }
            Self::Noise => {
                "Noise is added to the initial state. How much of it does the network bear, and does a little of it help?"
            }
        }
    }

    /// The runs on a puzzle with its solution, for one model.
    #[must_use]
    pub fn items(self, puzzle: &AnyPuzzle, answer: &AnyPuzzle, seed: u64) -> Vec<Item> {
        match self {
            // Of a Sudoku every cell, of a maze those of the route.
            Self::OneBlank => answer
                .written()
                .into_iter()
                .map(|cell| Item::plain(answer.without(&[cell])))
                .collect(),
            Self::Hints => {
                let order = shuffled_open(puzzle, answer, seed);
                let (asked, solved) = (puzzle.values(), answer.values());
                let boards = hint_counts(order.len()).into_iter().filter_map(|count| {
                    let mut values = asked.clone();
                    for &cell in &order[..count] {
                        values[cell] = solved[cell];
                    }
                    AnyPuzzle::from_values(puzzle.kind(), &values).ok()
                });
                boards.map(Item::plain).collect()
            }
            Self::TwoModels => vec![Item::plain(puzzle.clone())],
            Self::Relabellings => images(puzzle.kind())
                .into_iter()
                .map(|symmetry| Item {
                    symmetry: Some(symmetry),
                    ..Item::plain(puzzle.clone())
                })
                .collect(),
            Self::Noise => NOISES
                .into_iter()
                .flat_map(|noise| {
                    // Without noise all runs are the same.
                    let runs = if noise == 0.0 { 1 } else { NOISE_RUNS };
                    (0..runs).map(move |run| (noise, run))
                })
                .map(|(noise, run)| Item {
                    noise,
                    seed: seed.wrapping_add(run as u64),
                    ..Item::plain(puzzle.clone())
                })
                .collect(),
        }
    }
}

/// The images of a puzzle that are the same to a person: digits renamed in a
/// circle, a maze turned and mirrored, with its ends as they are and exchanged.
fn images(kind: PuzzleKind) -> Vec<AnySymmetry> {
    match kind {
        PuzzleKind::Sudoku(shape) => (0..shape.side())
            .map(|shift| Symmetry::digit_shift(shape, shift).into())
            .collect(),
        PuzzleKind::Maze(_) => [false, true]
            .into_iter()
            .flat_map(|swap| Dihedral::all().map(|square| MazeSymmetry::new(square, swap).into()))
            .collect(),
        // Of a task, not of a grid.
        PuzzleKind::Arc(_) => vec![ArcSymmetry::identity().into()],
    }
}

/// How many of them there are.
#[must_use]
pub fn image_count(kind: PuzzleKind) -> usize {
    match kind {
        PuzzleKind::Sudoku(shape) => shape.side(),
        PuzzleKind::Maze(_) => 2 * Dihedral::all().len(),
        PuzzleKind::Arc(_) => 1,
    }
}

/// Cells that an answer writes into a question.
#[must_use]
pub fn open_count(puzzle: &AnyPuzzle, answer: &AnyPuzzle) -> usize {
    open(puzzle, answer).len()
}

/// The noise of an item of [`Experiment::Noise`].
#[must_use]
pub fn noise_of(item: usize) -> f32 {
    NOISES[item.div_ceil(NOISE_RUNS).min(NOISES.len() - 1)]
}

/// Numbers of hints that are tried, from none to all blanks.
#[must_use]
pub fn hint_counts(blanks: usize) -> Vec<usize> {
    let steps = blanks.min(HINT_STEPS);
    (0..=steps)
        .map(|step| step * blanks / steps.max(1))
        .collect()
}

fn open(puzzle: &AnyPuzzle, answer: &AnyPuzzle) -> Vec<usize> {
    let (asked, solved) = (puzzle.values(), answer.values());
    let open = |&cell: &usize| solved.get(cell).is_some_and(|&value| value != asked[cell]);
    (0..asked.len()).filter(open).collect()
}

fn shuffled_open(puzzle: &AnyPuzzle, answer: &AnyPuzzle, seed: u64) -> Vec<usize> {
    let mut cells = open(puzzle, answer);
    cells.shuffle(&mut Pcg32::seed_from_u64(seed));
    cells
}

/// How a run stands after its last segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Segments so far.
    pub segments: usize,
    /// Whether the rules accept the answer.
    pub solved: bool,
    /// E of it.
    pub conflicts: u32,
    /// Cells that differ from the solution.
    pub wrong: usize,
}

/// How a run stands; none before its first segment.
#[must_use]
pub fn standing(run: &[SegmentReport], answer: &AnyPuzzle) -> Option<Standing> {
    let last = run.last()?;
    Some(Standing {
        segments: last.segment,
        solved: last.solved,
        conflicts: last.conflicts,
        wrong: wrong_cells(&last.grid, answer),
    })
}

/// Cells of a grid that differ from the solution.
#[must_use]
pub fn wrong_cells(grid: &[u8], answer: &AnyPuzzle) -> usize {
    let pairs = grid.iter().zip(answer.values());
    pairs.filter(|(here, right)| *here != right).count()
}

/// Solved runs among those that have begun.
#[must_use]
pub fn solved_share<'a>(runs: impl IntoIterator<Item = &'a Vec<SegmentReport>>) -> Proportion {
    let (mut solved, mut n) = (0, 0);
    for last in runs.into_iter().filter_map(|run| run.last()) {
        n += 1;
        solved += usize::from(last.solved);
    }
    Proportion::new(solved, n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hrm_core::puzzle::{Board, Shape};

    fn example() -> (AnyPuzzle, AnyPuzzle) {
        let question = "1.........4...2.".parse().unwrap();
        let answer = "1234341221434321".parse().unwrap();
        (question, answer)
    }

    fn sudoku(puzzle: &AnyPuzzle) -> &Board {
        puzzle.sudoku().unwrap()
    }

    #[test]
    fn every_item_leads_to_the_solution() {
        let (question, answer) = example();
        for experiment in Experiment::ALL {
            assert_eq!(Experiment::from_name(experiment.name()), Some(experiment));
            let items = experiment.items(&question, &answer, 7);
            assert!(!items.is_empty());
            for (index, item) in items.iter().enumerate() {
                assert!(answer.solves(&item.puzzle), "{experiment:?} {index}");
            }
            assert_eq!(items, experiment.items(&question, &answer, 7));
        }
        assert_eq!(Experiment::from_name("x"), None);
    }

    #[test]
    fn one_blank_visits_every_cell() {
        let (question, answer) = example();
        let items = Experiment::OneBlank.items(&question, &answer, 0);
        assert_eq!(items.len(), 16);
        for (cell, item) in items.iter().enumerate() {
            assert_eq!(sudoku(&item.puzzle).cells()[cell], 0);
            assert_eq!(sudoku(&item.puzzle).blanks(), 1);
        }
    }

    #[test]
    fn hints_grow_to_the_solution() {
        let (question, answer) = example();
        let items = Experiment::Hints.items(&question, &answer, 1);
        assert_eq!(items[0].puzzle, question);
        assert_eq!(items.last().unwrap().puzzle, answer);
        for pair in items.windows(2) {
            assert!(pair[1].puzzle.keeps_givens(&pair[0].puzzle));
            assert!(sudoku(&pair[1].puzzle).clues() > sudoku(&pair[0].puzzle).clues());
        }
        assert_eq!(hint_counts(58).len(), 25);
        assert_eq!(*hint_counts(58).last().unwrap(), 58);
        assert_eq!(hint_counts(0), [0]);
    }

    #[test]
    fn noise_items_know_their_noise() {
        let (question, answer) = example();
        let items = Experiment::Noise.items(&question, &answer, 1);
        for (index, item) in items.iter().enumerate() {
            assert_eq!(item.noise, noise_of(index), "{index}");
        }
        assert_eq!(items.len(), 1 + (NOISES.len() - 1) * NOISE_RUNS);
    }

    #[test]
    fn standings_count_wrong_cells() {
        let (_, answer) = example();
        assert_eq!(standing(&[], &answer), None);
        let mut grid = answer.values();
        grid[3] = 1;
        assert_eq!(wrong_cells(&grid, &answer), 1);
        assert_eq!(wrong_cells(Board::blank(Shape::S4).cells(), &answer), 16);
        let share = solved_share(&[vec![], vec![]]);
        assert_eq!((share.successes, share.n), (0, 0));
    }

    #[test]
    fn of_a_maze_the_route_is_opened_and_marked() {
        let question: AnyPuzzle = "S  ## G  ".parse().unwrap();
        let answer: AnyPuzzle = "Soo##oGoo".parse().unwrap();
        assert!(answer.solves(&question));
        for experiment in Experiment::ALL {
            for item in experiment.items(&question, &answer, 3) {
                let image = |puzzle: &AnyPuzzle| puzzle.image(item.symmetry.as_ref());
                assert!(
                    image(&answer).solves(&image(&item.puzzle)),
                    "{experiment:?}"
                );
            }
            assert!(!experiment.question_of_maze().is_empty());
        }
        assert_eq!(Experiment::OneBlank.items(&question, &answer, 0).len(), 5);
        assert_eq!(open_count(&question, &answer), 5);
        let hints = Experiment::Hints.items(&question, &answer, 1);
        assert_eq!((hints.len(), &hints[0].puzzle), (6, &question));
        assert_eq!(hints[5].puzzle, answer);
        for kind in [question.kind(), Shape::S9.into()] {
            assert_eq!(images(kind).len(), image_count(kind));
        }
    }
}
