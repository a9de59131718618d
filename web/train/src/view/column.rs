//! One run: what happens, its buttons, its boards, its curves, its settings.

use hrm_train_room::address::Field;
use hrm_train_room::telling::{self, Phase};
use leptos::prelude::*;

use crate::boards::Boards;
use crate::curves::Curves;
use crate::files::Files;
use crate::form::Form;
use crate::run::Run;

/// Everything of a run; `other` is the one beside it.
#[component]
pub(crate) fn Column(run: Run, other: RwSignal<Option<Run>>) -> impl IntoView {
    let sentence = move || {
        let place = run.place.get();
        run.phase.with(|phase| {
            run.begun
                .with(|begun| telling::sentence(phase, begun.as_ref(), &place))
        })
    };
    let making = move || run.phase.with(|phase| matches!(phase, Phase::Making(..)));
    let running = move || {
        let waits = run.phase.with(|phase| *phase == Phase::Waiting);
        run.place.get().running || waits
    };
    let label = move || {
        let anew = run.is_live() && run.differs();
        match (anew, running(), run.place.get()) {
            (true, ..) => "Train anew",
            (_, true, _) => "Pause",
            (_, _, place) if run.is_live() && place.over => "Train on",
            _ => "Train",
        }
    };
    let anew = move || {
        let place = run.place.get();
        (run.is_live() && run.differs() && place.step > 0).then(|| {
            format!(
                "Other settings are chosen: training with them begins anew, and the run of {} steps is given up (export keeps it).",
                telling::grouped(place.step as usize)
            )
        })
    };
    let restart = move |_| run.begin(run.place.get_untracked().running);
    let numbers = move || {
        let place = run.place.get();
        run.begun.with(|begun| {
            begun
                .as_ref()
                .filter(|_| run.is_live())
                .map(|begun| telling::numbers(&place, &begun.history))
        })
    };
    let differs = move || {
        let other = other.get()?.settings.get();
        let own = run.settings.get();
        let fields = Field::ALL.iter().filter_map(|(field, name)| {
            let (own, other) = (field.value(&own), field.value(&other));
            (own != other).then(|| format!("{name} {own} (beside: {other})"))
        });
        let fields: Vec<String> = fields.collect();
        Some(if fields.is_empty() {
            "The same settings as beside it: change one.".to_owned()
        } else {
            format!("Differs in {}.", fields.join(", "))
        })
    };
    let id = move |part: &str| format!("{part}-{}", run.name);
    view! {
        <section class="run" aria-label="A run">
            <p id=id("sentence") class="happening" role="status">{sentence}</p>
            <p class="differs">{differs}</p>
            <div class="doing">
                <div class="controls">
                    <button id=id("train") type="button" class="primary" class=("playing", running) on:click=move |_| run.toggle() disabled=making>
                        <span class="glyph" aria-hidden="true"></span>
                        <span>{label}</span>
                    </button>
                    <button id=id("one-step") type="button" on:click=move |_| run.step() disabled=move || running() || making()>"One step"</button>
                    <button id=id("restart") type="button" on:click=restart disabled=move || !run.is_live() || making()>"Restart"</button>
                    <label class="check">
                        <input
                            id=id("unseen")
                            type="checkbox"
                            prop:checked=move || run.unseen.get()
                            on:change=move |event| run.unseen.set(event_target_checked(&event))
                        />
                        <span>"go on in the background"</span>
                    </label>
                </div>
                <p class="anew">{anew}</p>
                <p id=id("note") class="problem" role="status">{move || run.note.get()}</p>
                <p id=id("numbers") class="room-status">{numbers}</p>
                <Boards run/>
            </div>
            <Curves run/>
            <Form run/>
            <Files run/>
        </section>
    }
}
