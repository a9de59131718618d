//! A small static server for the built page, for this machine only.

use anyhow::{Context, Result, ensure};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// How to serve the page.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Open the page in the default browser
    #[arg(long)]
    open: bool,
    /// Serve dist/ as it is, without building it first
    #[arg(long)]
    pub(crate) no_build: bool,
}

/// Serves `dist` until the program is ended.
pub(crate) fn run(dist: &Path, args: &ServeArgs) -> Result<()> {
    let server = Server::bind(dist, args.port)?;
    let url = server.url();
    println!("\nPlayground: {url}");
    io::stdout().flush()?;
    if args.open {
        open(&url);
    }
    server.serve()
}

fn open(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(target_os = "windows") {
        "explorer"
    } else {
        "xdg-open"
    };
    if Command::new(program).arg(url).spawn().is_err() {
        eprintln!("No {program} here; open the address yourself.");
    }
}

/// A listener on the loopback address with the folder it serves.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    root: PathBuf,
}

impl Server {
    /// Listens on 127.0.0.1 at `port`, or at any free port for 0.
    pub(crate) fn bind(root: &Path, port: u16) -> Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("there is no page in {}", root.display()))?;
        ensure!(
            root.join("index.html").is_file(),
            "there is no page in {}: run `cargo xtask build` first",
            root.display()
        );
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot listen on port {port}; try --port 0"))?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            root,
        })
    }

    /// Address of the page.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers requests, each connection in its own thread, and never returns
    /// without an error.
    pub(crate) fn serve(&self) -> Result<()> {
        for stream in self.listener.incoming() {
            let Ok(stream) = stream else { continue };
            let root = self.root.clone();
            // A browser that goes away in the middle is no news.
            thread::spawn(move || answer(&stream, &root).ok());
        }
        anyhow::bail!("the listener ended")
    }
}

/// Requests have no body here and few headers; anything longer is refused.
const MAX_REQUEST: u64 = 64 * 1024;

fn answer(stream: &TcpStream, root: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.take(MAX_REQUEST));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    let mut takes_gzip = false;
    while reader.read_line(&mut header)? > 2 {
        let field = header.to_ascii_lowercase();
        takes_gzip |= field.starts_with("accept-encoding:") && field.contains("gzip");
        header.clear();
    }
    let mut fields = request.split_whitespace();
    let (method, target) = (fields.next(), fields.next().unwrap_or("/"));
    let body = match method {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return refuse(stream, "405 Method Not Allowed"),
    };
    let Some(path) = resolve(root, target) else {
        return refuse(stream, "404 Not Found");
    };
    let Ok(content) = fs::read(&path) else {
        return refuse(stream, "404 Not Found");
    };
    let mime = mime(&path);
    let (content, encoding) = if takes_gzip && is_compressible(mime) {
        (gzip(&content)?, "Content-Encoding: gzip\r\n")
    } else {
        (content, "")
    };
    let mut writer = stream;
    write!(
        writer,
        "HTTP/1.1 200 OK\r\nContent-Type: {mime}\r\nContent-Length: {}\r\n{encoding}\
         Vary: Accept-Encoding\r\n{COMMON_HEADERS}\r\n",
        content.len()
    )?;
    if body {
        writer.write_all(&content)?;
    }
    writer.flush()
}

/// Whether a static host would compress files of that type; weights and
/// pictures hardly get smaller.
fn is_compressible(mime: &str) -> bool {
    mime.starts_with("text/")
        || matches!(
            mime,
            "application/wasm" | "application/json" | "image/svg+xml"
        )
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()
}

/// `no-cache`, because the worker's files keep their names across builds; the
/// isolation headers give the page precise clocks and shared memory.
const COMMON_HEADERS: &str = "Cache-Control: no-cache\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Cross-Origin-Embedder-Policy: require-corp\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Connection: close\r\n";

fn refuse(mut stream: &TcpStream, status: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         {COMMON_HEADERS}\r\n{status}",
        status.len()
    )?;
    stream.flush()
}

