//! Training as a whole, on a very small model.

use super::*;
use crate::config::ModelConfig;
use crate::plan::Plan;
use crate::puzzle::{GeneratorOptions, Shape, generate};
use crate::weights::Weights;

fn plan(compact: bool) -> Plan {
    let shape = Shape::S4;
    let mut config = if compact {
        ModelConfig::compact(shape, 16)
    } else {
        ModelConfig::hrm(shape, 16, 2, 1)
    };
    config.mlp_inner = Some(32);
    config.halt_max_steps = 3;
    Plan::new(&config).unwrap()
}

fn settings(compact: bool) -> TrainerSettings {
    let kind = if compact {
        OptimizerKind::Muon
    } else {
        OptimizerKind::AdamAtan2
    };
    let adam = AdamSettings {
        lr: 3e-3,
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.95,
    };
    TrainerSettings {
        batch_size: 4,
        // Parts of different sizes.
        threads: if compact { 3 } else { 1 },
        precision: Precision::F32,
        clip: None,
        loss: if compact {
            LossKind::Softmax
        } else {
            LossKind::Stablemax
        },
        q_weight: 0.5,
        ema: Some(0.9),
        optimizer: OptimizerSettings {
            kind,
            adam,
            ..OptimizerSettings::default()
        },
        seed: 5,
    }
}

fn example(seed: u64) -> Example {
    let puzzle = generate(seed, &GeneratorOptions::minimal(Shape::S4)).unwrap();
    Example {
        input: puzzle.question.tokens(),
        label: puzzle.answer.tokens(),
        identifier: 0,
    }
}

fn trainer(compact: bool) -> Trainer {
    let plan = plan(compact);
    let weights = Weights::random(&plan, 1);
    Trainer::on_host(plan, &weights, settings(compact))
}

#[test]
fn the_loss_of_a_few_puzzles_falls() {
    for compact in [false, true] {
        let mut trainer = trainer(compact);
        let first = trainer.step(1.0, |row| example(row as u64)).unwrap();
        let mut last = first;
        for _ in 0..80 {
            last = trainer.step(1.0, |row| example(row as u64)).unwrap();
        }
        assert!(last.cell_loss < 0.5 * first.cell_loss, "{first:?} {last:?}");
        assert!(
            last.cell_accuracy > first.cell_accuracy,
            "{first:?} {last:?}"
        );
    }
}

#[test]
fn a_resumed_run_is_the_same_run() {
    for compact in [false, true] {
        let mut whole = trainer(compact);
        let draw = |step: u64| move |row: usize| example(10 * step + row as u64);
        for step in 0..5 {
            whole.step(1.0, draw(step)).unwrap();
        }
        let plan = (**whole.plan()).clone();
        let weights = whole.averaged().unwrap();
        let state = whole.save_state().unwrap();
        let mut resumed = Trainer::on_host(plan.clone(), &weights, settings(compact));
        resumed.load_state(&state).unwrap();
        assert_eq!(resumed.steps(), 5);
        for step in 5..8 {
            let (a, b) = (
                whole.step(1.0, draw(step)).unwrap(),
                resumed.step(1.0, draw(step)).unwrap(),
            );
            assert_eq!(a, b);
        }
        let weights = |t: &Trainer| (t.weights().unwrap(), t.averaged().unwrap());
        assert_eq!(weights(&whole), weights(&resumed));
    }
}

#[test]
fn a_state_without_its_rows_goes_on_with_new_puzzles() {
    let mut whole = trainer(true);
    let draw = |step: u64| move |row: usize| example(10 * step + row as u64);
    for step in 0..3 {
        whole.step(1.0, draw(step)).unwrap();
    }
    let plan = (**whole.plan()).clone();
    let weights = whole.averaged().unwrap();
    let state = whole.save_state().unwrap();
    let small = without_rows(&state).unwrap();
    assert!(small.len() < state.len());
    let mut resumed = Trainer::on_host(plan.clone(), &weights, settings(true));
    resumed.load_state(&small).unwrap();
    assert_eq!(resumed.steps(), 3);
    let raw = |t: &Trainer| t.weights().unwrap();
    assert_eq!(raw(&whole), raw(&resumed));
    let rows = resumed.rows().len();
    let report = resumed.step(1.0, draw(3)).unwrap();
    assert_eq!(report.started, rows);
    assert!(without_rows(b"nothing").is_err());
}

