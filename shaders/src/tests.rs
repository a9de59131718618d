//! The whole engine: against the CPU engine on architectures of odd sizes,
//! against the reference's values, and what happens when things go wrong.

mod places;
mod relational;

use std::sync::Arc;

use hrm_core::config::{Gate, ModelConfig, QPool};
use hrm_core::cpu::{Arithmetic, CpuModel, CpuRun};
use hrm_core::engine::{EngineError, SegmentOutput, Taps};
use hrm_core::noise::Noise;
use hrm_core::plan::{Level, Plan, TensorId, TensorKind};
use hrm_core::puzzle::{PuzzleKind, Shape};
use hrm_core::weights::{Scheme, Tensor, Values, Weights};
use rand::Rng;
use safetensors::SafeTensors;

use crate::testing::{gpu_test, rng, values};
use crate::{GpuContext, GpuModel, GpuRun};

const ALL: Taps = Taps {
    logits: true,
    states: true,
    z_h_updates: false,
    z_l_updates: false,
};

/// Architectures that between them take every path, with widths that are no
/// multiple of four or of any tile.
fn architectures() -> Vec<(&'static str, ModelConfig)> {
    let odd_hrm = ModelConfig {
        mlp_inner: Some(37),
        ..ModelConfig::hrm(Shape::S4, 30, 3, 2)
    };
    let odd_compact = ModelConfig {
        mlp_inner: Some(35),
        token_inner: Some(13),
        ..ModelConfig::compact(Shape::S6, 26)
    };
    vec![
        (
            "attention, normalised gate",
            ModelConfig {
                gate: Gate::NormalizedSigmoid,
                ..odd_hrm.clone()
            },
        ),
        (
            "mlp, silu",
            ModelConfig {
                gate: Gate::Silu,
                q_continue: true,
                q_pool: QPool::First,
                ..odd_compact.clone()
            },
        ),
        ("odd hrm", odd_hrm),
        ("odd compact", odd_compact),
        ("hrm-4x4", ModelConfig::hrm(Shape::S4, 64, 4, 1)),
        (
            "attention, damping",
            ModelConfig {
                damping: Some(0.6),
                ..ModelConfig::hrm(Shape::S4, 30, 3, 2)
            },
        ),
        (
            "odd eqr",
            ModelConfig {
                mlp_inner: Some(35),
                ..ModelConfig::eqr(Shape::S6, 26, 13)
            },
        ),
        (
            // Its conflicts are counted on the host.
            "a maze",
            ModelConfig {
                mlp_inner: Some(35),
                token_inner: Some(13),
                ..ModelConfig::compact("maze-5x5".parse::<PuzzleKind>().unwrap(), 26)
            },
        ),
    ]
}

/// Weights of the initial distribution, but with a q head that is not zero.
fn weights(plan: &Plan, seed: u64) -> Weights {
    let mut rng = rng(seed);
    let mut tensors = Weights::random(plan, seed).tensors().to_vec();
    // These begin at zero, which would hide what is made of them.
    let heads = [plan.heads.q_weight, plan.heads.q_bias].map(TensorId::index);
    let is_table = |&i: &usize| plan.tensors[i].kind == TensorKind::PuzzleEmbedding;
    for i in heads.into_iter().chain((0..tensors.len()).filter(is_table)) {
        let Tensor {
            shape,
            values: slot,
        } = &mut tensors[i];
        *slot = Values::F32(values(&mut rng, shape.iter().product()));
    }
    Weights::from_tensors(plan, tensors).unwrap()
}

fn inputs(plan: &Plan, batch: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = rng(seed);
    let vocabulary = plan.config.vocab_size as u8;
    (0..batch)
        .map(|_| {
            (0..plan.config.seq_len)
                .map(|_| rng.random_range(1..vocabulary))
                .collect()
        })
        .collect()
}

