//! Which of a file's tensors are the model's: raw weights, their average, or
//! both under names of their own, among optimisers and random states.

use std::collections::BTreeMap;

use super::file::Entry;
use super::{ImportError, note_list};

/// How tensors of a model begin, without the wrappers' prefixes.
const ROOTS: [&str; 9] = [
    "embed_tokens",
    "embed_pos",
    "puzzle_emb",
    "H_init",
    "L_init",
    "H_level",
    "L_level",
    "lm_head",
    "q_head",
];

/// What wrappers put in front of a name.
const WRAPPERS: [&str; 4] = ["_orig_mod", "model", "inner", "module"];

/// Parts of names in which optimisers keep copies as large as the weights.
const NOT_WEIGHTS: [&str; 8] = [
    "optim",
    "exp_avg",
    "momentum",
    "grad",
    "carry",
    "rng",
    "scheduler",
    "target",
];

/// Tensors that models carry along and that mean nothing for what they
/// compute here.
const LEFT_OVERS: [&str; 16] = [
    "rotary_emb",
    "rope",
    "cos_cached",
    "sin_cached",
    "inv_freq",
    "local_weights",
    "local_ids",
    "step",
    "steps",
    "global_step",
    "current_step",
    "iteration",
    "epoch",
    "n_averaged",
    "num_batches_tracked",
    "_extra_state",
];

/// The model's tensors: places in the file's list, by their plain names.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) tensors: BTreeMap<String, usize>,
    /// The outermost keys of all sets of weights that the file holds.
    pub(super) sets: Vec<String>,
    /// The dictionaries that hold it.
    within: Vec<String>,
}

/// A set of tensors with one prefix.
#[derive(Debug)]
struct Group {
    /// Its name: the prefix without wrappers.
    key: String,
    /// What a user would call it: the keys of the dictionaries.
    name: String,
    within: Vec<String>,
    tensors: Vec<(String, usize)>,
}

impl Group {
    fn average(&self) -> bool {
        let name = self.key.to_lowercase();
        ["ema", "shadow", "average", "swa"].iter().any(|word| {
            name.split(['.', '_', '-'])
                .any(|part| part.starts_with(word))
        })
    }
}

