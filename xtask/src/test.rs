//! Every check of the repository, in the order that fails soonest.

use crate::command::{self, display, human};
use crate::page::{self, BuildArgs, target_dir};
use crate::relaxed;
use crate::setup::{self, TestBrowser};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Which checks to run.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Run one part only
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// The browser for the page and for the kernels in a browser
    #[arg(long, value_enum, default_value_t)]
    browser: TestBrowser,
    /// Do not build the page again: test the one in dist/
    #[arg(long)]
    no_build: bool,
    /// Arguments for the test binaries, for instance part of a test's name
    #[arg(last = true)]
    test_args: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Format and lints
    Lint,
    /// The crates' own tests, on this machine's processors
    Native,
    /// The page in a browser, and what crosses crates
    Page,
    /// Types and lints of the CUDA and wgpu builds of training; part of `lint`
    /// when everything runs
    Cuda,
    /// Training on wgpu, on whatever adapter there is. Not among the checks
    /// that run without `--only`: it compiles burn's GPU backends
    Wgpu,
}

/// Runs the checks and prints what each took. Fails at the first that fails.
pub(crate) fn run(workspace: &Workspace, args: &TestArgs) -> Result<()> {
    let mut report = Report::default();
    let outcome = run_steps(workspace, args, &mut report);
    println!("\n{report}");
    outcome?;
    if report.ran_tests {
        let Tally {
            passed,
            failed,
            skipped,
        } = report.tally;
        println!("{passed} passed, {failed} failed, {skipped} skipped");
    }
    Ok(())
}

fn run_steps(workspace: &Workspace, args: &TestArgs, report: &mut Report) -> Result<()> {
    let wanted = |part: Part| args.only.is_none_or(|only| only == part);
    let needs_page = wanted(Part::Page) && !args.no_build;

    if wanted(Part::Lint) {
        report.command(
            "format",
            &mut cargo(workspace, &["fmt", "--all", "--check"]),
        )?;
    }
    if wanted(Part::Lint) || needs_page {
        report.step("set-up: page", || setup::for_page(workspace).map(drop))?;
    }
    if wanted(Part::Native) || wanted(Part::Page) {
        report.step("set-up: browser, Vulkan", || {
            setup::for_tests(workspace, args.browser)
        })?;
    }
    if wanted(Part::Lint) {
        report.step("relaxed SIMD's module", || relaxed::check(workspace))?;
        let clippy = ["clippy", "--quiet", "--workspace", "--all-targets"];
        let deny = ["--", "-D", "warnings"];
        report.command(
            "lints",
            &mut cargo(workspace, &[&clippy[..], &deny].concat()),
        )?;
        let clippy = [
            "clippy",
            "--quiet",
            "-p",
            "hrm-web",
            "-p",
            "hrm-worker",
            "-p",
            "hrm-train-room",
            "-p",
            "hrm-import",
            "--target",
            "wasm32-unknown-unknown",
        ];
        report.command(
            "lints, wasm32",
            &mut cargo(workspace, &[&clippy[..], &deny].concat()),
        )?;
    }
    if wanted(Part::Cuda) {
        let mut build = None;
        report.step("set-up: LLVM for CUDA", || {
            build = Some(setup::for_cuda(workspace)?);
            Ok(())
        })?;
        // With a test, whose dependencies' features are those of the lints
        // above, so that only burn is checked anew.
        let mut clippy = cargo(
            workspace,
            &[
                "clippy",
                "--quiet",
                "--workspace",
                "--bin",
                "hrm",
                "--test",
                "unkillable",
                "--features",
                "hrm-trainer/cuda,hrm-trainer/wgpu",
                "--",
                "-D",
                "warnings",
            ],
        );
        if let Some(build) = build {
            build.apply(&mut clippy);
        }
        report.command("lints, CUDA and wgpu", &mut clippy)?;
    }
    if args.only == Some(Part::Wgpu) {
        report.step("set-up: browser, Vulkan", || {
            setup::for_tests(workspace, args.browser)
        })?;
        let features = "hrm-trainer/wgpu,hrm-core/wgpu";
        let test = ["test", "--workspace", "--features", features];
        let targets = ["--lib", "--test", "unkillable", "--", "wgpu", "driver"];
        return report.tests(
            "tests, wgpu",
            &mut cargo(workspace, &[&test[..], &targets].concat()),
        );
    }
    if args.only.is_none() {
        // Everything at once and with the tests' features, so that no later
        // step builds a dependency again; this also leaves the `hrm` binary.
        let build = ["build", "--quiet", "--workspace", "--all-targets"];
        report.command("compile", &mut cargo(workspace, &build))?;
    } else if wanted(Part::Page) {
        report.step("compile", || page::build_hrm(workspace).map(drop))?;
    }
    if needs_page {
        report.step("page", || page::build(workspace, &BuildArgs::default()))?;
    }
    let (name, selection): (_, &[&str]) = match args.only {
        None => ("tests", &["--workspace"]),
        Some(Part::Native) => ("tests, native", &["--workspace", "--exclude", "hrm-tests"]),
        Some(Part::Page) => ("tests, page", &["-p", "hrm-tests"]),
        Some(Part::Lint | Part::Cuda | Part::Wgpu) => return Ok(()),
    };
    let mut command = cargo(workspace, &[&["test"], selection].concat());
    command
        // With it the harness shows what a test that passed has said: some had
        // to be skipped ([`Passed`]).
        .args(["--", "--show-output"])
        .args(&args.test_args)
        // Set-up has seen to both, so a test that finds neither has failed.
        .env("HRM_REQUIRE_GPU", "1")
        .env("HRM_REQUIRE_BROWSER", "1")
        .env("HRM_BROWSER", args.browser.name())
        .env("HRM_DIST", workspace.dist())
        .env("HRM_BIN", target_dir(workspace).join("debug/hrm"));
    drive(workspace, args.browser, &mut command)?;
    match setup::axe(workspace) {
        Ok(script) => drop(command.env("HRM_AXE", script)),
        // Without npm that one test is left out, and says so.
        Err(error) => eprintln!("The page's accessibility is not checked: {error:#}"),
    }
    report.tests(name, &mut command)?;
    // wasm-bindgen's runner does not drive WebKit's small browser.
    if wanted(Part::Page) && args.browser != TestBrowser::Webkit {
        for package in ["hrm-shaders", "hrm-core"] {
            let name = format!("{package} in {}", args.browser.name());
            report.tests(
                &name,
                &mut browser_kernels(workspace, args.browser, package)?,
            )?;
        }
    }
    Ok(())
}

