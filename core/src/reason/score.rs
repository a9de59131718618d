//! What the guesses at a set of puzzles amount to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::guess::Outcome;
use super::{Guess, Guessable, Proportion, Rule};
use crate::puzzle::Board;

/// Lower ends of the buckets of ratings (guesses of an exact solver, or steps of a
/// maze's route).
pub const RATINGS: [u32; 7] = [0, 1, 5, 10, 20, 40, 80];

/// Everything that one checkpoint's guesses at one puzzle have brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<P = Board> {
    /// The puzzle's place in its set.
    pub puzzle: usize,
    /// Number of the checkpoint.
    pub checkpoint: usize,
    /// The puzzle's rating.
    pub rating: u32,
    /// The answer key.
    pub answer: P,
    /// The guesses in order.
    pub outcomes: Vec<Outcome<P>>,
    /// For the plain pass: whether the rules accept the grid, segment by
    /// segment.
    pub accepted: Vec<bool>,
}

/// The two scores that look at the answer key to choose, named as such.
pub const LABELLED: [&str; 2] = ["reference rule (uses labels)", "oracle (uses labels)"];

/// Whether the reference's rule counts a puzzle: in some checkpoint, the
/// guesses satisfy [`Guessable::reference_counts`].
#[must_use]
pub fn reference_rule<P: Guessable>(checkpoints: &[&[Outcome<P>]], answer: &P) -> bool {
    checkpoints.iter().any(|outcomes| {
        let guesses: Vec<(bool, bool)> = outcomes
            .iter()
            .map(|o| (o.grid == *answer, o.halted))
            .collect();
        P::reference_counts(answer.kind(), &guesses)
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

/// Accuracy by rule where an answer can be good without being the key's
/// ([`crate::puzzle::Puzzle::GRADED`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// The chosen answer is valid: a maze's route that leads from start to goal.
    pub valid: Vec<(String, Proportion)>,
    /// It solves the puzzle: some shortest route, not only the key's.
    pub optimal: Vec<(String, Proportion)>,
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
    /// Validity and optimality, where there is more to an answer than whether it
    /// equals the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graded: Option<Graded>,
    /// Share of cells right in the plain pass, givens included.
    pub cells: f64,
    /// Plain passes that say at the end that they are done.
    pub halted: Proportion,
    /// How many of those equal the key, which the halting head is trained to tell.
    pub halted_right: Proportion,
    /// Plain passes whose grid the rules accept after segment 1, 2, …; one
    /// that ended early counts as it ended.
    pub by_segment: Vec<usize>,
    /// Segments spent on a puzzle, over all guesses and checkpoints.
    pub spent: Spent,
    /// Puzzles with an answer that the rules accept and for which no more
    /// segments than this were spent, by powers of two. A curve of success
    /// against cost where guessing ends with the first such answer.
    #[serde(default)]
    pub verified_within: Vec<(usize, Proportion)>,
    /// Accuracy by difficulty.
    pub ratings: Vec<Bucket>,
}

/// What one puzzle contributes.
struct Tally {
    rating: u32,
    /// By rule: whether the chosen answer equals the key, is valid, is optimal.
    right: Vec<bool>,
    valid: Vec<bool>,
    optimal: Vec<bool>,
    labelled: [bool; 2],
    cells: f64,
    halted: bool,
    halted_right: bool,
    accepted: Vec<bool>,
    segments: usize,
    verified: bool,
}

impl Summary {
    /// The score of records in any order: one a puzzle and checkpoint.
    #[must_use]
    pub fn new<P: Guessable>(records: &[Record<P>]) -> Self {
        let mut by_puzzle: BTreeMap<usize, Vec<&Record<P>>> = BTreeMap::new();
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
        let all: Vec<&Tally> = tallies.iter().collect();
        let depth = tallies.iter().map(|t| t.accepted.len()).max().unwrap_or(0);
        let halted = count(&|t| t.halted);
        Self {
            puzzles: n,
            rules: rules(&all, shown, |t| &t.right),
            graded: P::GRADED.then(|| Graded {
                valid: rules(&all, shown, |t| &t.valid),
                optimal: rules(&all, shown, |t| &t.optimal),
            }),
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
            verified_within: verified_within(&tallies),
            spent: Spent::new(tallies.iter().map(|t| t.segments).collect()),
            ratings: ratings(&tallies, shown),
        }
    }
}

/// Accuracy of the first `shown` rules, by what is told of each rule's choice.
fn rules(
    tallies: &[&Tally],
    shown: usize,
    good: fn(&Tally) -> &[bool],
) -> Vec<(String, Proportion)> {
    Rule::ALL
        .iter()
        .enumerate()
        .take(shown)
        .map(|(i, (name, _))| {
            let right = tallies.iter().filter(|t| good(t)[i]).count();
            ((*name).to_owned(), Proportion::new(right, tallies.len()))
        })
        .collect()
}

/// See [`Summary::verified_within`]: from 16 segments up to where nothing more
/// is gained.
fn verified_within(tallies: &[Tally]) -> Vec<(usize, Proportion)> {
    let costs: Vec<usize> = tallies
        .iter()
        .filter(|t| t.verified)
        .map(|t| t.segments)
        .collect();
    let most = costs.iter().max().copied().unwrap_or(0);
    let mut limits = vec![16];
    while limits.last().is_some_and(|&limit| limit < most) {
        limits.push(16 << limits.len());
    }
    let within = |limit| {
        let verified = costs.iter().filter(|&&cost| cost <= limit).count();
        (limit, Proportion::new(verified, tallies.len()))
    };
    limits.into_iter().map(within).collect()
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
                rules: rules(&inside, shown, |t| &t.right),
            })
        })
        .collect()
}

