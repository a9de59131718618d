//! The page's state in its address: `#v=1&model=ID&puzzle=LINE&…`.
//!
//! The fragment is a list of `key=value` pairs. Model and puzzle are typed,
//! every other pair belongs to the part of the page that knows its key, so a
//! new one needs no change here.

use std::fmt::{Display, Write as _};
use std::str::FromStr;

use hrm_core::puzzle::{AnyParseError, AnyPuzzle};

use crate::timeline::Moment;

/// Version of the meaning of the pairs. An address without one is of the
/// first; of a later one, what is understood is used.
pub const VERSION: u32 = 1;

/// Segments that an address may ask for.
pub const MOST: usize = 1024;

/// What an address names. Absent parts are left to the page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// Folder name of the model.
    pub model: Option<String>,
    /// The puzzle.
    pub puzzle: Option<AnyPuzzle>,
    /// Every other pair, in the order of the keys. There are few: a map's code
    /// would be the larger part of it.
    rest: Vec<(String, String)>,
}

impl Address {
    /// Reads the fragment of an address, with or without its `#`. Whatever is
    /// not understood is ignored: an address is easily cut or mangled.
    #[must_use]
    pub fn parse(fragment: &str) -> Self {
        let mut address = Self::default();
        for pair in fragment.trim_start_matches('#').split('&') {
            let Some((key, value)) = pair.split_once('=') else {
                continue;
            };
            let Some(value) = decode(value) else { continue };
            match key {
                "v" => {}
                "model" if is_id(&value) => address.model = Some(value),
                "model" => {}
                "puzzle" => address.puzzle = puzzle(&value).ok(),
                _ => address.set(key, &value),
            }
        }
        address
    }

    /// The value of a pair other than model and puzzle.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.place(key).ok()?;
        Some(&self.rest[at].1)
    }

    /// The value of a pair, where it reads as one of that type.
    #[must_use]
    pub fn read<T: FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }

    /// Sets a pair other than model and puzzle; an empty value removes it. A
    /// key that is not made of lower-case letters, digits and `-` is ignored.
    pub fn set(&mut self, key: &str, value: &impl Display) {
        let value = value.to_string();
        match self.place(key) {
            Ok(at) if value.is_empty() => {
                self.rest.remove(at);
            }
            Ok(at) => self.rest[at].1 = value,
            Err(at) if !value.is_empty() && is_key(key) => {
                self.rest.insert(at, (key.to_owned(), value));
            }
            Err(_) => {}
        }
    }

    /// Where the pair of that key is, or would be.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.rest.binary_search_by(|(k, _)| k.as_str().cmp(key))
    }

    /// Takes over the pairs of another address, and its model and puzzle
    /// where it names them.
    pub fn extend(&mut self, other: &Self) {
        if other.model.is_some() {
            self.model.clone_from(&other.model);
        }
        if other.puzzle.is_some() {
            self.puzzle.clone_from(&other.puzzle);
        }
        for (key, value) in &other.rest {
            self.set(key, value);
        }
    }

    /// The fragment, with its `#`; empty if nothing is named.
    #[must_use]
    pub fn fragment(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let mut text = format!("#v={VERSION}");
        let typed = [
            ("model", self.model.clone()),
            ("puzzle", self.puzzle.as_ref().map(spelled)),
        ];
        let typed = typed
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        let rest = self.rest.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        for (key, value) in typed.chain(rest) {
            // Writing to a string does not fail.
            let _ = write!(text, "&{key}={}", encode(value));
        }
        text
    }
}

/// What a fragment names that can't be read, a sentence each. Keys that nobody
/// knows are none of it: they may be a later version's.
#[must_use]
pub fn problems(fragment: &str) -> Vec<String> {
    let pairs = fragment.trim_start_matches('#').split('&');
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs
        .filter_map(|(key, text)| {
            let value = decode(text);
            let value = value.as_deref().unwrap_or_default();
            let moment = || value.parse().is_ok_and(|m: Moment| m.segment <= MOST);
            let what = match key {
                "puzzle" => {
                    let error = puzzle(value).err()?;
                    return Some(format!("The puzzle of the link can't be read: {error}."));
                }
                "model" if !is_id(value) => "network",
                "step" | "compare" if !moment() => "moment",
                "depth" if !value.parse().is_ok_and(|n| (1..=MOST).contains(&n)) => {
                    "length of runs"
                }
                _ => return None,
            };
            Some(format!(
                "The link names {text:?} as its {what}, which can't be."
            ))
        })
        .collect()
}

/// Signs of a maze's wall and way in addresses, where `#` and spaces would be three
/// characters each.
const WALL: char = '*';
const WAY: char = '-';

