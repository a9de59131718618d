//! Further workers that take their share of a batch, where the CPU computes.
//!
//! Each is this same worker, started once more by the first one: with a memory
//! and a copy of the model of its own, which asks nothing of the browser, where
//! threads that share a memory are had only by pages isolated from all others.
//! What a run comes to does not depend on who runs it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use hrm_core::plan::Plan;
use hrm_core::reason::Stop;
use hrm_core::reason::lab::{Item, LabEvent, LabRequest};
use hrm_core::reason::message::{DeviceChoice, Event, Request};
use js_sys::Array;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::brought::Brought;
use crate::{clock, mailbox, post, post_text};

/// What the first worker asks of a further one.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// To load a model.
    Load { base: String, model: String },
    /// To take a share of a batch.
    Share(Share),
    /// To give up a job, or all.
    CallOff(Option<u32>),
}

/// What a worker has to do.
pub(crate) enum Task {
    /// What the page asks for, or a worker as if it were one.
    Page(Request),
    /// A share of a batch.
    Share(Share),
    /// A network that the visitor has brought.
    Keep(Brought),
}

/// Some runs of a batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Share {
    /// The job.
    pub(crate) job: u32,
    /// Its items with their indices in the whole batch.
    pub(crate) items: Vec<(usize, Item)>,
    /// Segments each takes at most.
    pub(crate) limit: usize,
    /// When to end before.
    pub(crate) stop: Stop,
}

/// The name by which a further worker knows what it is.
const NAME: &str = "helper";

/// Whether this is a further worker.
pub(crate) fn is_helper() -> bool {
    scope().name() == NAME
}

/// Reads an order to a further worker.
///
/// # Errors
/// If it is none.
pub(crate) fn read(text: &str) -> Result<Task, serde_json::Error> {
    Ok(match serde_json::from_str(text)? {
        Order::Load { base, model } => Task::Page(Request::Load {
            base,
            model,
            device: DeviceChoice::Cpu,
        }),
        Order::Share(share) => Task::Share(share),
        Order::CallOff(job) => cancel(job),
    })
}

fn cancel(job: Option<u32>) -> Task {
    let request = LabRequest::Cancel { job };
    Task::Page(Request::Lab { request })
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// What the first worker has to know of an event to pass it on unread.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Other,
    Ready,
    /// Reports.
    Batch,
    /// Reports, of which one is of a solved run.
    Solved,
    Done,
    Failed,
    /// The worker itself has failed.
    Error,
}

const KINDS: [Kind; 7] = [
    Kind::Other,
    Kind::Ready,
    Kind::Batch,
    Kind::Solved,
    Kind::Done,
    Kind::Failed,
    Kind::Error,
];

/// An event for the first worker: its kind, its job, and its text or what has
/// failed.
pub(crate) fn envelope(event: &Event, text: String) -> Array {
    let (kind, job, text) = match event {
        Event::Ready => (Kind::Ready, 0, text),
        Event::Lab { event } => match event {
            LabEvent::Batch { job, reports } => {
                let solved = reports.iter().any(|(_, report)| report.solved);
                (if solved { Kind::Solved } else { Kind::Batch }, *job, text)
            }
            LabEvent::Done { job, .. } => (Kind::Done, *job, text),
            LabEvent::Failed { job, message } => (Kind::Failed, *job, message.clone()),
            _ => (Kind::Other, 0, text),
        },
        Event::Error { message, .. } => (Kind::Error, 0, message.clone()),
        _ => (Kind::Other, 0, text),
    };
    Array::of3(&(kind as u8).into(), &job.into(), &text.into())
}

/// The most further workers.
const MOST: usize = 7;
/// The most parameters that all their copies of a model may have.
const MOST_PARAMETERS: usize = 100_000_000;

