//! Where published puzzles are: a file, or a dataset of the hub.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use hf_hub::api::sync::ApiBuilder;

/// Prefix of a file of the hub: `hf:OWNER/DATASET/FILE`.
const HUB: &str = "hf:";

/// Settings of the hub.
#[derive(Debug, clap::Args)]
pub(super) struct HubArgs {
    /// Address of the dataset hub (default: the environment's HF_ENDPOINT, or the
    /// public one)
    #[arg(long)]
    endpoint: Option<String>,
    /// Folder for downloaded files (default: the environment's HF_HOME, or the usual
    /// one in the home directory)
    #[arg(long)]
    cache: Option<PathBuf>,
}

/// The local file of a source, downloaded if it is of the hub and not there yet.
pub(super) fn locate(source: &str, hub: &HubArgs) -> Result<PathBuf> {
    let Some(name) = source.strip_prefix(HUB) else {
        return Ok(PathBuf::from(source));
    };
    let mut parts = name.splitn(3, '/');
    let (Some(owner), Some(dataset), Some(file)) = (parts.next(), parts.next(), parts.next())
    else {
        bail!("{source}: a file of the hub is named hf:OWNER/DATASET/FILE");
    };
    let mut builder = ApiBuilder::from_env();
    if let Some(cache) = &hub.cache {
        builder = builder.with_cache_dir(cache.clone());
    }
    if let Some(endpoint) = &hub.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let fetch = || {
        builder
            .build()?
            .dataset(format!("{owner}/{dataset}"))
            .get(file)
    };
    fetch().with_context(|| format!("fetching {source}"))
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
