//! Several guesses racing for the same puzzle, and how they vote.

use hrm_core::puzzle::{AnyPuzzle, Puzzle, PuzzleKind, Shape, Ways};
use hrm_core::reason::{SegmentReport, Stop};
use hrm_web::guesses::{Variety, outcomes, reference_rule, votes};
use hrm_web::mini::{ballot, runner, view_box};
use leptos::prelude::*;

use crate::actions::Page;
use crate::dom;
use crate::lab::Wish;
use crate::live::{effect, live};
use crate::picture::Caption;
use crate::rooms::{About, Check, Choice};

const COUNTS: [(&str, f64); 5] = [
    ("4", 4.0),
    ("6", 6.0),
    ("9", 9.0),
    ("16", 16.0),
    ("25", 25.0),
];
const NOISES: [(&str, f64); 6] = [
    ("none", 0.0),
    ("a little (0.1)", 0.1),
    ("some (0.3)", 0.3),
    ("more (0.5)", MORE),
    ("much (1)", 1.0),
    ("very much (2)", 2.0),
];

/// What is usual where guesses can differ by nothing else.
const MORE: f64 = 0.5;

/// Segments of a guess that commits itself, at most: some twenty lives.
const COMMITTED: usize = 512;

/// The seed that needs no place in the address.
const SEED: u32 = 1;

/// What can be ticked: the letter in addresses, the id, and the label.
const TICKS: [(char, &str, &str); 7] = [
    ('d', "vary-digits", "rename digits"),
    ('t', "vary-transpose", "transpose"),
    ('l', "vary-lines", "permute bands and lines"),
    ('m', "vary-networks", "take turns with the other networks"),
    ('u', "noise-updates", "at every update"),
    ('v', "stop-first", "stop at the first that is verified"),
    (
        'c',
        "commit",
        "commit: write some cells in now and then, begin anew when that leads nowhere, until one is verified",
    ),
];

/// Where a letter is in [`TICKS`].
fn place(letter: char) -> usize {
    TICKS.iter().position(|tick| tick.0 == letter).unwrap_or(0)
}

/// What the room remembers while it is open.
#[derive(Clone, Copy)]
struct Wishes {
    count: RwSignal<f64>,
    /// As in [`TICKS`].
    ticks: [RwSignal<bool>; TICKS.len()],
    noise: RwSignal<f64>,
    seed: RwSignal<u32>,
}

impl Wishes {
    /// As an address says, or as is usual.
    fn new(page: Page) -> Self {
        let wishes = Self {
            count: RwSignal::new(9.0),
            ticks: TICKS.map(|_| RwSignal::new(false)),
            noise: RwSignal::new(0.0),
            seed: RwSignal::new(SEED),
        };
        let (asked, usual) = untrack(|| (page.state.place.asked("guesses"), usual_noise(page)));
        wishes.choose(&asked.unwrap_or_default(), usual);
        wishes
    }

    /// What an address says; what it leaves out is as usual.
    fn choose(&self, asked: &str, usual: f64) {
        let mut parts = asked.split(',');
        let count = parts.next().and_then(dom::number).unwrap_or(9.0);
        let ticked = parts.next().unwrap_or("d");
        let noise = parts.next().and_then(dom::number).unwrap_or(usual);
        let seed = parts.next().and_then(|n| n.parse().ok());
        self.count.set(f64::clamp(count, 1.0, 25.0));
        for ((letter, ..), tick) in TICKS.iter().zip(self.ticks) {
            tick.set(ticked.contains(*letter));
        }
        self.noise.set(f64::clamp(noise, 0.0, 4.0));
        self.seed.set(seed.unwrap_or(SEED));
    }

    /// The letters of what is ticked.
    fn ticked(&self) -> String {
        let ticks = TICKS.iter().zip(self.ticks);
        ticks
            .filter_map(|(&(letter, ..), tick)| tick.get().then_some(letter))
            .collect()
    }

    fn address(&self) -> String {
        let seed = match self.seed.get() {
            SEED => String::new(),
            seed => format!(",{seed}"),
        };
        let (count, noise) = (self.count.get(), self.noise.get());
        format!("{count},{},{noise}{seed}", self.ticked())
    }

