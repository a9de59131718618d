//! `hrm` as its users meet it: a process with arguments, output and an exit
//! code.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::Shape;
use hrm_core::weights::Weights;
use safetensors::SafeTensors;

const PUZZLE: &str = "1.3...1.2.....4.";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn hrm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hrm"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line an error is, without the backtrace that a panic would be.
fn error(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "succeeded: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A checkpoint directory with random weights of a small 4x4 model.
fn checkpoint(dir: &Path) -> PathBuf {
    let plan = Plan::new(&ModelConfig::compact(Shape::S4, 16)).unwrap();
    let dir = dir.join("model");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.json"), plan.config.to_json()).unwrap();
    fs::write(
        dir.join("model.safetensors"),
        Weights::random(&plan, 5).to_safetensors(&plan).unwrap(),
    )
    .unwrap();
    fs::write(dir.join("README.md"), "# Random weights\n").unwrap();
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn traces_agree_with_the_reference_from_either_file_format() {
    let dir = tempfile::tempdir().unwrap();
    let parity = fixtures().join("parity");
    let config = parity.join("tiny.json");
    let expected = fs::read(parity.join("tiny.expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let imported = dir.path().join("imported");
    let import = hrm(&[
        "import",
        text(&parity.join("tiny.pt")),
        text(&imported),
        "--config",
        text(&config),
    ]);
    assert!(
        import.status.success(),
        "{}",
        String::from_utf8_lossy(&import.stderr)
    );

    let floats = |file: &SafeTensors<'_>, name: &str| -> Vec<f32> {
        let data = file
            .tensor(name)
            .unwrap_or_else(|_| panic!("no {name}"))
            .data()
            .to_vec();
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let bare = parity.join("tiny.weights.safetensors");
    let sources: [&[&str]; 2] = [
        &["--checkpoint", text(&bare), "--config", text(&config)],
        &["--checkpoint", text(&imported)],
    ];
    for source in sources {
        let output = dir.path().join("trace.safetensors");
        let inputs = parity.join("tiny.expected.safetensors");
        let mut args = vec![
            "trace",
            "--inputs",
            text(&inputs),
            "--segments",
            "4",
            "--output",
            text(&output),
            "--force",
        ];
        args.extend(source);
        let run = hrm(&args);
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        let bytes = fs::read(&output).unwrap();
        let found = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(found.len(), 4 * 5);
        for name in found.names() {
            let (want, got) = (floats(&expected, name), floats(&found, name));
            assert_eq!(want.len(), got.len(), "{name}");
            let scale = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let worst = want
                .iter()
                .zip(&got)
                .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst <= 1e-4 * scale, "{name}: {worst} of {scale}");
        }
    }
}

#[test]
fn solve_prints_one_line_a_puzzle_and_says_so_in_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path());
    let run = hrm(&[
        "solve",
        "--checkpoint",
        text(&model),
        "--device",
        "cpu",
        PUZZLE,
        PUZZLE,
    ]);
    let lines: Vec<String> = stdout(&run).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2);
    // Random weights solve nothing; 3 tells that apart from an error.
    assert_eq!(run.status.code(), Some(3));
    for line in &lines {
        let (grid, verdict) = line.split_once(' ').unwrap();
        assert_eq!(grid.chars().count(), 16);
        assert!(["halted-wrong", "wandering"].contains(&verdict), "{line}");
    }

    let mut child = Command::new(env!("CARGO_BIN_EXE_hrm"))
        .args([
            "solve",
            "--checkpoint",
            text(&model),
            "--device",
            "cpu",
            "--guesses",
            "3",
            "--json",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PUZZLE}\n\n{PUZZLE}").unwrap();
    let output = child.wait_with_output().unwrap();
    let answers: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["guesses"].as_array().unwrap().len(), 3);
    // The first guess of each is on the puzzle as it stands.
    assert_eq!(answers[0]["guesses"][0], answers[1]["guesses"][0]);
}

