//! Puzzle files, read and written, whole and broken.
#![cfg(feature = "data")]

use std::path::{Path, PathBuf};

use hrm_core::puzzle::dataset::{DatasetError, Row, read, read_file, write, write_file};
use hrm_core::puzzle::{GeneratorOptions, Shape, generate};
use proptest::prelude::*;

fn rows() -> Vec<Row> {
    (0..6)
        .map(|seed| {
            let shape = Shape::COMMON[seed as usize % 3];
            let made = generate(seed, &GeneratorOptions::minimal(shape)).unwrap();
            Row {
                source: format!("test, \"{seed}\""),
                question: made.question,
                answer: made.answer,
                rating: made.guesses as u32,
            }
        })
        .collect()
}

fn text(rows: &[Row]) -> String {
    let mut bytes = vec![];
    write(&mut bytes, rows).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// An empty directory of its own for a test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hrm-core-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_round_trip_and_gzip_is_told_by_content() {
    let scratch = Scratch::new("round-trip");
    let rows = rows();
    let (plain, zipped) = (scratch.file("p.csv"), scratch.file("p.csv.gz"));
    write_file(&plain, &rows).unwrap();
    write_file(&zipped, &rows).unwrap();
    assert_eq!(read_file(&plain).unwrap(), rows);
    assert_eq!(read_file(&zipped).unwrap(), rows);
    assert_eq!(std::fs::read(&zipped).unwrap()[..2], [0x1f, 0x8b]);
    assert_eq!(std::fs::read_to_string(&plain).unwrap(), text(&rows));
    // The name does not matter for reading.
    let odd = scratch.file("odd.csv");
    std::fs::rename(&zipped, &odd).unwrap();
    assert_eq!(read_file(&odd).unwrap(), rows);
    // Nothing half-written is left behind.
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 2);
}

#[test]
fn columns_are_found_by_name() {
    let csv = "answer,question,other\n1234341221434321,1.........4...2.,x\n";
    let rows = read(csv.as_bytes(), "t").unwrap();
    assert_eq!((rows.len(), rows[0].rating), (1, 0));
    assert_eq!(rows[0].source, "");
    assert_eq!(rows[0].question.to_string(), "1.........4...2.");
}

fn message(csv: &str) -> String {
    read(csv.as_bytes(), "some.csv").unwrap_err().to_string()
}

#[test]
fn errors_name_file_line_and_what() {
    const HEAD: &str = "source,question,answer,rating\n";
    const GOOD: &str = "a,1.........4...2.,1234341221434321,0\n";
    assert_eq!(
        message("question,solution\n"),
        "some.csv, line 1: there is no column \"answer\" among [\"question\", \"solution\"]"
    );
    for (line, what) in [
        (
            "a,1.........4...2,1234341221434321,0",
            "question: the text has 15 cells",
        ),
        (
            "a,1.........4...2x,1234341221434321,0",
            "question: row 4, column 4: 'x'",
        ),
        (
            "a,1.........4...2.,12343412,0",
            "answer: the text has 8 cells; sudoku-4x4 has 16",
        ),
        (
            "a,2.........4...2.,1234341221434321,0",
            "the answer changes a given",
        ),
        (
            "a,1.........4...2.,123434122143432.,0",
            "the answer is not complete",
        ),
        (
            "a,1.........4...2.,1234341221434322,0",
            "the answer breaks the rules, E = 3",
        ),
        ("a,1.........4...2.,1234341221434321,-1", "rating \"-1\""),
        (
            "a,1.........4...2.,1234341221434321",
            "only 3 fields, none for rating",
        ),
        ("a", "only 1 fields, none for question"),
    ] {
        let found = message(&format!("{HEAD}{GOOD}{line}\n"));
        let expected = format!("some.csv, line 3: {what}");
        assert!(found.starts_with(&expected), "{found} is not {expected}");
    }
    assert_eq!(message(HEAD), "some.csv: there is no puzzle in it");
    assert!(message("").contains("line 1: there is no column"));
    let mut bytes = format!("{HEAD}{GOOD}").into_bytes();
    bytes.extend(b"\xff\xfe,1,1,1\n");
    let error = read(&bytes[..], "some.csv").unwrap_err().to_string();
    assert!(error.starts_with("some.csv, line 3: not UTF-8"), "{error}");
}

#[test]
fn missing_and_truncated_files_are_errors() {
    let scratch = Scratch::new("truncated");
    let missing = scratch.file("none.csv");
    let error = read_file(&missing).unwrap_err();
    assert!(error.to_string().contains("none.csv"), "{error}");
    assert!(matches!(error, DatasetError::Io { .. }));

    let zipped = scratch.file("p.csv.gz");
    write_file(&zipped, &rows()).unwrap();
    let bytes = std::fs::read(&zipped).unwrap();
    for length in [3, 20, bytes.len() / 2, bytes.len() - 1] {
        assert!(read(&bytes[..length], "cut.gz").is_err(), "{length} bytes");
    }
    assert!(read_file(&scratch.0).is_err(), "a directory is no file");
}

#[test]
fn a_failed_write_changes_nothing() {
    let scratch = Scratch::new("failed-write");
    let error = write_file(&scratch.file("no/such/folder.csv"), &rows()).unwrap_err();
    assert!(error.to_string().contains("folder.csv"), "{error}");
    assert!(write_file(Path::new("/"), &rows()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes[..], "fuzz");
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        zip in any::<bool>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let row = Row {
            source: "a".to_owned(),
            question: "1.........4...2.".parse().unwrap(),
            answer: "1234341221434321".parse().unwrap(),
            rating: 7,
        };
        let mut bytes = text(&[row.clone(), row]).into_bytes();
        if zip {
            use std::io::Write as _;
            let mut encoder =
                flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
            encoder.write_all(&bytes).unwrap();
            bytes = encoder.finish().unwrap();
        }
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(rows) = read(&bytes[..], "fuzz") {
            prop_assert!(rows.iter().all(|row| row.answer.solves(&row.question)));
        }
    }
}
