//! Puzzles in the forms in which people bring them: tables, lists, drawn boards, the files
//! of other programs, links.

use hrm_core::puzzle::reader::{DatasetError, Entry, Notes, PuzzleReader, ReadOptions, first_of};
use hrm_core::puzzle::{Board, GeneratorOptions, Maze, Puzzle, Shape, generate};
use proptest::prelude::*;

/// Two puzzles with their answers.
fn pair(shape: Shape) -> [(Board, Board); 2] {
    [3, 4].map(|seed| {
        let made = generate(seed, &GeneratorOptions::any(shape)).unwrap();
        (made.question, made.answer)
    })
}

fn read<P: Puzzle>(
    text: &str,
    options: &ReadOptions<P::Kind>,
) -> Result<Vec<Result<Entry<P>, String>>, String> {
    let reader = PuzzleReader::new(text.as_bytes(), "t", options).map_err(|e| e.to_string())?;
    Ok(reader
        .map(|entry| entry.map_err(|e| e.to_string()))
        .collect())
}

/// The puzzles of a text in which nothing is wrong.
fn all(text: &str) -> Vec<Entry<Board>> {
    let entries =
        read::<Board>(text, &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}: {text}"));
    let entries = entries
        .into_iter()
        .map(|e| e.unwrap_or_else(|e| panic!("{e}: {text}")));
    entries.collect()
}

fn questions(entries: &[Entry<Board>]) -> Vec<String> {
    entries.iter().map(|e| e.question.to_string()).collect()
}

fn rows(board: &Board) -> Vec<String> {
    let text = board.to_string();
    let side = board.shape().side();
    (0..side)
        .map(|r| text[r * side..(r + 1) * side].to_owned())
        .collect()
}

#[test]
fn tables_are_read_in_every_dialect() {
    for shape in Shape::COMMON {
        let [(a, solved_a), (b, solved_b)] = pair(shape);
        let zeros = |board: &Board| board.to_string().replace('.', "0");
        let quoted = a.to_grid_string();
        for (text, answers, ratings) in [
            // As spreadsheets and programs write them.
            (
                format!("\u{feff}question,answer\r\n{a},{solved_a}\r\n{b},{solved_b}\r\n"),
                true,
                [None; 2],
            ),
            (
                format!(
                    "quizzes,solutions\n{},{solved_a}\n{},{solved_b}\n",
                    zeros(&a),
                    zeros(&b)
                ),
                true,
                [None; 2],
            ),
            (
                format!("Question,Answer\n{a},{solved_a}\n{b},{solved_b}"),
                true,
                [None; 2],
            ),
            (
                format!(
                    "id;PUZZLE;Solution;Difficulty\n1;{a};{solved_a};2,5\n2;{b};{solved_b};7\n"
                ),
                true,
                [Some(3), Some(7)],
            ),
            (
                format!("puzzle\tsolution\n{a}\t{solved_a}\n{b}\t{solved_b}\n"),
                true,
                [None; 2],
            ),
            (
                format!("sep=;\nsudoku;level\n{a};hard\n{b};1e1\n"),
                false,
                [None, Some(10)],
            ),
            (
                format!("source,question,answer,rating\nx,{a},{solved_a},\nx,{b},{solved_b},2.5\n"),
                true,
                [None, Some(3)],
            ),
            (
                format!("source,question,answer,rating\nx,{a},,0\nx,{b},,nan\n"),
                false,
                [Some(0), None],
            ),
            (
                format!("# two puzzles\npuzzle\n{a}\n\n# the other\n{b}\n"),
                false,
                [None; 2],
            ),
            // A drawn board in quotes, over several lines.
            (
                format!("name,question\none,\"{quoted}\"\ntwo,{b}\n"),
                false,
                [None; 2],
            ),
            (
                format!(
                    "{{\"puzzle\": \"{a}\", \"solution\": \"{solved_a}\"}}\n{{\"puzzle\": \"{b}\", \"solution\": \"{solved_b}\"}}\n"
                ),
                true,
                [None; 2],
            ),
            // No header at all.
            (format!("{a},{solved_a}\n{b},{solved_b}\n"), true, [None; 2]),
        ] {
            let entries = all(&text);
            assert_eq!(
                questions(&entries),
                [a.to_string(), b.to_string()],
                "{text}"
            );
            let found: Vec<Option<Board>> = entries.iter().map(|e| e.answer.clone()).collect();
            let expected = [&solved_a, &solved_b].map(|s| answers.then(|| s.clone()));
            assert_eq!(found, expected, "{text}");
            assert_eq!([entries[0].rating, entries[1].rating], ratings, "{text}");
            // Whatever was missing comes from the exact solver.
            let mut notes = Notes::default();
            let rows: Vec<_> = entries
                .into_iter()
                .map(|e| e.into_row(&mut notes).unwrap())
                .collect();
            assert!(rows.iter().all(|row| row.answer.solves(&row.question)));
            assert_eq!(notes.answered, if answers { 0 } else { 2 }, "{text}");
        }
    }
}

