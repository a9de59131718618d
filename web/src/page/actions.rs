//! What a person or the worker can make the page do.

use std::rc::Rc;

use hrm_core::puzzle::maze::Cell;
use hrm_core::puzzle::reader::plain_sudoku;
use hrm_core::puzzle::{AnyPuzzle, Puzzle, PuzzleKind, digit_char};
use hrm_core::reason::State as Standing;
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::{DeviceChoice, ErrorKind, Event, Request, WayLength, Wish};
use hrm_core::weights::Manifest;
use hrm_web::address::Address;
use hrm_web::entry::{Entry, Mode};
use hrm_web::examples;
use leptos::prelude::*;

use crate::bring::call_off;
use crate::dom;
use crate::lab::Runs;
use crate::link::Link;
use crate::live::effect;
use crate::replay::Tape;
use crate::state::{Phase, SPEEDS, State};

/// The state with the worker behind it.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    /// What the page knows.
    pub(crate) state: State,
    link: StoredValue<Option<Rc<Link>>, LocalStorage>,
    /// What was asked for before the worker listened; none once it does.
    early: StoredValue<Option<Vec<Request>>>,
    /// The messages of the run that is shown, or is being replayed.
    pub(crate) tape: StoredValue<Tape>,
    /// What the worker has said since the page was drawn last.
    heard: StoredValue<Vec<(Event, String)>>,
}

impl Page {
    /// What the page knows at first, the recorded run if there is one.
    pub(crate) fn open() -> Self {
        let page = Self {
            state: State::new(),
            link: StoredValue::new_local(None),
            early: StoredValue::new(Some(Vec::new())),
            tape: StoredValue::new(Tape::default()),
            heard: StoredValue::new(Vec::new()),
        };
        page.open_with_demo();
        page
    }

    /// Starts the worker, and has the address follow what is shown.
    pub(crate) fn connect(self) {
        let relief = self.state.lab.latent.relief;
        let link = Link::open(
            move |event, text| self.take_note(event, text),
            move |seen| relief.set(Some(seen)),
        );
        self.link.set_value(Some(Rc::new(link)));
        self.count_solutions();
        let mut shown: Option<AnyPuzzle> = None;
        effect(move || {
            let address = self.permalink();
            if self.state.models.with(Vec::is_empty) {
                return;
            }
            // Back and forward walk from puzzle to puzzle; digits that are
            // written into one are no other, and a link has its entry already.
            let base = self.state.entry.with(|entry| entry.base().clone());
            let other = shown.as_ref().is_some_and(|shown| *shown != base);
            let here = Address::parse(&dom::fragment()).puzzle;
            let left = here.is_some_and(|here| here != base);
            shown = Some(base);
            dom::set_fragment(&address, other && left);
        });
    }

    /// Address of what the page shows now, as a fragment. Tracked.
    pub(crate) fn permalink(&self) -> String {
        let s = self.state;
        let puzzle = s.entry.with(|entry| entry.board().clone());
        s.place.address(s.model.get(), puzzle).fragment()
    }

    /// The worker, once it was started.
    pub(crate) fn link(&self) -> Option<Rc<Link>> {
        self.link.get_value()
    }

    /// Address of what a batch shows, as a fragment. Tracked.
    pub(crate) fn permalink_of(&self, runs: Runs) -> String {
        match (runs.network.get(), runs.puzzle.get()) {
            (network @ Some(_), Some(puzzle)) => {
                self.state.place.address(network, puzzle).fragment()
            }
            _ => self.permalink(),
        }
    }

    /// Sends a request, as soon as the worker listens.
    pub(crate) fn send(&self, request: &Request) {
        let waits = self
            .early
            .try_update_value(|early| early.as_mut().map(|early| early.push(request.clone())));
        if waits.flatten().is_none()
            && let Some(link) = self.link.get_value()
        {
            link.send(request);
        }
    }

    // What the worker says.

    /// Hears what the worker says at once, but news of runs no more often than
    /// the page is drawn: all that came meanwhile is drawn together.
    fn take_note(&self, event: Event, text: &str) {
        let news = matches!(
            event,
            Event::Segment { .. } | Event::Finished { .. } | Event::Lab { .. }
        );
        let first = self.heard.with_value(Vec::is_empty);
        if !news {
            self.hear_all();
            self.hear(event, text);
            return;
        }
        self.heard.update_value(|heard| {
            // Of the plane only the last news counts.
            let plane = |event: &Event| {
                matches!(
                    event,
                    Event::Lab {
                        event: LabEvent::Plane { .. }
                    }
                )
            };
            if plane(&event) {
                heard.retain(|(event, _)| !plane(event));
            }
            heard.push((event, text.to_owned()));
        });
        if document().hidden() {
            self.hear_all();
        } else if first {
            let page = *self;
            request_animation_frame(move || page.hear_all());
        }
    }

