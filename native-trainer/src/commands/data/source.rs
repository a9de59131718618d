//! Where published puzzles are: a file, or a dataset of the hub.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo};
use hrm_core::import::FileKind;
use indicatif::{ProgressBar, ProgressStyle};

use crate::foreign::kind_of;

/// Prefix of a file of the hub: `hf:OWNER/DATASET/FILE`.
const HUB: &str = "hf:";

/// Variables of the environment that hold a token for the hub, the first one
/// set counts.
const TOKENS: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// Settings of the hub.
#[derive(Debug, clap::Args)]
pub(super) struct HubArgs {
    /// Address of the dataset hub (default: the environment's HF_ENDPOINT, or the
    /// public one); a token is taken from HF_TOKEN
    #[arg(long)]
    endpoint: Option<String>,
    /// Folder for downloaded files (default: the environment's HF_HOME, or the usual
    /// one in the home directory)
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Seconds without a byte after which a download is given up; the next try
    /// goes on where it stopped
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// The local file of a source, downloaded if it is of the hub and not there yet.
pub(super) fn locate(source: &str, hub: &HubArgs) -> Result<PathBuf> {
    let path = match source.strip_prefix(HUB) {
        Some(name) => fetch(source, name, hub)?,
        None => PathBuf::from(source),
    };
    check_kind(source, &path)?;
    Ok(path)
}

/// Refuses what is no text of puzzles, by its content.
fn check_kind(source: &str, path: &Path) -> Result<()> {
    // What can't be read is said by who reads it.
    let Ok(kind) = kind_of(path) else {
        return Ok(());
    };
    match kind {
        FileKind::Parquet => bail!(
            "{source} is a Parquet table; puzzles are read from CSV: take the dataset's CSV file, or convert it (pandas: read_parquet, to_csv)"
        ),
        FileKind::LfsPointer | FileKind::Html => {
            bail!("{source}: {}", kind.instead_of_weights())
        }
        _ => Ok(()),
    }
}

/// Fetches a file of the hub, unless the cache has it.
fn fetch(source: &str, name: &str, hub: &HubArgs) -> Result<PathBuf> {
    let mut parts = name.splitn(3, '/');
    let (Some(owner), Some(dataset), Some(file)) = (parts.next(), parts.next(), parts.next())
    else {
        bail!("{source}: a file of the hub is named hf:OWNER/DATASET/FILE");
    };
    let repo = Repo::dataset(format!("{owner}/{dataset}"));
    let mut builder = ApiBuilder::from_env();
    let mut cache = Cache::from_env();
    if let Some(dir) = &hub.cache {
        builder = builder.with_cache_dir(dir.clone());
        cache = Cache::new(dir.clone());
    }
    if let Some(path) = cache.repo(repo.clone()).get(file) {
        return Ok(path);
    }
    if let Some(endpoint) = &hub.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    if let Some(token) = token() {
        builder = builder.with_token(Some(token));
    }
    let api = builder
        .build()
        .with_context(|| format!("fetching {source}"))?
        .repo(repo);

    // The client waits for ever; what it reports is waited for here.
    let (sender, reports) = channel();
    let file = file.to_owned();
    std::thread::spawn(move || {
        let fetched = api.download_with_progress(&file, Reporter(sender.clone()));
        // Nobody listens once it was given up.
        let _ = sender.send(Report::End(fetched));
    });
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}",
    )?);
    bar.set_message(source.to_owned());
    let limit = Duration::from_secs(hub.timeout);
    loop {
        match reports.recv_timeout(limit) {
            Ok(Report::Start(bytes)) => bar.set_length(bytes),
            Ok(Report::Arrived(bytes)) => bar.inc(bytes),
            Ok(Report::End(fetched)) => {
                bar.finish_and_clear();
                return fetched
                    .map_err(|e| explained(&e))
                    .with_context(|| format!("fetching {source}"));
            }
            Err(RecvTimeoutError::Timeout) => {
                bar.abandon();
                bail!(
                    "fetching {source}: nothing has come for {} seconds, after {} of {} bytes; try again, it goes on from there (--timeout SECONDS waits longer)",
                    hub.timeout,
                    bar.position(),
                    bar.length().unwrap_or(0)
                );
            }
            Err(RecvTimeoutError::Disconnected) => {
                bar.abandon();
                bail!("fetching {source}: the download ended without a word");
            }
        }
    }
}

