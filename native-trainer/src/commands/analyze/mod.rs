//! `hrm analyze`: models taken apart. Every analysis writes its data (JSON)
//! and a figure (SVG); a second run gives the same of both.

mod descent;
mod fixed_points;
mod grokking;
mod hierarchy;
mod landscape;
mod modes;
mod quantization;
mod stability;
mod trajectory;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hrm_core::cpu::{Arithmetic, ReadOut};
use hrm_core::engine::{Run, SegmentOutput, Taps};
use hrm_core::noise::{self, Noise};
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Board, Maze, Puzzle, PuzzleKind};
use hrm_core::reason::{Guessable, Observer, SegmentReport, Z_95};
use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use rayon::prelude::*;
use serde::Serialize;

use crate::engine::Engine;
use crate::evaluate::{Model, Named};
use crate::output::outln;
use crate::paths::{ForceArgs, Paths, write};
use crate::puzzles::{PuzzleArgs, PuzzleSet, Row};

/// Puzzles in one batch.
const CHUNK: usize = 8;

/// Take models apart: where they go, where they rest, how they fail. Runs on
/// the CPU engine.
#[derive(Debug, clap::Args)]
pub(crate) struct AnalyzeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Descent(descent::DescentArgs),
    FixedPoints(fixed_points::FixedPointsArgs),
    Grokking(grokking::GrokkingArgs),
    Hierarchy(hierarchy::HierarchyArgs),
    Landscape(landscape::LandscapeArgs),
    Modes(modes::ModesArgs),
    Quantization(quantization::QuantizationArgs),
    Stability(stability::StabilityArgs),
    Trajectory(trajectory::TrajectoryArgs),
}

impl What {
    fn common(&self) -> &CommonArgs {
        match self {
            Self::Descent(args) => &args.common,
            Self::FixedPoints(args) => &args.common,
            Self::Grokking(args) => &args.common,
            Self::Hierarchy(args) => &args.common,
            Self::Landscape(args) => &args.common,
            Self::Modes(args) => &args.common,
            Self::Quantization(args) => &args.common,
            Self::Stability(args) => &args.common,
            Self::Trajectory(args) => &args.common,
        }
    }
}

pub(crate) fn run(args: &AnalyzeArgs) -> Result<()> {
    args.what.common().try_outputs()?;
    let subjects = args.what.common().subjects()?;
    match subjects[0].plan().config.puzzle {
        PuzzleKind::Sudoku(_) => analyze::<Board>(&args.what, subjects),
        PuzzleKind::Maze(_) => analyze::<Maze>(&args.what, subjects),
        kind @ PuzzleKind::Arc(_) => {
            bail!("{kind}: analyses are of puzzles with rules; of ARC there is hrm eval")
        }
    }
}

/// The analysis of models that play puzzles of type `P`.
fn analyze<P: Guessable>(what: &What, subjects: Vec<Subject>) -> Result<()> {
    let study = what.common().study::<P>(subjects)?;
    match what {
        What::Descent(args) => descent::run(args, &study),
        What::FixedPoints(args) => fixed_points::run(args, &study),
        What::Grokking(args) => grokking::run(args, &study),
        What::Hierarchy(args) => hierarchy::run(args, &study),
        What::Landscape(args) => landscape::run(args, &study),
        What::Modes(args) => modes::run(args, &study),
        What::Quantization(args) => quantization::run(args, &study),
        What::Stability(args) => stability::run(args, &study),
        What::Trajectory(args) => trajectory::run(args, &study),
    }
}

/// What every analysis takes.
#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`; several are compared
    #[arg(long, required = true, num_args = 1..)]
    checkpoint: Vec<PathBuf>,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    puzzles: PuzzleArgs,
    /// Decides whatever is drawn at random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Files to write: this path with `.json` and `.svg`
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
}

/// What was measured, and the measure, in words.
type Finding = (String, String);

/// A finding.
fn finding(what: &str, value: impl std::fmt::Display) -> Finding {
    (what.to_owned(), value.to_string())
}

/// A model with its name.
struct Subject {
    named: Named,
    engine: Engine,
    read_out: ReadOut,
}

