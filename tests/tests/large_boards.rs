//! Boards beyond 9x9, in a real Chromium: letters, a large board solved by the
//! network that knows no size, and new ones of a chosen size.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_tests::browser::Graphics;
use hrm_tests::visit::{DESKTOP, PHONE, open, puzzle, with_page};
use serde_json::json;

#[tokio::test]
async fn a_board_of_sixteen_is_entered_and_solved() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S16, Difficulty::Medium, 1)?;
        let (page, rooms) = open(server, browser, "relational", &question, "").await?;
        assert_eq!(page.board().await?, question.to_string());
        rooms.has("#board .cell", 256).await?;
        rooms.has(".digits button", 16).await?;

        // A letter writes; one that the board has not says so.
        let blank = question
            .cells()
            .iter()
            .position(|&d| d == 0)
            .context("full")?;
        let sign = answer.to_string().chars().nth(blank).context("a cell")?;
        page.click(&format!("#cell-{blank}")).await?;
        rooms.key(&json!({"key": sign.to_string()})).await?;
        let mut written = question.clone();
        written.set(blank, answer.cells()[blank]);
        page.until(
            "the digit",
            &format!("return document.querySelector('#cell-{blank}').textContent === '{sign}'"),
        )
        .await?;
        assert_eq!(page.board().await?, written.to_string());

        rooms.choose("#speed", "3").await?;
        page.click("#play").await?;
        page.ended().await?;
        assert_eq!(page.board().await?, answer.to_string());
        assert!(rooms.text("#verdict").await?.contains("Solved"));

        // In the address and as text it is written the same way.
        rooms.press(".as-text summary").await?;
        rooms.press("#as-grid").await?;
        let text = page
            .script("return document.querySelector('#text').value")
            .await?;
        let text = text.as_str().context("no text")?;
        assert_eq!(text.parse::<Board>()?, written);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn new_puzzles_have_the_size_that_is_chosen() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        let (question, _) = puzzle(Shape::S9, Difficulty::Easy, 1)?;
        let (page, rooms) = open(server, browser, "relational", &question, "").await?;
        for (size, cells) in [("sudoku-12x12", 144), ("sudoku-25x25", 625)] {
            rooms.choose("#size", size).await?;
            rooms.choose("#difficulty", "easy").await?;
            page.click("#generate").await?;
            rooms.has("#board .cell", cells).await?;
            let board: Board = page.board().await?.parse()?;
            assert!(board.clues() > 0 && board.clash().is_none());
            // It fits the screen, and the pad has a button for every digit.
            let fits = "const b = document.querySelector('#board').getBoundingClientRect();\
                 return b.left >= 0 && b.right <= innerWidth && b.width > 300";
            page.until("the board on the screen", fits).await?;
            rooms
                .has(".digits button", board.shape().side() as u64)
                .await?;
        }
        Ok(())
    })
    .await
}
