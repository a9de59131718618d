//! A static server on the loopback address that can spoil what it serves.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How a file is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One bit of its middle byte is another.
    Flipped,
    /// Its last quarter is missing.
    Truncated,
    /// It is not there.
    Missing,
    /// It does not come before the fault is taken back.
    Held,
    /// It is a script, and this one runs before it.
    Preceded(&'static str),
}

/// A running server; ends with the value.
#[derive(Debug)]
pub struct Server {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    /// Folder of the address that the files appear under.
    prefix: String,
    /// End of a path and what happens to files whose path ends so.
    fault: Mutex<Option<(String, Fault)>>,
    /// Beginning of a path below the prefix and the folder that stands in for
    /// it.
    instead: Mutex<Option<(String, PathBuf)>>,
    requested: Mutex<BTreeSet<String>>,
    closing: AtomicBool,
}

impl Server {
    /// Serves a folder under `/prefix/` (or `/` for an empty prefix), like a
    /// static host that has other sites beside it.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(root: &Path, prefix: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            prefix: if prefix.is_empty() {
                "/".to_owned()
            } else {
                format!("/{prefix}/")
            },
            fault: Mutex::default(),
            instead: Mutex::default(),
            requested: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        let server = Self {
            port,
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.closing.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A browser that hangs up is none of the server's business.
                thread::spawn(move || drop(answer(&stream, &shared)));
            }
        });
        Ok(server)
    }

    /// Address of the page.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.shared.prefix)
    }

    /// From now on spoils every file whose path ends with `suffix`; `None`
    /// serves everything as it is.
    pub fn spoil(&self, fault: Option<(&str, Fault)>) {
        let fault = fault.map(|(suffix, fault)| (suffix.to_owned(), fault));
        *lock(&self.shared.fault) = fault;
    }

    /// From now on serves `folder` in place of the page's own folder of that
    /// name.
    pub fn replace(&self, name: &str, folder: &Path) {
        *lock(&self.shared.instead) = Some((format!("{name}/"), folder.to_owned()));
    }

    /// From now on refuses every connection, as a host does that is gone.
    pub fn go_dark(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that and closes.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }

    /// Paths asked for so far, those that are not there marked with their
    /// status.
    #[must_use]
    pub fn requested(&self) -> Vec<String> {
        let requested = lock(&self.shared.requested);
        requested.iter().cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.go_dark();
    }
}

fn answer(stream: &TcpStream, shared: &Shared) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("no request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let target = first.split(' ').nth(1).context("no address")?;
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let instead = lock(&shared.instead).clone();
    let file = path.strip_prefix(&shared.prefix).and_then(|path| {
        let replaced = instead
            .as_ref()
            .and_then(|(name, folder)| Some((folder, path.strip_prefix(name.as_str())?)));
        match replaced {
            Some((folder, rest)) => find(folder, rest),
            None => find(&shared.root, path),
        }
    });
    let fault = fault_of(path, shared);
    let content = file
        .filter(|_| fault != Some(Fault::Missing))
        .and_then(|file| {
            let mut content = std::fs::read(&file).ok()?;
            let length = content.len();
            match fault {
                Some(Fault::Flipped) if length > 0 => content[length / 2] ^= 1,
                Some(Fault::Truncated) => content.truncate(length / 4 * 3),
                Some(Fault::Preceded(script)) => content.splice(..0, script.bytes()).for_each(drop),
                _ => {}
            }
            Some((content, mime(&file)))
        });

    let (status, content, mime) = match &content {
        Some((content, mime)) => ("200 OK", content.as_slice(), *mime),
        None => ("404 Not Found", b"not found".as_slice(), "text/plain"),
    };
    let entry = if content == b"not found" {
        format!("404 {path}")
    } else {
        path.to_owned()
    };
    lock(&shared.requested).insert(entry);
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {mime}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    stream.write_all(content)?;
    Ok(())
}

/// What is wrong with the file of that path, as soon as it may come.
fn fault_of(path: &str, shared: &Shared) -> Option<Fault> {
    loop {
        let fault = lock(&shared.fault).clone();
        let fault = fault
            .filter(|(suffix, _)| path.ends_with(suffix))
            .map(|(_, fault)| fault);
        if fault != Some(Fault::Held) || shared.closing.load(Ordering::Relaxed) {
            return fault;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind it is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of a path below `root`, and nothing outside it.
fn find(root: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(if path.is_empty() { "index.html" } else { path });
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let file = root.join(path);
    (inside && file.is_file()).then_some(file)
}

fn mime(file: &Path) -> &'static str {
    match file
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript",
        "css" => "text/css",
        "json" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