/// The file that a request target names, if it is one inside `root` (which is
/// canonical). Links are followed and must stay inside too.
fn resolve(root: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode(path.strip_prefix('/')?)?;
    if path
        .split(['/', '\\'])
        .any(|part| part == ".." || part.contains(['\0', ':']))
    {
        return None;
    }
    let mut file = root.join(path.trim_start_matches(['/', '\\']));
    if file.is_dir() {
        file.push("index.html");
    }
    let file = file.canonicalize().ok()?;
    (file.starts_with(root) && file.is_file()).then_some(file)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn mime(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page in a folder of its own, removed at the end of the test.
    struct Site(PathBuf);

    impl Site {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("xtask-serve-{}-{name}", std::process::id()));
            fs::create_dir_all(folder.join("dist/models")).unwrap();
            let folder = folder.canonicalize().unwrap();
            fs::write(folder.join("secret.txt"), "secret").unwrap();
            fs::write(folder.join("dist/index.html"), "<p>page</p>").unwrap();
            fs::write(folder.join("dist/app_bg.wasm"), b"\0asm").unwrap();
            fs::write(folder.join("dist/models/a model.json"), "{}").unwrap();
            Self(folder)
        }

        fn dist(&self) -> PathBuf {
            self.0.join("dist")
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn targets_name_files_inside_the_page_only() {
        let site = Site::new("resolve");
        let dist = site.dist();
        let index = Some(dist.join("index.html"));
        assert_eq!(resolve(&dist, "/"), index);
        assert_eq!(resolve(&dist, "/index.html?theme=dark#top"), index);
        assert_eq!(
            resolve(&dist, "/models/a%20model.json"),
            Some(dist.join("models/a model.json"))
        );
        for target in [
            "/../secret.txt",
            "/models/../../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/..%5csecret.txt",
            "//secret.txt",
            "/models",
            "/absent.js",
            "/%zz",
            "/%ff",
            "/index.html%00",
            "index.html",
            "",
        ] {
            assert_eq!(resolve(&dist, target), None, "{target}");
        }
        let absolute = format!("/{}", site.0.join("secret.txt").display());
        assert_eq!(resolve(&dist, &absolute), None);
    }

    #[cfg(unix)]
    #[test]
    fn links_may_not_lead_outside() {
        let site = Site::new("links");
        let link = site.dist().join("link.txt");
        std::os::unix::fs::symlink(site.0.join("secret.txt"), &link).unwrap();
        assert_eq!(resolve(&site.dist(), "/link.txt"), None);
    }

    #[test]
    fn browsers_get_the_types_they_insist_on() {
        assert_eq!(mime(Path::new("a_bg.wasm")), "application/wasm");
        assert!(mime(Path::new("worker.js")).starts_with("text/javascript"));
        assert!(mime(Path::new("index.html")).starts_with("text/html"));
        assert_eq!(
            mime(Path::new("model.safetensors")),
            "application/octet-stream"
        );
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn answers_over_http() {
        let site = Site::new("http");
        let server = Server::bind(&site.dist(), 0).unwrap();
        let address = server.address;
        assert!(server.url().starts_with("http://127.0.0.1:"));
        thread::spawn(move || server.serve());

        let page = ask(address, "GET /");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.ends_with("\r\n\r\n<p>page</p>"), "{page}");
        assert!(page.contains("Content-Length: 11\r\n"), "{page}");
        assert!(page.contains("Cross-Origin-Opener-Policy: same-origin"));
        assert!(page.contains("Cross-Origin-Embedder-Policy: require-corp"));

        // What can be compressed is, for who can read that.
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n\r\n"
        )
        .unwrap();
        let mut zipped = Vec::new();
        stream.read_to_end(&mut zipped).unwrap();
        let body = zipped.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert!(String::from_utf8_lossy(&zipped[..body]).contains("Content-Encoding: gzip\r\n"));
        let mut page = String::new();
        flate2::read::GzDecoder::new(&zipped[body..])
            .read_to_string(&mut page)
            .unwrap();
        assert_eq!(page, "<p>page</p>");

        let head = ask(address, "HEAD /app_bg.wasm");
        assert!(
            head.contains("Content-Type: application/wasm\r\n"),
            "{head}"
        );
        assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"));

        assert!(ask(address, "GET /../secret.txt").starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn a_folder_without_a_page_is_refused() {
        let site = Site::new("empty");
        let error = Server::bind(&site.dist().join("models"), 0).err().unwrap();
        assert!(error.to_string().contains("cargo xtask build"), "{error}");
    }
}
