//! Where things are: the clone, the cache outside it, the pinned versions.

use anyhow::{Context, Result, anyhow};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// The folders that every task works with.
pub(crate) struct Workspace {
    /// Root of the clone.
    pub(crate) root: PathBuf,
    /// Tools that take minutes to install, kept outside the clone so that
    /// every clone and every later run finds them.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    /// Finds the clone this program is run for, and the cache folder:
    /// `$HRM_CACHE`, else `$XDG_CACHE_HOME/hrm-playground`, else
    /// `~/.cache/hrm-playground`.
    pub(crate) fn locate() -> Result<Self> {
        // What cargo says at run time comes first: with one target folder for
        // several clones, this binary may have been built in another.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("xtask is not inside a workspace")?
            .to_path_buf();
        let cache = cache_dir(|name| env::var_os(name))?;
        fs::create_dir_all(&cache)
            .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
        Ok(Self { root, cache })
    }

    /// The built page.
    pub(crate) fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// `PATH` with the cached tools in front.
    pub(crate) fn path_variable(&self) -> Result<OsString> {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.cache.join("bin")).chain(env::split_paths(&inherited));
        env::join_paths(folders).context("the cache folder's name cannot stand in PATH")
    }

    /// Version of a package in `Cargo.lock`, so that a tool that has to match
    /// a library cannot drift from it.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let lock =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        version_in_lock(&lock, package)
            .ok_or_else(|| anyhow!("{} has no package {package}", path.display()))
    }
}

fn cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(cache) = set("HRM_CACHE") {
        return std::path::absolute(PathBuf::from(cache)).context("HRM_CACHE is not a path");
    }
    if let Some(cache) = set("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(cache).join("hrm-playground"));
    }
    set("HOME")
        .or_else(|| set("USERPROFILE"))
        .map(|home| PathBuf::from(home).join(".cache/hrm-playground"))
        .context("none of HRM_CACHE, XDG_CACHE_HOME and HOME is set: where may tools be kept?")
}

fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    lines.find(|line| line.trim() == name)?;
    let version = lines.next()?.trim().strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn version_is_that_of_the_package_named_exactly() {
        let lock = "version = 4\n\n[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"registry\"\n";
        assert_eq!(
            version_in_lock(lock, "wasm-bindgen").as_deref(),
            Some("0.2.130")
        );
        assert_eq!(version_in_lock(lock, "wasm"), None);
    }

    #[test]
    fn cache_folder_follows_the_most_specific_variable() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            cache_dir(move |name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| OsString::from(value))
            })
        };
        let all = [
            ("HRM_CACHE", "/a"),
            ("XDG_CACHE_HOME", "/b"),
            ("HOME", "/c"),
        ];
        let all: &'static [_] = Box::leak(Box::new(all));
        assert_eq!(with(all).unwrap(), Path::new("/a"));
        assert_eq!(with(&all[1..]).unwrap(), Path::new("/b/hrm-playground"));
        assert_eq!(
            with(&all[2..]).unwrap(),
            Path::new("/c/.cache/hrm-playground")
        );
        assert_eq!(
            with(&[("HRM_CACHE", ""), ("HOME", "/c")]).unwrap(),
            Path::new("/c/.cache/hrm-playground")
        );
        assert!(with(&[]).is_err());
    }
}
