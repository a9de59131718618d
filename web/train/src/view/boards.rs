//! A few held-out puzzles, solved again and again by the network as it is, or
//! was at the moment that is looked at.

use std::time::Duration;

use hrm_train_room::telling;
use hrm_web::mini::{mini, view_box};
use leptos::prelude::*;

use crate::dom;
use crate::run::Run;

/// Time of a segment.
const TICK: Duration = Duration::from_millis(260);
/// Ticks of a moment of a recording.
const PAGE: usize = 4;
/// Ticks that the last segment stays.
const REST: usize = 7;

/// The boards with their replay.
#[component]
pub(crate) fn Boards(run: Run) -> impl IntoView {
    let tick = RwSignal::new(0_usize);
    let still = dom::keeps_still();
    let clock = set_interval_with_handle(
        move || {
            if dom::is_hidden() {
                return;
            }
            tick.update(|tick| *tick += 1);
            if tick.get_untracked().is_multiple_of(PAGE) && !still {
                run.play_on();
            }
        },
        TICK,
    );
    if let Ok(clock) = clock {
        on_cleanup(move || clock.clear());
    }
    let segments = move || run.with_seen(|_, seen| seen.solved.len()).unwrap_or(16);
    let segment = Memo::new(move |_| {
        let segments = segments();
        if still {
            segments
        } else {
            (tick.get() % (segments + REST) + 1).min(segments)
        }
    });
    let count = Memo::new(move |_| {
        run.begun
            .with(|begun| begun.as_ref().map_or(0, |begun| begun.samples.len()))
    });
    let board = move |sample: usize| {
        let drawn = move || {
            let segment = segment.get();
            let seen = run.with_seen(|begun, seen| {
                let asked = begun.samples.get(sample)?;
                let digits = seen.grid(sample, segment).map(digits).unwrap_or_default();
                Some((
                    mini(&asked.question.clone().into(), &digits),
                    view_box(asked.question.shape()),
                ))
            });
            // Before the first evaluation: the question.
            seen.flatten().or_else(|| {
                run.begun.with(|begun| {
                    let asked = begun.as_ref()?.samples.get(sample)?;
                    let question = &asked.question;
                    Some((
                        mini(&question.clone().into(), question.cells()),
                        view_box(question.shape()),
                    ))
                })
            })
        };
        let solved = move || {
            let segment = segment.get();
            run.with_seen(|begun, seen| {
                let asked = begun.samples.get(sample)?;
                let digits = digits(seen.grid(sample, segment)?);
                Some(digits == asked.answer.cells())
            })
            .flatten()
            .unwrap_or(false)
        };
        let wrong = move || {
            let segment = segment.get();
            let counted = run.with_seen(|begun, seen| {
                let asked = begun.samples.get(sample)?;
                let digits = digits(seen.grid(sample, segment)?);
                let pairs = digits.iter().zip(asked.answer.cells());
                Some(pairs.filter(|(a, b)| a != b).count())
            });
            match counted.flatten() {
                None => "the puzzle".to_owned(),
                Some(0) => "solved".to_owned(),
                Some(1) => "1 cell wrong".to_owned(),
                Some(n) => format!("{n} cells wrong"),
            }
        };
        view! {
            <figure class="runner sample" class=("solved", solved)>
                <figcaption>{wrong}</figcaption>
                <svg
                    role="img"
                    aria-label="A new puzzle as the network fills it in"
                    viewBox=move || drawn().map(|(_, area)| area).unwrap_or_default()
                    inner_html=move || drawn().map(|(svg, _)| svg).unwrap_or_default()
                ></svg>
            </figure>
        }
    };
    let when = move || {
        let segment = segment.get();
        run.with_seen(|_, seen| {
            format!(
                "Puzzles it has never seen, after {} steps of training: segment {segment} of {}.",
                telling::grouped(seen.step as usize),
                seen.solved.len()
            )
        })
        .unwrap_or_default()
    };
    view! {
        <p class="when">{when}</p>
        <div class="samples">{move || (0..count.get()).map(board).collect_view()}</div>
    }
}

/// The digits of a line, 0 for none.
fn digits(line: &str) -> Vec<u8> {
    line.bytes()
        .map(|byte| {
            if byte.is_ascii_digit() {
                byte - b'0'
            } else {
                0
            }
        })
        .collect()
}
