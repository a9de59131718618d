//! `hrm export`: a checkpoint in the form that the playground loads.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use hrm_core::weights::{Manifest, Part, Scheme};

use crate::checkpoint::{CARD, CONFIG, Checkpoint, MANIFEST, write_atomically};

/// Quantize a checkpoint and write it for the playground: parts small enough
/// for static hosts, a manifest with their sha256, the model card.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`
    #[arg(long)]
    checkpoint: PathBuf,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    /// How to store the values
    #[arg(long, default_value = "q8")]
    quantize: Quantize,
    /// Name shown to people
    #[arg(long)]
    title: String,
    /// One sentence: what the model can do and what it can't
    #[arg(long)]
    summary: String,
    /// Model card to ship instead of the checkpoint's
    #[arg(long)]
    card: Option<PathBuf>,
    /// Largest part in bytes
    #[arg(long, default_value_t = 8_000_000)]
    part_bytes: usize,
    /// Directory to write; its name becomes the model's id
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Quantize {
    /// 8-bit integers with one scale a row, for the modules' matrices
    Q8,
    /// No quantization
    F32,
}

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let Checkpoint { plan, weights } = Checkpoint::load(&args.checkpoint, args.config.as_deref())?;
    let weights = match args.quantize {
        Quantize::F32 => weights,
        Quantize::Q8 if weights.scheme() == Scheme::Q8 => weights,
        Quantize::Q8 => {
            let (weights, report) = weights.quantize_q8(&plan);
            println!(
                "{:<48} {:>10} {:>10} {:>9} {:>9}",
                "tensor", "f32 bytes", "q8 bytes", "rel. rms", "max"
            );
            for e in &report {
                println!(
                    "{:<48} {:>10} {:>10} {:>9.5} {:>9.5}",
                    e.name, e.bytes_before, e.bytes_after, e.relative_rms, e.max_abs
                );
            }
            weights
        }
    };

    fs::create_dir_all(&args.output)
        .with_context(|| format!("creating {}", args.output.display()))?;
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
        title: args.title.clone(),
        summary: args.summary.clone(),
        puzzle: plan.config.puzzle,
        parameters: plan.parameter_count(),
        scheme: weights.scheme(),
        parts,
    };
    let card = args
        .card
        .clone()
        .unwrap_or_else(|| args.checkpoint.join(CARD));
    let card =
        fs::read(&card).with_context(|| format!("reading the model card {}", card.display()))?;
    write_atomically(&args.output.join(CARD), &card)?;
    write_atomically(&args.output.join(CONFIG), plan.config.to_json().as_bytes())?;
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
