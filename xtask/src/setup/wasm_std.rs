//! The wasm32 standard library: from rustup, or built from Debian's sources
//! of the same compiler version where rustup cannot download.

use super::mirror;
use crate::command::{find_on_path, output, output_within};
use crate::workspace::Workspace;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian releases to look in. The package only contains sources, so its
/// release does not have to be the machine's.
const SUITES: [&str; 3] = ["trixie-backports", "testing", "unstable"];

/// Makes `cargo build --target wasm32-unknown-unknown` work.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    if has_std(&lib) {
        return Ok(());
    }
    let rustup = from_rustup();
    if has_std(&lib) {
        return Ok(());
    }
    let reason = rustup.err().map_or_else(
        || "installed it for another toolchain".to_owned(),
        |error| format!("{error:#}"),
    );
    eprintln!("rustup cannot install {TARGET} here; building it from Debian's rust-src.");
    from_debian(workspace, &sysroot, &lib).map_err(|error| {
        anyhow!(
            "no standard library for {TARGET}.\n  rustup: {reason}\n  \
             building it from sources: {error:#}\n\
             Install it with `rustup target add {TARGET}`, or with your \
             distribution's package (Debian: libstd-rust-dev-wasm32)."
        )
    })
}

fn has_std(lib: &Path) -> bool {
    fs::read_dir(lib).is_ok_and(|entries| entries.flatten().any(|entry| is_std(&entry.path())))
}

/// rustup's `libstd-HASH.rlib`, or `libstd.rlib`, as a build from sources
/// names it.
fn is_std(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "rlib")
        && file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| stem == "libstd" || stem.starts_with("libstd-"))
}

fn from_rustup() -> Result<()> {
    ensure!(find_on_path(&["rustup"]).is_some(), "not installed");
    output_within(
        Command::new("rustup")
            .args(["target", "add", TARGET])
            // Without a network every further try only costs time.
            .env("RUSTUP_MAX_RETRIES", "0"),
        Duration::from_secs(180),
    )?;
    Ok(())
}

fn from_debian(workspace: &Workspace, sysroot: &Path, lib: &Path) -> Result<()> {
    for tool in ["apt-get", "apt-cache", "dpkg"] {
        ensure!(
            find_on_path(&[tool]).is_some(),
            "this machine has no {tool}"
        );
    }
    let release = rustc_release()?;
    let work = workspace.cache.join("wasm-std");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let package = download_sources(&work, &release)?;
    let unpacked = work.join("unpacked");
    output(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;

    // The place where rustup's rust-src component has it: the compiler knows
    // that path, and what else builds the standard library looks there.
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if !library.join("sysroot/Cargo.toml").is_file() {
        copy_tree(&find_library(&unpacked)?, &library)?;
    }
    let target_dir = work.join("target");
    output(
        Command::new("cargo")
            .args([
                "build",
                "--quiet",
                "--release",
                "--target",
                TARGET,
                "-p",
                "sysroot",
            ])
            .current_dir(&library)
            // The standard library is written in the unstable language.
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "RUSTFLAGS",
                "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes",
            )
            .env("CARGO_TARGET_DIR", &target_dir)
            .env_remove("CARGO_ENCODED_RUSTFLAGS"),
    )?;

    fs::create_dir_all(lib).with_context(|| format!("cannot write to {}", lib.display()))?;
    let deps = target_dir.join(TARGET).join("release/deps");
    let mut libraries: Vec<PathBuf> = fs::read_dir(&deps)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "rlib")
        })
        .collect();
    // libstd last: it is what tells a later run that all are there.
    libraries.sort_by_key(|file| is_std(file));
    for file in libraries {
        let name = file.file_name().context("a library without a name")?;
        fs::copy(&file, lib.join(name))
            .with_context(|| format!("cannot copy {} to {}", file.display(), lib.display()))?;
    }
    ensure!(
        has_std(lib),
        "the build left no libstd in {}",
        deps.display()
    );
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// `1.95.0`, of the compiler in use.
fn rustc_release() -> Result<String> {
    output(Command::new("rustc").arg("-vV"))?
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .map(str::to_owned)
        .context("`rustc -vV` names no release")
}

