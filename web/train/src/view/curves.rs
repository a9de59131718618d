//! Loss, accuracy and the heat map, with the moment that is looked at.

use hrm_train_room::pictures::{HEIGHT, Scale, WIDTH, draw};
use hrm_train_room::telling;
use leptos::prelude::*;

use crate::dom;
use crate::run::Run;

/// The curves of a run, and what they say.
#[component]
pub(crate) fn Curves(run: Run) -> impl IntoView {
    let scale = move || {
        run.begun.with(|begun| {
            let begun = begun.as_ref()?;
            Some(Scale::of(&begun.history, begun.settings.steps))
        })
    };
    let drawing = move || {
        let seen = run.seen();
        let scale = scale()?;
        run.begun
            .with(|begun| Some(draw(&begun.as_ref()?.history, scale, seen)))
    };
    let nearest = move |event: &web_sys::MouseEvent| {
        let share = dom::across(event)?;
        let step = untrack(scale)?.step_at(share);
        run.begun
            .with_untracked(|begun| begun.as_ref()?.history.nearest(step))
    };
    let last = move || {
        run.begun.with(|begun| {
            let count = begun.as_ref().map_or(0, |b| b.history.evaluations.len());
            count.saturating_sub(1)
        })
    };
    let choose = move |at: Option<usize>| {
        let newest = untrack(last);
        // The newest stays the newest.
        run.look(at.filter(|at| *at < newest));
    };
    let slide = move |event: leptos::ev::Event| choose(event_target_value(&event).parse().ok());
    let label = move || {
        run.with_seen(|_, seen| format!("Curves of the run. {}", telling::level(seen)))
            .unwrap_or_else(|| "Curves of the run, empty as yet.".to_owned())
    };
    let story = move || {
        run.with_seen(|begun, seen| {
            let marks = &begun.history.marks;
            let near = marks
                .iter()
                .min_by_key(|mark| mark.step.abs_diff(seen.step));
            telling::behaviour(seen, near.map(|mark| mark.segments))
        })
        .unwrap_or_default()
    };
    view! {
        <figure class="curves">
            <svg
                id=format!("curves-{}", run.name)
                viewBox=format!("0 0 {WIDTH} {HEIGHT}")
                role="img"
                aria-label=label
                on:pointermove=move |event| run.hovered.set(nearest(&event))
                on:pointerleave=move |_| run.hovered.set(None)
                on:click=move |event| choose(nearest(&event))
                inner_html=move || drawing().unwrap_or_default()
            ></svg>
            <label class="time">
                <span>"Look at an earlier moment"</span>
                <input
                    id=format!("time-{}", run.name)
                    type="range"
                    min="0"
                    max=move || last().to_string()
                    prop:value=move || run.seen().unwrap_or_default().to_string()
                    disabled=move || last() == 0
                    on:input=slide
                />
            </label>
            <figcaption id=format!("story-{}", run.name)>{story}</figcaption>
        </figure>
    }
}
