//! Which Debian mirrors this machine's apt is set up with, and what their
//! package lists say.

/// Mirrors of the main Debian archive among apt's index targets, best first.
///
/// `targets` has one index a line, `URI RELEASE`, as `apt-get indextargets`
/// prints it with the format [`FORMAT`].
pub(crate) fn mirrors(targets: &str) -> Vec<String> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for line in targets.lines() {
        let mut fields = line.split_whitespace();
        let (Some(uri), Some(release)) = (fields.next(), fields.next()) else {
            continue;
        };
        let uri = uri.trim_end_matches('/');
        let fetchable = ["http://", "https://", "mirror+", "file:"]
            .iter()
            .any(|scheme| uri.starts_with(scheme));
        // The archive of security updates has no backports.
        if !fetchable || release.ends_with("-security") || uri.ends_with("-security") {
            continue;
        }
        if found.iter().all(|(_, known)| known != uri) {
            found.push((!uri.ends_with("/debian"), uri.to_owned()));
        }
    }
    found.sort_by_key(|(other_name, _)| *other_name);
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// The format that [`mirrors`] reads.
pub(crate) const FORMAT: &str = "$(REPO_URI) $(RELEASE)";

/// The package version that carries the sources of compiler `release`
/// (`1.95.0`), from the lines of `apt-cache madison`.
pub(crate) fn matching_version(madison: &str, release: &str) -> Option<String> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            version
                .strip_prefix(release)
                .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_unique_and_the_debian_archive_comes_first() {
        let targets = "https://packages.example.org/apt stable\n\
                       http://mirror.example.net/debian/ bookworm\n\
                       http://mirror.example.net/debian/ bookworm-updates\n\
                       http://mirror.example.net/debian-security/ bookworm-security\n\
                       cdrom:[Debian]/ bookworm\n\
                       \n";
        assert_eq!(
            mirrors(targets),
            [
                "http://mirror.example.net/debian",
                "https://packages.example.org/apt"
            ]
        );
        assert!(mirrors("").is_empty());
    }

    #[test]
    fn version_matches_the_compiler_exactly() {
        let madison = " rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://m/debian trixie-backports/main amd64 Packages\n \
                       rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://m/debian trixie-backports/main amd64 Packages\n";
        assert_eq!(
            matching_version(madison, "1.95.0").as_deref(),
            Some("1.95.0+dfsg1-2~bpo13+1")
        );
        assert_eq!(matching_version(madison, "1.9"), None);
        assert_eq!(matching_version("", "1.95.0"), None);
    }
}