async fn start(
    context: &GpuContext,
    plan: &Arc<Plan>,
    weights: &Weights,
    inputs: &[Vec<u8>],
) -> GpuRun {
    let model = GpuModel::new(context, Arc::clone(plan), weights)
        .await
        .unwrap();
    GpuRun::new(Arc::new(model), inputs).await.unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(
        worst <= tolerance * largest,
        "{what}: off by {worst}, the largest is {largest}"
    );
}

fn assert_same(found: &SegmentOutput, expected: &SegmentOutput, tolerance: f32, what: &str) {
    let part = |o: &SegmentOutput| {
        [
            o.logits.clone().unwrap(),
            o.z_h.clone().unwrap(),
            o.z_l.clone().unwrap(),
        ]
    };
    for ((found, expected), name) in part(found)
        .iter()
        .zip(&part(expected))
        .zip(["logits", "z_H", "z_L"])
    {
        assert_close(found, expected, tolerance, &format!("{what}, {name}"));
    }
    let numbers = |o: &SegmentOutput| {
        [
            o.q_halt,
            o.q_continue.unwrap_or(0.0),
            o.residual_h,
            o.residual_l,
        ]
    };
    assert_close(
        &numbers(found),
        &numbers(expected),
        tolerance,
        &format!("{what}, q and residuals"),
    );
    assert_eq!(found.q_continue.is_some(), expected.q_continue.is_some());
}

/// Those that all kernels of f32 compute alike.
fn all_architectures() -> Vec<(&'static str, ModelConfig)> {
    let mut all = architectures();
    all.extend(relational::architectures());
    all
}

gpu_test! {
    async fn segments_agree_with_the_cpu_engine(context) {
        for (name, config) in all_architectures() {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let dense = weights(&plan, 5);
            let inputs = inputs(&plan, 3, 6);
            for weights in [dense.quantize_q8(&plan).0, dense] {
                let what = format!("{name}, {}, {:?}", weights.scheme(), context.variant());
                let mut cpu = CpuRun::new(Arc::new(CpuModel::new(Arc::clone(&plan), &weights)), &inputs).unwrap();
                let mut gpu = start(&context, &plan, &weights, &inputs).await;
                for _ in 0..2 {
                    let expected = cpu.segment(ALL);
                    let found = gpu.segment(ALL).await.unwrap();
                    for (found, expected) in found.iter().zip(&expected) {
                        assert_same(found, expected, 1e-3, &what);
                    }
                }
                // From equal states, the tokens and their conflicts are the same too.
                let [z_h, z_l] = [cpu.states().0.to_vec(), cpu.states().1.to_vec()];
                gpu.set_states(&z_h, &z_l).unwrap();
                let found = gpu.segment(Taps::default()).await.unwrap();
                for (found, expected) in found.iter().zip(&cpu.segment(Taps::default())) {
                    assert_eq!((&found.tokens, found.conflicts), (&expected.tokens, expected.conflicts), "{what}");
                    assert_eq!((&found.logits, &found.z_h, &found.z_l), (&None, &None, &None));
                }
            }
        }
    }
}

/// States of a segment in one row.
fn states(outputs: &[SegmentOutput]) -> Vec<f32> {
    let states = outputs.iter().flat_map(|o| o.z_h.clone().unwrap());
    states.collect()
}

/// How far a run on the device goes from the CPU engine's in f32 in a segment,
/// and how far the CPU engine in 8 bits does: Euclidean, as a share of the
/// state.
async fn away(context: &GpuContext, plan: &Arc<Plan>, weights: &Weights) -> (f32, f32) {
    let inputs = inputs(plan, 3, 6);
    let [expected, rounded] = [Arithmetic::F32, Arithmetic::Int8].map(|arithmetic| {
        let model = CpuModel::with_arithmetic(Arc::clone(plan), weights, arithmetic);
        states(&CpuRun::new(Arc::new(model), &inputs).unwrap().segment(ALL))
    });
    let mut gpu = start(context, plan, weights, &inputs).await;
    let found = states(&gpu.segment(ALL).await.unwrap());
    let length = |v: &mut dyn Iterator<Item = f32>| v.map(|v| v * v).sum::<f32>().sqrt();
    let away = |from: &[f32]| {
        let off = length(&mut expected.iter().zip(from).map(|(e, v)| e - v));
        off / length(&mut expected.iter().copied())
    };
    (away(&found), away(&rounded))
}

