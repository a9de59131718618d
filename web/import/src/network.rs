//! A network of the page from files: a checkpoint as it is published, which is
//! quantized, or a folder that `hrm export` wrote. What is read, and what is
//! refused with which words, is core's to say.

use hrm_core::config::ModelConfig;
use hrm_core::import::{self, Choice, FileKind, SNIFFED, WeightsFile, parse_config};
use hrm_core::plan::Plan;
use hrm_core::puzzle::PuzzleKind;
use hrm_core::weights::{Manifest, Part, Weights};
use web_sys::File;

use crate::disk::{bytes, open};

/// How names of imported networks begin, here, in the worker and in the page.
const IMPORTED: &str = "imported-";

/// Names of files of a network's folder.
const MANIFEST: &str = "manifest.json";
const CONFIG: &str = "config.json";

/// A network as the page keeps them.
pub(crate) struct Network {
    /// Its folder's name.
    pub(crate) id: String,
    /// Its files, the manifest last, so that what is listed is whole.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Network {
    fn new(
        manifest: &Manifest,
        plan: &Plan,
        parts: Vec<(String, Vec<u8>)>,
    ) -> Result<Self, String> {
        let mut files = parts;
        files.push((CONFIG.to_owned(), plan.config.to_json().into_bytes()));
        let text = serde_json::to_vec(manifest).map_err(|e| e.to_string())?;
        files.push((MANIFEST.to_owned(), text));
        Ok(Self {
            id: manifest.id.clone(),
            files,
        })
    }
}

/// Makes a network of files.
///
/// # Errors
/// In words: what is missing, or which file is what instead.
pub(crate) fn make(files: &[File]) -> Result<Network, String> {
    if files.iter().any(|f| f.name() == MANIFEST) {
        exported(files)
    } else {
        published(files)
    }
}

/// A checkpoint as others publish it: quantized to 8 bits.
fn published(files: &[File]) -> Result<Network, String> {
    let mut notes = Vec::new();
    let mut named = Vec::with_capacity(files.len());
    for file in files {
        named.push((file.name(), FileKind::of(&bytes(file, SNIFFED as f64)?)));
    }
    // Of a single file its kind says more than that it holds no weights.
    if let [(name, kind)] = named.as_slice()
        && !kind.is_weights()
    {
        return Err(match kind {
            FileKind::Text | FileKind::Json => format!(
                "{name} holds no weights. If it is the configuration of a network, drop it on the page together with the weights"
            ),
            kind => format!("{name}: {}", kind.instead_of_weights()),
        });
    }
    let picked = import::pick(&named, &mut notes).map_err(|e| e.to_string())?;
    // One text beside the weights is the configuration, whatever its name.
    let mut texts = (0..files.len()).filter(|&at| {
        let (name, kind) = &named[at];
        matches!(kind, FileKind::Text | FileKind::Json) && !name.ends_with(".md")
    });
    let config = picked
        .config
        .or_else(|| match (texts.next(), texts.next()) {
            (only, None) => only,
            _ => None,
        });
    let within = |at: usize, what: String| format!("{}: {what}", named[at].0);
    let config = match config {
        Some(at) if named[at].1 == FileKind::LfsPointer || named[at].1 == FileKind::Html => {
            return Err(within(at, named[at].1.instead_of_weights().to_owned()));
        }
        Some(at) => {
            let text = bytes(&files[at], f64::INFINITY)?;
            Some(parse_config(&text).map_err(|e| within(at, e.to_string()))?)
        }
        None => None,
    };
    let opened = |at: usize| {
        let reader = open(&files[at])?;
        WeightsFile::open(reader).map_err(|e| within(at, e.to_string()))
    };
    let mut weights = opened(picked.weights)?;
    if config.is_none() && weights.own_config().is_none() {
        return Err(within(
            picked.weights,
            "these are weights without their configuration, and what they compute does not follow from them alone: drop all_config.yaml or config.json, which lies beside them where they are published, on the page together with them".to_owned(),
        ));
    }
    let mut below = picked.below.map(opened).transpose()?;
    let read = import::read_small(&mut weights, below.as_mut(), config, &Choice::default());
    let read = read.map_err(|e| within(picked.weights, e.to_string()))?;
    drop((weights, below));
    notes.extend(read.notes);

    let (plan, weights) = (read.plan, read.weights);
    if let PuzzleKind::Arc(size) = plan.config.puzzle {
        return Err(within(
            picked.weights,
            format!(
                "it plays {size}, for which there is no board here yet; `hrm eval` and `hrm solve` run it"
            ),
        ));
    }
    let scheme = weights.scheme();
    let content = weights.to_safetensors(&plan).map_err(|e| e.to_string())?;
    drop(weights);
    let part = Part::of("model.safetensors", &content);
    let name = named[picked.weights].0.clone();
    let manifest = Manifest {
        id: id_of(&name, &part.sha256),
        title: name,
        summary: notes.join("; "),
        puzzle: plan.config.puzzle,
        boards: plan.further_boards(),
        sees_images_alike: plan.sees_images_alike(),
        parameters: plan.parameter_count(),
        scheme,
        parts: vec![part.clone()],
    };
    Network::new(&manifest, &plan, vec![(part.path, content)])
}

/// A folder that `hrm export` wrote: checked, and kept as it is.
fn exported(files: &[File]) -> Result<Network, String> {
    let find = |name: &str| {
        let found = files.iter().find(|f| f.name() == name);
        found.ok_or_else(|| {
            format!("{name} is missing among the files: open all of the exported folder")
        })
    };
    let text = |name: &str| -> Result<String, String> {
        String::from_utf8(bytes(find(name)?, f64::INFINITY)?)
            .map_err(|_| format!("{name} is not text"))
    };
    let said = |name: &'static str| move |e: &dyn std::fmt::Display| format!("{name}: {e}");
    let mut manifest = Manifest::from_json(&text(MANIFEST)?).map_err(|e| said(MANIFEST)(&e))?;
    let config = ModelConfig::from_json(&text(CONFIG)?).map_err(|e| said(CONFIG)(&e))?;
    let plan = Plan::new(&config).map_err(|e| said(CONFIG)(&e))?;
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    for part in &manifest.parts {
        let content = bytes(find(&part.path)?, f64::INFINITY)?;
        part.verify(&content).map_err(|e| e.to_string())?;
        whole.extend_from_slice(&content);
        parts.push((part.path.clone(), content));
    }
    Weights::from_safetensors(&plan, &whole).map_err(|e| e.to_string())?;
    drop(whole);
    let sum = manifest.parts.first().map_or("", |part| &part.sha256);
    manifest.id = id_of(&manifest.id, sum);
    Network::new(&manifest, &plan, parts)
}

/// A folder name: of letters that an address takes, and of the content.
fn id_of(name: &str, sha256: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    format!("{IMPORTED}{plain}-{}", &sha256[..sha256.len().min(8)])
}
