//! The engine that runs a model: WGSL where there is a GPU, else the CPU.

use std::rc::Rc;
use std::sync::Arc;

use hrm_core::cpu::{Arithmetic, CpuModel, CpuRun, ReadOut};
use hrm_core::engine::{EngineError, SegmentOutput, Taps};
use hrm_core::noise::UpdateNoise;
use hrm_core::plan::{Level, Plan};
use hrm_core::puzzle::Shape;
use hrm_core::reason::message::{DeviceChoice, EngineFacts, EngineKind};
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions, GpuRun};

use crate::tuning::tuned;
use crate::{adapter, crew};

/// Floating-point operations a second that a modest processor does.
const CPU_FLOPS: f64 = 2e10;

/// A model on a processor, with its output head at hand.
pub(crate) struct Engine {
    processor: Processor,
    /// The architecture.
    pub(crate) plan: Arc<Plan>,
    /// Reads answers off states.
    pub(crate) read_out: ReadOut,
    /// Initial `z_H` and `z_L` of a position, `[hidden]` each.
    initial: [Vec<f32>; 2],
    /// The weights, where they play other boards too, and the choice of the
    /// processor.
    again: Option<(Weights, DeviceChoice)>,
}

enum Processor {
    /// A GPU, or what plays one.
    Gpu(Arc<GpuModel>),
    /// The CPU.
    Cpu(Arc<CpuModel>),
}

/// A batch of puzzles on an engine.
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
        let read_out = ReadOut::new(&plan, weights);
        let initial = plan.plain_states(|id| weights.dense(id));
        let again = (!plan.further_boards().is_empty()).then(|| (weights.clone(), choice));
        let (processor, facts) = processor(Arc::clone(&plan), weights, choice).await?;
        let engine = Self {
            processor,
            plan,
            read_out,
            initial,
            again,
        };
        Ok((engine, facts))
    }

    /// The engine for boards of this size: itself if it plays no other.
    pub(crate) async fn on(engine: &Rc<Self>, shape: Shape) -> Result<Rc<Self>, EngineError> {
        let config = &engine.plan.config;
        let Some((weights, choice)) = &engine.again else {
            return Ok(Rc::clone(engine));
        };
        if config.puzzle == shape {
            return Ok(Rc::clone(engine));
        }
        let plan = Plan::new(&config.on(shape.into()))
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let (engine, _) = Self::new(plan, weights, *choice).await?;
        Ok(Rc::new(engine))
    }

    /// Initial `z_H` and `z_L` of one sequence, `[positions, hidden]` each.
    pub(crate) fn initial(&self) -> [Vec<f32>; 2] {
        self.initial.clone()
    }

    /// A run on the tokens of some puzzles, from the model's initial state.
    pub(crate) async fn start(&self, tokens: &[Vec<u8>]) -> Result<Run, EngineError> {
        Ok(match &self.processor {
            Processor::Gpu(model) => {
                Run::Gpu(Box::new(GpuRun::new(Arc::clone(model), tokens).await?))
            }
            Processor::Cpu(model) => Run::Cpu(Box::new(CpuRun::new(Arc::clone(model), tokens)?)),
        })
    }

    /// The GPU it runs on, if it does.
    pub(crate) fn gpu(&self) -> Option<&GpuContext> {
        match &self.processor {
            Processor::Gpu(model) => Some(model.context()),
            Processor::Cpu(_) => None,
        }
    }

    /// How many sequences to run at once, so that nobody waits long for the
    /// end of a segment: as many as a modest processor of the kind does in
    /// about 50 ms.
    pub(crate) fn batch(&self) -> usize {
        let (per_second, most) = match self.processor {
            Processor::Gpu(_) => (1e12, 32.0),
            Processor::Cpu(_) => (CPU_FLOPS, 16.0),
        };
        let fit = 0.05 * per_second / self.plan.segment_flops();
        fit.clamp(1.0, most) as usize
    }

    /// How many further workers are worth their start for a batch of so many
    /// segments in all ([`crew`]): none where a GPU does them.
    pub(crate) fn helpers(&self, segments: usize) -> usize {
        let Processor::Cpu(_) = self.processor else {
            return 0;
        };
        // Half a second of work each, and for this worker.
        let seconds = segments as f64 * self.plan.segment_flops() / CPU_FLOPS;
        let worthwhile = (2.0 * seconds) as usize;
        crew::size(&self.plan).min(worthwhile.saturating_sub(1))
    }
}

