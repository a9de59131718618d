//! `hrm data`: puzzle files.

mod arc;
mod build;
mod generate;
mod select;
mod source;

use anyhow::Result;
use hrm_core::puzzle::{Board, Maze};

/// Make puzzle files.
#[derive(Debug, clap::Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A training set from published Sudokus (columns source, question, answer, rating)
    Sudoku(build::BuildArgs),
    /// The same from published mazes
    Maze(build::BuildArgs),
    /// Training and test rows from ARC tasks and their rewritings (columns source, question,
    /// answer, identifier)
    Arc(arc::ArcArgs),
    /// Sudokus with exactly one solution, or mazes, offline and from a seed
    Generate(generate::GenerateArgs),
    /// A generated training and test file that share no puzzle up to symmetry;
    /// for 6x6 no solution grid either
    Split(generate::SplitArgs),
}

pub(crate) fn run(args: &DataArgs) -> Result<()> {
    match &args.what {
        What::Sudoku(args) => build::run::<Board>(args),
        What::Maze(args) => build::run::<Maze>(args),
        What::Arc(args) => arc::run(args),
        What::Generate(args) => generate::generate(args),
        What::Split(args) => generate::split(args),
    }
}
