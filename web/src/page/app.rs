//! The whole page.

use std::time::Duration;

use hrm_core::puzzle::Board;
use hrm_web::address::Address;
use leptos::mount::mount_to;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::actions::Page;
use crate::board::{BoardView, Legend, Pad};
use crate::cell_facts::CellFacts;
use crate::chart::Chart;
use crate::dom;
use crate::models::Models;
use crate::puzzles::Puzzles;
use crate::replay::take_drops;
use crate::rooms::Rooms;
use crate::status::Status;
use crate::tour::TourCard;
use crate::transport::Transport;
use crate::visibility::wait_in_background;

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
    follow_step(page);
    take_drops(page);
    wait_in_background(page);
    view! {
        <Theme/>
        <div class="desk">
            <div class="play-area">
                <BoardView page/>
                <Transport page/>
                <Legend page/>
                <CellFacts page/>
                <Pad page/>
            </div>
            <div class="panels">
                <TourCard page/>
                <Status page/>
                {later(1, move || view! { <Chart page/> }.into_any())}
                {later(2, move || view! { <Puzzles page/> <Models page/> }.into_any())}
            </div>
        </div>
        {later(3, move || view! { <Rooms page/> }.into_any())}
    }
}

/// Builds a part of the page a little after the parts before it, so that no
/// task of the browser gets long.
fn later(turn: u64, part: impl Fn() -> AnyView + Send + 'static) -> impl IntoView {
    let due = RwSignal::new(false);
    set_timeout(
        move || {
            due.try_set(true);
        },
        Duration::from_millis(20 * turn),
    );
    move || due.get().then(&part)
}

/// A link clicked or an address typed on the open page.
fn follow_address(page: Page) {
    let handle = window_event_listener(leptos::ev::hashchange, move |_| {
        let address = Address::parse(&dom::fragment());
        let (model, puzzle) = (address.model.clone(), address.puzzle.clone());
        let other = |board: &Board| *board != page.state.puzzle();
        if let Some(model) =
            model.filter(|id| page.state.model.get_untracked().as_ref() != Some(id))
        {
            page.choose_model(&model);
        }
        if let Some(puzzle) = puzzle.filter(other) {
            page.set_puzzle(puzzle);
        }
        page.state.place.asked.set(address);
    });
    on_cleanup(move || handle.remove());
}

/// The segment looked at is part of the address while nothing plays.
fn follow_step(page: Page) {
    let s = page.state;
    Effect::new(move || {
        if s.playing.get() || s.goal.get().is_some() {
            return;
        }
        let step = s.segment();
        let step = if step == 0 {
            String::new()
        } else {
            step.to_string()
        };
        s.place.keep("step", &step);
    });
    Effect::new(move || {
        if let Some(step) = s.place.asked("step").and_then(|text| text.parse().ok()) {
            page.go_to(step);
        }
    });
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
