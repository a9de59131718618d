//! What is going on: the download, the verdict, what went wrong, and which
//! processor computes.

use hrm_core::reason::Verdict;
use hrm_core::reason::message::{DeviceChoice, EngineKind, ErrorKind, Solutions};
use hrm_web::timeline::verdict_text;
use leptos::prelude::*;

use crate::actions::Page;
use crate::dom;
use crate::lab::Room;
use crate::source::Source;
use crate::state::Phase;

/// The card beside the board that says how it stands.
#[component]
pub(crate) fn Status(page: Page) -> impl IntoView {
    let s = page.state;
    view! {
        <section class="status" aria-label="State of the run">
            {move || match s.phase.get() {
                Phase::Failed(kind, message) => view! { <Failure page kind message/> }.into_any(),
                _ => ().into_any(),
            }}
            <Standing page/>
            <Source page/>
            <Warning page/>
        </section>
    }
}

/// Where the run stands, and in the end the verdict, for eyes and for the
/// ears of a screen reader.
#[component]
fn Standing(page: Page) -> impl IntoView {
    let s = page.state;
    let class = move || match s.verdict.get() {
        Some(Verdict::Solved) => "standing solved",
        Some(Verdict::HaltedWrong) => "standing wrong",
        Some(Verdict::Wandering) => "standing wandering",
        None => "standing",
    };
    let ended = move || {
        s.verdict.get()?;
        s.reports.with(|reports| reports.last().map(verdict_text))
    };
    // Spoken once, at the end; the running commentary is for the eyes only.
    let verdict = move || {
        ended().map(|(word, sentence)| view! { <strong>{word}</strong>" "<span>{sentence}</span> })
    };
    let commentary = move || {
        if s.verdict.get().is_some() || s.phase.with(|phase| matches!(phase, Phase::Failed(..))) {
            return None;
        }
        let text = s.reports.with(|reports| {
            let at = s.segment();
            match at.checked_sub(1).and_then(|i| reports.get(i)) {
                None => {
                    let what = "In each segment it writes a new guess into every cell.";
                    if s.playing.get() {
                        what.to_owned()
                    } else {
                        format!("Press play. {what}")
                    }
                }
                Some(report) => {
                    let changed = match report.changed.len() {
                        0 => "nothing changed".to_owned(),
                        1 => "1 cell changed".to_owned(),
                        n => format!("{n} cells changed"),
                    };
                    let conflicts = match report.conflicts {
                        0 => "no conflict".to_owned(),
                        1 => "1 conflict".to_owned(),
                        n => format!("{n} conflicts"),
                    };
                    format!("Segment {}: {changed}, {conflicts}.", report.segment)
                }
            }
        });
        Some(text)
    };
    // Another way, where the plain pass has failed.
    let failed = move || {
        let verdict = s
            .verdict
            .get()
            .filter(|verdict| *verdict != Verdict::Solved);
        verdict.is_some() && s.solutions.get() != Some(Solutions::None) && page.is_ready()
    };
    let aloud = move |_| {
        s.lab.room.set(Some(Room::Guesses));
        s.lab.aloud.set(true);
    };
    let offer = move || {
        failed().then(|| {
            view! {
                <button id="aloud" type="button" on:click=aloud>"Let it guess out loud"</button>
            }
        })
    };
    view! {
        <div class=class>
            <p id="verdict" role="status" aria-live="polite">{verdict}</p>
            <p class="commentary">{commentary}</p>
            {offer}
        </div>
    }
}

/// What the exact solver says of the puzzle, where that matters.
#[component]
fn Warning(page: Page) -> impl IntoView {
    let s = page.state;
    let text = move || {
        let clash = s.entry.with(|entry| entry.board().clash());
        if let Some(clash) = clash {
            return Some(format!("This puzzle can't be solved: {clash}."));
        }
        match s.solutions.get()? {
            Solutions::None => Some("This puzzle has no solution; whatever the network answers is wrong.".to_owned()),
            Solutions::Several => Some(
                "This puzzle has more than one solution. The network has only seen puzzles with exactly one.".to_owned(),
            ),
            Solutions::One | Solutions::Unknown => None,
        }
    };
    view! { <p class="warning" role="status">{text}</p> }
}