    /// Hears what the worker has said since the page was drawn last, and lets
    /// it know how far the run has been seen.
    pub(crate) fn hear_all(&self) {
        let heard = self.heard.try_update_value(std::mem::take);
        let mut seen = None;
        for (event, text) in heard.unwrap_or_default() {
            if let Event::Segment { report, .. } = &event {
                seen = Some(report.segment);
            }
            self.hear(event, &text);
        }
        if let Some(segment) = seen {
            self.send(&Request::Seen { segment });
        }
    }

    /// Hears an event; its `text` is kept where it belongs to a live run.
    pub(crate) fn hear(&self, event: Event, text: &str) {
        let s = self.state;
        let current = |run: u32| run == s.run.get_untracked() && s.started.get_untracked();
        match event {
            Event::Ready => {
                let early = self.early.try_update_value(Option::take).flatten();
                self.send(&Request::Catalog {
                    base: models_base(),
                });
                for request in early.unwrap_or_default() {
                    self.send(&request);
                }
            }
            Event::Catalog { models, brought } => {
                s.models.set(models);
                match brought {
                    Some(id) => {
                        call_off();
                        self.choose_model(&id);
                    }
                    None if self.is_in_use() => {}
                    None => self.choose_first_model(),
                }
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
                s.limit.set(s.lab.depth.get_untracked().unwrap_or(segments));
                s.phase.set(Phase::Loaded { segments, engine });
                self.keep_storage();
                self.go_live();
                if let Some(goal) = s.goal.get_untracked() {
                    self.go_to(goal);
                } else if s.playing.get_untracked() {
                    self.play();
                }
            }
            Event::Recovered { segment, engine } => {
                let message = format!(
                    "The GPU was lost. The network was loaded again, and the run goes on after segment {segment}."
                );
                s.news.set(Some(message));
                if let Phase::Loaded { segments, .. } = s.phase.get_untracked() {
                    s.phase.set(Phase::Loaded { segments, engine });
                }
            }
            Event::NotKept { reason } => s.news.set(Some(reason)),
            Event::Segment {
                run,
                report,
                milliseconds,
            } if current(run) && report.segment == s.reports.with_untracked(Vec::len) + 1 => {
                let following = s.looking_at.with_untracked(Option::is_none);
                s.times.update(|times| times.push(milliseconds));
                self.record(text);
                s.reports.update(|reports| reports.push(report));
                if !following && s.playing.get_untracked() {
                    s.looking_at.set(None);
                }
            }
            Event::Finished { run, .. } if current(run) => {
                s.playing.set(false);
                if let Some(goal) = s.goal.get_untracked() {
                    self.go_to(goal);
                }
            }
            // The live engine catches up with what is shown, and its own
            // numbers take the place of those: another processor's differ.
            Event::Segment {
                run,
                report,
                milliseconds,
            } if current(run) && report.segment > 0 => {
                self.record(text);
                let at = report.segment - 1;
                s.times.update(|times| {
                    if let Some(time) = times.get_mut(at) {
                        *time = milliseconds;
                    }
                });
                s.reports.update(|reports| {
                    if let Some(shown) = reports.get_mut(at) {
                        *shown = report;
                    }
                });
            }
            // Of a run that was given up.
            Event::Segment { .. } | Event::Finished { .. } => {}
            Event::Read { puzzle, said } => {
                s.misread.set(puzzle.is_none());
                // What is said of its size comes before what is said of the rest.
                if puzzle.is_none_or(|puzzle| self.set_puzzle(puzzle)) {
                    s.notice.set(said);
                }
            }
            Event::Checked {
                puzzle,
                solutions,
                answer,
            } => {
                if puzzle == s.puzzle() {
                    s.solutions.set(Some(solutions));
                    s.lab.answer.set(answer.clone());
                }
                if s.entry.with_untracked(|entry| *entry.base() == puzzle) {
                    s.lab.base_answer.set(answer);
                }
            }
            Event::Lab { event } => {
                if matches!(&event, LabEvent::Inside { run, .. } if current(*run)) {
                    self.record(text);
                }
                self.hear_lab(event, text);
            }
            Event::Generated { puzzle } => {
                s.generating.set(false);
                self.set_puzzle(puzzle);
            }
            Event::Error { kind, message } => self.fail(kind, message),
        }
    }

