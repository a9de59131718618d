//! LLVM for the CUDA build: its kernel compiler links LLVM statically.
//!
//! The build script of that compiler downloads a bundle of its own from
//! GitHub. Where that can't be reached, Python's package index has the same
//! libraries; laid out like the bundle they are taken for it.

use crate::command::{can_apt_install, find_on_path, output, output_within, run};
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Packages with LLVM's static libraries, headers and tools; the second adds
/// the targets beside the processor's own, NVPTX among them.
const PACKAGES: [&str; 2] = ["mlc-llvm-static", "mlc-llvm-static-extra-targets"];
/// Their version, of the LLVM that the bundle is of.
const VERSION: &str = "23.1.1.post0";
/// The bundle's build script takes the folder for complete by this file.
const COMPLETE: &str = ".tracel-llvm-installed";

/// What the environment of a CUDA build has to say.
pub(crate) struct CudaBuild {
    data: PathBuf,
}

impl CudaBuild {
    fn variables(&self) -> [(&'static str, &OsStr); 2] {
        [
            ("XDG_DATA_HOME", self.data.as_os_str()),
            // The CUDA to bind to; found at run time, not needed to build.
            ("CUDARC_CUDA_VERSION", OsStr::new("13000")),
        ]
    }

    /// Adds it to a command.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.envs(self.variables());
    }

    /// As a shell takes it, in front of a command.
    pub(crate) fn shown(&self) -> String {
        self.variables()
            .map(|(name, value)| format!("{name}={}", value.display()))
            .join(" ")
    }
}

/// Makes `cargo build --features cuda` work without GitHub.
pub(crate) fn ensure(workspace: &Workspace) -> Result<CudaBuild> {
    let bundle = workspace.locked_version("tracel-llvm-bundler")?;
    let data = workspace.cache.join("llvm");
    let folder = data.join("tracel").join(format!("tracel-llvm-{bundle}"));
    if !is_complete(&folder) {
        install(&data, &folder).with_context(|| {
            format!(
                "the CUDA build needs LLVM; on a machine that reaches GitHub its own build \
                 script fetches it, here `pip install {}` was tried",
                PACKAGES.join(" ")
            )
        })?;
    }
    Ok(CudaBuild { data })
}

fn is_complete(folder: &Path) -> bool {
    folder.join(COMPLETE).is_file()
        && output(Command::new(folder.join("bin/llvm-config")).arg("--version")).is_ok()
}

fn install(data: &Path, folder: &Path) -> Result<()> {
    let site = data.join("site");
    if site.exists() {
        fs::remove_dir_all(&site).with_context(|| format!("cannot remove {}", site.display()))?;
    }
    fs::create_dir_all(&site).with_context(|| format!("cannot create {}", site.display()))?;
    ensure_pip()?;
    eprintln!("Fetching LLVM into {} (once)", data.display());
    output_within(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--no-compile",
            ])
            .arg("--target")
            .arg(&site)
            .args(PACKAGES.map(|package| format!("{package}=={VERSION}"))),
        Duration::from_secs(1200),
    )?;
    let installed = site.join("mlc_llvm_static/static");
    let config = installed.join("bin/llvm-config");
    ensure!(
        config.is_file(),
        "{} {VERSION} has no {}",
        PACKAGES[0],
        config.display()
    );
    make_executable(&installed.join("bin"))?;
    if folder.symlink_metadata().is_ok() {
        fs::remove_file(folder)
            .or_else(|_| fs::remove_dir_all(folder))
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let parent = folder.parent().context("a folder without parent")?;
    fs::create_dir_all(parent)?;
    link(&installed, folder)?;
    fs::write(installed.join(COMPLETE), "")?;
    ensure!(
        is_complete(folder),
        "{} does not run on this machine",
        config.display()
    );
    Ok(())
}

/// Installs pip where it is missing and that is possible.
fn ensure_pip() -> Result<()> {
    let has_pip = || {
        find_on_path(&["python3"]).is_some()
            && output(Command::new("python3").args(["-m", "pip", "--version"])).is_ok()
    };
    if !has_pip() && can_apt_install() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(Command::new("apt-get")
            .args([
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
                "python3-pip",
            ])
            .env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    ensure!(has_pip(), "this machine has no python3 with pip");
    Ok(())
}

#[cfg(unix)]
fn make_executable(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(folder)? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> Result<()> {
    std::os::unix::fs::symlink(from, to).with_context(|| format!("cannot link {}", to.display()))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn link(_: &Path, to: &Path) -> Result<()> {
    anyhow::bail!("{}: only laid out on Unix", to.display())
}
