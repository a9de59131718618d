//! Networks from the visitor's disk: files as they are published, handed to
//! the worker, which reads and quantizes them and lists them with the others.

use hrm_core::weights::Manifest;
use js_sys::Uint8Array;
use leptos::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlInputElement};

use crate::actions::{Page, models_base};
use crate::state::Phase;

/// Bytes by which a text is told from weights.
const HEAD: f64 = 512.0;

/// How names of imported networks begin.
const IMPORTED: &str = "imported-";

impl Page {
    /// Makes a network of files; it is chosen once the worker lists it.
    pub(crate) fn bring(&self, files: &[File]) {
        let total: f64 = files.iter().map(|file| file.size()).sum();
        self.state.phase.set(Phase::Loading(0, total as u64));
        if let Some(link) = self.link() {
            link.send_files(&models_base(), files);
        }
    }

    /// The imported network that was not among the models before.
    pub(crate) fn brought(&self, models: &[Manifest]) -> Option<String> {
        let known = self.state.models.get_untracked();
        let new = |m: &&Manifest| m.id.starts_with(IMPORTED) && !known.iter().any(|k| k.id == m.id);
        let waiting = matches!(self.state.phase.get_untracked(), Phase::Loading(..));
        models
            .iter()
            .find(new)
            .filter(|_| waiting && !known.is_empty())
            .map(|m| m.id.clone())
    }
}

/// Whether a file is no text of a puzzle or a run: then it may be a network,
/// and the worker says what it is instead if not.
pub(crate) async fn is_network(file: &File) -> bool {
    let Ok(head) = file.slice_with_f64_and_f64(0.0, HEAD) else {
        return false;
    };
    let Ok(buffer) = JsFuture::from(head.array_buffer()).await else {
        return false;
    };
    let bytes = Uint8Array::new(&buffer).to_vec();
    // The last character may be cut.
    let whole = &bytes[..bytes.len().saturating_sub(4)];
    let text = String::from_utf8_lossy(whole);
    let begin = text.trim_start().to_ascii_lowercase();
    bytes.contains(&0)
        || begin.starts_with("version https://git-lfs")
        || begin.starts_with("<!doctype html")
        || begin.starts_with("<html")
}

/// Opens a network from the disk.
#[component]
pub(crate) fn OpenNetwork(page: Page) -> impl IntoView {
    let take = move |event: leptos::ev::Event| {
        let field: HtmlInputElement = event_target(&event);
        if let Some(list) = field.files() {
            let files: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
            if !files.is_empty() {
                page.bring(&files);
            }
        }
        // The same file can be opened again.
        field.set_value("");
    };
    view! {
        <details class="bring">
            <summary>"Open a network from your disk"</summary>
            <p>
                "Checkpoints of HRM, TRM and their relatives as they are published (for example \
                 sapientinc's HRM on Hugging Face: the file \"checkpoint\" and its all_config.yaml), \
                 or a folder that hrm export wrote. Choose the weights and their configuration \
                 together, or drop them anywhere on this page. They are read here and sent nowhere."
            </p>
            <input
                type="file"
                multiple
                aria-label="Files of a network: weights and configuration"
                on:change=take
            />
        </details>
    }
}
