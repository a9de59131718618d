//! Properties of puzzles that hold for whatever comes along. `PROPTEST_CASES` sets
//! the number of cases (a million of them for a thorough look at the parser).

use hrm_core::puzzle::{
    Board, GeneratorOptions, Puzzle, Shape, Symmetry, Uniqueness, augment, canonical_puzzle,
    canonical_solution, fill_hints, generate, random_hints, solve,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn shapes() -> impl Strategy<Value = Shape> {
    prop::sample::select(Shape::COMMON.to_vec())
}

/// Any board, mostly wrong.
fn boards() -> impl Strategy<Value = Board> {
    shapes().prop_flat_map(|shape| {
        prop::collection::vec(0..=shape.side() as u8, shape.cells())
            .prop_map(move |cells| Board::new(shape, cells).unwrap())
    })
}

/// Any board with few digits, so that it has none, one or many solutions.
fn sparse_boards(shape: Shape) -> impl Strategy<Value = Board> {
    let cell = prop_oneof![7 => Just(0), 2 => 1..=shape.side() as u8];
    prop::collection::vec(cell, shape.cells())
        .prop_map(move |cells| Board::new(shape, cells).unwrap())
}

/// A consistent board: a solution with a random part taken away.
fn partial_boards(shape: Shape) -> impl Strategy<Value = Board> {
    (any::<u64>(), 0..=shape.cells()).prop_map(move |(seed, keep)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let solution = hrm_core::puzzle::random_solution(shape, &mut rng);
        fill_hints(&mut rng, &Board::blank(shape), &solution, keep)
    })
}

fn symmetry(shape: Shape, seed: u64) -> Symmetry {
    Symmetry::random(shape, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// Counts solutions up to `limit` by plain backtracking, as a second opinion.
fn count_plainly(board: &mut Board, limit: usize) -> usize {
    let shape = board.shape();
    let Some(blank) = (0..shape.cells()).find(|&cell| board.cells()[cell] == 0) else {
        return 1;
    };
    let mut count = 0;
    for digit in 1..=shape.side() as u8 {
        let free = (0..shape.cells())
            .all(|other| board.cells()[other] != digit || !shape.see_each_other(blank, other));
        if free && count < limit {
            board.set(blank, digit);
            count += count_plainly(board, limit - count);
            board.set(blank, 0);
        }
    }
    count
}

/// Text that looks like a board: drawn in one of several ways, then damaged.
fn board_like_text() -> impl Strategy<Value = String> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<Option<char>>()), 0..4);
    (boards(), any::<bool>(), damage).prop_map(|(board, drawn, damage)| {
        let text = if drawn {
            board.to_grid_string()
        } else {
            board.to_string()
        };
        let mut text: Vec<char> = text.chars().collect();
        for (at, change) in damage {
            let at = at.index(text.len());
            match change {
                Some(character) => text[at] = character,
                None => drop(text.remove(at)),
            }
        }
        text.into_iter().collect()
    })
}

