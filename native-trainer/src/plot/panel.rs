//! One set of axes with what is drawn on it.

use std::fmt::Write as _;

use super::escape;

/// Left, top, right and bottom margin.
const MARGIN: [f64; 4] = [56.0, 30.0, 14.0, 46.0];

/// Something drawn on a panel, in the data's coordinates. Marks with a name
/// appear in the legend; colours are numbers of the palette.
pub(crate) enum Mark {
    /// Joined points; one that is not finite leaves a gap.
    Line {
        name: String,
        colour: usize,
        dashed: bool,
        points: Vec<[f64; 2]>,
    },
    /// Dots.
    Points {
        name: String,
        colour: usize,
        radius: f64,
        points: Vec<[f64; 2]>,
    },
    /// The area between two curves: x, lower, upper.
    Band {
        colour: usize,
        points: Vec<[f64; 3]>,
    },
    /// Bars from 0: left, right, height.
    Bars {
        name: String,
        colour: usize,
        bars: Vec<[f64; 3]>,
    },
    /// Squares around points, `step` wide: x, y, and a value from 0 to 1 on
    /// a scale from blue to yellow.
    Cells { step: f64, cells: Vec<[f64; 3]> },
    /// Lines from a point to a point, with a dot at the beginning.
    Arrows { arrows: Vec<[f64; 4]> },
}

/// Axes and what is on them. The ranges are those of the marks unless given.
pub(crate) struct Panel {
    title: String,
    labels: [String; 2],
    ranges: [Option<[f64; 2]>; 2],
    marks: Vec<Mark>,
}

impl Panel {
    pub(crate) fn new(title: &str, x: &str, y: &str) -> Self {
        Self {
            title: title.into(),
            labels: [x.into(), y.into()],
            ranges: [None, None],
            marks: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }

    /// Fixes the range of x.
    pub(crate) fn x(mut self, from: f64, to: f64) -> Self {
        self.ranges[0] = Some([from, to]);
        self
    }

    /// Fixes the range of y.
    pub(crate) fn y(mut self, from: f64, to: f64) -> Self {
        self.ranges[1] = Some([from, to]);
        self
    }

    pub(super) fn draw(&self, svg: &mut String, [width, height]: [f64; 2]) {
        let [left, top, right, bottom] = MARGIN;
        let frame = [left, top, width - right, height - bottom];
        let ranges = [0, 1].map(|axis| self.ranges[axis].unwrap_or_else(|| self.range(axis)));
        let place = |x: f64, y: f64| {
            let [[x0, x1], [y0, y1]] = ranges;
            [
                frame[0] + (x - x0) / (x1 - x0) * (frame[2] - frame[0]),
                frame[3] - (y - y0) / (y1 - y0) * (frame[3] - frame[1]),
            ]
        };
        let _ = write!(
            svg,
            "<text x=\"{left}\" y=\"18\">{}</text>",
            escape(&self.title)
        );
        ticks(svg, frame, ranges);
        for mark in &self.marks {
            mark.draw(svg, &place);
        }
        let _ = write!(
            svg,
            "<rect class=\"a\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>\
             <text text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text>\
             <text text-anchor=\"middle\" transform=\"translate(14 {}) rotate(-90)\">{}</text>",
            frame[2] - left,
            frame[3] - top,
            (frame[0] + frame[2]) / 2.0,
            height - 10.0,
            escape(&self.labels[0]),
            (frame[1] + frame[3]) / 2.0,
            escape(&self.labels[1]),
        );
        self.legend(svg, frame, &place);
    }

    /// Names at the right, in that corner where less is drawn.
    fn legend(&self, svg: &mut String, frame: [f64; 4], place: &impl Fn(f64, f64) -> [f64; 2]) {
        let named: Vec<(&str, usize)> = self.marks.iter().filter_map(Mark::legend).collect();
        let height = 8.0 + 16.0 * named.len() as f64;
        let drawn: Vec<[f64; 2]> = self
            .marks
            .iter()
            .flat_map(|m| m.extent(0).into_iter().zip(m.extent(1)))
            .map(|(x, y)| place(x, y))
            .filter(|[x, _]| *x > (frame[0] + frame[2]) / 2.0)
            .collect();
        let within = |from: f64| {
            let inside = |y: f64| y >= from && y <= from + height;
            drawn.iter().filter(|[_, y]| inside(*y)).count()
        };
        let (above, below) = (frame[1], frame[3] - height);
        let top = if within(below) < within(above) {
            below
        } else {
            above
        };
        for (i, (name, colour)) in named.into_iter().enumerate() {
            let y = top + 16.0 + 16.0 * i as f64;
            let _ = write!(
                svg,
                "<g class=\"c{colour}\"><rect class=\"f\" x=\"{}\" y=\"{}\" width=\"9\" height=\"9\"/></g>\
                 <text text-anchor=\"end\" x=\"{}\" y=\"{y}\">{}</text>",
                frame[2] - 15.0,
                y - 9.0,
                frame[2] - 20.0,
                escape(name)
            );
        }
    }

    /// The range of an axis that holds all marks, with a little air.
    fn range(&self, axis: usize) -> [f64; 2] {
        let values = self.marks.iter().flat_map(|m| m.extent(axis));
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
                (a.min(v), b.max(v))
            });
        if low > high {
            return [0.0, 1.0];
        }
        let air = if high > low { 0.04 * (high - low) } else { 0.5 };
        // What begins at 0 is drawn from 0.
        [if low == 0.0 { 0.0 } else { low - air }, high + air]
    }
}

