//! The page in the background, and its things kept for the next visit.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use crate::actions::Page;

impl Page {
    /// Asks the browser not to throw the weights away when space gets short.
    /// What it answers changes nothing here.
    pub(crate) fn keep_storage(&self) {
        // Only a page that is served securely has a storage to speak of.
        if !window().is_secure_context() {
            return;
        }
        spawn_local(async {
            let storage = window().navigator().storage();
            if let Ok(asked) = storage.persist() {
                let _ = JsFuture::from(asked).await;
            }
        });
    }
}

/// Nobody watches a page in the background: a playing run waits there and
/// goes on when the page is seen again.
pub(crate) fn wait_in_background(page: Page) {
    let waiting = StoredValue::new(false);
    let handle = document_listener(move || {
        let s = page.state;
        page.hear_all();
        if document().hidden() {
            if s.playing.get_untracked() && s.goal.get_untracked().is_none() {
                page.pause();
                waiting.set_value(true);
            }
        } else if waiting.get_value() {
            waiting.set_value(false);
            if !s.playing.get_untracked() && !s.end().state.is_outcome() {
                page.play();
                s.news.set(Some(
                    "The run has waited while the page was in the background.".to_owned(),
                ));
            }
        }
    });
    on_cleanup(handle);
}

/// Listens to the page being hidden and shown; returns what ends that.
fn document_listener(heard: impl Fn() + 'static) -> impl FnOnce() + Send + Sync {
    // The event bubbles to the window.
    let handle = window_event_listener_untyped("visibilitychange", move |_| heard());
    move || handle.remove()
}
