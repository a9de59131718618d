//! `hrm data generate` and `hrm data split`: puzzles of the project's own.

use std::path::{Path, PathBuf};

use crate::output::outln;
use crate::paths::{ForceArgs, Paths};
use anyhow::{Context, Result, bail};
use hrm_core::puzzle::dataset::{self, Row};
use hrm_core::puzzle::{
    Difficulty, Generated, GeneratorOptions, MazeOptions, MazeSize, Puzzle, PuzzleKind, Shape,
    SplitOptions, build_split, generate_maze,
};
use indicatif::{ParallelProgressIterator, ProgressBar};
use rayon::prelude::*;

#[derive(Debug, clap::Args)]
struct Wish {
    /// Exactly this many givens
    #[arg(long)]
    clues: Option<usize>,
    /// easy, medium, hard or extreme
    #[arg(long, conflicts_with_all = ["clues", "minimal"])]
    difficulty: Option<Difficulty>,
    /// No given may be superfluous
    #[arg(long)]
    minimal: bool,
    /// Least number of guesses that the exact solver needs
    #[arg(long, conflicts_with = "difficulty")]
    min_guesses: Option<u64>,
    /// Largest number of guesses that the exact solver needs
    #[arg(long, conflicts_with = "difficulty")]
    max_guesses: Option<u64>,
}

/// What only mazes have.
#[derive(Debug, clap::Args)]
struct MazeWish {
    /// Least steps from start to goal of a maze (default: like Maze-Hard, 109 of 30x30)
    #[arg(long)]
    min_distance: Option<usize>,
    /// Least and largest probability of a wall, drawn for each maze
    #[arg(long, num_args = 2, value_names = ["LEAST", "LARGEST"])]
    walls: Vec<f64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct GenerateArgs {
    /// `sudoku-9x9` (4, 6, 8, 9, 10, 12, 16 or 25), or a maze such as `maze-30x30`
    #[arg(long, default_value = "sudoku-9x9")]
    puzzle: PuzzleKind,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    maze: MazeWish,
    /// Number of puzzles
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Seed of the first; each further one counts up
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File to write: CSV, compressed if it ends in `.gz`
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct SplitArgs {
    /// `sudoku-4x4`, `sudoku-9x9`, `sudoku-16x16` and so on
    #[arg(long, default_value = "sudoku-9x9")]
    puzzle: Shape,
    #[command(flatten)]
    wish: Wish,
    /// Puzzles to train on
    #[arg(long)]
    train: usize,
    /// Puzzles to test on
    #[arg(long)]
    test: usize,
    /// Decides everything
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File of the training puzzles
    #[arg(long)]
    train_output: PathBuf,
    /// File of the test puzzles
    #[arg(long)]
    test_output: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
}

impl Wish {
    fn options(&self, shape: Shape) -> GeneratorOptions {
        match self.difficulty {
            Some(difficulty) => difficulty.options(shape),
            None => GeneratorOptions {
                clues: self.clues,
                minimal: self.minimal,
                min_guesses: self.min_guesses.unwrap_or(0),
                max_guesses: self.max_guesses,
                ..GeneratorOptions::any(shape)
            },
        }
    }

    fn is_default(&self) -> bool {
        self.clues.is_none()
            && self.difficulty.is_none()
            && !self.minimal
            && self.min_guesses.is_none()
            && self.max_guesses.is_none()
    }
}

impl MazeWish {
    fn options(&self, size: MazeSize) -> Result<MazeOptions> {
        let mut options = MazeOptions::hard(size);
        if let Some(steps) = self.min_distance {
            options.min_distance = steps;
        }
        if let [low, high] = self.walls[..] {
            if !(0.0 <= low && low <= high && high <= 1.0) {
                bail!("--walls {low} {high}: must be two shares in ascending order");
            }
            options.walls = (low, high);
        }
        Ok(options)
    }
}

pub(super) fn generate(args: &GenerateArgs) -> Result<()> {
    if args.count == 0 {
        bail!("--count is 0: nothing to generate");
    }
    Paths::new(args.force).writes("--output", &args.output)?;
    match args.puzzle {
        PuzzleKind::Sudoku(shape) => {
            if args.maze.min_distance.is_some() || !args.maze.walls.is_empty() {
                bail!("--min-distance and --walls are for mazes, not for {shape}");
            }
            let options = args.wish.options(shape);
            let rows = many(args, |seed| {
                Ok(sudoku_row(&hrm_core::puzzle::generate(seed, &options)?))
            })?;
            write(&args.output, &rows)
        }
        PuzzleKind::Maze(size) => {
            if !args.wish.is_default() {
                bail!("clues, difficulty and guesses are for Sudokus, not for {size}");
            }
            let options = args.maze.options(size)?;
            let rows = many(args, |seed| {
                let (question, answer) = generate_maze(seed, &options)?;
                let steps = question.distance().unwrap_or_default();
                Ok(Row {
                    source: "generated".to_owned(),
                    rating: u32::try_from(steps).unwrap_or(u32::MAX),
                    question,
                    answer,
                })
            })?;
            write(&args.output, &rows)
        }
        PuzzleKind::Arc(size) => bail!(
            "--puzzle {size}: tasks are not generated; hrm data arc makes a data set of published ones"
        ),
    }
}

/// The puzzles of `--count` seeds, on all cores.
fn many<P: Puzzle + Send>(
    args: &GenerateArgs,
    make: impl Fn(u64) -> Result<Row<P>> + Sync,
) -> Result<Vec<Row<P>>> {
    (0..args.count as u64)
        .into_par_iter()
        .progress_with(ProgressBar::new(args.count as u64))
        .map(|i| make(args.seed.wrapping_add(i)))
        .collect()
}

pub(super) fn split(args: &SplitArgs) -> Result<()> {
    let mut paths = Paths::new(args.force);
    paths.writes("--train-output", &args.train_output)?;
    paths.writes("--test-output", &args.test_output)?;
    let options = SplitOptions {
        puzzles: args.wish.options(args.puzzle),
        train: args.train,
        test: args.test,
        seed: args.seed,
    };
    let bar = ProgressBar::new((args.train + args.test) as u64);
    let split = build_split(&options, |found| bar.set_position(found as u64))?;
    bar.finish();
    let rows = |puzzles: &[Generated]| puzzles.iter().map(sudoku_row).collect::<Vec<_>>();
    write(&args.train_output, &rows(&split.train))?;
    write(&args.test_output, &rows(&split.test))
}

fn sudoku_row(made: &Generated) -> Row {
    Row {
        source: "generated".to_owned(),
        question: made.question.clone(),
        answer: made.answer.clone(),
        rating: u32::try_from(made.guesses).unwrap_or(u32::MAX),
    }
}

fn write<P: Puzzle>(path: &Path, rows: &[Row<P>]) -> Result<()> {
    dataset::write_file(path, rows).with_context(|| format!("writing {}", path.display()))?;
    outln!("{}: {} puzzles", path.display(), rows.len());
    Ok(())
}
