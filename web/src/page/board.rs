//! The board: what the cells show, and entering digits.

use hrm_core::puzzle::{Numerals, PuzzleKind, Shape, digit_char};
use hrm_web::entry::{Entry, Mode, moved};
use hrm_web::timeline::CellState;
use leptos::ev::{ClipboardEvent, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::actions::Page;
use crate::dom;
use crate::live::{aria, live};
use crate::maze::{MazeLegend, MazeView, Tools};

/// The board with its legend.
#[component]
pub(crate) fn BoardView(page: Page) -> impl IntoView {
    let kind = page.state.kind;
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
    // A digit typed while nothing that takes text has the focus is meant for
    // the board.
    let type_anywhere = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        // Nor do digits mean anything to a button.
        let idle = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|element| {
                matches!(
                    element.tag_name().as_str(),
                    "BODY" | "BUTTON" | "A" | "SUMMARY"
                )
            });
        let digit = event.key().parse::<u8>().is_ok() || typed_digit(&event).is_some();
        let sudoku = kind.get_untracked().sudoku().is_ok();
        if idle && digit && sudoku && !event.ctrl_key() && !event.meta_key() {
            dom::focus(&cell_id(page.state.cursor.get_untracked()));
            on_key(page, &event);
        }
    });
    on_cleanup(move || type_anywhere.remove());

    view! {
        <section class="board-area" aria-label="Board">
            {live(move || match kind.get() {
                PuzzleKind::Sudoku(shape) => view! { <Grid page shape/> }.into_any(),
                PuzzleKind::Maze(size) => view! { <MazeView page side=size.side()/> }.into_any(),
                PuzzleKind::Arc(_) => {
                    view! { <p class="lede">"ARC tasks are for the command line so far: hrm eval, hrm solve."</p> }.into_any()
                }
            })}
            <p class="notice" role="alert">{live(move || page.state.notice.get())}</p>
        </section>
    }
}

#[component]
fn Grid(page: Page, shape: Shape) -> impl IntoView {
    let side = shape.side();
    let label = format!("Sudoku, {side} by {side}");
    let s = page.state;
    // The cells share their listeners: four each would be hundreds to make
    // before the first screen is there.
    view! {
        <div
            id="board"
            class="board"
            class=("four", side == 4)
            class=("six", side == 6)
            data-side=side
            role="grid"
            aria-label=label
            aria-describedby="board-keys"
            aria-multiselectable="true"
            on:keydown=move |event| on_key(page, &event)
            on:focusin=move |event| {
                if let Some(cell) = cell_of(&event) {
                    s.cursor.set(cell);
                }
            }
            on:click=move |event| {
                s.lab.pressed.set(false);
                if let Some(cell) = cell_of(&event) {
                    dom::focus(&cell_id(cell));
                }
            }
            on:mousedown=move |event| {
                if let Some(cell) = cell_of(&event) {
                    s.lab.pressed.set(true);
                    begin_selection(page, cell, &event);
                }
            }
            on:mouseover=move |event| on_enter(page, &event)
            on:mouseleave=move |_| s.lab.hovered.set(None)
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
            "Arrow keys move, with Shift they select. Digits write, with Shift into the corner, \
             with Control into the centre; Z, X and C choose which. Backspace clears, Control Z takes back. \
             Space plays or pauses, Enter runs one segment, Escape goes back to the puzzle."
        </p>
    }
}

/// All that a cell shows.
#[derive(Clone, PartialEq, Default)]
struct Look {
    state: CellState,
    cursor: bool,
    selected: bool,
    mistaken: bool,
    corner: Vec<u8>,
    centre: Vec<u8>,
}

impl Look {
    /// What a cell shows now. Tracked.
    fn of(page: Page, cell: usize) -> Self {
        let s = page.state;
        let mut look = Self {
            state: s
                .cells
                .with(|cells| cells.get(cell).copied().unwrap_or_default()),
            cursor: s.cursor.get() == cell,
            selected: s.lab.selected.with(|cells| cells.contains(&cell)),
            // What a check says is about what was written, not about a run.
            mistaken: s.standing.with(|standing| standing.segment == 0)
                && s.lab.mistakes.with(|cells| cells.contains(&cell)),
            ..Self::default()
        };
        s.entry.with(|entry| {
            if look.state.digit == 0 {
                look.corner = entry.marks(cell, Mode::Corner);
                look.centre = entry.marks(cell, Mode::Centre);
            }
        });
        look
    }

    /// As it is spoken.
    fn spoken(&self) -> String {
        let mut text = self.state.label();
        for (name, marks) in [("corner", &self.corner), ("centre", &self.centre)] {
            if !marks.is_empty() {
                text.push_str(&format!(", {name} {}", digits_text(marks)));
            }
        }
        if self.mistaken {
            text.push_str(", wrong");
        }
        text
    }
}

