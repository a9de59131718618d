//! `hrm analyze grokking`: plateaus and drops within runs.

use anyhow::Result;
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::reason::modes::{GROK_SHARE, Grok, PLATEAU_FACTOR, grok};
use hrm_core::reason::{Guessable, Proportion};
use serde::Serialize;

use super::{CommonArgs, Study, by_chunks, film, finding, quantile, questions, right};
use crate::plot::{Mark, Panel, figure};

/// Loss, E, changed cells and accuracy after every segment, for many puzzles:
/// where the drop is and how long the plateau before it.
#[derive(Debug, clap::Args)]
pub(crate) struct GrokkingArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Segments of each run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    segments: u32,
}

/// One segment of one run.
#[derive(Debug, Clone, Copy)]
struct Moment {
    loss: f64,
    conflicts: u32,
    changed: usize,
    right: bool,
}

/// One run.
#[derive(Debug, Serialize)]
struct Run {
    /// Cross entropy (stablemax, mean over cells) plus half the loss of
    /// q_halt, per segment, as in the reference's figure.
    loss: Vec<f64>,
    conflicts: Vec<u32>,
    changed: Vec<usize>,
    right: Vec<bool>,
    grok: Option<Grok>,
}

#[derive(Debug, Serialize)]
struct Data {
    /// Thresholds of the rules that find a grok.
    grok_share: f64,
    plateau_factor: f64,
    /// Runs that end right, and of those the ones with a grok.
    right: Proportion,
    right_with_grok: Proportion,
    /// The same of runs that end wrong.
    wrong_with_grok: Proportion,
    /// Groks of runs that end right, by segment, from segment 2.
    segments_of_groks: Vec<usize>,
    /// Their plateaus: 10th, 50th and 90th percentile of the length.
    plateau: [f64; 3],
    runs: Vec<Run>,
}

pub(crate) fn run<P: Guessable>(args: &GrokkingArgs, study: &Study<P>) -> Result<()> {
    let (subject, set) = (study.only()?, &study.set);
    let segments = args.segments as usize;
    let first = subject.plan().heads.answers.first;
    let taps = Taps {
        logits: true,
        ..Taps::default()
    };
    let runs = by_chunks(&set.rows, |_, rows| {
        let films = film(
            subject,
            &questions(rows),
            segments,
            taps,
            |i, report, output| {
                let answer = rows[i].answer.tokens();
                Moment {
                    // Halting is learned from the key alone, of a maze too.
                    loss: loss(output, &answer, first),
                    conflicts: report.conflicts,
                    changed: report.changed.len(),
                    right: right(report, &rows[i]),
                }
            },
        )?;
        Ok(films.iter().map(|film| summarized(film)).collect())
    })?;

    let right = |r: &&Run| r.right.last() == Some(&true);
    let good: Vec<&Run> = runs.iter().filter(right).collect();
    let groks: Vec<Grok> = good.iter().filter_map(|r| r.grok).collect();
    let bad = runs.len() - good.len();
    let bad_groks = runs
        .iter()
        .filter(|r| !right(r) && r.grok.is_some())
        .count();
    let mut plateaus: Vec<f64> = groks.iter().map(|g| g.plateau as f64).collect();
    plateaus.sort_by(f64::total_cmp);
    let histogram: Vec<usize> = (2..=segments)
        .map(|s| groks.iter().filter(|g| g.segment == s).count())
        .collect();
    let title = format!(
        "Grokking within runs: {} on {} puzzles of {}",
        subject.named.name,
        runs.len(),
        set.name
    );
    let svg = figure(&title, &panels(&runs, &histogram, &plateaus, segments), 2);
    let data = Data {
        grok_share: GROK_SHARE,
        plateau_factor: PLATEAU_FACTOR,
        right: Proportion::new(good.len(), runs.len()),
        right_with_grok: Proportion::new(groks.len(), good.len()),
        wrong_with_grok: Proportion::new(bad_groks, bad),
        segments_of_groks: histogram,
        plateau: [0.1, 0.5, 0.9].map(|share| quantile(&plateaus, share)),
        runs,
    };
    let [low, middle, high] = data.plateau;
    let findings = [
        finding("runs that end right", data.right),
        finding("of those, with a grok", data.right_with_grok),
        finding("of the others, with a grok", data.wrong_with_grok),
        finding(
            "groks of runs that end right, by segment from 2",
            format!("{:?}", data.segments_of_groks),
        ),
        finding(
            "plateau before it, segments",
            format!("median {middle}, 10 to 90 % {low} to {high}"),
        ),
    ];
    args.common.write("grokking", study, &findings, &data, &svg)
}

