//! What of the page's state its address keeps, beyond model and puzzle.
//!
//! A part of the page that wants to be linked to reads what the address asks
//! for with [`Place::asked`] and writes what it shows with [`Place::keep`],
//! both under a key of its own.

use std::fmt::Display;

use hrm_web::address::{Address, problems};
use leptos::prelude::*;

use crate::dom;

/// The address as it was opened, and as it is kept.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// What the address named when the page was opened, or when a link on it
    /// was followed since. Watch it in an effect to go there.
    pub(crate) asked: RwSignal<Address>,
    kept: RwSignal<Address>,
    /// What it names that can't be read.
    pub(crate) problems: RwSignal<Vec<String>>,
}

impl Place {
    /// The place that the page was opened at.
    pub(crate) fn new() -> Self {
        Self {
            asked: RwSignal::new(Address::parse(&dom::fragment())),
            kept: RwSignal::new(Address::default()),
            problems: RwSignal::new(problems(&dom::fragment())),
        }
    }

    /// The value that the address asks for. Tracked.
    pub(crate) fn asked(&self, key: &str) -> Option<String> {
        self.asked.with(|asked| asked.get(key).map(str::to_owned))
    }

    /// Has the address keep a value; an empty one is left out.
    pub(crate) fn keep(&self, key: &str, value: &impl Display) {
        let mut kept = self.kept.get_untracked();
        kept.set(key, value);
        if self.kept.with_untracked(|old| *old != kept) {
            self.kept.set(kept);
        }
    }

    /// The present state as an address, with a model and a puzzle. Tracked.
    pub(crate) fn address(
        &self,
        model: Option<String>,
        puzzle: hrm_core::puzzle::AnyPuzzle,
    ) -> Address {
        let mut address = self.kept.get();
        address.model = model;
        address.puzzle = Some(puzzle);
        address
    }
}
