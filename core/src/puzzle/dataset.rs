//! Puzzle files.
//!
//! A file has a header and one puzzle a line: `source,question,answer,rating`, plain
//! or gzip (decided by its content, not its name). `rating` says how hard the puzzle is:
//! the number of guesses of a Sudoku, the length of a maze's way. [`Records`] reads any
//! [`Puzzle`], one line after the other; [`read_file`] a whole file of Sudokus.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::marker::PhantomData;
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::Puzzle;
use super::sudoku::board::Board;

/// A puzzle of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row<P = Board> {
    /// Where the puzzle comes from.
    pub source: String,
    /// The puzzle.
    pub question: P,
    /// Its solution.
    pub answer: P,
    /// How hard it is.
    pub rating: u32,
}

/// What went wrong with a puzzle file.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file cannot be read or written.
    #[error("{file}: {error}")]
    Io {
        /// Name of the file.
        file: String,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// The header lacks a column.
    #[error("{file}, line 1: there is no column {column:?} among {found:?}")]
    Header {
        /// Name of the file.
        file: String,
        /// The missing column.
        column: &'static str,
        /// The columns there are.
        found: Vec<String>,
    },
    /// A line that is no puzzle.
    #[error("{file}, line {line}: {what}")]
    Line {
        /// Name of the file.
        file: String,
        /// Line, counted from 1 (the header).
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A file with a header only, or less.
    #[error("{file}: there is no puzzle in it")]
    Empty {
        /// Name of the file.
        file: String,
    },
}

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
    let rows = Records::new(reader, file)?.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err(DatasetError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(rows)
}

/// The puzzles of a file, line by line. After [`DatasetError::Line`] the next line can
/// be read; any other error is the last item.
pub struct Records<'r, P> {
    reader: csv::Reader<Box<dyn Read + 'r>>,
    columns: Columns,
    record: csv::StringRecord,
    file: String,
    ended: bool,
    puzzle: PhantomData<P>,
}

/// Where the columns are.
struct Columns {
    question: usize,
    answer: usize,
    source: Option<usize>,
    rating: Option<usize>,
}

impl<P: Puzzle> Records<'static, P> {
    /// Opens a file.
    ///
    /// # Errors
    /// It can't be read, or its header lacks a column.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::new(file, &name),
            Err(error) => Err(DatasetError::Io { file: name, error }),
        }
    }
}

impl<'r, P: Puzzle> Records<'r, P> {
    /// Reads plain or gzip text; `file` is the name for error messages.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn new(mut reader: impl Read + 'r, file: &str) -> Result<Self, DatasetError> {
        let io_error = |error| DatasetError::Io {
            file: file.to_owned(),
            error,
        };
        let mut start = Vec::new();
        reader
            .by_ref()
            .take(2)
            .read_to_end(&mut start)
            .map_err(io_error)?;
        let gzip = start == [0x1f, 0x8b];
        let whole = BufReader::new(io::Cursor::new(start).chain(reader));
        let text: Box<dyn Read + 'r> = if gzip {
            Box::new(MultiGzDecoder::new(whole))
        } else {
            Box::new(whole)
        };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
        let header = reader
            .headers()
            .map_err(|error| csv_error(error, file, 1))?
            .clone();
        let position = |name| header.iter().position(|column| column.trim() == name);
        let column = |name| {
            position(name).ok_or_else(|| DatasetError::Header {
                file: file.to_owned(),
                column: name,
                found: header.iter().map(str::to_owned).collect(),
            })
        };
        Ok(Self {
            columns: Columns {
                question: column("question")?,
                answer: column("answer")?,
                source: position("source"),
                rating: position("rating"),
            },
            reader,
            record: csv::StringRecord::new(),
            file: file.to_owned(),
            ended: false,
            puzzle: PhantomData,
        })
    }
}

impl<P: Puzzle> Iterator for Records<'_, P> {
    type Item = Result<Row<P>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.reader.position().line();
        let read = self.reader.read_record(&mut self.record);
        match read.map_err(|error| csv_error(error, &self.file, line)) {
            Ok(true) => {}
            Ok(false) => {
                self.ended = true;
                return None;
            }
            Err(error) => {
                self.ended = !matches!(error, DatasetError::Line { .. });
                return Some(Err(error));
            }
        }
        let line = self.record.position().map_or(line, csv::Position::line);
        let row = read_record(&self.record, &self.columns);
        Some(row.map_err(|what| DatasetError::Line {
            file: self.file.clone(),
            line,
            what,
        }))
    }
}

fn csv_error(error: csv::Error, file: &str, line: u64) -> DatasetError {
    let line = error.position().map_or(line, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DatasetError::Io {
            file: file.to_owned(),
            error,
        },
        csv::ErrorKind::Utf8 { err, .. } => DatasetError::Line {
            file: file.to_owned(),
            line,
            what: format!("not UTF-8 text: {err}"),
        },
        kind => DatasetError::Line {
            file: file.to_owned(),
            line,
            what: format!("not a line of a CSV file: {kind:?}"),
        },
    }
}

fn read_record<P: Puzzle>(record: &csv::StringRecord, columns: &Columns) -> Result<Row<P>, String> {
    let field = |index: usize, name: &str| {
        record.get(index).ok_or_else(|| {
            let found = record.len();
            format!("only {found} fields, none for {name}")
        })
    };
    let question = P::parse(field(columns.question, "question")?, None)
        .map_err(|error| format!("question: {error}"))?;
    let answer = P::parse(field(columns.answer, "answer")?, Some(question.kind()))
        .map_err(|error| format!("answer: {error}"))?;
    if let Some(fault) = answer.fault(&question) {
        return Err(fault);
    }
    let rating = match columns.rating {
        None => 0,
        Some(index) => {
            let text = field(index, "rating")?.trim();
            text.parse()
                .map_err(|error| format!("rating {text:?}: {error}"))?
        }
    };
    let source = match columns.source {
        None => String::new(),
        Some(index) => field(index, "source")?.to_owned(),
    };
    Ok(Row {
        source,
        question,
        answer,
        rating,
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
    let fail = |error| DatasetError::Io {
        file: path.display().to_string(),
        error,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let gzip = path.extension().is_some_and(|extension| extension == "gz");
    let attempt = || -> io::Result<()> {
        let file = File::create(&partial)?;
        let file = if gzip {
            let mut encoder = GzEncoder::new(file, Compression::best());
            write_each(&mut encoder, rows)?;
            encoder.finish()?
        } else {
            let mut file = io::BufWriter::new(file);
            write_each(&mut file, rows)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?
        };
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    attempt().map_err(|error| {
        // Best effort: what matters to the caller is the first error.
        let _ = std::fs::remove_file(&partial);
        fail(error)
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
    let mut writer = csv::Writer::from_writer(writer);
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
