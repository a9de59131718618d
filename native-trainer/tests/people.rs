//! Puzzle files as people have them, through `hrm` as a process.

mod common;

use std::fs;
use std::io::{BufWriter, Write as _};

use common::{Place, puzzles, rows, shipped};
use hrm_core::puzzle::Shape;

/// The lines of a puzzle file after its header.
fn lines(place: &Place, name: &str) -> Vec<String> {
    place
        .read(name)
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect()
}

#[test]
fn tables_in_every_dialect_become_puzzle_files() {
    let place = Place::new();
    let made = puzzles(Shape::S9, 2);
    let [(a, solved_a), (b, solved_b)] = &made[..] else {
        panic!("two puzzles")
    };
    let zeros = |text: String| text.replace('.', "0");
    for (name, content, sources, ratings, filled) in [
        (
            "bom",
            format!("\u{feff}question,answer\n{a},{solved_a}\n{b},{solved_b}\n"),
            "",
            [0, 0],
            0,
        ),
        (
            "bom-source",
            format!(
                "\u{feff}source,question,answer,rating\nx,{a},{solved_a},1\nx,{b},{solved_b},2\n"
            ),
            "x",
            [1, 2],
            0,
        ),
        (
            "kaggle",
            zeros(format!(
                "quizzes,solutions\n{a},{solved_a}\n{b},{solved_b}\n"
            )),
            "",
            [0, 0],
            0,
        ),
        (
            "upper",
            format!("Question,Answer\r\n{a},{solved_a}\r\n{b},{solved_b}\r\n"),
            "",
            [0, 0],
            0,
        ),
        (
            "semicolons",
            format!("source;question;answer;rating\nx;{a};{solved_a};3\nx;{b};{solved_b};4\n"),
            "x",
            [3, 4],
            0,
        ),
        (
            "tabs",
            format!("puzzle\tsolution\n{a}\t{solved_a}\n{b}\t{solved_b}\n"),
            "",
            [0, 0],
            0,
        ),
        (
            "ratings",
            format!("source,question,answer,rating\nx,{a},{solved_a},2.5\nx,{b},{solved_b},\n"),
            "x",
            [3, 0],
            0,
        ),
        (
            "no-answers",
            format!("source,question,answer,rating\nx,{a},,7\nx,{b},,8\n"),
            "x",
            [7, 8],
            2,
        ),
        ("list", format!("# a list\n{a}:0:22:\n{b}\n"), "", [0, 0], 2),
        (
            "lines",
            format!("Grid 01\n{}\nGrid 02\n{}\n", rows(a), rows(b)),
            "Grid",
            [0, 0],
            2,
        ),
        (
            "drawn",
            format!("{}\n\n{}", a.to_grid_string(), b.to_grid_string()),
            "",
            [0, 0],
            2,
        ),
    ] {
        place.write(name, content);
        let said = place.ok(&format!("data sudoku {name} --output {name}.csv"));
        let made = lines(&place, &format!("{name}.csv"));
        assert_eq!(made.len(), 2, "{name}");
        for (line, (question, answer, rating)) in made
            .iter()
            .zip([(a, solved_a, ratings[0]), (b, solved_b, ratings[1])])
        {
            assert!(line.starts_with(sources), "{name}: {line}");
            assert!(
                line.contains(&format!("{question},{answer},")),
                "{name}: {line}"
            );
            // The exact solver rates what it answers.
            assert!(
                filled > 0 || line.ends_with(&format!(",{rating}")),
                "{name}: {line}"
            );
        }
        let note = format!("{filled} answers were not there and come from the exact solver");
        assert_eq!(said.out.contains(&note), filled > 0, "{name}: {}", said.out);
        assert_eq!(
            said.out.contains("1 ratings were rounded"),
            name == "ratings"
        );
    }
}

