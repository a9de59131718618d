//! The order in which a run sees its puzzles, and what becomes of each.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::act::Example;
use super::rows::{Rows, example, of_task};
use crate::puzzle::{Copies, Puzzle};

/// How puzzles are varied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// Whether puzzles are rewritten by their symmetries; pairs of ARC tasks
    /// are moved on the canvas.
    pub augment: bool,
    /// The rewritings of each puzzle; 0 for a new one each time.
    pub copies: u32,
    /// Share that gets hints.
    pub hints: f64,
    /// Rows that are one puzzle's copies already.
    pub group: usize,
}

/// An endless, shuffled, augmented stream of a set's puzzles. What stands
/// at a position depends on the seed alone, so a run goes on anywhere.
#[derive(Debug, Clone)]
pub struct Sampler {
    rows: Rows,
    seed: u64,
    variation: Variation,
    /// The order of one epoch, and which.
    order: (u64, Vec<u32>),
}

impl Sampler {
    /// A stream of these puzzles.
    ///
    /// # Errors
    /// If there are none, or they are not the groups of copies that they are
    /// said to be.
    pub fn new(rows: Rows, seed: u64, variation: Variation) -> Result<Self, TrainError> {
        if rows.is_empty() {
            return Err(TrainError::Method("the training set is empty".into()));
        }
        if variation.group == 0 || !rows.len().is_multiple_of(variation.group) {
            return Err(TrainError::Method(format!(
                "groups of {} rows, but the training set has {} rows, which is no multiple of it",
                variation.group,
                rows.len()
            )));
        }
        if matches!(rows, Rows::Arc(..))
            && (variation.group > 1 || variation.copies > 0 || variation.hints > 0.0)
        {
            return Err(TrainError::Method(
                "rewritings of ARC tasks have puzzle embeddings of their own and stand in the data (hrm data arc --augment); there are no copies, groups or hints".into(),
            ));
        }
        Ok(Self {
            rows,
            seed,
            variation,
            order: (u64::MAX, Vec::new()),
        })
    }

