//! Downloads that stall, are not what they should be, or are not for
//! everyone: from a server of the test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TOKEN: &str = "hf_of_the_test";

/// What the server does with requests for a file of that name.
fn answer(stream: &mut TcpStream, path: &str, range: Option<(usize, usize)>, authorized: bool) {
    let body: Vec<u8> = if path.contains("parquet") {
        b"PAR1 and no text at all".to_vec()
    } else if path.contains("page") {
        b"<!DOCTYPE html><html>sign in first</html>".to_vec()
    } else {
        let mut text = b"source,question,answer,rating\n".to_vec();
        while text.len() < 40_000 {
            text.extend(b"x,53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79,534678912672195348198342567859761423426853791713924856961537284287419635345286179,0\n");
        }
        text
    };
    let (from, to) = range.map_or((0, body.len() - 1), |(a, b)| (a, b.min(body.len() - 1)));
    let status = match (path.contains("private") && !authorized, range) {
        (true, _) => "401 Unauthorized",
        (false, None) => "200 OK",
        (false, Some(_)) => "206 Partial Content",
    };
    let part = &body[from.min(to)..=to];
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\netag: \"{}\"\r\nx-repo-commit: abc\r\ncontent-range: bytes {from}-{to}/{}\r\n\r\n",
        part.len(),
        path.len(),
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    if path.contains("silent") {
        std::thread::sleep(Duration::from_secs(30));
    } else if path.contains("stall") && part.len() > 100 {
        let _ = stream.write_all(&part[..part.len() / 2]);
        std::thread::sleep(Duration::from_secs(30));
    } else {
        let _ = stream.write_all(part);
    }
}

/// A hub; returns its address and the values of the authorization headers.
fn serve() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tokens);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                let path = request.split(' ').nth(1).unwrap().to_owned();
                let (mut range, mut authorized) = (None, false);
                for line in lines.map_while(Result::ok).take_while(|l| !l.is_empty()) {
                    let lower = line.to_lowercase();
                    if let Some(value) = lower.strip_prefix("range: bytes=") {
                        let (from, to) = value.split_once('-').unwrap();
                        range = Some((from.parse().unwrap(), to.parse().unwrap_or(usize::MAX)));
                    }
                    if lower.starts_with("authorization:") {
                        authorized = line.ends_with(TOKEN);
                        seen.lock().unwrap().push(line);
                    }
                }
                answer(&mut stream, &path, range, authorized);
            });
        }
    });
    (address, tokens)
}

fn data(address: &str, dir: &Path, file: &str, token: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hrm"));
    command
        .args([
            "data",
            "sudoku",
            &format!("hf:owner/set/{file}"),
            "--endpoint",
            address,
            "--timeout",
            "2",
            "--cache",
        ])
        .arg(dir.join("cache"))
        .arg("--output")
        .arg(dir.join("out.csv"))
        .env_remove("HF_TOKEN")
        .env_remove("HUGGING_FACE_HUB_TOKEN")
        .stdin(Stdio::null());
    if let Some(token) = token {
        command.env("HF_TOKEN", token);
    }
    command.output().unwrap()
}

#[test]
fn a_download_that_stalls_is_given_up_with_how_far_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _) = serve();
    for (file, part) in [("stall/train.csv", "20"), ("silent.csv", "after 0 of")] {
        let begun = Instant::now();
        let output = data(&address, dir.path(), file, None);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
        for part in ["nothing has come for 2 seconds", "--timeout", file, part] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn a_token_is_sent_and_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (address, tokens) = serve();
    let output = data(&address, dir.path(), "private.csv", None);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("HF_TOKEN"),
        "{said}"
    );
    assert!(tokens.lock().unwrap().is_empty());
    let output = data(&address, dir.path(), "private.csv", Some(TOKEN));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(TOKEN), "the token is nobody's business");
    assert!(tokens.lock().unwrap().iter().all(|t| t.ends_with(TOKEN)));
}

#[test]
fn tables_and_web_pages_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _) = serve();
    for (file, part) in [("train.parquet", "Parquet"), ("page.csv", "web page")] {
        let output = data(&address, dir.path(), file, None);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(part) && said.contains(file),
            "{said}"
        );
    }
    // Local files as well.
    let local = dir.path().join("data.csv");
    std::fs::write(&local, b"PAR1\x15\x04").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hrm"))
        .args(["data", "sudoku"])
        .arg(&local)
        .arg("--output")
        .arg(dir.path().join("o.csv"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("Parquet"),
        "{said}"
    );
}
