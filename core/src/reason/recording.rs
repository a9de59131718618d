//! A run, or a batch of them, as a file: the worker's messages in their
//! order, with what they are about. Whatever made it, the page plays it as it
//! plays a live run.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lab::{Item, LabEvent};
use super::message::{EngineFacts, Event};
use super::{SegmentReport, Verdict};
use crate::puzzle::{AnyPuzzle, Puzzle, PuzzleKind};

/// Version of the format.
const VERSION: u32 = 1;

/// Why a file is no recording that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// Not the JSON of this format.
    #[error("this is no recorded run: {0}")]
    Syntax(String),
    /// Written by a later version of this program.
    #[error("the recorded run has format version {0}, this page reads {VERSION}")]
    Version(u32),
    /// A message that does not fit the others.
    #[error("the recorded run is damaged at message {at}: {reason}")]
    Message {
        /// Index of the message, from 1.
        at: usize,
        /// What does not fit.
        reason: String,
    },
}

/// A recorded run, or a batch of them, of which a reader that needs less than
/// an [`Item`] has a type of its own for the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording<I = Item> {
    /// Version of the format.
    #[serde(rename = "hrm-run")]
    version: u32,
    /// Folder name of the model.
    pub model: String,
    /// What ran it.
    pub engine: EngineFacts,
    /// The question.
    pub puzzle: AnyPuzzle,
    /// What runs at once, if this is a batch; none for the run on the board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch<I>>,
    /// The run's messages: segments in their order, and what came with them.
    pub events: Vec<Event>,
}

/// Runs of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch<I = Item> {
    /// Name of the experiment in addresses; none for a race of guesses.
    pub experiment: Option<String>,
    /// The runs, by whose index the messages name them.
    pub items: Vec<I>,
}

impl Recording {
    /// A recording of these messages.
    #[must_use]
    pub fn new(model: String, engine: EngineFacts, puzzle: AnyPuzzle, events: Vec<Event>) -> Self {
        Self {
            version: VERSION,
            model,
            engine,
            puzzle,
            batch: None,
            events,
        }
    }

    /// The text of a recording whose messages are JSON already.
    ///
    /// # Errors
    /// As [`Recording::to_json`].
    pub fn join(
        model: &str,
        engine: &EngineFacts,
        puzzle: &AnyPuzzle,
        batch: Option<&Batch>,
        messages: &[String],
    ) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Head<'a> {
            #[serde(rename = "hrm-run")]
            version: u32,
            model: &'a str,
            engine: &'a EngineFacts,
            puzzle: &'a AnyPuzzle,
            #[serde(skip_serializing_if = "Option::is_none")]
            batch: Option<&'a Batch>,
        }
        let mut text = serde_json::to_string(&Head {
            version: VERSION,
            model,
            engine,
            puzzle,
            batch,
        })?;
        // The messages come before the head's last brace.
        text.truncate(text.len() - 1);
        Ok(format!("{text},\"events\":[{}]}}", messages.join(",")))
    }

    /// The file's text.
    ///
    /// # Errors
    /// If a value has no form in JSON, which finite numbers always have.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl<I: DeserializeOwned> Recording<I> {
    /// Reads a recording and checks that it can be played.
    ///
    /// # Errors
    /// If it is none, or names the message that is damaged.
    // Inlined so that the page, which reads messages anyway, holds the reader
    // once.
    #[inline]
    pub fn from_json(text: &str) -> Result<Self, RecordingError> {
        let recording: Self =
            serde_json::from_str(text).map_err(|e| RecordingError::Syntax(e.to_string()))?;
        if recording.version != VERSION {
            return Err(RecordingError::Version(recording.version));
        }
        let kind = recording.puzzle.kind();
        let runs = recording.batch.as_ref().map_or(1, |b| b.items.len());
        // Segments that each run has so far.
        let mut known = vec![0; runs];
        for (i, event) in recording.events.iter().enumerate() {
            let mut next = |run, report| follow(kind, &mut known, run, report);
            let fits = match (event, &recording.batch) {
                (Event::Segment { report, .. }, None) => next(0, report),
                (
                    Event::Lab {
                        event: LabEvent::Batch { reports, .. },
                    },
                    Some(_),
                ) => reports
                    .iter()
                    .try_for_each(|(run, report)| next(*run, report)),
                _ => Ok(()),
            };
            fits.map_err(|reason| RecordingError::Message { at: i + 1, reason })?;
        }
        if known.iter().all(|&segments| segments == 0) {
            return Err(RecordingError::Syntax("it has no segment".to_owned()));
        }
        Ok(recording)
    }

    /// The segments' reports.
    pub fn reports(&self) -> impl Iterator<Item = &SegmentReport> {
        self.events.iter().filter_map(|event| match event {
            Event::Segment { report, .. } => Some(report),
            _ => None,
        })
    }

    /// What the last report says.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.reports().last().map(SegmentReport::verdict)
    }
}