impl Mark {
    fn legend(&self) -> Option<(&str, usize)> {
        match self {
            Self::Line { name, colour, .. }
            | Self::Points { name, colour, .. }
            | Self::Bars { name, colour, .. }
                if !name.is_empty() =>
            {
                Some((name, colour % 6))
            }
            _ => None,
        }
    }

    /// Every value along an axis.
    fn extent(&self, axis: usize) -> Vec<f64> {
        match self {
            Self::Line { points, .. } | Self::Points { points, .. } => {
                points.iter().map(|p| p[axis]).collect()
            }
            Self::Band { points, .. } if axis == 0 => {
                points.iter().flat_map(|p| [p[0], p[0]]).collect()
            }
            Self::Band { points, .. } => points.iter().flat_map(|p| [p[1], p[2]]).collect(),
            Self::Bars { bars, .. } if axis == 0 => {
                bars.iter().flat_map(|b| [b[0], b[1]]).collect()
            }
            Self::Bars { bars, .. } => bars.iter().flat_map(|b| [0.0, b[2]]).collect(),
            Self::Cells { step, cells } => cells
                .iter()
                .flat_map(|c| [c[axis] - step / 2.0, c[axis] + step / 2.0])
                .collect(),
            Self::Arrows { arrows } => arrows.iter().map(|a| a[axis]).collect(),
        }
    }

