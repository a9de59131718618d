//! The page as a user sees it.

use std::path::PathBuf;
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
    /// The page that a browser shows, however far it has come.
    #[must_use]
    pub fn at(client: &Client) -> Self {
        Self {
            client: client.clone(),
        }
    }

    /// Opens the page; returns it with the milliseconds from navigation to
    /// a board that takes digits.
    ///
    /// # Errors
    /// If it does not get that far.
    pub async fn open(client: &Client, url: &str) -> Result<(Self, f64)> {
        let page = Self::at(client);
        // Counts from the navigation's own start, in the page's own clock.
        client.goto(url).await?;
        page.until(
            "a board",
            // The cells of a Sudoku have names; a maze is one drawing.
            "return document.querySelector('#cell-0, svg#board') !== null",
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
            // Before the program has drawn the page there is no such element.
            "return (document.querySelector('#engine')?.dataset.model ?? '') !== ''",
        )
        .await
    }

    /// Waits until the model of that folder name is ready.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn loaded_model(&self, id: &str) -> Result<()> {
        let script = format!("return document.querySelector('#engine')?.dataset.model === {id:?}");
        self.until(&format!("the model {id}"), &script).await
    }

    /// Goes back to the puzzle.
    ///
    /// # Errors
    /// If the page does not.
    pub async fn reset(&self) -> Result<()> {
        self.click("#reset").await?;
        self.says("#segment-text", "The puzzle").await
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

    /// Waits until an element's text contains something.
    ///
    /// # Errors
    /// If it never does; says what it is instead.
    pub async fn says(&self, selector: &str, wanted: &str) -> Result<()> {
        let script = format!(
            "return (document.querySelector({}) ?? {{}}).textContent?.includes({}) ?? false",
            json!(selector),
            json!(wanted)
        );
        self.until(&format!("{selector} with {wanted:?}"), &script)
            .await
    }

    /// Waits for a promise in the page.
    ///
    /// # Errors
    /// If it is rejected.
    pub async fn promise(&self, expression: &str) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             Promise.resolve().then(() => {expression}).then(v => done({{ v }}), e => done({{ e: String(e) }}))"
        );
        let answer = self.client.execute_async(&script, vec![]).await?;
        if let Some(error) = answer["e"].as_str() {
            bail!("{expression}: {error}");
        }
        Ok(answer["v"].clone())
    }

    /// From now on files that the page hands over are kept instead: what is
    /// saved is to be had with [`Playground::saved`].
    ///
    /// # Errors
    /// If the page throws.
    pub async fn catch_files(&self) -> Result<()> {
        // The page may not fetch what it made, so the parts are kept.
        let script = "const made = new Map(); window.saved = []; \
            const make = URL.createObjectURL; \
            URL.createObjectURL = blob => { const url = make.call(URL, blob); made.set(url, blob); return url; }; \
            HTMLAnchorElement.prototype.click = function () { \
            const name = this.download, blob = made.get(this.href); \
            window.saved.push(blob ? blob.text().then(text => ({ name, text })) : { name, text: this.href }); };";
        self.script(script).await.map(drop)
    }

    /// The last file that was handed over: its name and content.
    ///
    /// # Errors
    /// If there is none.
    pub async fn saved(&self) -> Result<(String, String)> {
        self.until("a saved file", "return window.saved.length > 0")
            .await?;
        let file = self.promise("window.saved.pop()").await?;
        let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        Ok((text("name"), text("text")))
    }

    /// Drops a file on the page.
    ///
    /// # Errors
    /// If the page throws.
    pub async fn drop_file(&self, name: &str, content: &str) -> Result<()> {
        let script = "const data = new DataTransfer(); \
            data.items.add(new File([arguments[1]], arguments[0])); \
            document.body.dispatchEvent(new DragEvent('drop', \
            { dataTransfer: data, bubbles: true, cancelable: true }));";
        self.client
            .execute(script, vec![json!(name), json!(content)])
            .await?;
        Ok(())
    }

    /// Drops files of the disk on the page, all at once.
    ///
    /// # Errors
    /// If one is not there, or the page throws.
    pub async fn drop_paths(&self, paths: &[PathBuf]) -> Result<()> {
        let field = "const field = document.createElement('input'); \
            Object.assign(field, { type: 'file', multiple: true, id: 'carried' }); \
            document.body.prepend(field);";
        self.script(field).await?;
        self.choose_paths("#carried", paths).await?;
        let script = "const field = document.querySelector('#carried'); \
            const data = new DataTransfer(); \
            for (const file of field.files) data.items.add(file); \
            field.remove(); \
            document.body.dispatchEvent(new DragEvent('drop', \
            { dataTransfer: data, bubbles: true, cancelable: true }));";
        self.script(script).await.map(drop)
    }

    /// Chooses files of the disk in a field.
    ///
    /// # Errors
    /// If one is not there, or there is no such field.
    pub async fn choose_paths(&self, selector: &str, paths: &[PathBuf]) -> Result<()> {
        let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        let field = self.client.find(Locator::Css(selector)).await?;
        field.send_keys(&paths.join("\n")).await?;
        Ok(())
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
        // Firefox takes no data when an event is made.
        let script = "const clipboardData = new DataTransfer(); \
             clipboardData.setData('text/plain', arguments[0]); \
             const event = new ClipboardEvent('paste', { bubbles: true, cancelable: true }); \
             Object.defineProperty(event, 'clipboardData', { value: clipboardData }); \
             document.body.dispatchEvent(event);";
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
        self.loaded_model(id).await
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
                let side = text(1).split('×').next().and_then(|side| side.parse().ok());
                Ok((text(0), side.context("no size")?))
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
