//! What a file is, by its first bytes: names lie, contents don't.

/// How many of a file's first bytes [`FileKind::of`] looks at.
pub const SNIFFED: usize = 512;

/// What the first bytes of a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// No bytes at all.
    Empty,
    /// A ZIP archive, as `torch.save` writes since PyTorch 1.6.
    Zip,
    /// The stream of pickles that `torch.save` wrote before.
    TorchLegacy,
    /// A Python pickle that `torch.save` did not write.
    Pickle,
    /// A safetensors file.
    Safetensors,
    /// What `git clone` leaves in place of a file that Git LFS holds.
    LfsPointer,
    /// A web page: of an error, a login, a captcha.
    Html,
    /// Another text in XML: an answer of a store of files that has not the file, say.
    Xml,
    /// A JSON text.
    Json,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with xz, bzip2, zstd or 7z.
    Compressed,
    /// A tar archive.
    Tar,
    /// A table in Apache Parquet.
    Parquet,
    /// An HDF5 file, as Keras writes.
    Hdf5,
    /// A NumPy array.
    Numpy,
    /// A model for llama.cpp.
    Gguf,
    /// Text of another kind.
    Text,
    /// None of these.
    Unknown,
}

/// The number that a legacy PyTorch file begins with, as protocols from 2 on
/// write it, and in the digits of the older ones.
const LEGACY_MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const LEGACY_DIGITS: &[u8] = b"119547037146038801333356";

impl FileKind {
    /// Tells by the first [`SNIFFED`] bytes, or by all where there are fewer.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let head = &head[..head.len().min(SNIFFED)];
        let has = |part: &[u8]| {
            head[..head.len().min(64)]
                .windows(part.len())
                .any(|w| w == part)
        };
        let binary: [(&[u8], Self); 13] = [
            (b"PK\x03\x04", Self::Zip),
            (b"PK\x05\x06", Self::Zip),
            (b"\x1f\x8b", Self::Gzip),
            (b"\xfd7zXZ", Self::Compressed),
            (b"BZh", Self::Compressed),
            (b"\x28\xb5\x2f\xfd", Self::Compressed),
            (b"7z\xbc\xaf", Self::Compressed),
            (b"PAR1", Self::Parquet),
            (b"\x89HDF", Self::Hdf5),
            (b"\x93NUMPY", Self::Numpy),
            (b"GGUF", Self::Gguf),
            (b"version https://git-lfs", Self::LfsPointer),
            (b"version https://hawser", Self::LfsPointer),
        ];
        if head.is_empty() {
            return Self::Empty;
        }
        if let Some((_, kind)) = binary.iter().find(|(magic, _)| head.starts_with(magic)) {
            return *kind;
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        if has(LEGACY_MAGIC) || has(LEGACY_DIGITS) {
            return Self::TorchLegacy;
        }
        if looks_like_safetensors(head) {
            return Self::Safetensors;
        }
        if head[0] == 0x80
            && head
                .get(1)
                .is_some_and(|protocol| (2..=5).contains(protocol))
        {
            return Self::Pickle;
        }
        Self::of_text(head)
    }

    /// Of a file without a magic number.
    fn of_text(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        if text.contains('\u{fffd}') && std::str::from_utf8(&head[..head.len().min(64)]).is_err()
            || head.contains(&0)
        {
            return Self::Unknown;
        }
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let lower = text.to_ascii_lowercase();
        let begins = |tags: &[&str]| tags.iter().any(|tag| lower.starts_with(tag));
        let xml = begins(&["<?xml"]);
        if begins(&["<!doctype html", "<html", "<head", "<body"]) || xml && lower.contains("<html")
        {
            Self::Html
        } else if xml {
            Self::Xml
        } else if text.starts_with('{') || text.starts_with('[') {
            Self::Json
        } else {
            Self::Text
        }
    }

    /// Whether it may hold weights.
    #[must_use]
    pub const fn is_weights(self) -> bool {
        matches!(self, Self::Zip | Self::TorchLegacy | Self::Safetensors)
    }

    /// What it is and what to do about it, where it is no file of weights.
    #[must_use]
    pub const fn instead_of_weights(self) -> &'static str {
        match self {
            Self::Empty => "the file is empty: the download or copy did not take place",
            Self::Zip => "a ZIP archive",
            Self::TorchLegacy => "a PyTorch file of before 1.6",
            Self::Safetensors => "a safetensors file",
            Self::Pickle => {
                "a Python pickle that torch.save did not write; save the state dict with torch.save"
            }
            Self::LfsPointer => {
                "this is a Git LFS pointer, not the file: run `git lfs pull` in its repository"
            }
            Self::Html => {
                "this is a web page (HTML), not the file: an error or login page was saved in its place, download it again"
            }
            Self::Xml => {
                "this is a text in XML, not the file: the message of an error was saved in its place, perhaps"
            }
            Self::Json => "this is a JSON text, not weights; give it as the configuration",
            Self::Gzip => "compressed with gzip: unpack it first (gunzip, or tar xzf)",
            Self::Compressed => "a compressed archive: unpack it first",
            Self::Tar => {
                "a tar archive: unpack it first; if PyTorch before 0.1.10 wrote it, load and save it with a newer one"
            }
            Self::Parquet => "a Parquet table: data, not weights",
            Self::Hdf5 => "an HDF5 file, as Keras writes: PyTorch and safetensors are read",
            Self::Numpy => "a NumPy array: PyTorch and safetensors are read",
            Self::Gguf => "a GGUF model of llama.cpp: PyTorch and safetensors are read",
            Self::Text => "this is a text, not weights",
            Self::Unknown => {
                "neither a PyTorch file nor safetensors: its first bytes are of no kind known here"
            }
        }
    }
}

/// A length below 100 MB, then the `{` of a JSON header.
fn looks_like_safetensors(head: &[u8]) -> bool {
    let length = head.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    length.is_some_and(|n| n <= 100_000_000) && head.get(8) == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_tell_what_names_do_not() {
        let of = |bytes: &[u8]| FileKind::of(bytes);
        assert_eq!(of(b""), FileKind::Empty);
        assert_eq!(of(b"PK\x03\x04rest"), FileKind::Zip);
        assert_eq!(of(b"\x1f\x8b\x08"), FileKind::Gzip);
        assert_eq!(
            of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
            FileKind::LfsPointer
        );
        assert_eq!(of(b"\n <!DOCTYPE HTML><html>"), FileKind::Html);
        let xml = "<?xml version=\"1.0\"?>\n";
        let page = "<!DOCTYPE html><html>";
        for (rest, kind) in [
            ("<Error><Code>AccessDenied</Code></Error>", FileKind::Xml),
            ("<opensudoku><game data=\"1\"/></opensudoku>", FileKind::Xml),
            (page, FileKind::Html),
        ] {
            assert_eq!(of(format!("{xml}{rest}").as_bytes()), kind);
        }
        assert_eq!(of("\u{feff}{\"a\": 1}".as_bytes()), FileKind::Json);
        assert_eq!(of(b"\x02\0\0\0\0\0\0\0{}"), FileKind::Safetensors);
        // A header of 128 bytes begins with a pickle's first opcode.
        assert_eq!(of(b"\x80\0\0\0\0\0\0\0{\"a\""), FileKind::Safetensors);
        assert_eq!(of(b"\x80\x02}q\0."), FileKind::Pickle);
        assert_eq!(
            of(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
            FileKind::TorchLegacy
        );
        assert_eq!(of(b"hidden_size: 8\n"), FileKind::Text);
        assert_eq!(of(&[7, 0, 200, 9, 0]), FileKind::Unknown);
    }
}
