//! Conflicts, changed cells and confidence over the segments of a run.

use std::fmt::Write as _;

use hrm_core::reason::SegmentReport;
use hrm_web::timeline::probability;
use leptos::prelude::*;

use crate::actions::Page;

/// Size of the drawing in its own units.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 266.0;
/// Left and right edge of both panels.
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 12.0;
/// Top and bottom of the upper panel (counts) and the lower (confidence).
const COUNTS: (f64, f64) = (24.0, 156.0);
const CONFIDENCE: (f64, f64) = (190.0, 244.0);

/// Places segments and values on the drawing.
#[derive(Clone, Copy)]
struct Scale {
    segments: usize,
    counts: f64,
}

impl Scale {
    fn of(reports: &[SegmentReport], limit: usize) -> Self {
        let largest = reports
            .iter()
            .map(|r| (r.conflicts as usize).max(r.changed.len()))
            .max()
            .unwrap_or(0);
        Self {
            segments: limit.max(reports.len()).max(1),
            counts: nice(largest),
        }
    }

    /// Middle of a segment's column.
    fn x(self, segment: usize) -> f64 {
        LEFT + (segment as f64 - 0.5) * self.column()
    }

    fn column(self) -> f64 {
        (RIGHT - LEFT) / self.segments as f64
    }

    fn count(self, value: f64) -> f64 {
        COUNTS.1 - (COUNTS.1 - COUNTS.0) * value / self.counts
    }

    fn confidence(value: f64) -> f64 {
        CONFIDENCE.1 - (CONFIDENCE.1 - CONFIDENCE.0) * value
    }
}

/// A multiple of 20, at least 20 and no less than `value`.
fn nice(value: usize) -> f64 {
    value.max(1).next_multiple_of(20) as f64
}

fn line(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        // Writing to a string does not fail.
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    path
}

/// The chart with its numbers as a table.
#[component]
pub(crate) fn Chart(page: Page) -> impl IntoView {
    let s = page.state;
    let drawing = move || {
        s.reports
            .with(|reports| draw(reports, Scale::of(reports, s.limit.get()), s.segment()))
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
            page.pause();
            s.looking_at
                .set(((at as usize) < known).then_some(at as usize));
        }
    };
    view! {
        <section class="chart" aria-labelledby="chart-title">
            <h2 id="chart-title">"How it goes"</h2>
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=summary on:click=choose>
                {drawing}
            </svg>
            <Numbers page/>
        </section>
    }
}

fn draw(reports: &[SegmentReport], scale: Scale, looking_at: usize) -> impl IntoView + use<> {
    let grid = [0.0, 0.5, 1.0].map(|share| {
        let value = scale.counts * share;
        let y = scale.count(value);
        view! {
            <line class="grid" x1=LEFT x2=RIGHT y1=y y2=y/>
            <text class="tick" x=LEFT - 6.0 y=y + 4.0 text-anchor="end">{format!("{value:.0}")}</text>
        }
    });
    let confidence_grid = [(0.0, "0 %"), (1.0, "100 %")].map(|(value, label)| {
        let y = Scale::confidence(value);
        view! {
            <line class="grid" x1=LEFT x2=RIGHT y1=y y2=y/>
            <text class="tick" x=LEFT - 6.0 y=y + 4.0 text-anchor="end">{label}</text>
        }
    });
    let every = scale.segments.div_ceil(16);
    let segments = (1..=scale.segments)
        .filter(|n| n % every == 0 || *n == 1)
        .map(|n| {
            view! {
                <text class="tick" x=scale.x(n) y=HEIGHT - 4.0 text-anchor="middle">{n}</text>
            }
        });
    let cursor = (1..=reports.len()).contains(&looking_at).then(|| {
        let x = LEFT + (looking_at as f64 - 1.0) * scale.column();
        view! {
            <rect class="now" x=x y=COUNTS.0 width=scale.column() height=CONFIDENCE.1 - COUNTS.0/>
        }
    });

    let width = (0.56 * scale.column()).clamp(2.0, 22.0);
    let bars = reports
        .iter()
        .map(|r| {
            let y = scale.count(r.changed.len() as f64);
            view! {
                <rect class="changed" x=scale.x(r.segment) - width / 2.0 y=y width=width height=COUNTS.1 - y/>
            }
        })
        .collect_view();
    let conflicts = || {
        reports
            .iter()
            .map(|r| (scale.x(r.segment), scale.count(f64::from(r.conflicts))))
    };
    let dots = conflicts()
        .map(|(x, y)| view! { <circle class="conflicts" cx=x cy=y r="3.5"/> })
        .collect_view();
    let confidence = || {
        reports.iter().map(|r| {
            (
                scale.x(r.segment),
                Scale::confidence(f64::from(probability(r.q_halt))),
            )
        })
    };
    let diamonds = confidence()
        .map(|(x, y)| {
            view! {
                <path class="confidence-mark" d=format!("M{x:.1} {:.1}l4 4l-4 4l-4-4z", y - 4.0)/>
            }
        })
        .collect_view();

    view! {
        {cursor}
        {grid.into_iter().collect_view()}
        {confidence_grid.into_iter().collect_view()}
        {segments.collect_view()}
        <circle class="conflicts" cx=LEFT + 6.0 cy="10" r="3.5"/>
        <text class="name" x=LEFT + 15.0 y="14">"conflicts"</text>
        <rect class="changed" x=LEFT + 90.0 y="4" width="10" height="11"/>
        <text class="name" x=LEFT + 106.0 y="14">"cells changed"</text>
        <path class="confidence-mark" d=format!("M{} {}l4 4l-4 4l-4-4z", LEFT + 6.0, CONFIDENCE.0 - 19.0)/>
        <text class="name" x=LEFT + 15.0 y=CONFIDENCE.0 - 11.0>"how sure the network is that it is done"</text>
        <text class="tick" x=LEFT - 6.0 y=HEIGHT - 4.0 text-anchor="end">"segment"</text>
        {bars}
        <path class="conflicts-line" d=line(conflicts())/>
        {dots}
        <path class="confidence-line" d=line(confidence())/>
        {diamonds}
    }
}

#[component]
fn Numbers(page: Page) -> impl IntoView {
    let s = page.state;
    let rows = move || {
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
