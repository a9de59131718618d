//! `hrm solve`: one line an answer.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hrm_core::plan::Start;
use hrm_core::puzzle::dataset::{DatasetError, ReadOptions, unpacked};
use hrm_core::puzzle::reader::{Entry, PuzzleReader};
use hrm_core::puzzle::{Board, Maze, PuzzleKind};
use hrm_core::reason::{
    Agenda, Done, Driver, Guess, Guessable, Guessing, Images, Perturbation, Rule, Stop, Verdict,
};
use pollster::block_on;

use super::solve_arc;
use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::output::{self, errln, outln};
use crate::puzzles::{ColumnArgs, explained};

/// Solve puzzles with a model and print one line each: the answer's
/// characters, then whether the rules accept it. What is no puzzle is
/// reported and the others are solved. The exit code is 0 if all were solved,
/// 3 if some were not, 1 if something was no puzzle or went wrong.
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
    /// of it (of a maze there are eight), or where all images are the same to
    /// the network, from noisy initial states
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) guesses: u32,
    /// Segments of each guess
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) segments: u32,
    /// Decides the symmetries
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Processor
    #[arg(long, default_value = "auto")]
    pub(super) device: Device,
    /// One JSON object a line instead
    #[arg(long)]
    pub(super) json: bool,
    /// Stop at the first line that is no puzzle
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Puzzles, each as its cells' characters: of a Sudoku digits and `.`, `0` or
    /// `_` for blanks, of a maze `#`, space, `S` and `G` or other common signs;
    /// files of puzzles in any form that docs/formats.md names; `-` for standard
    /// input. Of ARC files of rows that hrm data arc writes: a line a test, with
    /// the two most frequent answers
    #[arg(required = true, allow_hyphen_values = true)]
    pub(super) puzzles: Vec<String>,
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

/// What came of all puzzles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Each is solved.
    Solved,
    /// One is not.
    Unsolved,
    /// Something was no puzzle.
    Bad,
}

pub(crate) fn run(args: &SolveArgs) -> Result<Outcome> {
    let checkpoint = Checkpoint::load(&args.checkpoint, args.config.as_deref())?;
    match checkpoint.plan.config.puzzle {
        PuzzleKind::Sudoku(shape) => Solver::<Board>::new(args, checkpoint, shape)?.all(),
        PuzzleKind::Maze(size) => Solver::<Maze>::new(args, checkpoint, size)?.all(),
        PuzzleKind::Arc(_) => solve_arc::run(args, &checkpoint),
    }
}

/// Deviation of the noise on the initial states of guesses that differ by
/// nothing else.
const NOISE: f64 = 0.5;

/// Solves one puzzle after the other.
struct Solver<'a, P: Guessable> {
    args: &'a SolveArgs,
    checkpoint: Checkpoint,
    /// An engine for each board so far.
    engines: Vec<(P::Kind, Engine)>,
    how: Guessing,
    options: ReadOptions<P::Kind>,
    /// The board, unless the model plays several.
    kind: Option<P::Kind>,
    /// Puzzles so far.
    index: usize,
    outcome: Outcome,
}

impl<'a, P: Guessable> Solver<'a, P> {
    fn new(args: &'a SolveArgs, checkpoint: Checkpoint, kind: P::Kind) -> Result<Self> {
        let Checkpoint { plan, weights } = &checkpoint;
        let engine = Engine::new(args.device, None, plan, weights)?;
        let alike = plan.sees_images_alike();
        let only = plan.further_boards().is_empty().then_some(kind);
        let how = Guessing {
            guesses: args.guesses as usize,
            segments: args.segments as usize,
            stop: Stop::Depth,
            perturbation: Perturbation {
                images: if alike {
                    Images::Identity
                } else {
                    Images::Symmetry
                },
                initial_noise: if alike { NOISE } else { 0.0 },
                update_noise: 0.0,
                random_start: plan.start == Start::Random,
            },
            seed: args.seed,
        };
        Ok(Self {
            args,
            engines: vec![(kind, engine)],
            checkpoint,
            how,
            options: ReadOptions {
                questions: true,
                ..args.columns.options(only)
            },
            kind: only,
            index: 0,
            outcome: Outcome::Solved,
        })
    }

