//! Tables: one puzzle a record, its parts in columns.

use std::io;

use serde_json::Value;

use super::columns::{Columns, Header, known};
use super::entry::{Fields, Raw};
use super::fields::Splitter;
use super::lines::{Line, Lines};

/// Lines that a field in quotes may have.
const LINES_OF_A_FIELD: usize = 64;

/// A table that is being read.
pub(super) struct Table<'r> {
    lines: Lines<'r>,
    form: Form,
}

enum Form {
    /// Fields between separators.
    Fields {
        header: Box<Header>,
        /// Its line.
        at: u64,
        splitter: Box<Splitter>,
        /// Whether lines that begin with `#` are remarks.
        remarks: bool,
    },
    /// An object of JSON a line.
    Objects,
}

impl<'r> Table<'r> {
    /// The lines after a header.
    pub(super) fn new(lines: Lines<'r>, header: Header, at: u64, remarks: bool) -> Self {
        let splitter = Box::new(Splitter::new(header.separator));
        let header = Box::new(header);
        Self {
            lines,
            form: Form::Fields {
                header,
                at,
                splitter,
                remarks,
            },
        }
    }

    /// Lines with an object each.
    pub(super) fn of_objects(lines: Lines<'r>) -> Self {
        Self {
            lines,
            form: Form::Objects,
        }
    }

    /// The line and the names of a header that is not one of this project, and what it
    /// lacks to be one.
    pub(super) fn guessed(&self) -> Option<(u64, &'static str, &[String])> {
        match &self.form {
            Form::Fields { header, at, .. } if !header.own => {
                let has = |name: &str| header.found.iter().any(|found| found.trim() == name);
                let lacks = if has("question") {
                    "answer"
                } else {
                    "question"
                };
                Some((*at, lacks, &header.found))
            }
            _ => None,
        }
    }

    /// The next record.
    pub(super) fn next(&mut self) -> io::Result<Option<Raw>> {
        loop {
            let Some(line) = self.lines.next()? else {
                return Ok(None);
            };
            let number = line.number;
            let text = match line.text {
                Ok(text) if text.is_empty() => continue,
                Ok(text) => text,
                Err(what) => {
                    return Ok(Some(Raw {
                        line: number,
                        fields: Err(what),
                    }));
                }
            };
            let fields = match &mut self.form {
                Form::Objects if text.trim().is_empty() => continue,
                Form::Objects => object(&text),
                Form::Fields {
                    header,
                    splitter,
                    remarks,
                    ..
                } => match record(&mut self.lines, splitter, text)? {
                    Ok(record) if *remarks && is_remark(&record, header) => continue,
                    Ok(record) => fields(&record, &header.columns),
                    Err(what) => Err(what),
                },
            };
            return Ok(Some(Raw {
                line: number,
                fields,
            }));
        }
    }
}

/// Whether a record is a remark: it begins with `#`, and where its question should stand
/// is nothing as long as one.
fn is_remark(record: &[String], header: &Header) -> bool {
    let question = record.get(header.columns.question);
    record.first().is_some_and(|first| first.starts_with('#'))
        && question.is_none_or(|q| q.trim_start_matches('#').trim().len() < 16 || q.contains(' '))
}

/// The fields of a record, whose first line this is.
fn record(
    lines: &mut Lines<'_>,
    splitter: &mut Splitter,
    mut text: String,
) -> io::Result<Result<Vec<String>, String>> {
    let first = text.len();
    let mut more: Vec<Line> = Vec::new();
    loop {
        if let Some(record) = splitter.split(&text) {
            return Ok(Ok(record));
        }
        match lines.next()?.filter(|_| more.len() < LINES_OF_A_FIELD) {
            Some(line) => {
                text.push('\n');
                text.push_str(line.text.as_deref().unwrap_or_default());
                more.push(line);
            }
            None => {
                // The quote was a slip of this line: the others stand for themselves.
                text.truncate(first);
                for line in more.into_iter().rev() {
                    lines.give_back(line);
                }
                return Ok(Err("a quote that opens here does not close".to_owned()));
            }
        }
    }
}

fn fields(record: &[String], columns: &Columns) -> Result<Fields, String> {
    let field = |place: usize, name: &str| {
        record.get(place).cloned().ok_or_else(|| {
            let found = record.len();
            format!("only {found} fields, none for {name}")
        })
    };
    let perhaps = |place: Option<usize>, name: &str| match place {
        None => Ok(String::new()),
        Some(place) => field(place, name),
    };
    Ok(Fields {
        question: field(columns.question, "question")?,
        answer: perhaps(columns.answer, "answer")?,
        rating: perhaps(columns.rating, "rating")?,
        source: perhaps(columns.source, "source")?,
    })
}

/// The fields of a line of JSON.
fn object(text: &str) -> Result<Fields, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("not an object of JSON: {error}"))?;
    let object = value.as_object().ok_or("not an object of JSON")?;
    let names: Vec<String> = object.keys().cloned().collect();
    let columns =
        known(&names).ok_or_else(|| format!("there is no \"question\" among {names:?}"))?;
    let text = |place: Option<usize>| {
        let value = place.and_then(|place| object.get(names.get(place)?));
        match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    };
    Ok(Fields {
        question: text(Some(columns.question)),
        answer: text(columns.answer),
        rating: text(columns.rating),
        source: text(columns.source),
    })
}
