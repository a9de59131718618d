//! `hrm analyze fixed-points`: where a puzzle's runs can rest.

use anyhow::Result;
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::lens::fixed_points::{End, FIXED, SAME, fixed_points, probes};
use hrm_core::lens::spectrum::{Eigenvalue, arnoldi};
use hrm_core::puzzle::Puzzle;
use hrm_core::reason::{Guessable, Proportion};
use pollster::block_on;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::{CommonArgs, Mean, Study, Subject, finding, progress, segment};
use crate::plot::{Mark, Panel, figure};

/// Find the fixed points of puzzles from many random starts: true or false,
/// how large their basins are, and the leading eigenvalues of the derivative
/// of a segment there.
#[derive(Debug, clap::Args)]
pub(crate) struct FixedPointsArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Starts a puzzle, the plain one included
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    starts: u32,
    /// Deviation of the noise on the other starts
    #[arg(long, default_value_t = 1.0)]
    noise: f64,
    /// Segments after which a start that still moves counts as restless
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Steps of Arnoldi's iteration at each of the three largest points of a
    /// puzzle; 0 leaves eigenvalues out
    #[arg(long, default_value_t = 24)]
    arnoldi: usize,
}

/// Points of a puzzle whose eigenvalues are computed.
const POINTS: usize = 3;
/// Eigenvalues that are kept.
const VALUES: usize = 6;

#[derive(Debug, Serialize)]
struct Point<P> {
    grid: P,
    /// Whether the rules accept the answer there.
    right: bool,
    conflicts: u32,
    basin: Proportion,
    /// Leading eigenvalues, largest modulus first.
    eigenvalues: Vec<Eigenvalue>,
}

#[derive(Debug, Serialize)]
struct Found<P> {
    puzzle: P,
    points: Vec<Point<P>>,
    /// Starts that came to rest nowhere, and how many of those read right at
    /// the end.
    restless: Proportion,
    restless_right: usize,
}

#[derive(Debug, Serialize)]
struct Data<P> {
    starts: u32,
    noise: f64,
    segments: u32,
    fixed: f64,
    same: f64,
    /// Shares of a puzzle's starts, means over puzzles.
    in_true_points: Mean,
    in_false_points: Mean,
    restless: Mean,
    /// Points, and of these the ones whose leading eigenvalue is inside the
    /// unit circle.
    stable_true: Proportion,
    stable_false: Proportion,
    puzzles: Vec<Found<P>>,
}

