//! Weights in 8 and 4 bits for a model: what its matrices are multiplied with on
//! puzzles, and which of them bear 4 bits worst.

use std::sync::Arc;

use crate::output::outln;
use anyhow::{Context, Result, ensure};
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::Taps;
use hrm_core::plan::{Plan, TensorId};
use hrm_core::puzzle::{GeneratorOptions, generate};
use hrm_core::weights::Statistics;
use hrm_core::weights::{TensorError, Weights, quantize_q4};
use indicatif::{ProgressBar, ProgressStyle};

/// Puzzles and segments that the sensitivity of a tensor is measured on.
const SAMPLE: usize = 8;
const SAMPLE_SEGMENTS: usize = 2;

/// Puzzles of a calibration, and the segments that it runs.
const CALIBRATION: u32 = 32;
const CALIBRATION_SEGMENTS: u32 = 16;

/// How to quantize to integers.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct IntegerArgs {
    /// Generated puzzles on which the inputs of every matrix are recorded,
    /// over all segments, so that outputs move least; 0 rounds each weight for
    /// itself, as is always done for mazes (q8, q4; by default 32)
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    calibration: Option<u32>,
    /// Segments that calibration runs (q8, q4; by default 16)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    calibration_segments: Option<u32>,
    /// Keep the most sensitive matrices in 8 bits, as many as fit into this
    /// size of all weights in bytes (q4)
    #[arg(long)]
    max_bytes: Option<usize>,
}

impl IntegerArgs {
    /// The options that are given and are about integers, or about fewer bits than 8.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let options = [
            ("--calibration", self.calibration.is_some()),
            (
                "--calibration-segments",
                self.calibration_segments.is_some(),
            ),
            ("--max-bytes", self.max_bytes.is_some()),
        ];
        let given = options.into_iter().filter(|(_, given)| *given);
        given.map(|(name, _)| name).collect()
    }

    /// Whether a largest size is wanted.
    pub(crate) fn is_limited(&self) -> bool {
        self.max_bytes.is_some()
    }
}

/// The weights in 4 bits, the report on each tensor, and what keeping it in 4
/// bits alone does to the states (empty unless that was measured).
pub(crate) fn to_q4(
    plan: &Arc<Plan>,
    weights: &Weights,
    args: IntegerArgs,
) -> Result<(Weights, Vec<TensorError>)> {
    let calibration = calibration(plan, weights, args)?;
    let statistics = calibration.as_ref().map(|(_, statistics)| statistics);
    let smallest = weights.quantize_q4(plan, statistics, &[]);
    let Some(limit) = args.max_bytes else {
        return Ok(smallest);
    };
    ensure!(
        smallest.0.bytes() <= limit,
        "--max-bytes {limit}: with every matrix in 4 bits the weights have {} bytes",
        smallest.0.bytes()
    );
    let (inputs, statistics) = calibration
        .as_ref()
        .context("--max-bytes looks for the most sensitive matrices by calibration")?;
    let sample = &inputs[..inputs.len().min(SAMPLE)];
    let mut order = sensitivities(plan, weights, statistics, sample)?;
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    outln!("{:<48} {:>12}", "in 4 bits alone", "error of z_H");
    let (mut kept, mut bytes) = (Vec::new(), smallest.0.bytes());
    for (id, error) in order {
        let extra = weights.get(id).to_q8().bytes() - smallest.0.get(id).bytes();
        let keeps = bytes + extra <= limit;
        if keeps {
            bytes += extra;
            kept.push(id);
        }
        let note = if keeps { "  kept in 8 bits" } else { "" };
        outln!("{:<48} {error:>12.5}{note}", plan.tensor(id).name);
    }
    Ok(weights.quantize_q4(plan, Some(statistics), &kept))
}

/// The weights in 8 bits, and the report on each tensor.
pub(crate) fn to_q8(
    plan: &Arc<Plan>,
    weights: &Weights,
    args: IntegerArgs,
) -> Result<(Weights, Vec<TensorError>)> {
    Ok(match calibration(plan, weights, args)? {
        Some((_, statistics)) => weights.quantize_q8_calibrated(plan, &statistics),
        None => weights.quantize_q8(plan),
    })
}

/// Puzzles, and what matrices are multiplied with on them; `None` where that is
/// not wanted, or where there is no generator.
fn calibration(
    plan: &Arc<Plan>,
    weights: &Weights,
    args: IntegerArgs,
) -> Result<Option<(Vec<Vec<u8>>, Statistics)>> {
    let count = args.calibration.unwrap_or(CALIBRATION);
    let (Ok(shape), 1..) = (plan.config.puzzle.sudoku(), count) else {
        return Ok(None);
    };
    let inputs = (0..u64::from(count))
        .map(|seed| {
            let puzzle = generate(seed, &GeneratorOptions::any(shape))?;
            Ok(puzzle.question.tokens())
        })
        .collect::<Result<Vec<_>>>()
        .context("generating puzzles for calibration")?;
    let segments = args.calibration_segments.unwrap_or(CALIBRATION_SEGMENTS);
    let statistics = calibrate(plan, weights, &inputs, segments)?;
    Ok(Some((inputs, statistics)))
}

/// Runs the model in f32 and records what its matrices are multiplied with.
fn calibrate(
    plan: &Arc<Plan>,
    weights: &Weights,
    inputs: &[Vec<u8>],
    segments: u32,
) -> Result<Statistics> {
    let model = Arc::new(CpuModel::new(Arc::clone(plan), weights));
    let mut run = CpuRun::new(model, inputs)?;
    run.watch();
    let bar = bar(u64::from(segments), "calibration")?;
    for _ in 0..segments {
        run.segment(Taps::default());
        bar.inc(1);
    }
    bar.finish_and_clear();
    run.statistics().cloned().context("no statistics")
}

/// Relative error of `z_H` with one matrix in 4 bits, for each.
fn sensitivities(
    plan: &Arc<Plan>,
    weights: &Weights,
    statistics: &Statistics,
    inputs: &[Vec<u8>],
) -> Result<Vec<(TensorId, f64)>> {
    let states = |weights: &Weights| -> Result<Vec<f32>> {
        let model = Arc::new(CpuModel::new(Arc::clone(plan), weights));
        let mut run = CpuRun::new(model, inputs)?;
        for _ in 0..SAMPLE_SEGMENTS {
            run.segment(Taps::default());
        }
        Ok(run.states().0.to_vec())
    };
    let expected = states(weights)?;
    let power: f64 = expected.iter().map(|&v| f64::from(v).powi(2)).sum();
    let matrices = plan.matrices();
    let bar = bar(matrices.len() as u64, "sensitivity")?;
    let measured = matrices
        .into_iter()
        .map(|id| {
            let shape = &plan.tensor(id).shape;
            let shape = [shape[0], shape[1]];
            let tensor = quantize_q4(&weights.dense(id), shape, Some(statistics.get(id)));
            let found = states(&weights.with(plan, id, tensor)?)?;
            let differences = expected.iter().zip(&found);
            let error: f64 = differences.map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
            bar.inc(1);
            Ok((id, (error / power.max(f64::MIN_POSITIVE)).sqrt()))
        })
        .collect();
    bar.finish_and_clear();
    measured
}

fn bar(steps: u64, what: &str) -> Result<ProgressBar> {
    let style =
        ProgressStyle::with_template(&format!("{{bar:30}} {{percent}}% {what}, {{eta}} left"))?;
    Ok(ProgressBar::new(steps).with_style(style))
}