#[component]
fn Cell(page: Page, shape: Shape, cell: usize) -> impl IntoView {
    let (row, column) = (shape.row(cell), shape.column(cell));
    let look = Memo::new(move |_| Look::of(page, cell));
    let ends_box_row = (row + 1) % shape.box_rows() == 0 && row + 1 < shape.side();
    let ends_box_column = (column + 1) % shape.box_cols() == 0 && column + 1 < shape.side();
    // One text: a closure for every mark would be several kilobytes.
    let class = move || {
        look.with(|look| {
            let state = look.state;
            let marks = [
                (" below", ends_box_row),
                (" right", ends_box_column),
                (" given", is_given(state) && !state.own),
                (" own", state.own && !state.overwritten()),
                (" overwritten", state.overwritten()),
                (" changed", state.changed),
                (" settled", state.settled),
                (" conflict", state.conflict),
                (" cursor", look.cursor),
                (" selected", look.selected),
                (" mistaken", look.mistaken),
            ];
            let marks = marks.into_iter().filter(|(_, holds)| *holds);
            "cell".to_owned() + &marks.map(|(name, _)| name).collect::<String>()
        })
    };
    let pencilled = move || {
        look.with(|look| {
            let any = !look.corner.is_empty() || !look.centre.is_empty();
            any.then(|| {
                view! {
                    <span class="corner">{digits_text(&look.corner)}</span>
                    <span class="centre">{digits_text(&look.centre)}</span>
                }
            })
        })
    };
    view! {
        <div
            id=cell_id(cell)
            class=live(class)
            role="gridcell"
            aria-selected=live(move || aria(look.with(|look| look.selected)))
            tabindex=live(move || if look.with(|look| look.cursor) { "0" } else { "-1" })
            aria-label=live(move || {
                format!("Row {}, column {}: {}", row + 1, column + 1, look.with(Look::spoken))
            })
        >
            {live(pencilled)}
            {live(move || match look.with(|look| look.state.digit) {
                0 => String::new(),
                digit => digit_char(digit).to_string(),
            })}
        </div>
    }
}

/// The cell that an event is about.
fn cell_of(event: &web_sys::Event) -> Option<usize> {
    let element: web_sys::Element = event.target()?.dyn_into().ok()?;
    let cell = element.closest("[role=gridcell]").ok()??;
    cell.id().strip_prefix("cell-")?.parse().ok()
}

/// The mouse is over a cell, with its button held down perhaps.
fn on_enter(page: Page, event: &MouseEvent) {
    let hovered = page.state.lab.hovered;
    let cell = cell_of(event);
    // Inside a cell too, from one mark to the next.
    if cell.is_none() || hovered.get_untracked() == cell {
        return;
    }
    hovered.set(cell);
    // WebKit tells of where a press is before it tells of the press.
    let pressed = page.state.lab.pressed.get_untracked();
    if let Some(cell) = cell.filter(|_| pressed && event.buttons() & 1 == 1) {
        drag_to(page, cell);
    }
}

fn digits_text(digits: &[u8]) -> String {
    digits.iter().map(|&digit| digit_char(digit)).collect()
}

/// A press of the mouse: selects this cell alone, or with a modifier, or while
/// several are being selected, adds it or takes it away.
fn begin_selection(page: Page, cell: usize, event: &MouseEvent) {
    let lab = page.state.lab;
    let cursor = page.state.cursor.get_untracked();
    let modifier = event.ctrl_key() || event.meta_key() || event.shift_key();
    if modifier || lab.gather.get_untracked() {
        lab.selected.update(|cells| {
            if cells.is_empty() && modifier {
                cells.push(cursor);
            }
            match cells.iter().position(|&known| known == cell) {
                Some(at) if cells.len() > 1 || !modifier => {
                    cells.remove(at);
                }
                Some(_) => {}
                None => cells.push(cell),
            }
        });
    } else {
        lab.selected.set(Vec::new());
    }
}

/// The mouse has been dragged into this cell.
fn drag_to(page: Page, cell: usize) {
    let cursor = page.state.cursor.get_untracked();
    page.state.lab.selected.update(|cells| {
        if cells.is_empty() {
            cells.push(cursor);
        }
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    });
    dom::focus(&cell_id(cell));
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
    let side = s.kind.get_untracked().side();
    if let Some(cell) = moved(side, cursor, &key, control) {
        if event.shift_key() {
            drag_to(page, cell);
        } else {
            s.lab.selected.set(Vec::new());
        }
        s.cursor.set(cell);
        dom::focus(&cell_id(cell));
    } else if let Some(digit) = typed_digit(event).filter(|_| control || event.shift_key()) {
        let mode = if control { Mode::Centre } else { Mode::Corner };
        page.mark(mode, digit);
    } else if control && key.eq_ignore_ascii_case("a") && !event.shift_key() {
        s.lab.selected.set((0..side * side).collect());
    } else if control {
        if !run_key(page, &key, true, event.shift_key()) {
            return;
        }
    } else if let Some(digit) = letter(&key).filter(|&d| usize::from(d) <= side) {
        page.write(digit);
    } else {
        match key.as_str() {
            "Backspace" | "Delete" | "." | "0" => page.write(0),
            "z" | "Z" => s.lab.mode.set(Mode::Digit),
            "x" | "X" => s.lab.mode.set(Mode::Corner),
            "c" | "C" => s.lab.mode.set(Mode::Centre),
            _ if run_key(page, &key, false, false) => {}
            _ => match key.parse::<u8>() {
                Ok(digit) if key.len() == 1 => page.write(digit),
                _ => return,
            },
        }
    }
    event.prevent_default();
}

