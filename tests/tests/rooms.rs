//! Latent space, experiments and their pictures in a real Chromium, on models
//! small enough to be quick.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::plane::LatentPlane;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, open, puzzle, with_page};
use serde_json::json;

#[tokio::test]
async fn the_latent_plane_has_a_landscape_and_visitors() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=latent").await?;
        let plane = LatentPlane::of(&page);
        plane.step(2).await?;
        rooms.has("#plane .track.own", 1).await?;
        rooms.has("#plane .stop", 4).await?;

        plane.draw_landscape().await?;
        page.until(
            "arrows",
            "return (document.querySelector('#plane .flow')?.getAttribute('d') ?? '').length > 1000",
        )
        .await?;

        // The same as a surface, which turns.
        turns(&page, &rooms).await?;

        // A click starts a run there; the end of it is one to walk to.
        plane.click(0.25, 0.25).await?;
        rooms.has("#plane .track", 2).await?;
        rooms.has(".ends-table tbody tr", 2).await?;
        plane.idle().await?;
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

/// Shows the landscape as a surface and turns it.
async fn turns(page: &Playground, rooms: &Rooms) -> Result<()> {
    rooms.press("#solid").await?;
    let picture = "return document.querySelector('#surface').toDataURL()";
    page.until("a surface", &format!("{picture}.length > 20000"))
        .await?;
    let before = page.script(picture).await?;
    page.script("document.querySelector('#surface').focus()")
        .await?;
    rooms.key(&json!({ "key": "ArrowLeft" })).await?;
    page.until("another view of it", &format!("{picture} !== {before}"))
        .await
}

#[tokio::test]
async fn on_a_gpu_the_plane_has_every_update_and_a_surface() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let url = format!(
            "{}?device=gpu#model=hrm-4x4&puzzle={question}&room=latent",
            server.url()
        );
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        let plane = LatentPlane::of(&page);
        plane.step(2).await?;
        rooms.has("#plane .stop", 4).await?;
        rooms.press("#fine").await?;
        rooms.press("#back").await?;
        page.says("#segment-text", "Segment 2 of 16, update 1")
            .await?;
        plane.draw_landscape().await?;
        turns(&page, &rooms).await
    })
    .await
}

#[tokio::test]
async fn a_link_leads_to_a_view_of_the_plane() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=latent").await?;
        let plane = LatentPlane::of(&page);
        plane.step(1).await?;
        plane.draw_landscape().await?;
        plane.click(0.75, 0.25).await?;
        rooms.has("#plane .track", 2).await?;
        rooms.press("#noisy-visit").await?;
        rooms.has("#plane .track", 3).await?;
        plane.idle().await?;
        let drawn = plane.drawn_tracks().await?;
        let link = page
            .script("return document.querySelector('.plane .permalink').href")
            .await?;
        let link = link.as_str().context("no link")?.to_owned();
        assert!(link.contains("latent=landscape,held,"), "{link}");

        // The same tracks on the same ground.
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &link).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        rooms.has("#plane .track", 3).await?;
        page.says("#landscape-known", "1681 of 1681").await?;
        let plane = LatentPlane::of(&page);
        plane.idle().await?;
        assert_eq!(plane.drawn_tracks().await?, drawn);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn groups_and_boards_are_pictures_too() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=guesses").await?;
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        page.catch_files().await?;
        let save =
            |group: &str| format!("{group} + .caption [aria-label='Save the picture as SVG']");
        rooms.press(&save("#race-boards")).await?;
        let (name, text) = page.saved().await?;
        assert_eq!(name, "hrm-guesses.svg");
        assert_eq!(text.matches("<svg").count(), 1 + 9, "{text:.500}");
        assert!(text.contains(">as it is</text>") && text.contains(">guess 9</text>"));

        rooms.press("#play").await?;
        page.ended().await?;
        page.script("document.querySelector('.as-picture').open = true")
            .await?;
        rooms.has("#board-picture", 1).await?;
        rooms.press(&save("#board-picture")).await?;
        let (name, text) = page.saved().await?;
        assert_eq!(name, "hrm-board.svg");
        let digits = text.chars().filter(char::is_ascii_digit);
        assert!(digits.count() > 16 && answer.clues() == 16);
        Ok(())
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

        // One click chooses and runs.
        rooms.press("#experiment-one-blank").await?;
        page.says("#experiment-status", "of 16 solved").await?;
        rooms.has("#one-blank text", 16).await?;
        let address = browser.client.current_url().await?;
        let fragment = address.fragment().context("no fragment")?;
        assert!(fragment.contains("experiment=one-blank"), "{fragment}");

        rooms.press("#experiment-noise").await?;
        page.says("#experiment-status", "95 % interval").await?;
        rooms.has("#noise-chart circle", 6).await?;
        rooms.press("#experiment-relabellings").await?;
        page.says("#experiment-status", "of 4 solved").await
    })
    .await
}

#[tokio::test]
async fn vanilla_against_hints_by_one_link() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Easy, 9)?;
        let link = "&room=experiments&experiment=two-models";
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, link).await?;
        rooms.press("#hints-pair").await?;
        page.until(
            "the link's rival chosen",
            "return document.querySelector('#rival')?.value === 'hrm-6x6-hints'",
        )
        .await?;
        let address = browser.client.current_url().await?;
        let fragment = address.fragment().context("no fragment")?;
        assert!(fragment.contains("model=hrm-6x6-vanilla"), "{fragment}");
        assert!(fragment.contains("rival=hrm-6x6-hints"), "{fragment}");
        page.until(
            "a network that runs",
            "return document.querySelector('#run-experiment')?.disabled === false",
        )
        .await?;
        rooms.press("#run-experiment").await?;
        page.until(
            "vanilla wrong after 16 segments, its twin right",
            "const said = [...document.querySelectorAll('.race.two .runner figcaption span')].map(s => s.textContent); \
             return /^E [1-9][0-9]* in segment 16$/.test(said[0]) && /^solved/.test(said[1])",
        )
        .await
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
