//! `cargo xtask measure`: how fast the built page is for who comes for the
//! first time, how it answers while guesses race, and what Lighthouse says.

use crate::command::output;
use crate::serve::Server;
use crate::setup::{self, TestBrowser};
use crate::webdriver::{Browser, Graphics};
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Lighthouse's release.
const LIGHTHOUSE_VERSION: &str = "12.8.2";

/// Longest wait for anything on the page.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to measure.
#[derive(Args)]
pub(crate) struct MeasureArgs {
    /// Visits with an empty cache, each in a browser of its own
    #[arg(long, default_value_t = 5)]
    visits: usize,
    /// Lighthouse audits for each of desktop and mobile; needs npm
    #[arg(long, default_value_t = 0)]
    lighthouse: usize,
}

/// Prints a line of JSON a visit, the middle of each figure with its range,
/// and a line of JSON an audit.
pub(crate) fn measure(workspace: &Workspace, args: &MeasureArgs) -> Result<()> {
    setup::for_tests(workspace, TestBrowser::Chromium)?;
    let server = Server::bind(&workspace.dist(), 0)?;
    let url = server.url();
    thread::spawn(move || server.serve());
    let mut visits = Vec::new();
    for _ in 0..args.visits {
        let visit = visit(&url)?;
        println!(
            "{}",
            Value::from_iter(visit.iter().map(|&(name, ms)| (name, ms)))
        );
        visits.push(visit);
    }
    summarise(&visits);
    if args.lighthouse > 0 {
        let program = lighthouse(workspace)?;
        for _ in 0..args.lighthouse {
            for form in ["desktop", "mobile"] {
                println!("{}", audit(&program, &url, form)?);
            }
        }
    }
    Ok(())
}

/// Names and milliseconds (or numbers) of one visit.
type Figures = Vec<(&'static str, f64)>;

/// A first visit: the page loads, nine guesses race, and somebody fills in
/// cells meanwhile.
fn visit(url: &str) -> Result<Figures> {
    let browser = Browser::start(Graphics::Usual)?;
    browser.devtools(
        "Emulation.setDeviceMetricsOverride",
        &json!({"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
    )?;
    let observe = include_str!("../measure/observe.js");
    browser.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        &json!({ "source": observe }),
    )?;
    browser.ask("POST", "/url", &json!({ "url": url }))?;
    until(&browser, "return measured.engine > 0")?;
    // What is painted late, and tasks that are, should count.
    thread::sleep(Duration::from_secs(3));
    let load = script(
        &browser,
        "return { ...measured, fcp: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0 }",
    )?;
    let ms = |figures: &Value, name: &str| figures[name].as_f64().unwrap_or(f64::NAN);

    script(&browser, "measured.tasks = []; measured.events = []")?;
    click(&browser, "#race")?;
    until(
        &browser,
        "return document.querySelector('.runner') !== null",
    )?;
    let started = Instant::now();
    let mut presses = 0;
    while script(
        &browser,
        "return document.querySelector('#stop-race') !== null",
    )? == true
    {
        let cell = format!("#cell-{}", presses * 7 % 81);
        for target in [&cell, "#mode-corner", "#mode-digit"] {
            click(&browser, target)?;
            presses += 1;
        }
        ensure!(started.elapsed() < PATIENCE, "the race does not end");
    }
    let took = started.elapsed().as_secs_f64() * 1e3;
    thread::sleep(Duration::from_millis(500));
    let race = script(&browser, "return measured")?;
    let mut events = numbers(&race["events"]);
    events.sort_by(|a, b| b.total_cmp(a));
    // As the metric is defined: the worst press but one in fifty. Those that
    // took less than 16 ms are not told.
    let inp = events.get(presses / 50).copied().unwrap_or(0.0);
    Ok(vec![
        ("first paint (FCP)", ms(&load, "fcp")),
        ("largest paint (LCP)", ms(&load, "lcp")),
        ("recorded run plays", ms(&load, "recording")),
        ("engine ready", ms(&load, "engine")),
        ("longest task, loading", longest(&load["tasks"])),
        ("presses during the race", presses as f64),
        ("INP during the race", inp),
        ("longest task, race", longest(&race["tasks"])),
        ("race of nine", took),
    ])
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect()
}

/// 0 if no task took 50 ms, from where on the browser tells of them.
fn longest(tasks: &Value) -> f64 {
    numbers(tasks).into_iter().fold(0.0, f64::max)
}

fn script(browser: &Browser, script: &str) -> Result<Value> {
    browser.ask(
        "POST",
        "/execute/sync",
        &json!({"script": script, "args": []}),
    )
}

fn until(browser: &Browser, condition: &str) -> Result<()> {
    let started = Instant::now();
    while script(browser, condition)? != true {
        ensure!(
            started.elapsed() < PATIENCE,
            "not within two minutes: {condition}"
        );
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A press of the mouse, with all that the browser makes of one.
fn click(browser: &Browser, selector: &str) -> Result<()> {
    let found = browser.ask(
        "POST",
        "/element",
        &json!({"using": "css selector", "value": selector}),
    )?;
    // The only pair is named by the protocol's own constant.
    let id = found
        .as_object()
        .and_then(|element| element.values().next()?.as_str());
    let id = id.with_context(|| format!("no element {selector}"))?;
    browser
        .ask("POST", &format!("/element/{id}/click"), &json!({}))
        .map(drop)
}

/// The middle one of each figure, and their range.
fn summarise(visits: &[Figures]) {
    let Some(first) = visits.first() else { return };
    for (i, (name, _)) in first.iter().enumerate() {
        let mut values: Vec<f64> = visits.iter().map(|visit| visit[i].1).collect();
        values.sort_by(f64::total_cmp);
        let (least, middle, most) = (
            values[0],
            values[values.len() / 2],
            values[values.len() - 1],
        );
        println!(
            "{name:<26} {middle:>7.0}  ({least:.0} to {most:.0}, n = {})",
            values.len()
        );
    }
}

/// Lighthouse from npm, into the cache.
fn lighthouse(workspace: &Workspace) -> Result<PathBuf> {
    let program = setup::npm_folder(workspace).join(".bin/lighthouse");
    if !program.is_file() {
        setup::npm_install(workspace, &format!("lighthouse@{LIGHTHOUSE_VERSION}"))?;
    }
    Ok(program)
}

/// The scores, 0 to 100, and the paints that they rest on.
fn audit(program: &Path, url: &str, form: &str) -> Result<Value> {
    let chromium = setup::chromium().context("no Chromium")?;
    let mut command = Command::new(program);
    command.arg(url).env("CHROME_PATH", chromium).args([
        "--quiet",
        "--output=json",
        "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage",
    ]);
    if form == "desktop" {
        command.arg("--preset=desktop");
    }
    let report: Value = serde_json::from_str(&output(&mut command).context("Lighthouse")?)?;
    let mut said = json!({ "form": form });
    for (name, category) in report["categories"].as_object().context("no scores")? {
        said[name.as_str()] = (category["score"].as_f64().unwrap_or(0.0) * 100.0)
            .round()
            .into();
    }
    for name in [
        "first-contentful-paint",
        "largest-contentful-paint",
        "total-blocking-time",
        "cumulative-layout-shift",
    ] {
        said[name] = report["audits"][name]["displayValue"].clone();
    }
    Ok(said)
}
