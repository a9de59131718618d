//! Puzzle files.
//!
//! A file has a header and one puzzle a line: `source,question,answer,rating`, plain
//! or gzip (decided by its content, not its name). Blanks are `.`; `rating` is a
//! number of guesses and says how hard the puzzle is.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::sudoku::board::Board;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// A puzzle of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where the puzzle comes from.
    pub source: String,
    /// The puzzle.
    pub question: Board,
    /// Its solution.
    pub answer: Board,
    /// Number of guesses it took.
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
pub fn read(mut reader: impl Read, file: &str) -> Result<Vec<Row>, DatasetError> {
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
    if gzip {
        read_csv(MultiGzDecoder::new(whole), file)
    } else {
        read_csv(whole, file)
    }
}

fn read_csv(reader: impl Read, file: &str) -> Result<Vec<Row>, DatasetError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
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
    let (question, answer) = (column("question")?, column("answer")?);
    let (source, rating) = (position("source"), position("rating"));

    let mut rows = vec![];
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let more = reader
            .read_record(&mut record)
            .map_err(|error| csv_error(error, file, line))?;
        if !more {
            break;
        }
        let line = record.position().map_or(line, csv::Position::line);
        let row = read_record(&record, question, answer, source, rating).map_err(|what| {
            DatasetError::Line {
                file: file.to_owned(),
                line,
                what,
            }
        })?;
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(DatasetError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(rows)
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

fn read_record(
    record: &csv::StringRecord,
    question: usize,
    answer: usize,
    source: Option<usize>,
    rating: Option<usize>,
) -> Result<Row, String> {
    let field = |index: usize, name: &str| {
        record.get(index).ok_or_else(|| {
            let found = record.len();
            format!("only {found} fields, none for {name}")
        })
    };
    let question = Board::parse(field(question, "question")?, None)
        .map_err(|error| format!("question: {error}"))?;
    let answer = Board::parse(field(answer, "answer")?, Some(question.shape()))
        .map_err(|error| format!("answer: {error}"))?;
    if !answer.solves(&question) {
        return Err(if !answer.keeps_givens(&question) {
            "the answer changes a given of the question".to_owned()
        } else if answer.blanks() > 0 {
            "the answer is not complete".to_owned()
        } else {
            format!("the answer breaks the rules, E = {}", answer.conflicts())
        });
    }
    let rating = match rating {
        None => 0,
        Some(index) => {
            let text = field(index, "rating")?.trim();
            text.parse()
                .map_err(|error| format!("rating {text:?}: {error}"))?
        }
    };
    let source = match source {
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
pub fn write_file(path: &Path, rows: &[Row]) -> Result<(), DatasetError> {
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
            write(&mut encoder, rows)?;
            encoder.finish()?
        } else {
            let mut file = io::BufWriter::new(file);
            write(&mut file, rows)?;
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
pub fn write(writer: impl Write, rows: &[Row]) -> io::Result<()> {
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
