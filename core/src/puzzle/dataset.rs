//! Puzzle files.
//!
//! This project's own have a header and one puzzle a line,
//! `source,question,answer,rating`, plain or gzip (decided by content, not name).
//! `rating` says how hard the puzzle is: the number of guesses of a Sudoku, the length of
//! a maze's way. [`Records`] reads these and every form of the
//! [`reader`](super::reader), one puzzle after the other; where an answer is missing the
//! exact solver finds it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::Puzzle;
use super::reader::PuzzleReader;
pub use super::reader::{ColumnNames, DatasetError, Notes, ReadOptions, Row};
use crate::files::write_whole;

/// Reads the Sudoku puzzles of a file.
///
/// # Errors
/// The file cannot be read or is not such a file, a line is no puzzle, or an answer
/// does not solve its question: the first error, with file and line.
pub fn read_file(path: &Path) -> Result<Vec<Row>, DatasetError> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read(file, &name),
        Err(error) => Err(DatasetError::Io { file: name, error }),
    }
}

/// Reads Sudoku puzzles, plain or gzip; `file` is the name for error messages.
///
/// # Errors
/// As [`read_file`].
pub fn read(reader: impl Read, file: &str) -> Result<Vec<Row>, DatasetError> {
    let mut records = Records::new(reader, file)?;
    let rows = records.by_ref().collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err(records.empty());
    }
    Ok(rows)
}

/// The puzzles of a file with their answers, one by one. After [`DatasetError::Line`] the
/// next one can be read; any other error is the last item.
pub struct Records<'r, P: Puzzle> {
    reader: PuzzleReader<'r, P>,
    file: String,
    notes: Notes,
}

impl<P: Puzzle> Records<'static, P> {
    /// Opens a file.
    ///
    /// # Errors
    /// It can't be read, or its header lacks a column.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        Self::open_with(path, &ReadOptions::default())
    }

    /// Opens a file that is to be read in a certain way.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn open_with(path: &Path, options: &ReadOptions<P::Kind>) -> Result<Self, DatasetError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::with(file, &name, options),
            Err(error) => Err(DatasetError::Io { file: name, error }),
        }
    }
}

impl<'r, P: Puzzle> Records<'r, P> {
    /// Reads plain or gzip text; `file` is the name for error messages.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn new(reader: impl Read + 'r, file: &str) -> Result<Self, DatasetError> {
        Self::with(reader, file, &ReadOptions::default())
    }

    /// Reads plain or gzip text in a certain way.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn with(
        reader: impl Read + 'r,
        file: &str,
        options: &ReadOptions<P::Kind>,
    ) -> Result<Self, DatasetError> {
        let text = unpacked(reader).map_err(|error| DatasetError::Io {
            file: file.to_owned(),
            error,
        })?;
        Ok(Self {
            reader: PuzzleReader::new(text, file, options)?,
            file: file.to_owned(),
            notes: Notes::default(),
        })
    }

    /// What was made of the puzzles so far beyond what stands in the file.
    #[must_use]
    pub fn notes(&self) -> Notes {
        self.notes
    }

    /// What there is to say about a file without a puzzle.
    #[must_use]
    pub fn empty(&self) -> DatasetError {
        self.reader.empty()
    }
}

impl<P: Puzzle> Iterator for Records<'_, P> {
    type Item = Result<Row<P>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.reader.next()?;
        Some(entry.and_then(|entry| {
            let line = entry.line;
            let row = entry.into_row(&mut self.notes);
            row.map_err(|what| DatasetError::Line {
                file: self.file.clone(),
                line,
                what,
            })
        }))
    }
}

/// The text of plain or gzip bytes.
///
/// # Errors
/// The reader's.
pub fn unpacked<'r>(reader: impl Read + 'r) -> io::Result<Box<dyn BufRead + 'r>> {
    let mut reader = BufReader::new(reader);
    let mut start = Vec::new();
    reader.by_ref().take(2).read_to_end(&mut start)?;
    let gzip = start == [0x1f, 0x8b];
    let whole = io::Cursor::new(start).chain(reader);
    Ok(if gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}

/// Writes puzzles to a file, as gzip if its name ends in `.gz`. It appears under its
/// name only when it is complete.
///
/// # Errors
/// The file cannot be written.
pub fn write_file<P: Puzzle>(path: &Path, rows: &[Row<P>]) -> Result<(), DatasetError> {
    write_rows(path, rows.iter().cloned())
}

/// As [`write_file`], taking the rows one by one.
///
/// # Errors
/// The file cannot be written.
pub fn write_rows<P: Puzzle>(
    path: &Path,
    rows: impl Iterator<Item = Row<P>>,
) -> Result<(), DatasetError> {
    let gzip = path.extension().is_some_and(|extension| extension == "gz");
    let written = write_whole(path, |file| {
        if gzip {
            let mut encoder = GzEncoder::new(file, Compression::best());
            write_each(&mut encoder, rows)?;
            encoder.finish().map(|_| ())
        } else {
            write_each(file, rows)
        }
    });
    written.map_err(|error| DatasetError::Io {
        file: path.display().to_string(),
        error,
    })
}

/// Writes puzzles as plain CSV.
///
/// # Errors
/// The writer's.
pub fn write<P: Puzzle>(writer: impl Write, rows: &[Row<P>]) -> io::Result<()> {
    write_each(writer, rows.iter().cloned())
}

fn write_each<P: Puzzle>(writer: impl Write, rows: impl Iterator<Item = Row<P>>) -> io::Result<()> {
    // No source is to be taken for a remark.
    let remarks = (!P::LITERAL).then_some(b'#');
    let mut writer = csv::WriterBuilder::new()
        .comment(remarks)
        .from_writer(writer);
    writer.write_record(["source", "question", "answer", "rating"])?;
    for row in rows {
        writer.write_record([
            row.source.as_str(),
            &row.question.to_string(),
            &row.answer.to_string(),
            &row.rating.to_string(),
        ])?;
    }
    writer.flush()
}
