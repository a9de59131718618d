//! Where puzzles come from: examples, the generator, text.

use hrm_core::puzzle::{Difficulty, Shape};
use hrm_web::examples;
use hrm_web::mini::{mini, view_box};
use leptos::html::Textarea;
use leptos::prelude::*;

use crate::actions::Page;
use crate::live::{aria, live};
use crate::picture::Caption;
use crate::select::{options, select};

/// Examples, new puzzles, and text.
#[component]
pub(crate) fn Puzzles(page: Page) -> impl IntoView {
    let s = page.state;
    let level = RwSignal::new(Difficulty::Medium);
    // The board's, until another is chosen.
    let size = RwSignal::new(None::<Shape>);
    let make = move |_| {
        let shape = size
            .get_untracked()
            .unwrap_or_else(|| s.shape.get_untracked());
        page.generate(level.get_untracked(), shape);
    };
    let shown = move || {
        examples::of(s.shape.get())
            .iter()
            .map(|example| {
                let line = example.line;
                let pressed = move || s.entry.with(|entry| entry.board().to_string() == line);
                view! {
                    <button
                        type="button"
                        class="chip"
                        aria-pressed=live(move || aria(pressed()))
                        on:click=move |_| page.paste(line)
                    >
                        {title(example.difficulty)}
                    </button>
                }
            })
            .collect_view()
    };
    view! {
        <section class="puzzles" aria-labelledby="puzzles-title">
            <h2 id="puzzles-title">"Puzzle"</h2>
            <div class="examples" role="group" aria-label="Examples">{live(shown)}</div>
            <div class="new">
                <label>
                    <span>"Make one that is"</span>
                    {select(
                        "difficulty",
                        "",
                        options(Difficulty::ALL.map(|d| (d.name(), d.name()))),
                        move || level.get().to_string(),
                        move |name| level.set(name.parse().unwrap_or(Difficulty::Medium)),
                    )}
                </label>
                {select(
                    "size",
                    "Size",
                    options(Shape::ALL.map(|shape| (shape, format!("{0}×{0}", shape.side())))),
                    move || size.get().unwrap_or_else(|| s.shape.get()).to_string(),
                    move |name| size.set(name.parse().ok()),
                )}
                <button
                    id="generate"
                    type="button"
                    disabled=live(move || s.generating.get())
                    on:click=make
                >
                    {live(move || if s.generating.get() { "Making it…" } else { "New puzzle" })}
                </button>
            </div>
            <AsText page/>
            <AsPicture page/>
        </section>
    }
}

/// The puzzle as text, to copy and to paste over.
#[component]
fn AsText(page: Page) -> impl IntoView {
    let s = page.state;
    let field = NodeRef::<Textarea>::new();
    let apply = move |_| {
        if let Some(field) = field.get_untracked() {
            page.paste(&field.value());
        }
    };
    // Written into the field and selected, ready to be copied.
    let show = move |grid: bool| {
        if let Some(field) = field.get_untracked() {
            let text = s.entry.with_untracked(|entry| {
                if grid {
                    entry.board().to_grid_string()
                } else {
                    entry.board().to_string()
                }
            });
            field.set_value(&text);
            field.select();
        }
    };
    view! {
        <details class="as-text">
            <summary>"Paste or copy as text"</summary>
            <label for="text" class="hint">
                "One line or many; “.”, “0” or “_” is blank; lines between boxes may stay. \
                 Lists, tables and links of other programs are read too, and so is what is \
                 pasted or dropped anywhere on the page."
            </label>
            <textarea
                id="text"
                node_ref=field
                rows="4"
                spellcheck="false"
                autocomplete="off"
                aria-invalid=live(move || aria(s.misread.get()))
                prop:value=live(move || s.entry.with(|entry| entry.board().to_string()))
            ></textarea>
            <div class="edits">
                <button id="use-text" type="button" on:click=apply>"Use this puzzle"</button>
                <button id="as-line" type="button" on:click=move |_| show(false)>"As one line"</button>
                <button id="as-grid" type="button" on:click=move |_| show(true)>"As a grid"</button>
            </div>
        </details>
    }
}

/// The board as it is looked at, to be saved as a picture.
#[component]
fn AsPicture(page: Page) -> impl IntoView {
    let s = page.state;
    let open = RwSignal::new(false);
    let drawn = move || {
        let grid: Vec<u8> = s
            .cells
            .with(|cells| cells.iter().map(|cell| cell.digit).collect());
        s.entry.with(|entry| mini(entry.board(), &grid))
    };
    let label = move || match s.segment() {
        0 => "The puzzle".to_owned(),
        segment => format!("The board after segment {segment}"),
    };
    view! {
        <details class="as-picture" on:toggle=move |_| open.update(|open| *open = !*open)>
            <summary>"The board as a picture"</summary>
            {live(move || open.get().then(|| view! {
                <figure class="votes">
                    <svg id="board-picture" viewBox=live(move || view_box(s.shape.get())) role="img" aria-label=live(label) inner_html=live(drawn)></svg>
                    <Caption page picture="board-picture" name="hrm-board">{live(label)}</Caption>
                </figure>
            }))}
        </details>
    }
}

fn title(difficulty: Difficulty) -> &'static str {
    match difficulty {
        Difficulty::Easy => "Easy",
        Difficulty::Medium => "Medium",
        Difficulty::Hard => "Hard",
        Difficulty::Extreme => "Extreme",
    }
}
