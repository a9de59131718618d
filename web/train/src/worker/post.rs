//! What this worker says to who has started it.

use hrm_train_room::archive::File;
use hrm_train_room::message::{News, Told};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DedicatedWorkerGlobalScope;

/// Begin of the name of who leads; what follows names the place where it keeps
/// its run.
const FOLLOWER: &str = "follower";

pub(crate) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Whether this worker computes shares for another.
pub(crate) fn is_follower() -> bool {
    scope().name() == FOLLOWER
}

/// The name that followers get.
pub(crate) const fn follower() -> &'static str {
    FOLLOWER
}

/// Tells the page something; `request` is the order that it answers.
pub(crate) fn tell(request: Option<u32>, news: News) {
    // Plain data with string keys serialises, and strings can be posted.
    if let Ok(text) = serde_json::to_string(&Told { request, news }) {
        let _ = scope().post_message(&text.into());
    }
}

/// Hands the page some files.
pub(crate) fn files(request: Option<u32>, files: &[File]) {
    let names = files.iter().map(|(name, _)| name.clone()).collect();
    let news = News::Files { names };
    let Ok(text) = serde_json::to_string(&Told { request, news }) else {
        return;
    };
    let message = Array::of1(&text.into());
    let moved = Array::new();
    for (_, content) in files {
        let bytes = Uint8Array::from(content.as_slice());
        moved.push(&bytes.buffer());
        message.push(&bytes);
    }
    let _ = scope().post_message_with_transfer(&message, &moved);
}

/// Says that this worker can't go on, to whoever listens.
pub(crate) fn failed(reason: &str) {
    if is_follower() {
        let message = Array::of1(&JsValue::from_str(reason));
        let _ = scope().post_message(&message);
    } else {
        let reason = reason.to_owned();
        tell(None, News::Failed { reason });
    }
}

/// The bytes of a typed array.
pub(crate) fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    Some(value.dyn_ref::<Uint8Array>()?.to_vec())
}
