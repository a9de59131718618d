//! Guesses at a set of puzzles, kept in a file as they come in, so that an
//! evaluation can be killed, gone on with, divided and put together again.

pub(crate) mod arc;
mod log;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hrm_core::puzzle::{Board, Maze, PuzzleKind, Shape};
use hrm_core::reason::score::{Record, Summary};
use hrm_core::reason::{Agenda, Done, Driver, Guessable, Guessing, Search, Stop};
use hrm_core::weights::sha256_hex;
use hrm_shaders::Variant;
use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::puzzles::{PuzzleSet, Row, file_name};
use log::read_setup;
pub(crate) use log::{Log, read};

/// A named thing with the sha256 of its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// Everything that decides the result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// What is played, if it is no Sudoku: files without it are about Sudokus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) puzzle: Option<PuzzleKind>,
    /// The puzzle file.
    pub(crate) data: Named,
    /// How many of its rows, from the first.
    pub(crate) rows: usize,
    /// Lines among them that are no puzzle and were passed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) skipped: usize,
    /// Share of blanks filled in.
    pub(crate) filled: f64,
    /// The checkpoints in order.
    pub(crate) checkpoints: Vec<Named>,
    /// How they guess.
    pub(crate) how: Guessing,
    /// How they search instead, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) search: Option<Search>,
    /// What ran them.
    pub(crate) engine: String,
    /// Rows i, i + n, i + 2n, …: `[i, n]`, i from 0.
    pub(crate) shard: [usize; 2],
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Setup {
    /// The rows of the shard.
    fn puzzles(&self) -> impl Iterator<Item = usize> {
        (self.shard[0]..self.rows).step_by(self.shard[1])
    }
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    #[serde(flatten)]
    pub(crate) setup: Setup,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// Plain passes that end in the same grid as another checkpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identical: Option<hrm_core::reason::Proportion>,
    /// Wall time.
    pub(crate) seconds: f64,
}

/// A model to be evaluated.
pub(crate) struct Model {
    pub(crate) path: PathBuf,
    pub(crate) config: Option<PathBuf>,
    /// Another board than the configuration's.
    pub(crate) board: Option<PuzzleKind>,
}

impl Model {
    pub(crate) fn load(&self) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::load(&self.path, self.config.as_deref())?;
        match self.board {
            Some(board) => checkpoint.on(board),
            None => Ok(checkpoint),
        }
    }

    /// Its name (the last two parts of its path, for series of steps) and
    /// the sha256 of its configuration and values.
    pub(crate) fn named(&self, checkpoint: &Checkpoint) -> Named {
        let own = file_name(&self.path);
        let parents: Vec<String> = self
            .path
            .parent()
            .into_iter()
            .flat_map(Path::components)
            .map(|c| c.as_os_str().to_string_lossy().into_owned())
            .collect();
        let name = match parents.as_slice() {
            [.., run, series] if own.starts_with("step-") => format!("{run}/{series}/{own}"),
            _ => own,
        };
        let mut content = checkpoint.plan.config.to_json().into_bytes();
        for tensor in checkpoint.weights.tensors() {
            for value in tensor.dense().iter() {
                content.extend(value.to_le_bytes());
            }
        }
        Named {
            name,
            sha256: sha256_hex(&content),
        }
    }
}

/// How the work is spread over the machine; decides nothing about results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) device: Device,
    pub(crate) kernels: Option<Variant>,
    /// Batches at a time; a GPU has one.
    pub(crate) threads: usize,
    /// Places of a batch.
    pub(crate) batch: usize,
}

