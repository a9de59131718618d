//! Guesses that share a batch, and the verifier that judges them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Board, Difficulty, Shape, fill_share, generate, random_solution};
use hrm_core::reason::flow::{Agenda, Done, Guessing, Outcome, Stop, drive};
use hrm_core::reason::perturb::{Images, Perturbation};
use hrm_core::reason::search::{Key, Search, search};
use hrm_core::weights::Weights;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The shipped 4x4 model.
fn model() -> Arc<CpuModel> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/hrm-4x4");
    let config = fs::read_to_string(dir.join("config.json")).unwrap();
    let plan = Arc::new(Plan::new(&ModelConfig::from_json(&config).unwrap()).unwrap());
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let weights = Weights::from_safetensors(&plan, &bytes).unwrap();
    Arc::new(CpuModel::new(plan, &weights))
}

/// From hard to full.
fn puzzles() -> Vec<Board> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..12)
        .map(|i| {
            let puzzle = generate(i, &Difficulty::Hard.options(Shape::S4)).unwrap();
            fill_share(&mut rng, &puzzle.question, &puzzle.answer, i as f64 / 11.0)
        })
        .collect()
}

fn guess(how: Guessing, capacity: usize, puzzles: &[Board]) -> HashMap<(usize, usize), Outcome> {
    let mut agenda = Agenda::new(how, 0, puzzles.iter().cloned().enumerate().collect());
    let mut outcomes = HashMap::new();
    let mut run = CpuRun::empty(model());
    drive(&mut run, capacity, &how, &mut |done: Option<Done>| {
        let job = agenda.next(done.as_ref().map(|d| (d, &puzzles[d.puzzle])));
        if let Some(done) = done {
            assert_eq!(done.reports.len(), done.outcome.segments);
            let again = outcomes.insert((done.puzzle, done.guess), done.outcome);
            assert!(again.is_none(), "a guess was made twice");
        }
        job
    })
    .unwrap();
    assert_eq!(run.batch(), 0);
    outcomes
}

fn how(stop: Stop) -> Guessing {
    Guessing {
        guesses: 4,
        segments: 6,
        stop,
        perturbation: Perturbation {
            images: Images::Symmetry,
            initial_noise: 1.0,
            // So much that some guesses fail.
            update_noise: 0.6,
            random_start: false,
        },
        seed: 8,
    }
}

#[test]
fn outcomes_do_not_depend_on_what_shares_the_batch() {
    let puzzles = puzzles();
    for (name, stop) in Stop::ALL {
        let alone = guess(how(stop), 1, &puzzles);
        for capacity in [2, 5, 64] {
            assert_eq!(
                guess(how(stop), capacity, &puzzles),
                alone,
                "{name} {capacity}"
            );
        }
        let mut reversed: Vec<Board> = puzzles.clone();
        reversed.truncate(7);
        let part = guess(how(stop), 3, &reversed);
        assert!(
            part.iter().all(|(key, outcome)| alone[key] == *outcome),
            "{name}"
        );
        if stop == Stop::FirstVerified {
            assert!(alone.len() < 4 * puzzles.len(), "nothing was verified");
        } else {
            assert_eq!(alone.len(), 4 * puzzles.len());
        }
    }
}

#[test]
fn guesses_end_when_they_should() {
    let puzzles = puzzles();
    let full = guess(how(Stop::Depth), 8, &puzzles);
    assert!(full.values().all(|o| o.segments == 6));
    let solved = guess(how(Stop::Solved), 8, &puzzles);
    assert!(solved.values().any(|o| o.solved && o.segments < 6));
    assert!(solved.values().any(|o| !o.solved));
    assert!(solved.values().all(|o| o.solved || o.segments == 6));
    // In order, one at a time, up to the first that is accepted.
    let first = guess(how(Stop::FirstVerified), 8, &puzzles);
    for puzzle in 0..puzzles.len() {
        let accepted = (0..4).find(|g| solved[&(puzzle, *g)].solved);
        for g in 0..4 {
            let made = accepted.is_none_or(|a| g <= a);
            assert_eq!(first.get(&(puzzle, g)), made.then(|| &solved[&(puzzle, g)]));
        }
    }
}