impl Run {
    /// Runs one segment of every sequence.
    pub(crate) async fn segment(&mut self, taps: Taps) -> Result<Vec<SegmentOutput>, EngineError> {
        match self {
            Self::Gpu(run) => run.segment(taps).await,
            Self::Cpu(run) => Ok(run.segment(taps)),
        }
    }

    /// Runs one segment of a single sequence; also returns `z_H` after each
    /// H update.
    pub(crate) async fn observed(&mut self) -> Result<(SegmentOutput, Vec<Vec<f32>>), EngineError> {
        let taps = Taps {
            logits: true,
            states: true,
        };
        let mut trace = Vec::new();
        let outputs = match self {
            Self::Gpu(run) => {
                let (outputs, traces) = run.segment_followed(taps, Level::High).await?;
                trace.extend(traces.into_iter().flatten());
                outputs
            }
            Self::Cpu(run) => run.segment_observed(taps, |level, state| {
                if level == Level::High {
                    trace.push(state.to_vec());
                }
            }),
        };
        let output = outputs
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::Device("the engine returned nothing".to_owned()))?;
        Ok((output, trace))
    }

    /// Gives a sequence another input; its state stays as it is.
    pub(crate) fn rewrite(&mut self, sequence: usize, tokens: &[u8]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(run) => run.rewrite(sequence, tokens),
            Self::Cpu(run) => run.rewrite(sequence, tokens),
        }
    }

    /// Gives a sequence another input and the initial state.
    pub(crate) fn replace(&mut self, sequence: usize, tokens: &[u8]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(run) => run.replace(sequence, tokens, None),
            Self::Cpu(run) => run.replace(sequence, tokens),
        }
    }

    /// Disturbs each sequence after every update from now on.
    pub(crate) async fn set_noise(&mut self, noise: &[UpdateNoise]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(run) => run.set_noise(noise).await,
            Self::Cpu(run) => run.set_noise(noise),
        }
    }

    /// Replaces the states before the first segment.
    pub(crate) fn begin_at(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(run) => run.begin_at(z_h, z_l),
            Self::Cpu(run) => run.begin_at(z_h, z_l),
        }
    }

    /// Replaces the states by some that a segment may have ended in, each
    /// `[batch, positions, hidden]`.
    pub(crate) fn set_states(&mut self, z_h: &[f32], z_l: &[f32]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(run) => run.set_states(z_h, z_l),
            Self::Cpu(run) => run.set_states(z_h, z_l),
        }
    }
}

async fn processor(
    plan: Arc<Plan>,
    weights: &Weights,
    choice: DeviceChoice,
) -> Result<(Processor, EngineFacts), EngineError> {
    let reason = match choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Gpu => return gpu(plan, weights, true).await,
        DeviceChoice::Auto => match gpu(Arc::clone(&plan), weights, false).await {
            Ok(processor) => return Ok(processor),
            // Whatever the GPU lacks, the CPU can.
            Err(error) => Some(error.to_string()),
        },
    };
    let threads = match crew::size(&plan) {
        0 => "one thread".to_owned(),
        helpers => format!("one thread ({} for many guesses)", helpers + 1),
    };
    let model = CpuModel::with_arithmetic(plan, weights, Arithmetic::suiting(weights));
    let means = model.kernel().unwrap_or("WebAssembly SIMD");
    let facts = EngineFacts {
        kind: EngineKind::Cpu,
        name: format!("{means}, {threads}"),
        note: reason,
    };
    Ok((Processor::Cpu(Arc::new(model)), facts))
}

/// The WGSL engine. Unless `software` is allowed, an adapter that a CPU plays
/// is refused: there the CPU engine is ten times faster.
async fn gpu(
    plan: Arc<Plan>,
    weights: &Weights,
    software: bool,
) -> Result<(Processor, EngineFacts), EngineError> {
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
    let context = tuned(context).await?;
    #[expect(clippy::arc_with_non_send_sync, reason = "natively it is both")]
    let model = Arc::new(GpuModel::new(&context, plan, weights).await?);
    let name = adapter::name()
        .await
        .unwrap_or_else(|| context.adapter_name().to_owned());
    let facts = EngineFacts {
        kind: if context.is_software() {
            EngineKind::SoftwareGpu
        } else {
            EngineKind::Gpu
        },
        name: match context.variant().precision() {
            Some(precision) => format!("{name}, {precision}"),
            None => name,
        },
        note: None,
    };
    Ok((Processor::Gpu(model), facts))
}