#[test]
fn bad_input_gets_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path());
    let solve = |puzzle: &str| error(&hrm(&["solve", "--checkpoint", text(&model), puzzle]));
    assert!(solve("1.3...1.2..x..4.").contains("row 3, column 4"));
    assert!(solve("11..............").contains('1'));
    assert!(solve("123").contains("puzzle 1"));

    let missing = error(&hrm(&[
        "solve",
        "--checkpoint",
        "no/such/place.safetensors",
        PUZZLE,
    ]));
    assert!(missing.contains("no such file"), "{missing}");
    let missing = error(&hrm(&["solve", "--checkpoint", text(dir.path()), PUZZLE]));
    assert!(missing.contains("holds no weights"), "{missing}");

    let weights = model.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 7]).unwrap();
    let truncated = solve(PUZZLE);
    assert!(
        truncated.contains("safetensors") && truncated.contains(text(&model)),
        "{truncated}"
    );

    fs::write(
        model.join("config.json"),
        ModelConfig::compact(Shape::S4, 32).to_json(),
    )
    .unwrap();
    fs::write(&weights, &bytes).unwrap();
    assert!(solve(PUZZLE).contains("embed_tokens.embedding_weight"));
    fs::write(model.join("config.json"), "{\"hidden\": 3}").unwrap();
    assert!(solve(PUZZLE).contains("hidden"));
}

/// Fewer bits, smaller files, and every one of them runs; 4 bits say what they
/// cost, and which matrices were worth 8.
#[test]
fn weights_in_every_form_run() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path());
    let mut sizes = Vec::new();
    for (form, extra) in [
        ("f16", &[][..]),
        ("q8", &[]),
        ("q4", &["--calibration", "2", "--max-bytes", "40000"]),
        ("q4", &["--calibration", "2", "--calibration-segments", "3"]),
    ] {
        let output = dir.path().join(format!("shipped{}", sizes.len()));
        let mut args = vec!["export", "--checkpoint", text(&model), "--quantize", form];
        args.extend(["--title", "T", "--summary", "S"]);
        args.extend(extra);
        args.push(text(&output));
        let export = hrm(&args);
        let stderr = String::from_utf8_lossy(&export.stderr);
        assert!(export.status.success(), "{form}: {stderr}");
        let report = stdout(&export);
        assert!(
            report.contains("L_level.layers.0.mlp.down_proj.weight"),
            "{report}"
        );
        assert_eq!(
            report.contains("in 4 bits alone"),
            extra.contains(&"--max-bytes")
        );
        sizes.push(
            fs::metadata(output.join("model.safetensors"))
                .unwrap()
                .len(),
        );
        for device in ["cpu", "cpu-int8"] {
            let solve = hrm(&[
                "solve",
                "--checkpoint",
                text(&output),
                "--device",
                device,
                PUZZLE,
            ]);
            assert_eq!(solve.status.code(), Some(3), "{form} on {device}");
        }
    }
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[3], "{sizes:?}");

    let onnx = dir.path().join("onnx");
    let export = hrm(&[
        "export",
        "--checkpoint",
        text(&model),
        "--format",
        "onnx",
        text(&onnx),
    ]);
    assert!(export.status.success());
    assert!(fs::metadata(onnx.join("model.onnx")).unwrap().len() > sizes[0]);
    let untitled = error(&hrm(&["export", "--checkpoint", text(&model), text(&onnx)]));
    assert!(untitled.contains("--title"), "{untitled}");
}

