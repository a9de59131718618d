//! The driver of many guesses: guesses that share a run, searches, and the same
//! from the command line as on the page.

mod copier;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hrm_core::config::ModelConfig;
use hrm_core::cpu::{CpuModel, CpuRun};
use hrm_core::engine::{Engine, Taps};
use hrm_core::plan::Plan;
use hrm_core::puzzle::{
    AnyPuzzle, AnySymmetry, Board, Difficulty, Maze, MazeOptions, MazeSize, Puzzle, Shape,
    fill_share, generate, generate_maze,
};
use hrm_core::reason::commit::{Commitment, Committer, Move};
use hrm_core::reason::lab::Item;
use hrm_core::reason::{
    Agenda, Driver, Guessable, Guessing, Images, Key, Limits, Observer, Outcome, Perturbation,
    Search, SegmentReport, Stop, Team,
};
use hrm_core::weights::Weights;
use pollster::block_on;
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
    let puzzles = puzzles.iter().cloned().enumerate().collect();
    run(model, Agenda::new(how, None, 0, puzzles), capacity)
}

/// Everything that an agenda holds.
fn run<P: Guessable>(model: &Arc<CpuModel>, mut agenda: Agenda<P>, capacity: usize) -> Outcomes<P> {
    let mut outcomes = HashMap::new();
    let mut driver = Driver::new(agenda.limits());
    driver.add(Arc::clone(model) as Arc<dyn Engine>, capacity, []);
    while let Some(step) = block_on(driver.step(&mut |free| agenda.next(free))).unwrap() {
        assert!(step.reports.len() <= capacity);
        for done in step.done {
            agenda.ended(&done);
            assert_eq!(done.accepted.len(), done.outcome.segments);
            let again = outcomes.insert((done.puzzle, done.guess), done.outcome);
            assert!(again.is_none(), "a guess was made twice");
        }
    }
    assert!(driver.is_idle());
    outcomes
}

/// A search for one puzzle's answer, its outcomes in order.
fn search<P: Guessable>(
    model: &Arc<CpuModel>,
    puzzle: (usize, &P),
    how: &Guessing,
    search: Search,
) -> Vec<Outcome<P>> {
    let puzzles = vec![(puzzle.0, puzzle.1.clone())];
    let agenda = Agenda::new(*how, Some(search), 0, puzzles);
    let capacity = agenda.together();
    let mut outcomes: Vec<_> = run(model, agenda, capacity).into_iter().collect();
    outcomes.sort_by_key(|(key, _)| *key);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
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
            let found = search(model, (i, puzzle), &how, kind);
            assert_eq!(found.len(), how.guesses);
            assert_eq!(found, search(model, (i, puzzle), &how, kind));
            let solved = found.iter().any(|o| o.solved);
            let segments: Vec<usize> = found.iter().map(|o| o.segments).collect();
            assert!(segments.iter().all(|s| *s == segments[0] && *s <= 3));
            assert!(solved || segments[0] == 3, "it gave up early");
            assert!(found.iter().all(|o| o.solved == o.grid.solves(puzzle)));
        }
        // Without a choice or a restart it is plain guessing, but for its end.
        let plain = search(model, (i, puzzle), &how, Search::Agreement { period: 99 });
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
        let alone = search(model, (i, puzzle), &one, beam);
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
fn searches_of_many_puzzles_share_a_run() {
    let (model, puzzles) = (model(), puzzles());
    let mut how = how(Stop::Depth);
    how.segments = 9;
    let commit = Search::Commit(Commitment {
        period: 2,
        life: 5,
        temperature: 0.8,
    });
    let beam = Search::Beam {
        by: Key::Conflicts,
        period: 2,
        noise: 0.5,
    };
    for kind in [commit, beam, Search::Agreement { period: 3 }] {
        let set = puzzles.iter().cloned().enumerate().collect();
        // Room for two teams and a half.
        let together = run(&model, Agenda::new(how, Some(kind), 0, set), 10);
        assert_eq!(together.len(), 4 * puzzles.len());
        for (i, puzzle) in puzzles.iter().enumerate() {
            for (g, outcome) in search(&model, (i, puzzle), &how, kind).iter().enumerate() {
                assert_eq!(
                    *outcome,
                    together[&(i, g)],
                    "{kind:?}, puzzle {i}, guess {g}"
                );
            }
        }
    }
}

