//! Small screens and large ones, assistive technology, installing, and what
//! the page may load.

use std::path::Path;

use anyhow::{Context, Result};
use hrm_tests::browser::{Graphics, dist};
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, PHONE, TABLET, WALL, with_page};
use serde_json::Value;

/// A puzzle that no answer solves, so that a run goes on.
const SMALL: &str = "#model=hrm-4x4&puzzle=11..............";

#[tokio::test]
async fn nothing_sticks_out_on_any_screen() -> Result<()> {
    for size in [PHONE, TABLET, DESKTOP, WALL] {
        with_page(Graphics::None, size, async |server, browser| {
            for room in ["guesses", "latent", "experiments"] {
                let url = format!("{}{SMALL}&step=2&room={room}", server.url());
                browser.client.goto("about:blank").await?;
                let (page, _) = Playground::open(&browser.client, &url).await?;
                page.says("#segment-text", "Segment 2 of").await?;
                Rooms::of(&page).has("#room .lede", 1).await?;
                let beyond = page
                    .script("return document.documentElement.scrollWidth - window.innerWidth")
                    .await?;
                assert!(beyond.as_i64() <= Some(0), "{size:?}, {room}: {beyond}");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_board_is_a_grid_that_speaks() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        rooms
            .has("#board[role=grid] > [role=row] > [role=gridcell]", 16)
            .await?;
        // One cell is in the order of tabs, the others are reached by arrows.
        rooms.has("#board [tabindex='0']", 1).await?;
        let spoken = |cell: usize| {
            format!("return document.querySelector('#cell-{cell}').getAttribute('aria-label')")
        };
        let label = page.script(&spoken(1)).await?;
        assert_eq!(label, "Row 1, column 2: 1, given, conflict");
        page.click("#step").await?;
        page.segments(1).await?;
        let label = page.script(&spoken(9)).await?;
        assert!(
            label
                .as_str()
                .is_some_and(|l| l.ends_with(", changed") || l.ends_with("conflict")),
            "{label}"
        );
        // The end is spoken, once.
        page.click("#play").await?;
        page.ended().await?;
        rooms
            .has("#verdict[role=status][aria-live=polite]", 1)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn colours_are_chosen_for_good() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        if !browser.prefer("light", false).await? {
            return Ok(());
        }
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        let ground = "return getComputedStyle(document.body).backgroundColor";
        let light = page.script(ground).await?;
        // While nothing is chosen it follows the system, and so does what is
        // offered.
        let rooms = Rooms::of(&page);
        rooms.has("#theme", 1).await?;
        let offered = "return [...document.querySelectorAll('#theme > span')]\
            .filter(label => getComputedStyle(label).display !== 'none').map(label => label.textContent).join()";
        assert_eq!(page.script(offered).await?, "Dark colours");
        browser.prefer("dark", false).await?;
        page.until(
            "an offer of light colours",
            &format!("{offered} === 'Light colours'"),
        )
        .await?;
        browser.prefer("light", false).await?;
        rooms.press("#theme").await?;
        let dark = page.script(ground).await?;
        assert_ne!(light, dark);
        assert_eq!(page.script(offered).await?, "Light colours");
        browser.client.refresh().await?;
        assert_eq!(page.script(ground).await?, dark);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn it_can_be_installed() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let folder = dist(Graphics::None)?.context("checked before")?;
        let text = std::fs::read_to_string(folder.join("manifest.webmanifest"))?;
        let manifest: Value = serde_json::from_str(&text)?;
        assert_eq!(manifest["display"], "standalone");
        // Relative, so that it works in any folder.
        for key in ["start_url", "scope"] {
            let path = manifest[key].as_str().with_context(|| key.to_owned())?;
            assert!(path.starts_with('.'), "{path}");
        }
        let icons = manifest["icons"].as_array().context("no icons")?;
        for wanted in ["192x192", "512x512"] {
            assert!(icons.iter().any(|icon| icon["sizes"] == wanted), "{wanted}");
        }
        for icon in icons {
            let file = folder.join(icon["src"].as_str().context("no file")?);
            assert!(file.is_file(), "{}", file.display());
        }
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        let scope = page
            .promise("navigator.serviceWorker.ready.then(r => r.scope)")
            .await?;
        assert_eq!(scope, server.url());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_its_own_files_are_loaded() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}#tour=1", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let loaded = page
            .script("return performance.getEntriesByType('resource').map(entry => entry.name)")
            .await?;
        for name in loaded.as_array().context("no list")? {
            let name = name.as_str().context("no name")?;
            assert!(name.starts_with(&server.url()), "{name}");
        }
        // The policy forbids what is inline, and what is from elsewhere.
        let policy = page
            .script("return document.querySelector('meta[http-equiv]').content")
            .await?;
        let policy = policy.as_str().context("no policy")?;
        assert!(policy.contains("default-src 'none'") && policy.contains("'wasm-unsafe-eval'"));
        assert!(
            !policy.contains("unsafe-inline") && !policy.contains("http"),
            "{policy}"
        );
        // The same server by another name is another host, and would answer.
        let elsewhere = server.url().replace("127.0.0.1", "localhost");
        for (from, outcome) in [(server.url(), "fetched"), (elsewhere, "refused")] {
            let fetched = page
                .promise(&format!(
                    "fetch({from:?}, {{ mode: 'no-cors' }}).then(() => 'fetched', () => 'refused')"
                ))
                .await?;
            assert_eq!(fetched, outcome, "{from}");
        }
        let ran = page
            .script(
                "const inline = document.createElement('script'); \
                 inline.textContent = 'window.ran = true'; document.body.append(inline); \
                 return window.ran === true",
            )
            .await?;
        assert_eq!(ran, false);
        Ok(())
    })
    .await
}

/// Runs axe on the page and returns what it objects to.
async fn objections(page: &Playground, axe: &str) -> Result<Vec<String>> {
    page.script(&format!("{axe}; return true")).await?;
    let found = page
        .promise("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | ')))")
        .await?;
    let found = found.as_array().context("no answer")?;
    Ok(found.iter().map(ToString::to_string).collect())
}

/// What there is to see in a room once it has been used.
async fn fill(page: &Playground, room: &str) -> Result<()> {
    let rooms = Rooms::of(page);
    match room {
        "guesses" => {
            rooms.press("#race").await?;
            page.says("#race-status", "It took").await
        }
        "latent" => {
            rooms.press("#draw-landscape").await?;
            page.says("#landscape-known", "1681 of 1681").await?;
            rooms.press("#solid").await?;
            rooms.press("#noisy-visit").await?;
            rooms.has("#plane .track", 2).await
        }
        _ => {
            rooms.press("#experiment-one-blank").await?;
            page.says("#experiment-status", "95 % interval").await
        }
    }
}

#[tokio::test]
async fn axe_objects_to_nothing() -> Result<()> {
    let Some(path) = std::env::var_os("HRM_AXE") else {
        println!("skipped: HRM_AXE, the file axe.min.js of axe-core, is not set");
        return Ok(());
    };
    let axe = std::fs::read_to_string(Path::new(&path))?;
    let solvable = "#model=hrm-4x4&puzzle=.1..3......4..13&step=1";
    for size in [DESKTOP, PHONE] {
        with_page(Graphics::None, size, async |server, browser| {
            for scheme in ["light", "dark"] {
                if !browser.prefer(scheme, false).await? {
                    return Ok(());
                }
                let url = format!("{}#tour=2", server.url());
                browser.client.goto("about:blank").await?;
                let (page, _) = Playground::open(&browser.client, &url).await?;
                page.loaded().await?;
                page.says(".tour .count", "Tour, 2 of 6").await?;
                let found = objections(&page, &axe).await?;
                assert!(found.is_empty(), "{size:?}, {scheme}: {found:#?}");
                for room in ["guesses", "latent", "experiments"] {
                    let url = format!("{}{solvable}&room={room}", server.url());
                    browser.client.goto("about:blank").await?;
                    let (page, _) = Playground::open(&browser.client, &url).await?;
                    page.says("#segment-text", "Segment 1 of").await?;
                    fill(&page, room).await?;
                    let found = objections(&page, &axe).await?;
                    assert!(found.is_empty(), "{size:?}, {scheme}, {room}: {found:#?}");
                }
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}
