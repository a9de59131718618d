//! Which engine runs a model: WGSL where there is a GPU, else the CPU.

use std::rc::Rc;
use std::sync::Arc;

use hrm_core::cpu::{Arithmetic, CpuModel, ReadOut};
use hrm_core::engine::{self, EngineError, Run, SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::reason::message::{DeviceChoice, EngineFacts, EngineKind};
use hrm_core::weights::Weights;
use hrm_shaders::{GpuContext, GpuModel, GpuOptions};

use crate::tuning::tuned;
use crate::{adapter, crew};

/// Floating-point operations a second that a modest processor does.
const CPU_FLOPS: f64 = 2e10;

/// A model on a processor, with its output head at hand.
pub(crate) struct Engine {
    engine: Arc<dyn engine::Engine>,
    /// The GPU it runs on, if it does.
    gpu: Option<GpuContext>,
    /// The architecture.
    pub(crate) plan: Arc<Plan>,
    /// Reads answers off states.
    pub(crate) read_out: ReadOut,
    /// The weights, where they play other boards too, and the choice of the
    /// processor.
    again: Option<(Weights, DeviceChoice)>,
}

/// An engine, the GPU it runs on, and what is said of it.
type Chosen = (Arc<dyn engine::Engine>, Option<GpuContext>, EngineFacts);

impl Engine {
    /// The best engine that the choice allows.
    pub(crate) async fn new(
        plan: Plan,
        weights: &Weights,
        choice: DeviceChoice,
    ) -> Result<(Self, EngineFacts), EngineError> {
        let plan = Arc::new(plan);
        let read_out = ReadOut::new(&plan, weights);
        let again = (!plan.further_boards().is_empty()).then(|| (weights.clone(), choice));
        let (engine, gpu, facts) = choose(Arc::clone(&plan), weights, choice).await?;
        let chosen = Self {
            engine,
            gpu,
            plan,
            read_out,
            again,
        };
        Ok((chosen, facts))
    }

    /// The engine for puzzles of this kind and size: itself if it plays no other.
    pub(crate) async fn on(engine: &Rc<Self>, kind: PuzzleKind) -> Result<Rc<Self>, EngineError> {
        let config = &engine.plan.config;
        let Some((weights, choice)) = &engine.again else {
            return Ok(Rc::clone(engine));
        };
        if config.puzzle == kind {
            return Ok(Rc::clone(engine));
        }
        let plan = engine
            .plan
            .on(kind)
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let (engine, _) = Self::new(plan, weights, *choice).await?;
        Ok(Rc::new(engine))
    }

    /// The engine itself.
    pub(crate) fn shared(&self) -> Arc<dyn engine::Engine> {
        Arc::clone(&self.engine)
    }

    /// Token sequences in places of their own, at the initial state.
    pub(crate) async fn start(&self, tokens: &[Vec<u8>]) -> Result<Box<dyn Run>, EngineError> {
        self.shared().start(tokens).await
    }

    /// The GPU it runs on, if it does.
    pub(crate) fn gpu(&self) -> Option<&GpuContext> {
        self.gpu.as_ref()
    }

    /// How many sequences to run at once, so that nobody waits long for the
    /// end of a segment: as many as a modest processor of the kind does in
    /// about 50 ms.
    pub(crate) fn batch(&self) -> usize {
        let (per_second, most) = match self.gpu {
            Some(_) => (1e12, 32.0),
            None => (CPU_FLOPS, 16.0),
        };
        let fit = 0.05 * per_second / self.plan.segment_flops();
        fit.clamp(1.0, most) as usize
    }

    /// How many further workers are worth their start for a batch of so many
    /// segments in all ([`crew`]): none where a GPU does them.
    pub(crate) fn helpers(&self, segments: usize) -> usize {
        if self.gpu.is_some() {
            return 0;
        }
        // Half a second of work each, and for this worker.
        let seconds = segments as f64 * self.plan.segment_flops() / CPU_FLOPS;
        let worthwhile = (2.0 * seconds) as usize;
        crew::size(&self.plan).min(worthwhile.saturating_sub(1))
    }
}

/// One segment of every sequence, in order.
pub(crate) async fn segment(
    run: &mut dyn Run,
    taps: Taps,
) -> Result<Vec<SegmentOutput>, EngineError> {
    Ok(run.segment(taps).await?.into_iter().flatten().collect())
}

/// One segment of a single sequence, with logits and states, `z_H` after each
/// of its updates among them.
pub(crate) async fn observed(run: &mut dyn Run) -> Result<SegmentOutput, EngineError> {
    let taps = Taps {
        logits: true,
        states: true,
        z_h_updates: true,
        z_l_updates: false,
    };
    let output = segment(run, taps).await?.into_iter().next();
    output.ok_or_else(|| EngineError::Device("the engine returned nothing".to_owned()))
}

async fn choose(
    plan: Arc<Plan>,
    weights: &Weights,
    choice: DeviceChoice,
) -> Result<Chosen, EngineError> {
    let reason = match choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Gpu => return gpu(plan, weights, true).await,
        DeviceChoice::Auto => match gpu(Arc::clone(&plan), weights, false).await {
            Ok(chosen) => return Ok(chosen),
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
    Ok((Arc::new(model), None, facts))
}

/// The WGSL engine. Unless `software` is allowed, an adapter that a CPU plays
/// is refused: there the CPU engine is ten times faster.
async fn gpu(plan: Arc<Plan>, weights: &Weights, software: bool) -> Result<Chosen, EngineError> {
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
    Ok((model, Some(context), facts))
}
