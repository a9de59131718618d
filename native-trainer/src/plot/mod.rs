//! Small SVG figures: a title and a grid of panels, each with axes. Colours
//! follow the reader's light or dark theme. The same input gives the same
//! bytes.

mod panel;

pub(crate) use panel::{Mark, Panel};

use std::fmt::Write as _;

/// Width and height of a panel, margins included.
const PANEL: [f64; 2] = [440.0, 330.0];
/// Height of the figure's title.
const TITLE: f64 = 34.0;

/// Colours that can be told apart on light and dark ground, and by most
/// colour-blind readers (after Okabe and Ito).
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#222}.t{font-size:14px;font-weight:600}\
.g{fill:#fff}.a{stroke:#888;fill:none}.r{stroke:#8884;fill:none}\
.c0{--c:#0072b2}.c1{--c:#d55e00}.c2{--c:#009e73}.c3{--c:#b8559a}.c4{--c:#a07800}.c5{--c:#2a8fbd}\
.l{stroke:var(--c);fill:none;stroke-width:1.8}.d{stroke-dasharray:5 4}.f{fill:var(--c)}.b{fill:var(--c);opacity:.2}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.g{fill:#15181c}\
.c0{--c:#56b4e9}.c1{--c:#ff8c42}.c2{--c:#35c796}.c3{--c:#e79bcb}.c4{--c:#f0c929}.c5{--c:#9ad5f5}}";

/// An SVG document of panels, `columns` in a row.
pub(crate) fn figure(title: &str, panels: &[Panel], columns: usize) -> String {
    let columns = columns.clamp(1, panels.len().max(1));
    let rows = panels.len().div_ceil(columns);
    let (width, height) = (PANEL[0] * columns as f64, TITLE + PANEL[1] * rows as f64);
    let mut svg = String::new();
    // Writing to a string can not fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\"><title>{0}</title>\
         <style>{STYLE}</style><rect class=\"g\" width=\"100%\" height=\"100%\"/>\
         <text class=\"t\" x=\"12\" y=\"22\">{0}</text>",
        escape(title)
    );
    for (i, panel) in panels.iter().enumerate() {
        let (x, y) = (
            PANEL[0] * (i % columns) as f64,
            TITLE + PANEL[1] * (i / columns) as f64,
        );
        let _ = write!(svg, "<g transform=\"translate({x} {y})\">");
        panel.draw(&mut svg, PANEL);
        svg.push_str("</g>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Text that XML takes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_well_formed_and_keep_to_their_panels() {
        let panel = Panel::new("loss & <E>", "segment", "value")
            .with(Mark::Line {
                name: "a".into(),
                colour: 0,
                dashed: false,
                points: vec![[1.0, 0.0], [2.0, 5.0], [3.0, f64::NAN], [4.0, 2.0]],
            })
            .with(Mark::Bars {
                name: "b".into(),
                colour: 1,
                bars: vec![[1.0, 2.0, 3.0]],
            })
            .with(Mark::Cells {
                step: 1.0,
                cells: vec![[1.0, 1.0, 0.3]],
            })
            .with(Mark::Points {
                name: String::new(),
                colour: 2,
                radius: 3.0,
                points: vec![[2.0, 2.0]],
            });
        let svg = figure("t", &[panel, Panel::new("empty", "", "")], 2);
        for tag in ["svg", "g", "text"] {
            let opened = svg.matches(&format!("<{tag} ")).count();
            let closed = svg.matches(&format!("</{tag}>")).count();
            assert_eq!(opened, closed, "{tag}");
        }
        assert!(svg.contains("loss &amp; &lt;E&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!(svg.matches("<polyline").count(), 2, "a gap splits a line");
    }
}
