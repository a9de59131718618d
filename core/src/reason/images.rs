//! Images of a puzzle under its symmetries: what guesses are made at, and how the
//! reference counts them.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::puzzle::arc::{ArcSize, ArcSymmetry, Canvas};
use crate::puzzle::maze::Dihedral;
use crate::puzzle::{
    AnyPuzzle, AnySymmetry, Board, Maze, MazeSize, MazeSymmetry, Puzzle, PuzzleKind, Shape,
    Symmetry,
};

/// Which images of a puzzle are guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    /// The puzzle as it stands, every time.
    Identity,
    /// Guess g has its digits shifted g times in a circle: the reference's
    /// relabelling of Sudokus. There are as many as digits.
    Cyclic,
    /// Digits of a Sudoku renamed at random.
    Relabel,
    /// Every second guess has start and goal exchanged: the reference's two passes
    /// at a maze.
    Swap,
    /// The whole symmetry group: a random element of a Sudoku's, each of the eight
    /// of a square in random order for a maze.
    Symmetry,
}

impl Images {
    /// Every kind with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("identity", Self::Identity),
        ("cyclic", Self::Cyclic),
        ("relabel", Self::Relabel),
        ("swap", Self::Swap),
        ("symmetry", Self::Symmetry),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, images)| *images == self);
        named.map_or("", |(name, _)| name)
    }

    /// The symmetries of a puzzle's guesses. The first is the identity; the
    /// others depend on the seed and on the puzzle's place in its set alone.
    /// Images that a kind of puzzle does not have ([`Guessable::IMAGES`]) are all
    /// the identity.
    #[must_use]
    pub fn symmetries<P: Guessable>(
        self,
        kind: P::Kind,
        guesses: usize,
        seed: u64,
        puzzle: usize,
    ) -> Vec<P::Symmetry> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(puzzle as u64);
        P::symmetries(self, kind, guesses, &mut rng)
    }
}

/// A puzzle that many guesses can be made at, each at an image of it.
pub trait Guessable: Puzzle + Serialize + DeserializeOwned {
    /// The kinds of images there are.
    const IMAGES: &'static [Images];

    /// How many different images of a kind a puzzle has, if they can be exhausted.
    fn image_count(images: Images, kind: Self::Kind) -> Option<usize>;

    /// See [`Images::symmetries`].
    fn symmetries<R: Rng + ?Sized>(
        images: Images,
        kind: Self::Kind,
        guesses: usize,
        rng: &mut R,
    ) -> Vec<Self::Symmetry>;

    /// Whether the reference counts a puzzle of a kind by the guesses of one checkpoint,
    /// each given as whether it equals the answer key and whether it halted.
    fn reference_counts(kind: Self::Kind, guesses: &[(bool, bool)]) -> bool;
}

impl Guessable for Board {
    const IMAGES: &'static [Images] = &[
        Images::Identity,
        Images::Cyclic,
        Images::Relabel,
        Images::Symmetry,
    ];

    fn image_count(images: Images, shape: Shape) -> Option<usize> {
        match images {
            Images::Identity | Images::Swap => Some(1),
            Images::Cyclic => Some(shape.side()),
            Images::Relabel | Images::Symmetry => None,
        }
    }

    fn symmetries<R: Rng + ?Sized>(
        images: Images,
        shape: Shape,
        guesses: usize,
        rng: &mut R,
    ) -> Vec<Symmetry> {
        (0..guesses)
            .map(|guess| match (guess, images) {
                (0, _) | (_, Images::Identity | Images::Swap) => Symmetry::identity(shape),
                (_, Images::Cyclic) => Symmetry::digit_shift(shape, guess),
                (_, Images::Relabel) => Symmetry::random_digits(shape, rng),
                (_, Images::Symmetry) => Symmetry::random(shape, rng),
            })
            .collect()
    }

    /// Right passes that halted are more than half of those that halted (arXiv
    /// 2601.10679).
    fn reference_counts(_: Shape, guesses: &[(bool, bool)]) -> bool {
        let halted = guesses.iter().filter(|(_, halted)| *halted);
        let right = halted.clone().filter(|(right, _)| *right).count();
        2 * right > halted.count()
    }
}

