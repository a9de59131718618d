//! Which engine runs a model natively.

use std::sync::Arc;

use anyhow::{Result, bail};
use hrm_core::cpu::{Arithmetic, CpuModel};
use hrm_core::engine::{self, EngineError, Run};
use hrm_core::plan::Plan;
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, Variant};
use pollster::block_on;

use crate::tuning::tuned;

/// Which processor runs a model.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Device {
    /// A real GPU if there is one, otherwise the CPU
    #[default]
    Auto,
    /// Any GPU through Vulkan, Metal or Direct3D, software adapters too
    Wgpu,
    /// The CPU, in f32
    Cpu,
    /// The CPU, its matrix products in 8-bit integers
    CpuInt8,
    /// An NVIDIA GPU through CUDA: training only
    Cuda,
}

/// A model on a processor.
pub(crate) struct Engine {
    engine: Arc<dyn engine::Engine + Send + Sync>,
    name: String,
    /// The form of a GPU's kernels.
    kernels: Option<Variant>,
}

impl Engine {
    /// On a GPU with the form of the kernels given, or the one that a trial
    /// found fastest there.
    ///
    /// # Errors
    /// If there is no such processor, or a form is given for another than
    /// [`Device::Wgpu`].
    pub(crate) fn new(
        device: Device,
        kernels: Option<Variant>,
        plan: &Arc<Plan>,
        weights: &Weights,
    ) -> Result<Self> {
        let cpu = |arithmetic| Self::on_cpu(plan, weights, arithmetic);
        if let Some(kernels) = kernels.filter(|_| device != Device::Wgpu) {
            bail!("{kernels} kernels are a GPU's: give --device wgpu with --kernels");
        }
        let options = GpuOptions {
            variant: kernels,
            ..GpuOptions::default()
        };
        let context = match device {
            Device::Cpu => return Ok(cpu(Arithmetic::F32)),
            Device::CpuInt8 => return Ok(cpu(Arithmetic::Int8)),
            Device::Cuda => bail!("models run on `cpu` or `wgpu`; `cuda` is for training"),
            Device::Wgpu => block_on(GpuContext::new(options))?,
            Device::Auto => match block_on(GpuContext::new(options)) {
                Ok(context) if !context.is_software() => context,
                // The CPU engine outruns a software adapter.
                _ => return Ok(cpu(Arithmetic::F32)),
            },
        };
        let context = match kernels {
            Some(_) => context,
            None => tuned(context)?,
        };
        let mut name = context.adapter_name().to_owned();
        if let Some(precision) = context.variant().precision() {
            name = format!("{name}, {precision}");
        }
        let model = block_on(GpuModel::new(&context, Arc::clone(plan), weights))?;
        Ok(Self {
            engine: Arc::new(model),
            name,
            kernels: Some(context.variant()),
        })
    }

    /// On the CPU.
    pub(crate) fn on_cpu(plan: &Arc<Plan>, weights: &Weights, arithmetic: Arithmetic) -> Self {
        let model = CpuModel::with_arithmetic(Arc::clone(plan), weights, arithmetic);
        let name = match model.arithmetic() {
            Arithmetic::F32 => "CPU",
            Arithmetic::Int8 => "CPU, int8",
        };
        Self {
            engine: Arc::new(model),
            name: name.to_owned(),
            kernels: None,
        }
    }

    /// The form of a GPU's kernels.
    pub(crate) fn kernels(&self) -> Option<String> {
        self.kernels.map(|variant| variant.to_string())
    }

    /// Whether it is a GPU.
    pub(crate) fn is_gpu(&self) -> bool {
        self.kernels.is_some()
    }

    /// The processor's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The architecture.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        self.engine.plan()
    }

    /// The engine itself.
    pub(crate) fn shared(&self) -> Arc<dyn engine::Engine> {
        Arc::clone(&self.engine) as Arc<dyn engine::Engine>
    }

    /// Token sequences in places of their own, at the initial state.
    pub(crate) fn start(&self, inputs: &[Vec<u8>]) -> Result<Box<dyn Run>, EngineError> {
        block_on(self.shared().start(inputs))
    }
}
