//! Line charts as SVG, coloured by the page's style sheet.

use std::fmt::Write as _;

/// A curve of a chart.
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: String,
    /// Points by ascending x.
    pub(super) points: Vec<(f64, f64)>,
    /// Lower and upper end of an interval about each point; as long as `points`, or
    /// empty.
    pub(super) intervals: Vec<(f64, f64)>,
}

/// How y is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// A number.
    Number,
    /// A share, shown in percent on an axis from 0 to 100 % or to its largest.
    Percent {
        /// Whether the axis always reaches 100 %.
        whole: bool,
    },
    /// A number on a logarithmic axis.
    Logarithm,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: String,
    /// What x is.
    pub(super) x: &'static str,
    pub(super) unit: Unit,
    pub(super) series: Vec<Series>,
}

/// Size of the drawing in its own units, and of the margins around the plot.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 40.0;

/// Curves that the style sheet has colours for.
pub(super) const COLOURS: usize = 6;

/// Points drawn of a curve; beyond, the means of neighbours.
const POINTS: usize = 400;

impl Chart {
    /// The chart as an `svg` element; empty if no series has a point.
    pub(super) fn svg(&self) -> String {
        let series: Vec<Series> = self
            .series
            .iter()
            .filter_map(|s| s.thinned(self.unit))
            .collect();
        if series.is_empty() {
            return String::new();
        }
        let all = || series.iter().flat_map(|s| s.points.iter());
        let fold = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
                (a.min(v), b.max(v))
            })
        };
        let (x0, x1) = fold(&mut all().map(|p| p.0));
        let (x0, x1) = if x1 > x0 {
            (x0, x1)
        } else {
            (x0 - 0.5, x0 + 0.5)
        };
        let ends = series.iter().flat_map(|s| s.intervals.iter());
        let (low, high) = fold(&mut all().map(|p| p.1).chain(ends.flat_map(|e| [e.0, e.1])));
        let scale = Scale::of(self.unit, low, high);
        let x_at = |x: f64| LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
        let y_at = |y: f64| HEIGHT - BOTTOM - scale.share(y) * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"18\">{title}</text>\n",
            title = escape(&self.title)
        );
        for tick in &scale.ticks {
            let y = y_at(*tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                self.unit.text(*tick)
            );
        }
        for tick in ticks(x0, x1, 6).iter().filter(|t| t.fract() == 0.0) {
            let x = x_at(*tick);
            let _ = writeln!(
                svg,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 16.0,
                number(*tick)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 6.0,
            self.x
        );
        for (i, s) in series.iter().enumerate() {
            let colour = i % COLOURS;
            for ((x, _), (low, high)) in s.points.iter().zip(&s.intervals) {
                let x = x_at(*x);
                let _ = writeln!(
                    svg,
                    "<line class=\"c{colour} bar\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                    y_at(*low),
                    y_at(*high)
                );
            }
            let points: Vec<String> = s
                .points
                .iter()
                .map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline class=\"c{colour}\" points=\"{}\"/>",
                points.join(" ")
            );
            if s.points.len() <= 40 {
                for (x, y) in &s.points {
                    let _ = writeln!(
                        svg,
                        "<circle class=\"c{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"/>",
                        x_at(*x),
                        y_at(*y)
                    );
                }
            }
        }
        let mut x = LEFT;
        for (i, s) in series.iter().enumerate() {
            let last = s.points.last().map_or(0.0, |p| p.1);
            let text = format!("{} {}", s.name, self.unit.text(last));
            let _ = writeln!(
                svg,
                "<rect class=\"c{}\" x=\"{x:.1}\" y=\"31\" width=\"10\" height=\"10\"/>\
                 <text class=\"legend\" x=\"{:.1}\" y=\"40\">{}</text>",
                i % COLOURS,
                x + 14.0,
                escape(&text)
            );
            // About the width of the text in the page's font.
            x += 14.0 + 6.3 * text.chars().count() as f64 + 12.0;
        }
        svg + "</svg>\n"
    }
}

