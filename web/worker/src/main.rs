//! The page's worker: everything that takes longer than a frame.
//!
//! It answers requests with events, both as JSON text. Requests are handled one
//! after the other by a single task, so nothing here is locked.

#[cfg(target_arch = "wasm32")]
use std::cell::OnceCell;

#[cfg(target_arch = "wasm32")]
use crew::Task;
#[cfg(target_arch = "wasm32")]
use futures::channel::mpsc::{self, UnboundedSender};

#[cfg(target_arch = "wasm32")]
mod adapter;
#[cfg(target_arch = "wasm32")]
mod brought;
#[cfg(target_arch = "wasm32")]
mod clock;
#[cfg(target_arch = "wasm32")]
mod crew;
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
    use hrm_core::reason::message::{ErrorKind, Event};
    use wasm_bindgen::prelude::*;
    use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

    std::panic::set_hook(Box::new(|info| {
        post(&Event::Error {
            kind: ErrorKind::Internal,
            message: info.to_string(),
        });
    }));

    let (sender, tasks) = mpsc::unbounded();
    MAILBOX.with(|mailbox| drop(mailbox.set(sender)));
    let listen = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let Some(text) = message.data().as_string() else {
            if let Some(brought) = brought::Brought::of(&message.data()) {
                mailbox(Task::Keep(brought));
            }
            return;
        };
        let task = if crew::is_helper() {
            crew::read(&text)
        } else {
            serde_json::from_str(&text).map(Task::Page)
        };
        match task {
            Ok(task) => mailbox(task),
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
    wasm_bindgen_futures::spawn_local(session::serve(tasks));
    post(&Event::Ready);
}

#[cfg(target_arch = "wasm32")]
thread_local! {
    static MAILBOX: OnceCell<UnboundedSender<Task>> = const { OnceCell::new() };
}

/// Puts a task behind those that wait.
#[cfg(target_arch = "wasm32")]
fn mailbox(task: Task) {
    MAILBOX.with(|mailbox| {
        // The receiver lives as long as the worker.
        if let Some(sender) = mailbox.get() {
            drop(sender.unbounded_send(task));
        }
    });
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

/// Sends an event to who has started this worker: the page, or another worker.
#[cfg(target_arch = "wasm32")]
fn post(event: &hrm_core::reason::message::Event) {
    // Plain data with string keys serialises.
    let Ok(text) = serde_json::to_string(event) else {
        return;
    };
    if crew::is_helper() {
        post_value(&crew::envelope(event, text));
    } else {
        post_text(&text);
    }
}

/// Sends an event as text.
#[cfg(target_arch = "wasm32")]
fn post_text(text: &str) {
    post_value(&text.into());
}

#[cfg(target_arch = "wasm32")]
fn post_value(value: &wasm_bindgen::JsValue) {
    use wasm_bindgen::JsCast;

    let scope: web_sys::DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // Strings, numbers and lists of them can be posted.
    let _ = scope.post_message(value);
}