    fn variety(&self, page: Page) -> Variety {
        let ticked = untrack(|| self.ticked());
        let on = |letter| ticked.contains(letter);
        let others = untrack(|| page.rivals());
        let alike = untrack(|| page.sees_images_alike());
        let maze = page.state.kind.get_untracked().sudoku().is_err();
        Variety {
            count: self.count.get_untracked() as usize,
            ways: Ways {
                digits: on('d') && !alike,
                transpose: on(if maze { 'd' } else { 't' }),
                lines: on('l') && !alike,
            },
            swap: maze && on('l'),
            noise: self.noise.get_untracked() as f32,
            every_update: on('u'),
            others: others
                .into_iter()
                .filter(|_| on('m'))
                .map(|(id, _)| id)
                .collect(),
            seed: u64::from(self.seed.get_untracked()),
            commit: on('c'),
        }
    }

    /// The box of that letter.
    fn tick(&self, letter: char) -> impl IntoView + use<> {
        let at = place(letter);
        let (_, id, label) = TICKS[at];
        view! { <Check id label chosen=self.ticks[at]/> }
    }

    /// The same box where it stands for a maze's way of being the same.
    fn tick_of_maze(&self, letter: char) -> impl IntoView + use<> {
        let (id, label) = match letter {
            'd' => ("vary-turn", "turn and mirror"),
            _ => ("vary-swap", "exchange start and goal"),
        };
        view! { <Check id label chosen=self.ticks[place(letter)]/> }
    }
}

/// The noise on guesses at the loaded network, unless somebody asks for
/// another. Tracked.
fn usual_noise(page: Page) -> f64 {
    if page.sees_images_alike() { MORE } else { 0.0 }
}

/// The room.
#[component]
pub(crate) fn Guesses(page: Page) -> impl IntoView {
    let s = page.state;
    let race = s.lab.race;
    let wishes = Wishes::new(page);
    // What is usual needs no place in the address.
    effect(move || {
        let wishes = wishes.address();
        s.place.keep(
            "guesses",
            &if wishes == format!("9,d,{}", usual_noise(page)) {
                String::new()
            } else {
                wishes
            },
        );
    });
    // Another network, other noise, where it was the usual one.
    effect(move || {
        let (usual, other) = if page.sees_images_alike() {
            (MORE, 0.0)
        } else {
            (0.0, MORE)
        };
        if wishes.noise.get_untracked() == other {
            wishes.noise.set(usual);
        }
    });
    let start = move || {
        let ticked = untrack(|| wishes.ticked());
        let commit = ticked.contains('c');
        let stop = if commit || ticked.contains('v') {
            Stop::FirstSolved
        } else {
            Stop::Depth
        };
        let limit = if commit { COMMITTED } else { s.trained_for() };
        page.race(&wishes.variety(page), limit, stop);
        race.settings.set(Some(untrack(|| wishes.address())));
        s.lab.aloud.set(commit);
    };
    // Asked for beside the board, and seen there.
    effect(move || {
        if !page.is_ready() {
            return;
        }
        match s.lab.wish.get() {
            Some(Wish::Aloud) => {
                wishes.ticks[place('c')].set(true);
                start();
                page.show_guess(Some(0));
            }
            Some(Wish::Renamings) => {
                wishes.choose("9,d,0", 0.0);
                start();
            }
            _ => return,
        }
        s.lab.wish.set(None);
    });
    let other_settings = move || {
        race.settings.with(|settings| match settings {
            Some(settings) => (*settings != wishes.address())
                .then_some("These guesses were made with other settings than those above."),
            None => Some("These guesses are from a file; the settings above are not theirs."),
        })
    };
    let square = move || s.kind.get().sudoku().is_ok_and(Shape::square_boxes);
    let maze = Memo::new(move |_| s.kind.get().sudoku().is_err());
    view! {
        <p class="lede">
            "One guess may be trapped at a false fixed point. Several guesses that see the puzzle differently are trapped in different places, and the right answer gets the votes."
        </p>
        <div class="controls">
            <Choice id="guess-count" label="Guesses" values=&COUNTS chosen=wishes.count/>
            {live(move || if maze.get() {
                view! { {wishes.tick_of_maze('d')} {wishes.tick_of_maze('l')} }.into_any()
            } else if page.sees_images_alike() {
                view! { <p class="aside" id="alike">"This network knows neither digits nor lines by name: renaming them changes nothing, so its guesses differ by noise."</p> }.into_any()
            } else {
                view! { {wishes.tick('d')} {wishes.tick('l')} }.into_any()
            })}
            {live(move || square().then(|| wishes.tick('t')))}
            {live(move || (!page.rivals().is_empty()).then(|| wishes.tick('m')))}
            <Choice id="guess-noise" label="Noise" values=&NOISES chosen=wishes.noise/>
            {wishes.tick('u')}
            <label class="choice">
                <span>"Seed"</span>
                <input
                    id="guess-seed"
                    type="number"
                    min="0"
                    max=u32::MAX
                    prop:value=live(move || wishes.seed.get().to_string())
                    on:change=move |event| wishes.seed.set(event_target_value(&event).parse().unwrap_or(SEED))
                />
            </label>
            {wishes.tick('v')}
            {wishes.tick('c')}
            {live(move || if race.busy.get() {
                view! { <button id="stop-race" type="button" on:click=move |_| page.cancel(race)>"Stop"</button> }.into_any()
            } else {
                view! {
                    <button id="race" type="button" class="go" disabled=live(move || !page.is_ready()) on:click=move |_| start()>"Race"</button>
                }.into_any()
            })}
        </div>
        <p class="problem" role="alert">{live(move || race.problem.get())}</p>
        {live(move || race.puzzle.get().map(|puzzle| view! {
            <p class="note" role="status">{live(other_settings)}</p>
            <About page runs=race/>
            <Race page puzzle/>
        }))}
    }
}