fn check_parsed(text: &str, shape: Option<Shape>) -> Result<(), TestCaseError> {
    match Board::parse(text, shape) {
        Ok(board) => {
            prop_assert!(shape.is_none_or(|shape| shape == board.shape()));
            prop_assert_eq!(board.cells().len(), board.shape().cells());
            let side = board.shape().side() as u8;
            prop_assert!(board.cells().iter().all(|&digit| digit <= side));
            prop_assert_eq!(Board::parse(&board.to_string(), None), Ok(board.clone()));
            prop_assert_eq!(Board::parse(&board.to_grid_string(), None), Ok(board));
        }
        Err(error) => {
            let message = error.to_string();
            prop_assert!(!message.is_empty());
            prop_assert!(!message.contains("row 0") && !message.contains("column 0"));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        check_parsed(&text, None)?;
        for shape in Shape::COMMON {
            check_parsed(&text, Some(shape))?;
        }
    }

    #[test]
    fn text_of_board_characters_is_parsed_or_refused(text in "[0-9._|+\\- \n]{0,120}") {
        check_parsed(&text, None)?;
        for shape in Shape::COMMON {
            check_parsed(&text, Some(shape))?;
        }
    }

    #[test]
    fn damaged_boards_are_parsed_or_refused(text in board_like_text()) {
        check_parsed(&text, None)?;
    }

    #[test]
    fn tokens_are_read_or_refused(
        shape in shapes(),
        tokens in prop::collection::vec(0_u8..14, 0..100),
    ) {
        if let Ok(board) = Board::from_tokens(shape, &tokens) {
            let shown = tokens.iter().map(|&token| token.max(1));
            prop_assert!(board.tokens().into_iter().eq(shown));
        } else {
            let wrong = tokens.len() != shape.cells()
                || tokens.iter().any(|&token| token as usize >= shape.vocab());
            prop_assert!(wrong);
        }
    }

    #[test]
    fn conflicts_are_as_defined(board in boards()) {
        // E counted house by house, straight from the definition.
        let shape = board.shape();
        let mut expected = 0;
        for house in [Shape::row, Shape::column, Shape::box_of] {
            for index in 0..shape.side() {
                for digit in 1..=shape.side() as u8 {
                    let count = (0..shape.cells())
                        .filter(|&c| house(shape, c) == index && board.cells()[c] == digit)
                        .count();
                    expected += count.saturating_sub(1);
                }
            }
        }
        prop_assert_eq!(board.conflicts() as usize, expected);
        let conflicting = board.conflicting_cells();
        prop_assert_eq!(conflicting.contains(&true), expected > 0);
        prop_assert_eq!(board.clash().is_some(), expected > 0);
        if let Some(clash) = board.clash() {
            for (row, column) in [clash.first, clash.second] {
                prop_assert!(conflicting[row * shape.side() + column]);
                prop_assert_eq!(board.cells()[row * shape.side() + column], clash.digit);
            }
        }
    }

    #[test]
    fn symmetries_keep_conflicts(board in boards(), seed in any::<u64>()) {
        let symmetry = symmetry(board.shape(), seed);
        let image = board.transformed(&symmetry);
        prop_assert_eq!(image.conflicts(), board.conflicts());
        prop_assert_eq!(image.clues(), board.clues());
        prop_assert_eq!(image.transformed(&symmetry.inverse()), board.clone());
        prop_assert_eq!(symmetry.apply_tokens(&board.tokens()), image.tokens());
    }

    #[test]
    fn solver_agrees_with_plain_backtracking(board in sparse_boards(Shape::S4)) {
        let expected = match board.clash() {
            Some(_) => 0,
            None => count_plainly(&mut board.clone(), 300),
        };
        prop_assert_eq!(solve(&board, 300).solutions.len(), expected);
    }

    #[test]
    fn solver_counts_all_solutions(
        board in prop_oneof![partial_boards(Shape::S4), partial_boards(Shape::S6)],
    ) {
        let report = solve(&board, 20);
        prop_assert!(report.finished);
        prop_assert_eq!(report.solutions.len(), count_plainly(&mut board.clone(), 20));
        for solution in &report.solutions {
            prop_assert!(solution.solves(&board));
        }
    }

    #[test]
    fn symmetries_keep_the_number_of_solutions(
        board in prop_oneof![
            partial_boards(Shape::S4),
            partial_boards(Shape::S6),
            partial_boards(Shape::S9),
        ],
        seed in any::<u64>(),
    ) {
        let symmetry = symmetry(board.shape(), seed);
        let here = solve(&board, 2);
        let there = solve(&symmetry.apply(&board), 2);
        prop_assert_eq!(here.uniqueness(2), there.uniqueness(2));
        if here.uniqueness(2) == Uniqueness::Unique {
            prop_assert_eq!(symmetry.apply(&here.solutions[0]), there.solutions[0].clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn generated_puzzles_stay_sound(shape in shapes(), seed in any::<u64>()) {
        let made = generate(seed, &GeneratorOptions::minimal(shape)).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (question, answer) = augment(&mut rng, &made.question, &made.answer);
        prop_assert_eq!(solve(&question, 2).unique(2), Some(answer.clone()));
        prop_assert_eq!(canonical_solution(&answer), canonical_solution(&made.answer));
        prop_assert_eq!(
            canonical_puzzle(&question, &answer),
            canonical_puzzle(&made.question, &made.answer)
        );
        let hinted = random_hints(&mut rng, &question, &answer);
        prop_assert!(hinted.keeps_givens(&question));
        prop_assert!(hinted.clues() > question.clues() && hinted.blanks() > 0);
        prop_assert_eq!(solve(&hinted, 2).unique(2), Some(answer));
    }
}

#[test]
fn shapes_boards_and_symmetries_pass_through_json() {
    let shape: Shape = serde_json::from_str("\"sudoku-6x6\"").unwrap();
    assert_eq!(shape, Shape::S6);
    assert_eq!(serde_json::to_string(&shape).unwrap(), "\"sudoku-6x6\"");
    let error = serde_json::from_str::<Shape>("\"sudoku-5x5\"").unwrap_err();
    assert!(error.to_string().contains("known are sudoku-4x4"));

    let board: Board = "1.........4...2.".parse().unwrap();
    let json = serde_json::to_string(&board).unwrap();
    assert_eq!(serde_json::from_str::<Board>(&json).unwrap(), board);
    assert!(serde_json::from_str::<Board>("\"12\"").is_err());

    let symmetry = symmetry(Shape::S9, 1);
    let json = serde_json::to_string(&symmetry).unwrap();
    assert_eq!(serde_json::from_str::<Symmetry>(&json).unwrap(), symmetry);
    let torn = json.replacen("\"transpose\"", "\"transposed\"", 1);
    assert!(serde_json::from_str::<Symmetry>(&torn).is_err());
}
