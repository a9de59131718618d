//! `hrm analyze landscape`: E around a run, where segments lead, and the line
//! between rival attractors.

use anyhow::{Context, Result, ensure};
use hrm_core::engine::Taps;
use hrm_core::lens::fixed_points::distance;
use hrm_core::lens::landscape::{Landscape, LandscapeOptions, Sample};
use hrm_core::lens::pca::Plane;
use hrm_core::puzzle::Puzzle;
use hrm_core::reason::Guessable;
use serde::Serialize;

use super::trajectory::{Trace, puzzle, traces};
use super::{CommonArgs, Study, Subject, finding, progress, segment};
use crate::plot::{Mark, Panel, figure};

/// Points in one batch.
const BATCH: usize = 64;
/// Points on the line between two attractors, ends included.
const LINE: usize = 41;
/// How far the line goes on beyond its ends, as a share of its length.
const BEYOND: f64 = 0.25;

/// E of the answer on a grid of states around the end of a run, on its
/// principal plane, and where one further segment takes each; by default the
/// reference's figure.
#[derive(Debug, clap::Args)]
pub(crate) struct LandscapeArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Row of the puzzle file, from 1
    #[arg(long, default_value_t = 1)]
    row: usize,
    /// Segments of the run; its end is the centre
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// The grid has 2 N + 1 points a side
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    half: u32,
    /// Distance of grid points as a share of a state's norm
    #[arg(long, default_value_t = 0.125)]
    spacing: f64,
    /// E is shown up to here
    #[arg(long, default_value_t = 40)]
    clip: u32,
    /// Starts to look for rival attractors from, the plain one included
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    starts: u32,
    /// Deviation of the noise on the other starts
    #[arg(long, default_value_t = 1.0)]
    noise: f64,
}

/// What one point of the line between two attractors does.
#[derive(Debug, Clone, Serialize)]
struct Between {
    /// 0 at the one, 1 at the other.
    at: f64,
    conflicts: u32,
    /// Where one further segment takes it, along the line.
    lands_at: f64,
    conflicts_after: u32,
}

#[derive(Debug, Serialize)]
struct Line {
    /// Whether the ends are right answers.
    right: [bool; 2],
    /// Root mean square distance of the ends.
    distance: f64,
    points: Vec<Between>,
}

#[derive(Debug, Serialize)]
struct Data<P> {
    puzzle: P,
    segments: u32,
    options: LandscapeOptions,
    explained: [f64; 2],
    right: bool,
    /// The run's own trace, in grid steps.
    trace: Vec<[f64; 2]>,
    /// Row by row from (-half, -half).
    samples: Vec<Option<Sample>>,
    line: Option<Line>,
}

pub(crate) fn run<P: Guessable>(args: &LandscapeArgs, study: &Study<P>) -> Result<()> {
    ensure!(
        args.spacing.is_finite() && args.spacing > 0.0,
        "--spacing is {}, must be above 0",
        args.spacing
    );
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
    let plain = traces.first().context("no run was made")?;
    let plane = Plane::of_trace(&plain.z_h).context("the run does not move")?;
    let options = LandscapeOptions {
        half: args.half as usize,
        spacing: args.spacing,
        clip: args.clip,
    };
    let centre = plain.z_h.last().context("the run has no segment")?.clone();
    let mut landscape = Landscape::new(plane, centre, plain.last_z_l.clone(), options);
    sample(subject, puzzle, &mut landscape)?;
    let line = line(subject, puzzle, &traces)?;

    let title = format!("{} on row {} of {}", subject.named.name, args.row, set.name);
    let trace: Vec<[f64; 2]> = plain.z_h.iter().map(|z| landscape.project(z)).collect();
    let mut panels = vec![picture(&landscape, &trace)];
    panels.extend(line.iter().flat_map(line_panels));
    let svg = figure(&title, &panels, 3);
    let explained = landscape.plane().explained;
    let findings = [
        finding("row", args.row),
        finding(
            "the plain run ends",
            if plain.right { "right" } else { "wrong" },
        ),
        finding(
            "its variance on the plane",
            format!(
                "{:.1} % and {:.1} %",
                100.0 * explained[0],
                100.0 * explained[1]
            ),
        ),
        match &line {
            None => finding("rival ends", format!("none among {} starts", traces.len())),
            Some(line) => finding(
                "rival end",
                format!(
                    "{}, {:.2} away (RMS)",
                    if line.right[1] { "right" } else { "wrong" },
                    line.distance
                ),
            ),
        },
    ];
    let data = Data {
        puzzle: puzzle.clone(),
        segments: args.segments,
        options,
        explained: landscape.plane().explained,
        right: plain.right,
        trace,
        samples: landscape.samples().to_vec(),
        line,
    };
    args.common
        .write("landscape", study, &findings, &data, &svg)
}

