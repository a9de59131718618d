//! The guided tour: six steps, each a link, each with a run that shows what it
//! says.

use hrm_core::puzzle::{Board, Symmetry};
use hrm_web::experiments::Experiment;
use hrm_web::tour::{Made, Puzzles, STEPS, Scene, text, title};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::actions::Page;
use crate::dom;
use crate::lab::{Room, Runs, Wish};
use crate::live::{effect, live};

/// Key of the tour in addresses.
const KEY: &str = "tour";

/// The card of the tour, while it is taken.
#[component]
pub(crate) fn TourCard(page: Page) -> impl IntoView {
    let s = page.state;
    let step = RwSignal::new(None::<usize>);
    let puzzles = StoredValue::new(Puzzles::new());
    effect(move || {
        let asked = s.place.asked(KEY).and_then(|text| text.parse().ok());
        let asked = asked.filter(|step| (1..=STEPS).contains(step));
        step.set(asked);
        s.place
            .keep(KEY, &asked.map(|n| n.to_string()).unwrap_or_default());
        if s.models.with(Vec::is_empty) {
            return;
        }
        let scene = asked.and_then(|step| puzzles.with_value(|p| p.as_ref()?.scene(step)));
        match (asked, scene) {
            // What the first steps tell of is the run that the page opens
            // with: it is shown at once, and repeated by the live engine.
            (Some(at @ 1..=3), Some(scene)) => spawn_local(async move {
                let text = dom::file("demo.json").await;
                if step.get_untracked() != Some(at) {
                    return;
                }
                let recorded =
                    |text: String| page.show_recorded(&text, &scene.puzzle, scene.segment);
                if !text.is_some_and(recorded) {
                    show(page, &scene);
                }
            }),
            (at, Some(scene)) => {
                show(page, &scene);
                // The rooms in which the last two can be tried on any puzzle,
                // and what is run there for the step.
                let (room, wish) = match at {
                    Some(5) => (Room::Guesses, Wish::Renamings),
                    Some(6) => (Room::Experiments, Wish::Experiment(Experiment::OneBlank)),
                    _ => return,
                };
                s.lab.room.set(Some(room));
                s.lab.wish.set(Some(wish));
            }
            (_, None) => {}
        }
    });
    let said = move || {
        let at = step.get()?;
        let batch = match at {
            5 => Some(s.lab.race),
            6 => Some(s.lab.trial),
            _ => None,
        };
        let batch = batch.filter(|runs| !page.is_elsewhere(*runs) && !runs.is_empty());
        Some(s.standing.with(|standing| {
            s.seen(|run, _, _| match batch {
                None => text(
                    at,
                    Made {
                        standing,
                        run,
                        batch: None,
                    },
                ),
                Some(runs) => runs.reports.with(|all| {
                    let batch = Some((all.as_slice(), !runs.busy.get()));
                    text(
                        at,
                        Made {
                            standing,
                            run,
                            batch,
                        },
                    )
                }),
            })
        }))
    };
    let card = move || {
        let at = step.get()?;
        Some(view! {
            <section class="tour" aria-labelledby="tour-title">
                <p class="count">{format!("Tour, {at} of {STEPS}")}</p>
                <h2 id="tour-title">{title(at)}</h2>
                <p class="text" role="status">{live(said)}</p>
                {(at == 5).then(|| view! { <Renaming page/> })}
                <nav aria-label="Steps of the tour">
                    <ol class="steps">
                        {(1..=STEPS)
                            .map(|n| view! {
                                <li>
                                    <a
                                        href=format!("#{KEY}={n}")
                                        aria-label=format!("Step {n}: {}", title(n))
                                        aria-current=(n == at).then_some("step")
                                    >
                                        {n}
                                    </a>
                                </li>
                            })
                            .collect_view()}
                    </ol>
                    <button id="tour-end" type="button" class="quiet" on:click=move |_| leave(page, step)>
                        {if at == STEPS { "Done" } else { "Skip the tour" }}
                    </button>
                    {(at < STEPS).then(|| view! {
                        <a id="tour-next" class="button" href=format!("#{KEY}={}", at + 1)>"Next"</a>
                    })}
                </nav>
            </section>
        })
    };
    view! { {card} }
}

fn leave(page: Page, step: RwSignal<Option<usize>>) {
    step.set(None);
    page.state.place.keep(KEY, &"");
}

/// The puzzle of the fifth step as it stands, and under the first renaming
/// that this processor has solved.
#[component]
fn Renaming(page: Page) -> impl IntoView {
    let s = page.state;
    // The puzzle as it stands, which the board may show renamed.
    let asked = Memo::new(move |_| s.lab.race.puzzle.get());
    let shift = Memo::new(move |_| {
        if s.lab.race.busy.get() {
            return None;
        }
        s.lab.race.reports.with(|runs| {
            let solved = |run: &Vec<_>| run.last().is_some_and(solved);
            runs.iter().position(solved)
        })
    });
    let put = move |shift: usize| {
        let Some(puzzle) = asked.get_untracked() else {
            return;
        };
        let Some(board) = puzzle.sudoku() else {
            return;
        };
        let puzzle = Symmetry::digit_shift(board.shape(), shift).apply(board);
        put_and_run(page, puzzle);
    };
    move || {
        let shift = shift.get().filter(|&shift| shift > 0)?;
        Some(view! {
            <div class="actions">
                <button id="as-asked" type="button" on:click=move |_| put(0)>"As it stands"</button>
                <button id="renamed" type="button" on:click=move |_| put(shift)>
                    {format!("Renamed: 1 is {}", shift + 1)}
                </button>
            </div>
        })
    }
}

fn solved(report: &hrm_core::reason::SegmentReport) -> bool {
    report.solved
}

fn put_and_run(page: Page, puzzle: Board) {
    page.pause();
    page.set_puzzle(puzzle.into());
    page.go_to(page.state.trained_for());
}

/// A puzzle on the board, after so many segments of that model.
fn show(page: Page, scene: &Scene) {
    let s = page.state;
    page.pause();
    if s.model.get_untracked().as_ref() != Some(&scene.model) {
        page.choose_model(&scene.model);
    }
    page.set_puzzle(scene.puzzle.clone().into());
    page.go_to(scene.segment);
}

impl Runs {
    /// Whether no run has begun. Tracked.
    fn is_empty(&self) -> bool {
        self.reports.with(|runs| runs.iter().all(Vec::is_empty))
    }
}
