//! The engine that runs a model: WGSL where there is a GPU, else the CPU.

use std::sync::Arc;

use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{EngineError, SegmentOutput, Taps};
use hrm_core::plan::Plan;
use hrm_core::reason::message::{DeviceChoice, EngineFacts, EngineKind};
use hrm_core::weights::Weights;

/// A model on a processor.
pub enum Engine {
    /// The CPU engine.
    Cpu(Arc<CpuModel>),
}

/// One puzzle on an engine.
pub enum Run {
    /// On the CPU engine.
    Cpu(Box<CpuRun>),
}

impl Engine {
    /// The best engine that the choice allows.
    pub async fn new(
        plan: Plan,
        weights: &Weights,
        _choice: DeviceChoice,
    ) -> Result<(Self, EngineFacts), EngineError> {
        let model = CpuModel::new(Arc::new(plan), weights);
        let facts = EngineFacts {
            kind: EngineKind::Cpu,
            name: "WebAssembly SIMD, one thread".to_owned(),
            note: None,
        };
        Ok((Self::Cpu(Arc::new(model)), facts))
    }

    /// A run on a puzzle's tokens.
    pub fn start(&self, tokens: Vec<u8>) -> Result<Run, EngineError> {
        match self {
            Self::Cpu(model) => {
                Ok(Run::Cpu(Box::new(CpuRun::new(Arc::clone(model), &[tokens])?)))
            }
        }
    }
}

impl Run {
    /// Runs one segment.
    pub async fn segment(&mut self) -> Result<SegmentOutput, EngineError> {
        let outputs = match self {
            Self::Cpu(run) => run.segment(Taps::default()),
        };
        outputs
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::Device("the engine returned nothing".to_owned()))
    }
}
