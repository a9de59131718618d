//! Several guesses at one puzzle: runs on symmetric images of it, mapped
//! back to the asker's labelling.

use anyhow::Result;
use hrm_core::engine::Taps;
use hrm_core::puzzle::{Board, Symmetry};
use hrm_core::reason::{Guess, Observer, SegmentReport};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::engine::Engine;

/// How to guess.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Guesses a puzzle; the first is on the puzzle as it stands.
    pub(crate) guesses: usize,
    /// Segments of each.
    pub(crate) segments: usize,
    /// Decides the symmetries of the others.
    pub(crate) seed: u64,
}

/// The guesses at one puzzle, with every segment of the first.
pub(crate) struct Attempt {
    pub(crate) guesses: Vec<Guess>,
    pub(crate) first: Vec<SegmentReport>,
}

/// Runs the guesses at several puzzles as one batch. `index` of the first
/// puzzle keeps the draws the same however a set is divided.
pub(crate) fn attempt(
    engine: &Engine,
    puzzles: &[&Board],
    index: usize,
    options: Options,
) -> Result<Vec<Attempt>> {
    let images: Vec<(Symmetry, Board)> = puzzles
        .iter()
        .enumerate()
        .flat_map(|(i, puzzle)| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream((index + i) as u64);
            (0..options.guesses).map(move |g| {
                let symmetry = if g == 0 {
                    Symmetry::identity(puzzle.shape())
                } else {
                    Symmetry::random(puzzle.shape(), &mut rng)
                };
                let image = symmetry.apply(puzzle);
                (symmetry, image)
            })
        })
        .collect();
    let inputs: Vec<Vec<u8>> = images.iter().map(|(_, image)| image.tokens()).collect();
    let mut session = engine.start(&inputs)?;
    let mut observers: Vec<Observer> = images
        .iter()
        .map(|(_, image)| Observer::new(image))
        .collect();
    let mut reports: Vec<Vec<SegmentReport>> =
        vec![Vec::with_capacity(options.segments); images.len()];
    for _ in 0..options.segments {
        let outputs = session.segment(Taps::default())?;
        for ((observer, reports), output) in observers.iter_mut().zip(&mut reports).zip(&outputs) {
            reports.push(observer.observe(output));
        }
    }
    let mut guesses = images
        .iter()
        .zip(&reports)
        .filter_map(|((symmetry, _), reports)| {
            let last = reports.last()?;
            let grid = Board::new(symmetry.shape(), last.grid.clone()).ok()?;
            Some(Guess {
                grid: symmetry.inverse().apply(&grid).cells().to_vec(),
                halted_at: reports.iter().find(|r| r.halted).map(|r| r.segment),
                halted: last.halted,
                q_halt: last.q_halt,
                residual: last.residual,
                solved: last.solved,
            })
        });
    Ok(reports
        .iter()
        .step_by(options.guesses)
        .map(|first| Attempt {
            guesses: guesses.by_ref().take(options.guesses).collect(),
            first: first.clone(),
        })
        .collect())
}
