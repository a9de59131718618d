//! What the page knows, as signals.

use hrm_core::puzzle::{AnyPuzzle, PuzzleKind, Shape};
use hrm_core::reason::message::{DeviceChoice, EngineFacts, ErrorKind, Solutions};
use hrm_core::reason::{SegmentReport, Standing};
use hrm_core::weights::Manifest;
use hrm_web::entry::Entry;
use hrm_web::examples;
use hrm_web::timeline::{self, CellState};
use leptos::prelude::*;

use crate::dom;
use crate::lab::Lab;
use crate::place::Place;
use crate::replay::Recorded;

/// Where the model is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// The list of models is on its way.
    Catalog,
    /// Weights are on their way: bytes received and bytes in all.
    Loading(u64, u64),
    /// Ready to run.
    Loaded {
        /// Segments the model was trained for.
        segments: usize,
        /// What runs it.
        engine: EngineFacts,
    },
    /// Nothing can run until something is done about it.
    Failed(ErrorKind, String),
}

/// Speeds to choose from: name and pause after each segment in milliseconds.
pub(crate) const SPEEDS: [(&str, u32); 4] =
    [("Slow", 1500), ("Calm", 600), ("Quick", 150), ("Full", 0)];

/// What of the state says which run is looked at.
#[derive(Clone, Copy)]
struct Seen {
    entry: RwSignal<Entry>,
    reports: RwSignal<Vec<SegmentReport>>,
    looking_at: RwSignal<Option<usize>>,
    limit: RwSignal<usize>,
    lab: Lab,
}

impl Seen {
    /// The guess that is looked at, if there is one and it is about what is
    /// on the board. Tracked.
    fn guess(self) -> Option<usize> {
        let guess = self.lab.shown.get()?;
        let race = self.lab.race;
        let known = race
            .reports
            .with(|runs| runs.get(guess).is_some_and(|run| !run.is_empty()));
        let here = self.entry.with(|entry| {
            race.puzzle
                .with(|puzzle| puzzle.as_ref() == Some(entry.board()))
        });
        (known && here).then_some(guess)
    }

    /// The segment of the run on the board. Tracked.
    fn at(self) -> usize {
        let at = self.looking_at.get();
        at.unwrap_or_else(|| self.reports.with(Vec::len))
    }

    /// How it stands. Tracked.
    fn standing(self, guess: Option<usize>) -> Standing {
        self.entry.with(|entry| {
            self.with(guess, |run, at, limit| {
                Standing::of(entry.board(), run, at, limit)
            })
        })
    }

    fn with<T>(
        self,
        guess: Option<usize>,
        look: impl FnOnce(&[SegmentReport], usize, usize) -> T,
    ) -> T {
        let at = self.looking_at.get();
        match guess {
            Some(guess) => {
                let race = self.lab.race;
                let busy = race.busy.get();
                race.reports.with(|runs| {
                    let run = runs
                        .get(guess)
                        .map_or(&[] as &[SegmentReport], Vec::as_slice);
                    // Nobody knows how long it will take.
                    let limit = if busy { usize::MAX } else { run.len() };
                    look(run, at.unwrap_or(run.len()), limit)
                })
            }
            None => self
                .reports
                .with(|run| look(run, at.unwrap_or(run.len()), self.limit.get())),
        }
    }
}

/// Everything the page shows.
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// What the address asks for and keeps.
    pub(crate) place: Place,
    /// The puzzle and its edits.
    pub(crate) entry: RwSignal<Entry>,
    /// The cell that has, or would have, the keyboard focus.
    pub(crate) cursor: RwSignal<usize>,
    /// What is wrong with what was entered.
    pub(crate) notice: RwSignal<Option<String>>,
    /// How many solutions the puzzle has, once counted.
    pub(crate) solutions: RwSignal<Option<Solutions>>,
    /// Whether a new puzzle is being made.
    pub(crate) generating: RwSignal<bool>,

    /// The models there are.
    pub(crate) models: RwSignal<Vec<Manifest>>,
    /// Folder name of the chosen model.
    pub(crate) model: RwSignal<Option<String>>,
    /// The processor wanted.
    pub(crate) device: RwSignal<DeviceChoice>,
    /// Where the model is.
    pub(crate) phase: RwSignal<Phase>,

    /// Number of the run.
    pub(crate) run: RwSignal<u32>,
    /// Whether the worker has begun the run.
    pub(crate) started: RwSignal<bool>,
    /// The segments so far.
    pub(crate) reports: RwSignal<Vec<SegmentReport>>,
    /// How long each took, milliseconds.
    pub(crate) times: RwSignal<Vec<f64>>,
    /// The segment looked at, if not the last.
    pub(crate) looking_at: RwSignal<Option<usize>>,
    /// Whether it plays, or is to as soon as the model is there.
    pub(crate) playing: RwSignal<bool>,
    /// Segments after which playing ends.
    pub(crate) limit: RwSignal<usize>,
    /// Index into [`SPEEDS`].
    pub(crate) speed: RwSignal<usize>,
    /// The segment that a link or the tour asks for, until it is there.
    pub(crate) goal: RwSignal<Option<usize>>,
    /// Whether what is shown was recorded, and where it comes from.
    pub(crate) recorded: RwSignal<Option<Recorded>>,
    /// Something that happened and was dealt with.
    pub(crate) news: RwSignal<Option<String>>,
    /// Whether the last text was no puzzle.
    pub(crate) misread: RwSignal<bool>,
    /// What goes beyond the single run.
    pub(crate) lab: Lab,
    /// Kind and size of the puzzle.
    pub(crate) kind: Memo<PuzzleKind>,
    /// The cells as they are looked at.
    pub(crate) cells: Memo<Vec<CellState>>,
    /// How the run that is looked at stands at the moment that is looked at:
    /// all that the page says of it comes from here.
    pub(crate) standing: Memo<Standing>,
    /// The guess that is looked at instead of the run on the board.
    pub(crate) guess: Memo<Option<usize>>,
}

