//! Many guesses at one puzzle: how they differ, how they vote, and what each
//! selection rule makes of them at which cost.

use hrm_core::puzzle::maze::Dihedral;
use hrm_core::puzzle::{
    AnyPuzzle, AnySymmetry, MazeSymmetry, Puzzle, PuzzleKind, Shape, Symmetry, Ways,
};
use hrm_core::reason::Outcome as Finished;
use hrm_core::reason::lab::Item;
use hrm_core::reason::{Guess, Rule, SegmentReport, score};
use rand::SeedableRng;
use rand_pcg::Pcg32;

/// What to vary between guesses.
#[derive(Debug, Clone, PartialEq)]
pub struct Variety {
    /// How many guesses; the first is the puzzle as it is.
    pub count: usize,
    /// What of the puzzle is rewritten; of a maze, `transpose` turns and mirrors it.
    pub ways: Ways,
    /// Whether a maze's start and goal change places in every second guess.
    pub swap: bool,
    /// Standard deviation of the noise in the initial state.
    pub noise: f32,
    /// Whether it comes after every update instead.
    pub every_update: bool,
    /// Folder names of other models, which take turns with the loaded one.
    pub others: Vec<String>,
    /// The same seed gives the same guesses.
    pub seed: u64,
    /// Whether they commit themselves to cells.
    pub commit: bool,
}

impl Variety {
    /// The runs. Where digits alone are renamed, the first are the cyclic
    /// shifts of arXiv 2601.10679; the rest are drawn at random. Where other
    /// models take part, all get the same rewritings.
    #[must_use]
    pub fn items(&self, puzzle: &AnyPuzzle) -> Vec<Item> {
        let kind = puzzle.kind();
        let mut rng = Pcg32::seed_from_u64(self.seed);
        let networks = 1 + self.others.len();
        let mut symmetry = None;
        (0..self.count)
            .map(|i| {
                let (round, network) = (i / networks, i % networks);
                if network == 0 {
                    symmetry = match (round, kind) {
                        (0, _) | (_, PuzzleKind::Arc(_)) => None,
                        (_, PuzzleKind::Sudoku(shape)) => self
                            .of_sudoku(shape, round, &mut rng)
                            .map(AnySymmetry::from),
                        (_, PuzzleKind::Maze(_)) => self.of_maze(round).map(AnySymmetry::from),
                    };
                }
                let noise = if round == 0 { 0.0 } else { self.noise };
                let (noise, update_noise) = if self.every_update {
                    (0.0, noise)
                } else {
                    (noise, 0.0)
                };
                Item {
                    symmetry: symmetry.clone(),
                    model: network
                        .checked_sub(1)
                        .map(|other| self.others[other].clone()),
                    noise,
                    update_noise,
                    seed: self.seed.wrapping_add(i as u64),
                    commits: self.commit,
                    ..Item::plain(puzzle.clone())
                }
            })
            .collect()
    }

    /// The rewriting of a Sudoku in a round after the first.
    fn of_sudoku(&self, shape: Shape, round: usize, rng: &mut Pcg32) -> Option<Symmetry> {
        let only_digits = self.ways
            == Ways {
                digits: true,
                ..Ways::default()
            };
        if self.ways == Ways::default() {
            None
        } else if only_digits && round < shape.side() {
            Some(Symmetry::digit_shift(shape, round))
        } else {
            Some(Symmetry::random_of(shape, self.ways, rng))
        }
    }

    /// The rewriting of a maze in a round after the first: there are sixteen at most.
    fn of_maze(&self, round: usize) -> Option<MazeSymmetry> {
        let squares = if self.ways.transpose { 8 } else { 1 };
        let square = Dihedral::all()[round % squares];
        // With the eight of the square, the other half of them the second time around.
        let around = if squares == 1 { 0 } else { round / squares };
        let swap = self.swap && (round + around) % 2 == 1;
        let symmetry = MazeSymmetry::new(square, swap);
        (symmetry != MazeSymmetry::identity()).then_some(symmetry)
    }
}