/// How many further workers a model gets here: a processor is left to the
/// page, one is this worker's.
pub(crate) fn size(plan: &Plan) -> usize {
    let processors = scope().navigator().hardware_concurrency() as usize;
    let fit = MOST_PARAMETERS / plan.parameter_count().max(1);
    processors.saturating_sub(2).min(MOST).min(fit)
}

/// The batches in hand and who helps with them.
#[derive(Default)]
pub(crate) struct Crew {
    helpers: Vec<Helper>,
    ledger: Rc<RefCell<Ledger>>,
}

/// The batches that are not complete.
#[derive(Default)]
struct Ledger {
    batches: HashMap<u32, Entry>,
}

struct Entry {
    begin: f64,
    stop: Stop,
    /// Shares that are not complete, this worker's own among them.
    open: usize,
}

impl Ledger {
    /// Whether it has not ended.
    fn has(&self, job: u32) -> bool {
        self.batches.contains_key(&job)
    }

    /// When it ends before its limit, if it has not ended.
    fn stop(&self, job: u32) -> Option<Stop> {
        self.batches.get(&job).map(|entry| entry.stop)
    }

    /// A share is complete, and with `for_all` the whole batch. Returns
    /// whether the batch has come to its end, which the page is told.
    fn complete(&mut self, job: u32, for_all: bool) -> bool {
        let Some(entry) = self.batches.get_mut(&job) else {
            return false;
        };
        entry.open = entry.open.saturating_sub(1);
        if entry.open > 0 && !for_all {
            return false;
        }
        let milliseconds = clock::now() - entry.begin;
        self.batches.remove(&job);
        post(&Event::Lab {
            event: LabEvent::Done { job, milliseconds },
        });
        true
    }

    /// The batch can't be done. Returns whether the page had to be told.
    fn fail(&mut self, job: u32, message: String) -> bool {
        let known = self.batches.remove(&job).is_some();
        if known {
            post(&Event::Lab {
                event: LabEvent::Failed { job, message },
            });
        }
        known
    }
}

impl Crew {
    /// Begins a batch: gives shares of it to `helpers` others and returns what
    /// is left for this worker.
    pub(crate) fn divide(
        &mut self,
        batch: Share,
        helpers: usize,
        [base, model]: [&str; 2],
    ) -> Share {
        let Share {
            job,
            items,
            limit,
            stop,
        } = batch;
        let wanted = helpers.min(items.len().saturating_sub(1));
        while self.helpers.len() < wanted {
            // Where it can't be had, its share is done by the others.
            let Some(helper) = Helper::start(&self.ledger, base, model) else {
                break;
            };
            self.helpers.push(helper);
        }
        let able = self.helpers.iter().filter(|helper| helper.is_able());
        let able: Vec<&Helper> = able.take(wanted).collect();
        // In turns, so that all are seen to move on together.
        let mut shares = vec![Vec::new(); able.len() + 1];
        for (place, item) in items.into_iter().enumerate() {
            shares[place % (able.len() + 1)].push(item);
        }
        let mut shares = shares.into_iter().map(|items| Share {
            job,
            items,
            limit,
            stop,
        });
        let own = shares.next();
        self.ledger.borrow_mut().batches.insert(
            job,
            Entry {
                begin: clock::now(),
                stop,
                open: able.len() + 1,
            },
        );
        for (helper, share) in able.into_iter().zip(shares) {
            helper.take(share);
        }
        own.unwrap_or(Share {
            job,
            items: Vec::new(),
            limit,
            stop,
        })
    }

    /// Takes on a share: of the worker that has started this one, or one that
    /// comes back from a helper. Returns whether there is still need of it.
    pub(crate) fn take(&self, share: &Share) -> bool {
        if is_helper() {
            let entry = Entry {
                begin: clock::now(),
                stop: share.stop,
                open: 1,
            };
            self.ledger.borrow_mut().batches.insert(share.job, entry);
        }
        self.has(share.job)
    }

    /// Whether a batch has not ended.
    pub(crate) fn has(&self, job: u32) -> bool {
        self.ledger.borrow().has(job)
    }

