//! `hrm eval`: accuracy of a model on a set of puzzles.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use hrm_core::puzzle::{Board, dataset, fill_share};
use hrm_core::reason::{Proportion, Rule};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::guess::{self, Options};

/// Puzzles in one batch: enough to keep matrix products large, few enough
/// that the last ones don't leave cores idle.
const CHUNK: usize = 8;

/// Measure a model's accuracy on a puzzle file, with 95 % Wilson intervals.
#[derive(Debug, clap::Args)]
pub(crate) struct EvalArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`
    #[arg(long)]
    checkpoint: PathBuf,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    /// Puzzles: CSV `source,question,answer,rating`, plain or gzip
    #[arg(long)]
    data: PathBuf,
    /// Another checkpoint to compare with (a quantized one's original, say):
    /// the share of puzzles on which the first guesses end in the same grid
    #[arg(long)]
    against: Option<PathBuf>,
    /// Use only the first N rows
    #[arg(long)]
    limit: Option<usize>,
    /// Share of each puzzle's blanks that is filled in from the answer
    #[arg(long, default_value_t = 0.0)]
    filled: f64,
    /// Guesses a puzzle; with more than one, every selection rule is scored
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    guesses: u32,
    /// Segments of each guess
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Decides which blanks are filled and the symmetries of guesses
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Processor
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What one puzzle contributed.
struct Outcome {
    /// Right by the answer key, by rule in the order of [`Rule::ALL`].
    right: [bool; Rule::ALL.len()],
    /// Share of the first guess's cells that are right.
    cells: f64,
    /// First guess right after each segment.
    by_segment: Vec<bool>,
    /// Whether the first guess says at the end that it is done.
    halted: bool,
    /// Whether the other checkpoint's first guess ends in the same grid.
    identical: bool,
}

/// The result, as printed with `--json`.
#[derive(Debug, Serialize)]
struct Evaluation {
    data: String,
    filled: f64,
    guesses: u32,
    segments: u32,
    seed: u64,
    rules: Vec<(String, Proportion)>,
    /// Share of cells right of the first guess.
    cells: f64,
    /// First guesses that say they are done at the end, and how many of
    /// those are right.
    halted: Proportion,
    halted_right: Proportion,
    /// First guesses that end in the same grid as the other checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    identical: Option<Proportion>,
    /// First guesses right after each segment.
    by_segment: Vec<usize>,
    seconds: f64,
    engine: String,
}

pub(crate) fn run(args: &EvalArgs) -> Result<()> {
    ensure!(
        (0.0..=1.0).contains(&args.filled),
        "--filled is {}, must be a share from 0 to 1",
        args.filled
    );
    let Checkpoint { plan, weights } = Checkpoint::load(&args.checkpoint, args.config.as_deref())?;
    let mut rows = dataset::read_file(&args.data)?;
    rows.truncate(args.limit.unwrap_or(usize::MAX));
    ensure!(!rows.is_empty(), "{} has no puzzles", args.data.display());
    let shape = plan.config.puzzle;
    if let Some(i) = rows.iter().position(|r| r.question.shape() != shape) {
        anyhow::bail!(
            "{}: row {} is a {}, the model plays {shape}",
            args.data.display(),
            i + 1,
            rows[i].question.shape()
        );
    }
    let questions: Vec<Board> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let mut rng = ChaCha8Rng::seed_from_u64(args.seed ^ 0x5eed);
            rng.set_stream(i as u64);
            fill_share(&mut rng, &row.question, &row.answer, args.filled)
        })
        .collect();

    let engine = Engine::new(args.device, &plan, &weights)?;
    let other = match &args.against {
        None => None,
        Some(path) => {
            let other = Checkpoint::load(path, None)?;
            ensure!(
                other.plan.config.puzzle == shape,
                "{} plays {}, not {shape}",
                path.display(),
                other.plan.config.puzzle
            );
            // Always the CPU, in f32: the reference of every engine.
            Some(Engine::new(Device::Cpu, &other.plan, &other.weights)?)
        }
    };
    let options = Options {
        guesses: args.guesses as usize,
        segments: args.segments as usize,
        seed: args.seed,
    };
    let start = Instant::now();
    let one_chunk = |(c, chunk): (usize, &[Board])| -> Result<Vec<Outcome>> {
        let boards: Vec<&Board> = chunk.iter().collect();
        let attempts = guess::attempt(&engine, &boards, c * CHUNK, options)?;
        let mut outcomes: Vec<Outcome> = attempts
            .iter()
            .zip(&rows[c * CHUNK..])
            .map(|(a, row)| outcome(a, &row.answer))
            .collect();
        if let Some(other) = &other {
            let others = guess::attempt(
                other,
                &boards,
                c * CHUNK,
                Options {
                    guesses: 1,
                    ..options
                },
            )?;
            for ((outcome, a), b) in outcomes.iter_mut().zip(&attempts).zip(&others) {
                outcome.identical = a.guesses[0].grid == b.guesses[0].grid;
            }
        }
        Ok(outcomes)
    };
    let chunks: Vec<(usize, &[Board])> = questions.chunks(CHUNK).enumerate().collect();
    let bar = ProgressBar::new(chunks.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {percent}% of the puzzles, {eta} left",
    )?);
    let counted = |chunk: &(usize, &[Board])| {
        let outcomes = one_chunk(*chunk);
        bar.inc(1);
        outcomes
    };
    let outcomes: Vec<Vec<Outcome>> = if matches!(engine, Engine::Cpu(_)) {
        chunks.par_iter().map(counted).collect::<Result<_>>()?
    } else {
        // A GPU has one queue: batches follow one another.
        chunks.iter().map(counted).collect::<Result<_>>()?
    };
    bar.finish_and_clear();
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();

    let n = outcomes.len();
    let count = |f: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| f(o)).count();
    let halted = count(&|o| o.halted);
    let shown = if args.guesses == 1 {
        1
    } else {
        Rule::ALL.len()
    };
    let evaluation = Evaluation {
        data: args
            .data
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        filled: args.filled,
        guesses: args.guesses,
        segments: args.segments,
        seed: args.seed,
        rules: (0..shown)
            .map(|i| {
                (
                    Rule::ALL[i].0.to_owned(),
                    Proportion::new(count(&|o| o.right[i]), n),
                )
            })
            .collect(),
        cells: outcomes.iter().map(|o| o.cells).sum::<f64>() / n as f64,
        halted: Proportion::new(halted, n),
        halted_right: Proportion::new(count(&|o| o.halted && o.right[0]), halted),
        identical: args
            .against
            .is_some()
            .then(|| Proportion::new(count(&|o| o.identical), n)),
        by_segment: (0..options.segments)
            .map(|s| count(&|o| o.by_segment[s]))
            .collect(),
        seconds: start.elapsed().as_secs_f64(),
        engine: engine.name().to_owned(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&evaluation)?);
    } else {
        print_table(&evaluation);
    }
    Ok(())
}

fn outcome(attempt: &guess::Attempt, answer: &Board) -> Outcome {
    let right = Rule::ALL.map(|(_, rule)| {
        rule.choose(&attempt.guesses)
            .is_some_and(|i| attempt.guesses[i].grid == answer.cells())
    });
    let last = attempt.first.last();
    let grid = last.map_or(&[][..], |r| &r.grid);
    let same = grid
        .iter()
        .zip(answer.cells())
        .filter(|(a, b)| a == b)
        .count();
    Outcome {
        right,
        cells: same as f64 / answer.cells().len() as f64,
        by_segment: attempt
            .first
            .iter()
            .map(|r| r.grid == answer.cells())
            .collect(),
        halted: last.is_some_and(|r| r.halted),
        identical: false,
    }
}

fn print_table(e: &Evaluation) {
    println!(
        "{}: {:.0} % of the blanks filled in, {} segments, {} guess(es)",
        e.data,
        100.0 * e.filled,
        e.segments,
        e.guesses
    );
    for (name, p) in &e.rules {
        println!("  {name:<16} {p}");
    }
    println!("  {:<16} {:.2} %", "cells right", 100.0 * e.cells);
    println!("  {:<16} {}", "halted", e.halted);
    println!("  {:<16} {}", "right if halted", e.halted_right);
    if let Some(identical) = &e.identical {
        println!("  {:<16} {identical}", "same grid");
    }
    println!(
        "  right after segment 1..{}: {:?}",
        e.segments, e.by_segment
    );
    println!("  {:.1} s on {}", e.seconds, e.engine);
}
