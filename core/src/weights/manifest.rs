//! What a page needs to know of the models it can load.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Scheme;
use crate::puzzle::PuzzleKind;

/// Why downloaded bytes are not the model that the manifest describes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON of this format.
    #[error("{what}: {reason}")]
    Syntax {
        /// Which document.
        what: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// A part of another length.
    #[error(
        "`{path}` has {found} bytes, its manifest says {expected}: the download is incomplete or the file was replaced"
    )]
    Length {
        /// The part.
        path: String,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A part with another content.
    #[error("`{path}` does not match its sha256: the file was altered or damaged on the way")]
    Checksum {
        /// The part.
        path: String,
    },
}

/// One file of a model's weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// File name, relative to the manifest.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Lower-case hexadecimal sha256 of the content.
    pub sha256: String,
}

impl Part {
    /// Describes a file.
    #[must_use]
    pub fn of(path: &str, content: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            bytes: content.len() as u64,
            sha256: sha256_hex(content),
        }
    }

    /// Checks downloaded content.
    ///
    /// # Errors
    /// If the length or the checksum differ.
    pub fn verify(&self, content: &[u8]) -> Result<(), ManifestError> {
        if content.len() as u64 != self.bytes {
            return Err(ManifestError::Length {
                path: self.path.clone(),
                expected: self.bytes,
                found: content.len() as u64,
            });
        }
        if sha256_hex(content) != self.sha256 {
            return Err(ManifestError::Checksum {
                path: self.path.clone(),
            });
        }
        Ok(())
    }
}

/// A shipped model: `manifest.json` beside its `config.json` and parts. The
/// parts, one after the other, are the safetensors file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Folder name, used in addresses.
    pub id: String,
    /// Name shown to people.
    pub title: String,
    /// One sentence: what it can do and what it can't.
    pub summary: String,
    /// The kind and size of puzzle it plays.
    pub puzzle: PuzzleKind,
    /// Further boards that the same weights play.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<PuzzleKind>,
    /// Whether all images of a puzzle under relabelling and permutation of
    /// lines are the same to it, so that guesses at them can't differ.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sees_images_alike: bool,
    /// Number of trained parameters.
    pub parameters: usize,
    /// How the values are stored.
    pub scheme: Scheme,
    /// The weights.
    pub parts: Vec<Part>,
}

/// The models there are, `models/index.json`: folder names, the default
/// first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIndex {
    /// Folder names.
    pub models: Vec<String>,
}

impl Manifest {
    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        parse("manifest.json", text)
    }

    /// Whether it plays puzzles of this kind and size.
    #[must_use]
    pub fn plays(&self, kind: PuzzleKind) -> bool {
        self.puzzle == kind || self.boards.contains(&kind)
    }

    /// Bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, p| sum.saturating_add(p.bytes))
    }
}

impl ModelIndex {
    /// Reads `index.json`.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        parse("index.json", text)
    }
}

fn parse<T: for<'a> Deserialize<'a>>(what: &'static str, text: &str) -> Result<T, ManifestError> {
    serde_json::from_str(text).map_err(|e| ManifestError::Syntax {
        what,
        reason: e.to_string(),
    })
}

/// Lower-case hexadecimal sha256.
#[must_use]
pub fn sha256_hex(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
