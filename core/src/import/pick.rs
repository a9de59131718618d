//! Which of several files are a checkpoint: the newest weights, the average
//! laid over the raw ones, the configuration beside them.

use super::{FileKind, ImportError};

/// Configurations as they are published, the most telling first.
pub const CONFIGS: [&str; 5] = [
    "all_config.yaml",
    "all_config.yml",
    "config.yaml",
    "config.yml",
    "config.json",
];

/// Names that weights have beside others of the same model, the first one
/// counts.
const PREFERRED: [&str; 3] = ["model.safetensors", "pytorch_model.bin", "checkpoint"];

/// Beginnings of names that training gives to files of the same formats.
const NOT_WEIGHTS: [&str; 6] = [
    "optimizer",
    "scheduler",
    "rng_state",
    "training_args",
    "scaler",
    "random_states",
];

/// Files that together are a checkpoint, as places in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked {
    /// The weights.
    pub weights: usize,
    /// Raw weights under a partial average.
    pub below: Option<usize>,
    /// The configuration, if there is one.
    pub config: Option<usize>,
}

/// Chooses among the files of a folder, by names and what their contents are;
/// says in `notes` what was chosen where there was a choice.
///
/// # Errors
/// If none holds weights, or several do and nothing tells which is meant.
pub fn pick<N: AsRef<str>>(
    files: &[(N, FileKind)],
    notes: &mut Vec<String>,
) -> Result<Picked, ImportError> {
    let name = |at: usize| files[at].0.as_ref();
    let state = |at: usize| NOT_WEIGHTS.iter().any(|begin| name(at).starts_with(begin));
    let holding: Vec<usize> = (0..files.len())
        .filter(|&at| files[at].1.is_weights() && !state(at))
        .collect();
    let names = |places: &[usize]| {
        let names: Vec<&str> = places.iter().map(|&at| name(at)).collect();
        names.join(", ")
    };
    if holding.is_empty() {
        let pointer = files.iter().find(|(_, kind)| *kind == FileKind::LfsPointer);
        return Err(ImportError::Choose(match pointer {
            Some((name, kind)) => format!("{}: {}", name.as_ref(), kind.instead_of_weights()),
            None => {
                let all: Vec<usize> = (0..files.len()).collect();
                format!("no weights (PyTorch or safetensors) among {}", names(&all))
            }
        }));
    }
    let config = CONFIGS
        .iter()
        .find_map(|wanted| (0..files.len()).find(|&at| name(at) == *wanted));

    let newest = holding.iter().filter_map(|&at| step(name(at))).max();
    let mut left: Vec<usize> = holding.clone();
    if newest.is_some() {
        left.retain(|&at| step(name(at)) == newest);
    }
    let averages: Vec<usize> = left
        .iter()
        .copied()
        .filter(|&at| raw_name(name(at)).is_some())
        .collect();
    if let [average] = averages.as_slice() {
        let wanted = raw_name(name(*average));
        let raw = left.iter().find(|&&at| wanted.as_deref() == Some(name(at)));
        if let Some(&raw) = raw {
            notes.push(format!(
                "taken: {}, the average, over {}",
                name(*average),
                name(raw)
            ));
            return Ok(Picked {
                weights: *average,
                below: Some(raw),
                config,
            });
        }
    }
    if left.len() > 1 {
        let preferred = PREFERRED
            .iter()
            .find_map(|wanted| left.iter().find(|&&at| name(at) == *wanted));
        left = preferred.map_or(left.clone(), |&at| vec![at]);
    }
    let [one] = left.as_slice() else {
        return Err(ImportError::Choose(format!(
            "there are several files of weights: {}; give one of them",
            names(&left)
        )));
    };
    if holding.len() > 1 {
        notes.push(format!("taken: {}, of {}", name(*one), names(&holding)));
    }
    Ok(Picked {
        weights: *one,
        below: None,
        config,
    })
}

/// The N of `step_N`, `step-N`, `maze_hard_step_N`.
fn step(name: &str) -> Option<u64> {
    let name = name.to_lowercase();
    let (_, rest) = name.rsplit_once("step")?;
    let digits: String = rest
        .trim_start_matches(['_', '-'])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// The name of the raw weights, if a name says that it is their average.
#[must_use]
pub fn raw_name(name: &str) -> Option<String> {
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => (stem, Some(end)),
        _ => (name, None),
    };
    let raw = stem
        .strip_suffix("_ema")
        .or_else(|| stem.strip_suffix("-ema"))?;
    Some(match end {
        Some(end) => format!("{raw}.{end}"),
        None => raw.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_the_average_and_the_preferred() {
        let zip = |names: &[&'static str]| -> Vec<(&'static str, FileKind)> {
            names.iter().map(|n| (*n, FileKind::Zip)).collect()
        };
        let mut notes = Vec::new();
        let mut of = |files: &[(&str, FileKind)]| pick(files, &mut notes);
        let mut files = zip(&["step_900", "maze_hard_step_32550", "step_1000"]);
        files.push(("config.json", FileKind::Json));
        files.push(("all_config.yaml", FileKind::Text));
        let picked = of(&files).unwrap();
        assert_eq!(
            (picked.weights, picked.below, picked.config),
            (1, None, Some(4))
        );
        let picked = of(&zip(&["step_9", "step_10.pt", "step_10_ema.pt"])).unwrap();
        assert_eq!((picked.weights, picked.below), (2, Some(1)));
        let picked = of(&zip(&["pytorch_model.bin", "model.safetensors"])).unwrap();
        assert_eq!(picked.weights, 1);
        let picked = of(&zip(&["optimizer.pt", "rng_state.pth", "weights.pt"])).unwrap();
        assert_eq!(picked.weights, 2);
        assert!(
            of(&zip(&["a.pt", "b.pt"]))
                .unwrap_err()
                .to_string()
                .contains("a.pt, b.pt")
        );
        assert!(
            of(&[("x", FileKind::LfsPointer)])
                .unwrap_err()
                .to_string()
                .contains("x: this is a Git LFS")
        );
        assert!(
            of(&[("README.md", FileKind::Text)])
                .unwrap_err()
                .to_string()
                .contains("no weights")
        );
        assert_eq!(raw_name("step_1_ema"), Some("step_1".into()));
        assert_eq!(raw_name("ema"), None);
    }
}