/// Downloads the package into `work` and returns its path. Uses a private apt
/// state, so that the machine's own package lists stay as they are.
fn download_sources(work: &Path, release: &str) -> Result<PathBuf> {
    let targets = output(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info",
        "--format",
        mirror::FORMAT,
    ]))?;
    let mirrors = mirror::mirrors(&targets);
    ensure!(!mirrors.is_empty(), "apt is set up with no mirror");
    let mut tried = Vec::new();
    for suite in SUITES {
        for mirror in &mirrors {
            let apt = PrivateApt::new(work, mirror, suite)?;
            match apt.download(work, release) {
                Ok(package) => return Ok(package),
                Err(error) => tried.push(format!("{mirror} {suite}: {error:#}")),
            }
        }
    }
    bail!(
        "no rust-src {release} to be had:\n    {}",
        tried.join("\n    ")
    )
}

/// An apt with one source and its state in a folder of ours.
struct PrivateApt {
    options: Vec<String>,
}

impl PrivateApt {
    fn new(work: &Path, mirror: &str, suite: &str) -> Result<Self> {
        let home = work.join("apt");
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(folder))?;
        }
        // Debian's keys, also on an Ubuntu that has them installed.
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let signed_by = if Path::new(keyring).exists() {
            format!("[signed-by={keyring}] ")
        } else {
            String::new()
        };
        let list = home.join("sources.list");
        fs::write(&list, format!("deb {signed_by}{mirror} {suite} main\n"))?;
        let options = [
            format!("Dir::Etc::SourceList={}", list.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State={}", home.join("state").display()),
            format!("Dir::Cache={}", home.join("cache").display()),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Retries=1".to_owned(),
            "Acquire::http::Timeout=30".to_owned(),
        ];
        Ok(Self {
            options: options
                .into_iter()
                .flat_map(|option| ["-o".to_owned(), option])
                .collect(),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options);
        command
    }

    fn download(&self, work: &Path, release: &str) -> Result<PathBuf> {
        output_within(
            self.command("apt-get").args(["update", "--error-on=any"]),
            Duration::from_secs(300),
        )?;
        let madison = output(self.command("apt-cache").args(["madison", "rust-src"]))?;
        let version = mirror::matching_version(&madison, release)
            .with_context(|| format!("has no rust-src {release}"))?;
        let folder = work.join("package");
        fs::create_dir_all(&folder)?;
        output_within(
            self.command("apt-get")
                .args(["download", &format!("rust-src={version}")])
                .current_dir(&folder),
            Duration::from_secs(600),
        )?;
        fs::read_dir(&folder)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get download left no package")
    }
}

/// The folder `library` of the unpacked package, wherever its release puts it.
fn find_library(unpacked: &Path) -> Result<PathBuf> {
    let usr_src = unpacked.join("usr/src");
    let candidates = fs::read_dir(&usr_src)
        .with_context(|| format!("the package has no {}", usr_src.display()))?
        .flatten()
        .map(|entry| entry.path().join("library"));
    let elsewhere = unpacked.join("usr/lib/rustlib/src/rust/library");
    candidates
        .chain([elsewhere])
        .find(|library| library.join("sysroot/Cargo.toml").is_file())
        .context("the package has no library/sysroot")
}

/// Copies a folder with everything in it; links are followed.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot write to {}", to.display()))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy to {}", target.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_library_is_told_from_its_neighbours() {
        assert!(is_std(Path::new("lib/libstd-0123456789abcdef.rlib")));
        assert!(is_std(Path::new("lib/libstd.rlib")));
        assert!(!is_std(Path::new("lib/libstd-0123456789abcdef.rmeta")));
        assert!(!is_std(Path::new(
            "lib/libstd_detect-0123456789abcdef.rlib"
        )));
        assert!(!has_std(Path::new("/nowhere/at/all")));
    }
}
