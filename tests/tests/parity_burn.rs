//! The trainable model against the reference implementation's values
//! (`fixtures/parity`): forward, gradients, three training steps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::import::{self, Choice, WeightsFile, parse_config};
use hrm_core::model::{Burn, Device, Inputs, Network, Parameters, State};
use hrm_core::plan::{Plan, TensorKind};
use hrm_core::train::{
    AdamSettings, Backend, Example, LossKind, OptimizerKind, OptimizerSettings, Precision,
    Sequence, Trainer, TrainerSettings,
};
use hrm_core::weights::{Weights, plain_name};
use safetensors::{Dtype, SafeTensors};

/// A model with what another implementation computes from it.
struct Fixture {
    plan: Plan,
    weights: Weights,
    expected: BTreeMap<String, Vec<f32>>,
    settings: TrainerSettings,
    /// The reference's measures of its training steps.
    metrics: serde_json::Value,
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(name),
    )
    .unwrap()
}

impl Fixture {
    /// The reference implementation's HRM.
    fn hrm() -> Self {
        let json: serde_json::Value = serde_json::from_slice(&read("parity/tiny.json")).unwrap();
        let setting = |name: &str| json["train"][name].as_f64().unwrap();
        let optimizer = OptimizerSettings {
            kind: OptimizerKind::AdamAtan2,
            adam: AdamSettings {
                lr: setting("lr"),
                weight_decay: setting("weight_decay"),
                beta1: setting("beta1"),
                beta2: setting("beta2"),
            },
            puzzle_emb_lr: setting("puzzle_emb_lr"),
            puzzle_emb_weight_decay: setting("puzzle_emb_weight_decay"),
            ..OptimizerSettings::default()
        };
        Self::new(
            &json["config"].to_string(),
            "parity/tiny.weights.safetensors",
            "parity/tiny.expected.safetensors",
            LossKind::Stablemax,
            0.5,
        )
        .with(optimizer, json["train"]["metrics"].clone())
    }

    /// The PyTorch twin's compact model.
    fn compact() -> Self {
        let config = String::from_utf8(read("compact/config.json")).unwrap();
        Self::new(
            &config,
            "compact/weights.safetensors",
            "compact/expected.safetensors",
            LossKind::Softmax,
            0.1,
        )
    }

    /// A checkpoint laid out as others publish theirs, saved by PyTorch.
    fn published(layout: &str, file: &str) -> Self {
        let weights = read(&format!("published/{layout}/{file}"));
        let mut weights = WeightsFile::open(std::io::Cursor::new(weights)).unwrap();
        let config = parse_config(&read(&format!("published/{layout}/all_config.yaml"))).unwrap();
        let read = import::read(&mut weights, None, Some(config), &Choice::default()).unwrap();
        let expected = format!("published/{layout}.expected.safetensors");
        Self::of(read.plan, read.weights, &expected, LossKind::Softmax, 0.1)
    }

    fn new(config: &str, weights: &str, expected: &str, loss: LossKind, q_weight: f64) -> Self {
        let plan = Plan::new(&ModelConfig::from_json(config).unwrap()).unwrap();
        let weights = Weights::from_safetensors(&plan, &read(weights)).unwrap();
        Self::of(plan, weights, expected, loss, q_weight)
    }

    fn of(plan: Plan, weights: Weights, expected: &str, loss: LossKind, q_weight: f64) -> Self {
        let expected = values(&read(expected));
        let batch_size = expected["inputs"].len() / plan.config.seq_len;
        let optimizer = OptimizerSettings::default();
        let settings = TrainerSettings {
            batch_size,
            threads: 1,
            precision: Precision::F32,
            clip: None,
            loss,
            q_weight,
            ema: None,
            optimizer,
            seed: 0,
        };
        Self {
            plan,
            weights,
            expected,
            settings,
            metrics: serde_json::Value::Null,
        }
    }

    fn with(mut self, optimizer: OptimizerSettings, metrics: serde_json::Value) -> Self {
        self.settings.optimizer = optimizer;
        self.metrics = metrics;
        self
    }

    fn tokens(&self, name: &str) -> Vec<Vec<u8>> {
        let cells = self.plan.config.seq_len;
        self.expected[name]
            .chunks_exact(cells)
            .map(|row| row.iter().map(|&t| t as u8).collect())
            .collect()
    }

    /// The row of the puzzle embedding that each sequence takes.
    fn identifiers(&self) -> Vec<u32> {
        let named = self.expected.get("puzzle_identifiers");
        named.map_or_else(
            || vec![0; self.settings.batch_size],
            |rows| rows.iter().map(|&row| row as u32).collect(),
        )
    }

    fn examples(&self) -> Vec<Example> {
        let labels = self.tokens("labels");
        self.tokens("inputs")
            .into_iter()
            .zip(labels)
            .zip(self.identifiers())
            .map(|((input, label), identifier)| Example {
                input,
                label,
                identifier,
            })
            .collect()
    }

