//! Every preset at its full size, four segments, against the CPU engine.
#![cfg(not(target_arch = "wasm32"))]

use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun};

const TAPS: Taps = Taps {
    logits: true,
    states: false,
    z_h_updates: false,
    z_l_updates: false,
};
/// Share of the largest absolute logit that the engines may differ by.
const TOLERANCE: f32 = 1e-3;

/// Largest difference of the logits, as a share of the largest logit.
fn difference(found: &[SegmentOutput], expected: &[SegmentOutput]) -> f32 {
    let logits = |outputs: &[SegmentOutput]| -> Vec<f32> {
        outputs
            .iter()
            .flat_map(|o| o.logits.clone().unwrap())
            .collect()
    };
    let (found, expected) = (logits(found), logits(expected));
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = found
        .iter()
        .zip(&expected)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    worst / largest
}

async fn compare(preset: &str, batch: usize) {
    let context = match GpuContext::new(GpuOptions::default()).await {
        Ok(context) => context,
        Err(error) => {
            assert!(
                std::env::var_os("HRM_REQUIRE_GPU").is_none(),
                "HRM_REQUIRE_GPU is set, but {error}"
            );
            eprintln!("skipped: {error}");
            return;
        }
    };
    let plan = Arc::new(Plan::new(&ModelConfig::preset(preset).unwrap()).unwrap());
    let dense = Weights::random(&plan, 11);
    let (cells, side) = (plan.config.seq_len, plan.config.puzzle.side());
    // A third of the cells filled, differently in each puzzle.
    let inputs: Vec<Vec<u8>> = (0..batch)
        .map(|b| {
            let token = |i: usize| {
                if (i + b).is_multiple_of(3) {
                    2 + (i * i + b) % side
                } else {
                    1
                }
            };
            (0..cells).map(|i| token(i) as u8).collect()
        })
        .collect();
    for weights in [dense.quantize_q8(&plan).0, dense] {
        let model = CpuModel::new(Arc::clone(&plan), &weights);
        let mut cpu = CpuRun::new(Arc::new(model), &inputs).unwrap();
        let model = GpuModel::new(&context, Arc::clone(&plan), &weights)
            .await
            .unwrap();
        let mut gpu = GpuRun::new(Arc::new(model), &inputs).await.unwrap();
        let mut worst = 0.0f32;
        for segment in 1..=4 {
            let expected = cpu.segment(TAPS);
            let found = gpu.segment(TAPS).await.unwrap();
            let share = difference(&found, &expected);
            assert!(
                share <= TOLERANCE,
                "{preset}, segment {segment}: {share:e} of the largest logit"
            );
            worst = worst.max(share);
        }
        println!(
            "{preset} {}: {worst:.1e} of the largest logit",
            weights.scheme()
        );
    }
}

#[test]
fn small_presets() {
    for preset in ["hrm-4x4", "hrm-6x6", "compact-6x6"] {
        pollster::block_on(compare(preset, 3));
    }
}

#[test]
fn presets_for_the_large_board() {
    pollster::block_on(compare("compact", 2));
    pollster::block_on(compare("hrm-small", 2));
}

#[test]
fn paper_preset() {
    pollster::block_on(compare("hrm", 1));
}
