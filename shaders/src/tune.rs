//! Which form of the kernels an adapter runs faster: a short trial.

use hrm_core::engine::EngineError;
use hrm_core::weights::{Tensor, Values};

use crate::context::{GpuContext, Variant};
use crate::kernel::Array;
use crate::kernels::Kernels;
use crate::kernels::project::{Epilogue, dispatch};
use crate::pack::{Layout, Matrix};
use crate::readback::Readback;

/// Rows, columns and depth of the product that is tried: a sequence of the
/// paper's model.
const SHAPE: [usize; 3] = [82, 512, 512];
/// Products a submission, so that the way there and back counts little.
const PRODUCTS: usize = 4;
/// Submissions of each form; the fastest counts.
const TRIALS: usize = 3;

impl GpuContext {
    /// What distinguishes this adapter from others, for remembering what
    /// [`GpuContext::tune`] found.
    #[must_use]
    pub fn adapter_key(&self) -> String {
        let info = self.info();
        format!(
            "{:?} {} {} {} {:x}:{:x}",
            info.backend, info.name, info.driver, info.driver_info, info.vendor, info.device
        )
    }

    /// Tries the forms of the kernels and takes the fastest of those that
    /// compute right for what is made from this context from now on. `now` is a
    /// clock in seconds. Takes about a second on a software adapter, compiling
    /// included.
    ///
    /// # Errors
    /// If the device is lost, or refuses every form.
    pub async fn tune(&mut self, now: impl Fn() -> f64) -> Result<Variant, EngineError> {
        let mut trials = Vec::new();
        for &variant in self.variants() {
            trials.push((variant, self.with_variant(variant).trial(&now).await));
        }
        let best = fastest(trials)?.unwrap_or(self.variant());
        *self = self.with_variant(best);
        Ok(best)
    }

    /// Seconds of a submission, and whether the product was what it should be.
    async fn trial(&self, now: &impl Fn() -> f64) -> Trial {
        let [rows, columns, depth] = SHAPE;
        let kernels = Kernels::new(self);
        // Whole numbers that every form can hold, in an order that no tile
        // repeats in.
        let integer = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as i32 % 255 - 127;
        let x: Vec<i32> = (0..rows * depth)
            .map(|i| {
                if i.is_multiple_of(32) {
                    127
                } else {
                    integer(i)
                }
            })
            .collect();
        let weights: Vec<i8> = (0..columns * depth).map(|i| integer(i + 7) as i8).collect();
        let expected: Vec<i32> = weights
            .chunks_exact(depth)
            .map(|w| x.iter().zip(w).map(|(&x, &w)| x * i32::from(w)).sum())
            .collect();
        let (product, y) = self
            .scoped(|| {
                let tensor = Tensor {
                    shape: vec![columns, depth],
                    values: Values::Q8 {
                        values: weights,
                        scales: vec![1.0; columns],
                    },
                };
                let layout = Layout {
                    rows: columns,
                    depth,
                    row: &Some,
                    column: &Some,
                };
                let weights = Matrix::new(self, "trial weights", &tensor, &layout)?;
                let x = Array::new(
                    self,
                    "trial input",
                    &x.iter().map(|&v| v as f32).collect::<Vec<_>>(),
                )?;
                let y = Array::zeros(self, "trial result", rows * columns)?;
                let product = dispatch(&kernels, rows, &x, &weights, &y, Epilogue::Store)?;
                Ok((product, y))
            })
            .await?;
        // About what the results differ by; 16-bit sums are off by some
        // thousandths of it.
        let spread = (depth as f32).sqrt() * 73.0 * 73.0;
        let (mut fastest, mut right) = (f64::INFINITY, true);
        // The first submission also waits for the compiler.
        for trial in 0..=TRIALS {
            let start = now();
            let mut encoder = self
                .device()
                .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for _ in 0..PRODUCTS {
                    product.encode(&mut pass);
                }
            }
            let readback = Readback::record(self, &mut encoder, &[&y]);
            self.queue().submit([encoder.finish()]);
            let found = readback.read(self).await?;
            if trial > 0 {
                fastest = fastest.min(now() - start);
            }
            // The first row is enough: what fails does not fail in one place.
            let close = |(&word, &e): (&u32, &i32)| {
                (f32::from_bits(word) - e as f32).abs() <= 0.02 * spread
            };
            right &= found.len() == y.len() && found.iter().zip(&expected).all(close);
        }
        Ok((fastest, right))
    }
}

/// Seconds, and whether the result was right.
type Trial = Result<(f64, bool), EngineError>;

/// The form that took least among those that computed right, none if all were
/// wrong. A form that the device refuses is left out, as long as another works.
fn fastest(trials: Vec<(Variant, Trial)>) -> Result<Option<Variant>, EngineError> {
    let mut best: Option<(f64, Variant)> = None;
    let (mut refusal, mut worked) = (None, false);
    for (variant, trial) in trials {
        match trial {
            Err(lost @ EngineError::Lost(_)) => return Err(lost),
            Err(error) => refusal = Some(error),
            Ok((seconds, right)) => {
                worked = true;
                if right && best.is_none_or(|(least, _)| seconds < least) {
                    best = Some((seconds, variant));
                }
            }
        }
    }
    match refusal {
        Some(error) if !worked => Err(error),
        _ => Ok(best.map(|(_, variant)| variant)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::testing::gpu_test;

    gpu_test! {
        /// A clock that runs slowly while the form that is to win is tried.
        async fn the_fastest_form_wins(context) {
            let variants = context.variants().to_vec();
            for &winner in &variants {
                let steps: Vec<f64> = variants.iter().map(|&v| if v == winner { 1.0 } else { 2.0 }).collect();
                let (mut context, calls, time) = (context.clone(), Cell::new(0), Cell::new(0.0));
                let calls_of_one = 2 * (TRIALS + 1) - 1;
                let now = || {
                    time.set(time.get() + steps[calls.get() / calls_of_one]);
                    calls.set(calls.get() + 1);
                    time.get()
                };
                assert_eq!(context.tune(now).await.unwrap(), winner);
                assert_eq!(context.variant(), winner);
            }
            assert!(!context.adapter_key().is_empty());
        }
    }

    #[test]
    fn wrong_and_refused_forms_are_left_out() {
        use Variant::{Direct, Packed, Tiled};
        let refused = || EngineError::Device("no such builtin".into());
        let lost = || EngineError::Lost("gone".into());
        let trials = vec![
            (Direct, Ok((3.0, true))),
            (Tiled, Ok((2.0, true))),
            (Packed, Ok((1.0, false))),
        ];
        assert_eq!(fastest(trials), Ok(Some(Tiled)));
        let trials = vec![
            (Direct, Ok((3.0, true))),
            (Tiled, Ok((4.0, true))),
            (Packed, Err(refused())),
        ];
        assert_eq!(fastest(trials), Ok(Some(Direct)));
        assert_eq!(fastest(vec![(Direct, Ok((3.0, false)))]), Ok(None));
        assert_eq!(
            fastest(vec![(Direct, Err(refused())), (Tiled, Err(refused()))]),
            Err(refused())
        );
        assert_eq!(
            fastest(vec![(Direct, Ok((3.0, true))), (Packed, Err(lost()))]),
            Err(lost())
        );
    }
}
