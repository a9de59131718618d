//! What a person or the worker can make the page do.

use std::rc::Rc;

use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_core::reason::message::{DeviceChoice, ErrorKind, Event, Request};
use hrm_core::weights::Manifest;
use hrm_web::address::Address;
use hrm_web::entry::Entry;
use hrm_web::examples;
use leptos::prelude::*;

use crate::dom;
use crate::link::Link;
use crate::state::{Phase, SPEEDS, State};

/// The state with the worker behind it.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    /// What the page knows.
    pub(crate) state: State,
    link: StoredValue<Option<Rc<Link>>, LocalStorage>,
}

impl Page {
    /// Starts the worker.
    pub(crate) fn open() -> Self {
        let page = Self {
            state: State::new(),
            link: StoredValue::new_local(None),
        };
        let link = Link::open(move |event| page.hear(event));
        page.link.set_value(Some(Rc::new(link)));
        page.count_solutions();
        // The address follows what is shown.
        Effect::new(move || {
            let puzzle = page.state.entry.with(|entry| entry.board().clone());
            let model = page.state.model.get();
            if page.state.models.with(Vec::is_empty) {
                return;
            }
            dom::set_fragment(
                &Address {
                    model,
                    puzzle: Some(puzzle),
                }
                .fragment(),
            );
        });
        page
    }

    fn send(&self, request: &Request) {
        if let Some(link) = self.link.get_value() {
            link.send(request);
        }
    }

    // What the worker says.

    fn hear(&self, event: Event) {
        let s = self.state;
        let current = |run: u32| run == s.run.get_untracked() && s.started.get_untracked();
        match event {
            Event::Ready => {
                self.send(&Request::Catalog {
                    base: models_base(),
                });
                self.count_solutions();
            }
            Event::Catalog { models } => {
                s.models.set(models);
                self.choose_first_model();
            }
            Event::Progress { received, total } => s.phase.set(Phase::Loading(received, total)),
            Event::Loaded {
                model,
                segments,
                engine,
            } => {
                if s.model.get_untracked().as_deref() != Some(&model) {
                    return;
                }
                s.limit.set(segments);
                s.phase.set(Phase::Loaded { segments, engine });
                if s.playing.get_untracked() {
                    self.play();
                }
            }
            Event::Segment {
                run,
                report,
                milliseconds,
            } if current(run) => {
                let following = s.looking_at.with_untracked(Option::is_none);
                s.times.update(|times| times.push(milliseconds));
                let solved = report.solved;
                let segment = report.segment;
                let verdict = report.verdict();
                s.reports.update(|reports| reports.push(report));
                if !following && s.playing.get_untracked() {
                    s.looking_at.set(None);
                }
                if !s.playing.get_untracked() {
                    // Stepping by hand: the end is the same as in playing.
                    let ended = solved || segment >= s.limit.get_untracked();
                    s.verdict.set(ended.then_some(verdict));
                }
            }
            Event::Finished { run, verdict } if current(run) => {
                s.playing.set(false);
                s.verdict.set(Some(verdict));
            }
            // Of a run that was given up.
            Event::Segment { .. } | Event::Finished { .. } => {}
            Event::Checked { puzzle, solutions } => {
                if puzzle == s.puzzle() {
                    s.solutions.set(Some(solutions));
                }
            }
            Event::Generated { puzzle, .. } => {
                s.generating.set(false);
                self.set_puzzle(puzzle);
            }
            Event::Error { kind, message } => self.fail(kind, message),
        }
    }

    fn fail(&self, kind: ErrorKind, message: String) {
        let s = self.state;
        s.playing.set(false);
        s.started.set(false);
        if s.generating.get_untracked() && kind == ErrorKind::Input {
            s.generating.set(false);
            s.notice.set(Some(message));
            return;
        }
        // The first error is the cause; a panic's other traces follow it.
        if s.phase
            .with_untracked(|phase| matches!(phase, Phase::Failed(ErrorKind::Internal, _)))
        {
            return;
        }
        s.phase.set(Phase::Failed(kind, message));
    }

    // The model.