    fn draw(&self, svg: &mut String, place: &impl Fn(f64, f64) -> [f64; 2]) {
        match self {
            Self::Line {
                colour,
                dashed,
                points,
                ..
            } => {
                let dash = if *dashed { " d" } else { "" };
                for run in points.split(|p| !(p[0].is_finite() && p[1].is_finite())) {
                    if run.is_empty() {
                        continue;
                    }
                    let _ = write!(svg, "<polyline class=\"c{} l{dash}\" points=\"", colour % 6);
                    for p in run {
                        let [x, y] = place(p[0], p[1]);
                        let _ = write!(svg, "{x:.1},{y:.1} ");
                    }
                    svg.push_str("\"/>");
                }
            }
            Self::Points {
                colour,
                radius,
                points,
                ..
            } => {
                let _ = write!(svg, "<g class=\"c{}\">", colour % 6);
                for p in points
                    .iter()
                    .filter(|p| p[0].is_finite() && p[1].is_finite())
                {
                    let [x, y] = place(p[0], p[1]);
                    let _ = write!(
                        svg,
                        "<circle class=\"f\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
                    );
                }
                svg.push_str("</g>");
            }
            Self::Band { colour, points } => {
                let _ = write!(svg, "<polygon class=\"c{} b\" points=\"", colour % 6);
                // An interval of a single value has no end.
                let finite = points.iter().filter(|p| p.iter().all(|v| v.is_finite()));
                let there = finite.clone().map(|p| place(p[0], p[1]));
                let back = finite.rev().map(|p| place(p[0], p[2]));
                for [x, y] in there.chain(back) {
                    let _ = write!(svg, "{x:.1},{y:.1} ");
                }
                svg.push_str("\"/>");
            }
            Self::Bars { colour, bars, .. } => {
                let _ = write!(svg, "<g class=\"c{}\">", colour % 6);
                for bar in bars {
                    let ([x0, y0], [x1, y1]) = (place(bar[0], 0.0), place(bar[1], bar[2]));
                    let _ = write!(
                        svg,
                        "<rect class=\"f\" x=\"{x0:.1}\" y=\"{y1:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                        x1 - x0,
                        y0 - y1
                    );
                }
                svg.push_str("</g>");
            }
            Self::Cells { step, cells } => {
                for c in cells {
                    let [x0, y0] = place(c[0] - step / 2.0, c[1] + step / 2.0);
                    let [x1, y1] = place(c[0] + step / 2.0, c[1] - step / 2.0);
                    // A hair wider, so that no seams show.
                    let _ = write!(
                        svg,
                        "<rect x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                        x1 - x0 + 0.3,
                        y1 - y0 + 0.3,
                        scale(c[2])
                    );
                }
            }
            Self::Arrows { arrows } => {
                for a in arrows {
                    let ([x0, y0], [x1, y1]) = (place(a[0], a[1]), place(a[2], a[3]));
                    let _ = write!(
                        svg,
                        "<path d=\"M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}\" stroke=\"#fff\" stroke-opacity=\".75\"/>\
                         <circle cx=\"{x0:.1}\" cy=\"{y0:.1}\" r=\"1.3\" fill=\"#fff\"/>"
                    );
                }
            }
        }
    }
}

/// A colour from dark blue (0) over teal to yellow (1), even in lightness.
fn scale(value: f64) -> String {
    const STOPS: [[f64; 3]; 5] = [
        [68.0, 20.0, 96.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [250.0, 230.0, 50.0],
    ];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let i = (at as usize).min(STOPS.len() - 2);
    let t = at - i as f64;
    let [r, g, b] = [0, 1, 2].map(|c| STOPS[i][c] + t * (STOPS[i + 1][c] - STOPS[i][c]));
    format!("#{:02x}{:02x}{:02x}", r as u8, g as u8, b as u8)
}

/// Marks and numbers at round values of both axes.
fn ticks(svg: &mut String, frame: [f64; 4], ranges: [[f64; 2]; 2]) {
    for (axis, [from, to]) in ranges.into_iter().enumerate() {
        let step = round_step((to - from) / 5.0);
        let mut k = (from / step).ceil();
        while k * step <= to + 1e-9 * step {
            // Not `-0`.
            let value = k * step + 0.0;
            let share = (value - from) / (to - from);
            let digits = (-step.log10().floor()).max(0.0) as usize;
            if axis == 0 {
                let x = frame[0] + share * (frame[2] - frame[0]);
                let _ = write!(
                    svg,
                    "<path class=\"r\" d=\"M{x:.1} {}V{}\"/>\
                     <text text-anchor=\"middle\" x=\"{x:.1}\" y=\"{}\">{value:.digits$}</text>",
                    frame[1],
                    frame[3],
                    frame[3] + 16.0
                );
            } else {
                let y = frame[3] - share * (frame[3] - frame[1]);
                let _ = write!(
                    svg,
                    "<path class=\"r\" d=\"M{} {y:.1}H{}\"/>\
                     <text text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{value:.digits$}</text>",
                    frame[0],
                    frame[2],
                    frame[0] - 5.0,
                    y + 4.0
                );
            }
            k += 1.0;
        }
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|s| *s >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}
