//! The models to choose from.

use hrm_core::puzzle::PuzzleKind;
use hrm_core::weights::Manifest;
use leptos::prelude::*;

use crate::actions::Page;
use crate::bring::{IMPORTED, OpenNetwork, Remove};
use crate::live::live;
use crate::status::EngineLine;

/// Model picker and engine.
#[component]
pub(crate) fn Models(page: Page) -> impl IntoView {
    let s = page.state;
    view! {
        <section class="models" aria-labelledby="models-title">
            <h2 id="models-title">"Network"</h2>
            <div role="radiogroup" aria-labelledby="models-title">
                <For
                    each=move || s.models.get()
                    key=|manifest| manifest.id.clone()
                    children=move |manifest| view! { <Choice page manifest/> }
                />
            </div>
            <EngineLine page/>
            <OpenNetwork page/>
        </section>
    }
}

#[component]
fn Choice(page: Page, manifest: Manifest) -> impl IntoView {
    let id = manifest.id.clone();
    let chosen = {
        let id = id.clone();
        Memo::new(move |_| page.state.model.get().as_ref() == Some(&id))
    };
    let side = manifest.puzzle.side();
    let mazes = match manifest.puzzle {
        PuzzleKind::Sudoku(_) => "",
        PuzzleKind::Maze(_) => " mazes",
        PuzzleKind::Arc(_) => " ARC grids",
    };
    let facts = format!(
        "{side}×{side}{mazes}, {} parameters, {:.1} MB",
        count(manifest.parameters),
        manifest.bytes() as f64 / 1e6
    );
    let own = id.starts_with(IMPORTED);
    let remove = own.then(|| view! { <Remove page id=id.clone()/> });
    view! {
        <label class="model" class=("chosen", live(move || chosen.get()))>
            <input
                type="radio"
                name="model"
                value=id.clone()
                prop:checked=live(move || chosen.get())
                on:change=move |_| page.choose_model(&id)
            />
            <span class="title">{manifest.title}</span>
            <span class="facts">{facts}</span>
            <span class="summary">{manifest.summary}</span>
        </label>
        {remove}
    }
}

/// A number of parameters, for people.
fn count(n: usize) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.0} k", n as f64 / 1e3),
        _ => format!("{:.1} M", n as f64 / 1e6),
    }
}
