//! Lists: one puzzle a line, or one row of a board a line.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;

use super::cells::{boards, is_rule, row};
use super::entry::{Fields, Raw};
use super::lines::{Line, Lines};
use super::link;
use crate::puzzle::Puzzle;

/// Characters of a row at most, and lines of a paragraph, where every character counts.
const LONGEST_ROW: usize = 64;
const LONGEST_PARAGRAPH: usize = 4096;

/// A list that is being read.
pub(super) struct List<'r, P: Puzzle> {
    lines: Lines<'r>,
    ready: VecDeque<Raw>,
    block: Option<Block>,
    /// A line of prose, which is the title of a board that follows.
    title: Option<(u64, String)>,
    /// Within a section such as `[State]`, which is not about the puzzle.
    elsewhere: bool,
    /// Lines without an empty one between them, where every character counts: a board
    /// each, or the rows of one.
    paragraph: Vec<(u64, String)>,
    puzzle: PhantomData<P>,
}

/// The rows of a board, as far as they have come.
struct Block {
    line: u64,
    source: String,
    rows: Vec<String>,
    /// Whether `-` is its sign for a blank.
    dashed: bool,
}

impl Block {
    fn side(&self) -> usize {
        self.rows.first().map_or(0, |row| row.chars().count())
    }
}

/// Whether a line is a remark. In a maze `#` is a wall.
pub(super) fn is_comment<P: Puzzle>(line: &str) -> bool {
    let line = line.trim_start();
    !P::LITERAL && (line.starts_with('#') || line.starts_with("//"))
}

impl<'r, P: Puzzle> List<'r, P> {
    pub(super) fn new(lines: Lines<'r>) -> Self {
        Self {
            lines,
            ready: VecDeque::new(),
            block: None,
            title: None,
            elsewhere: false,
            paragraph: Vec::new(),
            puzzle: PhantomData,
        }
    }

    /// The next puzzle, all of this kind if that is known.
    pub(super) fn next(&mut self, kind: Option<P::Kind>) -> io::Result<Option<Raw>> {
        loop {
            if let Some(raw) = self.ready.pop_front() {
                return Ok(Some(raw));
            }
            match self.lines.next()? {
                Some(line) => self.take(line, kind),
                None => {
                    self.end_paragraph(kind);
                    self.end_block();
                    self.end_title();
                    return Ok(self.ready.pop_front());
                }
            }
        }
    }

    fn take(&mut self, line: Line, kind: Option<P::Kind>) {
        let number = line.number;
        let text = match line.text {
            Ok(text) => text,
            Err(what) => return self.refuse(number, what),
        };
        if P::LITERAL {
            return self.literal(number, text, kind);
        }
        if text.trim().is_empty() || is_comment::<P>(&text) {
            return;
        }
        if let Some(name) = section(&text) {
            self.end_block();
            self.elsewhere = !name.eq_ignore_ascii_case("puzzle");
            return;
        }
        if self.elsewhere {
            return;
        }
        let dashes = self
            .block
            .as_ref()
            .is_some_and(|block| block.dashed && text.trim() == "-".repeat(block.side()));
        if !dashes && is_rule(&text) {
            return;
        }
        if link::is_link(&text) {
            let question = link::cells(&text);
            return self.whole(number, question.map(|question| (question, None)));
        }
        if let Some(found) = hodoku(&text).or_else(|| boards::<P>(&text, kind)) {
            return self.whole(number, Ok(found));
        }
        match row::<P>(&text, kind) {
            Some(cells) => self.row(number, &text, cells),
            None if is_title(&text) => {
                self.end_block();
                self.end_title();
                self.title = Some((number, text));
            }
            // Perhaps a board with space between all its cells; if not, why not.
            None => self.whole(number, Ok((text, None))),
        }
    }

    /// A line where every character counts: a board, or part of one that is drawn.
    fn literal(&mut self, number: u64, text: String, kind: Option<P::Kind>) {
        if text.is_empty() {
            return self.end_paragraph(kind);
        }
        // Too long for a row.
        let whole = self.paragraph.is_empty() && text.chars().count() > LONGEST_ROW;
        match boards::<P>(&text, kind).filter(|_| whole) {
            Some(found) => self.whole(number, Ok(found)),
            None => self.paragraph.push((number, text)),
        }
        if self.paragraph.len() >= LONGEST_PARAGRAPH {
            self.end_paragraph(kind);
        }
    }