gpu_test! {
    packed:
    /// Rounding activations of 32 channels costs no more than the CPU engine's
    /// rounding of whole rows, and nothing where weights are not quantized.
    async fn packed_segments_are_near_the_cpu_engines(context) {
        for (name, config) in architectures() {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let dense = weights(&plan, 5);
            for weights in [dense.quantize_q8(&plan).0, dense.quantize_q4(&plan, None, &[]).0, dense] {
                let (ours, whole_rows) = away(&context, &plan, &weights).await;
                let what = format!("{name}, {}: {ours} away, the CPU engine in 8 bits {whole_rows}", weights.scheme());
                match weights.scheme() {
                    // Elsewhere they are rounded again, to 8 bits, which the
                    // CPU engine does not do on every processor.
                    Scheme::Q4 if !config.hidden_size.is_multiple_of(32) => continue,
                    Scheme::F32 => assert!(ours < 1e-4, "{what}"),
                    _ => assert!(ours > 1e-4 && ours < 1.5 * whole_rows, "{what}"),
                }
            }
        }
    }
}

gpu_test! {
    half:
    /// Eleven bits of activations and weights instead of f32's 24 cost a
    /// fraction of what 8 bits of activations do.
    async fn half_segments_are_near_the_cpu_engines(context) {
        for (name, config) in architectures() {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let dense = weights(&plan, 5);
            for weights in [
                dense.quantize_f16(&plan).0,
                dense.quantize_q8(&plan).0,
                dense.quantize_q4(&plan, None, &[]).0,
                dense,
            ] {
                let (ours, whole_rows) = away(&context, &plan, &weights).await;
                let what = format!("{name}, {}: {ours} away, the CPU engine in 8 bits {whole_rows}", weights.scheme());
                match weights.scheme() {
                    // Elsewhere they are rounded again, to 8 bits.
                    Scheme::Q4 if !config.hidden_size.is_multiple_of(32) => continue,
                    Scheme::F32 => assert!(ours < 1e-4, "{what}"),
                    _ => assert!(ours > 1e-5 && ours < 0.3 * whole_rows, "{what}"),
                }
            }
        }
    }
}

gpu_test! {
    async fn a_sequence_does_not_depend_on_its_batch(context) {
        let plan = Arc::new(Plan::new(&architectures()[2].1).unwrap());
        let weights = weights(&plan, 7);
        let inputs = inputs(&plan, 5, 8);
        let together = start(&context, &plan, &weights, &inputs).await.segment(ALL).await.unwrap();
        for (i, expected) in together.iter().enumerate() {
            let alone = start(&context, &plan, &weights, &inputs[i..=i]).await.segment(ALL).await.unwrap();
            assert_same(&alone[0], expected, 1e-6, "alone");
        }
    }
}

/// A context on which no array may have more than these bytes.
async fn limited(context: &GpuContext, bytes: u64) -> GpuContext {
    let options = crate::GpuOptions {
        variant: Some(context.variant()),
        max_array_bytes: Some(bytes),
        ..Default::default()
    };
    GpuContext::new(options).await.unwrap()
}

