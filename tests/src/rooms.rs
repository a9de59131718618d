//! The rooms below the board and the finer controls of time, as users see
//! them.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::page::Playground;

/// What goes beyond the single run on a page.
#[derive(Debug, Clone)]
pub struct Rooms {
    page: Playground,
}

impl Rooms {
    /// The rooms of a page.
    #[must_use]
    pub fn of(page: &Playground) -> Self {
        Self { page: page.clone() }
    }

    /// Opens the room of that name.
    ///
    /// # Errors
    /// If there is none.
    pub async fn open(&self, room: &str) -> Result<()> {
        self.press(&format!("#tab-{room}")).await?;
        self.page
            .until(
                "an open room",
                &format!(
                    "return document.querySelector('#tab-{room}').getAttribute('aria-selected') === 'true'"
                ),
            )
            .await
    }

    /// Presses a button, wherever on the page it is, once it can be pressed.
    ///
    /// # Errors
    /// If it never can.
    pub async fn press(&self, selector: &str) -> Result<()> {
        let script = format!(
            "const e = document.querySelector({}); if (!e || e.disabled) return false; e.click(); return true",
            json!(selector)
        );
        self.page.until(selector, &script).await
    }

    /// Moves a slider or chooses from a list.
    ///
    /// # Errors
    /// If there is no such field.
    pub async fn choose(&self, selector: &str, value: &str) -> Result<()> {
        let script = format!(
            "const e = document.querySelector({}); e.value = {}; \
             for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {{ bubbles: true }}));",
            json!(selector),
            json!(value)
        );
        self.page.script(&script).await.map(drop)
    }

    /// How many elements there are.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn count(&self, selector: &str) -> Result<u64> {
        let script = format!(
            "return document.querySelectorAll({}).length",
            json!(selector)
        );
        self.page
            .script(&script)
            .await?
            .as_u64()
            .context("no number")
    }

    /// Waits until there are as many elements.
    ///
    /// # Errors
    /// If there never are.
    pub async fn has(&self, selector: &str, count: u64) -> Result<()> {
        let script = format!(
            "return document.querySelectorAll({}).length === {count}",
            json!(selector)
        );
        self.page
            .until(&format!("{count} {selector}"), &script)
            .await
    }

    /// Text of the first such element, shown or not.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let script = format!(
            "return document.querySelector({})?.textContent ?? ''",
            json!(selector)
        );
        let text = self.page.script(&script).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// A key on whatever has the focus, with what modifiers make of it.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn key(&self, init: &Value) -> Result<()> {
        let script = format!(
            "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', \
             {{ bubbles: true, cancelable: true, ...{init} }}))"
        );
        self.page.script(&script).await.map(drop)
    }

    /// Drags the mouse over cells of the board.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn drag(&self, cells: &[usize]) -> Result<()> {
        let script = format!(
            "const cells = {}.map(i => document.querySelector(`#cell-${{i}}`)); \
             cells[0].dispatchEvent(new MouseEvent('mousedown', {{ bubbles: true, buttons: 1 }})); \
             cells[0].focus(); \
             for (const cell of cells.slice(1)) cell.dispatchEvent(new MouseEvent('mouseover', {{ bubbles: true, buttons: 1 }}));",
            json!(cells)
        );
        self.page.script(&script).await.map(drop)
    }
}
