//! ARC as somebody at a shell meets it: from tasks to answers.

mod common;

#[path = "../../core/tests/torch_file/mod.rs"]
mod torch_file;

use std::fs::{self, File};

use common::Place;
use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::ArcSize;
use hrm_core::weights::Weights;
use serde_json::{Value, json};
use torch_file::{dict, sparse_zip, state, table};

/// Two tasks with the same questions: one colours everything 2, one 3. Black
/// stays.
fn tasks(place: &Place) {
    fs::create_dir(place.path("tasks")).unwrap();
    let questions = [
        [[1, 0], [0, 0]],
        [[0, 1], [0, 0]],
        [[1, 1], [0, 1]],
        [[0, 0], [1, 1]],
        [[0, 0], [0, 1]],
        [[1, 0], [1, 1]],
    ];
    for (name, colour) in [("two", 2), ("three", 3)] {
        let pair = |grid: &[[i32; 2]; 2]| {
            let output = grid.map(|row| row.map(|c| c * colour));
            json!({"input": grid, "output": output})
        };
        let train: Vec<Value> = questions[..4].iter().map(pair).collect();
        let test: Vec<Value> = questions[4..].iter().map(pair).collect();
        let task = json!({"train": train, "test": test});
        place.write(&format!("tasks/{name}.json"), task.to_string());
    }
}

fn lines(text: &str) -> Vec<Vec<String>> {
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().map(fields).collect()
}

#[test]
fn rows_of_tasks_and_their_rewritings() {
    let place = Place::new();
    tasks(&place);
    let said = place.ok("data arc tasks --augment 3 --output train.csv --test-output test.csv");
    assert!(
        said.out
            .contains("2 tasks, 8 with their rewritings; puzzle identifiers up to 8")
    );
    let (train, test) = (
        lines(&place.read("train.csv")),
        lines(&place.read("test.csv")),
    );
    assert_eq!(train[0], ["source", "question", "answer", "identifier"]);
    assert_eq!((train.len(), test.len()), (1 + 2 * 4 * 4, 1 + 2 * 4 * 2));
    // Tasks in the order of their files; the first rewriting is the task itself.
    assert_eq!(train[1], ["three", "10/00", "30/00", "1"]);
    assert_eq!(train[17], ["two", "10/00", "20/00", "5"]);
    assert_eq!(test[1], ["three", "00/01", "00/03", "1"]);
    assert!(train[5][0].starts_with("three|||t") && train[5][3] == "2");
    place.ok("data arc tasks --augment 3 --output again.csv.gz --seed 1");
    place.ok("data arc tasks --augment 3 --output same.csv");
    assert_eq!(place.read("same.csv"), place.read("train.csv"));
    let there = place.refused("data arc tasks --output train.csv");
    assert!(there.contains("--force"), "{there}");

    // A shuffle moves identifiers between the same rows.
    place.ok("data arc tasks --augment 3 --output shuffled.csv --shuffle-identifiers");
    let shuffled = lines(&place.read("shuffled.csv"));
    let column = |rows: &[Vec<String>], at: usize| -> Vec<String> {
        rows.iter().map(|row| row[at].clone()).collect()
    };
    assert_eq!(column(&shuffled, 1), column(&train, 1));
    assert_ne!(column(&shuffled, 3), column(&train, 3));
    let sorted = |mut column: Vec<String>| {
        column.sort();
        column
    };
    assert_eq!(sorted(column(&shuffled, 3)), sorted(column(&train, 3)));

    // One demonstration held out in place of the tests; a task as a whole.
    place.ok("data arc tasks --leave-one-out --output a.csv --test-output b.csv");
    assert_eq!(lines(&place.read("a.csv")).len(), 1 + 2 * 3);
    assert_eq!(lines(&place.read("b.csv")).len(), 1 + 2);
    place.ok(
        "data arc tasks/two.json --training tasks/three.json --output c.csv --test-output d.csv",
    );
    assert_eq!(lines(&place.read("c.csv")).len(), 1 + 4 + 6);
    assert_eq!(lines(&place.read("d.csv")).len(), 1 + 2);
}

