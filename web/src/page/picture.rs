//! Pictures as files: any `<svg>` or `<canvas>` of the page, or a group of
//! them, as SVG or PNG, and the caption that offers them together with a link
//! to what they show.

use js_sys::{Array, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, CanvasRenderingContext2d, Element, HtmlAnchorElement, HtmlCanvasElement,
    HtmlImageElement, Url, XmlSerializer,
};

use crate::actions::Page;
use crate::dom;
use crate::lab::Runs;

/// Pixels of a PNG to one unit of the drawing: sharp in print.
const SCALE: f64 = 3.0;

/// What a drawing's look is made of. All of these may stand as attributes, so
/// that the file needs no style sheet.
const PROPERTIES: [&str; 18] = [
    "color",
    "dominant-baseline",
    "fill",
    "fill-opacity",
    "fill-rule",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "opacity",
    "stop-color",
    "stroke",
    "stroke-dasharray",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-opacity",
    "stroke-width",
    "text-anchor",
];

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be scaled and edited.
    Svg,
    /// For slides and messages.
    Png,
}

/// Saves the `<svg>` or `<canvas>` of that id, or the group of captioned
/// drawings, under a name (without its ending). The address of what is shown goes into an SVG's description.
pub(crate) fn save(id: &str, name: &str, kind: Kind) {
    let (id, name) = (id.to_owned(), name.to_owned());
    spawn_local(async move {
        if let Err(error) = try_save(&id, &name, kind).await {
            web_sys::console::error_2(&format!("{name} could not be saved").into(), &error);
        }
    });
}

async fn try_save(id: &str, name: &str, kind: Kind) -> Result<(), JsValue> {
    let element = document()
        .get_element_by_id(id)
        .ok_or_else(|| JsValue::from_str("there is no such picture"))?;
    let (text, width, height) = match element.dyn_ref::<HtmlCanvasElement>() {
        Some(canvas) if kind == Kind::Png => {
            return download_url(&canvas.to_data_url()?, &format!("{name}.png"));
        }
        Some(canvas) => {
            let (w, h) = (canvas.width(), canvas.height());
            let data = canvas.to_data_url()?;
            let text = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\">\
                 <image width=\"{w}\" height=\"{h}\" href=\"{data}\"/></svg>"
            );
            (text, f64::from(w), f64::from(h))
        }
        None if element.tag_name() == "svg" => standalone(&element)?,
        None => sheet(&element)?,
    };
    if kind == Kind::Svg {
        return download(&format!("{name}.svg"), "image/svg+xml", text.as_bytes());
    }
    let image = HtmlImageElement::new()?;
    let encoded = String::from(js_sys::encode_uri_component(&text));
    image.set_src(&format!("data:image/svg+xml;charset=utf-8,{encoded}"));
    JsFuture::from(image.decode()).await?;
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    canvas.set_width((width * SCALE) as u32);
    canvas.set_height((height * SCALE) as u32);
    let context: CanvasRenderingContext2d = canvas
        .get_context("2d")?
        .ok_or_else(|| JsValue::from_str("this browser draws no pictures"))?
        .unchecked_into();
    context.draw_image_with_html_image_element_and_dw_and_dh(
        &image,
        0.0,
        0.0,
        width * SCALE,
        height * SCALE,
    )?;
    download_url(&canvas.to_data_url()?, &format!("{name}.png"))
}

/// An `<svg>` element as a file of its own, with its size: the looks that the
/// page's style sheets give it become attributes, the page's colour its ground.
fn standalone(element: &Element) -> Result<(String, f64, f64), JsValue> {
    let copy: Element = element.clone_node_with_deep(true)?.unchecked_into();
    adopt_looks(element, &copy)?;
    let bounds = element
        .get_attribute("viewBox")
        .map(|text| {
            text.split_whitespace()
                .filter_map(dom::number)
                .collect::<Vec<f64>>()
        })
        .filter(|bounds| bounds.len() == 4)
        .unwrap_or_else(|| {
            let rect = element.get_bounding_client_rect();
            vec![0.0, 0.0, rect.width(), rect.height()]
        });
    let bounds = [bounds[0], bounds[1], bounds[2], bounds[3]];
    frame(&copy, bounds)
}

/// Namespace of the elements of drawings.
const SVG: Option<&str> = Some("http://www.w3.org/2000/svg");

