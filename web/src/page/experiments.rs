//! Experiments with one click, each with a link.

use hrm_core::puzzle::{AnyPuzzle, Puzzle, PuzzleKind};
use hrm_core::reason::message::Solutions;
use hrm_web::experiments::{
    Experiment, NOISES, Standing, hint_counts, hints_pair, image_count, noise_of, open_count,
    solved_share, standing,
};
use hrm_web::mini::{one_open, runner, view_box};
use hrm_web::trials::{self, HEIGHT, WIDTH};
use leptos::prelude::*;

use crate::actions::Page;
use crate::lab::Wish;
use crate::live::{aria, effect, live};
use crate::picture::Caption;
use crate::rooms::About;
use crate::select::select;

/// The room.
#[component]
pub(crate) fn Experiments(page: Page) -> impl IntoView {
    let s = page.state;
    let lab = s.lab;
    effect(move || {
        let asked = s.place.asked("experiment");
        if let Some(experiment) = asked.as_deref().and_then(Experiment::from_name)
            && experiment != lab.experiment.get_untracked()
        {
            choose(page, experiment);
        }
    });
    effect(move || s.place.keep("experiment", &lab.experiment.get().name()));
    // What the tour shows, once there is an answer to cut it from.
    effect(move || {
        let Some(Wish::Experiment(experiment)) = lab.wish.get() else {
            return;
        };
        if page.is_ready() && lab.answer.with(Option::is_some) {
            lab.wish.set(None);
            choose(page, experiment);
            start(page, experiment, "");
        }
    });
    // The second network, for as long as two are compared part of the address.
    let rival = RwSignal::new(String::new());
    effect(move || {
        if let Some(asked) = s.place.asked("rival") {
            rival.set(asked);
        }
    });
    effect(move || {
        let two = lab.experiment.get() == Experiment::TwoModels;
        let kept = if two { rival.get() } else { String::new() };
        s.place.keep("rival", &kept);
    });
    let presets = Experiment::ALL.map(|experiment| {
        let chosen = move || lab.experiment.get() == experiment;
        view! {
            <button
                id=format!("experiment-{}", experiment.name())
                type="button"
                class="chip"
                aria-pressed=live(move || aria(chosen()))
                on:click=move |_| {
                    choose(page, experiment);
                    rival.with_untracked(|rival| start(page, experiment, rival));
                }
            >
                {experiment.title()}
            </button>
        }
    });
    view! {
        <div class="examples" role="group" aria-label="Experiments">{presets.into_iter().collect_view()}</div>
        {live(move || view! { <Trial page experiment=lab.experiment.get() rival/> })}
    }
}

pub(crate) fn choose(page: Page, experiment: Experiment) {
    let lab = page.state.lab;
    page.cancel(lab.trial);
    lab.trial.clear();
    lab.experiment.set(experiment);
}

/// Why the experiment can't be done with what is on the board. Tracked.
fn missing(page: Page, experiment: Experiment) -> Option<&'static str> {
    let found = page.state.solutions.get();
    let maze = page.state.kind.get().sudoku().is_err();
    if maze && found == Some(Solutions::None) {
        Some("Experiments need a maze with a way from its start to its goal on the board.")
    } else if !maze && found.is_some_and(|found| found != Solutions::One) {
        Some("Experiments need a puzzle with exactly one solution on the board.")
    } else if maze && experiment == Experiment::TwoModels && page.rivals().is_empty() {
        Some("There is no second network for mazes of this size.")
    } else if experiment == Experiment::TwoModels && page.rivals().is_empty() {
        Some("There is no second network for boards of this size; 6×6 has several.")
    } else {
        None
    }
}

/// Runs the experiment, if it can be done; one of two networks against the
/// rival of that name, or the first there is.
fn start(page: Page, experiment: Experiment, rival: &str) {
    let s = page.state;
    let ready = untrack(|| page.is_ready() && missing(page, experiment).is_none());
    let Some(answer) = s.lab.answer.get_untracked().filter(|_| ready) else {
        return;
    };
    let rival = (experiment == Experiment::TwoModels).then(|| {
        let rivals = untrack(|| page.rivals());
        let known = rivals.iter().find(|(id, _)| id == rival);
        known.or(rivals.first()).map(|(id, _)| id.clone())
    });
    page.experiment(experiment, &answer, rival.flatten(), s.trained_for());
}

