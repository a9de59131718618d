//! What only the relational mixer does: feedback, and boards of every size
//! with one set of weights.

use hrm_core::config::{InitialState, Modules, Pooling};
use hrm_core::weights::Values;

use super::*;

/// Widths that are no multiple of four; between them every option.
pub(super) fn architectures() -> Vec<(&'static str, ModelConfig)> {
    let odd = ModelConfig {
        message: Some(5),
        mlp_inner: Some(19),
        ..ModelConfig::relational(Shape::S4, 10)
    };
    vec![
        (
            "relations, two modules, mean, silu, no feedback",
            ModelConfig {
                modules: Modules::Separate,
                H_layers: 2,
                L_layers: 1,
                pooling: Pooling::Mean,
                gate: Gate::Silu,
                feedback: false,
                q_continue: true,
                ..odd.clone()
            },
        ),
        (
            "relations, two layers, damping, a random start",
            ModelConfig {
                puzzle: Shape::S6.into(),
                seq_len: 36,
                vocab_size: 8,
                H_layers: 2,
                L_layers: 2,
                damping: Some(0.8),
                initial_state: InitialState::Random,
                ..odd.clone()
            },
        ),
        ("odd relations", odd),
    ]
}

/// As [`weights`], with feedback that is felt.
fn felt(plan: &Plan, seed: u64) -> Weights {
    let mut tensors = weights(plan, seed).tensors().to_vec();
    for (spec, tensor) in plan.tensors.iter().zip(&mut tensors) {
        if spec.name.starts_with("feedback") {
            tensor.values = Values::F32(values(&mut rng(seed + 1), spec.elements()));
        }
    }
    Weights::from_tensors(plan, tensors).unwrap()
}

gpu_test! {
    /// Before the first segment there is no last answer; states that are set
    /// bring theirs; and so in parts too.
    async fn the_last_answer_is_given_back(context) {
        let plan = Arc::new(Plan::new(&ModelConfig::relational(Shape::S4, 12)).unwrap());
        let weights = felt(&plan, 3);
        let inputs = inputs(&plan, 5, 4);
        // Widest are the activations of gate and value: 64 positions, 24 wide.
        for context in [context.clone(), limited(&context, 20_000).await] {
            let mut gpu = start(&context, &plan, &weights, &inputs).await;
            let model = Arc::new(CpuModel::new(Arc::clone(&plan), &weights));
            let mut cpu = CpuRun::new(model, &inputs).unwrap();
            let parts = gpu.together() < 5;
            assert_eq!(parts, context.max_array_bytes() == 20_000, "{}", gpu.together());
            let elements = 5 * plan.positions * plan.hidden;
            let [z_h, z_l] = [1, 2].map(|seed| values(&mut rng(seed), elements));
            let mut seen: Vec<Vec<SegmentOutput>> = Vec::new();
            for step in 0..6 {
                match step {
                    2 => {
                        cpu.begin_at(&z_h, &z_l).unwrap();
                        gpu.begin_at(&z_h, &z_l).unwrap();
                    }
                    3 => {
                        cpu.set_states(&z_h, &z_l).unwrap();
                        gpu.set_states(&z_h, &z_l).unwrap();
                    }
                    4 => {
                        cpu.replace(3, &inputs[0]).unwrap();
                        gpu.replace(3, &inputs[0], 0).unwrap();
                    }
                    5 => {
                        cpu.rewrite(1, &inputs[2]).unwrap();
                        gpu.rewrite(1, &inputs[2]).unwrap();
                    }
                    _ => {}
                }
                let (expected, found) = (cpu.segment(ALL), gpu.segment(ALL).await.unwrap());
                for (found, expected) in found.iter().zip(&expected) {
                    assert_same(found, expected, 1e-3, &format!("step {step}"));
                }
                seen.push(found);
            }
            assert_ne!(seen[2][0].logits, seen[3][0].logits, "the last answer counts");
            gpu.set_inputs(&inputs).unwrap();
            gpu.reset_states();
            assert_eq!(gpu.segment(ALL).await.unwrap(), seen[0]);
        }
    }
}

gpu_test! {
    packed:
    /// Products of bytes are off by what bytes bring; the CPU engine computes
    /// these models in f32.
    async fn packed_relations_are_near_the_cpu_engines(context) {
        for (name, config) in architectures() {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let (ours, _) = away(&context, &plan, &weights(&plan, 5).quantize_q8(&plan).0).await;
            assert!(ours > 1e-4 && ours < 0.1, "{name}: {ours} away");
        }
    }
}

gpu_test! {
    half:
    async fn half_relations_are_near_the_cpu_engines(context) {
        for (name, config) in architectures() {
            let plan = Arc::new(Plan::new(&config).unwrap());
            let dense = weights(&plan, 5);
            for weights in [dense.quantize_f16(&plan).0, dense.quantize_q8(&plan).0] {
                let (ours, _) = away(&context, &plan, &weights).await;
                assert!(ours > 1e-5 && ours < 0.02, "{name}, {}: {ours} away", weights.scheme());
            }
        }
    }
}

gpu_test! {
    /// Weights in 16 bits are what they are rounded to, whatever they are
    /// multiplied in.
    async fn half_weights_agree_with_the_cpu_engine(context) {
        let plan = Arc::new(Plan::new(&architectures()[2].1).unwrap());
        let weights = felt(&plan, 5).quantize_f16(&plan).0;
        let inputs = inputs(&plan, 2, 6);
        let mut gpu = start(&context, &plan, &weights, &inputs).await;
        let model = Arc::new(CpuModel::new(Arc::clone(&plan), &weights));
        let expected = CpuRun::new(model, &inputs).unwrap().segment(ALL);
        for (found, expected) in gpu.segment(ALL).await.unwrap().iter().zip(&expected) {
            assert_same(found, expected, 1e-3, "f16");
        }
    }
}

gpu_test! {
    async fn one_set_of_weights_plays_two_boards(context) {
        let weights = include_bytes!("../../../tests/fixtures/relational/relational.weights.safetensors");
        let expected = include_bytes!("../../../tests/fixtures/relational/relational.expected.safetensors");
        for (board, shape) in [("nine.", Shape::S9), ("six.", Shape::S6)] {
            let config = ModelConfig {
                message: Some(8),
                ..ModelConfig::relational(shape, 16)
            };
            assert_reference(&context, &config, weights, expected, (board, 3)).await;
        }
    }
}

gpu_test! {
    /// Boards larger than any that networks are trained on.
    async fn large_boards_agree_with_the_cpu_engine(context) {
        for shape in [Shape::S8, Shape::S12, Shape::S16] {
            let config = ModelConfig {
                message: Some(3),
                mlp_inner: Some(7),
                ..ModelConfig::relational(shape, 6)
            };
            let plan = Arc::new(Plan::new(&config).unwrap());
            let weights = felt(&plan, 5);
            let inputs = inputs(&plan, 2, 6);
            let mut gpu = start(&context, &plan, &weights, &inputs).await;
            let model = Arc::new(CpuModel::new(Arc::clone(&plan), &weights));
            let mut cpu = CpuRun::new(model, &inputs).unwrap();
            for _ in 0..2 {
                let expected = cpu.segment(ALL);
                for (found, expected) in gpu.segment(ALL).await.unwrap().iter().zip(&expected) {
                    assert_same(found, expected, 1e-3, shape.name());
                }
            }
        }
    }
}
