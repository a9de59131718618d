//! What a file is, by its first bytes.

/// Beginnings of files that can't be puzzles as they are, and what they are.
const OTHERS: [(&[u8], &str); 13] = [
    (b"PAR1", "a Parquet file; convert it to CSV first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"\xfd7zXZ\0", "compressed with xz; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"%PDF", "a PDF document, not text"),
    (b"\x89PNG", "a picture, not text"),
    (b"\xff\xd8\xff", "a picture, not text"),
    (b"GIF8", "a picture, not text"),
    (
        b"SQLite format 3",
        "a database; export its puzzles as CSV first",
    ),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, which stands for a file that was not fetched: `git lfs pull`",
    ),
];

/// Why a file that begins like this can't be puzzles; none if it may be some.
pub(super) fn refused(start: &[u8]) -> Option<String> {
    if let Some((_, what)) = OTHERS.iter().find(|(mark, _)| start.starts_with(mark)) {
        return Some((*what).to_owned());
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Some("UTF-16 text; save it as UTF-8".to_owned());
    }
    if start.contains(&0) {
        return Some("not text".to_owned());
    }
    let text = String::from_utf8_lossy(start).to_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let page = text.starts_with("<!doctype html") || text.starts_with("<html");
    page.then(|| "a web page, perhaps one that says why there is no file".to_owned())
}

/// Whether a text that begins like this is XML.
pub(super) fn is_xml(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('<')
}