    /// A trainer that computes by the CPU engine.
    fn host(&self) -> Trainer {
        Trainer::on_host(self.plan.clone(), &self.weights, self.settings)
    }

    /// A trainer that computes through burn's graph.
    fn graph(&self) -> Trainer<Burn> {
        let plan = Arc::new(self.plan.clone());
        let devices = vec![Device::flex()];
        let burn = Burn::new(&plan, &self.weights, &self.settings, devices);
        Trainer::new(plan, burn, self.settings)
    }
}

/// A file's tensors as f32, by name without wrappers' prefixes.
fn values(bytes: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let numbers = |dtype: Dtype, data: &[u8]| -> Vec<f32> {
        match dtype {
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            Dtype::I32 => data
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().unwrap()) as f32)
                .collect(),
            Dtype::I64 => data
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32)
                .collect(),
            Dtype::U8 | Dtype::BOOL => data.iter().map(|&b| f32::from(b)).collect(),
            other => panic!("unexpected type {other:?}"),
        }
    };
    let prefixed = |name: &str| match name.split_once('.') {
        Some((kind @ ("grad" | "after3"), rest)) => format!("{kind}.{}", plain_name(rest)),
        _ => name.to_owned(),
    };
    file.tensors()
        .into_iter()
        .map(|(name, view)| (prefixed(&name), numbers(view.dtype(), view.data())))
        .collect()
}

/// Largest difference, relative to the largest absolute value expected.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = largest(expected);
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst.is_finite());
    if largest == 0.0 {
        worst
    } else {
        worst / largest
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m: f32, v| m.max(v.abs()))
}

/// Largest relative difference of the segments' values.
fn forward_difference(fixture: &Fixture) -> f32 {
    let device = Device::flex();
    let parameters = Parameters::from_weights(&fixture.plan, &fixture.weights, &device);
    let network = Network::new(&fixture.plan, &parameters);
    let inputs = fixture.tokens("inputs");
    let identifiers = fixture.identifiers();
    let sequences = inputs.iter().zip(&identifiers);
    let sequences = sequences.map(|(tokens, &identifier)| Sequence {
        tokens,
        identifier: identifier as usize,
    });
    let mut given = Inputs::new(&fixture.plan, sequences, &device);
    let mut state = State::initial(&fixture.plan, &parameters, inputs.len());
    let mut worst: f32 = 0.0;
    let there = |s: &usize| fixture.expected.contains_key(&format!("segment{s}.logits"));
    for segment in (1..).take_while(there) {
        let output = network.segment(state, &given);
        given.go_on();
        let q: Vec<f32> = output.q.clone().try_into_vec_as().unwrap();
        let width = fixture.plan.heads.q_outputs;
        let mut found = vec![
            ("logits", output.logits.clone().try_into_vec_as().unwrap()),
            (
                "q_halt",
                q.iter().step_by(width).copied().collect::<Vec<f32>>(),
            ),
            ("z_H", output.state.h.clone().try_into_vec_as().unwrap()),
            ("z_L", output.state.l.clone().try_into_vec_as().unwrap()),
        ];
        if width > 1 {
            found.push((
                "q_continue",
                q.iter().skip(1).step_by(width).copied().collect(),
            ));
        }
        for (name, found) in found {
            let name = format!("segment{segment}.{name}");
            let difference = difference(&found, &fixture.expected[&name]);
            assert!(difference < 1e-4, "{name}: {difference:e}");
            worst = worst.max(difference);
        }
        state = output.state;
    }
    worst
}

/// Largest relative difference of the first step's gradients.
fn gradient_difference<B: Backend>(fixture: &Fixture, mut trainer: Trainer<B>) -> f32 {
    let examples = fixture.examples();
    let (gradients, _) = trainer.gradients(|row| examples[row].clone()).unwrap();
    let mut worst: f32 = 0.0;
    for (spec, gradient) in fixture.plan.tensors.iter().zip(gradients) {
        let mut expected = match spec.kind {
            TensorKind::Weight => fixture.expected[&format!("grad.{}", spec.name)].clone(),
            // The reference keeps a gradient for each row of the batch; all
            // are of one row of the table.
            TensorKind::PuzzleEmbedding
                if fixture.expected.contains_key("grad.puzzle_emb.weights") =>
            {
                fixture.expected["grad.puzzle_emb.weights"].clone()
            }
            TensorKind::PuzzleEmbedding => {
                let rows = &fixture.expected["grad.puzzle_emb_local"];
                let width = fixture.plan.hidden;
                (0..width)
                    .map(|i| rows.iter().skip(i).step_by(width).sum())
                    .collect()
            }
            TensorKind::Buffer => {
                assert!(gradient.is_empty(), "{} is not trained", spec.name);
                continue;
            }
        };
        if spec.name.starts_with("q_head.") && expected.len() > gradient.len() {
            // The second output, which nothing trains, was left out.
            let beyond = expected.split_off(gradient.len());
            assert!(beyond.iter().all(|&g| g == 0.0), "{}", spec.name);
        }
        let difference = difference(&gradient, &expected);
        assert!(difference < 1e-3, "{}: {difference:e}", spec.name);
        worst = worst.max(difference);
    }
    worst
}

