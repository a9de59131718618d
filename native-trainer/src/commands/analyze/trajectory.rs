//! `hrm analyze trajectory`: a run on its principal plane.

use anyhow::{Context, Result};
use hrm_core::engine::Taps;
use hrm_core::lens::pca::Plane;
use hrm_core::puzzle::Puzzle;
use hrm_core::reason::Guessable;
use serde::Serialize;

use super::{CommonArgs, Study, Subject, finding, segment};
use crate::plot::{Mark, Panel, figure};
use crate::puzzles::PuzzleSet;

/// The trace of z_H after every H update on the plane of its first two
/// principal components, with runs from other random starts projected on the
/// same plane.
#[derive(Debug, clap::Args)]
pub(crate) struct TrajectoryArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Row of the puzzle file, from 1
    #[arg(long, default_value_t = 1)]
    row: usize,
    /// Segments of each run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Runs: the plain one and others from random starts
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    starts: u32,
    /// Deviation of the noise on the other starts
    #[arg(long, default_value_t = 1.0)]
    noise: f64,
}

/// One run's states after H updates.
pub(super) struct Trace {
    pub(super) z_h: Vec<Vec<f32>>,
    /// z_L after the last segment.
    pub(super) last_z_l: Vec<f32>,
    /// Whether the answer after the last segment is right.
    pub(super) right: bool,
}

/// Runs one puzzle from `starts` starts.
pub(super) fn traces<P: Puzzle>(
    subject: &Subject,
    puzzle: &P,
    starts: usize,
    noise: f64,
    segments: usize,
    seed: u64,
) -> Result<Vec<Trace>> {
    let mut run = subject.starts(puzzle, starts, noise, seed)?;
    let taps = Taps {
        states: true,
        z_h_updates: true,
        ..Taps::default()
    };
    let mut z_h: Vec<Vec<Vec<f32>>> = vec![Vec::new(); starts];
    let mut outputs = Vec::new();
    for _ in 0..segments {
        outputs = segment(&mut *run, taps)?;
        for (trace, output) in z_h.iter_mut().zip(&mut outputs) {
            trace.extend(output.updates.drain(..).map(|(_, state)| state));
        }
    }
    z_h.into_iter()
        .zip(outputs)
        .map(|(z_h, output)| {
            let grid = P::from_tokens(puzzle.kind(), &output.tokens)?;
            Ok(Trace {
                z_h,
                last_z_l: output.z_l.unwrap_or_default(),
                right: grid.solves(puzzle),
            })
        })
        .collect()
}

/// A row of the set, counted from 1.
pub(super) fn puzzle<P>(set: &PuzzleSet<P>, row: usize) -> Result<&P> {
    row.checked_sub(1)
        .and_then(|i| set.rows.get(i))
        .map(|r| &r.question)
        .with_context(|| format!("--row {row}: {} has rows 1 to {}", set.name, set.rows.len()))
}

#[derive(Debug, Serialize)]
struct Run {
    right: bool,
    /// Coordinates after each H update, from the mean of the plain run.
    coordinates: Vec<[f64; 2]>,
    /// E of the answer read off there.
    conflicts: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct Data<P> {
    puzzle: P,
    segments: u32,
    updates_a_segment: usize,
    /// Share of the plain run's variance on each component.
    explained: [f64; 2],
    runs: Vec<Run>,
}

pub(crate) fn run<P: Guessable>(args: &TrajectoryArgs, study: &Study<P>) -> Result<()> {
    let (subject, set) = (study.only()?, &study.set);
    let puzzle = puzzle(set, args.row)?;
    let traces = traces(
        subject,
        puzzle,
        args.starts as usize,
        args.noise,
        args.segments as usize,
        args.common.seed,
    )?;
    let plane = Plane::of_trace(&traces[0].z_h).context("the plain run does not move")?;
    let read_out = &subject.read_out;
    let runs: Vec<Run> = traces
        .iter()
        .map(|trace| Run {
            right: trace.right,
            coordinates: trace
                .z_h
                .iter()
                .map(|z| plane.project(z, &plane.mean))
                .collect(),
            conflicts: trace
                .z_h
                .iter()
                .map(|z| read_out.conflicts(&read_out.tokens(&read_out.logits(z))))
                .collect(),
        })
        .collect();
    let right = runs.iter().filter(|r| r.right).count();
    let findings = [
        finding("row", args.row),
        finding("runs that end right", format!("{right} of {}", runs.len())),
        finding(
            "variance of the plain run on the plane",
            format!(
                "{:.1} % and {:.1} %",
                100.0 * plane.explained[0],
                100.0 * plane.explained[1]
            ),
        ),
    ];
    let cycles = subject.plan().config.H_cycles;
    let title = format!("{} on row {} of {}", subject.named.name, args.row, set.name);
    let svg = figure(&title, &panels(&runs, cycles), 2);
    let data = Data {
        puzzle: puzzle.clone(),
        segments: args.segments,
        updates_a_segment: cycles,
        explained: plane.explained,
        runs,
    };
    args.common
        .write("trajectory", study, &findings, &data, &svg)
}

/// Plain runs are blue, others green if they end right, else orange.
fn panels(runs: &[Run], cycles: usize) -> [Panel; 2] {
    let mut plane = Panel::new(
        "z_H on the plain run's principal plane",
        "component 1",
        "component 2",
    );
    let mut error = Panel::new("E of the answer", "segment", "E");
    for (i, run) in runs.iter().enumerate().rev() {
        let colour = match (i, run.right) {
            (0, _) => 0,
            (_, true) => 2,
            (_, false) => 1,
        };
        let first = |right: bool| {
            let like = runs.iter().skip(1).position(|r| r.right == right);
            like == Some(i.wrapping_sub(1))
        };
        let name = match (i, run.right) {
            (0, true) => "plain, right",
            (0, false) => "plain, wrong",
            (_, true) if first(true) => "other starts, right",
            (_, false) if first(false) => "other starts, wrong",
            _ => "",
        };
        plane = plane
            .with(Mark::Line {
                name: name.into(),
                colour,
                dashed: i > 0,
                points: run.coordinates.clone(),
            })
            .with(Mark::Points {
                name: String::new(),
                colour,
                radius: if i == 0 { 2.5 } else { 1.5 },
                points: run.coordinates.clone(),
            })
            .with(Mark::Points {
                name: String::new(),
                colour,
                radius: 6.0,
                points: run.coordinates.last().copied().into_iter().collect(),
            });
        error = error.with(Mark::Line {
            name: String::new(),
            colour,
            dashed: i > 0,
            points: run
                .conflicts
                .iter()
                .enumerate()
                .map(|(u, e)| [(u + 1) as f64 / cycles as f64, f64::from(*e)])
                .collect(),
        });
    }
    [plane, error]
}
