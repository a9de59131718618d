//! Passes at the rows of an ARC data set, and what their votes come to.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::puzzle::arc::{ArcRow, ArcSize, Canvas, Grid, files::read_rows};
use hrm_core::reason::votes::{PassAt, TaskVotes};
use hrm_core::reason::{Driver, Job, Limits, Proportion, Stop, Team, votes};
use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use serde::Serialize;

use super::Named;
use crate::engine::Engine;

/// Numbers of answers that a test is given, as the papers count.
const ANSWERS: [usize; 2] = [1, 2];

/// What came of a pass.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// The row of the data set.
    row: usize,
    /// The grid on the canvas at the end, if there is one.
    answer: Option<Grid>,
    q_halt: f32,
    halted: bool,
}

/// The result of an evaluation.
#[derive(Debug, Serialize)]
pub(crate) struct Evaluation {
    pub(crate) puzzle: PuzzleKind,
    pub(crate) data: Named,
    pub(crate) checkpoints: Vec<Named>,
    pub(crate) segments: usize,
    pub(crate) engine: String,
    pub(crate) passes: usize,
    /// Passes that end with a grid, right or wrong.
    pub(crate) readable: Proportion,
    /// Passes that say at the end that they are done.
    pub(crate) halted: Proportion,
    /// Single passes that are right, of those whose answer is known.
    pub(crate) passes_right: Proportion,
    pub(crate) pass_at: Vec<PassAt>,
    pub(crate) tasks: Vec<TaskVotes>,
    pub(crate) seconds: f64,
}

/// The canvas of a model.
pub(crate) fn canvas(plan: &Plan) -> Result<ArcSize> {
    match plan.config.puzzle {
        PuzzleKind::Arc(size) => Ok(size),
        other => bail!("the model plays {other}, no ARC"),
    }
}

/// Reads rows for a model: they fit its canvas, and have rows in its table of
/// puzzle embeddings.
pub(crate) fn load(path: &Path, plan: &Plan, limit: Option<usize>) -> Result<Vec<ArcRow>> {
    let rows = read_rows(path, limit.unwrap_or(usize::MAX))
        .with_context(|| format!("the model plays {}", plan.config.puzzle))?;
    let size = canvas(plan)?;
    for (i, row) in rows.iter().enumerate() {
        let place = || format!("{}: row {}", path.display(), i + 1);
        row.check(size).with_context(place)?;
        if let Some(reason) = plan.no_identifier(row.identifier as usize) {
            bail!("{}, {}: {reason}", place(), row.name);
        }
    }
    Ok(rows)
}

/// One plain pass at every row. Each thread has so many places; a GPU has one
/// thread.
pub(crate) fn passes(
    engine: &Engine,
    rows: &[ArcRow],
    segments: usize,
    [threads, places]: [usize; 2],
) -> Result<Vec<Pass>> {
    let size = canvas(engine.plan())?;
    let threads = if engine.is_gpu() { 1 } else { threads.max(1) };
    let places = places.min(rows.len().div_ceil(threads));
    let limits = Limits {
        segments,
        stop: Stop::Depth,
    };
    let bar = ProgressBar::new(rows.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos} of {len} passes, {per_sec}, {eta} left",
    )?);
    bar.enable_steady_tick(Duration::from_secs(1));
    let next_row = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::with_capacity(rows.len()));
    let work = || -> Result<()> {
        let mut driver = Driver::<Canvas>::new(limits);
        driver.add(engine.shared(), places, []);
        let mut next = |_| {
            let at = next_row.fetch_add(1, Ordering::Relaxed);
            let row = rows.get(at)?;
            let [question, _] = row.canvases(size, [0, 0]);
            Some(Team::of_one(Job {
                identifier: row.identifier as usize,
                ..Job::plain(at, question)
            }))
        };
        while let Some(step) = block_on(driver.step(&mut next))? {
            let done = step.done.into_iter().map(|done| Pass {
                row: done.puzzle,
                answer: done.outcome.grid.grid_at([0, 0]),
                q_halt: done.outcome.q_halt,
                halted: done.outcome.halted,
            });
            let mut ended = ended.lock().map_err(|_| failed())?;
            let before = ended.len();
            ended.extend(done);
            bar.inc((ended.len() - before) as u64);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| failed())?)
    })?;
    bar.finish_and_clear();
    let mut passes = ended.into_inner().map_err(|_| failed())?;
    ensure!(passes.len() == rows.len(), "some passes were not made");
    passes.sort_by_key(|pass: &Pass| pass.row);
    Ok(passes)
}

fn failed() -> anyhow::Error {
    anyhow::anyhow!("a worker thread failed")
}

/// The votes of passes, task by task.
pub(crate) fn voted(rows: &[ArcRow], passes: &[Pass]) -> Vec<TaskVotes> {
    let told = |pass: &Pass| (&rows[pass.row], pass.answer.clone(), pass.q_halt);
    votes::count(passes.iter().map(told))
}

/// What is counted of passes by several checkpoints.
pub(crate) struct Counted {
    pub(crate) readable: Proportion,
    pub(crate) halted: Proportion,
    pub(crate) right: Proportion,
    pub(crate) pass_at: Vec<PassAt>,
    pub(crate) tasks: Vec<TaskVotes>,
}

impl Counted {
    pub(crate) fn new(rows: &[ArcRow], passes: &[Pass]) -> Self {
        let n = passes.len();
        let count = |good: &dyn Fn(&Pass) -> bool| passes.iter().filter(|p| good(p)).count();
        let known = |pass: &Pass| rows[pass.row].answer.is_some();
        let right = |pass: &Pass| known(pass) && pass.answer == rows[pass.row].answer;
        let tasks = voted(rows, passes);
        Self {
            readable: Proportion::new(count(&|p| p.answer.is_some()), n),
            halted: Proportion::new(count(&|p| p.halted), n),
            right: Proportion::new(count(&right), count(&known)),
            pass_at: ANSWERS.map(|answers| PassAt::new(&tasks, answers)).into(),
            tasks,
        }
    }
}
