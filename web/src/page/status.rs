//! What is going on: the download, the verdict, what went wrong, and which
//! processor computes.

use hrm_core::reason::message::{DeviceChoice, EngineKind, ErrorKind, Solutions};
use hrm_core::reason::{SegmentReport, Standing, State};
use hrm_web::entry::Entry;
use leptos::prelude::*;

use crate::actions::Page;
use crate::dom;
use crate::lab::{Room, Wish};
use crate::live::live;
use crate::maze::{is_askable, lengths};
use crate::select::{options, select};
use crate::source::Source;
use crate::state::Phase;

/// The card beside the board that says how it stands.
#[component]
pub(crate) fn Status(page: Page) -> impl IntoView {
    let s = page.state;
    view! {
        <section class="status" aria-label="State of the run">
            {live(move || match s.phase.get() {
                Phase::Failed(kind, message) => view! { <Failure page kind message/> }.into_any(),
                _ => ().into_any(),
            })}
            <Card page/>
            <Source page/>
            <Warning page/>
        </section>
    }
}

/// Where the run stands, and in the end what has come of it, for eyes and for
/// the ears of a screen reader.
#[component]
fn Card(page: Page) -> impl IntoView {
    let s = page.state;
    let state = Memo::new(move |_| s.standing.with(|standing| standing.state));
    let class = move || match state.get() {
        State::Waiting | State::UnderWay => "standing",
        State::Solved => "standing solved",
        State::Valid => "standing valid",
        State::SureButWrong => "standing wrong",
        State::AtRest | State::StandingStill | State::Wandering => "standing wandering",
    };
    // Spoken once, at the end; the running commentary is for the eyes only.
    let verdict = move || {
        let state = state.get();
        if !state.is_outcome() {
            return String::new();
        }
        let sentence = s.standing.with(Standing::sentence);
        format!("<strong>{}</strong> <span>{sentence}</span>", state.title())
    };
    let commentary = move || {
        let failed = s.phase.with(|phase| matches!(phase, Phase::Failed(..)));
        if state.get().is_outcome() || failed {
            return None;
        }
        let sentence = s.standing.with(Standing::sentence);
        let idle = state.get() == State::Waiting && !s.playing.get();
        Some(match s.entry.with(finished) {
            Some(finished) if idle => finished.to_owned(),
            _ if idle && s.reports.with(Vec::is_empty) => format!("Press play. {sentence}"),
            _ => sentence,
        })
    };
    view! {
        <div
            class=live(class)
            data-state=live(move || state.get().name())
            data-segment=live(move || s.segment())
        >
            <p id="verdict" role="status" aria-live="polite" inner_html=live(verdict)></p>
            <p class="commentary">{live(commentary)}</p>
            <p id="lengths" class="note">{live(move || lengths(page))}</p>
            <Guessing page/>
            <Offers page state/>
        </div>
    }
}

/// What is to be said of a board that is full before any run.
fn finished(entry: &Entry) -> Option<&'static str> {
    let board = entry.board().sudoku()?;
    if board.blanks() > 0 || board.conflicts() > 0 {
        None
    } else if entry.base() == board {
        Some("This grid is full, and right.")
    } else {
        Some("You have solved it: every row, column and box is right. Well done!")
    }
}

/// The guess that is looked at, if it is one, and how the guesses stand.
#[component]
fn Guessing(page: Page) -> impl IntoView {
    let s = page.state;
    let race = s.lab.race;
    let text = move || {
        let guess = s.guess.get()?;
        let (count, segment, solved) = race.reports.with(|runs| {
            let solved = |run: &&Vec<SegmentReport>| run.last().is_some_and(|r| r.solved);
            (
                runs.len(),
                runs.iter().map(Vec::len).max().unwrap_or(0),
                runs.iter().filter(solved).count(),
            )
        });
        let which = format!("This is guess {} of {count}", guess + 1);
        let took = race
            .took
            .get()
            .map(|ms| format!(" It took {:.1} s.", ms / 1000.0));
        Some(if race.busy.get() {
            format!("{which}, in segment {segment}; {solved} solved so far.")
        } else if solved == 0 {
            format!("{which}; none was solved within {segment} segments.")
        } else {
            format!(
                "{which}; {solved} solved within {segment} segments.{}",
                took.unwrap_or_default()
            )
        })
    };
    view! { <p id="guessing" class="note" role="status">{live(text)}</p> }
}