#[test]
fn what_is_wrong_with_a_table_is_said_in_its_terms() {
    let place = Place::new();
    let (a, solved) = puzzles(Shape::S9, 1).remove(0);
    let blank = ".".repeat(81);
    for (name, content, part) in [
        (
            "blank",
            format!("question,answer\n{a},{blank}\n"),
            "line 2: the answer is not complete",
        ),
        (
            "foreign",
            format!("Aufgabe;Lösung\n{a};{solved}\n"),
            "--columns quizzes,solutions",
        ),
        ("empty", String::new(), "no column \"question\""),
        ("header", "question,answer\n".to_owned(), "no puzzle"),
        ("parquet", "PAR1\u{15}\u{4}".to_owned(), "Parquet"),
        (
            "pointer",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n".to_owned(),
            "git lfs pull",
        ),
        (
            "page",
            "<!DOCTYPE html>\n<html>captcha</html>\n".to_owned(),
            "web page",
        ),
        (
            "ambiguous",
            format!("puzzle\n{blank}\n"),
            "more than one solution",
        ),
        (
            "rated",
            format!("question,answer,rating\n{a},{solved},-1\n"),
            "must be a number from 0 up",
        ),
    ] {
        place.write(name, content);
        let said = place.refused(&format!("data sudoku {name} --output x.csv"));
        assert!(said.contains(part), "{name}: {said} has no {part:?}");
        assert!(
            said.starts_with("error: ") && !place.path("x.csv").exists(),
            "{name}"
        );
    }
    // Named, the columns are found; so they are by number.
    for (i, columns) in ["Aufgabe,Lösung", "1,2", "question=Aufgabe"]
        .iter()
        .enumerate()
    {
        place.ok(&format!(
            "data sudoku foreign --columns {columns} --output x{i}.csv"
        ));
        assert!(
            place
                .read(&format!("x{i}.csv"))
                .contains(&format!("{a},{solved},"))
        );
    }
    let said = place.refused("data sudoku foreign --columns Aufgabe,x --output y.csv");
    assert!(said.contains("no column \"x\""), "{said}");
}

#[test]
fn mazes_are_refused_for_their_cause() {
    let place = Place::new();
    let (question, answer) = (
        "#   ###G         ##     ## S     ###",
        "#   ###G     o   ##oo   ##oS     ###",
    );
    let row = |question: &str, answer: &str| {
        format!("source,question,answer,rating\nx,{question},{answer},5\n")
    };
    let both = |from: &str, to: &str| {
        row(
            &question.replacen(from, to, 1),
            &answer.replacen(from, to, 1),
        )
    };
    for (content, part) in [
        (both("#   #", "#G  #"), "two goals"),
        (both("S", " "), "no start"),
        (both("G", " "), "no goal"),
        (both("#   #", "#SSS#"), "4 starts"),
        (both("G", "E"), "'E' is none of"),
        (both("##", "12"), "'1' is none of"),
        (row(question, &answer.replace('o', "*")), "'*' is none of"),
        (
            format!("question, answer\n{question}, {answer}\n"),
            "37 cells",
        ),
        (row(question, question), "do not lead"),
    ] {
        place.write("maze.csv", &content);
        let said = place.refused("data maze maze.csv --output x.csv");
        assert!(
            said.contains("line 2") && said.contains(part),
            "{said} has no {part:?}"
        );
    }
    // Without an answer the shortest way is found.
    place.write("maze.csv", format!("maze\n{question}\n"));
    place.ok("data maze maze.csv --output x.csv");
    assert!(
        lines(&place, "x.csv")[0].ends_with(&format!("{answer},5")),
        "{}",
        place.read("x.csv")
    );
}

