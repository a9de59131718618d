//! `hrm data`: puzzle files.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use hrm_core::puzzle::dataset::{self, Row};
use hrm_core::puzzle::{
    Difficulty, Generated, GeneratorOptions, Shape, SplitOptions, build_split, generate,
};
use indicatif::ProgressBar;

/// Make puzzle files.
#[derive(Debug, clap::Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Puzzles with exactly one solution, offline and from a seed
    Generate(GenerateArgs),
    /// A training and a test file that share no puzzle up to symmetry; for
    /// 6x6 no solution grid either
    Split(SplitArgs),
}

#[derive(Debug, clap::Args)]
struct Wish {
    /// `sudoku-4x4`, `sudoku-6x6` or `sudoku-9x9`
    #[arg(long, default_value = "sudoku-9x9")]
    puzzle: Shape,
    /// Exactly this many givens
    #[arg(long)]
    clues: Option<usize>,
    /// easy, medium, hard or extreme
    #[arg(long, conflicts_with_all = ["clues", "minimal"])]
    difficulty: Option<Difficulty>,
    /// No given may be superfluous
    #[arg(long)]
    minimal: bool,
}

#[derive(Debug, clap::Args)]
struct GenerateArgs {
    #[command(flatten)]
    wish: Wish,
    /// Number of puzzles
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Seed of the first; each further one counts up
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File to write: CSV, compressed if it ends in `.gz`
    #[arg(long)]
    output: PathBuf,
}

#[derive(Debug, clap::Args)]
struct SplitArgs {
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
}

impl Wish {
    fn options(&self) -> GeneratorOptions {
        match self.difficulty {
            Some(difficulty) => difficulty.options(self.puzzle),
            None => GeneratorOptions {
                clues: self.clues,
                minimal: self.minimal,
                ..GeneratorOptions::any(self.puzzle)
            },
        }
    }
}

pub(crate) fn run(args: &DataArgs) -> Result<()> {
    match &args.what {
        What::Generate(args) => {
            if args.count == 0 {
                bail!("--count is 0: nothing to generate");
            }
            let options = args.wish.options();
            let bar = ProgressBar::new(args.count as u64);
            let puzzles = bar
                .wrap_iter(0..args.count as u64)
                .map(|i| generate(args.seed.wrapping_add(i), &options))
                .collect::<Result<Vec<_>, _>>()?;
            write(&args.output, &puzzles)
        }
        What::Split(args) => {
            let options = SplitOptions {
                puzzles: args.wish.options(),
                train: args.train,
                test: args.test,
                seed: args.seed,
            };
            let bar = ProgressBar::new((args.train + args.test) as u64);
            let split = build_split(&options, |found| bar.set_position(found as u64))?;
            bar.finish();
            write(&args.train_output, &split.train)?;
            write(&args.test_output, &split.test)
        }
    }
}

fn write(path: &std::path::Path, puzzles: &[Generated]) -> Result<()> {
    let rows: Vec<Row> = puzzles
        .iter()
        .map(|p| Row {
            source: "generated".to_owned(),
            question: p.question.clone(),
            answer: p.answer.clone(),
            rating: u32::try_from(p.guesses).unwrap_or(u32::MAX),
        })
        .collect();
    dataset::write_file(path, &rows).with_context(|| format!("writing {}", path.display()))?;
    println!("{}: {} puzzles", path.display(), rows.len());
    Ok(())
}
