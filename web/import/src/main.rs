//! A worker for one task: to make a network of files that somebody brings.
//!
//! The page starts it when that happens and not before, so that who brings
//! nothing downloads nothing of it, and ends it afterwards or when it is called
//! off: then all memory that it took is free again. It is sent a list of files
//! and answers with events as text, and in the end with the network's files.

#[cfg(target_arch = "wasm32")]
mod disk;
#[cfg(target_arch = "wasm32")]
mod network;

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
fn main() {
    use hrm_core::reason::message::Event;
    use js_sys::Array;
    use wasm_bindgen::prelude::*;
    use web_sys::{File, MessageEvent};

    std::panic::set_hook(Box::new(|info| fail(info.to_string())));
    let listen = Closure::<dyn Fn(MessageEvent)>::new(|message: MessageEvent| {
        let files = Array::from(&message.data()).into_iter();
        let files = files.filter_map(|file| file.dyn_into::<File>().ok());
        match network::make(&files.collect::<Vec<File>>()) {
            Ok(network) => hand_over(network),
            Err(reason) => fail(reason),
        }
    });
    scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget();
    post(&Event::Ready);
}

#[cfg(target_arch = "wasm32")]
fn scope() -> web_sys::DedicatedWorkerGlobalScope {
    use wasm_bindgen::JsCast;

    js_sys::global().unchecked_into()
}

/// Tells the page.
#[cfg(target_arch = "wasm32")]
fn post(event: &hrm_core::reason::message::Event) {
    // Plain data with string keys serialises, and a string can be posted.
    if let Ok(text) = serde_json::to_string(event) {
        let _ = scope().post_message(&text.into());
    }
}

#[cfg(target_arch = "wasm32")]
fn fail(message: String) {
    use hrm_core::reason::message::{ErrorKind, Event};

    let kind = ErrorKind::Weights;
    post(&Event::Error { kind, message });
}

/// Gives the network's files to the page: `{ model: ID, files: [[NAME,
/// Uint8Array], …] }`. Their bytes are moved, not copied once more.
#[cfg(target_arch = "wasm32")]
fn hand_over(network: network::Network) {
    use js_sys::{Array, Object, Reflect, Uint8Array};

    let (files, buffers) = (Array::new(), Array::new());
    for (name, content) in network.files {
        let bytes = Uint8Array::from(content.as_slice());
        buffers.push(&bytes.buffer());
        files.push(&Array::of2(&name.into(), &bytes));
    }
    let message = Object::new();
    // Setting a field of a plain object does not fail.
    let _ = Reflect::set(&message, &"model".into(), &network.id.into());
    let _ = Reflect::set(&message, &"files".into(), &files);
    if scope()
        .post_message_with_transfer(&message, &buffers)
        .is_err()
    {
        fail("the network does not fit into the memory that the browser gives".to_owned());
    }
}
