//! `hrm bench train`: how long a training step takes, and what of it. The
//! PyTorch twin's counterpart is `native-trainer/benches/pytorch/bench.py`.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use hrm_core::config::ModelConfig;
use hrm_core::model::Burn;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Generated, GeneratorOptions, Symmetry, generate};
use hrm_core::train::{
    AdamSettings, Backend, Clock, Example, LossKind, OptimizerKind, OptimizerSettings, Part,
    Precision, Trainer, TrainerSettings,
};
use hrm_core::weights::Weights;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::json;

use crate::device::Devices;
use crate::engine::Device;
use crate::output::outln;
use crate::train::{Arithmetic, cpu_seconds, keep_buffers};

#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Architecture
    #[arg(long, default_value = "hrm")]
    preset: String,
    /// Processor
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Arithmetic
    #[arg(long, value_enum, default_value_t = Arithmetic::F32)]
    precision: Arithmetic,
    /// Puzzles trained on at a time
    #[arg(long, default_value_t = 768, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Threads of a CPU (0: one for each core)
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Without the second forward pass and its loss
    #[arg(long)]
    no_q_target: bool,
    /// On a CPU: through the gradient graph, as on every other device
    #[arg(long)]
    graph: bool,
    /// Steps before the first one that counts
    #[arg(long, default_value_t = 3)]
    warmup: u32,
    /// Steps that count
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
    /// Further steps whose parts are timed, one by one: on a GPU these are
    /// slower, because each part is waited for
    #[arg(long, default_value_t = 5)]
    part_steps: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What one benchmark found.
#[derive(Debug, Serialize)]
struct Timing {
    engine: &'static str,
    device: String,
    mode: &'static str,
    preset: String,
    batch: u32,
    threads: usize,
    precision: Precision,
    q_target: bool,
    steps: u32,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    /// Processor time a step, of all threads: what a busy machine leaves
    /// comparable.
    cpu_ms: Option<f64>,
    puzzle_steps_per_second: f64,
    /// By the plan's count of operations.
    tflops: f64,
    /// Share of the time of each part, by name.
    parts: serde_json::Map<String, serde_json::Value>,
    /// The process's largest memory; not a GPU's.
    peak_bytes: Option<u64>,
    loss: f64,
}

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    keep_buffers();
    let mut config = ModelConfig::preset(&args.preset)?;
    if args.no_q_target {
        config.q_continue = false;
    }
    let plan = Plan::new(&config)?;
    let precision = args.precision.into();
    let devices = Devices::find(args.device, 1, precision)?;
    let threads = match args.threads {
        0 if devices.cpu => std::thread::available_parallelism().map_or(1, usize::from),
        0 => 1,
        n => n,
    };
    let weights = Weights::random(&plan, 0);
    let flops = plan.training_flops() * f64::from(args.batch);
    let settings = settings(&config, args, precision, threads);
    let mut draws = Draws::new(&config)?;
    let measured = if devices.cpu && !args.graph {
        measure(Trainer::on_host(plan, &weights, settings), args, &mut draws)?
    } else {
        let plan = Arc::new(plan);
        let burn = Burn::new(&plan, &weights, &settings, vec![devices.first]);
        measure(Trainer::new(plan, burn, settings), args, &mut draws)?
    };
    let Measured {
        mut times,
        loss,
        cpu_ms,
        parts,
    } = measured;

    times.sort_by(f64::total_cmp);
    let median_ms = times[times.len() / 2];
    let timing = Timing {
        engine: "hrm",
        device: devices.name,
        mode: if devices.cpu && !args.graph {
            "engine"
        } else {
            "graph"
        },
        preset: args.preset.clone(),
        batch: args.batch,
        threads,
        precision,
        q_target: config.q_continue,
        steps: args.steps,
        median_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        cpu_ms,
        puzzle_steps_per_second: 1e3 * f64::from(args.batch) / median_ms,
        tflops: flops / median_ms / 1e9,
        parts,
        peak_bytes: peak_bytes(),
        loss,
    };
    if args.json {
        outln!("{}", serde_json::to_string(&timing)?);
        return Ok(());
    }
    outln!(
        "{} on {} ({}, {threads} thread(s)), batch {}: {median_ms:.1} ms a step (median of {}, {:.1} to {:.1}), \
         {:.1} puzzle-steps/s, {:.3} TFLOP/s",
        timing.preset,
        timing.device,
        timing.mode,
        timing.batch,
        timing.steps,
        timing.min_ms,
        timing.max_ms,
        timing.puzzle_steps_per_second,
        timing.tflops
    );
    if let Some(cpu) = timing.cpu_ms {
        outln!("  {:<20} {cpu:.1} ms a step", "processor time");
    }
    for (name, share) in &timing.parts {
        outln!(
            "  {name:<20} {:5.1} %",
            100.0 * share.as_f64().unwrap_or(0.0)
        );
    }
    if let Some(bytes) = timing.peak_bytes {
        outln!("  {:<20} {:.0} MB", "peak memory", bytes as f64 / 1e6);
    }
    Ok(())
}

