//! What the room asks of the browser, beyond what Leptos does.

use hrm_web::address::Address;
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, CustomEvent, CustomEventInit, DataTransfer, DragEvent, DragEventInit,
    File, HtmlAnchorElement, HtmlElement, Response, Url, Window,
};

fn window() -> Option<Window> {
    web_sys::window()
}

/// The element that the page has made for the room.
pub(crate) fn place() -> Option<HtmlElement> {
    let place = Reflect::get(&window()?.into(), &"hrmTraining".into()).ok()?;
    place.dyn_into().ok()
}

/// What the page's address asks of the room.
pub(crate) fn asked() -> Option<String> {
    let fragment = window()?.location().hash().ok()?;
    Address::parse(&fragment).get("train").map(str::to_owned)
}

/// Has the page's address keep what the room shows.
pub(crate) fn keep_in_address(value: &str) {
    let init = CustomEventInit::new();
    init.set_detail(&value.into());
    if let (Some(window), Ok(event)) = (
        window(),
        CustomEvent::new_with_event_init_dict("hrm-train", &init),
    ) {
        let _ = window.dispatch_event(&event);
    }
}

/// Processors of this machine.
pub(crate) fn processors() -> usize {
    window().map_or(1, |w| w.navigator().hardware_concurrency() as usize)
}

/// Whether the visitor wants things to keep still.
pub(crate) fn keeps_still() -> bool {
    window()
        .and_then(|w| {
            w.match_media("(prefers-reduced-motion: reduce)")
                .ok()
                .flatten()
        })
        .is_some_and(|query| query.matches())
}

/// Whether nobody sees the page.
pub(crate) fn is_hidden() -> bool {
    window()
        .and_then(|w| w.document())
        .is_some_and(|document| document.hidden())
}

/// A text that lies beside the page.
pub(crate) async fn text(name: &str) -> Option<String> {
    let response = JsFuture::from(window()?.fetch_with_str(name)).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    let text = response.ok().then(|| response.text().ok())??;
    JsFuture::from(text).await.ok()?.as_string()
}

/// The content of a file of the visitor's.
pub(crate) async fn content(file: &File) -> Option<Uint8Array> {
    let buffer = JsFuture::from(file.array_buffer()).await.ok()?;
    Some(Uint8Array::new(&buffer))
}

/// Hands the visitor a file.
pub(crate) fn download(name: &str, bytes: &Uint8Array) -> Option<()> {
    let options = BlobPropertyBag::new();
    options.set_type("application/zip");
    let parts = Array::of1(bytes);
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options).ok()?;
    let url = Url::create_object_url_with_blob(&blob).ok()?;
    let link = window()?.document()?.create_element("a").ok()?;
    let link: HtmlAnchorElement = link.dyn_into().ok()?;
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Url::revoke_object_url(&url).ok()
}

/// Gives the page the files of a network, as if they had been dropped on it:
/// it keeps and lists them like any other from the visitor's disk.
pub(crate) fn bring(files: &[(String, Uint8Array)]) -> Option<()> {
    let data = DataTransfer::new().ok()?;
    for (name, bytes) in files {
        let file = File::new_with_u8_array_sequence(&Array::of1(bytes), name).ok()?;
        data.items().add_with_file(&file).ok()?;
    }
    let init = DragEventInit::new();
    init.set_bubbles(true);
    init.set_cancelable(true);
    init.set_data_transfer(Some(&data));
    let event = DragEvent::new_with_event_init_dict("drop", &init).ok()?;
    window()?.document()?.body()?.dispatch_event(&event).ok()?;
    Some(())
}

/// The share of an element's width at which an event of the pointer is.
pub(crate) fn across(event: &web_sys::MouseEvent) -> Option<f64> {
    let target: web_sys::Element = event.current_target()?.dyn_into().ok()?;
    let bounds = target.get_bounding_client_rect();
    Some((f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0))
}

/// Scrolls to the list of networks.
pub(crate) fn show_networks() {
    let found = window()
        .and_then(|w| w.document())
        .and_then(|document| document.query_selector(".models").ok().flatten());
    if let Some(networks) = found {
        networks.scroll_into_view();
    }
}

/// What a message of a worker carries: its text, and arrays of bytes.
pub(crate) fn parts(data: &JsValue) -> (String, Vec<Uint8Array>) {
    match data.dyn_ref::<Array>() {
        None => (data.as_string().unwrap_or_default(), Vec::new()),
        Some(list) => {
            let text = list.get(0).as_string().unwrap_or_default();
            let bytes = list.iter().skip(1).filter_map(|item| item.dyn_into().ok());
            (text, bytes.collect())
        }
    }
}
