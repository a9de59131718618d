//! The latent plane: the run's trace, the error landscape, basins, other
//! runs, and the line between two ends.

use hrm_core::reason::lab::{Origin, Track};
use hrm_web::plane::{self, SIZE, Window, basin_shares};
use hrm_web::view::{Ground, LatentView, NOISE, nameable};
use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::prelude::*;

use crate::actions::Page;
use crate::live::{effect, live};
use crate::picture::Caption;
use crate::rooms::Check;
use crate::select::{Options, select};
use crate::state::Phase;
use crate::surface::Surface;

/// Segments that a visitor is followed for.
const VISIT: usize = 12;

/// The room.
#[component]
pub(crate) fn LatentSpace(page: Page) -> impl IntoView {
    let s = page.state;
    let latent = s.lab.latent;
    let fixed = RwSignal::new(false);
    let ground = RwSignal::new(Ground::None);
    let solid = RwSignal::new(false);
    // The worker tells of the plane while somebody looks, and is asked again
    // whenever a model has been loaded.
    effect(move || {
        let ready = s.phase.with(|phase| matches!(phase, Phase::Loaded { .. }));
        if ready {
            page.watch_plane(true, fixed.get());
        }
    });
    on_cleanup(move || page.watch_plane(false, false));
    let draw = move |wanted: Ground| {
        ground.set(wanted);
        match wanted {
            Ground::None => return,
            Ground::Landscape => page.landscape(20),
            Ground::Basins => page.basins(8, 8),
        }
        fixed.set(true);
    };
    let visit = move |from: Origin| {
        fixed.set(true);
        page.visit(from, VISIT);
    };
    // A link's view is made once the run has come to where the link leads.
    let wanted = RwSignal::new(None);
    effect(move || wanted.set(s.place.asked("latent").map(|text| LatentView::parse(&text))));
    effect(move || {
        let arrived =
            s.goal.with(Option::is_none) && !s.playing.get() && latent.frame.with(Option::is_some);
        let Some(view) = wanted.get().filter(|_| arrived) else {
            return;
        };
        wanted.set(None);
        solid.set(view.surface);
        fixed.set(view.held);
        draw(view.ground);
        view.visits.into_iter().for_each(visit);
    });
    effect(move || {
        let view = LatentView {
            ground: ground.get(),
            surface: solid.get(),
            held: fixed.get(),
            visits: latent.visits.get(),
        };
        if wanted.with_untracked(Option::is_none) {
            s.place.keep("latent", &view);
        }
    });
    let frame = latent.frame;
    let has_plane = move || frame.with(Option::is_some);
    let busy = move || !latent.busy.with(Vec::is_empty);
    let window = Memo::new(move |_| {
        frame.with(|frame| {
            let landscape = latent
                .landscape
                .with(|p| p.content.as_ref().map(|c| c.0.clone()));
            let basins = latent
                .basins
                .with(|p| p.content.as_ref().map(|c| c.0.clone()));
            let map = match ground.get() {
                Ground::None => None,
                Ground::Landscape => landscape,
                Ground::Basins => basins,
            };
            let tracks = frame
                .as_ref()
                .map_or(&[] as &[Track], |frame| frame.tracks.as_slice());
            Window::of(tracks, map.as_ref())
        })
    });
    let runs = move || {
        frame.with(|frame| {
            let tracks = frame
                .as_ref()
                .map_or(&[] as &[Track], |frame| frame.tracks.as_slice());
            plane::tracks(tracks, window.get())
        })
    };
    // Where the keyboard's cross is, in the drawing's units.
    let cross = RwSignal::new((SIZE / 2.0, SIZE / 2.0));
    let visit_at = move |x: f64, y: f64| {
        if untrack(has_plane) {
            let point = window.with_untracked(|window| window.point(x, y));
            visit(Origin::Point(nameable(point)));
        }
    };
    let click = move |event: MouseEvent| {
        let Some(target) = event.current_target() else {
            return;
        };
        let element: web_sys::Element = wasm_bindgen::JsCast::unchecked_into(target);
        let bounds = element.get_bounding_client_rect();
        let x = (f64::from(event.client_x()) - bounds.left()) / bounds.width() * SIZE;
        let y = (f64::from(event.client_y()) - bounds.top()) / bounds.height() * SIZE;
        cross.set((x, y));
        visit_at(x, y);
    };
    let keys = move |event: KeyboardEvent| {
        let (x, y) = cross.get_untracked();
        let by = if event.shift_key() { 60.0 } else { 15.0 };
        let to = match event.key().as_str() {
            "ArrowLeft" => (x - by, y),
            "ArrowRight" => (x + by, y),
            "ArrowUp" => (x, y - by),
            "ArrowDown" => (x, y + by),
            "Enter" | " " => {
                event.prevent_default();
                visit_at(x, y);
                return;
            }
            _ => return,
        };
        event.prevent_default();
        cross.set((to.0.clamp(0.0, SIZE), to.1.clamp(0.0, SIZE)));
    };
    let label = move || {
        frame.with(|frame| match frame {
            None => "The latent plane, empty as yet.".to_owned(),
            Some(frame) => {
                let [first, second] = frame.explained.map(|share| 100.0 * share);
                let ends: Vec<String> = frame.tracks.iter().enumerate().map(describe).collect();
                format!(
                    "Latent plane; its axes explain {first:.0} and {second:.0} percent of the run's variance. {} \
                     Arrow keys move the cross, Enter starts a run there.",
                    ends.join(" ")
                )
            }
        })
    };
    view! {
        <p class="lede">
            "Every state of the run is a point in thousands of dimensions; this is the plane in which it moves most. Colours show how many rules an answer read off there would break."
        </p>
        <div class="controls">
            <button id="draw-landscape" type="button" class="go" disabled=live(move || !has_plane() || busy()) on:click=move |_| draw(Ground::Landscape)>
                "Draw the landscape"
            </button>
            <button id="draw-basins" type="button" disabled=live(move || !has_plane() || busy()) on:click=move |_| draw(Ground::Basins)>
                "Colour the basins"
            </button>
            <button id="noisy-visit" type="button" disabled=live(move || !has_plane()) on:click=move |_| {
                let seed = 1 + latent.visits.with_untracked(Vec::len) as u64;
                visit(Origin::Noise(NOISE, seed));
            }>"Add a run with noise"</button>
            {live(move || busy().then(|| view! {
                <button id="stop-latent" type="button" on:click=move |_| page.stop_latent()>"Stop"</button>
            }))}
            {live(move || (ground.get() == Ground::Landscape).then(|| view! { <Check id="solid" label="also as a surface" chosen=solid/> }))}
            <label class="check">
                <input
                    id="hold"
                    type="checkbox"
                    prop:checked=live(move || fixed.get())
                    disabled=live(move || frame.with(|frame| frame.as_ref().is_some_and(|frame| frame.fixed && frame.tracks.len() > 1)))
                    on:change=move |event| fixed.set(event_target_checked(&event))
                />
                <span>"Hold the plane still while the run goes on"</span>
            </label>
        </div>
        <p class="problem" role="alert">{live(move || latent.problem.get())}</p>
        <p class="room-status" role="status">{live(move || if has_plane() {
            None
        } else {
            Some("Play or step the run on the board: its trace appears here.")
        })}</p>
        <div class="plane-desk">
            <figure class="plane">
                <svg
                    id="plane"
                    viewBox=format!("0 0 {SIZE} {SIZE}")
                    role="application"
                    aria-label=live(label)
                    tabindex="0"
                    on:click=click
                    on:keydown=keys
                >
                    <rect class="plane-ground" x="0" y="0" width=SIZE height=SIZE/>
                    <g inner_html=live(move || under(page, ground.get(), window.get()))></g>
                    <g inner_html=live(runs)></g>
                    {live(move || {
                        let (x, y) = cross.get();
                        view! { <path class="cross" d=format!("M{} {y}h16M{x} {}v16", x - 8.0, y - 8.0)/> }
                    })}
                </svg>
                <Caption page picture="plane" name="hrm-latent-plane">
                    {live(move || frame.with(|frame| frame.as_ref().map(|frame| {
                        let [first, second] = frame.explained.map(|share| 100.0 * share);
                        format!("Principal plane of the run: {first:.0} % and {second:.0} % of the variance. Click to start a run there. ")
                    })))}
                    {live(move || scale_text(ground.get()))}
                </Caption>
            </figure>
            <div class="plane-side">
                <Legend page ground/>
                {live(move || (solid.get() && ground.get() == Ground::Landscape).then(|| view! { <Surface page/> }))}
                <Ends page/>
            </div>
        </div>
    }
}

