//! The slider over what has been, by segments or by the updates inside them;
//! two moments compared; how far a run goes.

use hrm_web::timeline::Moment;
use leptos::prelude::*;

use crate::actions::Page;
use crate::live::{aria, live};
use crate::select::select;

/// Segments that a run may be given.
const DEPTHS: [usize; 7] = [8, 16, 32, 64, 128, 256, 1024];

/// Looks at earlier moments.
#[component]
pub(crate) fn Scrubber(page: Page) -> impl IntoView {
    let s = page.state;
    let lab = s.lab;
    // Only of the run on the board the inside of segments is known.
    let fine = move || lab.fine.get() && s.guess.get().is_none();
    let per = move || if fine() { lab.updates() } else { 1 };
    let known = move || s.standing.with(|standing| standing.known) * per();
    let here = move || page.moment().index(per());
    let text = move || {
        let moment = page.moment();
        let guess = s.guess.get();
        let limit = match guess {
            Some(_) => s.standing.with(|standing| standing.known),
            None => s.limit.get(),
        };
        let segment = match moment.segment {
            0 => "The puzzle".to_owned(),
            at if at > limit => format!("Segment {at}"),
            at => format!("Segment {at} of {limit}"),
        };
        if let Some(guess) = guess {
            return format!("Guess {}: {}", guess + 1, segment.to_ascii_lowercase());
        }
        if moment.segment == 0 {
            return segment;
        }
        match moment.update {
            Some(update) => format!("{segment}, update {}", update + 1),
            None if fine() => format!("{segment}, end"),
            None => segment,
        }
    };
    let at_end = move || here() >= known();
    let go = move |by: isize| {
        let (index, per, last) = untrack(|| (here(), per(), known()));
        let to = index.saturating_add_signed(by).min(last);
        page.look_at(Moment::at(to, per));
    };
    view! {
        <div class="scrubber">
            <output id="segment-text" for="segment">{live(text)}</output>
            <input
                id="segment"
                type="range"
                aria-label="Segment to look at"
                min="0"
                max=live(move || known().max(1))
                prop:value=live(move || { known(); here().to_string() })
                disabled=live(move || known() == 0)
                aria-valuetext=live(text)
                on:input=move |event| {
                    let at: usize = event_target_value(&event).parse().unwrap_or_default();
                    page.look_at(Moment::at(at, untrack(per)));
                }
            />
            <span class="nudge">
                <button id="back" type="button" aria-label="One moment back" disabled=live(move || here() == 0) on:click=move |_| go(-1)>
                    "‹"
                </button>
                <button id="forward" type="button" aria-label="One moment on" disabled=live(at_end) on:click=move |_| go(1)>
                    "›"
                </button>
            </span>
        </div>
        <div class="moments">
            <label class="check">
                <input
                    id="fine"
                    type="checkbox"
                    prop:checked=live(move || lab.fine.get())
                    on:change=move |event| {
                        lab.fine.set(event_target_checked(&event));
                        lab.update.set(None);
                    }
                />
                <span>"Inside segments"</span>
            </label>
            <button
                id="pin"
                type="button"
                class="quiet"
                aria-pressed=live(move || aria(lab.pin.with(Option::is_some)))
                on:click=move |_| page.toggle_pin()
            >
                {live(move || if lab.pin.with(Option::is_some) { "Stop comparing" } else { "Compare with this moment" })}
            </button>
            <label class="depth">
                <span>"Up to"</span>
                {select(
                    "depth",
                    "Segments of a run",
                    move || {
                        let limit = s.limit.get();
                        let other = (!DEPTHS.contains(&limit)).then_some(limit);
                        let all = DEPTHS.into_iter().chain(other);
                        all.map(|depth| (depth.to_string(), depth.to_string())).collect()
                    },
                    move || s.limit.get().to_string(),
                    move |depth| page.set_depth(depth.parse().unwrap_or(16)),
                )}
                <span>"segments"</span>
            </label>
            <p class="compared" role="status">{live(move || {
                let pin = lab.pin.get()?;
                let differing = s.cells.with(|cells| cells.iter().filter(|cell| cell.changed).count());
                let name = match (pin.moment.segment, pin.moment.update) {
                    (0, _) => "the puzzle".to_owned(),
                    (segment, None) => format!("segment {segment}"),
                    (segment, Some(update)) => format!("segment {segment}, update {}", update + 1),
                };
                Some(match differing {
                    0 => format!("The same as {name}."),
                    1 => format!("1 cell differs from {name}."),
                    n => format!("{n} cells differ from {name}."),
                })
            })}</p>
        </div>
    }
}
