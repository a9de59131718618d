//! What the guesses at a set of puzzles amount to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::flow::Outcome;
use super::{Guess, Proportion, Rule};
use crate::puzzle::Board;

/// Lower ends of the buckets of ratings (guesses of an exact solver).
pub const RATINGS: [u32; 7] = [0, 1, 5, 10, 20, 40, 80];

/// Everything that one checkpoint's guesses at one puzzle have brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The puzzle's place in its set.
    pub puzzle: usize,
    /// Number of the checkpoint.
    pub checkpoint: usize,
    /// The puzzle's rating.
    pub rating: u32,
    /// The answer key.
    pub answer: Board,
    /// The guesses in order.
    pub outcomes: Vec<Outcome>,
    /// For the plain pass: whether the rules accept the grid, segment by
    /// segment.
    pub accepted: Vec<bool>,
}

/// The two scores that look at the answer key to choose, named as such.
pub const LABELLED: [&str; 2] = ["reference rule (uses labels)", "oracle (uses labels)"];

/// Whether the reference's rule counts a puzzle (arXiv 2601.10679): in some
/// checkpoint, right passes that halted are more than half of those that
/// halted.
#[must_use]
pub fn reference_rule(checkpoints: &[&[Outcome]], answer: &Board) -> bool {
    checkpoints.iter().any(|outcomes| {
        let halted = outcomes.iter().filter(|o| o.halted);
        let right = halted.clone().filter(|o| o.grid == *answer).count();
        2 * right > halted.count()
    })
}

/// What a number of segments is, over puzzles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// All of them.
    pub total: usize,
    /// A puzzle's mean.
    pub mean: f64,
    /// What nine in ten puzzles do not exceed.
    pub p90: usize,
}

impl Spent {
    fn new(mut each: Vec<usize>) -> Self {
        each.sort_unstable();
        let total: usize = each.iter().sum();
        let rank = (9 * each.len()).div_ceil(10).max(1) - 1;
        Self {
            total,
            mean: total as f64 / each.len().max(1) as f64,
            p90: each.get(rank).copied().unwrap_or(0),
        }
    }
}

/// Accuracy among puzzles of similar rating.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Smallest rating.
    pub from: u32,
    /// Largest rating; none for the last bucket.
    pub to: Option<u32>,
    /// By rule.
    pub rules: Vec<(String, Proportion)>,
}

/// The score of a set. Everything but time, which depends on the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Puzzles.
    pub puzzles: usize,
    /// Accuracy by rule: the chosen answer equals the key.
    pub rules: Vec<(String, Proportion)>,
    /// Scores that use the key to choose ([`LABELLED`]), for comparison only.
    pub labelled: Vec<(String, Proportion)>,
    /// Share of cells right in the plain pass, givens included.
    pub cells: f64,
    /// Plain passes that say at the end that they are done.
    pub halted: Proportion,
    /// How many of those are right.
    pub halted_right: Proportion,
    /// Plain passes whose grid the rules accept after segment 1, 2, …; one
    /// that ended early counts as it ended.
    pub by_segment: Vec<usize>,
    /// Segments spent on a puzzle, over all guesses and checkpoints.
    pub spent: Spent,
    /// Accuracy by difficulty.
    pub ratings: Vec<Bucket>,
}

/// What one puzzle contributes.
struct Tally {
    rating: u32,
    right: Vec<bool>,
    labelled: [bool; 2],
    cells: f64,
    halted: bool,
    halted_right: bool,
    accepted: Vec<bool>,
    segments: usize,
}

