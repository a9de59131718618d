//! A maze on the board: its picture, drawing it with mouse, finger and keys, and what
//! the marks mean.

use hrm_core::puzzle::Puzzle;
use hrm_core::puzzle::maze::Cell;
use hrm_web::entry::{Entry, moved};
use hrm_web::maze::{self, Tool};
use hrm_web::mini::{CELL, view_box};
use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::actions::Page;
use crate::board::run_key;
use crate::live::{aria, live};

/// The maze, drawn in one go after every segment: an element a cell would be thousands.
#[component]
pub(crate) fn MazeView(page: Page, side: usize) -> impl IntoView {
    let s = page.state;
    let drawing = move || {
        s.entry.with(|entry| {
            let maze = entry.board().maze();
            let drawn = maze.map(|maze| s.cells.with(|cells| maze::board(maze, cells)));
            drawn.unwrap_or_default()
        })
    };
    let at_cell = move || {
        let (cell, size) = (s.cursor.get(), CELL);
        let [x, y] = [cell % side, cell / side].map(|at| at as f64 * size);
        format!("M{x} {y}h{size}v{size}h-{size}z")
    };
    let at_cursor = move || label(page, s.cursor.get());
    // The cell of the stroke that is being drawn.
    let stroke = StoredValue::new(None::<usize>);
    let press = move |event: PointerEvent| {
        let Some(cell) = cell_at(&event, side).filter(|_| event.button() == 0) else {
            return;
        };
        s.cursor.set(cell);
        let Tool::Draw(content) = s.lab.tool.get_untracked() else {
            return;
        };
        page.draw(cell, content, false);
        // Ends are put, and not drawn along.
        if matches!(content, Cell::Wall | Cell::Way) {
            stroke.set_value(Some(cell));
            capture(&event);
        }
    };
    let pass = move |event: PointerEvent| {
        let Some(cell) = cell_at(&event, side) else {
            return;
        };
        if s.lab.hovered.get_untracked() != Some(cell) {
            s.lab.hovered.set(Some(cell));
        }
        let (Some(from), Tool::Draw(content)) = (stroke.get_value(), s.lab.tool.get_untracked())
        else {
            return;
        };
        if from != cell {
            for between in maze::between(side, from, cell) {
                page.draw(between, content, true);
            }
            stroke.set_value(Some(cell));
            s.cursor.set(cell);
        }
    };
    let end = move |_| stroke.set_value(None);
    let keys = move |event: KeyboardEvent| on_key(page, side, &event);
    let drawn_with = move || matches!(s.lab.tool.get(), Tool::Draw(_));
    view! {
        <div class="maze-place" class=("large", live(move || s.lab.large.get()))>
            <svg
                id="board"
                class="maze"
                class=("drawn", live(drawn_with))
                viewBox=view_box(s.kind.get_untracked())
                tabindex="0"
                role="application"
                aria-label=format!("Maze, {side} by {side}")
                aria-describedby="board-keys"
                data-side=side
                on:pointerdown=press
                on:pointermove=pass
                on:pointerup=end
                on:pointercancel=end
                on:pointerleave=move |_| s.lab.hovered.set(None)
                on:keydown=keys
            >
                <g inner_html=live(drawing)></g>
                <path class="maze-cursor" d=live(at_cell)></path>
            </svg>
        </div>
        <p id="maze-cell" class="hidden" role="status">{live(at_cursor)}</p>
        <p id="board-keys" class="hidden">
            "Arrow keys move, with Shift they draw. W makes a wall, a full stop or Backspace a way, \
             S the start, G the goal; Control Z takes back. Space plays or pauses, Enter runs one \
             segment, Escape goes back to the maze."
        </p>
    }
}

/// What is said of a cell of the maze. Tracked.
pub(crate) fn label(page: Page, cell: usize) -> Option<String> {
    let s = page.state;
    s.entry.with(|entry| {
        let maze = entry.board().maze()?;
        Some(s.cells.with(|cells| maze::label(maze, cells, cell)))
    })
}