impl State {
    /// The first state: the puzzle of the page's address or an example.
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let address = place.asked.get_untracked();
        let puzzle = address
            .puzzle
            .unwrap_or_else(|| examples::sudoku(Shape::S9).into());
        let entry = RwSignal::new(Entry::new(puzzle));
        let reports = RwSignal::new(Vec::new());
        let looking_at = RwSignal::new(None);
        let lab = Lab::new();
        let kind = Memo::new(move |_| entry.with(Entry::kind));
        let limit = RwSignal::new(16);
        let seen = Seen {
            entry,
            reports,
            looking_at,
            limit,
            lab,
        };
        let guess = Memo::new(move |_| seen.guess());
        let cells = Memo::new(move |_| {
            entry.with(|entry| {
                let mut cells = seen.with(guess.get(), |reports, at, _| {
                    timeline::cells(entry.board(), reports, at)
                });
                if guess.get().is_none() {
                    lab.show(&mut cells, entry.board(), seen.at());
                }
                for (cell, state) in cells.iter_mut().enumerate() {
                    state.own = entry.is_own(cell);
                }
                cells
            })
        });
        let standing = Memo::new(move |_| {
            let guess = guess.get();
            let standing = seen.standing(guess);
            let inside = lab.update.get().filter(|_| guess.is_none());
            inside
                .and_then(|update| {
                    let conflicts = lab.conflicts_inside(standing.segment, update)?;
                    let changed = cells.with(|cells| cells.iter().filter(|c| c.changed).count());
                    Some(standing.clone().inside(update, changed, conflicts))
                })
                .unwrap_or(standing)
        });
        let device = dom::query("device")
            .and_then(|name| DeviceChoice::from_name(&name))
            .unwrap_or_default();
        Self {
            place,
            entry,
            cursor: RwSignal::new(0),
            notice: RwSignal::new(None),
            solutions: RwSignal::new(None),
            generating: RwSignal::new(false),
            models: RwSignal::new(Vec::new()),
            model: RwSignal::new(address.model),
            device: RwSignal::new(device),
            phase: RwSignal::new(Phase::Catalog),
            run: RwSignal::new(0),
            started: RwSignal::new(false),
            reports,
            times: RwSignal::new(Vec::new()),
            looking_at,
            playing: RwSignal::new(false),
            limit,
            speed: RwSignal::new(1),
            goal: RwSignal::new(None),
            recorded: RwSignal::new(None),
            news: RwSignal::new(None),
            misread: RwSignal::new(false),
            lab,
            kind,
            cells,
            standing,
            guess,
        }
    }

    /// The puzzle, untracked.
    pub(crate) fn puzzle(&self) -> AnyPuzzle {
        self.entry.with_untracked(|entry| entry.board().clone())
    }

    /// The segment looked at, 0 before the first. Tracked.
    pub(crate) fn segment(&self) -> usize {
        self.standing.with(|standing| standing.segment)
    }

    /// Looks at the run that is looked at: its reports, the segment, and those
    /// that it is to take. Tracked.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&[SegmentReport], usize, usize) -> T) -> T {
        let seen = Seen {
            entry: self.entry,
            reports: self.reports,
            looking_at: self.looking_at,
            limit: self.limit,
            lab: self.lab,
        };
        seen.with(self.guess.get(), look)
    }

    /// How the run on the board stands at its end, whatever is looked at.
    /// Untracked.
    pub(crate) fn end(&self) -> Standing {
        let limit = self.limit.get_untracked();
        let puzzle = self.puzzle();
        self.reports
            .with_untracked(|reports| Standing::of(&puzzle, reports, reports.len(), limit))
    }

    /// The solution, where there is only one. Tracked.
    pub(crate) fn key(&self) -> Option<AnyPuzzle> {
        let one = self.solutions.get() == Some(Solutions::One);
        self.lab.answer.get().filter(|_| one)
    }

    /// Segments that a run takes: those chosen, or those that the loaded model
    /// was trained for, 16 while there is none.
    pub(crate) fn trained_for(&self) -> usize {
        if let Some(chosen) = self.lab.depth.get_untracked() {
            return chosen;
        }
        self.phase.with_untracked(|phase| match phase {
            Phase::Loaded { segments, .. } => *segments,
            _ => 16,
        })
    }
}
