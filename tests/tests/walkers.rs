//! One plan, three walkers: burn, the CPU engine and the WGSL engine compute
//! the same from the same weights, for a list of configurations that between
//! them use every option of the plan.

use std::sync::Arc;

use hrm_core::config::{
    Axis, Gate, InitialState, ModelConfig, Modules, Pooling, PosEncodings, QPool, TokenMixer,
};
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::model::{Device, Inputs, Network, Parameters, State};
use hrm_core::plan::{Init, Plan, TensorKind, sample};
use hrm_core::puzzle::{MazeSize, Shape};
use hrm_core::weights::{Tensor, Values, Weights};
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun};
use pollster::block_on;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEGMENTS: usize = 4;
/// Largest difference of logits over the largest absolute logit. Rounding
/// differs between the walkers and is fed back through every segment.
const TOLERANCE: f32 = 1e-3;

fn configs() -> Vec<(&'static str, ModelConfig)> {
    let hrm = |shape| ModelConfig::hrm(shape, 32, 2, 2);
    let compact = |shape| ModelConfig::compact(shape, 24);
    vec![
        ("hrm 4x4", hrm(Shape::S4)),
        ("hrm 6x6", hrm(Shape::S6)),
        ("hrm 9x9", hrm(Shape::S9)),
        ("compact 4x4", compact(Shape::S4)),
        ("compact 9x9", compact(Shape::S9)),
        (
            "learned positions",
            ModelConfig {
                pos_encodings: PosEncodings::Learned,
                ..hrm(Shape::S4)
            },
        ),
        (
            "more L than H layers, other cycles",
            ModelConfig {
                H_layers: 1,
                L_layers: 3,
                H_cycles: 3,
                L_cycles: 1,
                ..hrm(Shape::S4)
            },
        ),
        (
            "shared attention module",
            ModelConfig {
                modules: Modules::Shared,
                ..hrm(Shape::S6)
            },
        ),
        (
            "no puzzle embedding, mean q, no q_continue",
            ModelConfig {
                puzzle_emb_ndim: 0,
                q_pool: QPool::Mean,
                q_continue: false,
                ..hrm(Shape::S4)
            },
        ),
        (
            "attention with the normalised gate",
            ModelConfig {
                gate: Gate::NormalizedSigmoid,
                ..hrm(Shape::S4)
            },
        ),
        (
            "token mixing in two modules, silu, puzzle embedding",
            ModelConfig {
                token_mixer: TokenMixer::Mlp,
                token_inner: Some(19),
                mlp_inner: Some(37),
                pos_encodings: PosEncodings::Learned,
                ..hrm(Shape::S6)
            },
        ),
        (
            "attention with damping and a random start",
            ModelConfig {
                damping: Some(0.7),
                initial_state: InitialState::Random,
                ..hrm(Shape::S4)
            },
        ),
        ("trm-att", ModelConfig::trm_att(Shape::S6, 32, 2)),
        ("trm-mlp", ModelConfig::trm_mlp(Shape::S6, 30, 23)),
        ("rsm", ModelConfig::rsm(Shape::S4, 30, 23)),
        ("eqr", ModelConfig::eqr(Shape::S6, 30, 23)),
        ("wta", ModelConfig::wta(Shape::S4, 32, 24)),
        (
            "published trm-att: 16 positions in front",
            ModelConfig {
                puzzle_emb_len: Some(16),
                ..ModelConfig::trm_att(Shape::S6, 32, 2)
            },
        ),
        (
            "published trm-mlp: and norms over the positions",
            ModelConfig {
                puzzle_emb_len: Some(16),
                mixer_norm: Axis::Positions,
                ..ModelConfig::trm_mlp(Shape::S6, 30, 23)
            },
        ),
        (
            "published eqr, one layer, with the normalised gate",
            ModelConfig {
                mixer_norm: Axis::Positions,
                gate: Gate::NormalizedSigmoid,
                H_layers: 1,
                L_layers: 1,
                ..ModelConfig::eqr(Shape::S4, 32, 24)
            },
        ),
        ("relational 4x4", ModelConfig::relational(Shape::S4, 16)),
        ("relational 9x9", ModelConfig::relational(Shape::S9, 16)),
        (
            "relations of a maze's cells",
            ModelConfig::relational_maze(MazeSize::of_side(5).unwrap(), 16),
        ),
        (
            "relations of a maze's cells with scores, in two modules",
            ModelConfig {
                modules: Modules::Separate,
                pooling: Pooling::Softmax,
                L_cycles: 2,
                gradient_updates: 4,
                ..ModelConfig::relational_maze(MazeSize::of_side(4).unwrap(), 16)
            },
        ),
        (
            "relations in two modules, two layers, means, silu, no feedback",
            ModelConfig {
                modules: Modules::Separate,
                H_layers: 2,
                L_layers: 1,
                message: Some(6),
                pooling: Pooling::Mean,
                gate: Gate::Silu,
                feedback: false,
                q_continue: true,
                ..ModelConfig::relational(Shape::S6, 16)
            },
        ),
        (
            "relations with damping and a random start",
            ModelConfig {
                damping: Some(0.7),
                initial_state: InitialState::Random,
                ..ModelConfig::relational(Shape::S6, 16)
            },
        ),
    ]
}

