//! What the page says of a run: card, mode, chart, board and live region agree
//! at every moment, on both engines and three networks; and what the tour says
//! is what this processor has just done.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::Event;
use hrm_core::reason::modes::Mode;
use hrm_core::reason::{Recording, SegmentReport, Standing, State};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, puzzle, with_page};
use hrm_web::tour::{Made, Puzzles, STEPS, text};
use serde_json::Value;

/// Everything on the page that tells of the run.
const SEEN: &str = "const text = id => document.querySelector(id)?.textContent ?? ''; \
    const card = document.querySelector('.standing'); \
    return { state: card.dataset.state, segment: +card.dataset.segment, verdict: text('#verdict'), \
    said: text('.commentary'), mode: text('#mode'), settled: text('#settled'), \
    slider: text('#segment-text'), \
    chart: document.querySelector('#run-chart').getAttribute('aria-label'), \
    board: [...document.querySelectorAll('#board .cell')].map(c => c.textContent.trim() || '.').join('') }";

/// The run on the board, as it would be saved.
async fn saved(page: &Playground, rooms: &Rooms) -> Result<Vec<SegmentReport>> {
    page.catch_files().await?;
    rooms.press("#save-run").await?;
    let recording = <Recording>::from_json(&page.saved().await?.1)?;
    Ok(recording.reports().cloned().collect())
}

fn digits(shape: Shape, grid: &[u8]) -> Result<String> {
    Ok(Board::new(shape, grid.to_vec())?.to_string())
}

/// Goes through all moments of the run and compares all that is said of each
/// with what there is to be said. Returns the state at the end.
async fn every_moment(page: &Playground, puzzle: &Board, limit: usize) -> Result<State> {
    let rooms = Rooms::of(page);
    let reports = saved(page, &rooms).await?;
    let known = reports.len();
    for at in (0..=known).chain([0, known]) {
        rooms.choose("#segment", &at.to_string()).await?;
        let there = format!("return +document.querySelector('.standing').dataset.segment === {at}");
        page.until("that moment", &there).await?;
        let seen = page.script(SEEN).await?;
        let of = |key: &str| seen[key].as_str().unwrap_or_default().to_owned();
        let standing = Standing::of(&puzzle.clone().into(), &reports, at, limit);
        let told = format!("segment {at} of {known}: {standing:?}, {seen}");

        assert_eq!(of("state"), standing.state.name(), "{told}");
        let sentence = standing.sentence();
        if standing.state.is_outcome() {
            let verdict = format!("{} {sentence}", standing.state.title());
            assert_eq!(of("verdict"), verdict, "{told}");
            assert_eq!(of("said"), "", "{told}");
        } else {
            assert_eq!(of("verdict"), "", "no outcome before there is one: {told}");
            assert_eq!(of("said"), sentence, "{told}");
        }
        match standing.behaviour {
            None => assert_eq!(of("mode"), "", "{told}"),
            Some(judged) => {
                let name = judged.mode.name();
                let named = of("mode").to_lowercase().starts_with(name);
                assert_eq!(named, standing.state.is_outcome(), "{told}");
                let success = matches!(judged.mode, Mode::TrivialSuccess | Mode::NontrivialSuccess);
                assert_eq!(success, standing.state == State::Solved, "{told}");
                let rests = of("settled") == "Now: settled.";
                assert_eq!(rests, judged.state_settled, "{told}");
            }
        }
        let grid = match at.checked_sub(1).map(|i| &reports[i]) {
            None => {
                assert_eq!(of("slider"), "The puzzle", "{told}");
                puzzle.cells()
            }
            Some(report) => {
                let chart = format!(
                    "after segment {at}: conflicts {}, cells changed {},",
                    report.conflicts,
                    report.changed.len()
                );
                assert!(of("chart").contains(&chart), "{told}");
                assert!(
                    of("slider").starts_with(&format!("Segment {at} of ")),
                    "{told}"
                );
                &report.grid
            }
        };
        assert_eq!(of("board"), digits(puzzle.shape(), grid)?, "{told}");
    }
    Ok(Standing::of(&puzzle.clone().into(), &reports, known, limit).state)
}

