//! A browser, its driver, and a Vulkan driver: what the tests run on.

use crate::command::{can_apt_install, find_on_path, run};
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Chromium to test with: `$CHROMIUM`, else the first found on `PATH`.
pub(crate) fn chromium() -> Option<PathBuf> {
    from_variable("CHROMIUM").or_else(|| {
        find_on_path(&[
            "chromium",
            "chromium-browser",
            "google-chrome-stable",
            "google-chrome",
        ])
    })
}

/// Its driver: `$CHROMEDRIVER`, else the first found on `PATH`.
pub(crate) fn chromedriver() -> Option<PathBuf> {
    from_variable("CHROMEDRIVER").or_else(|| find_on_path(&["chromedriver"]))
}

fn from_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_file())
}

/// Whether a Vulkan driver is registered with the loader.
fn has_vulkan_driver() -> bool {
    env::var_os("VK_DRIVER_FILES").is_some()
        || env::var_os("VK_ICD_FILENAMES").is_some()
        || [
            "/usr/share/vulkan/icd.d",
            "/etc/vulkan/icd.d",
            "/usr/local/share/vulkan/icd.d",
        ]
        .iter()
        .any(|folder| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
}

fn has_vulkan_loader() -> bool {
    [
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ]
    .iter()
    .any(|folder| Path::new(folder).join("libvulkan.so.1").exists())
}

/// Debian's packages for what is missing.
fn missing() -> Vec<&'static str> {
    let mut packages = Vec::new();
    if chromium().is_none() {
        packages.push("chromium");
    }
    if chromedriver().is_none() {
        packages.push("chromium-driver");
    }
    if cfg!(target_os = "linux") {
        if !has_vulkan_driver() {
            packages.push("mesa-vulkan-drivers");
        }
        if !has_vulkan_loader() {
            packages.push("libvulkan1");
        }
    }
    packages
}

/// Installs what is missing where that is possible (root, apt), else says what
/// to install.
pub(crate) fn ensure() -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    if can_apt_install() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive"))
        .context("installing the browser for the tests")?;
    }
    let packages = missing();
    if !packages.is_empty() {
        bail!(
            "the tests need a browser with its driver and a Vulkan driver; install what Debian \
             calls `{}` (or set CHROMIUM and CHROMEDRIVER), or run `cargo xtask test --only \
             native` on a machine with a GPU",
            packages.join(" ")
        );
    }
    Ok(())
}
