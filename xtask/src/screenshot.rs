//! Pictures of the page in headless Chromium.

use crate::serve::Server;
use crate::setup::{self, TestBrowser};
use crate::webdriver::{Browser, Graphics};
use crate::workspace::Workspace;
use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Name, width and height (CSS pixels), pixel ratio.
const SIZES: [(&str, u32, u32, u32); 3] = [
    ("wide", 1440, 900, 1),
    ("tablet", 820, 1180, 1),
    ("narrow", 390, 844, 2),
];

/// Takes a picture in every size and colour scheme, and prints what the page
/// wrote to its console.
pub(crate) fn run(
    workspace: &Workspace,
    url: Option<String>,
    out: &Path,
    wait: f64,
    script: Option<&str>,
) -> Result<()> {
    ensure!(
        (0.0..=600.0).contains(&wait),
        "--wait takes 0 to 600 seconds"
    );
    setup::for_tests(workspace, TestBrowser::Chromium)?;
    let url = match url {
        Some(url) => url,
        None => {
            let server = Server::bind(&workspace.dist(), 0)?;
            let url = server.url();
            thread::spawn(move || server.serve());
            url
        }
    };
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let browser = Browser::start(Graphics::Software)?;
    for (size, width, height, ratio) in SIZES {
        browser.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": ratio,
                   "mobile": width < 600}),
        )?;
        for scheme in ["light", "dark"] {
            browser.devtools(
                "Emulation.setEmulatedMedia",
                &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
            )?;
            browser.ask("POST", "/url", &json!({ "url": url }))?;
            if let Some(script) = script {
                browser.ask(
                    "POST",
                    "/execute/sync",
                    &json!({"script": script, "args": []}),
                )?;
            }
            thread::sleep(Duration::from_secs_f64(wait));
            let picture = browser.devtools("Page.captureScreenshot", &json!({"format": "png"}))?;
            let data = picture["data"]
                .as_str()
                .context("no picture in the answer")?;
            let file = out.join(format!("{size}-{scheme}.png"));
            fs::write(&file, decode_base64(data)?)?;
            println!("{}", file.display());
            browser.print_console()?;
        }
    }
    Ok(())
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut buffer, mut bits) = (0_u32, 0);
    for symbol in text.trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(anyhow!("not base64: {:?}", char::from(symbol))),
        };
        buffer = (buffer << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(decode_base64("").unwrap(), b"");
        assert_eq!(decode_base64("Zg==").unwrap(), b"f");
        assert_eq!(decode_base64("Zm9vYmE=").unwrap(), b"fooba");
        assert_eq!(decode_base64("+/8A").unwrap(), [0xfb, 0xff, 0x00]);
        assert!(decode_base64("a b").is_err());
    }
}
