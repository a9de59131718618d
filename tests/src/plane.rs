//! The latent plane as its visitors see it, and as the worker tells of it.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::page::Playground;
use crate::rooms::Rooms;

/// Keeps what the worker says of rooms: to run before the page's own scripts.
pub const LISTEN: &str = "window.heard = {}; { const Plain = Worker; \
    window.Worker = class extends Plain { constructor(...rest) { super(...rest); \
    this.addEventListener('message', ({ data }) => { \
    if (typeof data !== 'string' || !data.startsWith('{\"lab\"')) return; \
    Object.assign(window.heard, JSON.parse(data).lab.event); }); } }; }";

/// The latent room of a page.
#[derive(Debug, Clone)]
pub struct LatentPlane {
    page: Playground,
    rooms: Rooms,
}

impl LatentPlane {
    /// The plane of a page whose latent room is open.
    #[must_use]
    pub fn of(page: &Playground) -> Self {
        Self {
            page: page.clone(),
            rooms: Rooms::of(page),
        }
    }

    /// Runs segments of the run on the board, one by one, from its beginning.
    ///
    /// # Errors
    /// If they don't come.
    pub async fn step(&self, segments: usize) -> Result<()> {
        for segment in 1..=segments {
            self.rooms.press("#step").await?;
            self.page.segments(segment).await?;
        }
        Ok(())
    }

    /// Has the landscape drawn, with its arrows, and waits until it is there.
    ///
    /// # Errors
    /// If it is not drawn.
    pub async fn draw_landscape(&self) -> Result<()> {
        self.rooms.press("#draw-landscape").await?;
        self.page.says("#landscape-known", "1681 of 1681").await?;
        self.idle().await
    }

    /// Waits until nothing is being drawn.
    ///
    /// # Errors
    /// If that does not happen.
    pub async fn idle(&self) -> Result<()> {
        self.page
            .until(
                "an end of the drawing",
                "return document.querySelector('#stop-latent') === null \
                 && !document.querySelector('#draw-landscape').disabled",
            )
            .await
    }

    /// Clicks at shares of the plane's width and height.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn click(&self, x: f64, y: f64) -> Result<()> {
        let script = format!(
            "const plane = document.querySelector('#plane'); const r = plane.getBoundingClientRect(); \
             plane.dispatchEvent(new MouseEvent('click', {{ bubbles: true, \
             clientX: r.left + {x} * r.width, clientY: r.top + {y} * r.height }}))"
        );
        self.page.script(&script).await.map(drop)
    }

    /// The points of the run on the board as they are drawn, up being up.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn drawn_trace(&self) -> Result<Vec<[f64; 2]>> {
        let script = "return [...document.querySelectorAll('#plane .stop')]\
            .map(c => [+c.getAttribute('cx'), -c.getAttribute('cy')])";
        serde_json::from_value(self.page.script(script).await?).context("no points")
    }

    /// The paths of all runs as they are drawn.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn drawn_tracks(&self) -> Result<Value> {
        let script = "return [...document.querySelectorAll('#plane .track')]\
            .map(p => p.getAttribute('d'))";
        self.page.script(script).await
    }

    /// How many squares of each colour the landscape has, darkest first.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn drawn_squares(&self) -> Result<Vec<usize>> {
        let script = "return [...document.querySelectorAll('#plane path[fill]')]\
            .map(p => p.getAttribute('d').split('M').length - 1)";
        serde_json::from_value(self.page.script(script).await?).context("no squares")
    }

    /// What the worker has said last of one kind; the page has to have been
    /// opened with [`LISTEN`].
    ///
    /// # Errors
    /// If it has said nothing of the kind.
    pub async fn heard(&self, kind: &str) -> Result<Value> {
        let heard = self
            .page
            .script(&format!("return window.heard.{kind}"))
            .await?;
        heard
            .is_object()
            .then_some(heard)
            .with_context(|| format!("nothing of {kind}"))
    }
}