    /// The model of the address, or the first that plays the puzzle.
    fn choose_first_model(&self) {
        let s = self.state;
        let shape = s.entry.with_untracked(Entry::shape);
        let wanted = s.model.get_untracked();
        let from_address = Address::parse(&dom::fragment()).puzzle.is_some();
        let id = s.models.with_untracked(|models| {
            let named = models.iter().find(|m| Some(&m.id) == wanted.as_ref());
            let plays = models.iter().find(|m| m.puzzle == shape);
            match named {
                Some(model) if model.puzzle == shape || !from_address => Some(model.id.clone()),
                _ => plays.or(models.first()).map(|m| m.id.clone()),
            }
        });
        if let Some(id) = id {
            self.choose_model(&id);
        }
    }

    /// Loads a model; shows a puzzle of its size if there is none.
    pub(crate) fn choose_model(&self, id: &str) {
        let s = self.state;
        let shape = s
            .models
            .with_untracked(|models| models.iter().find(|m| m.id == id).map(|m| m.puzzle));
        let Some(shape) = shape else { return };
        s.model.set(Some(id.to_owned()));
        if s.entry.with_untracked(Entry::shape) != shape {
            self.put(examples::first(shape));
        }
        self.load();
    }

    /// Loads the chosen model, again if need be.
    pub(crate) fn load(&self) {
        let s = self.state;
        // Whoever pressed play before the model was there still wants it.
        let waiting = s.playing.get_untracked() && !s.started.get_untracked();
        self.reset();
        s.playing.set(waiting);
        let Some(model) = s.model.get_untracked() else {
            s.phase.set(Phase::Catalog);
            self.send(&Request::Catalog {
                base: models_base(),
            });
            return;
        };
        let bytes = s.models.with_untracked(|models| {
            models
                .iter()
                .find(|m| m.id == model)
                .map_or(0, Manifest::bytes)
        });
        s.phase.set(Phase::Loading(0, bytes));
        let device = s.device.get_untracked();
        self.send(&Request::Load {
            base: models_base(),
            model,
            device,
        });
    }

    /// Loads the chosen model onto that processor.
    pub(crate) fn choose_device(&self, device: DeviceChoice) {
        self.state.device.set(device);
        self.load();
    }

    // The puzzle.

    /// Reads a puzzle from text; what is wrong with it goes to the notice.
    pub(crate) fn paste(&self, text: &str) -> bool {
        match Board::parse(text, None) {
            Ok(board) => self.set_puzzle(board),
            Err(error) => {
                self.state
                    .notice
                    .set(Some(format!("Not a puzzle: {error}.")));
                false
            }
        }
    }

    /// Shows another puzzle, and changes the model if it plays another size.
    pub(crate) fn set_puzzle(&self, board: Board) -> bool {
        let s = self.state;
        let shape = board.shape();
        if self.plays(shape) || s.models.with_untracked(Vec::is_empty) {
            self.put(board);
            return true;
        }
        let other = s.models.with_untracked(|models| {
            models
                .iter()
                .find(|m| m.puzzle == shape)
                .map(|m| m.id.clone())
        });
        let Some(other) = other else {
            s.notice
                .set(Some(format!("None of the models here plays {shape}.")));
            return false;
        };
        self.put(board);
        self.choose_model(&other);
        true
    }

    fn plays(&self, shape: Shape) -> bool {
        let s = self.state;
        let id = s.model.get_untracked();
        s.models.with_untracked(|models| {
            models
                .iter()
                .any(|m| Some(&m.id) == id.as_ref() && m.puzzle == shape)
        })
    }

    fn put(&self, board: Board) {
        self.edit(move |entry| entry.replace(board));
        self.state.notice.set(None);
    }

    /// Writes a digit into the cell at the cursor, or clears it with 0.
    pub(crate) fn write(&self, digit: u8) {
        let cell = self.state.cursor.get_untracked();
        let side = self
            .state
            .entry
            .with_untracked(|entry| entry.shape().side());
        if usize::from(digit) > side {
            let message = format!("This board has the digits 1 to {side}.");
            self.state.notice.set(Some(message));
            return;
        }
        self.state.notice.set(None);
        self.edit(move |entry| entry.set(cell, digit));
    }

    /// Empties the board.
    pub(crate) fn clear(&self) {
        self.put(Board::blank(self.state.entry.with_untracked(Entry::shape)));
    }

    /// Takes the last edit back.
    pub(crate) fn undo(&self) {
        self.edit(Entry::undo);
        self.follow_shape();
    }

    /// Repeats the last edit taken back.
    pub(crate) fn redo(&self) {
        self.edit(Entry::redo);
        self.follow_shape();
    }