async fn agrees(graphics: Graphics, device: &str) -> Result<()> {
    with_page(graphics, DESKTOP, async |server, browser| {
        let mut states = Vec::new();
        for (model, shape) in [
            ("hrm-4x4", Shape::S4),
            ("compact-6x6", Shape::S6),
            ("compact-9x9", Shape::S9),
        ] {
            let (solvable, _) = puzzle(shape, Difficulty::Easy, 3)?;
            let (hard, _) = puzzle(shape, Difficulty::Extreme, 4)?;
            // Has no solution, so that something fails on every network.
            let twice = format!("11{}", ".".repeat(shape.cells() - 2));
            for puzzle in [solvable, hard, Board::parse(&twice, Some(shape))?] {
                let url = format!(
                    "{}?device={device}#model={model}&puzzle={puzzle}&depth=12&speed=Full",
                    server.url()
                );
                browser.client.goto("about:blank").await?;
                let (page, _) = Playground::open(&browser.client, &url).await?;
                page.loaded_model(model).await?;
                Rooms::of(&page).press("#play").await?;
                page.ended().await?;
                states.push(every_moment(&page, &puzzle, 12).await?);
            }
        }
        println!("{device}: {states:?}");
        assert!(states.contains(&State::Solved), "{states:?}");
        assert!(states.iter().any(|state| state.is_failure()), "{states:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn everything_agrees_at_every_moment_on_the_cpu() -> Result<()> {
    agrees(Graphics::None, "cpu").await
}

#[tokio::test]
async fn everything_agrees_at_every_moment_on_the_gpu() -> Result<()> {
    agrees(Graphics::Software, "gpu").await
}

/// The runs of the batch whose caption that is.
async fn batch(page: &Playground, rooms: &Rooms) -> Result<Vec<Vec<SegmentReport>>> {
    page.catch_files().await?;
    rooms.press(".save-runs").await?;
    let recording = <Recording>::from_json(&page.saved().await?.1)?;
    let items = recording.batch.as_ref().context("no batch")?.items.len();
    let mut runs = vec![Vec::new(); items];
    for event in recording.events {
        if let Event::Lab {
            event: LabEvent::Batch { reports, .. },
        } = event
        {
            for (run, report) in reports {
                runs[run].push(report);
            }
        }
    }
    Ok(runs)
}

async fn tour_is_true(graphics: Graphics, device: &str) -> Result<()> {
    let puzzles = Puzzles::new().context("no tour")?;
    with_page(graphics, DESKTOP, async |server, browser| {
        for step in 1..=STEPS {
            let scene = puzzles.scene(step).context("no scene")?;
            let url = format!("{}?device={device}#tour={step}&speed=Full", server.url());
            browser.client.goto("about:blank").await?;
            let (page, _) = Playground::open(&browser.client, &url).await?;
            page.loaded_model(&scene.model).await?;
            let rooms = Rooms::of(&page);
            let wanted = format!("return location.hash.includes('puzzle={}')", scene.puzzle);
            page.until("the puzzle of the step", &wanted).await?;
            // The run has come to where it leads, or to its end, and every
            // number of a recorded one is this engine's.
            page.until(
                "the run of the step",
                &format!(
                    "const card = document.querySelector('.standing').dataset; \
                     return !document.querySelector('#play').classList.contains('playing') \
                     && (card.state === 'solved' || +card.segment >= {})",
                    scene.segment
                ),
            )
            .await?;
            let mut runs = None;
            if step == 5 {
                page.says("#race-status", "It took").await?;
            }
            if step == 6 {
                page.says("#experiment-status", "95 % interval").await?;
            }
            if step > 4 {
                runs = Some(batch(&page, &rooms).await?);
            }
            let seen = page.script(SEEN).await?;
            let at = seen["segment"].as_u64().context("no segment")? as usize;
            let mut said = Value::Null;
            let mut expected = String::new();
            // A live engine may still be at repeating what was recorded.
            for _ in 0..100 {
                let run = saved(&page, &rooms).await.unwrap_or_default();
                let limit = if step > 3 { scene.segment } else { 16 };
                let standing = Standing::of(&scene.puzzle.clone().into(), &run, at, limit);
                let made = Made {
                    standing: &standing,
                    run: &run,
                    batch: runs.as_ref().map(|runs| (runs.as_slice(), true)),
                };
                expected = text(step, made);
                said = page
                    .script("return document.querySelector('.tour .text').textContent")
                    .await?;
                if run.len() >= at && said == expected.as_str() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            println!("{device}, step {step}: {said}");
            assert_eq!(said, expected.as_str(), "step {step}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_tour_tells_what_the_cpu_has_done() -> Result<()> {
    tour_is_true(Graphics::None, "cpu").await
}

#[tokio::test]
async fn the_tour_tells_what_the_gpu_has_done() -> Result<()> {
    tour_is_true(Graphics::Software, "gpu").await
}
