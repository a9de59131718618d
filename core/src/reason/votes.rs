//! From the answers at all rewritings of an ARC test to the two that are given, as
//! the published evaluation does it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Proportion;
use crate::puzzle::arc::{ArcRow, Grid};

/// An answer with what speaks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The answer, in the task's own colours and orientation.
    pub grid: Grid,
    /// Rewritings at which it was given.
    pub votes: usize,
    /// Mean probability of halting that it was given with.
    pub confidence: f64,
}

/// A test with all that was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// The question.
    pub input: Grid,
    /// The right answer, where it is known.
    pub output: Option<Grid>,
    /// Passes that were made at it.
    pub passes: usize,
    /// Of those, the ones whose answer was no grid.
    pub unreadable: usize,
    /// The answers, the most frequent first; among equals the one that was
    /// given with more confidence.
    pub answers: Vec<Ranked>,
}

impl Tested {
    /// Whether the right answer is among the first so many; none if it is not
    /// known.
    #[must_use]
    pub fn right_within(&self, answers: usize) -> Option<bool> {
        let key = self.output.as_ref()?;
        let mut given = self.answers.iter().take(answers);
        Some(given.any(|answer| answer.grid == *key))
    }
}

/// A task with its tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskVotes {
    /// The task.
    pub task: String,
    /// Its tests, in the order of the file.
    pub tests: Vec<Tested>,
}

/// Counts the answers at rows of a data set. Each is what the model's canvas
/// shows, in the rewriting's colours and orientation (none if it is no grid),
/// with the logit of halting. Tests are told apart by task and question, as
/// published.
#[must_use]
pub fn count<'a>(
    passes: impl IntoIterator<Item = (&'a ArcRow, Option<Grid>, f32)>,
) -> Vec<TaskVotes> {
    let mut tasks: Vec<TaskVotes> = Vec::new();
    let mut places: BTreeMap<(String, Grid), (usize, usize)> = BTreeMap::new();
    let mut sums: BTreeMap<(usize, usize), BTreeMap<Grid, (usize, f64)>> = BTreeMap::new();
    for (row, answer, q_halt) in passes {
        let back = row.name.symmetry.inverse();
        let input = back.apply(&row.question);
        let place = places
            .entry((row.name.task.clone(), input.clone()))
            .or_insert_with(|| {
                let known = tasks.iter().position(|t| t.task == row.name.task);
                let task = known.unwrap_or_else(|| {
                    tasks.push(TaskVotes {
                        task: row.name.task.clone(),
                        tests: Vec::new(),
                    });
                    tasks.len() - 1
                });
                tasks[task].tests.push(Tested {
                    input,
                    output: row.answer.as_ref().map(|grid| back.apply(grid)),
                    passes: 0,
                    unreadable: 0,
                    answers: Vec::new(),
                });
                (task, tasks[task].tests.len() - 1)
            });
        let tested = &mut tasks[place.0].tests[place.1];
        tested.passes += 1;
        let Some(answer) = answer else {
            tested.unreadable += 1;
            continue;
        };
        let grids = sums.entry(*place).or_default();
        let (votes, sum) = grids.entry(back.apply(&answer)).or_default();
        *votes += 1;
        *sum += 1.0 / (1.0 + (-f64::from(q_halt)).exp());
    }
    for ((task, test), grids) in sums {
        let mut answers: Vec<Ranked> = grids
            .into_iter()
            .map(|(grid, (votes, sum))| Ranked {
                grid,
                votes,
                confidence: sum / votes as f64,
            })
            .collect();
        // Stable: what is alike in both stays in the order of the grids.
        answers.sort_by(|a, b| {
            let by_votes = b.votes.cmp(&a.votes);
            by_votes.then(b.confidence.total_cmp(&a.confidence))
        });
        tasks[task].tests[test].answers = answers;
    }
    tasks
}

/// How many tasks and tests are right with so many answers each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassAt {
    /// Answers a test.
    pub answers: usize,
    /// Tasks all of whose tests are right.
    pub tasks: Proportion,
    /// Tests that are right.
    pub tests: Proportion,
    /// Mean over the tasks of the share of their tests that are right: the
    /// published score.
    pub score: f64,
}

