//! The CPU engine in integers against itself in f32.

use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{Arithmetic, CpuModel, CpuRun};
use hrm_core::engine::Taps;
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;

const TAPS: Taps = Taps {
    logits: true,
    states: true,
    z_h_updates: false,
    z_l_updates: false,
};

fn inputs(plan: &Plan, batch: usize) -> Vec<Vec<u8>> {
    let vocabulary = plan.config.vocab_size;
    (0..batch)
        .map(|b| {
            let token = |i| 1 + (i * i + 3 * b) % (vocabulary - 1);
            (0..plan.config.seq_len).map(|i| token(i) as u8).collect()
        })
        .collect()
}

fn model(plan: &Arc<Plan>, weights: &Weights, arithmetic: Arithmetic) -> Arc<CpuModel> {
    let model = CpuModel::with_arithmetic(Arc::clone(plan), weights, arithmetic);
    assert_eq!(model.arithmetic(), arithmetic);
    Arc::new(model)
}

/// Rounding of activations moves the state by a few per cent, from weights in
/// any form.
#[test]
fn a_segment_in_integers_is_near_one_in_floats() {
    for preset in ["hrm-4x4", "hrm-6x6", "compact-6x6"] {
        let plan = Arc::new(Plan::new(&ModelConfig::preset(preset).unwrap()).unwrap());
        let dense = Weights::random(&plan, 5);
        let forms = [
            dense.quantize_q4(&plan, None, &[]).0,
            dense.quantize_q8(&plan).0,
            dense.quantize_f16(&plan).0,
            dense,
        ];
        for weights in forms {
            let state = |arithmetic| {
                let model = model(&plan, &weights, arithmetic);
                let mut run = CpuRun::new(model, &inputs(&plan, 3)).unwrap();
                run.segment(TAPS);
                run.states().0.to_vec()
            };
            let (expected, found) = (state(Arithmetic::F32), state(Arithmetic::Int8));
            let difference: f32 = expected
                .iter()
                .zip(&found)
                .map(|(a, b)| (a - b).powi(2))
                .sum();
            let power: f32 = expected.iter().map(|a| a * a).sum();
            let error = (difference / power).sqrt();
            println!("{preset} {}: {error:.4}", weights.scheme());
            assert!(
                error > 0.0 && error < 0.06,
                "{preset} {}: {error}",
                weights.scheme()
            );
        }
    }
}

/// Sequences that share a batch, or the parts that it goes through modules in,
/// don't touch each other.
#[test]
fn sequences_of_a_batch_do_not_meet() {
    let plan = Arc::new(Plan::new(&ModelConfig::preset("hrm-4x4").unwrap()).unwrap());
    let weights = Weights::random(&plan, 5);
    let inputs = inputs(&plan, 6);
    for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
        let model = model(&plan, &weights, arithmetic);
        let mut together = CpuRun::new(Arc::clone(&model), &inputs).unwrap();
        let outputs = [together.segment(TAPS), together.segment(TAPS)];
        for (i, input) in inputs.iter().enumerate() {
            let mut alone = CpuRun::new(Arc::clone(&model), std::slice::from_ref(input)).unwrap();
            for outputs in &outputs {
                let found = &alone.segment(TAPS)[0];
                let pairs = found
                    .z_h
                    .iter()
                    .flatten()
                    .zip(outputs[i].z_h.iter().flatten());
                let worst = pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(worst < 1e-3, "{arithmetic:?}, sequence {i}: {worst}");
            }
        }
    }
}
