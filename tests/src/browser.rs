//! A headless Chromium of its own for every test.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

/// What kind of browser is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graphics {
    /// WebGPU on SwiftShader, Chromium's software adapter.
    Software,
    /// WebGPU that finds no adapter.
    None,
}

/// A browser with the driver that steers it. Both end with the value.
#[derive(Debug)]
pub struct Browser {
    /// The session.
    pub client: Client,
    driver: Child,
    // Removed last, when nothing writes to it any more.
    _profile: TempDir,
}

/// Programs whose absence lets the tests be skipped.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The built page's folder, or `None` (after saying why) where there is no
/// page or no browser to test with. With `HRM_REQUIRE_BROWSER` set that is an
/// error.
///
/// # Errors
/// See above.
pub fn dist() -> Result<Option<PathBuf>> {
    let missing = match std::env::var_os("HRM_DIST").map(PathBuf::from) {
        None => "HRM_DIST, the folder of the built page, is not set".to_owned(),
        Some(dist) if !dist.join("index.html").is_file() => {
            format!(
                "{} holds no index.html: build the page first",
                dist.display()
            )
        }
        Some(_) if program("CHROMEDRIVER", &["chromedriver"]).is_none() => {
            "there is no chromedriver".to_owned()
        }
        Some(dist) => return Ok(Some(dist)),
    };
    if std::env::var_os("HRM_REQUIRE_BROWSER").is_some() {
        bail!("{missing}");
    }
    println!("SKIPPED: {missing}");
    Ok(None)
}

impl Browser {
    /// Starts one with a window of that size.
    ///
    /// # Errors
    /// If it does not start; the reason is chromedriver's.
    pub async fn start(graphics: Graphics, size: (u32, u32)) -> Result<Self> {
        let program = program("CHROMEDRIVER", &["chromedriver"]).context("no chromedriver")?;
        let mut tries = 1;
        loop {
            match Self::try_start(&program, graphics, size).await {
                Err(error) if tries < 3 => {
                    // Seen on a machine that was very busy; not what tests are about.
                    eprintln!("the browser did not start: {error:#}; once more");
                    tries += 1;
                }
                started => return started,
            }
        }
    }

    async fn try_start(program: &Path, graphics: Graphics, size: (u32, u32)) -> Result<Self> {
        let (mut driver, port) = start_driver(program)?;
        let profile = tempfile::tempdir()?;
        match connect(port, graphics, size, profile.path()).await {
            Ok(client) => Ok(Self {
                client,
                driver,
                _profile: profile,
            }),
            Err(error) => {
                let _ = driver.kill();
                let _ = driver.wait();
                Err(error)
            }
        }
    }

    /// Ends the browser's GPU process, as a failing driver does.
    ///
    /// # Errors
    /// If the driver does not know how.
    pub async fn crash_gpu(&self) -> Result<()> {
        // The command's own answer may be that the process is gone.
        drop(self.devtools("Browser.crashGpuProcess", json!({})).await);
        Ok(())
    }

    /// Has the page believe what its visitor prefers: `dark` or `light`, and
    /// whether motion is to be reduced.
    ///
    /// # Errors
    /// If the driver does not know how.
    pub async fn prefer(&self, scheme: &str, reduced_motion: bool) -> Result<()> {
        let motion = if reduced_motion { "reduce" } else { "" };
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ] });
        self.devtools("Emulation.setEmulatedMedia", features).await
    }

    async fn devtools(&self, command: &str, params: Value) -> Result<()> {
        let command = Extension {
            path: "goog/cdp/execute",
            body: json!({ "cmd": command, "params": params }),
        };
        self.client.issue_cmd(command).await?;
        Ok(())
    }

    /// What the console has to complain about: failed requests, uncaught
    /// errors, breaches of the security policy.
    ///
    /// # Errors
    /// If the driver keeps no log.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let command = Extension {
            path: "se/log",
            body: json!({ "type": "browser" }),
        };
        let log = self.client.issue_cmd(command).await?;
        let entries = log.as_array().context("no log")?.iter();
        Ok(entries
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// Closes it in good order.
    ///
    /// # Errors
    /// If the session can't be ended.
    pub async fn close(mut self) -> Result<()> {
        self.client.clone().close().await?;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failed assertion: the browser ends with its driver.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command that chromedriver has beyond the standard.
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

/// chromedriver on a port of its own choice.
fn start_driver(program: &Path) -> Result<(Child, u16)> {
    let mut driver = Command::new(program)
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{} does not start", program.display()))?;
    let mut output = BufReader::new(driver.stdout.take().context("chromedriver has no output")?);
    for line in output.by_ref().lines() {
        // "ChromeDriver was started successfully on port 39157."
        let line = line?;
        let port = line
            .split_once("successfully on port ")
            .map(|(_, port)| port.trim_end_matches('.'));
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            // Left open: it would end at its next word otherwise.
            driver.stdout = Some(output.into_inner());
            return Ok((driver, port));
        }
    }
    let _ = driver.kill();
    let _ = driver.wait();
    bail!("chromedriver names no port")
}

async fn connect(
    port: u16,
    graphics: Graphics,
    (width, height): (u32, u32),
    profile: &Path,
) -> Result<Client> {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--hide-scrollbars".to_owned(),
        format!("--window-size={width},{height}"),
        format!("--user-data-dir={}", profile.display()),
    ];
    match graphics {
        Graphics::Software => {
            arguments.push("--enable-unsafe-webgpu".to_owned());
            arguments.push("--use-webgpu-adapter=swiftshader".to_owned());
        }
        Graphics::None => arguments.push("--disable-features=WebGPUService".to_owned()),
    }
    let mut options = json!({ "args": arguments, "excludeSwitches": ["disable-gpu"] });
    if width < 500 {
        // Narrower than any desktop window can be.
        let metrics = json!({ "width": width, "height": height, "pixelRatio": 2.0, "touch": true });
        options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
    }
    if let Some(chromium) = program(
        "CHROMIUM",
        &["chromium", "chromium-browser", "google-chrome"],
    ) {
        options["binary"] = json!(chromium);
    }
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    let Value::Object(capabilities) = capabilities else {
        bail!("no capabilities")
    };
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .context("chromedriver starts no browser")?;
    // On a busy machine a script may wait for the page's own work.
    let mut timeouts = client.get_timeouts().await?;
    timeouts.set_script(Some(Duration::from_secs(120)));
    client.update_timeouts(timeouts).await?;
    Ok(client)
}
