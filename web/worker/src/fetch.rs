//! Files over HTTP, as bytes, with progress.

use hrm_core::reason::message::ErrorKind;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DedicatedWorkerGlobalScope, ReadableStreamDefaultReader, RequestCache, RequestInit, Response,
};

use crate::failure::Failure;

/// A text file.
pub(crate) async fn text(url: &str) -> Result<String, Failure> {
    let bytes = bytes(url, None, |_| ()).await?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(ErrorKind::Weights, format!("{url} is not text")))
}

/// A file of at most `expected` bytes and one (so that an over-long file is
/// seen as one, and does not fill the memory); `progress` hears the number of
/// bytes that have arrived.
pub(crate) async fn bytes(
    url: &str,
    expected: Option<u64>,
    mut progress: impl FnMut(u64),
) -> Result<Vec<u8>, Failure> {
    let response = open(url).await?;
    let Some(body) = response.body() else {
        return Err(network(url, "the answer is empty"));
    };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut content = Vec::with_capacity(expected.unwrap_or(0).min(1 << 26) as usize);
    loop {
        let chunk = JsFuture::from(reader.read())
            .await
            .map_err(|error| network(url, &reason(&error)))?;
        let done = Reflect::get(&chunk, &"done".into()).is_ok_and(|done| done.is_truthy());
        if done {
            return Ok(content);
        }
        let value = Reflect::get(&chunk, &"value".into())
            .ok()
            .and_then(|value| value.dyn_into::<Uint8Array>().ok())
            .ok_or_else(|| network(url, "the answer could not be read"))?;
        let start = content.len();
        content.resize(start + value.length() as usize, 0);
        value.copy_to(&mut content[start..]);
        progress(content.len() as u64);
        if expected.is_some_and(|expected| content.len() as u64 > expected) {
            // What is there already shows that the length is wrong.
            let _ = reader.cancel();
            return Ok(content);
        }
    }
}

async fn open(url: &str) -> Result<Response, Failure> {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let options = RequestInit::new();
    // Model files keep their names when they change: ask the server, which
    // answers "not modified" where it can.
    options.set_cache(RequestCache::NoCache);
    let response: Response = JsFuture::from(scope.fetch_with_str_and_init(url, &options))
        .await
        .map_err(|error| network(url, &reason(&error)))?
        .unchecked_into();
    if response.ok() {
        Ok(response)
    } else {
        Err(network(
            url,
            &format!("the server answered {}", response.status()),
        ))
    }
}

fn network(url: &str, reason: &str) -> Failure {
    Failure::new(
        ErrorKind::Network,
        format!("{url} could not be loaded: {reason}"),
    )
}

fn reason(error: &JsValue) -> String {
    Reflect::get(error, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| "the connection failed".to_owned())
}