/// The puzzle that an address names.
fn puzzle(text: &str) -> Result<AnyPuzzle, AnyParseError> {
    let read = text.parse();
    if read.is_err() && text.contains([WALL, WAY]) {
        let maze = text.replace(WALL, "#").replace(WAY, " ");
        // Of what is no maze either, what is wrong with the text as it stands is said.
        return maze.parse().or(read);
    }
    read
}

/// A puzzle as an address names it.
fn spelled(puzzle: &AnyPuzzle) -> String {
    let text = puzzle.to_string();
    match puzzle {
        AnyPuzzle::Sudoku(_) | AnyPuzzle::Arc(_) => text,
        AnyPuzzle::Maze(_) => text.replace('#', "*").replace(' ', "-"),
    }
}

/// Whether a text can be a model's folder name. Keeps addresses from leading
/// anywhere else.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && !matches!(text, "v" | "model" | "puzzle")
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Escapes what would end a value or what a mail program would take for the
/// end of the address.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.,:;~*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Takes the escapes back; none if they are no text.
fn decode(text: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        let mut address = Address {
            model: Some("hrm-4x4".into()),
            puzzle: Some("1.........4...2.".parse().unwrap()),
            ..Address::default()
        };
        address.set("step", &7);
        address.set("note", &"a&b=ç #1");
        let fragment = address.fragment();
        assert_eq!(
            fragment,
            "#v=1&model=hrm-4x4&puzzle=1.........4...2.&note=a%26b%3D%C3%A7%20%231&step=7"
        );
        assert_eq!(Address::parse(&fragment), address);
        assert_eq!(address.read::<usize>("step"), Some(7));
        assert_eq!(address.read::<usize>("note"), None);
        address.set("step", &"");
        assert_eq!(address.get("step"), None);
        assert_eq!(Address::default().fragment(), "");
        assert_eq!(Address::parse(""), Address::default());
    }

    #[test]
    fn mazes_are_spelled_without_escapes() {
        let maze = "S #  #o G#### # ";
        let mut address = Address {
            puzzle: Some(maze.parse().unwrap()),
            ..Address::default()
        };
        assert_eq!(address.fragment(), "#v=1&puzzle=S-*--*o-G****-*-");
        assert_eq!(Address::parse(&address.fragment()), address);
        // As it stands, and as browsers and old links may have it.
        let escaped = format!("#puzzle={}", maze.replace('#', "%23").replace(' ', "%20"));
        assert_eq!(Address::parse(&escaped).puzzle, address.puzzle);
        address.puzzle = Some(AnyPuzzle::blank("maze-64x64".parse().unwrap()));
        assert!(address.fragment().len() < 4200);
        assert_eq!(Address::parse(&address.fragment()), address);
        let problem = problems("#puzzle=S-*").join(" ");
        assert!(problem.contains("can't be read"), "{problem}");
    }

    #[test]
    fn addresses_of_the_first_page_are_still_read() {
        let address = Address::parse("#model=hrm-4x4&puzzle=1.........4...2.");
        assert_eq!(address.model.as_deref(), Some("hrm-4x4"));
        assert!(address.puzzle.is_some());
    }

    #[test]
    fn mangled_addresses_are_ignored() {
        for text in [
            "#",
            "#&&=",
            "#model",
            "#model=",
            "#model=../secret",
            "#puzzle=12",
            "#x=%zz",
            "#x=%f",
            "#x=%ff",
            "#X=1",
            "#v=9",
        ] {
            assert_eq!(Address::parse(text), Address::default(), "{text}");
        }
        assert!(Address::parse("#x=1&model=a&").model.is_some());
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let of = |text: &str| problems(text).join(" ");
        assert_eq!(
            of("#v=9&model=a&puzzle=1.........4...2.&step=3.1&depth=16&later=x"),
            ""
        );
        assert!(of("#puzzle=12").starts_with("The puzzle of the link can't be read: "));
        for (text, what) in [
            ("#model=../x", "network"),
            ("#step=x", "moment"),
            ("#step=1025", "moment"),
            ("#compare=3.0", "moment"),
            ("#depth=0", "length of runs"),
            ("#depth=%zz", "length of runs"),
        ] {
            assert!(of(text).contains(what), "{text}: {}", of(text));
        }
    }

    #[test]
    fn what_is_named_replaces_what_was() {
        let mut address = Address::parse("#model=a&step=1&view=x");
        address.extend(&Address::parse("#model=b&step=2"));
        assert_eq!(address.fragment(), "#v=1&model=b&step=2&view=x");
    }
}
