//! Configurations as others write them: JSON or YAML, flat or with the
//! architecture under `arch`, among settings of training and of other
//! programs.

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

use super::fields::no_matter;
use super::sniff::FileKind;
use super::{ImportError, note_list};
use crate::config::ModelConfig;

/// What a configuration turned out to be.
#[derive(Debug)]
pub(super) enum Given {
    /// One of this project's, strictly read.
    Own(Box<ModelConfig>),
    /// Somebody else's: what it says of the architecture.
    Published(Map<String, Value>),
}

/// Fields by which an architecture is told from what is around it.
const ARCHITECTURE: [&str; 4] = ["hidden_size", "H_cycles", "L_cycles", "num_heads"];

/// Fields that configurations of this project alone have.
const OURS: [&str; 6] = [
    "modules",
    "token_mixer",
    "gate",
    "q_pool",
    "q_continue",
    "gradient_updates",
];

/// Facts of the data that published architectures get from elsewhere.
const FACTS: [&str; 5] = [
    "vocab_size",
    "seq_len",
    "num_puzzle_identifiers",
    "puzzle",
    "data_path",
];

/// The JSON or YAML of a configuration file.
///
/// # Errors
/// If it is neither, or something else altogether (a Git LFS pointer, a web
/// page, weights).
pub fn parse_config(text: &[u8]) -> Result<Value, ImportError> {
    match FileKind::of(text) {
        FileKind::Json | FileKind::Text => {}
        FileKind::Unknown => return Err(ImportError::Config("is no text".into())),
        FileKind::Empty => return Err(ImportError::Config("is empty".into())),
        other => return Err(ImportError::Config(other.instead_of_weights().into())),
    }
    let text = std::str::from_utf8(text)
        .map_err(|e| ImportError::Config(format!("is no UTF-8 text: {e}")))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) {
        return serde_json::from_str(text).map_err(|e| ImportError::Config(e.to_string()));
    }
    yaml(text)
}

/// A YAML text as JSON.
fn yaml(text: &str) -> Result<Value, ImportError> {
    let documents = YamlLoader::load_from_str(text)
        .map_err(|e| ImportError::Config(one_line(&e.to_string())))?;
    match documents.as_slice() {
        [one] => json(one, 0),
        several => Err(ImportError::Config(format!(
            "holds {} YAML documents, a model has one",
            several.len()
        ))),
    }
}

/// How deep a configuration may be nested.
const MAX_DEPTH: usize = 32;

fn json(yaml: &Yaml, depth: usize) -> Result<Value, ImportError> {
    if depth > MAX_DEPTH {
        return Err(ImportError::Config("is nested too deeply".into()));
    }
    Ok(match yaml {
        Yaml::Real(text) => match text.parse::<f64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(text.as_str()),
        },
        Yaml::Integer(number) => Value::from(*number),
        // YAML 1.2 has no point-less exponents; others write them.
        Yaml::String(text) => match text.parse::<f64>() {
            Ok(number) if text.starts_with(|c: char| c.is_ascii_digit()) => Value::from(number),
            _ => Value::from(text.as_str()),
        },
        Yaml::Boolean(flag) => Value::from(*flag),
        Yaml::Array(items) => items
            .iter()
            .map(|item| json(item, depth + 1))
            .collect::<Result<_, _>>()?,
        Yaml::Hash(fields) => fields
            .iter()
            .map(|(key, value)| {
                let key = match key {
                    Yaml::String(text) | Yaml::Real(text) => text.clone(),
                    Yaml::Integer(number) => number.to_string(),
                    other => format!("{other:?}"),
                };
                Ok((key, json(value, depth + 1)?))
            })
            .collect::<Result<Map<_, _>, ImportError>>()?
            .into(),
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    })
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

impl Given {
    /// Takes a configuration apart.
    pub(super) fn of(
        value: Value,
        set: &[(String, Value)],
        ignore: &[String],
        notes: &mut Vec<String>,
    ) -> Result<Self, ImportError> {
        let value = only(value, notes)?;
        // A training record with the configuration inside, as reference
        // files of this project have it.
        let value = match value {
            Value::Object(mut outer) if outer.get("config").is_some_and(Value::is_object) => {
                outer.remove("config").unwrap_or_default()
            }
            other => other,
        };
        if let Value::Object(map) = &value {
            let mut map = map.clone();
            map.extend(set.iter().cloned());
            map.retain(|key, _| !ignore.contains(key));
            // Read strictly it is one of ours, and what is wrong with its
            // values is said in its terms.
            if let Some(config) = own(map.clone()) {
                config.validate()?;
                return Ok(Self::Own(Box::new(config)));
            }
            // One of ours to which other programs have added their fields.
            if OURS.iter().any(|field| map.contains_key(*field)) {
                let (dropped, map) = map.into_iter().partition(|(name, _)| no_matter(name));
                let dropped: Map<String, Value> = dropped;
                if let Some(config) = own(map) {
                    config.validate()?;
                    let names: Vec<String> = dropped.into_iter().map(|(name, _)| name).collect();
                    notes.push(format!(
                        "configuration: of no matter here, dropped: {}",
                        note_list(&names)
                    ));
                    return Ok(Self::Own(Box::new(config)));
                }
            }
        }
        let mut arch = architecture(&value, notes)?;
        arch.extend(set.iter().cloned());
        let mut ignored: Vec<String> = Vec::new();
        arch.retain(|key, _| {
            let drop = ignore.contains(key);
            if drop {
                ignored.push(key.clone());
            }
            !drop
        });
        if !ignored.is_empty() {
            notes.push(format!("ignored as asked: {}", note_list(&ignored)));
        }
        Ok(Self::Published(arch))
    }
}

