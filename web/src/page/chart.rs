//! Conflicts, changed and wrong cells, confidence and movement over the
//! segments of a run, and what they tell of it.

use hrm_web::chart::{HEIGHT, LEFT, Scale, WIDTH, draw};
use hrm_web::dynamics::Story;
use hrm_web::experiments::wrong_cells;
use hrm_web::timeline::{Moment, probability};
use leptos::prelude::*;

use crate::actions::Page;
use crate::dom;
use crate::live::live;
use crate::picture::Caption;

/// The chart with its numbers as a table.
#[component]
pub(crate) fn Chart(page: Page) -> impl IntoView {
    let s = page.state;
    let drawing = move || {
        s.seen(|reports, at, limit| {
            let scale = Scale::of(reports, limit.min(reports.len().max(s.limit.get())));
            let answer = s.key();
            draw(reports, scale, at, answer.as_ref())
        })
    };
    let summary = move || {
        s.seen(|reports, at, _| match at.checked_sub(1).and_then(|i| reports.get(i)) {
            None if reports.is_empty() => "Chart of the run, empty as yet.".to_owned(),
            None => format!("Chart of the run of {} segments; the puzzle is looked at.", reports.len()),
            Some(now) => format!(
                "Chart of the run of {} segments; after segment {}: conflicts {}, cells changed {},                  confidence {:.0} percent.",
                reports.len(),
                now.segment,
                now.conflicts,
                now.changed.len(),
                100.0 * probability(now.q_halt)
            ),
        })
    };
    let choose = move |event: web_sys::MouseEvent| {
        let Some(target) = event.current_target() else {
            return;
        };
        let element: web_sys::Element = wasm_bindgen::JsCast::unchecked_into(target);
        let bounds = element.get_bounding_client_rect();
        let x = (f64::from(event.client_x()) - bounds.left()) / bounds.width() * WIDTH;
        let at = untrack(|| {
            s.seen(|reports, _, limit| {
                let scale = Scale::of(reports, limit.min(reports.len().max(s.limit.get())));
                let at = ((x - LEFT) / scale.column()).ceil();
                (at >= 1.0 && at as usize <= reports.len()).then_some(at as usize)
            })
        });
        if let Some(segment) = at {
            page.look_at(Moment {
                segment,
                update: None,
            });
        }
    };
    view! {
        <section class="chart" aria-labelledby="chart-title">
            <h2 id="chart-title">"How it goes"</h2>
            <svg id="run-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=live(summary) on:click=choose inner_html=live(drawing)></svg>
            <Caption page picture="run-chart" name="hrm-run">
                "Conflicts left, cells changed, cells that differ from the solution (which the network never sees), how sure it is, and how far its state moved, after each segment."
            </Caption>
            <button id="to-words" type="button" class="quiet" on:click=move |_| dom::show("words")>
                "What do these words mean?"
            </button>
            <Telling page/>
            <Numbers page/>
        </section>
    }
}

/// The mode of the run and the rule that named it, and whether it has
/// settled, at the moment that is looked at.
#[component]
fn Telling(page: Page) -> impl IntoView {
    let s = page.state;
    let story =
        Memo::new(move |_| s.seen(|reports, at, _| Story::of(&reports[..at.min(reports.len())])));
    let text = move || {
        let Some(story) = story.get() else {
            return String::new();
        };
        let told = if s.standing.with(|standing| standing.state.is_outcome()) {
            (story.name(), story.rule())
        } else {
            let rule = "how it ends is not known yet";
            ("On its way".to_owned(), rule.to_owned())
        };
        let grok = story.grok.filter(|grok| grok.plateau > 1).map(|grok| {
            format!(
                " A plateau of {} segments, then a drop in segment {} that makes {:.0} % of the way.",
                grok.plateau,
                grok.segment,
                100.0 * grok.share
            )
        });
        format!(
            "<p id=\"mode\"><strong>{}</strong>: {}.{}</p><p id=\"settled\">Now: <strong>{}</strong>.</p>",
            told.0,
            told.1,
            grok.unwrap_or_default(),
            story.settled()
        )
    };
    view! { <div class="telling" inner_html=live(text)></div> }
}

/// Rows of the table at most: those that end with the moment looked at.
const ROWS: usize = 48;

#[component]
fn Numbers(page: Page) -> impl IntoView {
    let s = page.state;
    let open = RwSignal::new(false);
    // Written as text: a row of elements for each segment would cost more than
    // the segment.
    let rows = move || {
        if s.playing.get() && !open.get() {
            return String::new();
        }
        let answer = s.key();
        let own = s.guess.get().is_none();
        s.seen(|reports, at, _| {
            s.times.with(|times| {
                let end = at.clamp(ROWS.min(reports.len()), reports.len());
                let mut text = String::new();
                for r in &reports[end.saturating_sub(ROWS)..end] {
                    let wrong = answer.as_ref().map(|answer| wrong_cells(&r.grid, answer));
                    let time = times.get(r.segment - 1).filter(|_| own);
                    let cells = [
                        r.conflicts.to_string(),
                        r.changed.len().to_string(),
                        wrong.map_or_else(|| "–".to_owned(), |wrong| wrong.to_string()),
                        format!("{:.1} %", 100.0 * probability(r.q_halt)),
                        format!("{:.4}", r.residual),
                        time.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}")),
                    ];
                    text.push_str(&format!(
                        "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                        r.segment,
                        cells.join("</td><td>")
                    ));
                }
                text
            })
        })
    };
    let heads = [
        "Segment",
        "Conflicts",
        "Changed",
        "Wrong",
        "Sure",
        "Movement",
        "ms",
    ];
    let heads: String = heads
        .map(|name| format!("<th scope=\"col\">{name}</th>"))
        .concat();
    let more = move || {
        let known = s.standing.with(|standing| standing.known);
        (known > ROWS)
            .then(|| format!("{ROWS} segments up to the one looked at; a saved run has all."))
    };
    view! {
        <details class="numbers" on:toggle=move |_| open.update(|open| *open = !*open)>
            <summary>"The numbers"</summary>
            <p class="note">{live(more)}</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Numbers of the run">
                <table>
                    <thead><tr inner_html=heads></tr></thead>
                    <tbody inner_html=live(rows)></tbody>
                </table>
            </div>
        </details>
    }
}
