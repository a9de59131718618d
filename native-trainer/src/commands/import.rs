//! `hrm import`: a checkpoint directory from weights made elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use hrm_core::import::Choice;
use hrm_core::puzzle::arc::files::{read_rows, write_rows};

use crate::checkpoint::Checkpoint;
use crate::output::{errln, outln};

/// Make a checkpoint directory of what others publish: a PyTorch file
/// (`checkpoint`, `step_52080`, `.pt`, `.pth`, `.bin`, …), a `.safetensors`, or
/// the folder of one. The content decides, not the name; the configuration
/// (`all_config.yaml`, `config.json`) is found beside the weights.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// File or checkpoint directory to read
    source: PathBuf,
    /// Directory to write; must not hold a checkpoint yet
    dir: PathBuf,
    /// Model configuration, JSON or YAML, ours or as published; without it the
    /// one beside the weights, or inside their file
    #[arg(long)]
    config: Option<PathBuf>,
    /// Which tensors of a training checkpoint to take, by the key they are
    /// under (`model`, `ema`); without it the average where there is one
    #[arg(long, value_name = "NAME")]
    tensors: Option<String>,
    /// Set a field of the configuration: what neither it nor the tensors say
    #[arg(long, value_name = "FIELD=VALUE", value_parser = setting)]
    set: Vec<(String, serde_json::Value)>,
    /// Drop a field of the configuration that is not known
    #[arg(long, value_name = "FIELD")]
    ignore: Vec<String>,
    /// File of ARC rows (hrm data arc), whose puzzle embeddings alone are read from the table of
    /// all. The rows go along as `puzzles.csv`, with the identifiers that they have in what is
    /// written
    #[arg(long, value_name = "FILE")]
    identifiers: Option<PathBuf>,
}

/// The rows of ARC that a model was imported for.
const PUZZLES: &str = "puzzles.csv";

/// `FIELD=VALUE`; a value that is no JSON is a word.
fn setting(text: &str) -> Result<(String, serde_json::Value), String> {
    let (field, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not of the form FIELD=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((field.trim().to_owned(), value))
}

pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    if args.dir.join(crate::checkpoint::MODEL).exists() {
        bail!(
            "{} already holds a checkpoint; choose another directory",
            args.dir.display()
        );
    }
    let rows = args.identifiers.as_deref();
    let rows = rows.map(|path| read_rows(path, usize::MAX)).transpose()?;
    // Row 0, of no puzzle, stays the first.
    let used = rows.as_ref().map(|rows| {
        let used = rows.iter().map(|row| row.identifier);
        let used: BTreeSet<u32> = used.chain([0]).collect();
        Vec::from_iter(used)
    });
    let choice = Choice {
        identifiers: used.clone(),
        tensors: args.tensors.clone(),
        set: args.set.clone(),
        ignore: args.ignore.clone(),
    };
    let (checkpoint, notes) = Checkpoint::open(&args.source, args.config.as_deref(), &choice)?;
    for note in &notes {
        errln!("{note}");
    }
    let name = args
        .source
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let said: String = notes.iter().map(|note| format!("- {note}\n")).collect();
    let card = format!(
        "# Imported model\n\n- source: `{name}`\n- parameters: {}\n- board: {}\n{said}\nNothing is known here about its data, training or accuracy.\n",
        checkpoint.plan.parameter_count(),
        checkpoint.plan.config.puzzle,
    );
    checkpoint.save(&args.dir, &card)?;
    if let (Some(mut rows), Some(used)) = (rows, used) {
        for row in &mut rows {
            // All are among those in use.
            let place = used.binary_search(&row.identifier).unwrap_or(0);
            row.identifier = u32::try_from(place)?;
        }
        let path = args.dir.join(PUZZLES);
        write_rows(&path, &rows)?;
        errln!("{}: the rows with their new identifiers", path.display());
    }
    outln!(
        "{}: {} parameters",
        args.dir.display(),
        checkpoint.plan.parameter_count()
    );
    Ok(())
}