#[test]
fn foreign_states_are_refused() {
    let mut hrm = trainer(false);
    let error = hrm
        .load_state(&trainer(true).save_state().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("is missing") || error.contains("elements"),
        "{error}"
    );
    let mut state = hrm.save_state().unwrap();
    state.truncate(state.len() - 1);
    assert!(hrm.load_state(&state).is_err());
}

#[test]
fn puzzles_that_do_not_fit_are_named() {
    let mut trainer = trainer(false);
    let wrong = |row: usize| {
        let mut example = example(0);
        if row == 2 {
            example.input[3] = 9;
        }
        example
    };
    let error = trainer.step(1.0, wrong).unwrap_err().to_string();
    assert!(
        error.contains("puzzle 2") && error.contains("token 9"),
        "{error}"
    );
}

#[test]
fn divergence_stops_with_the_weights_as_they_were() {
    let mut trainer = trainer(false);
    let before = trainer.backend().values().unwrap();
    // A head this large overflows its logits.
    let head = trainer.plan().heads.lm.index();
    let mut broken = before.clone();
    broken[head].iter_mut().for_each(|v| *v *= f32::INFINITY);
    trainer.backend_mut().set_values(broken);
    let error = trainer.step(1.0, |row| example(row as u64)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("step 1") && text.contains("`lm_head.weight` before the step"),
        "{text}"
    );
    let after = trainer.backend().values().unwrap();
    assert_eq!(after[..head], before[..head]);
    assert_eq!(after[head + 1..], before[head + 1..]);
}

#[test]
fn evaluation_gives_every_segment_of_every_puzzle() {
    let trainer = trainer(true);
    let examples: Vec<Example> = (0..3).map(example).collect();
    let inputs: Vec<Sequence<'_>> = examples.iter().map(Example::sequence).collect();
    let all = trainer.evaluate(&inputs, 2).unwrap();
    assert_eq!(
        (all.len(), all[0].len(), all[0][0].tokens.len()),
        (2, 3, 16)
    );
    // Batching changes nothing: each puzzle has its own state.
    let alone = trainer.evaluate(&inputs[1..2], 2).unwrap();
    assert_eq!(alone[1][0].tokens, all[1][1].tokens);
    assert!(all[0][0].q_continue.is_none() && !all[0][0].halts());
}

/// Those who share a batch take the step of one, and a run that is saved
/// together goes on whoever takes it up.
#[test]
fn trainers_that_share_a_batch_take_the_step_of_one() {
    for compact in [false, true] {
        let mut alone = trainer(compact);
        let mut leader = trainer(compact).of_rows(0..1);
        let mut other = trainer(compact).of_rows(1..4);
        for step in 0..4 {
            let draw = |row: usize| example(10 * step + row as u64);
            let expected = alone.step(1.0, draw).unwrap();
            let orders = leader.begin(draw).unwrap();
            let text = serde_json::to_string(&orders).unwrap();
            let shares = vec![
                leader.share(&serde_json::from_str(&text).unwrap()).unwrap(),
                other.share(&orders).unwrap(),
            ];
            let report = leader.finish(shares, 1.0).unwrap();
            other.go_on();
            let values = leader.backend().values().unwrap();
            other.backend_mut().set_values(values);
            assert!((report.loss - expected.loss).abs() < 1e-4 * expected.loss);
            assert_eq!(
                (report.started, report.finished),
                (expected.started, expected.finished)
            );
        }
        let rows = other.save_rows().unwrap();
        assert!(leader.save_state().is_err(), "rows are missing");
        let state = leader.save_state_with(std::slice::from_ref(&rows)).unwrap();
        let plan = (**leader.plan()).clone();
        let averaged = leader.averaged().unwrap();
        let mut resumed = Trainer::on_host(plan, &averaged, settings(compact));
        resumed.load_state(&state).unwrap();
        let mut follower = trainer(compact).of_rows(1..4);
        follower.load_state(&state).unwrap();
        assert_eq!(follower.save_rows().unwrap(), rows);
        let draw = |row: usize| example(90 + row as u64);
        let (a, b) = (
            resumed.step(1.0, draw).unwrap(),
            alone.step(1.0, draw).unwrap(),
        );
        assert!((a.loss - b.loss).abs() < 1e-3 * b.loss, "{a:?} {b:?}");
        // Nobody is forgotten without a word.
        let orders = leader.begin(draw).unwrap();
        let own = leader.share(&orders).unwrap();
        let error = leader.finish(vec![own], 1.0).unwrap_err().to_string();
        assert!(error.contains("row 1"), "{error}");
    }
}

