//! The worker, seen from the page.

use hrm_core::reason::message::{ErrorKind, Event, Request};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, ImageData, MessageEvent, Worker, WorkerOptions, WorkerType};

/// A running worker. Lives as long as the page.
pub(crate) struct Link {
    worker: Option<Worker>,
}

impl Link {
    /// Starts the worker; `hear` gets every event from it with its text, and an
    /// error if it can't be started, `see` every picture.
    pub(crate) fn open(
        hear: impl Fn(Event, &str) + Clone + 'static,
        see: impl Fn(ImageData) + 'static,
    ) -> Self {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        // Relative to the page, wherever that is served from.
        let worker = match Worker::new_with_options("worker_loader.js", &options) {
            Ok(worker) => worker,
            Err(_) => {
                let problem = "This browser does not start workers, which the network runs in.";
                hear(internal(problem), "");
                return Self { worker: None };
            }
        };

        let on_event = hear.clone();
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            let data = match message.data().dyn_into::<ImageData>() {
                Ok(picture) => return see(picture),
                Err(data) => data,
            };
            let text = data.as_string().unwrap_or_default();
            let event = serde_json::from_str(&text).unwrap_or_else(|error| {
                internal(&format!("The worker said something unexpected: {error}"))
            });
            on_event(event, &text);
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        on_message.forget();

        let on_error = Closure::<dyn Fn(JsValue)>::new(move |event: JsValue| {
            // A worker that does not load at all sends a plain event.
            let reason = event
                .dyn_ref::<ErrorEvent>()
                .map(ErrorEvent::message)
                .filter(|message| !message.is_empty())
                .unwrap_or_else(|| "its files could not be loaded".to_owned());
            hear(internal(&format!("The worker stopped: {reason}")), "");
        });
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        on_error.forget();
        Self {
            worker: Some(worker),
        }
    }

    /// The worker itself, for what is handed over outside the program.
    pub(crate) fn handle(&self) -> JsValue {
        self.worker.clone().into()
    }

    /// Sends a request.
    pub(crate) fn send(&self, request: &Request) {
        // Plain data with string keys serialises, and a string can be posted.
        if let (Some(worker), Ok(text)) = (&self.worker, serde_json::to_string(request)) {
            let _ = worker.post_message(&text.into());
        }
    }
}

fn internal(message: &str) -> Event {
    Event::Error {
        kind: ErrorKind::Internal,
        message: message.to_owned(),
    }
}
