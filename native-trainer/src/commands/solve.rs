//! `hrm solve`: one line an answer.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use hrm_core::plan::Start;
use hrm_core::puzzle::{Board, Maze, PuzzleKind};
use hrm_core::reason::flow::{Agenda, Done, Guessing, Outcome, Stop, drive};
use hrm_core::reason::perturb::Perturbation;
use hrm_core::reason::{Guess, Guessable, Images, Rule, Verdict};

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};

/// Solve puzzles with a model and print one line each: the answer's
/// characters, then whether the rules accept it. The exit code is 0 if all
/// were solved, 3 if some were not, 1 on errors.
#[derive(Debug, clap::Args)]
pub(crate) struct SolveArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`
    #[arg(long)]
    checkpoint: PathBuf,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    /// How to choose among several guesses
    #[arg(long, default_value = "verifier", value_parser = rule)]
    rule: Rule,
    /// Guesses a puzzle: the first as it stands, the others on symmetric images
    /// of it (of a maze there are eight)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    guesses: u32,
    /// Segments of each guess
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Decides the symmetries
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Processor
    #[arg(long, default_value = "auto")]
    device: Device,
    /// One JSON object a line instead
    #[arg(long)]
    json: bool,
    /// Puzzles, each as its cells' characters: of a Sudoku digits and `.`, `0` or
    /// `_` for blanks, of a maze `#`, space, `S` and `G`. `-` reads lines from
    /// standard input
    #[arg(required = true, allow_hyphen_values = true)]
    puzzles: Vec<String>,
}

/// Guesses that run at a time.
const BATCH: usize = 64;

/// A rule by its name.
pub(crate) fn rule(name: &str) -> Result<Rule, String> {
    Rule::ALL
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, rule)| *rule)
        .ok_or_else(|| {
            let names: Vec<_> = Rule::ALL.iter().map(|(n, _)| *n).collect();
            format!("unknown rule; there are {}", names.join(", "))
        })
}

/// Whether every puzzle was solved.
pub(crate) fn run(args: &SolveArgs) -> Result<bool> {
    let Checkpoint { plan, weights } = Checkpoint::load(&args.checkpoint, args.config.as_deref())?;
    let engine = Engine::new(args.device, None, &plan, &weights)?;
    let start = plan.start;
    match plan.config.puzzle {
        PuzzleKind::Sudoku(shape) => solve_all::<Board>(args, &engine, start, shape),
        PuzzleKind::Maze(size) => solve_all::<Maze>(args, &engine, start, size),
    }
}

fn solve_all<P>(args: &SolveArgs, engine: &Engine, start: Start, kind: P::Kind) -> Result<bool>
where
    P: Guessable<ParseError: Send + Sync + 'static>,
{
    let how = Guessing {
        guesses: args.guesses as usize,
        segments: args.segments as usize,
        stop: Stop::Depth,
        perturbation: Perturbation {
            images: Images::Symmetry,
            initial_noise: 0.0,
            update_noise: 0.0,
            random_start: start == Start::Random,
        },
        seed: args.seed,
    };
    let mut all_solved = true;
    let mut index = 0;
    let mut solve = |text: &str, place: &str| -> Result<()> {
        let board = P::parse(text, Some(kind)).with_context(|| place.to_owned())?;
        if let Some(flaw) = board.flaw() {
            bail!("{place}: {flaw}");
        }
        let outcomes = outcomes(engine, &board, index, how)?;
        index += 1;
        let guesses: Vec<Guess> = outcomes.iter().map(Outcome::guess).collect();
        let Some(chosen) = args.rule.choose(&guesses).map(|i| &outcomes[i]) else {
            bail!("{place}: no guess was made");
        };
        let verdict = match (chosen.solved, chosen.halted) {
            (true, _) => Verdict::Solved,
            (false, true) => Verdict::HaltedWrong,
            (false, false) => Verdict::Wandering,
        };
        all_solved &= chosen.solved;
        let grid = &chosen.grid;
        let verdict = serde_json::to_value(verdict)?;
        if args.json {
            println!(
                "{}",
                serde_json::json!({
                    "puzzle": board.to_string(),
                    "answer": grid.to_string(),
                    "verdict": verdict,
                    "conflicts": grid.conflicts(),
                    "guesses": guesses,
                })
            );
        } else {
            println!("{grid} {}", verdict.as_str().unwrap_or_default());
        }
        Ok(())
    };
    for (i, puzzle) in args.puzzles.iter().enumerate() {
        if puzzle == "-" {
            for (n, line) in std::io::stdin().lock().lines().enumerate() {
                let line = line.context("reading standard input")?;
                if !line.trim().is_empty() {
                    solve(&line, &format!("line {}", n + 1))?;
                }
            }
        } else {
            solve(puzzle, &format!("puzzle {}", i + 1))?;
        }
    }
    Ok(all_solved)
}

/// What came of the guesses at one puzzle; its index decides the images.
fn outcomes<P: Guessable>(
    engine: &Engine,
    board: &P,
    index: usize,
    how: Guessing,
) -> Result<Vec<Outcome<P>>> {
    let mut agenda = Agenda::new(how, 0, vec![(index, board.clone())]);
    let mut done: Vec<Done<P>> = Vec::new();
    let capacity = how.guesses.min(BATCH);
    drive(&mut engine.places(capacity), capacity, &how, &mut |ended| {
        done.extend(ended);
        agenda.next(None)
    })?;
    done.sort_by_key(|d| d.guess);
    Ok(done.into_iter().map(|d| d.outcome).collect())
}
