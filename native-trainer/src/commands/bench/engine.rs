//! `hrm bench engine`: how long a segment takes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use hrm_core::config::ModelConfig;
use hrm_core::engine::{Run, Taps};
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use hrm_shaders::Variant;
use pollster::block_on;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::output::outln;

#[derive(Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// Checkpoint to run
    #[arg(long, conflicts_with = "preset")]
    checkpoint: Option<PathBuf>,
    /// Preset to run with random weights
    #[arg(long)]
    preset: Option<String>,
    /// Processors, each measured in turn within every repetition
    #[arg(long, value_delimiter = ',', default_value = "cpu")]
    device: Vec<Device>,
    /// Forms of the kernels with --device wgpu, each measured in turn: direct,
    /// tiled, half, packed; by default the one that a trial finds fastest
    #[arg(long, value_delimiter = ',')]
    kernels: Vec<Variant>,
    /// Quantize to 8 bits first, the same as --scheme q8
    #[arg(long, conflicts_with = "scheme")]
    q8: bool,
    /// How the weights are stored, each measured in turn; as they are if not
    /// given. 4 bits are not calibrated here, which speed does not depend on
    #[arg(long, value_delimiter = ',')]
    scheme: Vec<Stored>,
    /// Sequences in the batch, each size measured in turn
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: Vec<u32>,
    /// Repetitions; the first segment of each engine is not counted
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repetitions: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stored {
    F32,
    F16,
    Q8,
    Q4,
}

/// Times of one engine, in milliseconds a segment of the whole batch.
#[derive(Debug, Serialize)]
struct Timing {
    engine: String,
    /// Their form, on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<String>,
    scheme: String,
    batch: u32,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    gflops: f64,
    /// From weights in memory to the first segment's result, pipelines
    /// compiled and weights uploaded on the way.
    first_ms: f64,
    /// Of the weights.
    weight_bytes: usize,
    /// Of a segment, and everything allocated, on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatches: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_bytes: Option<u64>,
}

/// An engine that is being measured.
struct Subject {
    engine: String,
    kernels: Option<String>,
    scheme: String,
    run: Box<dyn Run>,
    first_ms: f64,
    weight_bytes: usize,
    times: Vec<f64>,
}

pub(crate) fn run(args: &EngineArgs) -> Result<()> {
    let (plan, weights) = match (&args.checkpoint, &args.preset) {
        (Some(path), _) => {
            let Checkpoint { plan, weights } = Checkpoint::load(path, None)?;
            (plan, weights)
        }
        (None, Some(name)) => {
            let plan = Arc::new(Plan::new(&ModelConfig::preset(name)?)?);
            let weights = Weights::random(&plan, 0);
            (plan, weights)
        }
        (None, None) => bail!("say what to run: --checkpoint PATH or --preset NAME"),
    };
    let mut schemes = args.scheme.clone();
    if args.q8 {
        schemes.push(Stored::Q8);
    }
    let mut stored: Vec<Weights> = schemes
        .iter()
        .map(|scheme| match scheme {
            Stored::F32 => weights.clone(),
            Stored::F16 => weights.quantize_f16(&plan).0,
            Stored::Q8 => weights.quantize_q8(&plan).0,
            Stored::Q4 => weights.quantize_q4(&plan, None, &[]).0,
        })
        .collect();
    if stored.is_empty() {
        stored.push(weights);
    }
    for &batch in &args.batch {
        measure(args, &plan, &stored, batch)?;
    }
    Ok(())
}

/// Measures every device and scheme at one batch size, in turn.
fn measure(args: &EngineArgs, plan: &Arc<Plan>, stored: &[Weights], batch: u32) -> Result<()> {
    let inputs = vec![vec![1u8; plan.config.seq_len]; batch as usize];
    let mut subjects = Vec::new();
    // Forms are for the GPU alone, and an error if there is none.
    let beside_gpu = args.device.contains(&Device::Wgpu);
    for &device in &args.device {
        let forms = if args.kernels.is_empty() || (device != Device::Wgpu && beside_gpu) {
            vec![None]
        } else {
            args.kernels.iter().copied().map(Some).collect()
        };
        for kernels in forms {
            for weights in stored {
                let start = Instant::now();
                let engine = Engine::new(device, kernels, plan, weights)?;
                let mut run = engine.start(&inputs)?;
                block_on(run.segment(Taps::default()))?;
                subjects.push(Subject {
                    engine: engine.name().to_owned(),
                    kernels: engine.kernels(),
                    scheme: weights.scheme().to_string(),
                    run,
                    first_ms: start.elapsed().as_secs_f64() * 1e3,
                    weight_bytes: weights.bytes(),
                    times: Vec::new(),
                });
            }
        }
    }
    // Alternating, so that what else the machine does hits all alike.
    for _ in 0..args.repetitions {
        for subject in &mut subjects {
            let start = Instant::now();
            block_on(subject.run.segment(Taps::default()))?;
            subject.times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let flops = plan.segment_flops() * f64::from(batch);
    for mut subject in subjects {
        let device = subject.run.device_costs();
        let times = &mut subject.times;
        times.sort_by(f64::total_cmp);
        let median_ms = times[times.len() / 2];
        let timing = Timing {
            engine: subject.engine,
            kernels: subject.kernels,
            scheme: subject.scheme,
            batch,
            median_ms,
            min_ms: times[0],
            max_ms: times[times.len() - 1],
            gflops: flops / median_ms / 1e6,
            first_ms: subject.first_ms,
            weight_bytes: subject.weight_bytes,
            dispatches: device.map(|costs| costs.dispatches),
            gpu_bytes: device.map(|costs| costs.bytes),
        };
        if args.json {
            outln!("{}", serde_json::to_string(&timing)?);
            continue;
        }
        let kernels = timing.kernels.map(|form| format!(", {form} kernels"));
        outln!(
            "{}{}: {} batch {batch}: {:.2} ms a segment (median of {}, {:.2} to {:.2}), {:.1} GFLOP/s",
            timing.engine,
            kernels.unwrap_or_default(),
            timing.scheme,
            timing.median_ms,
            args.repetitions,
            timing.min_ms,
            timing.max_ms,
            timing.gflops
        );
        let gpu = match (timing.dispatches, timing.gpu_bytes) {
            (Some(dispatches), Some(bytes)) => {
                format!(", {dispatches} dispatches a segment, {bytes} bytes on the device")
            }
            _ => String::new(),
        };
        outln!(
            "    first segment after {:.0} ms, weights of {} bytes{gpu}",
            timing.first_ms,
            timing.weight_bytes
        );
    }
    Ok(())
}