    /// This worker's share is complete, and with `for_all` the whole batch.
    pub(crate) fn complete(&self, job: u32, for_all: bool) {
        let over = self.ledger.borrow_mut().complete(job, for_all);
        if over && for_all {
            self.call_off(Some(job));
        } else if !over
            && let Some(share) = self.helpers.iter().find_map(|helper| helper.take_back(job))
        {
            // Nobody waits for who is late, or has failed unsaid: WebKit tells
            // nobody of a worker that fails while it starts.
            mailbox(Task::Share(share));
        }
    }

    /// This worker's share can't be done, and so the whole batch can't.
    pub(crate) fn fail(&self, job: u32, message: String) {
        let failed = self.ledger.borrow_mut().fail(job, message);
        if failed {
            self.call_off(Some(job));
        }
    }

    /// Gives up a batch; if none is named, all.
    pub(crate) fn cancel(&self, job: Option<u32>) {
        let batches = &mut self.ledger.borrow_mut().batches;
        batches.retain(|known, _| job.is_some_and(|job| job != *known));
        self.call_off(job);
    }

    fn call_off(&self, job: Option<u32>) {
        for helper in &self.helpers {
            helper.call_off(job);
        }
    }
}

/// A further worker. It ends with the value.
struct Helper {
    worker: Worker,
    desk: Rc<RefCell<Desk>>,
    _listen: Closure<dyn Fn(MessageEvent)>,
    _fail: Closure<dyn Fn(web_sys::Event)>,
}

/// What a helper has been asked for.
struct Desk {
    /// Orders that wait until it listens, if it does not yet.
    early: Option<VecDeque<String>>,
    /// Shares of which nothing has been heard.
    fresh: Vec<Share>,
    /// Jobs of which something has been heard, and not their end.
    begun: Vec<u32>,
    /// Whether a share has been taken back from it.
    late: bool,
    /// Whether it has failed, and is asked for nothing more.
    failed: bool,
}

impl Desk {
    /// Something has been heard of a job. Returns whether it is still its.
    fn begin(&mut self, job: u32) -> bool {
        let known = self.has(job);
        if known {
            self.forget(job);
            self.begun.push(job);
        }
        known
    }

    fn has(&self, job: u32) -> bool {
        self.begun.contains(&job) || self.fresh.iter().any(|share| share.job == job)
    }

    /// Nothing more is expected of a job.
    fn forget(&mut self, job: u32) {
        self.fresh.retain(|share| share.job != job);
        self.begun.retain(|&known| known != job);
    }
}