impl PassAt {
    /// The score of tasks; those whose answers are not known count as nothing.
    #[must_use]
    pub fn new(tasks: &[TaskVotes], answers: usize) -> Self {
        let judged: Vec<Vec<bool>> = tasks
            .iter()
            .filter_map(|task| {
                let tests = task.tests.iter();
                let right: Option<Vec<bool>> =
                    tests.map(|test| test.right_within(answers)).collect();
                right.filter(|right| !right.is_empty())
            })
            .collect();
        let right = |tests: &[bool]| tests.iter().filter(|right| **right).count();
        let shares = judged.iter();
        let shares = shares.map(|tests| right(tests) as f64 / tests.len() as f64);
        let solved = judged.iter().filter(|tests| right(tests) == tests.len());
        Self {
            answers,
            tasks: Proportion::new(solved.count(), judged.len()),
            tests: Proportion::new(
                judged.iter().map(|tests| right(tests)).sum(),
                judged.iter().map(Vec::len).sum(),
            ),
            score: shares.sum::<f64>() / judged.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::arc::{ArcSymmetry, Name};

    fn row(task: &str, turn: u8, question: &str, answer: Option<&str>) -> ArcRow {
        let colours = [0, 2, 1, 3, 4, 5, 6, 7, 8, 9];
        let symmetry = ArcSymmetry::new(turn, colours).unwrap();
        let image = |text: &str| symmetry.apply(&text.parse().unwrap());
        ArcRow {
            name: Name {
                task: task.to_owned(),
                symmetry,
            },
            question: image(question),
            answer: answer.map(image),
            identifier: 1,
        }
    }

    /// An answer as the model would give it at a row.
    fn given(row: &ArcRow, answer: &str) -> Option<Grid> {
        Some(row.name.symmetry.apply(&answer.parse().unwrap()))
    }

    #[test]
    fn answers_are_mapped_back_and_counted() {
        let rows: Vec<ArcRow> = (0..8).map(|t| row("a", t, "120/340", Some("12"))).collect();
        // Three times 12, three times 21, once 3, once nothing.
        let answers = ["12", "21", "12", "21", "3", "12", "21"];
        let q = [-2.0, 1.0, -2.0, 1.0, 9.0, -2.0, 1.0];
        let passes = rows
            .iter()
            .zip(answers)
            .zip(q)
            .map(|((row, answer), q)| (row, given(row, answer), q));
        let passes = passes.chain([(&rows[7], None, 0.0)]);
        let tasks = count(passes);
        let [task] = &tasks[..] else {
            panic!("{tasks:?}")
        };
        let [test] = &task.tests[..] else {
            panic!("{tasks:?}")
        };
        assert_eq!((test.passes, test.unreadable), (8, 1));
        assert_eq!(test.input.to_string(), "120/340");
        let ranked: Vec<(String, usize)> = test
            .answers
            .iter()
            .map(|a| (a.grid.to_string(), a.votes))
            .collect();
        let expected = [("21", 3), ("12", 3), ("3", 1)];
        assert_eq!(ranked, expected.map(|(g, n)| (g.to_owned(), n)));
        assert!((test.answers[0].confidence - 0.731).abs() < 1e-3);
        assert_eq!(test.right_within(1), Some(false));
        assert_eq!(test.right_within(2), Some(true));
    }

    #[test]
    fn a_task_is_right_if_all_its_tests_are() {
        let rows = [
            row("a", 0, "1", Some("2")),
            row("a", 0, "3", Some("4")),
            row("b", 3, "1", Some("1")),
            row("c", 0, "1", None),
        ];
        let answers = ["2", "5", "1", "1"];
        let passes = rows.iter().zip(answers);
        let tasks = count(passes.map(|(row, answer)| (row, given(row, answer), 0.0)));
        assert_eq!(tasks.len(), 3);
        let one = PassAt::new(&tasks, 1);
        assert_eq!((one.tasks.successes, one.tasks.n), (1, 2));
        assert_eq!((one.tests.successes, one.tests.n), (2, 3));
        assert!((one.score - 0.75).abs() < 1e-12);
        assert_eq!(PassAt::new(&[], 2).tasks.n, 0);
    }
}
