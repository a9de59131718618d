//! `cargo xtask bench-web`: this project's engines against onnxruntime-web in
//! headless Chromium, on the same weights, in one run.

use crate::command::run;
use crate::page::{build_hrm, target_dir};
use crate::serve::Server;
use crate::setup::{self, TestBrowser};
use crate::webdriver::{Browser, Graphics};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The peer's release.
const ORT_VERSION: &str = "1.30.0";

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Preset, with random weights
    #[arg(long, default_value = "hrm")]
    preset: String,
    /// Sequences in the batch, each size a run of its own
    #[arg(long, value_delimiter = ',', default_value = "1,9")]
    batch: Vec<usize>,
    /// Engines, in turn within every repetition: cpu-f32, cpu-q8, cpu-q4,
    /// gpu-f32, gpu-q8, gpu-q4, ort-wasm, ort-webgpu, ort-wasm-int8
    #[arg(long, value_delimiter = ',', default_value = "cpu-q8,cpu-f32,ort-wasm")]
    engines: Vec<String>,
    /// Repetitions; the first segment of each engine is not counted
    #[arg(long, default_value_t = 10)]
    repetitions: usize,
    /// The graph with dynamically quantized weights, for ort-wasm-int8
    #[arg(long)]
    int8: Option<PathBuf>,
    /// Minutes after which a run is given up
    #[arg(long, default_value_t = 15)]
    minutes: u64,
}

/// Builds what is needed and prints one line of JSON an engine and batch.
pub(crate) fn bench(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    setup::for_page(workspace)?;
    setup::for_tests(workspace, TestBrowser::Chromium)?;
    let folder = target_dir(workspace).join("bench-web");
    fs::create_dir_all(folder.join("ort"))?;
    for file in ["index.html", "bench.js"] {
        let from = workspace.root.join("xtask/bench-web").join(file);
        fs::copy(&from, folder.join(file))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    build_ours(workspace, &folder)?;
    fetch_theirs(workspace, &folder)?;
    run(Command::new(build_hrm(workspace)?)
        .args(["export", "--preset", &args.preset, "--format", "onnx"])
        .arg(&folder))?;
    if let Some(int8) = &args.int8 {
        fs::copy(int8, folder.join("model.int8.onnx"))
            .with_context(|| format!("copying {}", int8.display()))?;
    }

    let server = Server::bind(&folder, 0)?;
    let url = server.url();
    thread::spawn(move || server.serve());
    for batch in &args.batch {
        // A browser each, so that no run inherits another's memory.
        let browser = Browser::start(Graphics::Software)?;
        let url = format!(
            "{url}?preset={}&batch={batch}&repetitions={}&engines={}",
            args.preset,
            args.repetitions,
            args.engines.join(",")
        );
        browser.ask("POST", "/url", &json!({ "url": url }))?;
        let result = wait(&browser, Duration::from_secs(60 * args.minutes))?;
        if let Some(error) = result["error"].as_str() {
            browser.print_console()?;
            bail!("batch {batch}: {error}");
        }
        for line in result["result"].as_array().into_iter().flatten() {
            println!("{line}");
        }
        eprintln!("{}", result["agent"]);
    }
    Ok(())
}

/// The engines as a module for the page.
fn build_ours(workspace: &Workspace, folder: &Path) -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    run(Command::new("cargo")
        .args(["build", "-p", "hrm-worker", "--example", "web_bench"])
        .args(["--profile", "web", "--target", TARGET])
        .current_dir(&workspace.root))?;
    let wasm = target_dir(workspace)
        .join(TARGET)
        .join("web/examples/web_bench.wasm");
    run(Command::new("wasm-bindgen")
        .args(["--target", "web", "--no-typescript", "--out-name", "ours"])
        .arg("--out-dir")
        .arg(folder)
        .arg(&wasm)
        .env("PATH", workspace.path_variable()?))
}

/// onnxruntime-web from npm, into the cache.
fn fetch_theirs(workspace: &Workspace, folder: &Path) -> Result<()> {
    let dist = setup::npm_folder(workspace).join("onnxruntime-web/dist");
    if !dist.join("ort.webgpu.min.mjs").is_file() {
        setup::npm_install(workspace, &format!("onnxruntime-web@{ORT_VERSION}"))?;
    }
    for entry in fs::read_dir(&dist).with_context(|| format!("reading {}", dist.display()))? {
        let path = entry?.path();
        let kind = path.extension().and_then(|e| e.to_str());
        if let (Some("mjs" | "wasm"), Some(name)) = (kind, path.file_name()) {
            fs::copy(&path, folder.join("ort").join(name))?;
        }
    }
    Ok(())
}

/// What the page leaves when it is done.
fn wait(browser: &Browser, limit: Duration) -> Result<Value> {
    let started = Instant::now();
    loop {
        thread::sleep(Duration::from_secs(2));
        let script = json!({"script": "return window.result ?? null", "args": []});
        // Not answered while a segment keeps the page busy.
        if let Ok(result) = browser.ask("POST", "/execute/sync", &script)
            && !result.is_null()
        {
            return Ok(result);
        }
        ensure!(
            started.elapsed() < limit,
            "no result within {} minutes",
            limit.as_secs() / 60
        );
    }
}
