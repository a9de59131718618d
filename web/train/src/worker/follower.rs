//! A worker that computes a share of each batch for the one that leads.

use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::StreamExt;
use hrm_core::train::{Backend, Orders, Trainer};
use hrm_train_room::session::{self, SessionError};
use js_sys::{Array, Float32Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::crew::{Call, Carried, Setup, Sums};
use crate::post;

/// Answers until the leader is gone.
pub(crate) async fn serve(mut tasks: UnboundedReceiver<JsValue>) {
    let mut trainer = None;
    let _ = post::scope().post_message(&reply(&()));
    while let Some(message) = tasks.next().await {
        let message: Array = message.unchecked_into();
        let reply = answer(&mut trainer, &message);
        match reply {
            Ok((reply, moved)) => {
                let _ = post::scope().post_message_with_transfer(&reply, &moved);
            }
            Err(error) => post::failed(&error.to_string()),
        }
    }
}

/// The reply to a call, with what is moved in it.
fn answer(trainer: &mut Option<Trainer>, message: &Array) -> Result<(Array, Array), SessionError> {
    let text = message.get(0).as_string().unwrap_or_default();
    let call: Call = serde_json::from_str(&text)
        .map_err(|error| SessionError::Refused(format!("not understood: {error}")))?;
    match call {
        Call::SetUp(Setup {
            settings,
            worker,
            workers,
        }) => {
            let rows = session::rows(settings.batch, worker, workers);
            let mut made = session::trainer(&settings, None, rows)?;
            if let Some(memory) = post::bytes(&message.get(1)) {
                made.load_state(&memory)?;
            }
            *trainer = Some(made);
            Ok((reply(&()), Array::new()))
        }
        Call::Step(orders) => {
            let trainer = ready(trainer)?;
            // That there is another step says that the last one was finished.
            trainer.go_on();
            let values: Float32Array = message.get(1).unchecked_into();
            let lengths = trainer
                .plan()
                .tensors
                .iter()
                .map(|t| t.shape.iter().product());
            let values = cut(&values.to_vec(), lengths);
            trainer.backend_mut().set_values(values);
            step(trainer, &orders)
        }
        Call::Rows => {
            let trainer = ready(trainer)?;
            trainer.go_on();
            let rows = trainer.save_rows()?;
            let carried = Carried {
                first: rows.first,
                examples: rows.examples,
                steps: rows.steps,
                halted: rows.halted,
            };
            let flat = Float32Array::from(rows.states.concat().as_slice());
            let reply = reply(&carried);
            reply.push(&flat);
            Ok((reply, Array::of1(&flat.buffer())))
        }
    }
}

fn step(trainer: &mut Trainer, orders: &Orders) -> Result<(Array, Array), SessionError> {
    let share = trainer.share(orders)?;
    let sums = Sums {
        report: share.report,
        rows: share.rows,
        halted: share.halted,
        lengths: share.gradients.tensors.iter().map(Vec::len).collect(),
        table_rows: share.gradients.rows,
    };
    let flat = Float32Array::from(share.gradients.tensors.concat().as_slice());
    let moved = Array::of1(&flat.buffer());
    let reply = reply(&sums);
    reply.push(&flat);
    Ok((reply, moved))
}

fn ready(trainer: &mut Option<Trainer>) -> Result<&mut Trainer, SessionError> {
    let missing = || SessionError::Refused("a share was asked for before the run".to_owned());
    trainer.as_mut().ok_or_else(missing)
}

/// An answer: nothing failed, and what came out.
fn reply(value: &impl serde::Serialize) -> Array {
    // Plain data with string keys serialises.
    let text = serde_json::to_string(value).unwrap_or_default();
    Array::of2(&JsValue::NULL, &text.into())
}

/// Vectors of these lengths that lie one after the other.
pub(crate) fn cut(flat: &[f32], lengths: impl Iterator<Item = usize>) -> Vec<Vec<f32>> {
    let mut rest = flat;
    let next = |length: usize| {
        let (own, others) = rest.split_at(length.min(rest.len()));
        rest = others;
        own.to_vec()
    };
    lengths.map(next).collect()
}
