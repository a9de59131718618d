//! Where a run's puzzles come from.

use std::path::Path;

use anyhow::{Context, Result, bail};
use hrm_core::puzzle::arc::{ArcSize, Name, files::read_rows};
use hrm_core::puzzle::dataset::{ColumnNames, ReadOptions, Records};
use hrm_core::puzzle::sudoku::generator::generate_with;
use hrm_core::puzzle::{
    GeneratorOptions, Maze, MazeOptions, Puzzle, PuzzleKind, Shape, generate_maze,
};
use hrm_core::train::Rows;
use hrm_core::train::held_out::{self, Side};
use indicatif::{ProgressBar, ProgressStyle};
use rand::Rng;

use crate::puzzles::{BadLines, explained};

/// Prefix of a generated set's name.
const GENERATE: &str = "generate:";

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
    pub(crate) rows: Rows,
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
                let mut rng = side.stream(seed);
                let (rows, text) = gather(names, reading, shape, &what, || {
                    collect(rows, side, held_out::sudoku_class, || {
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
                let mut rng = side.stream(seed);
                let (rows, text) = gather(names, reading, size, &what, || {
                    collect(rows, side, Maze::class, || {
                        Ok(generate_maze(rng.random(), &options)?)
                    })
                })?;
                (Rows::Maze(rows), text)
            }
            PuzzleKind::Arc(size) => pairs(names, reading, size)?,
        };
        Ok(Self { rows, description })
    }

    /// The first `rows` of the set.
    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows < self.rows.len() {
            self.rows.truncate(rows);
            self.description = format!("the first {rows} of {}", self.description);
        }
    }
}

/// The pairs of ARC tasks in all files in order, with a description.
fn pairs(names: &[String], reading: &Reading, size: ArcSize) -> Result<(Rows, String)> {
    if reading.columns.is_some() || reading.skip_bad {
        bail!("--columns and --skip-bad are not for ARC, whose rows hrm data arc writes");
    }
    let mut rows = Vec::new();
    let mut described = Vec::new();
    for name in names {
        if name.starts_with(GENERATE) {
            bail!("{name}: ARC tasks are not generated; make a file with hrm data arc");
        }
        let path = Path::new(name);
        let read = read_rows(path, usize::MAX)?;
        let label = path.file_name().unwrap_or_default().to_string_lossy();
        let mut rewritings: Vec<&Name> = read.iter().map(|row| &row.name).collect();
        rewritings.dedup();
        let mut tasks: Vec<&str> = rewritings.iter().map(|name| name.task.as_str()).collect();
        tasks.dedup();
        described.push(format!(
            "{} pairs of {label} ({} tasks, {} with rewritings)",
            read.len(),
            tasks.len(),
            rewritings.len()
        ));
        rows.extend(read);
    }
    let rows = Rows::arc(size, rows).context("the canvas is architecture.puzzle")?;
    Ok((rows, described.join("; ")))
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

/// Generates so many puzzles of a side, telling how far it is.
fn collect<P: Puzzle + std::hash::Hash>(
    rows: usize,
    side: Side,
    class: impl Fn(&P, &P) -> Option<P>,
    generate: impl FnMut() -> Result<(P, P)>,
) -> Result<Vec<(P, P)>> {
    let bar = ProgressBar::new(rows as u64).with_style(
        ProgressStyle::with_template("generating {wide_bar} {pos}/{len} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let found = held_out::collect(rows, side, class, generate, || bar.inc(1));
    bar.finish_and_clear();
    found.context("generating puzzles")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
            assert_eq!((train.rows.len(), held_out.rows.len()), (rows, rows));
            match (&train.rows, &held_out.rows) {
                (Rows::Sudoku(a), Rows::Sudoku(b)) => apart(a, b),
                (Rows::Maze(a), Rows::Maze(b)) => apart(a, b),
                _ => panic!("two kinds"),
            }
        }
    }
}