/// Checks that a report is the next of its run, and of such a board.
fn follow(
    kind: PuzzleKind,
    known: &mut [usize],
    run: usize,
    report: &SegmentReport,
) -> Result<(), String> {
    let known = known
        .get_mut(run)
        .ok_or_else(|| format!("there is no run {run}"))?;
    *known += 1;
    if report.segment != *known {
        return Err(format!("segment {} where {known} follows", report.segment));
    }
    AnyPuzzle::from_values(kind, &report.grid).map_err(|error| error.to_string())?;
    match report.changed.iter().find(|&&c| c >= kind.cells()) {
        Some(cell) => Err(format!("there is no cell {cell}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::message::EngineKind;

    fn recording(segments: &[usize]) -> Recording {
        let events = segments.iter().map(|&segment| Event::Segment {
            run: 1,
            report: SegmentReport {
                segment,
                grid: vec![1; 16],
                changed: vec![3],
                conflicts: 36,
                keeps_givens: true,
                q_halt: -1.0,
                q_continue: None,
                residual: 0.5,
                halted: false,
                solved: false,
                committed: vec![],
            },
            milliseconds: 2.0,
        });
        Recording::new(
            "hrm-4x4".into(),
            EngineFacts {
                kind: EngineKind::Cpu,
                name: "a CPU".into(),
                note: None,
            },
            "1.........4...2.".parse().unwrap(),
            events.collect(),
        )
    }

    #[test]
    fn recordings_survive_json() {
        let recording = recording(&[1, 2, 3]);
        let text = recording.to_json().unwrap();
        assert!(
            text.starts_with(r#"{"hrm-run":1,"model":"hrm-4x4","#),
            "{text}"
        );
        assert_eq!(<Recording>::from_json(&text).unwrap(), recording);
        assert_eq!(recording.verdict(), Some(Verdict::Wandering));
        let messages = recording.events.iter().map(serde_json::to_string);
        let messages: Vec<String> = messages.map(Result::unwrap).collect();
        let (model, engine) = (&recording.model, &recording.engine);
        let joined = Recording::join(model, engine, &recording.puzzle, None, &messages);
        assert_eq!(joined.unwrap(), text);
    }

    /// Two runs of a race, of which the second makes one segment less.
    fn batch() -> Recording {
        let mut batch = recording(&[1, 2]);
        let mut reports: Vec<SegmentReport> = batch.reports().cloned().collect();
        let second = reports.pop().unwrap();
        let first = reports.pop().unwrap();
        let event = |reports| Event::Lab {
            event: LabEvent::Batch { job: 7, reports },
        };
        batch.events = vec![
            event(vec![(0, first.clone()), (1, first)]),
            event(vec![(0, second)]),
        ];
        let item = Item::plain(batch.puzzle.clone());
        batch.batch = Some(Batch {
            experiment: None,
            items: vec![item.clone(), item],
        });
        batch
    }

    #[test]
    fn batches_survive_json_and_their_damage_is_named() {
        let batch = batch();
        let text = batch.to_json().unwrap();
        assert_eq!(<Recording>::from_json(&text).unwrap(), batch);
        let messages = batch.events.iter().map(serde_json::to_string);
        let messages: Vec<String> = messages.map(Result::unwrap).collect();
        let (model, engine, runs) = (&batch.model, &batch.engine, batch.batch.as_ref());
        let joined = Recording::join(model, engine, &batch.puzzle, runs, &messages);
        assert_eq!(joined.unwrap(), text);
        for (from, to, expected) in [
            ("[1,{", "[2,{", "message 1: there is no run 2"),
            (
                "\"segment\":2",
                "\"segment\":3",
                "message 2: segment 3 where 2 follows",
            ),
            ("\"reports\":[", "\"reports\":[],\"was\":[", "no segment"),
        ] {
            assert!(text.contains(from), "{from} in {text}");
            let error = <Recording>::from_json(&text.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn damage_is_named() {
        let message = |recording: &Recording| {
            let text = recording.to_json().unwrap();
            <Recording>::from_json(&text).unwrap_err().to_string()
        };
        assert!(message(&recording(&[])).contains("no segment"));
        assert!(message(&recording(&[1, 3])).contains("message 2: segment 3 where 2 follows"));
        let mut later = recording(&[1]);
        later.version = 2;
        assert!(message(&later).contains("version 2"));
        for (from, to, expected) in [
            ("\"changed\":[3]", "\"changed\":[16]", "no cell 16"),
            ("\"grid\":[1,", "\"grid\":[9,", "message 1"),
            ("\"grid\":[1,", "\"grid\":[", "message 1"),
            ("\"hrm-run\"", "\"run\"", "hrm-run"),
        ] {
            let text = recording(&[1]).to_json().unwrap().replace(from, to);
            let error = <Recording>::from_json(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