/// Reports by guess and segment.
type Reports = HashMap<(usize, usize), SegmentReport>;

/// As the page's worker does it: items in runs that take turns, the batch
/// ended by the first solved if asked to.
fn as_the_page(model: &Arc<CpuModel>, items: &[Item], limits: Limits, at_once: usize) -> Reports {
    let mut driver = Driver::new(limits);
    let jobs: Vec<_> = items.iter().cloned().enumerate().collect();
    for part in jobs.chunks(at_once) {
        let teams = part.iter().cloned();
        let teams = teams.map(|(index, item)| Team::of_one(item.job(index).unwrap()));
        driver.add(Arc::clone(model) as Arc<dyn Engine>, part.len(), teams);
    }
    let mut reports = HashMap::new();
    while let Some(step) = block_on(driver.step(&mut |_| None)).unwrap() {
        let solved = step.reports.iter().any(|(_, report)| report.solved);
        for (guess, report) in step.reports {
            assert!(reports.insert((guess, report.segment), report).is_none());
        }
        if solved && limits.stop == Stop::FirstSolved {
            break;
        }
    }
    reports
}

/// As the command line does it.
fn as_the_command(model: &Arc<CpuModel>, mut agenda: Agenda<Board>, places: usize) -> Reports {
    let mut driver = Driver::new(agenda.limits());
    driver.add(Arc::clone(model) as Arc<dyn Engine>, places, []);
    let mut reports = HashMap::new();
    while let Some(step) = block_on(driver.step(&mut |free| agenda.next(free))).unwrap() {
        step.done.iter().for_each(|done| agenda.ended(done));
        for (guess, report) in step.reports {
            assert!(reports.insert((guess, report.segment), report).is_none());
        }
    }
    reports
}

#[test]
fn the_page_and_the_command_line_run_the_same_guesses() {
    let model = model();
    for (number, puzzle) in puzzles().into_iter().enumerate().take(6) {
        let mut how = how(Stop::Depth);
        how.segments = 60;
        how.perturbation.initial_noise = 0.0;
        how.perturbation.update_noise = 0.0;
        how.seed = 40 + number as u64;
        let images = how.perturbation.images;
        let symmetries = images.symmetries::<Board>(puzzle.kind(), how.guesses, how.seed, 0);
        let items = |commits| -> Vec<Item> {
            let symmetries = symmetries.iter().cloned();
            let symmetries = symmetries.map(|symmetry| Some(AnySymmetry::from(symmetry)));
            let item = |symmetry| Item {
                symmetry,
                seed: how.seed,
                commits,
                ..Item::plain(puzzle.clone().into())
            };
            symmetries.map(item).collect()
        };
        let set = || vec![(0, puzzle.clone())];

        // Commitment, until the first is verified.
        let commit = Search::Commit(Commitment::default());
        let agenda = Agenda::new(how, Some(commit), 0, set());
        let limits = agenda.limits();
        let command = as_the_command(&model, agenda, 4);
        assert_eq!(as_the_page(&model, &items(true), limits, 4), command);
        // Several runs that take turns differ in where they are stopped.
        let apart = as_the_page(&model, &items(true), limits, 3);
        assert!(
            apart
                .iter()
                .all(|(at, report)| command.get(at) == Some(report))
        );

        // Plain guesses at images, each until it is solved.
        how.stop = Stop::Solved;
        how.segments = 8;
        let agenda = Agenda::new(how, None, 0, set());
        let limits = agenda.limits();
        let command = as_the_command(&model, agenda, 3);
        assert_eq!(as_the_page(&model, &items(false), limits, 2), command);

        // Noise at the start and at updates.
        how.perturbation.initial_noise = 0.7;
        how.perturbation.update_noise = 0.1;
        let mut agenda = Agenda::new(how, None, 0, set());
        let mut noisy = items(false);
        for item in &mut noisy {
            let job = &agenda.next(1).unwrap().jobs[0];
            item.seed = job.update_noise.seed.into();
            item.noise = job.initial_noise.deviation;
            item.update_noise = job.update_noise.deviation;
        }
        let command = as_the_command(&model, Agenda::new(how, None, 0, set()), 4);
        assert_eq!(as_the_page(&model, &noisy, limits, 2), command);
    }
}