/// One experiment.
#[component]
fn Trial(page: Page, experiment: Experiment, rival: RwSignal<String>) -> impl IntoView {
    let lab = page.state.lab;
    let runs = lab.trial;
    let rivals = Memo::new(move |_| page.rivals());
    let two = experiment == Experiment::TwoModels;
    let missing = move || missing(page, experiment);
    // The first there is, where none of that name is.
    let chosen = move || {
        rivals.with(|rivals| {
            let known = rivals
                .iter()
                .find(|(id, _)| rival.with(|rival| rival == id));
            known
                .or(rivals.first())
                .map_or_else(String::new, |(id, _)| id.clone())
        })
    };
    let picker = move || {
        two.then(|| {
            view! {
                <label class="choice">
                    <span>"Against"</span>
                    {select("rival", "", move || rivals.get(), chosen, move |value| rival.set(value))}
                </label>
                <a id="hints-pair" href=hints_pair()>"Trained without hints, and with: four blanks left"</a>
            }
        })
    };
    view! {
        <p class="lede">{live(move || match page.state.kind.get() {
            PuzzleKind::Sudoku(_) | PuzzleKind::Arc(_) => experiment.question(),
            PuzzleKind::Maze(_) => experiment.question_of_maze(),
        })}</p>
        <div class="controls">
            {picker}
            {live(move || if runs.busy.get() {
                view! {
                    <button id="stop-experiment" type="button" on:click=move |_| page.cancel(runs)>"Stop"</button>
                }.into_any()
            } else {
                view! {
                    <button
                        id="run-experiment"
                        type="button"
                        class="go"
                        disabled=live(move || !page.is_ready() || lab.answer.with(Option::is_none) || missing().is_some())
                        on:click=move |_| rival.with_untracked(|rival| start(page, experiment, rival))
                    >
                        "Run it"
                    </button>
                }.into_any()
            })}
            <p id="experiment-status" class="room-status" role="status">{live(move || progress(page))}</p>
        </div>
        <p class="problem" role="alert">
            {live(move || runs.problem.get().or_else(|| missing().map(str::to_owned)))}
        </p>
        <About page runs/>
        {live(move || runs.puzzle.get().map(|puzzle| match experiment {
            Experiment::OneBlank => view! { <Blanks page puzzle/> }.into_any(),
            Experiment::Hints => view! { <Hints page puzzle/> }.into_any(),
            Experiment::TwoModels => view! { <Rivals page puzzle/> }.into_any(),
            Experiment::Relabellings => view! { <Renamed page puzzle/> }.into_any(),
            Experiment::Noise => view! { <Noise page/> }.into_any(),
        }))}
    }
}

/// How far it is, and the share of solved runs.
fn progress(page: Page) -> Option<String> {
    let runs = page.state.lab.trial;
    runs.puzzle.get()?;
    if page.state.lab.experiment.get() == Experiment::TwoModels {
        // One run of each says nothing about shares.
        return None;
    }
    let share = runs.reports.with(|all| solved_share(all));
    let count = runs.reports.with(Vec::len);
    if runs.busy.get() {
        return Some(format!(
            "{} of {count} have begun, {} are solved.",
            share.n, share.successes
        ));
    }
    Some(format!(
        "{} of {} solved: {:.0} % (95 % interval {:.0} to {:.0} %).",
        share.successes,
        share.n,
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    ))
}

/// How the items stand. Tracked.
fn standings(page: Page) -> Vec<Option<Standing>> {
    let lab = page.state.lab;
    let Some(answer) = lab.answer.get() else {
        return Vec::new();
    };
    lab.trial
        .reports
        .with(|runs| runs.iter().map(|run| standing(run, &answer)).collect())
}

