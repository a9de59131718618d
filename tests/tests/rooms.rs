//! Time, dynamics, pencil marks, guesses, latent space and experiments in a
//! real Chromium, on models small enough to be quick.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape, generate};
use hrm_tests::browser::{Browser, Graphics};
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::Server;
use hrm_tests::visit::{DESKTOP, with_page};
use serde_json::json;

/// Opens the page with a model and a puzzle, on the CPU.
async fn open(
    server: &Server,
    browser: &Browser,
    model: &str,
    puzzle: &Board,
    more: &str,
) -> Result<(Playground, Rooms)> {
    let url = format!(
        "{}?device=cpu#model={model}&puzzle={puzzle}{more}",
        server.url()
    );
    let (page, _) = Playground::open(&browser.client, &url).await?;
    page.loaded().await?;
    let rooms = Rooms::of(&page);
    Ok((page, rooms))
}

fn puzzle(shape: Shape, difficulty: Difficulty, seed: u64) -> Result<(Board, Board)> {
    let generated = generate(seed, &difficulty.options(shape))?;
    Ok((generated.question, generated.answer))
}

#[tokio::test]
async fn time_goes_through_segments_and_the_updates_inside() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Extreme, 4)?;
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, "").await?;
        rooms.press("#step").await?;
        page.segments(1).await?;
        rooms.press("#step").await?;
        page.segments(2).await?;
        let end = page.board().await?;

        // Two H updates to a segment: four moments and the puzzle.
        rooms.press("#fine").await?;
        page.until(
            "a finer slider",
            "return document.querySelector('#segment').max === '4'",
        )
        .await?;
        rooms.choose("#segment", "1").await?;
        page.says("#segment-text", "Segment 1 of 16, update 1")
            .await?;
        let inside = page.board().await?;
        rooms.press("#pin").await?;
        rooms.choose("#segment", "4").await?;
        page.says("#segment-text", "Segment 2 of 16, end").await?;
        assert_eq!(page.board().await?, end);
        let differing = inside
            .chars()
            .zip(end.chars())
            .filter(|(a, b)| a != b)
            .count();
        let compared = rooms.text(".compared").await?;
        let said = match differing {
            0 => "The same as segment 1, update 1.".to_owned(),
            1 => "1 cell differs from segment 1, update 1.".to_owned(),
            n => format!("{n} cells differ from segment 1, update 1."),
        };
        assert_eq!(compared, said);
        assert_eq!(rooms.count("#board .cell.changed").await?, differing as u64);

        rooms.press("#pin").await?;
        rooms.press("#back").await?;
        page.says("#segment-text", "Segment 2 of 16, update 1")
            .await?;
        rooms.press("#forward").await?;
        rooms.press("#fine").await?;
        page.says("#segment-text", "Segment 2 of 16").await?;
        rooms.choose("#depth", "64").await?;
        page.says("#segment-text", "Segment 2 of 64").await
    })
    .await
}

