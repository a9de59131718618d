//! `hrm import`: a checkpoint directory from weights made elsewhere.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::checkpoint::Checkpoint;

/// Make a checkpoint directory of a PyTorch state dict (`.pt`), a bare
/// `.safetensors` or another checkpoint.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// File or checkpoint directory to read
    source: PathBuf,
    /// Directory to write; must not hold a checkpoint yet
    dir: PathBuf,
    /// Model configuration (JSON), for a bare weights file
    #[arg(long)]
    config: Option<PathBuf>,
}

pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    if args.dir.join(crate::checkpoint::MODEL).exists() {
        bail!(
            "{} already holds a checkpoint; choose another directory",
            args.dir.display()
        );
    }
    let checkpoint = Checkpoint::load(&args.source, args.config.as_deref())?;
    let name = args
        .source
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let card = format!(
        "# Imported model\n\n- source: `{name}`\n- parameters: {}\n- board: {}\n\nNothing is known here about its data, training or accuracy.\n",
        checkpoint.plan.parameter_count(),
        checkpoint.plan.config.puzzle,
    );
    checkpoint.save(&args.dir, &card)?;
    println!(
        "{}: {} parameters",
        args.dir.display(),
        checkpoint.plan.parameter_count()
    );
    Ok(())
}
