//! One face for the engines that run a model natively.

use std::sync::Arc;

use anyhow::{Result, bail};
use hrm_core::cpu::{Arithmetic, CpuModel, CpuRun};
use hrm_core::engine::{EngineError, SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::reason::flow::{Batch, Disturb};
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun, Variant};
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
pub(crate) enum Engine {
    Cpu(Arc<CpuModel>),
    Gpu { model: Arc<GpuModel>, name: String },
}

/// A batch whose sequences come and go.
pub(crate) enum Places {
    Cpu(Box<CpuRun>),
    Gpu(Box<GpuPlaces>),
}

/// A GPU's batch has a fixed size, so places that nobody needs run idle.
pub(crate) struct GpuPlaces {
    model: Arc<GpuModel>,
    capacity: usize,
    run: Option<GpuRun>,
    /// The device's place of each sequence; beyond `active` the idle ones.
    order: Vec<usize>,
    active: usize,
}

/// A batch in progress.
pub(crate) enum Session {
    Cpu(Box<CpuRun>),
    Gpu(Box<GpuRun>),
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
        let on_cpu = |arithmetic| {
            let model = CpuModel::with_arithmetic(Arc::clone(plan), weights, arithmetic);
            Self::Cpu(Arc::new(model))
        };
        let cpu = || on_cpu(Arithmetic::F32);
        if let Some(kernels) = kernels.filter(|_| device != Device::Wgpu) {
            bail!("{kernels} kernels are a GPU's: give --device wgpu with --kernels");
        }
        let options = GpuOptions {
            variant: kernels,
            ..GpuOptions::default()
        };
        let context = match device {
            Device::Cpu => return Ok(cpu()),
            Device::CpuInt8 => return Ok(on_cpu(Arithmetic::Int8)),
            Device::Cuda => bail!("models run on `cpu` or `wgpu`; `cuda` is for training"),
            Device::Wgpu => block_on(GpuContext::new(options))?,
            Device::Auto => match block_on(GpuContext::new(options)) {
                Ok(context) if !context.is_software() => context,
                // The CPU engine outruns a software adapter.
                _ => return Ok(cpu()),
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
        Ok(Self::Gpu {
            model: Arc::new(model),
            name,
        })
    }

    /// The form of a GPU's kernels.
    pub(crate) fn kernels(&self) -> Option<String> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu { model, .. } => Some(model.context().variant().to_string()),
        }
    }

    /// The processor's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cpu(model) => match model.arithmetic() {
                Arithmetic::F32 => "CPU",
                Arithmetic::Int8 => "CPU, int8",
            },
            Self::Gpu { name, .. } => name,
        }
    }

    /// A batch without sequences, for at most `capacity` of them.
    pub(crate) fn places(&self, capacity: usize) -> Places {
        match self {
            Self::Cpu(model) => Places::Cpu(Box::new(CpuRun::empty(Arc::clone(model)))),
            Self::Gpu { model, .. } => Places::Gpu(Box::new(GpuPlaces {
                model: Arc::clone(model),
                capacity,
                run: None,
                order: (0..capacity).collect(),
                active: 0,
            })),
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
    /// Dispatches a segment takes, if it is on a GPU.
    pub(crate) fn dispatches(&self) -> Option<usize> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(run) => Some(run.dispatches()),
        }
    }

    /// Bytes that the run and its model take on a GPU.
    pub(crate) fn gpu_bytes(&self) -> Option<u64> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(run) => Some(run.bytes() + run.model().bytes()),
        }
    }

    /// Runs one segment of every sequence.
    pub(crate) fn segment(&mut self, taps: Taps) -> Result<Vec<SegmentOutput>> {
        Ok(match self {
            Self::Cpu(run) => run.segment(taps),
            Self::Gpu(run) => block_on(run.segment(taps))?,
        })
    }
}

impl GpuPlaces {
    /// Writes a puzzle to a sequence's place.
    fn write(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError> {
        if self.run.is_none() {
            let everywhere = vec![tokens.to_vec(); self.capacity];
            self.run = Some(block_on(GpuRun::new(Arc::clone(&self.model), &everywhere))?);
        }
        let at = self.at(place)?;
        match &mut self.run {
            Some(run) => run.replace(at, tokens, None),
            None => Ok(()),
        }
    }

    /// The device's place of a sequence.
    fn at(&self, place: usize) -> Result<usize, EngineError> {
        self.order.get(place).copied().ok_or(EngineError::Input {
            sequence: place,
            reason: format!("the batch has room for {}", self.capacity),
        })
    }
}

impl Batch for Places {
    fn push(&mut self, tokens: &[u8]) -> Result<(), EngineError> {
        match self {
            Self::Cpu(run) => run.push(tokens),
            Self::Gpu(places) => {
                places.write(places.active, tokens)?;
                places.active += 1;
                Ok(())
            }
        }
    }

    fn replace(&mut self, place: usize, tokens: &[u8]) -> Result<(), EngineError> {
        match self {
            Self::Cpu(run) => run.replace(place, tokens),
            Self::Gpu(places) => places.write(place, tokens),
        }
    }

    fn swap_remove(&mut self, place: usize) {
        match self {
            Self::Cpu(run) => run.swap_remove(place),
            Self::Gpu(places) => {
                places.active = places.active.saturating_sub(1);
                places.order.swap(place, places.active);
            }
        }
    }

    fn disturb(
        &mut self,
        place: usize,
        tokens: &[u8],
        by: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), EngineError> {
        match self {
            Self::Cpu(run) => Batch::disturb(&mut **run, place, tokens, by),
            Self::Gpu(places) => {
                let at = places.at(place)?;
                match &mut places.run {
                    Some(run) => run.replace(at, tokens, Some(by)),
                    None => Ok(()),
                }
            }
        }
    }

    fn segment(&mut self, by: Option<Disturb<'_>>) -> Result<Vec<SegmentOutput>, EngineError> {
        match (self, by) {
            (Self::Cpu(run), by) => Batch::segment(&mut **run, by),
            (Self::Gpu(_), Some(_)) => Err(EngineError::Unavailable(
                "noise at every update runs on the CPU engine only: --device cpu".into(),
            )),
            (Self::Gpu(places), None) => {
                let Some(run) = &mut places.run else {
                    return Ok(Vec::new());
                };
                let mut outputs: Vec<Option<SegmentOutput>> =
                    block_on(run.segment(Taps::default()))?
                        .into_iter()
                        .map(Some)
                        .collect();
                Ok(places.order[..places.active]
                    .iter()
                    .filter_map(|&at| outputs.get_mut(at).and_then(Option::take))
                    .collect())
            }
        }
    }
}
