//! The page's state in its address: `#model=ID&puzzle=LINE`.

use hrm_core::puzzle::Board;

/// What an address names. Absent parts are left to the page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// Folder name of the model.
    pub model: Option<String>,
    /// The puzzle.
    pub puzzle: Option<Board>,
}

impl Address {
    /// Reads the fragment of an address, with or without its `#`. Whatever is
    /// not understood is ignored: an address is easily cut or mangled.
    #[must_use]
    pub fn parse(fragment: &str) -> Self {
        let mut address = Self::default();
        for pair in fragment.trim_start_matches('#').split('&') {
            match pair.split_once('=') {
                Some(("model", id)) if is_id(id) => address.model = Some(id.to_owned()),
                Some(("puzzle", line)) => address.puzzle = Board::parse(line, None).ok(),
                _ => {}
            }
        }
        address
    }

    /// The fragment, with its `#`; empty if nothing is named.
    #[must_use]
    pub fn fragment(&self) -> String {
        let parts = [
            self.model.as_ref().map(|id| format!("model={id}")),
            self.puzzle.as_ref().map(|board| format!("puzzle={board}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            String::new()
        } else {
            format!("#{}", parts.join("&"))
        }
    }
}

/// Whether a text can be a model's folder name. Keeps addresses from leading
/// anywhere else.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        let address = Address {
            model: Some("hrm-4x4".into()),
            puzzle: Some("1.........4...2.".parse().unwrap()),
        };
        let fragment = address.fragment();
        assert_eq!(fragment, "#model=hrm-4x4&puzzle=1.........4...2.");
        assert_eq!(Address::parse(&fragment), address);
        assert_eq!(Address::default().fragment(), "");
        assert_eq!(Address::parse(""), Address::default());
    }

    #[test]
    fn mangled_addresses_are_ignored() {
        for text in [
            "#",
            "#&&=",
            "#model",
            "#model=",
            "#model=../secret",
            "#puzzle=12",
            "#x=1",
        ] {
            assert_eq!(Address::parse(text), Address::default(), "{text}");
        }
        assert!(Address::parse("#x=1&model=a&").model.is_some());
    }
}
