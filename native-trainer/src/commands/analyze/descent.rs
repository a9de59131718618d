//! `hrm analyze descent`: does a segment go down E?

use anyhow::Result;
use hrm_core::engine::Taps;
use hrm_core::lens::descent::{cosine, smooth_conflicts};
use hrm_core::reason::Proportion;
use hrm_core::reason::perturb::add_normal;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{CommonArgs, Mean, Subject, by_chunks, film, finding, questions};
use crate::plot::{Mark, Panel, figure};

/// Change of E in each segment against steps of the same length in random
/// directions, and the angle between a segment and the steepest descent of a
/// smooth E through the output head.
#[derive(Debug, clap::Args)]
pub(crate) struct DescentArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Segments of each run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    segments: u32,
    /// Random directions a segment
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    directions: u32,
}

/// One segment (from the second on) of one run.
#[derive(Debug, Clone, Copy)]
struct Step {
    change: f64,
    /// Mean over the random directions.
    null: f64,
    /// Share of random directions that end with a higher E, ties half.
    beats: f64,
    /// Cosine between the step and the steepest descent of the smooth E.
    cosine: f64,
    /// The same for the first random direction.
    null_cosine: f64,
}

/// All runs' steps of one segment.
#[derive(Debug, Serialize)]
struct Segment {
    segment: usize,
    change: Mean,
    null_change: Mean,
    /// Segments after which E is lower, equal, higher.
    lower: Proportion,
    equal: Proportion,
    higher: Proportion,
    beats_random: Mean,
    cosine: Mean,
    null_cosine: Mean,
}

#[derive(Debug, Serialize)]
struct Data {
    directions: u32,
    /// Elements of z_H: cosines of random directions have a deviation of one
    /// over its root.
    dimension: usize,
    segments: Vec<Segment>,
    /// Over all segments from the second on.
    all: Whole,
}

/// Means over runs of each run's mean over its segments, which are not
/// independent.
#[derive(Debug, Serialize)]
struct Whole {
    change: Mean,
    null_change: Mean,
    /// Shares of segments after which E is lower, equal, higher.
    lower: Mean,
    equal: Mean,
    higher: Mean,
    beats_random: Mean,
    cosine: Mean,
    null_cosine: Mean,
}

pub(crate) fn run(args: &DescentArgs) -> Result<()> {
    let (subjects, set) = args.common.load_one()?;
    let [subject] = &subjects;
    let taps = Taps {
        logits: true,
        states: true,
    };
    let runs: Vec<Vec<Step>> = by_chunks(&set.rows, |first, rows| {
        let mut before: Vec<Option<State>> = vec![None; rows.len()];
        let films = film(
            subject,
            &questions(rows),
            args.segments as usize,
            taps,
            |i, report, output| {
                let state = State {
                    z: output.z_h.clone().unwrap_or_default(),
                    logits: output.logits.clone().unwrap_or_default(),
                    conflicts: f64::from(report.conflicts),
                };
                let mut rng = ChaCha8Rng::seed_from_u64(args.common.seed);
                rng.set_stream(((first + i) as u64) << 24 | report.segment as u64);
                let step = before[i]
                    .as_ref()
                    .map(|old| step(subject, old, &state, args.directions, &mut rng));
                before[i] = Some(state);
                step
            },
        )?;
        Ok(films
            .into_iter()
            .map(|film| film.into_iter().flatten().collect())
            .collect())
    })?;
    let segments: Vec<Segment> = (0..args.segments as usize - 1)
        .map(|s| {
            let steps: Vec<Step> = runs.iter().map(|r| r[s]).collect();
            segment(s + 2, &steps)
        })
        .collect();
    let all = whole(&runs);
    let findings = [
        finding("change of E a segment, from the second on", all.change),
        finding("the same in random directions", all.null_change),
        finding("share of segments after which E is lower", all.lower),
        finding("share with E equal", all.equal),
        finding("share with E higher", all.higher),
        finding("share of random directions that do worse", all.beats_random),
        finding("cosine with steepest descent of smooth E", all.cosine),
        finding("the same of random directions", all.null_cosine),
    ];
    let title = format!(
        "Does a segment descend? {} on {} puzzles of {}",
        subject.named.name,
        runs.len(),
        set.name
    );
    let svg = figure(&title, &panels(&segments), 3);
    let data = Data {
        directions: args.directions,
        dimension: subject.plan().positions * subject.plan().hidden,
        segments,
        all,
    };
    args.common
        .write("descent", (&subjects, &set), &findings, &data, &svg)
}

/// Where a run stands after a segment.
#[derive(Clone)]
struct State {
    z: Vec<f32>,
    logits: Vec<f32>,
    conflicts: f64,
}

