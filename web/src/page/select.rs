//! Lists to choose from, all of one type: each of its own would be some
//! kilobytes of the program.

use leptos::html;
use leptos::prelude::*;

use crate::live::effect;

/// Values with their names, in order.
pub(crate) type Options = Vec<(String, String)>;

/// Options that are known beforehand.
pub(crate) fn options<V: ToString, N: ToString>(
    all: impl IntoIterator<Item = (V, N)>,
) -> impl Fn() -> Options {
    let all: Options = all
        .into_iter()
        .map(|(value, name)| (value.to_string(), name.to_string()))
        .collect();
    move || all.clone()
}

/// A list that follows `options` and `value` and tells `change` what was
/// chosen. `label` is for who can't see what it is about; empty where a label
/// stands beside it.
pub(crate) fn select(
    id: &'static str,
    label: &'static str,
    options: impl Fn() -> Options + 'static,
    value: impl Fn() -> String + 'static,
    change: impl Fn(String) + 'static,
) -> impl IntoView {
    boxed(
        id,
        label,
        Box::new(options),
        Box::new(value),
        Box::new(change),
    )
}

fn boxed(
    id: &'static str,
    label: &'static str,
    options: Box<dyn Fn() -> Options>,
    value: Box<dyn Fn() -> String>,
    change: Box<dyn Fn(String)>,
) -> impl IntoView {
    let field = NodeRef::<html::Select>::new();
    let mut shown = Options::new();
    effect(move || {
        let (options, value) = (options(), value());
        let Some(field) = field.get() else { return };
        if options != shown {
            let lines = options.iter().map(|(value, name)| {
                format!(
                    "<option value=\"{}\">{}</option>",
                    escape(value),
                    escape(name)
                )
            });
            field.set_inner_html(&lines.collect::<String>());
            shown = options;
        }
        field.set_value(&value);
    });
    view! {
        <select
            id=id
            node_ref=field
            aria-label=(!label.is_empty()).then_some(label)
            on:change=move |event| change(event_target_value(&event))
        ></select>
    }
}

/// A text as it stands in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