/// What was measured of some steps.
struct Measured {
    /// Milliseconds of each.
    times: Vec<f64>,
    loss: f64,
    cpu_ms: Option<f64>,
    parts: serde_json::Map<String, serde_json::Value>,
}

fn measure<B: Backend>(
    mut trainer: Trainer<B>,
    args: &TrainArgs,
    draws: &mut Draws,
) -> Result<Measured> {
    let mut times = Vec::new();
    let mut loss = f64::NAN;
    let mut cpu = None;
    for step in 0..args.warmup + args.steps {
        if step == args.warmup {
            cpu = cpu_seconds();
        }
        let begun = Instant::now();
        // A step ends with a read-back, so its time is the device's too.
        let report = trainer.step(1.0, |_| draws.draw())?;
        loss = report.loss;
        if step >= args.warmup {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let cpu_ms = cpu
        .zip(cpu_seconds())
        .map(|(before, after)| 1e3 * (after - before) / f64::from(args.steps));
    trainer.measure_parts();
    for _ in 0..args.part_steps {
        trainer.step(1.0, |_| draws.draw())?;
    }
    let spent = trainer.clock().map(Clock::take);
    let spent = spent.context("the parts were not timed")?;
    let all: f64 = spent.iter().sum();
    let parts = Part::ALL.iter().zip(spent).filter(|_| all > 0.0);
    let parts = parts.map(|((name, _), seconds)| ((*name).to_owned(), json!(seconds / all)));
    Ok(Measured {
        times,
        loss,
        cpu_ms,
        parts: parts.collect(),
    })
}

/// The paper's optimiser for models with attention, Muon for the others.
fn settings(
    config: &ModelConfig,
    args: &TrainArgs,
    precision: Precision,
    threads: usize,
) -> TrainerSettings {
    let compact = config.token_inner.is_some();
    let adam = AdamSettings {
        lr: if compact { 1e-3 } else { 1e-4 },
        weight_decay: if compact { 0.0 } else { 1.0 },
        beta1: 0.9,
        beta2: 0.95,
    };
    TrainerSettings {
        batch_size: args.batch as usize,
        threads,
        precision,
        loss: if compact {
            LossKind::Softmax
        } else {
            LossKind::Stablemax
        },
        q_weight: if compact { 0.1 } else { 0.5 },
        ema: Some(0.999),
        clip: None,
        optimizer: OptimizerSettings {
            kind: if compact {
                OptimizerKind::Muon
            } else {
                OptimizerKind::AdamAtan2
            },
            adam,
            ..OptimizerSettings::default()
        },
        seed: 0,
    }
}

/// Generated puzzles under random symmetries.
struct Draws {
    puzzles: Vec<Generated>,
    rng: ChaCha8Rng,
}

impl Draws {
    fn new(config: &ModelConfig) -> Result<Self> {
        let options = GeneratorOptions::minimal(config.puzzle.sudoku()?);
        let puzzles = (0..16)
            .map(|seed| generate(seed, &options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            puzzles,
            rng: ChaCha8Rng::seed_from_u64(0),
        })
    }

    fn draw(&mut self) -> Example {
        let puzzle = &self.puzzles[self.rng.random_range(0..self.puzzles.len())];
        let symmetry = Symmetry::random(puzzle.question.shape(), &mut self.rng);
        Example {
            input: symmetry.apply(&puzzle.question).tokens(),
            label: symmetry.apply(&puzzle.answer).tokens(),
            identifier: 0,
        }
    }
}

/// The largest memory that the process has had.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}
