//! The further workers of a run: each computes some rows of every batch. Their
//! sums are added in the order of the rows, so that a run of so many workers
//! always comes out the same.

use futures::channel::mpsc::{self, UnboundedReceiver};
use futures::stream::StreamExt;
use hrm_core::train::{CarriedRows, Example, Orders, Share, StepReport};
use hrm_train_room::session::Gradients;
use hrm_train_room::settings::Settings;
use js_sys::{Array, Float32Array, Uint8Array};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::follower::cut;
use crate::post;

/// What is asked of a follower.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    /// To make itself ready; beside it the run's memory, if it was taken up.
    SetUp(Setup),
    /// To compute its share of a step; beside it the weights.
    Step(Orders),
    /// To hand over the rows that it carries.
    Rows,
}

/// What a follower has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    /// Its number, from 1, and how many there are with the leader.
    pub(crate) worker: usize,
    pub(crate) workers: usize,
}

/// What a follower answers a step, beside the gradients.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub(crate) report: StepReport,
    pub(crate) rows: Range<usize>,
    pub(crate) halted: Vec<bool>,
    /// Lengths of the gradients, which lie one after the other.
    pub(crate) lengths: Vec<usize>,
    /// The rows of the puzzle embedding among them.
    pub(crate) table_rows: Vec<u32>,
}

/// The rows that a follower carries, beside their states.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) first: usize,
    pub(crate) examples: Vec<Example>,
    pub(crate) steps: Vec<u32>,
    pub(crate) halted: Vec<bool>,
}

/// The further workers.
#[derive(Default)]
pub(crate) struct Crew {
    followers: Vec<Follower>,
}

/// One of them. It ends with the value.
struct Follower {
    worker: Worker,
    replies: UnboundedReceiver<JsValue>,
    _listen: Closure<dyn Fn(MessageEvent)>,
    _fail: Closure<dyn Fn(web_sys::Event)>,
}

impl Crew {
    /// Starts the further workers of a run.
    ///
    /// # Errors
    /// If one does not start.
    pub(crate) async fn start(
        settings: &Settings,
        workers: usize,
        memory: Option<&[u8]>,
    ) -> Result<Self, String> {
        let mut crew = Self::default();
        for _ in 1..workers {
            crew.followers.push(Follower::start()?);
        }
        for (worker, follower) in (1..).zip(&mut crew.followers) {
            // It listens.
            follower.reply().await?;
            let setup = Call::SetUp(Setup {
                settings: settings.clone(),
                worker,
                workers,
            });
            let bytes = memory.map(Uint8Array::from);
            follower.call(&setup, bytes.as_ref().map(AsRef::as_ref));
        }
        for follower in &mut crew.followers {
            follower.reply().await?;
        }
        Ok(crew)
    }

    /// Asks everyone for a share of a step.
    pub(crate) fn ask(&self, orders: &Orders, values: &[Vec<f32>]) {
        if self.followers.is_empty() {
            return;
        }
        let flat = values.concat();
        let call = serde_json::to_string(orders).map(|text| format!("{{\"Step\":{text}}}"));
        let Ok(call) = call else {
            return;
        };
        for follower in &self.followers {
            let values = Float32Array::from(flat.as_slice());
            follower.send(&call, Some(&values), &Array::of1(&values.buffer()));
        }
    }

    /// Everyone's share, in the order of their rows.
    ///
    /// # Errors
    /// What one of them says of why there is none.
    pub(crate) async fn shares(&mut self) -> Result<Vec<Share<Gradients>>, String> {
        let mut shares = Vec::with_capacity(self.followers.len());
        for follower in &mut self.followers {
            let (text, flat) = follower.reply().await?;
            let sums: Sums = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            let flat: Float32Array = flat.unchecked_into();
            shares.push(Share {
                gradients: Gradients {
                    tensors: cut(&flat.to_vec(), sums.lengths.into_iter()),
                    rows: sums.table_rows,
                },
                report: sums.report,
                rows: sums.rows,
                halted: sums.halted,
            });
        }
        Ok(shares)
    }

    /// The rows that everyone carries.
    ///
    /// # Errors
    /// What one of them says of why there are none.
    pub(crate) async fn rows(&mut self) -> Result<Vec<CarriedRows>, String> {
        for follower in &self.followers {
            follower.call(&Call::Rows, None);
        }
        let mut rows = Vec::with_capacity(self.followers.len());
        for follower in &mut self.followers {
            let (text, flat) = follower.reply().await?;
            let carried: Carried = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            let flat = flat.unchecked_into::<Float32Array>().to_vec();
            let (h, l) = flat.split_at(flat.len() / 2);
            rows.push(CarriedRows {
                first: carried.first,
                examples: carried.examples,
                steps: carried.steps,
                halted: carried.halted,
                states: [h.to_vec(), l.to_vec()],
            });
        }
        Ok(rows)
    }
}

impl Follower {
    fn start() -> Result<Self, String> {
        let refused = |_| "this browser starts no further worker".to_owned();
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(post::follower());
        // The same file that has started this worker.
        let worker =
            Worker::new_with_options("train-worker_loader.js", &options).map_err(refused)?;
        let (sender, replies) = mpsc::unbounded();
        let failures = sender.clone();
        let listen = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            drop(sender.unbounded_send(message.data()));
        });
        worker.set_onmessage(Some(listen.as_ref().unchecked_ref()));
        let fail = Closure::<dyn Fn(web_sys::Event)>::new(move |event: web_sys::Event| {
            // Or the page takes it for this worker's end.
            event.prevent_default();
            let reason = Array::of1(&"a further worker does not run".into());
            drop(failures.unbounded_send(reason.into()));
        });
        worker.set_onerror(Some(fail.as_ref().unchecked_ref()));
        Ok(Self {
            worker,
            replies,
            _listen: listen,
            _fail: fail,
        })
    }

    fn call(&self, call: &Call, beside: Option<&JsValue>) {
        // Plain data with string keys serialises.
        if let Ok(text) = serde_json::to_string(call) {
            self.send(&text, beside, &Array::new());
        }
    }

    fn send(&self, text: &str, beside: Option<&JsValue>, moved: &Array) {
        let message = Array::of1(&text.into());
        if let Some(beside) = beside {
            message.push(beside);
        }
        let _ = self.worker.post_message_with_transfer(&message, moved);
    }

    /// The next reply: its text, and what comes beside it.
    async fn reply(&mut self) -> Result<(String, JsValue), String> {
        let ended = "a further worker has ended";
        let message = self.replies.next().await.ok_or(ended)?;
        let message: Array = message.unchecked_into();
        match message.get(0).as_string() {
            Some(failure) => Err(failure),
            None => {
                let text = message.get(1).as_string().unwrap_or_default();
                Ok((text, message.get(2)))
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
