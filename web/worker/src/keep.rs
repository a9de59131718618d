//! Weights kept in the browser's cache, so that the page works offline and
//! nothing is downloaded twice.
//!
//! An entry is named after the file and its sha256: another version of a model
//! is another entry, and takes the place of the older one. What comes out is
//! checked by the caller like any download.

use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Request, Response};

/// Name of the cache. Not the service worker's, which goes with its version.
const CACHE: &str = "hrm-weights";

/// The content kept for a file of that checksum.
pub(crate) async fn get(url: &str, sha256: &str) -> Option<Vec<u8>> {
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
    forget(&cache, url).await;
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

/// Removes every version of a file.
async fn forget(cache: &Cache, url: &str) {
    let Ok(keys) = wait(cache.keys()).await else {
        return;
    };
    for key in js_sys::Array::from(&keys).iter() {
        let request: Request = key.unchecked_into();
        if request.url().split('?').next() == Some(url) {
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
