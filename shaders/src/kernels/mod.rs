//! One module an operation: its WGSL, its dispatch with shape checks, and its
//! test against plain Rust.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::{GpuContext, Variant};
use crate::kernel::Kernel;
use crate::pack::Format;

pub(crate) mod argmax;
pub(crate) mod attention;
pub(crate) mod columns;
pub(crate) mod embed;
pub(crate) mod factors;
pub(crate) mod mix;
pub(crate) mod noise;
pub(crate) mod norm;
pub(crate) mod partials;
pub(crate) mod pool;
pub(crate) mod project;
pub(crate) mod roles;
pub(crate) mod score;
pub(crate) mod sum;
pub(crate) mod summary;

/// Compiled kernels by label.
pub(crate) type Compiled = Mutex<HashMap<String, Arc<Kernel>>>;

/// Kernels of a device, compiled when first asked for.
#[derive(Debug)]
pub(crate) struct Kernels {
    context: GpuContext,
}

impl Kernels {
    pub(crate) fn new(context: &GpuContext) -> Self {
        Self {
            context: context.clone(),
        }
    }

    pub(crate) fn context(&self) -> &GpuContext {
        &self.context
    }

    /// The kernel made of these sources, which `label` names.
    fn get(&self, label: &str, sources: &[&str]) -> Arc<Kernel> {
        let mut compiled = self
            .context
            .compiled()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = compiled.get(label) {
            return Arc::clone(kernel);
        }
        let kernel = Arc::new(Kernel::new(&self.context, label, sources));
        compiled.insert(label.to_owned(), Arc::clone(&kernel));
        kernel
    }

    /// Forgets what has been compiled, some of which did not work.
    pub(crate) fn forget(context: &GpuContext) {
        let mut compiled = context
            .compiled()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        compiled.clear();
    }

    /// The source for this device's variant, and the variant's name.
    fn by_variant(
        &self,
        direct: &'static str,
        tiled: &'static str,
    ) -> (&'static str, &'static str) {
        match self.context.variant() {
            Variant::Direct => (direct, "direct"),
            _ => (tiled, "tiled"),
        }
    }

    /// The form that a product with weights in that format has on this device.
    fn product(&self, format: Format, bodies: &Bodies) -> Form {
        const BYTES: &str = include_str!("bytes.wgsl");
        const SUM: &str = include_str!("tile_sum.wgsl");
        let (access, scheme) = weight_source(format);
        let (variant, sources) = match (self.context.variant(), format) {
            (Variant::Direct, _) => ("direct", vec![access, bodies.direct]),
            (Variant::Packed, Format::Q8) => {
                let bytes = include_str!("bytes_q8.wgsl");
                ("packed", vec![access, BYTES, bytes, bodies.packed])
            }
            (Variant::Packed, Format::Q4) => {
                let bytes = include_str!("bytes_q4.wgsl");
                ("packed", vec![access, BYTES, bytes, bodies.packed])
            }
            (Variant::Half, Format::F16 | Format::Q8 | Format::Q4) => {
                let tile = include_str!("tile_f16.wgsl");
                // Directives come before everything else.
                (
                    "half",
                    vec!["enable f16;\n", access, tile, SUM, bodies.tiled],
                )
            }
            (Variant::Tiled | Variant::Half | Variant::Packed, _) => {
                let tile = include_str!("tile_f32.wgsl");
                ("tiled", vec![access, tile, SUM, bodies.tiled])
            }
        };
        Form {
            name: format!("{scheme} {variant}"),
            sources,
            tile: match self.context.variant() {
                Variant::Direct => [6, 8 * 16],
                _ => [32, 64],
            },
        }
    }
}

/// Workgroups along the first axis, so that large batches fit the second.
const ROW: usize = 1024;

/// How to run one invocation an element, in workgroups of 64 along the first
/// axis: invocations along that axis, and workgroups.
fn spread(elements: usize) -> (u32, [usize; 3]) {
    let groups = elements.div_ceil(64);
    let across = groups.min(ROW);
    (
        64 * across as u32,
        [across, groups.div_ceil(across.max(1)), 1],
    )
}

/// How a product is computed.
struct Form {
    /// Of the weights' format and the variant.
    name: String,
    /// Its body and how the weights are read, to begin a kernel's sources with.
    sources: Vec<&'static str>,
    /// Rows and columns of the result that a workgroup computes.
    tile: [usize; 2],
}

/// The bodies of a product's kernels.
struct Bodies {
    direct: &'static str,
    tiled: &'static str,
    packed: &'static str,
}

/// Source of the weights' access, and its name.
fn weight_source(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::F32 => (include_str!("weight_f32.wgsl"), "f32"),
        Format::F16 => (include_str!("weight_f16.wgsl"), "f16"),
        Format::Q8 => (include_str!("weight_q8.wgsl"), "q8"),
        Format::Q4 => (include_str!("weight_q4.wgsl"), "q4"),
    }
}