#[test]
fn the_plain_pass_is_the_engine_run_without_more_ado() {
    let puzzles = puzzles();
    let outcomes = guess(how(Stop::Depth), 5, &puzzles);
    let inputs: Vec<Vec<u8>> = puzzles.iter().map(Board::tokens).collect();
    let mut run = CpuRun::new(model(), &inputs).unwrap();
    let mut outputs = Vec::new();
    for _ in 0..6 {
        outputs = run.segment(hrm_core::engine::Taps::default());
    }
    for (puzzle, output) in outputs.iter().enumerate() {
        let outcome = &outcomes[&(puzzle, 0)];
        let grid = Board::from_tokens(Shape::S4, &output.tokens).unwrap();
        assert_eq!(outcome.grid, grid);
        assert_eq!(outcome.residual.to_bits(), output.residual_h.to_bits());
        assert_eq!(outcome.q_halt.to_bits(), output.q_halt.to_bits());
    }
}

#[test]
fn searches_spend_no_more_than_guessing_and_begin_like_it() {
    let puzzles = puzzles();
    let mut how = how(Stop::Depth);
    how.perturbation.initial_noise = 0.0;
    how.perturbation.update_noise = 0.0;
    how.segments = 3;
    let guesses = guess(how, 4, &puzzles);
    let searches = [
        Search::Beam {
            by: Key::Conflicts,
            period: 1,
            noise: 0.5,
        },
        Search::Beam {
            by: Key::Residual,
            period: 2,
            noise: 0.5,
        },
        Search::Agreement { period: 1 },
    ];
    for (i, puzzle) in puzzles.iter().enumerate() {
        for kind in searches {
            let found = search(&model(), puzzle, i, &how, kind).unwrap();
            assert_eq!(found.len(), how.guesses);
            assert_eq!(found, search(&model(), puzzle, i, &how, kind).unwrap());
            let solved = found.iter().any(|o| o.solved);
            let segments: Vec<usize> = found.iter().map(|o| o.segments).collect();
            assert!(segments.iter().all(|s| *s == segments[0] && *s <= 3));
            assert!(solved || segments[0] == 3, "it gave up early");
            assert!(found.iter().all(|o| o.solved == o.grid.solves(puzzle)));
        }
        // Without a choice or a restart it is plain guessing, but for its end.
        let plain = search(&model(), puzzle, i, &how, Search::Agreement { period: 99 }).unwrap();
        if plain[0].segments == 3 {
            for (g, outcome) in plain.iter().enumerate() {
                assert_eq!(*outcome, guesses[&(i, g)]);
            }
        }
        let one = Guessing { guesses: 1, ..how };
        let beam = Search::Beam {
            by: Key::Residual,
            period: 1,
            noise: 9.0,
        };
        let alone = search(&model(), puzzle, i, &one, beam).unwrap();
        if alone[0].segments == 3 {
            assert_eq!(
                alone[0],
                guesses[&(i, 0)],
                "a beam of one is the plain pass"
            );
        }
    }
}

/// The verifier against rules written out once more, on more than 10^5 grids
/// near and far from right.
#[test]
fn the_verifier_accepts_no_grid_that_breaks_a_rule_or_changes_a_given() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..2_000 {
        let shape = Shape::ALL[round % 3];
        let solution = random_solution(shape, &mut rng);
        let share = rng.random::<f64>();
        let givens = fill_share(&mut rng, &Board::blank(shape), &solution, share);
        for _ in 0..55 {
            let mut grid = if rng.random_bool(0.2) {
                random_solution(shape, &mut rng)
            } else {
                solution.clone()
            };
            for _ in 0..rng.random_range(0..4) {
                let cell = rng.random_range(0..shape.cells());
                // Swapping digits keeps counts; setting one may blank it.
                if rng.random_bool(0.5) {
                    let other = rng.random_range(0..shape.cells());
                    let (a, b) = (grid.cells()[cell], grid.cells()[other]);
                    grid.set(cell, b);
                    grid.set(other, a);
                } else {
                    grid.set(cell, rng.random_range(0..=shape.side() as u8));
                }
            }
            let expected = obeys(&grid) && keeps(&grid, &givens);
            assert_eq!(grid.solves(&givens), expected, "{givens} {grid}");
            if expected {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(
        accepted > 10_000 && refused > 10_000,
        "{accepted} {refused}"
    );
}

/// Whether every cell has a digit and no two cells of a house the same.
fn obeys(grid: &Board) -> bool {
    let shape = grid.shape();
    (0..shape.cells()).all(|a| {
        grid.cells()[a] != 0
            && (0..a).all(|b| {
                let house = shape.row(a) == shape.row(b)
                    || shape.column(a) == shape.column(b)
                    || shape.box_of(a) == shape.box_of(b);
                !house || grid.cells()[a] != grid.cells()[b]
            })
    })
}

fn keeps(grid: &Board, givens: &Board) -> bool {
    (0..grid.cells().len()).all(|c| givens.cells()[c] == 0 || givens.cells()[c] == grid.cells()[c])
}