    fn fail(&self, kind: ErrorKind, message: String) {
        let s = self.state;
        // A recorded run needs no engine.
        if s.recorded.with_untracked(Option::is_none) {
            s.playing.set(false);
            s.started.set(false);
        }
        s.lab.give_up("It was given up: something has failed.");
        call_off();
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
        let message = match kind {
            // What a browser says of it tells nobody anything.
            ErrorKind::Network => format!(
                "{message}. A network that was not used before is not kept on this device, and needs a connection."
            ),
            _ => message,
        };
        s.phase.set(Phase::Failed(kind, message));
    }

    // The model.

    /// The model of the address, or the first that plays the puzzle.
    fn choose_first_model(&self) {
        let s = self.state;
        let kind = s.entry.with_untracked(Entry::kind);
        let wanted = s.model.get_untracked();
        let from_address = s.place.asked.with_untracked(|asked| asked.puzzle.is_some());
        let mut played = true;
        let id = s.models.with_untracked(|models| {
            let named = models.iter().find(|m| Some(&m.id) == wanted.as_ref());
            let plays = models.iter().find(|m| m.plays(kind));
            played = plays.is_some();
            match named {
                Some(model) if model.plays(kind) || !from_address => Some(model.id.clone()),
                _ => plays.or(models.first()).map(|m| m.id.clone()),
            }
        });
        if let Some(id) = id {
            self.choose_model(&id);
        }
        if let Some(wanted) = wanted {
            self.miss(&wanted);
        }
        if from_address && !played {
            let said = format!(
                "{} Another puzzle is shown than the link’s.",
                unplayed(kind)
            );
            s.notice.set(Some(said));
        }
    }

    /// Whether the chosen model is among those there are and may be kept.
    fn is_in_use(&self) -> bool {
        let s = self.state;
        let id = s.model.get_untracked();
        let loaded = s
            .phase
            .with_untracked(|phase| matches!(phase, Phase::Loaded { .. }));
        let there = |models: &Vec<Manifest>| models.iter().any(|m| Some(&m.id) == id.as_ref());
        loaded && s.models.with_untracked(there)
    }

    /// Says that there is no model of that folder name, if that is so.
    fn miss(&self, id: &str) -> bool {
        let s = self.state;
        let missing = s
            .models
            .with_untracked(|models| models.iter().all(|m| m.id != id));
        if missing {
            let said = format!("There is no network {id:?} here; another one is shown.");
            s.notice.set(Some(said));
        }
        missing
    }

    /// Loads the model that a link names, or says that there is none.
    pub(crate) fn choose_named(&self, id: &str) {
        if !self.miss(id) {
            self.choose_model(id);
        }
    }

    /// Loads a model; shows a puzzle of its size if there is none.
    pub(crate) fn choose_model(&self, id: &str) {
        let s = self.state;
        let manifest = s
            .models
            .with_untracked(|models| models.iter().find(|m| m.id == id).cloned());
        let Some(manifest) = manifest else { return };
        if s.model.get_untracked().as_deref() != Some(id) {
            // What waits to be played or shown is meant for this model.
            let (waiting, goal) = (self.waiting(), s.goal.get_untracked());
            if !self.is_of(id) {
                self.reset();
                s.playing.set(waiting);
            }
            s.goal.set(goal);
            s.model.set(Some(id.to_owned()));
        }
        let here = s.entry.with_untracked(Entry::kind);
        if !manifest.plays(here) {
            self.put(examples::first(manifest.puzzle, |kind| {
                manifest.plays(kind)
            }));
        }
        self.load();
        // A bare field is nothing to watch.
        if let PuzzleKind::Maze(size) = manifest.puzzle
            && here.sudoku().is_ok()
            && s.puzzle() == AnyPuzzle::blank(size.into())
        {
            let way = WayLength::Medium;
            self.generate(Wish::Maze { size, way });
        }
    }

