//! `hrm analyze quantization`: what fewer bits do to a model's runs.

use anyhow::{Result, ensure};
use hrm_core::cpu::{Arithmetic, ReadOut};
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::reason::{Guessable, Observer, Proportion, Z_95};
use serde::Serialize;

use super::{
    CommonArgs, Finding, Mean, Study, Subject, by_chunks, finding, quantile, questions, right,
    segment,
};
use crate::engine::Engine;
use crate::evaluate::Model;
use crate::plot::{Mark, Panel, figure};

/// Run the same puzzles on a model, the first --checkpoint, and on quantized
/// versions of it, side by side: accuracy, final grids, and how far the states
/// drift apart in each segment.
#[derive(Debug, clap::Args)]
pub(crate) struct QuantizationArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Segments of each run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Also round what the quantized versions' matrices are multiplied with to
    /// 8 bits, as the engine of processors does
    #[arg(long)]
    int8: bool,
}

/// How one version fares beside the reference.
#[derive(Debug, Serialize)]
struct Comparison {
    checkpoint: String,
    right: Proportion,
    /// Right less right of the reference, of all puzzles, with the half width
    /// of its 95 % interval (paired).
    difference: [f64; 2],
    /// The same final grid: of all puzzles, and of those that the reference
    /// solves.
    same: Proportion,
    same_of_solved: Proportion,
    /// After each segment, over the puzzles: RMS of the difference of `z_H` as
    /// a share of the RMS of the reference's, mean and median; the same of
    /// `z_L`.
    drift_h: Vec<[f64; 2]>,
    drift_l: Vec<[f64; 2]>,
}

#[derive(Debug, Serialize)]
struct Data {
    segments: u32,
    int8: bool,
    reference: Proportion,
    comparisons: Vec<Comparison>,
}

/// One puzzle on both.
struct Pair {
    right: [bool; 2],
    same: bool,
    /// After each segment, of `z_H` and `z_L`.
    drift: Vec<[f64; 2]>,
}

pub(crate) fn run<P: Guessable>(args: &QuantizationArgs, study: &Study<P>) -> Result<()> {
    let [reference, others @ ..] = study.subjects.as_slice() else {
        return Ok(()); // There is always one.
    };
    ensure!(
        !others.is_empty(),
        "this analysis compares: give the model and at least one quantized version as --checkpoint"
    );
    let mut comparisons = Vec::new();
    let mut accuracy = Proportion::new(0, 0);
    for (other, path) in others.iter().zip(&args.common.checkpoint[1..]) {
        ensure!(
            other.plan().config == reference.plan().config,
            "{} has another architecture than the first checkpoint",
            path.display()
        );
        let rounded;
        let other = if args.int8 {
            let source = Model {
                path: path.clone(),
                config: args.common.config.clone(),
                board: None,
            };
            let checkpoint = source.load()?;
            let (plan, weights) = (&checkpoint.plan, &checkpoint.weights);
            rounded = Subject {
                named: other.named.clone(),
                engine: Engine::on_cpu(plan, weights, Arithmetic::Int8),
                read_out: ReadOut::new(plan, weights),
            };
            &rounded
        } else {
            other
        };
        let pairs = pairs(reference, other, study, args.segments as usize)?;
        let count = |f: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|p| f(p)).count();
        accuracy = Proportion::new(count(&|p| p.right[0]), pairs.len());
        comparisons.push(compare(other.named.name.clone(), &pairs));
    }
    let mut findings = vec![finding(
        &format!("{}, the reference", reference.named.name),
        accuracy,
    )];
    findings.extend(comparisons.iter().flat_map(described));
    let panels: Vec<Panel> = ["z_H", "z_L"]
        .iter()
        .map(|level| panel(level, &comparisons))
        .collect();
    let title = format!(
        "Quantized beside {} on {} ({} puzzles)",
        reference.named.name,
        study.set.name,
        study.set.rows.len()
    );
    let data = Data {
        segments: args.segments,
        int8: args.int8,
        reference: accuracy,
        comparisons,
    };
    let figure = figure(&title, &panels, 2);
    args.common
        .write("quantization", study, &findings, &data, &figure)
}

/// Runs every puzzle on both models, segment by segment.
fn pairs<P: Guessable>(
    reference: &Subject,
    other: &Subject,
    study: &Study<P>,
    segments: usize,
) -> Result<Vec<Pair>> {
    by_chunks(&study.set.rows, |_, rows| {
        let questions = questions(rows);
        let mut runs = [reference.start(&questions)?, other.start(&questions)?];
        let taps = Taps {
            states: true,
            ..Taps::default()
        };
        let observers =
            || -> Vec<Observer<P>> { questions.iter().copied().map(Observer::new).collect() };
        let mut observers = [observers(), observers()];
        let mut pairs: Vec<Pair> = rows
            .iter()
            .map(|_| Pair {
                right: [false; 2],
                same: false,
                drift: Vec::with_capacity(segments),
            })
            .collect();
        for _ in 0..segments {
            let [own, theirs] = &mut runs;
            let (own, theirs) = (segment(&mut **own, taps)?, segment(&mut **theirs, taps)?);
            for (i, (own, theirs)) in own.iter().zip(&theirs).enumerate() {
                let pair = &mut pairs[i];
                pair.drift.push(drift(own, theirs));
                pair.same = own.tokens == theirs.tokens;
                for (side, output) in [own, theirs].into_iter().enumerate() {
                    pair.right[side] = right(&observers[side][i].observe(output), &rows[i]);
                }
            }
        }
        Ok(pairs)
    })
}