gpu_test! {
    /// What does not fit at once is run in parts, to the same results.
    async fn batches_beyond_the_memory_go_in_parts(context) {
        let plan = Arc::new(Plan::new(&architectures()[4].1).unwrap());
        let weights = weights(&plan, 3);
        let (first, second) = (inputs(&plan, 11, 4), inputs(&plan, 11, 5));
        let mut whole = start(&context, &plan, &weights, &first).await;
        assert_eq!(whole.together(), 11);
        // The widest weights take 131 kB, an activation 17 kB a sequence.
        let small = limited(&context, 140_000).await;
        let mut parts = start(&small, &plan, &weights, &first).await;
        assert!((2..=8).contains(&parts.together()), "{}", parts.together());
        for _ in 0..2 {
            assert_eq!(parts.segment(ALL).await.unwrap(), whole.segment(ALL).await.unwrap());
        }
        let z: Vec<f32> = values(&mut rng(1), 11 * plan.positions * plan.hidden);
        for run in [&mut whole, &mut parts] {
            run.set_inputs(&second).unwrap();
            run.set_states(&z, &z).unwrap();
        }
        assert_eq!(parts.segment(ALL).await.unwrap(), whole.segment(ALL).await.unwrap());
        for run in [&mut whole, &mut parts] {
            for seed in 0..11 {
                run.disturb(seed as usize, Noise { seed, deviation: 0.1 }).unwrap();
            }
        }
        for _ in 0..2 {
            assert_eq!(parts.segment(ALL).await.unwrap(), whole.segment(ALL).await.unwrap());
        }
        // Where not even one sequence fits, it says so.
        let model = GpuModel::new(&limited(&context, 100_000).await, Arc::clone(&plan), &weights).await;
        assert!(matches!(model, Err(EngineError::OutOfMemory(_))), "{model:?}");
    }
}

gpu_test! {
    /// The state after each update inside a segment is the CPU engine's, in
    /// parts too, and following it changes nothing.
    async fn states_are_followed_inside_segments(context) {
        let plan = Arc::new(Plan::new(&architectures()[2].1).unwrap());
        let weights = weights(&plan, 3);
        let inputs = inputs(&plan, 5, 4);
        for context in [context.clone(), limited(&context, 30_000).await] {
            let mut gpu = start(&context, &plan, &weights, &inputs).await;
            let mut plain = start(&context, &plan, &weights, &inputs).await;
            let model = CpuModel::new(Arc::clone(&plan), &weights);
            let mut cpu = CpuRun::new(Arc::new(model), &inputs).unwrap();
            let high = Taps { z_h_updates: true, ..ALL };
            let both = Taps { z_l_updates: true, ..high };
            for taps in [high, both] {
                let expected = cpu.segment(taps);
                let mut outputs = gpu.segment(taps).await.unwrap();
                for (output, expected) in outputs.iter_mut().zip(&expected) {
                    let found = std::mem::take(&mut output.updates);
                    let levels = plan.updates.iter().map(|u| u.level).filter(|&l| taps.updates(l));
                    assert!(found.iter().map(|(level, _)| *level).eq(levels));
                    assert_eq!(found.len(), expected.updates.len());
                    for ((level, found), (expected_level, expected)) in found.iter().zip(&expected.updates) {
                        assert_eq!(level, expected_level);
                        assert_close(found, expected, 1e-3, "followed");
                    }
                    let last = found.iter().rfind(|(level, _)| *level == Level::High);
                    assert_eq!(last.map(|(_, z)| z), output.z_h.as_ref());
                }
                assert_eq!(outputs, plain.segment(ALL).await.unwrap());
            }
        }
    }
}

gpu_test! {
    async fn inputs_and_states_can_be_replaced(context) {
        let plan = Arc::new(Plan::new(&architectures()[3].1).unwrap());
        let weights = weights(&plan, 9);
        let (first, second) = (inputs(&plan, 2, 10), inputs(&plan, 2, 11));
        let mut run = start(&context, &plan, &weights, &first).await;
        let start_of_first = run.segment(ALL).await.unwrap();
        run.set_inputs(&second).unwrap();
        let changed_midway = run.segment(ALL).await.unwrap();
        run.reset_states();
        let start_of_second = run.segment(ALL).await.unwrap();
        assert_ne!(changed_midway, start_of_second);
        assert_eq!(start(&context, &plan, &weights, &second).await.segment(ALL).await.unwrap(), start_of_second);
        run.set_inputs(&first).unwrap();
        run.reset_states();
        assert_eq!(run.segment(ALL).await.unwrap(), start_of_first);
    }
}

