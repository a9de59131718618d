//! Puzzles in the forms in which people have them.
//!
//! [`PuzzleReader`] looks at what a text holds, not at its name, and reads:
//!
//! - tables (CSV) with `,`, `;`, tab or `|` between fields, under the names that columns
//!   have elsewhere, or under given ones ([`ColumnNames`]); objects of JSON, one a line;
//! - lists, one puzzle a line, whatever follows it in the line; lines of HoDoKu, `.sdm`;
//! - boards written row by row or drawn: `.sdk`, `.ss`, "Grid 01" and nine lines;
//! - collections of OpenSudoku (XML), links of f-puzzles and SudokuPad;
//! - mazes drawn in any of the signs that people use ([`Puzzle::drawn`]).
//!
//! It works line by line in bounded memory, and a line that is no puzzle does not keep it
//! from the next. The command line and the page read through it alike.

mod any;
mod cells;
mod columns;
mod content;
mod entry;
mod error;
mod fields;
mod lines;
mod link;
mod list;
mod table;
mod xml;

use std::io::BufRead;

use super::Puzzle;
pub use any::{Found, any_of, plain_sudoku};
pub use columns::{ColumnNames, ColumnNamesError};
use columns::{FirstLine, first_line};
pub use entry::{Entry, Notes, Row};
pub use error::DatasetError;
use lines::Lines;
use list::List;
use table::Table;
use xml::Games;

/// How a text is to be read.
#[derive(Clone, Debug)]
pub struct ReadOptions<K> {
    /// Where the columns of a table are, if their names are others than usual.
    pub columns: Option<ColumnNames>,
    /// The kind that all puzzles must have, if that is known.
    pub kind: Option<K>,
    /// Whether only questions matter: answers and ratings are passed over, so that
    /// nothing can be wrong with them.
    pub questions: bool,
}

impl<K> Default for ReadOptions<K> {
    fn default() -> Self {
        Self {
            columns: None,
            kind: None,
            questions: false,
        }
    }
}

/// The puzzles of a text, one after the other. After [`DatasetError::Line`] the next one
/// can be read; any other error is the last item.
pub struct PuzzleReader<'r, P: Puzzle> {
    form: Form<'r, P>,
    file: String,
    kind: Option<P::Kind>,
    questions: bool,
    ended: bool,
    /// Whether there was anything but a header whose names were guessed.
    found: bool,
}

