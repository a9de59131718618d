//! What the kernels' tests share. The same tests run natively and, built for
//! wasm32, in a browser.

use half::f16;
use hrm_core::weights::{Tensor, Values, q4_groups, q4_row_bytes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::context::{GpuContext, GpuOptions, Variant};
use crate::kernel::{Array, Dispatch};
use crate::kernels::Kernels;
use crate::pack::{Format, Layout, Matrix};
use crate::readback::Readback;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Declares a test that gets a context of each kernel variant in turn whose
/// results are those of f32; after `packed:` or `half:`, of that one, whose
/// are not.
macro_rules! gpu_test {
    (packed: $(#[$meta:meta])* async fn $name:ident($context:ident) $body:block) => {
        $crate::testing::gpu_test! {
            @ [$crate::context::Variant::Packed] $(#[$meta])* async fn $name($context) $body
        }
    };
    (half: $(#[$meta:meta])* async fn $name:ident($context:ident) $body:block) => {
        $crate::testing::gpu_test! {
            @ [$crate::context::Variant::Half] $(#[$meta])* async fn $name($context) $body
        }
    };
    ($(#[$meta:meta])* async fn $name:ident($context:ident) $body:block) => {
        $crate::testing::gpu_test! {
            @ [$crate::context::Variant::Direct, $crate::context::Variant::Tiled]
            $(#[$meta])* async fn $name($context) $body
        }
    };
    (@ $variants:tt $(#[$meta:meta])* async fn $name:ident($context:ident) $body:block) => {
        $(#[$meta])*
        #[cfg(not(target_arch = "wasm32"))]
        #[test]
        fn $name() {
            pollster::block_on(async {
                for $context in $crate::testing::contexts(&$variants).await $body
            });
        }

        $(#[$meta])*
        #[cfg(target_arch = "wasm32")]
        #[wasm_bindgen_test::wasm_bindgen_test]
        async fn $name() {
            for $context in $crate::testing::contexts(&$variants).await $body
        }
    };
}
pub(crate) use gpu_test;

/// A context of each variant; none, with a line that says so, on a machine
/// without any adapter (unless `HRM_REQUIRE_GPU` is set), nor of a variant that
/// the adapter cannot run.
pub(crate) async fn contexts(variants: &[Variant]) -> Vec<GpuContext> {
    let (mut contexts, mut missing) = (Vec::new(), Vec::new());
    for &variant in variants {
        let context = match GpuContext::new(GpuOptions::default()).await {
            Ok(context) => context,
            Err(error) => {
                let required = option_env!("HRM_REQUIRE_GPU").is_some()
                    || std::env::var_os("HRM_REQUIRE_GPU").is_some();
                assert!(!required, "HRM_REQUIRE_GPU is set, but {error}");
                say(&format!("skipped: {error}"));
                return Vec::new();
            }
        };
        if context.variants().contains(&variant) {
            contexts.push(context.with_variant(variant));
        } else {
            let adapter = context.adapter_name();
            missing.push(format!("{adapter} has no {variant} kernels"));
        }
    }
    // `cargo xtask test` counts what is skipped as a whole.
    let outcome = if contexts.is_empty() {
        "skipped"
    } else {
        "in part"
    };
    if !missing.is_empty() {
        say(&format!("{outcome}: {}", missing.join("; ")));
    }
    contexts
}

/// Says why a test does less than it could.
fn say(why: &str) {
    // A page has no standard output.
    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::console_log!("{why}");
    #[cfg(not(target_arch = "wasm32"))]
    println!("{why}");
}

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Uniform in -1..1.
pub(crate) fn values(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Channel or position `k` of 32 in a row that 8 bits hold exactly: integers
/// times a power of two, the first the largest that there is.
pub(crate) fn of_bytes(rng: &mut ChaCha8Rng, k: usize) -> f32 {
    let integer = if k.is_multiple_of(32) {
        127
    } else {
        rng.random_range(-127..=127)
    };
    integer as f32 * 0.5f32.powi((k / 32 % 3) as i32)
}

/// A random `[rows, depth]` matrix, on the device and as plain numbers.
pub(crate) fn matrix(
    context: &GpuContext,
    rng: &mut ChaCha8Rng,
    [rows, depth]: [usize; 2],
    padded: usize,
    format: Format,
) -> (Matrix, Vec<f64>) {
    let values = match format {
        Format::Q8 => Values::Q8 {
            values: (0..rows * depth)
                .map(|_| rng.random_range(-127..=127))
                .collect(),
            scales: (0..rows).map(|_| rng.random_range(0.001..0.01)).collect(),
        },
        Format::Q4 => {
            let scale = |_| f16::from_f32(rng.random_range(0.01..0.1));
            let scales = (0..rows * q4_groups(depth)).map(scale).collect();
            let values = (0..rows * q4_row_bytes(depth))
                .map(|_| rng.random())
                .collect();
            Values::Q4 { values, scales }
        }
        Format::F16 => {
            let values = values(rng, rows * depth);
            Values::F16(values.into_iter().map(f16::from_f32).collect())
        }
        Format::F32 => Values::F32(values(rng, rows * depth)),
    };
    let tensor = Tensor {
        shape: vec![rows, depth],
        values,
    };
    let plain = tensor.dense().iter().map(|&v| f64::from(v)).collect();
    let layout = Layout {
        rows,
        depth: padded,
        row: &Some,
        column: &crate::pack::below(depth),
    };
    (
        Matrix::new(context, "weights", &tensor, &layout).unwrap(),
        plain,
    )
}

/// Makes a dispatch, runs it and reads arrays back.
pub(crate) async fn run(
    kernels: &Kernels,
    arrays: &[&Array],
    make: impl FnOnce() -> Dispatch,
) -> Vec<Vec<u32>> {
    let context = kernels.context();
    let dispatch = context.scoped(|| Ok(make())).await.unwrap();
    let mut encoder = context
        .device()
        .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    dispatch.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
    let readback = Readback::record(context, &mut encoder, arrays);
    context.queue().submit([encoder.finish()]);
    let words = readback.read(context).await.unwrap();
    let mut rest = words.as_slice();
    arrays
        .iter()
        .map(|array| {
            let (head, tail) = rest.split_at(array.len());
            rest = tail;
            head.to_vec()
        })
        .collect()
}

/// How far off the words are from these numbers at most, as a share of the
/// largest.
pub(crate) fn furthest(found: &[u32], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    let off = |(&word, &e): (&u32, &f64)| (f64::from(f32::from_bits(word)) - e).abs() / largest;
    found.iter().zip(expected).map(off).fold(0.0, f64::max)
}

/// Fails unless the words are these numbers within `tolerance` of the
/// largest.
pub(crate) fn assert_close(found: &[u32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    for (i, (&word, &e)) in found.iter().zip(expected).enumerate() {
        let f = f64::from(f32::from_bits(word));
        assert!(
            (f - e).abs() <= tolerance * largest,
            "{what}: element {i} is {f}, expected {e}, largest {largest}"
        );
    }
}

pub(crate) fn silu(v: f64) -> f64 {
    v * sigmoid(v)
}

pub(crate) fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}