/// Runs what `log` does not hold yet.
pub(crate) fn run<P: Guessable>(
    models: &[Model],
    set: &PuzzleSet<P>,
    setup: &Setup,
    spread: Spread,
    log: Log<P>,
) -> Result<Log<P>> {
    let total = setup.puzzles().count() * models.len();
    let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos} of {len} puzzles, {per_sec}, {eta} left",
    )?);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar.inc(log.records().len() as u64);
    bar.reset_eta();
    let mut log = log;
    for (number, model) in models.iter().enumerate() {
        let done: HashSet<usize> = log
            .records()
            .iter()
            .filter(|r| {
                let verified = setup.how.stop == Stop::FirstVerified
                    && r.checkpoint < number
                    && r.outcomes.iter().any(|o| o.solved);
                verified || r.checkpoint == number
            })
            .map(|r| r.puzzle)
            .collect();
        let puzzles: Vec<(usize, P)> = setup
            .puzzles()
            .filter(|p| !done.contains(p))
            .map(|p| (p, set.rows[p].question.clone()))
            .collect();
        if puzzles.is_empty() {
            continue;
        }
        let checkpoint = model.load()?;
        let engine = Engine::new(
            spread.device,
            spread.kernels,
            &checkpoint.plan,
            &checkpoint.weights,
        )?;
        // A GPU computes all places, those that nobody takes too.
        let most = spread.batch.min(puzzles.len() * setup.how.guesses);
        let agenda = Agenda::new(setup.how, setup.search, number, puzzles);
        let places = most.max(agenda.together());
        let collector = Collector {
            agenda,
            setup,
            checkpoint: number,
            rows: &set.rows,
            pending: HashMap::new(),
            log,
            bar: bar.clone(),
        };
        log = one_checkpoint(&engine, collector, spread.threads, places)?;
    }
    bar.finish_and_clear();
    Ok(log)
}

/// All the guesses of one checkpoint, in so many places a thread; a GPU has
/// one thread.
fn one_checkpoint<P: Guessable>(
    engine: &Engine,
    collector: Collector<'_, P>,
    threads: usize,
    places: usize,
) -> Result<Log<P>> {
    let threads = if engine.is_gpu() { 1 } else { threads };
    let limits = collector.agenda.limits();
    let shared = Mutex::new(collector);
    let failed = || anyhow::anyhow!("a worker thread failed");
    let work = || -> Result<()> {
        let mut driver = Driver::new(limits);
        driver.add(engine.shared(), places, []);
        // A worker that panicked has ended the evaluation anyway.
        let mut next = |free| shared.lock().ok()?.agenda.next(free);
        while let Some(step) = block_on(driver.step(&mut next))? {
            if step.done.is_empty() {
                continue;
            }
            let mut collector = shared.lock().map_err(|_| failed())?;
            step.done
                .into_iter()
                .try_for_each(|done| collector.gather(done))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| failed())?)
    })?;
    let collector = shared.into_inner().map_err(|_| failed())?;
    Ok(collector.log)
}

/// Hands out guesses and gathers what came of them.
struct Collector<'a, P: Guessable> {
    agenda: Agenda<P>,
    setup: &'a Setup,
    checkpoint: usize,
    rows: &'a [Row<P>],
    /// Guesses of puzzles that still wait for others.
    pending: HashMap<usize, Vec<Done<P>>>,
    log: Log<P>,
    bar: ProgressBar,
}

impl<P: Guessable> Collector<'_, P> {
    fn gather(&mut self, done: Done<P>) -> Result<()> {
        self.agenda.ended(&done);
        let puzzle = done.puzzle;
        let last = self.agenda.settles(&done);
        let gathered = self.pending.entry(puzzle).or_default();
        gathered.push(done);
        if !last && gathered.len() < self.setup.how.guesses {
            return Ok(());
        }
        let mut gathered = self.pending.remove(&puzzle).unwrap_or_default();
        gathered.sort_by_key(|d| d.guess);
        // In a search no guess is a plain pass.
        let plain = gathered.first().filter(|_| self.setup.search.is_none());
        let accepted = plain.map_or_else(Vec::new, |plain| plain.accepted.clone());
        let row = self.rows.get(puzzle).context("a guess at no puzzle")?;
        self.log.push(Record {
            puzzle,
            checkpoint: self.checkpoint,
            rating: row.rating,
            answer: row.answer.clone(),
            accepted,
            outcomes: gathered.into_iter().map(|d| d.outcome).collect(),
        })?;
        self.bar.inc(1);
        Ok(())
    }
}