impl Guessable for Maze {
    const IMAGES: &'static [Images] = &[Images::Identity, Images::Swap, Images::Symmetry];

    fn image_count(images: Images, _: MazeSize) -> Option<usize> {
        Some(match images {
            Images::Identity | Images::Cyclic | Images::Relabel => 1,
            Images::Swap => 2,
            Images::Symmetry => Dihedral::all().len(),
        })
    }

    /// Guesses beyond the number of images take them once more from the first on.
    fn symmetries<R: Rng + ?Sized>(
        images: Images,
        _: MazeSize,
        guesses: usize,
        rng: &mut R,
    ) -> Vec<MazeSymmetry> {
        let mut each: Vec<MazeSymmetry> = match images {
            Images::Identity | Images::Cyclic | Images::Relabel => vec![MazeSymmetry::identity()],
            Images::Swap => vec![MazeSymmetry::identity(), MazeSymmetry::swap()],
            Images::Symmetry => Dihedral::all().map(MazeSymmetry::from).into(),
        };
        // The plain pass stays the first.
        each[1..].shuffle(rng);
        each.into_iter().cycle().take(guesses).collect()
    }

    /// Some pass equals the key, whether it halted or not.
    fn reference_counts(_: MazeSize, guesses: &[(bool, bool)]) -> bool {
        guesses.iter().any(|(right, _)| *right)
    }
}

/// The images of a task are tasks with puzzle embeddings of their own: what is
/// guessed at is what a row of the data set holds.
impl Guessable for Canvas {
    const IMAGES: &'static [Images] = &[Images::Identity];

    fn image_count(_: Images, _: ArcSize) -> Option<usize> {
        Some(1)
    }

    fn symmetries<R: Rng + ?Sized>(
        _: Images,
        _: ArcSize,
        guesses: usize,
        _: &mut R,
    ) -> Vec<ArcSymmetry> {
        vec![ArcSymmetry::identity(); guesses]
    }

    /// The plain pass is right; the votes of a task's rewritings are counted in
    /// [`super::votes`].
    fn reference_counts(_: ArcSize, guesses: &[(bool, bool)]) -> bool {
        guesses.first().is_some_and(|(right, _)| *right)
    }
}

