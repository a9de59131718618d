//! What to train: presets, and all settings for those who want their own.

use hrm_train_room::address::Field;
use hrm_train_room::pictures::{COURSE, course};
use hrm_train_room::presets::Preset;
use hrm_train_room::telling;
use leptos::prelude::*;

use crate::dom;
use crate::run::Run;

/// How a setting is changed.
enum Control {
    /// One of a few: names in addresses and for people.
    Choice(&'static [(&'static str, &'static str)]),
    /// A number.
    Number,
}

/// The settings in the order of the form.
const SETTINGS: [(Field, &str, Control); 19] = [
    (
        Field::Kind,
        "Network",
        Control::Choice(&[
            ("hrm", "HRM: attention, two modules"),
            ("relational", "Relational"),
        ]),
    ),
    (
        Field::Shape,
        "Board",
        Control::Choice(&[("4", "4×4"), ("6", "6×6"), ("9", "9×9")]),
    ),
    (Field::Channels, "Channels", Control::Number),
    (Field::Layers, "Layers of a module", Control::Number),
    (Field::High, "High-level cycles", Control::Number),
    (Field::Low, "Low-level cycles", Control::Number),
    (Field::Gradient, "Updates with gradient", Control::Number),
    (
        Field::Loss,
        "Loss on",
        Control::Choice(&[("every", "every segment"), ("last", "the last segment")]),
    ),
    (Field::Hints, "Share with hints", Control::Number),
    (
        Field::Rule,
        "Optimizer",
        Control::Choice(&[("adam-atan2", "AdamATan2"), ("muon", "Muon")]),
    ),
    (Field::Rate, "Learning rate", Control::Number),
    (
        Field::Course,
        "Schedule",
        Control::Choice(&[
            ("constant", "constant"),
            ("linear", "falls in a line"),
            ("cosine", "falls as a cosine"),
        ]),
    ),
    (Field::Warmup, "Warm-up steps", Control::Number),
    (Field::Steps, "Steps", Control::Number),
    (Field::Batch, "Batch", Control::Number),
    (Field::Seed, "Seed", Control::Number),
    (Field::Training, "Training puzzles", Control::Number),
    (Field::HeldOut, "Held-out puzzles", Control::Number),
    (
        Field::Filled,
        "Share of their blanks filled in",
        Control::Number,
    ),
];

/// The form.
#[component]
pub(crate) fn Form(run: Run) -> impl IntoView {
    let presets = Preset::ALL.map(|preset| {
        let chosen = move || run.settings.with(|s| s.preset == preset && !s.is_own());
        view! {
            <label class="preset" class=("chosen", chosen)>
                <input
                    type="radio"
                    name=format!("preset-{}", run.name)
                    value=preset.name()
                    prop:checked=chosen
                    on:change=move |_| run.settings.set(preset.settings())
                />
                <b>{preset.title()}</b>
                <span>{preset.summary()}</span>
            </label>
        }
    });
    let own = move || {
        run.settings
            .with(hrm_train_room::settings::Settings::is_own)
    };
    let fields = SETTINGS.map(|(field, label, control)| {
        let value = move || run.settings.with(|s| field.value(s));
        let change = move |text: String| {
            run.settings.update(|s| {
                field.set(s, &text);
            });
        };
        let id = format!("{}-{}", field.name(), run.name);
        let control = match control {
            Control::Choice(choices) => view! {
                <select id=id on:change=move |event| change(event_target_value(&event))>
                    {choices
                        .iter()
                        .map(|&(name, title)| view! {
                            <option value=name prop:selected=move || value() == name>{title}</option>
                        })
                        .collect_view()}
                </select>
            }
            .into_any(),
            Control::Number => view! {
                <input
                    id=id
                    type="text"
                    inputmode="decimal"
                    prop:value=value
                    on:change=move |event| change(event_target_value(&event))
                />
            }
            .into_any(),
        };
        view! { <label class="setting"><span>{label}</span>{control}</label> }
    });
    let wrong = move || run.settings.with(|s| s.check().err());
    let drawn = move || {
        let place = run.place.get();
        let step = if run.is_live() && !run.differs() {
            place.step
        } else {
            0
        };
        run.settings.with(|s| course(s, step))
    };
    let most = dom::processors().clamp(1, 8);
    let [width, height] = COURSE;
    view! {
        <fieldset class="presets">
            <legend>"What to train"</legend>
            {presets.into_iter().collect_view()}
        </fieldset>
        <details class="own">
            <summary>{move || if own() { "Your own settings (changed)" } else { "Your own settings" }}</summary>
            <div class="settings">
                {fields.into_iter().collect_view()}
                <label class="setting">
                    <span>"Workers"</span>
                    <select
                        id=format!("workers-{}", run.name)
                        on:change=move |event| {
                            run.workers.set(event_target_value(&event).parse().unwrap_or(1));
                        }
                    >
                        {(1..=most)
                            .map(|n| view! {
                                <option value=n prop:selected=move || run.workers.get() == n>{n}</option>
                            })
                            .collect_view()}
                    </select>
                </label>
                <figure class="course">
                    <svg viewBox=format!("0 0 {width} {height}") role="img" aria-label="The course of the learning rate" inner_html=drawn></svg>
                    <figcaption>"the rate, over the steps"</figcaption>
                </figure>
            </div>
            <p class="problem">{wrong}</p>
            <p class="note">
                {move || run.begun.with(|begun| begun.as_ref().filter(|_| run.is_live()).map(|b| format!(
                    "This run: {} numbers to learn, {} puzzles to train on in ever new guises, {} worker{}. The same seed and the same number of workers give the same run.",
                    telling::grouped(b.parameters),
                    telling::grouped(b.training),
                    b.workers,
                    if b.workers == 1 { "" } else { "s" }
                )))}
            </p>
        </details>
    }
}
