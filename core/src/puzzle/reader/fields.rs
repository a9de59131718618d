//! The fields of a line of a table.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Splits lines at a separator; quotes hold fields together.
pub(super) struct Splitter {
    reader: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    pub(super) fn new(separator: u8) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(separator).build(),
            output: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The fields of a text; none if it ends within quotes, so that its next line is
    /// one of the same field.
    pub(super) fn split(&mut self, text: &str) -> Option<Vec<String>> {
        self.reader.reset();
        self.output.resize(text.len() + 1, 0);
        self.ends.resize(text.len() + 2, 0);
        let line = [text.as_bytes(), b"\n"].concat();
        let (result, _, _, count) =
            self.reader
                .read_record(&line, &mut self.output, &mut self.ends);
        if !matches!(result, ReadRecordResult::Record) {
            return None;
        }
        let ends = &self.ends[..count];
        let starts = std::iter::once(&0).chain(ends);
        let fields = starts.zip(ends).map(|(&start, &end)| {
            String::from_utf8_lossy(self.output.get(start..end).unwrap_or_default()).into_owned()
        });
        Some(fields.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_fields_together() {
        let mut comma = Splitter::new(b',');
        let mut split = |text: &str| comma.split(text);
        let fields = |fields: &[&str]| Some(fields.iter().map(|f| (*f).to_owned()).collect());
        assert_eq!(split("a,b, c"), fields(&["a", "b", " c"]));
        assert_eq!(split("\"a, \"\"b\"\"\",c"), fields(&["a, \"b\"", "c"]));
        assert_eq!(split("a,\"two"), None);
        assert_eq!(
            split("a,\"two\nlines\",é"),
            fields(&["a", "two\nlines", "é"])
        );
        assert_eq!(split(",,"), fields(&["", "", ""]));
        assert_eq!(Splitter::new(b'\t').split("a,b\t"), fields(&["a,b", ""]));
    }
}