    /// An undo may have brought a puzzle of another size back.
    fn follow_shape(&self) {
        let s = self.state;
        let shape = s.entry.with_untracked(Entry::shape);
        if self.plays(shape) {
            return;
        }
        let other = s.models.with_untracked(|models| {
            models
                .iter()
                .find(|m| m.puzzle == shape)
                .map(|m| m.id.clone())
        });
        if let Some(other) = other {
            self.choose_model(&other);
        }
    }

    fn edit(&self, change: impl FnOnce(&mut Entry) -> bool) {
        let s = self.state;
        // Only a change may end the run.
        let Some(mut entry) = s.entry.try_get_untracked() else {
            return;
        };
        if !change(&mut entry) {
            return;
        }
        let cells = entry.shape().cells();
        if s.cursor.get_untracked() >= cells {
            s.cursor.set(0);
        }
        self.reset();
        s.entry.set(entry);
        self.count_solutions();
    }

    fn count_solutions(&self) {
        self.state.solutions.set(None);
        self.send(&Request::Check {
            puzzle: self.state.puzzle(),
        });
    }

    /// Asks the worker for a new puzzle.
    pub(crate) fn generate(&self, difficulty: Difficulty) {
        let s = self.state;
        self.pause();
        s.notice.set(None);
        s.generating.set(true);
        let shape = s.entry.with_untracked(Entry::shape);
        self.send(&Request::Generate {
            shape,
            difficulty,
            seed: dom::seed(),
        });
    }

    // The run.

    /// Plays: from the start, on from where it is, or past the end.
    pub(crate) fn play(&self) {
        let s = self.state;
        if s.verdict.get_untracked().is_some() {
            let solved = s
                .reports
                .with_untracked(|r| r.last().is_some_and(|r| r.solved));
            if solved {
                self.reset();
            } else {
                let done = s.reports.with_untracked(Vec::len);
                s.limit.set(done + s.trained_for());
            }
        }
        s.playing.set(true);
        s.verdict.set(None);
        s.looking_at.set(None);
        if self.start() {
            self.send(&self.play_request());
        }
    }

    fn play_request(&self) -> Request {
        let s = self.state;
        let (_, delay) = SPEEDS[s.speed.get_untracked().min(SPEEDS.len() - 1)];
        Request::Play {
            limit: s.limit.get_untracked(),
            delay,
        }
    }

    /// Stops after the present segment.
    pub(crate) fn pause(&self) {
        if self.state.playing.get_untracked() {
            self.state.playing.set(false);
            self.send(&Request::Pause);
        }
    }

    /// One segment. When an earlier one is looked at, the next of the known.
    pub(crate) fn step(&self) {
        let s = self.state;
        self.pause();
        let known = s.reports.with_untracked(Vec::len);
        if let Some(at) = s.looking_at.get_untracked().filter(|&at| at < known) {
            s.looking_at.set((at + 1 < known).then_some(at + 1));
            return;
        }
        if self.start() {
            if known >= s.limit.get_untracked() {
                s.limit.set(known + s.trained_for());
            }
            s.verdict.set(None);
            self.send(&Request::Step);
        }
    }

    /// Back to the puzzle.
    pub(crate) fn reset(&self) {
        let s = self.state;
        self.pause();
        s.run.update(|run| *run += 1);
        s.started.set(false);
        s.looking_at.set(None);
        s.verdict.set(None);
        s.reports.set(Vec::new());
        s.times.set(Vec::new());
        s.limit.set(s.trained_for());
    }

    /// Changes the speed, of a playing run too.
    pub(crate) fn set_speed(&self, speed: usize) {
        self.state.speed.set(speed);
        if self.state.playing.get_untracked() && self.state.started.get_untracked() {
            self.send(&self.play_request());
        }
    }

    /// Has the worker begin the run, unless it has. Returns whether there is
    /// a model to run on.
    fn start(&self) -> bool {
        let s = self.state;
        if !s
            .phase
            .with_untracked(|phase| matches!(phase, Phase::Loaded { .. }))
        {
            return false;
        }
        if !s.started.get_untracked() {
            s.started.set(true);
            self.send(&Request::Start {
                run: s.run.get_untracked(),
                puzzle: s.puzzle(),
            });
        }
        true
    }
}

fn models_base() -> String {
    dom::absolute("models/")
}