/// A configuration of this project's, strictly read.
fn own(map: Map<String, Value>) -> Option<ModelConfig> {
    serde_json::from_value(Value::Object(map)).ok()
}

/// A list of one is what is in it.
fn only(value: Value, notes: &mut Vec<String>) -> Result<Value, ImportError> {
    match value {
        Value::Array(mut items) if items.len() == 1 => {
            notes.push("the configuration is a list of one; its element is taken".into());
            only(items.pop().unwrap_or_default(), notes)
        }
        Value::Array(items) => Err(ImportError::Config(format!(
            "is a list of {} elements, a model has one configuration",
            items.len()
        ))),
        Value::Object(_) => Ok(value),
        other => Err(ImportError::Config(format!(
            "is {}, not a set of fields",
            kind(&other)
        ))),
    }
}

/// The fields of the architecture: those under `arch`, or wherever they are,
/// and the facts of the data from around them.
fn architecture(value: &Value, notes: &mut Vec<String>) -> Result<Map<String, Value>, ImportError> {
    let mut found = Vec::new();
    search(value, String::new(), 0, &mut found);
    let (path, arch) = match found.as_slice() {
        [one] => one,
        [] => {
            return Err(ImportError::Config(format!(
                "none of {} is in it: this is no configuration of a model",
                ARCHITECTURE.map(|f| format!("`{f}`")).join(", ")
            )));
        }
        several => {
            let places: Vec<String> = several
                .iter()
                .map(|(path, _)| format!("`{path}`"))
                .collect();
            return Err(ImportError::Config(format!(
                "holds several architectures: {}; give one of them",
                places.join(", ")
            )));
        }
    };
    let mut arch = (*arch).clone();
    if let (false, Value::Object(outer)) = (path.is_empty(), value) {
        let mut dropped = Vec::new();
        collect(outer, path, "", &mut arch, &mut dropped);
        if !dropped.is_empty() {
            notes.push(format!(
                "configuration: settings of training dropped: {}",
                note_list(&dropped)
            ));
        }
    }
    resolve(&mut arch);
    Ok(arch)
}

fn search<'a>(
    value: &'a Value,
    path: String,
    depth: usize,
    found: &mut Vec<(String, &'a Map<String, Value>)>,
) {
    let Value::Object(map) = value else { return };
    if ARCHITECTURE.iter().any(|field| map.contains_key(*field)) {
        found.push((path, map));
        return;
    }
    if depth < 3 {
        for (key, inner) in map {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            search(inner, path, depth + 1, found);
        }
    }
}

/// Takes the facts of the data out of what is around the architecture; the
/// rest is named.
fn collect(
    outer: &Map<String, Value>,
    path: &str,
    at: &str,
    arch: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) {
    for (key, value) in outer {
        let here = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        if here == path {
            continue;
        }
        if path.starts_with(&format!("{here}."))
            && let Value::Object(inner) = value
        {
            collect(inner, path, &here, arch, dropped);
        } else if FACTS.contains(&key.as_str()) && !value.is_null() {
            arch.entry(key.clone()).or_insert_with(|| value.clone());
        } else {
            // A data set's name and path say which puzzle it is.
            if let Some(data) = value.get("data_path").filter(|v| v.is_string()) {
                arch.entry("data_path").or_insert_with(|| data.clone());
            }
            dropped.push(here);
        }
    }
}

/// `${.hidden_size}`, `${arch.hidden_size}`: what the field of that name has.
fn resolve(arch: &mut Map<String, Value>) {
    let known = arch.clone();
    for value in arch.values_mut() {
        if let Value::String(text) = value
            && let Some(name) = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'))
            && let Some(other) = known.get(name.rsplit('.').next().unwrap_or(name))
        {
            *value = other.clone();
        }
    }
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => format!("the text {s:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a set of fields".into(),
    }
}
