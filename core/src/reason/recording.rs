//! A run as a file: the worker's messages in their order, with what they are
//! about. Whatever made it, the page plays it as it plays a live run.

use serde::{Deserialize, Serialize};

use super::message::{EngineFacts, Event};
use super::{SegmentReport, Verdict};
use crate::puzzle::Board;

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

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Version of the format.
    #[serde(rename = "hrm-run")]
    version: u32,
    /// Folder name of the model.
    pub model: String,
    /// What ran it.
    pub engine: EngineFacts,
    /// The question.
    pub puzzle: Board,
    /// The run's messages: segments in their order, and what came with them.
    pub events: Vec<Event>,
}

impl Recording {
    /// A recording of these messages.
    #[must_use]
    pub fn new(model: String, engine: EngineFacts, puzzle: Board, events: Vec<Event>) -> Self {
        Self {
            version: VERSION,
            model,
            engine,
            puzzle,
            events,
        }
    }

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
        let shape = recording.puzzle.shape();
        let mut expected = 1;
        for (i, event) in recording.events.iter().enumerate() {
            let damaged = |reason: String| RecordingError::Message { at: i + 1, reason };
            let Event::Segment { report, .. } = event else {
                continue;
            };
            if report.segment != expected {
                let reason = format!("segment {} where {expected} follows", report.segment);
                return Err(damaged(reason));
            }
            if let Err(error) = Board::new(shape, report.grid.clone()) {
                return Err(damaged(error.to_string()));
            }
            if let Some(cell) = report.changed.iter().find(|&&c| c >= shape.cells()) {
                return Err(damaged(format!("there is no cell {cell}")));
            }
            expected += 1;
        }
        if expected == 1 {
            return Err(RecordingError::Syntax("it has no segment".to_owned()));
        }
        Ok(recording)
    }

    /// The text of a recording whose messages are JSON already.
    ///
    /// # Errors
    /// As [`Recording::to_json`].
    pub fn join(
        model: &str,
        engine: &EngineFacts,
        puzzle: &Board,
        messages: &[String],
    ) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Head<'a> {
            #[serde(rename = "hrm-run")]
            version: u32,
            model: &'a str,
            engine: &'a EngineFacts,
            puzzle: &'a Board,
        }
        let mut text = serde_json::to_string(&Head {
            version: VERSION,
            model,
            engine,
            puzzle,
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
        assert_eq!(Recording::from_json(&text).unwrap(), recording);
        assert_eq!(recording.verdict(), Some(Verdict::Wandering));
        let messages = recording.events.iter().map(serde_json::to_string);
        let messages: Vec<String> = messages.map(Result::unwrap).collect();
        let (model, engine) = (&recording.model, &recording.engine);
        let joined = Recording::join(model, engine, &recording.puzzle, &messages);
        assert_eq!(joined.unwrap(), text);
    }

    #[test]
    fn damage_is_named() {
        let message = |recording: &Recording| {
            let text = recording.to_json().unwrap();
            Recording::from_json(&text).unwrap_err().to_string()
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
            let error = Recording::from_json(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
