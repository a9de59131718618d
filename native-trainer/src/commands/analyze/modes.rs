//! `hrm analyze modes`: the four modes, settled and wandering.

use anyhow::Result;
use hrm_core::engine::Taps;
use hrm_core::reason::modes::{AT_ONCE, AT_REST, Behaviour, Mode, Moment, WINDOW, judge};
use hrm_core::reason::{Guessable, Proportion};
use serde::Serialize;

use super::{CommonArgs, Finding, Study, Subject, by_chunks, film, finding, questions, right};
use crate::plot::{Mark, Panel, figure};

/// Count the four modes of arXiv 2601.10679, and how many failures settle, by
/// stated rules.
#[derive(Debug, clap::Args)]
pub(crate) struct ModesArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Segments of each run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    segments: u32,
}

#[derive(Debug, Serialize)]
struct Rules {
    at_once: usize,
    window: usize,
    at_rest: f64,
}

/// One run's judgement, and where it ended.
#[derive(Debug, Serialize)]
struct Run {
    #[serde(flatten)]
    behaviour: Behaviour,
    residual: f64,
}

#[derive(Debug, Serialize)]
struct Outcome {
    checkpoint: String,
    modes: Vec<(Mode, Proportion)>,
    /// Of the failures: those whose state rests, those whose grid rests, and
    /// those that had been right.
    failures_with_resting_state: Proportion,
    failures_with_resting_grid: Proportion,
    failures_that_left_the_solution: Proportion,
    /// Of the successes: those whose state rests.
    successes_with_resting_state: Proportion,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Data {
    segments: u32,
    rules: Rules,
    outcomes: Vec<Outcome>,
}

pub(crate) fn run<P: Guessable>(args: &ModesArgs, study: &Study<P>) -> Result<()> {
    let (subjects, set) = (&study.subjects, &study.set);
    let mut outcomes = Vec::new();
    for subject in subjects {
        let runs = by_chunks(&set.rows, |_, rows| {
            let films = film(
                subject,
                &questions(rows),
                args.segments as usize,
                Taps::default(),
                |i, report, _| Moment {
                    right: right(report, &rows[i]),
                    ..Moment::from(report)
                },
            )?;
            Ok(films
                .iter()
                .filter_map(|film| {
                    Some(Run {
                        behaviour: judge(film)?,
                        residual: film.last()?.residual,
                    })
                })
                .collect())
        })?;
        outcomes.push(outcome(subject, runs));
    }
    let findings: Vec<Finding> = outcomes.iter().flat_map(findings).collect();
    let panels: Vec<Panel> = outcomes.iter().flat_map(panels).collect();
    let title = format!(
        "Modes of {} runs of {} segments on {}",
        set.rows.len(),
        args.segments,
        set.name
    );
    let data = Data {
        segments: args.segments,
        rules: Rules {
            at_once: AT_ONCE,
            window: WINDOW,
            at_rest: AT_REST,
        },
        outcomes,
    };
    args.common.write(
        "modes",
        study,
        &findings,
        &data,
        &figure(&title, &panels, 2),
    )
}

fn is_success(mode: Mode) -> bool {
    matches!(mode, Mode::TrivialSuccess | Mode::NontrivialSuccess)
}

fn outcome(subject: &Subject, runs: Vec<Run>) -> Outcome {
    let share = |among: bool, f: &dyn Fn(&Behaviour) -> bool| {
        let inside = runs
            .iter()
            .filter(|r| is_success(r.behaviour.mode) == among);
        let hits = inside.clone().filter(|r| f(&r.behaviour)).count();
        Proportion::new(hits, inside.count())
    };
    Outcome {
        checkpoint: subject.named.name.clone(),
        modes: Mode::ALL
            .iter()
            .map(|&mode| {
                let count = runs.iter().filter(|r| r.behaviour.mode == mode).count();
                (mode, Proportion::new(count, runs.len()))
            })
            .collect(),
        failures_with_resting_state: share(false, &|b| b.state_settled),
        failures_with_resting_grid: share(false, &|b| b.grid_settled),
        failures_that_left_the_solution: share(false, &Behaviour::left_the_solution),
        successes_with_resting_state: share(true, &|b| b.state_settled),
        runs,
    }
}

fn findings(o: &Outcome) -> Vec<Finding> {
    let named =
        |what: &str, value: &Proportion| finding(&format!("{}: {what}", o.checkpoint), value);
    let mut findings: Vec<Finding> = o.modes.iter().map(|(m, p)| named(m.name(), p)).collect();
    findings.extend([
        named("failures whose state rests", &o.failures_with_resting_state),
        named("failures whose grid rests", &o.failures_with_resting_grid),
        named(
            "failures that left the solution",
            &o.failures_that_left_the_solution,
        ),
        named(
            "successes whose state rests",
            &o.successes_with_resting_state,
        ),
    ]);
    findings
}

fn panels(outcome: &Outcome) -> [Panel; 2] {
    let bars = outcome.modes.iter().enumerate().fold(
        Panel::new(
            &outcome.checkpoint,
            "",
            "share of runs, with 95 % intervals",
        )
        .x(-0.6, 3.6),
        |panel, (i, (mode, share))| {
            let x = i as f64;
            panel
                .with(Mark::Bars {
                    name: format!("{}: {:.1} %", mode.name(), 100.0 * share.value),
                    colour: i,
                    bars: vec![[x - 0.35, x + 0.35, share.value]],
                })
                .with(Mark::Line {
                    name: String::new(),
                    colour: i,
                    dashed: true,
                    points: vec![[x, share.low], [x, share.high]],
                })
        },
    );
    let highest = outcome.modes.iter().map(|m| m.1.high).fold(0.0, f64::max);
    // Room for the legend above the bars.
    let bars = bars.y(0.0, 1.45 * highest.max(0.1));
    let histogram = |success: bool| -> Vec<[f64; 3]> {
        let logs: Vec<f64> = outcome
            .runs
            .iter()
            .filter(|r| is_success(r.behaviour.mode) == success)
            .map(|r| r.residual.max(1e-6).log10())
            .collect();
        (0..24)
            .map(|bin| {
                let (low, high) = (-5.5 + 0.25 * f64::from(bin), -5.25 + 0.25 * f64::from(bin));
                let count = logs.iter().filter(|l| **l >= low && **l < high).count();
                let half = if success {
                    [low, low + 0.12]
                } else {
                    [low + 0.12, high]
                };
                [half[0], half[1], count as f64]
            })
            .collect()
    };
    let residuals = Panel::new(
        "does the state rest at the end?",
        "log10 of the last residual of z_H",
        "runs",
    )
    .with(Mark::Bars {
        name: "ends right".into(),
        colour: 0,
        bars: histogram(true),
    })
    .with(Mark::Bars {
        name: "ends wrong".into(),
        colour: 1,
        bars: histogram(false),
    });
    [bars, residuals]
}
