//! Guesses that share a batch, and searches.

mod copier;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::Taps;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{
    Board, Difficulty, Maze, MazeOptions, MazeSize, Puzzle, Shape, fill_share, generate,
    generate_maze,
};
use hrm_core::reason::commit::Commitment;
use hrm_core::reason::flow::{Agenda, Done, Guessing, Outcome, Stop, drive};
use hrm_core::reason::perturb::Perturbation;
use hrm_core::reason::search::{Key, Search, search};
use hrm_core::reason::{Guessable, Images};
use hrm_core::weights::Weights;
use rand::SeedableRng;
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

/// Mazes of which ever more of the route is given, at last all of it.
fn mazes() -> Vec<Maze> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let options = MazeOptions::hard(MazeSize::of_side(5).unwrap());
    (0..12)
        .map(|i| {
            let (question, answer) = generate_maze(i, &options).unwrap();
            question.filled(&answer, i as f64 / 7.0, &mut rng)
        })
        .collect()
}

/// A model of mazes that copies what it is given.
fn copying() -> Arc<CpuModel> {
    let (plan, weights) = copier::copier(MazeSize::of_side(5).unwrap());
    Arc::new(CpuModel::new(plan, &weights))
}

type Outcomes<P> = HashMap<(usize, usize), Outcome<P>>;

