//! The whole page.

use std::time::Duration;

use any_spawner::Executor;
use hrm_core::puzzle::AnyPuzzle;
use hrm_web::address::{Address, MOST, problems};
use hrm_web::timeline::Moment;
use leptos::mount::mount_to;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::actions::Page;
use crate::board::{BoardView, Legend, Pad};
use crate::cell_facts::CellFacts;
use crate::chart::Chart;
use crate::dom;
use crate::live::effect;
use crate::models::Models;
use crate::puzzles::Puzzles;
use crate::replay::take_drops;
use crate::rooms::Rooms;
use crate::state::SPEEDS;
use crate::status::Status;
use crate::tour::TourCard;
use crate::transport::Transport;
use crate::visibility::wait_in_background;

/// Puts the page in place of the waiting line.
///
/// Every part is made in a task of its own, so that no task of the browser
/// gets long. Those of the first screen come together outside the document,
/// which goes on showing what was drawn without the program, and take its
/// place at once.
pub(crate) fn mount() {
    let waiting = document().get_element_by_id("app");
    let main = waiting.as_ref().and_then(|e| e.clone_node().ok());
    let (Some(waiting), Some(main)) = (waiting, main.and_then(|m| m.dyn_into().ok())) else {
        return;
    };
    _ = Executor::init_wasm_bindgen();
    let owner = Owner::new();
    soon(move || {
        let page = owner.with(Page::open);
        soon(move || {
            owner.with(|| build(page, waiting, main));
            // Stays as long as the page does.
            std::mem::forget(owner);
        });
    });
}

/// Builds the page in `main`, which takes the place of `waiting`.
fn build(page: Page, waiting: Element, main: HtmlElement) {
    let parts: Parts = std::array::from_fn(|_| RwSignal::new(false));
    mount_to(main.clone(), move || view! { <App page parts/> }).forget();
    go_on(parts, 0, (waiting, main));
}

/// Adds the other parts of the page from `part` on, one after the other.
fn go_on(parts: Parts, part: usize, (waiting, main): (Element, HtmlElement)) {
    let Some(wanted) = parts.get(part) else {
        return;
    };
    let wanted = *wanted;
    // What can be seen is painted before the next part is made.
    let pause = if part > SHOWN { 20 } else { 0 };
    let add = move || {
        if part == SHOWN {
            // Fails only for an element that is in no document.
            let _ = waiting.replace_with_with_node_1(&main);
        }
        wanted.set(true);
        go_on(parts, part + 1, (waiting, main));
    };
    set_timeout(add, Duration::from_millis(pause));
}

/// Does it in the next task of the browser.
fn soon(task: impl FnOnce() + 'static) {
    set_timeout(task, Duration::ZERO);
}

/// Which parts of the page are wanted, in the order in which they are made;
/// the board is there from the start.
type Parts = [RwSignal<bool>; 8];
const TRANSPORT: usize = 0;
const STATUS: usize = 1;
/// The first screen comes into the document.
const SHOWN: usize = 2;
const UNDER_THE_BOARD: usize = 3;
const CHART: usize = 4;
const MODELS: usize = 5;
/// The worker is not started earlier: compiling it would hold up the rest.
const CONNECTED: usize = 6;
const ROOMS: usize = 7;

#[component]
fn App(page: Page, parts: Parts) -> impl IntoView {
    let part =
        move |part: usize, made: fn(Page) -> AnyView| move || parts[part].get().then(|| made(page));
    view! {
        <Theme/>
        <div class="desk">
            <div class="play-area">
                <BoardView page/>
                {part(TRANSPORT, |page| view! { <Transport page/> }.into_any())}
                {part(UNDER_THE_BOARD, |page| {
                    view! { <Legend page/> <CellFacts page/> <Pad page/> <Puzzles page/> }.into_any()
                })}
            </div>
            <div class="panels">
                {part(STATUS, |page| view! { <TourCard page/> <Status page/> }.into_any())}
                {part(CHART, |page| view! { <Chart page/> }.into_any())}
                {part(MODELS, |page| view! { <Models page/> }.into_any())}
            </div>
        </div>
        {part(CONNECTED, |page| {
            page.connect();
            follow(page);
            ().into_any()
        })}
        {part(ROOMS, |page| view! { <Rooms page/> }.into_any())}
    }
}

/// Keeps the page and what is outside it in step.
fn follow(page: Page) {
    follow_address(page);
    follow_step(page);
    follow_comparison(page);
    follow_speed(page);
    take_drops(page);
    wait_in_background(page);
}

