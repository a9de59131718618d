//! Files that appear whole: whatever happens while one is written, under its name
//! stands the old content or the new.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The name of what a process prints to.
pub const STANDARD_OUTPUT: &str = "/dev/stdout";

/// Links that are followed one after the other.
const LINKS: usize = 40;

/// Writes a file through `fill`. It is written beside its place, flushed to the disk and
/// renamed. A link leads to the file to write; what is no regular file (a named pipe, a
/// device, `/dev/stdout`) is written to.
///
/// # Errors
/// The system's; then nothing of the new content is left.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let target = match place(path)? {
        Place::File(target) => target,
        // Opened anew it would begin at the start of a file that it is redirected to.
        Place::Stream if path == Path::new(STANDARD_OUTPUT) => {
            let mut stream = io::stdout().lock();
            fill(&mut stream)?;
            return stream.flush();
        }
        Place::Stream => {
            let mut stream = BufWriter::new(File::options().write(true).open(path)?);
            fill(&mut stream)?;
            return stream.flush();
        }
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().ok_or(io::ErrorKind::IsADirectory)?);
    name.push(".tmp");
    let temporary = target.with_file_name(name);
    let attempt = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(&temporary)?);
        fill(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let Ok(old) = fs::metadata(&target) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&temporary, &target)
    };
    attempt().inspect_err(|_| {
        // Best effort: what matters to the caller is the first error.
        let _ = fs::remove_file(&temporary);
    })
}

/// What a path means to somebody who writes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, there or not; links on the way are followed.
    File(PathBuf),
    /// A pipe or a device.
    Stream,
}

/// What stands at a path, or will.
///
/// # Errors
/// A folder stands there, or links that lead nowhere.
pub fn place(path: &Path) -> io::Result<Place> {
    let mut target = path.to_path_buf();
    for _ in 0..LINKS {
        if is_system(&target) {
            return Ok(Place::Stream);
        }
        match fs::symlink_metadata(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Place::File(target));
            }
            Err(error) => return Err(error),
            Ok(there) if there.is_symlink() => {
                let next = fs::read_link(&target)?;
                target = target.parent().unwrap_or(Path::new("")).join(next);
            }
            Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if there.is_file() => return Ok(Place::File(target)),
            Ok(_) => return Ok(Place::Stream),
        }
    }
    Err(io::Error::other("too many links"))
}

/// Whether a path is one of the system's, where nothing is ever replaced.
fn is_system(path: &Path) -> bool {
    cfg!(unix)
        && ["/dev/", "/proc/"]
            .iter()
            .any(|s| path.to_string_lossy().starts_with(s))
        && !path.starts_with("/dev/shm")
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        write_whole(path, |file| file.write_all(text.as_bytes()))
    }

    #[test]
    fn links_are_followed_and_streams_written_to() {
        let dir = std::env::temp_dir().join(format!("hrm-core-files-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (real, link, far) = (dir.join("real"), dir.join("link"), dir.join("far"));
        symlink("real", &link).unwrap();
        symlink(dir.join("link"), &far).unwrap();
        // A link whose file is not there yet, then one whose file is.
        for text in ["new", "newer"] {
            write(&far, text).unwrap();
            assert_eq!(fs::read_to_string(&real).unwrap(), text);
            assert!(link.is_symlink() && far.is_symlink());
        }
        let null = dir.join("null");
        symlink("/dev/null", &null).unwrap();
        write(&null, "gone").unwrap();
        assert!(null.is_symlink());
        assert_eq!(place(Path::new("/dev/stdout")).unwrap(), Place::Stream);

        // What fails leaves the old content, and nothing beside it.
        let failing = write_whole(&real, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failing.is_err());
        assert_eq!(fs::read_to_string(&real).unwrap(), "newer");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 4);
        symlink("loop", dir.join("loop")).unwrap();
        assert!(write(&dir.join("loop"), "x").is_err());
        assert!(write(&dir, "x").is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