/// The gradients of a fresh trainer, tensor after tensor, and its report.
fn gradients(mut trainer: Trainer) -> (Vec<Vec<f32>>, StepReport) {
    // A row of each kind: some fresh, some carried.
    trainer.step(1.0, |row| example(row as u64)).unwrap();
    trainer.gradients(|row| example(50 + row as u64)).unwrap()
}

/// Norm of a difference over the norm of what it is from.
fn deviation(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let norm = |f: &dyn Fn(f32, f32) -> f32| {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs
            .map(|(&a, &b)| f64::from(f(a, b)).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    norm(&|a, b| a - b) / norm(&|a, _| a)
}

fn trainer_with(settings: TrainerSettings) -> Trainer {
    let plan = plan(false);
    let weights = Weights::random(&plan, 1);
    Trainer::on_host(plan, &weights, settings)
}

#[test]
fn bf16_follows_f32() {
    let f32 = settings(false);
    let bf16 = TrainerSettings {
        precision: Precision::Bf16,
        ..f32
    };
    let (exact, report) = gradients(trainer_with(f32));
    let (rounded, low) = gradients(trainer_with(bf16));
    let off = deviation(&exact, &rounded);
    // bf16 has 8 bits: 0.4 % a rounding. Zero would mean f32 was used.
    assert!(off > 1e-4 && off < 0.1, "{off}");
    assert!((report.loss - low.loss).abs() < 0.02 * report.loss);

    // Its weights stay f32: steps far below bf16's resolution still count.
    let mut trainer = trainer_with(bf16);
    let values = |t: &Trainer| -> Vec<f32> {
        let head = t.plan().heads.lm.index();
        t.backend().values().unwrap()[head].clone()
    };
    let before = values(&trainer);
    trainer.step(1e-4, |row| example(row as u64)).unwrap();
    let moved = before
        .iter()
        .zip(values(&trainer))
        .filter(|&(a, b)| *a != b)
        .count();
    assert!(moved > before.len() / 2, "{moved} of {}", before.len());
    let last = (0..80).map(|_| {
        trainer
            .step(1.0, |row| example(row as u64))
            .unwrap()
            .cell_loss
    });
    let losses: Vec<f64> = last.collect();
    let end = losses[70..].iter().sum::<f64>() / 10.0;
    assert!(end < 0.6 * losses[0], "{losses:?}");
}

#[test]
fn long_gradients_are_cut_to_the_limit() {
    let plain = settings(false);
    let (full, report) = gradients(trainer_with(plain));
    let norm = |g: &[Vec<f32>]| {
        let values = g.iter().flatten();
        values.map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
    };
    assert!((norm(&full) / report.gradient_norm - 1.0).abs() < 1e-5);
    let cut = |limit: f64| {
        let clip = Some(limit);
        let mut trainer = trainer_with(TrainerSettings { clip, ..plain });
        let (g, report) = trainer.gradients(|row| example(row as u64)).unwrap();
        (norm(&g), report.gradient_norm)
    };
    let (short, before) = cut(1e-3);
    assert!(
        (short / 1e-3 - 1.0).abs() < 1e-4 && before > 1e-3,
        "{short} {before}"
    );
    let (same, before) = cut(1e6);
    assert!((same / before - 1.0).abs() < 1e-5, "{same} {before}");
}

#[test]
fn a_carried_state_that_is_no_number_is_found() {
    let mut trainer = trainer(false);
    trainer.step(1.0, |row| example(row as u64)).unwrap();
    for shard in &mut trainer.shards {
        shard.carry.halted = vec![false, false, true, false];
        let [mut h, l] = trainer.backend.read_states(&shard.states).unwrap();
        h[2 * 17 * 16..].fill(f32::NAN);
        shard.states = trainer.backend.states(0, [h, l]);
    }
    trainer.halted = vec![false, false, true, false];
    let saved = trainer.save_state().unwrap();
    let error = trainer.step(1.0, |row| example(row as u64)).unwrap_err();
    let text = error.to_string();
    // Row 2 starts anew and is well; row 3 is in its second segment.
    assert!(
        text.contains("step 2: state z_H") && text.contains("segment 2 of row 3"),
        "{text}"
    );
    assert!(trainer.save_state().unwrap() == saved, "the trainer moved");
}

/// A model with six puzzle embeddings, and a puzzle of one of them.
fn tasks() -> (Plan, impl Fn(u64) -> Example) {
    let config = ModelConfig {
        num_puzzle_identifiers: 6,
        puzzle_emb_len: Some(2),
        ..plan(false).config
    };
    let of = |seed: u64| Example {
        identifier: [1, 4, 5][seed as usize % 3],
        ..example(seed)
    };
    (Plan::new(&config).unwrap(), of)
}

fn table(trainer: &Trainer) -> Vec<Vec<f32>> {
    let (plan, weights) = (trainer.plan(), trainer.weights().unwrap());
    let table = plan.puzzle_table().unwrap();
    let rows = weights.dense(table);
    rows.chunks_exact(plan.hidden)
        .map(<[f32]>::to_vec)
        .collect()
}

#[test]
fn a_step_moves_the_puzzle_embeddings_in_use() {
    let (plan, of) = tasks();
    let id = plan.puzzle_table().unwrap();
    let mut weights = Weights::random(&plan, 1);
    let start = [0.5f32; 6 * 16];
    let tensor = crate::weights::Tensor {
        shape: vec![6, 16],
        values: crate::weights::Values::F32(start.to_vec()),
    };
    weights = weights.with(&plan, id, tensor).unwrap();
    let mut options = settings(false);
    options.optimizer.puzzle_emb_lr = 0.01;
    options.optimizer.puzzle_emb_weight_decay = 2.0;
    for threads in [1, 3] {
        options.threads = threads;
        let mut trainer = Trainer::on_host(plan.clone(), &weights, options);
        // Identifiers 1, 4, 5, 1.
        trainer.step(1.0, |row| of(row as u64)).unwrap();
        let kept = 0.5 * (1.0 - 0.01 * 2.0);
        for (row, values) in table(&trainer).iter().enumerate() {
            for value in values {
                if [1, 4, 5].contains(&row) {
                    let moved = (value - kept).abs();
                    assert!((moved - 0.01).abs() < 1e-6, "{row}: {value}");
                } else {
                    assert_eq!(*value, 0.5, "{row}");
                }
            }
        }
        // No average is kept of the table.
        let averaged = trainer.averaged().unwrap();
        assert_eq!(averaged.dense(id), table(&trainer).concat());
    }
}

#[test]
fn identifiers_are_saved_and_tell_puzzles_apart() {
    let (plan, of) = tasks();
    let weights = Weights::random(&plan, 1);
    let mut whole = Trainer::on_host(plan.clone(), &weights, settings(false));
    let step = |trainer: &mut Trainer, step: u64| {
        trainer.step(1.0, |row| of(10 * step + row as u64)).unwrap()
    };
    for i in 0..4 {
        step(&mut whole, i);
    }
    let (averaged, state) = (whole.averaged().unwrap(), whole.save_state().unwrap());
    let mut resumed = Trainer::on_host(plan.clone(), &averaged, settings(false));
    resumed.load_state(&state).unwrap();
    assert_eq!(resumed.rows(), whole.rows());
    for i in 4..8 {
        assert_eq!(step(&mut whole, i), step(&mut resumed, i));
    }
    assert_eq!(table(&whole), table(&resumed));

    // Evaluation takes the identifier too.
    let tokens = example(1).input;
    let ask = |identifier| Sequence {
        tokens: &tokens,
        identifier,
    };
    let guesses = whole.evaluate(&[ask(1), ask(4), ask(1)], 1).unwrap();
    assert_eq!(guesses[0][0], guesses[0][2]);
    assert_ne!(guesses[0][0].q_halt, guesses[0][1].q_halt);
    let error = whole.evaluate(&[ask(6)], 1).unwrap_err().to_string();
    assert!(error.contains("puzzle identifier 6"), "{error}");
    let bad = |_| Example {
        identifier: 6,
        ..example(1)
    };
    // Whichever row takes a puzzle first.
    whole.halted.fill(true);
    let error = whole.step(1.0, bad).unwrap_err().to_string();
    assert!(
        error.contains("puzzle identifier 6 has no row in puzzle_emb.weights, which has 6"),
        "{error}"
    );
    let mut without = trainer(true);
    let error = without.step(1.0, |_| of(1)).unwrap_err().to_string();
    assert!(
        error.contains("the model has no puzzle embedding"),
        "{error}"
    );
}
