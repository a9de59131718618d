//! Products of states, so that a few numbers are read back and not the
//! states.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::kernel::{Array, Dispatch, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    elements4: u32,
    sequences: u32,
    directions: u32,
    columns: u32,
    first: u32,
    unused: [u32; 3],
}

/// What states are multiplied with.
#[derive(Debug)]
pub(crate) struct With<'a> {
    /// `[directions, elements]`; one of zeros if there are none.
    pub(crate) directions: (&'a Array, usize),
    /// `[kept, sequences, elements]`.
    pub(crate) kept: (&'a Array, usize),
}

impl With<'_> {
    /// Pairs a state is part of, the one with itself included.
    pub(crate) fn columns(&self) -> usize {
        self.directions.1 + self.kept.1 + 1
    }
}

/// `x` is `[sequences, elements]`; row `row` of `y` `[rows, sequences,
/// columns, 2]` gets products and squared distances.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [sequences, elements]: [usize; 2],
    x: &Array,
    with: &With<'_>,
    y: &Array,
    [row, rows]: [usize; 2],
) -> Result<Dispatch, EngineError> {
    check_fours("products", "elements", elements)?;
    let axes = [("sequences", sequences), ("elements", elements)];
    check_shape("products", x, &axes)?;
    let (directions, count) = with.directions;
    let axis = ("directions", count.max(1));
    check_shape("products", directions, &[axis, axes[1]])?;
    let (kept, kept_count) = with.kept;
    check_shape("products", kept, &[("kept", kept_count), axes[0], axes[1]])?;
    let columns = with.columns();
    let pairs = [
        ("rows", rows),
        axes[0],
        ("columns", columns),
        ("numbers", 2),
    ];
    check_shape("products", y, &pairs)?;
    let params = Params {
        elements4: (elements / 4) as u32,
        sequences: sequences as u32,
        directions: count as u32,
        columns: columns as u32,
        first: (row * sequences * columns) as u32,
        ..Params::default()
    };
    let kernel = kernels.get("products", &[include_str!("products.wgsl")]);
    let arrays = [(1, x), (2, directions), (3, kept), (4, y)];
    kernel.dispatch(kernels.context(), params, &arrays, [columns, sequences, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn products_and_distances(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (sequences, elements, directions, kept) in [(1, 4, 0, 1), (3, 300, 2, 3), (2, 1028, 1, 1)] {
                let x = values(&mut rng, sequences * elements);
                let d = values(&mut rng, directions.max(1) * elements);
                let k = values(&mut rng, kept * sequences * elements);
                let [x_array, d_array, k_array] = [&x, &d, &k].map(|v| Array::new(&context, "v", v).unwrap());
                let with = With { directions: (&d_array, directions), kept: (&k_array, kept) };
                let columns = with.columns();
                let y = Array::zeros(&context, "y", 2 * sequences * columns * 2).unwrap();
                let found = run(&kernels, &[&y], || {
                    dispatch(&kernels, [sequences, elements], &x_array, &with, &y, [1, 2]).unwrap()
                }).await;
                // The first row is left alone.
                let mut expected = vec![0.0; sequences * columns * 2];
                for s in 0..sequences {
                    let x = &x[s * elements..(s + 1) * elements];
                    let directions = d.chunks_exact(elements).take(directions);
                    let kept = k.chunks_exact(elements).skip(s).step_by(sequences);
                    for other in directions.chain(kept).chain([x]) {
                        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
                            x.iter().zip(other).map(|(&a, &b)| f(f64::from(a), f64::from(b))).sum()
                        };
                        expected.extend([sum(&|a, b| a * b), sum(&|a, b| (a - b).powi(2))]);
                    }
                }
                assert_close(&found[0], &expected, 5e-6, &format!("{sequences} x {elements}"));
            }
        }
    }
}
