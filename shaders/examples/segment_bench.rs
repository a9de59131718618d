//! Milliseconds per segment of a model with random weights, on the GPU and, for
//! comparison, on the CPU engine.
//!
//! `cargo run --release -p hrm-shaders --example segment_bench -- [--preset hrm]
//! [--batch 1] [--runs 5] [--scheme f32|q8|both] [--variant direct|tiled|packed]`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{EngineError, Taps};
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun, Variant};

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => match pollster::block_on(bench(&arguments)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

struct Arguments {
    config: ModelConfig,
    preset: String,
    batch: usize,
    runs: usize,
    schemes: Vec<bool>,
    variant: Option<Variant>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut preset = "compact".to_owned();
        let (mut batch, mut runs, mut schemes, mut variant) = (1, 5, vec![false, true], None);
        let count = |value: &str| {
            value
                .parse::<usize>()
                .ok()
                .filter(|&n| n > 0)
                .ok_or(format!("not a count: {value}"))
        };
        while let Some(flag) = words.next() {
            let value = words.next().ok_or(format!("{flag} needs a value"))?;
            match (flag.as_str(), value.as_str()) {
                ("--preset", _) => preset = value,
                ("--batch", n) => batch = count(n)?,
                ("--runs", n) => runs = count(n)?,
                ("--scheme", "f32") => schemes = vec![false],
                ("--scheme", "q8") => schemes = vec![true],
                ("--scheme", "both") => {}
                ("--variant", name) => variant = Some(name.parse()?),
                _ => return Err(format!("unknown option {flag} {value}")),
            }
        }
        let config = ModelConfig::preset(&preset).map_err(|e| e.to_string())?;
        Ok(Self {
            config,
            preset,
            batch,
            runs,
            schemes,
            variant,
        })
    }
}

async fn bench(arguments: &Arguments) -> Result<(), EngineError> {
    let context = GpuContext::new(GpuOptions {
        variant: arguments.variant,
        ..GpuOptions::default()
    })
    .await?;
    println!(
        "{} ({}), {:?} kernels",
        context.adapter_name(),
        context.backend(),
        context.variant()
    );
    let plan = Arc::new(
        Plan::new(&arguments.config).map_err(|e| EngineError::Unavailable(e.to_string()))?,
    );
    let dense = Weights::random(&plan, 1);
    let inputs = vec![vec![1; plan.config.seq_len]; arguments.batch];
    let gflop = 1e-9 * plan.segment_flops() * arguments.batch as f64;
    let report = |engine: &str, mut seconds: Vec<f64>, ready: f64| {
        let first = seconds.remove(0);
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        println!(
            "{} batch {} {engine}: {:.1} ms per segment (median of {}, least {:.1}), {:.2} GFLOP/s; ready in {:.0} ms, first segment {:.0} ms",
            arguments.preset,
            arguments.batch,
            1e3 * median,
            seconds.len(),
            1e3 * seconds[0],
            gflop / median,
            1e3 * ready,
            1e3 * first,
        );
    };

    for &q8 in &arguments.schemes {
        let quantized = q8.then(|| dense.quantize_q8(&plan).0);
        let weights = quantized.as_ref().unwrap_or(&dense);
        let clock = Instant::now();
        let model = Arc::new(GpuModel::new(&context, Arc::clone(&plan), weights).await?);
        let mut run = GpuRun::new(model, &inputs).await?;
        let ready = clock.elapsed().as_secs_f64();
        let mut seconds = Vec::new();
        for _ in 0..=arguments.runs {
            let clock = Instant::now();
            run.segment(Taps::default()).await?;
            seconds.push(clock.elapsed().as_secs_f64());
        }
        report(&format!("GPU {}", weights.scheme()), seconds, ready);
    }

    let clock = Instant::now();
    let model = Arc::new(CpuModel::new(Arc::clone(&plan), &dense));
    let mut run = CpuRun::new(model, &inputs)?;
    let ready = clock.elapsed().as_secs_f64();
    let mut seconds = Vec::new();
    for _ in 0..=arguments.runs {
        let clock = Instant::now();
        run.segment(Taps::default());
        seconds.push(clock.elapsed().as_secs_f64());
    }
    report("CPU f32", seconds, ready);
    Ok(())
}