#[test]
fn exports_are_what_solve_and_eval_read() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path());
    let shipped = dir.path().join("shipped");
    let export = hrm(&[
        "export",
        "--checkpoint",
        text(&model),
        "--title",
        "T",
        "--summary",
        "S",
        "--part-bytes",
        "2000",
        text(&shipped),
    ]);
    assert!(
        export.status.success(),
        "{}",
        String::from_utf8_lossy(&export.stderr)
    );
    assert!(stdout(&export).contains("L_level.layers.0.mlp.gate_up_proj.weight"));
    assert!(
        fs::read_dir(&shipped).unwrap().count() > 6,
        "in several parts"
    );
    let solve = hrm(&[
        "solve",
        "--checkpoint",
        text(&shipped),
        "--device",
        "cpu",
        PUZZLE,
    ]);
    assert_eq!(solve.status.code(), Some(3));

    let data = dir.path().join("puzzles.csv");
    let generate = hrm(&[
        "data",
        "generate",
        "--puzzle",
        "sudoku-4x4",
        "--count",
        "20",
        "--output",
        text(&data),
    ]);
    assert!(
        generate.status.success(),
        "{}",
        String::from_utf8_lossy(&generate.stderr)
    );
    let args = [
        "eval",
        "--checkpoint",
        text(&shipped),
        "--data",
        text(&data),
        "--filled",
        "1",
        "--segments",
        "2",
        "--json",
    ];
    let eval = hrm(&args);
    assert!(
        eval.status.success(),
        "{}",
        String::from_utf8_lossy(&eval.stderr)
    );
    let result: serde_json::Value = serde_json::from_str(&stdout(&eval)).unwrap();
    assert_eq!(result["rules"][0][1]["n"], 20);

    // An altered part is refused before anything runs.
    let part = shipped.join("model.safetensors.01");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    let altered = error(&hrm(&["solve", "--checkpoint", text(&shipped), PUZZLE]));
    assert!(
        altered.contains("sha256") && altered.contains("model.safetensors.01"),
        "{altered}"
    );
}