/// What keys do on a board of any kind. Returns whether this one does something.
pub(crate) fn run_key(page: Page, key: &str, control: bool, shift: bool) -> bool {
    match (key.to_ascii_lowercase().as_str(), control, shift) {
        ("z", true, false) => page.undo(),
        ("z", true, true) | ("y", true, _) => page.redo(),
        (" ", false, _) if page.state.playing.get_untracked() => page.pause(),
        (" ", false, _) => page.play(),
        ("enter", false, _) => page.step(),
        ("escape", false, _) => page.reset(),
        _ => return false,
    }
    true
}

/// The digit beyond 9 that a key writes on a large board.
fn letter(key: &str) -> Option<u8> {
    let [character @ (b'a'..=b'z' | b'A'..=b'Z')] = key.as_bytes() else {
        return None;
    };
    Numerals::FromOne.value(char::from(*character))
}

/// The digit of the pressed key, whatever a modifier makes of it.
fn typed_digit(event: &KeyboardEvent) -> Option<u8> {
    let code = event.code();
    let digit = code
        .strip_prefix("Digit")
        .or_else(|| code.strip_prefix("Numpad"))?;
    digit.parse().ok().filter(|digit| (1..=9).contains(digit))
}

/// Buttons for what the keyboard does.
#[component]
pub(crate) fn Pad(page: Page) -> impl IntoView {
    let maze = Memo::new(move |_| page.state.kind.get().sudoku().is_err());
    live(move || {
        if maze.get() {
            view! { <Tools page/> }.into_any()
        } else {
            view! { <Digits page/> }.into_any()
        }
    })
}

/// Digits, clear, undo and redo.
#[component]
fn Digits(page: Page) -> impl IntoView {
    let s = page.state;
    let digits = move || {
        (1..=s.kind.get().side() as u8)
            .map(|digit| {
                let sign = digit_char(digit);
                view! {
                    <button type="button" class="digit" aria-label=format!("Write {sign}") on:click=move |_| page.write(digit)>
                        {sign}
                    </button>
                }
            })
            .collect_view()
    };
    let modes = [
        ("mode-digit", "Digit", Mode::Digit),
        ("mode-corner", "Corner", Mode::Corner),
        ("mode-centre", "Centre", Mode::Centre),
    ]
    .map(|(id, name, mode)| {
        view! {
            <button
                id=id
                type="button"
                aria-pressed=live(move || aria(s.lab.mode.get() == mode))
                on:click=move |_| s.lab.mode.set(mode)
            >
                {name}
            </button>
        }
    })
    .into_iter()
    .collect_view();
    view! {
        <div class="pad" role="group" aria-label="Edit the puzzle">
            <div class="modes">
                <div class="meanings" role="group" aria-label="What digits mean">{modes}</div>
                <button
                    id="gather"
                    type="button"
                    aria-label="Select several cells"
                    aria-pressed=live(move || aria(s.lab.gather.get()))
                    on:click=move |_| {
                        s.lab.gather.update(|gather| *gather = !*gather);
                        s.lab.selected.set(Vec::new());
                    }
                >
                    "Several"
                </button>
            </div>
            <div class="digits">{live(digits)}</div>
            <div class="edits">
                <button type="button" on:click=move |_| page.write(0)>"Erase"</button>
                <button type="button" disabled=live(move || !s.entry.with(Entry::can_undo)) on:click=move |_| page.undo()>
                    "Undo"
                </button>
                <button type="button" disabled=live(move || !s.entry.with(Entry::can_redo)) on:click=move |_| page.redo()>
                    "Redo"
                </button>
                <button id="hint" type="button" on:click=move |_| page.hint()>"Hint"</button>
                <button id="check" type="button" on:click=move |_| page.check()>"Check"</button>
                <button type="button" on:click=move |_| page.clear()>"Clear board"</button>
            </div>
        </div>
    }
}

/// What the marks on the cells mean.
#[component]
pub(crate) fn Legend(page: Page) -> impl IntoView {
    let maze = Memo::new(move |_| page.state.kind.get().sudoku().is_err());
    live(move || {
        if maze.get() {
            view! { <MazeLegend/> }.into_any()
        } else {
            view! { <Marks page/> }.into_any()
        }
    })
}

/// What those on a Sudoku's cells mean.
#[component]
fn Marks(page: Page) -> impl IntoView {
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
            {live(move || overwrites.get().then(|| view! {
                <li><span class="cell overwritten" aria-hidden="true">"5"</span>"given overwritten"</li>
            }))}
        </ul>
    }
}
