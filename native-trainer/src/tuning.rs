//! Remembers, per adapter, which form of the kernels is the faster.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use hrm_core::engine::EngineError;
use hrm_shaders::{GpuContext, Variant};
use pollster::block_on;

use crate::checkpoint::write_atomically;

/// The faster form by [`GpuContext::adapter_key`].
type Known = BTreeMap<String, String>;

/// The same device with the faster form of the kernels, tried out unless that
/// has been done on this adapter before.
pub(crate) fn tuned(mut context: GpuContext) -> Result<GpuContext, EngineError> {
    let file = file();
    let mut known: Known = file
        .as_ref()
        .and_then(|file| fs::read_to_string(file).ok())
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let key = context.adapter_key();
    let remembered = known.get(&key).and_then(|name| parse(name));
    if let Some(variant) = remembered {
        return Ok(context.with_variant(variant));
    }
    let clock = Instant::now();
    let variant = block_on(context.tune(|| clock.elapsed().as_secs_f64()))?;
    known.insert(key, format!("{variant:?}"));
    if let (Some(file), Ok(text)) = (file, serde_json::to_string_pretty(&known)) {
        // Where nothing can be written it is tried out again next time.
        let folder = file.parent().map(fs::create_dir_all);
        if matches!(folder, Some(Ok(()))) {
            drop(write_atomically(&file, text.as_bytes()));
        }
    }
    Ok(context)
}

fn parse(name: &str) -> Option<Variant> {
    let variants = [Variant::Direct, Variant::Tiled];
    variants.into_iter().find(|v| format!("{v:?}") == name)
}

/// In the user's cache folder.
fn file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|v| !v.is_empty());
    let cache = folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("hrm").join("kernels.json"))
}
