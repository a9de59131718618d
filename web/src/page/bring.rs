//! What people bring: runs, puzzles and networks from their disk. Files are
//! told apart and networks made outside the program (`web/bring.js`), kept by
//! the worker and listed with the others.

use hrm_core::reason::message::Request;
use leptos::attr::custom::custom_attribute;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::HtmlInputElement;

use crate::actions::{Page, models_base};
use crate::live::live;

/// How names of imported networks begin.
pub(crate) const IMPORTED: &str = "imported-";

#[wasm_bindgen]
extern "C" {
    /// Takes what a drop holds or the files of a list: `hear` gets news of what
    /// becomes of it, the kind and the content.
    #[wasm_bindgen(js_namespace = hrmFiles)]
    fn take(from: &JsValue, keeper: &JsValue, base: &str, hear: &JsValue);

    /// Gives up the network that is being made.
    #[wasm_bindgen(js_namespace = hrmFiles, js_name = callOff)]
    fn call_off();
}

/// How far the network has come that is being made of files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bringing {
    /// There is none.
    Nothing,
    /// The share of its file that has been read.
    Reading(f64),
    /// It is none: why, as a sentence.
    Failed(String),
}

impl Page {
    /// Takes what a drop holds, or the files of a list.
    pub(crate) fn take(&self, from: &JsValue) {
        let page = *self;
        let hear: Box<dyn Fn(String, JsValue)> = Box::new(move |kind, news| {
            let bringing = page.state.bringing;
            let text = news.as_string().unwrap_or_default();
            match kind.as_str() {
                "text" => page.open_text(&text),
                "failed" => bringing.set(Bringing::Failed(text)),
                _ => bringing.set(Bringing::Reading(news.as_f64().unwrap_or_default())),
            }
        });
        let hear = Closure::wrap(hear).into_js_value();
        if let Some(link) = self.link() {
            take(from, &link.handle(), &models_base(), &hear);
        }
    }
}

/// How far a network has come that was brought, or why it is none.
#[component]
pub(crate) fn News(page: Page) -> impl IntoView {
    let bringing = page.state.bringing;
    let stage = Memo::new(move |_| {
        bringing.with(|now| match now {
            Bringing::Nothing => 0,
            Bringing::Reading(_) => 1,
            Bringing::Failed(_) => 2,
        })
    });
    let share = move || match bringing.get() {
        Bringing::Reading(share) => share,
        _ => 0.0,
    };
    let text = move || match bringing.get() {
        Bringing::Nothing => String::new(),
        Bringing::Reading(share) if share < 1.0 => {
            format!("Reading your network: {:.0} %", 100.0 * share)
        }
        Bringing::Reading(_) => "Making your network ready…".to_owned(),
        Bringing::Failed(reason) => reason,
    };
    let close = move |_| {
        call_off();
        bringing.set(Bringing::Nothing);
    };
    let shown = move || {
        match stage.get() {
        0 => ().into_any(),
        1 => view! {
            <p id="bringing" class="news">
                <span>{live(text)}</span>
                <progress aria-label="Your network" max="1" value=live(share)></progress>
                <button id="cancel-import" type="button" class="quiet" on:click=close>"Cancel"</button>
            </p>
        }
        .into_any(),
        _ => view! {
            <div id="bring-failure" class="failure" role="alert">
                <p>{live(text)}</p>
                <button type="button" on:click=close>"Close"</button>
            </div>
        }
        .into_any(),
    }
    };
    view! { {live(shown)} }
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
