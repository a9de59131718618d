//! What goes wrong in the worker, on its way to the page.

use hrm_core::config::ConfigError;
use hrm_core::engine::EngineError;
use hrm_core::reason::message::{ErrorKind, Event};
use hrm_core::weights::{ManifestError, WeightsError};

/// An error with what one can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What one can do about it.
    pub(crate) kind: ErrorKind,
    /// What happened.
    pub(crate) message: String,
}

impl Failure {
    /// A failure of that kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl From<Failure> for Event {
    fn from(failure: Failure) -> Self {
        Self::Error {
            kind: failure.kind,
            message: failure.message,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let kind = match error {
            EngineError::Input { .. } => ErrorKind::Input,
            EngineError::Unavailable(_) => ErrorKind::Unavailable,
            EngineError::OutOfMemory(_) => ErrorKind::OutOfMemory,
            // A device in an unknown state is as good as lost.
            EngineError::Lost(_) | EngineError::Device(_) => ErrorKind::DeviceLost,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::new(ErrorKind::Weights, error.to_string())
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        Self::new(ErrorKind::Weights, format!("model.safetensors: {error}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorKind::Weights, error.to_string())
    }
}
