//! A network as it is at a step, on held-out puzzles: segment by segment, a
//! few puzzles at a time, so that who drives it can do something else in
//! between.

use std::sync::Arc;

use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{EngineError, SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::puzzle::Board;
use hrm_core::reason::modes::{Mode, Moment, grok, judge};
use hrm_core::weights::Weights;

use crate::history::Evaluation;
use crate::puzzles::Row;

/// Work that a piece of an evaluation may be, in floating-point operations:
/// some tens of milliseconds.
const PIECE: f64 = 2e8;
/// Puzzles that are run together at most.
const TOGETHER: usize = 16;

/// An evaluation under way.
#[derive(Debug)]
pub struct Evaluator {
    model: Arc<CpuModel>,
    rows: Arc<[Row]>,
    /// How many of the first puzzles are shown.
    samples: usize,
    /// Puzzles that are done.
    done: usize,
    part: Option<Part>,
    evaluation: Evaluation,
}

/// Some puzzles that are run together.
#[derive(Debug)]
struct Part {
    run: CpuRun,
    courses: Vec<Course>,
}

/// What one puzzle's run has shown.
#[derive(Debug, Default)]
struct Course {
    grid: Vec<u8>,
    moments: Vec<Moment>,
    conflicts: Vec<f64>,
}

impl Evaluator {
    /// An evaluation of these weights at its beginning.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        weights: &Weights,
        rows: Arc<[Row]>,
        samples: usize,
        step: u64,
        seconds: f64,
    ) -> Self {
        let segments = plan.config.halt_max_steps;
        Self {
            model: Arc::new(CpuModel::new(plan, weights)),
            evaluation: Evaluation {
                step,
                seconds,
                puzzles: rows.len(),
                solved: vec![0; segments],
                ..Evaluation::default()
            },
            rows,
            samples,
            done: 0,
            part: None,
        }
    }

    /// The puzzles.
    #[must_use]
    pub fn rows(&self) -> &Arc<[Row]> {
        &self.rows
    }

    /// One segment of some puzzles; the evaluation once all is done.
    ///
    /// # Errors
    /// If a puzzle does not fit the network.
    pub fn work(&mut self) -> Result<Option<Evaluation>, EngineError> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.begin()?,
        };
        let outputs = part.run.segment(Taps::default());
        let first = self.done;
        for (i, (course, output)) in part.courses.iter_mut().zip(&outputs).enumerate() {
            let Some((question, answer)) = self.rows.get(first + i) else {
                continue;
            };
            let segment = course.moments.len();
            let right = course.take(question, output);
            if let Some(solved) = self.evaluation.solved.get_mut(segment) {
                *solved += usize::from(right);
            }
            if first + i < self.samples {
                self.evaluation.keep(first + i, spelled(&output.tokens));
            }
            if segment + 1 == self.evaluation.solved.len() {
                self.evaluation.end(course, output, right, answer);
            }
        }
        let segments = self.evaluation.solved.len();
        if part
            .courses
            .first()
            .is_some_and(|c| c.moments.len() < segments)
        {
            self.part = Some(part);
            return Ok(None);
        }
        self.done += part.courses.len();
        if self.done < self.rows.len() {
            return Ok(None);
        }
        let mut evaluation = std::mem::take(&mut self.evaluation);
        let n = evaluation.puzzles.max(1) as f64;
        evaluation.cells /= n;
        evaluation.q /= n;
        evaluation.halted /= n;
        Ok(Some(evaluation))
    }

    fn begin(&self) -> Result<Part, EngineError> {
        let plan = self.model.plan();
        let together = (PIECE / plan.segment_flops().max(1.0)) as usize;
        let end = (self.done + together.clamp(1, TOGETHER)).min(self.rows.len());
        let rows = &self.rows[self.done..end];
        let inputs: Vec<Vec<u8>> = rows.iter().map(|(question, _)| question.tokens()).collect();
        Ok(Part {
            run: CpuRun::new(Arc::clone(&self.model), &inputs)?,
            courses: rows.iter().map(|_| Course::default()).collect(),
        })
    }
}