#[tokio::test]
async fn the_run_is_named_by_a_stated_rule() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Easy, 3)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "").await?;
        rooms.press("#play").await?;
        page.ended().await?;
        assert_eq!(page.board().await?, answer.to_string());
        let mode = rooms.text("#mode").await?;
        assert!(
            mode.contains("success: right for good from segment"),
            "{mode}"
        );
        // The solution is known here, so wrong cells have their line.
        page.until(
            "a line of wrong cells",
            "return document.querySelectorAll('#run-chart .wrong-line').length === 2",
        )
        .await?;

        // What has no solution ends in a failure, settled or wandering.
        page.paste("11..............").await?;
        rooms.choose("#depth", "8").await?;
        rooms.press("#play").await?;
        page.ended().await?;
        let mode = rooms.text("#mode").await?;
        let settled = rooms.text("#settled").await?;
        let consistent = mode.contains("rivial failure: not right, and z_H still moved")
            && !settled.contains("Now: settled")
            || mode.contains("Non-trivial failure") && settled.contains("Now: settled");
        assert!(consistent, "{mode} {settled}");
        let facts = rooms.text("#cell-facts").await?;
        assert!(
            facts.contains("Row 1, column 1") && facts.contains('%'),
            "{facts}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pencil_marks_selection_hint_and_check() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Hard, 5)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "").await?;
        let blank: Vec<usize> = (0..16).filter(|&cell| question.cells()[cell] == 0).collect();
        let (first, second) = (blank[0], blank[1]);

        // Dragged over, then pencilled: both cells get the mark.
        rooms.drag(&[first, second]).await?;
        rooms.has("#board .cell.selected", 2).await?;
        rooms.press("#mode-corner").await?;
        page.script(&format!("document.querySelector('#cell-{second}').focus()"))
            .await?;
        rooms.key(&json!({ "key": "3", "code": "Digit3" })).await?;
        rooms.has("#board .corner", 2).await?;
        assert_eq!(rooms.text(&format!("#cell-{first} .corner")).await?, "3");
        rooms
            .key(&json!({ "key": "2", "code": "Digit2", "ctrlKey": true }))
            .await?;
        assert_eq!(rooms.text(&format!("#cell-{second} .centre")).await?, "2");
        rooms.key(&json!({ "key": "z", "ctrlKey": true })).await?;
        assert_eq!(rooms.text(&format!("#cell-{second} .centre")).await?, "");
        rooms.key(&json!({ "key": "z" })).await?;
        let pressed = page
            .script("return document.querySelector('#mode-digit').getAttribute('aria-pressed')")
            .await?;
        assert_eq!(pressed, "true");

        // Two equal digits that are not both right are found by the check.
        let wrong = answer.cells()[first] % 4 + 1;
        page.script(&format!(
            "const cell = document.querySelector('#cell-{first}'); \
             cell.dispatchEvent(new MouseEvent('mousedown', {{ bubbles: true, buttons: 1 }})); cell.focus()"
        ))
        .await?;
        rooms
            .key(&json!({ "key": wrong.to_string(), "code": format!("Digit{wrong}") }))
            .await?;
        page.until(
            "a checked board",
            "document.querySelector('#check').click(); \
             return document.querySelector('.notice').textContent.includes('1 digit is wrong')",
        )
        .await?;
        rooms.has("#board .cell.mistaken", 1).await?;
        // A hint where the cursor is puts it right.
        rooms.press("#hint").await?;
        page.until(
            "a right cell",
            &format!(
                "return document.querySelector('#cell-{first}').textContent.trim() === '{}'",
                answer.cells()[first]
            ),
        )
        .await?;
        // Out in a form that comes in again.
        page.script("document.querySelector('.as-text').open = true").await?;
        rooms.press("#as-grid").await?;
        let text = page
            .script("return document.querySelector('#text').value")
            .await?;
        let back = Board::parse(text.as_str().context("no text")?, Some(Shape::S4))?;
        assert_eq!(back.cells()[first], answer.cells()[first]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn guesses_race_and_vote() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=guesses").await?;
        rooms.choose("#guess-count", "6").await?;
        rooms.press("#vary-lines").await?;
        rooms.press("#race").await?;
        rooms.has(".runner", 6).await?;
        page.says("#race-status", "It took").await?;
        assert!(rooms.count(".runner.solved").await? > 0);
        // Mapped back, most votes are for the solution.
        let script = "return [...document.querySelectorAll('#votes .mini-fixed, #votes .mini-digit')]\
            .map(t => [t.getAttribute('x') / 10 - 0.5, (t.getAttribute('y') - 2.6) / 10 - 0.5, t.textContent])";
        let votes = page.script(script).await?;
        let votes = votes.as_array().context("no votes")?;
        let right = votes
            .iter()
            .filter(|vote| {
                let at = |i: usize| vote[i].as_f64().unwrap_or(-1.0).round() as usize;
                let digit = vote[2].as_str().and_then(|text| text.parse::<u8>().ok());
                digit == Some(answer.cells()[at(1) * 4 + at(0)])
            })
            .count();
        assert!(right > 8, "{right} of {} votes are right", votes.len());
        rooms.has("#rules tbody tr", 7).await?;
        let rules = rooms.text("#rules").await?;
        assert!(rules.contains("First that the rules verifyguess") || rules.contains("✓"), "{rules}");
        // A race is given up when another begins, and stops when asked to.
        rooms.press("#stop-first").await?;
        rooms.press("#race").await?;
        page.says("#race-status", "guesses are solved").await?;
        assert!(rooms.count(".runner.solved").await? > 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_latent_plane_has_a_landscape_and_visitors() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=latent").await?;
        rooms.press("#step").await?;
        page.segments(1).await?;
        rooms.press("#step").await?;
        page.segments(2).await?;
        rooms.has("#plane .track.own", 1).await?;
        rooms.has("#plane .stop", 4).await?;

        rooms.press("#draw-landscape").await?;
        page.says("#landscape-known", "1681 of 1681").await?;
        page.until(
            "arrows",
            "return (document.querySelector('#plane .flow')?.getAttribute('d') ?? '').length > 1000",
        )
        .await?;

        // The same as a surface, which turns.
        rooms.press("#solid").await?;
        let picture = "return document.querySelector('#surface').toDataURL().length";
        page.until("a surface", &format!("{picture} > 20000")).await?;
        let before = page.script(&picture.replace(".length", "")).await?;
        page.script("document.querySelector('#surface').focus()").await?;
        rooms.key(&json!({ "key": "ArrowLeft" })).await?;
        page.until(
            "another view of it",
            &format!("{} !== {before}", picture.replace(".length", "")),
        )
        .await?;

        // A click starts a run there; the end of it is one to walk to.
        page.script(
            "const plane = document.querySelector('#plane'); const r = plane.getBoundingClientRect(); \
             plane.dispatchEvent(new MouseEvent('click', { bubbles: true, \
             clientX: r.left + r.width / 4, clientY: r.top + r.height / 4 }))",
        )
        .await?;
        rooms.has("#plane .track", 2).await?;
        rooms.has(".ends-table tbody tr", 2).await?;
        page.until(
            "a visit that is over",
            "return document.querySelector('#stop-latent') === null",
        )
        .await?;
        rooms.press("#walk-line").await?;
        page.until(
            "a line",
            "return (document.querySelector('#line-chart .conflicts-line')?.getAttribute('d') ?? '')\
             .split('L').length === 41",
        )
        .await?;

        rooms.press("#draw-basins").await?;
        page.until(
            "basins",
            "return document.querySelectorAll('#basin-ends li').length > 0 \
             && document.querySelector('#stop-latent') === null",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn experiments_have_a_button_and_a_link() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        let link = "&room=experiments&experiment=hints";
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, link).await?;
        page.until(
            "the experiment of the link",
            "return document.querySelector('#experiment-hints')?.getAttribute('aria-pressed') === 'true'",
        )
        .await?;
        rooms.press("#run-experiment").await?;
        page.says("#experiment-status", "95 % interval").await?;
        let bars = rooms.count("#hints-chart .bar").await?;
        assert_eq!(bars as usize, question.blanks() + 1);
        rooms.choose("#hints", "1").await?;
        rooms.press("#take-hints").await?;
        let hinted = Board::parse(&page.board().await?, Some(Shape::S4))?;
        assert_eq!(hinted.clues(), question.clues() + 1);

        rooms.press("#experiment-one-blank").await?;
        rooms.press("#run-experiment").await?;
        page.says("#experiment-status", "of 16 solved").await?;
        rooms.has("#one-blank text", 16).await?;
        let address = browser.client.current_url().await?;
        let fragment = address.fragment().context("no fragment")?;
        assert!(fragment.contains("experiment=one-blank"), "{fragment}");

        rooms.press("#experiment-noise").await?;
        rooms.press("#run-experiment").await?;
        page.says("#experiment-status", "95 % interval").await?;
        rooms.has("#noise-chart circle", 6).await?;
        rooms.press("#experiment-relabellings").await?;
        rooms.press("#run-experiment").await?;
        page.says("#experiment-status", "of 4 solved").await
    })
    .await
}

#[tokio::test]
async fn two_networks_side_by_side() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Easy, 9)?;
        let link = "&room=experiments&experiment=two-models";
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, link).await?;
        rooms.press("#run-experiment").await?;
        rooms.has(".race.two .runner", 2).await?;
        page.until(
            "two whole curves",
            "const curves = [...document.querySelectorAll('#rivals-chart path')]; \
             return curves.length === 2 && curves.every(c => c.getAttribute('d').split('L').length === 16)",
        )
        .await
    })
    .await
}
