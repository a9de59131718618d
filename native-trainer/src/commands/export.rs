//! `hrm export`: a checkpoint in the form that the playground loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::weights::{Manifest, Part, Scheme, Tensor, TensorError, Values, Weights};

use super::export_folder::{Earlier, look};
use crate::checkpoint::{CARD, CONFIG, Checkpoint, MANIFEST, MODEL};
use crate::output::{errln, outln};
use crate::paths::{ForceArgs, write};
use crate::quantize::IntegerArgs;
use crate::{onnx, quantize};

/// Name of the ONNX graph.
pub(super) const ONNX: &str = "model.onnx";

/// Parts that an export may have.
const PARTS: usize = 100;

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
    /// How to store the values (by default q8; ONNX is always f32)
    #[arg(long)]
    quantize: Option<Quantize>,
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
    #[arg(long, default_value_t = 8_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    part_bytes: u64,
    #[command(flatten)]
    force: ForceArgs,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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

/// What the playground shows of a model beside its weights.
struct Shown<'a> {
    title: &'a str,
    summary: &'a str,
    puzzle: PuzzleKind,
    /// The model card; random weights have none.
    card: Option<Vec<u8>>,
}

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    if args.format == Format::Playground && (args.title.is_none() || args.summary.is_none()) {
        bail!("the playground shows a title and a summary: give --title and --summary");
    }
    // A card may be that of the folder itself: it is read, and written again.
    let read = [&args.checkpoint, &args.config];
    let read: Vec<&Path> = read.into_iter().flatten().map(PathBuf::as_path).collect();
    let earlier = look(&args.output, &read, args.force)?;
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
    let shown = match args.format {
        Format::Onnx => None,
        Format::Playground => Some(shown(args, &plan)?),
    };
    let Some(shown) = shown else {
        return write_onnx(args, &plan, &weights, &earlier);
    };
    let (weights, report) = quantized(args, &plan, weights)?;
    print_report(&weights, &report);

    let bytes = weights.to_safetensors(&plan)?;
    let size = usize::try_from(args.part_bytes).unwrap_or(usize::MAX);
    let count = bytes.len().div_ceil(size);
    ensure!(
        count <= PARTS,
        "--part-bytes {size}: that makes {count} parts of {} bytes, more than {PARTS}",
        bytes.len()
    );
    fs::create_dir_all(&args.output)
        .with_context(|| format!("creating {}", args.output.display()))?;
    let mut parts = Vec::with_capacity(count);
    for (i, chunk) in bytes.chunks(size).enumerate() {
        let name = match count {
            1 => MODEL.to_owned(),
            _ => format!("{MODEL}.{i:02}"),
        };
        write(&args.output.join(&name), chunk)?;
        parts.push(Part::of(&name, chunk));
    }
    let path = std::path::absolute(&args.output)?;
    let manifest = Manifest {
        id: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        title: shown.title.to_owned(),
        summary: shown.summary.to_owned(),
        puzzle: shown.puzzle,
        boards: plan.further_boards(),
        sees_images_alike: plan.sees_images_alike(),
        parameters: plan.parameter_count(),
        scheme: weights.scheme(),
        parts,
    };
    let mut written: Vec<&str> = manifest.parts.iter().map(|p| p.path.as_str()).collect();
    if let Some(card) = &shown.card {
        write(&args.output.join(CARD), card)?;
        written.push(CARD);
    }
    write(&args.output.join(CONFIG), plan.config.to_json().as_bytes())?;
    write(
        &args.output.join(MANIFEST),
        serde_json::to_string_pretty(&manifest)?.as_bytes(),
    )?;
    written.extend([CONFIG, MANIFEST]);
    earlier.remove_but(&written)?;
    outln!(
        "{}: {} bytes in {} part(s)",
        args.output.display(),
        manifest.bytes(),
        manifest.parts.len()
    );
    Ok(())
}