#[test]
fn collections_are_solved_from_standard_input_and_files() {
    let place = Place::new();
    place.model("model", Shape::S9);
    let made = puzzles(Shape::S9, 2);
    let (a, b) = (&made[0].0, &made[1].0);
    let digits = |board: &dyn ToString| board.to_string().replace('.', "0");
    let command = "solve --checkpoint model --device cpu --segments 1 --json";
    for (name, content, count) in [
        ("comment.txt", format!("# 17 clue list\n{a}\n{b}\n"), 2),
        ("tdoku.txt", format!("{a}:0:22:\n{b}\n"), 2),
        ("forum.txt", format!("{a}  ED=1.2/1.2/1.2\n{b}\n"), 2),
        ("hodoku.txt", format!(":0000:x:{a}:::\n"), 1),
        ("sdk.sdk", format!("#AAuthor\n#LEasy\n{}\n", rows(a)), 1),
        ("multi.txt", format!("{}\n\n{}\n", rows(a), rows(b)), 2),
        (
            "open.opensudoku",
            format!(
                "<?xml version=\"1.0\"?>\n<opensudoku>\n<name>x</name>\n<game data=\"{}\" />\n</opensudoku>\n",
                digits(a)
            ),
            1,
        ),
        ("tabs.txt", format!("{a}\tsolved\n"), 1),
        ("quotes.txt", format!("\"{a}\"\n"), 1),
        ("crlf.sdm", format!("{}\r\n{}\r\n", digits(a), digits(b)), 2),
        ("drawn.ss", a.to_grid_string(), 1),
        (
            "link.txt",
            format!("https://www.sudokuwiki.org/sudoku.htm?bd={}\n", digits(a)),
            1,
        ),
        // Answers do not matter here, not even wrong ones.
        (
            "table.csv",
            format!("quizzes;solutions\n{a};\n{b};{}\n", "1".repeat(81)),
            2,
        ),
    ] {
        place.write(name, &content);
        let piped = place.fed(&format!("{command} -"), content.as_bytes());
        let file = place.run(&format!("{command} {name}"));
        assert_eq!(piped.code, Some(3), "{name}: {}", piped.err);
        assert_eq!(
            (&piped.out, file.code),
            (&file.out, Some(3)),
            "{name}: {}",
            file.err
        );
        let found: Vec<serde_json::Value> = piped
            .out
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(found.len(), count, "{name}");
        for (line, board) in found.iter().zip([a, b]) {
            assert_eq!(line["puzzle"], board.to_string(), "{name}");
        }
        // A puzzle file of it, with answers of the exact solver.
        if name != "table.csv" {
            let command = format!("data sudoku {name} --output out.csv --force");
            let said = place.ok(&command);
            assert_eq!(lines(&place, "out.csv").len(), count, "{name}");
            assert!(
                said.out.contains("from the exact solver"),
                "{name}: {}",
                said.out
            );
        }
    }
    // The same on the command line itself.
    let link = format!("https://example.org/play/{}", digits(a));
    let said = place.run(&format!("{command} :0000:x:{a}::: {link}"));
    assert_eq!(
        (said.code, said.out.lines().count()),
        (Some(3), 2),
        "{}",
        said.err
    );
}

#[test]
fn one_bad_line_does_not_end_a_batch() {
    let place = Place::new();
    let text = "1...3...2...4...\n1...3...2...4....\n..3.2......1....\nword\n";
    let command = format!("solve --checkpoint {} --device cpu", shipped());
    let said = place.fed(&format!("{command} -"), text.as_bytes());
    assert_eq!(
        (said.code, said.out.lines().count()),
        (Some(1), 2),
        "{said:?}"
    );
    let errors: Vec<&str> = said.err.lines().collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("error: ") && errors[0].contains("line 2: the text has 17 cells"),
        "{errors:?}"
    );
    assert!(errors[1].contains("line 4"), "{errors:?}");
    let strict = place.fed(&format!("{command} --strict -"), text.as_bytes());
    assert_eq!(
        (strict.code, strict.out.lines().count()),
        (Some(1), 1),
        "{strict:?}"
    );
    // Puzzles of the command line are a batch too.
    let said = place.run(&format!(
        "{command} 1...3...2...4... 11.............. 1..x............ 1...3...2...4..."
    ));
    assert_eq!(
        (said.code, said.out.lines().count()),
        (Some(1), 2),
        "{said:?}"
    );
    assert!(
        said.err.contains("puzzle 2: the 1 in row 1")
            && said.err.contains("puzzle 3: row 1, column 4")
    );
}

#[test]
fn bad_lines_of_a_puzzle_file_stop_or_are_counted() {
    let place = Place::new();
    place.model("model", Shape::S4);
    let made = puzzles(Shape::S4, 3);
    let [(a, solved_a), (b, solved_b), (c, solved_c)] = &made[..] else {
        panic!("three puzzles")
    };
    // A row that is cut, one whose answer is of another puzzle, and names that only
    // their owner knows.
    let table = format!(
        "id;start;end\n1;{a};{solved_a}\n2;{}\n3;{b};{solved_b}\n4;{c};{}\n5;{c};{solved_c}\n",
        &b.to_string()[..9],
        solved_a.to_string().replace('1', "2"),
    );
    place.write("p.csv", table);
    let eval = "eval --checkpoint model --data p.csv --segments 1 --columns start,end";
    let train = "train --preset hrm-4x4 --set architecture.hidden_size=16 \
        --data p.csv --steps 1 --batch-size 2 --device cpu --plain --columns start,end";
    for command in [eval, &format!("{train} --out run0")] {
        let said = place.refused(command);
        assert!(
            said.contains("p.csv, line 3") && said.contains("--skip-bad"),
            "{said}"
        );
    }
    let said = place.ok(&format!("{eval} --skip-bad --json"));
    let result: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&result["rows"], &result["skipped"]),
        (&3.into(), &2.into())
    );
    for part in [
        "skipped: p.csv, line 3: ",
        "skipped: p.csv, line 5: ",
        "2 lines skipped",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    let said = place.ok(&format!("{eval} --skip-bad"));
    assert!(
        said.out.contains("2 lines of it are no puzzle"),
        "{}",
        said.out
    );
    // What comes after the last row wanted is not read.
    let said = place.ok(&format!("{eval} --limit 1 --json"));
    let result: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&result["rows"], result.get("skipped")), (&1.into(), None));

    let said = place.ok(&format!("{train} --out run --skip-bad"));
    let all = format!("{}{}", said.out, said.err);
    assert!(
        all.contains("3 puzzles of p.csv (2 lines skipped that are no puzzle)"),
        "{all}"
    );
    assert!(
        place
            .read("run/latest/train.toml")
            .contains("columns = \"start,end\"")
    );
    // Without the columns the header is named, and what to do about it.
    let said = place.refused("train --preset hrm-4x4 --data p.csv --steps 1 --out run1 --plain");
    assert!(said.contains("--columns"), "{said}");
    let said = place.refused("train --data p.csv --columns a,b,c,d,e --steps 1 --out run1");
    assert!(said.contains("--columns"), "{said}");
}

