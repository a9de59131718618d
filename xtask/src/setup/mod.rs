//! What has to be on the machine, installed only where it is missing.

mod browser;
mod llvm;
mod mirror;
mod tools;
mod wasm_std;

use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;

pub(crate) use browser::{TestBrowser, chromedriver, chromium, firefox};
pub(crate) use llvm::CudaBuild;
pub(crate) use tools::{axe, geckodriver, npm_folder, npm_install};

/// Everything the page's build needs: the wasm32 standard library, trunk,
/// wasm-bindgen. Returns wasm-opt if it is to be had.
pub(crate) fn for_page(workspace: &Workspace) -> Result<Option<PathBuf>> {
    wasm_std::ensure(workspace)?;
    tools::ensure(workspace)?;
    Ok(tools::wasm_opt(workspace))
}

/// Everything the tests need beyond that: a browser with its driver, and a
/// Vulkan driver for the native kernels.
pub(crate) fn for_tests(workspace: &Workspace, browser: TestBrowser) -> Result<()> {
    browser::ensure(browser)?;
    if browser == TestBrowser::Firefox {
        tools::geckodriver(workspace)?;
    }
    Ok(())
}

/// Everything that building for CUDA needs: LLVM. A driver or toolkit is only
/// needed to run.
pub(crate) fn for_cuda(workspace: &Workspace) -> Result<CudaBuild> {
    llvm::ensure(workspace)
}
