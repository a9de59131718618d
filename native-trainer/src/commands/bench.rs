//! `hrm bench`: how long things take on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use hrm_core::config::ModelConfig;
use hrm_core::engine::Taps;
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};

/// Measure speed on this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Milliseconds a segment of an inference engine
    Engine(EngineArgs),
}

#[derive(Debug, clap::Args)]
struct EngineArgs {
    /// Checkpoint to run
    #[arg(long, conflicts_with = "preset")]
    checkpoint: Option<PathBuf>,
    /// Preset to run with random weights
    #[arg(long)]
    preset: Option<String>,
    /// Processors, each measured in turn within every repetition
    #[arg(long, value_delimiter = ',', default_value = "cpu")]
    device: Vec<Device>,
    /// Quantize to 8 bits first
    #[arg(long)]
    q8: bool,
    /// Sequences in the batch
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Repetitions; the first segment of each engine is not counted
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repetitions: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Times of one engine, in milliseconds a segment of the whole batch.
#[derive(Debug, Serialize)]
struct Timing {
    engine: String,
    scheme: String,
    batch: u32,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    gflops: f64,
}

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let What::Engine(args) = &args.what;
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
    let weights = if args.q8 {
        weights.quantize_q8(&plan).0
    } else {
        weights
    };
    let inputs = vec![vec![1u8; plan.config.seq_len]; args.batch as usize];

    let mut engines = Vec::new();
    for device in &args.device {
        let engine = Engine::new(*device, &plan, &weights)?;
        let mut session = engine.start(&inputs)?;
        session.segment(Taps::default())?;
        engines.push((engine.name().to_owned(), session, Vec::new()));
    }
    // Alternating, so that what else the machine does hits all alike.
    for _ in 0..args.repetitions {
        for (_, session, times) in &mut engines {
            let start = Instant::now();
            session.segment(Taps::default())?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let flops = plan.segment_flops() * f64::from(args.batch);
    for (engine, _, mut times) in engines {
        times.sort_by(f64::total_cmp);
        let median_ms = times[times.len() / 2];
        let timing = Timing {
            engine,
            scheme: weights.scheme().to_string(),
            batch: args.batch,
            median_ms,
            min_ms: times[0],
            max_ms: times[times.len() - 1],
            gflops: flops / median_ms / 1e6,
        };
        if args.json {
            println!("{}", serde_json::to_string(&timing)?);
        } else {
            println!(
                "{}: {} batch {}: {:.2} ms a segment (median of {}, {:.2} to {:.2}), {:.1} GFLOP/s",
                timing.engine,
                timing.scheme,
                timing.batch,
                timing.median_ms,
                args.repetitions,
                timing.min_ms,
                timing.max_ms,
                timing.gflops
            );
        }
    }
    Ok(())
}
