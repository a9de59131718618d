//! Networks that the visitor has brought: kept beside those of the page. What
//! makes them of files is a worker of its own (`web/import`).

use hrm_core::reason::message::Event;
use hrm_core::weights::sha256_hex;
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::failure::Failure;
use crate::{keep, load, post};

/// How names of imported networks begin.
pub(crate) const IMPORTED: &str = "imported-";

/// A network to be kept, as the page hands it over: `{ keep: BASE, model: ID,
/// files: [[NAME, Uint8Array], …] }`, the base being the address of the models.
pub(crate) struct Brought {
    base: String,
    model: String,
    files: Vec<(String, Uint8Array)>,
}

impl Brought {
    /// None if a message is something else.
    pub(crate) fn of(message: &JsValue) -> Option<Self> {
        let get = |key: &str| Reflect::get(message, &key.into()).ok();
        let file = |pair: JsValue| {
            let pair = pair.dyn_into::<Array>().ok()?;
            Some((pair.get(0).as_string()?, pair.get(1).dyn_into().ok()?))
        };
        let files = get("files")?.dyn_into::<Array>().ok()?;
        Some(Self {
            base: get("keep")?.as_string()?,
            model: get("model")?.as_string()?,
            files: files.into_iter().map(file).collect::<Option<_>>()?,
        })
    }

    /// Keeps it and lists all models anew.
    pub(crate) async fn keep(self) -> Result<(), Failure> {
        sweep(&self.base).await;
        let mut not_kept = None;
        for (name, content) in self.files {
            let url = format!("{}{}/{name}", self.base, self.model);
            let content = content.to_vec();
            let kept = keep::put_or_hold(&url, &sha256_hex(&content), content).await;
            not_kept = not_kept.or(kept.err());
        }
        // The page begins to use it first, which is the end of older news.
        post(&Event::Catalog {
            models: load::catalog(&self.base).await?,
            brought: Some(self.model),
        });
        if let Some(reason) = not_kept {
            post(&Event::NotKept { reason });
        }
        Ok(())
    }
}

/// Removes a network that was brought.
pub(crate) async fn forget(base: &str, model: &str) {
    if model.starts_with(IMPORTED) {
        keep::remove(&format!("{base}{model}/")).await;
    }
}

/// Removes what there is of networks that were not kept to the end: the page
/// may have been closed meanwhile.
async fn sweep(base: &str) {
    for id in keep::folders(base, IMPORTED).await {
        if keep::any(&format!("{base}{id}/manifest.json"))
            .await
            .is_none()
        {
            forget(base, &id).await;
        }
    }
}
