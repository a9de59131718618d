//! What the network thinks of one cell: the one under the pointer, or the one
//! with the focus.

use hrm_core::puzzle::{PuzzleKind, digit_char};
use hrm_web::draw::{Anchor, Drawing};
use hrm_web::maze::{CONTENTS, name};
use hrm_web::timeline::{CellHistory, history};
use leptos::prelude::*;

use crate::actions::Page;
use crate::live::live;
use crate::maze::label;

/// Width of a digit's bar in the drawing's units.
const BAR: f64 = 14.0;
/// Height of a certain digit's bar.
const HEIGHT: f64 = 22.0;

/// Signs of a maze's contents under their bars.
const SIGNS: [char; 5] = ['#', '\u{b7}', 'S', 'G', 'o'];

/// What the content of that index is called.
fn content(kind: PuzzleKind, index: usize) -> String {
    match kind {
        PuzzleKind::Sudoku(_) => digit_char(index as u8 + 1).to_string(),
        PuzzleKind::Maze(_) => CONTENTS
            .get(index)
            .map_or("", |&cell| name(cell))
            .to_owned(),
        PuzzleKind::Arc(_) => index.to_string(),
    }
}

/// A line of text and a bar a content.
#[component]
pub(crate) fn CellFacts(page: Page) -> impl IntoView {
    let s = page.state;
    let lab = s.lab;
    let cell = Memo::new(move |_| lab.hovered.get().unwrap_or_else(|| s.cursor.get()));
    let facts = Memo::new(move |_| {
        s.reports.with(|reports| {
            (!reports.is_empty()).then(|| history(reports, s.segment(), cell.get()))
        })
    });
    // Probabilities are known at the ends of segments.
    let shares = Memo::new(move |_| {
        let side = s.kind.get().contents();
        let (segment, cell) = (s.segment(), cell.get());
        lab.insides.with(|insides| {
            let inside = insides.get(segment.checked_sub(1)?)?;
            inside
                .probabilities
                .get(cell * side..(cell + 1) * side)
                .map(<[u8]>::to_vec)
        })
    });
    let text = move || {
        let facts = facts.get()?;
        let (kind, cell) = (s.kind.get(), cell.get());
        let side = kind.side();
        let place = match label(page, cell) {
            Some(label) => label,
            None => format!("Row {}, column {}", cell / side + 1, cell % side + 1),
        };
        let best = shares.with(|shares| {
            let shares = shares.as_ref()?;
            let (digit, share) = shares.iter().enumerate().max_by_key(|(_, share)| **share)?;
            Some(format!(
                "{} {} with {:.0} %",
                // Of a maze, what is shown was said already.
                if kind.sudoku().is_ok() {
                    ":"
                } else {
                    "; the network says"
                },
                content(kind, digit),
                f64::from(*share) / 2.55
            ))
        });
        Some(format!(
            "{place}{}; {}.",
            best.unwrap_or_default(),
            told(facts)
        ))
    };
    let sides = move || s.kind.get().contents() as f64;
    let bars = move || {
        shares.with(|shares| {
            let mut d = Drawing::new();
            let shares = shares.as_deref().unwrap_or_default();
            if !shares.is_empty() {
                d.line("base", [0.0, HEIGHT], [BAR * shares.len() as f64, HEIGHT]);
            }
            for (i, &share) in shares.iter().enumerate() {
                let height = HEIGHT * f64::from(share) / 255.0;
                let x = BAR * i as f64;
                d.rect("share", [x + 2.0, HEIGHT - height], [BAR - 4.0, height]);
                let at = [x + BAR / 2.0, HEIGHT + 11.0];
                // A maze's by their first letters would be two W.
                let sign = match s.kind.get() {
                    PuzzleKind::Sudoku(_) => digit_char(i as u8 + 1),
                    PuzzleKind::Maze(_) => SIGNS.get(i).copied().unwrap_or(' '),
                    PuzzleKind::Arc(_) => ' ',
                };
                d.text("digit-name", Anchor::Middle, at, &sign.to_string());
            }
            d.svg()
        })
    };
    view! {
        <div class="cell-facts">
            <p id="cell-facts">{live(text)}</p>
            <svg
                viewBox=live(move || format!("0 0 {} {}", BAR * sides(), HEIGHT + 14.0))
                aria-hidden="true"
                inner_html=live(bars)
            ></svg>
        </div>
    }
}

/// What a run did to a cell, in words.
fn told(history: CellHistory) -> String {
    let changes = match history.changes {
        0 => "never changed".to_owned(),
        1 => "changed once".to_owned(),
        n => format!("changed {n} times"),
    };
    match history.settled_at {
        Some(segment) if history.changes > 0 => {
            format!("{changes}, the same since segment {segment}")
        }
        _ => changes,
    }
}
