//! The folder that an export is written to, looked at before.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::export::ONNX;
use crate::checkpoint::{CARD, CONFIG, MANIFEST, MODEL};
use crate::paths::{ForceArgs, try_new_folder};

/// Files that a run needs to go on. No option makes an export replace them.
const OF_A_RUN: [&str; 4] = [
    "train-state.json",
    "optimizer.safetensors",
    "latest",
    "metrics.jsonl",
];

/// Files of an earlier export.
pub(super) struct Earlier {
    files: Vec<PathBuf>,
}

impl Earlier {
    /// Removes those that were not written again.
    pub(super) fn remove_but(&self, written: &[&str]) -> Result<()> {
        let stays = |path: &PathBuf| written.iter().any(|name| path.ends_with(name));
        for path in self.files.iter().filter(|path| !stays(path)) {
            fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }
}

/// Refuses a folder that an export would do harm in: that of what it `reads`, that of a
/// run, and, unless that is wanted, one that holds something.
///
/// # Errors
/// What is in the way, or the system's reason why nothing can be written.
pub(super) fn look(folder: &Path, reads: &[&Path], force: ForceArgs) -> Result<Earlier> {
    let name = folder.display();
    try_new_folder("the folder to write,", folder)?;
    let mut earlier = Earlier { files: Vec::new() };
    let mut there = std::path::absolute(folder)?;
    while !there.exists() && there.pop() {}
    let there = there.canonicalize().with_context(|| name.to_string())?;
    for read in reads {
        // What is not there is said by who reads it.
        let Ok(read) = read.canonicalize() else {
            continue;
        };
        let around = folder.exists() && read.parent() == Some(&there);
        ensure!(
            !around && !there.starts_with(&read),
            "{name} holds what is to be exported, or is within it; choose another folder"
        );
    }
    if !folder.exists() {
        return Ok(earlier);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {name}"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    if let Some(of_run) = names
        .iter()
        .find(|n| OF_A_RUN.contains(&n.as_str()) || n.starts_with("step-"))
    {
        bail!("{name} belongs to a training run, which needs its {of_run}; choose another folder");
    }
    let is_export = names.iter().any(|n| n == MANIFEST || n == ONNX);
    match names.iter().find(|n| !is_export || !is_part(n)) {
        _ if force.force || names.is_empty() => {}
        Some(other) => bail!(
            "{name} holds other files, {other} for one; choose another folder, or --force to write \
             among them"
        ),
        None => bail!("{name} holds an export already; --force replaces it"),
    }
    if is_export {
        let parts = names.iter().filter(|n| is_part(n));
        earlier.files = parts.map(|n| folder.join(n)).collect();
    }
    Ok(earlier)
}

/// Whether an export writes a file of this name.
fn is_part(name: &str) -> bool {
    let number = name
        .strip_prefix(MODEL)
        .and_then(|rest| rest.strip_prefix('.'));
    [MODEL, CARD, CONFIG, MANIFEST, ONNX].contains(&name)
        || number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_folders_and_earlier_exports_are_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let make = |folder: &str, names: &[&str]| {
            let path = dir.path().join(folder);
            fs::create_dir_all(&path).unwrap();
            for name in names {
                fs::write(path.join(name), "").unwrap();
            }
            path
        };
        let source = make("source", &[CONFIG, MODEL]);
        let try_folder = |path: &Path, force| look(path, &[&source], ForceArgs { force });
        assert!(try_folder(&make("empty", &[]), false).is_ok());
        assert!(try_folder(&dir.path().join("new/one"), false).is_ok());
        for (folder, names, part) in [
            ("notes", &["notes.txt"][..], "notes.txt for one"),
            ("mine", &[CARD], "README.md for one"),
            (
                "export",
                &[MANIFEST, CARD, "model.safetensors.00"],
                "--force replaces it",
            ),
        ] {
            let path = make(folder, names);
            let error = try_folder(&path, false).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
            try_folder(&path, true).unwrap();
        }
        for (folder, names, part) in [
            (
                "run",
                &["latest", "step-00000001"][..],
                "belongs to a training run",
            ),
            (
                "checkpoint",
                &[MODEL, "train-state.json"],
                "train-state.json",
            ),
        ] {
            let error = try_folder(&make(folder, names), true)
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
        for force in [false, true] {
            let error = try_folder(&source, force).err().unwrap().to_string();
            assert!(error.contains("what is to be exported"), "{error}");
            assert!(try_folder(&source.join("new/one"), force).is_err());
            let weights = source.join(MODEL);
            let read: [&Path; 1] = [&weights];
            assert!(look(&source, &read, ForceArgs { force }).is_err());
        }

        let path = make(
            "parts",
            &[
                MANIFEST,
                "model.safetensors.00",
                "model.safetensors.01",
                "mine.txt",
            ],
        );
        let earlier = try_folder(&path, true).unwrap();
        earlier
            .remove_but(&[MANIFEST, "model.safetensors.00"])
            .unwrap();
        let mut left: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["manifest.json", "mine.txt", "model.safetensors.00"]);
    }
}
