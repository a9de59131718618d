//! Which column of a table is which.

use std::str::FromStr;

use super::fields::Splitter;

/// What can stand between the fields of a table, the likeliest first.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// Names of the column of questions, as [`plain`] has them, the surest first.
const QUESTION: [&str; 16] = [
    "question",
    "quizze",
    "quiz",
    "puzzle",
    "sudoku",
    "maze",
    "unsolved",
    "problem",
    "board",
    "grid",
    "given",
    "input",
    "task",
    "initial",
    "unsolvedsudoku",
    "sudokupuzzle",
];
/// The same of answers.
const ANSWER: [&str; 12] = [
    "answer",
    "solution",
    "solved",
    "result",
    "output",
    "target",
    "label",
    "key",
    "final",
    "solvedsudoku",
    "sudokusolution",
    "solutiongrid",
];
/// The same of sources.
const SOURCE: [&str; 6] = ["source", "origin", "name", "title", "id", "puzzleid"];
/// The same of ratings.
const RATING: [&str; 6] = [
    "rating",
    "difficulty",
    "level",
    "guesse",
    "backtrack",
    "score",
];

/// Where the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) question: usize,
    pub(super) answer: Option<usize>,
    pub(super) source: Option<usize>,
    pub(super) rating: Option<usize>,
}

/// The columns of a table by the names that its header gives them, or by their numbers
/// from 1.
///
/// Written `quizzes,solutions` (question, answer, source, rating, as many as there are),
/// or `question=quizzes,rating=level`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ColumnNames {
    question: String,
    answer: Option<String>,
    source: Option<String>,
    rating: Option<String>,
}

/// A text that is no [`ColumnNames`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "columns are named as in `quizzes,solutions` (question, answer, source, rating, in this order) or as in `question=quizzes,answer=solutions`"
)]
pub struct ColumnNamesError;

impl FromStr for ColumnNames {
    type Err = ColumnNamesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ORDER: [&str; 4] = ["question", "answer", "source", "rating"];
        let mut found: [Option<String>; 4] = Default::default();
        for (i, part) in text.split(',').enumerate() {
            let (place, name) = match part.split_once('=') {
                None => (Some(i), part),
                Some((which, name)) => (ORDER.iter().position(|o| *o == which.trim()), name),
            };
            let place = place.and_then(|place| found.get_mut(place));
            let free = place.filter(|free| free.is_none() && !name.trim().is_empty());
            *free.ok_or(ColumnNamesError)? = Some(name.trim().to_owned());
        }
        let [question, answer, source, rating] = found;
        Ok(Self {
            question: question.ok_or(ColumnNamesError)?,
            answer,
            source,
            rating,
        })
    }
}

/// The header of a table.
pub(super) struct Header {
    pub(super) columns: Columns,
    pub(super) separator: u8,
    /// The names that stand there.
    pub(super) found: Vec<String>,
    /// Whether questions and answers have the names of this project's own files.
    pub(super) own: bool,
}

/// What a text's first line is.
pub(super) enum FirstLine {
    /// The header of a table.
    Header(Header),
    /// A row of a table whose columns were given by their numbers.
    Row(Header),
    /// A header without a column that is needed.
    Lacking { column: String, found: Vec<String> },
    /// No part of a table.
    Other,
}

/// Looks at the first line of a text. Its fields are separated by `separator`, or by
/// what turns out to separate them; `is_board` tells boards from other texts.
pub(super) fn first_line(
    line: &str,
    separator: Option<u8>,
    names: Option<&ColumnNames>,
    is_board: impl Fn(&str) -> bool,
) -> FirstLine {
    let split = |separator| Splitter::new(separator).split(line).unwrap_or_default();
    let mut widest: Vec<String> = Vec::new();
    let mut missing = None;
    let separators = separator.map_or(SEPARATORS.to_vec(), |one| vec![one]);
    for separator in separators {
        let found = split(separator);
        let columns = match names {
            Some(names) => names.find(&found),
            None => known(&found).ok_or_else(|| "question".to_owned()),
        };
        match columns {
            Ok(columns) => {
                let row = found.get(columns.question).is_some_and(|f| is_board(f));
                let header = Header {
                    own: names.is_some() || has_own_names(&found, columns),
                    columns,
                    separator,
                    found,
                };
                return if row {
                    FirstLine::Row(header)
                } else {
                    FirstLine::Header(header)
                };
            }
            Err(column) => {
                if found.len() > widest.len() || missing.is_none() {
                    (widest, missing) = (found, Some(column));
                }
            }
        }
    }
    let is_name = |field: &String| {
        let field = field.trim();
        field.starts_with(char::is_alphabetic) && !is_board(field)
    };
    match missing {
        Some(column)
            if line.is_empty()
                || names.is_some()
                || (widest.len() > 1 && widest.iter().all(is_name)) =>
        {
            FirstLine::Lacking {
                column,
                found: widest,
            }
        }
        _ => FirstLine::Other,
    }
}

