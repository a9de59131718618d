//! What a run has measured so far, thinned so that it stays small however long
//! the run: the loss of its steps, and evaluations on held-out puzzles.

use serde::{Deserialize, Serialize, Serializer};

/// Writes a measure with four decimals: pictures show no more.
fn short<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e4).round() / 1e4)
}

/// Means over some steps that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// The last of the steps, from 1.
    pub step: u64,
    /// Seconds of training until then.
    #[serde(serialize_with = "short")]
    pub seconds: f64,
    /// Steps that it is of.
    pub steps: u64,
    /// What was minimised.
    #[serde(serialize_with = "short")]
    pub loss: f64,
    /// Share of right cells in the training batches, givens included.
    #[serde(serialize_with = "short")]
    pub cells: f64,
    /// Share of right grids in the training batches.
    #[serde(serialize_with = "short")]
    pub exact: f64,
    /// Mean segments done by the rows of a batch: how long it thinks before it
    /// halts.
    #[serde(serialize_with = "short")]
    pub segments: f64,
    /// Share of rows in which the q head is right about the grid.
    #[serde(serialize_with = "short")]
    pub q: f64,
}

impl Mark {
    /// Both as one.
    #[must_use]
    pub fn and(&self, later: &Self) -> Self {
        let (a, b) = (self.steps as f64, later.steps as f64);
        let mean = |x: f64, y: f64| (a * x + b * y) / (a + b).max(1.0);
        Self {
            step: later.step,
            seconds: later.seconds,
            steps: self.steps + later.steps,
            loss: mean(self.loss, later.loss),
            cells: mean(self.cells, later.cells),
            exact: mean(self.exact, later.exact),
            segments: mean(self.segments, later.segments),
            q: mean(self.q, later.q),
        }
    }
}

/// The network as it was at a step, on held-out puzzles.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps done before it.
    pub step: u64,
    /// Seconds of training before it.
    #[serde(serialize_with = "short")]
    pub seconds: f64,
    /// Held-out puzzles.
    pub puzzles: usize,
    /// How many of them were right after each segment.
    pub solved: Vec<usize>,
    /// Share of right cells after the last segment, givens included.
    #[serde(serialize_with = "short")]
    pub cells: f64,
    /// Share of puzzles where the q head is right about the grid at the end.
    #[serde(serialize_with = "short")]
    pub q: f64,
    /// Share of puzzles where it says at the end that it is done.
    #[serde(serialize_with = "short")]
    pub halted: f64,
    /// Runs whose conflicts stayed on a plateau of two segments or more and
    /// then lost most of the way in one (a grok).
    pub groks: usize,
    /// Runs of each of the four modes, in the order of
    /// [`hrm_core::reason::modes::Mode::ALL`].
    pub modes: [usize; 4],
    /// The grids of the sample puzzles after each segment, digits with `.` for
    /// none; a grid that is the one before is left empty.
    pub samples: Vec<Vec<String>>,
}

impl Evaluation {
    /// Puzzles right after the last segment.
    #[must_use]
    pub fn right(&self) -> usize {
        self.solved.last().copied().unwrap_or(0)
    }

    /// Share of puzzles right after the last segment.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        share(self.right(), self.puzzles)
    }

    /// Keeps the grid of a sample after the next segment.
    pub fn keep(&mut self, sample: usize, grid: String) {
        if self.samples.len() <= sample {
            self.samples.resize(sample + 1, Vec::new());
        }
        let kept = last_of(&self.samples[sample]) == Some(grid.as_str());
        self.samples[sample].push(if kept { String::new() } else { grid });
    }

    /// The grid of a sample after a segment, from 1.
    #[must_use]
    pub fn grid(&self, sample: usize, segment: usize) -> Option<&str> {
        let grids = self.samples.get(sample)?;
        last_of(grids.get(..segment)?)
    }
}

fn last_of(grids: &[String]) -> Option<&str> {
    let found = grids.iter().rev().find(|grid| !grid.is_empty());
    found.map(String::as_str)
}

/// A share of a number, 0 of nothing.
#[must_use]
pub fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Marks that are kept at most.
const MARKS: usize = 400;
/// Evaluations that are kept at most.
const EVALUATIONS: usize = 120;