#[test]
fn many_tasks_in_a_file_with_solutions_beside() {
    let place = Place::new();
    let task = json!({
        "train": [{"input": [[1, 2]], "output": [[2, 1]]}],
        "test": [{"input": [[3, 4]]}],
    });
    place.write(
        "x_challenges.json",
        json!({"a": task, "b": task}).to_string(),
    );
    place.ok("data arc x_challenges.json --output 1.csv --test-output 2.csv");
    assert_eq!(lines(&place.read("2.csv"))[1], ["a", "34", "", "1"]);
    place.write("x_solutions.json", json!({"a": [[[4, 3]]]}).to_string());
    let said = place.ok("data arc x_challenges.json --output 3.csv --test-output 4.csv");
    assert!(
        said.out
            .contains("x_solutions.json: the answers of 1 tasks"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("2 rows, 1 of them without an answer"),
        "{}",
        said.out
    );
    assert_eq!(lines(&place.read("4.csv"))[1], ["a", "34", "43", "1"]);

    // A published list gives rewritings and identifiers.
    let names = json!([
        "<blank>",
        "z",
        "b",
        "a|||t4|||0213456789",
        "data/b.json_t1_0123456789"
    ]);
    place.write("identifiers.json", names.to_string());
    place.ok("data arc x_challenges.json --identifiers identifiers.json --output 5.csv");
    let rows = lines(&place.read("5.csv"));
    assert_eq!(rows[1], ["a|||t4|||0213456789", "12", "21", "3"]);
    assert_eq!(rows[2], ["b", "12", "21", "2"]);
    assert_eq!(rows[3], ["b|||t1|||0123456789", "2/1", "1/2", "4"]);

    let twice =
        place.refused("data arc x_challenges.json --training x_challenges.json --output 6.csv");
    assert!(twice.contains("two tasks are called a"), "{twice}");
    place.write(
        "bad.json",
        r#"{"train": [{"input": [[1, 12]], "output": [[1]]}], "test": []}"#,
    );
    let bad = place.refused("data arc bad.json --output 6.csv");
    assert!(
        bad.contains("task bad, train pair 1, input: row 1, column 2: 12"),
        "{bad}"
    );
    place.write("no.json", "[1, 2]");
    assert!(
        place
            .refused("data arc no.json --output 6.csv")
            .contains("no.json")
    );
    assert!(
        place
            .refused("data arc nowhere.json --output 6.csv")
            .contains("nowhere.json")
    );
}

/// A recipe that learns such tasks in seconds.
const SMALL: &str = "--preset hrm-4x4 --set architecture.puzzle=arc-3x3 --set architecture.hidden_size=32 \
    --device cpu --threads 1 --batch-size 16 --lr 0.002 --weight-decay 0.1 --puzzle-emb-lr 0.01 \
    --puzzle-emb-weight-decay 0.1 --warmup 20 --loss softmax --ema 0 --no-augment --no-tensorboard";

#[test]
fn from_data_to_answers() {
    let place = Place::new();
    tasks(&place);
    place.ok("data arc tasks --augment 2 --output train.csv --test-output test.csv");
    place.ok(&format!(
        "train --data train.csv --held-out test.csv {SMALL} --steps 400 --out run"
    ));
    let config: Value = serde_json::from_str(&place.read("run/latest/config.json")).unwrap();
    assert_eq!(config["num_puzzle_identifiers"], 7);
    let card = place.read("run/latest/README.md");
    assert!(card.contains("2 tasks, 6 with rewritings"), "{card}");

    let said = place.ok("eval --checkpoint run/latest --data test.csv --json --output result.json");
    let result: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        result,
        serde_json::from_str::<Value>(&place.read("result.json")).unwrap()
    );
    // The same questions: only the identifiers tell the tasks apart.
    for pass in result["pass_at"].as_array().unwrap() {
        assert_eq!(pass["tasks"]["successes"], 2, "{pass}");
        assert_eq!(pass["tests"]["n"], 4, "{pass}");
    }
    assert_eq!(result["passes"], 12);
    let test = &result["tasks"][0]["tests"][0];
    assert_eq!(test["input"], json!([[0, 0], [0, 1]]));
    assert_eq!(test["answers"][0]["grid"], json!([[0, 0], [0, 3]]));
    let table = place.ok("eval --checkpoint run/latest --data test.csv").out;
    assert!(
        table.contains("pass@2, whole tasks") && table.contains("(n = 2)"),
        "{table}"
    );

    let said = place.ok("solve --checkpoint run/latest test.csv");
    assert!(said.out.contains("three test 1: 00/03 ("), "{}", said.out);
    assert_eq!(said.out.lines().count(), 4);
    let said = place.ok("solve --checkpoint run/latest --json test.csv");
    let first: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["task"], &first["right"]),
        (&json!("three"), &json!(true))
    );
    place.ok("export --checkpoint run/latest --format onnx onnx");
    assert!(place.path("onnx/model.onnx").is_file());

    // A model that goes on has its embeddings; one that lacks a row says so.
    place.ok("train --resume run --steps 410");
    let more = place.read("test.csv").replace(",1\n", ",70\n");
    place.write("more.csv", more);
    let said = place.refused("eval --checkpoint run/latest --data more.csv");
    assert!(
        said.contains("puzzle identifier 70 has no row") && said.contains("which has 7"),
        "{said}"
    );
    let said = place.refused(&format!(
        "train --data more.csv {SMALL} --init run/latest --steps 2 --out other"
    ));
    assert!(said.contains("puzzle identifier 70"), "{said}");
    place.write(
        "large.csv",
        "source,question,answer,identifier\na,0000,1,1\n",
    );
    let said = place.refused("eval --checkpoint run/latest --data large.csv");
    assert!(said.contains("1 rows of 4 does not fit arc-3x3"), "{said}");
    for (words, named) in [
        ("--guesses 3", "--guesses"),
        ("--stop halted", "--stop"),
        ("--records r.jsonl", "--records"),
    ] {
        let said = place.refused(&format!(
            "eval --checkpoint run/latest --data test.csv {words}"
        ));
        assert!(
            said.contains(named) && said.contains("not for ARC"),
            "{said}"
        );
    }
    let said = place.refused(&format!(
        "train --data train.csv {SMALL} --hints 0.5 --steps 2 --out b"
    ));
    assert!(said.contains("no copies, groups or hints"), "{said}");
    let said = place.refused("data generate --puzzle arc-5x5 --count 3 --output g.csv");
    assert!(said.contains("hrm data arc"), "{said}");
}

