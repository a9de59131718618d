//! RMS norm over the channels, without weights, at the end of a module call;
//! damping, and what the next call works on.

use hrm_core::engine::EngineError;

use super::Kernels;
use crate::context::Variant;
use crate::kernel::{Array, Dispatch, check_shape};
use crate::pack::fours;

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    rows: u32,
    width4: u32,
    width: f32,
    epsilon: f32,
    three: u32,
    damping: f32,
    unused: [u32; 2],
}

/// The end of an update. The new state `y` is the normalised `x`, with damping
/// λ `(1 - λ) y + λ` times it; what the next module call works on is `next = y
/// + other (+ input)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next<'a> {
    pub(crate) other: &'a Array,
    pub(crate) input: Option<&'a Array>,
    pub(crate) next: &'a Array,
    pub(crate) damping: Option<f32>,
}

/// `x`, `y` and those of `next` are `[rows, fours(width)]`, zero beyond
/// `width`.
pub(crate) fn dispatch(
    kernels: &Kernels,
    [rows, width]: [usize; 2],
    epsilon: f32,
    x: &Array,
    y: &Array,
    next: Option<Next<'_>>,
) -> Result<Dispatch, EngineError> {
    let mut arrays = vec![(1, x), (2, y)];
    let mut parts = vec![include_str!("params.wgsl")];
    let name = match next {
        None => {
            parts.push(include_str!("store.wgsl"));
            "store"
        }
        Some(end) => {
            // Unread without an input, but the binding must be there.
            let input = end.input.unwrap_or(end.other);
            arrays.extend([(3, end.other), (4, input), (5, end.next)]);
            let (settled, name) = match end.damping {
                None => (include_str!("whole.wgsl"), "next"),
                Some(_) => (include_str!("damped.wgsl"), "damped next"),
            };
            parts.extend([settled, include_str!("next.wgsl")]);
            name
        }
    };
    for (_, array) in &arrays {
        check_shape("norm", array, &[("rows", rows), ("width", fours(width))])?;
    }
    let params = Params {
        rows: rows as u32,
        width4: (fours(width) / 4) as u32,
        width: width as f32,
        epsilon,
        three: u32::from(next.is_some_and(|n| n.input.is_some())),
        damping: next.and_then(|n| n.damping).unwrap_or(1.0),
        unused: [0; 2],
    };
    let (body, variant) =
        kernels.by_variant(include_str!("direct.wgsl"), include_str!("tiled.wgsl"));
    parts.push(body);
    let kernel = kernels.get(&format!("norm {name} {variant}"), &parts);
    let groups = match kernels.context().variant() {
        Variant::Direct => rows.div_ceil(32),
        _ => rows,
    };
    kernel.dispatch(kernels.context(), params, &arrays, [groups, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::restride;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    gpu_test! {
        async fn rows_of_any_width(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            for (rows, width) in [(1, 1), (3, 30), (33, 128), (70, 513)] {
                let x = values(&mut rng, rows * width);
                let x_array = Array::new(&context, "x", &restride(&x, width, fours(width))).unwrap();
                let [y, next] = ["y", "next"].map(|name| Array::zeros(&context, name, x_array.len()).unwrap());
                let terms = [(); 2].map(|()| values(&mut rng, rows * width));
                let [other, input] = terms.each_ref().map(|v| {
                    Array::new(&context, "term", &restride(v, width, fours(width))).unwrap()
                });
                let mut expected = Vec::new();
                for row in x.chunks_exact(width) {
                    let mean = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / width as f64;
                    let values = row.iter().map(|&v| f64::from(v) / (mean + 1e-5).sqrt());
                    // The padding stays zero.
                    expected.extend(values.chain(vec![0.0; fours(width) - width]));
                }
                let old = values(&mut rng, rows * width);
                for (input, damping) in [(None, None), (Some(&input), None), (Some(&input), Some(0.7f32))] {
                    y.write(&context, &restride(&old, width, fours(width)));
                    let after = Next { other: &other, input, next: &next, damping };
                    let found = run(&kernels, &[&y, &next], || {
                        dispatch(&kernels, [rows, width], 1e-5, &x_array, &y, Some(after)).unwrap()
                    }).await;
                    let what = format!("{rows} x {width}, damping {damping:?}");
                    let share = f64::from(damping.unwrap_or(1.0));
                    let at = |i: usize| {
                        let (row, column) = (i / fours(width), i % fours(width));
                        (column < width).then_some(row * width + column)
                    };
                    let states: Vec<f64> = expected
                        .iter()
                        .enumerate()
                        .map(|(i, e)| share * e + (1.0 - share) * at(i).map_or(0.0, |at| f64::from(old[at])))
                        .collect();
                    assert_close(&found[0], &states, 2e-6, &what);
                    let sums: Vec<f64> = states
                        .iter()
                        .enumerate()
                        .map(|(i, e)| {
                            let term = |t: usize| at(i).map_or(0.0, |at| f64::from(terms[t][at]));
                            e + term(0) + if input.is_some() { term(1) } else { 0.0 }
                        })
                        .collect();
                    assert_close(&found[1], &sums, 2e-6, &format!("next of {what}"));
                }
            }
        }
    }
}
