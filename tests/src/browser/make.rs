//! The browsers, and how each is asked for what the tests need.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Graphics;
use super::driver::{Display, Driver, program};

/// Narrower than the window of a desk can be.
const NARROW: u32 = 500;

/// A browser, by who makes its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Chromium, with chromedriver.
    Chromium,
    /// Firefox, with geckodriver.
    Firefox,
    /// WebKit's small browser for GTK, with WebKitWebDriver: the nearest to
    /// Safari that there is elsewhere.
    WebKit,
}

impl Make {
    /// The one that `HRM_BROWSER` names: `chromium` (also if it is not set),
    /// `firefox` or `webkit`.
    ///
    /// # Errors
    /// If it names another.
    pub fn wanted() -> Result<Self> {
        match std::env::var("HRM_BROWSER").as_deref() {
            Err(_) | Ok("chromium") => Ok(Self::Chromium),
            Ok("firefox") => Ok(Self::Firefox),
            Ok("webkit") => Ok(Self::WebKit),
            Ok(other) => bail!("HRM_BROWSER is chromium, firefox or webkit, not {other:?}"),
        }
    }

    /// Whether it can play what is asked for.
    pub(super) fn plays(self, graphics: Graphics) -> bool {
        self != Self::WebKit || graphics == Graphics::None
    }

    /// Its driver, if it is installed.
    pub(super) fn driver(self) -> Option<PathBuf> {
        match self {
            Self::Chromium => program("CHROMEDRIVER", &["chromedriver"]),
            Self::Firefox => program("GECKODRIVER", &["geckodriver"]),
            Self::WebKit => program("WEBKITDRIVER", &["WebKitWebDriver"]),
        }
    }

    /// Starts its driver, for windows of that size.
    pub(super) fn start(self, (width, height): (u32, u32)) -> Result<Driver> {
        let program = self
            .driver()
            .with_context(|| format!("no driver of {self:?}"))?;
        match self {
            Self::Chromium => Driver::start(&program, &[], None),
            // Its preferences can be set at any time then.
            Self::Firefox => Driver::start(&program, &["--allow-system-access"], None),
            Self::WebKit => {
                // Frame and bars are around the page.
                let display = Display::start((width + 100, height + 200))?;
                Driver::start(&program, &[], Some(display))
            }
        }
    }

    /// Whether a window gets its size after it has been opened.
    pub(super) fn resizes(self) -> bool {
        self != Self::Chromium
    }

    pub(super) fn capabilities(
        self,
        graphics: Graphics,
        size: (u32, u32),
        profile: &Path,
    ) -> Value {
        match self {
            Self::Chromium => chromium(graphics, size, profile),
            Self::Firefox => firefox(graphics),
            Self::WebKit => webkit(),
        }
    }
}

fn chromium(graphics: Graphics, (width, height): (u32, u32), profile: &Path) -> Value {
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
    if width < NARROW {
        let metrics = json!({ "width": width, "height": height, "pixelRatio": 2.0, "touch": true });
        options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
    }
    if let Some(chromium) = program(
        "CHROMIUM",
        &["chromium", "chromium-browser", "google-chrome"],
    ) {
        options["binary"] = json!(chromium);
    }
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
    })
}

fn firefox(graphics: Graphics) -> Value {
    let mut options = json!({
        "args": ["-headless"],
        "prefs": {
            "dom.webgpu.enabled": true,
            // On its list are the adapters that a CPU plays: Mesa's lavapipe.
            "gfx.webgpu.ignore-blocklist": graphics == Graphics::Software,
        },
    });
    if let Some(firefox) = program("FIREFOX", &["firefox", "firefox-esr"]) {
        options["binary"] = json!(firefox);
    }
    json!({ "browserName": "firefox", "moz:firefoxOptions": options })
}

fn webkit() -> Value {
    let mut options = json!({ "args": ["--automation"] });
    let found = std::env::var_os("WEBKIT").map(PathBuf::from).or_else(|| {
        // Not on the path: Debian's, for one.
        let libraries = std::fs::read_dir("/usr/lib").ok()?;
        libraries
            .filter_map(|folder| Some(folder.ok()?.path().join("webkit2gtk-4.1/MiniBrowser")))
            .find(|file| file.is_file())
    });
    if let Some(browser) = found {
        options["binary"] = json!(browser);
    }
    json!({ "webkitgtk:browserOptions": options })
}