    /// Everything that the command line names.
    fn all(mut self) -> Result<Outcome> {
        for (i, argument) in self.args.puzzles.iter().enumerate() {
            if output::gone() {
                break;
            }
            let place = format!("puzzle {}", i + 1);
            if argument == "-" {
                self.read(std::io::stdin().lock(), "standard input")?;
                continue;
            }
            match P::parse(argument, self.kind) {
                Ok(board) => match board.flaw() {
                    None => self.solve(&board)?,
                    Some(flaw) => self.refuse(format!("{place}: {flaw}"))?,
                },
                Err(_) if Path::new(argument).is_file() => {
                    let file = File::open(argument);
                    self.read(
                        file.with_context(|| format!("reading {argument}"))?,
                        argument,
                    )?;
                }
                Err(error) => match self.puzzles_of(argument) {
                    found if found.is_empty() => self.refuse(format!("{place}: {error}"))?,
                    found => found
                        .iter()
                        .try_for_each(|entry| self.take(entry, &place))?,
                },
            }
        }
        Ok(self.outcome)
    }

    /// The puzzles of a text on the command line: a link, a line of some program.
    fn puzzles_of(&self, text: &str) -> Vec<Entry<P>> {
        let reader = PuzzleReader::new(text.as_bytes(), "", &self.options);
        reader.into_iter().flatten().flatten().collect()
    }

    /// Solves what was read, and says so where it was drawn in other signs.
    fn take(&mut self, entry: &Entry<P>, place: &str) -> Result<()> {
        if let Some(said) = &entry.said {
            errln!("{place}: {said}");
        }
        self.solve(&entry.question)
    }

    /// The puzzles of a file.
    fn read(&mut self, file: impl Read, name: &str) -> Result<()> {
        let text = unpacked(file).with_context(|| format!("reading {name}"))?;
        let entries = PuzzleReader::<P>::new(text, name, &self.options).map_err(explained)?;
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let place = format!("{name}, line {}", entry.line);
                    self.take(&entry, &place)?;
                }
                Err(error @ DatasetError::Line { .. }) => self.refuse(error.to_string())?,
                Err(error) => return Err(explained(error)),
            }
            if output::gone() {
                break;
            }
        }
        Ok(())
    }

    /// Says that something is no puzzle, and goes on if it may.
    fn refuse(&mut self, what: String) -> Result<()> {
        if self.args.strict {
            bail!(what);
        }
        errln!("error: {what}");
        self.outcome = Outcome::Bad;
        Ok(())
    }

    /// The engine for a board.
    fn engine(&mut self, kind: P::Kind) -> Result<&Engine> {
        let known = self.engines.iter().position(|(of, _)| *of == kind);
        let at = match known {
            Some(at) => at,
            None => {
                let plan = Arc::new(self.checkpoint.plan.on(kind.into())?);
                let weights = &self.checkpoint.weights;
                let engine = Engine::new(self.args.device, None, &plan, weights)?;
                self.engines.push((kind, engine));
                self.engines.len() - 1
            }
        };
        Ok(&self.engines[at].1)
    }

    fn solve(&mut self, board: &P) -> Result<()> {
        let (index, how) = (self.index, self.how);
        let outcomes = outcomes(self.engine(board.kind())?, board, index, how)?;
        self.index += 1;
        let guesses: Vec<Guess> = outcomes
            .iter()
            .map(hrm_core::reason::Outcome::guess)
            .collect();
        let Some(chosen) = self.args.rule.choose(&guesses).map(|i| &outcomes[i]) else {
            bail!("no guess was made");
        };
        let verdict = match (chosen.solved, chosen.halted) {
            (true, _) => Verdict::Solved,
            (false, true) => Verdict::HaltedWrong,
            (false, false) => Verdict::Wandering,
        };
        if !chosen.solved && self.outcome == Outcome::Solved {
            self.outcome = Outcome::Unsolved;
        }
        let grid = &chosen.grid;
        let verdict = serde_json::to_value(verdict)?;
        if self.args.json {
            outln!(
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
            outln!("{grid} {}", verdict.as_str().unwrap_or_default());
        }
        Ok(())
    }
}

/// What came of the guesses at one puzzle; its index decides the images.
fn outcomes<P: Guessable>(
    engine: &Engine,
    board: &P,
    index: usize,
    how: Guessing,
) -> Result<Vec<hrm_core::reason::Outcome<P>>> {
    let mut agenda = Agenda::new(how, None, 0, vec![(index, board.clone())]);
    let mut done: Vec<Done<P>> = Vec::new();
    let mut driver = Driver::new(agenda.limits());
    driver.add(engine.shared(), how.guesses.min(BATCH), []);
    while let Some(step) = block_on(driver.step(&mut |free| agenda.next(free)))? {
        done.extend(step.done);
    }
    done.sort_by_key(|d| d.guess);
    Ok(done.into_iter().map(|d| d.outcome).collect())
}