impl Helper {
    /// Starts one that loads a model.
    fn start(ledger: &Rc<RefCell<Ledger>>, base: &str, model: &str) -> Option<Self> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(NAME);
        // The same file that has started this worker.
        let worker = Worker::new_with_options("worker_loader.js", &options).ok()?;
        let load = Order::Load {
            base: base.to_owned(),
            model: model.to_owned(),
        };
        let desk = Rc::new(RefCell::new(Desk {
            early: Some(serde_json::to_string(&load).into_iter().collect()),
            fresh: Vec::new(),
            begun: Vec::new(),
            late: false,
            failed: false,
        }));
        let listen = {
            let (worker, desk, ledger) = (worker.clone(), Rc::clone(&desk), Rc::clone(ledger));
            Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
                let message: Array = message.data().unchecked_into();
                let number = |at| message.get(at).as_f64().unwrap_or_default();
                let kind = KINDS.get(number(0) as usize).copied();
                let text = message.get(2).as_string().unwrap_or_default();
                let news = (kind.unwrap_or(Kind::Other), number(1) as u32, text);
                hear(&worker, &desk, &ledger, news);
            })
        };
        worker.set_onmessage(Some(listen.as_ref().unchecked_ref()));
        let fail = {
            let (desk, ledger) = (Rc::clone(&desk), Rc::clone(ledger));
            Closure::<dyn Fn(web_sys::Event)>::new(move |event: web_sys::Event| {
                // Or the page takes it for this worker's end.
                event.prevent_default();
                give_back(&desk, &ledger, "A further worker does not run");
            })
        };
        worker.set_onerror(Some(fail.as_ref().unchecked_ref()));
        Some(Self {
            worker,
            desk,
            _listen: listen,
            _fail: fail,
        })
    }

    /// Whether it is worth giving it anything.
    fn is_able(&self) -> bool {
        let desk = self.desk.borrow();
        !(desk.failed || desk.late && desk.early.is_some())
    }

    fn take(&self, share: Share) {
        let mut desk = self.desk.borrow_mut();
        desk.fresh.push(share.clone());
        self.order(&mut desk, &Order::Share(share));
    }

    /// It need not go on with a batch, or with any.
    fn call_off(&self, job: Option<u32>) {
        let mut desk = self.desk.borrow_mut();
        match job {
            Some(job) => desk.forget(job),
            None => {
                desk.fresh.clear();
                desk.begun.clear();
            }
        }
        self.order(&mut desk, &Order::CallOff(job));
    }

    /// Its share of a job, if nothing has been heard of it; it is not to begin
    /// it any more.
    fn take_back(&self, job: u32) -> Option<Share> {
        let mut desk = self.desk.borrow_mut();
        let at = desk.fresh.iter().position(|share| share.job == job)?;
        let share = desk.fresh.remove(at);
        desk.late = true;
        self.order(&mut desk, &Order::CallOff(Some(job)));
        Some(share)
    }

    fn order(&self, desk: &mut Desk, order: &Order) {
        let Ok(text) = serde_json::to_string(order) else {
            return;
        };
        match &mut desk.early {
            Some(early) => early.push_back(text),
            None => drop(self.worker.post_message(&text.into())),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Hears a helper: a kind, a job, and a text.
fn hear(
    worker: &Worker,
    desk: &RefCell<Desk>,
    ledger: &RefCell<Ledger>,
    (kind, job, text): (Kind, u32, String),
) {
    match kind {
        Kind::Other => {}
        Kind::Ready => {
            let early = desk.borrow_mut().early.take();
            for order in early.into_iter().flatten() {
                drop(worker.post_message(&order.into()));
            }
        }
        Kind::Batch | Kind::Solved => {
            let Some(stop) = ledger.borrow().stop(job) else {
                return;
            };
            if !desk.borrow_mut().begin(job) {
                return;
            }
            // The indices are those of the whole batch.
            post_text(&text);
            if matches!((kind, stop), (Kind::Solved, Stop::FirstSolved)) {
                ledger.borrow_mut().complete(job, true);
                mailbox(cancel(Some(job)));
            }
        }
        Kind::Done if desk.borrow().has(job) => {
            desk.borrow_mut().forget(job);
            ledger.borrow_mut().complete(job, false);
        }
        Kind::Failed if desk.borrow().has(job) => lose(ledger, job, text),
        Kind::Done | Kind::Failed => {}
        Kind::Error => give_back(desk, ledger, &text),
    }
}

/// A helper has failed: this worker does what it has not begun; what it has
/// begun is lost.
fn give_back(desk: &RefCell<Desk>, ledger: &RefCell<Ledger>, message: &str) {
    let mut desk = desk.borrow_mut();
    desk.failed = true;
    for share in desk.fresh.drain(..) {
        if ledger.borrow().has(share.job) {
            mailbox(Task::Share(share));
        }
    }
    for job in desk.begun.drain(..) {
        lose(ledger, job, message.to_owned());
    }
}

/// A helper's share can't be done, and so the whole batch can't.
fn lose(ledger: &RefCell<Ledger>, job: u32, message: String) {
    if ledger.borrow_mut().fail(job, message) {
        // So that nobody goes on with it.
        mailbox(cancel(Some(job)));
    }
}
