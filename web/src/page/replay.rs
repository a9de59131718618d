//! Recorded runs: played as live ones are, and every live run as a file.

use std::time::Duration;

use hrm_core::puzzle::Board;
use hrm_core::reason::Recording;
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::Event;
use leptos::ev::DragEvent;
use leptos::prelude::*;

use crate::actions::Page;
use crate::batch_file::Seat;
use crate::dom;
use crate::picture::download;
use crate::state::Phase;

/// A recorded run that is being shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recorded {
    /// Folder name of the model that made it.
    pub(crate) model: String,
    /// What ran it.
    pub(crate) engine: String,
    /// Whether it is the one that the page opens with, from which a live
    /// engine takes over as soon as there is one.
    pub(crate) demo: bool,
}

/// The messages of a run.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    /// Those of the live engine as it has written them, to be saved.
    heard: Vec<String>,
    /// The recording that is shown, as it was read.
    file: Option<String>,
    /// Those of a recording that are still to come, last first.
    ahead: Vec<Event>,
    /// Number of the timer that plays them; an older one does nothing.
    timer: u32,
}

impl Page {
    /// Opens with the recorded run where the small script has begun it.
    pub(crate) fn open_with_demo(&self) {
        let Some((text, frame, playing)) = dom::demo() else {
            return;
        };
        // A damaged recording is no reason to show none of the page.
        if let Ok(recording) = Recording::<Seat>::from_json(&text) {
            self.show(recording, text, true);
            for _ in 0..frame {
                self.replay_one();
            }
            self.state.playing.set(playing);
            self.replay();
        }
    }

    /// Shows a recorded run, at rest before its first segment.
    fn show(&self, recording: Recording<Seat>, text: String, demo: bool) {
        let s = self.state;
        let segments = recording.reports().count();
        self.put(recording.puzzle);
        self.reset();
        s.started.set(true);
        s.model.set(Some(recording.model.clone()));
        s.recorded.set(Some(Recorded {
            model: recording.model,
            engine: recording.engine.name,
            demo,
        }));
        let run = s.run.get_untracked();
        let mut ahead: Vec<Event> = recording
            .events
            .into_iter()
            .filter_map(|event| renumbered(event, run))
            .collect();
        ahead.reverse();
        self.tape.update_value(|tape| {
            tape.ahead = ahead;
            tape.file = Some(text);
        });
        if !demo {
            // A run that was saved on its way has not come to its end.
            s.limit.set(segments.max(s.trained_for()));
        }
    }

    /// Shows a recorded run of that puzzle after a segment, at rest; a live
    /// engine goes on from there. Returns whether it is such a run.
    pub(crate) fn show_recorded(&self, text: &str, puzzle: &Board, segment: usize) -> bool {
        let s = self.state;
        let recording = Recording::<Seat>::from_json(text);
        let Some(recording) = recording.ok().filter(|r| r.puzzle == *puzzle) else {
            return false;
        };
        let ready = s.model.get_untracked().as_ref() == Some(&recording.model)
            && s.phase
                .with_untracked(|phase| matches!(phase, Phase::Loaded { .. }));
        self.show(recording, text.to_owned(), true);
        for _ in 0..segment {
            self.replay_one();
        }
        if ready {
            self.go_live();
        } else {
            self.load();
        }
        true
    }

    /// Shows what a text is: a run that was saved, or a puzzle.
    pub(crate) fn open_text(&self, text: &str) {
        let begin = text.trim_start().get(..20).unwrap_or_default();
        if begin.starts_with('{') && begin.contains("\"hrm-run\"") {
            self.open_recording(text);
        } else {
            self.paste(text);
        }
    }

    /// Shows the run of a file.
    pub(crate) fn open_recording(&self, text: &str) {
        match Recording::<Seat>::from_json(text) {
            Ok(recording) => {
                let known = self
                    .state
                    .models
                    .with_untracked(|models| models.iter().any(|m| m.id == recording.model));
                let model = recording.model.clone();
                let batch = recording.batch.is_some();
                if batch {
                    self.open_batch(recording, text);
                    if known {
                        self.choose_model(&model);
                    }
                } else {
                    self.show(recording, text.to_owned(), false);
                    if known {
                        self.load();
                    }
                }
                if !known {
                    let message = format!(
                        "This run is of the network {model:?}, which is not among those here: it can be watched, but not continued."
                    );
                    self.state.notice.set(Some(message));
                }
                if !batch {
                    self.play();
                }
            }
            Err(error) => self.state.notice.set(Some(format!("{error}."))),
        }
    }

