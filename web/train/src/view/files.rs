//! A run as files, and the network in the playground.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::{File, HtmlInputElement};

use crate::run::{MANY, Run};

/// Measuring, using, exporting and opening.
#[component]
pub(crate) fn Files(run: Run) -> impl IntoView {
    let none = move || !run.is_live() || run.begun.with(Option::is_none);
    let open = move |event: leptos::ev::Event| {
        let field: HtmlInputElement = event_target(&event);
        if let Some(list) = field.files() {
            let files: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
            if !files.is_empty() {
                spawn_local(run.import(files));
            }
        }
        // The same file can be opened again.
        field.set_value("");
    };
    let id = move |part: &str| format!("{part}-{}", run.name);
    view! {
        <div class="controls">
            <button id=id("measure") type="button" disabled=none on:click=move |_| run.measure()>
                {format!("Measure on {MANY} new puzzles")}
            </button>
            <button id=id("use") type="button" disabled=none on:click=move |_| run.use_it()>"Use it in the playground"</button>
            <button id=id("export") type="button" disabled=none on:click=move |_| run.export()>"Export"</button>
        </div>
        <p id=id("measured") class="room-status" role="status">{move || run.measured.get()}</p>
        <p id=id("kept") class="room-status">{move || run.kept.get()}</p>
        <details class="bring">
            <summary>"Open a run from your disk"</summary>
            <p>
                "The archive that Export makes, or the files of a run of the hrm command: model.safetensors and config.json, and to go on where it stopped also optimizer.safetensors, train.toml and train-state.json. The other way round, "
                <code>"hrm train --resume FOLDER"</code>
                " goes on with what Export makes, once it is unpacked."
            </p>
            <input id=id("open") type="file" multiple aria-label="Files of a run" on:change=open/>
        </details>
    }
}
