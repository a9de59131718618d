//! The page's worker: everything that takes longer than a frame.
//!
//! It answers [`Request`]s with [`Event`]s, both as JSON text. Requests are
//! handled one after the other by a single task, so nothing here is locked.

#[cfg(target_arch = "wasm32")]
mod adapter;
#[cfg(target_arch = "wasm32")]
mod clock;
#[cfg(target_arch = "wasm32")]
mod engine;
#[cfg(target_arch = "wasm32")]
mod failure;
#[cfg(target_arch = "wasm32")]
mod fetch;
#[cfg(target_arch = "wasm32")]
mod keep;
#[cfg(target_arch = "wasm32")]
mod lab;
#[cfg(target_arch = "wasm32")]
mod load;
#[cfg(target_arch = "wasm32")]
mod session;
#[cfg(target_arch = "wasm32")]
mod tuning;

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
fn main() {
    use futures::channel::mpsc;
    use hrm_core::reason::message::{ErrorKind, Event, Request};
    use wasm_bindgen::prelude::*;
    use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

    std::panic::set_hook(Box::new(|info| {
        post(&Event::Error {
            kind: ErrorKind::Internal,
            message: info.to_string(),
        });
    }));

    let (sender, requests) = mpsc::unbounded::<Request>();
    let listen = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let text = message.data().as_string().unwrap_or_default();
        match serde_json::from_str(&text) {
            // The receiver lives as long as the worker.
            Ok(request) => drop(sender.unbounded_send(request)),
            Err(error) => {
                let message = format!("the worker does not understand {text:?}: {error}");
                post(&Event::Error {
                    kind: ErrorKind::Internal,
                    message,
                });
            }
        }
    });
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    scope.set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget();
    wasm_bindgen_futures::spawn_local(session::serve(requests));
    post(&Event::Ready);
}

/// Sends a picture to the page: red, green, blue and opacity of each pixel.
///
/// # Errors
/// If the pixels are none of that width, or the page can't be told.
#[cfg(target_arch = "wasm32")]
fn post_picture(width: u32, pixels: &[u8]) -> Result<(), wasm_bindgen::JsValue> {
    use wasm_bindgen::{Clamped, JsCast};

    let picture = web_sys::ImageData::new_with_u8_clamped_array(Clamped(pixels), width)?;
    let scope: web_sys::DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    scope.post_message(&picture)
}

/// Sends an event to the page.
#[cfg(target_arch = "wasm32")]
fn post(event: &hrm_core::reason::message::Event) {
    use wasm_bindgen::JsCast;

    let scope: web_sys::DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // Plain data with string keys serialises, and a string can be posted.
    if let Ok(text) = serde_json::to_string(event) {
        let _ = scope.post_message(&text.into());
    }
}
