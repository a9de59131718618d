//! The paths that a command reads and writes, tried before its work begins.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hrm_core::files::{Place, STANDARD_OUTPUT, place, write_whole};

use crate::output::take_for_a_file;

/// Whether what is there may be replaced.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct ForceArgs {
    /// Overwrite files that are there already
    #[arg(long)]
    pub(crate) force: bool,
}

/// What a command reads and writes.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    force: bool,
    inputs: Vec<PathBuf>,
    outputs: Vec<(String, PathBuf)>,
}

impl Paths {
    /// No path yet.
    pub(crate) fn new(force: ForceArgs) -> Self {
        Self {
            force: force.force,
            ..Self::default()
        }
    }

    /// A file or folder that is read, and so is not to be written to.
    pub(crate) fn reads(mut self, path: &Path) -> Self {
        self.inputs.extend(path.canonicalize().ok());
        self
    }

    /// A file that is written, by its option's name.
    ///
    /// # Errors
    /// It can't be, is read or written as something else too, or is there already.
    pub(crate) fn writes(&mut self, option: &str, path: &Path) -> Result<()> {
        let Some(target) = self.checked(option, path)? else {
            return Ok(());
        };
        ensure!(
            self.force || !target.exists(),
            "{option} {}: the file is there already; --force overwrites it",
            path.display()
        );
        Ok(())
    }

    /// A file that is written anew or gone on with.
    ///
    /// # Errors
    /// As [`Paths::writes`], but it may be there.
    pub(crate) fn goes_on(&mut self, option: &str, path: &Path) -> Result<()> {
        self.checked(option, path).map(|_| ())
    }

    /// The file to write to, unless that is a pipe or a device.
    fn checked(&mut self, option: &str, path: &Path) -> Result<Option<PathBuf>> {
        let named = || format!("{option} {}", path.display());
        let target = match place(path) {
            Ok(Place::File(target)) => target,
            Ok(Place::Stream) => {
                if path == Path::new(STANDARD_OUTPUT) {
                    take_for_a_file();
                }
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                bail!("{}: a folder is there, not a file", named())
            }
            Err(error) => return Err(error).with_context(named),
        };
        let folder = folder_of(&target);
        ensure!(
            folder.is_dir(),
            "{}: there is no folder {}",
            named(),
            folder.display()
        );
        let whole = folder
            .canonicalize()
            .with_context(named)?
            .join(target.file_name().unwrap_or_default());
        if self.inputs.iter().any(|input| is_same(input, &whole)) {
            bail!("{}: this file is read; choose another one", named());
        }
        if let Some((other, _)) = self.outputs.iter().find(|(_, o)| is_same(o, &whole)) {
            bail!("{option} and {other} are one file, {}", path.display());
        }
        if fs::metadata(&whole).is_ok_and(|there| there.permissions().readonly()) {
            bail!("{}: the file is read-only", named());
        }
        try_folder(folder).with_context(named)?;
        self.outputs.push((option.to_owned(), whole));
        Ok(Some(target))
    }
}

/// The folder that a path is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether two paths, as far as possible without links, mean one file.
fn is_same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) {
            return (a.dev(), a.ino()) == (b.dev(), b.ino());
        }
    }
    a == b
}

/// Creates a file in a folder and removes it.
pub(crate) fn try_folder(folder: &Path) -> io::Result<()> {
    let trial = folder.join(format!(".hrm-{}.try", std::process::id()));
    File::create(&trial)?;
    fs::remove_file(&trial)
}

/// Refuses a folder that can't be made or written to.
///
/// # Errors
/// With the option's name: what stands there instead, or the system's reason.
pub(crate) fn try_new_folder(option: &str, path: &Path) -> Result<()> {
    let named = || format!("{option} {}", path.display());
    // The nearest folder that is there already.
    let mut there = path;
    while !there.exists() {
        there = folder_of(there);
    }
    ensure!(
        there.is_dir(),
        "{}: {} is no folder",
        named(),
        there.display()
    );
    try_folder(there).with_context(named)
}

/// Writes a file so that the old or the new content is there, whatever happens.
///
/// # Errors
/// The system's.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    write_whole(path, |file| file.write_all(content))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn outputs_are_tried_and_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("read"), "1").unwrap();
        fs::write(path("old"), "2").unwrap();
        symlink(path("read"), path("link")).unwrap();
        fs::hard_link(path("read"), path("twin")).unwrap();
        let try_all = |force: bool, names: &[&str]| {
            let mut paths = Paths::new(ForceArgs { force }).reads(&path("read"));
            for name in names {
                paths.writes(&format!("--{name}"), &path(name))?;
            }
            Ok::<_, anyhow::Error>(())
        };
        for (names, part) in [
            (&["no/such/file"][..], "there is no folder"),
            (&["old/file"], "Not a directory"),
            (&["."], "a folder is there"),
            (&["read"], "this file is read"),
            (&["link"], "this file is read"),
            (&["twin"], "this file is read"),
            (&["old"], "--force overwrites it"),
            (&["new", "./new"], "--./new and --new are one file"),
        ] {
            let error = format!("{:#}", try_all(false, names).unwrap_err());
            assert!(error.contains(part), "{error} has no {part:?}");
        }
        try_all(true, &["old", "new"]).unwrap();
        assert!(try_all(true, &["read"]).is_err());
        let mut paths = Paths::default();
        paths.writes("--output", Path::new("/dev/null")).unwrap();
        paths.goes_on("--records", &path("old")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);

        try_new_folder("--out", &path("a/b/c")).unwrap();
        let error = try_new_folder("--out", &path("old/run")).unwrap_err();
        assert!(error.to_string().contains("old is no folder"), "{error}");
    }
}