pub(crate) fn run<P: Guessable>(args: &FixedPointsArgs, study: &Study<P>) -> Result<()> {
    let (subject, set) = (study.only()?, &study.set);
    let bar = progress(set.rows.len(), "puzzles")?;
    let puzzles: Vec<Found<P>> = set
        .rows
        .par_iter()
        .enumerate()
        .map(|(i, row)| {
            let found = find(subject, &row.question, i, args);
            bar.inc(1);
            found
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();

    let points = || puzzles.iter().flat_map(|p| &p.points);
    let mean =
        |of: &dyn Fn(&Found<P>) -> f64| Mean::of(&puzzles.iter().map(of).collect::<Vec<_>>());
    let stable = |right: bool| {
        let known = points().filter(|p| p.right == right && !p.eigenvalues.is_empty());
        let stable = known.clone().filter(|p| p.eigenvalues[0].modulus() < 1.0);
        Proportion::new(stable.count(), known.count())
    };
    let title = format!(
        "Fixed points: {} on {} puzzles of {}",
        subject.named.name,
        puzzles.len(),
        set.name
    );
    let svg = figure(&title, &panels(&puzzles), 2);
    let data = Data {
        starts: args.starts,
        noise: args.noise,
        segments: args.segments,
        fixed: FIXED,
        same: SAME,
        in_true_points: mean(&|f| share(f, true)),
        in_false_points: mean(&|f| share(f, false)),
        restless: mean(&|f| f.restless.value),
        stable_true: stable(true),
        stable_false: stable(false),
        puzzles,
    };
    let findings = [
        finding(
            "share of a puzzle's starts that end in a true fixed point",
            data.in_true_points,
        ),
        finding("share that end in a false one", data.in_false_points),
        finding("share that come to rest nowhere", data.restless),
        finding("true points with all eigenvalues inside", data.stable_true),
        finding(
            "false points with all eigenvalues inside",
            data.stable_false,
        ),
    ];
    args.common
        .write("fixed-points", study, &findings, &data, &svg)
}

/// The fixed points of one puzzle.
fn find<P: Puzzle>(
    subject: &Subject,
    puzzle: &P,
    index: usize,
    args: &FixedPointsArgs,
) -> Result<Found<P>> {
    // Starts of different puzzles are drawn apart.
    let seed = args.common.seed.wrapping_add((index as u64) << 32);
    let starts = args.starts as usize;
    let mut run = subject.starts(puzzle, starts, args.noise, seed)?;
    let width = subject.plan().positions * subject.plan().hidden;
    let taps = Taps {
        states: true,
        ..Taps::default()
    };
    // Where starts ended.
    let mut ends: Vec<Option<(End, P)>> = vec![None; starts];
    for segment in 1..=args.segments {
        let outputs = block_on(run.segment(taps))?;
        let last = segment == args.segments;
        let mut running = false;
        for (start, output) in outputs.into_iter().enumerate() {
            let Some(output) = output else { continue };
            let rests = f64::from(output.residual_h.max(output.residual_l)) < FIXED;
            if !(rests || last) {
                running = true;
                continue;
            }
            let grid = P::from_tokens(puzzle.kind(), &output.tokens)?;
            let states = [output.z_h, output.z_l].map(Option::unwrap_or_default);
            let state = states.concat();
            ends[start] = Some((End { rests, state }, grid));
            run.clear(start);
        }
        if !running {
            break;
        }
    }
    let (ends, grids): (Vec<End>, Vec<P>) = ends.into_iter().flatten().unzip();
    let (found, restless) = fixed_points(&ends);
    let points = found
        .iter()
        .enumerate()
        .map(|(rank, point)| {
            let grid = &grids[point.representative];
            let eigenvalues = if rank < POINTS && args.arnoldi > 0 {
                eigenvalues(
                    subject,
                    puzzle,
                    &ends[point.representative].state,
                    width,
                    args,
                    seed,
                )?
            } else {
                Vec::new()
            };
            Ok(Point {
                right: grid.solves(puzzle),
                conflicts: grid.conflicts(),
                grid: grid.clone(),
                basin: point.basin,
                eigenvalues,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Found {
        puzzle: puzzle.clone(),
        points,
        restless,
        restless_right: ends
            .iter()
            .zip(&grids)
            .filter(|(e, g)| !e.rests && g.solves(puzzle))
            .count(),
    })
}

/// Leading eigenvalues of the derivative of one segment, as a map of
/// (z_H, z_L), at a state.
fn eigenvalues<P: Puzzle>(
    subject: &Subject,
    puzzle: &P,
    state: &[f32],
    width: usize,
    args: &FixedPointsArgs,
    seed: u64,
) -> Result<Vec<Eigenvalue>> {
    let mut run = subject.start(&[puzzle, puzzle])?;
    let taps = Taps {
        states: true,
        ..Taps::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let start: Vec<f64> = state.iter().map(|_| rng.random::<f64>() - 0.5).collect();
    let mut values = arnoldi(&start, args.arnoldi, |direction| -> Result<Vec<f64>> {
        let (plus, minus, divisor) = probes(state, direction);
        for (place, state) in [&plus, &minus].into_iter().enumerate() {
            let (z_h, z_l) = state.split_at(width);
            run.set_states(place, [z_h, z_l])?;
        }
        let outputs = segment(&mut *run, taps)?;
        let difference = |z: fn(&SegmentOutput) -> &Option<Vec<f32>>| -> Vec<f64> {
            let [a, b] = [0, 1].map(|place| z(&outputs[place]).iter().flatten());
            a.zip(b)
                .map(|(&a, &b)| (f64::from(a) - f64::from(b)) / divisor)
                .collect()
        };
        let mut product = difference(|output| &output.z_h);
        product.extend(difference(|output| &output.z_l));
        Ok(product)
    })?;
    values.truncate(VALUES);
    Ok(values)
}

fn panels<P>(puzzles: &[Found<P>]) -> [Panel; 2] {
    let mut basins = Panel::new("where starts end", "puzzle", "share of starts").y(0.0, 1.25);
    type Height<'a, P> = &'a dyn Fn(&Found<P>) -> f64;
    let kinds: [(&str, usize, Height<'_, P>); 3] = [
        ("rest nowhere", 4, &|f| {
            f.restless.value + share(f, false) + share(f, true)
        }),
        ("false fixed points", 1, &|f| {
            share(f, false) + share(f, true)
        }),
        ("true fixed points", 2, &|f| share(f, true)),
    ];
    for (name, colour, height) in kinds {
        let bars = puzzles
            .iter()
            .enumerate()
            .map(|(i, f)| [i as f64 + 0.6, i as f64 + 1.4, height(f)])
            .collect();
        basins = basins.with(Mark::Bars {
            name: name.into(),
            colour,
            bars,
        });
    }
    let circle = |radius: f64| -> Vec<[f64; 2]> {
        (0..=120)
            .map(|k| std::f64::consts::TAU * f64::from(k) / 120.0)
            .map(|a| [radius * a.cos(), radius * a.sin()])
            .collect()
    };
    let spectrum = |right: bool| -> Vec<[f64; 2]> {
        puzzles
            .iter()
            .flat_map(|f| &f.points)
            .filter(|p| p.right == right)
            .flat_map(|p| p.eigenvalues.iter().map(|e| [e.re, e.im]))
            .collect()
    };
    let plane = Panel::new(
        "leading eigenvalues of a segment there",
        "real",
        "imaginary",
    )
    .with(Mark::Line {
        name: "unit circle".into(),
        colour: 5,
        dashed: true,
        points: circle(1.0),
    })
    .with(Mark::Points {
        name: "true".into(),
        colour: 2,
        radius: 2.2,
        points: spectrum(true),
    })
    .with(Mark::Points {
        name: "false".into(),
        colour: 1,
        radius: 2.2,
        points: spectrum(false),
    });
    [basins, plane]
}

/// Share of a puzzle's starts that end in true (false) points.
fn share<P>(found: &Found<P>, right: bool) -> f64 {
    found
        .points
        .iter()
        .filter(|p| p.right == right)
        .map(|p| p.basin.value)
        // The sum of nothing is -0.
        .fold(0.0, |sum, share| sum + share)
}
