//! Conflicts, changed and wrong cells, confidence and movement over the
//! segments of a run, and what they tell of it.

use hrm_web::chart::{HEIGHT, LEFT, Scale, WIDTH, draw};
use hrm_web::dynamics::Story;
use hrm_web::experiments::wrong_cells;
use hrm_web::timeline::{Moment, probability};
use leptos::prelude::*;

use crate::actions::Page;
use crate::picture::Caption;

/// The chart with its numbers as a table.
#[component]
pub(crate) fn Chart(page: Page) -> impl IntoView {
    let s = page.state;
    let drawing = move || {
        s.reports.with(|reports| {
            let scale = Scale::of(reports, s.limit.get());
            let answer = s.lab.answer.get();
            draw(reports, scale, s.segment(), answer.as_ref())
        })
    };
    let summary = move || {
        s.reports.with(|reports| match reports.last() {
            None => "Chart of the run, empty as yet.".to_owned(),
            Some(last) => format!(
                "Chart of the run: after {} segments {} conflicts, {} cells changed in the last segment, \
                 confidence {:.0} percent.",
                last.segment,
                last.conflicts,
                last.changed.len(),
                100.0 * probability(last.q_halt)
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
        let known = s.reports.with_untracked(Vec::len);
        let scale = s
            .reports
            .with_untracked(|r| Scale::of(r, s.limit.get_untracked()));
        let at = ((x - LEFT) / scale.column()).ceil();
        if at >= 1.0 && at as usize <= known {
            page.look_at(Moment {
                segment: at as usize,
                update: None,
            });
        }
    };
    view! {
        <section class="chart" aria-labelledby="chart-title">
            <h2 id="chart-title">"How it goes"</h2>
            <svg id="run-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=summary on:click=choose inner_html=drawing></svg>
            <Caption page picture="run-chart" name="hrm-run">
                "Conflicts left, cells changed, cells that differ from the solution (which the network never sees), how sure it is, and how far its state moved, after each segment."
            </Caption>
            <Telling page/>
            <Numbers page/>
        </section>
    }
}

/// The mode of the run and the rule that named it, and whether it has
/// settled.
#[component]
fn Telling(page: Page) -> impl IntoView {
    let s = page.state;
    let story = Memo::new(move |_| s.reports.with(|reports| Story::of(reports)));
    let text = move || {
        let story = story.get()?;
        let name = if s.verdict.with(Option::is_some) {
            story.name()
        } else {
            format!("{} so far", story.name())
        };
        let grok = story.grok.filter(|grok| grok.plateau > 1).map(|grok| {
            format!(
                " A plateau of {} segments, then a drop in segment {} that makes {:.0} % of the way.",
                grok.plateau,
                grok.segment,
                100.0 * grok.share
            )
        });
        Some(view! {
            <p id="mode"><strong>{name}</strong>": "{story.rule()}"."{grok}</p>
            <p id="settled">"Now: "<strong>{story.settled()}</strong>"."</p>
        })
    };
    view! { <div class="telling">{text}</div> }
}

#[component]
fn Numbers(page: Page) -> impl IntoView {
    let s = page.state;
    let rows = move || {
        let answer = s.lab.answer.get();
        let wrong = |grid: &[u8]| match &answer {
            Some(answer) => wrong_cells(grid, answer).to_string(),
            None => "–".to_owned(),
        };
        s.reports.with(|reports| {
            s.times.with(|times| {
                reports
                    .iter()
                    .zip(times)
                    .map(|(r, ms)| {
                        view! {
                            <tr>
                                <th scope="row">{r.segment}</th>
                                <td>{r.conflicts}</td>
                                <td>{r.changed.len()}</td>
                                <td>{wrong(&r.grid)}</td>
                                <td>{format!("{:.1} %", 100.0 * probability(r.q_halt))}</td>
                                <td>{format!("{:.4}", r.residual)}</td>
                                <td>{format!("{ms:.1}")}</td>
                            </tr>
                        }
                    })
                    .collect_view()
            })
        })
    };
    view! {
        <details class="numbers">
            <summary>"The numbers"</summary>
            <div class="scroll" tabindex="0" role="region" aria-label="Numbers of the run">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Segment"</th>
                            <th scope="col">"Conflicts"</th>
                            <th scope="col">"Changed"</th>
                            <th scope="col">"Wrong"</th>
                            <th scope="col">"Sure"</th>
                            <th scope="col">"Movement"</th>
                            <th scope="col">"ms"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </details>
    }
}
