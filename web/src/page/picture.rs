//! Pictures and texts as files (`web/picture.js`), and the caption that offers
//! them together with a link to what they show.

use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use crate::actions::Page;
use crate::lab::Runs;
use crate::live::live;

#[wasm_bindgen]
extern "C" {
    /// Saves the `<svg>` or `<canvas>` of that id, or the group of captioned
    /// drawings, under a name (without its ending). The address goes into an
    /// SVG's description.
    #[wasm_bindgen(js_namespace = hrmFiles)]
    fn save(id: &str, name: &str, kind: &str, address: &str);

    /// Hands a text to the person as a file of that name.
    #[wasm_bindgen(js_namespace = hrmFiles)]
    pub(crate) fn download(name: &str, mime: &str, text: &str);
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
    // What runs show may be of another puzzle or network than the board.
    let address = move || match runs {
        Some(runs) => page.permalink_of(runs),
        None => page.permalink(),
    };
    let buttons = [("svg", "SVG"), ("png", "PNG")].map(|(kind, label)| {
        view! {
            <button
                type="button"
                class="quiet"
                aria-label=format!("Save the picture as {label}")
                on:click=move |_| save(picture, name, kind, &untrack(address))
            >
                {label}
            </button>
        }
    });
    view! {
        <div class="caption">
            <span>{children()}</span>
            <span class="files">
                <a class="permalink" href=live(address) aria-label="Link to this experiment">"Link"</a>
                {buttons.into_iter().collect_view()}
                {runs.map(|runs| view! {
                    <button
                        type="button"
                        class="quiet save-runs"
                        aria-label="Save the runs as JSON"
                        disabled=live(move || runs.busy.get() || !page.is_ready())
                        on:click=move |_| page.save_batch(runs)
                    >
                        "JSON"
                    </button>
                })}
            </span>
        </div>
    }
}
