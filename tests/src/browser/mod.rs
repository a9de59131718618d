//! A headless browser of its own for every test.

mod driver;
mod make;
mod memory;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use driver::Driver;
pub use make::Make;

/// What kind of browser is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graphics {
    /// WebGPU on a CPU: Chromium's SwiftShader, Firefox on Mesa's lavapipe.
    Software,
    /// WebGPU that finds no adapter.
    None,
}

/// A browser with the driver that steers it. Both end with the value.
#[derive(Debug)]
pub struct Browser {
    /// The session.
    pub client: Client,
    make: Make,
    _driver: Driver,
    // Removed last, when nothing writes to it any more.
    profile: TempDir,
}

/// The built page's folder, or `None` (after saying why) where there is no
/// page, or no browser to test with, or not one that has such graphics. With
/// `HRM_REQUIRE_BROWSER` set the first two are errors.
///
/// # Errors
/// See above.
pub fn dist(graphics: Graphics) -> Result<Option<PathBuf>> {
    let make = Make::wanted()?;
    if !make.plays(graphics) {
        println!("skipped: {make:?} has no GPU that the CPU plays");
        return Ok(None);
    }
    let missing = match std::env::var_os("HRM_DIST").map(PathBuf::from) {
        None => "HRM_DIST, the folder of the built page, is not set".to_owned(),
        Some(dist) if !dist.join("index.html").is_file() => {
            format!(
                "{} holds no index.html: build the page first",
                dist.display()
            )
        }
        Some(_) if make.driver().is_none() => format!("there is no driver of {make:?}"),
        Some(dist) => return Ok(Some(dist)),
    };
    if std::env::var_os("HRM_REQUIRE_BROWSER").is_some() {
        bail!("{missing}");
    }
    println!("skipped: {missing}");
    Ok(None)
}

impl Browser {
    /// Starts the one that [`Make::wanted`] names, with a window of that size.
    ///
    /// # Errors
    /// If it does not start; the reason is the driver's.
    pub async fn start(graphics: Graphics, size: (u32, u32)) -> Result<Self> {
        let make = Make::wanted()?;
        let mut tries = 1;
        loop {
            match Self::try_start(make, graphics, size).await {
                Err(error) if tries < 3 => {
                    // Seen on a machine that was very busy; not what tests are about.
                    eprintln!("the browser did not start: {error:#}; once more");
                    tries += 1;
                }
                started => return started,
            }
        }
    }

    async fn try_start(make: Make, graphics: Graphics, size: (u32, u32)) -> Result<Self> {
        let driver = make.start(size)?;
        let profile = tempfile::tempdir()?;
        let capabilities = make.capabilities(graphics, size, profile.path());
        let client = connect(driver.port, capabilities).await?;
        if make.resizes() {
            client.set_window_size(size.0, size.1).await?;
        }
        let browser = Self {
            client,
            make,
            _driver: driver,
            profile,
        };
        if make == Make::Chromium {
            // With a profile that it did not make itself, its window has no focus,
            // and elements that get it tell nobody.
            let focus = json!({ "enabled": true });
            browser
                .devtools("Emulation.setFocusEmulationEnabled", focus)
                .await?;
        }
        Ok(browser)
    }

    /// Ends the browser's GPU process, as a failing driver does. Returns
    /// whether this browser has one that can be ended; says it if not.
    pub async fn crash_gpu(&self) -> bool {
        if self.make != Make::Chromium {
            println!(
                "skipped: {:?} has no GPU process that can be ended",
                self.make
            );
            return false;
        }
        // The command's own answer may be that the process is gone.
        drop(self.devtools("Browser.crashGpuProcess", json!({})).await);
        true
    }