/// One blank cell, for every cell.
#[component]
fn Blanks(page: Page, puzzle: AnyPuzzle) -> impl IntoView {
    let kind = puzzle.kind();
    let side = kind.side();
    let answer = page.state.lab.answer;
    let drawing = move || {
        let drawn = |answer: &AnyPuzzle| one_open(&puzzle, answer, &standings(page));
        answer.with(|answer| answer.as_ref().map(drawn).unwrap_or_default())
    };
    // The cells in the order of the runs.
    let cells = move || answer.with(|answer| answer.as_ref().map(AnyPuzzle::written));
    let label = move || {
        let broken: Vec<String> = standings(page)
            .iter()
            .zip(cells().unwrap_or_default())
            .filter(|(found, _)| found.is_some_and(|f| !f.solved))
            .map(|(_, cell)| format!("row {} column {}", cell / side + 1, cell % side + 1))
            .collect();
        if broken.is_empty() {
            "Every blank tried so far was filled in right.".to_owned()
        } else {
            format!("Not solved with a blank at: {}.", broken.join(", "))
        }
    };
    view! {
        <figure class="votes">
            <svg id="one-blank" viewBox=view_box(kind) role="img" aria-label=live(label) inner_html=live(drawing)></svg>
            <Caption page picture="one-blank" name="hrm-one-blank" runs=page.state.lab.trial>
                {if kind.sudoku().is_ok() {
                    "Segments until the board with only that cell blank was solved; ✗ where it was not."
                } else {
                    "Green: the route with only that cell unmarked was completed; a cross: it was not."
                }}
            </Caption>
        </figure>
    }
}

/// Segments needed by the number of hints; a slider puts one on the board.
#[component]
fn Hints(page: Page, puzzle: AnyPuzzle) -> impl IntoView {
    let s = page.state;
    let answer = s.lab.answer.get_untracked();
    let open = answer
        .as_ref()
        .map_or(0, |answer| open_count(&puzzle, answer));
    let counts = hint_counts(open);
    let last = counts.len() - 1;
    let chosen = RwSignal::new(0_usize);
    let items = answer.map(|answer| Experiment::Hints.items(&puzzle, &answer, 1));
    let boards: Vec<AnyPuzzle> = items
        .unwrap_or_default()
        .into_iter()
        .map(|item| item.puzzle)
        .collect();
    let boards = StoredValue::new(boards);
    let counts = StoredValue::new(counts);
    let limit = move || {
        s.lab
            .trial
            .reports
            .with(|runs| runs.iter().map(Vec::len).max().unwrap_or(1))
    };
    let drawing = move || {
        counts.with_value(|counts| trials::hints(counts, &standings(page), limit(), chosen.get()))
    };
    let label = move || {
        let solved = standings(page)
            .iter()
            .filter(|f| f.is_some_and(|f| f.solved))
            .count();
        format!(
            "Segments needed by the number of hints; {solved} of {} boards are solved.",
            last + 1
        )
    };
    let place = move || counts.with_value(|counts| counts.get(chosen.get()).copied().unwrap_or(0));
    view! {
        <figure class="chart wide">
            <svg id="hints-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=live(label) inner_html=live(drawing)></svg>
            <Caption page picture="hints-chart" name="hrm-hints" runs=page.state.lab.trial>
                "Segments until solved by the number of cells filled in from the solution."
            </Caption>
        </figure>
        <div class="controls">
            <label class="choice stretch">
                <span>"Hints"</span>
                <input
                    id="hints"
                    type="range"
                    min="0"
                    max=last
                    prop:value=live(move || chosen.get().to_string())
                    aria-valuetext=live(move || format!("{} hints", place()))
                    on:input=move |event| chosen.set(event_target_value(&event).parse().unwrap_or(0))
                />
                <output>{live(place)}</output>
            </label>
            <button id="take-hints" type="button" on:click=move |_| {
                let board = boards.with_value(|boards| boards.get(chosen.get_untracked()).cloned());
                if let Some(board) = board {
                    page.set_puzzle(board);
                }
            }>"Put it on the board"</button>
        </div>
    }
}