/// The boards of a race, the votes, and what the rules say.
#[component]
fn Race(page: Page, puzzle: AnyPuzzle) -> impl IntoView {
    let race = page.state.lab.race;
    let count = race.reports.with_untracked(Vec::len);
    let boards = (0..count)
        .map(|index| view! { <Runner page puzzle=puzzle.clone() index/> })
        .collect_view();
    let kind = puzzle.kind();
    let ballot_of = {
        let puzzle = puzzle.clone();
        move || race.reports.with(|runs| ballot(&puzzle, runs))
    };
    let label = move || {
        race.reports.with(|runs| {
            let agreed = votes(kind, runs)
                .iter()
                .filter(|vote| vote.share == 1.0)
                .count();
            format!(
                "Votes: all guesses agree on {agreed} of {} cells.",
                kind.cells()
            )
        })
    };
    let status = move || {
        let (begun, solved) = race.reports.with(|runs| {
            let begun = runs.iter().map(Vec::len).max().unwrap_or(0);
            let solved = runs
                .iter()
                .filter(|run| run.last().is_some_and(|r| r.solved))
                .count();
            (begun, solved)
        });
        let took = race
            .took
            .get()
            .map(|ms| format!(" It took {:.1} s.", ms / 1000.0))
            .unwrap_or_default();
        if race.busy.get() {
            format!("Segment {begun}: {solved} of {count} solved.")
        } else {
            format!("{solved} of {count} guesses are solved after {begun} segments.{took}")
        }
    };
    view! {
        <p id="race-status" class="room-status" role="status">{live(status)}</p>
        <div id="race-boards" class="race">{boards}</div>
        <Caption page picture="race-boards" name="hrm-guesses" runs=race>
            "Every guess as an answer to the puzzle as it was asked; in brackets the segment, tinted what it committed itself to."
        </Caption>
        <div class="tally">
            <figure class="votes">
                <svg id="votes" viewBox=view_box(kind) role="img" aria-label=live(label) inner_html=live(ballot_of)></svg>
                <Caption page picture="votes" name="hrm-votes">
                    {if kind.sudoku().is_ok() {
                        "Votes of all guesses: the paler a digit, the fewer voted for it; the small one is the runner-up."
                    } else {
                        "Votes of all guesses: the paler a cell, the fewer have it on their route."
                    }}
                </Caption>
            </figure>
            <Rules page kind/>
        </div>
    }
}

