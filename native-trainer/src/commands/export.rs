//! `hrm export`: a checkpoint in the form that the playground loads.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::weights::{Manifest, Part, Scheme, Weights};

use crate::checkpoint::{CARD, CONFIG, Checkpoint, MANIFEST, write_atomically};
use crate::quantize::IntegerArgs;
use crate::{onnx, quantize};

/// Name of the ONNX graph.
const ONNX: &str = "model.onnx";

/// Quantize a checkpoint and write it for the playground: parts small enough
/// for static hosts, a manifest with their sha256, the model card. Or write one
/// segment as an ONNX graph, for others.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`
    #[arg(long, required_unless_present = "preset")]
    checkpoint: Option<PathBuf>,
    /// Export a preset with random weights instead, to measure with
    #[arg(long, conflicts_with = "checkpoint")]
    preset: Option<String>,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    /// What to write
    #[arg(long, default_value = "playground")]
    format: Format,
    /// How to store the values
    #[arg(long, default_value = "q8")]
    quantize: Quantize,
    #[command(flatten)]
    integers: IntegerArgs,
    /// Name shown to people
    #[arg(long)]
    title: Option<String>,
    /// One sentence: what the model can do and what it can't
    #[arg(long)]
    summary: Option<String>,
    /// Model card to ship instead of the checkpoint's
    #[arg(long)]
    card: Option<PathBuf>,
    /// Largest part in bytes
    #[arg(long, default_value_t = 8_000_000)]
    part_bytes: usize,
    /// Directory to write; its name becomes the model's id
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A directory that the playground and `hrm` load
    Playground,
    /// `model.onnx`: tokens and states in, logits, q and states out, f32
    Onnx,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Quantize {
    /// 8-bit integers with one scale a row, for the modules' matrices, calibrated
    Q8,
    /// 4-bit integers in groups of 32 with f16 scales, calibrated
    Q4,
    /// 16-bit floats
    F16,
    /// No quantization
    F32,
}

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let (plan, weights) = match (&args.checkpoint, &args.preset) {
        (Some(path), _) => {
            let Checkpoint { plan, weights } = Checkpoint::load(path, args.config.as_deref())?;
            (plan, weights)
        }
        (None, Some(name)) => {
            let plan = Arc::new(Plan::new(&ModelConfig::preset(name)?)?);
            let weights = Weights::random(&plan, 0);
            (plan, weights)
        }
        (None, None) => bail!("say what to export: --checkpoint PATH or --preset NAME"),
    };
    fs::create_dir_all(&args.output)
        .with_context(|| format!("creating {}", args.output.display()))?;
    let config = plan.config.to_json();
    if args.format == Format::Onnx {
        let bytes = onnx::segment(&plan, &weights);
        write_atomically(&args.output.join(ONNX), &bytes)?;
        write_atomically(&args.output.join(CONFIG), config.as_bytes())?;
        println!(
            "{}: {} bytes",
            args.output.join(ONNX).display(),
            bytes.len()
        );
        return Ok(());
    }
    let (Some(title), Some(summary)) = (&args.title, &args.summary) else {
        bail!("the playground shows a title and a summary: give --title and --summary");
    };
    let (weights, report) = match args.quantize {
        Quantize::F32 => (weights, Vec::new()),
        Quantize::Q8 if weights.scheme() == Scheme::Q8 => (weights, Vec::new()),
        Quantize::Q8 => quantize::to_q8(&plan, &weights, args.integers)?,
        Quantize::F16 => weights.quantize_f16(&plan),
        Quantize::Q4 => quantize::to_q4(&plan, &weights, args.integers)?,
    };
    if !report.is_empty() {
        println!(
            "{:<48} {:>10} {:>10} {:>9} {:>9}",
            "tensor",
            "f32 bytes",
            format!("{} bytes", weights.scheme()),
            "rel. rms",
            "max"
        );
    }
    for e in &report {
        println!(
            "{:<48} {:>10} {:>10} {:>9.5} {:>9.5}",
            e.name, e.bytes_before, e.bytes_after, e.relative_rms, e.max_abs
        );
    }

    let bytes = weights.to_safetensors(&plan)?;
    let chunks: Vec<&[u8]> = bytes.chunks(args.part_bytes.max(1)).collect();
    let mut parts = Vec::with_capacity(chunks.len());
    for (i, chunk) in chunks.iter().enumerate() {
        let name = if chunks.len() == 1 {
            "model.safetensors".to_owned()
        } else {
            format!("model.safetensors.{i:02}")
        };
        write_atomically(&args.output.join(&name), chunk)?;
        parts.push(Part::of(&name, chunk));
    }

    let path = std::path::absolute(&args.output)?;
    let manifest = Manifest {
        id: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        title: title.clone(),
        summary: summary.clone(),
        puzzle: plan.config.puzzle.sudoku()?,
        boards: plan.further_boards(),
        parameters: plan.parameter_count(),
        scheme: weights.scheme(),
        parts,
    };
    let card = match (&args.card, &args.checkpoint) {
        (Some(card), _) => Some(card.clone()),
        (None, Some(checkpoint)) => Some(checkpoint.join(CARD)),
        // Random weights have no card to go with them.
        (None, None) => None,
    };
    if let Some(card) = card {
        let text = fs::read(&card)
            .with_context(|| format!("reading the model card {}", card.display()))?;
        write_atomically(&args.output.join(CARD), &text)?;
    }
    write_atomically(&args.output.join(CONFIG), config.as_bytes())?;
    write_atomically(
        &args.output.join(MANIFEST),
        serde_json::to_string_pretty(&manifest)?.as_bytes(),
    )?;
    println!(
        "{}: {} bytes in {} part(s)",
        args.output.display(),
        manifest.bytes(),
        manifest.parts.len()
    );
    Ok(())
}
