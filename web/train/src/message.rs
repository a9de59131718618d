//! What the room and the worker that trains say to each other, as JSON. Files
//! go beside it as arrays of bytes.

use hrm_core::puzzle::Board;
use serde::{Deserialize, Serialize};

use crate::history::{Evaluation, History, Mark};
use crate::settings::Settings;

/// What the room asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Order {
    /// Look whether a run is kept. Answered by [`News::Begun`] or
    /// [`News::Nothing`].
    TakeUp {
        /// Workers that share the work, the leader included, if the run does
        /// not say how many it had.
        workers: usize,
    },
    /// Begin a run, at rest before its first step; whatever was there goes.
    Begin {
        /// What it is made of.
        settings: Box<Settings>,
        /// Workers that share the work, the leader included.
        workers: usize,
        /// Whether to train as soon as it is there.
        train: bool,
    },
    /// Train until told otherwise, or the run is over.
    Train,
    /// Wait.
    Pause,
    /// One step.
    Step,
    /// Measure on that many held-out puzzles.
    Measure {
        /// How many.
        puzzles: usize,
    },
    /// Keep the run now.
    Keep,
    /// Keep it no longer.
    Forget,
    /// Hand over the run as an archive of files.
    Export,
    /// Hand over the network as the folder of a model of the page.
    Model,
    /// Take up a run from the files that come beside this.
    Import {
        /// Their names, in their order.
        names: Vec<String>,
        /// As for [`Order::TakeUp`].
        workers: usize,
    },
}

/// An order with its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Its number: answers name it.
    pub request: u32,
    /// What is wanted.
    pub order: Order,
}

/// A held-out puzzle whose runs are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The question.
    pub question: Board,
    /// Its answer.
    pub answer: Board,
}

/// A run as it begins or goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// What it is made of.
    pub settings: Settings,
    /// What it has measured so far.
    pub history: History,
    /// Puzzles whose runs are shown.
    pub samples: Vec<Sample>,
    /// Trained numbers of the network.
    pub parameters: usize,
    /// Different puzzles that it trains on.
    pub training: usize,
    /// Workers that share the work.
    pub workers: usize,
    /// Steps done.
    pub step: u64,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Steps done.
    pub step: u64,
    /// Puzzles begun.
    pub puzzles: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Steps a second, of late.
    pub rate: f64,
    /// Whether it goes on.
    pub running: bool,
    /// Whether the schedule has come to its end.
    pub over: bool,
}

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum News {
    /// It listens.
    Ready,
    /// No run is kept.
    Nothing,
    /// Puzzles are being made.
    Making {
        /// So many are there.
        done: usize,
        /// Of so many.
        total: usize,
    },
    /// A run has begun or was taken up.
    Begun {
        /// The run.
        run: Box<Begun>,
    },
    /// Steps have been done, or it has begun or ceased to go on.
    Progress {
        /// Where it is.
        place: Place,
        /// What was measured since the last word.
        marks: Vec<Mark>,
    },
    /// The network has been evaluated.
    Evaluated {
        /// What came out.
        evaluation: Box<Evaluation>,
    },
    /// It has been measured on many puzzles.
    Measured {
        /// What came out; no samples.
        evaluation: Box<Evaluation>,
    },
    /// It has been kept.
    Kept {
        /// At that step.
        step: u64,
        /// Bytes.
        bytes: usize,
    },
    /// It could not be kept.
    NotKept {
        /// Why, as a sentence.
        reason: String,
    },
    /// Files, which come beside this.
    Files {
        /// Their names, in their order.
        names: Vec<String>,
    },
    /// Something else than was wanted happened, and this is why.
    Failed {
        /// A sentence.
        reason: String,
    },
}

/// News with the number of the order that it answers, if it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The order's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// What it is.
    pub news: News,
}

/// A training that was recorded: what the room shows before anything is
/// trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The run at its end.
    pub run: Begun,
    /// Seconds that it took.
    pub seconds: f64,
    /// What trained it.
    pub machine: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Preset;

    #[test]
    fn messages_round_trip() {
        let orders = [
            Order::TakeUp { workers: 1 },
            Order::Begin {
                settings: Box::new(Preset::Hrm4.settings()),
                workers: 2,
                train: true,
            },
            Order::Measure { puzzles: 500 },
            Order::Import {
                names: vec!["config.json".to_owned()],
                workers: 1,
            },
        ];
        for (request, order) in (1..).zip(orders) {
            let asked = Asked { request, order };
            let text = serde_json::to_string(&asked).unwrap();
            assert!(text.contains("\"type\":"));
            assert_eq!(serde_json::from_str::<Asked>(&text).unwrap(), asked);
        }
        let news = News::Progress {
            place: Place::default(),
            marks: vec![Mark::default()],
        };
        let told = Told {
            request: None,
            news,
        };
        let text = serde_json::to_string(&told).unwrap();
        assert!(text.starts_with("{\"news\":"));
        assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
    }
}
