//! A run as the room knows it, and what can be done with it.

use std::rc::Rc;

use hrm_train_room::history::Evaluation;
use hrm_train_room::message::{Begun, News, Order, Place, Recording};
use hrm_train_room::settings::Settings;
use hrm_train_room::telling::{self, Phase};
use js_sys::Uint8Array;
use leptos::prelude::*;
use web_sys::File;

use crate::dom;
use crate::link::Link;

/// Puzzles of a measurement that is asked for.
pub(crate) const MANY: usize = 500;

/// A run with its worker.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// Its name, which ends the ids of its elements.
    pub(crate) name: &'static str,
    /// Whether an address has asked for settings that no run has had yet.
    linked: RwSignal<bool>,
    /// The settings that are chosen, which a new run begins with.
    pub(crate) settings: RwSignal<Settings>,
    /// The run that is shown.
    pub(crate) begun: RwSignal<Option<Begun>>,
    /// What it does.
    pub(crate) phase: RwSignal<Phase>,
    /// Where it is.
    pub(crate) place: RwSignal<Place>,
    /// The evaluation that is looked at, if not the newest.
    pub(crate) chosen: RwSignal<Option<usize>>,
    /// The one under the pointer.
    pub(crate) hovered: RwSignal<Option<usize>>,
    /// Whether a recording moves on by itself.
    pub(crate) plays: RwSignal<bool>,
    /// Workers that share the work.
    pub(crate) workers: RwSignal<usize>,
    /// Whether it goes on though nobody sees it.
    pub(crate) unseen: RwSignal<bool>,
    /// How it is kept.
    pub(crate) kept: RwSignal<String>,
    /// What was measured, or is being measured.
    pub(crate) measured: RwSignal<String>,
    /// What else there is to say.
    pub(crate) note: RwSignal<String>,
    link: StoredValue<Option<Rc<Link>>, LocalStorage>,
}

impl Run {
    /// A run of these settings, which is not begun.
    pub(crate) fn new(
        name: &'static str,
        settings: Settings,
        linked: bool,
        workers: usize,
    ) -> Self {
        Self {
            name,
            linked: RwSignal::new(linked),
            settings: RwSignal::new(settings),
            begun: RwSignal::new(None),
            phase: RwSignal::new(Phase::default()),
            place: RwSignal::new(Place::default()),
            chosen: RwSignal::new(None),
            hovered: RwSignal::new(None),
            plays: RwSignal::new(true),
            workers: RwSignal::new(workers),
            unseen: RwSignal::new(false),
            kept: RwSignal::new(String::new()),
            measured: RwSignal::new(String::new()),
            note: RwSignal::new(String::new()),
            link: StoredValue::new_local(None),
        }
    }

    /// Starts its worker, which looks whether a run is kept.
    pub(crate) fn connect(self) {
        let link = Link::open(self.name, move |news, bytes| self.hear(news, &bytes));
        let link = Rc::new(link);
        link.send(Order::TakeUp {
            workers: self.workers.get_untracked(),
        });
        self.link.set_value(Some(link));
    }

    /// Ends its worker; what was kept is forgotten.
    pub(crate) fn close(self) {
        self.send(Order::Forget);
        self.link.set_value(None);
    }

    /// Shows a recorded training, as long as there is no run.
    pub(crate) fn show(self, recording: Recording) {
        if self.phase.get_untracked() != Phase::Recorded
            || self.begun.with_untracked(Option::is_some)
        {
            return;
        }
        self.place.set(Place {
            step: recording.run.step,
            seconds: recording.seconds,
            over: true,
            ..Place::default()
        });
        self.begun.set(Some(recording.run));
    }

    /// Looks at an evaluation, or at the newest one again.
    pub(crate) fn look(self, at: Option<usize>) {
        self.plays.set(false);
        self.chosen.set(at);
    }

    /// Shows the next moment of a recording, and begins it again after a rest
    /// at its end.
    pub(crate) fn play_on(self) {
        const REST: usize = 6;
        if !self.plays.get_untracked() || untrack(|| self.is_live()) {
            return;
        }
        let count = self
            .begun
            .with_untracked(|run| run.as_ref().map_or(0, |run| run.history.evaluations.len()));
        if count > 0 {
            let next = self.chosen.get_untracked().map_or(0, |at| at + 1);
            self.chosen.set(Some(next % (count + REST)));
        }
    }

    fn send(self, order: Order) {
        if let Some(link) = self.link.get_value() {
            link.send(order);
        }
    }

    /// Whether there is a run, not a recording. Tracked.
    pub(crate) fn is_live(self) -> bool {
        self.phase.with(|phase| *phase != Phase::Recorded)
    }

    /// Whether other settings are chosen than those of the run. Tracked.
    pub(crate) fn differs(self) -> bool {
        let chosen = self.settings.get();
        self.begun
            .with(|run| run.as_ref().is_none_or(|run| run.settings != chosen))
    }

    /// The evaluation that is looked at. Tracked.
    pub(crate) fn seen(self) -> Option<usize> {
        let count = self
            .begun
            .with(|run| run.as_ref().map_or(0, |run| run.history.evaluations.len()));
        let at = self.hovered.get().or(self.chosen.get());
        count
            .checked_sub(1)
            .map(|last| at.map_or(last, |at| at.min(last)))
    }

    /// The same with what it has measured. Tracked.
    pub(crate) fn with_seen<T>(self, look: impl FnOnce(&Begun, &Evaluation) -> T) -> Option<T> {
        let at = self.seen()?;
        self.begun.with(|run| {
            let run = run.as_ref()?;
            Some(look(run, run.history.evaluations.get(at)?))
        })
    }

