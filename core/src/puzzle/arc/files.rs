//! Files of tasks, as they are published, and of rows.
//!
//! A task is a JSON file, or many are one JSON file, perhaps with the answers of
//! their tests in another. Rows are CSV with the header
//! `source,question,answer,identifier`, plain or gzip: `source` is a [`Name`], grids are rows
//! of digits with `/` between them, `answer` is empty where it is not known.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::grid::Grid;
use super::name::Name;
use super::row::ArcRow;
use super::task::Task;
use crate::files::write_whole;
use crate::puzzle::dataset::{DatasetError, unpacked};

/// Part of the name of a file of many tasks, and what stands there in the name
/// of the file with their answers.
const CHALLENGES: [&str; 2] = ["challenges", "solutions"];

/// The columns of a file of rows.
pub const COLUMNS: [&str; 4] = ["source", "question", "answer", "identifier"];

fn content(path: &Path, what: &impl ToString) -> DatasetError {
    DatasetError::Content {
        file: path.display().to_string(),
        what: what.to_string(),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DatasetError {
    let file = path.display().to_string();
    move |error| DatasetError::Io { file, error }
}

fn json(path: &Path) -> Result<Value, DatasetError> {
    let file = File::open(path).map_err(io_error(path))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|e| content(path, &e))
}

/// The tasks of a file, or of all the `.json` files of a folder in the order of
/// their names. Answers that lie in a file of their own beside one of many tasks
/// (`…_challenges.json`, `…_solutions.json`) are read too; `said` is told.
///
/// # Errors
/// A file can't be read, or what is in it is no task: names file, task and cell.
pub fn read_tasks(path: &Path, said: &mut dyn FnMut(String)) -> Result<Vec<Task>, DatasetError> {
    if !path.is_dir() {
        return read_file(path, said);
    }
    let entries = fs::read_dir(path).map_err(io_error(path))?;
    let entries = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<io::Result<_>>().map_err(io_error(path))?;
    let is_task = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let answers = name.contains(CHALLENGES[1]) || name.contains("submission");
        file.extension().is_some_and(|e| e == "json") && !answers
    };
    files.retain(is_task);
    files.sort();
    if files.is_empty() {
        return Err(content(
            path,
            &"there is no .json file of tasks in this folder",
        ));
    }
    let mut tasks = Vec::new();
    for file in &files {
        tasks.extend(read_file(file, said)?);
    }
    Ok(tasks)
}

fn read_file(path: &Path, said: &mut dyn FnMut(String)) -> Result<Vec<Task>, DatasetError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut tasks = Task::of_json(&name, &json(path)?).map_err(|e| content(path, &e))?;
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(own.replace(CHALLENGES[0], CHALLENGES[1]));
    if own.contains(CHALLENGES[0]) && beside.is_file() {
        let solved = solve_with(&mut tasks, &beside)?;
        said(format!(
            "{}: the answers of {solved} tasks",
            beside.display()
        ));
    }
    Ok(tasks)
}

/// Gives tasks the answers of a file; returns how many it has some for.
///
/// # Errors
/// As [`read_tasks`].
pub fn solve_with(tasks: &mut [Task], path: &Path) -> Result<usize, DatasetError> {
    Task::solve_with(tasks, &json(path)?).map_err(|e| content(path, &e))
}

/// The names in a published `identifiers.json`: a list whose places are the
/// identifiers.
///
/// # Errors
/// It can't be read, or is no list of texts.
pub fn read_identifiers(path: &Path) -> Result<Vec<String>, DatasetError> {
    serde_json::from_value(json(path)?)
        .map_err(|e| content(path, &format!("a list of names is expected: {e}")))
}

/// Writes rows, as gzip if the name ends in `.gz`. The file appears under its
/// name only when it is complete.
///
/// # Errors
/// The file can't be written.
pub fn write_rows(path: &Path, rows: &[ArcRow]) -> Result<(), DatasetError> {
    let gzip = path.extension().is_some_and(|extension| extension == "gz");
    let written = write_whole(path, |file| {
        if gzip {
            let mut encoder = GzEncoder::new(file, Compression::default());
            write_each(&mut encoder, rows)?;
            encoder.finish().map(|_| ())
        } else {
            write_each(file, rows)
        }
    });
    written.map_err(io_error(path))
}

