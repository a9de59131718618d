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
    }
}

fn trainer(compact: bool) -> Trainer {
    let plan = plan(compact);
    let weights = Weights::random(&plan, 1);
    Trainer::new(plan, &weights, settings(compact), Device::flex())
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
        let plan = whole.plan().clone();
        let weights = whole.averaged().to_weights(&plan).unwrap();
        let state = whole.save_state().unwrap();
        let mut resumed = Trainer::new(plan.clone(), &weights, settings(compact), Device::flex());
        resumed.load_state(&state).unwrap();
        assert_eq!(resumed.steps(), 5);
        for step in 5..8 {
            let (a, b) = (
                whole.step(1.0, draw(step)).unwrap(),
                resumed.step(1.0, draw(step)).unwrap(),
            );
            assert_eq!(a, b);
        }
        let weights = |t: &Trainer| {
            (
                t.parameters().to_weights(&plan).unwrap(),
                t.averaged().to_weights(&plan).unwrap(),
            )
        };
        assert_eq!(weights(&whole), weights(&resumed));
    }
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
    let plan = trainer.plan().clone();
    let before = trainer.parameters().to_weights(&plan).unwrap();
    // A head this large overflows its logits.
    let head = plan.heads.lm.index();
    let parameters = trainer.parameters.tensors_mut();
    let good = parameters[head].clone();
    parameters[head] = good.clone() * f32::INFINITY;
    let error = trainer.step(1.0, |row| example(row as u64)).unwrap_err();
    assert!(
        matches!(error, ModelError::Diverged { step: 1, .. }),
        "{error}"
    );
    trainer.parameters.tensors_mut()[head] = good;
    assert_eq!(trainer.parameters().to_weights(&plan).unwrap(), before);
}

#[test]
fn evaluation_gives_every_segment_of_every_puzzle() {
    let plan = plan(true);
    let device = Device::flex();
    let parameters = Parameters::from_weights(&plan, &Weights::random(&plan, 2), &device);
    let examples: Vec<Example> = (0..3).map(example).collect();
    let inputs: Vec<&[u8]> = examples.iter().map(|e| e.input.as_slice()).collect();
    let all = evaluate(&plan, &parameters, &inputs, 2, &device).unwrap();
    assert_eq!(
        (all.len(), all[0].len(), all[0][0].tokens.len()),
        (2, 3, 16)
    );
    // Batching changes nothing: each puzzle has its own state.
    let alone = evaluate(&plan, &parameters, &inputs[1..2], 2, &device).unwrap();
    assert_eq!(alone[1][0].tokens, all[1][1].tokens);
    assert!(all[0][0].q_continue.is_none() && !all[0][0].halts());
}
