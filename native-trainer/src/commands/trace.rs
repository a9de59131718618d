//! `hrm trace`: the states of a model, segment by segment, into a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hrm_core::engine::{SegmentOutput, Taps, check_inputs};
use pollster::block_on;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::checkpoint::Checkpoint;
use crate::engine::{Device, Engine};
use crate::paths::{ForceArgs, Paths, write};

/// Run a model on given inputs and write what it computes after each segment:
/// `segmentK.{logits,q_halt,q_continue,z_H,z_L}`, f32.
#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {
    /// Checkpoint directory, `.safetensors` or `.pt`
    #[arg(long)]
    checkpoint: PathBuf,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
    /// safetensors file with `inputs`, [batch, cells] int32 tokens, and where the
    /// model has several puzzle embeddings `puzzle_identifiers`, [batch] (without
    /// it row 0 for all)
    #[arg(long)]
    inputs: PathBuf,
    /// Segments to run
    #[arg(long, default_value_t = 16)]
    segments: usize,
    /// Also write z_H after each H update inside a segment, as
    /// `segmentK.traceJ.z_H`
    #[arg(long)]
    updates: bool,
    /// Processor
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// File to write
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
}

/// The tensor that picks rows of the puzzle embedding.
const IDENTIFIERS: &str = "puzzle_identifiers";

/// A tensor to be written.
struct Named {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

pub(crate) fn run(args: &TraceArgs) -> Result<()> {
    let paths = Paths::new(args.force).reads(&args.inputs);
    paths
        .reads(&args.checkpoint)
        .writes("--output", &args.output)?;
    let Checkpoint { plan, weights } = Checkpoint::load(&args.checkpoint, args.config.as_deref())?;
    let (inputs, identifiers) = read_inputs(&args.inputs)?;
    let engine = Engine::new(args.device, None, &plan, &weights)?;
    let batch = inputs.len();
    let fits = || format!("inputs of {}", args.inputs.display());
    check_inputs(&plan, &inputs).with_context(fits)?;
    let mut run = block_on(engine.shared().open(batch))?;
    for (place, (tokens, &identifier)) in inputs.iter().zip(&identifiers).enumerate() {
        run.set(place, tokens, identifier).with_context(fits)?;
    }
    let taps = Taps {
        logits: true,
        states: true,
        z_h_updates: args.updates,
        z_l_updates: false,
    };
    let state = [batch, plan.positions, plan.hidden];
    let mut tensors = Vec::new();
    for segment in 1..=args.segments {
        let outputs = block_on(run.segment(taps))?.into_iter().flatten();
        let outputs: Vec<SegmentOutput> = outputs.collect();
        let mut push = |what: &str, shape: &[usize], values: Vec<f32>| {
            tensors.push(Named {
                name: format!("segment{segment}.{what}"),
                shape: shape.to_vec(),
                values,
            });
        };
        let join = |part: &dyn Fn(&SegmentOutput) -> Option<&Vec<f32>>| -> Vec<f32> {
            let parts = outputs.iter().filter_map(part).flatten();
            parts.copied().collect()
        };
        for update in 0..outputs.first().map_or(0, |o| o.updates.len()) {
            let z_h = join(&|o| o.updates.get(update).map(|(_, z_h)| z_h));
            push(&format!("trace{}.z_H", update + 1), &state, z_h);
        }
        push(
            "logits",
            &[batch, plan.config.seq_len, plan.heads.answers.count],
            join(&|o| o.logits.as_ref()),
        );
        push(
            "q_halt",
            &[batch],
            outputs.iter().map(|o| o.q_halt).collect(),
        );
        if plan.config.q_continue {
            push(
                "q_continue",
                &[batch],
                outputs.iter().filter_map(|o| o.q_continue).collect(),
            );
        }
        push("z_H", &state, join(&|o| o.z_h.as_ref()));
        push("z_L", &state, join(&|o| o.z_l.as_ref()));
    }

    let views = tensors
        .iter()
        .map(|t| {
            Ok((
                t.name.clone(),
                TensorView::new(Dtype::F32, t.shape.clone(), bytemuck::cast_slice(&t.values))?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    write(&args.output, &safetensors::serialize(views, None)?)
}

/// Token sequences from the tensor `inputs`, and the identifier of each from
/// `puzzle_identifiers`, or 0.
fn read_inputs(path: &Path) -> Result<(Vec<Vec<u8>>, Vec<usize>)> {
    let named = || format!("in {}", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes).with_context(named)?;
    let tensor = file.tensor("inputs").with_context(named)?;
    let values = integers(&tensor).filter(|_| tensor.shape().len() == 2);
    let Some(values) = values else {
        bail!(
            "`inputs` in {} is {:?} {:?}, expected I32 [batch, cells]",
            path.display(),
            tensor.dtype(),
            tensor.shape()
        );
    };
    let (batch, width) = (tensor.shape()[0], tensor.shape()[1].max(1));
    let tokens = values
        .iter()
        .enumerate()
        .map(|(i, &token)| {
            u8::try_from(token).with_context(|| {
                format!(
                    "`inputs` in {}: {token} at row {}, column {} is no token",
                    path.display(),
                    i / width,
                    i % width
                )
            })
        })
        .collect::<Result<Vec<u8>>>()?;
    let inputs = tokens.chunks(width).map(<[u8]>::to_vec).collect();

    let Ok(tensor) = file.tensor(IDENTIFIERS) else {
        return Ok((inputs, vec![0; batch]));
    };
    let values = integers(&tensor).filter(|values| values.len() == batch);
    let Some(values) = values else {
        bail!(
            "`{IDENTIFIERS}` in {} is {:?} {:?}, expected I32 [{batch}]",
            path.display(),
            tensor.dtype(),
            tensor.shape()
        );
    };
    let identifiers = values
        .iter()
        .enumerate()
        .map(|(i, &value)| {
            usize::try_from(value).with_context(|| {
                format!(
                    "`{IDENTIFIERS}` in {}: {value} of sequence {i} is no row of a table",
                    path.display()
                )
            })
        })
        .collect::<Result<Vec<usize>>>()?;
    Ok((inputs, identifiers))
}

/// The values of a tensor of 32 or 64-bit integers.
fn integers(tensor: &TensorView<'_>) -> Option<Vec<i64>> {
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::I32 => Some(
            data.chunks_exact(4)
                .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())
                .collect(),
        ),
        Dtype::I64 => Some(
            data.chunks_exact(8)
                .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .collect(),
        ),
        _ => None,
    }
}
