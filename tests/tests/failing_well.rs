//! Offline, full, out of memory, in the background, and read by others.

use anyhow::{Context, Result};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::server::Fault;
use hrm_tests::visit::{DESKTOP, PHONE, with_page};

/// A puzzle that no answer solves, so that a run goes on.
const SMALL: &str = "#model=hrm-4x4&puzzle=11..............";
/// True once the service worker has kept the page.
const KEPT: &str = "navigator.serviceWorker.ready.then(() => true)";

#[tokio::test]
async fn after_the_first_visit_it_works_offline() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        assert_eq!(page.promise(KEPT).await?, true);
        server.go_dark();
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        page.click("#step").await?;
        page.segments(1).await?;
        // A network that was not used before is not there, and that is said.
        page.click("input[name=model][value=hrm-6x6]").await?;
        let failure = page.failed().await?;
        assert!(failure.contains("could not be loaded"), "{failure}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kept_weights_are_checked_too() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let spoil = "caches.open('hrm-weights').then(async c => { const keys = await c.keys(); \
            for (const key of keys) await c.put(key, new Response('altered')); return keys.length; })";
        assert!(page.promise(spoil).await?.as_u64() >= Some(1));
        browser.client.refresh().await?;
        page.loaded().await?;
        let whole = "caches.open('hrm-weights').then(async c => { \
            const all = await Promise.all((await c.keys()).map(async k => (await (await c.match(k)).arrayBuffer()).byteLength)); \
            return Math.max(...all); })";
        let length = page.promise(whole).await?;
        assert!(length.as_u64() > Some(10_000), "{length}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_full_storage_is_no_obstacle() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let full = "Cache.prototype.put = () => \
            Promise.reject(new DOMException('full', 'QuotaExceededError'));";
        server.spoil(Some(("worker_loader.js", Fault::Preceded(full))));
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        page.says("#news", "storage is full").await?;
        page.click("#step").await?;
        page.segments(1).await
    })
    .await
}

#[tokio::test]
async fn out_of_memory_turns_to_the_cpu() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let exhausted = "const scopes = [], { pushErrorScope: push, popErrorScope: pop } = GPUDevice.prototype; \
            GPUDevice.prototype.pushErrorScope = function (f) { scopes.push(f); return push.call(this, f); }; \
            GPUDevice.prototype.popErrorScope = function () { const f = scopes.pop(); \
            return pop.call(this).then(e => f === 'out-of-memory' ? new GPUOutOfMemoryError('nothing left') : e); };";
        server.spoil(Some(("worker_loader.js", Fault::Preceded(exhausted))));
        let url = format!("{}?device=gpu{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        let failure = page.failed().await?;
        assert!(failure.contains("out of memory"), "{failure}");
        assert!(failure.contains("Close other tabs"), "{failure}");
        page.click("#use-cpu").await?;
        page.loaded().await?;
        page.click("#step").await?;
        page.segments(1).await
    })
    .await
}

#[tokio::test]
async fn in_the_background_a_run_waits() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!(
            "{}#model=compact-9x9&puzzle=55{}",
            server.url(),
            ".".repeat(79)
        );
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        page.click("#play").await?;
        page.segments(1).await?;
        let hide = |hidden: bool| {
            format!(
                "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
                 document.dispatchEvent(new Event('visibilitychange', {{ bubbles: true }}))"
            )
        };
        page.script(&hide(true)).await?;
        page.says("#play", "Go on").await?;
        let slider = "return +document.querySelector('#segment').max";
        // One segment may have been under way.
        tokio::time::sleep(std::time::Duration::from_millis(900)).await;
        let before = page.script(slider).await?.as_u64().context("no slider")?;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_eq!(page.script(slider).await?.as_u64(), Some(before));
        page.script(&hide(false)).await?;
        page.says("#news", "background").await?;
        page.segments(before as usize + 1).await
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

#[tokio::test]
async fn axe_objects_to_nothing() -> Result<()> {
    let Some(path) = std::env::var_os("HRM_AXE") else {
        println!("SKIPPED: HRM_AXE, the file axe.min.js of axe-core, is not set");
        return Ok(());
    };
    let axe = std::fs::read_to_string(path)?;
    for size in [DESKTOP, PHONE] {
        with_page(Graphics::None, size, async |server, browser| {
            for scheme in ["light", "dark"] {
                browser.prefer(scheme, false).await?;
                let url = format!("{}#tour=2", server.url());
                browser.client.goto("about:blank").await?;
                let (page, _) = Playground::open(&browser.client, &url).await?;
                page.loaded().await?;
                page.says(".tour .count", "Tour, 2 of 6").await?;
                let found = objections(&page, &axe).await?;
                assert!(found.is_empty(), "{size:?}, {scheme}: {found:#?}");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}
