//! Batches of runs as files: saved with the worker's messages, and played
//! again in the room that they are of.

use std::time::Duration;

use hrm_core::reason::Recording;
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::Event;
use hrm_web::experiments::Experiment;
use leptos::prelude::*;
use serde::Deserialize;

use crate::actions::Page;
use crate::experiments::choose;
use crate::lab::{BatchTape, Room, Runs};
use crate::picture::download;

/// What the page shows of a run of a batch besides its reports. The whole
/// [`Item`](hrm_core::reason::lab::Item) would bring its reader into the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Seat {
    model: Option<String>,
}

impl Page {
    /// Saves a batch as a file that can be dropped on the page.
    pub(crate) fn save_batch(&self, runs: Runs) {
        let made = runs.tape.with_value(|tape| {
            let (model, engine) = tape.made_by.clone()?;
            let puzzle = runs.puzzle.get_untracked()?;
            let batch = tape.batch.as_ref();
            let join = || Recording::join(&model, &engine, &puzzle, batch, &tape.heard).ok();
            let text = tape.file.clone().or_else(join)?;
            Some((format!("hrm-runs-{model}.json"), text))
        });
        if let Some((name, text)) = made {
            download(&name, "application/json", &text);
        } else {
            let said = "The runs could not be saved.".to_owned();
            self.state.notice.set(Some(said));
        }
    }

    /// Plays a batch that was saved, in its room.
    pub(crate) fn open_batch(&self, recording: Recording<Seat>, text: &str) {
        let lab = self.state.lab;
        let Some(batch) = recording.batch else {
            return;
        };
        let experiment = batch.experiment.as_deref();
        let (room, runs) = match experiment.and_then(Experiment::from_name) {
            Some(experiment) => {
                choose(*self, experiment);
                (Room::Experiments, lab.trial)
            }
            None => (Room::Guesses, lab.race),
        };
        self.cancel(runs);
        self.set_puzzle(recording.puzzle.clone());
        lab.room.set(Some(room));
        let job = lab.job();
        let models = batch.items.into_iter().map(|seat| seat.model);
        let network = Some(recording.model.clone());
        runs.begin(job, &recording.puzzle, network, models.collect());
        runs.tape.set_value(BatchTape {
            made_by: Some((recording.model, recording.engine)),
            file: Some(text.to_owned()),
            ..BatchTape::default()
        });
        let mut ahead = recording.events;
        ahead.reverse();
        self.replay_batch(runs, job, ahead);
    }

    /// Plays what is ahead of a batch, last first, at the speed chosen.
    fn replay_batch(&self, runs: Runs, job: u32, mut ahead: Vec<Event>) {
        // Another batch has begun, or this one was stopped.
        if runs.job.try_get_untracked() != Some(Some(job)) || !runs.busy.get_untracked() {
            return;
        }
        match ahead.pop() {
            Some(Event::Lab { event }) => match event {
                LabEvent::Batch { reports, .. } => runs.add(job, reports),
                LabEvent::Done { milliseconds, .. } => runs.end(job, Some(milliseconds), None),
                _ => {}
            },
            Some(_) => {}
            // It was stopped when it was saved.
            None => runs.end(job, None, None),
        }
        let page = *self;
        let delay = Duration::from_millis(u64::from(self.delay()));
        set_timeout(move || page.replay_batch(runs, job, ahead), delay);
    }
}
