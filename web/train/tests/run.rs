//! A run of the room without a browser: kept and taken up, alone and shared.

use hrm_core::train::{Backend, CarriedRows, Trainer};
use hrm_train_room::address;
use hrm_train_room::archive::{self, File};
use hrm_train_room::message::Recording;
use hrm_train_room::presets::Preset;
use hrm_train_room::saved;
use hrm_train_room::session::{Preparation, SAMPLES, Session, rows, trainer};
use hrm_train_room::settings::Settings;

fn settings(preset: &str) -> Settings {
    let text = format!("{preset},batch:6,training:40,held-out:4,steps:12,warmup:2");
    address::parse(&text).unwrap()
}

fn finished(mut preparation: Preparation, workers: usize) -> Session {
    while preparation.work().unwrap() {}
    preparation.finish(workers).unwrap()
}

fn bytes<'a>(files: &'a [File], name: &str) -> &'a [u8] {
    let found = files.iter().find(|(known, _)| known == name);
    &found.unwrap().1
}

/// The run as it comes back from an archive.
fn kept_and_back(files: &[File], workers: usize) -> Session {
    let packed = archive::pack(files).unwrap();
    let restored = saved::restore(archive::unpack(&packed).unwrap()).unwrap();
    finished(Preparation::restored(restored), workers)
}

#[test]
fn a_run_that_was_kept_goes_on_exactly() {
    for preset in ["relational-4x4", "hrm-4x4"] {
        let mut whole = finished(Preparation::new(settings(preset)).unwrap(), 1);
        let mut parts = finished(Preparation::new(settings(preset)).unwrap(), 1);
        for step in 1..=12 {
            whole.step().unwrap();
            parts.step().unwrap();
            if step % 5 == 0 {
                parts = kept_and_back(&parts.files(&[]).unwrap(), 1);
                assert_eq!(parts.step_number(), step);
            }
        }
        assert!(whole.is_over() && parts.is_over());
        let (whole, parts) = (whole.files(&[]).unwrap(), parts.files(&[]).unwrap());
        for name in [saved::MODEL, saved::OPTIMIZER, saved::HELD_OUT] {
            assert!(
                bytes(&whole, name) == bytes(&parts, name),
                "{preset}: {name}"
            );
        }
        let card = String::from_utf8(bytes(&whole, saved::CARD).to_vec()).unwrap();
        assert!(card.contains("12 of 6 puzzles"), "{card}");
    }
}

/// Another worker of a run, as the room's followers are.
struct Other(Trainer);

impl Other {
    fn new(session: &mut Session) -> Self {
        let settings = session.settings();
        let mut made = trainer(settings, None, rows(settings.batch, 1, 2)).unwrap();
        if let Some(memory) = session.take_memory() {
            made.load_state(&memory).unwrap();
        }
        Self(made)
    }

    /// A step of both.
    fn step(&mut self, session: &mut Session) {
        let orders = session.begin().unwrap();
        self.0.go_on();
        self.0.backend_mut().set_values(session.values().unwrap());
        let other = self.0.share(&orders).unwrap();
        let own = session.share(&orders).unwrap();
        session.finish(vec![own, other]).unwrap();
    }

    fn rows(&mut self) -> CarriedRows {
        self.0.go_on();
        self.0.save_rows().unwrap()
    }
}

#[test]
fn two_workers_share_a_run_and_take_it_up_again() {
    let new = || finished(Preparation::new(settings("relational-4x4")).unwrap(), 2);
    let (mut whole, mut parts) = (new(), new());
    let (mut beside_whole, mut beside_parts) = (Other::new(&mut whole), Other::new(&mut parts));
    let mut alone = finished(Preparation::new(settings("relational-4x4")).unwrap(), 1);
    for step in 1..=12 {
        beside_whole.step(&mut whole);
        beside_parts.step(&mut parts);
        alone.step().unwrap();
        if step % 5 == 0 {
            let files = parts.files(&[beside_parts.rows()]).unwrap();
            parts = kept_and_back(&files, 2);
            beside_parts = Other::new(&mut parts);
        }
    }
    let last = |session: &Session, other: &mut Other| session.files(&[other.rows()]).unwrap();
    let whole_files = last(&whole, &mut beside_whole);
    let parts_files = last(&parts, &mut beside_parts);
    for name in [saved::MODEL, saved::OPTIMIZER] {
        assert!(
            bytes(&whole_files, name) == bytes(&parts_files, name),
            "{name}"
        );
    }
    // Shared or not it is the same run, up to the rounding of sums.
    let (shared, single) = (whole.values().unwrap(), alone.values().unwrap());
    let largest = shared
        .iter()
        .flatten()
        .zip(single.iter().flatten())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(largest < 0.02, "{largest}");
    // And it has moved much further than that.
    let begin = finished(Preparation::new(settings("relational-4x4")).unwrap(), 1);
    let moved = shared
        .iter()
        .flatten()
        .zip(begin.values().unwrap().iter().flatten())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(moved > 0.1, "{moved}");
}

#[test]
fn weights_alone_begin_a_run_from_its_start() {
    let mut session = finished(Preparation::new(settings("relational-4x4")).unwrap(), 1);
    for _ in 0..4 {
        session.step().unwrap();
    }
    let mut files = session.files(&[]).unwrap();
    files.retain(|(name, _)| name == saved::MODEL || name == saved::CONFIG);
    let other = kept_and_back(&files, 1);
    assert_eq!(other.step_number(), 0);
    let weights = other
        .weights()
        .unwrap()
        .to_safetensors(other.plan())
        .unwrap();
    assert!(weights == bytes(&files, saved::MODEL));
}

#[test]
fn the_recording_of_the_page_is_of_its_first_preset() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../train.json");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.len() < 60_000, "{}", text.len());
    let recording: Recording = serde_json::from_str(&text).unwrap();
    let run = recording.run;
    assert_eq!(run.settings, Preset::ALL[0].settings());
    assert_eq!(run.samples.len(), SAMPLES);
    let evaluations = &run.history.evaluations;
    assert_eq!(evaluations[0].step, 0);
    assert!(evaluations[0].right() == 0 && evaluations.last().unwrap().accuracy() > 0.95);
    for evaluation in evaluations {
        for sample in 0..SAMPLES {
            assert!(evaluation.grid(sample, evaluation.solved.len()).is_some());
        }
    }
}