gpu_test! {
    async fn sequences_have_the_row_of_their_identifier(context) {
        for front in [None, Some(3)] {
            let config = ModelConfig {
                num_puzzle_identifiers: 5,
                puzzle_emb_len: front,
                ..ModelConfig::hrm(Shape::S4, 30, 3, 1)
            };
            let plan = Arc::new(Plan::new(&config).unwrap());
            let weights = weights(&plan, 5);
            let inputs = inputs(&plan, 3, 6);
            let model = Arc::new(CpuModel::new(Arc::clone(&plan), &weights));
            let mut gpu = start(&context, &plan, &weights, &inputs).await;
            let first_rows = gpu.segment(ALL).await.unwrap();
            for (place, identifier) in [4, 0, 2].into_iter().enumerate() {
                gpu.replace(place, &inputs[place], identifier).unwrap();
            }
            let mut cpu = CpuRun::with_identifiers(Arc::clone(&model), &inputs, &[4, 0, 2]).unwrap();
            let what = format!("{front:?} in front, {:?}", context.variant());
            let found = gpu.segment(ALL).await.unwrap();
            for (found, expected) in found.iter().zip(&cpu.segment(ALL)) {
                assert_same(found, expected, 1e-3, &what);
            }
            // Rows matter, and the first is another's where none was asked for.
            assert_eq!(found[1], first_rows[1]);
            assert_ne!(found[0].logits, first_rows[0].logits);
            gpu.replace(0, &inputs[0], 0).unwrap();
            assert_eq!(gpu.segment(ALL).await.unwrap()[0].logits, first_rows[0].logits);
            let wrong = gpu.replace(1, &inputs[1], 5);
            assert!(matches!(wrong, Err(EngineError::Input { sequence: 1, .. })));
        }
    }
}

gpu_test! {
    async fn what_does_not_fit_is_refused(context) {
        let plan = Arc::new(Plan::new(&architectures()[4].1).unwrap());
        let model = Arc::new(GpuModel::new(&context, Arc::clone(&plan), &weights(&plan, 1)).await.unwrap());
        let inputs = inputs(&plan, 2, 1);
        let short = vec![inputs[0].clone(), vec![1; 15]];
        let error = GpuRun::new(Arc::clone(&model), &short).await.unwrap_err().to_string();
        assert_eq!(error, "input 1: has 15 tokens, the model takes 16");
        let mut run = GpuRun::new(Arc::clone(&model), &inputs).await.unwrap();
        assert!(matches!(run.set_inputs(&inputs[..1]), Err(EngineError::Input { .. })));
        assert!(matches!(run.set_states(&[0.0; 4], &[0.0; 4]), Err(EngineError::Input { .. })));
        // None of this has hurt the run.
        run.segment(Taps::default()).await.unwrap();
    }
}

gpu_test! {
    async fn a_lost_device_is_an_error_and_a_new_one_works(context) {
        let plan = Arc::new(Plan::new(&architectures()[4].1).unwrap());
        let weights = weights(&plan, 1);
        let inputs = inputs(&plan, 1, 1);
        let mut run = start(&context, &plan, &weights, &inputs).await;
        let before = run.segment(ALL).await.unwrap();
        context.destroy();
        for _ in 0..2 {
            let found = run.segment(ALL).await;
            assert!(matches!(found, Err(EngineError::Lost(_))), "{found:?}");
        }
        assert!(context.lost().is_some());
        assert!(matches!(GpuModel::new(&context, Arc::clone(&plan), &weights).await, Err(EngineError::Lost(_))));

        let again = GpuContext::new(crate::GpuOptions { variant: Some(context.variant()), ..Default::default() }).await.unwrap();
        assert_eq!(start(&again, &plan, &weights, &inputs).await.segment(ALL).await.unwrap(), before);
    }
}

