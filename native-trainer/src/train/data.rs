//! Where a run's puzzles come from.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hrm_core::model::Example;
use hrm_core::puzzle::dataset::{ColumnNames, ReadOptions, Records};
use hrm_core::puzzle::sudoku::generator::generate_with;
use hrm_core::puzzle::{
    Board, GeneratorOptions, Maze, MazeOptions, Puzzle, PuzzleKind, Shape, canonical_puzzle,
    canonical_solution, generate_maze,
};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::puzzles::{BadLines, explained};

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

/// Questions with their answers, all of one kind.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// Sudokus.
    Sudoku(Vec<(Board, Board)>),
    /// Mazes.
    Maze(Vec<(Maze, Maze)>),
}

/// How puzzle files are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Where the columns are, if they are not found by themselves.
    pub(crate) columns: Option<ColumnNames>,
    /// Whether lines that are no puzzle are passed over.
    pub(crate) skip_bad: bool,
}

/// A set of puzzles.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(super) rows: Rows,
    /// What they are, in words.
    pub(crate) description: String,
}

impl Set {
    /// Reads the named files, or generates.
    pub(crate) fn load(
        names: &[String],
        reading: &Reading,
        kind: PuzzleKind,
        rows: usize,
        seed: u64,
        side: Side,
    ) -> Result<Self> {
        let (rows, description) = match kind {
            PuzzleKind::Sudoku(shape) => {
                let options = GeneratorOptions::minimal(shape);
                let what = format!("minimal puzzles ({shape}, {})", split(shape, side));
                let mut rng = stream(seed, side);
                let (rows, text) = gather(names, reading, shape, &what, || {
                    collect(rows, side, sudoku_class, || {
                        let made = generate_with(&mut rng, &options)?;
                        Ok((made.question, made.answer))
                    })
                })?;
                (Rows::Sudoku(rows), text)
            }
            PuzzleKind::Maze(size) => {
                let options = MazeOptions::hard(size);
                let what = format!(
                    "mazes ({size}, ways of {} steps or more, {})",
                    options.min_distance,
                    classes("mazes", side)
                );
                let mut rng = stream(seed, side);
                let (rows, text) = gather(names, reading, size, &what, || {
                    collect(rows, side, Maze::class, || {
                        Ok(generate_maze(rng.random(), &options)?)
                    })
                })?;
                (Rows::Maze(rows), text)
            }
        };
        Ok(Self { rows, description })
    }

    /// The first `rows` of the set.
    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows < self.len() {
            match &mut self.rows {
                Rows::Sudoku(all) => all.truncate(rows),
                Rows::Maze(all) => all.truncate(rows),
            }
            self.description = format!("the first {rows} of {}", self.description);
        }
    }

    /// Number of puzzles.
    pub(crate) fn len(&self) -> usize {
        match &self.rows {
            Rows::Sudoku(rows) => rows.len(),
            Rows::Maze(rows) => rows.len(),
        }
    }

    /// The puzzles as they are.
    pub(crate) fn plain(&self) -> Vec<Example> {
        fn all<P: Puzzle>(rows: &[(P, P)]) -> Vec<Example> {
            rows.iter().map(|(q, a)| example(q, a)).collect()
        }
        match &self.rows {
            Rows::Sudoku(rows) => all(rows),
            Rows::Maze(rows) => all(rows),
        }
    }

    /// Whether tokens answer a puzzle of the set. A maze has many answers, and any
    /// shortest route is right.
    pub(crate) fn solved(&self, puzzle: usize, tokens: &[u8]) -> bool {
        fn solves<P: Puzzle>(row: Option<&(P, P)>, tokens: &[u8]) -> bool {
            row.is_some_and(|(question, _)| {
                P::from_tokens(question.kind(), tokens).is_ok_and(|board| board.solves(question))
            })
        }
        match &self.rows {
            Rows::Sudoku(rows) => solves(rows.get(puzzle), tokens),
            Rows::Maze(rows) => solves(rows.get(puzzle), tokens),
        }
    }

    /// Whether tokens mark a way through a maze, short or not; none if the puzzles are
    /// no mazes.
    pub(crate) fn leads_through(&self, puzzle: usize, tokens: &[u8]) -> Option<bool> {
        let Rows::Maze(rows) = &self.rows else {
            return None;
        };
        Some(rows.get(puzzle).is_some_and(|(question, _)| {
            Maze::from_tokens(question.size(), tokens)
                .is_ok_and(|maze| maze.keeps_givens(question) && maze.is_connected())
        }))
    }
}

pub(super) fn example<P: Puzzle>(question: &P, answer: &P) -> Example {
    Example {
        input: question.tokens(),
        label: answer.tokens(),
    }
}

/// The random numbers that generate a side.
fn stream(seed: u64, side: Side) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(match side {
        Side::Training => 1,
        Side::HeldOut => 2,
    });
    rng
}

