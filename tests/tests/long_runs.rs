//! Long runs at full speed: a segment costs the page the same however many
//! there have been.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Shape};
use hrm_core::reason::Recording;
use hrm_core::reason::message::Event;
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, open, with_page};

const SEGMENTS: usize = 1000;

/// Keeps the length of every task that is long, and the number of nodes after
/// that many segments and at the end.
const WATCH: &str = "window.watched = { tasks: [], nodes: [], begin: performance.now(), end: 0 }; \
    new PerformanceObserver(list => list.getEntries().forEach(e => watched.tasks.push(e.duration))) \
    .observe({ type: 'longtask' }); \
    const look = setInterval(() => { \
    const at = +document.querySelector('#segment').max; \
    watched.nodes.push([at, document.getElementsByTagName('*').length]); \
    if (document.querySelector('#verdict').textContent !== '') { watched.end = performance.now(); clearInterval(look); } \
    }, 100);";

async fn long_run(room: &str) -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        // No answer solves it, so that it goes on to the end.
        let puzzle = Board::parse(&format!("55{}", ".".repeat(79)), Some(Shape::S9))?;
        let link = format!("&depth={SEGMENTS}&speed=Full{room}");
        let (page, rooms) = open(server, browser, "compact-9x9", &puzzle, &link).await?;
        page.script(WATCH).await?;
        let before = browser.page_time().await?;
        rooms.press("#play").await?;
        page.until("the end", "return window.watched.end > 0")
            .await?;
        let watched = page.script("return window.watched").await?;
        let number = |key: &str| watched[key].as_f64().unwrap_or_default();
        let took = number("end") - number("begin");
        let after = browser.page_time().await?;
        let own = before
            .zip(after)
            .map(|(before, after)| 1e3 * (after - before));
        let engine = engine_time(&page, &rooms).await?;
        let tasks: Vec<f64> = watched["tasks"]
            .as_array()
            .context("no tasks")?
            .iter()
            .filter_map(serde_json::Value::as_f64)
            .collect();
        let longest = tasks.iter().copied().fold(0.0, f64::max);
        let nodes: Vec<(u64, u64)> = watched["nodes"]
            .as_array()
            .context("no nodes")?
            .iter()
            .filter_map(|pair| Some((pair[0].as_u64()?, pair[1].as_u64()?)))
            .collect();
        // Once all marks of a track are there and the first rows of the table.
        let early = nodes
            .iter()
            .find(|(at, _)| *at >= 150)
            .context("no nodes")?;
        let late = nodes.last().context("no nodes")?;
        println!(
            "{SEGMENTS} segments{room}: {took:.0} ms, the engine's {engine:.0} ms, {:.2} times; \
             the page's own processor time {own:.0?} ms; \
             {} tasks over 50 ms, the longest {longest:.0} ms; nodes {early:?}, {late:?}",
            took / engine,
            tasks.len()
        );
        assert!(late.0 >= SEGMENTS as u64);
        assert!(late.1 < early.1 + 600, "{nodes:?}");
        assert!(took < 1.5 * engine + 3_000.0, "{took} {engine}");
        // Tasks are timed by the clock, and something else may run on this
        // machine: what the page itself takes is counted instead.
        let own = own.unwrap_or_default();
        assert!(own < 20.0 * SEGMENTS as f64, "{own} ms of the page's own");
        // The page answers.
        rooms.choose("#segment", "700").await?;
        page.says("#segment-text", "Segment 700 of 1000").await?;
        rooms.press("#reset").await?;
        page.says("#segment-text", "The puzzle").await
    })
    .await
}

/// What the segments took by the worker's clock.
async fn engine_time(page: &Playground, rooms: &Rooms) -> Result<f64> {
    page.catch_files().await?;
    rooms.press("#save-run").await?;
    let recording = <Recording>::from_json(&page.saved().await?.1)?;
    let times = recording.events.iter().filter_map(|event| match event {
        Event::Segment { milliseconds, .. } => Some(milliseconds),
        _ => None,
    });
    Ok(times.sum())
}

#[tokio::test]
async fn a_thousand_segments() -> Result<()> {
    long_run("").await
}

#[tokio::test]
async fn a_thousand_segments_on_the_plane() -> Result<()> {
    long_run("&room=latent").await
}

#[tokio::test]
async fn a_run_is_never_far_ahead_of_what_is_seen() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let puzzle: Board = "11..............".parse()?;
        let link = format!("&depth={SEGMENTS}&speed=Full");
        let (page, rooms) = open(server, browser, "hrm-4x4", &puzzle, &link).await?;
        // Nothing is drawn for a while: the worker waits.
        let script = "const ask = window.requestAnimationFrame; \
            window.requestAnimationFrame = call => setTimeout(() => ask(call), 1500); \
            document.querySelector('#play').click();";
        page.script(script).await?;
        page.segments(1).await?;
        let shown = page
            .script("return +document.querySelector('#segment').max")
            .await?;
        let most = hrm_core::reason::message::AHEAD as u64 + 1;
        assert!(shown.as_u64().is_some_and(|n| n <= most), "{shown}");
        rooms.press("#play").await?;
        page.says("#play", "Go on").await
    })
    .await
}