/// As published: 30x30, and a table of a million rows of which a task needs
/// few. The file's zeros take no space on the disk, and what reads it may not
/// have memory for them.
#[cfg(target_os = "linux")]
#[test]
fn a_published_table_is_never_in_memory() {
    const ROWS: usize = 1_000_000;
    let config = ModelConfig {
        mlp_inner: Some(64),
        ..ModelConfig::hrm(ArcSize::FULL, 512, 8, 1)
    };
    let plan = Plan::new(&config).unwrap();
    let weights = Weights::random(&plan, 1);
    let mut tensors = state(&plan, &weights, "_orig_mod.model.inner.");
    let first: Vec<f32> = (0..4 * 512).map(|i| (i / 512) as f32).collect();
    for (name, tensor) in &mut tensors {
        if name.ends_with("puzzle_emb.weights") {
            *tensor = table([ROWS, 512], &first);
        }
    }
    let place = Place::new();
    fs::create_dir(place.path("arc")).unwrap();
    let mut file = File::create(place.path("arc/checkpoint")).unwrap();
    sparse_zip(&dict(tensors), &mut file);
    let length = file.metadata().unwrap().len();
    assert!(length > 2_000_000_000, "{length}");
    let yaml = "arch:\n  H_cycles: 1\n  L_cycles: 1\n  H_layers: 1\n  L_layers: 1\n  \
        hidden_size: 512\n  num_heads: 8\n  expansion: 4\n  pos_encodings: rope\n  \
        puzzle_emb_ndim: 512\n  name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1\n\
        data_path: data/arc-aug-1000\n";
    place.write("arc/all_config.yaml", yaml);
    let rows = "source,question,answer,identifier\na,12,21,3\na|||t1|||0123456789,2/1,1/2,1\n\
        a|||t2|||0123456789,21,12,999999\n";
    place.write("rows.csv", rows);
    // A gigabyte for a file of two.
    let limited = |line: &str| {
        let output = place.shell(&format!("ulimit -v 1000000; {line}"));
        common::Said::of(line, &output)
    };
    let said = limited("$HRM import arc model --identifiers rows.csv");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("1000000 rows, of which 4 are read"),
        "{}",
        said.err
    );
    let config: Value = serde_json::from_str(&place.read("model/config.json")).unwrap();
    assert_eq!(config["num_puzzle_identifiers"], 4);
    assert_eq!(config["puzzle"], "arc-30x30");
    let bytes = fs::read(place.path("model/model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor("puzzle_emb.weights").unwrap().data().to_vec();
    let values: Vec<f32> = data
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let expected: Vec<f32> = [0.0, 1.0, 3.0, 0.0]
        .into_iter()
        .flat_map(|v| [v; 512])
        .collect();
    assert_eq!(values, expected);
    let renumbered = rows.replace(",3\n", ",2\n").replace(",999999", ",3");
    assert_eq!(place.read("model/puzzles.csv"), renumbered);

    // Without a file of rows the first one alone; the model runs as it is.
    let said = limited("$HRM import arc other");
    assert!(said.err.contains("row 0 alone is read"), "{said:?}");
    let said = place.ok("eval --checkpoint model --data model/puzzles.csv --segments 1 --json");
    let result: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(result["passes"], 3);
    assert_eq!(result["tasks"][0]["tests"][0]["passes"], 3);
}
