//! One face for the engines that run a model natively.

use std::sync::Arc;

use anyhow::{Result, bail};
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun};
use pollster::block_on;

/// Which processor runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Device {
    /// A real GPU if there is one, otherwise the CPU
    Auto,
    /// Any GPU through Vulkan, Metal or Direct3D, software adapters too
    Wgpu,
    /// The CPU
    Cpu,
    /// An NVIDIA GPU through CUDA: training only
    Cuda,
}

/// A model on a processor.
pub(crate) enum Engine {
    Cpu(Arc<CpuModel>),
    Gpu { model: Arc<GpuModel>, name: String },
}

/// A batch in progress.
pub(crate) enum Session {
    Cpu(Box<CpuRun>),
    Gpu(Box<GpuRun>),
}

impl Engine {
    pub(crate) fn new(device: Device, plan: &Arc<Plan>, weights: &Weights) -> Result<Self> {
        let cpu = || Self::Cpu(Arc::new(CpuModel::new(Arc::clone(plan), weights)));
        let context = match device {
            Device::Cpu => return Ok(cpu()),
            Device::Cuda => bail!("models run on `cpu` or `wgpu`; `cuda` is for training"),
            Device::Wgpu => block_on(GpuContext::new(GpuOptions::default()))?,
            Device::Auto => match block_on(GpuContext::new(GpuOptions::default())) {
                Ok(context) if !context.is_software() => context,
                // The CPU engine outruns a software adapter.
                _ => return Ok(cpu()),
            },
        };
        let name = context.adapter_name().to_owned();
        let model = block_on(GpuModel::new(&context, Arc::clone(plan), weights))?;
        Ok(Self::Gpu {
            model: Arc::new(model),
            name,
        })
    }

    /// The processor's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cpu(_) => "CPU",
            Self::Gpu { name, .. } => name,
        }
    }

    /// Starts a batch of token sequences from the initial state.
    pub(crate) fn start(&self, inputs: &[Vec<u8>]) -> Result<Session> {
        Ok(match self {
            Self::Cpu(model) => Session::Cpu(Box::new(CpuRun::new(Arc::clone(model), inputs)?)),
            Self::Gpu { model, .. } => {
                Session::Gpu(Box::new(block_on(GpuRun::new(Arc::clone(model), inputs))?))
            }
        })
    }
}

impl Session {
    /// Runs one segment of every sequence.
    pub(crate) fn segment(&mut self, taps: Taps) -> Result<Vec<SegmentOutput>> {
        Ok(match self {
            Self::Cpu(run) => run.segment(taps),
            Self::Gpu(run) => block_on(run.segment(taps))?,
        })
    }
}
