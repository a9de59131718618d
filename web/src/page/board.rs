//! The board: what the cells show, and entering digits.

use hrm_core::puzzle::Shape;
use hrm_web::entry::{Entry, moved};
use hrm_web::timeline::CellState;
use leptos::ev::{ClipboardEvent, KeyboardEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::actions::Page;
use crate::dom;

/// The board with its legend.
#[component]
pub(crate) fn BoardView(page: Page) -> impl IntoView {
    let shape = page.state.shape;
    // Text pasted anywhere but into a text field is a puzzle.
    let paste = window_event_listener(leptos::ev::paste, move |event: ClipboardEvent| {
        let into_field = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|element| matches!(element.tag_name().as_str(), "TEXTAREA" | "INPUT"));
        if into_field {
            return;
        }
        let text = event
            .clipboard_data()
            .and_then(|data| data.get_data("text/plain").ok());
        if let Some(text) = text {
            event.prevent_default();
            page.paste(&text);
        }
    });
    on_cleanup(move || paste.remove());
    // A digit typed while nothing has the focus is meant for the board.
    let type_anywhere = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let idle = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|element| element.tag_name() == "BODY");
        if idle && event.key().parse::<u8>().is_ok() {
            dom::focus(&cell_id(page.state.cursor.get_untracked()));
            on_key(page, &event);
        }
    });
    on_cleanup(move || type_anywhere.remove());

    view! {
        <section class="board-area" aria-label="Board">
            {move || view! { <Grid page shape=shape.get()/> }}
            <p class="notice" role="alert">{move || page.state.notice.get()}</p>
        </section>
    }
}

#[component]
fn Grid(page: Page, shape: Shape) -> impl IntoView {
    let side = shape.side();
    let label = format!("Sudoku, {side} by {side}");
    view! {
        <div
            id="board"
            class="board"
            class=("four", side == 4)
            class=("six", side == 6)
            role="grid"
            aria-label=label
            aria-describedby="board-keys"
            on:keydown=move |event| on_key(page, &event)
        >
            {(0..side)
                .map(|row| view! {
                    <div class="row" role="row">
                        {(0..side)
                            .map(|column| view! { <Cell page shape cell=row * side + column/> })
                            .collect_view()}
                    </div>
                })
                .collect_view()}
        </div>
        <p id="board-keys" class="hidden">
            "Arrow keys move, digits write, Backspace clears, Control Z takes back. \
             Space plays or pauses, Enter runs one segment, Escape goes back to the puzzle."
        </p>
    }
}

#[component]
fn Cell(page: Page, shape: Shape, cell: usize) -> impl IntoView {
    let s = page.state;
    let (row, column) = (shape.row(cell), shape.column(cell));
    let state = Memo::new(move |_| {
        s.cells
            .with(|cells| cells.get(cell).copied().unwrap_or_default())
    });
    let here = Memo::new(move |_| s.cursor.get() == cell);
    let ends_box_row = (row + 1) % shape.box_rows() == 0 && row + 1 < shape.side();
    let ends_box_column = (column + 1) % shape.box_cols() == 0 && column + 1 < shape.side();
    view! {
        <div
            id=cell_id(cell)
            class="cell"
            role="gridcell"
            class=("below", ends_box_row)
            class=("right", ends_box_column)
            class=("given", move || is_given(state.get()))
            class=("overwritten", move || state.get().overwritten())
            class=("changed", move || state.get().changed)
            class=("settled", move || state.get().settled)
            class=("conflict", move || state.get().conflict)
            class=("cursor", move || here.get())
            tabindex=move || if here.get() { "0" } else { "-1" }
            aria-label=move || format!("Row {}, column {}: {}", row + 1, column + 1, state.get().label())
            on:focus=move |_| s.cursor.set(cell)
            on:click=move |_| dom::focus(&cell_id(cell))
        >
            {move || match state.get().digit {
                0 => String::new(),
                digit => digit.to_string(),
            }}
        </div>
    }
}

fn is_given(state: CellState) -> bool {
    state.given != 0 && !state.overwritten()
}

fn cell_id(cell: usize) -> String {
    format!("cell-{cell}")
}

fn on_key(page: Page, event: &KeyboardEvent) {
    let key = event.key();
    let control = event.ctrl_key() || event.meta_key();
    if event.alt_key() {
        return;
    }
    let s = page.state;
    let cursor = s.cursor.get_untracked();
    if let Some(cell) = moved(s.shape.get_untracked(), cursor, &key, control) {
        s.cursor.set(cell);
        dom::focus(&cell_id(cell));
    } else if control {
        match (key.to_ascii_lowercase().as_str(), event.shift_key()) {
            ("z", false) => page.undo(),
            ("z", true) | ("y", _) => page.redo(),
            _ => return,
        }
    } else {
        match key.as_str() {
            "Backspace" | "Delete" | "." | "0" => page.write(0),
            " " if s.playing.get_untracked() => page.pause(),
            " " => page.play(),
            "Enter" => page.step(),
            "Escape" => page.reset(),
            _ => match key.parse::<u8>() {
                Ok(digit) if key.len() == 1 => page.write(digit),
                _ => return,
            },
        }
    }
    event.prevent_default();
}

/// Buttons for what the keyboard does: digits, clear, undo and redo.
#[component]
pub(crate) fn Pad(page: Page) -> impl IntoView {
    let s = page.state;
    let digits = move || {
        (1..=s.shape.get().side() as u8)
            .map(|digit| view! {
                <button type="button" class="digit" aria-label=format!("Write {digit}") on:click=move |_| page.write(digit)>
                    {digit}
                </button>
            })
            .collect_view()
    };
    view! {
        <div class="pad" role="group" aria-label="Edit the puzzle">
            <div class="digits">{digits}</div>
            <div class="edits">
                <button type="button" on:click=move |_| page.write(0)>"Erase"</button>
                <button type="button" disabled=move || !s.entry.with(Entry::can_undo) on:click=move |_| page.undo()>
                    "Undo"
                </button>
                <button type="button" disabled=move || !s.entry.with(Entry::can_redo) on:click=move |_| page.redo()>
                    "Redo"
                </button>
                <button type="button" on:click=move |_| page.clear()>"Clear board"</button>
            </div>
        </div>
    }
}

/// What the marks on the cells mean.
#[component]
pub(crate) fn Legend(page: Page) -> impl IntoView {
    let overwrites = Memo::new(move |_| {
        page.state
            .cells
            .with(|cells| cells.iter().any(|c| c.overwritten()))
    });
    view! {
        <ul class="legend" aria-label="Marks on the board">
            <li><span class="cell given" aria-hidden="true">"5"</span>"given"</li>
            <li><span class="cell changed" aria-hidden="true">"5"</span>"changed"</li>
            <li><span class="cell settled" aria-hidden="true">"5"</span>"settled"</li>
            <li><span class="cell conflict" aria-hidden="true">"5"</span>"conflict"</li>
            {move || overwrites.get().then(|| view! {
                <li><span class="cell overwritten" aria-hidden="true">"5"</span>"given overwritten"</li>
            })}
        </ul>
    }
}