/// The cell that an event of a pointer is at.
fn cell_at(event: &PointerEvent, side: usize) -> Option<usize> {
    let element: web_sys::Element = event.current_target()?.dyn_into().ok()?;
    let bounds = element.get_bounding_client_rect();
    let at = |position: i32, start: f64, length: f64| {
        // The frame is half a unit beyond the cells.
        let units = side as f64 * CELL + 1.0;
        let unit = (f64::from(position) - start) / length * units - 0.5;
        let index = (unit / CELL).floor();
        (0.0..side as f64)
            .contains(&index)
            .then_some(index as usize)
    };
    let column = at(event.client_x(), bounds.left(), bounds.width())?;
    let row = at(event.client_y(), bounds.top(), bounds.height())?;
    Some(row * side + column)
}

/// Has the board hear of the pointer until it is lifted.
fn capture(event: &PointerEvent) {
    let board = event
        .current_target()
        .and_then(|t| t.dyn_into::<web_sys::Element>().ok());
    if let Some(board) = board {
        // Fails only for a pointer that is gone.
        let _ = board.set_pointer_capture(event.pointer_id());
    }
}

fn on_key(page: Page, side: usize, event: &KeyboardEvent) {
    let key = event.key();
    let control = event.ctrl_key() || event.meta_key();
    if event.alt_key() {
        return;
    }
    let s = page.state;
    let cursor = s.cursor.get_untracked();
    let draws = match s.lab.tool.get_untracked() {
        Tool::Draw(content @ (Cell::Wall | Cell::Way)) => content,
        _ => Cell::Wall,
    };
    if let Some(cell) = moved(side, cursor, &key, control) {
        s.cursor.set(cell);
        if event.shift_key() && cell != cursor {
            page.draw(cursor, draws, false);
            page.draw(cell, draws, true);
        }
    } else if let Some(content) = Tool::of_key(&key).filter(|_| !control) {
        page.draw(cursor, content, false);
    } else if !run_key(page, &key, control, event.shift_key()) {
        return;
    }
    event.prevent_default();
}

/// Tools to draw with, and what can be taken back.
#[component]
pub(crate) fn Tools(page: Page) -> impl IntoView {
    let s = page.state;
    let tools = Tool::ALL
        .map(|(id, name, tool)| {
            view! {
                <button
                    id=format!("tool-{id}")
                    type="button"
                    aria-pressed=live(move || aria(s.lab.tool.get() == tool))
                    on:click=move |_| s.lab.tool.set(tool)
                >
                    {name}
                </button>
            }
        })
        .into_iter()
        .collect_view();
    view! {
        <div class="pad" role="group" aria-label="Draw the maze">
            <div class="modes tools" role="group" aria-label="What a press does">{tools}</div>
            <div class="edits">
                <button type="button" disabled=live(move || !s.entry.with(Entry::can_undo)) on:click=move |_| page.undo()>
                    "Undo"
                </button>
                <button type="button" disabled=live(move || !s.entry.with(Entry::can_redo)) on:click=move |_| page.redo()>
                    "Redo"
                </button>
                <button id="clear" type="button" on:click=move |_| page.clear()>"Clear"</button>
                <button
                    id="larger"
                    type="button"
                    aria-pressed=live(move || aria(s.lab.large.get()))
                    on:click=move |_| s.lab.large.update(|large| *large = !*large)
                >
                    "Larger"
                </button>
            </div>
        </div>
    }
}

/// What the marks mean, each as it is drawn.
#[component]
pub(crate) fn MazeLegend() -> impl IntoView {
    let marks = maze::legend()
        .map(|(drawing, name)| {
            view! {
                <li><svg class="mark" viewBox="0 0 10 10" aria-hidden="true" inner_html=drawing></svg>{name}</li>
            }
        })
        .into_iter()
        .collect_view();
    view! { <ul class="legend" aria-label="Marks on the maze">{marks}</ul> }
}

/// How long the shortest way is, and the network's; or why there is none. Tracked.
pub(crate) fn lengths(page: Page) -> Option<String> {
    let s = page.state;
    s.entry.with(|entry| {
        let maze = entry.board().maze()?;
        let route = s.standing.with(hrm_core::reason::Standing::route);
        Some(maze::lengths(maze, route))
    })
}

/// Whether the puzzle can be asked about at all. Tracked.
pub(crate) fn is_askable(page: Page) -> bool {
    page.state.entry.with(|entry| match entry.board().sudoku() {
        Some(board) => board.blanks() > 0,
        None => entry.board().flaw().is_none(),
    })
}
