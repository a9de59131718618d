//! `hrm demo`: the recorded run and the tour's examples of the page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hrm_core::engine::Taps;
use hrm_core::puzzle::{Board, Difficulty, Shape, Symmetry, generate, random_solution};
use hrm_core::reason::message::{EngineFacts, EngineKind, Event};
use hrm_core::reason::{Leap, Observer, OneBlank, Recording, SegmentReport, Tour, Trap, Vote};
use hrm_core::weights::ModelIndex;
use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::output::outln;
use crate::paths::{ForceArgs, Paths, write};

/// Record the run that the page opens with and find the examples of its
/// tour, by running the models that ship on generated puzzles.
///
/// The same models, seed and processor give the same files.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder of the shipped models; the first of its index is recorded, the
    /// tour's traps and votes are of the first that renamed puzzles are not
    /// all the same to
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// Puzzles to search
    #[arg(long, default_value_t = 400)]
    puzzles: u64,
    /// Solved grids for the one-blank test of each model
    #[arg(long, default_value_t = 20)]
    grids: u64,
    /// Decides the puzzles
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Segments of every run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(4..=1000))]
    segments: u32,
    /// File for the recorded run
    #[arg(long, default_value = "web/demo.json")]
    run: PathBuf,
    /// File for the tour's examples
    #[arg(long, default_value = "web/src/tour.json")]
    tour: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
}

pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let mut paths = Paths::new(args.force);
    paths.writes("--run", &args.run)?;
    paths.writes("--tour", &args.tour)?;
    let index = args.models.join("index.json");
    let text =
        fs::read_to_string(&index).with_context(|| format!("reading {}", index.display()))?;
    let index = ModelIndex::from_json(&text)?;
    let first = index
        .models
        .first()
        .context("the index lists no model")?
        .clone();
    let segments = args.segments as usize;

    let lingers = "no run lingers and then leaps; search more --puzzles";
    let recorded = search(&args.models.join(&first), args)?;
    let recorded = recorded.leap.context(lingers)?;
    let mut guide = None;
    for model in &index.models {
        let found = open(&args.models.join(model))?;
        if !found.alike {
            guide = Some(model.clone());
            break;
        }
    }
    let guide =
        guide.context("to every model renamed puzzles are the same, the tour needs another")?;
    let search = search(&args.models.join(&guide), args)?;

    let mut one_blank = Vec::new();
    for model in &index.models {
        let subject = open(&args.models.join(model))?;
        one_blank.push(blank_one(&subject, model, args, segments)?);
    }
    let engine = EngineFacts {
        kind: EngineKind::Cpu,
        name: "recorded on a CPU".to_owned(),
        note: None,
    };
    let events = recorded
        .1
        .iter()
        .take(recorded.0.solved_at)
        .map(|report| Event::Segment {
            run: 0,
            report: report.clone(),
            milliseconds: 0.0,
        })
        .collect();
    let recording = Recording::new(
        first.clone(),
        engine,
        recorded.0.puzzle.clone().into(),
        events,
    );
    write(&args.run, recording.to_json()?.as_bytes())?;
    let trap = search.trap.map(|trap| Trap {
        failures: search.failures,
        settled: search.settled,
        ..trap
    });
    let tour = Tour {
        model: guide,
        segments,
        leap: Leap {
            model: first,
            ..recorded.0
        },
        trap,
        vote: search.vote,
        one_blank,
    };
    write(
        &args.tour,
        format!("{}\n", serde_json::to_string_pretty(&tour)?).as_bytes(),
    )?;
    outln!("{}", serde_json::to_string_pretty(&tour)?);
    Ok(())
}

/// A model to be shown.
struct Subject {
    shape: Shape,
    engine: Engine,
    /// Whether renamed puzzles are all the same to it.
    alike: bool,
}

fn open(path: &Path) -> Result<Subject> {
    let Checkpoint { plan, weights } = Checkpoint::load(path, None)?;
    Ok(Subject {
        shape: plan.config.puzzle.sudoku()?,
        // Always the CPU: a GPU's sums differ in the last digits, and with
        // them the runs that matter here.
        engine: Engine::new(Device::Cpu, None, &plan, &weights)?,
        alike: plan.sees_images_alike(),
    })
}