/// A group of drawings with their captions as one, arranged as on the page.
fn sheet(group: &Element) -> Result<(String, f64, f64), JsValue> {
    let around = group.get_bounding_client_rect();
    let sheet = document().create_element_ns(SVG, "svg")?;
    let place = |element: &Element, of: &Element, below: bool| -> Result<(), JsValue> {
        let rect = of.get_bounding_client_rect();
        let y = if below { rect.bottom() } else { rect.top() };
        element.set_attribute("x", &(rect.left() - around.left()).to_string())?;
        element.set_attribute("y", &(y - around.top()).to_string())
    };
    let drawings = group.get_elements_by_tag_name("svg");
    for drawing in (0..drawings.length()).filter_map(|i| drawings.item(i)) {
        let copy: Element = drawing.clone_node_with_deep(true)?.unchecked_into();
        adopt_looks(&drawing, &copy)?;
        place(&copy, &drawing, false)?;
        let rect = drawing.get_bounding_client_rect();
        copy.set_attribute("width", &rect.width().to_string())?;
        copy.set_attribute("height", &rect.height().to_string())?;
        sheet.append_child(&copy)?;
    }
    let captions = group.query_selector_all("figcaption > *")?;
    for caption in (0..captions.length()).filter_map(|i| captions.item(i)) {
        let caption: Element = caption.unchecked_into();
        let text = document().create_element_ns(SVG, "text")?;
        text.set_text_content(caption.text_content().as_deref());
        for property in ["font-family", "font-size", "font-weight"] {
            text.set_attribute(property, &computed(&caption, property)?)?;
        }
        text.set_attribute("fill", &computed(&caption, "color")?)?;
        // Text stands on its line, which is a little above its box's foot.
        text.set_attribute("dy", "-0.3em")?;
        place(&text, &caption, true)?;
        sheet.append_child(&text)?;
    }
    frame(&sheet, [0.0, 0.0, around.width(), around.height()])
}

/// Gives a drawing its size, the page's colour as its ground, and a word on
/// where it comes from.
fn frame(
    drawing: &Element,
    [x, y, width, height]: [f64; 4],
) -> Result<(String, f64, f64), JsValue> {
    for (name, value) in [
        ("width", width.to_string()),
        ("height", height.to_string()),
        ("viewBox", format!("{x} {y} {width} {height}")),
    ] {
        drawing.set_attribute(name, &value)?;
    }
    let ground = document().create_element_ns(SVG, "rect")?;
    for (name, value) in [("x", x), ("y", y), ("width", width), ("height", height)] {
        ground.set_attribute(name, &value.to_string())?;
    }
    if let Some(body) = document().body() {
        ground.set_attribute("fill", &computed(&body, "background-color")?)?;
    }
    drawing.insert_before(&ground, drawing.first_child().as_ref())?;
    let source = document().create_element_ns(SVG, "desc")?;
    source.set_text_content(window().location().href().ok().as_deref());
    drawing.insert_before(&source, drawing.first_child().as_ref())?;
    let text = XmlSerializer::new()?.serialize_to_string(drawing)?;
    Ok((text, width, height))
}

/// Gives a copy the computed looks of its original, with all below it.
fn adopt_looks(original: &Element, copy: &Element) -> Result<(), JsValue> {
    for property in PROPERTIES {
        let value = computed(original, property)?;
        if !value.is_empty() {
            copy.set_attribute(property, &value)?;
        }
    }
    copy.remove_attribute("class")?;
    let (originals, copies) = (original.children(), copy.children());
    for i in 0..originals.length() {
        if let (Some(original), Some(copy)) = (originals.item(i), copies.item(i)) {
            adopt_looks(&original, &copy)?;
        }
    }
    Ok(())
}

fn computed(element: &Element, property: &str) -> Result<String, JsValue> {
    match window().get_computed_style(element)? {
        Some(style) => style.get_property_value(property),
        None => Ok(String::new()),
    }
}

/// Hands a file to the person.
pub(crate) fn download(name: &str, mime: &str, content: &[u8]) -> Result<(), JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(mime);
    let parts = Array::of1(&Uint8Array::from(content));
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let done = download_url(&url, name);
    Url::revoke_object_url(&url)?;
    done
}

fn download_url(url: &str, name: &str) -> Result<(), JsValue> {
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(url);
    link.set_download(name);
    link.click();
    Ok(())
}

/// What stands under a picture: a sentence, a link to just this experiment,
/// and the picture as a file, with the `runs` that it shows where there are
/// several. `picture` is the element's id, `name` the file's.
#[component]
pub(crate) fn Caption(
    page: Page,
    picture: &'static str,
    name: &'static str,
    #[prop(optional)] runs: Option<Runs>,
    children: Children,
) -> impl IntoView {
    let button = move |kind: Kind, label: &'static str| {
        view! {
            <button
                type="button"
                class="quiet"
                aria-label=format!("Save the picture as {label}")
                on:click=move |_| save(picture, name, kind)
            >
                {label}
            </button>
        }
    };
    view! {
        <div class="caption">
            <span>{children()}</span>
            <span class="files">
                <a class="permalink" href=move || page.permalink() aria-label="Link to this experiment">"Link"</a>
                {button(Kind::Svg, "SVG")}
                {button(Kind::Png, "PNG")}
                {runs.map(|runs| view! {
                    <button
                        type="button"
                        class="quiet save-runs"
                        aria-label="Save the runs as JSON"
                        disabled=move || runs.busy.get() || !page.is_ready()
                        on:click=move |_| page.save_batch(runs)
                    >
                        "JSON"
                    </button>
                })}
            </span>
        </div>
    }
}
