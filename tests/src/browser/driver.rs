//! The programs that steer browsers.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long a driver may take to listen on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that a variable names, or the first of those on the path.
pub(super) fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

/// A driver that listens. It ends with the value, and what it has started
/// with it.
#[derive(Debug)]
pub(super) struct Driver {
    child: Child,
    /// Where its browser draws, if that is a display of its own.
    _display: Option<Display>,
    /// The port it listens on.
    pub(super) port: u16,
}

impl Driver {
    pub(super) fn start(
        program: &Path,
        arguments: &[&str],
        display: Option<Display>,
    ) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = Command::new(program);
        command
            .arg(format!("--port={port}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(display) = &display {
            command.env("DISPLAY", format!(":{}", display.number));
        }
        // Browsers outlive some drivers; together they can be ended.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let driver = Self {
            child,
            _display: display,
            port,
        };
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(
                begin.elapsed() < PATIENCE,
                "{} does not listen",
                program.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        #[cfg(unix)]
        let _ = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.child.id())])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An X server that shows nothing, for browsers that can't do without one.
#[derive(Debug)]
pub(super) struct Display {
    server: Child,
    number: u32,
}

impl Display {
    pub(super) fn start((width, height): (u32, u32)) -> Result<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Xvfb does not start")?;
        let mut line = String::new();
        let output = server.stdout.take();
        let mut display = Self { server, number: 0 };
        BufReader::new(output.context("no output")?.take(16)).read_line(&mut line)?;
        display.number = line.trim().parse().context("Xvfb names no display")?;
        Ok(display)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
