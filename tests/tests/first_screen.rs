//! What a visitor sees first, the tour, links, and files in and out.

use anyhow::{Context, Result};
use hrm_core::puzzle::{AnyPuzzle, Board, Puzzle};
use hrm_core::reason::{Recording, Tour};
use hrm_tests::browser::{Graphics, dist};
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::Fault;
use hrm_tests::visit::{DESKTOP, PHONE, with_page};

const RECORDING: &str = include_str!("../../web/demo.json");
const TOUR: &str = include_str!("../../web/src/tour.json");
/// A puzzle that no answer solves, so that a run goes on.
const SMALL: &str = "#model=hrm-4x4&puzzle=11..............";

#[tokio::test]
async fn the_recorded_run_needs_no_program() -> Result<()> {
    let recording = <Recording>::from_json(RECORDING)?;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let folder = dist(Graphics::None)?.context("checked before")?;
        let size = |name: &str| Ok::<_, std::io::Error>(folder.join(name).metadata()?.len());
        assert!(size("demo.js")? + size("demo.json")? < 300_000);
        // The program never arrives.
        server.spoil(Some(("playground_bg.wasm", Fault::Missing)));
        browser.client.goto(&server.url()).await?;
        let page = Playground::at(&browser.client);
        page.says("#segment-text", "Segment 2 of").await?;
        page.click("#play").await?;
        let shown = page.text("#segment-text").await?;
        let segment = shown
            .strip_prefix("Segment ")
            .and_then(|rest| rest.split(' ').next())
            .and_then(|number| number.parse::<usize>().ok())
            .with_context(|| shown.clone())?;
        let report = recording.reports().nth(segment - 1).context("too short")?;
        let board = AnyPuzzle::from_values(recording.puzzle.kind(), &report.grid)?;
        assert_eq!(page.board().await?, board.to_string());
        // It says what is missing, and the run is still there.
        page.says(".failure", "could not be started").await?;
        assert_eq!(page.text("#play").await?, "Go on");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_live_engine_takes_over_the_recorded_run() -> Result<()> {
    let recording = <Recording>::from_json(RECORDING)?;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        page.loaded().await?;
        page.says("#source", "Live, on your CPU").await?;
        // It goes on by itself, wherever it was.
        page.ended().await?;
        assert!(page.text("#verdict").await?.starts_with("Solved"));
        let last = recording.reports().last().context("empty")?;
        let board = AnyPuzzle::from_values(recording.puzzle.kind(), &last.grid)?;
        assert_eq!(page.board().await?, board.to_string());
        // What was shown as recorded is the live engine's by now: all numbers
        // but the times are those of a run that it has made from the start.
        let numbers = "return [...document.querySelectorAll('.numbers tbody tr')]\
            .map(row => [...row.children].slice(0, -1).map(cell => cell.textContent).join())";
        let taken_over = page.script(numbers).await?;
        page.reset().await?;
        let rooms = Rooms::of(&page);
        rooms.choose("#speed", "3").await?;
        page.click("#play").await?;
        page.ended().await?;
        assert_eq!(page.script(numbers).await?, taken_over);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_wants_less_motion_presses_play() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        if !browser.prefer("light", true).await? {
            return Ok(());
        }
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        page.loaded().await?;
        assert_eq!(page.text("#segment-text").await?, "The puzzle");
        assert_eq!(page.text("#play").await?, "Play");
        page.click("#play").await?;
        page.segments(1).await
    })
    .await
}

/// One column has no room beside the board: what explains it comes first.
#[tokio::test]
async fn on_a_phone_the_tour_is_above_the_board() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        let url = format!("{}#tour=2", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.until(
            "the card above the board, and on the screen",
            "const top = e => document.querySelector(e)?.getBoundingClientRect().top ?? 1e4; \
             return top('.tour') < top('#board') && top('#board') < innerHeight",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn every_step_of_the_tour_shows_what_it_says() -> Result<()> {
    let tour = Tour::from_json(TOUR)?;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        page.loaded().await?;
        page.click(".tour-link").await?;
        let leap = &tour.leap;
        let mut expected = vec![
            (1, Some(&leap.puzzle), 1, false),
            (2, Some(&leap.puzzle), leap.solved_at - 2, false),
            (3, Some(&leap.puzzle), leap.solved_at, true),
        ];
        let of = |puzzle| (puzzle, tour.segments, false);
        let (trap, vote) = (tour.trap.as_ref(), tour.vote.as_ref());
        for (step, (puzzle, segment, solved)) in [
            (4, of(trap.map(|t| &t.puzzle))),
            (5, of(vote.map(|v| &v.puzzle))),
        ] {
            expected.push((step, puzzle, segment, solved));
        }
        for (step, puzzle, segment, solved) in expected {
            page.says(".tour .count", &format!("Tour, {step} of 6"))
                .await?;
            if let Some(puzzle) = puzzle {
                let address = format!("puzzle={puzzle}");
                page.until(
                    "the puzzle in the address",
                    &format!("return location.hash.includes({address:?})"),
                )
                .await?;
                page.says("#segment-text", &format!("Segment {segment} of"))
                    .await?;
                let board = Board::parse(&page.board().await?, Some(puzzle.shape()))?;
                assert_eq!(board.solves(puzzle), solved, "step {step}: {board}");
            }
            let address = browser.client.current_url().await?;
            assert!(
                address.as_str().contains(&format!("tour={step}")),
                "{address}"
            );
            page.click("#tour-next").await?;
        }
        page.says(".tour .count", "Tour, 6 of 6").await?;
        page.click("#tour-end").await?;
        page.until("no card", "return document.querySelector('.tour') === null")
            .await?;
        let address = browser.client.current_url().await?;
        assert!(!address.as_str().contains("tour="), "{address}");

        // Each step is a link of its own.
        let url = format!("{}#tour=3", server.url());
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.says("#segment-text", &format!("Segment {} of", leap.solved_at))
            .await?;
        page.says("#tour-title", "The drop").await
    })
    .await
}

