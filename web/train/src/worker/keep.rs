//! A run kept in the browser's cache, whole or as it was before: two places
//! are written in turns, and the newest whole one counts.

use hrm_train_room::archive;
use hrm_train_room::archive::File;
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Response};

use crate::post::scope;

/// Name of the cache. Not that of the weights, which is another worker's.
const CACHE: &str = "hrm-training";

/// Where this worker's run is kept.
pub(crate) struct Shelf {
    name: String,
    /// Which of the two places is written next.
    next: usize,
    /// The number of what is written next: the larger, the newer.
    number: u64,
}

impl Shelf {
    /// The shelf of this worker's name.
    pub(crate) fn own() -> Self {
        Self {
            name: scope().name(),
            next: 0,
            number: 1,
        }
    }

    fn entry(&self, place: usize) -> String {
        format!("kept-runs/{}-{place}", self.name)
    }

    /// The newest whole run.
    pub(crate) async fn take(&mut self) -> Option<Vec<File>> {
        let cache = open().await.ok()?;
        let mut found: Option<(u64, Vec<File>)> = None;
        for place in 0..2 {
            let Some((number, files)) = read(&cache, &self.entry(place)).await else {
                continue;
            };
            if found.as_ref().is_none_or(|(newest, _)| number > *newest) {
                self.next = 1 - place;
                self.number = number + 1;
                found = Some((number, files));
            }
        }
        found.map(|(_, files)| files)
    }

    /// Keeps a run; returns its bytes.
    ///
    /// # Errors
    /// Why it could not be kept, as a sentence.
    pub(crate) async fn put(&mut self, mut files: Vec<File>) -> Result<usize, String> {
        let number = self.number.to_string();
        files.push((NUMBER.to_owned(), number.into_bytes()));
        let packed = archive::pack(&files)?;
        let stored = async {
            let cache = open().await?;
            let bytes = Uint8Array::from(packed.as_slice());
            let response = Response::new_with_opt_js_u8_array(Some(&bytes))?;
            wait(cache.put_with_str(&self.entry(self.next), &response)).await
        };
        stored.await.map_err(|error| refusal(&error))?;
        self.next = 1 - self.next;
        self.number += 1;
        Ok(packed.len())
    }

    /// Forgets the run.
    pub(crate) async fn clear(&mut self) {
        let Ok(cache) = open().await else {
            return;
        };
        for place in 0..2 {
            // Should it stay, it is only in the way.
            let _ = wait(cache.delete_with_str(&self.entry(place))).await;
        }
    }
}

/// The file that says which of two runs is newer.
const NUMBER: &str = "number";

async fn read(cache: &Cache, entry: &str) -> Option<(u64, Vec<File>)> {
    let found = wait(cache.match_with_str(entry)).await.ok()?;
    let response: Response = found.dyn_into().ok()?;
    let buffer = wait(response.array_buffer().ok()?).await.ok()?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    // Checksums tell a damaged one.
    let mut files = archive::unpack(&bytes).ok()?;
    let at = files.iter().position(|(name, _)| name == NUMBER)?;
    let (_, number) = files.swap_remove(at);
    let number = String::from_utf8(number).ok()?.parse().ok()?;
    Some((number, files))
}

fn refusal(error: &JsValue) -> String {
    let text = |key: &str| {
        Reflect::get(error, &key.into())
            .ok()
            .and_then(|value| value.as_string())
    };
    let reason = if text("name").as_deref() == Some("QuotaExceededError") {
        "the browser’s storage is full".to_owned()
    } else {
        text("message")
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| "the browser keeps nothing for this page".to_owned())
    };
    format!("The run goes on, but it is lost when this page is closed: {reason}. Export keeps it.")
}

async fn open() -> Result<Cache, JsValue> {
    let caches = Reflect::get(&js_sys::global(), &"caches".into())?;
    if !caches.is_truthy() {
        return Err(JsValue::UNDEFINED);
    }
    let caches: CacheStorage = caches.unchecked_into();
    wait(caches.open(CACHE)).await?.dyn_into()
}

async fn wait(promise: impl Into<Promise>) -> Result<JsValue, JsValue> {
    JsFuture::from(promise.into()).await
}