    /// Has the page believe what its visitor prefers: `dark` or `light`, and
    /// whether motion is to be reduced. Returns whether this browser can be
    /// told so; says it if not.
    ///
    /// # Errors
    /// If the driver does not know how.
    pub async fn prefer(&self, scheme: &str, reduced_motion: bool) -> Result<bool> {
        match self.make {
            Make::Chromium => {
                let motion = if reduced_motion { "reduce" } else { "" };
                let features = json!({ "features": [
                    { "name": "prefers-color-scheme", "value": scheme },
                    { "name": "prefers-reduced-motion", "value": motion },
                ] });
                self.devtools("Emulation.setEmulatedMedia", features)
                    .await?;
            }
            Make::Firefox => {
                let script = format!(
                    "Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', {}); \
                     Services.prefs.setIntPref('ui.prefersReducedMotion', {})",
                    u8::from(scheme == "light"),
                    u8::from(reduced_motion)
                );
                self.privileged(&script).await?;
            }
            Make::WebKit => {
                println!(
                    "skipped: {:?} can't be told what a visitor prefers",
                    self.make
                );
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Seconds of processor time that the page's own thread has taken, however
    /// busy the machine is; none in a browser that does not count them.
    ///
    /// # Errors
    /// If the driver does not know how.
    pub async fn page_time(&self) -> Result<Option<f64>> {
        if self.make != Make::Chromium {
            return Ok(None);
        }
        self.devtools("Performance.enable", json!({ "timeDomain": "threadTicks" }))
            .await?;
        let body = json!({ "cmd": "Performance.getMetrics", "params": {} });
        let answer = self.extension("goog/cdp/execute", body).await?;
        let metrics = answer["metrics"].as_array().context("no metrics")?;
        let tasks = metrics
            .iter()
            .find(|metric| metric["name"] == "TaskDuration");
        Ok(tasks.and_then(|metric| metric["value"].as_f64()))
    }

    /// A command of Chromium's own protocol.
    async fn devtools(&self, command: &str, params: Value) -> Result<()> {
        let body = json!({ "cmd": command, "params": params });
        self.extension("goog/cdp/execute", body).await.map(drop)
    }

    /// A script that sees Firefox itself.
    async fn privileged(&self, script: &str) -> Result<Value> {
        self.extension("moz/context", json!({ "context": "chrome" }))
            .await?;
        let result = self.client.execute(script, vec![]).await;
        self.extension("moz/context", json!({ "context": "content" }))
            .await?;
        Ok(result?)
    }

    async fn extension(&self, path: &'static str, body: Value) -> Result<Value> {
        Ok(self.client.issue_cmd(Extension { path, body }).await?)
    }

    /// What the console has to complain about: failed requests, uncaught
    /// errors, breaches of the security policy.
    ///
    /// # Errors
    /// If the browser keeps no log that can be read.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let log = match self.make {
            Make::Chromium => {
                let log = self
                    .extension("se/log", json!({ "type": "browser" }))
                    .await?;
                let severe = log.as_array().context("no log")?.iter();
                severe
                    .filter(|entry| entry["level"] == "SEVERE")
                    .map(|entry| entry["message"].clone())
                    .collect()
            }
            Make::Firefox => {
                let script = "return Services.console.getMessageArray() \
                    .filter(m => m instanceof Ci.nsIScriptError && m.flags === Ci.nsIScriptError.errorFlag \
                    && m.sourceName.startsWith('http')).map(String)";
                let log = self.privileged(script).await?;
                log.as_array().context("no log")?.clone()
            }
            Make::WebKit => bail!("{:?} keeps no log that can be read", self.make),
        };
        let text = |message: &Value| message.as_str().unwrap_or_default().to_owned();
        Ok(log.iter().map(text).collect())
    }

    /// Closes it in good order.
    ///
    /// # Errors
    /// If the session can't be ended.
    pub async fn close(self) -> Result<()> {
        Ok(self.client.clone().close().await?)
    }
}

/// A command that a driver has beyond the standard.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

async fn connect(port: u16, capabilities: Value) -> Result<Client> {
    let Value::Object(capabilities) = capabilities else {
        bail!("no capabilities")
    };
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .context("the driver starts no browser")?;
    // On a busy machine a script may wait for the page's own work.
    let mut timeouts = client.get_timeouts().await?;
    timeouts.set_script(Some(Duration::from_secs(120)));
    client.update_timeouts(timeouts).await?;
    Ok(client)
}