fn scale_text(ground: Ground) -> &'static str {
    match ground {
        Ground::None => "",
        Ground::Landscape => {
            "Colour: conflicts E, dark few, light many, 40 and more alike. Arrows: one segment. Lines: E of 5, 13 and 25."
        }
        Ground::Basins => {
            "Colour: the answer that takes the point after 8 segments; green is right."
        }
    }
}

/// A track in a sentence.
fn describe((number, track): (usize, &Track)) -> String {
    let name = name(number);
    let end = if track.solved {
        "ends at the solution".to_owned()
    } else {
        format!("ends with {} conflicts", track.conflicts)
    };
    format!("{name} {end}.")
}

fn name(number: usize) -> String {
    if number == 0 {
        "The run on the board".to_owned()
    } else {
        format!("Run {number}")
    }
}

/// Landscape or basins, drawn.
fn under(page: Page, ground: Ground, window: Window) -> String {
    let latent = page.state.lab.latent;
    match ground {
        Ground::None => String::new(),
        Ground::Landscape => latent.landscape.with(|picture| {
            picture
                .content
                .as_ref()
                .map_or_else(String::new, |(map, arrows)| {
                    plane::landscape(map, arrows, window)
                })
        }),
        Ground::Basins => latent.basins.with(|picture| {
            picture
                .content
                .as_ref()
                .map_or_else(String::new, |(map, ends)| plane::basins(map, ends, window))
        }),
    }
}

