//! The sums that a summary needs, in parts that [`super::summary`] adds up.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

/// Parts a sequence.
pub(crate) const PARTS: usize = 64;

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    positions: u32,
    hidden4: u32,
    pooled: u32,
    outputs: u32,
}

/// The states that are compared, each `[sequences, positions, hidden]`.
pub(crate) struct States<'a> {
    pub(crate) now: [&'a Array; 2],
    pub(crate) before: [&'a Array; 2],
}

/// The q head `[outputs, hidden]` looks at the first `pooled` positions of
/// `z_H`; `partials` is `[sequences, PARTS, 4]`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, positions, hidden]: [usize; 3],
    states: &States<'_>,
    (q_weight, outputs, pooled): (&Array, usize, usize),
    partials: &Array,
) -> Result<Dispatch, EngineError> {
    check_fours("partials", "hidden", hidden)?;
    for array in states.now.into_iter().chain(states.before) {
        let axes = [
            ("sequences", sequences),
            ("positions", positions),
            ("hidden", hidden),
        ];
        check_shape("partials", array, &axes)?;
    }
    check_shape(
        "partials",
        q_weight,
        &[("outputs", outputs), ("hidden", hidden)],
    )?;
    check_shape(
        "partials",
        partials,
        &[("sequences", sequences), ("parts", PARTS), ("sums", 4)],
    )?;
    let params = Params {
        positions: positions as u32,
        hidden4: (hidden / 4) as u32,
        pooled: pooled as u32,
        outputs: outputs as u32,
    };
    let kernel = kernels.get("partials", &[include_str!("partials.wgsl")]);
    let [z_h, z_l] = states.now;
    let [before_h, before_l] = states.before;
    let arrays = [
        (1, z_h),
        (2, z_l),
        (3, before_h),
        (4, before_l),
        (5, q_weight),
        (6, partials),
    ];
    kernel.dispatch(kernels.context(), params, &arrays, [sequences, 1, 1])
}
