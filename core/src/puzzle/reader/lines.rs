//! Numbered lines of a text, one after the other, in bounded memory.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// Bytes that a line may have.
const LONGEST: u64 = 1 << 20;

/// A line without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// What stands in it, or why it can't be read.
    pub(super) text: Result<String, String>,
}

/// The lines of a text.
pub(super) struct Lines<'r> {
    reader: Box<dyn BufRead + 'r>,
    read: u64,
    /// Lines that were looked at and given back.
    waiting: VecDeque<Line>,
    buffer: Vec<u8>,
}

impl<'r> Lines<'r> {
    pub(super) fn new(reader: impl BufRead + 'r) -> Self {
        Self {
            reader: Box::new(reader),
            read: 0,
            waiting: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.waiting.pop_front() {
            return Ok(Some(line));
        }
        if !self.fill()? {
            return Ok(None);
        }
        self.read += 1;
        let too_long = self.buffer.len() as u64 == LONGEST && !self.buffer.ends_with(b"\n");
        let text = if too_long {
            self.skip_line()?;
            Err(format!("longer than {LONGEST} characters"))
        } else {
            let end = self.buffer.trim_ascii_end_of_line();
            match std::str::from_utf8(&self.buffer[..end]) {
                Ok(text) if self.read == 1 => Ok(text.trim_start_matches('\u{feff}').to_owned()),
                Ok(text) => Ok(text.to_owned()),
                Err(error) => Err(format!("not UTF-8 text: {error}")),
            }
        };
        Ok(Some(Line {
            number: self.read,
            text,
        }))
    }

    /// Makes a line the next one.
    pub(super) fn give_back(&mut self, line: Line) {
        self.waiting.push_front(line);
    }

    /// Whether the next line is there and has no separator of fields.
    pub(super) fn is_list_next(&mut self) -> io::Result<bool> {
        let Some(next) = self.next()? else {
            return Ok(false);
        };
        let list = next
            .text
            .as_ref()
            .is_ok_and(|t| !t.contains([',', ';', '\t', '|']));
        self.give_back(next);
        Ok(list)
    }

    /// The bytes of the first line, which is still to come.
    pub(super) fn start(&mut self) -> io::Result<Vec<u8>> {
        self.fill()?;
        let start = std::mem::take(&mut self.buffer);
        let reader = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(io::Cursor::new(start.clone()).chain(reader));
        Ok(start)
    }

    /// What has not been read.
    pub(super) fn into_reader(self) -> Box<dyn BufRead + 'r> {
        self.reader
    }

    /// Reads the bytes of a line; whether there were any.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let mut part = self.reader.by_ref().take(LONGEST);
        Ok(part.read_until(b'\n', &mut self.buffer)? > 0)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        while self.fill()? && !self.buffer.ends_with(b"\n") {}
        Ok(())
    }
}

/// Where a line's text ends.
trait EndOfLine {
    fn trim_ascii_end_of_line(&self) -> usize;
}

impl EndOfLine for Vec<u8> {
    fn trim_ascii_end_of_line(&self) -> usize {
        let line = self.strip_suffix(b"\n").unwrap_or(self);
        line.strip_suffix(b"\r").unwrap_or(line).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_bad_ones_do_not_end_the_text() {
        let long = "x".repeat(2 * LONGEST as usize);
        let mut bytes = format!("\u{feff}a\r\n{long}\n").into_bytes();
        bytes.extend(b"\xff\nlast");
        let mut lines = Lines::new(&bytes[..]);
        assert!(lines.start().unwrap().ends_with(b"a\r\n"));
        let first = lines.next().unwrap().unwrap();
        assert_eq!((first.number, first.text.as_deref()), (1, Ok("a")));
        lines.give_back(first.clone());
        assert_eq!(lines.next().unwrap(), Some(first));
        let mut text = || lines.next().unwrap().map(|line| line.text);
        assert!(text().unwrap().unwrap_err().starts_with("longer"));
        assert!(text().unwrap().unwrap_err().starts_with("not UTF-8"));
        assert_eq!(text(), Some(Ok("last".to_owned())));
        assert_eq!(text(), None);
    }
}