/// Reference values, whose names begin with `prefix`, of some segments.
async fn assert_reference(
    context: &GpuContext,
    config: &ModelConfig,
    weights: &[u8],
    expected: &[u8],
    (prefix, segments): (&str, usize),
) {
    let plan = Arc::new(Plan::new(config).unwrap());
    let weights = Weights::from_safetensors(&plan, weights).unwrap();
    let file = SafeTensors::deserialize(expected).unwrap();
    let words = |name: &str| -> Vec<[u8; 4]> {
        file.tensor(name)
            .unwrap()
            .data()
            .chunks_exact(4)
            .map(|b| [b[0], b[1], b[2], b[3]])
            .collect()
    };
    let floats =
        |name: &str| -> Vec<f32> { words(name).into_iter().map(f32::from_le_bytes).collect() };
    let tokens: Vec<u8> = words(&format!("{prefix}inputs"))
        .iter()
        .map(|b| b[0])
        .collect();
    let inputs: Vec<Vec<u8>> = tokens
        .chunks_exact(config.seq_len)
        .map(<[u8]>::to_vec)
        .collect();

    let mut run = start(context, &plan, &weights, &inputs).await;
    for segment in 1..=segments {
        let outputs = run.segment(ALL).await.unwrap();
        let check = |name: &str, part: &dyn Fn(&SegmentOutput) -> Vec<f32>| {
            let name = format!("{prefix}segment{segment}.{name}");
            let found: Vec<f32> = outputs.iter().flat_map(part).collect();
            let expected = floats(&name);
            assert_close(&found, &expected, 1e-3, &name);
            let worst = found
                .iter()
                .zip(&expected)
                .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            println!("{name}: {:.1e} of the largest", worst / largest);
        };
        check("logits", &|o| o.logits.clone().unwrap());
        check("z_H", &|o| o.z_h.clone().unwrap());
        check("z_L", &|o| o.z_l.clone().unwrap());
        check("q_halt", &|o| vec![o.q_halt]);
        if config.q_continue {
            check("q_continue", &|o| o.q_continue.into_iter().collect());
        }
    }
}

gpu_test! {
    async fn tiny_hrm_agrees_with_the_reference(context) {
        // The tiny model's file holds its `config` beside training settings.
        let text = include_str!("../../tests/fixtures/parity/tiny.json");
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let config = ModelConfig::from_json(&document["config"].to_string()).unwrap();
        let weights = include_bytes!("../../tests/fixtures/parity/tiny.weights.safetensors");
        let expected = include_bytes!("../../tests/fixtures/parity/tiny.expected.safetensors");
        assert_reference(&context, &config, weights, expected, ("", 4)).await;
    }
}

gpu_test! {
    async fn compact_model_agrees_with_its_twin(context) {
        let config = ModelConfig::from_json(include_str!("../../tests/fixtures/compact/config.json")).unwrap();
        let weights = include_bytes!("../../tests/fixtures/compact/weights.safetensors");
        let expected = include_bytes!("../../tests/fixtures/compact/expected.safetensors");
        assert_reference(&context, &config, weights, expected, ("", 4)).await;
    }
}

