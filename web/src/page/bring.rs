//! What people bring: runs, puzzles and networks from their disk. Files are
//! told apart and networks made outside the program (`web/bring.js`), kept by
//! the worker and listed with the others.

use hrm_core::reason::message::Request;
use leptos::attr::custom::custom_attribute;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::HtmlInputElement;

use crate::actions::{Page, models_base};

/// How names of imported networks begin.
pub(crate) const IMPORTED: &str = "imported-";

#[wasm_bindgen]
extern "C" {
    /// Takes what a drop holds or the files of a list. `hear` gets the text of
    /// one that is a text; of anything else a network is made for `keeper`, and
    /// how far that is is shown where [`PLACE`] is.
    #[wasm_bindgen(js_namespace = hrmFiles)]
    fn take(from: &JsValue, keeper: &JsValue, base: &str, hear: &JsValue);

    /// Gives up the network that is being made, and what is said of it.
    #[wasm_bindgen(js_namespace = hrmFiles, js_name = callOff)]
    pub(crate) fn call_off();
}

/// Where it is shown how far a network has come that was brought, or why it is
/// none: the id of an element.
pub(crate) const PLACE: &str = "brought";

impl Page {
    /// Takes what a drop holds, or the files of a list.
    pub(crate) fn take(&self, from: &JsValue) {
        let page = *self;
        let hear: Box<dyn Fn(String)> = Box::new(move |text| page.open_text(&text));
        let hear = Closure::wrap(hear).into_js_value();
        if let Some(link) = self.link() {
            take(from, &link.handle(), &models_base(), &hear);
        }
    }
}

/// Opens a network from the disk.
#[component]
pub(crate) fn OpenNetwork(page: Page) -> impl IntoView {
    let field = move |folder: bool, label: &'static str| {
        let folder = folder.then_some("");
        let take = move |event: leptos::ev::Event| {
            let field: HtmlInputElement = event_target(&event);
            if let Some(list) = field.files() {
                page.take(&list);
            }
            // The same file can be opened again.
            field.set_value("");
        };
        view! {
            <label>
                <span>{label}</span>
                <input type="file" multiple on:change={take} {..custom_attribute("webkitdirectory", folder)}/>
            </label>
        }
    };
    view! {
        <details class="bring">
            <summary>"Open a network from your disk"</summary>
            <p>
                "Checkpoints of HRM, TRM and their relatives as they are published (for example \
                 sapientinc's HRM on Hugging Face: the file \"checkpoint\" and its all_config.yaml), \
                 or a folder that hrm export wrote. Choose the weights and their configuration \
                 together, or drop them anywhere on this page. They are read here and sent nowhere."
            </p>
            {field(false, "Weights and configuration")}
            {field(true, "Or their folder")}
        </details>
    }
}

/// Removes an imported network.
#[component]
pub(crate) fn Remove(page: Page, id: String) -> impl IntoView {
    view! {
        <button
            type="button"
            class="quiet remove"
            aria-label=format!("Remove {id}")
            on:click=move |_| page.send(&Request::Forget { base: models_base(), model: id.clone() })
        >
            "Remove from this browser"
        </button>
    }
}