#[tokio::test]
async fn a_link_names_the_segment_too() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}&step=2", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.says("#segment-text", "Segment 2 of").await?;
        let board = page.board().await?;
        // The caption's link is the same experiment.
        let link = page
            .script("return document.querySelector('.permalink').href")
            .await?;
        let link = link.as_str().context("no link")?.to_owned();
        assert!(link.contains("step=2") && link.contains("v=1"), "{link}");
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &link).await?;
        page.says("#segment-text", "Segment 2 of").await?;
        assert_eq!(page.board().await?, board);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_saved_run_can_be_dropped_on_the_page() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        for segment in 1..=3 {
            page.click("#step").await?;
            page.segments(segment).await?;
        }
        let board = page.board().await?;
        page.catch_files().await?;
        page.click("#save-run").await?;
        let (name, text) = page.saved().await?;
        assert_eq!(name, "hrm-run-hrm-4x4.json");
        let recording = <Recording>::from_json(&text)?;
        assert_eq!(recording.reports().count(), 3);

        page.paste(&".".repeat(36)).await?;
        page.drop_file("run.json", &text).await?;
        page.says("#source", "A recorded run of hrm-4x4").await?;
        page.says("#segment-text", "Segment 3 of").await?;
        assert_eq!(page.board().await?, board);

        // What is no run says so, and a puzzle as text is taken.
        page.drop_file("run.json", &text.replace("\"segment\":2", "\"segment\":4"))
            .await?;
        page.says(".notice", "damaged at message").await?;
        page.drop_file("puzzle.txt", "12..............").await?;
        page.until(
            "the dropped puzzle",
            "return location.hash.includes('puzzle=12..............')",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn pictures_are_saved_with_their_looks() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}&step=3", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.says("#segment-text", "Segment 3 of").await?;
        page.catch_files().await?;
        page.click("[aria-label='Save the picture as SVG']").await?;
        let (name, text) = page.saved().await?;
        assert!(name.ends_with(".svg"), "{name}");
        assert!(text.contains("stroke-dasharray=\"5px, 3px\""), "{text}");
        assert!(!text.contains("class="), "{text}");
        assert!(text.contains("step=3"), "the description names the experiment");
        page.click("[aria-label='Save the picture as PNG']").await?;
        let (name, data) = page.saved().await?;
        assert!(name.ends_with(".png"), "{name}");
        assert!(data.starts_with("data:image/png;base64,"), "{data:.40}");
        let width = page
            .promise(&format!(
                "new Promise(done => {{ const i = new Image(); i.onload = () => done(i.naturalWidth); i.src = {data:?}; }})"
            ))
            .await?;
        assert!(width.as_u64().is_some_and(|width| width >= 1000), "{width}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn back_and_forward_walk_puzzles() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let shown = |puzzle: &str| {
            format!("return [...document.querySelectorAll('#board .cell')].map(c => c.textContent.trim() || '.').join('') === {puzzle:?}")
        };
        let other = "2...............";
        page.paste(other).await?;
        page.until("it in the address", &format!("return location.hash.includes({other:?})"))
            .await?;
        // Digits written into it make no further step.
        page.click("#cell-5").await?;
        page.keys("4").await?;
        page.until("the digit", &shown("2....4..........")).await?;
        page.script("history.back()").await?;
        page.until("the first puzzle", &shown("11..............")).await?;
        page.script("history.forward()").await?;
        page.until("the second puzzle", &shown("2....4..........")).await
    })
    .await
}

#[tokio::test]
async fn links_that_can_not_be_read_are_named() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        for (fragment, said) in [
            (
                "#model=hrm-4x4&puzzle=11...",
                "puzzle of the link can't be read",
            ),
            (
                "#model=no-such&puzzle=11..............",
                "no network \"no-such\"",
            ),
            (
                "#model=hrm-4x4&puzzle=11..............&step=soon",
                "\"soon\" as its moment",
            ),
        ] {
            browser.client.goto("about:blank").await?;
            let url = format!("{}{fragment}", server.url());
            let (page, _) = Playground::open(&browser.client, &url).await?;
            page.loaded().await?;
            page.says(".notice", said).await?;
        }
        // On the open page, too.
        let page = Playground::at(&browser.client);
        page.script("location.hash = '#puzzle=12'").await?;
        page.says(".notice", "puzzle of the link can't be read")
            .await
    })
    .await
}