#[test]
fn negative_numbers_are_values() {
    let place = Place::new();
    place.model("model", Shape::S4);
    place.ok("data generate --puzzle sudoku-4x4 --count 3 --output q.csv");
    for (words, part) in [
        (
            "eval --checkpoint model --data q.csv --initial-noise -1",
            "--initial-noise is -1, must be",
        ),
        (
            "eval --checkpoint model --data q.csv --filled -0.5",
            "--filled is -0.5, must be",
        ),
        (
            "train --data q.csv --preset hrm-4x4 --out r --lr -0.1",
            "--lr is -0.1, must be",
        ),
        (
            "data generate --count -3 --output x.csv",
            "invalid value '-3' for '--count",
        ),
    ] {
        let said = place.refused(words);
        assert!(said.contains(part), "{said} has no {part:?}");
    }
}

/// A machine without a desktop has no folder for its sockets.
#[test]
fn nothing_is_called_an_error_when_all_went_well() {
    let place = Place::new();
    let words = format!("solve --checkpoint {} 1...3...2...4...", shipped());
    let mut command = place.command(&words);
    command
        .env_remove("XDG_RUNTIME_DIR")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    let said = common::Said::of(&words, &command.output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    let all = said.out.lines().chain(said.err.lines());
    let errors: Vec<&str> = all
        .filter(|line| line.to_lowercase().starts_with("error"))
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn every_size_of_a_maze_is_made_by_default() {
    let place = Place::new();
    for size in ["maze-40x40", "maze-50x50", "maze-64x64"] {
        place.ok(&format!(
            "data generate --puzzle {size} --count 1 --output {size}.csv"
        ));
        assert_eq!(lines(&place, &format!("{size}.csv")).len(), 1);
    }
}

/// A limit keeps the rest of the file out of memory, though all of it is hashed.
#[cfg(target_os = "linux")]
#[test]
fn a_long_file_is_read_in_constant_memory() {
    let place = Place::new();
    place.model("model", Shape::S9);
    let (question, answer) = puzzles(Shape::S9, 1).remove(0);
    let line = format!("x,{question},{answer},0\n");
    let peak = |name: &str, count: usize| {
        // Line by line, so that this process stays small.
        let mut file = BufWriter::new(fs::File::create(place.path(name)).unwrap());
        writeln!(file, "source,question,answer,rating").unwrap();
        for _ in 0..count {
            file.write_all(line.as_bytes()).unwrap();
        }
        drop(file);
        let words = format!(
            "eval --checkpoint model --data {name} --limit 5 --segments 1 --threads 1 --json"
        );
        #[expect(clippy::zombie_processes, reason = "wait4 waits, and measures")]
        let child = place
            .command(&words)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
        // SAFETY: the child is ours and not waited for yet; both places outlive the call.
        let usage = unsafe {
            assert!(libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr()) > 0);
            usage.assume_init()
        };
        assert_eq!(status, 0);
        usage.ru_maxrss
    };
    let (short, long) = (peak("short.csv", 10), peak("long.csv", 200_000));
    // A child's peak counts from that of its parent, where other tests run beside this.
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the place outlives the call.
    let own = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init().ru_maxrss
    };
    let most = short.max(own) + 8_000;
    assert!(long < most, "{short} kB, {long} kB; this process {own} kB");
}