#[test]
fn what_is_set_changes_the_architecture_that_training_begins_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let train = |from: &[&str], set: &str, out: &str| {
        let out = path(out);
        let mut args = vec!["train", "--device", "cpu", "--steps", "1", "--set", set];
        args.extend(["--data", "generate:sudoku-4x4", "--generate-rows", "8"]);
        args.extend(["--batch-size", "2", "--out", text(&out)]);
        args.extend(from);
        hrm(&args)
    };
    let first = train(
        &["--preset", "hrm-4x4"],
        "architecture.halt_max_steps=4",
        "first",
    );
    assert!(first.status.success(), "{}", error(&first));
    let from = path("first").join("latest");
    let begun = train(
        &["--init", text(&from)],
        "architecture.halt_exploration_prob=0.5",
        "second",
    );
    assert!(begun.status.success(), "{}", error(&begun));
    let config = fs::read_to_string(path("second").join("latest/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["halt_exploration_prob"], 0.5);
    assert_eq!(config["halt_max_steps"], 4);
    let wrong = error(&train(
        &["--init", text(&from)],
        "architecture.hidden_size=32",
        "third",
    ));
    assert!(wrong.contains("does not fit the weights of"), "{wrong}");
}

#[test]
fn every_recipe_trains_resumes_and_solves() {
    let dir = tempfile::tempdir().unwrap();
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let puzzles = dir.path().join("puzzles.csv");
    let generate = hrm(&[
        "data",
        "generate",
        "--count",
        "6",
        "--output",
        text(&puzzles),
    ]);
    assert!(generate.status.success());
    let (arc, tests) = (dir.path().join("arc.csv"), dir.path().join("arc-tests.csv"));
    let tasks = recipes.join("arc-small");
    let from = ["data", "arc", text(&tasks), "--augment", "1"];
    let to = ["--output", text(&arc), "--test-output", text(&tests)];
    assert!(hrm(&[&from[..], &to].concat()).status.success());
    let mut count = 0;
    for entry in fs::read_dir(recipes).unwrap() {
        let recipe = entry.unwrap().path();
        // Tasks lie beside the recipes.
        if recipe.is_dir() {
            continue;
        }
        let mut shrink = Vec::new();
        let out = dir.path().join(recipe.file_stem().unwrap());
        let content: toml::Table = fs::read_to_string(&recipe).unwrap().parse().unwrap();
        let mut args = vec!["train", "--config", text(&recipe), "--out", text(&out)];
        args.extend(["--steps", "2", "--batch-size", "2", "--device", "cpu"]);
        args.extend(["--generate-rows", "20", "--held-out-rows", "4"]);
        let published = ["hrm", "trm-att", "trm-mlp", "rsm", "eqr", "wta"];
        if published.map(Some).contains(&content["preset"].as_str()) {
            // The published models, shrunken in every direction.
            for (field, value) in [
                ("hidden_size", "32"),
                ("num_heads", "2"),
                ("mlp_inner", "64"),
                ("H_layers", "1"),
                ("L_layers", "1"),
                ("halt_max_steps", "4"),
            ] {
                shrink.push(format!("architecture.{field}={value}"));
            }
        }
        let puzzle = content
            .get("architecture")
            .and_then(|fields| fields.get("puzzle"));
        let puzzle = puzzle.and_then(toml::Value::as_str).unwrap_or_default();
        if puzzle.starts_with("arc-") {
            shrink.push("architecture.puzzle=arc-5x5".to_owned());
            args.extend(["--data", text(&arc), "--held-out", text(&tests)]);
        } else if puzzle.starts_with("maze-") {
            shrink.push("architecture.puzzle=maze-8x8".to_owned());
            args.extend(["--data", "generate:maze-8x8"]);
            args.extend(["--held-out", "generate:maze-8x8"]);
        } else if content["data"][0].as_str().unwrap().ends_with(".csv.gz") {
            args.extend(["--data", text(&puzzles), "--held-out", text(&puzzles)]);
        }
        for change in &shrink {
            args.extend(["--set", change]);
        }
        let train = hrm(&args);
        assert!(
            train.status.success(),
            "{}: {}",
            recipe.display(),
            String::from_utf8_lossy(&train.stderr)
        );
        let resume = hrm(&["train", "--resume", text(&out), "--steps", "3"]);
        assert!(
            resume.status.success(),
            "{}",
            String::from_utf8_lossy(&resume.stderr)
        );
        let resolved = fs::read_to_string(out.join("latest/train.toml")).unwrap();
        let resolved: toml::Table = resolved.parse().unwrap();
        assert_eq!(resolved["batch_size"].as_integer(), Some(2));
        assert_eq!(resolved["lr"], content["lr"]);
        let latest = fs::canonicalize(out.join("latest")).unwrap();
        assert!(latest.ends_with("step-00000003"), "{}", latest.display());
        let card = fs::read_to_string(latest.join("README.md")).unwrap();
        assert!(card.contains("Wilson") && card.contains("seed"), "{card}");
        count += 1;
    }
    assert!(count >= 18);

    let report = hrm(&["train", "--report", text(&dir.path().join("hrm-maze-hard"))]);
    assert!(
        report.status.success(),
        "{}",
        String::from_utf8_lossy(&report.stderr)
    );
    let page = fs::read_to_string(stdout(&report).trim()).unwrap();
    assert!(page.contains("of 4 solved") && page.contains("maze-8x8"));

    let latest = dir.path().join("hrm-4x4/latest");
    let solve = hrm(&[
        "solve",
        "--checkpoint",
        text(&latest),
        "--device",
        "cpu",
        PUZZLE,
    ]);
    assert_eq!(solve.status.code(), Some(3));
    let missing = error(&hrm(&[
        "train",
        "--out",
        text(dir.path()),
        "--data",
        "no-such.csv",
    ]));
    assert!(missing.contains("no-such.csv"), "{missing}");
    let unknown = error(&hrm(&[
        "train",
        "--preset",
        "nothing",
        "--out",
        text(dir.path()),
        "--data",
        text(&puzzles),
    ]));
    assert!(unknown.contains("nothing"), "{unknown}");
}

#[test]
fn training_sets_are_built_from_published_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (pool, train, held_out) = (path("pool.csv"), path("train.csv.gz"), path("held-out.csv"));
    let run = |args: &[&str]| {
        let output = hrm(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        (stdout(&output), said)
    };
    for (puzzle, command) in [("sudoku-4x4", "sudoku"), ("maze-6x6", "maze")] {
        let out = text(&pool);
        run(&[
            "data", "generate", "--puzzle", puzzle, "--count", "30", "--output", out, "--force",
        ]);
        // As published files are: with a line that is no puzzle now and then.
        let mut content = fs::read_to_string(&pool).unwrap();
        content.push_str("somewhere,12,34,5\n");
        fs::write(&pool, &content).unwrap();
        let (subsample, copies) = ("10", "3");
        let mut args = vec!["data", command, text(&pool), "--output", text(&train)];
        args.extend(["--held-out", "4", "--held-out-output", text(&held_out)]);
        args.extend([
            "--subsample",
            subsample,
            "--augment",
            copies,
            "--hints",
            "--force",
        ]);
        let stopped = error(&hrm(&args));
        assert!(
            stopped.contains("line 32") && stopped.contains("--skip-bad"),
            "{stopped}"
        );
        args.push("--skip-bad");
        let (out, skipped) = run(&args);
        assert!(skipped.contains("line 32"), "{skipped}");
        assert!(
            out.contains("10 puzzles, 80 rows") && out.contains("--group-rows 8"),
            "{out}"
        );
        assert_eq!(fs::read_to_string(&held_out).unwrap().lines().count(), 5);

        let runs = path(&format!("run-{command}"));
        let mut args = vec!["train", "--preset", "hrm-4x4", "--device", "cpu"];
        let kind = format!("architecture.puzzle={puzzle}");
        args.extend([
            "--set",
            &kind,
            "--data",
            text(&train),
            "--held-out",
            text(&held_out),
        ]);
        args.extend(["--no-augment", "--group-rows", "8", "--batch-size", "4"]);
        args.extend(["--epochs", "1", "--log-steps", "1", "--out", text(&runs)]);
        let (said, _) = run(&args);
        // Ten groups in batches of four.
        assert!(said.contains("step 2:"), "{said}");
        let metrics = fs::read_to_string(runs.join("metrics.jsonl")).unwrap();
        let first: serde_json::Value =
            serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
        let wait = first["data_wait"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&wait), "{wait}");
        let led = metrics.contains("led_through");
        assert_eq!(led, command == "maze", "{metrics}");
    }
}