    /// Plays what is ahead on the tape. Returns whether a recording is shown
    /// and has not come to its end.
    pub(crate) fn replay(&self) -> bool {
        let s = self.state;
        if s.recorded.with_untracked(Option::is_none) {
            return false;
        }
        if self.tape.with_value(|tape| tape.ahead.is_empty()) {
            self.leave_recording();
            return false;
        }
        if s.playing.get_untracked() {
            let page = *self;
            self.tape.update_value(|tape| tape.timer += 1);
            let timer = self.tape.with_value(|tape| tape.timer);
            let delay = Duration::from_millis(u64::from(self.delay().max(16)));
            set_timeout(move || page.tick(timer), delay);
        }
        true
    }

    fn tick(&self, timer: u32) {
        let s = self.state;
        let stale = self.tape.try_with_value(|tape| tape.timer != timer);
        if stale != Some(false) || !s.playing.get_untracked() {
            return;
        }
        self.replay_one();
        if self.tape.with_value(|tape| tape.ahead.is_empty()) {
            s.playing.set(false);
        } else {
            self.replay();
        }
    }

    /// The next recorded segment, with what belongs to it. Returns whether
    /// there was one.
    pub(crate) fn replay_one(&self) -> bool {
        if self.state.recorded.with_untracked(Option::is_none) {
            return false;
        }
        loop {
            let next = self
                .tape
                .try_update_value(|tape| tape.ahead.pop())
                .flatten();
            let Some(event) = next else {
                self.leave_recording();
                return false;
            };
            let segment = matches!(event, Event::Segment { .. });
            self.hear(event, "");
            if segment {
                return true;
            }
        }
    }

    /// From now on the board is a live engine's: it will catch up with what
    /// is shown.
    fn leave_recording(&self) {
        let s = self.state;
        s.recorded.set(None);
        s.started.set(false);
        self.tape.update_value(|tape| {
            tape.ahead.clear();
            tape.file = None;
            // The timer that is running has nothing to play any more.
            tape.timer += 1;
        });
    }

    /// The live engine takes over from the run that the page opened with.
    pub(crate) fn go_live(&self) {
        let demo = self
            .state
            .recorded
            .with_untracked(|recorded| recorded.as_ref().is_some_and(|r| r.demo));
        if demo {
            self.leave_recording();
            // At once, so that what is shown is what this engine makes of it.
            if !self.state.reports.with_untracked(Vec::is_empty) {
                self.start();
            }
        }
    }

    /// Whether what is shown was made by that model.
    pub(crate) fn is_of(&self, model: &str) -> bool {
        self.state
            .recorded
            .with_untracked(|recorded| recorded.as_ref().is_some_and(|r| r.model == model))
    }

    /// Keeps a message of the run as the live engine has written it.
    pub(crate) fn record(&self, text: &str) {
        if !text.is_empty() {
            self.tape
                .update_value(|tape| tape.heard.push(text.to_owned()));
        }
    }

    /// Forgets the run.
    pub(crate) fn forget(&self) {
        self.state.recorded.set(None);
        self.tape.update_value(|tape| {
            tape.heard.clear();
            tape.ahead.clear();
            tape.file = None;
            tape.timer += 1;
        });
    }

    /// Saves the run as a file that can be dropped on the page.
    pub(crate) fn save_run(&self) {
        let s = self.state;
        let Some(model) = s.model.get_untracked() else {
            return;
        };
        let Phase::Loaded { engine, .. } = s.phase.get_untracked() else {
            return;
        };
        let text = self.tape.with_value(|tape| match &tape.file {
            Some(text) => Some(text.clone()),
            None => Recording::join(&model, &engine, &s.puzzle(), None, &tape.heard).ok(),
        });
        let name = format!("hrm-run-{model}.json");
        match text {
            Some(text) => download(&name, "application/json", &text),
            None => s.notice.set(Some("The run could not be saved.".to_owned())),
        }
    }
}

/// A recorded message as one of the present run; none if it is of no run.
fn renumbered(event: Event, run: u32) -> Option<Event> {
    match event {
        Event::Segment {
            report,
            milliseconds,
            ..
        } => Some(Event::Segment {
            run,
            report,
            milliseconds,
        }),
        Event::Lab {
            event:
                LabEvent::Inside {
                    segment,
                    updates,
                    probabilities,
                    ..
                },
        } => Some(Event::Lab {
            event: LabEvent::Inside {
                run,
                segment,
                updates,
                probabilities,
            },
        }),
        _ => None,
    }
}

/// Takes what is dropped on the page: runs, puzzles as text, networks.
pub(crate) fn take_drops(page: Page) {
    let over = window_event_listener(leptos::ev::dragover, |event: DragEvent| {
        event.prevent_default();
    });
    let drop = window_event_listener(leptos::ev::drop, move |event: DragEvent| {
        event.prevent_default();
        if let Some(data) = event.data_transfer() {
            page.take(&data);
        }
    });
    on_cleanup(move || {
        over.remove();
        drop.remove();
    });
}
