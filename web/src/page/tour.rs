//! The guided tour: six steps, each a link, each with a run that shows what it
//! says. The examples were found by running the models that ship.

use hrm_core::puzzle::{Board, Symmetry};
use hrm_core::reason::Tour;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::actions::Page;
use crate::dom;
use crate::lab::Room;

/// Key of the tour in addresses.
const KEY: &str = "tour";
/// Number of steps.
const STEPS: usize = 6;

/// What a step shows.
struct Scene {
    model: String,
    puzzle: Board,
    segment: usize,
}

fn examples() -> Option<Tour> {
    Tour::from_json(include_str!("../tour.json")).ok()
}

/// The renaming that solves a puzzle which fails as it stands.
fn renaming(tour: &Tour) -> Option<(usize, Board)> {
    let vote = tour.vote.as_ref()?;
    let shift = vote.solved.iter().position(|&solved| solved)?;
    let shape = vote.puzzle.shape();
    Some((
        shift,
        Symmetry::digit_shift(shape, shift).apply(&vote.puzzle),
    ))
}

fn scene(tour: &Tour, step: usize) -> Option<Scene> {
    let of = |puzzle: &Board, segment: usize| {
        Some(Scene {
            model: tour.model.clone(),
            puzzle: puzzle.clone(),
            segment,
        })
    };
    let leap = &tour.leap;
    match step {
        1 => of(&leap.puzzle, 1),
        2 => of(&leap.puzzle, leap.solved_at.saturating_sub(2).max(1)),
        3 => of(&leap.puzzle, leap.solved_at),
        4 => of(&tour.trap.as_ref()?.puzzle, tour.segments),
        5 => of(&tour.vote.as_ref()?.puzzle, tour.segments),
        6 => {
            let shown = tour
                .one_blank
                .iter()
                .find(|found| found.example.is_some())?;
            Some(Scene {
                model: shown.model.clone(),
                puzzle: shown.example.clone()?,
                segment: tour.segments,
            })
        }
        _ => None,
    }
}

fn title(step: usize) -> &'static str {
    match step {
        1 => "A segment",
        2 => "The plateau",
        3 => "The drop",
        4 => "The trap",
        5 => "Rename and vote",
        _ => "One blank cell",
    }
}

fn text(tour: &Tour, step: usize) -> String {
    let leap = &tour.leap;
    let wait = leap.solved_at.saturating_sub(1);
    match step {
        1 => "The network does not fill in one cell after the other. In each segment it looks at its last guess and writes a new one into every cell at once. This is its first.".to_owned(),
        2 => {
            let waited = &leap.conflicts[..wait.min(leap.conflicts.len())];
            let (low, high) = (waited.iter().min().unwrap_or(&0), waited.iter().max().unwrap_or(&0));
            format!("For {wait} segments it gets nowhere: digits come and go, and between {low} and {high} conflicts are left. It rearranges its guess without getting closer.")
        }
        3 => format!("Then, in segment {}, everything falls into place at once. Nothing told it the rules, and nothing searched.", leap.solved_at),
        4 => match &tour.trap {
            Some(trap) => format!(
                "Here it rests at a wrong answer: after segment {} nothing changes any more, with {} conflicts left{}. Of {} failures in the search for this example, {} had come to rest like this; the others were still wandering.",
                trap.settled_at,
                trap.conflicts,
                if trap.halted { ", and it says that it is done" } else { "" },
                trap.failures,
                trap.settled,
            ),
            None => "Networks like this one can come to rest at a wrong answer. In the search for this tour the one that ships never did: where it failed, it was still wandering.".to_owned(),
        },
        5 => match &tour.vote {
            Some(vote) => format!(
                "It fails at this puzzle as it stands. With its digits renamed in a circle it is the same puzzle to us, but not to the network: {} of {} renamings are solved. So several guesses can vote.",
                vote.solved.iter().filter(|&&solved| solved).count(),
                vote.solved.len(),
            ),
            None => "Renaming the digits makes the same puzzle for us and another one for the network. In the search for this tour no renaming solved what had failed.".to_owned(),
        },
        _ => one_blank(tour),
    }
}