/// The votes on one cell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Vote {
    /// The digit with most votes, 0 if nobody has voted; the smallest among
    /// equals.
    pub digit: u8,
    /// Its share of all runs that have begun, 0 to 1.
    pub share: f32,
    /// The runner-up, 0 if there is none.
    pub second: u8,
    /// Its share.
    pub second_share: f32,
}

/// How the runs vote on every cell after their last segments.
#[must_use]
pub fn votes(kind: impl Into<PuzzleKind>, runs: &[Vec<SegmentReport>]) -> Vec<Vote> {
    let kind = kind.into();
    let contents = kind.contents();
    let grids: Vec<&[u8]> = runs
        .iter()
        .filter_map(|run| run.last().map(|report| report.grid.as_slice()))
        .collect();
    let total = grids.len().max(1) as f32;
    (0..kind.cells())
        .map(|cell| {
            let mut counts = vec![0_u32; contents + 1];
            for grid in &grids {
                // What is none of the kind's counts as a blank.
                let value = grid.get(cell).copied().map_or(0, usize::from);
                counts[if value > contents { 0 } else { value }] += 1;
            }
            let best = |except: usize| {
                (1..=contents)
                    .filter(|&digit| digit != except && counts[digit] > 0)
                    .max_by_key(|&digit| (counts[digit], std::cmp::Reverse(digit)))
                    .unwrap_or(0)
            };
            let first = best(0);
            let second = best(first);
            let share = |digit: usize| {
                if digit == 0 {
                    0.0
                } else {
                    counts[digit] as f32 / total
                }
            };
            Vote {
                digit: first as u8,
                share: share(first),
                second: if first == 0 { 0 } else { second as u8 },
                second_share: if first == 0 { 0.0 } else { share(second) },
            }
        })
        .collect()
}

/// What a rule says, and what it took to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The rule's name, as on the command line.
    pub name: &'static str,
    /// Index of the run it chooses.
    pub guess: Option<usize>,
    /// Whether the rules of the puzzle accept that answer.
    pub solved: bool,
    /// Segments run until the rule can decide, over all runs it looks at.
    pub segments: usize,
}

/// Each run as it stands after its last segment. Runs without a segment are
/// left out; the second list has the index of each one's run.
fn finished(
    kind: PuzzleKind,
    runs: &[Vec<SegmentReport>],
) -> (Vec<Finished<AnyPuzzle>>, Vec<usize>) {
    runs.iter()
        .enumerate()
        .filter_map(|(index, run)| {
            let last = run.last()?;
            let finished = Finished {
                grid: AnyPuzzle::from_values(kind, &last.grid).ok()?,
                halted_at: run.iter().find(|r| r.halted).map(|r| r.segment),
                halted: last.halted,
                q_halt: last.q_halt,
                residual: last.residual,
                solved: last.solved,
                valid: None,
                segments: last.segment,
            };
            Some((finished, index))
        })
        .unzip()
}

/// What every rule says of the runs so far.
#[must_use]
pub fn outcomes(kind: impl Into<PuzzleKind>, runs: &[Vec<SegmentReport>]) -> Vec<Outcome> {
    let (finished, of_run) = finished(kind.into(), runs);
    let guesses: Vec<Guess> = finished.iter().map(Finished::guess).collect();
    let all: usize = runs.iter().map(Vec::len).sum();
    // Runs move together: what stops at segment s has run s of each.
    let until = |holds: &dyn Fn(&SegmentReport) -> bool| {
        runs.iter()
            .filter_map(|run| run.iter().find(|report| holds(report)))
            .map(|report| report.segment)
            .min()
            .map_or(all, |s| runs.iter().map(|run| run.len().min(s)).sum())
    };
    Rule::ALL
        .iter()
        .map(|&(name, rule)| {
            // The rules of core fall back on another choice; here it is said
            // that there is nobody of whom the name of the rule is true.
            let named = match rule {
                Rule::HaltFirst => guesses.iter().any(|guess| guess.halted_at.is_some()),
                Rule::Verifier => guesses.iter().any(|guess| guess.solved),
                _ => true,
            };
            let chosen = rule.choose(&guesses).filter(|_| named);
            Outcome {
                name,
                guess: chosen.map(|i| of_run[i]),
                solved: chosen.is_some_and(|i| guesses[i].solved),
                segments: match rule {
                    Rule::Single => runs.first().map_or(0, Vec::len),
                    Rule::HaltFirst => until(&|report| report.halted),
                    Rule::Verifier => until(&|report| report.solved),
                    Rule::Majority | Rule::LowestResidual | Rule::QHead => all,
                },
            }
        })
        .collect()
}

