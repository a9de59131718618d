//! `hrm analyze hierarchy`: do the two levels converge on different time
//! scales?

use anyhow::Result;
use hrm_core::engine::Taps;
use hrm_core::lens::fixed_points::distance;
use hrm_core::lens::hierarchy::Covariance;
use hrm_core::plan::Level;
use hrm_core::reason::Guessable;
use serde::Serialize;

use super::{CHUNK, CommonArgs, Mean, Study, finding, progress, questions, segment};
use crate::plot::{Mark, Panel, figure};

/// How far z_L and z_H move in each update, and their effective dimension
/// (participation ratio) over all puzzles and positions: HRM's claim of
/// hierarchical convergence, tested.
#[derive(Debug, clap::Args)]
pub(crate) struct HierarchyArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Segments of each run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
}

/// One update of a run.
#[derive(Debug, Serialize)]
struct Update {
    segment: usize,
    high: bool,
    /// RMS change of the level's state in this update.
    residual: Mean,
    /// Effective dimension of the state after it, of [`Data::hidden`].
    participation_ratio: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Data {
    hidden: usize,
    /// Updates of a run, in order.
    updates: Vec<Update>,
    /// Mean ratio of z_L's last residual to its first between two updates of
    /// z_H, from the second segment on: below 1 if L converges inside a
    /// cycle. None with one L update a cycle.
    low_within_cycle: Option<Mean>,
    /// Mean ratio of z_L's first residual after an update of z_H to its last
    /// before: above 1 if H's update sets L off again. None with one L
    /// update a cycle.
    low_set_off: Option<Mean>,
    /// z_H's residual in the last segment over that in the second.
    high_over_run: Mean,
}

pub(crate) fn run<P: Guessable>(args: &HierarchyArgs, study: &Study<P>) -> Result<()> {
    let (subject, set) = (study.only()?, &study.set);
    let plan = subject.plan();
    let taps = Taps {
        z_h_updates: true,
        z_l_updates: true,
        ..Taps::default()
    };
    let levels: Vec<Level> = plan.updates.iter().map(|u| u.level).collect();
    let total = levels.len() * args.segments as usize;
    let mut residuals: Vec<Vec<f64>> = vec![Vec::new(); total];
    let mut clouds: Vec<Covariance> = vec![Covariance::new(plan.hidden); total];
    let bar = progress(set.rows.len(), "puzzles")?;
    for rows in set.rows.chunks(CHUNK) {
        let mut run = subject.start(&questions(rows))?;
        let mut before = vec![subject.engine.shared().initial(); rows.len()];
        let mut first = 0;
        for _ in 0..args.segments {
            for (output, before) in segment(&mut *run, taps)?.into_iter().zip(&mut before) {
                for (update, (level, state)) in output.updates.into_iter().enumerate() {
                    let old = &mut before[usize::from(level == Level::Low)];
                    residuals[first + update].push(distance(&state, old));
                    clouds[first + update].add(&state);
                    *old = state;
                }
            }
            first += levels.len();
        }
        bar.inc(rows.len() as u64);
    }
    bar.finish_and_clear();

    let updates: Vec<Update> = (0..total)
        .map(|u| Update {
            segment: u / levels.len() + 1,
            high: levels[u % levels.len()] == Level::High,
            residual: Mean::of(&residuals[u]),
            participation_ratio: clouds[u].participation_ratio(),
        })
        .collect();
    let data = data(&updates, &residuals, levels.len(), plan.hidden);
    let mut findings = Vec::new();
    if let (Some(within), Some(off)) = (&data.low_within_cycle, &data.low_set_off) {
        findings.push(finding(
            "z_L: last residual of a cycle over its first",
            within,
        ));
        findings.push(finding(
            "z_L: first residual after z_H's update over the last before",
            off,
        ));
    }
    findings.push(finding(
        "z_H: residual of the last segment over the second's",
        data.high_over_run,
    ));
    let end = |high: bool| {
        let last = updates.iter().rev().find(|u| u.high == high);
        last.and_then(|u| u.participation_ratio).unwrap_or(f64::NAN)
    };
    findings.push(finding(
        "effective dimension at the end",
        format!(
            "z_H {:.1}, z_L {:.1} of {}",
            end(true),
            end(false),
            plan.hidden
        ),
    ));
    let title = format!(
        "Hierarchy: {} on {} puzzles of {}",
        subject.named.name,
        set.rows.len(),
        set.name
    );
    let svg = figure(&title, &panels(&updates, levels.len()), 2);
    let data = Data { updates, ..data };
    args.common
        .write("hierarchy", study, &findings, &data, &svg)
}

/// The ratios; the updates are filled in later.
fn data(updates: &[Update], residuals: &[Vec<f64>], per_segment: usize, hidden: usize) -> Data {
    let ratio = |a: usize, b: usize| -> Vec<f64> {
        residuals[a]
            .iter()
            .zip(&residuals[b])
            .map(|(a, b)| a / b.max(f64::MIN_POSITIVE))
            .collect()
    };
    // Ratios of each cycle, by puzzle.
    let (mut within, mut off): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    for high in per_segment..updates.len() {
        if !updates[high].high {
            continue;
        }
        // The L updates right before and after this H update.
        let lows = updates[..high].iter().rev().take_while(|u| !u.high).count();
        if lows > 1 {
            within.push(ratio(high - 1, high - lows));
            if high + 1 < updates.len() {
                off.push(ratio(high + 1, high - 1));
            }
        }
    }
    let highs = |segment: usize| {
        (0..updates.len())
            .rfind(|&u| updates[u].high && updates[u].segment == segment)
            .unwrap_or(0)
    };
    let last = updates.last().map_or(1, |u| u.segment);
    Data {
        hidden,
        updates: Vec::new(),
        low_within_cycle: (!within.is_empty()).then(|| by_puzzle(&within)),
        low_set_off: (!off.is_empty()).then(|| by_puzzle(&off)),
        high_over_run: Mean::of(&ratio(highs(last), highs(2.min(last)))),
    }
}

/// The mean over puzzles of each puzzle's mean over cycles: the cycles of one
/// run are not independent.
fn by_puzzle(cycles: &[Vec<f64>]) -> Mean {
    let puzzles = cycles.first().map_or(0, Vec::len);
    let means: Vec<f64> = (0..puzzles)
        .map(|p| cycles.iter().map(|c| c[p]).sum::<f64>() / cycles.len() as f64)
        .collect();
    Mean::of(&means)
}

fn panels(updates: &[Update], per_segment: usize) -> [Panel; 2] {
    let curve = |name: &str, high: bool, colour, of: &dyn Fn(&Update) -> f64| Mark::Line {
        name: name.into(),
        colour,
        dashed: false,
        points: updates
            .iter()
            .enumerate()
            .filter(|(_, u)| u.high == high)
            .map(|(i, u)| [(i + 1) as f64 / per_segment as f64, of(u)])
            .collect(),
    };
    let log = |u: &Update| u.residual.mean.max(1e-9).log10();
    let dimension = |u: &Update| u.participation_ratio.unwrap_or(f64::NAN);
    [
        Panel::new(
            "how far an update moves its state",
            "segment",
            "log10 of the RMS change",
        )
        .with(curve("z_L", false, 1, &log))
        .with(curve("z_H", true, 0, &log)),
        Panel::new("effective dimension", "segment", "participation ratio")
            .with(curve("z_L", false, 1, &dimension))
            .with(curve("z_H", true, 0, &dimension)),
    ]
}
