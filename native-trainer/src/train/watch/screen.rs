//! What a person at the terminal sees: plain lines, or a dashboard under them.

use std::io::{self, IsTerminal, Stdout};

use crate::output::outln;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Widget, Wrap};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use serde_json::Value;

/// Lines that the dashboard takes at the bottom of the terminal.
const HEIGHT: u16 = 14;

/// Points of a curve that are kept; beyond, every second one goes.
const POINTS: usize = 2_000;

/// Where lines and measurements are shown.
pub(super) enum Screen {
    /// Lines of text.
    Lines,
    /// Lines, and below them curves that are drawn anew at each measurement.
    Dashboard(Box<Dashboard<CrosstermBackend<Stdout>>>),
}

impl Screen {
    /// Lines of text.
    pub(super) fn lines() -> Self {
        Self::Lines
    }

    /// A dashboard if the standard output is a terminal that can show one.
    pub(super) fn of_stdout() -> Self {
        if io::stdout().is_terminal()
            && io::stdin().is_terminal()
            && let Ok(dashboard) = Dashboard::new(CrosstermBackend::new(io::stdout()))
        {
            return Self::Dashboard(Box::new(dashboard));
        }
        Self::Lines
    }

    /// Shows a line.
    pub(super) fn say(&mut self, line: &str) {
        match self {
            Self::Lines => outln!("{line}"),
            // A terminal that fails is no reason to stop a run: lines go on.
            Self::Dashboard(dashboard) => {
                if dashboard.say(line).is_err() {
                    *self = Self::Lines;
                    outln!("{line}");
                }
            }
        }
    }

    /// Shows a measurement.
    pub(super) fn update(&mut self, value: &Value) {
        if let Self::Dashboard(dashboard) = self {
            dashboard.curves.add(value);
            if dashboard.draw().is_err() {
                *self = Self::Lines;
            }
        }
    }
}

/// The dashboard on some terminal.
pub(super) struct Dashboard<B: Backend> {
    terminal: Terminal<B>,
    curves: Curves,
}

impl<B: Backend> Dashboard<B> {
    fn new(backend: B) -> Result<Self, B::Error> {
        let viewport = Viewport::Inline(HEIGHT);
        Ok(Self {
            terminal: Terminal::with_options(backend, TerminalOptions { viewport })?,
            curves: Curves::default(),
        })
    }

    fn say(&mut self, line: &str) -> Result<(), B::Error> {
        let width = usize::from(self.terminal.size()?.width).max(1);
        let lines = line.chars().count().div_ceil(width).max(1) as u16;
        self.terminal.insert_before(lines, |buffer| {
            Paragraph::new(line)
                .wrap(Wrap { trim: false })
                .render(buffer.area, buffer);
        })?;
        self.draw()
    }

    fn draw(&mut self) -> Result<(), B::Error> {
        self.terminal.draw(|frame| self.curves.draw(frame))?;
        Ok(())
    }
}

impl<B: Backend> Drop for Dashboard<B> {
    /// Leaves the cursor under what was drawn.
    fn drop(&mut self) {
        let bottom = self.terminal.get_frame().area().bottom();
        // Nothing can be done about a terminal that fails at the very end.
        let _ = self
            .terminal
            .set_cursor_position((0, bottom.saturating_sub(1)));
        let _ = self.terminal.show_cursor();
        outln!("");
    }
}

/// What is drawn.
#[derive(Default)]
struct Curves {
    loss: Vec<(f64, f64)>,
    exact: Vec<(f64, f64)>,
    held_out: Vec<(f64, f64)>,
    /// The newest training measurement.
    last: Value,
    /// The newest evaluation.
    evaluation: Value,
}