impl ColumnNames {
    /// The columns among `found`, or the one that is not there.
    fn find(&self, found: &[String]) -> Result<Columns, String> {
        let find = |name: &String| {
            let by_name = found.iter().position(|f| f.trim() == name);
            let alike = || found.iter().position(|f| plain(f) == plain(name));
            let number: Option<usize> = name.parse().ok();
            let by_number = number
                .and_then(|n| n.checked_sub(1))
                .filter(|i| *i < found.len());
            by_name
                .or_else(alike)
                .or(by_number)
                .ok_or_else(|| name.clone())
        };
        let perhaps = |name: &Option<String>| name.as_ref().map(find).transpose();
        Ok(Columns {
            question: find(&self.question)?,
            answer: perhaps(&self.answer)?,
            source: perhaps(&self.source)?,
            rating: perhaps(&self.rating)?,
        })
    }
}

/// The columns whose names are known; none without one of questions.
pub(super) fn known(found: &[String]) -> Option<Columns> {
    let found: Vec<String> = found.iter().map(|name| plain(name)).collect();
    let find = |names: &[&str]| {
        let mut places = names
            .iter()
            .filter_map(|name| found.iter().position(|f| f == name));
        places.next()
    };
    Some(Columns {
        question: find(&QUESTION)?,
        answer: find(&ANSWER),
        source: find(&SOURCE),
        rating: find(&RATING),
    })
}

/// A name in lower case, without what varies: spaces, dashes, the plural.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let lower: String = letters.flat_map(char::to_lowercase).collect();
    lower.strip_suffix('s').map(str::to_owned).unwrap_or(lower)
}

fn has_own_names(found: &[String], columns: Columns) -> bool {
    let named = |place: usize, name: &str| found.get(place).is_some_and(|f| f.trim() == name);
    named(columns.question, "question") && columns.answer.is_some_and(|a| named(a, "answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str, names: Option<&str>) -> FirstLine {
        let names: Option<ColumnNames> = names.map(|n| n.parse().unwrap());
        first_line(line, None, names.as_ref(), |f| f.starts_with(['.', '1']))
    }

    #[test]
    fn every_dialect_of_a_header_is_known() {
        for (line, separator, places) in [
            ("source,question,answer,rating", b',', (1, Some(2))),
            ("quizzes,solutions", b',', (0, Some(1))),
            ("Puzzle;Solution;Level", b';', (0, Some(1))),
            ("id\tUNSOLVED\tSOLVED", b'\t', (1, Some(2))),
            ("\"sudoku\" | \"difficulty\"", b'|', (0, None)),
            ("id,puzzle,clues,solution,difficulty", b',', (1, Some(3))),
            ("puzzles", b',', (0, None)),
        ] {
            let FirstLine::Header(found) = header(line, None) else {
                panic!("{line} is no header");
            };
            let columns = (found.columns.question, found.columns.answer);
            assert_eq!((found.separator, columns), (separator, places), "{line}");
            assert_eq!(found.own, line.contains("question"), "{line}");
        }
        assert!(matches!(header("1.3.,1234", None), FirstLine::Other));
        assert!(matches!(header("Grid 01", None), FirstLine::Other));
        let FirstLine::Lacking { column, found } = header("Aufgabe;Lösung", None) else {
            panic!("read without names");
        };
        assert_eq!((column.as_str(), found.len()), ("question", 2));
    }

    #[test]
    fn columns_can_be_named_and_numbered() {
        let names = "Aufgabe,Lösung";
        assert!(matches!(
            header("Nr;Aufgabe;Lösung", Some(names)),
            FirstLine::Header(h) if h.columns.answer == Some(2) && h.separator == b';'
        ));
        assert!(matches!(
            header("x,.1..,1234", Some("question=2,answer=3")),
            FirstLine::Row(h) if h.columns.question == 1
        ));
        assert!(matches!(
            header("a,b", Some("a,c")),
            FirstLine::Lacking { column, .. } if column == "c"
        ));
        for wrong in [
            "",
            "a,,b",
            "a,b,c,d,e",
            "what=a",
            "answer=a",
            "question=a,question=b",
        ] {
            assert_eq!(
                wrong.parse::<ColumnNames>(),
                Err(ColumnNamesError),
                "{wrong}"
            );
        }
    }
}