/// The reference's own rule, for comparison: see [`score::reference_rule`].
/// It looks at the solution, so it is no rule that could be used.
#[must_use]
pub fn reference_rule(runs: &[Vec<SegmentReport>], answer: &AnyPuzzle) -> bool {
    let (finished, _) = finished(answer.kind(), runs);
    score::reference_rule(&[&finished], answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hrm_core::puzzle::Board;

    const SOLVED: &str = "1234341221434321";

    fn report(segment: usize, grid: &str, halted: bool) -> SegmentReport {
        let board: Board = grid.parse().unwrap();
        SegmentReport {
            segment,
            grid: board.cells().to_vec(),
            changed: vec![],
            conflicts: board.conflicts(),
            keeps_givens: true,
            q_halt: if halted { 1.0 } else { -1.0 },
            q_continue: None,
            residual: 1.0 / segment as f32,
            halted,
            solved: grid == SOLVED,
            committed: vec![],
        }
    }

    fn race() -> Vec<Vec<SegmentReport>> {
        let wrong = "1234341221434322";
        vec![
            vec![
                report(1, wrong, false),
                report(2, wrong, false),
                report(3, wrong, true),
            ],
            vec![
                report(1, wrong, false),
                report(2, SOLVED, false),
                report(3, SOLVED, false),
            ],
            vec![
                report(1, wrong, false),
                report(2, wrong, true),
                report(3, wrong, true),
            ],
        ]
    }

    #[test]
    fn rules_and_their_costs() {
        let outcomes = outcomes(Shape::S4, &race());
        let of = |name: &str| outcomes.iter().find(|o| o.name == name).unwrap();
        assert_eq!((of("single").guess, of("single").segments), (Some(0), 3));
        assert_eq!(
            (of("majority").guess, of("majority").segments),
            (Some(0), 9)
        );
        assert_eq!(
            (of("halt-first").guess, of("halt-first").segments),
            (Some(2), 6)
        );
        let verifier = of("verifier");
        assert_eq!(
            (verifier.guess, verifier.segments, verifier.solved),
            (Some(1), 6, true)
        );
        assert!(!of("majority").solved);
        let unfinished: Vec<_> = race().into_iter().map(|run| run[..1].to_vec()).collect();
        for outcome in super::outcomes(Shape::S4, &unfinished) {
            let nobody = ["halt-first", "verifier"].contains(&outcome.name);
            assert_eq!(outcome.guess.is_none(), nobody, "{}", outcome.name);
        }
        let answer: AnyPuzzle = SOLVED.parse().unwrap();
        assert!(!reference_rule(&race(), &answer), "no halted run is right");
        assert!(
            super::outcomes(Shape::S4, &[])
                .iter()
                .all(|o| o.guess.is_none() && o.segments == 0)
        );
    }

    #[test]
    fn votes_are_shares_of_the_runs() {
        let votes = votes(Shape::S4, &race());
        assert_eq!(
            (votes[0].digit, votes[0].share, votes[0].second),
            (1, 1.0, 0)
        );
        let last = votes[15];
        assert_eq!((last.digit, last.second), (2, 1));
        assert!((last.share - 2.0 / 3.0).abs() < 1e-6);
        assert!((last.second_share - 1.0 / 3.0).abs() < 1e-6);
        let none = super::votes(Shape::S4, &[vec![], vec![]]);
        assert_eq!(none[3], Vote::default());
    }

    #[test]
    fn guesses_differ_and_repeat() {
        let puzzle: AnyPuzzle = "1.........4...2.".parse().unwrap();
        let variety = Variety {
            count: 9,
            ways: Ways {
                digits: true,
                ..Ways::default()
            },
            swap: false,
            noise: 0.5,
            every_update: false,
            others: Vec::new(),
            seed: 3,
            commit: false,
        };
        let items = variety.items(&puzzle);
        assert_eq!(items.len(), 9);
        assert!(items[0].symmetry.is_none() && items[0].noise == 0.0);
        assert_eq!(
            items[1].symmetry,
            Some(Symmetry::digit_shift(Shape::S4, 1).into())
        );
        assert!(items[4].symmetry.is_some() && items[4].noise == 0.5);
        assert_eq!(items, variety.items(&puzzle));
        let with_others = Variety {
            others: vec!["a".into(), "b".into()],
            ..variety.clone()
        };
        let both = with_others.items(&puzzle);
        let of = |i: usize| (both[i].model.as_deref(), both[i].symmetry.clone());
        assert_eq!([of(0).0, of(1).0, of(2).0], [None, Some("a"), Some("b")]);
        assert_eq!(
            of(3),
            (None, Some(Symmetry::digit_shift(Shape::S4, 1).into()))
        );
        assert_eq!(of(4).1, of(3).1, "the same for every network");
        assert_eq!(both[1].noise, 0.0);
        let always = Variety {
            every_update: true,
            ..variety.clone()
        };
        let noises = always.items(&puzzle);
        let noises = noises.iter().map(|item| (item.noise, item.update_noise));
        let noises: Vec<_> = noises.take(3).collect();
        assert_eq!(noises, [(0.0, 0.0), (0.0, 0.5), (0.0, 0.5)]);
        let noise_only = Variety {
            ways: Ways::default(),
            ..variety
        };
        assert!(
            noise_only
                .items(&puzzle)
                .iter()
                .all(|item| item.symmetry.is_none())
        );
    }

    #[test]
    fn guesses_at_a_maze_turn_it_and_exchange_its_ends() {
        let puzzle: AnyPuzzle = "S ##G   #".parse().unwrap();
        let variety = |transpose, swap| Variety {
            count: 16,
            ways: Ways {
                digits: true,
                transpose,
                lines: true,
            },
            swap,
            noise: 0.0,
            every_update: false,
            others: Vec::new(),
            seed: 1,
            commit: false,
        };
        for (transpose, swap, images) in [
            (false, false, 1),
            (false, true, 2),
            (true, false, 8),
            (true, true, 16),
        ] {
            let items = variety(transpose, swap).items(&puzzle);
            let seen: std::collections::HashSet<_> = items
                .iter()
                .map(|item| item.puzzle.image(item.symmetry.as_ref()))
                .collect();
            assert_eq!(seen.len(), images, "{transpose} {swap}");
            assert_eq!(items[0].symmetry, None);
        }
        let report = |grid: &str| SegmentReport {
            grid: grid.parse::<AnyPuzzle>().unwrap().values(),
            ..report(1, SOLVED, false)
        };
        let runs = [vec![report("So##Go  #")], vec![report("So##G   #")]];
        let votes = votes(puzzle.kind(), &runs);
        assert_eq!((votes[1].digit, votes[1].share), (5, 1.0));
        assert_eq!(
            (votes[5].digit, votes[5].second, votes[5].share),
            (2, 5, 0.5)
        );
        let key: AnyPuzzle = "So##G   #".parse().unwrap();
        assert!(reference_rule(&runs, &key));
    }

    #[test]
    fn letters_are_voted_for() {
        let board = Board::blank(Shape::S16);
        let mut report = report(1, SOLVED, false);
        report.grid = board.cells().to_vec();
        report.grid[0] = 16;
        assert_eq!(votes(Shape::S16, &[vec![report]])[0].digit, 16);
    }
}
