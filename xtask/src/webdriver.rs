//! Headless Chromium, driven over the WebDriver protocol.

use crate::command::stop;
use crate::setup;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What the browser offers a page that wants WebGPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Graphics {
    /// What a machine without a GPU has: nothing, or what Chromium finds.
    Usual,
    /// A GPU that the CPU plays.
    Software,
}

/// A chromedriver with one open session; both end when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    pub(crate) fn start(graphics: Graphics) -> Result<Self> {
        let driver = setup::chromedriver().context("no chromedriver")?;
        let chromium = setup::chromium().context("no Chromium")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let child = Command::new(&driver)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", driver.display()))?;
        let mut browser = Self {
            driver: child,
            port,
            session: String::new(),
        };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(
                started.elapsed() < Duration::from_secs(20),
                "chromedriver does not answer"
            );
            thread::sleep(Duration::from_millis(50));
        }
        let mut flags = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ];
        let mut without = Vec::new();
        if graphics == Graphics::Software {
            flags.extend(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
            // The driver's flag would switch the software adapter off too. (Left
            // out elsewhere, an emulated GPU paints the page, and late.)
            without.push("disable-gpu");
        }
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": chromium,
                "args": flags,
                "excludeSwitches": without,
            },
        }}});
        let answer = http_json(port, "POST", "/session", &capabilities)?;
        answer["sessionId"]
            .as_str()
            .context("chromedriver opened no session")?
            .clone_into(&mut browser.session);
        Ok(browser)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let path = format!("/session/{}{path}", self.session);
        http_json(self.port, method, &path, body)
    }

    /// A command of the DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, params: &Value) -> Result<Value> {
        let body = json!({"cmd": command, "params": params});
        self.ask("POST", "/goog/cdp/execute", &body)
    }

    pub(crate) fn print_console(&self) -> Result<()> {
        let log = self.ask("POST", "/se/log", &json!({"type": "browser"}))?;
        for entry in log.as_array().into_iter().flatten() {
            let text = |field: &str| entry[field].as_str().unwrap_or_default();
            println!("    {} {}", text("level"), text("message"));
        }
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends Chromium; should it fail, ending the driver is all that is left.
            let _ = self.ask("DELETE", "", &Value::Null);
        }
        stop(&mut self.driver);
    }
}

/// One request to the driver; returns the `value` of its answer.
fn http_json(port: u16, method: &str, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    // The driver may keep the connection open, so read what it announced.
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let (start, length) = loop {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "the browser's driver closed the connection");
        answer.extend_from_slice(&chunk[..read]);
        if let Some(start) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..start]).into_owned();
            break (start + 4, content_length(&head)?);
        }
    };
    while answer.len() < start + length {
        let read = stream.read(&mut chunk)?;
        ensure!(
            read > 0,
            "the browser's driver stopped in the middle of an answer"
        );
        answer.extend_from_slice(&chunk[..read]);
    }
    let answer: Value = serde_json::from_slice(&answer[start..start + length])?;
    let value = &answer["value"];
    if let Some(error) = value["error"].as_str() {
        bail!(
            "{method} {path}: {error}: {}",
            value["message"].as_str().unwrap_or_default()
        );
    }
    Ok(value.clone())
}

fn content_length(head: &str) -> Result<usize> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .context("the browser's driver announced no length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_found_whatever_its_case() {
        let head = "HTTP/1.1 200 OK\r\ncontent-LENGTH:  42\r\nConnection: close";
        assert_eq!(content_length(head).unwrap(), 42);
        assert!(content_length("HTTP/1.1 200 OK").is_err());
    }
}