#[test]
fn what_reading_adds_is_counted() {
    let [(a, solved), (b, _)] = pair(Shape::S9);
    let text = format!("puzzle,solution,rating\n{a},{solved},easy\n{b},,1.25\n{a},{solved},3\n");
    let mut notes = Notes::default();
    let rows: Vec<_> = all(&text)
        .into_iter()
        .map(|e| e.into_row(&mut notes).unwrap())
        .collect();
    assert_eq!(
        rows.iter().map(|row| row.rating).collect::<Vec<_>>(),
        [0, 1, 3]
    );
    assert_eq!((notes.answered, notes.rounded, notes.in_words), (1, 1, 1));
    assert!(notes.to_string().contains("exact solver") && !notes.is_empty());
}

#[test]
fn collections_are_read_as_their_programs_write_them() {
    let [(a, _), (b, _)] = pair(Shape::S9);
    let (line_a, line_b) = (a.to_string(), b.to_string());
    let rows_a = rows(&a).join("\n");
    let framed = |board: &Board| -> String {
        let bars: Vec<String> = rows(board)
            .iter()
            .map(|r| format!("|{}|{}|{}|", &r[..3], &r[3..6], &r[6..]))
            .collect();
        let bands: Vec<String> = bars.chunks(3).map(|band| band.join("\n")).collect();
        format!(
            "*-----------*\n{}\n*-----------*\n",
            bands.join("\n|---+---+---|\n")
        )
    };
    let spaced = |board: &Board| board.to_grid_string().replace('.', "0");
    let entered = format!(":0100:5:{}:::", line_a.replacen("..", ".+7", 1));
    for (text, second) in [
        (
            format!("# 17 clue list\n{line_a}\n// more\n{line_b}\n"),
            true,
        ),
        (format!("Puzzles, the hardest\n{line_a}\n{line_b}\n"), true),
        (format!("{line_a}:0:22:\n{line_b}\n"), true),
        (format!("{line_a}  ED=1.2/1.2/1.2\n{line_b} # easy\n"), true),
        (format!(":0000:x:{line_a}:::\n"), false),
        (entered, false),
        (format!("#AAuthor\n#LEasy\n{rows_a}\n"), false),
        (
            format!("[Puzzle]\n{rows_a}\n[State]\n{}\n", "123456789\n".repeat(9)),
            false,
        ),
        (format!("{rows_a}\n\n{}\n", rows(&b).join("\r\n")), true),
        (
            format!(
                "Grid 01\n{rows_a}\nGrid 02\n{}\n",
                rows(&b).join("\n").replace('.', "0")
            ),
            true,
        ),
        (framed(&a), false),
        (framed(&a) + "\n" + &framed(&b), true),
        (format!("{}\n{}", a.to_grid_string(), spaced(&b)), true),
        (
            format!("{}\n", rows(&a).join("\n").replace('.', "*")),
            false,
        ),
        (
            format!("{}\n", rows(&a).join("\n").replace('.', "-")),
            false,
        ),
        (format!("\"{line_a}\"\n\"{line_b}\"\n"), true),
        (format!("{line_a}\tsolved\n{line_b}\tnot yet\n"), true),
        (
            rows_a
                .split('\n')
                .map(|r| {
                    r.chars()
                        .map(String::from)
                        .collect::<Vec<_>>()
                        .join(",")
                        .replace('.', "")
                        + "\n"
                })
                .collect(),
            false,
        ),
        (
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<opensudoku>\n<name>x</name>\n<game data=\"{}\" />\n<game data=\"{line_b}\"/></opensudoku>",
                line_a.replace('.', "0")
            ),
            true,
        ),
        (
            format!(
                "https://www.sudokuwiki.org/sudoku.htm?bd={}\nhttps://example.org/{line_b}\n",
                line_a.replace('.', "0")
            ),
            true,
        ),
    ] {
        let expected = if second {
            vec![line_a.clone(), line_b.clone()]
        } else {
            vec![line_a.clone()]
        };
        assert_eq!(questions(&all(&text)), expected, "{text}");
    }
    let titled = all(&format!("Grid 01\n{rows_a}\n"));
    assert_eq!((titled[0].source.as_str(), titled[0].line), ("Grid 01", 2));
}