fn guess<P: Guessable>(
    model: &Arc<CpuModel>,
    how: Guessing,
    capacity: usize,
    puzzles: &[P],
) -> Outcomes<P> {
    let mut agenda = Agenda::new(how, 0, puzzles.iter().cloned().enumerate().collect());
    let mut outcomes = HashMap::new();
    let mut run = CpuRun::empty(Arc::clone(model));
    drive(&mut run, capacity, &how, &mut |done: Option<Done<P>>| {
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
    independent(&model(), &puzzles());
    independent(&copying(), &mazes());
}

fn independent<P: Guessable>(model: &Arc<CpuModel>, puzzles: &[P]) {
    let guess = |how, capacity, puzzles: &[P]| guess(model, how, capacity, puzzles);
    for (name, stop) in Stop::ALL {
        let alone = guess(how(stop), 1, puzzles);
        for capacity in [2, 5, 64] {
            assert_eq!(
                guess(how(stop), capacity, puzzles),
                alone,
                "{name} {capacity}"
            );
        }
        let part = guess(how(stop), 3, &puzzles[..7]);
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
    end_when_they_should(&model(), &puzzles());
    end_when_they_should(&copying(), &mazes());
}

fn end_when_they_should<P: Guessable>(model: &Arc<CpuModel>, puzzles: &[P]) {
    let guess = |how, capacity, puzzles: &[P]| guess(model, how, capacity, puzzles);
    let full = guess(how(Stop::Depth), 8, puzzles);
    assert!(full.values().all(|o| o.segments == 6));
    let solved = guess(how(Stop::Solved), 8, puzzles);
    assert!(solved.values().any(|o| o.solved && o.segments < 6));
    assert!(solved.values().any(|o| !o.solved));
    assert!(solved.values().all(|o| o.solved || o.segments == 6));
    // In order, one at a time, up to the first that is accepted.
    let first = guess(how(Stop::FirstVerified), 8, puzzles);
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
    let outcomes = guess(&model(), how(Stop::Depth), 5, &puzzles);
    let inputs: Vec<Vec<u8>> = puzzles.iter().map(Board::tokens).collect();
    let mut run = CpuRun::new(model(), &inputs).unwrap();
    let mut outputs = Vec::new();
    for _ in 0..6 {
        outputs = run.segment(Taps::default());
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
    begin_like_guessing(&model(), &puzzles());
    begin_like_guessing(&copying(), &mazes());
}

fn begin_like_guessing<P: Guessable>(model: &Arc<CpuModel>, puzzles: &[P]) {
    let mut how = how(Stop::Depth);
    how.perturbation.initial_noise = 0.0;
    how.perturbation.update_noise = 0.0;
    how.segments = 3;
    let guesses = guess(model, how, 4, puzzles);
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
        Search::Commit(Commitment {
            period: 1,
            life: 2,
            temperature: 0.5,
        }),
    ];
    for (i, puzzle) in puzzles.iter().enumerate() {
        for kind in searches {
            let found = search(model, puzzle, i, &how, kind).unwrap();
            assert_eq!(found.len(), how.guesses);
            assert_eq!(found, search(model, puzzle, i, &how, kind).unwrap());
            let solved = found.iter().any(|o| o.solved);
            let segments: Vec<usize> = found.iter().map(|o| o.segments).collect();
            assert!(segments.iter().all(|s| *s == segments[0] && *s <= 3));
            assert!(solved || segments[0] == 3, "it gave up early");
            assert!(found.iter().all(|o| o.solved == o.grid.solves(puzzle)));
        }
        // Without a choice or a restart it is plain guessing, but for its end.
        let plain = search(model, puzzle, i, &how, Search::Agreement { period: 99 }).unwrap();
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
        let alone = search(model, puzzle, i, &one, beam).unwrap();
        if alone[0].segments == 3 {
            assert_eq!(
                alone[0],
                guesses[&(i, 0)],
                "a beam of one is the plain pass"
            );
        }
    }
}

#[test]
fn a_rewritten_sequence_keeps_its_state_and_leaves_the_others_alone() {
    let inputs: Vec<Vec<u8>> = puzzles().iter().take(3).map(Board::tokens).collect();
    let mut run = CpuRun::new(model(), &inputs).unwrap();
    run.segment(Taps::default());
    let states = run.states().0.to_vec();
    let other = puzzles()[5].tokens();
    run.rewrite(1, &other).unwrap();
    assert_eq!(run.states().0, states, "the state goes on");
    let after = run.segment(Taps::default());
    // The same as another run of that puzzle which was given the state.
    let mut expected = CpuRun::new(model(), &inputs).unwrap();
    expected.segment(Taps::default());
    let (z_h, z_l) = expected.states();
    let (z_h, z_l) = (z_h.to_vec(), z_l.to_vec());
    let moved = [inputs[0].clone(), other, inputs[2].clone()];
    let mut expected = CpuRun::new(model(), &moved).unwrap();
    expected.set_states(&z_h, &z_l).unwrap();
    assert_eq!(after, expected.segment(Taps::default()));
    assert!(run.rewrite(3, &inputs[0]).is_err(), "there are only three");
    assert!(run.rewrite(0, &[1, 2]).is_err(), "too short");
}

#[test]
fn answers_to_images_of_a_maze_are_mapped_back() {
    // A copying model answers every image with the image, so that whatever comes back
    // is the question if and only if it has been turned back the right way.
    let puzzles = mazes();
    for images in [Images::Swap, Images::Symmetry] {
        let mut how = how(Stop::Depth);
        how.perturbation = Perturbation {
            images,
            initial_noise: 0.0,
            update_noise: 0.0,
            random_start: false,
        };
        how.guesses = 8;
        let outcomes = guess(&copying(), how, 5, &puzzles);
        assert_eq!(outcomes.len(), 8 * puzzles.len());
        for ((puzzle, _), outcome) in outcomes {
            let question = &puzzles[puzzle];
            assert_eq!(outcome.grid, *question);
            assert_eq!(outcome.solved, question.solves(question));
            assert_eq!(outcome.valid, Some(question.is_connected()));
        }
    }
}

#[test]
fn agreement_marks_what_all_routes_share() {
    let parse = |text: &str| Maze::parse(text, None).unwrap();
    let question = parse("S   #   G");
    let (right, down) = (parse("Soo #o  G"), parse("S  o# ooG"));
    let detour = parse("Sooo#oooG");
    assert_eq!(question.agreed(&[right.clone(), detour.clone()]), right);
    assert_eq!(question.agreed(&[right.clone(), detour, down]), question);
    // A wall that all have opened stays a wall, and what is given stays given.
    let given = parse("So  #   G");
    let through = parse("S o oo  G");
    assert_eq!(
        given.agreed(&[through.clone(), through]),
        parse("Soo #o  G")
    );
    assert_eq!(given.agreed(&[]), given);
}
