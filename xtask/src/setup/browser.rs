//! A browser, its driver, and a Vulkan driver: what the tests run on.

use crate::command::{can_apt_install, find_on_path, run};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The browsers that the page is tested in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TestBrowser {
    /// With WebGPU on its own software adapter, and without
    #[default]
    Chromium,
    /// With WebGPU on Mesa's lavapipe, which has f16, and without
    Firefox,
    /// WebKit's small browser for GTK, nearest to Safari: without WebGPU
    Webkit,
}

impl TestBrowser {
    /// What the tests call it (`HRM_BROWSER`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Webkit => "webkit",
        }
    }
}

/// The Firefox to test with: `$FIREFOX`, else the first found on `PATH`.
pub(crate) fn firefox() -> Option<PathBuf> {
    from_variable("FIREFOX").or_else(|| find_on_path(&["firefox", "firefox-esr"]))
}

/// WebKit's driver: `$WEBKITDRIVER`, else the first found on `PATH`.
fn webkitdriver() -> Option<PathBuf> {
    from_variable("WEBKITDRIVER").or_else(|| find_on_path(&["WebKitWebDriver"]))
}

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
fn missing(browser: TestBrowser) -> Vec<&'static str> {
    let of_browser = match browser {
        TestBrowser::Chromium => vec![
            (chromium().is_some(), "chromium"),
            (chromedriver().is_some(), "chromium-driver"),
        ],
        // Its driver is installed from source.
        TestBrowser::Firefox => vec![(firefox().is_some(), "firefox-esr")],
        TestBrowser::Webkit => vec![
            (webkitdriver().is_some(), "webkit2gtk-driver"),
            (find_on_path(&["Xvfb"]).is_some(), "xvfb"),
        ],
    };
    let vulkan = [
        (has_vulkan_driver(), "mesa-vulkan-drivers"),
        (has_vulkan_loader(), "libvulkan1"),
    ];
    let vulkan = vulkan.into_iter().filter(|_| cfg!(target_os = "linux"));
    of_browser
        .into_iter()
        .chain(vulkan)
        .filter_map(|(there, package)| (!there).then_some(package))
        .collect()
}

/// Installs what is missing where that is possible (root, apt), else says what
/// to install.
pub(crate) fn ensure(browser: TestBrowser) -> Result<()> {
    let packages = missing(browser);
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
    let packages = missing(browser);
    if !packages.is_empty() {
        let variables = match browser {
            TestBrowser::Chromium => "CHROMIUM and CHROMEDRIVER",
            TestBrowser::Firefox => "FIREFOX",
            TestBrowser::Webkit => "WEBKIT and WEBKITDRIVER",
        };
        bail!(
            "the tests need a browser with its driver and a Vulkan driver; install what Debian \
             calls `{}` (or set {variables}), or run `cargo xtask test --only native` on a \
             machine with a GPU",
            packages.join(" ")
        );
    }
    Ok(())
}
