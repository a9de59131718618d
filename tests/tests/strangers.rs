//! What five strangers come for, at three sizes, light and dark. With
//! `HRM_SHOTS` set to a folder, each leaves pictures of what they saw there.

use std::path::Path;

use anyhow::Result;
use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_tests::browser::{Browser, Graphics};
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, PHONE, TABLET, puzzle, with_page};

/// One of the hardest known: among the famous ones of the page.
const HARDEST: &str =
    "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..";

/// Runs a task at every size, light and dark.
async fn everywhere<F>(name: &str, address: &str, task: F) -> Result<()>
where
    F: AsyncFn(&Playground, &Rooms) -> Result<()>,
{
    for (size, window) in [("wide", DESKTOP), ("tablet", TABLET), ("narrow", PHONE)] {
        with_page(Graphics::None, window, async |server, browser| {
            for scheme in ["light", "dark"] {
                if !browser.prefer(scheme, true).await? {
                    return Ok(());
                }
                browser.client.goto("about:blank").await?;
                let url = format!("{}{address}", server.url());
                let (page, _) = Playground::open(&browser.client, &url).await?;
                page.loaded().await?;
                task(&page, &Rooms::of(&page)).await?;
                picture(browser, &format!("{name}-{size}-{scheme}")).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn picture(browser: &Browser, name: &str) -> Result<()> {
    if let Some(folder) = std::env::var_os("HRM_SHOTS") {
        std::fs::create_dir_all(&folder)?;
        let picture = browser.client.screenshot().await?;
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture)?;
    }
    Ok(())
}

/// True for what can be seen without scrolling.
fn on_screen(selector: &str) -> String {
    format!(
        "const b = document.querySelector('{selector}')?.getBoundingClientRect(); \
         return b !== undefined && b.width > 0 && b.top >= 0 && b.bottom <= innerHeight && b.right <= innerWidth"
    )
}

#[tokio::test]
async fn what_is_this() -> Result<()> {
    everywhere("what-is-this", "", async |page, _| {
        for selector in ["h1", ".tour-link", "#paste", "#blank", ".famous summary", "#board", "#play"] {
            page.until(&format!("{selector} on the first screen"), &on_screen(selector))
                .await?;
        }
        // The button for the colours covers nothing.
        let covers = "const a = document.querySelector('#theme').getBoundingClientRect(); \
            const range = document.createRange(); range.selectNodeContents(document.querySelector('h1')); \
            return [...range.getClientRects()].some(b => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)";
        assert_eq!(page.script(covers).await?, false);
        assert!(page.text("h1").await?.contains("neural network"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_puzzle_from_the_newspaper() -> Result<()> {
    let (question, answer) = puzzle(Shape::S9, Difficulty::Easy, 2024)?;
    everywhere("newspaper", "#speed=Quick", async |page, _| {
        page.paste(&question.to_grid_string()).await?;
        page.click("#play").await?;
        page.ended().await?;
        assert!(page.text("#verdict").await?.starts_with("Solved"));
        assert_eq!(page.board().await?, answer.to_string());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_hardest_known_puzzle() -> Result<()> {
    let hardest: Board = HARDEST.parse()?;
    everywhere("hardest", "", async |page, _| {
        page.paste(HARDEST).await?;
        page.until(
            "what solves it",
            "return document.querySelector('#solve') !== null",
        )
        .await?;
        // One click, and the answer is on the large board.
        page.click("#solve").await?;
        page.ended().await?;
        page.says("#verdict", "Solved").await?;
        page.says("#guessing", "This is guess").await?;
        let board: Board = page.board().await?.parse()?;
        assert!(board.solves(&hardest), "{board}");
        println!("{}", page.text("#guessing").await?);
        page.until("the answer on the screen", &on_screen("#board"))
            .await
    })
    .await
}

#[tokio::test]
async fn what_is_e() -> Result<()> {
    everywhere("what-is-e", "", async |page, rooms| {
        rooms.press("#to-words").await?;
        page.until("the words", &on_screen("#words")).await?;
        let said = rooms.text(".words").await?;
        assert!(
            said.contains("Conflict, E") && said.contains("E counts them"),
            "{said}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_picture_for_a_talk() -> Result<()> {
    everywhere("talk", "#step=3", async |page, rooms| {
        page.says("#segment-text", "Segment 3 of").await?;
        page.catch_files().await?;
        rooms
            .press(".chart [aria-label='Save the picture as PNG']")
            .await?;
        let (name, data) = page.saved().await?;
        assert!(
            name.ends_with(".png") && data.starts_with("data:image/png"),
            "{name}"
        );
        Ok(())
    })
    .await
}
