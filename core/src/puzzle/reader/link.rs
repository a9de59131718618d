//! Puzzles within links: those of f-puzzles and SudokuPad, and any address that has the
//! digits in it.

use serde_json::Value;

/// Whether a line is a link, or the part of one that holds a puzzle.
pub(super) fn is_link(line: &str) -> bool {
    let line = line.trim();
    let site = line.starts_with("https://") || line.starts_with("http://");
    (site || payload(line).is_some()) && !line.contains(char::is_whitespace)
}

/// The cells that a link holds, row by row with `.` for a blank.
///
/// # Errors
/// It holds none, or a puzzle with rules beyond those of a Sudoku.
pub(super) fn cells(link: &str) -> Result<String, String> {
    let link = unescaped(link.trim());
    if let Some((form, packed)) = payload(&link) {
        let text = unpacked(packed).ok_or("the link is cut short or damaged")?;
        let Ok(puzzle) = serde_json::from_str::<Value>(&text) else {
            return Err(match form {
                Form::SudokuPad => {
                    "the link holds a puzzle in SudokuPad's own short form; open it there and \
                     copy its digits"
                        .to_owned()
                }
                Form::FPuzzles => "the link is cut short or damaged".to_owned(),
            });
        };
        return grid(&puzzle);
    }
    // Digits anywhere in the address: `…?bd=53..7…`, `…/play/530070…`.
    let parts = link.split(|c: char| !(c.is_ascii_alphanumeric() || "._-*".contains(c)));
    let long = parts.filter(|part| [81, 36, 16].contains(&part.len()));
    long.filter(|part| part.chars().any(|c| c.is_ascii_digit()))
        .find(|part| {
            part.chars()
                .all(|c| c.is_ascii_digit() || "._-*x".contains(c))
        })
        .map(|part| part.replace(['-', '*', 'x'], "."))
        .ok_or_else(|| {
            "the link names a puzzle that only its site knows; open it there and copy its digits"
                .to_owned()
        })
}

/// Whose form a packed puzzle has.
#[derive(Clone, Copy)]
enum Form {
    FPuzzles,
    SudokuPad,
}

/// The packed puzzle of a link.
fn payload(link: &str) -> Option<(Form, &str)> {
    let end = |text| str::find(text, ['&', '#']).map_or(text, |end| &text[..end]);
    if let Some((_, load)) = link.split_once("load=") {
        return Some((Form::FPuzzles, end(load)));
    }
    let last = match link.split_once("puzzleid=") {
        Some((_, id)) => id,
        None if link.contains("://") => link.split_once("://")?.1.split_once('/')?.1,
        None => link,
    };
    let last = end(last);
    for (mark, form) in [
        ("fpuzzles", Form::FPuzzles),
        ("fpuz", Form::FPuzzles),
        ("scl", Form::SudokuPad),
        ("scf", Form::SudokuPad),
        ("ctc", Form::SudokuPad),
    ] {
        // Shorter than this it is a word.
        if let Some(packed) = last.strip_prefix(mark).filter(|packed| packed.len() >= 40) {
            return Some((form, packed));
        }
    }
    None
}

/// The text that LZ-String has packed as Base64.
fn unpacked(packed: &str) -> Option<String> {
    // What addresses do to Base64.
    let packed = packed.replace([' ', '-'], "+").replace('_', "/");
    let units = lz_str::decompress_from_base64(packed.trim_end_matches('='))?;
    String::from_utf16(&units)
        .ok()
        .filter(|text| !text.is_empty())
}

/// A text without the `%2B` of addresses.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = after.get(..2).filter(|_| *first == b'%');
        let code = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a puzzle of f-puzzles or SudokuPad may have without another rule: words, and
/// drawing.
const HARMLESS: [&str; 27] = [
    "size",
    "title",
    "author",
    "ruleset",
    "rules",
    "solution",
    "grid",
    "cells",
    "metadata",
    "msgcorrect",
    "successMessage",
    "highlightConflicts",
    "id",
    "cellSize",
    "settings",
    "text",
    "line",
    "rectangle",
    "circle",
    "regions",
    "lines",
    "overlays",
    "underlays",
    "arrows",
    "disabledlogic",
    "truecandidatesoptions",
    "version",
];