fn one_blank(tour: &Tour) -> String {
    let counts: Vec<String> = tour
        .one_blank
        .iter()
        .map(|found| format!("{}: {} of {}", found.model, found.failed, found.tried))
        .collect();
    let counts = counts.join("; ");
    let failing = tour.one_blank.iter().any(|found| found.failed > 0);
    let left = tour.one_blank.iter().any(|found| found.left > 0);
    if failing {
        format!(
            "A grid with a single blank is trivial, and the published HRM can fail at it. So can this one: this grid is not solved. Failures with one blank, {counts}."
        )
    } else if left {
        format!(
            "A grid with a single blank is trivial, and the published HRM can fail at it. The networks here end up right ({counts} failed), but this run has left the right answer on its way."
        )
    } else {
        format!(
            "A grid with a single blank is trivial, and the published HRM can fail at it. The networks that ship here do not: they were also trained on puzzles with many clues. Failures, {counts}."
        )
    }
}

/// The card of the tour, while it is taken.
#[component]
pub(crate) fn TourCard(page: Page) -> impl IntoView {
    let s = page.state;
    let step = RwSignal::new(None::<usize>);
    let tour = StoredValue::new(examples());
    Effect::new(move || {
        let asked = s.place.asked(KEY).and_then(|text| text.parse().ok());
        let asked = asked.filter(|step| (1..=STEPS).contains(step));
        step.set(asked);
        s.place
            .keep(KEY, &asked.map(|n| n.to_string()).unwrap_or_default());
        if s.models.with(Vec::is_empty) {
            return;
        }
        // The rooms in which the last two can be tried on any puzzle.
        let room = match asked {
            Some(5) => Some(Room::Guesses),
            Some(6) => Some(Room::Experiments),
            _ => None,
        };
        if room.is_some() {
            s.lab.room.set(room);
        }
        let scene = asked.and_then(|step| tour.with_value(|tour| scene(tour.as_ref()?, step)));
        match (asked, scene) {
            // What the first steps tell of is the run that the page opens
            // with. Another processor's sums differ in the last digits, and
            // with them the segment of the leap: so it is shown as recorded.
            (Some(at @ 1..=3), Some(scene)) => spawn_local(async move {
                let text = dom::file("demo.json").await;
                if step.get_untracked() != Some(at) {
                    return;
                }
                let Scene {
                    model,
                    puzzle,
                    segment,
                } = scene;
                if !text.is_some_and(|text| page.show_recorded(&text, &puzzle, segment)) {
                    show(page, &model, puzzle, segment);
                }
            }),
            (_, Some(scene)) => show(page, &scene.model, scene.puzzle, scene.segment),
            (_, None) => {}
        }
    });
    let card = move || {
        let at = step.get()?;
        let text = tour.with_value(|tour| tour.as_ref().map(|tour| text(tour, at)))?;
        Some(view! {
            <section class="tour" aria-labelledby="tour-title">
                <p class="count">{format!("Tour, {at} of {STEPS}")}</p>
                <h2 id="tour-title">{title(at)}</h2>
                <p class="text" role="status">{text}</p>
                {(at == 5).then(|| view! { <Renaming page tour/> })}
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

/// The puzzle of the fifth step as it stands, and renamed.
#[component]
fn Renaming(page: Page, tour: StoredValue<Option<Tour>>) -> impl IntoView {
    let found = tour.with_value(|tour| {
        let tour = tour.as_ref()?;
        let (shift, renamed) = renaming(tour)?;
        let asked = tour.vote.as_ref()?.puzzle.clone();
        Some((tour.model.clone(), tour.segments, shift, asked, renamed))
    });
    found.map(|(model, segments, shift, asked, renamed)| {
        let other = model.clone();
        view! {
            <div class="actions">
                <button id="as-asked" type="button" on:click=move |_| show(page, &model, asked.clone(), segments)>
                    "As it stands"
                </button>
                <button id="renamed" type="button" on:click=move |_| show(page, &other, renamed.clone(), segments)>
                    {format!("Renamed: 1 is {}", shift + 1)}
                </button>
            </div>
        }
    })
}

/// A puzzle on the board, after so many segments of that model.
fn show(page: Page, model: &str, puzzle: Board, segment: usize) {
    let s = page.state;
    page.pause();
    if s.model.get_untracked().as_deref() != Some(model) {
        page.choose_model(model);
    }
    page.set_puzzle(puzzle);
    page.go_to(segment);
}