/// What the playground is to show, complete or refused.
fn shown<'a>(args: &'a ExportArgs, plan: &Plan) -> Result<Shown<'a>> {
    let beside = |checkpoint: &PathBuf| {
        let latest = checkpoint.join("latest").join(CARD);
        match checkpoint.is_dir() {
            true if latest.is_file() => latest,
            true => checkpoint.join(CARD),
            false => checkpoint.with_file_name(CARD),
        }
    };
    let card = args.card.clone().or(args.checkpoint.as_ref().map(beside));
    let card = card.map(|card| {
        fs::read(&card).with_context(|| {
            format!(
                "reading the model card {}; --card names another one",
                card.display()
            )
        })
    });
    let integers = args.integers.given();
    let quantize = args.quantize.unwrap_or(Quantize::Q8);
    if args.integers.is_limited() && quantize != Quantize::Q4 {
        bail!("--max-bytes chooses which matrices get 8 bits in place of 4: give --quantize q4");
    }
    if !integers.is_empty() && matches!(quantize, Quantize::F16 | Quantize::F32) {
        errln!(
            "note: {} is for q8 and q4, and not used",
            integers.join(", ")
        );
    }
    if let PuzzleKind::Arc(size) = plan.config.puzzle {
        errln!(
            "note: the playground has no board for {size} yet; hrm eval and hrm solve take what is written"
        );
    }
    Ok(Shown {
        title: args.title.as_deref().unwrap_or_default(),
        summary: args.summary.as_deref().unwrap_or_default(),
        puzzle: plan.config.puzzle,
        card: card.transpose()?,
    })
}

fn write_onnx(args: &ExportArgs, plan: &Plan, weights: &Weights, earlier: &Earlier) -> Result<()> {
    if args.quantize.is_some_and(|q| q != Quantize::F32) || !args.integers.given().is_empty() {
        errln!("note: ONNX is written in f32; --quantize and what belongs to it is not used");
    }
    note_coarse(weights, Scheme::F32);
    let bytes = onnx::segment(plan, weights);
    fs::create_dir_all(&args.output)
        .with_context(|| format!("creating {}", args.output.display()))?;
    write(&args.output.join(ONNX), &bytes)?;
    write(&args.output.join(CONFIG), plan.config.to_json().as_bytes())?;
    earlier.remove_but(&[ONNX, CONFIG])?;
    outln!(
        "{}: {} bytes",
        args.output.join(ONNX).display(),
        bytes.len()
    );
    Ok(())
}

/// The weights in the wanted form, and what that did to each tensor.
fn quantized(
    args: &ExportArgs,
    plan: &Arc<Plan>,
    weights: Weights,
) -> Result<(Weights, Vec<TensorError>)> {
    let quantize = args.quantize.unwrap_or(Quantize::Q8);
    let (wanted, is) = (quantize.scheme(), weights.scheme());
    if wanted == is && quantize != Quantize::Q4 {
        if !args.integers.given().is_empty() {
            errln!("note: the weights are {is} already and stay as they are");
        }
        return Ok((weights, Vec::new()));
    }
    note_coarse(&weights, wanted);
    Ok(match quantize {
        Quantize::F32 => (dense(plan, &weights)?, Vec::new()),
        Quantize::Q8 => quantize::to_q8(plan, &weights, args.integers)?,
        Quantize::F16 => weights.quantize_f16(plan),
        Quantize::Q4 => quantize::to_q4(plan, &weights, args.integers)?,
    })
}

/// Says that weights were quantized before: no form brings back what was lost.
fn note_coarse(weights: &Weights, wanted: Scheme) {
    let is = weights.scheme();
    if is != Scheme::F32 {
        errln!(
            "note: the checkpoint's weights are quantized ({is}) already; in {wanted} they keep \
             these rounded values"
        );
    }
}

/// Every tensor in f32.
fn dense(plan: &Plan, weights: &Weights) -> Result<Weights> {
    let tensors = weights.tensors().iter().map(|tensor| Tensor {
        shape: tensor.shape.clone(),
        values: Values::F32(tensor.dense().into_owned()),
    });
    Ok(Weights::from_tensors(plan, tensors.collect())?)
}

fn print_report(weights: &Weights, report: &[TensorError]) {
    if !report.is_empty() {
        outln!(
            "{:<48} {:>10} {:>10} {:>9} {:>9}",
            "tensor",
            "f32 bytes",
            format!("{} bytes", weights.scheme()),
            "rel. rms",
            "max"
        );
    }
    for e in report {
        outln!(
            "{:<48} {:>10} {:>10} {:>9.5} {:>9.5}",
            e.name,
            e.bytes_before,
            e.bytes_after,
            e.relative_rms,
            e.max_abs
        );
    }
}

impl Quantize {
    fn scheme(self) -> Scheme {
        match self {
            Self::Q8 => Scheme::Q8,
            Self::Q4 => Scheme::Q4,
            Self::F16 => Scheme::F16,
            Self::F32 => Scheme::F32,
        }
    }
}
