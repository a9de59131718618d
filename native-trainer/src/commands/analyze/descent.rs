//! `hrm analyze descent`: does a segment go down E?

use anyhow::Result;
use hrm_core::engine::Taps;
use hrm_core::lens::descent::{cosine, smooth_conflicts};
use hrm_core::noise::{self, Noise};
use hrm_core::reason::{Guessable, Proportion};
use serde::Serialize;

use super::{CommonArgs, Mean, Study, Subject, by_chunks, film, finding, questions};
use crate::plot::{Mark, Panel, figure};

/// What stands for an angle where there is none.
const NO_SMOOTH_E: &str = "none: E of a maze counts connected parts, which no smooth function of \
                           the logits follows";

/// Change of E in each segment against steps of the same length in random
/// directions, and the angle between a segment and the steepest descent of a
/// smooth E through the output head.
#[derive(Debug, clap::Args)]
pub(crate) struct DescentArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
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
    /// Cosine between the step and the steepest descent of the smooth E, and the
    /// same for the first random direction; where there is a smooth E.
    cosines: Option<[f64; 2]>,
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
    #[serde(flatten)]
    cosines: Option<Cosines>,
}

/// Angles to the steepest descent of the smooth E.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cosines {
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
    #[serde(flatten)]
    cosines: Option<Cosines>,
}

pub(crate) fn run<P: Guessable>(args: &DescentArgs, study: &Study<P>) -> Result<()> {
    let (subject, set) = (study.only()?, &study.set);
    let taps = Taps {
        logits: true,
        states: true,
        ..Taps::default()
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
                let [low, high] = [args.common.seed, args.common.seed >> 32].map(|s| s as u32);
                let words = [low, high, (first + i) as u32, report.segment as u32];
                let seed = noise::seed(words);
                let step = before[i]
                    .as_ref()
                    .map(|old| step(subject, old, &state, args.directions, seed));
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
    let mut findings = vec![
        finding("change of E a segment, from the second on", all.change),
        finding("the same in random directions", all.null_change),
        finding("share of segments after which E is lower", all.lower),
        finding("share with E equal", all.equal),
        finding("share with E higher", all.higher),
        finding("share of random directions that do worse", all.beats_random),
    ];
    let cosine = "cosine with steepest descent of smooth E";
    match all.cosines {
        Some(cosines) => findings.extend([
            finding(cosine, cosines.cosine),
            finding("the same of random directions", cosines.null_cosine),
        ]),
        None => findings.push(finding(cosine, NO_SMOOTH_E)),
    }
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
    args.common.write("descent", study, &findings, &data, &svg)
}

/// Where a run stands after a segment.
#[derive(Clone)]
struct State {
    z: Vec<f32>,
    logits: Vec<f32>,
    conflicts: f64,
}

fn step(subject: &Subject, old: &State, new: &State, directions: u32, seed: u32) -> Step {
    let moved: Vec<f64> = new
        .z
        .iter()
        .zip(&old.z)
        .map(|(&a, &b)| f64::from(a) - f64::from(b))
        .collect();
    let length = moved.iter().map(|x| x * x).sum::<f64>().sqrt();
    let descent: Option<Vec<f64>> = gradient(subject, &old.logits);
    let read_out = &subject.read_out;
    let (mut null, mut beats, mut cosines) = (0.0, 0.0, None);
    let change = new.conflicts - old.conflicts;
    for k in 0..directions {
        let mut direction = vec![0.0; old.z.len()];
        let normal = Noise {
            seed,
            deviation: 1.0,
        };
        normal.add(k, subject.plan().hidden, &mut direction);
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
            cosines = descent
                .as_ref()
                .map(|descent| [cosine(&moved, descent), cosine(&random, descent)]);
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
        cosines,
    }
}

/// Steepest descent of the smooth E with respect to z_H, through the output head;
/// none of a puzzle that has no smooth E.
fn gradient(subject: &Subject, logits: &[f32]) -> Option<Vec<f64>> {
    let plan = subject.plan();
    let shape = plan.config.puzzle.sudoku().ok()?;
    let (_, mut by_logits) = smooth_conflicts(shape, logits);
    by_logits.iter_mut().for_each(|g| *g = -*g);
    let read_out = &subject.read_out;
    Some(read_out.pull_back(&by_logits, plan.positions))
}

/// The mean cosines of steps, each given by its own or by the means of a run's.
fn cosines(each: Vec<Option<[f64; 2]>>) -> Option<Cosines> {
    let each: Vec<[f64; 2]> = each.into_iter().collect::<Option<_>>()?;
    let mean = |i: usize| Mean::of(&each.iter().map(|pair| pair[i]).collect::<Vec<_>>());
    Some(Cosines {
        cosine: mean(0),
        null_cosine: mean(1),
    })
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
        cosines: cosines(steps.iter().map(|s| s.cosines).collect()),
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
        cosines: cosines(runs.iter().map(|r| of_run_cosines(r)).collect()),
    }
}

/// One run's mean cosines over its segments.
fn of_run_cosines(run: &[Step]) -> Option<[f64; 2]> {
    let each: Vec<[f64; 2]> = run.iter().map(|s| s.cosines).collect::<Option<_>>()?;
    let mean = |i: usize| each.iter().map(|pair| pair[i]).sum::<f64>() / each.len().max(1) as f64;
    Some([mean(0), mean(1)])
}

fn panels(segments: &[Segment]) -> Vec<Panel> {
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
    let mut panels = vec![
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
    ];
    // All segments have cosines, or none does.
    let known: Vec<(f64, Cosines)> = segments
        .iter()
        .filter_map(|s| Some((s.segment as f64, s.cosines?)))
        .collect();
    if known.is_empty() {
        return panels;
    }
    let curve = |name: &str, colour, of: fn(&Cosines) -> Mean| Mark::Line {
        name: name.into(),
        colour,
        dashed: false,
        points: known.iter().map(|(x, c)| [*x, of(c).mean]).collect(),
    };
    let bounds = known.iter().map(|(x, c)| (*x, c.cosine));
    panels.push(
        Panel::new(
            "cosine with the steepest descent of smooth E",
            "segment",
            "cosine",
        )
        .with(Mark::Band {
            colour: 0,
            points: bounds
                .map(|(x, m)| [x, m.mean - m.half_width, m.mean + m.half_width])
                .collect(),
        })
        .with(curve("segment", 0, |c| c.cosine))
        .with(curve("random direction", 1, |c| c.null_cosine)),
    );
    panels
}