/// The givens of a puzzle, if it is a plain Sudoku.
fn grid(puzzle: &Value) -> Result<String, String> {
    // f-puzzles marks what is given, SudokuPad has no other digits.
    let (rows, marked) = match (puzzle["grid"].as_array(), puzzle["cells"].as_array()) {
        (Some(grid), _) => (grid, true),
        (None, Some(cells)) => (cells, false),
        (None, None) => return Err("the link holds no board".to_owned()),
    };
    let is_rule = |value: &Value| match value {
        Value::Bool(on) => *on,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    };
    let further: Vec<&str> = puzzle
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| !HARMLESS.contains(&name.as_str()) && is_rule(value))
        .map(|(name, _)| name.as_str())
        // A cage without a sum frames a title.
        .filter(|name| *name != "cages" || has_sums(&puzzle["cages"]))
        .collect();
    if !further.is_empty() {
        return Err(format!(
            "the puzzle has rules beyond those of a Sudoku: {}",
            further.join(", ")
        ));
    }
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let row = row.as_array().filter(|row| row.len() == rows.len());
        let row = row.ok_or_else(|| format!("row {} of the link's board is not whole", i + 1))?;
        text.extend(row.iter().map(|cell| given(cell, marked)));
    }
    if rows
        .iter()
        .any(|row| row.as_array().is_some_and(|r| r.iter().any(has_region)))
    {
        return Err("the puzzle has boxes of its own shapes".to_owned());
    }
    Ok(text)
}

/// A cell's digit if it is given, `.` otherwise; `marked`: whether givens say so.
fn given(cell: &Value, marked: bool) -> char {
    let digit = match &cell["value"] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    match digit {
        Some(digit @ 1..=9) if !marked || cell["given"] == true => char::from(b'0' + digit as u8),
        _ => '.',
    }
}

/// Whether a cell of f-puzzles belongs to another box than usual.
fn has_region(cell: &Value) -> bool {
    cell.get("region").is_some_and(|region| !region.is_null())
}

fn has_sums(cages: &Value) -> bool {
    let mut cages = cages.as_array().into_iter().flatten();
    cages.any(|cage| cage.get("sum").is_some() || cage["value"].as_str().is_some_and(is_number))
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pack(puzzle: &Value) -> String {
        lz_str::compress_to_base64(&puzzle.to_string())
    }

    /// A 4x4 board of f-puzzles with one given and one entered digit.
    fn puzzle() -> Value {
        let mut grid = json!([
            [{}, {}, {}, {}],
            [{}, {}, {}, {}],
            [{}, {}, {}, {}],
            [{}, {}, {}, {}]
        ]);
        grid[0][1] = json!({"value": 3, "given": true});
        grid[2][0] = json!({"value": 4, "given": false});
        grid[3][3] = json!({"value": 2, "given": true});
        json!({"size": 4, "title": "T", "grid": grid, "thermometer": [], "text": [{"value": "x"}]})
    }

    #[test]
    fn links_of_f_puzzles_and_sudokupad_are_unpacked() {
        let packed = pack(&puzzle());
        let escaped = packed
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        for link in [
            format!("https://www.f-puzzles.com/?load={packed}"),
            format!("https://f-puzzles.com/?load={escaped}&x=1"),
            format!("https://sudokupad.app/fpuz{escaped}"),
            format!("https://sudokupad.app/?puzzleid=fpuzzles{escaped}"),
            format!("fpuz{packed}"),
        ] {
            assert!(is_link(&link), "{link}");
            assert_eq!(cells(&link).as_deref(), Ok(".3.............2"), "{link}");
        }
        let native =
            json!({"cells": vec![vec![json!({"value": "1"}); 4]; 4], "regions": [[[0, 0]]]});
        let link = format!("https://sudokupad.app/scl{}", pack(&native));
        assert_eq!(cells(&link).as_deref(), Ok("1111111111111111"));
    }

    #[test]
    fn digits_in_an_address_are_enough() {
        let digits = "530070000".repeat(9);
        for link in [
            format!("https://www.sudokuwiki.org/sudoku.htm?bd={digits}"),
            format!("https://example.org/play/{digits}#x"),
        ] {
            assert_eq!(cells(&link), Ok(digits.clone()), "{link}");
        }
        let error = cells("https://sudokupad.app/abc123").unwrap_err();
        assert!(error.contains("only its site knows"), "{error}");
    }

    #[test]
    fn other_rules_and_damage_are_named() {
        let mut other = puzzle();
        other["thermometer"] = json!([{"lines": [["R1C1", "R1C2"]]}]);
        other["antiknight"] = json!(true);
        let error = cells(&format!("fpuz{}", pack(&other))).unwrap_err();
        assert!(error.contains("antiknight, thermometer"), "{error}");
        let mut shapes = puzzle();
        shapes["grid"][0][0] = json!({"region": 3});
        let error = cells(&format!("fpuz{}", pack(&shapes))).unwrap_err();
        assert!(error.contains("boxes of its own"), "{error}");
        let whole = format!("https://f-puzzles.com/?load={}", pack(&puzzle()));
        for end in [whole.len() / 2, whole.len() - 30] {
            assert!(cells(&whole[..end]).is_err());
        }
        assert!(!is_link("53..7....6..195"));
    }
}