    /// Hands out the boards of a paragraph: drawn one below the other, one a line, or one
    /// in other signs.
    fn end_paragraph(&mut self, kind: Option<P::Kind>) {
        let lines = std::mem::take(&mut self.paragraph);
        let Some((first, line)) = lines.first() else {
            return;
        };
        let side = line.chars().count();
        let is_row = |text: &str| text.chars().count() == side && row::<P>(text, kind).is_some();
        let drawn = |lines: &[(u64, String)]| {
            let rows: Vec<&str> = lines.iter().map(|(_, row)| row.as_str()).collect();
            rows.join("\n")
        };
        if lines.len().is_multiple_of(side) && lines.iter().all(|(_, text)| is_row(text)) {
            for board in lines.chunks_exact(side) {
                self.whole(board[0].0, Ok((drawn(board), None)));
            }
        } else if lines.len() == 1
            || lines
                .iter()
                .any(|(_, text)| boards::<P>(text, kind).is_some())
        {
            for (number, text) in lines {
                let found = boards::<P>(&text, kind).unwrap_or((text, None));
                self.whole(number, Ok(found));
            }
        } else {
            self.whole(*first, Ok((drawn(&lines), None)));
        }
    }

    /// A line that holds a whole board.
    fn whole(&mut self, line: u64, found: Result<(String, Option<String>), String>) {
        self.end_block();
        let source = self
            .title
            .take()
            .map_or_else(String::new, |(_, title)| title);
        let fields = found.map(|(question, answer)| Fields {
            question,
            answer: answer.unwrap_or_default(),
            source,
            ..Fields::default()
        });
        self.ready.push_back(Raw { line, fields });
    }

    /// A line that holds a row of one.
    fn row(&mut self, line: u64, text: &str, cells: String) {
        let side = cells.chars().count();
        if self
            .block
            .as_ref()
            .is_some_and(|block| block.side() != side)
        {
            self.end_block();
        }
        let title = &mut self.title;
        let block = self.block.get_or_insert_with(|| Block {
            line,
            source: title.take().map_or_else(String::new, |(_, title)| title),
            rows: Vec::new(),
            dashed: false,
        });
        block.dashed |= text.trim().chars().count() == side && text.contains('-');
        block.rows.push(cells);
        if block.rows.len() == side {
            self.end_block();
        }
    }

    /// Hands out the board whose rows have come, whole or not.
    fn end_block(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        let (side, found) = (block.side(), block.rows.len());
        let fields = if found == side {
            Ok(Fields {
                question: block.rows.join("\n"),
                source: block.source,
                ..Fields::default()
            })
        } else {
            Err(format!(
                "the board that begins here has {found} rows of {side}"
            ))
        };
        self.ready.push_back(Raw {
            line: block.line,
            fields,
        });
    }

    /// A title that no board has followed was a line that is no puzzle.
    fn end_title(&mut self) {
        if let Some((line, title)) = self.title.take() {
            self.refuse(line, format!("{title:?} is no puzzle"));
        }
    }

    fn refuse(&mut self, line: u64, what: String) {
        self.end_block();
        self.ready.push_back(Raw {
            line,
            fields: Err(what),
        });
    }
}

/// The name of a section of a file, `[Puzzle]`.
pub(super) fn section(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix('[')?.strip_suffix(']')?;
    name.chars().all(char::is_alphabetic).then_some(name)
}

/// The givens of a line of HoDoKu's library, `:0000:x:53+4..7…:::`; what stands after a
/// `+` was entered.
fn hodoku(line: &str) -> Option<(String, Option<String>)> {
    let fields: Vec<&str> = line.trim().strip_prefix(':')?.split(':').collect();
    let givens = fields.get(2).filter(|_| fields.len() >= 4)?;
    let mut cells = String::new();
    let mut characters = givens.chars();
    while let Some(character) = characters.next() {
        match character {
            '+' => {
                characters.next();
                cells.push('.');
            }
            other => cells.push(other),
        }
    }
    Some((cells, None))
}

/// Whether a line is prose: some word, and not what could be meant as a board.
fn is_title(line: &str) -> bool {
    let word = |part: &str| part.chars().count() >= 3;
    let words = line.split(|c: char| !c.is_alphabetic()).any(word);
    let cells = line.chars().filter(|&c| matches!(c, '.' | '_' | '0'..='9'));
    words && cells.count() < 16
}
