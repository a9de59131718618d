//! A visit to the built page: a server, a browser, and one at a time.

use anyhow::Result;
use hrm_core::puzzle::{Board, Difficulty, Shape, generate};
use tokio::sync::Mutex;

use crate::browser::{Browser, Graphics, dist};
use crate::page::Playground;
use crate::rooms::Rooms;
use crate::server::Server;

/// Browsers run one at a time: two would only wait for each other.
static TURN: Mutex<()> = Mutex::const_new(());

/// The window of a desk.
pub const DESKTOP: (u32, u32) = (1440, 900);
/// The window of a tablet.
pub const TABLET: (u32, u32) = (820, 1180);
/// The window of a screen on a wall.
pub const WALL: (u32, u32) = (3840, 2160);
/// The window of a phone.
pub const PHONE: (u32, u32) = (390, 844);

/// Runs a test on the built page in a browser, if there are such.
///
/// # Errors
/// Whatever the test says, or if server or browser do not start.
pub async fn with_page<F>(graphics: Graphics, size: (u32, u32), test: F) -> Result<()>
where
    F: AsyncFnOnce(&Server, &Browser) -> Result<()>,
{
    let Some(dist) = dist(graphics)? else {
        return Ok(());
    };
    let _turn = TURN.lock().await;
    // In a folder, since a page may not rely on being at the root.
    let server = Server::start(&dist, "some/sub/path")?;
    let browser = Browser::start(graphics, size).await?;
    test(&server, &browser).await?;
    browser.close().await
}

/// Opens the page with a model and a puzzle, on the CPU, and waits for the
/// network.
///
/// # Errors
/// If it never gets there.
pub async fn open(
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

/// A puzzle of that difficulty, and its solution.
///
/// # Errors
/// If none can be made.
pub fn puzzle(shape: Shape, difficulty: Difficulty, seed: u64) -> Result<(Board, Board)> {
    let generated = generate(seed, &difficulty.options(shape))?;
    Ok((generated.question, generated.answer))
}
