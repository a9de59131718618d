//! Names of the files in a model's folder.

/// Name of the configuration in a checkpoint directory.
pub(crate) const CONFIG: &str = "config.json";
/// Name of the weights.
pub(crate) const MODEL: &str = "model.safetensors";
/// Name of the model card.
pub(crate) const CARD: &str = "README.md";
/// Name of a shipped model's manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