fn summarized(film: &[Moment]) -> Run {
    let loss: Vec<f64> = film.iter().map(|m| m.loss).collect();
    Run {
        grok: grok(&loss),
        loss,
        conflicts: film.iter().map(|m| m.conflicts).collect(),
        changed: film.iter().map(|m| m.changed).collect(),
        right: film.iter().map(|m| m.right).collect(),
    }
}

/// The reference's loss of one segment; `first` is the token of the first
/// logit.
fn loss(output: &SegmentOutput, answer: &[u8], first: u8) -> f64 {
    let equal = output.tokens == answer;
    let logits = output.logits.as_deref().unwrap_or_default();
    let vocab = (logits.len() / answer.len().max(1)).max(1);
    let entropy: f64 = logits
        .chunks_exact(vocab)
        .zip(answer)
        .map(|(row, &token)| {
            let sum: f64 = row.iter().map(|&x| stable(f64::from(x))).sum();
            let own = row[usize::from(token.saturating_sub(first))];
            (sum / stable(f64::from(own))).ln()
        })
        .sum();
    // BCE of a logit: ln(1 + e^-q) if equal, ln(1 + e^q) if not.
    let q = f64::from(output.q_halt) * if equal { -1.0 } else { 1.0 };
    let halt = q.max(0.0) + (-q.abs()).exp().ln_1p();
    entropy / answer.len().max(1) as f64 + 0.5 * halt
}

/// stablemax's stand-in for the exponential.
fn stable(x: f64) -> f64 {
    if x >= 0.0 { x + 1.0 } else { 1.0 / (1.0 - x) }
}

fn panels(runs: &[Run], histogram: &[usize], plateaus: &[f64], segments: usize) -> Vec<Panel> {
    let right = |r: &&Run| r.right.last() == Some(&true);
    let curve = |of: &dyn Fn(&Run, usize) -> f64, good: bool, share: f64| -> Vec<[f64; 2]> {
        (0..segments)
            .map(|s| {
                let mut values: Vec<f64> = runs
                    .iter()
                    .filter(|r| right(r) == good)
                    .map(|r| of(r, s))
                    .collect();
                values.sort_by(f64::total_cmp);
                [s as f64 + 1.0, quantile(&values, share)]
            })
            .collect()
    };
    let spread = |title: &str, of: &dyn Fn(&Run, usize) -> f64| {
        let mut panel = Panel::new(title, "segment", "median, with 10 to 90 %");
        for (colour, (name, good)) in [("ends right", true), ("ends wrong", false)]
            .iter()
            .enumerate()
        {
            let (low, high) = (curve(of, *good, 0.1), curve(of, *good, 0.9));
            let band: Vec<[f64; 3]> = low
                .iter()
                .zip(&high)
                .filter(|(l, _)| l[1].is_finite())
                .map(|(l, h)| [l[0], l[1], h[1]])
                .collect();
            panel = panel
                .with(Mark::Band {
                    colour,
                    points: band,
                })
                .with(Mark::Line {
                    name: (*name).into(),
                    colour,
                    dashed: false,
                    points: curve(of, *good, 0.5),
                });
        }
        panel
    };
    let bars = |values: Vec<(usize, usize)>| -> Vec<[f64; 3]> {
        values
            .into_iter()
            .map(|(x, n)| [x as f64 - 0.4, x as f64 + 0.4, n as f64])
            .collect()
    };
    let lengths = (1..segments)
        .map(|l| (l, plateaus.iter().filter(|p| **p == l as f64).count()))
        .collect();
    // The examples with the longest plateaus.
    let mut longest: Vec<&Run> = runs
        .iter()
        .filter(right)
        .filter(|r| r.grok.is_some())
        .collect();
    longest.sort_by_key(|r| std::cmp::Reverse(r.grok.map(|g| g.plateau)));
    let examples = longest.iter().take(5).enumerate().fold(
        Panel::new("examples with the longest plateaus", "segment", "loss"),
        |panel, (colour, run)| {
            panel.with(Mark::Line {
                name: String::new(),
                colour,
                dashed: false,
                points: run
                    .loss
                    .iter()
                    .enumerate()
                    .map(|(s, l)| [s as f64 + 1.0, *l])
                    .collect(),
            })
        },
    );
    vec![
        spread("loss", &|r, s| r.loss[s]),
        spread("E", &|r, s| f64::from(r.conflicts[s])),
        spread("cells changed", &|r, s| r.changed[s] as f64),
        examples,
        Panel::new("where runs that end right grok", "segment", "runs").with(Mark::Bars {
            name: String::new(),
            colour: 2,
            bars: bars(
                histogram
                    .iter()
                    .enumerate()
                    .map(|(i, n)| (i + 2, *n))
                    .collect(),
            ),
        }),
        Panel::new("how long the plateau before it is", "segments", "runs").with(Mark::Bars {
            name: String::new(),
            colour: 2,
            bars: bars(lengths),
        }),
    ]
}
