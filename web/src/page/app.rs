//! The whole page.

use hrm_core::puzzle::Board;
use hrm_web::address::Address;
use leptos::mount::mount_to;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::actions::Page;
use crate::board::{BoardView, Legend, Pad};
use crate::chart::Chart;
use crate::dom;
use crate::models::Models;
use crate::puzzles::Puzzles;
use crate::status::Status;
use crate::transport::Transport;

/// Puts the page in place of the waiting line.
pub(crate) fn mount() {
    let root = document()
        .get_element_by_id("app")
        .and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok());
    let Some(root) = root else { return };
    root.set_text_content(None);
    mount_to(root, App).forget();
}

#[component]
fn App() -> impl IntoView {
    let page = Page::open();
    follow_address(page);
    view! {
        <Theme/>
        <div class="desk">
            <div class="play-area">
                <BoardView page/>
                <Transport page/>
                <Legend page/>
                <Pad page/>
            </div>
            <div class="panels">
                <Status page/>
                <Chart page/>
                <Puzzles page/>
                <Models page/>
            </div>
        </div>
    }
}

/// A link clicked or an address typed on the open page.
fn follow_address(page: Page) {
    let handle = window_event_listener(leptos::ev::hashchange, move |_| {
        let Address { model, puzzle } = Address::parse(&dom::fragment());
        let other = |board: &Board| *board != page.state.puzzle();
        if let Some(model) =
            model.filter(|id| page.state.model.get_untracked().as_ref() != Some(id))
        {
            page.choose_model(&model);
        }
        if let Some(puzzle) = puzzle.filter(other) {
            page.set_puzzle(puzzle);
        }
    });
    on_cleanup(move || handle.remove());
}

/// Light or dark.
#[component]
fn Theme() -> impl IntoView {
    let dark = RwSignal::new(dom::is_dark());
    let toggle = move |_| {
        let next = !dom::is_dark();
        dom::set_theme(if next { "dark" } else { "light" });
        dark.set(next);
    };
    view! {
        <button
            id="theme"
            type="button"
            class="theme"
            aria-label=move || if dark.get() { "Use light colours" } else { "Use dark colours" }
            on:click=toggle
        >
            {move || if dark.get() { "Light" } else { "Dark" }}
        </button>
    }
}
