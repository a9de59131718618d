//! Making training examples out of a puzzle and its answer.

use rand::Rng;
use rand::seq::SliceRandom;

use super::board::Board;
use super::symmetry::Symmetry;

/// Question and answer rewritten by the same random symmetry: digits renamed, bands,
/// rows, stacks and columns permuted, transposed with probability 1/2 where boxes
/// are square.
///
/// # Panics
/// Question and answer have different shapes.
#[must_use]
pub fn augment<R: Rng + ?Sized>(rng: &mut R, question: &Board, answer: &Board) -> (Board, Board) {
    let symmetry = Symmetry::random(question.shape(), rng);
    (symmetry.apply(question), symmetry.apply(answer))
}

/// The question with `count` random blanks filled in from the answer (all of them if
/// there are fewer).
///
/// # Panics
/// Question and answer have different shapes.
#[must_use]
pub fn fill_hints<R: Rng + ?Sized>(
    rng: &mut R,
    question: &Board,
    answer: &Board,
    count: usize,
) -> Board {
    assert_eq!(
        question.shape(),
        answer.shape(),
        "question and answer of different shapes"
    );
    let mut cells = question.cells().to_vec();
    let mut blanks: Vec<usize> = (0..cells.len()).filter(|&c| cells[c] == 0).collect();
    let (chosen, _) = blanks.partial_shuffle(rng, count);
    for &mut cell in chosen {
        cells[cell] = answer.cells()[cell];
    }
    Board::from_valid(question.shape(), cells)
}

/// The question with this share of its blanks (0 to 1, rounded to whole cells)
/// filled in from the answer.
///
/// # Panics
/// Question and answer have different shapes.
#[must_use]
pub fn fill_share<R: Rng + ?Sized>(
    rng: &mut R,
    question: &Board,
    answer: &Board,
    share: f64,
) -> Board {
    let count = (share.clamp(0.0, 1.0) * question.blanks() as f64).round() as usize;
    fill_hints(rng, question, answer, count)
}

/// The question with a uniformly random number of hints, at least one and at least
/// one blank left: the data mixing of arXiv 2601.10679. Questions with fewer than
/// two blanks come back as they are.
///
/// # Panics
/// Question and answer have different shapes.
#[must_use]
pub fn random_hints<R: Rng + ?Sized>(rng: &mut R, question: &Board, answer: &Board) -> Board {
    match question.blanks() {
        0 | 1 => question.clone(),
        blanks => {
            let count = rng.random_range(1..blanks as u32) as usize;
            fill_hints(rng, question, answer, count)
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::shape::Shape;
    use super::*;

    fn example() -> (Board, Board) {
        let question = Board::parse("1.........4...2.", None).unwrap();
        let answer = Board::parse("1234341221434321", None).unwrap();
        (question, answer)
    }

    #[test]
    fn augmented_answers_fit_their_questions() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (question, answer) = example();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let (q, a) = augment(&mut rng, &question, &answer);
            assert!(a.solves(&q));
            assert_eq!(q.clues(), question.clues());
            seen.insert(q);
        }
        assert!(
            seen.len() > 50,
            "augmentation hardly varies: {}",
            seen.len()
        );
    }

    #[test]
    fn hints_come_from_the_answer_and_are_counted() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let (question, answer) = example();
        for count in 0..=20 {
            let hinted = fill_hints(&mut rng, &question, &answer, count);
            assert_eq!(hinted.clues(), (question.clues() + count).min(16));
            assert!(hinted.keeps_givens(&question) && answer.solves(&hinted));
        }
        assert_eq!(fill_share(&mut rng, &question, &answer, 0.3).clues(), 3 + 4);
        assert_eq!(fill_share(&mut rng, &question, &answer, 9.0), answer);
        assert_eq!(fill_share(&mut rng, &question, &answer, f64::NAN), question);
        let mut counts = std::collections::BTreeSet::new();
        for _ in 0..300 {
            counts.insert(random_hints(&mut rng, &question, &answer).blanks());
        }
        assert!(counts.into_iter().eq(1..13), "1 to 12 of 13 blanks left");
        assert_eq!(random_hints(&mut rng, &answer, &answer), answer);
        assert_eq!(answer.shape(), Shape::S4);
    }
}
