//! Going through time, how runs are named, and filling in cells, in a real
//! Chromium.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, PHONE, open, puzzle, with_page};
use serde_json::json;

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
async fn runs_have_a_speed_and_go_on_as_far_as_one_likes() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let puzzle: Board = "11..............".parse()?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &puzzle, "").await?;
        rooms.choose("#speed", "3").await?;
        rooms.press("#play").await?;
        page.ended().await?;
        page.says("#segment-text", "Segment 16 of 16").await?;
        page.says("#play", "Go on").await?;
        rooms.press("#play").await?;
        page.segments(32).await?;
        page.ended().await?;
        rooms.press("#step").await?;
        page.segments(33).await?;
        // A link leads to the inside of a segment, and keeps the depth.
        rooms.choose("#depth", "64").await?;
        rooms.press("#fine").await?;
        rooms.press("#back").await?;
        page.says("#segment-text", "Segment 33 of 64, update 1")
            .await?;
        let board = page.board().await?;
        page.until(
            "the moment in the address",
            "return location.hash.includes('step=33.1') && location.hash.includes('depth=64')",
        )
        .await?;
        let address = browser.client.current_url().await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, address.as_str()).await?;
        page.says("#segment-text", "Segment 33 of 64, update 1")
            .await?;
        assert_eq!(page.board().await?, board);
        // So it does to two moments that are compared, and to a speed.
        let rooms = Rooms::of(&page);
        rooms.press("#pin").await?;
        rooms.choose("#segment", "1").await?;
        page.says("#segment-text", "Segment 1 of 64, update 1")
            .await?;
        let (board, compared) = (page.board().await?, rooms.text(".compared").await?);
        let differing = rooms.count("#board .cell.changed").await?;
        page.until(
            "both moments in the address",
            "return ['step=1.1', 'compare=33.1', 'speed=Full'].every(pair => location.hash.includes(pair))",
        )
        .await?;
        let address = browser.client.current_url().await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, address.as_str()).await?;
        page.says("#segment-text", "Segment 1 of 64, update 1")
            .await?;
        let rooms = Rooms::of(&page);
        page.says(".compared", &compared).await?;
        assert_eq!(page.board().await?, board);
        assert_eq!(rooms.count("#board .cell.changed").await?, differing);
        page.until(
            "the speed in the address",
            "return document.querySelector('#speed').value === '3'",
        )
        .await
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
async fn without_keys_several_cells_can_be_filled() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        let blank = Board::blank(Shape::S4);
        let (page, rooms) = open(server, browser, "hrm-4x4", &blank, "").await?;
        rooms.press("#gather").await?;
        for cell in [2, 7, 9] {
            page.click(&format!("#cell-{cell}")).await?;
        }
        rooms.has("#board .cell.selected", 3).await?;
        page.click("#cell-7").await?;
        rooms.has("#board .cell.selected", 2).await?;
        page.click("[aria-label='Write 3']").await?;
        assert_eq!(page.board().await?, "..3......3......");
        rooms
            .press("[aria-label='Edit the puzzle'] .edits button:nth-child(2)")
            .await?;
        assert_eq!(page.board().await?, ".".repeat(16), "taken back");
        rooms
            .press("[aria-label='Edit the puzzle'] .edits button:nth-child(3)")
            .await?;
        assert_eq!(page.board().await?, "..3......3......", "and repeated");
        Ok(())
    })
    .await
}