/// A token for files that are not public.
fn token() -> Option<String> {
    TOKENS
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .map(|token| token.trim().to_owned())
        .find(|token| !token.is_empty())
}

/// What a download says of itself.
enum Report {
    Start(u64),
    Arrived(u64),
    End(Result<PathBuf, ApiError>),
}

struct Reporter(Sender<Report>);

impl Progress for Reporter {
    fn init(&mut self, size: usize, _file: &str) {
        let _ = self.0.send(Report::Start(size as u64));
    }

    fn update(&mut self, size: usize) {
        let _ = self.0.send(Report::Arrived(size as u64));
    }

    fn finish(&mut self) {}
}

/// The error, and what can be done about it.
fn explained(error: &ApiError) -> anyhow::Error {
    let text = error.to_string();
    if ["401", "403"].iter().any(|status| text.contains(status)) {
        return anyhow!("{text}: it is not public; put a token that may read it into HF_TOKEN");
    }
    anyhow!(text)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;

    const BODY: &str = "source,question,answer,rating\n";

    /// A hub that has one file; returns its address and what it was asked.
    fn serve() -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                let mut range = None;
                for line in lines.map_while(Result::ok).take_while(|l| !l.is_empty()) {
                    let line = line.to_lowercase();
                    if let Some(value) = line.strip_prefix("range: bytes=") {
                        let (from, to) = value.split_once('-').unwrap();
                        let from: usize = from.parse().unwrap();
                        let to = to.parse().unwrap_or(BODY.len() - 1);
                        range = Some((from, to));
                    }
                }
                let path = request.split(' ').nth(1).unwrap().to_owned();
                let found = path == "/datasets/owner/set/resolve/main/folder/train.csv";
                seen.lock().unwrap().push(path);
                let (from, to) = range.unwrap_or((0, BODY.len() - 1));
                let (status, body) = match (found, range) {
                    (false, _) => ("404 Not Found", "no such file"),
                    (true, None) => ("200 OK", BODY),
                    (true, Some(_)) => ("206 Partial Content", &BODY[from..=to]),
                };
                let response = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\
                     etag: \"123\"\r\nx-repo-commit: abc\r\n\
                     content-range: bytes {from}-{to}/{}\r\n\r\n{body}",
                    body.len(),
                    BODY.len()
                );
                // Who asked may have gone.
                let _ = stream.write_all(response.as_bytes());
            }
        });
        (address, asked)
    }

    #[test]
    fn files_of_the_hub_are_fetched_once() {
        let dir = tempfile::tempdir().unwrap();
        let (address, asked) = serve();
        let hub = HubArgs {
            endpoint: Some(address),
            cache: Some(dir.path().to_owned()),
            timeout: 20,
        };
        for _ in 0..2 {
            let path = locate("hf:owner/set/folder/train.csv", &hub).unwrap();
            assert_eq!(std::fs::read_to_string(path).unwrap(), BODY);
        }
        let requests = asked.lock().unwrap().len();
        assert!(requests <= 3, "{requests} requests");
        let missing = locate("hf:owner/set/test.csv", &hub).unwrap_err();
        let text = format!("{missing:#}");
        assert!(
            text.contains("hf:owner/set/test.csv") && text.contains("404"),
            "{text}"
        );
        let wrong = locate("hf:train.csv", &hub).unwrap_err().to_string();
        assert!(wrong.contains("hf:OWNER/DATASET/FILE"), "{wrong}");
    }
}
