//! The engine that runs a model: WGSL where there is a GPU, else the CPU.

use std::sync::Arc;

use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{EngineError, SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::reason::message::{DeviceChoice, EngineFacts, EngineKind};
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun};

use crate::adapter;

/// A model on a processor.
pub(crate) enum Engine {
    /// On a GPU, or what plays one.
    Gpu(Arc<GpuModel>),
    /// On the CPU.
    Cpu(Arc<CpuModel>),
}

/// One puzzle on an engine.
pub(crate) enum Run {
    /// On a GPU.
    Gpu(Box<GpuRun>),
    /// On the CPU.
    Cpu(Box<CpuRun>),
}

impl Engine {
    /// The best engine that the choice allows.
    pub(crate) async fn new(
        plan: Plan,
        weights: &Weights,
        choice: DeviceChoice,
    ) -> Result<(Self, EngineFacts), EngineError> {
        let plan = Arc::new(plan);
        let reason = match choice {
            DeviceChoice::Cpu => None,
            DeviceChoice::Gpu => return gpu(plan, weights, true).await,
            DeviceChoice::Auto => match gpu(Arc::clone(&plan), weights, false).await {
                Ok(engine) => return Ok(engine),
                // Whatever the GPU lacks, the CPU can.
                Err(error) => Some(error.to_string()),
            },
        };
        let facts = EngineFacts {
            kind: EngineKind::Cpu,
            name: "WebAssembly SIMD, one thread".to_owned(),
            note: reason,
        };
        Ok((Self::Cpu(Arc::new(CpuModel::new(plan, weights))), facts))
    }

    /// A run on a puzzle's tokens.
    pub(crate) async fn start(&self, tokens: Vec<u8>) -> Result<Run, EngineError> {
        Ok(match self {
            Self::Gpu(model) => {
                Run::Gpu(Box::new(GpuRun::new(Arc::clone(model), &[tokens]).await?))
            }
            Self::Cpu(model) => Run::Cpu(Box::new(CpuRun::new(Arc::clone(model), &[tokens])?)),
        })
    }
}

impl Run {
    /// Runs one segment.
    pub(crate) async fn segment(&mut self) -> Result<SegmentOutput, EngineError> {
        let outputs = match self {
            Self::Gpu(run) => run.segment(Taps::default()).await?,
            Self::Cpu(run) => run.segment(Taps::default()),
        };
        outputs
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::Device("the engine returned nothing".to_owned()))
    }
}

/// The WGSL engine. Unless `software` is allowed, an adapter that a CPU plays
/// is refused: there the CPU engine is ten times faster.
async fn gpu(
    plan: Arc<Plan>,
    weights: &Weights,
    software: bool,
) -> Result<(Engine, EngineFacts), EngineError> {
    if adapter::webgpu().is_none() {
        return Err(EngineError::Unavailable(
            "This browser offers no WebGPU".to_owned(),
        ));
    }
    let context = GpuContext::new(GpuOptions::default())
        .await
        .map_err(|error| {
            // The details are for those who have asked for the GPU.
            let details = if software {
                format!(" ({error})")
            } else {
                String::new()
            };
            EngineError::Unavailable(format!("WebGPU finds no GPU that it can use{details}"))
        })?;
    if context.is_software() && !software {
        let message = "The GPU here is emulated by the CPU, which is faster by itself".to_owned();
        return Err(EngineError::Unavailable(message));
    }
    #[expect(clippy::arc_with_non_send_sync, reason = "natively it is both")]
    let model = Arc::new(GpuModel::new(&context, plan, weights).await?);
    let facts = EngineFacts {
        kind: if context.is_software() {
            EngineKind::SoftwareGpu
        } else {
            EngineKind::Gpu
        },
        name: adapter::name()
            .await
            .unwrap_or_else(|| context.adapter_name().to_owned()),
        note: None,
    };
    Ok((Engine::Gpu(model), facts))
}