/// Each form of the kernels that is named, on a GPU alone; in turn, so the CPU's
/// line comes once.
#[test]
fn bench_measures_the_forms_of_the_kernels() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path());
    let bench = ["bench", "engine", "--json", "--repetitions", "1"];
    let of = ["--checkpoint", model.to_str().unwrap()];
    let devices = ["--device", "wgpu,cpu", "--kernels", "direct,tiled"];
    let output = hrm(&[&bench[..], &of, &devices].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("no GPU adapter") && std::env::var_os("HRM_REQUIRE_GPU").is_none() {
        eprintln!("skipped: {complaint}");
        return;
    }
    assert!(output.status.success(), "{complaint}");
    let lines: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let forms: Vec<_> = lines.iter().map(|l| l["kernels"].as_str()).collect();
    assert_eq!(forms, [Some("direct"), Some("tiled"), None]);
    assert!(lines.iter().all(|l| l["median_ms"].as_f64().unwrap() > 0.0));

    let unknown = error(&hrm(&[&bench[..], &of, &["--kernels", "round"]].concat()));
    assert!(unknown.contains("packed"), "{unknown}");
    let idle = error(&hrm(&[&bench[..], &of, &["--kernels", "tiled"]].concat()));
    assert!(idle.contains("--device wgpu"), "{idle}");
}
