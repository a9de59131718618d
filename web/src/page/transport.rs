//! Play, pause, step, reset and speed.

use leptos::prelude::*;

use crate::actions::Page;
use crate::live::live;
use crate::select::{options, select};
use crate::state::{Phase, SPEEDS};
use crate::time::Scrubber;

/// The controls of a run.
#[component]
pub(crate) fn Transport(page: Page) -> impl IntoView {
    let s = page.state;
    let failed = move || {
        s.recorded.with(Option::is_none) && s.phase.with(|phase| matches!(phase, Phase::Failed(..)))
    };
    let toggle = move |_| {
        if s.playing.get_untracked() {
            page.pause();
        } else {
            page.play();
        }
    };
    let play_label = move || {
        let begun = s.reports.with(|reports| !reports.is_empty());
        let solved = s.reports.with(|r| r.last().is_some_and(|r| r.solved));
        if s.playing.get() {
            let ready = s.phase.with(|phase| matches!(phase, Phase::Loaded { .. }));
            if ready || s.recorded.with(Option::is_some) {
                "Pause"
            } else {
                "Loading…"
            }
        } else if solved {
            "Replay"
        } else if begun {
            "Go on"
        } else {
            "Play"
        }
    };
    view! {
        <section class="transport" aria-label="Run">
            <button id="play" type="button" class="primary" class=("playing", live(move || s.playing.get())) disabled=live(failed) on:click=toggle>
                <span class="glyph" aria-hidden="true"></span>
                <span>{live(play_label)}</span>
            </button>
            <button id="step" type="button" disabled=live(failed) on:click=move |_| page.step()>"Step"</button>
            <button id="reset" type="button" disabled=live(move || s.reports.with(Vec::is_empty) && s.lab.shown.get().is_none()) on:click=move |_| page.reset()>
                "Reset"
            </button>
            <label class="speed">
                <span>"Speed"</span>
                {select(
                    "speed",
                    "",
                    options(SPEEDS.iter().enumerate().map(|(i, (name, _))| (i, *name))),
                    move || s.speed.get().to_string(),
                    move |speed| page.set_speed(speed.parse().unwrap_or_default()),
                )}
            </label>
            <Scrubber page/>
        </section>
    }
}