/// Everything that a run has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Steps that a mark is of; the last one may be of fewer.
    pub every: u64,
    /// Marks, oldest first.
    pub marks: Vec<Mark>,
    /// Evaluations, oldest first.
    pub evaluations: Vec<Evaluation>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            every: 1,
            marks: Vec::new(),
            evaluations: Vec::new(),
        }
    }
}

impl History {
    /// Takes in what has been measured since.
    pub fn add(&mut self, marks: &[Mark]) {
        for mark in marks {
            match self.marks.last_mut() {
                Some(last) if last.steps < self.every => *last = last.and(mark),
                _ => self.marks.push(*mark),
            }
        }
        self.thin(MARKS);
    }

    /// Puts marks together until there are so many at most.
    pub fn thin(&mut self, marks: usize) {
        while self.marks.len() > marks.max(1) {
            self.every *= 2;
            let pairs = self.marks.chunks(2);
            self.marks = pairs
                .map(|pair| match pair {
                    [a, b] => a.and(b),
                    _ => pair[0],
                })
                .collect();
        }
    }

    /// Takes in an evaluation. Once there are too many, every second one of
    /// the older ones goes.
    pub fn evaluate(&mut self, evaluation: Evaluation) {
        self.evaluations.push(evaluation);
        if self.evaluations.len() > EVALUATIONS {
            let mut at = 0;
            let last = self.evaluations.len() - 1;
            self.evaluations.retain(|_| {
                at += 1;
                at % 2 == 1 || at > last
            });
        }
    }

    /// The step of the last measurement.
    #[must_use]
    pub fn last_step(&self) -> u64 {
        let marks = self.marks.last().map(|mark| mark.step);
        let evaluations = self.evaluations.last().map(|e| e.step);
        marks.max(evaluations).unwrap_or(0)
    }

    /// The evaluation nearest to a step.
    #[must_use]
    pub fn nearest(&self, step: u64) -> Option<usize> {
        (0..self.evaluations.len()).min_by_key(|&i| self.evaluations[i].step.abs_diff(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(step: u64) -> Mark {
        Mark {
            step,
            steps: 1,
            loss: step as f64,
            ..Mark::default()
        }
    }

    #[test]
    fn a_long_run_stays_small_and_its_means_right() {
        let mut history = History::default();
        for step in 1..=10_000 {
            history.add(&[mark(step)]);
        }
        assert!(history.marks.len() <= MARKS && history.marks.len() > MARKS / 4);
        let steps: u64 = history.marks.iter().map(|m| m.steps).sum();
        assert_eq!(steps, 10_000);
        let total: f64 = history.marks.iter().map(|m| m.steps as f64 * m.loss).sum();
        assert!((total / 10_000.0 - 5_000.5).abs() < 1e-6);
        let whole = history.marks.len() - 1;
        assert!(
            history.marks[..whole]
                .iter()
                .all(|m| m.steps == history.every)
        );
        assert_eq!(history.last_step(), 10_000);
        assert!(history.marks.windows(2).all(|m| m[0].step < m[1].step));
    }

    #[test]
    fn the_first_and_the_newest_evaluation_stay() {
        let mut history = History::default();
        for step in 0..500 {
            history.evaluate(Evaluation {
                step,
                ..Evaluation::default()
            });
            assert_eq!(history.evaluations.last().unwrap().step, step);
        }
        assert!(history.evaluations.len() <= EVALUATIONS);
        assert_eq!(history.evaluations[0].step, 0);
        assert!(
            history
                .evaluations
                .windows(2)
                .all(|e| e[0].step < e[1].step)
        );
        let at = history.nearest(250).unwrap();
        assert!(history.evaluations[at].step.abs_diff(250) <= 16);
    }

    #[test]
    fn grids_that_stay_take_no_room() {
        let mut evaluation = Evaluation::default();
        for grid in ["12", "12", "21", "21"] {
            evaluation.keep(1, grid.to_owned());
        }
        assert_eq!(evaluation.samples[1], ["12", "", "21", ""]);
        let seen: Vec<_> = (0..=5).map(|n| evaluation.grid(1, n)).collect();
        assert_eq!(
            seen,
            [None, Some("12"), Some("12"), Some("21"), Some("21"), None]
        );
        assert_eq!(evaluation.grid(0, 1), None);
        assert_eq!(evaluation.grid(2, 1), None);
    }
}
