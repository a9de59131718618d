//! The page's build tools, installed from source into the cache folder.

use crate::command::{find_on_path, output, run};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest trunk that the supported compilers build.
const TRUNK_VERSION: &str = "0.21.14";
/// Mozilla's driver of Firefox.
const GECKODRIVER_VERSION: &str = "0.37.1";
/// Binaryen's release, as npm numbers it.
const BINARYEN_VERSION: &str = "132.0.0";
/// The accessibility checker's release.
const AXE_VERSION: &str = "4.14.1";

/// Installs wasm-bindgen (of the version in `Cargo.lock`) and trunk where they
/// are missing or of another version.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let bindgen = workspace.locked_version("wasm-bindgen")?;
    // Published without a lock file of its own, hence not --locked.
    install(workspace, "wasm-bindgen-cli", "wasm-bindgen", &bindgen, &[])?;
    install(workspace, "trunk", "trunk", TRUNK_VERSION, &["--locked"])?;
    clear(workspace)
}

/// Firefox's driver: `$GECKODRIVER`, or this version, installed where it is
/// missing.
pub(crate) fn geckodriver(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(file) = env::var_os("GECKODRIVER") {
        return Ok(file.into());
    }
    let name = "geckodriver";
    install(workspace, name, name, GECKODRIVER_VERSION, &["--locked"])?;
    clear(workspace)?;
    let cached = workspace.cache.join("bin").join(name);
    let file = if cached.is_file() {
        Some(cached)
    } else {
        find_on_path(&[name])
    };
    file.context("geckodriver was installed, and is not there")
}

/// Removes what is only there to be shared by installs.
fn clear(workspace: &Workspace) -> Result<()> {
    let target = build_dir(workspace);
    if target.exists() {
        fs::remove_dir_all(&target)
            .with_context(|| format!("cannot remove {}", target.display()))?;
    }
    Ok(())
}

fn build_dir(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("tools-target")
}

fn install(
    workspace: &Workspace,
    package: &str,
    binary: &str,
    version: &str,
    options: &[&str],
) -> Result<()> {
    let cached = workspace.cache.join("bin").join(binary);
    let on_path = find_on_path(&[binary]);
    if has_version(&cached, version) || on_path.is_some_and(|file| has_version(&file, version)) {
        return Ok(());
    }
    eprintln!(
        "Installing {package} {version} into {} (once, takes some minutes)",
        workspace.cache.display()
    );
    run(Command::new("cargo")
        .args([
            "install",
            "--quiet",
            "--force",
            package,
            "--version",
            version,
        ])
        .args(options)
        .arg("--root")
        .arg(&workspace.cache)
        // Away from the clone, whose cargo configuration must not apply.
        .current_dir(&workspace.cache)
        .env("CARGO_TARGET_DIR", build_dir(workspace))
        // They run for seconds: a quick build is worth more than a quick tool.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"))
    .with_context(|| format!("installing {package} {version}"))
}

fn has_version(binary: &Path, version: &str) -> bool {
    output(Command::new(binary).arg("--version"))
        .is_ok_and(|text| text.split_whitespace().nth(1) == Some(version))
}

/// wasm-opt, from npm's `binaryen`. It only makes the page smaller, so a
/// machine without npm does without it.
pub(crate) fn wasm_opt(workspace: &Workspace) -> Option<PathBuf> {
    let binary = npm_folder(workspace).join(".bin/wasm-opt");
    let wanted = format!("version_{}", BINARYEN_VERSION.split('.').next()?);
    let usable = |binary: &Path| {
        output(Command::new(binary).arg("--version")).is_ok_and(|text| text.contains(&wanted))
    };
    if usable(&binary) {
        return Some(binary);
    }
    let installed = npm_install(workspace, &format!("binaryen@{BINARYEN_VERSION}"));
    match installed {
        Ok(_) if usable(&binary) => Some(binary),
        Ok(_) => {
            eprintln!("The page will be larger than it has to be: npm's wasm-opt does not run.");
            None
        }
        Err(error) => {
            eprintln!("The page will be larger than it has to be: no wasm-opt ({error:#}).");
            None
        }
    }
}

/// The accessibility checker axe as one script, from npm's `axe-core`. Nothing
/// but a test of the page needs it.
pub(crate) fn axe(workspace: &Workspace) -> Result<PathBuf> {
    let folder = npm_folder(workspace).join("axe-core");
    let script = folder.join("axe.min.js");
    let wanted = format!("\"version\": \"{AXE_VERSION}\"");
    let there = fs::read_to_string(folder.join("package.json"))
        .is_ok_and(|package| package.contains(&wanted));
    if !(there && script.is_file()) {
        npm_install(workspace, &format!("axe-core@{AXE_VERSION}"))?;
    }
    Ok(script)
}

/// Where npm's packages are.
pub(crate) fn npm_folder(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("npm/node_modules")
}

/// Installs a package, `name@version`, into the cache.
pub(crate) fn npm_install(workspace: &Workspace, package: &str) -> Result<()> {
    output(
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
            .arg("--prefix")
            .arg(workspace.cache.join("npm"))
            .arg(package)
            .current_dir(&workspace.cache),
    )
    .map(drop)
    .with_context(|| format!("installing {package} from npm"))
}