/// The rows that PyTorch took, of a table of random ones.
#[test]
fn identifiers_pick_rows_in_the_graph() {
    let fixture = Fixture::published("hrm", "checkpoint");
    assert!(fixture.identifiers().iter().any(|&row| row > 0));
    println!("with identifiers: {:.2e}", forward_difference(&fixture));
}

#[test]
fn hrm_agrees_with_the_reference() {
    let fixture = Fixture::hrm();
    println!(
        "HRM forward: largest relative difference {:.2e}",
        forward_difference(&fixture)
    );
    for difference in [
        gradient_difference(&fixture, fixture.graph()),
        gradient_difference(&fixture, fixture.host()),
    ] {
        println!("HRM gradients: largest relative difference {difference:.2e}");
    }
}

#[test]
fn published_layouts_train_as_in_pytorch() {
    for (layout, file) in [("trm-att", "step_9765"), ("trm-mlp", "step_16275")] {
        let fixture = Fixture::published(layout, file);
        for difference in [
            gradient_difference(&fixture, fixture.graph()),
            gradient_difference(&fixture, fixture.host()),
        ] {
            println!("{layout} gradients: largest relative difference {difference:.2e}");
        }
    }
}

#[test]
fn compact_agrees_with_its_twin() {
    let fixture = Fixture::compact();
    println!(
        "compact forward: largest relative difference {:.2e}",
        forward_difference(&fixture)
    );
    for difference in [
        gradient_difference(&fixture, fixture.graph()),
        gradient_difference(&fixture, fixture.host()),
    ] {
        println!("compact gradients: largest relative difference {difference:.2e}");
    }
    let examples = fixture.examples();
    let report = fixture
        .host()
        .step(1.0, |row| examples[row].clone())
        .unwrap();
    for (name, found) in [
        ("loss.cells", report.cell_loss),
        ("loss.q", report.q_halt_loss),
    ] {
        let expected = f64::from(fixture.expected[name][0]);
        assert!(
            (found - expected).abs() < 1e-5 * expected.max(1.0),
            "{name}: {found} for {expected}"
        );
    }
}

#[test]
fn three_training_steps_agree_with_the_reference() {
    let fixture = Fixture::hrm();
    three_steps(&fixture, fixture.graph());
    three_steps(&fixture, fixture.host());
}

fn three_steps<B: Backend>(fixture: &Fixture, mut trainer: Trainer<B>) {
    let examples = fixture.examples();
    let batch = examples.len() as f64;
    let mut worst_loss: f64 = 0.0;
    for step in 1..=3 {
        let report = trainer.step(1.0, |row| examples[row].clone()).unwrap();
        let expected = &fixture.metrics[step - 1];
        let found = [
            ("lm_loss", report.cell_loss),
            ("q_halt_loss", report.q_halt_loss),
            ("q_continue_loss", report.q_continue_loss),
            ("loss", report.loss),
            ("accuracy", report.cell_accuracy),
            ("exact_accuracy", report.exact_accuracy),
            ("q_halt_accuracy", report.q_halt_accuracy),
            ("steps", report.segments),
        ];
        for (name, found) in found {
            let expected = expected[name].as_f64().unwrap();
            let difference = (batch * found - expected).abs() / expected.abs().max(1.0);
            assert!(
                difference < 1e-3,
                "step {step}, {name}: {} for {expected}",
                batch * found
            );
            worst_loss = worst_loss.max(difference);
        }
        let counted: Vec<f32> = trainer.row_segments().iter().map(|&s| s as f32).collect();
        assert_eq!(counted, fixture.expected[&format!("train{step}.steps")]);
        let halted: Vec<f32> = trainer
            .row_halted()
            .iter()
            .map(|&h| f32::from(u8::from(h)))
            .collect();
        assert_eq!(halted, fixture.expected[&format!("train{step}.halted")]);
    }

    let (mut close, mut all, mut furthest) = (0, 0, 0.0_f32);
    let values = trainer.backend().values().unwrap();
    for (spec, found) in fixture.plan.tensors.iter().zip(values) {
        if spec.kind == TensorKind::Buffer {
            continue;
        }
        let expected = &fixture.expected[&format!("after3.{}", spec.name)];
        let tolerance = 1e-3 * largest(expected);
        for (a, b) in found.iter().zip(expected) {
            let difference = (a - b).abs();
            close += usize::from(difference <= tolerance);
            furthest = furthest.max(difference);
        }
        all += expected.len();
    }
    let share = close as f64 / all as f64;
    println!(
        "losses: {worst_loss:.2e}; after three steps {:.4} % of {all} elements agree, furthest {furthest:.2e}",
        100.0 * share
    );
    assert!(share >= 0.999, "{share}");
    assert!(furthest <= 6e-3, "{furthest:e}");
}