fn write_each(writer: impl Write, rows: &[ArcRow]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(writer);
    writer.write_record(COLUMNS)?;
    for row in rows {
        let answer = row.answer.as_ref().map(Grid::to_string);
        writer.write_record([
            row.name.to_string(),
            row.question.to_string(),
            answer.unwrap_or_default(),
            row.identifier.to_string(),
        ])?;
    }
    writer.flush()
}

/// Reads a file of rows, at most `limit` of them.
///
/// # Errors
/// It can't be read, lacks a column or holds no row; or a line is no row:
/// names file, line and what is wrong.
pub fn read_rows(path: &Path, limit: usize) -> Result<Vec<ArcRow>, DatasetError> {
    let file = File::open(path).map_err(io_error(path))?;
    read_rows_from(file, &path.display().to_string(), limit)
}

/// The same from anywhere; `file` is the name for errors.
///
/// # Errors
/// As [`read_rows`].
pub fn read_rows_from(
    reader: impl Read,
    file: &str,
    limit: usize,
) -> Result<Vec<ArcRow>, DatasetError> {
    let text = unpacked(reader).map_err(|error| DatasetError::Io {
        file: file.to_owned(),
        error,
    })?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let line_error = |line: u64, what: String| DatasetError::Line {
        file: file.to_owned(),
        line,
        what,
    };
    let header = reader.headers().map_err(|e| line_error(1, e.to_string()))?;
    let column = |name: &str| {
        let place = header.iter().position(|column| column.trim() == name);
        place.ok_or_else(|| DatasetError::Header {
            file: file.to_owned(),
            line: 1,
            column: name.to_owned(),
            found: header.iter().map(str::to_owned).collect(),
        })
    };
    let [source, question, answer, identifier] = [
        column(COLUMNS[0])?,
        column(COLUMNS[1])?,
        column(COLUMNS[2])?,
        column(COLUMNS[3])?,
    ];
    let mut rows = Vec::new();
    for record in reader.records().take(limit) {
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            line_error(line, e.to_string())
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default().trim();
        let grid = |what: &str, text: &str| {
            let grid = text.parse::<Grid>();
            grid.map_err(|e| line_error(line, format!("the {what}: {e}")))
        };
        let number = field(identifier).parse();
        rows.push(ArcRow {
            name: Name::from(field(source)),
            question: grid("question", field(question))?,
            answer: match field(answer) {
                "" => None,
                text => Some(grid("answer", text)?),
            },
            identifier: number.map_err(|_| {
                let found = field(identifier);
                line_error(line, format!("{found:?} is no puzzle identifier"))
            })?,
        });
    }
    if rows.is_empty() {
        return Err(DatasetError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "source,question,answer,identifier\n";

    fn read(text: &str) -> Result<Vec<ArcRow>, DatasetError> {
        read_rows_from(text.as_bytes(), "a.csv", usize::MAX)
    }

    #[test]
    fn rows_round_trip() {
        let text = format!("{HEADER}a|||t3|||0213456789,12/34,5,7\nb,0,,1\n");
        let rows = read(&text).unwrap();
        assert_eq!((rows[0].identifier, rows[0].name.symmetry.turn()), (7, 3));
        assert_eq!(rows[1].answer, None);
        let mut written = Vec::new();
        write_each(&mut written, &rows).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), text);
    }

    #[test]
    fn lines_that_are_no_rows_are_named() {
        let said = |line: &str| {
            read(&format!("{HEADER}a,0,0,1\n{line}\n"))
                .unwrap_err()
                .to_string()
        };
        assert!(said("a,0,0,x").contains("line 3: \"x\" is no puzzle identifier"));
        assert!(said("a,0,0,-1").contains("\"-1\""));
        assert!(said("a,0,0").contains("\"\" is no puzzle identifier"));
        assert!(said("a,0x,0,1").contains("the question: row 1, column 2: x"));
        assert!(said("a,0,12/3,1").contains("the answer: row 2"));
        let header = read("source,question,answer\n").unwrap_err().to_string();
        assert!(header.contains("identifier"), "{header}");
        assert!(read(HEADER).unwrap_err().to_string().contains("no puzzle"));
    }
}
