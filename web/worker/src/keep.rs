//! Weights kept in the browser's cache, so that the page works offline and
//! nothing is downloaded twice.
//!
//! An entry is named after the file and its sha256: another version of a model
//! is another entry, and takes the place of the older one. What comes out is
//! checked by the caller like any download.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Request, Response};

/// Name of the cache. Not the service worker's, which goes with its version.
const CACHE: &str = "hrm-weights";

thread_local! {
    /// What could not be kept, for as long as this page is open.
    static HELD: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
}

fn held(url: &str) -> Option<Vec<u8>> {
    HELD.with_borrow(|held| held.get(url).cloned())
}

/// The content kept for a file of that checksum.
pub(crate) async fn get(url: &str, sha256: &str) -> Option<Vec<u8>> {
    if let Some(content) = held(url) {
        return Some(content);
    }
    let cache = open().await?;
    let found = wait(cache.match_with_str(&entry(url, sha256))).await.ok()?;
    let response: Response = found.dyn_into().ok()?;
    let buffer = wait(response.array_buffer().ok()?).await.ok()?;
    Some(Uint8Array::new(&buffer).to_vec())
}

/// Keeps a file's content in place of its older versions.
///
/// # Errors
/// Why it could not be kept, as a sentence. A browser without a cache keeps
/// nothing, which is no error.
pub(crate) async fn put(url: &str, sha256: &str, content: &[u8]) -> Result<(), String> {
    let Some(cache) = open().await else {
        return Ok(());
    };
    delete(&cache, |kept| kept == url).await;
    let bytes = Uint8Array::from(content);
    let stored = match Response::new_with_opt_js_u8_array(Some(&bytes)) {
        Ok(response) => wait(cache.put_with_str(&entry(url, sha256), &response)).await,
        Err(error) => Err(error),
    };
    stored.map(drop).map_err(|error| {
        let full = text(&error, "name") == "QuotaExceededError";
        let reason = if full {
            "the browser's storage is full".to_owned()
        } else {
            text(&error, "message")
        };
        format!("The network works, but it was not kept for the next visit: {reason}.")
    })
}

/// Keeps a file that can't be fetched again; where the browser does not, it is
/// held until the page is closed.
///
/// # Errors
/// As [`put`].
pub(crate) async fn put_or_hold(url: &str, sha256: &str, content: Vec<u8>) -> Result<(), String> {
    let kept = match open().await {
        Some(_) => put(url, sha256, &content).await,
        None => Err(
            "The browser keeps nothing for this page: the network is gone when it is closed."
                .to_owned(),
        ),
    };
    if kept.is_err() {
        HELD.with_borrow_mut(|held| held.insert(url.to_owned(), content));
    }
    kept
}

/// Any version of a file.
pub(crate) async fn any(url: &str) -> Option<Vec<u8>> {
    if let Some(content) = held(url) {
        return Some(content);
    }
    let (_, sha256) = versions()
        .await
        .into_iter()
        .find(|(known, _)| known == url)?;
    get(url, &sha256).await
}

/// Removes every file below an address.
pub(crate) async fn remove(folder: &str) {
    HELD.with_borrow_mut(|held| held.retain(|url, _| !url.starts_with(folder)));
    if let Some(cache) = open().await {
        delete(&cache, |url| url.starts_with(folder)).await;
    }
}

/// Folders under `base` whose names begin so.
pub(crate) async fn folders(base: &str, begin: &str) -> Vec<String> {
    let mut urls: Vec<String> = versions().await.into_iter().map(|(url, _)| url).collect();
    urls.extend(HELD.with_borrow(|held| held.keys().cloned().collect::<Vec<_>>()));
    let folder = |url: &String| {
        let (folder, _) = url.strip_prefix(base)?.split_once('/')?;
        folder.starts_with(begin).then(|| folder.to_owned())
    };
    let folders: BTreeSet<String> = urls.iter().filter_map(folder).collect();
    folders.into_iter().collect()
}

/// Every file that is kept, with its sha256.
async fn versions() -> Vec<(String, String)> {
    let Some(cache) = open().await else {
        return Vec::new();
    };
    let Ok(keys) = wait(cache.keys()).await else {
        return Vec::new();
    };
    let version = |key: JsValue| {
        let url = key.unchecked_into::<Request>().url();
        let (url, sum) = url.split_once("?sha256=")?;
        Some((url.to_owned(), sum.to_owned()))
    };
    js_sys::Array::from(&keys)
        .iter()
        .filter_map(version)
        .collect()
}

/// Removes every version of the files whose addresses are meant.
async fn delete(cache: &Cache, meant: impl Fn(&str) -> bool) {
    let Ok(keys) = wait(cache.keys()).await else {
        return;
    };
    for key in js_sys::Array::from(&keys).iter() {
        let request: Request = key.unchecked_into();
        let url = request.url();
        if meant(url.split('?').next().unwrap_or_default()) {
            // Should it stay, it is only in the way.
            let _ = wait(cache.delete_with_request(&request)).await;
        }
    }
}

fn entry(url: &str, sha256: &str) -> String {
    format!("{url}?sha256={sha256}")
}

/// The cache; none where the browser has none, which is so on pages that are
/// not served securely.
async fn open() -> Option<Cache> {
    let caches = Reflect::get(&js_sys::global(), &"caches".into()).ok()?;
    let caches: CacheStorage = caches.is_truthy().then(|| caches.unchecked_into())?;
    wait(caches.open(CACHE)).await.ok()?.dyn_into().ok()
}

async fn wait(promise: impl Into<Promise>) -> Result<JsValue, JsValue> {
    JsFuture::from(promise.into()).await
}

fn text(error: &JsValue, key: &str) -> String {
    Reflect::get(error, &key.into())
        .ok()
        .and_then(|value| value.as_string())
        .unwrap_or_else(|| "the browser refused".to_owned())
}