/// The rows of all names in order, with a description.
fn gather<P: Puzzle>(
    names: &[String],
    reading: &Reading,
    kind: P::Kind,
    generated: &str,
    mut generate: impl FnMut() -> Result<Vec<(P, P)>>,
) -> Result<(Vec<(P, P)>, String)> {
    let mut rows = Vec::new();
    let mut described = Vec::new();
    for name in names {
        let before = rows.len();
        if let Some(wanted) = name.strip_prefix(GENERATE) {
            let wanted: PuzzleKind = wanted.parse().with_context(|| format!("--data {name}"))?;
            let plays: PuzzleKind = kind.into();
            if wanted != plays {
                bail!("{name}: the model plays {kind}");
            }
            rows.extend(generate()?);
            described.push(format!("{} generated {generated}", rows.len() - before));
        } else {
            let path = Path::new(name);
            let options = ReadOptions {
                columns: reading.columns.clone(),
                ..ReadOptions::default()
            };
            let mut records = Records::<P>::open_with(path, &options).map_err(explained)?;
            let mut bad = BadLines::new(reading.skip_bad);
            for row in records.by_ref() {
                let Some(row) = bad.pass(row, BadLines::show)? else {
                    continue;
                };
                if row.question.kind() != kind {
                    bail!(
                        "{name}: a puzzle is {}, the model plays {kind}",
                        row.question.kind()
                    );
                }
                rows.push((row.question, row.answer));
            }
            if rows.len() == before {
                bail!("{name}: there is no puzzle in it");
            }
            let label = path.file_name().unwrap_or_default().to_string_lossy();
            let mut notes = records.notes().to_string();
            if bad.count > 0 {
                let and = if notes.is_empty() { "" } else { "; " };
                notes += &format!("{and}{} lines skipped that are no puzzle", bad.count);
            }
            if !notes.is_empty() {
                notes = format!(" ({notes})");
            }
            described.push(format!("{} puzzles of {label}{notes}", rows.len() - before));
        }
    }
    Ok((rows, described.join("; ")))
}

/// How a generated set is kept apart from its counterpart.
fn classes(what: &str, side: Side) -> String {
    match side {
        Side::Training => format!("four in five classes of equivalent {what}"),
        Side::HeldOut => {
            format!("distinct, of the classes of equivalent {what} that training never sees")
        }
    }
}

fn split(shape: Shape, side: Side) -> String {
    let what = if shape == Shape::S4 {
        "puzzles"
    } else {
        "solution grids"
    };
    classes(what, side)
}

/// What Sudokus are split by. Only two 4x4 solutions are not equivalent, so
/// there the puzzles are split; in the larger shapes the solutions.
fn sudoku_class(question: &Board, answer: &Board) -> Option<Board> {
    if question.shape() == Shape::S4 {
        canonical_puzzle(question, answer)
    } else {
        canonical_solution(answer)
    }
}

/// Which side a class of equivalent puzzles belongs to.
fn side_of<P: Puzzle>(class: &P) -> Side {
    // FNV-1a over the contents of the cells (a Sudoku's digits are one below their
    // tokens), and its high bits, which every cell has reached.
    let hash = class
        .tokens()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &token| {
            (hash ^ u64::from(token - 1)).wrapping_mul(0x0100_0000_01b3)
        });
    if (hash >> 32).is_multiple_of(HELD_OUT) {
        Side::HeldOut
    } else {
        Side::Training
    }
}

/// Generates until there are so many different puzzles of a side.
fn collect<P: Puzzle + std::hash::Hash>(
    rows: usize,
    side: Side,
    class: impl Fn(&P, &P) -> Option<P>,
    mut generate: impl FnMut() -> Result<(P, P)>,
) -> Result<Vec<(P, P)>> {
    let bar = ProgressBar::new(rows as u64).with_style(
        ProgressStyle::with_template("generating {wide_bar} {pos}/{len} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut found = Vec::with_capacity(rows);
    let mut seen = HashSet::new();
    // Small shapes have few minimal puzzles: stop when nothing new comes.
    let mut vain = 0;
    while found.len() < rows && vain < 200 * rows {
        let (question, answer) = generate().context("generating puzzles")?;
        let new = class(&question, &answer).is_some_and(|class| side_of(&class) == side)
            && seen.insert(question.clone());
        if new {
            found.push((question, answer));
            bar.inc(1);
        }
        vain = if new { 0 } else { vain + 1 };
    }
    bar.finish_and_clear();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_never_sees_a_held_out_class() {
        fn apart<P: Puzzle + std::hash::Hash>(train: &[(P, P)], held_out: &[(P, P)]) {
            let classes = |rows: &[(P, P)]| -> HashSet<P> {
                rows.iter().map(|(q, a)| P::class(q, a).unwrap()).collect()
            };
            assert!(classes(train).is_disjoint(&classes(held_out)));
        }
        for (name, rows) in [("sudoku-4x4", 60), ("sudoku-6x6", 20), ("maze-6x6", 40)] {
            let kind: PuzzleKind = name.parse().unwrap();
            let name = [format!("{GENERATE}{name}")];
            let load = |side| Set::load(&name, &Reading::default(), kind, rows, 3, side).unwrap();
            let (train, held_out) = (load(Side::Training), load(Side::HeldOut));
            assert_eq!((train.len(), held_out.len()), (rows, rows));
            match (&train.rows, &held_out.rows) {
                (Rows::Sudoku(a), Rows::Sudoku(b)) => apart(a, b),
                (Rows::Maze(a), Rows::Maze(b)) => apart(a, b),
                _ => panic!("two kinds"),
            }
        }
    }

    #[test]
    fn a_maze_is_judged_by_its_route() {
        let question = Maze::parse("S  \n # \n  G", None).unwrap();
        let answer = question.marked(&question.shortest_route().unwrap());
        let set = Set {
            rows: Rows::Maze(vec![(question, answer.clone())]),
            description: String::new(),
        };
        let judge = |text: &str| {
            let tokens = Maze::parse(text, None).unwrap().tokens();
            (set.solved(0, &tokens), set.leads_through(0, &tokens))
        };
        assert_eq!(judge(&answer.to_string()), (true, Some(true)));
        assert_eq!(judge("S  o# ooG"), (true, Some(true)));
        assert_eq!(judge("Soo # o G"), (false, Some(false)));
        assert_eq!(judge("Sooo#oooG"), (false, Some(true)));
    }
}
