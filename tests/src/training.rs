//! The room of training as users see it.

use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use serde_json::Value;

use crate::browser::Browser;
use crate::page::Playground;
use crate::rooms::Rooms;
use crate::server::Server;

/// A run in the room.
#[derive(Debug, Clone)]
pub struct Training {
    /// The page around it.
    pub page: Playground,
    /// Its rooms.
    pub rooms: Rooms,
    browser: fantoccini::Client,
}

impl Training {
    /// Opens the room by a link, with a run of these settings.
    ///
    /// # Errors
    /// If it never gets there.
    pub async fn open(server: &Server, browser: &Browser, settings: &str) -> Result<Self> {
        let url = format!("{}?device=cpu#room=train&train={settings}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        let training = Self {
            rooms: Rooms::of(&page),
            page,
            browser: browser.client.clone(),
        };
        training.here().await?;
        Ok(training)
    }

    /// Waits for the room.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn here(&self) -> Result<()> {
        let there = "return document.querySelector('#train-run-a') !== null";
        self.page.until("the room of training", there).await
    }

    /// Presses a button of the first run.
    ///
    /// # Errors
    /// If it never can be pressed.
    pub async fn press(&self, button: &str) -> Result<()> {
        self.rooms.press(&format!("#{button}-run-a")).await
    }

    /// Waits until a part of the first run says something.
    ///
    /// # Errors
    /// If it never does.
    pub async fn says(&self, part: &str, wanted: &str) -> Result<()> {
        self.page.says(&format!("#{part}-run-a"), wanted).await
    }

    /// Steps done by the first run.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn step(&self) -> Result<u64> {
        let script = "const text = document.querySelector('#numbers-run-a')?.textContent ?? ''; \
            return +(text.match(/^step ([\\d,]+)/)?.[1] ?? '0').replaceAll(',', '')";
        self.page.script(script).await?.as_u64().context("no step")
    }

    /// Waits for so many steps.
    ///
    /// # Errors
    /// If they are never done.
    pub async fn steps(&self, count: u64) -> Result<()> {
        let script = format!(
            "const text = document.querySelector('#numbers-run-a')?.textContent ?? ''; \
             return +(text.match(/^step ([\\d,]+)/)?.[1] ?? '0').replaceAll(',', '') >= {count}"
        );
        self.page.until(&format!("{count} steps"), &script).await
    }

    /// Waits until the run is at rest and has been kept at its step.
    ///
    /// # Errors
    /// If it is not kept.
    pub async fn kept(&self) -> Result<u64> {
        let script = "const step = document.querySelector('#numbers-run-a').textContent.match(/^step ([\\d,]+)/)?.[1]; \
            return document.querySelector('#train-run-a').textContent.trim() !== 'Pause' \
            && document.querySelector('#kept-run-a').textContent.includes(`at step ${step}`)";
        self.page.until("a kept run", script).await?;
        self.step().await
    }

    /// From now on files that the page hands over are kept instead, bytes as
    /// hexadecimal digits.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn catch_files(&self) -> Result<()> {
        let script = "const made = new Map(); window.saved = []; \
            const make = URL.createObjectURL; \
            URL.createObjectURL = blob => { const url = make.call(URL, blob); made.set(url, blob); return url; }; \
            HTMLAnchorElement.prototype.click = function () { \
            const name = this.download; made.get(this.href).arrayBuffer().then(buffer => \
            window.saved.push([name, [...new Uint8Array(buffer)].map(b => b.toString(16).padStart(2, '0')).join('')])); };";
        self.page.script(script).await.map(drop)
    }

    /// The archive of the run: its name and its bytes.
    ///
    /// # Errors
    /// If there is none.
    pub async fn export(&self) -> Result<(String, Vec<u8>)> {
        self.press("export").await?;
        self.page
            .until("an archive", "return window.saved.length > 0")
            .await?;
        let saved: Value = self.page.script("return window.saved.pop()").await?;
        let name = saved[0].as_str().context("no name")?.to_owned();
        let digits = saved[1].as_str().context("no content")?;
        ensure!(digits.len().is_multiple_of(2), "half a byte");
        let bytes = (0..digits.len()).step_by(2);
        let bytes = bytes.map(|i| u8::from_str_radix(&digits[i..i + 2], 16));
        Ok((name, bytes.collect::<Result<_, _>>()?))
    }

    /// Opens a run from a file of this machine.
    ///
    /// # Errors
    /// If the field does not take it.
    pub async fn import(&self, file: &std::path::Path) -> Result<()> {
        let shown = "document.querySelector('#open-run-a').closest('details').open = true";
        self.page.script(shown).await?;
        let field = self.browser.find(Locator::Css("#open-run-a")).await?;
        field.send_keys(&file.to_string_lossy()).await?;
        Ok(())
    }
}
