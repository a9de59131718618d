//! Drawings as text: what changes with every segment is written as SVG in one
//! go, which takes far less program than an element tree of its own.

use std::fmt::Write as _;

/// The inside of an `<svg>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drawing {
    text: String,
}

/// Where a text is anchored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

// Writing to a string can't fail.
impl Drawing {
    /// An empty drawing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A rectangle.
    pub fn rect(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2]) -> &mut Self {
        let _ = write!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/>"
        );
        self
    }

    /// A rectangle of some opacity.
    pub fn faint_rect(
        &mut self,
        class: &str,
        [x, y]: [f64; 2],
        [width, height]: [f64; 2],
        opacity: f32,
    ) -> &mut Self {
        let _ = write!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill-opacity=\"{opacity:.2}\"/>"
        );
        self
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) -> &mut Self {
        let _ = write!(
            self.text,
            "<line class=\"{class}\" x1=\"{x1:.2}\" y1=\"{y1:.2}\" x2=\"{x2:.2}\" y2=\"{y2:.2}\"/>"
        );
        self
    }

    /// A path.
    pub fn path(&mut self, class: &str, d: &str) -> &mut Self {
        let _ = write!(self.text, "<path class=\"{class}\" d=\"{d}\"/>");
        self
    }

    /// A path filled with a colour.
    pub fn filled(&mut self, colour: &str, d: &str) -> &mut Self {
        let _ = write!(self.text, "<path fill=\"{colour}\" d=\"{d}\"/>");
        self
    }

    /// A circle.
    pub fn circle(&mut self, class: &str, [x, y]: [f64; 2], radius: f64) -> &mut Self {
        let _ = write!(
            self.text,
            "<circle class=\"{class}\" cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius}\"/>"
        );
        self
    }

    /// A text.
    pub fn text(&mut self, class: &str, anchor: Anchor, at: [f64; 2], text: &str) -> &mut Self {
        self.faint_text(class, anchor, at, text, 1.0)
    }

    /// A text of some opacity.
    pub fn faint_text(
        &mut self,
        class: &str,
        anchor: Anchor,
        [x, y]: [f64; 2],
        text: &str,
        opacity: f32,
    ) -> &mut Self {
        self.open_text(class, anchor, &format!("{x:.2}"), y);
        if opacity < 1.0 {
            let _ = write!(self.text, " fill-opacity=\"{opacity:.2}\"");
        }
        self.close_text(text)
    }

    /// A text with a place for each of its characters.
    pub fn spread_text(&mut self, class: &str, xs: &str, y: f64, text: &str) -> &mut Self {
        self.open_text(class, Anchor::Middle, xs, y);
        self.close_text(text)
    }

    fn open_text(&mut self, class: &str, anchor: Anchor, x: &str, y: f64) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.text,
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y:.2}\""
        );
    }

    fn close_text(&mut self, text: &str) -> &mut Self {
        self.text.push('>');
        for letter in text.chars() {
            match letter {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                letter => self.text.push(letter),
            }
        }
        self.text.push_str("</text>");
        self
    }

    /// The drawing as SVG.
    #[must_use]
    pub fn svg(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_svg() {
        let mut drawing = Drawing::new();
        drawing
            .rect("a b", [1.0, 2.5], [3.0, 4.0])
            .text("t", Anchor::End, [0.0, 1.0], "1 < 2 & 3")
            .faint_text("t", Anchor::Middle, [0.0, 1.0], "7", 0.5)
            .spread_text("t", "5 15", 2.0, "ab")
            .filled("#fff", "M0 0h1");
        let svg = drawing.svg();
        assert!(svg.starts_with("<rect class=\"a b\" x=\"1.00\" y=\"2.50\""));
        assert!(svg.contains(">1 &lt; 2 &amp; 3</text>"));
        assert!(svg.contains("fill-opacity=\"0.50\">7</text>"));
        assert!(svg.contains("x=\"5 15\" y=\"2.00\">ab</text>"));
        assert!(svg.ends_with("<path fill=\"#fff\" d=\"M0 0h1\"/>"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}