/// Computes every point.
fn sample<P: Puzzle>(subject: &Subject, puzzle: &P, landscape: &mut Landscape) -> Result<()> {
    let read_out = &subject.read_out;
    let bar = progress(landscape.samples().len(), "points")?;
    loop {
        let batch = landscape.next_batch(BATCH);
        if batch.is_empty() {
            break;
        }
        let states: Vec<Vec<f32>> = batch.iter().map(|&p| landscape.state(p)).collect();
        let z_l = landscape.centre_l().repeat(batch.len());
        let after = one_segment(subject, puzzle, &states, &z_l)?;
        for ((&point, state), after) in batch.iter().zip(&states).zip(&after) {
            let tokens = read_out.tokens(&read_out.logits(state));
            landscape.record(point, read_out.conflicts(&tokens), after);
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// z_H of each state after one further segment.
fn one_segment<P: Puzzle>(
    subject: &Subject,
    puzzle: &P,
    states: &[Vec<f32>],
    z_l: &[f32],
) -> Result<Vec<Vec<f32>>> {
    let mut run = subject.start(&vec![puzzle; states.len()])?;
    let width = subject.plan().positions * subject.plan().hidden;
    for (place, (z_h, z_l)) in states.iter().zip(z_l.chunks_exact(width)).enumerate() {
        run.set_states(place, [z_h, z_l])?;
    }
    let taps = Taps {
        states: true,
        ..Taps::default()
    };
    let outputs = segment(&mut *run, taps)?.into_iter();
    Ok(outputs.filter_map(|output| output.z_h).collect())
}

/// The line between the plain run's end and its strongest rival: of the ends
/// on the other side of right and wrong if there are any, else of all, the
/// farthest one.
fn line<P: Puzzle>(subject: &Subject, puzzle: &P, traces: &[Trace]) -> Result<Option<Line>> {
    let end = |t: &Trace| t.z_h.last().cloned().unwrap_or_default();
    let Some(plain) = traces.first() else {
        return Ok(None);
    };
    let origin = end(plain);
    let rival = traces
        .iter()
        .skip(1)
        .map(|t| (t.right != plain.right, distance(&end(t), &origin), t))
        .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let Some((_, distance, rival)) = rival.filter(|r| r.1 > hrm_core::lens::fixed_points::SAME)
    else {
        return Ok(None);
    };
    let goal = end(rival);
    let ats: Vec<f64> = (0..LINE)
        .map(|i| -BEYOND + (1.0 + 2.0 * BEYOND) * i as f64 / (LINE - 1) as f64)
        .collect();
    let mix = |a: &[f32], b: &[f32], t: f64| -> Vec<f32> {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| (f64::from(a) + t * (f64::from(b) - f64::from(a))) as f32)
            .collect()
    };
    let states: Vec<Vec<f32>> = ats.iter().map(|&t| mix(&origin, &goal, t)).collect();
    // z_L goes along, so that both ends are the states that the runs were in.
    let z_l: Vec<f32> = ats
        .iter()
        .flat_map(|&t| mix(&plain.last_z_l, &rival.last_z_l, t))
        .collect();
    let after = one_segment(subject, puzzle, &states, &z_l)?;
    let read_out = &subject.read_out;
    let conflicts = |z: &[f32]| read_out.conflicts(&read_out.tokens(&read_out.logits(z)));
    let length: f64 = origin
        .iter()
        .zip(&goal)
        .map(|(&a, &b)| (f64::from(b) - f64::from(a)).powi(2))
        .sum();
    let along = |z: &[f32]| -> f64 {
        z.iter()
            .zip(&origin)
            .zip(&goal)
            .map(|((&z, &a), &b)| (f64::from(z) - f64::from(a)) * (f64::from(b) - f64::from(a)))
            .sum::<f64>()
            / length
    };
    let points = ats
        .iter()
        .zip(&states)
        .zip(&after)
        .map(|((&at, state), after)| Between {
            at,
            conflicts: conflicts(state),
            lands_at: along(after),
            conflicts_after: conflicts(after),
        })
        .collect();
    Ok(Some(Line {
        right: [plain.right, rival.right],
        distance,
        points,
    }))
}

/// Colours, arrows at every second point, the run itself.
fn picture(landscape: &Landscape, trace: &[[f64; 2]]) -> Panel {
    let clip = landscape.options().clip.max(1);
    let half = landscape.options().half as f64 + 0.5;
    let known = landscape.samples().iter().enumerate();
    let known: Vec<([i32; 2], Sample)> = known
        .filter_map(|(p, s)| Some((landscape.coordinates(p), (*s)?)))
        .collect();
    let cells = known
        .iter()
        .map(|([i, j], s)| {
            let share = f64::from(s.conflicts.min(clip)) / f64::from(clip);
            [f64::from(*i), f64::from(*j), share]
        })
        .collect();
    // Arrows go a third of the way, or they would cover the picture.
    let arrows = known
        .iter()
        .filter(|([i, j], _)| i % 2 == 0 && j % 2 == 0)
        .map(|([i, j], s)| {
            let (x, y) = (f64::from(*i), f64::from(*j));
            let part = |from: f64, to: f64| from + (to - from) / 3.0;
            [x, y, part(x, s.lands[0]), part(y, s.lands[1])]
        })
        .collect();
    Panel::new(
        &format!("E from 0 (dark) to {clip} (bright); lines: a third of one segment"),
        "component 1, grid steps",
        "component 2, grid steps",
    )
    .x(-half, half)
    .y(-half, half)
    .with(Mark::Cells { step: 1.0, cells })
    .with(Mark::Arrows { arrows })
    .with(Mark::Line {
        name: String::new(),
        colour: 1,
        dashed: false,
        points: trace.to_vec(),
    })
    .with(Mark::Points {
        name: String::new(),
        colour: 1,
        radius: 2.2,
        points: trace.to_vec(),
    })
}

fn line_panels(line: &Line) -> [Panel; 2] {
    let name = |right: bool| if right { "right" } else { "wrong" };
    let x = format!(
        "0: plain end ({}), 1: rival ({})",
        name(line.right[0]),
        name(line.right[1])
    );
    let curve = |of: &dyn Fn(&Between) -> f64| line.points.iter().map(|p| [p.at, of(p)]).collect();
    let mark = |name: &str, colour, dashed, points| Mark::Line {
        name: name.into(),
        colour,
        dashed,
        points,
    };
    [
        Panel::new("E on the line between rival ends", &x, "E")
            .with(mark("there", 0, false, curve(&|p| f64::from(p.conflicts))))
            .with(mark(
                "after a segment",
                1,
                true,
                curve(&|p| f64::from(p.conflicts_after)),
            )),
        Panel::new("where a segment takes it", &x, "position along the line")
            .with(mark("after a segment", 1, false, curve(&|p| p.lands_at)))
            .with(mark("at rest", 0, true, curve(&|p| p.at))),
    ]
}
