//! Puzzles of OpenSudoku: `<game data="…">` and the like.

use std::io::{self, BufRead, Read as _};

/// Bytes that a tag may have.
const LONGEST: u64 = 1 << 20;

/// A puzzle's tag, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Game {
    /// Line at which it ends.
    pub(super) line: u64,
    /// The cells, digits only.
    pub(super) cells: Result<String, String>,
    /// What the collection calls itself.
    pub(super) name: String,
}

/// Reads one tag after the other.
pub(super) struct Games<'r> {
    reader: Box<dyn BufRead + 'r>,
    line: u64,
    name: String,
}

impl<'r> Games<'r> {
    pub(super) fn new(reader: Box<dyn BufRead + 'r>) -> Self {
        Self {
            reader,
            line: 1,
            name: String::new(),
        }
    }

    /// The next puzzle.
    pub(super) fn next(&mut self) -> io::Result<Option<Game>> {
        let mut bytes = Vec::new();
        let mut in_name = false;
        loop {
            bytes.clear();
            let mut part = self.reader.by_ref().take(LONGEST);
            if part.read_until(b'>', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.line += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            let text = String::from_utf8_lossy(&bytes);
            let (before, tag) = text.rsplit_once('<').unwrap_or(("", &text));
            if in_name && tag.starts_with("/name") {
                self.name = decoded(before.trim());
            }
            in_name = tag.trim_end_matches('>').trim() == "name";
            if let Some(name) = attribute(tag, "name").filter(|_| tag.starts_with("folder")) {
                self.name = name;
            }
            let data = ["data", "cells_data"].map(|name| attribute(tag, name));
            if tag.starts_with("game")
                && let Some(data) = data.into_iter().flatten().next()
            {
                return Ok(Some(Game {
                    line: self.line,
                    cells: cells(&data),
                    name: self.name.clone(),
                }));
            }
        }
    }
}

/// The value of a tag's attribute.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        rest = &rest[at + name.len()..];
        let value = rest.trim_start().strip_prefix('=').map(str::trim_start);
        if let Some(value) = value.filter(|_| before.is_some_and(char::is_whitespace)) {
            let quote = value.chars().next().filter(|c| "\"'".contains(*c))?;
            return value[1..]
                .split_once(quote)
                .map(|(inner, _)| decoded(inner));
        }
    }
}

/// A text without the entities of XML that occur here.
fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, character) in [
        ("&#10;", "\n"),
        ("&#xA;", "\n"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}

/// The givens of a game: its digits, or of a saved one those that can't be edited.
fn cells(data: &str) -> Result<String, String> {
    let Some(saved) = data.trim().strip_prefix("version:") else {
        return Ok(data.trim().to_owned());
    };
    let saved = saved.trim_start();
    let digits = saved
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(saved.len());
    let (version, fields) = saved.split_at(digits);
    // The second version sometimes has one separator too many.
    let fields = fields.replace("||", "|");
    let fields: Vec<&str> = fields.trim().trim_end_matches('|').split('|').collect();
    let each = fields.len() / 81;
    if each < 3 || !fields.len().is_multiple_of(81) {
        return Err(format!(
            "a saved game of version {version:?} with {} fields for 81 cells",
            fields.len()
        ));
    }
    // value | marks | editable; value | marks | marks | editable | …
    let editable = if each == 3 { 2 } else { 3 };
    let given = |cell: &[&str]| match (cell[editable], cell[0]) {
        ("0", digit) => digit.to_owned(),
        _ => "0".to_owned(),
    };
    Ok(fields.chunks(each).map(given).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn games(text: &str) -> Vec<Game> {
        let mut games = Games::new(Box::new(text.as_bytes()));
        std::iter::from_fn(|| games.next().unwrap()).collect()
    }

    #[test]
    fn both_forms_of_a_collection_are_read() {
        let digits = "530070000".repeat(9);
        let found = games(&format!(
            "<?xml version='1.0'?>\n<opensudoku>\n<name>A &amp; B</name>\n\
             <game data=\"{digits}\" />\n<game  data='12'/></opensudoku>"
        ));
        assert_eq!((found.len(), found[0].line), (2, 4));
        assert_eq!(found[0].name, "A & B");
        assert_eq!(found[0].cells, Ok(digits));
        assert_eq!(found[1].cells, Ok("12".to_owned()));
    }

    #[test]
    fn of_a_saved_game_the_givens_count() {
        for (version, given, entered) in [
            (1, "5|-|0|", "3|1,2,|1|"),
            (2, "5|0||0|", "3|12||1|"),
            (3, "5|0|0|", "3|12|1|"),
            (4, "5|0|0|0|", "3|12|0|1|"),
        ] {
            let body = format!("{given}{entered}{}", entered.replace('3', "0").repeat(79));
            let text = format!(
                "<opensudoku version=\"2\"><folder name=\"F\" created=\"1\">\
                 <game created=\"1\" state=\"0\" cells_data=\"version: {version}&#10;{body}\" note=\"data=1\"/>"
            );
            let found = games(&text);
            assert_eq!(found[0].name, "F");
            let expected = format!("5{}", "0".repeat(80));
            assert_eq!(found[0].cells, Ok(expected), "version {version}");
        }
        let cut = games("<game cells_data=\"version: 4\n5|0|0|0|\"/>");
        assert!(cut[0].cells.as_ref().unwrap_err().contains("4 fields"));
        assert_eq!(games("<game/><other data=\"1\"/>"), []);
    }
}
