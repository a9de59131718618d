//! Offline, full, out of memory, without its GPU, in the background.

use anyhow::{Context, Result};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::Fault;
use hrm_tests::visit::{DESKTOP, with_page};

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
async fn what_is_asked_before_the_worker_listens_is_done_once_it_does() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        server.spoil(Some(("worker_loader.js", Fault::Held)));
        let (page, _) =
            Playground::open(&browser.client, &format!("{}{SMALL}", server.url())).await?;
        let rooms = Rooms::of(&page);
        let before = page.board().await?;
        rooms.press("#generate").await?;
        // Nothing can have come of it yet.
        assert_eq!(page.board().await?, before);
        server.spoil(None);
        page.loaded().await?;
        page.until(
            "a made puzzle",
            "return !location.hash.includes('puzzle=11..............')",
        )
        .await?;
        assert_ne!(page.board().await?, before);
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
        let wait = async |milliseconds| {
            tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
            page.script(slider).await?.as_u64().context("no slider")
        };
        // One segment may have been under way.
        let mut before = wait(0).await?;
        loop {
            let now = wait(900).await?;
            if now == before {
                break;
            }
            before = now;
        }
        assert_eq!(wait(1500).await?, before);
        page.script(&hide(false)).await?;
        page.says("#news", "background").await?;
        page.segments(before as usize + 1).await
    })
    .await
}

/// Makes the page's worker believe that buffers above that size exhaust the
/// device's memory.
const SMALL_DEVICE: &str = "{ const scopes = [], P = GPUDevice.prototype; let exhausted = false; \
    const { createBuffer: make, pushErrorScope: push, popErrorScope: pop } = P; \
    P.createBuffer = function (d) { exhausted ||= d.size > 200000; return make.call(this, d); }; \
    P.pushErrorScope = function (f) { exhausted = false; scopes.push(f); return push.call(this, f); }; \
    P.popErrorScope = function () { const f = scopes.pop(), over = exhausted && f === 'out-of-memory'; \
    return pop.call(this).then(e => over ? new GPUOutOfMemoryError('too much') : e); }; }";

#[tokio::test]
async fn what_exceeds_the_memory_goes_in_smaller_batches() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        server.spoil(Some(("worker_loader.js", Fault::Preceded(SMALL_DEVICE))));
        let url = format!(
            "{}?device=gpu{SMALL}&room=guesses&guesses=25,d,0",
            server.url()
        );
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        rooms.choose("#depth", "8").await?;
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        assert_eq!(rooms.text("#room .problem").await?, "");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_gpu_lost_in_a_race_is_replaced() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let url = format!(
            "{}?device=gpu{SMALL}&room=guesses&guesses=25,d,0",
            server.url()
        );
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        rooms.press("#step").await?;
        page.segments(1).await?;
        rooms.press("#race").await?;
        rooms.has(".runner", 25).await?;
        if !browser.crash_gpu().await {
            return Ok(());
        }
        // Should the race have been over by then, the next one meets the loss.
        let told = "return document.querySelector('#news').textContent.includes('lost')";
        page.until(
            "a word on the loss",
            &format!("document.querySelector('#race')?.click(); {told}"),
        )
        .await?;
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        // The run on the board has not been touched.
        rooms.press("#step").await?;
        page.segments(2).await
    })
    .await
}