gpu_test! {
async fn a_place_changes_hands_and_the_others_go_on(context) {
    for (name, config) in all_architectures() {
        let plan = Arc::new(Plan::new(&config).unwrap());
        let weights = weights(&plan, 3);
        let inputs = inputs(&plan, 4, 5);
        let mut whole = start(&context, &plan, &weights, &inputs[..3]).await;
        let mut fresh = start(&context, &plan, &weights, &inputs[3..]).await;
        whole.segment(ALL).await.unwrap();
        assert!(whole.replace(3, &inputs[3], 0).is_err());
        whole.replace(1, &inputs[3], 0).unwrap();
        let mut alone = start(&context, &plan, &weights, &inputs[..1]).await;
        alone.segment(ALL).await.unwrap();
        for _ in 0..2 {
            let found = whole.segment(ALL).await.unwrap();
            let expected = fresh.segment(ALL).await.unwrap();
            assert_same(&found[1], &expected[0], 1e-5, name);
            let expected = alone.segment(ALL).await.unwrap();
            assert_same(&found[0], &expected[0], 1e-5, name);
        }
        // A changed start is what it was changed to.
        let half = vec![0.5; plan.positions * plan.hidden];
        whole.replace(2, &inputs[0], 0).unwrap();
        whole.set_states_of(2, [&half, &half], true).unwrap();
        assert!(whole.set_states_of(2, [&half, &half[1..]], true).is_err());
        alone.begin_at(&half, &half).unwrap();
        let (found, expected) = (
            whole.segment(ALL).await.unwrap(),
            alone.segment(ALL).await.unwrap(),
        );
        assert_same(&found[2], &expected[0], 1e-5, name);
        // A rewritten sequence goes on from its state with another input.
        assert!(whole.rewrite(3, &inputs[1]).is_err());
        whole.rewrite(2, &inputs[1]).unwrap();
        let (z_h, z_l) = (found[2].z_h.as_ref(), found[2].z_l.as_ref());
        let mut moved = start(&context, &plan, &weights, &inputs[1..2]).await;
        moved.set_states(z_h.unwrap(), z_l.unwrap()).unwrap();
        let found = whole.segment(ALL).await.unwrap();
        let expected = moved.segment(ALL).await.unwrap();
        assert_same(&found[2], &expected[0], 1e-5, name);
    }
}
}

gpu_test! {
    async fn noise_at_updates_agrees_with_the_cpu_engine(context) {
        for (name, config) in all_architectures() {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let weights = weights(&plan, 8);
            let inputs = inputs(&plan, 3, 9);
            let noise = [0.0, 0.02, 0.1].map(|deviation| Noise { seed: 7, deviation });
            let model = Arc::new(CpuModel::new(Arc::clone(&plan), &weights));
            let mut plain = CpuRun::new(Arc::clone(&model), &inputs).unwrap();
            let mut cpu = CpuRun::new(model, &inputs).unwrap();
            let mut gpu = start(&context, &plan, &weights, &inputs).await;
            assert!(gpu.disturb(3, noise[0]).is_err());
            assert!(gpu.disturb(0, Noise { seed: 7, deviation: f32::NAN }).is_err());
            for (sequence, &noise) in noise.iter().enumerate() {
                cpu.disturb(sequence, noise).unwrap();
                gpu.disturb(sequence, noise).unwrap();
            }
            for _ in 0..2 {
                let (found, expected) = (gpu.segment(ALL).await.unwrap(), cpu.segment(ALL));
                let quiet = plain.segment(ALL);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_same(found, expected, 2e-3, name);
                }
                assert_eq!(expected[0].z_h, quiet[0].z_h, "{name}");
                assert_ne!(expected[1].z_h, quiet[1].z_h, "{name}");
            }
            // Without it again, from equal states.
            let [z_h, z_l] = [cpu.states().0.to_vec(), cpu.states().1.to_vec()];
            gpu.set_states(&z_h, &z_l).unwrap();
            for sequence in 0..3 {
                cpu.disturb(sequence, Noise::NONE).unwrap();
                gpu.disturb(sequence, Noise::NONE).unwrap();
            }
            let (found, expected) = (gpu.segment(ALL).await.unwrap(), cpu.segment(ALL));
            for (found, expected) in found.iter().zip(&expected) {
                assert_same(found, expected, 1e-3, name);
            }
        }
    }
}
