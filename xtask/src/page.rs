//! Building the page: trunk, then wasm-opt, then what it weighs.

use crate::command::{human, output, run};
use crate::finish::finish;
use crate::setup;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// How to build the page.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Cargo profile of the wasm: `web` is what ships, `release` and `dev`
    /// compile faster
    #[arg(long, default_value = "web")]
    profile: String,
    /// Leave out wasm-opt, which makes the page smaller
    #[arg(long)]
    no_wasm_opt: bool,
}

impl Default for BuildArgs {
    fn default() -> Self {
        Self {
            profile: "web".to_owned(),
            no_wasm_opt: false,
        }
    }
}

/// WebAssembly features that every browser the page supports has; wasm-opt
/// refuses code that uses one it was not told of.
const WASM_FEATURES: [&str; 9] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-call-indirect-overlong",
];

/// Builds the page into `dist/`, installing the tools first where missing.
pub(crate) fn build(workspace: &Workspace, args: &BuildArgs) -> Result<()> {
    let wasm_opt = setup::for_page(workspace)?;
    let started = Instant::now();
    // trunk builds offline, so that it never downloads tools of its own.
    output(
        Command::new("cargo")
            .args(["fetch", "--quiet", "--target", "wasm32-unknown-unknown"])
            .current_dir(&workspace.root),
    )
    .context("fetching the page's dependencies")?;
    // Modules that only draw have a profile of their own in what ships
    // (`data-cargo-profile-release` in `index.html`), and in nothing else.
    let ships = if args.profile == "web" {
        "true"
    } else {
        "false"
    };
    run(Command::new("trunk")
        .args(["build", "--release", ships])
        .args(["--cargo-profile", &args.profile])
        .current_dir(&workspace.root)
        .env("PATH", workspace.path_variable()?)
        // trunk takes this for a flag of its own and wants `true` or `false`.
        .env_remove("NO_COLOR"))
    .context("building the page")?;
    // The other profiles are for quick rebuilds.
    let shrink = args.profile == "web" && !args.no_wasm_opt;
    if let (Some(wasm_opt), true) = (wasm_opt, shrink) {
        for wasm in files_with(&workspace.dist(), "wasm")? {
            optimize(workspace, &wasm_opt, &wasm)?;
        }
    }
    finish(&workspace.dist())?;
    println!(
        "\nBuilt {} in {}",
        workspace.dist().display(),
        human(started.elapsed())
    );
    print_sizes(&workspace.dist())
}

/// Size for what only draws, speed for what computes. The size that counts is
/// that of what is sent: compressed, functions that are not inlined into their
/// only caller are smaller, and so is what `-Os` writes than what `-Oz` does.
fn level(file_name: &str) -> &'static [&'static str] {
    if file_name.starts_with("worker") || file_name.starts_with("train-worker") {
        &["-O3"]
    } else {
        &[
            "-Os",
            "--one-caller-inline-max-function-size=30",
            "--gufa-optimizing",
            "-Os",
        ]
    }
}

/// Runs wasm-opt in place. Results are kept by content, since most rebuilds
/// change one of the modules at most.
fn optimize(workspace: &Workspace, wasm_opt: &Path, wasm: &Path) -> Result<()> {
    let name = wasm.file_name().unwrap_or_default().to_string_lossy();
    let level = level(&name);
    let mut hasher = DefaultHasher::new();
    (level, WASM_FEATURES, fs::read(wasm)?).hash(&mut hasher);
    let kind = name.split('_').next().unwrap_or("page").to_owned();
    let folder = target_dir(workspace).join("wasm-opt").join(kind);
    let kept = folder.join(format!("{:016x}.wasm", hasher.finish()));
    if !kept.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let partial = folder.join("partial");
        eprintln!("$ wasm-opt {} {name}", level.join(" "));
        output(
            Command::new(wasm_opt)
                .args(level)
                .args(WASM_FEATURES)
                .arg(wasm)
                .arg("-o")
                .arg(&partial),
        )
        .with_context(|| format!("optimising {name}"))?;
        fs::rename(&partial, &kept)?;
    }
    fs::copy(&kept, wasm).with_context(|| format!("cannot write {}", wasm.display()))?;
    Ok(())
}

/// Where cargo builds.
pub(crate) fn target_dir(workspace: &Workspace) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(
        || workspace.root.join("target"),
        |folder| workspace.root.join(folder),
    )
}

/// Builds the `hrm` command and returns its path. With one of its tests, whose
/// dependencies have the features that they have when everything is tested:
/// another set would have burn built once more.
pub(crate) fn build_hrm(workspace: &Workspace) -> Result<PathBuf> {
    run(Command::new("cargo")
        .args(["build", "--quiet", "--workspace"])
        .args(["--bin", "hrm", "--test", "unkillable"])
        .current_dir(&workspace.root))?;
    Ok(target_dir(workspace).join("debug/hrm"))
}

fn files_with(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .collect();
    files.sort();
    Ok(files)
}

fn print_sizes(dist: &Path) -> Result<()> {
    println!("{:<44} {:>12} {:>12}", "", "bytes", "gzip");
    let mut total = (0, 0);
    for extension in ["html", "css", "js", "wasm"] {
        for file in files_with(dist, extension)? {
            let bytes = fs::read(&file)?;
            let zipped = gzip_size(&bytes)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            println!("{name:<44} {:>12} {zipped:>12}", bytes.len());
            total = (total.0 + bytes.len(), total.1 + zipped);
        }
    }
    ensure!(total.0 > 0, "{} is empty", dist.display());
    println!("{:<44} {:>12} {:>12}", "total", total.0, total.1);
    let models = dist.join("models");
    if models.is_dir() {
        println!("{:<44} {:>12}", "models/", folder_size(&models)?);
    }
    Ok(())
}

fn gzip_size(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

fn folder_size(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        size += if meta.is_dir() {
            folder_size(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_is_optimised_for_speed_and_the_page_for_size() {
        assert_eq!(level("worker_bg.wasm"), ["-O3"]);
        assert_eq!(level("train-worker_bg.wasm"), ["-O3"]);
        assert_eq!(level("train_bg.wasm")[0], "-Os");
        assert_eq!(level("playground-8c1f_bg.wasm")[0], "-Os");
    }

    #[test]
    fn gzip_shrinks_what_repeats() {
        let size = gzip_size(&[7; 100_000]).unwrap();
        assert!((20..1_000).contains(&size), "{size}");
    }
}
