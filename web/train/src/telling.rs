//! What happens, as sentences.

use hrm_core::reason::Proportion;

use crate::history::{Evaluation, History, share};
use crate::message::{Begun, Place};
use crate::settings::Settings;

/// What a run does.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Phase {
    /// There is none: what is shown was recorded.
    #[default]
    Recorded,
    /// Its puzzles are being made: so many of so many.
    Making(usize, usize),
    /// It is there, and goes on or does not.
    There,
    /// It waits, since nobody sees it.
    Waiting,
    /// It can't go on.
    Broken(String),
}

/// One sentence or two of what is happening.
#[must_use]
pub fn sentence(phase: &Phase, run: Option<&Begun>, place: &Place) -> String {
    match phase {
        Phase::Making(done, total) => {
            return format!(
                "Making its puzzles: {done} of {total}. What is held out is new to it."
            );
        }
        Phase::Broken(why) => return format!("Training stopped: {why}"),
        _ => {}
    }
    let Some(run) = run else {
        return "Looking for a run that was kept …".to_owned();
    };
    let newest = run.history.evaluations.last();
    let level = newest.map_or_else(|| "It has not been asked yet.".to_owned(), level);
    let network = format!("a network of {} numbers", grouped(run.parameters));
    if *phase == Phase::Recorded {
        return format!(
            "Recorded: {network} learned to solve {} Sudokus in {}. Press Train to watch one learn here.",
            board(&run.settings),
            duration(place.seconds)
        );
    }
    let act = match (phase, place.running, place.over, place.step) {
        (Phase::Waiting, ..) => "It waits while this page is in the background.",
        (_, true, false, _) => "It trains.",
        (_, true, true, _) => "It trains on, at its lowest rate.",
        (_, false, true, _) => "The run is over.",
        (_, false, false, 0) => "An untrained network: it knows nothing of Sudoku.",
        (_, false, false, _) => "It rests.",
    };
    format!("{act} {level}")
}

/// How far a network has come.
#[must_use]
pub fn level(e: &Evaluation) -> String {
    let n = e.puzzles;
    let first = e.solved.first().copied().unwrap_or(0);
    let right = e.right();
    let cells = 100.0 * e.cells;
    match right {
        0 if e.cells < 0.55 => format!(
            "It fills the grids with noise: {cells:.0} % of the cells right, none of {n} new puzzles solved."
        ),
        0 => format!(
            "{cells:.0} % of the cells are right, but no grid is: none of {n} new puzzles solved."
        ),
        _ if right == n && first == n => format!("It solves all of {n} new puzzles, at a glance."),
        _ => format!(
            "It solves {right} of {n} new puzzles in {} segments, {first} of them in the first.",
            e.solved.len()
        ),
    }
}

/// How the runs on the held-out puzzles went, and what the network says of
/// them.
#[must_use]
pub fn behaviour(e: &Evaluation, thinking: Option<f64>) -> String {
    let of = |part: usize| format!("{:.0} %", 100.0 * share(part, e.puzzles));
    let [trivial, nontrivial, wandering, resting] = e.modes;
    let mut text = format!(
        "{} solved at a glance, {} after a while, {} still wandering, {} at rest at a wrong grid. \
         A plateau and then a sudden drop: {}. Says that it is done: {:.0} %, and is right about that in {:.0} %.",
        of(trivial),
        of(nontrivial),
        of(wandering),
        of(resting),
        of(e.groks),
        100.0 * e.halted,
        100.0 * e.q,
    );
    if let Some(segments) = thinking {
        text += &format!(" In training it thinks for {segments:.1} segments on average.");
    }
    text
}

/// A measurement on many puzzles.
#[must_use]
pub fn measured(e: &Evaluation) -> String {
    let share = Proportion::new(e.right(), e.puzzles);
    format!(
        "After step {}: {} of {} new puzzles solved, {:.1} % [{:.1}, {:.1}].",
        grouped(e.step as usize),
        e.right(),
        e.puzzles,
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    )
}

/// Where a run is, in numbers.
#[must_use]
pub fn numbers(place: &Place, history: &History) -> String {
    let mut parts = vec![
        format!("step {}", grouped(place.step as usize)),
        format!("{} puzzles begun", grouped(place.puzzles as usize)),
        duration(place.seconds),
    ];
    if place.running && place.rate > 0.0 {
        parts.push(format!("{:.1} steps a second", place.rate));
    }
    if let Some(mark) = history.marks.last() {
        parts.push(format!("loss {:.3}", mark.loss));
    }
    parts.join(" · ")
}

/// The board's size.
#[must_use]
pub fn board(settings: &Settings) -> String {
    let side = settings.shape.side();
    format!("{side}×{side}")
}

/// A time for people.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Preset;

    fn evaluation(solved: [usize; 2], cells: f64) -> Evaluation {
        Evaluation {
            puzzles: 100,
            solved: solved.to_vec(),
            cells,
            modes: [10, 20, 30, 40],
            groks: 15,
            halted: 0.25,
            q: 0.9,
            ..Evaluation::default()
        }
    }

    #[test]
    fn what_happens_is_said() {
        assert!(level(&evaluation([0, 0], 0.4)).contains("noise"));
        assert!(level(&evaluation([0, 0], 0.8)).contains("no grid is"));
        assert!(level(&evaluation([3, 41], 0.9)).starts_with("It solves 41 of 100"));
        assert!(level(&evaluation([100, 100], 1.0)).contains("at a glance"));
        let text = behaviour(&evaluation([3, 41], 0.9), Some(7.25));
        assert!(
            text.contains("15 %") && text.contains("7.2 segments"),
            "{text}"
        );

        let mut run = Begun {
            settings: Preset::Relational4.settings(),
            history: History::default(),
            samples: vec![],
            parameters: 5_281,
            training: 10,
            workers: 1,
            step: 0,
        };
        let say = |phase: Phase, run: &Begun, running, over, step| {
            let place = Place {
                step,
                running,
                over,
                seconds: 75.0,
                ..Place::default()
            };
            sentence(&phase, Some(run), &place)
        };
        let recorded = say(Phase::Recorded, &run, false, false, 0);
        assert!(
            recorded.contains("5,281 numbers") && recorded.contains("4×4"),
            "{recorded}"
        );
        assert!(recorded.contains("1 min 15 s"));
        assert!(say(Phase::There, &run, false, false, 0).starts_with("An untrained network"));
        run.history.evaluate(evaluation([0, 7], 0.8));
        assert!(say(Phase::There, &run, true, false, 3).starts_with("It trains. It solves 7"));
        assert!(say(Phase::There, &run, false, true, 3).starts_with("The run is over"));
        assert!(say(Phase::Waiting, &run, false, false, 3).contains("background"));
        assert!(say(Phase::Making(1, 2), &run, false, false, 0).contains("1 of 2"));
        assert!(say(Phase::Broken("so.".into()), &run, false, false, 0).ends_with("so."));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(3_725.0), "1 h 2 min");
        let e = Evaluation {
            puzzles: 500,
            solved: vec![475],
            ..Evaluation::default()
        };
        assert!(measured(&e).contains("475 of 500 new puzzles solved, 95.0 % [92.7, 96.6]"));
    }
}
