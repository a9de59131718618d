//! The rooms below the board: one is open at a time, and none does anything
//! before it is asked to.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::actions::Page;
use crate::dom;
use crate::experiments::Experiments;
use crate::guesses::Guesses;
use crate::lab::{Room, Runs};
use crate::latent::LatentSpace;
use crate::live::{aria, effect, live};
use crate::select::{options, select};

/// Tabs and the open room.
#[component]
pub(crate) fn Rooms(page: Page) -> impl IntoView {
    let lab = page.state.lab;
    let place = page.state.place;
    // A link leads to its room.
    effect(move || {
        let asked = place.asked("room");
        if let Some(room) = Room::ALL
            .into_iter()
            .find(|r| Some(r.name()) == asked.as_deref())
        {
            lab.room.set(Some(room));
        }
    });
    effect(move || place.keep("room", &lab.room.get().map_or("", Room::name)));
    // What is trained there is that room's to say, and a link keeps it.
    effect(move || place.keep("train", &place.asked("train").unwrap_or_default()));
    let told = window_event_listener_untyped("hrm-train", move |event| {
        let detail = event
            .dyn_ref()
            .and_then(|e: &web_sys::CustomEvent| e.detail().as_string());
        place.keep("train", &detail.unwrap_or_default());
    });
    on_cleanup(move || told.remove());
    let open = move || lab.room.get().unwrap_or(Room::Guesses);
    let tabs = Room::ALL.map(|room| {
        let chosen = move || open() == room;
        view! {
            <button
                id=format!("tab-{}", room.name())
                type="button"
                role="tab"
                aria-selected=live(move || aria(chosen()))
                aria-controls="room"
                tabindex=live(move || if chosen() { "0" } else { "-1" })
                on:click=move |_| lab.room.set(Some(room))
            >
                {room.title()}
            </button>
        }
    });
    let keys = move |event: KeyboardEvent| {
        let at = Room::ALL
            .iter()
            .position(|&room| room == untrack(open))
            .unwrap_or(0);
        let to = match event.key().as_str() {
            "ArrowRight" => (at + 1) % Room::ALL.len(),
            "ArrowLeft" => (at + Room::ALL.len() - 1) % Room::ALL.len(),
            "Home" => 0,
            "End" => Room::ALL.len() - 1,
            _ => return,
        };
        event.prevent_default();
        lab.room.set(Some(Room::ALL[to]));
        dom::focus(&format!("tab-{}", Room::ALL[to].name()));
    };
    view! {
        <section class="rooms" aria-label="More to look at">
            <div class="tabs" role="tablist" aria-label="Rooms" on:keydown=keys>{tabs.into_iter().collect_view()}</div>
            <div
                id="room"
                class="room"
                role="tabpanel"
                aria-labelledby=live(move || format!("tab-{}", open().name()))
            >
                {live(move || match open() {
                    Room::Guesses => view! { <Guesses page/> }.into_any(),
                    Room::Latent => view! { <LatentSpace page/> }.into_any(),
                    Room::Experiments => view! { <Experiments page/> }.into_any(),
                    // Its own program's (`web/train`).
                    Room::Train => view! { <train-room></train-room> }.into_any(),
                })}
            </div>
        </section>
    }
}

/// A word where what a batch shows is of another puzzle or network than those
/// that are chosen now.
#[component]
pub(crate) fn About(page: Page, runs: Runs) -> impl IntoView {
    let back = move |_| {
        if let Some(network) = runs.network.get_untracked()
            && page.state.model.get_untracked().as_ref() != Some(&network)
        {
            page.choose_named(&network);
        }
        if let Some(puzzle) = runs.puzzle.get_untracked() {
            page.set_puzzle(puzzle);
        }
    };
    move || {
        page.is_elsewhere(runs).then(|| {
            let title = page.title(runs.network.get());
            view! {
                <p class="elsewhere" role="status">
                    {format!("What follows is of another puzzle or network ({title}). ")}
                    <button type="button" class="quiet" on:click=back>"Put those back"</button>
                </p>
            }
        })
    }
}

/// A labelled choice among numbers.
#[component]
pub(crate) fn Choice(
    id: &'static str,
    label: &'static str,
    values: &'static [(&'static str, f64)],
    chosen: RwSignal<f64>,
) -> impl IntoView {
    view! {
        <label class="choice">
            <span>{label}</span>
            {select(
                id,
                "",
                options(values.iter().map(|&(name, value)| (value, name))),
                move || chosen.get().to_string(),
                move |value| chosen.set(dom::number(&value).unwrap_or_default()),
            )}
        </label>
    }
}

/// A labelled yes or no.
#[component]
pub(crate) fn Check(
    id: &'static str,
    label: &'static str,
    chosen: RwSignal<bool>,
) -> impl IntoView {
    view! {
        <label class="check">
            <input
                id=id
                type="checkbox"
                prop:checked=live(move || chosen.get())
                on:change=move |event| chosen.set(event_target_checked(&event))
            />
            <span>{label}</span>
        </label>
    }
}