/// Chooses the tensors of a model: those asked for by name, or the average
/// where there is one, laid over the raw weights if it is a part of them.
pub(super) fn choose(
    entries: &[Entry],
    asked: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Chosen, ImportError> {
    let groups = groups(entries);
    let names: Vec<String> = groups.iter().map(|g| shown(&g.name)).collect();
    let list = || names.join(", ");
    let picked = match asked {
        Some(asked) => {
            let matching: Vec<usize> = (0..groups.len())
                .filter(|&i| {
                    let group = &groups[i];
                    group.name == asked
                        || group.key == asked
                        || group.within.iter().any(|key| key == asked)
                })
                .collect();
            match matching.as_slice() {
                [one] => *one,
                [] => {
                    return Err(ImportError::Choose(format!(
                        "there are no tensors `{asked}`; the file has {}",
                        list()
                    )));
                }
                _ => {
                    return Err(ImportError::Choose(format!(
                        "`{asked}` means several sets of tensors; the file has {}",
                        list()
                    )));
                }
            }
        }
        None => {
            let averages: Vec<usize> = (0..groups.len()).filter(|&i| groups[i].average()).collect();
            let raw: Vec<usize> = (0..groups.len())
                .filter(|&i| !groups[i].average())
                .collect();
            match (averages.as_slice(), raw.as_slice()) {
                ([one], _) | ([], [one]) => *one,
                ([], []) => {
                    let known = entries.len();
                    return Err(ImportError::Choose(format!(
                        "none of its {known} tensors is of an HRM or a relative of it (they begin with {}, …)",
                        ROOTS[..4].join(", ")
                    )));
                }
                _ => {
                    return Err(ImportError::Choose(format!(
                        "the file has several sets of weights: {}; say which: hrm import --tensors NAME",
                        list()
                    )));
                }
            }
        }
    };
    if names.len() > 1 {
        let others: Vec<String> = (0..names.len())
            .filter(|&i| i != picked)
            .map(|i| names[i].clone())
            .collect();
        let average = if groups[picked].average() {
            ", the average"
        } else {
            ""
        };
        notes.push(format!(
            "taken: {}{average}; also in the file: {} (hrm import --tensors NAME takes another)",
            names[picked],
            note_list(&others)
        ));
    } else if groups[picked].average() {
        notes.push(format!("taken: {}, the average", names[picked]));
    }

    let group = &groups[picked];
    let mut chosen = Chosen {
        tensors: BTreeMap::new(),
        sets: groups
            .iter()
            .filter_map(|g| g.within.first().cloned())
            .collect(),
        within: group.within.clone(),
    };
    for (name, at) in &group.tensors {
        if chosen.tensors.insert(name.clone(), *at).is_some() {
            return Err(crate::weights::WeightsError::Duplicate { name: name.clone() }.into());
        }
    }
    // An average of the trained tensors alone is laid over the raw weights.
    let raw: Vec<&Group> = groups.iter().filter(|g| !g.average()).collect();
    if let (true, [raw]) = (group.average(), raw.as_slice()) {
        let missing: Vec<&(String, usize)> = raw
            .tensors
            .iter()
            .filter(|(name, _)| !chosen.tensors.contains_key(name))
            .collect();
        if !missing.is_empty() {
            let filled: Vec<String> = missing.iter().map(|(name, _)| name.clone()).collect();
            notes.push(format!(
                "not in {}, taken from {}: {}",
                names[picked],
                shown(&raw.name),
                note_list(&filled)
            ));
            chosen.tensors.extend(missing.into_iter().cloned());
        }
    }
    Ok(chosen)
}

/// Drops what is known to mean nothing, with a line; what nobody knows is an
/// error later, by its name.
pub(super) fn drop_left_overs(chosen: &mut Chosen, entries: &[Entry], notes: &mut Vec<String>) {
    let left_over = |name: &str| name.split('.').any(|part| LEFT_OVERS.contains(&part));
    let mut dropped: Vec<String> = Vec::new();
    chosen.tensors.retain(|name, _| {
        let drop = left_over(name);
        if drop {
            dropped.push(name.clone());
        }
        !drop
    });
    // Beside the weights, in the same dictionary, but of no known name.
    for (at, entry) in entries.iter().enumerate() {
        if entry.within != chosen.within || root(&full_name(entry)).is_some() {
            continue;
        }
        let name = strip(&entry.name).join(".");
        if left_over(&name) || skipped(entry) {
            dropped.push(name);
        } else {
            chosen.tensors.insert(name, at);
        }
    }
    if !dropped.is_empty() {
        notes.push(format!(
            "left over from training, dropped: {}",
            note_list(&dropped)
        ));
    }
}

fn shown(name: &str) -> String {
    if name.is_empty() {
        "the file's own".to_owned()
    } else {
        format!("`{name}`")
    }
}

fn full_name(entry: &Entry) -> Vec<String> {
    let own = entry.name.split('.').map(str::to_owned);
    entry.within.iter().cloned().chain(own).collect()
}

/// Where in a name the model's own part begins.
fn root(parts: &[String]) -> Option<usize> {
    parts.iter().position(|part| ROOTS.contains(&part.as_str()))
}

fn strip(name: &str) -> Vec<&str> {
    let parts: Vec<&str> = name.split('.').collect();
    let skip = parts
        .iter()
        .take_while(|part| WRAPPERS.contains(part))
        .count();
    parts[skip.min(parts.len() - 1)..].to_vec()
}

fn skipped(entry: &Entry) -> bool {
    full_name(entry).iter().any(|part| {
        let part = part.to_lowercase();
        NOT_WEIGHTS.iter().any(|word| part.starts_with(word))
    })
}

/// The sets of weights that a file holds.
fn groups(entries: &[Entry]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let parts = full_name(entry);
        let Some(begin) = root(&parts) else { continue };
        if parts[..begin].iter().any(|part| {
            let part = part.to_lowercase();
            NOT_WEIGHTS.iter().any(|word| part.starts_with(word))
        }) {
            continue;
        }
        let prefix = &parts[..begin];
        let end = prefix.len()
            - prefix
                .iter()
                .rev()
                .take_while(|p| WRAPPERS.contains(&p.as_str()))
                .count();
        let key = prefix[..end]
            .iter()
            .filter(|p| p.as_str() != "_orig_mod")
            .cloned()
            .collect::<Vec<_>>()
            .join(".");
        let first = prefix.iter().find(|p| p.as_str() != "_orig_mod");
        let name = match (entry.within.as_slice(), key.as_str()) {
            // A file without dictionaries: `model.` beside `ema.`.
            ([], "") => first.cloned().unwrap_or_default(),
            ([], key) => key.to_owned(),
            (within, _) => within.join("."),
        };
        let tensor = (
            parts[begin..]
                .iter()
                .filter(|p| p.as_str() != "_orig_mod")
                .cloned()
                .collect::<Vec<_>>()
                .join("."),
            at,
        );
        match groups
            .iter_mut()
            .find(|g| g.key == key && g.within == entry.within)
        {
            Some(group) => group.tensors.push(tensor),
            None => groups.push(Group {
                key,
                name,
                within: entry.within.clone(),
                tensors: vec![tensor],
            }),
        }
    }
    groups
}
