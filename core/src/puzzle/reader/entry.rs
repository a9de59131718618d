//! A puzzle of a text, from its fields to its boards.

use std::fmt;

use super::cells;
use crate::puzzle::{Board, Puzzle};

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

/// A puzzle as somebody has written it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<P> {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Where it comes from.
    pub source: String,
    /// The puzzle.
    pub question: P,
    /// Its answer, if there is one beside it; it is right.
    pub answer: Option<P>,
    /// How hard it is, if that is said in a number.
    pub rating: Option<u32>,
    /// Whether the number was a fraction.
    pub rounded: bool,
    /// Whether it was said in words.
    pub in_words: bool,
    /// Which sign was read as what, where others than the kind's own were used.
    pub said: Option<String>,
}

/// What reading has made of a file beyond what stands in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Answers that the exact solver has found.
    pub answered: u64,
    /// Ratings that were fractions.
    pub rounded: u64,
    /// Ratings that were words and count as 0.
    pub in_words: u64,
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (
                self.answered,
                "answers were not there and come from the exact solver",
            ),
            (self.rounded, "ratings were rounded to whole numbers"),
            (self.in_words, "ratings were words and count as 0"),
        ];
        let said = parts.iter().filter(|(count, _)| *count > 0);
        let said: Vec<String> = said
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        f.write_str(&said.join("; "))
    }
}

impl Notes {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<P: Puzzle> Entry<P> {
    /// The puzzle with its answer, found by the exact solver if there was none.
    ///
    /// # Errors
    /// In words: the solver finds none, or more than one.
    pub fn into_row(self, notes: &mut Notes) -> Result<Row<P>, String> {
        let (answer, found) = match self.answer {
            Some(answer) => (answer, 0),
            None => {
                let answered = self.question.answered();
                let (answer, rating) =
                    answered.map_err(|what| format!("the answer is empty, and {what}"))?;
                notes.answered += 1;
                (answer, rating)
            }
        };
        notes.rounded += u64::from(self.rounded);
        notes.in_words += u64::from(self.in_words);
        Ok(Row {
            source: self.source,
            question: self.question,
            answer,
            rating: self.rating.unwrap_or(if self.in_words { 0 } else { found }),
        })
    }
}

/// A puzzle before its boards are read, or what is wrong with its line.
pub(super) struct Raw {
    pub(super) line: u64,
    pub(super) fields: Result<Fields, String>,
}

/// The texts of a puzzle.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) question: String,
    /// Empty if there is none.
    pub(super) answer: String,
    pub(super) rating: String,
    pub(super) source: String,
}

impl Fields {
    /// Without what is known about the question.
    pub(super) fn question(self) -> Self {
        Self {
            question: self.question,
            source: self.source,
            ..Self::default()
        }
    }

    /// Reads the boards and checks that they belong together.
    pub(super) fn read<P: Puzzle>(
        self,
        line: u64,
        kind: Option<P::Kind>,
    ) -> Result<Entry<P>, String> {
        let board = |text: &str, kind: Option<P::Kind>, what: &str| {
            let text = spelled::<P>(text, kind);
            board::<P>(&text, kind).map_err(|error| format!("{what}{error}"))
        };
        // Where a question stands alone, there is no need to say what is wrong.
        let alone = self.answer.is_empty() && self.rating.is_empty();
        let question = if alone { "" } else { "question: " };
        let (question, said) = board(&self.question, kind, question)?;
        let answer = match self.answer.trim().is_empty() {
            true => None,
            false => Some(board(&self.answer, Some(question.kind()), "answer: ")?.0),
        };
        if let Some(flaw) = question.flaw() {
            return Err(flaw);
        }
        if let Some(fault) = answer.as_ref().and_then(|a| a.fault(&question)) {
            return Err(fault);
        }
        let rating = Rating::of(&self.rating)?;
        Ok(Entry {
            line,
            source: self.source,
            question,
            answer,
            rating: rating.number(),
            rounded: matches!(rating, Rating::Rounded(_)),
            in_words: matches!(rating, Rating::Words),
            said,
        })
    }
}

/// A board in its own signs, or drawn in others; then also which were read as what.
pub(super) fn board<P: Puzzle>(
    text: &str,
    kind: Option<P::Kind>,
) -> Result<(P, Option<String>), String> {
    let error = match P::parse(text, kind) {
        Ok(board) => return Ok((board, None)),
        Err(error) => error.to_string(),
    };
    match P::drawn(text) {
        Some(Ok((board, said))) if kind.is_none_or(|kind| board.kind() == kind) => {
            Ok((board, Some(said)))
        }
        Some(Ok((board, _))) => {
            let (found, wanted) = (
                board.kind(),
                kind.map_or_else(String::new, |k| k.to_string()),
            );
            Err(format!("it is a {found}, and not a {wanted}"))
        }
        // Of a drawing, what is wrong with it as one says most.
        Some(Err(what)) if text.trim().contains('\n') => Err(what),
        _ => Err(error),
    }
}

/// The characters of a board as this project writes them.
fn spelled<P: Puzzle>(text: &str, kind: Option<P::Kind>) -> String {
    if P::LITERAL {
        return text.to_owned();
    }
    // `[[5, 3, 0, …], …]`, as lists of programs are printed.
    let text: String = if text.trim_start().starts_with('[') {
        text.chars().filter(|c| !"[], ".contains(*c)).collect()
    } else {
        text.trim().to_owned()
    };
    cells::board::<P>(&text, kind).unwrap_or(text)
}

/// What a field says about how hard a puzzle is.
enum Rating {
    None,
    Number(u32),
    Rounded(u32),
    Words,
}

impl Rating {
    fn of(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if ["", "-", "nan", "null", "none", "na", "n/a"].contains(&text.to_lowercase().as_str()) {
            return Ok(Self::None);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        match text.replace(',', ".").parse::<f64>() {
            Ok(number) if number >= 0.0 && number.fract() == 0.0 => Ok(Self::Number(number as u32)),
            // Beyond the largest it is that.
            Ok(number) if number >= 0.0 => Ok(Self::Rounded(number.round() as u32)),
            Err(_) if text.contains(char::is_alphabetic) => Ok(Self::Words),
            _ => Err(format!("rating {text:?}: must be a number from 0 up")),
        }
    }

    fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) | Self::Rounded(number) => Some(*number),
            Self::None | Self::Words => None,
        }
    }
}