/// A link clicked or an address typed on the open page.
fn follow_address(page: Page) {
    let handle = window_event_listener(leptos::ev::hashchange, move |_| go_to_address(page));
    on_cleanup(move || handle.remove());
    let here = Address::parse(&dom::fragment());
    let asked = page.state.place.asked;
    if asked.with_untracked(|asked| *asked != here) {
        // A link was clicked before anybody listened.
        go_to_address(page);
    }
    // Once there is something to show instead.
    let s = page.state;
    effect(move || {
        if s.models.with(Vec::is_empty) {
            return;
        }
        let problems = s.place.problems.with(|problems| problems.join(" "));
        if !problems.is_empty() {
            s.notice.set(Some(problems));
        }
    });
}

/// Shows what the address names.
fn go_to_address(page: Page) {
    let s = page.state;
    let address = Address::parse(&dom::fragment());
    let (model, puzzle) = (address.model.clone(), address.puzzle.clone());
    let other = |board: &AnyPuzzle| *board != s.puzzle();
    if let Some(model) = model.filter(|id| s.model.get_untracked().as_ref() != Some(id)) {
        if s.models.with_untracked(Vec::is_empty) {
            // Chosen as soon as it is known which there are.
            s.model.set(Some(model));
        } else {
            page.choose_named(&model);
        }
    }
    if let Some(puzzle) = puzzle.filter(other) {
        page.set_puzzle(puzzle);
    }
    s.place.asked.set(address);
    s.place.problems.set(problems(&dom::fragment()));
}

/// Where one looks, and how far runs go, is part of the address while nothing
/// plays.
fn follow_step(page: Page) {
    let s = page.state;
    let lab = s.lab;
    effect(move || {
        let depth = lab.depth.get().map(|depth| depth.to_string());
        s.place.keep("depth", &depth.unwrap_or_default());
    });
    effect(move || {
        let depth: Option<usize> = s.place.asked("depth").and_then(|text| text.parse().ok());
        if let Some(depth) = depth.filter(|depth| (1..=MOST).contains(depth)) {
            page.set_depth(depth);
        }
    });
    effect(move || {
        if !s.playing.get() && s.goal.get().is_none() && s.guess.get().is_none() {
            s.place.keep("step", &page.moment());
        }
    });
    // The inside of a segment can be looked at once it has been run, and a
    // moment before the one it is compared with once that has been.
    let waiting = RwSignal::new(None);
    effect(move || {
        let (step, compared) = (asked_moment(page, "step"), asked_moment(page, "compare"));
        let Some(last) = step.iter().chain(&compared).map(|m| m.segment).max() else {
            return;
        };
        page.go_to(last);
        let moment = step.unwrap_or(Moment::at(0, 1));
        let waits = moment.update.is_some() || moment.segment < last;
        waiting.set(waits.then_some((last, moment)));
    });
    effect(move || {
        let run = s.goal.get().is_none().then(|| lab.insides.with(Vec::len));
        if let Some((_, moment)) = waiting.get().filter(|(last, _)| run >= Some(*last)) {
            waiting.set(None);
            if moment.update.is_some() {
                lab.fine.set(true);
            }
            page.look_at(moment);
        }
    });
}

/// The moment that others are compared with is part of the address.
fn follow_comparison(page: Page) {
    let s = page.state;
    // Until the run has come to it.
    let wanted = RwSignal::new(None);
    effect(move || wanted.set(asked_moment(page, "compare")));
    effect(move || {
        if wanted.get().is_some_and(|moment| page.compare_with(moment)) {
            wanted.set(None);
        }
    });
    effect(move || {
        let kept = s.lab.pin.with(|pin| match pin {
            // The puzzle, which a step in the address has no name for.
            Some(pin) if pin.moment.segment == 0 => "0".to_owned(),
            Some(pin) => pin.moment.to_string(),
            None => String::new(),
        });
        s.place.keep("compare", &kept);
    });
}

/// A speed other than the usual one is part of the address.
fn follow_speed(page: Page) {
    let s = page.state;
    let usual = s.speed.get_untracked();
    effect(move || {
        let asked = s.place.asked("speed");
        let known = SPEEDS
            .iter()
            .position(|(name, _)| Some(*name) == asked.as_deref());
        if let Some(speed) = known {
            page.set_speed(speed);
        }
    });
    effect(move || {
        let speed = s.speed.get();
        let name = if speed == usual { "" } else { SPEEDS[speed].0 };
        s.place.keep("speed", &name);
    });
}

/// A moment that the address names, if runs may go so far. Tracked.
fn asked_moment(page: Page, key: &str) -> Option<Moment> {
    let moment: Moment = page.state.place.asked(key)?.parse().ok()?;
    (moment.segment <= MOST).then_some(moment)
}

/// Light or dark.
#[component]
fn Theme() -> impl IntoView {
    // The styles show one of the two: they know when the system's colours change.
    let toggle = |_| dom::set_theme(if dom::is_dark() { "light" } else { "dark" });
    view! {
        <button id="theme" type="button" class="theme" on:click=toggle>
            <span class="to-dark">"Dark"<b class="hidden">" colours"</b></span>
            <span class="to-light">"Light"<b class="hidden">" colours"</b></span>
        </button>
    }
}