impl Course {
    /// Takes in a segment; whether the grid is right.
    fn take(&mut self, question: &Board, output: &SegmentOutput) -> bool {
        let right = Board::from_tokens(question.shape(), &output.tokens)
            .is_ok_and(|grid| grid.solves(question));
        let changed = if self.grid.is_empty() {
            output.tokens.len()
        } else {
            let pairs = self.grid.iter().zip(&output.tokens);
            pairs.filter(|(a, b)| a != b).count()
        };
        self.moments.push(Moment {
            right,
            changed,
            residual: f64::from(output.residual_h),
        });
        self.conflicts.push(f64::from(output.conflicts));
        self.grid.clone_from(&output.tokens);
        right
    }
}

impl Evaluation {
    /// Takes in the end of a puzzle's run. What becomes a share is a sum as
    /// yet.
    fn end(&mut self, course: &Course, output: &SegmentOutput, right: bool, answer: &Board) {
        let cells = answer.tokens();
        let same = cells.iter().zip(&output.tokens).filter(|(a, b)| a == b);
        self.cells += same.count() as f64 / cells.len().max(1) as f64;
        let sure = output.q_halt > 0.0;
        self.q += f64::from(u8::from(sure == right));
        let halted = output.q_halt > output.q_continue.unwrap_or(0.0);
        self.halted += f64::from(u8::from(halted));
        self.groks += usize::from(grok(&course.conflicts).is_some_and(|g| g.plateau > 1));
        if let Some(behaviour) = judge(&course.moments) {
            let mode = Mode::ALL.iter().position(|mode| *mode == behaviour.mode);
            if let Some(count) = mode.and_then(|i| self.modes.get_mut(i)) {
                *count += 1;
            }
        }
    }
}

/// A grid of tokens as a line of digits, `.` for none.
fn spelled(tokens: &[u8]) -> String {
    let digit = |&token: &u8| match token {
        2.. => char::from(b'0' + token - 1),
        _ => '.',
    };
    tokens.iter().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Preset;
    use crate::puzzles::make;
    use hrm_core::train::held_out::Side;

    #[test]
    fn an_evaluation_counts_every_puzzle_once_however_it_is_cut() {
        let settings = Preset::Relational4.settings();
        let plan = Arc::new(Plan::new(&settings.config().unwrap()).unwrap());
        let weights = Weights::random(&plan, 1);
        let rows: Arc<[Row]> = make(&settings, Side::HeldOut, 21).unwrap().into();
        let mut evaluator =
            Evaluator::new(Arc::clone(&plan), &weights, Arc::clone(&rows), 3, 5, 1.0);
        let mut pieces = 1;
        let evaluation = loop {
            match evaluator.work().unwrap() {
                Some(evaluation) => break evaluation,
                None => pieces += 1,
            }
        };
        // 21 puzzles, 16 together, 16 segments each.
        assert_eq!(pieces, 32);
        assert_eq!((evaluation.step, evaluation.puzzles), (5, 21));
        assert_eq!(evaluation.modes.iter().sum::<usize>(), 21);
        assert_eq!(evaluation.samples.len(), 3);
        assert!(evaluation.samples.iter().all(|grids| grids.len() == 16));
        assert!((0.0..=1.0).contains(&evaluation.cells));

        // Against the engine, puzzle by puzzle.
        let model = Arc::new(CpuModel::new(Arc::clone(&plan), &weights));
        let mut cells = 0.0;
        for (i, (question, answer)) in rows.iter().enumerate() {
            let mut run = CpuRun::new(Arc::clone(&model), &[question.tokens()]).unwrap();
            let mut last = Vec::new();
            for segment in 1..=16 {
                last = run.segment(Taps::default()).remove(0).tokens;
                if i < 3 {
                    assert_eq!(evaluation.grid(i, segment), Some(spelled(&last).as_str()));
                }
            }
            let right = answer
                .tokens()
                .iter()
                .zip(&last)
                .filter(|(a, b)| a == b)
                .count();
            cells += right as f64 / 16.0 / 21.0;
        }
        assert!((cells - evaluation.cells).abs() < 1e-9);
    }
}
