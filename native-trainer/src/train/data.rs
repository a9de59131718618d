//! Where a run's puzzles come from.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hrm_core::model::Example;
use hrm_core::puzzle::sudoku::generator::generate_with;
use hrm_core::puzzle::{
    Board, GeneratorOptions, Shape, augment, canonical_puzzle, canonical_solution, dataset,
    random_hints,
};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Prefix of a generated set's name.
const GENERATE: &str = "generate:";

/// One class of equivalent puzzles in this many is held out of generated
/// training sets.
const HELD_OUT: u64 = 5;

/// Which side of the split a generated set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// To train on.
    Training,
    /// To evaluate on.
    HeldOut,
}

/// Questions with their answers, all of one shape.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    rows: Vec<(Board, Board)>,
    /// What they are, in words.
    pub(crate) description: String,
}

impl Set {
    /// Reads the named files, or generates.
    pub(crate) fn load(
        names: &[String],
        shape: Shape,
        rows: usize,
        seed: u64,
        side: Side,
    ) -> Result<Self> {
        let mut set = Self {
            rows: Vec::new(),
            description: String::new(),
        };
        let mut described = Vec::new();
        for name in names {
            if let Some(kind) = name.strip_prefix(GENERATE) {
                let wanted: Shape = kind.parse().with_context(|| format!("--data {name}"))?;
                if wanted != shape {
                    bail!("{name}: the model plays {shape}");
                }
                let generated = generate_set(shape, rows, seed, side)?;
                described.push(format!(
                    "{} generated minimal puzzles ({shape}, {})",
                    generated.len(),
                    split(shape, side)
                ));
                set.rows.extend(generated);
            } else {
                let path = Path::new(name);
                let file = dataset::read_file(path)?;
                let label = path.file_name().unwrap_or_default().to_string_lossy();
                described.push(format!("{} puzzles of {label}", file.len()));
                for row in file {
                    if row.question.shape() != shape {
                        bail!(
                            "{name}: a puzzle is {}, the model plays {shape}",
                            row.question.shape()
                        );
                    }
                    set.rows.push((row.question, row.answer));
                }
            }
        }
        set.description = described.join("; ");
        Ok(set)
    }

    /// The first `rows` of the set.
    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows < self.rows.len() {
            self.rows.truncate(rows);
            self.description = format!("the first {rows} of {}", self.description);
        }
    }

    /// Number of puzzles.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The puzzles as they are.
    pub(crate) fn plain(&self) -> Vec<Example> {
        self.rows
            .iter()
            .map(|(question, answer)| example(question, answer))
            .collect()
    }
}

fn example(question: &Board, answer: &Board) -> Example {
    Example {
        input: question.tokens(),
        label: answer.tokens(),
    }
}

/// How a generated set is kept apart from its counterpart.
fn split(shape: Shape, side: Side) -> String {
    let what = if shape == Shape::S4 {
        "puzzles"
    } else {
        "solution grids"
    };
    match side {
        Side::Training => format!("four in five classes of equivalent {what}"),
        Side::HeldOut => {
            format!("distinct, of the classes of equivalent {what} that training never sees")
        }
    }
}

/// Which side a puzzle belongs to, the same for all equivalent puzzles. Only
/// two 4x4 solutions are not equivalent, so there the puzzles are split; in
/// the larger shapes the solutions.
fn side_of(question: &Board, answer: &Board) -> Option<Side> {
    let class = if question.shape() == Shape::S4 {
        canonical_puzzle(question, answer)?
    } else {
        canonical_solution(answer)?
    };
    // FNV-1a, and its high bits, which every cell has reached.
    let hash = class
        .cells()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &cell| {
            (hash ^ u64::from(cell)).wrapping_mul(0x0100_0000_01b3)
        });
    Some(if (hash >> 32) % HELD_OUT == 0 {
        Side::HeldOut
    } else {
        Side::Training
    })
}