fn step(
    subject: &Subject,
    old: &State,
    new: &State,
    directions: u32,
    rng: &mut ChaCha8Rng,
) -> Step {
    let moved: Vec<f64> = new
        .z
        .iter()
        .zip(&old.z)
        .map(|(&a, &b)| f64::from(a) - f64::from(b))
        .collect();
    let length = moved.iter().map(|x| x * x).sum::<f64>().sqrt();
    let descent: Vec<f64> = gradient(subject, &old.logits).iter().map(|g| -g).collect();
    let read_out = subject.model.read_out();
    let (mut null, mut beats, mut null_cosine) = (0.0, 0.0, 0.0);
    let change = new.conflicts - old.conflicts;
    for k in 0..directions {
        let mut direction = vec![0.0; old.z.len()];
        add_normal(rng, 1.0, &mut direction);
        let norm = direction
            .iter()
            .map(|&x| f64::from(x).powi(2))
            .sum::<f64>()
            .sqrt();
        let random: Vec<f64> = direction
            .iter()
            .map(|&x| f64::from(x) * length / norm)
            .collect();
        if k == 0 {
            null_cosine = cosine(&random, &descent);
        }
        let there: Vec<f32> = old
            .z
            .iter()
            .zip(&random)
            .map(|(&z, r)| (f64::from(z) + r) as f32)
            .collect();
        let tokens = read_out.tokens(&read_out.logits(&there));
        let other = f64::from(read_out.conflicts(&tokens)) - old.conflicts;
        null += other;
        beats += match change.total_cmp(&other) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
    }
    Step {
        change,
        null: null / f64::from(directions),
        beats: beats / f64::from(directions),
        cosine: cosine(&moved, &descent),
        null_cosine,
    }
}

/// Gradient of the smooth E with respect to z_H, through the output head.
fn gradient(subject: &Subject, logits: &[f32]) -> Vec<f64> {
    let plan = subject.plan();
    let (_, by_logits) = smooth_conflicts(subject.shape, logits);
    subject
        .model
        .read_out()
        .pull_back(&by_logits, plan.positions)
}

fn segment(number: usize, steps: &[Step]) -> Segment {
    let mean = |f: &dyn Fn(&Step) -> f64| Mean::of(&steps.iter().map(f).collect::<Vec<_>>());
    let share = |f: &dyn Fn(f64) -> bool| {
        Proportion::new(steps.iter().filter(|s| f(s.change)).count(), steps.len())
    };
    Segment {
        segment: number,
        change: mean(&|s| s.change),
        null_change: mean(&|s| s.null),
        lower: share(&|c| c < 0.0),
        equal: share(&|c| c == 0.0),
        higher: share(&|c| c > 0.0),
        beats_random: mean(&|s| s.beats),
        cosine: mean(&|s| s.cosine),
        null_cosine: mean(&|s| s.null_cosine),
    }
}

fn whole(runs: &[Vec<Step>]) -> Whole {
    let mean = |f: &dyn Fn(&Step) -> f64| {
        let of_run = |r: &Vec<Step>| r.iter().map(f).sum::<f64>() / r.len().max(1) as f64;
        Mean::of(&runs.iter().map(of_run).collect::<Vec<_>>())
    };
    let share = |f: fn(f64) -> bool| mean(&|s| f64::from(u8::from(f(s.change))));
    Whole {
        change: mean(&|s| s.change),
        null_change: mean(&|s| s.null),
        lower: share(|c| c < 0.0),
        equal: share(|c| c == 0.0),
        higher: share(|c| c > 0.0),
        beats_random: mean(&|s| s.beats),
        cosine: mean(&|s| s.cosine),
        null_cosine: mean(&|s| s.null_cosine),
    }
}

fn panels(segments: &[Segment]) -> [Panel; 3] {
    let line = |name: &str, colour, of: &dyn Fn(&Segment) -> f64| Mark::Line {
        name: name.into(),
        colour,
        dashed: false,
        points: segments.iter().map(|s| [s.segment as f64, of(s)]).collect(),
    };
    let band = |colour, of: &dyn Fn(&Segment) -> Mean| Mark::Band {
        colour,
        points: segments
            .iter()
            .map(|s| (s.segment as f64, of(s)))
            .map(|(x, m)| [x, m.mean - m.half_width, m.mean + m.half_width])
            .collect(),
    };
    [
        Panel::new("change of E, mean with 95 %", "segment", "change of E")
            .with(band(0, &|s| s.change))
            .with(line("segment", 0, &|s| s.change.mean))
            .with(band(1, &|s| s.null_change))
            .with(line("random direction of its length", 1, &|s| {
                s.null_change.mean
            })),
        Panel::new("share of segments", "segment", "share")
            .y(0.0, 1.3)
            .with(line("E lower", 2, &|s| s.lower.value))
            .with(line("E equal", 5, &|s| s.equal.value))
            .with(line("E higher", 1, &|s| s.higher.value)),
        Panel::new(
            "cosine with the steepest descent of smooth E",
            "segment",
            "cosine",
        )
        .with(band(0, &|s| s.cosine))
        .with(line("segment", 0, &|s| s.cosine.mean))
        .with(line("random direction", 1, &|s| s.null_cosine.mean)),
    ]
}