/// What is studied: models and the puzzles that they are run on.
struct Study<P> {
    subjects: Vec<Subject>,
    set: PuzzleSet<P>,
}

impl Subject {
    fn plan(&self) -> &Plan {
        self.engine.plan()
    }

    /// Puzzles at the initial state, each in a place of its own.
    fn start<P: Puzzle>(&self, puzzles: &[&P]) -> Result<Box<dyn Run>> {
        let inputs: Vec<Vec<u8>> = puzzles.iter().map(|p| p.tokens()).collect();
        Ok(self.engine.start(&inputs)?)
    }

    /// One puzzle from many starts: the plain one first, then random states
    /// with noise of this deviation added to the initial one.
    fn starts<P: Puzzle>(
        &self,
        puzzle: &P,
        count: usize,
        deviation: f64,
        seed: u64,
    ) -> Result<Box<dyn Run>> {
        let mut run = self.start(&vec![puzzle; count])?;
        for start in 1..count {
            let words = [seed as u32, (seed >> 32) as u32, start as u32, 0];
            let noise = Noise {
                seed: noise::seed(words),
                deviation: deviation as f32,
            };
            let mut states = self.engine.shared().initial();
            noise.add_between(0, self.plan().hidden, &mut states);
            run.begin_at(start, [&states[0], &states[1]])?;
        }
        Ok(run)
    }
}

/// One segment of a run whose places are all taken.
fn segment(run: &mut dyn Run, taps: Taps) -> Result<Vec<SegmentOutput>> {
    let outputs = block_on(run.segment(taps))?;
    Ok(outputs.into_iter().flatten().collect())
}

impl<P> Study<P> {
    /// The one model of an analysis that takes one.
    fn only(&self) -> Result<&Subject> {
        match self.subjects.as_slice() {
            [one] => Ok(one),
            several => bail!(
                "this analysis takes one --checkpoint, {} are given",
                several.len()
            ),
        }
    }
}

impl CommonArgs {
    /// A file to write: the output's path with an ending.
    fn output(&self, ending: &str) -> PathBuf {
        let mut name = self.output.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    }

    /// Tries the files to write.
    fn try_outputs(&self) -> Result<()> {
        let mut paths = Paths::new(self.force).reads(&self.puzzles.data);
        for ending in [".json", ".svg"] {
            paths.writes("--output", &self.output(ending))?;
        }
        Ok(())
    }

    /// The models, one or more, all of one kind of puzzle.
    fn subjects(&self) -> Result<Vec<Subject>> {
        let mut subjects: Vec<Subject> = Vec::new();
        for path in &self.checkpoint {
            let source = Model {
                path: path.clone(),
                config: self.config.clone(),
                board: None,
            };
            let mut checkpoint = source.load()?;
            if let Some(board) = self.puzzles.board(&checkpoint.plan) {
                checkpoint = checkpoint.on(board)?;
            }
            subjects.push(Subject {
                named: source.named(&checkpoint),
                engine: Engine::on_cpu(&checkpoint.plan, &checkpoint.weights, Arithmetic::F32),
                read_out: ReadOut::new(&checkpoint.plan, &checkpoint.weights),
            });
        }
        let first = subjects.first().context("no checkpoint is given")?;
        let kind = first.plan().config.puzzle;
        for (subject, path) in subjects.iter().zip(&self.checkpoint) {
            let theirs = subject.plan().config.puzzle;
            ensure!(
                theirs == kind,
                "{} plays {theirs}, not {kind}",
                path.display()
            );
        }
        Ok(subjects)
    }

    /// The models with the puzzles to run them on.
    fn study<P: Puzzle>(&self, subjects: Vec<Subject>) -> Result<Study<P>> {
        let kind = subjects[0].plan().config.puzzle;
        let set = self.puzzles.load(kind, self.seed)?;
        Ok(Study { subjects, set })
    }

