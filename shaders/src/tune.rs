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

    /// Tries both forms of the kernels and takes the faster for what is made
    /// from this context from now on. `now` is a clock in seconds. Takes some
    /// tenths of a second on a software adapter, compiling included, much less
    /// on others.
    ///
    /// # Errors
    /// If the device is lost or refuses a kernel.
    pub async fn tune(&mut self, now: impl Fn() -> f64) -> Result<Variant, EngineError> {
        let mut best = (f64::INFINITY, self.variant());
        for variant in [Variant::Direct, Variant::Tiled] {
            let seconds = self.with_variant(variant).trial(&now).await?;
            if seconds < best.0 {
                best = (seconds, variant);
            }
        }
        *self = self.with_variant(best.1);
        Ok(best.1)
    }

    /// Seconds of a submission.
    async fn trial(&self, now: &impl Fn() -> f64) -> Result<f64, EngineError> {
        let [rows, columns, depth] = SHAPE;
        let kernels = Kernels::new(self);
        let (product, y) = self
            .scoped(|| {
                let tensor = Tensor {
                    shape: vec![columns, depth],
                    values: Values::Q8 {
                        values: vec![1; columns * depth],
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
                let x = Array::new(self, "trial input", &vec![1.0f32; rows * depth])?;
                let y = Array::zeros(self, "trial result", rows * columns)?;
                let product = dispatch(&kernels, rows, &x, &weights, &y, Epilogue::Store)?;
                Ok((product, y))
            })
            .await?;
        let mut fastest = f64::INFINITY;
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
            readback.read(self).await?;
            if trial > 0 {
                fastest = fastest.min(now() - start);
            }
        }
        Ok(fastest)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::testing::gpu_test;

    gpu_test! {
        /// A clock that runs slowly while the form that is to win is tried.
        async fn the_faster_form_wins(context) {
            for (winner, steps) in [(Variant::Direct, [1.0, 2.0]), (Variant::Tiled, [2.0, 1.0])] {
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
}
