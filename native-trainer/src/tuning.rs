//! Remembers, per adapter, which form of the kernels is the fastest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use hrm_core::engine::EngineError;
use hrm_shaders::GpuContext;
use pollster::block_on;

use crate::checkpoint::write_atomically;

/// The fastest form by [`GpuContext::adapter_key`].
type Known = BTreeMap<String, String>;

/// The same device with the fastest form of the kernels, tried out unless that
/// has been done on this adapter before.
pub(crate) fn tuned(mut context: GpuContext) -> Result<GpuContext, EngineError> {
    let file = file();
    let mut known: Known = file
        .as_ref()
        .and_then(|file| fs::read_to_string(file).ok())
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let key = context.adapter_key();
    let named = |name: &String| {
        let mut variants = context.variants().iter().copied();
        variants.find(|v| v.to_string() == *name)
    };
    let remembered = known.get(&key).and_then(named);
    if let Some(variant) = remembered {
        return Ok(context.with_variant(variant));
    }
    let clock = Instant::now();
    let variant = block_on(context.tune(|| clock.elapsed().as_secs_f64()))?;
    known.insert(key, variant.to_string());
    if let (Some(file), Ok(text)) = (file, serde_json::to_string_pretty(&known)) {
        // Where nothing can be written it is tried out again next time.
        let folder = file.parent().map(fs::create_dir_all);
        if matches!(folder, Some(Ok(()))) {
            drop(write_atomically(&file, text.as_bytes()));
        }
    }
    Ok(context)
}

/// In the user's cache folder; by another name when there is a new form to try.
fn file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|v| !v.is_empty());
    let cache = folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("hrm").join("kernels-3.json"))
}