/// How far two states are apart, as a share of the first one's size.
fn drift(own: &SegmentOutput, theirs: &SegmentOutput) -> [f64; 2] {
    let share = |a: &Option<Vec<f32>>, b: &Option<Vec<f32>>| {
        let (Some(a), Some(b)) = (a, b) else {
            return f64::NAN; // They were asked for.
        };
        let square = |x: f64| x * x;
        let apart: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
        let size: f64 = a.iter().map(|a| square(f64::from(*a))).sum();
        (apart / size).sqrt()
    };
    [share(&own.z_h, &theirs.z_h), share(&own.z_l, &theirs.z_l)]
}

fn compare(checkpoint: String, pairs: &[Pair]) -> Comparison {
    let n = pairs.len();
    let count = |f: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|p| f(p)).count();
    let solved = count(&|p| p.right[0]);
    let gained = count(&|p| p.right == [false, true]) as f64;
    let lost = count(&|p| p.right == [true, false]) as f64;
    // Of paired shares: only puzzles on which the two differ count.
    let variance = gained + lost - (gained - lost).powi(2) / n as f64;
    let difference = [
        (gained - lost) / n as f64,
        Z_95 * variance.sqrt() / n as f64,
    ];
    let drifts = |level: usize| {
        let segments = pairs.first().map_or(0, |p| p.drift.len());
        let over_puzzles = |segment: usize| {
            let mut values: Vec<f64> = pairs.iter().map(|p| p.drift[segment][level]).collect();
            values.sort_by(f64::total_cmp);
            [Mean::of(&values).mean, quantile(&values, 0.5)]
        };
        (0..segments).map(over_puzzles).collect()
    };
    Comparison {
        checkpoint,
        right: Proportion::new(count(&|p| p.right[1]), n),
        difference,
        same: Proportion::new(count(&|p| p.same), n),
        same_of_solved: Proportion::new(count(&|p| p.right[0] && p.same), solved),
        drift_h: drifts(0),
        drift_l: drifts(1),
    }
}

fn described(c: &Comparison) -> Vec<Finding> {
    let named = |what: &str, value: String| finding(&format!("{}: {what}", c.checkpoint), value);
    let [difference, half] = c.difference.map(|d| 100.0 * d);
    let drift = |values: &[[f64; 2]]| {
        let medians: Vec<String> = values.iter().map(|v| format!("{:.3}", v[1])).collect();
        medians.join(" ")
    };
    vec![
        named("right", c.right.to_string()),
        named(
            "less the reference",
            format!("{difference:+.2} ± {half:.2} points"),
        ),
        named("the same final grid", c.same.to_string()),
        named(
            "the same, of those solved by the reference",
            c.same_of_solved.to_string(),
        ),
        named("drift of z_H by segment, median", drift(&c.drift_h)),
        named("drift of z_L by segment, median", drift(&c.drift_l)),
    ]
}

fn panel(level: &str, comparisons: &[Comparison]) -> Panel {
    let values = |c: &Comparison| {
        if level == "z_H" {
            c.drift_h.clone()
        } else {
            c.drift_l.clone()
        }
    };
    let all = comparisons.iter().flat_map(values).flatten();
    let highest = all.fold(0.0, f64::max);
    let start = Panel::new(
        &format!("drift of {level}"),
        "segment",
        "share of the state's RMS",
    )
    // Room for the legend above the curves.
    .y(0.0, 1.6 * highest.max(1e-6));
    comparisons.iter().enumerate().fold(start, |panel, (i, c)| {
        let values = if level == "z_H" {
            &c.drift_h
        } else {
            &c.drift_l
        };
        let line = |which: usize| -> Vec<[f64; 2]> {
            let numbered = values.iter().enumerate();
            numbered.map(|(s, v)| [s as f64 + 1.0, v[which]]).collect()
        };
        panel
            .with(Mark::Line {
                name: format!("{}, mean", c.checkpoint),
                colour: i,
                dashed: false,
                points: line(0),
            })
            .with(Mark::Line {
                name: format!("{}, median", c.checkpoint),
                colour: i,
                dashed: true,
                points: line(1),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_puzzles_that_differ_make_a_difference() {
        let pair = |right, same| Pair {
            right,
            same,
            drift: vec![[0.5, 0.25]],
        };
        let mut pairs: Vec<Pair> = (0..6).map(|_| pair([true, true], true)).collect();
        pairs.push(pair([true, false], false));
        pairs.push(pair([true, false], false));
        pairs.push(pair([false, true], false));
        pairs.push(pair([false, false], false));
        let c = compare("q".into(), &pairs);
        assert_eq!(c.right, Proportion::new(7, 10));
        assert_eq!(c.same, Proportion::new(6, 10));
        assert_eq!(c.same_of_solved, Proportion::new(6, 8));
        assert!((c.difference[0] + 0.1).abs() < 1e-12);
        assert!((c.difference[1] - Z_95 * 2.9f64.sqrt() / 10.0).abs() < 1e-12);
        assert_eq!((c.drift_h, c.drift_l), (vec![[0.5; 2]], vec![[0.25; 2]]));
    }
}
