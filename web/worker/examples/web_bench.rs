//! The engines for `cargo xtask bench-web`: a batch of blank puzzles on a model
//! with random weights, driven segment by segment from JavaScript.

#[cfg(target_arch = "wasm32")]
mod web {
    use std::sync::Arc;

    use hrm_core::config::ModelConfig;
    use hrm_core::cpu::{Arithmetic, CpuModel, CpuRun};
    use hrm_core::engine::Taps;
    use hrm_core::plan::Plan;
    use hrm_core::weights::Weights;
    use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun};
    use wasm_bindgen::prelude::*;

    enum Run {
        Cpu(Box<CpuRun>),
        Gpu(Box<GpuRun>),
    }

    /// A batch in progress.
    #[wasm_bindgen]
    pub struct Subject {
        run: Run,
        bytes: usize,
    }

    fn failure(error: impl std::fmt::Display) -> JsError {
        JsError::new(&error.to_string())
    }

    #[wasm_bindgen]
    impl Subject {
        /// `engine` is `cpu` or `gpu`, `scheme` `f32`, `q8` or `q4`; `cpu` with
        /// the latter two computes in integers.
        pub async fn start(
            preset: String,
            engine: String,
            scheme: String,
            batch: usize,
        ) -> Result<Subject, JsError> {
            let config = ModelConfig::preset(&preset).map_err(failure)?;
            let plan = Arc::new(Plan::new(&config).map_err(failure)?);
            // The same that `hrm export --preset` writes.
            let dense = Weights::random(&plan, 0);
            let (weights, arithmetic) = match scheme.as_str() {
                "f32" => (dense, Arithmetic::F32),
                "q8" => (dense.quantize_q8(&plan).0, Arithmetic::Int8),
                "q4" => (dense.quantize_q4(&plan, None, &[]).0, Arithmetic::Int8),
                other => return Err(JsError::new(&format!("unknown scheme {other}"))),
            };
            let inputs = vec![vec![1; plan.config.seq_len]; batch];
            let bytes = weights.bytes();
            let run = if engine == "gpu" {
                let context = GpuContext::new(GpuOptions::default())
                    .await
                    .map_err(failure)?;
                let model = GpuModel::new(&context, plan, &weights)
                    .await
                    .map_err(failure)?;
                #[expect(clippy::arc_with_non_send_sync, reason = "natively it is both")]
                let run = GpuRun::new(Arc::new(model), &inputs)
                    .await
                    .map_err(failure)?;
                Run::Gpu(Box::new(run))
            } else {
                let model = CpuModel::with_arithmetic(plan, &weights, arithmetic);
                Run::Cpu(Box::new(
                    CpuRun::new(Arc::new(model), &inputs).map_err(failure)?,
                ))
            };
            Ok(Subject { run, bytes })
        }

        /// Runs a segment and returns the first sequence's `q_halt`, for
        /// something to have been computed.
        pub async fn segment(&mut self) -> Result<f32, JsError> {
            let outputs = match &mut self.run {
                Run::Cpu(run) => run.segment(Taps::default()),
                Run::Gpu(run) => run.segment(Taps::default()).await.map_err(failure)?,
            };
            Ok(outputs.first().map_or(f32::NAN, |o| o.q_halt))
        }

        /// Bytes of the weights.
        #[wasm_bindgen(getter)]
        pub fn bytes(&self) -> usize {
            self.bytes
        }

        /// Dispatches a segment takes, 0 on the CPU.
        #[wasm_bindgen(getter)]
        pub fn dispatches(&self) -> usize {
            match &self.run {
                Run::Cpu(_) => 0,
                Run::Gpu(run) => run.dispatches(),
            }
        }
    }
}

fn main() {}