/// Tells tests where the browser and its driver are.
fn drive(workspace: &Workspace, browser: TestBrowser, command: &mut Command) -> Result<()> {
    match browser {
        TestBrowser::Chromium => {
            if let Some(chromium) = setup::chromium() {
                command.env("CHROMIUM", chromium);
            }
            if let Some(chromedriver) = setup::chromedriver() {
                command.env("CHROMEDRIVER", chromedriver);
            }
        }
        TestBrowser::Firefox => {
            command.env("GECKODRIVER", setup::geckodriver(workspace)?);
            if let Some(firefox) = setup::firefox() {
                command.env("FIREFOX", firefox);
            }
        }
        // Found on the path.
        TestBrowser::Webkit => {}
    }
    Ok(())
}

/// A package's kernel tests once more, compiled to wasm and run in a browser.
fn browser_kernels(workspace: &Workspace, browser: TestBrowser, package: &str) -> Result<Command> {
    let mut command = cargo(
        workspace,
        &[
            "test",
            "-p",
            package,
            "--lib",
            "--target",
            "wasm32-unknown-unknown",
        ],
    );
    command
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
            workspace.cache.join("bin/wasm-bindgen-test-runner"),
        )
        // Read when the tests are compiled: there is no environment in a page.
        .env("HRM_REQUIRE_GPU", "1")
        .env("WASM_BINDGEN_TEST_TIMEOUT", "900");
    if browser == TestBrowser::Firefox {
        let capabilities = workspace.root.join("shaders/webdriver-firefox.json");
        command.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", capabilities);
    }
    drive(workspace, browser, &mut command)?;
    Ok(command)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(&workspace.root);
    command
}

/// What the steps took, for the table at the end.
#[derive(Default)]
struct Report {
    steps: Vec<(String, Duration, bool)>,
    tally: Tally,
    ran_tests: bool,
}