/// As the board inside.
impl Guessable for AnyPuzzle {
    const IMAGES: &'static [Images] = &[
        Images::Identity,
        Images::Cyclic,
        Images::Relabel,
        Images::Swap,
        Images::Symmetry,
    ];

    fn image_count(images: Images, kind: PuzzleKind) -> Option<usize> {
        match kind {
            PuzzleKind::Sudoku(shape) => Board::image_count(images, shape),
            PuzzleKind::Maze(size) => Maze::image_count(images, size),
            PuzzleKind::Arc(size) => Canvas::image_count(images, size),
        }
    }

    fn symmetries<R: Rng + ?Sized>(
        images: Images,
        kind: PuzzleKind,
        guesses: usize,
        rng: &mut R,
    ) -> Vec<AnySymmetry> {
        match kind {
            PuzzleKind::Sudoku(shape) => {
                let all = Board::symmetries(images, shape, guesses, rng);
                all.into_iter().map(AnySymmetry::from).collect()
            }
            PuzzleKind::Maze(size) => {
                let all = Maze::symmetries(images, size, guesses, rng);
                all.into_iter().map(AnySymmetry::from).collect()
            }
            PuzzleKind::Arc(size) => {
                let all = Canvas::symmetries(images, size, guesses, rng);
                all.into_iter().map(AnySymmetry::from).collect()
            }
        }
    }

    fn reference_counts(kind: PuzzleKind, guesses: &[(bool, bool)]) -> bool {
        match kind {
            PuzzleKind::Sudoku(shape) => Board::reference_counts(shape, guesses),
            PuzzleKind::Maze(size) => Maze::reference_counts(size, guesses),
            PuzzleKind::Arc(size) => Canvas::reference_counts(size, guesses),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::puzzle::{MazeOptions, generate_maze, random_solution};

    /// Each image is as good as the board, and mapping back gives the board; returns
    /// the images of one puzzle.
    fn mapped_back<P: Guessable + std::hash::Hash>(board: &P, images: Images) -> HashSet<P> {
        let symmetries = images.symmetries::<P>(board.kind(), 8, 5, 17);
        let again = images.symmetries::<P>(board.kind(), 8, 5, 17);
        let mut seen = HashSet::new();
        for (guess, (symmetry, same)) in symmetries.iter().zip(&again).enumerate() {
            let image = board.transformed(symmetry);
            assert_eq!(image, board.transformed(same), "the seed decides");
            assert_eq!(image.restored(symmetry), *board, "{}", images.name());
            assert_eq!(image.conflicts(), board.conflicts());
            assert!(guess > 0 || image == *board, "the first is the plain one");
            seen.insert(image);
        }
        assert_eq!(symmetries.len(), 8);
        seen
    }

    #[test]
    fn mapping_back_undoes_every_image() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for shape in Shape::COMMON {
            let board = random_solution(shape, &mut rng);
            for (name, images) in Images::ALL {
                let seen = mapped_back(&board, images);
                match Board::image_count(images, shape) {
                    Some(count) => assert_eq!(seen.len(), count.min(8), "{name}"),
                    None => assert!(seen.len() > 1, "{name} {shape}"),
                }
            }
        }
        let size = MazeSize::of_side(7).unwrap();
        for seed in 0..20 {
            let (question, answer) = generate_maze(seed, &MazeOptions::hard(size)).unwrap();
            for (name, images) in Images::ALL {
                let seen = mapped_back(&answer, images);
                assert_eq!(Some(seen.len()), Maze::image_count(images, size), "{name}");
                for symmetry in images.symmetries::<Maze>(size, 8, 5, 17) {
                    let (q, a) = (
                        question.transformed(&symmetry),
                        answer.transformed(&symmetry),
                    );
                    assert!(a.solves(&q), "{name}");
                }
            }
        }
    }

    #[test]
    fn only_what_a_puzzle_has_changes_it() {
        let board = random_solution(Shape::S9, &mut ChaCha8Rng::seed_from_u64(3));
        let maze = Maze::parse("So#oG ## ", None).unwrap();
        for (name, images) in Images::ALL {
            let (of_board, of_maze) = (mapped_back(&board, images), mapped_back(&maze, images));
            let plain = images == Images::Identity;
            let has = |all: &[Images]| all.contains(&images) && !plain;
            assert_eq!(of_board.len() > 1, has(Board::IMAGES), "{name}");
            assert_eq!(of_maze.len() > 1, has(Maze::IMAGES), "{name}");
        }
    }

    #[test]
    fn cyclic_images_are_the_reference_shifts() {
        let symmetries = Images::Cyclic.symmetries::<Board>(Shape::S9, 9, 0, 0);
        for (shift, symmetry) in symmetries.iter().enumerate() {
            for digit in 1..=9_u8 {
                assert_eq!(
                    usize::from(symmetry.digit(digit)),
                    (usize::from(digit) - 1 + shift) % 9 + 1
                );
            }
            assert!((0..81).all(|c| symmetry.source(c) == c));
        }
    }

    #[test]
    fn a_swap_exchanges_start_and_goal_and_nothing_else() {
        let maze = Maze::parse("S #o#G ##", None).unwrap();
        let symmetries = Images::Swap.symmetries::<Maze>(maze.size(), 3, 0, 0);
        let images: Vec<String> = symmetries
            .iter()
            .map(|s| maze.transformed(s).to_string())
            .collect();
        assert_eq!(images, ["S #o#G ##", "G #o#S ##", "S #o#G ##"]);
    }
}
