//! What a network that knows only how a puzzle is connected can't tell apart:
//! digits by their names, and lines of a band or stack by their order.

use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::plan::{Init, Plan, sample};
use hrm_core::puzzle::{Board, Shape, Symmetry, Ways};
use hrm_core::weights::{Tensor, Values, Weights};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SEGMENTS: usize = 2;

/// Every tensor random, the q head too; matrices at half their usual
/// deviation, so that rounding does not grow from update to update.
fn model(shape: Shape, seed: u64) -> Arc<CpuModel> {
    let plan = Plan::new(&ModelConfig::relational(shape, 16)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let tensors = plan
        .tensors
        .iter()
        .map(|spec| {
            let fan_in = *spec.shape.last().unwrap() as f32;
            let std = match spec.shape.as_slice() {
                [_] | [3, _] => 1.0,
                _ => 0.5 / fan_in.sqrt(),
            };
            let values = sample(Init::TruncatedNormal { std }, spec.elements(), &mut rng);
            Tensor {
                shape: spec.shape.clone(),
                values: Values::F32(values),
            }
        })
        .collect();
    let weights = Weights::from_tensors(&plan, tensors).unwrap();
    Arc::new(CpuModel::new(Arc::new(plan), &weights))
}

fn answer(model: &Arc<CpuModel>, board: &Board) -> Vec<SegmentOutput> {
    let mut run = CpuRun::new(Arc::clone(model), &[board.tokens()]).unwrap();
    let taps = Taps {
        logits: true,
        states: false,
        ..Taps::default()
    };
    (0..SEGMENTS).map(|_| run.segment(taps).remove(0)).collect()
}

/// For every (cell, symbol) of the mapped board, the one it comes from.
fn sources(shape: Shape, symmetry: &Symmetry) -> Vec<usize> {
    let side = shape.side();
    let mut sources = vec![0; shape.cells() * side];
    for cell in 0..shape.cells() {
        for digit in 1..=side {
            let name = usize::from(symmetry.digit(digit as u8));
            sources[cell * side + name - 1] = symmetry.source(cell) * side + digit - 1;
        }
    }
    sources
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn names_and_orders_permute_the_answer_and_nothing_else(
        shape in prop::sample::select(vec![Shape::S4, Shape::S6, Shape::S9]),
        seed in 0u64..1000,
        ways in prop::sample::select(vec![(true, false), (false, true), (true, true)]),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let ways = Ways { digits: ways.0, lines: ways.1, transpose: false };
        let symmetry = Symmetry::random_of(shape, ways, &mut rng);
        // Any board, sensible or not: half of the cells are given.
        let cells = (0..shape.cells())
            .map(|_| {
                let digit = rand::Rng::random_range(&mut rng, 0..=2 * shape.side() as u8);
                if usize::from(digit) > shape.side() { 0 } else { digit }
            })
            .collect();
        let board = Board::new(shape, cells).unwrap();
        let model = model(shape, seed);
        let sources = sources(shape, &symmetry);
        let (plain, mapped) = (answer(&model, &board), answer(&model, &symmetry.apply(&board)));
        for (plain, mapped) in plain.iter().zip(&mapped) {
            let logits = plain.logits.as_ref().unwrap();
            let largest = logits.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (found, &source) in mapped.logits.as_ref().unwrap().iter().zip(&sources) {
                prop_assert!((found - logits[source]).abs() <= 1e-4 * largest);
            }
            prop_assert!((plain.q_halt - mapped.q_halt).abs() <= 1e-4 * plain.q_halt.abs().max(1.0));
        }
    }
}