    /// Puzzles, each with all its copies counted once: the rows of an epoch.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.rows.len() / self.variation.group
    }

    /// The puzzle at a position.
    pub fn draw(&mut self, position: u64) -> Example {
        let n = self.groups() as u64;
        let epoch = position / n;
        if self.order.0 != epoch {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(epoch);
            let mut order: Vec<u32> = (0..n as u32).collect();
            order.shuffle(&mut rng);
            self.order = (epoch, order);
        }
        let group = self.order.1[(position % n) as usize] as usize;
        // Another seed than the order's, so that the streams differ.
        let mut rng = ChaCha8Rng::seed_from_u64(!self.seed);
        rng.set_stream(position);
        match &self.rows {
            Rows::Sudoku(rows) => self.vary(rows, group, &mut rng),
            Rows::Maze(rows) => self.vary(rows, group, &mut rng),
            Rows::Arc(size, rows) => {
                let row = &rows[group];
                let at = match self.variation.augment {
                    true => row.random_place(*size, &mut rng),
                    false => [0, 0],
                };
                of_task(*size, row, at)
            }
        }
    }

    fn vary<P: Puzzle>(&self, rows: &[(P, P)], group: usize, rng: &mut ChaCha8Rng) -> Example {
        let v = &self.variation;
        if v.group > 1 {
            let member = rng.random_range(0..v.group as u32) as usize;
            let (question, answer) = &rows[group * v.group + member];
            return example(question, answer);
        }
        let (question, answer) = &rows[group];
        if v.copies > 0 {
            let copies = Copies {
                count: v.copies,
                seed: self.seed,
            };
            let number = rng.random_range(0..=v.copies);
            let (question, answer) = copies.copy(group as u64, number, question, answer);
            let question = if rng.random_bool(v.hints) {
                copies.hinted(group as u64, number, &question, &answer)
            } else {
                question
            };
            return example(&question, &answer);
        }
        let (question, answer) = if v.augment {
            question.varied(answer, rng)
        } else {
            (question.clone(), answer.clone())
        };
        let question = if rng.random_bool(v.hints) {
            question.with_hints(&answer, rng)
        } else {
            question
        };
        example(&question, &answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::puzzle::{Board, GeneratorOptions, Shape, generate};

    fn set(rows: usize) -> Rows {
        let made = (0..rows as u64).map(|seed| {
            let made = generate(seed, &GeneratorOptions::minimal(Shape::S4)).unwrap();
            (made.question, made.answer)
        });
        Rows::Sudoku(made.collect())
    }

    const FRESH: Variation = Variation {
        augment: true,
        copies: 0,
        hints: 0.5,
        group: 1,
    };

    #[test]
    fn a_stream_depends_on_its_position_only() {
        for copies in [0, 3] {
            let variation = Variation { copies, ..FRESH };
            let mut a = Sampler::new(set(10), 7, variation).unwrap();
            let mut b = Sampler::new(set(10), 7, variation).unwrap();
            let all: Vec<Example> = (0..40).map(|i| a.draw(i)).collect();
            assert_eq!(b.draw(33), all[33]);
            assert_eq!(b.draw(2), all[2]);
            assert_ne!(all[..10], all[10..20]);
            for example in &all {
                let question = Board::from_tokens(Shape::S4, &example.input).unwrap();
                let answer = Board::from_tokens(Shape::S4, &example.label).unwrap();
                assert!(answer.solves(&question));
            }
        }
    }

    /// The file that `hrm data` writes and the copies made in training: the same
    /// examples, equally often.
    #[test]
    fn copies_of_a_file_and_of_the_run_have_one_distribution() {
        let (puzzles, count, seed, draws) = (3, 9, 11, 24_000_u64);
        let plain = set(puzzles);
        let Rows::Sudoku(rows) = &plain else {
            panic!("no Sudokus")
        };
        let copies = Copies { count, seed };
        let mut written = Vec::new();
        for (row, (question, answer)) in rows.iter().enumerate() {
            for number in 0..=count {
                let (q, a) = copies.copy(row as u64, number, question, answer);
                let hinted = copies.hinted(row as u64, number, &q, &a);
                written.extend([(q, a.clone()), (hinted, a)]);
            }
        }
        let from_file = Variation {
            augment: false,
            copies: 0,
            hints: 0.0,
            group: 2 * (count as usize + 1),
        };
        let file = Rows::Sudoku(written.clone());
        let frequencies = |mut sampler: Sampler| {
            let mut counts: HashMap<Vec<u8>, f64> = HashMap::new();
            for position in 0..draws {
                *counts.entry(sampler.draw(position).input).or_default() += 1.0;
            }
            counts
        };
        let a = frequencies(Sampler::new(file, seed, from_file).unwrap());
        let on_the_fly = Variation {
            copies: count,
            ..FRESH
        };
        let b = frequencies(Sampler::new(plain.clone(), seed, on_the_fly).unwrap());
        // Exactly the examples of the file (some of which coincide) ...
        let mut expected: HashMap<Vec<u8>, f64> = HashMap::new();
        for (question, _) in &written {
            *expected.entry(question.tokens()).or_default() += draws as f64 / written.len() as f64;
        }
        for counts in [&a, &b] {
            assert_eq!(counts.len(), expected.len());
            // ... as often as their number says: chi-square within 6 deviations.
            let chi: f64 = expected
                .iter()
                .map(|(q, e)| (counts.get(q).unwrap_or(&0.0) - e).powi(2) / e)
                .sum();
            let freedom = expected.len() as f64 - 1.0;
            assert!(
                (chi - freedom).abs() < 6.0 * (2.0 * freedom).sqrt(),
                "chi-square {chi} with {freedom} degrees of freedom"
            );
        }
    }

    #[test]
    fn groups_must_divide_the_rows() {
        let variation = Variation { group: 4, ..FRESH };
        let error = Sampler::new(set(10), 0, variation).err().unwrap();
        assert!(error.to_string().contains("groups of 4 rows"), "{error}");
    }
}