#[test]
fn one_bad_line_does_not_end_a_list() {
    let [(a, _), (b, _)] = pair(Shape::S9);
    let long = format!("5{a}");
    let text = format!("{a}\n{long}\nthis is nothing\n{b}\n53..7....\n6..195...\n{a}\nthe end\n");
    let entries = read::<Board>(&text, &ReadOptions::default()).unwrap();
    let said: Vec<String> = entries
        .iter()
        .map(|e| {
            e.as_ref()
                .map_or_else(Clone::clone, |e| e.question.to_string())
        })
        .collect();
    assert_eq!(said.len(), 6, "{said:#?}");
    assert_eq!(
        (&said[0], &said[2], &said[4]),
        (&a.to_string(), &b.to_string(), &a.to_string())
    );
    assert!(
        said[1].contains("t, line 2: the text has 82 cells"),
        "{}",
        said[1]
    );
    assert!(
        said[3].contains("line 5: the board that begins here has 2 rows of 9"),
        "{}",
        said[3]
    );
    assert!(
        said[5].contains("line 8: \"the end\" is no puzzle"),
        "{}",
        said[5]
    );

    // The same in a table: quotes that don't close, bytes that are no text, short lines.
    let mut bytes = format!("question,answer\n\"{a},\n{b},\n").into_bytes();
    bytes.extend(b"\xff,\n");
    bytes.extend(format!("{a}\n{b},\n").bytes());
    let reader = PuzzleReader::<Board>::new(&bytes[..], "t", &ReadOptions::default()).unwrap();
    let said: Vec<_> = reader
        .map(|e| e.map(|e| e.line).map_err(|e| e.to_string()))
        .collect();
    assert_eq!((&said[1], &said[4]), (&Ok(3), &Ok(6)));
    for (i, part) in [
        (0, "line 2: a quote that opens"),
        (2, "line 4: not UTF-8"),
        (3, "line 5: only 1 fields"),
    ] {
        let error = said[i].as_ref().unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn messages_name_the_cause() {
    let [(a, solved), _] = pair(Shape::S9);
    let table = |question: &str, answer: &str| format!("question,answer\n{question},{answer}\n");
    let blank = ".".repeat(81);
    let twice = format!("55{}", &a.to_string()[2..]);
    for (text, part) in [
        (table(&a.to_string(), &blank), "the answer is not complete"),
        (
            table(&twice, &solved.to_string()),
            "stand in the same row 1",
        ),
        (
            format!("question,answer,rating\n{a},{solved},-1\n"),
            "rating \"-1\": must be a number",
        ),
        (
            format!("{a}\n").replace('.', ";"),
            "';' is neither a digit nor a blank",
        ),
        (
            "https://sudokupad.app/abc123\n".to_owned(),
            "only its site knows",
        ),
        (
            "<opensudoku><game data=\"12\"/></opensudoku>".to_owned(),
            "the text has 2 cells",
        ),
    ] {
        let entries = read::<Board>(&text, &ReadOptions::default()).unwrap();
        let error = entries[0].as_ref().unwrap_err();
        assert!(error.contains(part), "{error} has no {part:?}");
    }
    // A question that the solver can't answer.
    for (question, part) in [
        (blank.as_str(), "more than one"),
        (
            &format!("12345678.........9{}", &blank[18..]),
            "no solution",
        ),
    ] {
        let entry = all(&format!("puzzle,solution\n{question},\n")).remove(0);
        let error = entry.into_row(&mut Notes::default()).unwrap_err();
        assert!(
            error.contains("the answer is empty") && error.contains(part),
            "{error}"
        );
    }
    for (text, part) in [
        ("PAR1\u{15}\u{4}", "a Parquet file"),
        ("PK\u{3}\u{4}xx", "zip"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            "git lfs pull",
        ),
        ("<!DOCTYPE html><html>not found</html>", "web page"),
        ("a\0b", "not text"),
        (
            "Aufgabe;Lösung\n1;2\n",
            "no column \"question\" among [\"Aufgabe\", \"Lösung\"]",
        ),
    ] {
        let error = read::<Board>(text, &ReadOptions::default()).unwrap_err();
        assert!(error.contains(part), "{error} has no {part:?}");
    }
    let utf16: Vec<u8> = "\u{feff}question"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let error = PuzzleReader::<Board>::new(&utf16[..], "t", &ReadOptions::default())
        .err()
        .unwrap();
    assert!(
        matches!(&error, DatasetError::Content { what, .. } if what.contains("UTF-16")),
        "{error}"
    );
}

#[test]
fn columns_can_be_said() {
    let [(a, solved), _] = pair(Shape::S4);
    let text = format!("Nr;Aufgabe;Lösung\n1;{a};{solved}\n");
    for columns in [
        "Aufgabe,Lösung",
        "2,3",
        "question=Aufgabe,answer=3,source=Nr",
    ] {
        let options = ReadOptions {
            columns: Some(columns.parse().unwrap()),
            kind: Some(Shape::S4),
            ..ReadOptions::default()
        };
        let entries = read::<Board>(&text, &options).unwrap();
        let entry = entries[0].as_ref().unwrap();
        assert_eq!(
            (&entry.question, entry.answer.as_ref()),
            (&a, Some(&solved)),
            "{columns}"
        );
        assert_eq!(entry.source, if columns.contains("Nr") { "1" } else { "" });
        // Without a header the numbers are enough.
        if columns == "2,3" {
            let bare = read::<Board>(&format!("1;{a};{solved}\n"), &options).unwrap();
            assert_eq!(bare[0].as_ref().unwrap().question, a);
        }
    }
    let options = ReadOptions {
        columns: Some("Aufgabe,Antwort".parse().unwrap()),
        kind: None,
        ..ReadOptions::default()
    };
    let error = read::<Board>(&text, &options).unwrap_err();
    assert!(error.contains("no column \"Antwort\""), "{error}");
}

/// In a maze a space is a cell and `#` a wall, whatever stands around it.
#[test]
fn mazes_are_read_as_they_stand() {
    let maze = "#  S     G##    ";
    let drawn = "#  S\n    \n G##\n    \n";
    let options = ReadOptions {
        columns: None,
        kind: "maze-4x4".parse().ok(),
        ..ReadOptions::default()
    };
    let csv = format!("\u{feff}Maze;Solution\n{maze};\n#  S #   G##   x;\n");
    for (text, bad) in [
        (format!("{maze}\n{maze}\n"), 0),
        (format!("{drawn}{drawn}"), 0),
        (format!("{maze}\tsolved\n"), 0),
        (csv, 1),
    ] {
        let entries = read::<Maze>(&text, &options).unwrap();
        let (good, wrong): (Vec<_>, Vec<_>) = entries.into_iter().partition(Result::is_ok);
        assert_eq!(wrong.len(), bad, "{text}: {wrong:?}");
        for entry in good {
            let row = entry.unwrap().into_row(&mut Notes::default()).unwrap();
            assert_eq!(row.question.to_string(), maze);
            assert!(row.answer.solves(&row.question) && row.rating > 0);
        }
    }
    let answer = maze.replace(' ', "o");
    for (question, part) in [
        (maze.replacen(' ', "G", 1), "two goals"),
        (maze.replace('S', " "), "no start"),
        (maze.replace(' ', "S"), "starts"),
        (maze.replace('G', " "), "no goal"),
        (maze.replace("S ", "##"), "no start"),
    ] {
        let text = format!("question,answer\n{question},{answer}\n");
        let error = read::<Maze>(&text, &options).unwrap()[0]
            .clone()
            .unwrap_err();
        assert!(error.contains(part), "{error} has no {part:?}");
    }
}

#[test]
fn what_is_pasted_is_the_first_puzzle_of_it() {
    let [(a, _), (b, _)] = pair(Shape::S9);
    let wrapped = format!("{}\n{}", &a.to_string()[..40], &a.to_string()[40..]);
    for (text, more) in [
        (wrapped, 0),
        (a.to_grid_string(), 0),
        (format!("# list\nhello\n{a}\n{b}\n{b}\n"), 2),
        (format!("puzzle,solution\n{a},\n{b},\n"), 1),
    ] {
        assert_eq!(first_of::<Board>(&text), Ok((a.clone(), more)), "{text}");
    }
    for (text, part) in [
        ("123", "3 cells"),
        ("", "no board"),
        ("1.3...1.2..x..4.", "row 3, column 4"),
        ("https://sudokupad.app/abc", "site"),
        ("a\nb\n", "neither a digit"),
    ] {
        let error = first_of::<Board>(text).unwrap_err();
        assert!(error.contains(part), "{error} has no {part:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[0-9.,;:|#\"<>\\[\\]{}a-c =+*\n\r\t-]{0,400}") {
        for kind in [None, Some(Shape::S4)] {
            let options = ReadOptions { kind, ..ReadOptions::default() };
            for entry in read::<Board>(&text, &options).into_iter().flatten().flatten() {
                prop_assert!(entry.answer.is_none_or(|a| a.solves(&entry.question)));
            }
        }
        let _ = read::<Maze>(&text, &ReadOptions::default());
        let _ = first_of::<Board>(&text);
    }

    #[test]
    fn any_link_is_read_or_refused(packed in "[A-Za-z0-9+/=%]{40,200}") {
        for start in ["https://f-puzzles.com/?load=", "https://sudokupad.app/scl", "fpuz"] {
            let _ = first_of::<Board>(&format!("{start}{packed}"));
        }
    }
}
