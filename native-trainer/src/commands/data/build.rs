//! `hrm data sudoku` and `hrm data maze`: training sets from published files.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hrm_core::puzzle::dataset::{self, Records, Row};
use hrm_core::puzzle::{Copies, Puzzle};
use indicatif::ProgressBar;

use super::select::{Chosen, Wish, choose, classes};
use super::source::{HubArgs, locate};
use crate::output::outln;
use crate::paths::{ForceArgs, Paths};
use crate::puzzles::{BadLines, ColumnArgs, explained};

#[derive(Debug, clap::Args)]
pub(super) struct BuildArgs {
    /// Files of puzzles, plain or gzip: CSV with the columns question and answer, and perhaps
    /// source and rating, under these or other usual names, or any other form that
    /// docs/formats.md names. Missing answers come from the exact solver. Paths, or
    /// hf:OWNER/DATASET/FILE of the dataset hub
    #[arg(required = true)]
    sources: Vec<String>,
    /// File of the training puzzles; compressed if it ends in `.gz`
    #[arg(long)]
    output: PathBuf,
    /// Use this many puzzles, chosen at random
    #[arg(long)]
    subsample: Option<usize>,
    /// Hold out this many puzzles, none of them equivalent to a training puzzle
    #[arg(long, requires = "held_out_output", default_value_t = 0)]
    held_out: usize,
    /// File of the held-out puzzles
    #[arg(long, requires = "held_out")]
    held_out_output: Option<PathBuf>,
    /// Use no puzzle that is equivalent to one of these files (a test set's, say)
    #[arg(long, num_args = 1..)]
    exclude: Vec<PathBuf>,
    /// Use puzzles of this rating or more only
    #[arg(long, default_value_t = 0)]
    min_rating: u32,
    /// Write this many rewritings by random symmetries after each training puzzle. `hrm
    /// train --copies` makes the same ones without a file
    #[arg(long, default_value_t = 0)]
    augment: u32,
    /// Write every training row a second time with a random part of the answer filled in
    /// (data mixing)
    #[arg(long)]
    hints: bool,
    /// Decides what is chosen, and the rewritings and hints
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Report lines that are no puzzle and go on, instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    hub: HubArgs,
}

impl BuildArgs {
    /// Tries the outputs; `sources` are the files that are read.
    fn try_outputs(&self, sources: &[PathBuf]) -> Result<()> {
        let read = sources.iter().chain(&self.exclude);
        let mut paths = read.fold(Paths::new(self.force), |paths, path| paths.reads(path));
        paths.writes("--output", &self.output)?;
        if let Some(path) = &self.held_out_output {
            paths.writes("--held-out-output", path)?;
        }
        Ok(())
    }
}

pub(super) fn run<P: Puzzle + Hash + Send + Sync>(args: &BuildArgs) -> Result<()> {
    // Once before anything is fetched, and once more with what that is.
    args.try_outputs(&[])?;
    let paths = args
        .sources
        .iter()
        .map(|source| locate(source, &args.hub))
        .collect::<Result<Vec<_>>>()?;
    args.try_outputs(&paths)?;
    let options = args.columns.options(None);
    let mut excluded = HashSet::new();
    for path in &args.exclude {
        let records = Records::<P>::open(path).map_err(explained)?;
        let rows = records.collect::<Result<Vec<_>, _>>()?;
        excluded.extend(classes(&rows).into_iter().flatten());
    }
    let wish = Wish {
        train: args.subsample,
        held_out: args.held_out,
        min_rating: args.min_rating,
        seed: args.seed,
        skip_bad: args.skip_bad,
    };
    let bar = ProgressBar::new_spinner().with_message("puzzles read");
    let mut records = paths
        .iter()
        .map(|path| Records::<P>::open_with(path, &options).map_err(explained))
        .collect::<Result<Vec<_>>>()?;
    let chosen = choose(
        bar.wrap_iter(records.iter_mut().flatten()),
        &wish,
        &excluded,
        |error| bar.suspend(|| BadLines::show(error)),
    )?;
    bar.finish_and_clear();
    check_kinds(&chosen)?;
    say(args, &chosen);
    for (path, records) in paths.iter().zip(&records) {
        let notes = records.notes();
        if !notes.is_empty() {
            outln!("{}: {notes}", path.display());
        }
    }

    let train = &chosen.train;
    let group = u64::from(args.augment).saturating_add(1) * if args.hints { 2 } else { 1 };
    let bar = ProgressBar::new(train.len() as u64 * group);
    let rows = bar.wrap_iter(rewritten(train, args.augment, args.hints, args.seed));
    write(&args.output, rows)?;
    bar.finish_and_clear();
    outln!(
        "{}: {} puzzles, {} rows",
        args.output.display(),
        train.len(),
        train.len() as u64 * group
    );
    if group > 1 {
        outln!(
            "train on it with --no-augment --group-rows {group}, so that an epoch draws one row of each puzzle"
        );
    }
    if let Some(path) = &args.held_out_output {
        write(path, chosen.held_out.iter().cloned())?;
        outln!("{}: {} puzzles", path.display(), chosen.held_out.len());
    }
    Ok(())
}

/// Puzzles of several sizes can't be trained on together.
fn check_kinds<P: Puzzle>(chosen: &Chosen<P>) -> Result<()> {
    let mut kinds = chosen
        .train
        .iter()
        .chain(&chosen.held_out)
        .map(|row| row.question.kind());
    if let Some(first) = kinds.next()
        && let Some(other) = kinds.find(|kind| *kind != first)
    {
        bail!("the files hold both {first} and {other}");
    }
    Ok(())
}

fn say<P>(args: &BuildArgs, chosen: &Chosen<P>) {
    outln!("{} puzzles read", chosen.read);
    for (count, what) in [
        (chosen.bad, "lines skipped that are no puzzle".to_owned()),
        (chosen.easy, format!("rated below {}", args.min_rating)),
        (
            chosen.equivalent,
            "equivalent to a held-out or excluded puzzle".to_owned(),
        ),
    ] {
        if count > 0 {
            outln!("{count} {what}");
        }
    }
}

/// Each puzzle and its rewritings, one group after the other; with `hints` every row
/// twice, the second time with hints.
fn rewritten<P: Puzzle>(
    rows: &[Row<P>],
    count: u32,
    hints: bool,
    seed: u64,
) -> impl Iterator<Item = Row<P>> {
    let copies = Copies { count, seed };
    rows.iter().enumerate().flat_map(move |(index, row)| {
        (0..=count).flat_map(move |number| {
            let index = index as u64;
            let (question, answer) = copies.copy(index, number, &row.question, &row.answer);
            let hinted = hints.then(|| Row {
                question: copies.hinted(index, number, &question, &answer),
                answer: answer.clone(),
                source: row.source.clone(),
                rating: row.rating,
            });
            let plain = Row {
                question,
                answer,
                source: row.source.clone(),
                rating: row.rating,
            };
            std::iter::once(plain).chain(hinted)
        })
    })
}

fn write<P: Puzzle>(path: &Path, rows: impl Iterator<Item = Row<P>>) -> Result<()> {
    dataset::write_rows(path, rows).with_context(|| format!("writing {}", path.display()))
}