/// The colours of E, or the ends of the basins.
#[component]
fn Legend(page: Page, ground: RwSignal<Ground>) -> impl IntoView {
    let latent = page.state.lab.latent;
    move || match ground.get() {
        Ground::None => ().into_any(),
        Ground::Landscape => {
            let known = move || {
                latent.landscape.with(|p| {
                    p.content
                        .as_ref()
                        .map(|(map, _)| format!("{} of {} points", map.known, map.values.len()))
                })
            };
            view! {
                <div class="scale">
                    <svg viewBox="0 0 42 4" role="img" aria-label="Colours of E from 0, dark, to 40, light" inner_html=plane::scale()></svg>
                    <p><span>"E = 0"</span><span id="landscape-known">{live(known)}</span><span>"40+"</span></p>
                </div>
            }
            .into_any()
        }
        Ground::Basins => {
            let rows = latent.basins.with(|picture| {
                let Some((map, ends)) = &picture.content else {
                    return Vec::new();
                };
                let all = map.values.len().max(1);
                let row = |fill: &'static str, what: String, points: usize| {
                    let share = 100.0 * points as f64 / all as f64;
                    view! {
                        <li>
                            <svg viewBox="0 0 4 4" aria-hidden="true"><rect width="4" height="4" fill=fill/></svg>
                            {format!("{what}: {share:.0} %")}
                        </li>
                    }
                };
                let shares = basin_shares(map, ends);
                let mut rows: Vec<_> = shares
                    .iter()
                    .filter(|share| share.apart)
                    .map(|share| {
                        let end = &ends[share.end];
                        let what = if end.solved {
                            "the solution".to_owned()
                        } else {
                            format!("an answer with E {}", end.conflicts)
                        };
                        row(share.colour, what, share.points)
                    })
                    .collect();
                let others: Vec<_> = shares.iter().filter(|share| !share.apart).collect();
                if let Some(other) = others.first() {
                    let points = others.iter().map(|share| share.points).sum();
                    rows.push(row(other.colour, format!("{} other answers", others.len()), points));
                }
                rows
            });
            view! { <ul id="basin-ends" class="ends">{rows}</ul> }.into_any()
        }
    }
}

/// The runs' ends, and the line between two of them.
#[component]
fn Ends(page: Page) -> impl IntoView {
    let latent = page.state.lab.latent;
    let tracks = move || {
        latent.frame.with(|frame| {
            frame
                .as_ref()
                .map_or_else(Vec::new, |frame| frame.tracks.clone())
        })
    };
    let count = Memo::new(move |_| tracks().len());
    let (from, to) = (RwSignal::new(0_u32), RwSignal::new(0_u32));
    // The newest visitor is what one is curious about.
    effect(move || {
        count.get();
        to.set(untrack(tracks).last().map_or(0, |track| track.id));
    });
    let ends = move || -> Options {
        count.get();
        let tracks = untrack(tracks);
        let ends = tracks.iter().enumerate();
        ends.map(|(i, track)| (track.id.to_string(), name(i).to_string()))
            .collect()
    };
    let end = move |id, chosen: RwSignal<u32>| {
        let change = move |value: String| chosen.set(value.parse().unwrap_or(0));
        select(id, "", ends, move || chosen.get().to_string(), change)
    };
    let rows = move || {
        let row = |(number, track): (usize, Track)| {
            let end = if track.solved {
                "✓ the solution".to_owned()
            } else {
                format!("E {}", track.conflicts)
            };
            format!(
                "<tr><th scope=\"row\">{}</th><td>{end}</td><td>{:.3}</td></tr>",
                name(number),
                track.residual
            )
        };
        tracks()
            .into_iter()
            .enumerate()
            .map(row)
            .collect::<String>()
    };
    let curve = move || {
        latent.line.with(|picture| {
            let points = picture.content.as_deref().unwrap_or_default();
            plane::between(points)
        })
    };
    view! {
        <table class="ends-table">
            <caption>"Where the runs end"</caption>
            <thead><tr><th scope="col">"Run"</th><th scope="col">"end"</th><th scope="col">"movement"</th></tr></thead>
            <tbody inner_html=live(rows)></tbody>
        </table>
        {live(move || (count.get() > 1).then(|| view! {
            <div class="controls">
                <label class="choice">
                    <span>"From"</span>
                    {end("line-from", from)}
                </label>
                <label class="choice">
                    <span>"to"</span>
                    {end("line-to", to)}
                </label>
                <button id="walk-line" type="button" on:click=move |_| page.walk_line(from.get_untracked(), to.get_untracked())>
                    "Walk the line"
                </button>
            </div>
        }))}
        {live(move || latent.line.with(|picture| picture.content.is_some()).then(|| view! {
            <figure class="chart">
                <svg id="line-chart" viewBox="0 0 300 204" role="img" aria-label="E and flow on the straight line between two ends" inner_html=live(curve)></svg>
                <Caption page picture="line-chart" name="hrm-line">"E and flow on the straight line between two ends."</Caption>
            </figure>
        }))}
    }
}
