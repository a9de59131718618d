//! `hrm analyze stability`: is a solution a fixed point?

use anyhow::Result;
use hrm_core::engine::Taps;
use hrm_core::puzzle::{Puzzle, PuzzleKind};
use hrm_core::reason::modes::AT_ONCE;
use hrm_core::reason::{Guessable, Observer, Proportion};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{CommonArgs, Finding, Study, Subject, by_chunks, finding, segment};
use crate::plot::{Mark, Panel, figure};
use crate::puzzles::Row;

/// Fixed-point tests: solutions with a few blanks (of a maze, marks of the route
/// taken out), with a row masked, and the puzzle itself started from the state of
/// its solution; which share of runs is right after every segment.
#[derive(Debug, clap::Args)]
pub(crate) struct StabilityArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Numbers of blanks to test
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10")]
    blanks: Vec<usize>,
    /// Segments of each run
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Segments in which the full solution is read in, for the test that
    /// starts from its state
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    settle: u32,
}

/// What is changed before the run.
#[derive(Debug, Clone, Copy)]
enum Test {
    /// The solution with this many random cells blank.
    Blanks(usize),
    /// The solution with a random row blank.
    Row,
    /// The puzzle, from the state that its solution leads to.
    SolutionState,
}

impl Test {
    fn name(self) -> String {
        match self {
            Self::Blanks(1) => "1 blank".into(),
            Self::Blanks(n) => format!("{n} blanks"),
            Self::Row => "a row masked".into(),
            Self::SolutionState => "from the solution's state".into(),
        }
    }

    fn question<P: Puzzle>(self, row: &Row<P>, rng: &mut ChaCha8Rng) -> P {
        let mut written = row.answer.written();
        match self {
            Self::Blanks(count) => {
                let (chosen, _) = written.partial_shuffle(rng, count);
                row.answer.without(chosen)
            }
            Self::Row => {
                let kind: PuzzleKind = row.answer.kind().into();
                // A row in which there is nothing to mask would be no test.
                let mut lines: Vec<usize> = written.iter().map(|c| c / kind.side()).collect();
                lines.dedup();
                if lines.is_empty() {
                    return row.answer.clone();
                }
                let line = lines[rng.random_range(0..lines.len() as u32) as usize];
                written.retain(|c| c / kind.side() == line);
                row.answer.without(&written)
            }
            Self::SolutionState => row.question.clone(),
        }
    }
}

/// One test of one checkpoint.
#[derive(Debug, Serialize)]
struct Outcome {
    checkpoint: String,
    test: String,
    /// Runs whose grid the rules accept after segment 1, 2, ….
    accepted: Vec<usize>,
    /// At some segment.
    ever: Proportion,
    /// At every segment from the second on (from the first on for the test
    /// from the solution's state).
    stays: Proportion,
    /// At the last segment.
    end: Proportion,
}

#[derive(Debug, Serialize)]
struct Data {
    segments: u32,
    outcomes: Vec<Outcome>,
}

pub(crate) fn run<P: Guessable>(args: &StabilityArgs, study: &Study<P>) -> Result<()> {
    let (subjects, set) = (&study.subjects, &study.set);
    let mut tests: Vec<Test> = args.blanks.iter().map(|&n| Test::Blanks(n)).collect();
    tests.extend([Test::Row, Test::SolutionState]);
    let mut outcomes = Vec::new();
    for subject in subjects {
        for (number, &test) in tests.iter().enumerate() {
            let runs = by_chunks(&set.rows, |first, rows| {
                one_chunk(subject, test, rows, args, |i| {
                    ((first + i) as u64) << 8 | number as u64
                })
            })?;
            outcomes.push(outcome(subject, test, &runs, args.segments as usize));
        }
    }
    let findings: Vec<Finding> = outcomes
        .iter()
        .map(|o| {
            finding(
                &format!("{}: {}", o.checkpoint, o.test),
                format!("stays right {}; right at the end {}", o.stays, o.end),
            )
        })
        .collect();
    let n = set.rows.len() as f64;
    let panels: Vec<Panel> = subjects
        .iter()
        .map(|subject| {
            let mine = outcomes
                .iter()
                .filter(|o| o.checkpoint == subject.named.name);
            mine.enumerate().fold(
                Panel::new(&subject.named.name, "segment", "share right").y(0.0, 1.02),
                |panel, (i, o)| {
                    panel.with(Mark::Line {
                        name: o.test.clone(),
                        colour: i,
                        dashed: i >= 6,
                        points: o
                            .accepted
                            .iter()
                            .enumerate()
                            .map(|(s, &right)| [s as f64 + 1.0, right as f64 / n])
                            .collect(),
                    })
                },
            )
        })
        .collect();
    let title = format!(
        "Is the solution a fixed point? {} puzzles of {}",
        set.rows.len(),
        set.name
    );
    let data = Data {
        segments: args.segments,
        outcomes,
    };
    args.common.write(
        "stability",
        study,
        &findings,
        &data,
        &figure(&title, &panels, 2),
    )
}

/// Whether each run is right, segment by segment.
fn one_chunk<P: Puzzle>(
    subject: &Subject,
    test: Test,
    rows: &[Row<P>],
    args: &StabilityArgs,
    stream: impl Fn(usize) -> u64,
) -> Result<Vec<Vec<bool>>> {
    let questions: Vec<P> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let mut rng = ChaCha8Rng::seed_from_u64(args.common.seed);
            rng.set_stream(stream(i));
            test.question(row, &mut rng)
        })
        .collect();
    let inputs: Vec<Vec<u8>> = questions.iter().map(P::tokens).collect();
    let mut run = subject.engine.start(&inputs)?;
    if matches!(test, Test::SolutionState) {
        let solutions: Vec<&P> = rows.iter().map(|r| &r.answer).collect();
        let mut settled = subject.start(&solutions)?;
        let states = Taps {
            states: true,
            ..Taps::default()
        };
        let mut ends = Vec::new();
        for _ in 0..args.settle {
            ends = segment(&mut *settled, states)?;
        }
        for (place, end) in ends.iter().enumerate() {
            if let (Some(z_h), Some(z_l)) = (&end.z_h, &end.z_l) {
                run.set_states(place, [z_h, z_l])?;
            }
        }
    }
    let mut observers: Vec<Observer<P>> = questions.iter().map(Observer::new).collect();
    let mut right: Vec<Vec<bool>> = vec![Vec::new(); rows.len()];
    for _ in 0..args.segments {
        let outputs = segment(&mut *run, Taps::default())?;
        for ((right, observer), output) in right.iter_mut().zip(&mut observers).zip(&outputs) {
            right.push(observer.observe(output).solved);
        }
    }
    Ok(right)
}

fn outcome(subject: &Subject, test: Test, runs: &[Vec<bool>], segments: usize) -> Outcome {
    let share = |f: &dyn Fn(&[bool]) -> bool| {
        Proportion::new(runs.iter().filter(|r| f(r)).count(), runs.len())
    };
    let from = match test {
        Test::SolutionState => 0,
        _ => (AT_ONCE - 1).min(segments - 1),
    };
    Outcome {
        checkpoint: subject.named.name.clone(),
        test: test.name(),
        accepted: (0..segments)
            .map(|s| runs.iter().filter(|r| r[s]).count())
            .collect(),
        ever: share(&|r| r.iter().any(|x| *x)),
        stays: share(&|r| r[from..].iter().all(|x| *x)),
        end: share(&|r| r.last() == Some(&true)),
    }
}
