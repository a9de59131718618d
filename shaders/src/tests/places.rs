//! The engines' interface: places that change hands on a GPU as on the CPU.

use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::CpuModel;
use hrm_core::engine::{Engine, EngineError, Run, Taps};
use hrm_core::noise::Noise;
use hrm_core::plan::Plan;
use hrm_core::puzzle::Shape;

use super::{ALL, assert_same, inputs, weights};
use crate::GpuModel;
use crate::testing::{gpu_test, rng, values};

/// One segment of both, compared.
async fn segment(cpu: &mut dyn Run, gpu: &mut dyn Run, what: &str) {
    let expected = cpu.segment(ALL).await.unwrap();
    let found = gpu.segment(ALL).await.unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.is_some(), expected.is_some(), "{what}, place {place}");
        if let (Some(found), Some(expected)) = (found, expected) {
            assert_same(found, expected, 2e-3, &format!("{what}, place {place}"));
        }
    }
}

gpu_test! {
    async fn places_change_hands_on_both_engines(context) {
        for config in [ModelConfig::compact(Shape::S4, 18), ModelConfig::relational(Shape::S4, 12)] {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let weights = weights(&plan, 3);
            let model = Arc::new(GpuModel::new(&context, Arc::clone(&plan), &weights).await.unwrap());
            let engines: [Arc<dyn Engine>; 2] = [Arc::new(CpuModel::new(Arc::clone(&plan), &weights)), model];
            assert_eq!(engines[0].initial(), engines[1].initial());
            let inputs = inputs(&plan, 4, 5);
            let width = plan.positions * plan.hidden;
            let [z_h, z_l] = [1, 2].map(|seed| values(&mut rng(seed), width));
            let mut runs = Vec::new();
            for engine in &engines {
                let mut run = Arc::clone(engine).open(3).await.unwrap();
                assert_eq!(run.places(), 3);
                assert!(run.rewrite(0, &inputs[0]).is_err(), "the place is free");
                assert!(run.set(3, &inputs[0], 0).is_err(), "there is no such place");
                assert!(run.set(0, &inputs[0], 1).is_err(), "an identifier without a row");
                assert!(run.segment(ALL).await.unwrap().iter().all(Option::is_none));
                run.set(2, &inputs[0], 0).unwrap();
                run.set(0, &inputs[1], 0).unwrap();
                assert!(run.begin_at(0, [&z_h, &z_l[1..]]).is_err(), "too short");
                run.begin_at(0, [&z_h, &z_l]).unwrap();
                run.disturb(2, Noise { seed: 5, deviation: 0.1 }).unwrap();
                runs.push(run);
            }
            let [cpu, gpu] = &mut runs[..] else { panic!("two engines") };
            segment(&mut **cpu, &mut **gpu, "two of three").await;
            for run in [&mut *cpu, &mut *gpu] {
                run.set(1, &inputs[2], 0).unwrap();
                // The others go on, the noise with them.
                run.clear(0);
                run.rewrite(2, &inputs[3]).unwrap();
            }
            segment(&mut **cpu, &mut **gpu, "another two").await;
            for run in [&mut *cpu, &mut *gpu] {
                run.clear(2);
                // A place that has been freed has no noise any more.
                run.set(2, &inputs[0], 0).unwrap();
                run.set_states(1, [&z_h, &z_l]).unwrap();
            }
            segment(&mut **cpu, &mut **gpu, "taken anew").await;
            let mut alone = Arc::clone(&engines[0]).start(&inputs[..1]).await.unwrap();
            let expected = alone.segment(Taps::default()).await.unwrap();
            let found = {
                cpu.set(2, &inputs[0], 0).unwrap();
                cpu.segment(Taps::default()).await.unwrap()
            };
            assert_eq!(found[2], expected[0]);
            let wrong = Arc::clone(&engines[1]).start(&[vec![1; 3]]).await;
            assert!(matches!(wrong.err(), Some(EngineError::Input { .. })));
        }
    }
}
