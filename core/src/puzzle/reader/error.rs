//! What can be wrong with a puzzle file.

use std::io;

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
    /// What is in the file can't be puzzles.
    #[error("{file}: {what}")]
    Content {
        /// Name of the file.
        file: String,
        /// What it is, and what to do about it.
        what: String,
    },
    /// The header lacks a column.
    #[error("{file}, line {line}: there is no column {column:?} among {found:?}")]
    Header {
        /// Name of the file.
        file: String,
        /// The header's line.
        line: u64,
        /// The missing column.
        column: String,
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
