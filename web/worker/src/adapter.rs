//! The browser's GPU by name.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// `navigator.gpu` of this worker, where there is one.
pub(crate) fn webgpu() -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    Reflect::get(&navigator, &"gpu".into())
        .ok()
        .filter(JsValue::is_truthy)
}

/// What the browser tells of the adapter, as `nvidia ampere` or a full name.
/// Few give the description, which is all that wgpu passes on.
pub(crate) async fn name() -> Option<String> {
    let gpu = webgpu()?;
    let options = Object::new();
    // The same that the engine asks for, so that it is the same adapter.
    Reflect::set(
        &options,
        &"powerPreference".into(),
        &"high-performance".into(),
    )
    .ok()?;
    let request: Function = Reflect::get(&gpu, &"requestAdapter".into())
        .ok()?
        .dyn_into()
        .ok()?;
    let promise: Promise = request.call1(&gpu, &options).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(promise).await.ok()?;
    let info = Reflect::get(&adapter, &"info".into()).ok()?;
    let text = |key: &str| {
        let value = Reflect::get(&info, &key.into()).ok()?.as_string()?;
        Some(value).filter(|value| !value.is_empty())
    };
    text("description").or_else(|| {
        let parts: Vec<String> = [text("vendor"), text("architecture")]
            .into_iter()
            .flatten()
            .collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    })
}
