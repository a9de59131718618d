//! What follows signals, of as few types as can be. Whatever is a closure of
//! its own in a view brings an effect, a task and a state of its own into the
//! program, some kilobytes each: here they share one for each kind of value.

use std::sync::{Arc, Mutex};

use leptos::prelude::*;
use leptos::tachys::reactive_graph::SharedReactiveFunction;

/// A text, an attribute or a part of a view that follows what it reads.
pub(crate) fn live<T: 'static>(
    follow: impl FnMut() -> T + Send + 'static,
) -> SharedReactiveFunction<T> {
    Arc::new(Mutex::new(follow))
}

/// Does something now, and again whenever what it has read changes.
pub(crate) fn effect(follow: impl FnMut() + 'static) {
    watch(Box::new(follow));
}

fn watch(follow: Box<dyn FnMut()>) {
    Effect::new(follow);
}

/// `true` or `false`, as attributes of ARIA are written.
pub(crate) fn aria(holds: bool) -> &'static str {
    if holds { "true" } else { "false" }
}