    /// Prints the findings, writes them with data and figure, and says where.
    fn write<T: Serialize, P>(
        &self,
        analysis: &str,
        study: &Study<P>,
        findings: &[Finding],
        data: &T,
        figure: &str,
    ) -> Result<()> {
        #[derive(Serialize)]
        struct File<'a, T> {
            analysis: &'a str,
            checkpoints: Vec<&'a Named>,
            data: Named,
            rows: usize,
            filled: f64,
            seed: u64,
            findings: &'a [Finding],
            #[serde(flatten)]
            result: &'a T,
        }
        let file = File {
            analysis,
            checkpoints: study.subjects.iter().map(|s| &s.named).collect(),
            data: Named {
                name: study.set.name.clone(),
                sha256: study.set.sha256.clone(),
            },
            rows: study.set.rows.len(),
            filled: self.puzzles.filled,
            seed: self.seed,
            findings,
            result: data,
        };
        let width = findings
            .iter()
            .map(|f| f.0.chars().count())
            .max()
            .unwrap_or(0);
        for (what, value) in findings {
            outln!("{what:<width$}  {value}");
        }
        let path = |ending: &str| self.output(ending);
        let json = serde_json::to_string(&file)? + "\n";
        write(&path(".json"), json.as_bytes())?;
        write(&path(".svg"), figure.as_bytes())?;
        outln!(
            "wrote {} and {}",
            path(".json").display(),
            path(".svg").display()
        );
        Ok(())
    }
}

/// A bar that says how much is left.
fn progress(length: usize, what: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(length as u64)
        .with_style(ProgressStyle::with_template(
            "{bar:30} {pos} of {len} {msg}, {eta} left",
        )?)
        .with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_secs(1));
    Ok(bar)
}

/// Does something for chunks of puzzles on all cores, in order.
fn by_chunks<P: Puzzle, T: Send>(
    rows: &[Row<P>],
    work: impl Fn(usize, &[Row<P>]) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let bar = progress(rows.len(), "puzzles")?;
    let parts: Vec<Vec<T>> = rows
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(i, chunk)| {
            let part = work(i * CHUNK, chunk);
            bar.inc(chunk.len() as u64);
            part
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    Ok(parts.into_iter().flatten().collect())
}

/// Runs puzzles and shows every segment of each to `look`: the puzzle's
/// number in the chunk, the report and the raw output.
fn film<P: Puzzle, T>(
    subject: &Subject,
    puzzles: &[&P],
    segments: usize,
    taps: Taps,
    mut look: impl FnMut(usize, &SegmentReport, &SegmentOutput) -> T,
) -> Result<Vec<Vec<T>>> {
    let mut run = subject.start(puzzles)?;
    let mut observers: Vec<Observer<P>> = puzzles.iter().copied().map(Observer::new).collect();
    let mut seen: Vec<Vec<T>> = puzzles.iter().map(|_| Vec::new()).collect();
    for _ in 0..segments {
        for (i, output) in segment(&mut *run, taps)?.iter().enumerate() {
            let report = observers[i].observe(output);
            seen[i].push(look(i, &report, output));
        }
    }
    Ok(seen)
}

/// The questions of some rows.
fn questions<P>(rows: &[Row<P>]) -> Vec<&P> {
    rows.iter().map(|r| &r.question).collect()
}

/// Whether a run is right after a segment: it says what the answer key says or,
/// where answers are graded, what is as good.
fn right<P: Puzzle>(report: &SegmentReport, row: &Row<P>) -> bool {
    if P::GRADED {
        report.solved
    } else {
        report.grid == row.answer.values()
    }
}

/// Quantile of sorted values by nearest rank; NaN without any.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize - 1;
    sorted
        .get(rank.min(sorted.len().wrapping_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

/// A mean with the half width of its 95 % interval (normal approximation).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Mean {
    n: usize,
    mean: f64,
    half_width: f64,
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n.max(1) as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let half_width = match n {
            0 | 1 => f64::INFINITY,
            _ => Z_95 * (squares / (n - 1) as f64 / n as f64).sqrt(),
        };
        Self {
            n,
            mean,
            half_width,
        }
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.4} ± {:.4} (n = {})",
            self.mean, self.half_width, self.n
        )
    }
}