/// What else can be tried, where the plain pass has failed or before it.
#[component]
fn Offers(page: Page, state: Memo<State>) -> impl IntoView {
    let s = page.state;
    let race = s.lab.race;
    let offered = Memo::new(move |_| {
        let guessing = s.lab.aloud.get() && race.busy.get();
        let possible = page.is_ready()
            && !s.playing.get()
            && !race.busy.get()
            && s.recorded.with(Option::is_none)
            && s.solutions.get() != Some(Solutions::None);
        let guess = s.guess.get().is_some();
        match state.get() {
            _ if guessing => Offer::Stop,
            _ if guess => Offer::Back,
            State::Waiting if possible && is_askable(page) => Offer::Before,
            state if possible && state.is_failure() => Offer::After,
            _ => Offer::Nothing,
        }
    });
    let aloud = move |_| {
        s.lab.room.set(Some(Room::Guesses));
        s.lab.wish.set(Some(Wish::Aloud));
    };
    let button = move |id: &'static str, label: &'static str, press: fn(Page)| {
        view! { <button id=id type="button" on:click=move |_| press(page)>{label}</button> }
    };
    move || {
        match offered.get() {
        Offer::Nothing => ().into_any(),
        Offer::Stop => {
            button("stop-aloud", "Stop guessing", |page| page.cancel(page.state.lab.race)).into_any()
        }
        Offer::Back => {
            button("back-to-run", "Back to the plain run", |page| page.show_guess(None)).into_any()
        }
        Offer::Before => view! {
            <button id="solve" type="button" on:click=aloud>"Or let it guess until it is solved"</button>
        }
        .into_any(),
        Offer::After => {
            let harder = page.rivals().into_iter().find(|(_, title)| title.contains("hard"));
            view! {
                <button id="aloud" type="button" class="go" on:click=aloud>"Let it guess out loud"</button>
                {harder.map(|(id, title)| view! {
                    <button id="harder" type="button" on:click=move |_| {
                        page.choose_model(&id);
                        page.play();
                    }>
                        {format!("Try “{title}”")}
                    </button>
                })}
            }
            .into_any()
        }
    }
    }
}

/// What there is to be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Nothing,
    /// To give the guesses up.
    Stop,
    /// The run instead of a guess.
    Back,
    /// Guesses instead of a plain run.
    Before,
    /// Guesses, or another network, after a plain run that failed.
    After,
}

/// What the exact solver says of the puzzle, where that matters.
#[component]
fn Warning(page: Page) -> impl IntoView {
    let s = page.state;
    let text = move || {
        // What there is to say of a maze stands beside its lengths.
        let (clash, own) = s.entry.with(|entry| {
            let (board, base) = (entry.board().sudoku()?, entry.base().sudoku()?);
            Some((board.clash(), board != base && base.clues() > 0))
        })?;
        let own = own && s.lab.base_answer.with(Option::is_some);
        if let Some(clash) = clash {
            return Some(if own {
                format!("Your digits clash: {clash}.")
            } else {
                format!("This puzzle can't be solved: {clash}.")
            });
        }
        match s.solutions.get()? {
            Solutions::None if own => {
                Some("One of your digits is wrong. “Check” shows which.".to_owned())
            }
            Solutions::None => Some("This puzzle has no solution; whatever the network answers is wrong.".to_owned()),
            Solutions::Several => Some(
                "This puzzle has more than one solution. The network has only seen puzzles with exactly one.".to_owned(),
            ),
            Solutions::One | Solutions::Unknown => None,
        }
    };
    view! { <p class="warning" role="status">{live(text)}</p> }
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
        s.times.with(|times| {
            // The first is a cold one.
            let (ms, which) = match times.as_slice() {
                [] => return None,
                [first] => (*first, "the first one, still cold: "),
                [_, warm @ ..] => (median(warm)?, ""),
            };
            let digits = if ms < 10.0 { 1 } else { 0 };
            Some(format!("{which}{ms:.digits$} ms a segment"))
        })
    };
    view! {
        <div class="engine">
            <p id="engine" data-model=live(loaded)>
                <strong>{live(move || path().0)}</strong>" "<span>{live(move || path().1)}</span>
                " "<span class="milliseconds">{live(speed)}</span>
                <span class="hint">"Another processor’s sums differ in the last digits: the same link may take another way there."</span>
            </p>
            <label>
                <span>"Compute on"</span>
                {select(
                    "device",
                    "",
                    options([("auto", "the best there is"), ("gpu", "GPU"), ("cpu", "CPU")]),
                    move || s.device.get().name().to_owned(),
                    move |name| page.choose_device(DeviceChoice::from_name(&name).unwrap_or_default()),
                )}
            </label>
        </div>
    }
}

/// The middle one of some times; of a long run those of its end.
fn median(times: &[f64]) -> Option<f64> {
    let mut sorted = times[times.len().saturating_sub(63)..].to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}
