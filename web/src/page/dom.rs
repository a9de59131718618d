//! What the page asks of the browser, beyond what Leptos does.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlElement, Response, Url, UrlSearchParams, Window};

fn window() -> Option<Window> {
    web_sys::window()
}

/// The element of that id.
fn element(id: &str) -> Option<HtmlElement> {
    let element = window()?.document()?.get_element_by_id(id)?;
    element.dyn_into().ok()
}

/// Moves the keyboard focus to the element of that id.
pub(crate) fn focus(id: &str) {
    if let Some(element) = element(id) {
        // Fails only for elements that can't be focused.
        let _ = element.focus();
    }
}

/// Scrolls to the element of that id.
pub(crate) fn show(id: &str) {
    if let Some(element) = element(id) {
        element.scroll_into_view();
    }
}

/// Absolute address of a path relative to the page.
pub(crate) fn absolute(path: &str) -> String {
    window()
        .and_then(|w| w.location().href().ok())
        .and_then(|page| Url::new_with_base(path, &page).ok())
        .map_or_else(|| path.to_owned(), |url| url.href())
}

/// A number with decimals, read by the browser: a reader of our own would be
/// several kilobytes of tables.
pub(crate) fn number(text: &str) -> Option<f64> {
    Some(js_sys::parse_float(text)).filter(|number| number.is_finite())
}

/// Text of a file beside the page.
pub(crate) async fn file(name: &str) -> Option<String> {
    let response = JsFuture::from(window()?.fetch_with_str(name)).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    let text = response.ok().then(|| response.text().ok())??;
    JsFuture::from(text).await.ok()?.as_string()
}

/// A parameter of the page's query.
pub(crate) fn query(name: &str) -> Option<String> {
    let search = window()?.location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()?.get(name)
}

/// The page's fragment.
pub(crate) fn fragment() -> String {
    window()
        .and_then(|w| w.location().hash().ok())
        .unwrap_or_default()
}

/// Replaces the page's fragment, as a new entry in the history or in place of
/// the present one.
pub(crate) fn set_fragment(fragment: &str, new: bool) {
    if let Some(history) = window().and_then(|w| w.history().ok()) {
        // Browsers refuse floods of these; the next one then catches up.
        let _ = if new {
            history.push_state_with_url(&JsValue::NULL, "", Some(fragment))
        } else {
            history.replace_state_with_url(&JsValue::NULL, "", Some(fragment))
        };
    }
}

/// Loads the page anew.
pub(crate) fn reload() {
    if let Some(window) = window() {
        let _ = window.location().reload();
    }
}

/// The recorded run that the small script plays: its text, the segment it has
/// come to and whether it goes on. Ends the script.
pub(crate) fn demo() -> Option<(String, usize, bool)> {
    let demo = Reflect::get(&window()?.into(), &"hrmDemo".into()).ok()?;
    if Reflect::get(&demo, &"done".into()).ok()?.is_truthy() {
        return None;
    }
    let value = |key: &str| Reflect::get(&demo, &key.into()).ok();
    let text = value("text")?.as_string()?;
    let frame = value("frame")?.as_f64()? as usize;
    let playing = value("playing")?.is_truthy();
    Reflect::set(&demo, &"done".into(), &true.into()).ok()?;
    Some((text, frame, playing))
}

/// A seed for a new puzzle.
pub(crate) fn seed() -> u64 {
    (js_sys::Math::random() * 9_007_199_254_740_992.0) as u64
}

/// The colours asked for on this page: `light`, `dark` or nothing.
pub(crate) fn theme() -> Option<String> {
    root()?.get_attribute("data-theme")
}

/// Whether the page is dark now.
pub(crate) fn is_dark() -> bool {
    match theme() {
        Some(theme) => theme == "dark",
        None => window()
            .and_then(|w| w.match_media("(prefers-color-scheme: dark)").ok().flatten())
            .is_some_and(|query| query.matches()),
    }
}

/// Chooses the page's colours, now and for the next visit.
pub(crate) fn set_theme(theme: &str) {
    if let Some(root) = root() {
        let _ = root.set_attribute("data-theme", theme);
    }
    if let Some(storage) = window().and_then(|w| w.local_storage().ok().flatten()) {
        // Storage may be full or forbidden; the choice then ends with the visit.
        let _ = storage.set_item("theme", theme);
    }
}

fn root() -> Option<web_sys::Element> {
    window()?.document()?.document_element()
}
