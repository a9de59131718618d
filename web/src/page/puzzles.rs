//! Where puzzles come from: examples, the generator, text.

use hrm_core::puzzle::{Difficulty, MazeSize, PuzzleKind, Shape};
use hrm_core::reason::message::{WayLength, Wish};
use hrm_web::examples;
use hrm_web::mini::{mini, view_box};
use leptos::html::Textarea;
use leptos::prelude::*;

use crate::actions::Page;
use crate::live::{aria, live};
use crate::picture::Caption;
use crate::select::{Options, options, select};

/// Examples, new puzzles, and text.
#[component]
pub(crate) fn Puzzles(page: Page) -> impl IntoView {
    let s = page.state;
    let level = RwSignal::new(Difficulty::Medium);
    let way = RwSignal::new(WayLength::Medium);
    // The board's, until another is chosen.
    let size = RwSignal::new(None::<PuzzleKind>);
    let wanted = move || size.get().unwrap_or_else(|| s.kind.get());
    let make = move |_| {
        page.generate(match untrack(wanted) {
            PuzzleKind::Sudoku(shape) => Wish::Sudoku {
                shape,
                difficulty: level.get_untracked(),
            },
            PuzzleKind::Maze(size) => Wish::Maze {
                size,
                way: way.get_untracked(),
            },
            // Tasks are written by people.
            PuzzleKind::Arc(_) => return,
        });
    };
    let maze = Memo::new(move |_| wanted().sudoku().is_err());
    let wish = move || {
        if maze.get() {
            let lengths = [
                (WayLength::Any, "any way"),
                (WayLength::Medium, "a long way"),
                (WayLength::Long, "a very long way"),
            ];
            let name = |of: WayLength| {
                let named = WayLength::ALL.iter().find(|(_, length)| *length == of);
                named.map_or("", |(name, _)| *name)
            };
            view! {
                <label>
                    <span>"Make one with"</span>
                    {select(
                        "way-length",
                        "",
                        options(lengths.map(|(length, said)| (name(length), said))),
                        move || name(way.get()).to_owned(),
                        move |chosen| {
                            let named = WayLength::ALL.iter().find(|(name, _)| *name == chosen);
                            way.set(named.map_or(WayLength::Medium, |(_, length)| *length));
                        },
                    )}
                </label>
            }
            .into_any()
        } else {
            view! {
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
            }
            .into_any()
        }
    };
    let shown = move || {
        let PuzzleKind::Sudoku(shape) = s.kind.get() else {
            return None;
        };
        let chips = examples::of(shape)
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
            .collect_view();
        Some(chips)
    };
    view! {
        <section class="puzzles" aria-labelledby="puzzles-title">
            <h2 id="puzzles-title">"Puzzle"</h2>
            <div class="examples" role="group" aria-label="Examples">{live(shown)}</div>
            <div class="new">
                {live(wish)}
                {select(
                    "size",
                    "Size",
                    move || sizes(page),
                    move || wanted().to_string(),
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

/// Sides of the mazes to choose from.
const SIDES: [usize; 10] = [6, 8, 12, 16, 20, 24, 30, 40, 50, 64];

/// The kinds and sizes that can be made: every Sudoku, the mazes that a network here
/// plays, and what is on the board. Tracked.
fn sizes(page: Page) -> Options {
    let s = page.state;
    let here = s.kind.get();
    let plays = |kind: PuzzleKind| s.models.with(|models| models.iter().any(|m| m.plays(kind)));
    let mazes = SIDES.into_iter().filter_map(MazeSize::of_side);
    let mazes = mazes
        .map(PuzzleKind::from)
        .filter(|&kind| plays(kind) || kind == here);
    let sudokus = Shape::ALL.into_iter().map(PuzzleKind::from);
    let mut kinds: Vec<PuzzleKind> = sudokus.chain(mazes).collect();
    if !kinds.contains(&here) {
        kinds.push(here);
    }
    let said = |kind: PuzzleKind| {
        let maze = if kind.sudoku().is_err() { "Maze " } else { "" };
        (kind.to_string(), format!("{maze}{0}×{0}", kind.side()))
    };
    kinds.into_iter().map(said).collect()
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
                "One line or many; “.”, “0” or “_” is blank; lines between boxes may stay. Mazes are \
                 drawn with “#” and spaces, or in other common signs. Lists, tables and links of other programs are read too, and so is what is \
                 pasted or dropped anywhere on the page."
            </label>
            <textarea
                id="text"
                node_ref=field
                rows="4"
                spellcheck="false"
                autocomplete="off"
                aria-invalid=live(move || aria(s.misread.get()))
                prop:value=live(move || s.entry.with(|entry| match entry.board().maze() {
                    Some(maze) => maze.to_grid_string(),
                    None => entry.board().to_string(),
                }))
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
                    <svg id="board-picture" viewBox=live(move || view_box(s.kind.get())) role="img" aria-label=live(label) inner_html=live(drawn)></svg>
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
