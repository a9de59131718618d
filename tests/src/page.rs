//! The page as a user sees it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The playground in a browser.
#[derive(Debug, Clone)]
pub struct Playground {
    client: Client,
}

impl Playground {
    /// Opens the page; returns it with the milliseconds from navigation to
    /// a board that takes digits.
    ///
    /// # Errors
    /// If it does not get that far.
    pub async fn open(client: &Client, url: &str) -> Result<(Self, f64)> {
        let page = Self {
            client: client.clone(),
        };
        // Counts from the navigation's own start, in the page's own clock.
        client.goto(url).await?;
        page.until(
            "a board",
            "return document.querySelector('#board .cell') !== null",
        )
        .await?;
        let usable = page
            .script("return performance.now()")
            .await?
            .as_f64()
            .unwrap_or_default();
        Ok((page, usable))
    }

    /// Runs a script in the page.
    ///
    /// # Errors
    /// If it throws.
    pub async fn script(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, vec![]).await?)
    }

    /// Waits until a script returns true.
    ///
    /// # Errors
    /// If that does not happen; says what the page shows instead.
    pub async fn until(&self, what: &str, script: &str) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.script(script).await? == json!(true) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let text = self.script("return document.body.innerText").await?;
        bail!(
            "waited in vain for {what}; the page says: {}",
            text.as_str().unwrap_or_default()
        )
    }

    /// Waits until a model is ready.
    ///
    /// # Errors
    /// If none gets ready.
    pub async fn loaded(&self) -> Result<()> {
        self.until(
            "a loaded model",
            "return document.querySelector('#engine strong')?.textContent !== '' \
             && document.querySelector('#weights') === null",
        )
        .await
    }

    /// Waits until a run has at least that many segments.
    ///
    /// # Errors
    /// If it doesn't get there.
    pub async fn segments(&self, count: usize) -> Result<()> {
        let script = format!(
            "const s = document.querySelector('#segment'); return !s.disabled && +s.max >= {count}"
        );
        self.until("more segments", &script).await
    }

    /// Waits until a run has ended.
    ///
    /// # Errors
    /// If it doesn't.
    pub async fn ended(&self) -> Result<()> {
        self.until(
            "a verdict",
            "return document.querySelector('#verdict').textContent !== ''",
        )
        .await
    }

    /// Text of an element, as it is shown.
    ///
    /// # Errors
    /// If there is no such element.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let element = self.client.find(Locator::Css(selector)).await;
        Ok(element
            .with_context(|| format!("no {selector}"))?
            .text()
            .await?)
    }

    /// Clicks an element.
    ///
    /// # Errors
    /// If there is no such element, or it can't be clicked.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let element = self.client.find(Locator::Css(selector)).await;
        element
            .with_context(|| format!("no {selector}"))?
            .click()
            .await?;
        Ok(())
    }

    /// Sends keys to whatever has the focus.
    ///
    /// # Errors
    /// If nothing has it.
    pub async fn keys(&self, keys: &str) -> Result<()> {
        self.client.active_element().await?.send_keys(keys).await?;
        Ok(())
    }

    /// Presses a key on whatever has the focus.
    ///
    /// # Errors
    /// If nothing has it.
    pub async fn press(&self, key: Key) -> Result<()> {
        self.keys(&char::from(key).to_string()).await
    }

    /// Pastes text with the clipboard's event, as Ctrl-V on the page does.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn paste(&self, text: &str) -> Result<()> {
        let script = "const data = new DataTransfer(); data.setData('text/plain', arguments[0]); \
             document.body.dispatchEvent(new ClipboardEvent('paste', \
             { clipboardData: data, bubbles: true, cancelable: true }));";
        self.client.execute(script, vec![json!(text)]).await?;
        Ok(())
    }

    /// The digits on the board as one line, `.` for none.
    ///
    /// # Errors
    /// If there is no board.
    pub async fn board(&self) -> Result<String> {
        let script = "return [...document.querySelectorAll('#board .cell')]\
             .map(c => c.textContent.trim() || '.').join('')";
        Ok(self
            .script(script)
            .await?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Chooses the model of that folder name and waits until it is ready.
    ///
    /// # Errors
    /// If there is none, or it does not load.
    pub async fn choose_model(&self, id: &str) -> Result<()> {
        self.click(&format!("input[name=model][value='{id}']"))
            .await?;
        self.loaded().await
    }

    /// Folder names of the models in the picker, by the side of their board.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn models(&self) -> Result<Vec<(String, usize)>> {
        self.until(
            "models",
            "return document.querySelector('input[name=model]') !== null",
        )
        .await?;
        let script = "return [...document.querySelectorAll('.model')].map(m => \
             [m.querySelector('input').value, m.querySelector('.facts').textContent])";
        let models = self.script(script).await?;
        let models = models.as_array().context("no list")?.iter();
        models
            .map(|pair| {
                let text = |i: usize| pair[i].as_str().unwrap_or_default().to_owned();
                let side = text(1).chars().next().and_then(|c| c.to_digit(10));
                Ok((text(0), side.context("no size")? as usize))
            })
            .collect()
    }

    /// Waits for the message of a failure.
    ///
    /// # Errors
    /// If nothing fails.
    pub async fn failed(&self) -> Result<String> {
        self.until(
            "a failure",
            "return document.querySelector('#failure') !== null",
        )
        .await?;
        self.text("#failure").await
    }
}