impl Curves {
    fn add(&mut self, value: &Value) {
        let step = value["step"].as_f64().unwrap_or_default();
        let push = |curve: &mut Vec<(f64, f64)>, field: &str| {
            if let Some(y) = value[field].as_f64() {
                curve.push((step, y));
            }
            if curve.len() > POINTS {
                let mut odd = false;
                curve.retain(|_| {
                    odd = !odd;
                    odd
                });
            }
        };
        if value["kind"] == "held_out" {
            push(&mut self.held_out, "accuracy");
            self.evaluation = value.clone();
        } else {
            push(&mut self.loss, "loss");
            push(&mut self.exact, "exact_accuracy");
            self.last = value.clone();
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [top, middle] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
        self.draw_progress(frame, top);
        let [left, centre, right] = Layout::horizontal([
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Length(34),
        ])
        .areas(middle);
        let loss = [("loss", &self.loss, Color::Yellow)];
        draw_chart(frame, left, "loss", None, &loss);
        let shares = [
            ("training, exact", &self.exact, Color::Cyan),
            ("held out", &self.held_out, Color::Green),
        ];
        draw_chart(frame, centre, "solved", Some(1.0), &shares);
        self.draw_numbers(frame, right);
    }

    fn draw_progress(&self, frame: &mut Frame<'_>, area: Rect) {
        let done = self.last["progress"].as_f64();
        let left = self.last["seconds_left"].as_f64();
        let label = match (done, left) {
            (Some(done), Some(left)) => {
                format!("{:.1} %, {} left", 100.0 * done, duration(left))
            }
            _ => "no end set".to_owned(),
        };
        let gauge = Gauge::default()
            .gauge_style(Style::new().fg(Color::Blue))
            .ratio(done.unwrap_or_default().clamp(0.0, 1.0))
            .label(label);
        frame.render_widget(gauge, area);
    }

    fn draw_numbers(&self, frame: &mut Frame<'_>, area: Rect) {
        let number = |field: &str| self.last[field].as_f64();
        let mut lines = Vec::new();
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                lines.push(Line::from(format!("{name:<14}{value:>16}")));
            }
        };
        line("step", number("step").map(|x| format!("{x:.0}")));
        line("loss", number("loss").map(|x| format!("{x:.4}")));
        line("cells right", number("cell_accuracy").map(percent));
        line("grids right", number("exact_accuracy").map(percent));
        line("q right", number("q_halt_accuracy").map(percent));
        line("segments", number("segments").map(|x| format!("{x:.2}")));
        line("rate", number("lr_factor").map(percent));
        let speed = |x| format!("{x:.2} steps/s");
        line("speed", number("steps_per_second").map(speed));
        line("waits for data", number("data_wait").map(percent));
        line(
            "held out",
            self.evaluation["accuracy"].as_f64().map(percent),
        );
        let block = Block::bordered().title("now".bold());
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

type Curve<'a> = (&'a str, &'a Vec<(f64, f64)>, Color);

fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    top: Option<f64>,
    curves: &[Curve<'_>],
) {
    let points = || curves.iter().flat_map(|(_, points, _)| points.iter());
    let range = |f: fn(&(f64, f64)) -> f64| {
        points()
            .map(f)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                (low.min(x), high.max(x))
            })
    };
    let (first, last) = range(|p| p.0);
    let (_, highest) = range(|p| p.1);
    let bounds = if first < last {
        [first, last]
    } else {
        [0.0, 1.0]
    };
    let top = top.unwrap_or(if highest > 0.0 { highest } else { 1.0 });
    let datasets = curves
        .iter()
        .map(|(name, points, color)| {
            Dataset::default()
                .name(*name)
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(*color))
                .data(points)
        })
        .collect();
    let steps = bounds.map(|x| format!("{x:.0}"));
    let chart = Chart::new(datasets)
        .block(Block::bordered().title(title.bold()))
        .x_axis(Axis::default().bounds(bounds).labels(steps))
        .y_axis(
            Axis::default()
                .bounds([0.0, top])
                .labels(["0".to_owned(), format!("{top:.2}")]),
        );
    frame.render_widget(chart, area);
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A duration for people, in the largest two units.
pub(in crate::train) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..60 => format!("{minutes} min"),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1440, minutes / 60 % 24),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dashboard_shows_curves_and_numbers() {
        let mut dashboard = Dashboard::new(TestBackend::new(100, 30)).unwrap();
        dashboard.say("training: 12 puzzles").unwrap();
        for step in 1..=40 {
            dashboard.curves.add(&json!({
                "kind": "train", "step": step, "loss": 2.0 / f64::from(step), "exact_accuracy": 0.25,
                "progress": 0.5, "seconds_left": 4000.0, "data_wait": 0.001, "steps_per_second": 3.5,
            }));
        }
        let held_out = json!({"kind": "held_out", "step": 40, "accuracy": 0.75});
        dashboard.curves.add(&held_out);
        dashboard.draw().unwrap();
        let text = dashboard.terminal.backend().to_string();
        for part in [
            "training: 12 puzzles",
            "50.0 %, 1 h 7 min left",
            "3.50 steps/s",
            "0.1 %",
            "75.0 %",
            "held out",
            "2.00",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let braille = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
        assert!(text.chars().filter(|&c| braille(c)).count() > 10, "{text}");
    }

    #[test]
    fn long_runs_keep_a_bounded_curve() {
        let mut curves = Curves::default();
        for step in 0..10_000 {
            curves.add(&json!({"kind": "train", "step": step, "loss": 1.0}));
        }
        assert!((POINTS / 2..=POINTS).contains(&curves.loss.len()));
        assert_eq!(curves.loss.last().unwrap().0, 9_999.0);
    }

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [
            (12.0, "12 s"),
            (240.0, "4 min"),
            (7_500.0, "2 h 5 min"),
            (200_000.0, "2 d 7 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