    /// Loads the chosen model, again if need be.
    pub(crate) fn load(&self) {
        let s = self.state;
        s.news.set(None);
        // The worker drops what it has in hand.
        s.lab
            .give_up("It was given up when the network was loaded again or another one was.");
        // What was shown stays; the new engine catches up with it.
        if s.recorded.with_untracked(Option::is_none) {
            let waiting = self.waiting();
            self.pause();
            s.playing.set(waiting);
            s.started.set(false);
        }
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

    /// Reads a puzzle from text. What is none at first sight the worker looks
    /// at: it knows more forms.
    pub(crate) fn paste(&self, text: &str) {
        match plain_sudoku(text) {
            Some(board) => {
                self.state.misread.set(false);
                self.set_puzzle(board.into());
            }
            None => self.send(&Request::Read {
                text: text.to_owned(),
            }),
        }
    }

    /// Shows another puzzle, and changes the model if it plays another size.
    pub(crate) fn set_puzzle(&self, board: AnyPuzzle) -> bool {
        let s = self.state;
        let kind = board.kind();
        if self.plays(kind) || s.models.with_untracked(Vec::is_empty) {
            self.put(board);
            return true;
        }
        let other = s
            .models
            .with_untracked(|models| models.iter().find(|m| m.plays(kind)).map(|m| m.id.clone()));
        let Some(other) = other else {
            s.notice.set(Some(unplayed(kind)));
            return false;
        };
        self.put(board);
        self.choose_model(&other);
        true
    }

    pub(crate) fn plays(&self, kind: PuzzleKind) -> bool {
        let s = self.state;
        let id = s.model.get_untracked();
        s.models.with_untracked(|models| {
            models
                .iter()
                .any(|m| Some(&m.id) == id.as_ref() && m.plays(kind))
        })
    }

    pub(crate) fn put(&self, board: AnyPuzzle) {
        self.edit(move |entry| entry.replace(board));
        self.state.notice.set(None);
    }

    /// Writes a digit into the cell at the cursor, or clears it with 0.
    pub(crate) fn write(&self, digit: u8) {
        let cell = self.state.cursor.get_untracked();
        let Ok(shape) = self.state.entry.with_untracked(Entry::kind).sudoku() else {
            return;
        };
        let side = shape.side();
        if usize::from(digit) > side {
            let message = format!("This board has the digits 1 to {}.", digit_char(side as u8));
            self.state.notice.set(Some(message));
            return;
        }
        self.state.notice.set(None);
        let cells = self.state.lab.selection(cell);
        let mode = self.state.lab.mode.get_untracked();
        self.edit(move |entry| match (digit, mode) {
            (0, _) => entry.erase(&cells),
            (_, Mode::Digit) => entry.fill(&cells, digit),
            _ => entry.mark(&cells, mode, digit),
        });
    }

    /// Draws into a cell of a maze; `goes_on` if it belongs to the stroke before.
    pub(crate) fn draw(&self, cell: usize, content: Cell, goes_on: bool) {
        self.state.notice.set(None);
        self.edit(move |entry| entry.draw(cell, content, goes_on));
    }

    /// Empties the board.
    pub(crate) fn clear(&self) {
        self.put(AnyPuzzle::blank(
            self.state.entry.with_untracked(Entry::kind),
        ));
    }

    /// Takes the last edit back.
    pub(crate) fn undo(&self) {
        self.edit(Entry::undo);
        self.follow_kind();
    }

    /// Repeats the last edit taken back.
    pub(crate) fn redo(&self) {
        self.edit(Entry::redo);
        self.follow_kind();
    }

    /// An undo may have brought a puzzle of another kind or size back.
    fn follow_kind(&self) {
        let s = self.state;
        let kind = s.entry.with_untracked(Entry::kind);
        if self.plays(kind) {
            return;
        }
        let other = s
            .models
            .with_untracked(|models| models.iter().find(|m| m.plays(kind)).map(|m| m.id.clone()));
        if let Some(other) = other {
            self.choose_model(&other);
        }
    }

    pub(crate) fn edit(&self, change: impl FnOnce(&mut Entry) -> bool) {
        let s = self.state;
        // Only a change may end the run.
        let Some(mut entry) = s.entry.try_get_untracked() else {
            return;
        };
        let board = entry.board().clone();
        let base = entry.base().clone();
        if !change(&mut entry) {
            return;
        }
        if *entry.board() == board && *entry.base() == base {
            // Pencil marks are nothing to the network.
            s.entry.set(entry);
            return;
        }
        if *entry.base() != base {
            s.lab.base_answer.set(None);
        }
        let cells = entry.kind().cells();
        if s.cursor.get_untracked() >= cells {
            s.cursor.set(0);
            s.lab.selected.set(Vec::new());
        }
        self.reset();
        s.entry.set(entry);
        self.count_solutions();
    }

    fn count_solutions(&self) {
        self.state.solutions.set(None);
        self.state.lab.answer.set(None);
        let base = self
            .state
            .entry
            .with_untracked(|entry| entry.base().clone());
        let puzzle = self.state.puzzle();
        if base != puzzle && self.state.lab.base_answer.with_untracked(Option::is_none) {
            self.send(&Request::Check { puzzle: base });
        }
        self.send(&Request::Check { puzzle });
    }

    /// Asks the worker for a new puzzle.
    pub(crate) fn generate(&self, wish: Wish) {
        let s = self.state;
        self.pause();
        s.notice.set(None);
        s.generating.set(true);
        self.send(&Request::Generate {
            wish,
            seed: dom::seed(),
        });
    }

    // The run.

    /// Plays: from the start, on from where it is, or past the end.
    pub(crate) fn play(&self) {
        let s = self.state;
        s.goal.set(None);
        let end = s.end();
        if end.state == Standing::Solved {
            self.reset();
        } else if end.state.is_failure() {
            s.limit.set(end.known + s.trained_for());
        }
        s.playing.set(true);
        s.lab.shown.set(None);
        s.looking_at.set(None);
        s.lab.update.set(None);
        if !self.replay() && self.start() {
            self.send(&self.play_request());
        }
    }

    /// Shows the board after a segment, running what is missing.
    pub(crate) fn go_to(&self, segment: usize) {
        let s = self.state;
        self.pause();
        s.lab.shown.set(None);
        let end = s.end();
        let known = end.known;
        if segment <= known || end.state == Standing::Solved {
            s.goal.set(None);
            s.looking_at.set((segment < known).then_some(segment));
            return;
        }
        s.goal.set(Some(segment));
        s.looking_at.set(None);
        if segment > s.limit.get_untracked() {
            s.limit.set(segment);
        }
        if self.start() {
            s.playing.set(true);
            self.send(&Request::Play {
                limit: segment,
                delay: 0,
            });
        }
    }

    fn play_request(&self) -> Request {
        Request::Play {
            limit: self.state.limit.get_untracked(),
            delay: self.delay(),
        }
    }

    /// Pause after each segment, milliseconds.
    pub(crate) fn delay(&self) -> u32 {
        SPEEDS[self.state.speed.get_untracked()].1
    }

    /// Whether play was pressed before there was a model: it is still wanted.
    fn waiting(&self) -> bool {
        let s = self.state;
        s.playing.get_untracked() && !s.started.get_untracked()
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
        s.lab.update.set(None);
        let known = untrack(|| s.seen(|reports, _, _| reports.len()));
        if let Some(at) = s.looking_at.get_untracked().filter(|&at| at < known) {
            s.looking_at.set((at + 1 < known).then_some(at + 1));
            return;
        }
        s.lab.shown.set(None);
        if self.replay_one() {
            return;
        }
        if self.start() {
            let known = s.reports.with_untracked(Vec::len);
            if known >= s.limit.get_untracked() {
                s.limit.set(known + s.trained_for());
            }
            self.send(&Request::Step);
        }
    }

    /// Back to the puzzle.
    pub(crate) fn reset(&self) {
        let s = self.state;
        self.pause();
        s.run.update(|run| *run += 1);
        s.started.set(false);
        s.goal.set(None);
        s.news.set(None);
        self.forget();
        s.looking_at.set(None);
        s.reports.set(Vec::new());
        s.times.set(Vec::new());
        s.lab.reset();
        s.limit.set(s.trained_for());
    }

    /// Changes the speed, of a playing run too.
    pub(crate) fn set_speed(&self, speed: usize) {
        self.state.speed.set(speed.min(SPEEDS.len() - 1));
        self.plan_anew();
    }

    /// Lets the worker know of another speed or end of the playing run.
    pub(crate) fn plan_anew(&self) {
        let s = self.state;
        // A recorded run looks at the speed after each segment.
        let live = s.recorded.with_untracked(Option::is_none) && s.started.get_untracked();
        if live && s.playing.get_untracked() && s.goal.with_untracked(Option::is_none) {
            self.send(&self.play_request());
        }
    }

    /// Has the worker begin the run, unless it has. Returns whether there is
    /// a model to run on.
    pub(crate) fn start(&self) -> bool {
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
            let shown = s.reports.with_untracked(Vec::len);
            if shown > 0 {
                self.send(&Request::CatchUp { segments: shown });
            }
        }
        true
    }
}

/// That no network plays such puzzles, as a sentence.
fn unplayed(kind: PuzzleKind) -> String {
    let side = kind.side();
    let puzzles = match kind {
        PuzzleKind::Sudoku(_) => "Sudokus",
        PuzzleKind::Maze(_) => "mazes",
        PuzzleKind::Arc(_) => "ARC grids",
    };
    format!("None of the networks here plays {puzzles} of {side}×{side}.")
}

pub(crate) fn models_base() -> String {
    dom::absolute("models/")
}