/// How the puzzles of a text are written.
enum Form<'r, P: Puzzle> {
    Table(Box<Table<'r>>),
    List(Box<List<'r, P>>),
    Xml(Games<'r>),
}

impl<'r, P: Puzzle> PuzzleReader<'r, P> {
    /// Looks at the beginning of a text; `file` is its name for messages.
    ///
    /// # Errors
    /// It can't be read, holds no puzzles at all, or its header lacks a column.
    pub fn new(
        reader: impl BufRead + 'r,
        file: &str,
        options: &ReadOptions<P::Kind>,
    ) -> Result<Self, DatasetError> {
        let form = Form::of(reader, file, options)?;
        Ok(Self {
            form,
            file: file.to_owned(),
            kind: options.kind,
            questions: options.questions,
            ended: false,
            found: false,
        })
    }

    /// What there is to say about a text without a puzzle.
    #[must_use]
    pub fn empty(&self) -> DatasetError {
        let header = match &self.form {
            Form::Table(table) => table.guessed().filter(|_| !self.found),
            _ => None,
        };
        let file = self.file.clone();
        match header {
            Some((line, column, found)) => DatasetError::Header {
                file,
                line,
                column: column.to_owned(),
                found: found.to_vec(),
            },
            None => DatasetError::Empty { file },
        }
    }
}

impl<'r, P: Puzzle> Form<'r, P> {
    fn of(
        reader: impl BufRead + 'r,
        file: &str,
        options: &ReadOptions<P::Kind>,
    ) -> Result<Self, DatasetError> {
        let io = |error| DatasetError::Io {
            file: file.to_owned(),
            error,
        };
        let mut lines = Lines::new(reader);
        let start = lines.start().map_err(io)?;
        if let Some(what) = content::refused(&start) {
            return Err(DatasetError::Content {
                file: file.to_owned(),
                what,
            });
        }
        if content::is_xml(&start) {
            return Ok(Self::Xml(Games::new(lines.into_reader())));
        }
        let is_board = |text: &str| cells::board::<P>(text, options.kind).is_some();
        let remarks = !P::LITERAL;
        let mut separator = None;
        loop {
            let Some(line) = lines.next().map_err(io)? else {
                return Err(DatasetError::Header {
                    file: file.to_owned(),
                    line: 1,
                    column: "question".to_owned(),
                    found: vec![],
                });
            };
            let number = line.number;
            let Ok(text) = line.text.clone() else {
                lines.give_back(line);
                return Ok(Self::List(Box::new(List::new(lines))));
            };
            if text.trim().is_empty() || list::is_comment::<P>(&text) {
                continue;
            }
            // What a spreadsheet writes above the header.
            if let Some(sign) = text.strip_prefix("sep=") {
                separator = sign.bytes().next();
                continue;
            }
            if list::section(&text).is_some() {
                lines.give_back(line);
                return Ok(Self::List(Box::new(List::new(lines))));
            }
            if text.trim_start().starts_with('{') {
                lines.give_back(line);
                return Ok(Self::Table(Box::new(Table::of_objects(lines))));
            }
            let first = first_line(&text, separator, options.columns.as_ref(), is_board);
            return match first {
                FirstLine::Header(header) => Ok(Self::Table(Box::new(Table::new(
                    lines, header, number, remarks,
                )))),
                FirstLine::Row(header) => {
                    lines.give_back(line);
                    Ok(Self::Table(Box::new(Table::new(
                        lines, header, number, remarks,
                    ))))
                }
                // Words with a comma above a list are no header.
                FirstLine::Lacking { .. }
                    if options.columns.is_none() && lines.is_list_next().map_err(io)? =>
                {
                    lines.give_back(line);
                    Ok(Self::List(Box::new(List::new(lines))))
                }
                FirstLine::Lacking { column, found } => Err(DatasetError::Header {
                    file: file.to_owned(),
                    line: number,
                    column,
                    found,
                }),
                FirstLine::Other => {
                    lines.give_back(line);
                    Ok(Self::List(Box::new(List::new(lines))))
                }
            };
        }
    }
}

impl<P: Puzzle> Iterator for PuzzleReader<'_, P> {
    type Item = Result<Entry<P>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let raw = match &mut self.form {
            Form::Table(table) => table.next(),
            Form::List(list) => list.next(self.kind),
            Form::Xml(games) => games.next().map(|game| {
                game.map(|game| entry::Raw {
                    line: game.line,
                    fields: game.cells.map(|cells| entry::Fields {
                        question: cells,
                        source: game.name,
                        ..entry::Fields::default()
                    }),
                })
            }),
        };
        let file = || self.file.clone();
        match raw {
            Ok(None) => {
                self.ended = true;
                None
            }
            Ok(Some(raw)) => {
                self.found = true;
                let line = raw.line;
                let only = self.questions;
                let fields = raw
                    .fields
                    .map(|fields| if only { fields.question() } else { fields });
                let entry = fields.and_then(|fields| fields.read(line, self.kind));
                Some(entry.map_err(|what| DatasetError::Line {
                    file: file(),
                    line,
                    what,
                }))
            }
            Err(error) => {
                self.ended = true;
                Some(Err(DatasetError::Io {
                    file: file(),
                    error,
                }))
            }
        }
    }
}

/// The one puzzle that somebody has typed, pasted or dropped, and how many more the text
/// holds.
///
/// # Errors
/// The text holds none: why the first that might be one is not.
pub fn first_of<P: Puzzle>(text: &str) -> Result<(P, usize), String> {
    // One board may be written in ways in which a collection can't be told from it.
    let whole = match P::parse(text, None) {
        Ok(board) => return Ok((board, 0)),
        Err(error) => error.to_string(),
    };
    let mut problem = None;
    let options = ReadOptions::default();
    match PuzzleReader::<P>::new(text.as_bytes(), "the text", &options) {
        Ok(mut reader) => {
            while let Some(entry) = reader.next() {
                match entry {
                    Ok(entry) => {
                        let more = reader.filter(Result::is_ok).count();
                        return Ok((entry.question, more));
                    }
                    Err(error) => problem = problem.or(Some(error)),
                }
            }
        }
        Err(error) => problem = Some(error),
    }
    // Of a single line, what is wrong with it as a board says most.
    let single = text.trim().lines().count() < 2 && !link::is_link(text);
    Err(match problem {
        Some(DatasetError::Content { what, .. }) => what,
        Some(DatasetError::Line { what, .. }) if !single => what,
        _ => whole,
    })
}