/// Plain passes that end in the same grid as another model's, always run on
/// the CPU, the reference of every engine.
pub(crate) fn identical<P: Guessable>(
    other: &Path,
    set: &PuzzleSet<P>,
    setup: &Setup,
    spread: Spread,
    records: &[Record<P>],
) -> Result<hrm_core::reason::Proportion> {
    let model = Model {
        path: other.to_path_buf(),
        config: None,
        board: setup.puzzle,
    };
    let spread = Spread {
        device: Device::Cpu,
        kernels: None,
        ..spread
    };
    let setup = Setup {
        how: Guessing {
            guesses: 1,
            ..setup.how
        },
        search: None,
        ..setup.clone()
    };
    let checkpoint = model.load()?;
    let theirs = checkpoint.plan.config.puzzle;
    let ours: PuzzleKind = set.rows[0].question.kind().into();
    ensure!(
        theirs == ours,
        "{} plays {theirs}, not {ours}",
        other.display()
    );
    let others = run(&[model], set, &setup, spread, Log::in_memory())?;
    let grids: HashMap<usize, &P> = others
        .records()
        .iter()
        .filter_map(|r| Some((r.puzzle, &r.outcomes.first()?.grid)))
        .collect();
    let own = records.iter().filter(|r| r.checkpoint == 0);
    let same = own
        .clone()
        .filter(|r| r.outcomes.first().map(|o| &o.grid) == grids.get(&r.puzzle).copied())
        .count();
    Ok(hrm_core::reason::Proportion::new(same, own.count()))
}

/// Puts the files of shards together.
pub(crate) fn merge(files: &[PathBuf]) -> Result<Evaluation> {
    let first = read_setup(files.first().context("no file to merge")?)?;
    match first.puzzle.unwrap_or(Shape::S9.into()) {
        PuzzleKind::Sudoku(_) => merge_of::<Board>(files),
        PuzzleKind::Maze(_) => merge_of::<Maze>(files),
        kind @ PuzzleKind::Arc(_) => bail!("{kind}: there are no shards of its evaluations"),
    }
}

/// The same of one kind of puzzle.
fn merge_of<P: Guessable>(files: &[PathBuf]) -> Result<Evaluation> {
    let mut all: Option<(Setup, &PathBuf)> = None;
    let mut records: Vec<Record<P>> = Vec::new();
    let mut seen = HashSet::new();
    let mut seconds = 0.0;
    for path in files {
        let (setup, part, elapsed) = read(path)?;
        let [own, _] = setup.shard;
        let whole = Setup {
            shard: [0, setup.shard[1]],
            ..setup
        };
        match &all {
            None => all = Some((whole, path)),
            Some((first, name)) => ensure!(
                *first == whole,
                "{} and {} are not shards of one evaluation",
                name.display(),
                path.display()
            ),
        }
        ensure!(
            seen.insert(own),
            "{}: another file already holds shard {}",
            path.display(),
            own + 1
        );
        records.extend(part);
        seconds += elapsed;
    }
    let (mut setup, _) = all.context("no file to merge")?;
    let missing: Vec<String> = (0..setup.shard[1])
        .filter(|i| !seen.contains(i))
        .map(|i| (i + 1).to_string())
        .collect();
    ensure!(
        missing.is_empty(),
        "of {} shards these are missing: {}",
        setup.shard[1],
        missing.join(", ")
    );
    setup.shard = [0, 1];
    let complete = complete(&setup, &records);
    ensure!(
        complete == setup.rows,
        "{complete} of {} puzzles are complete: some shard has not run to its end",
        setup.rows
    );
    Ok(Evaluation {
        summary: Summary::new(&records),
        setup,
        identical: None,
        seconds,
    })
}

/// Puzzles for which every checkpoint has done what it had to.
fn complete<P>(setup: &Setup, records: &[Record<P>]) -> usize {
    let mut by_puzzle: HashMap<usize, (usize, bool)> = HashMap::new();
    for record in records {
        let entry = by_puzzle.entry(record.puzzle).or_default();
        entry.0 += 1;
        entry.1 |= record.outcomes.iter().any(|o| o.solved);
    }
    by_puzzle
        .values()
        .filter(|(checkpoints, solved)| {
            *checkpoints == setup.checkpoints.len()
                || (setup.how.stop == Stop::FirstVerified && *solved)
        })
        .count()
}

/// Time since `start` in seconds.
pub(crate) fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}