/// One puzzle's contribution; its records are in the order of checkpoints.
fn tally<P: Guessable>(records: &[&Record<P>]) -> Option<Tally> {
    let first = records.first()?;
    let plain = first.outcomes.first()?;
    let answer = &first.answer;
    let outcomes: Vec<&Outcome<P>> = records.iter().flat_map(|r| &r.outcomes).collect();
    let guesses: Vec<Guess> = outcomes.iter().map(|o| o.guess()).collect();
    let chosen: Vec<Option<&Outcome<P>>> = Rule::ALL
        .iter()
        .map(|(_, rule)| rule.choose(&guesses).map(|i| outcomes[i]))
        .collect();
    let by_rule = |good: &dyn Fn(&Outcome<P>) -> bool| -> Vec<bool> {
        chosen.iter().map(|o| o.is_some_and(good)).collect()
    };
    let equal = |o: &Outcome<P>| o.grid == *answer;
    let checkpoints: Vec<&[Outcome<P>]> = records.iter().map(|r| r.outcomes.as_slice()).collect();
    let oracle = outcomes.iter().any(|o| equal(o));
    let (tokens, key) = (plain.grid.tokens(), answer.tokens());
    let same = tokens.iter().zip(&key).filter(|(a, b)| a == b).count();
    Some(Tally {
        rating: first.rating,
        right: by_rule(&equal),
        valid: by_rule(&|o| o.valid == Some(true)),
        optimal: by_rule(&|o| o.solved),
        labelled: [reference_rule(&checkpoints, answer), oracle],
        cells: same as f64 / key.len().max(1) as f64,
        halted: plain.halted,
        halted_right: plain.halted && equal(plain),
        accepted: first.accepted.clone(),
        segments: outcomes.iter().map(|o| o.segments).sum(),
        verified: outcomes.iter().any(|o| o.solved),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{Maze, Puzzle};

    const ANSWER: &str = "1234341221434321";
    const OTHER: &str = "1243341221344321";
    const THIRD: &str = "4321341221431234";

    fn outcome(grid: &str, halted_at: Option<usize>, segments: usize) -> Outcome {
        let grid: Board = grid.parse().unwrap();
        Outcome {
            solved: grid.conflicts() == 0 && grid.to_string() == ANSWER,
            valid: None,
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

    fn score<P: Guessable>(records: &[Record<P>]) -> BTreeMap<String, usize> {
        let s = Summary::new(records);
        counts(s.rules.into_iter().chain(s.labelled))
    }

    fn counts(shares: impl IntoIterator<Item = (String, Proportion)>) -> BTreeMap<String, usize> {
        let shares = shares.into_iter();
        shares.map(|(name, p)| (name, p.successes)).collect()
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
        assert_eq!(s.verified_within, [(16, Proportion::new(4, 10))]);
        let dear = |p, segments| record(p, 0, vec![outcome(ANSWER, None, segments)]);
        let curve = Summary::new(&[dear(0, 16), dear(1, 17), dear(2, 70)]);
        let of = |n| Proportion::new(n, 3);
        assert_eq!(
            curve.verified_within,
            [(16, of(1)), (32, of(2)), (64, of(2)), (128, of(3))]
        );
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

    /// A maze with two shortest routes.
    const QUESTION: &str = "S   #   G";
    const KEY: &str = "Soo #o  G";
    const EQUAL: &str = "S  o# ooG";
    const DETOUR: &str = "Sooo#oooG";
    const LOOSE: &str = "So  #   G";
    const THROUGH: &str = "S   o   G";

    fn walk(grid: &str, halted_at: Option<usize>, residual: f32) -> Outcome<Maze> {
        let question = Maze::parse(QUESTION, None).unwrap();
        let grid = Maze::parse(grid, None).unwrap();
        Outcome {
            solved: grid.solves(&question),
            valid: Some(grid.is_valid(&question)),
            grid,
            halted_at,
            halted: halted_at.is_some(),
            q_halt: -residual,
            residual,
            segments: 4,
        }
    }

    fn walks(checkpoint: usize, outcomes: Vec<Outcome<Maze>>) -> Record<Maze> {
        Record {
            puzzle: 0,
            checkpoint,
            rating: 4,
            answer: Maze::parse(KEY, None).unwrap(),
            accepted: vec![outcomes.first().is_some_and(|o| o.solved)],
            outcomes,
        }
    }

    #[test]
    fn a_maze_is_scored_by_key_validity_and_optimality_apart() {
        for (grid, exact, valid, optimal) in [
            (KEY, 1, 1, 1),
            (EQUAL, 0, 1, 1),
            (DETOUR, 0, 1, 0),
            (LOOSE, 0, 0, 0),
            (THROUGH, 0, 0, 0),
            (QUESTION, 0, 0, 0),
        ] {
            let s = Summary::new(&[walks(0, vec![walk(grid, Some(1), 0.1)])]);
            let graded = s.graded.unwrap();
            let all = [&s.rules, &graded.valid, &graded.optimal];
            let found = all.map(|shares| (shares.len(), shares[0].1.successes));
            assert_eq!(found, [(1, exact), (1, valid), (1, optimal)], "{grid}");
            assert_eq!(s.halted_right.successes, exact, "{grid}");
        }
    }

    #[test]
    fn rules_on_mazes_with_known_answers() {
        // The first is voted for and rests; a shortest route came later.
        let s = Summary::new(&[walks(
            0,
            vec![
                walk(DETOUR, Some(2), 0.1),
                walk(EQUAL, Some(4), 0.3),
                walk(DETOUR, None, 0.2),
            ],
        )]);
        let graded = s.graded.clone().unwrap();
        let optimal = counts(graded.optimal);
        let (exact, valid) = (counts(s.rules), counts(graded.valid));
        assert!(valid.values().all(|&n| n == 1), "{valid:?}");
        for rule in [
            "single",
            "majority",
            "halt-first",
            "lowest-residual",
            "q-head",
        ] {
            assert_eq!((exact[rule], optimal[rule]), (0, 0), "{rule}");
        }
        // The verifier takes any shortest route; the key is another one.
        assert_eq!((exact["verifier"], optimal["verifier"]), (0, 1));

        // A tie of one against one, nobody halts, all wrong: the first, no answer.
        let tie = score(&[walks(0, vec![walk(LOOSE, None, 0.2), walk(KEY, None, 0.1)])]);
        assert_eq!((tie["majority"], tie["halt-first"]), (0, 0));
        assert_eq!((tie["lowest-residual"], tie["verifier"]), (1, 1));
        // Two are right, by different routes, so that their votes are split.
        let s = Summary::new(&[walks(
            0,
            vec![
                walk(DETOUR, Some(3), 0.3),
                walk(EQUAL, Some(2), 0.4),
                walk(DETOUR, Some(4), 0.5),
                walk(KEY, Some(5), 0.1),
            ],
        )]);
        let (exact, optimal) = (counts(s.rules), counts(s.graded.unwrap().optimal));
        assert_eq!((exact["majority"], optimal["majority"]), (0, 0));
        assert_eq!((exact["halt-first"], optimal["halt-first"]), (0, 1));
        assert_eq!((exact["verifier"], optimal["verifier"]), (0, 1));
        assert_eq!((exact["q-head"], optimal["q-head"]), (1, 1));
        let lost = score(&[walks(
            0,
            vec![walk(LOOSE, Some(1), 0.2), walk(THROUGH, Some(1), 0.1)],
        )]);
        assert!(lost.values().all(|&right| right == 0), "{lost:?}");
    }

    #[test]
    fn the_reference_counts_a_maze_if_either_pass_equals_the_key() {
        let rule = LABELLED[0];
        // No majority and no halting is asked for, unlike of a Sudoku.
        let either = score(&[walks(
            0,
            vec![walk(LOOSE, Some(1), 0.1), walk(KEY, None, 0.2)],
        )]);
        assert_eq!((either[rule], either["majority"]), (1, 0));
        // But another shortest route is none of the file.
        let other = score(&[walks(
            0,
            vec![walk(LOOSE, None, 0.1), walk(EQUAL, None, 0.2)],
        )]);
        assert_eq!((other[rule], other["verifier"]), (0, 0));
        let later = score(&[
            walks(0, vec![walk(LOOSE, None, 0.1)]),
            walks(1, vec![walk(KEY, None, 0.1)]),
        ]);
        assert_eq!(later[rule], 1);
    }
}
