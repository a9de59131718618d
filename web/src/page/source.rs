//! One line that says where the run on the board comes from: a recording, or
//! an engine that is being made ready or runs; and what has happened to it.

use hrm_core::reason::message::EngineKind;
use leptos::html::Input;
use leptos::prelude::*;

use crate::actions::Page;
use crate::bring::PLACE;
use crate::live::live;
use crate::state::Phase;

/// The line, with the run as a file.
#[component]
pub(crate) fn Source(page: Page) -> impl IntoView {
    let s = page.state;
    let of_recording = move || {
        s.recorded.get().map(|recorded| {
            if recorded.demo {
                "Recorded earlier".to_owned()
            } else {
                format!("A recorded run of {} ({})", recorded.model, recorded.engine)
            }
        })
    };
    let of_engine = move || {
        Some(match s.phase.get() {
            Phase::Failed(..) => return None,
            Phase::Catalog => "looking for the network…".to_owned(),
            Phase::Loading(received, total) if received < total => {
                let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
                format!(
                    "loading: {} of {} MB",
                    megabytes(received),
                    megabytes(total)
                )
            }
            Phase::Loading(..) => "preparing the network…".to_owned(),
            Phase::Loaded { .. } if s.recorded.with(Option::is_some) => return None,
            Phase::Loaded { engine, .. } => match engine.kind {
                EngineKind::Gpu => "Live, on your GPU".to_owned(),
                EngineKind::SoftwareGpu => "Live, on an emulated GPU".to_owned(),
                EngineKind::Cpu => "Live, on your CPU".to_owned(),
            },
        })
    };
    let text = move || {
        let parts: Vec<String> = [of_recording(), of_engine()]
            .into_iter()
            .flatten()
            .collect();
        capitalized(&parts.join("; "))
    };
    let bar = move || match s.phase.get() {
        Phase::Loading(received, total) => Some((received, total)),
        Phase::Catalog => Some((0, 1)),
        _ => None,
    };
    let dropped = move || s.recorded.with(|r| r.as_ref().is_some_and(|r| !r.demo));
    view! {
        <div class="source">
            <p id="source">
                {live(text)}
                {live(move || bar().map(|(received, total)| view! {
                    <progress id="weights" aria-label="Network loaded" max=total.max(1) value=received></progress>
                }))}
            </p>
            <span class="files">
                {live(move || dropped().then(|| view! {
                    <button id="run-live" type="button" class="quiet" on:click=move |_| { page.reset(); page.play(); }>
                        "Run it live"
                    </button>
                }))}
                <button
                    id="save-run"
                    type="button"
                    class="quiet"
                    disabled=live(move || s.reports.with(Vec::is_empty) || s.phase.with(|phase| !matches!(phase, Phase::Loaded { .. })))
                    on:click=move |_| page.save_run()
                >
                    "Save run"
                </button>
                <Open page/>
            </span>
        </div>
        <p id="news" class="news" role="status">{live(move || s.news.get())}</p>
        <div id=PLACE></div>
    }
}

/// Opens a saved run or whatever else the page reads; dropping the file on the
/// page does the same.
#[component]
fn Open(page: Page) -> impl IntoView {
    let field = NodeRef::<Input>::new();
    view! {
        <button
            id="open-run"
            type="button"
            class="quiet"
            on:click=move |_| {
                if let Some(field) = field.get_untracked() {
                    field.click();
                }
            }
        >
            "Open run"
        </button>
        <input
            id="run-file"
            class="hidden"
            type="file"
            tabindex="-1"
            aria-label="A saved run, a puzzle as text, or a network"
            node_ref=field
            on:change=move |_| {
                let Some(field) = field.get_untracked() else { return };
                if let Some(list) = field.files() {
                    page.take(&list);
                }
                // The same file can be opened again.
                field.set_value("");
            }
        />
    }
}

fn capitalized(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
