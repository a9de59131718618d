//! The engine's module in relaxed SIMD, which stands in the repository as
//! built: whether it is what its source compiles to.

use crate::command::output;
use crate::page::target_dir;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where source and module are.
const FOLDER: &str = "core/src/cpu/relaxed";

/// The compiler that the module is of; another may choose other instructions.
const COMPILER: &str = "rustc 1.95.";

/// What the source compiles to.
fn compile(source: &Path, module: &Path) -> Result<Vec<u8>> {
    let flags = [
        "--edition=2024",
        "--target=wasm32-unknown-unknown",
        "--crate-type=cdylib",
        "-O",
        "-Cpanic=abort",
        "-Cstrip=symbols",
        "-Ctarget-feature=+simd128,+relaxed-simd",
        "-Clink-arg=--import-memory",
        "-Clink-arg=-zstack-size=0",
        "-Clink-arg=--export=sum_bytes",
        "-Clink-arg=--export=sum_nibbles",
    ];
    let mut command = Command::new("rustc");
    output(command.args(flags).arg(source).arg("-o").arg(module))?;
    fs::read(module).with_context(|| format!("reading {}", module.display()))
}

fn paths(workspace: &Workspace) -> (PathBuf, PathBuf) {
    let folder = workspace.root.join(FOLDER);
    (folder.join("module.rs"), folder.join("module.wasm"))
}

/// Fails if the module is not what its source compiles to. Where another
/// compiler is at work nothing can be said, and nothing is.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let compiler = output(Command::new("rustc").arg("--version"))?;
    if !compiler.starts_with(COMPILER) {
        eprintln!(
            "{FOLDER}/module.wasm was built by {COMPILER}x, this is {compiler}: not compared"
        );
        return Ok(());
    }
    let (source, module) = paths(workspace);
    let built = compile(&source, &target_dir(workspace).join("relaxed.wasm"))?;
    let kept = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    if built != kept {
        bail!("{FOLDER}/module.wasm is not what module.rs compiles to: run `cargo xtask relaxed`");
    }
    Ok(())
}

/// Builds the module anew.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let (source, module) = paths(workspace);
    let bytes = compile(&source, &module)?;
    println!("{}: {} bytes", module.display(), bytes.len());
    Ok(())
}