#[component]
fn Failure(page: Page, kind: ErrorKind, message: String) -> impl IntoView {
    let advice = match kind {
        ErrorKind::Network => "Check the connection, then try again.",
        ErrorKind::Weights => {
            "The model can't be used like this. Load it again; if that does not help, the files on the server are damaged."
        }
        ErrorKind::Input => "Load the model again.",
        ErrorKind::Unavailable => "The network also runs on the CPU.",
        ErrorKind::DeviceLost => "The GPU gave up. Load the model again, or go on with the CPU.",
        ErrorKind::OutOfMemory => {
            "Close other tabs, choose a smaller model, or go on with the CPU."
        }
        ErrorKind::Internal => "This is a defect of the page. Reload it; the puzzle stays.",
    };
    let retry = !matches!(kind, ErrorKind::Internal);
    let cpu = matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::DeviceLost | ErrorKind::OutOfMemory
    );
    view! {
        <div id="failure" class="failure" role="alert">
            <p>{message}</p>
            <p class="advice">{advice}</p>
            <div class="actions">
                {retry.then(|| view! {
                    <button id="retry" type="button" on:click=move |_| page.load()>"Load again"</button>
                })}
                {cpu.then(|| view! {
                    <button id="use-cpu" type="button" on:click=move |_| page.choose_device(DeviceChoice::Cpu)>
                        "Use the CPU"
                    </button>
                })}
                {(!retry).then(|| view! {
                    <button id="reload" type="button" on:click=move |_| dom::reload()>"Reload the page"</button>
                })}
            </div>
        </div>
    }
}

/// One line: which processor, and how fast it is.
#[component]
pub(crate) fn EngineLine(page: Page) -> impl IntoView {
    let s = page.state;
    let path = move || match s.phase.get() {
        Phase::Loaded { engine, .. } => {
            let kind = match engine.kind {
                EngineKind::Gpu => "GPU",
                EngineKind::SoftwareGpu => "Software GPU",
                EngineKind::Cpu => "CPU",
            };
            let note = engine
                .note
                .map(|note| format!(" {note}."))
                .unwrap_or_default();
            (kind, format!("{}.{note}", engine.name))
        }
        _ => ("", String::new()),
    };
    let loaded = move || {
        s.phase
            .with(|phase| matches!(phase, Phase::Loaded { .. }))
            .then(|| s.model.get())
            .flatten()
    };
    let speed = move || {
        s.times.with(|times| median(times)).map(|ms| {
            let digits = if ms < 10.0 { 1 } else { 0 };
            format!("{ms:.digits$} ms a segment")
        })
    };
    view! {
        <div class="engine">
            <p id="engine" data-model=loaded>
                <strong>{move || path().0}</strong>" "<span>{move || path().1}</span>
                " "<span class="milliseconds">{speed}</span>
            </p>
            <label>
                <span>"Compute on"</span>
                <select id="device" on:change=move |event| {
                    let choice = DeviceChoice::from_name(&event_target_value(&event));
                    page.choose_device(choice.unwrap_or_default());
                }>
                    {DeviceChoice::ALL
                        .into_iter()
                        .map(|choice| {
                            let name = match choice {
                                DeviceChoice::Auto => "the best there is",
                                DeviceChoice::Gpu => "GPU",
                                DeviceChoice::Cpu => "CPU",
                            };
                            view! {
                                <option value=choice.name() selected=move || s.device.get() == choice>{name}</option>
                            }
                        })
                        .collect_view()}
                </select>
            </label>
        </div>
    }
}

/// The middle one of a run's times: the first is often slow.
fn median(times: &[f64]) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
