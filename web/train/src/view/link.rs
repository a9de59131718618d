//! The worker that trains, seen from the room.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hrm_train_room::message::{Asked, News, Order, Told};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::dom;

/// A worker with what waits until it listens. It ends with the value.
pub(crate) struct Link {
    worker: Option<Worker>,
    early: Rc<RefCell<Option<Vec<Array>>>>,
    numbers: Cell<u32>,
    _listen: Option<Closure<dyn Fn(MessageEvent)>>,
    _fail: Option<Closure<dyn Fn(JsValue)>>,
}

impl Link {
    /// Starts a worker that keeps its run under that name; `hear` gets all
    /// news from it with the files beside them.
    pub(crate) fn open(name: &str, hear: impl Fn(News, Vec<Uint8Array>) + Clone + 'static) -> Self {
        let early = Rc::new(RefCell::new(Some(Vec::new())));
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(name);
        let Ok(worker) = Worker::new_with_options("train-worker_loader.js", &options) else {
            let reason = "This browser does not start workers, which training needs.".to_owned();
            hear(News::Failed { reason }, Vec::new());
            return Self {
                worker: None,
                early,
                numbers: Cell::new(0),
                _listen: None,
                _fail: None,
            };
        };
        let on_message = {
            let (early, hear, worker) = (Rc::clone(&early), hear.clone(), worker.clone());
            Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
                let (text, bytes) = dom::parts(&message.data());
                let news = match serde_json::from_str::<Told>(&text) {
                    Ok(told) => told.news,
                    Err(error) => News::Failed {
                        reason: format!("The worker said something unexpected: {error}"),
                    },
                };
                if news == News::Ready {
                    for waiting in early.borrow_mut().take().into_iter().flatten() {
                        let _ = worker.post_message(&waiting);
                    }
                }
                hear(news, bytes);
            })
        };
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let on_error = Closure::<dyn Fn(JsValue)>::new(move |event: JsValue| {
            // A worker that does not load at all sends a plain event.
            let reason = event
                .dyn_ref::<ErrorEvent>()
                .map(ErrorEvent::message)
                .filter(|message| !message.is_empty())
                .unwrap_or_else(|| "its files could not be loaded".to_owned());
            let reason = format!("The worker stopped: {reason}.");
            hear(News::Failed { reason }, Vec::new());
        });
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Self {
            worker: Some(worker),
            early,
            numbers: Cell::new(0),
            _listen: Some(on_message),
            _fail: Some(on_error),
        }
    }

    /// Sends an order, as soon as the worker listens.
    pub(crate) fn send(&self, order: Order) {
        self.send_with(order, &[]);
    }

    /// Sends an order with files beside it.
    pub(crate) fn send_with(&self, order: Order, files: &[Uint8Array]) {
        let request = self.numbers.get() + 1;
        self.numbers.set(request);
        // Plain data with string keys serialises.
        let Ok(text) = serde_json::to_string(&Asked { request, order }) else {
            return;
        };
        let message = Array::of1(&text.into());
        for file in files {
            message.push(file);
        }
        match (self.early.borrow_mut().as_mut(), &self.worker) {
            (Some(early), _) => early.push(message),
            (None, Some(worker)) => {
                let _ = worker.post_message(&message);
            }
            (None, None) => {}
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.terminate();
        }
    }
}