impl Summary {
    /// The score of records in any order: one a puzzle and checkpoint.
    #[must_use]
    pub fn new(records: &[Record]) -> Self {
        let mut by_puzzle: BTreeMap<usize, Vec<&Record>> = BTreeMap::new();
        for record in records {
            by_puzzle.entry(record.puzzle).or_default().push(record);
        }
        let tallies: Vec<Tally> = by_puzzle
            .into_values()
            .filter_map(|mut records| {
                records.sort_by_key(|r| r.checkpoint);
                tally(&records)
            })
            .collect();

        let n = tallies.len();
        let count = |f: &dyn Fn(&Tally) -> bool| tallies.iter().filter(|t| f(t)).count();
        // With one guess every rule chooses it.
        let single = records
            .iter()
            .all(|r| r.checkpoint == 0 && r.outcomes.len() <= 1);
        let shown = if single { 1 } else { Rule::ALL.len() };
        let depth = tallies.iter().map(|t| t.accepted.len()).max().unwrap_or(0);
        let halted = count(&|t| t.halted);
        Self {
            puzzles: n,
            rules: rules(&tallies.iter().collect::<Vec<_>>(), shown),
            labelled: LABELLED
                .iter()
                .enumerate()
                .filter(|_| !single)
                .map(|(i, name)| {
                    let right = count(&|t| t.labelled[i]);
                    ((*name).to_owned(), Proportion::new(right, n))
                })
                .collect(),
            cells: tallies.iter().map(|t| t.cells).sum::<f64>() / n.max(1) as f64,
            halted: Proportion::new(halted, n),
            halted_right: Proportion::new(count(&|t| t.halted_right), halted),
            by_segment: (0..depth)
                .map(|s| count(&|t| t.accepted.get(s).or(t.accepted.last()) == Some(&true)))
                .collect(),
            spent: Spent::new(tallies.iter().map(|t| t.segments).collect()),
            ratings: ratings(&tallies, shown),
        }
    }
}

/// Accuracy of the first `shown` rules.
fn rules(tallies: &[&Tally], shown: usize) -> Vec<(String, Proportion)> {
    Rule::ALL
        .iter()
        .enumerate()
        .take(shown)
        .map(|(i, (name, _))| {
            let right = tallies.iter().filter(|t| t.right[i]).count();
            ((*name).to_owned(), Proportion::new(right, tallies.len()))
        })
        .collect()
}

/// The buckets that have puzzles.
fn ratings(tallies: &[Tally], shown: usize) -> Vec<Bucket> {
    RATINGS
        .iter()
        .enumerate()
        .filter_map(|(i, &from)| {
            let to = RATINGS.get(i + 1).map(|next| next - 1);
            let inside: Vec<&Tally> = tallies
                .iter()
                .filter(|t| t.rating >= from && to.is_none_or(|to| t.rating <= to))
                .collect();
            (!inside.is_empty()).then(|| Bucket {
                from,
                to,
                rules: rules(&inside, shown),
            })
        })
        .collect()
}

