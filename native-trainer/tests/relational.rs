//! The relational reasoner as a user of the command line meets it.

mod common;

use std::fs;

use common::{Place, puzzles};
use hrm_core::puzzle::Shape;

/// A file of questions with their answers.
fn file(place: &Place, name: &str, shape: Shape, count: u64) {
    let rows: String = puzzles(shape, count)
        .iter()
        .map(|(question, answer)| format!("test,{question},{answer},0\n"))
        .collect();
    place.write(name, format!("source,question,answer,rating\n{rows}"));
}

/// Trains with the recipe for 4x4; more arguments follow.
fn train(more: &str) -> String {
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/relational-4x4.toml");
    format!("train --plain --config {recipe} {more}")
}

#[test]
fn one_training_on_4x4_plays_6x6_and_9x9_too() {
    let place = Place::new();
    place.ok(&train("--out run"));
    let share = |data: &str, more: &str| -> f64 {
        let words = format!("eval --checkpoint run/latest --data {data} --json {more}");
        let said: serde_json::Value = serde_json::from_str(&place.ok(&words).out).unwrap();
        let (name, single) = (&said["rules"][0][0], &said["rules"][0][1]);
        assert_eq!(name, "single", "{said}");
        single["value"].as_f64().unwrap()
    };
    file(&place, "four.csv", Shape::S4, 100);
    file(&place, "six.csv", Shape::S6, 60);
    let four = share("four.csv", "");
    assert!(four > 0.95, "{four} of 4x4");
    // Nothing in the weights knows the board's size.
    let six = share("six.csv", "--filled 0.5");
    assert!(six > 0.5, "{six} of 6x6 with half of the blanks filled in");

    // Guesses at images would be one and the same.
    let refused = place.refused("eval --checkpoint run/latest --data four.csv --guesses 3");
    assert!(refused.contains("--initial-noise"), "{refused}");
    share(
        "four.csv",
        "--guesses 3 --images identity --initial-noise 0.5",
    );

    // Puzzles of several sizes, one after the other.
    let (four, nine) = (&puzzles(Shape::S4, 1)[0], &puzzles(Shape::S9, 1)[0]);
    let words = format!(
        "solve --checkpoint run/latest --guesses 2 {} {}",
        four.0, nine.0
    );
    let said = place.run(&words);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with(&four.1.to_string()), "{said:?}");
    assert_eq!(
        lines[1].split(' ').next().map(str::len),
        Some(81),
        "{said:?}"
    );

    // What ships says which boards it plays.
    place.ok("export --checkpoint run/latest --title T --summary S shipped");
    let manifest = place.read("shipped/manifest.json");
    assert!(
        manifest.contains("sudoku-9x9") && manifest.contains("sudoku-6x6"),
        "{manifest}"
    );
    let words = "eval --checkpoint shipped --data six.csv --limit 3";
    place.ok(words);
}

#[test]
fn one_training_on_small_mazes_plays_larger_ones() {
    let place = Place::new();
    for (size, count, name) in [
        (5, 100, "five.csv"),
        (8, 40, "eight.csv"),
        (33, 1, "large.csv"),
    ] {
        place.ok(&format!(
            "data generate --puzzle maze-{size}x{size} --count {count} --seed 7 --output {name}"
        ));
    }
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/relational-maze.toml");
    place.ok(&format!(
        "train --plain --config {recipe} --out run --set architecture.puzzle=maze-5x5 \
         --data generate:maze-5x5 --held-out five.csv --set generate_rows=3000 --set steps=250"
    ));
    let optimal = |data: &str| -> f64 {
        let words = format!("eval --checkpoint run/latest --data {data} --json");
        let said: serde_json::Value = serde_json::from_str(&place.ok(&words).out).unwrap();
        let rule = &said["graded"]["optimal"][0];
        let (name, single) = (&rule[0], &rule[1]);
        assert_eq!(name, "single", "{said}");
        single["value"].as_f64().unwrap()
    };
    let five = optimal("five.csv");
    assert!(five > 0.5, "{five} of 5x5");
    // Nothing in the weights knows the maze's size.
    let eight = optimal("eight.csv");
    assert!(eight > 0.05, "{eight} of 8x8");
    optimal("large.csv");

    // A maze drawn in rows, of a size that was never trained.
    place.write("drawn.txt", "S  \n # \n  G\n");
    let said = place.run("solve --checkpoint run/latest drawn.txt");
    let (answer, verdict) = said.out.trim_end().split_at(9);
    assert!(answer.starts_with('S') && answer.ends_with('G'), "{said:?}");
    assert!(!verdict.is_empty(), "{said:?}");

    // Guesses at images differ, as directions have weights of their own.
    place.ok("eval --checkpoint run/latest --data five.csv --limit 5 --guesses 3");
    place.ok("analyze modes --checkpoint run/latest --data eight.csv --limit 5 --output modes");
    place.ok("export --checkpoint run/latest --format onnx --output onnx");
}

#[test]
fn a_packed_run_goes_on_elsewhere() {
    let place = Place::new();
    place.ok(&train("--out run --set steps=6"));
    place.ok("train --pack run --out packed");
    let size = |dir: &str| {
        fs::metadata(place.path(dir).join("optimizer.safetensors"))
            .unwrap()
            .len()
    };
    assert!(size("packed") < size("run/latest") / 2);
    assert!(!place.read("packed/train.toml").contains('/'));
    place.ok("train --plain --resume packed --out further --set steps=9");
    let state = place.read("further/latest/train-state.json");
    assert!(state.contains("\"step\": 9"), "{state}");
    // In place of a run there is nothing to pack.
    let refused = place.refused("train --pack nowhere --out other");
    assert!(refused.contains("nowhere"), "{refused}");
}

#[test]
fn what_a_relational_model_can_not_have_is_refused() {
    let place = Place::new();
    for (set, why) in [
        (
            "architecture.pos_encodings=learned",
            "no position is told from another",
        ),
        ("architecture.q_pool=first", "no position is the first"),
        ("architecture.puzzle=maze-8x8", "asks for no symbols"),
        ("architecture.feedback=false", "no feedback"),
    ] {
        let refused = place.refused(&train(&format!("--out run --set {set}")));
        assert!(refused.contains(why), "{set}: {refused}");
    }
}
