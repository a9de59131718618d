//! Several files as one: a zip archive, stored as they are (weights hardly
//! shrink), with a checksum of each.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A name with its content.
pub type File = (String, Vec<u8>);

/// Bytes that a file of an archive may have unpacked: more is no network of
/// this room.
const LARGEST: u64 = 1 << 29;

/// Packs files.
///
/// # Errors
/// If two have one name.
pub fn pack(files: &[File]) -> Result<Vec<u8>, String> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in files {
        writer
            .start_file(name.as_str(), options)
            .map_err(|error| format!("{name}: {error}"))?;
        writer
            .write_all(content)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    let done = writer.finish().map_err(|error| error.to_string())?;
    Ok(done.into_inner())
}

/// Unpacks files, each by its name without folders. Checksums are compared.
///
/// # Errors
/// If it is no archive, or a damaged one.
pub fn unpack(bytes: &[u8]) -> Result<Vec<File>, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| format!("this is no zip archive, or a part of one ({error})"))?;
    let mut files = Vec::new();
    for i in 0..archive.len() {
        let file = archive.by_index(i).map_err(|error| error.to_string())?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().map_err(|error| error.to_string())?;
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.to_owned();
        let mut content = Vec::new();
        file.take(LARGEST)
            .read_to_end(&mut content)
            .map_err(|error| format!("{name} is damaged ({error})"))?;
        files.push((name, content));
    }
    Ok(files)
}

/// Whether bytes begin like an archive.
#[must_use]
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The files of some files, archives unpacked.
///
/// # Errors
/// If an archive can't be read; it is named.
pub fn opened(files: Vec<File>) -> Result<Vec<File>, String> {
    let mut all = Vec::new();
    for (name, content) in files {
        if is_archive(&content) {
            all.extend(unpack(&content).map_err(|error| format!("{name}: {error}"))?);
        } else {
            all.push((name, content));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_round_trip_and_damage_is_seen() {
        let files = vec![
            ("a/config.json".to_owned(), b"{}".to_vec()),
            ("model.safetensors".to_owned(), (0..=255).collect()),
        ];
        let mut packed = pack(&files).unwrap();
        assert!(is_archive(&packed));
        let back = unpack(&packed).unwrap();
        assert_eq!(back[0], ("config.json".to_owned(), b"{}".to_vec()));
        assert_eq!(back[1], files[1]);
        assert_eq!(
            opened(vec![("x.zip".to_owned(), packed.clone())]).unwrap(),
            back
        );
        let at = packed
            .windows(4)
            .position(|w| w == [10, 11, 12, 13])
            .unwrap();
        packed[at] ^= 1;
        assert!(
            unpack(&packed)
                .unwrap_err()
                .contains("model.safetensors is damaged")
        );
        assert!(unpack(&packed[..40]).is_err());
        let twice = vec![files[0].clone(), files[0].clone()];
        assert!(pack(&twice).is_err());
    }
}
