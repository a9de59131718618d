//! `cargo xtask`: set-up, build, serve and test of the playground.
//!
//! Every command does the set-up it needs by itself, so that one command is
//! all it takes on a new machine.

mod bench_web;
mod command;
mod finish;
mod measure;
mod page;
mod relaxed;
mod screenshot;
mod serve;
mod setup;
mod test;
mod webdriver;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use setup::TestBrowser;
use std::path::PathBuf;
use std::process::ExitCode;
use workspace::Workspace;

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building (and with --browser, testing) the page needs
    Setup {
        /// Also what the tests need: Chromium, chromedriver, a Vulkan driver
        #[arg(long)]
        browser: bool,
        /// Also what building with `--features cuda` needs where GitHub is out of reach: LLVM
        #[arg(long)]
        cuda: bool,
    },
    /// Build the page into dist/ and print the size of what it ships
    Build(page::BuildArgs),
    /// Build the page and serve it on this machine
    Serve {
        #[command(flatten)]
        build: page::BuildArgs,
        #[command(flatten)]
        serve: serve::ServeArgs,
    },
    /// Run every check: format, lints, tests, the page in a browser
    Test(test::TestArgs),
    /// Build the engine's module in relaxed SIMD anew, after its source has changed
    Relaxed,
    /// Measure the engines against onnxruntime-web in headless Chromium
    BenchWeb(bench_web::BenchArgs),
    /// Measure the built page: first visits, a race of guesses, Lighthouse
    Measure(measure::MeasureArgs),
    /// Photograph a page in headless Chromium, from wide to narrow, light and dark
    Screenshot {
        /// Address of the page; by default dist/ is served for the occasion
        url: Option<String>,
        /// Folder for the pictures
        #[arg(long, default_value = "target/screenshots")]
        out: PathBuf,
        /// Seconds to wait after the page has loaded
        #[arg(long, default_value_t = 4.0)]
        wait: f64,
        /// JavaScript to run before the wait, for instance a click
        #[arg(long)]
        script: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Setup { browser, cuda } => {
            setup::for_page(&workspace)?;
            if browser {
                setup::for_tests(&workspace, TestBrowser::Chromium)?;
            }
            if cuda {
                let variables = setup::for_cuda(&workspace)?.shown();
                println!(
                    "For CUDA: {variables} cargo build --release -p hrm-trainer --features cuda"
                );
            }
            println!(
                "Set-up complete; tools are in {}",
                workspace.cache.display()
            );
            Ok(())
        }
        Task::Build(args) => page::build(&workspace, &args),
        Task::Serve { build, serve } => {
            if !serve.no_build {
                page::build(&workspace, &build)?;
            }
            serve::run(&workspace.dist(), &serve)
        }
        Task::Relaxed => {
            setup::for_page(&workspace)?;
            relaxed::build(&workspace)
        }
        Task::Test(args) => test::run(&workspace, &args),
        Task::BenchWeb(args) => bench_web::bench(&workspace, &args),
        Task::Measure(args) => measure::measure(&workspace, &args),
        Task::Screenshot {
            url,
            out,
            wait,
            script,
        } => screenshot::run(&workspace, url, &out, wait, script.as_deref()),
    }
}