/// One guess.
#[component]
fn Runner(page: Page, puzzle: AnyPuzzle, index: usize) -> impl IntoView {
    let race = page.state.lab.race;
    let last = Memo::new(move |_| {
        race.reports
            .with(|runs| runs.get(index).and_then(|run| run.last().cloned()))
    });
    let solved_at = Memo::new(move |_| {
        race.reports.with(|runs| {
            let first = runs.get(index)?.iter().find(|report| report.solved)?;
            Some(first.segment)
        })
    });
    let class = move || match last.get() {
        Some(report) if report.solved => "runner solved",
        Some(report) if report.halted => "runner halted",
        _ => "runner",
    };
    let kind = puzzle.kind();
    let network = race.model(index);
    let name = if index == 0 {
        "as it is".to_owned()
    } else {
        format!("guess {}", index + 1)
    };
    let network = network.map(|id| page.title(Some(id)));
    let said = move || {
        last.with(|report| {
            report.as_ref().map_or_else(
                || "waits".to_owned(),
                |report| state(report, solved_at.get()),
            )
        })
    };
    let label = {
        let name = name.clone();
        move || format!("{name}: {}", said())
    };
    let board = move || last.with(|report| runner(&puzzle, report.as_ref()));
    view! {
        <figure class=live(class) class=("looked-at", live(move || page.state.guess.get() == Some(index)))>
            <svg viewBox=view_box(kind) role="img" aria-label=live(label) inner_html=live(board)></svg>
            <button
                type="button"
                class="look"
                aria-label=format!("Show {name} on the board")
                title="Show it on the board"
                disabled=live(move || page.is_elsewhere(race))
                on:click=move |_| {
                    page.show_guess(Some(index));
                    dom::show("board");
                }
            ></button>
            <figcaption>
                <b>{name}</b>
                <span>{live(said)}</span>
                {network.map(|title| view! { <span class="network">{title}</span> })}
            </figcaption>
        </figure>
    }
}

/// How a guess stands, in a few words.
fn state(report: &SegmentReport, solved_at: Option<usize>) -> String {
    let n = report.segment;
    match (report.solved, report.halted, report.conflicts) {
        (true, ..) => format!("solved in {}", solved_at.unwrap_or(n)),
        (_, true, 0) => format!("sure, wrong ({n})"),
        (_, true, e) => format!("sure, E {e} ({n})"),
        (_, _, e) => format!("E {e} ({n})"),
    }
}

/// What each selection rule says at which cost.
#[component]
fn Rules(page: Page, kind: PuzzleKind) -> impl IntoView {
    let race = page.state.lab.race;
    // Written as text: less program than elements.
    let rows = move || {
        let row = |class: &str, name: &str, mark: &str, says: &str, segments: usize| {
            format!(
                "<tr class=\"{class}\"><th scope=\"row\">{name}</th>\
                 <td class=\"says\"><span aria-hidden=\"true\">{mark}</span> {says}</td><td>{segments}</td></tr>"
            )
        };
        let here = page.state.entry.with(|entry| {
            race.puzzle
                .with(|puzzle| puzzle.as_ref() == Some(entry.board()))
        });
        let answer = page.state.key().filter(|_| here);
        race.reports.with(|runs| {
            let mut text: String = outcomes(kind, runs)
                .into_iter()
                .map(|outcome| {
                    let (mark, says) = match (outcome.guess, outcome.solved) {
                        (None, _) => ("", "none so far".to_owned()),
                        (Some(guess), true) => ("✓", format!("guess {}: solved", guess + 1)),
                        (Some(guess), false) => ("✗", format!("guess {}: not solved", guess + 1)),
                    };
                    row("", title(outcome.name), mark, &says, outcome.segments)
                })
                .collect();
            if let Some(answer) = answer {
                let (mark, says) = if reference_rule(runs, &answer) {
                    ("✓", "counted right")
                } else {
                    ("✗", "counted wrong")
                };
                let all = runs.iter().map(Vec::len).sum();
                let name = "Reference rule<small> (looks at the solution)</small>";
                text.push_str(&row("labelled", name, mark, says, all));
            }
            text
        })
    };
    view! {
        <table id="rules" class="rules">
            <caption>"What each rule makes of the guesses so far"</caption>
            <thead>
                <tr><th scope="col">"Rule"</th><th scope="col">"says"</th><th scope="col">"segments"</th></tr>
            </thead>
            <tbody inner_html=live(rows)></tbody>
        </table>
    }
}

/// A rule's name for people.
fn title(name: &str) -> &'static str {
    match name {
        "single" => "One guess",
        "majority" => "Majority of those that halted",
        "halt-first" => "First to halt",
        "lowest-residual" => "Lowest residual",
        "q-head" => "Surest (q head)",
        "verifier" => "First that the rules verify",
        _ => "",
    }
}
