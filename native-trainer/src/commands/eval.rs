//! `hrm eval`: accuracy of one or several models on a set of puzzles.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{ArgMatches, Subcommand as _};
use hrm_core::plan::{Plan, Start};
use hrm_core::puzzle::{Board, Maze, PuzzleKind};
use hrm_core::reason::commit::Commitment;
use hrm_core::reason::score::Summary;
use hrm_core::reason::{Guessable, Guessing, Images, Key, Perturbation, Proportion, Search, Stop};
use hrm_shaders::Variant;
use serde::Serialize;

use super::eval_arc;
use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::evaluate::{self, Evaluation, Log, Model, Named, Setup, Spread, arc};
use crate::output::outln;
use crate::paths::{ForceArgs, Paths, write};
use crate::puzzles::PuzzleArgs;

/// What `hrm eval` is asked for.
#[derive(Debug)]
pub(crate) enum EvalArgs {
    /// An evaluation.
    Run(Box<RunArgs>),
    /// What to do with those there are.
    What(What),
}

// By hand, because derived arguments that are replaced by a subcommand can't
// be made of other structs.
impl clap::FromArgMatches for EvalArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if matches.subcommand_name().is_some() {
            What::from_arg_matches(matches).map(Self::What)
        } else {
            RunArgs::from_arg_matches(matches).map(|run| Self::Run(Box::new(run)))
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for EvalArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        What::augment_subcommands(RunArgs::augment_args(command))
            .about("Measure accuracy on a puzzle file, with 95 % Wilson intervals")
            .long_about(
                "Measure accuracy on a puzzle file, with 95 % Wilson intervals.\n\n\
                 One pass over the data scores every selection rule. `hrm eval merge` puts the \
                 files of shards together.",
            )
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
            .subcommand_required(false)
            .arg_required_else_help(false)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Put the record files of all shards of an evaluation together
    Merge(MergeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// Files that `--records` has written
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct OutputArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write the result as JSON to this file, which `hrm report` reads
    #[arg(long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
}

impl OutputArgs {
    /// Tries the file before the work, which is to read other ones.
    fn try_output(&self, mut paths: Paths) -> Result<()> {
        match &self.output {
            Some(path) => paths.writes("--output", path),
            None => Ok(()),
        }
    }

    /// Prints a result, as JSON or by `print`, and writes it where it is wanted.
    fn show<E: Serialize>(&self, evaluation: &E, print: impl FnOnce(&E)) -> Result<()> {
        let json = serde_json::to_string_pretty(evaluation)?;
        if let Some(path) = &self.output {
            write(path, format!("{json}\n").as_bytes())?;
        }
        if self.json {
            outln!("{json}");
        } else {
            print(evaluation);
        }
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`; several guess together
    #[arg(long, required = true, num_args = 1..)]
    checkpoint: Vec<PathBuf>,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) puzzles: PuzzleArgs,
    /// Another checkpoint to compare with (a quantized one's original, say):
    /// the share of puzzles on which the plain passes end in the same grid
    #[arg(long)]
    pub(super) against: Option<PathBuf>,
    /// Guesses a puzzle and checkpoint; the first is the plain pass
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) guesses: u32,
    /// Images of the puzzle that the other guesses are at: identity, symmetry
    /// (the whole group), of a Sudoku cyclic (the reference's digit shifts) and
    /// relabel (random digits), of a maze swap (the reference's second pass,
    /// start and goal exchanged)
    #[arg(long, default_value = "symmetry", value_parser = images)]
    images: Images,
    /// Standard deviation of noise on the initial states of the other guesses
    #[arg(long, default_value_t = 0.0)]
    pub(super) initial_noise: f64,
    /// The same after every update
    #[arg(long, default_value_t = 0.0)]
    pub(super) update_noise: f64,
    /// Segments of each guess
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) segments: u32,
    /// When a guess ends: depth (at the last segment, as papers evaluate),
    /// halted (when the model says so), solved (when the rules accept its
    /// grid), first-verified (and then the other guesses are not made)
    #[arg(long, default_value = "depth", value_parser = stop)]
    pub(super) stop: Stop,
    /// Search instead of guessing, with as many states as guesses and the
    /// same segments: beam-conflicts and beam-residual keep the better half of
    /// the states, agreement restarts with the cells that all agree on, commit
    /// gives every state one more cell that it believes in. A search ends when
    /// the rules accept a grid
    #[arg(long, value_parser = search)]
    pub(super) search: Option<Search>,
    /// Segments between a search's choices, by default 2 for commit and 4 for
    /// the others
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    search_period: Option<u32>,
    /// Segments after which a committing state begins anew, by default 24
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    search_life: Option<u32>,
    /// How freely a committing state chooses its cells: 0 takes the surest, 1
    /// draws by the model's probabilities; by default 0.8
    #[arg(long)]
    search_temperature: Option<f64>,
    /// Deviation of the noise on a beam's copies
    #[arg(long, default_value_t = 0.5)]
    search_noise: f64,
    /// Decides which blanks are filled, the images and the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Processor
    #[arg(long, default_value = "cpu")]
    pub(super) device: Device,
    /// Form of the kernels with --device wgpu: direct, tiled, half or packed;
    /// by default the one that a trial finds fastest
    #[arg(long)]
    pub(super) kernels: Option<Variant>,
    /// Batches at a time on the CPU, by default one a core
    #[arg(long)]
    pub(super) threads: Option<usize>,
    /// Guesses in a batch, by default 8 on the CPU and 128 on a GPU
    #[arg(long)]
    pub(super) batch: Option<usize>,
    /// Only every n-th puzzle from the i-th on, as `i/n`
    #[arg(long, default_value = "1/1", value_parser = shard)]
    pub(super) shard: [usize; 2],
    /// File that keeps every guess as it comes in; if it exists, the
    /// evaluation goes on where it ended
    #[arg(long)]
    pub(super) records: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A choice by its name.
fn named<T: Copy>(all: &[(&'static str, T)], name: &str) -> Result<T, String> {
    all.iter()
        .find(|(n, _)| *n == name)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|(n, _)| *n).collect();
            format!("there are {}", names.join(", "))
        })
}

fn images(name: &str) -> Result<Images, String> {
    named(&Images::ALL, name)
}

/// A search with the period and noise still to be set.
fn search(name: &str) -> Result<Search, String> {
    let beam = |by| Search::Beam {
        by,
        period: 0,
        noise: 0.0,
    };
    let all = [
        ("beam-conflicts", beam(Key::Conflicts)),
        ("beam-residual", beam(Key::Residual)),
        ("agreement", Search::Agreement { period: 0 }),
        ("commit", Search::Commit(Commitment::default())),
    ];
    named(&all, name)
}

fn stop(name: &str) -> Result<Stop, String> {
    named(&Stop::ALL, name)
}

/// `i/n`, from 1, as `[i - 1, n]`.
fn shard(text: &str) -> Result<[usize; 2], String> {
    text.split_once('/')
        .and_then(|(i, n)| Some([i.parse().ok()?, n.parse().ok()?]))
        .filter(|[i, n]| (1..=*n).contains(i))
        .map(|[i, n]: [usize; 2]| [i - 1, n])
        .ok_or_else(|| "expected i/n with i from 1 to n".into())
}

pub(crate) fn run(args: &EvalArgs) -> Result<()> {
    match args {
        EvalArgs::What(What::Merge(merge)) => {
            let paths = Paths::new(merge.output.force);
            let paths = merge
                .files
                .iter()
                .fold(paths, |paths, path| paths.reads(path));
            merge.output.try_output(paths)?;
            let merged = evaluate::merge(&merge.files)?;
            merge.output.show(&merged, print_table)
        }
        EvalArgs::Run(args) => {
            let mut paths = Paths::new(args.output.force).reads(&args.puzzles.data);
            if let Some(records) = &args.records {
                paths.goes_on("--records", records)?;
            }
            args.output.try_output(paths)?;
            match evaluation(args)? {
                Evaluated::Ruled(evaluation) => args.output.show(&*evaluation, print_table),
                Evaluated::Arc(evaluation) => args.output.show(&*evaluation, eval_arc::print),
            }
        }
    }
}

/// An evaluation of puzzles with rules, or of ARC tasks.
enum Evaluated {
    Ruled(Box<Evaluation>),
    Arc(Box<arc::Evaluation>),
}

fn evaluation(args: &RunArgs) -> Result<Evaluated> {
    for (name, value) in [
        ("--initial-noise", args.initial_noise),
        ("--update-noise", args.update_noise),
        ("--search-noise", args.search_noise),
        (
            "--search-temperature",
            args.search_temperature.unwrap_or(0.0),
        ),
    ] {
        ensure!(
            value.is_finite() && value >= 0.0,
            "{name} is {value}, must be finite and not below 0"
        );
    }
    let mut models: Vec<Model> = args
        .checkpoint
        .iter()
        .map(|path| Model {
            path: path.clone(),
            config: args.config.clone(),
            board: None,
        })
        .collect();
    let mut first = models.first().context("no checkpoint is given")?.load()?;
    if let Some(board) = args.puzzles.board(&first.plan) {
        models.iter_mut().for_each(|m| m.board = Some(board));
        first = first.on(board)?;
    }
    match first.plan.config.puzzle {
        PuzzleKind::Sudoku(_) => evaluation_of::<Board>(args, &models, &first),
        PuzzleKind::Maze(_) => evaluation_of::<Maze>(args, &models, &first),
        PuzzleKind::Arc(_) => {
            let evaluation = eval_arc::evaluation(args, &models)?;
            return Ok(Evaluated::Arc(Box::new(evaluation)));
        }
    }
    .map(|evaluation| Evaluated::Ruled(Box::new(evaluation)))
}

/// The same of one kind of puzzle; `first` is the first of the models.
fn evaluation_of<P: Guessable>(
    args: &RunArgs,
    models: &[Model],
    first: &Checkpoint,
) -> Result<Evaluation> {
    let kind = first.plan.config.puzzle;
    let mut checkpoints: Vec<Named> = Vec::new();
    for model in models {
        let checkpoint = model.load()?;
        let theirs = checkpoint.plan.config.puzzle;
        ensure!(
            theirs == kind,
            "{} plays {theirs}, not {kind}",
            model.path.display()
        );
        checkpoints.push(model.named(&checkpoint));
    }
    let set = args.puzzles.load::<P>(kind, args.seed)?;
    let guesses = args.guesses as usize;
    let random_start = first.plan.start == Start::Random;
    check_images::<P>(args, set.rows[0].question.kind(), &first.plan)?;
    let engine = Engine::new(args.device, args.kernels, &first.plan, &first.weights)?;
    let setup = Setup {
        puzzle: kind.sudoku().is_err().then_some(kind),
        data: Named {
            name: set.name.clone(),
            sha256: set.sha256.clone(),
        },
        rows: set.rows.len(),
        skipped: set.skipped,
        filled: args.puzzles.filled,
        checkpoints,
        how: Guessing {
            guesses,
            segments: args.segments as usize,
            stop: args.stop,
            perturbation: Perturbation {
                images: args.images,
                initial_noise: args.initial_noise,
                update_noise: args.update_noise,
                random_start,
            },
            seed: args.seed,
        },
        search: args.search.map(|search| {
            let period = |usual| args.search_period.map_or(usual, |p| p as usize);
            match search {
                Search::Beam { by, .. } => Search::Beam {
                    by,
                    period: period(4),
                    noise: args.search_noise,
                },
                Search::Agreement { .. } => Search::Agreement { period: period(4) },
                Search::Commit(usual) => Search::Commit(Commitment {
                    period: period(usual.period),
                    life: args.search_life.map_or(usual.life, |l| l as usize),
                    temperature: args.search_temperature.unwrap_or(usual.temperature),
                }),
            }
        }),
        engine: engine.name().to_owned(),
        shard: args.shard,
    };
    let spread = Spread {
        device: args.device,
        kernels: args.kernels,
        threads: args.threads.unwrap_or_else(rayon::current_num_threads),
        batch: args.batch.unwrap_or(if engine.is_gpu() { 128 } else { 8 }),
    };
    ensure!(spread.batch > 0, "--batch must not be 0");
    drop(engine);
    let log = match &args.records {
        None => Log::in_memory(),
        Some(path) => Log::open(path, &setup)?,
    };
    let log = evaluate::run(models, &set, &setup, spread, log)?;
    let seconds = log.seconds();
    let identical = match &args.against {
        None => None,
        Some(other) => Some(evaluate::identical(
            other,
            &set,
            &setup,
            spread,
            log.records(),
        )?),
    };
    Ok(Evaluation {
        summary: Summary::new(log.records()),
        setup,
        identical,
        seconds,
    })
}

/// Refuses images that such puzzles do not have, and more guesses than images where
/// nothing else makes them differ.
fn check_images<P: Guessable>(args: &RunArgs, kind: P::Kind, plan: &Plan) -> Result<()> {
    let (images, guesses) = (args.images.name(), args.guesses as usize);
    let known: Vec<&str> = P::IMAGES.iter().map(|i| i.name()).collect();
    ensure!(
        P::IMAGES.contains(&args.images),
        "--images {images}: of {kind} there are {}",
        known.join(", ")
    );
    let noise = args.initial_noise > 0.0 || args.update_noise > 0.0;
    let differ = plan.start == Start::Random || noise || args.search.is_some();
    ensure!(
        guesses == 1 || differ || !plan.sees_images_alike(),
        "--images {images}: the network knows neither digits nor lines by name, so guesses at \
         images of a puzzle are the same guess; let them differ by --initial-noise 0.5"
    );
    if let Some(count) = P::image_count(args.images, kind).filter(|_| !differ) {
        ensure!(
            guesses <= count,
            "--images {images}: {kind} has {count} of them, so without noise {guesses} guesses \
             are not all different"
        );
    }
    Ok(())
}

fn print_table(e: &Evaluation) {
    let (setup, s) = (&e.setup, &e.summary);
    let names: Vec<&str> = setup.checkpoints.iter().map(|c| c.name.as_str()).collect();
    outln!(
        "{} on {}: {:.0} % of the blanks filled in, up to {} segments, {} guess(es) a checkpoint",
        names.join(", "),
        setup.data.name,
        100.0 * setup.filled,
        setup.how.segments,
        setup.how.guesses
    );
    if setup.skipped > 0 {
        outln!("  {} lines of it are no puzzle", setup.skipped);
    }
    if setup.shard[1] > 1 {
        outln!("  shard {} of {}", setup.shard[0] + 1, setup.shard[1]);
    }
    let list = |indent: &str, shares: &[(String, Proportion)]| {
        for (name, p) in shares {
            outln!("  {:<29} {p}", format!("{indent}{name}"));
        }
    };
    match &s.graded {
        None => list("", &s.rules),
        Some(graded) => {
            for (what, shares) in [
                ("equal to the key", &s.rules),
                ("valid (leads from start to goal)", &graded.valid),
                ("optimal (a shortest route)", &graded.optimal),
            ] {
                outln!("  {what}:");
                list("  ", shares);
            }
        }
    }
    list("", &s.labelled);
    outln!(
        "  {:<29} {:.2} %",
        "cells right, plain pass",
        100.0 * s.cells
    );
    outln!("  {:<29} {}", "plain pass halted", s.halted);
    outln!("  {:<29} {}", "right if halted", s.halted_right);
    if let Some(identical) = &e.identical {
        outln!("  {:<29} {identical}", "same grid");
    }
    outln!(
        "  {:<29} mean {:.1}, 90 % of puzzles at most {}",
        "segments a puzzle",
        s.spent.mean,
        s.spent.p90
    );
    if e.setup.search.is_some() || e.setup.how.stop == Stop::FirstVerified {
        for (segments, share) in &s.verified_within {
            outln!("  {:<29} {share}", format!("verified within {segments}"));
        }
    }
    outln!("  accepted after segment 1, 2, …: {:?}", s.by_segment);
    for bucket in &s.ratings {
        let range = match bucket.to {
            Some(to) if to == bucket.from => format!("rating {to}"),
            Some(to) => format!("rating {} to {to}", bucket.from),
            None => format!("rating {} and more", bucket.from),
        };
        let shown: Vec<String> = bucket
            .rules
            .iter()
            .filter(|(name, _)| ["single", "majority", "verifier"].contains(&name.as_str()))
            .map(|(name, p)| format!("{name} {p}"))
            .collect();
        outln!("  {range:<29} {}", shown.join("; "));
    }
    outln!("  {:.1} s on {}", e.seconds, setup.engine);
}