/// Every tensor random, the q head and puzzle embedding too; matrices at half
/// their usual deviation, because at the full one some of these recurrences
/// are chaotic: two engines that agree to 4e-6 after one segment differ by ten
/// times more after each further one.
fn weights(plan: &Plan, rng: &mut ChaCha8Rng) -> Weights {
    let tensors = plan
        .tensors
        .iter()
        .map(|spec| {
            let fan_in = *spec.shape.last().unwrap() as f32;
            let std = match spec.kind {
                TensorKind::Buffer => 1.0,
                _ => 0.5 / fan_in.sqrt(),
            };
            let init = Init::TruncatedNormal { std };
            Tensor {
                shape: spec.shape.clone(),
                values: Values::F32(sample(init, spec.elements(), rng)),
            }
        })
        .collect();
    Weights::from_tensors(plan, tensors).unwrap()
}

/// Logits of every cell, then q values, one list a segment.
type Trace = Vec<Vec<f32>>;

fn flat(outputs: &[SegmentOutput]) -> Vec<f32> {
    let logits = outputs.iter().flat_map(|o| o.logits.clone().unwrap());
    let q = outputs
        .iter()
        .flat_map(|o| std::iter::once(o.q_halt).chain(o.q_continue));
    logits.chain(q).collect()
}

const TAPS: Taps = Taps {
    logits: true,
    states: false,
    z_h_updates: false,
    z_l_updates: false,
};

fn on_cpu(plan: &Arc<Plan>, weights: &Weights, inputs: &[Vec<u8>]) -> Trace {
    let mut run = CpuRun::new(Arc::new(CpuModel::new(Arc::clone(plan), weights)), inputs).unwrap();
    (0..SEGMENTS).map(|_| flat(&run.segment(TAPS))).collect()
}

fn on_gpu(context: &GpuContext, plan: &Arc<Plan>, weights: &Weights, inputs: &[Vec<u8>]) -> Trace {
    let model = Arc::new(block_on(GpuModel::new(context, Arc::clone(plan), weights)).unwrap());
    let mut run = block_on(GpuRun::new(model, inputs)).unwrap();
    (0..SEGMENTS)
        .map(|_| flat(&block_on(run.segment(TAPS)).unwrap()))
        .collect()
}

fn on_burn(plan: &Plan, weights: &Weights, inputs: &[Vec<u8>]) -> Trace {
    let device = Device::flex();
    let parameters = Parameters::from_weights(plan, weights, &device);
    let network = Network::new(plan, &parameters);
    let mut given = Inputs::new(plan, inputs.iter().map(Vec::as_slice), &device);
    let mut state = State::initial(plan, &parameters, inputs.len());
    (0..SEGMENTS)
        .map(|_| {
            let output = network.segment(state.clone(), &given);
            given.go_on();
            state = output.state;
            let mut values: Vec<f32> = output.logits.into_data().try_to_vec().unwrap();
            values.extend(output.q.into_data().try_to_vec::<f32>().unwrap());
            values
        })
        .collect()
}

/// Largest relative difference over all segments.
fn difference(a: &Trace, b: &Trace) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            assert_eq!(a.len(), b.len());
            let scale = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            a.iter()
                .zip(b)
                .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()))
                / scale
        })
        .fold(0.0, f32::max)
}

#[test]
fn burn_cpu_and_wgsl_compute_the_same() {
    let context = match block_on(GpuContext::new(GpuOptions::default())) {
        Ok(context) => Some(context),
        Err(error) if std::env::var_os("HRM_REQUIRE_GPU").is_none() => {
            println!("no GPU adapter, WGSL left out: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for (name, config) in configs() {
        let plan = Arc::new(Plan::new(&config).unwrap());
        let dense = weights(&plan, &mut rng);
        let inputs: Vec<Vec<u8>> = (0..3)
            .map(|_| {
                (0..config.seq_len)
                    .map(|_| rng.random_range(1..config.vocab_size as u8))
                    .collect()
            })
            .collect();
        for (scheme, weights) in [("f32", &dense), ("q8", &dense.quantize_q8(&plan).0)] {
            let cpu = on_cpu(&plan, weights, &inputs);
            let burn = difference(&cpu, &on_burn(&plan, weights, &inputs));
            assert!(
                burn < TOLERANCE,
                "{name}, {scheme}: burn and CPU differ by {burn}"
            );
            if let Some(context) = &context {
                let gpu = difference(&cpu, &on_gpu(context, &plan, weights, &inputs));
                assert!(
                    gpu < TOLERANCE,
                    "{name}, {scheme}: WGSL and CPU differ by {gpu}"
                );
                println!("{name}, {scheme}: burn {burn:.1e}, WGSL {gpu:.1e}");
            }
        }
    }
}
