//! Remembers, per adapter, which form of the kernels is the fastest.

use hrm_core::engine::EngineError;
use hrm_shaders::GpuContext;

use crate::clock;
use crate::keep;

/// What it is kept as, beside the weights; another when there is a new form to
/// try.
const NAME: &str = "kernels-3";

/// The same device with the fastest form of the kernels, tried out unless that
/// has been done on this adapter before. An adapter that a CPU plays keeps the
/// form made for those: a trial takes long there.
///
/// # Errors
/// If the device is lost or refuses a kernel.
pub(crate) async fn tuned(mut context: GpuContext) -> Result<GpuContext, EngineError> {
    if context.is_software() {
        return Ok(context);
    }
    let key = String::from(js_sys::encode_uri_component(&context.adapter_key()));
    let kept = keep::get(NAME, &key).await.unwrap_or_default();
    let mut variants = context.variants().iter().copied();
    if let Some(variant) = variants.find(|v| v.to_string().as_bytes() == kept) {
        return Ok(context.with_variant(variant));
    }
    let variant = context.tune(|| clock::now() / 1e3).await?;
    // Where nothing can be kept it is tried out again next time.
    drop(keep::put(NAME, &key, variant.to_string().as_bytes()).await);
    Ok(context)
}