/// Looks at generated puzzles.
fn search(path: &Path, args: &DemoArgs) -> Result<Search> {
    let mut search = Search::new(open(path)?, args.segments as usize);
    let bar = progress(args.puzzles, "puzzles");
    for i in 0..args.puzzles {
        // Easier ones have nothing to show, harder ones are seldom solved.
        let level = [Difficulty::Medium, Difficulty::Hard, Difficulty::Extreme][(i % 3) as usize];
        let options = level.options(search.subject.shape);
        search.look_at(generate(args.seed.wrapping_add(i), &options)?.question)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(search)
}

fn progress(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {eta}");
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The reports of a batch of puzzles.
fn reports(engine: &Engine, puzzles: &[Board], segments: usize) -> Result<Vec<Vec<SegmentReport>>> {
    let tokens: Vec<_> = puzzles.iter().map(Board::tokens).collect();
    let mut run = engine.start(&tokens)?;
    let mut observers: Vec<_> = puzzles.iter().map(Observer::new).collect();
    let mut all = vec![Vec::with_capacity(segments); puzzles.len()];
    for _ in 0..segments {
        let outputs = block_on(run.segment(Taps::default()))?;
        let outputs = outputs.into_iter().flatten();
        for ((observer, reports), output) in observers.iter_mut().zip(&mut all).zip(outputs) {
            reports.push(observer.observe(&output));
        }
    }
    Ok(all)
}

/// Whether a run ends solved.
fn solved(reports: &[SegmentReport]) -> bool {
    reports.last().is_some_and(|report| report.solved)
}

/// The best examples so far.
struct Search {
    subject: Subject,
    segments: usize,
    leap: Option<(Leap, Vec<SegmentReport>)>,
    best: u32,
    trap: Option<Trap>,
    vote: Option<Vote>,
    failures: usize,
    settled: usize,
}

impl Search {
    fn new(subject: Subject, segments: usize) -> Self {
        Self {
            subject,
            segments,
            leap: None,
            best: 0,
            trap: None,
            vote: None,
            failures: 0,
            settled: 0,
        }
    }

    fn look_at(&mut self, puzzle: Board) -> Result<()> {
        let engine = &self.subject.engine;
        let runs = reports(engine, std::slice::from_ref(&puzzle), self.segments)?;
        let run = &runs[0];
        if solved(run) {
            self.keep_leap(puzzle, run);
            return Ok(());
        }
        self.failures += 1;
        self.keep_trap(&puzzle, run);
        if self.subject.alike {
            return Ok(());
        }
        self.keep_vote(puzzle)
    }

    /// Prefers a long wait at a high level: the smallest E before the leap
    /// times the segments waited.
    fn keep_leap(&mut self, puzzle: Board, run: &[SegmentReport]) {
        let Some(at) = run.iter().position(|report| report.solved) else {
            return;
        };
        // Right from then on, and early enough to be seen in one run.
        let stays = run[at..].iter().all(|report| report.solved);
        if !stays || at < 5 || at + 2 > self.segments {
            return;
        }
        let conflicts: Vec<u32> = run[..=at].iter().map(|report| report.conflicts).collect();
        let level = conflicts[..at].iter().copied().min().unwrap_or(0);
        let score = level * at as u32;
        if score > self.best {
            self.best = score;
            let leap = Leap {
                model: String::new(),
                puzzle,
                solved_at: at + 1,
                conflicts,
            };
            self.leap = Some((leap, run.to_vec()));
        }
    }

    /// Prefers the one that has rested longest; saying that it is done counts
    /// as half of the run.
    fn keep_trap(&mut self, puzzle: &Board, run: &[SegmentReport]) {
        let changed = run.iter().rposition(|report| !report.changed.is_empty());
        let settled_at = changed.map_or(1, |at| at + 1);
        let rested = self.segments - settled_at;
        if 2 * rested < self.segments {
            return;
        }
        self.settled += 1;
        let Some(last) = run.last() else { return };
        let rank = |settled_at: usize, halted: bool| {
            2 * (self.segments - settled_at) + if halted { self.segments } else { 0 }
        };
        let better = self
            .trap
            .as_ref()
            .is_none_or(|t| rank(settled_at, last.halted) > rank(t.settled_at, t.halted));
        if better {
            self.trap = Some(Trap {
                puzzle: puzzle.clone(),
                settled_at,
                conflicts: last.conflicts,
                halted: last.halted,
                failures: 0,
                settled: 0,
            });
        }
    }

    /// The most renamings that solve a puzzle which fails as it stands.
    fn keep_vote(&mut self, puzzle: Board) -> Result<()> {
        let shape = self.subject.shape;
        let images: Vec<Board> = (0..shape.side())
            .map(|shift| Symmetry::digit_shift(shape, shift).apply(&puzzle))
            .collect();
        let solved: Vec<bool> = reports(&self.subject.engine, &images, self.segments)?
            .iter()
            .map(|run| solved(run))
            .collect();
        let count = |solved: &[bool]| solved.iter().filter(|&&s| s).count();
        let most = self.vote.as_ref().map_or(0, |vote| count(&vote.solved));
        if count(&solved) > most {
            self.vote = Some(Vote { puzzle, solved });
        }
        Ok(())
    }
}

/// Every cell of several solved grids as the only blank.
fn blank_one(
    Subject { shape, engine, .. }: &Subject,
    model: &str,
    args: &DemoArgs,
    segments: usize,
) -> Result<OneBlank> {
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut found = OneBlank {
        model: model.to_owned(),
        tried: 0,
        failed: 0,
        left: 0,
        example: None,
    };
    let mut left = None;
    let bar = progress(args.grids, &format!("grids with one blank, {model}"));
    for _ in 0..args.grids {
        let grid = random_solution(*shape, &mut rng);
        let puzzles: Vec<Board> = (0..shape.cells())
            .map(|cell| {
                let mut puzzle = grid.clone();
                puzzle.set(cell, 0);
                puzzle
            })
            .collect();
        for (puzzle, run) in puzzles.iter().zip(reports(engine, &puzzles, segments)?) {
            found.tried += 1;
            let first = run.iter().position(|report| report.solved);
            let leaves = first.is_some_and(|at| run[at..].iter().any(|report| !report.solved));
            if !solved(&run) {
                found.failed += 1;
                found.example.get_or_insert_with(|| puzzle.clone());
            } else if leaves {
                left.get_or_insert_with(|| puzzle.clone());
            }
            found.left += usize::from(leaves);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    ensure!(found.tried > 0, "--grids must be at least 1");
    found.example = found.example.or(left);
    Ok(found)
}