fn generate_set(shape: Shape, rows: usize, seed: u64, side: Side) -> Result<Vec<(Board, Board)>> {
    let options = GeneratorOptions::minimal(shape);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(match side {
        Side::Training => 1,
        Side::HeldOut => 2,
    });
    let bar = ProgressBar::new(rows as u64).with_style(
        ProgressStyle::with_template("generating {wide_bar} {pos}/{len} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut found = Vec::with_capacity(rows);
    let mut seen = HashSet::new();
    // Small shapes have few minimal puzzles: stop when nothing new comes.
    let mut vain = 0;
    while found.len() < rows && vain < 200 * rows {
        let puzzle = generate_with(&mut rng, &options).context("generating puzzles")?;
        let new = side_of(&puzzle.question, &puzzle.answer) == Some(side)
            && seen.insert(puzzle.question.clone());
        if new {
            found.push((puzzle.question, puzzle.answer));
            bar.inc(1);
        }
        vain = if new { 0 } else { vain + 1 };
    }
    bar.finish_and_clear();
    Ok(found)
}

/// An endless, shuffled, augmented stream of a set's puzzles. What stands
/// at a position depends on the seed alone, so a run goes on anywhere.
pub(crate) struct Sampler {
    set: Set,
    seed: u64,
    augment: bool,
    hints: f64,
    /// The order of one epoch, and which.
    order: (u64, Vec<u32>),
}

impl Sampler {
    /// A stream of `set`, which must not be empty.
    pub(crate) fn new(set: Set, seed: u64, augment: bool, hints: f64) -> Result<Self> {
        if set.len() == 0 {
            bail!("the training set is empty");
        }
        Ok(Self {
            set,
            seed,
            augment,
            hints,
            order: (u64::MAX, Vec::new()),
        })
    }

    /// The puzzle at a position.
    pub(crate) fn draw(&mut self, position: u64) -> Example {
        let n = self.set.rows.len() as u64;
        let epoch = position / n;
        if self.order.0 != epoch {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(epoch);
            let mut order: Vec<u32> = (0..n as u32).collect();
            order.shuffle(&mut rng);
            self.order = (epoch, order);
        }
        let (question, answer) = &self.set.rows[self.order.1[(position % n) as usize] as usize];
        // Another seed than the order's, so that the streams differ.
        let mut rng = ChaCha8Rng::seed_from_u64(!self.seed);
        rng.set_stream(position);
        let (question, answer) = if self.augment {
            augment(&mut rng, question, answer)
        } else {
            (question.clone(), answer.clone())
        };
        let question = if rand::Rng::random_bool(&mut rng, self.hints) {
            random_hints(&mut rng, &question, &answer)
        } else {
            question
        };
        example(&question, &answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_never_sees_a_held_out_class() {
        for (shape, rows) in [(Shape::S4, 60), (Shape::S6, 20)] {
            let name = [format!("{GENERATE}{shape}")];
            let train = Set::load(&name, shape, rows, 3, Side::Training).unwrap();
            let held_out = Set::load(&name, shape, rows, 3, Side::HeldOut).unwrap();
            assert_eq!((train.len(), held_out.len()), (rows, rows));
            let class =
                |(question, answer): &(Board, Board)| canonical_puzzle(question, answer).unwrap();
            let trained: HashSet<Board> = train.rows.iter().map(class).collect();
            assert!(
                held_out
                    .rows
                    .iter()
                    .all(|row| !trained.contains(&class(row))),
                "{shape}"
            );
        }
    }

    #[test]
    fn a_stream_depends_on_its_position_only() {
        let name = [format!("{GENERATE}sudoku-4x4")];
        let set = Set::load(&name, Shape::S4, 10, 1, Side::Training).unwrap();
        let mut a = Sampler::new(set.clone(), 7, true, 0.5).unwrap();
        let mut b = Sampler::new(set, 7, true, 0.5).unwrap();
        let all: Vec<Example> = (0..40).map(|i| a.draw(i)).collect();
        assert_eq!(b.draw(33), all[33]);
        assert_eq!(b.draw(2), all[2]);
        assert_ne!(all[..10], all[10..20]);
        for example in &all {
            let question = Board::from_tokens(Shape::S4, &example.input).unwrap();
            assert!(
                Board::from_tokens(Shape::S4, &example.label)
                    .unwrap()
                    .solves(&question)
            );
        }
    }
}