    // What can be done.

    /// Trains, or waits.
    pub(crate) fn toggle(self) {
        let live = untrack(|| self.is_live()) && !untrack(|| self.differs());
        let waits = self.phase.with_untracked(|phase| *phase == Phase::Waiting);
        if !live {
            self.begin(true);
        } else if self.place.get_untracked().running || waits {
            self.phase.set(Phase::There);
            self.send(Order::Pause);
        } else {
            self.send(Order::Train);
        }
    }

    /// Begins anew with the settings that are chosen.
    pub(crate) fn begin(self, train: bool) {
        let settings = self.settings.get_untracked();
        if let Err(reason) = settings.check() {
            self.note.set(reason);
            return;
        }
        for text in [self.note, self.kept, self.measured] {
            text.set(String::new());
        }
        self.send(Order::Begin {
            settings: Box::new(settings),
            workers: self.workers.get_untracked(),
            train,
        });
    }

    /// One step.
    pub(crate) fn step(self) {
        if untrack(|| self.is_live()) && !untrack(|| self.differs()) {
            self.send(Order::Step);
        } else {
            self.begin(false);
            self.send(Order::Step);
        }
    }

    /// Measures on many puzzles.
    pub(crate) fn measure(self) {
        self.measured
            .set(format!("Measuring on {MANY} new puzzles …"));
        self.send(Order::Measure { puzzles: MANY });
    }

    /// Has the run as files.
    pub(crate) fn export(self) {
        self.send(Order::Export);
    }

    /// Puts the network where the page keeps those that were brought.
    pub(crate) fn use_it(self) {
        self.send(Order::Model);
    }

    /// Takes a run up from files.
    pub(crate) async fn import(self, files: Vec<File>) {
        let (mut names, mut contents) = (Vec::new(), Vec::new());
        for file in files {
            if let Some(content) = dom::content(&file).await {
                names.push(file.name());
                contents.push(content);
            }
        }
        // What is opened is wanted, whatever was linked to.
        self.linked.set(false);
        let order = Order::Import {
            names,
            workers: self.workers.get_untracked(),
        };
        if let Some(link) = self.link.get_value() {
            link.send_with(order, &contents);
        }
    }

    /// The page has been hidden or shown.
    pub(crate) fn watch_page(self) {
        let waits = self.phase.with_untracked(|phase| *phase == Phase::Waiting);
        if dom::is_hidden() {
            if self.unseen.get_untracked() {
                self.send(Order::Keep);
            } else if self.place.get_untracked().running {
                self.phase.set(Phase::Waiting);
                self.send(Order::Pause);
            }
        } else if waits {
            self.phase.set(Phase::There);
            self.send(Order::Train);
        }
    }

    // What the worker says.

    fn hear(self, news: News, files: &[Uint8Array]) {
        match news {
            News::Ready | News::Nothing => {}
            News::Making { done, total } => self.phase.set(Phase::Making(done, total)),
            News::Begun { run } => {
                let asked = self.settings.get_untracked();
                // A link may ask for something else than was kept.
                if run.step == 0 || !self.linked.get_untracked() || asked == run.settings {
                    self.settings.set(run.settings.clone());
                } else {
                    self.note.set(
                        "This is the run that was kept here. The settings that are chosen are \
                         others: Restart begins a run with them."
                            .to_owned(),
                    );
                }
                if run.step > 0 {
                    self.kept.set(format!(
                        "Taken up at step {}.",
                        telling::grouped(run.step as usize)
                    ));
                }
                self.workers.set(run.workers);
                self.chosen.set(None);
                self.hovered.set(None);
                self.begun.set(Some(*run));
                self.phase.set(Phase::There);
            }
            News::Progress { place, marks } => {
                self.place.set(place);
                // It may have begun while nobody saw it.
                let there = self.phase.with_untracked(|phase| *phase == Phase::There);
                if place.running && there && dom::is_hidden() && !self.unseen.get_untracked() {
                    self.watch_page();
                }
                if !marks.is_empty() {
                    self.begun.update(|run| {
                        if let Some(run) = run {
                            run.history.add(&marks);
                        }
                    });
                }
            }
            News::Evaluated { evaluation } => self.begun.update(|run| {
                if let Some(run) = run {
                    run.history.evaluate(*evaluation);
                }
            }),
            News::Measured { evaluation } => self.measured.set(telling::measured(&evaluation)),
            News::Kept { step, bytes } => self.kept.set(format!(
                "Kept in this browser at step {} ({:.1} MB).",
                telling::grouped(step as usize),
                bytes as f64 / 1e6
            )),
            News::NotKept { reason } => self.kept.set(reason),
            News::Files { names } => self.take(&names, files),
            News::Failed { reason } => {
                // Before there is a run, the recording is still right.
                if untrack(|| self.is_live()) {
                    self.phase.set(Phase::Broken(reason.clone()));
                }
                self.note.set(reason);
            }
        }
    }

    fn take(self, names: &[String], files: &[Uint8Array]) {
        if let ([name], [bytes]) = (names, files) {
            if dom::download(name, bytes).is_none() {
                self.note
                    .set("The browser refused to save the file.".to_owned());
            }
            return;
        }
        let files: Vec<_> = names.iter().cloned().zip(files.iter().cloned()).collect();
        match dom::bring(&files) {
            Some(()) => {
                self.note.set(
                    "It is among the networks of the page now, and every room takes it.".to_owned(),
                );
                dom::show_networks();
            }
            None => self
                .note
                .set("The browser refused to hand it over.".to_owned()),
        }
    }
}