#[test]
fn the_driver_does_what_a_guess_says() {
    // A guess alone on the engine, written out.
    let (model, puzzle) = (model(), AnyPuzzle::from(puzzles()[0].clone()));
    let how = Commitment {
        period: 2,
        life: 7,
        temperature: 0.5,
    };
    let item = Item {
        symmetry: Some(AnyPuzzle::random_symmetry(
            puzzle.kind(),
            &mut ChaCha8Rng::seed_from_u64(3),
        )),
        noise: 0.5,
        seed: 9,
        commits: true,
        ..Item::plain(puzzle.clone())
    };
    let mut job = item.job(2).unwrap();
    job.commitment = Some(how);
    let (noise, mut symmetry) = (job.initial_noise, job.symmetry.clone());
    let mut committer = Committer::new(how, puzzle.clone(), symmetry.clone(), (9, 2));
    let image = puzzle.image(symmetry.as_ref());
    let mut run = CpuRun::new(Arc::clone(&model), &[image.tokens()]).unwrap();
    let mut states = model.initial();
    noise.add_between(0, model.plan().hidden, &mut states);
    run.begin_at(&states[0], &states[1]).unwrap();
    let mut observer = Observer::new(&puzzle);
    let taps = Taps {
        logits: true,
        ..Taps::default()
    };
    let mut driver = Driver::new(Limits {
        segments: 30,
        stop: Stop::Depth,
    });
    driver.add(
        Arc::clone(&model) as Arc<dyn Engine>,
        1,
        [Team::of_one(job)],
    );
    let mut restarts = 0;
    for segment in 1..=30 {
        let output = run.segment(taps).remove(0);
        let mut expected = observer.observe_image(&output, symmetry.as_ref());
        expected.committed = committer.cells();
        let step = block_on(driver.step(&mut |_| None)).unwrap().unwrap();
        assert_eq!(step.reports, [(2, expected)], "segment {segment}");
        assert_eq!(step.done.len(), usize::from(segment == 30));
        match committer.after(&output) {
            Move::Stay => {}
            Move::Commit(tokens) => run.rewrite(0, &tokens).unwrap(),
            Move::Restart(tokens) => {
                run.replace(0, &tokens).unwrap();
                symmetry = committer.symmetry().cloned();
                restarts += 1;
            }
        }
    }
    assert!(restarts > 2);
    assert!(block_on(driver.step(&mut |_| None)).unwrap().is_none());
}

#[test]
fn what_does_not_fit_is_refused() {
    let board: AnyPuzzle = "1.........4...2.".parse().unwrap();
    let limits = Limits {
        segments: 1,
        stop: Stop::Depth,
    };
    let mut driver = Driver::new(limits);
    let nine = AnyPuzzle::blank(Shape::S9.into());
    let other = Item::plain(nine.clone()).job(3).unwrap();
    driver.add(model() as Arc<dyn Engine>, 1, [Team::of_one(other)]);
    let error = block_on(driver.step(&mut |_| None)).unwrap_err();
    let expected = "input 3: is no sudoku-4x4, which the model plays";
    assert_eq!(error.to_string(), expected);
    let turned = Item {
        symmetry: Some(AnyPuzzle::random_symmetry(
            nine.kind(),
            &mut ChaCha8Rng::seed_from_u64(3),
        )),
        ..Item::plain(board)
    };
    assert!(turned.job(0).is_err());
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