/// Two networks on one puzzle.
#[component]
fn Rivals(page: Page, puzzle: AnyPuzzle) -> impl IntoView {
    let s = page.state;
    let lab = s.lab;
    let here = page.title(lab.trial.network.get_untracked());
    let there = page.title(lab.trial.model(1));
    let kind = puzzle.kind();
    let board = move |side: usize, name: String| {
        let puzzle = puzzle.clone();
        let last = move || {
            lab.trial
                .reports
                .with(|runs| runs.get(side).and_then(|run| run.last().cloned()))
        };
        let drawn = move || runner(&puzzle, last().as_ref());
        let said = move || match last() {
            None => "waits".to_owned(),
            Some(report) if report.solved => format!("solved, segment {}", report.segment),
            Some(report) => format!("E {} in segment {}", report.conflicts, report.segment),
        };
        let label = {
            let name = name.clone();
            move || format!("{name}: {}", said())
        };
        view! {
            <figure class="runner">
                <svg viewBox=view_box(kind) role="img" aria-label=live(label) inner_html=live(drawn)></svg>
                <figcaption><b>{name}</b><span>{live(said)}</span></figcaption>
            </figure>
        }
    };
    let curves = move || {
        trials::rivals(&[0, 1].map(|side| {
            lab.trial.reports.with(|runs| {
                runs.get(side).map_or_else(Vec::new, |run| {
                    run.iter().map(|report| report.conflicts).collect()
                })
            })
        }))
    };
    let first_board = board.clone();
    view! {
        <div id="rivals" class="race two">
            {first_board(0, here)}
            {board(1, there)}
        </div>
        <Caption page picture="rivals" name="hrm-two-networks-boards" runs=page.state.lab.trial>
            "The same puzzle after the last segment of each."
        </Caption>
        <figure class="chart wide">
            <svg id="rivals-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label="Conflicts of both networks over the segments" inner_html=live(curves)></svg>
            <Caption page picture="rivals-chart" name="hrm-two-networks">
                "Conflicts of two networks on the same puzzle."
            </Caption>
        </figure>
    }
}

/// The same puzzle with its digits renamed.
#[component]
fn Renamed(page: Page, puzzle: AnyPuzzle) -> impl IntoView {
    let lab = page.state.lab;
    let kind = puzzle.kind();
    let maze = kind.sudoku().is_err();
    let boards = (0..image_count(kind))
        .map(|index| {
            let puzzle = puzzle.clone();
            let last = Memo::new(move |_| {
                lab.trial
                    .reports
                    .with(|runs| runs.get(index).and_then(|run| run.last().cloned()))
            });
            let drawn = move || last.with(|r| runner(&puzzle, r.as_ref()));
            let said = move || match last.get() {
                None => "waits".to_owned(),
                Some(report) if report.solved => format!("solved ({})", report.segment),
                Some(report) => format!("E {} ({})", report.conflicts, report.segment),
            };
            let class = move || match last.get() {
                Some(report) if report.solved => "runner solved",
                _ => "runner",
            };
            let name = if index == 0 {
                "as it is".to_owned()
            } else if maze {
                format!("image {index}")
            } else {
                format!("digits +{index}")
            };
            let label = {
                let name = name.clone();
                move || format!("{name}: {}", said())
            };
            view! {
                <figure class=live(class)>
                    <svg viewBox=view_box(kind) role="img" aria-label=live(label) inner_html=live(drawn)></svg>
                    <figcaption><b>{name}</b><span>{live(said)}</span></figcaption>
                </figure>
            }
        })
        .collect_view();
    view! {
        <div id="relabelled" class="race">{boards}</div>
        <Caption page picture="relabelled" name="hrm-renamed" runs=page.state.lab.trial>
            {if maze {
                "The same maze turned and mirrored, then with start and goal exchanged; in brackets the segment."
            } else {
                "The same puzzle with its digits renamed in a circle; in brackets the segment."
            }}
        </Caption>
    }
}

/// Success by the noise in the initial state.
#[component]
fn Noise(page: Page) -> impl IntoView {
    let lab = page.state.lab;
    let shares = move || {
        lab.trial.reports.with(|runs| {
            NOISES.map(|noise| {
                let of_noise = runs
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| noise_of(*i) == noise);
                solved_share(of_noise.map(|(_, run)| run))
            })
        })
    };
    let drawing = move || trials::noise(&NOISES, &shares());
    let label = move || {
        let parts: Vec<String> = shares()
            .iter()
            .zip(NOISES)
            .map(|(share, noise)| format!("noise {noise}: {} of {}", share.successes, share.n))
            .collect();
        format!("Solved runs by noise. {}.", parts.join("; "))
    };
    view! {
        <figure class="chart wide">
            <svg id="noise-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=live(label) inner_html=live(drawing)></svg>
            <Caption page picture="noise-chart" name="hrm-noise" runs=page.state.lab.trial>
                "Share of runs solved by the noise in the initial state, with 95 % Wilson intervals."
            </Caption>
        </figure>
    }
}