impl Series {
    /// A curve without intervals.
    pub(super) fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            intervals: Vec::new(),
        }
    }

    /// What can be drawn, with at most [`POINTS`] points; none if that is nothing.
    fn thinned(&self, unit: Unit) -> Option<Self> {
        let drawable = |p: &(f64, f64)| {
            p.0.is_finite() && p.1.is_finite() && (unit != Unit::Logarithm || p.1 > 0.0)
        };
        let points: Vec<(f64, f64)> = self.points.iter().copied().filter(drawable).collect();
        if points.is_empty() {
            return None;
        }
        let group = points.len().div_ceil(POINTS);
        let mean = |part: &[(f64, f64)]| {
            let n = part.len() as f64;
            let sum = part.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
            (sum.0 / n, sum.1 / n)
        };
        let intervals = if group == 1 && points.len() == self.intervals.len() {
            self.intervals.clone()
        } else {
            Vec::new()
        };
        Some(Self {
            name: self.name.clone(),
            points: points.chunks(group).map(mean).collect(),
            intervals,
        })
    }
}

/// Where values stand on the y axis.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Scale {
    fn of(unit: Unit, low: f64, high: f64) -> Self {
        if unit == Unit::Logarithm {
            let (low, high) = (
                low.log10().floor(),
                high.log10().ceil().max(low.log10().floor() + 1.0),
            );
            let decades = (low as i32)..=(high as i32);
            return Self {
                low,
                high,
                logarithmic: true,
                ticks: decades.map(|d| 10_f64.powi(d)).collect(),
            };
        }
        let high = match unit {
            Unit::Percent { whole: true } => 1.0,
            _ if high > 0.0 => high,
            _ => 1.0,
        };
        let ticks = ticks(low.min(0.0), high, 5);
        let step = ticks.get(1).zip(ticks.first()).map_or(high, |(b, a)| b - a);
        // Up to the next tick, so that the highest point is below a line.
        let high = (high / step - 1e-9).ceil() * step;
        Self {
            low: low.min(0.0),
            high,
            logarithmic: false,
            ticks: self::ticks(low.min(0.0), high, 5),
        }
    }

    /// 0 at the bottom, 1 at the top.
    fn share(&self, y: f64) -> f64 {
        let y = if self.logarithmic { y.log10() } else { y };
        ((y - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

impl Unit {
    fn text(self, y: f64) -> String {
        match self {
            Self::Percent { .. } => {
                let text = format!("{:.2}", 100.0 * y);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                format!("{text} %")
            }
            _ => number(y),
        }
    }
}

/// Round numbers from `low` to `high`, about `count`.
fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    if !(rough > 0.0 && rough.is_finite()) {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// A number in three significant digits, whole ones in full.
fn number(x: f64) -> String {
    if x == 0.0 || (x.fract() == 0.0 && x.abs() < 1e9) {
        return format!("{x:.0}");
    }
    let digits = (2 - x.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Text as it stands in a page.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks() {
        assert_eq!(
            ticks(0.0, 1.0, 5),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(ticks(100.0, 4500.0, 6), [1000.0, 2000.0, 3000.0, 4000.0]);
        assert_eq!(ticks(3.0, 3.0, 5), [3.0]);
        let scale = Scale::of(Unit::Logarithm, 0.02, 3.0);
        assert_eq!(scale.ticks, [0.01, 0.1, 1.0, 10.0]);
        assert!((scale.share(1.0) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Scale::of(Unit::Number, 1.0, 13.0).high, 15.0);
    }

    #[test]
    fn numbers_are_short() {
        for (x, text) in [
            (0.0, "0"),
            (1200.0, "1200"),
            (0.12345, "0.123"),
            (13.6, "13.6"),
        ] {
            assert_eq!(number(x), text);
        }
        assert_eq!(Unit::Percent { whole: true }.text(0.995), "99.5 %");
    }

    #[test]
    fn a_chart_draws_what_can_be_drawn() {
        let chart = |unit| Chart {
            title: "a < b".into(),
            x: "step",
            unit,
            series: vec![
                Series::new("one", vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.5)]),
                Series::new("none", vec![]),
            ],
        };
        let svg = chart(Unit::Number).svg();
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN") && !svg.contains("none"));
        assert_eq!(svg.matches("<circle").count(), 2);
        let empty = Chart {
            series: vec![Series::new("zero", vec![(0.0, 0.0)])],
            ..chart(Unit::Logarithm)
        };
        assert_eq!(empty.svg(), "");
        let long = Series::new("long", (0..10_000).map(|i| (f64::from(i), 1.0)).collect());
        assert_eq!(long.thinned(Unit::Number).unwrap().points.len(), POINTS);
    }
}