/// One puzzle's contribution; its records are in the order of checkpoints.
fn tally(records: &[&Record]) -> Option<Tally> {
    let first = records.first()?;
    let plain = first.outcomes.first()?;
    let answer = &first.answer;
    let guesses: Vec<Guess> = records
        .iter()
        .flat_map(|r| &r.outcomes)
        .map(Outcome::guess)
        .collect();
    let right = Rule::ALL
        .iter()
        .map(|(_, rule)| {
            rule.choose(&guesses)
                .is_some_and(|i| guesses[i].grid == answer.cells())
        })
        .collect();
    let checkpoints: Vec<&[Outcome]> = records.iter().map(|r| r.outcomes.as_slice()).collect();
    let oracle = guesses.iter().any(|g| g.grid == answer.cells());
    let same = plain
        .grid
        .cells()
        .iter()
        .zip(answer.cells())
        .filter(|(a, b)| a == b)
        .count();
    Some(Tally {
        rating: first.rating,
        right,
        labelled: [reference_rule(&checkpoints, answer), oracle],
        cells: same as f64 / answer.cells().len().max(1) as f64,
        halted: plain.halted,
        halted_right: plain.halted && plain.grid == *answer,
        accepted: first.accepted.clone(),
        segments: records
            .iter()
            .flat_map(|r| &r.outcomes)
            .map(|o| o.segments)
            .sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "1234341221434321";
    const OTHER: &str = "1243341221344321";
    const THIRD: &str = "4321341221431234";

    fn outcome(grid: &str, halted_at: Option<usize>, segments: usize) -> Outcome {
        let grid: Board = grid.parse().unwrap();
        Outcome {
            solved: grid.conflicts() == 0 && grid.to_string() == ANSWER,
            grid,
            halted_at,
            halted: halted_at.is_some(),
            q_halt: halted_at.map_or(-1.0, |s| 1.0 / s as f32),
            residual: segments as f32,
            segments,
        }
    }

    fn record(puzzle: usize, checkpoint: usize, outcomes: Vec<Outcome>) -> Record {
        Record {
            puzzle,
            checkpoint,
            rating: (10 * puzzle) as u32,
            answer: ANSWER.parse().unwrap(),
            accepted: vec![false, outcomes.first().is_some_and(|o| o.solved)],
            outcomes,
        }
    }

    fn score(records: &[Record]) -> BTreeMap<String, usize> {
        let s = Summary::new(records);
        s.rules
            .into_iter()
            .chain(s.labelled)
            .map(|(name, p)| (name, p.successes))
            .collect()
    }

    #[test]
    fn rules_on_cases_with_known_answers() {
        let (right, wrong, third) = (
            |h, s| outcome(ANSWER, h, s),
            |h, s| outcome(OTHER, h, s),
            |h, s| outcome(THIRD, h, s),
        );
        // A tie of one against one: the first wins, unless it is checked.
        let tie = score(&[record(0, 0, vec![wrong(Some(3), 3), right(Some(5), 5)])]);
        assert_eq!(
            (tie["single"], tie["majority"], tie["halt-first"]),
            (0, 0, 0)
        );
        assert_eq!((tie["verifier"], tie["oracle (uses labels)"]), (1, 1));
        assert_eq!(
            tie["reference rule (uses labels)"], 0,
            "half is not more than half"
        );

        // Nobody halts: all vote; the reference counts nothing.
        let silent = score(&[record(
            0,
            0,
            vec![wrong(None, 9), right(None, 8), right(None, 7)],
        )]);
        assert_eq!((silent["single"], silent["majority"]), (0, 1));
        assert_eq!(silent["reference rule (uses labels)"], 0);
        assert_eq!(silent["lowest-residual"], 1);

        // All wrong.
        let lost = score(&[record(0, 0, vec![wrong(Some(1), 1), third(Some(2), 2)])]);
        assert!(lost.values().all(|&right| right == 0));

        // Two right of five that halted: a minority against a split rest.
        let split = score(&[record(
            0,
            0,
            vec![
                wrong(Some(4), 4),
                right(Some(6), 6),
                right(Some(7), 7),
                third(Some(5), 5),
                outcome("1111341221434321", Some(8), 8),
            ],
        )]);
        assert_eq!(split["majority"], 1);
        assert_eq!(split["reference rule (uses labels)"], 0);
        assert_eq!((split["halt-first"], split["verifier"]), (0, 1));

        // Wrong by vote in either checkpoint, but one passes the reference.
        let both = score(&[
            record(
                0,
                0,
                vec![wrong(Some(1), 1), wrong(Some(1), 1), wrong(Some(1), 1)],
            ),
            record(
                0,
                1,
                vec![right(Some(2), 2), right(Some(2), 2), wrong(None, 2)],
            ),
        ]);
        assert_eq!(both["majority"], 0);
        assert_eq!(both["reference rule (uses labels)"], 1);
    }

    #[test]
    fn the_verifier_is_never_below_the_reference_rule() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let records: Vec<Record> = (0..300)
            .map(|puzzle| {
                let outcomes = (0..5)
                    .map(|_| {
                        let grid = [ANSWER, OTHER, THIRD][rng.random_range(0..3)];
                        let halted = rng.random_bool(0.6).then_some(3);
                        outcome(grid, halted, rng.random_range(1..16))
                    })
                    .collect();
                record(puzzle, 0, outcomes)
            })
            .collect();
        let s = score(&records);
        assert!(s["verifier"] >= s["reference rule (uses labels)"]);
        assert_eq!(s["verifier"], s["oracle (uses labels)"]);
        assert!(s["majority"] < s["verifier"]);
    }

    #[test]
    fn spending_cells_and_buckets() {
        let records: Vec<Record> = (0..10)
            .map(|p| {
                let grid = if p < 4 { ANSWER } else { OTHER };
                record(p, 0, vec![outcome(grid, None, p + 1)])
            })
            .collect();
        let s = Summary::new(&records);
        assert_eq!((s.spent.total, s.spent.p90), (55, 9));
        assert!((s.spent.mean - 5.5).abs() < 1e-12);
        assert!((s.cells - (4.0 + 6.0 * 12.0 / 16.0) / 10.0).abs() < 1e-12);
        assert_eq!(s.by_segment, [0, 4]);
        assert_eq!(s.rules.len(), 1, "one guess, one rule");
        let buckets: Vec<_> = s
            .ratings
            .iter()
            .map(|b| (b.from, b.to, b.rules[0].1.n))
            .collect();
        assert_eq!(
            buckets,
            [
                (0, Some(0), 1),
                (10, Some(19), 1),
                (20, Some(39), 2),
                (40, Some(79), 4),
                (80, None, 2)
            ]
        );
        // The order of records does not matter, to the bit.
        let mut shuffled = records;
        shuffled.rotate_left(3);
        shuffled.swap(0, 5);
        assert_eq!(Summary::new(&shuffled), s);
    }
}
