//! Time in a worker, and turns for its messages.

use js_sys::Promise;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

use crate::post::scope;

/// Milliseconds since the worker started.
pub(crate) fn now() -> f64 {
    scope()
        .performance()
        .map_or(0.0, |performance| performance.now())
}

/// A gate through which the worker's other messages go first. A message to
/// itself waits behind them and no longer, where a timer would wait for some
/// milliseconds.
pub(crate) struct Gate {
    channel: Option<MessageChannel>,
    passed: f64,
}

/// Milliseconds of work after which others get their turn.
const PATIENCE: f64 = 30.0;

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            channel: MessageChannel::new().ok(),
            passed: now(),
        }
    }

    /// Lets others pass, if there has been work for long enough.
    pub(crate) async fn pass(&mut self) {
        if now() - self.passed < PATIENCE {
            return;
        }
        self.open().await;
    }

    /// Lets others pass.
    pub(crate) async fn open(&mut self) {
        let Some(channel) = &self.channel else {
            return;
        };
        let promise = Promise::new(&mut |resolve, _| {
            let arrived = Closure::once_into_js(move || {
                // Nothing can go wrong in resolving.
                let _ = resolve.call0(&JsValue::UNDEFINED);
            });
            channel.port1().set_onmessage(Some(arrived.unchecked_ref()));
            let _ = channel.port2().post_message(&JsValue::NULL);
        });
        let _ = JsFuture::from(promise).await;
        self.passed = now();
    }
}