impl Report {
    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let outcome = step();
        self.steps
            .push((name.to_owned(), started.elapsed(), outcome.is_ok()));
        outcome.with_context(|| format!("step `{name}` failed"))
    }

    fn command(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.step(name, || command::run(command))
    }

    /// Runs cargo test, shows its output and adds up its closing lines.
    fn tests(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let mut tally = Tally::default();
        let outcome = self.step(name, || run_counting(command, &mut tally));
        self.tally.passed += tally.passed;
        self.tally.failed += tally.failed;
        self.tally.skipped += tally.skipped;
        self.ran_tests = true;
        outcome
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Duration::ZERO;
        for (name, took, passed) in &self.steps {
            let mark = if *passed { "" } else { "  FAILED" };
            writeln!(f, "{name:<26}{:>14}{mark}", human(*took))?;
            total += *took;
        }
        write!(f, "{:<26}{:>14}", "total", human(total))
    }
}

fn run_counting(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let shown = display(command);
    eprintln!("$ {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let mut lines = BufReader::new(child.stdout.take().context("cargo without output")?);
    let mut line = Vec::new();
    let mut passed = Passed::default();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        tally.add(&text);
        if passed.shows(&text) {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&line)?;
            stdout.flush()?;
        }
        line.clear();
    }
    tally.leave_out(passed.skipped);
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    if tally.passed + tally.skipped == 0 {
        bail!("`{shown}` ran no test");
    }
    Ok(())
}

/// Sums over the closing lines of the test binaries.
#[derive(Default, Debug, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Those that the harness ignored, and those that said that they could not run.
    skipped: usize,
}

impl Tally {
    /// Adds a line if it is a closing line of cargo's test harness:
    /// `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(counts) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
            .map(|(_, counts)| counts)
        else {
            return;
        };
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<usize>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl Tally {
    /// Tests that the harness counts as passed were skipped.
    fn leave_out(&mut self, skipped: usize) {
        self.passed = self.passed.saturating_sub(skipped);
        self.skipped += skipped;
    }
}

/// Where in what tests that passed have said: it is not shown, but for why one was
/// skipped. Cargo's harness has no such outcome and counts it as passed.
#[derive(Default)]
struct Passed {
    within: bool,
    /// Whether the test that speaks has been counted.
    counted: bool,
    /// Tests that were skipped.
    skipped: usize,
}

impl Passed {
    /// Whether a line is to be shown.
    fn shows(&mut self, line: &str) -> bool {
        let text = line.trim_end();
        if text == "successes:" {
            self.within = true;
            return false;
        }
        if text == "failures:" || text.starts_with("test result: ") {
            self.within = false;
        }
        if !self.within {
            return true;
        }
        if text.starts_with("---- ") {
            self.counted = false;
        }
        let skipped = text.starts_with("skipped: ");
        if skipped && !self.counted {
            self.counted = true;
            self.skipped += 1;
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_run_is_skipped_and_not_passed() {
        let (mut tally, mut passed) = (Tally::default(), Passed::default());
        let output = "test one ... ok\n\nsuccesses:\n\n---- one stdout ----\nskipped: no adapter\n\
                      skipped: nor another\n\n---- two stdout ----\nfast\n\n\nsuccesses:\n    one\n    two\n\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        let mut shown = Vec::new();
        for line in output.split_inclusive('\n') {
            tally.add(line);
            if passed.shows(line) {
                shown.push(line.trim_end());
            }
        }
        let reasons = ["skipped: no adapter", "skipped: nor another"];
        assert!(reasons.iter().all(|reason| shown.contains(reason)));
        assert!(!shown.contains(&"fast") && !shown.contains(&"    two"));
        tally.leave_out(passed.skipped);
        let expected = Tally {
            passed: 1,
            failed: 0,
            skipped: 1,
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 6 tests",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s\n",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
            "a test result: ok. 9 passed",
            "test result: nonsense",
        ] {
            tally.add(line);
        }
        let expected = Tally {
            passed: 8,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(tally, expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_run_without_tests_does_not_count_as_passed() {
        let mut tally = Tally::default();
        let error = run_counting(&mut Command::new("true"), &mut tally).unwrap_err();
        assert!(error.to_string().contains("ran no test"), "{error}");
    }

    #[test]
    fn the_report_names_the_step_that_failed() {
        let mut report = Report::default();
        report.step("first", || Ok(())).unwrap();
        let error = report.step("second", || bail!("reason")).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `second` failed: reason");
        let shown = report.to_string();
        assert!(
            shown.contains("FAILED") && shown.contains("first"),
            "{shown}"
        );
    }
}
