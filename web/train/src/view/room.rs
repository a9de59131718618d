//! The room: one run, or two side by side.

use any_spawner::Executor;
use hrm_train_room::address;
use hrm_train_room::message::Recording;
use hrm_train_room::presets::Preset;
use hrm_train_room::settings::Settings;
use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::column::Column;
use crate::dom;
use crate::run::Run;

/// The recorded training, beside the page.
const RECORDING: &str = "train.json";
/// Workers of a run at most, unless more are chosen.
const USUAL: usize = 4;

/// Draws the room into the element that the page has made for it.
pub(crate) fn mount() {
    let Some(place) = dom::place() else {
        return;
    };
    // The page's own program has an executor of its own; this is another.
    _ = Executor::init_wasm_bindgen();
    place.set_text_content(None);
    mount_to(place, || view! { <Room/> }).forget();
}

#[component]
fn Room() -> impl IntoView {
    let asked = dom::asked()
        .map(|text| address::runs(&text))
        .unwrap_or_default();
    let linked = !asked.is_empty();
    let mut asked = asked.into_iter();
    let first = asked.next().unwrap_or_else(|| Preset::ALL[0].settings());
    let workers = dom::processors().clamp(1, USUAL);
    let run = Run::new("run-a", first, linked, workers);
    let second = RwSignal::new(None::<Run>);
    run.connect();
    spawn_local(async move {
        let recording = dom::text(RECORDING).await;
        let recording = recording.and_then(|text| serde_json::from_str::<Recording>(&text).ok());
        if let Some(recording) = recording {
            run.show(recording);
        }
    });
    let owner = Owner::current();
    let beside = move |settings: Settings| {
        // As long as the room, whatever has asked for it.
        let make = move || Run::new("run-b", settings, true, (workers / 2).max(1));
        let other = match &owner {
            Some(owner) => owner.with(make),
            None => make(),
        };
        other.connect();
        second.set(Some(other));
    };
    if let Some(settings) = asked.next() {
        beside(settings);
    }

    Effect::new(move || {
        let mut runs = vec![run.settings.get()];
        runs.extend(second.get().map(|other| other.settings.get()));
        let text = address::of_runs(&runs);
        let usual = runs == [Preset::ALL[0].settings()];
        dom::keep_in_address(if usual { "" } else { &text });
    });
    let hidden = window_event_listener_untyped("visibilitychange", move |_| {
        run.watch_page();
        if let Some(other) = second.get_untracked() {
            other.watch_page();
        }
    });
    let linked = window_event_listener(leptos::ev::hashchange, move |_| {
        let runs = dom::asked()
            .map(|text| address::runs(&text))
            .unwrap_or_default();
        if let Some(settings) = runs.into_iter().next() {
            run.settings.set(settings);
        }
    });
    on_cleanup(move || {
        hidden.remove();
        linked.remove();
    });

    let add = move |_| {
        let settings = run.settings.get_untracked();
        beside(Settings {
            seed: settings.seed + 1,
            ..settings
        });
    };
    let remove = move |_| {
        if let Some(other) = second.get_untracked() {
            other.close();
        }
        second.set(None);
    };
    view! {
        <div class="training" class=("two", move || second.get().is_some())>
            <Column run other=second/>
            {move || second.get().map(|other| view! {
                <Column run=other other=RwSignal::new(Some(run))/>
            })}
        </div>
        <p class="beside">
            {move || match second.get() {
                None => view! {
                    <button id="second-run" type="button" on:click=add.clone()>"A second run beside it"</button>
                    <span>" with one setting changed: which one learns sooner?"</span>
                }.into_any(),
                Some(_) => view! {
                    <button id="one-run" type="button" on:click=remove>"Only one run"</button>
                }.into_any(),
            }}
        </p>
        <p class="caption">
            "All of it happens in this browser: nothing is sent anywhere. The puzzles are made here, minimal ones with a single solution each. Those that it is asked are never trained on, nor is any that is equivalent under turning, swapping and renaming; for 6×6 and 9×9 not even their solutions. (There are only two kinds of 4×4 solutions, which every network sees; there the places of the clues are new.)"
        </p>
    }
}
