//! Guessing out loud: a run that now and then writes the digit it believes in
//! into its own puzzle, and starts again when that has led nowhere.
//!
//! A reasoner that guesses inside its state gets trapped there
//! (arXiv 2601.10679: false fixed points), and its next guess repeats the
//! work of the last. Here the guess is taken out of the state: every few
//! segments one cell is *committed*, given to the model from then on as if it
//! were part of the question, while the state goes on. What the rules of the
//! puzzle accept as an answer to the question ends the search; nobody looks
//! at the solution, and no rule but a clash with what stands there already
//! keeps a cell from being committed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::engine::SegmentOutput;
use crate::puzzle::Puzzle;

/// How to commit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Commitment {
    /// Segments between two commitments.
    pub period: usize,
    /// Segments until a run that has not solved the puzzle begins anew, at a
    /// random image of the question and with nothing committed.
    pub life: usize,
    /// How freely cells are chosen: with probability proportional to
    /// `p^(1 / temperature)`, p the model's probability of its answer there.
    /// Towards 0 the surest cell is taken.
    pub temperature: f64,
}

impl Default for Commitment {
    /// The best of those tried on rows 61 to 120 of Sudoku-Extreme's
    /// `validation-1k`, at equal segments (docs/notebook/guessing-out-loud.md).
    fn default() -> Self {
        Self {
            period: 2,
            life: 24,
            temperature: 0.8,
        }
    }
}

/// What a run has to do after a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Go on.
    Stay,
    /// Go on from the same state with these tokens for input.
    Commit(Vec<u8>),
    /// Start again, from the initial state, with these tokens for input.
    Restart(Vec<u8>),
}

/// A run's commitments.
#[derive(Debug, Clone)]
pub struct Committer<P: Puzzle> {
    how: Commitment,
    question: P,
    /// None: the puzzle as it stands.
    symmetry: Option<P::Symmetry>,
    /// The image of the question with what is committed.
    board: P,
    /// Segments since the last start.
    age: usize,
    rng: ChaCha8Rng,
}

impl<P: Puzzle> Committer<P> {
    /// A run on an image of `question` with nothing committed. The same seed
    /// and stream make the same choices.
    #[must_use]
    pub fn new(
        how: Commitment,
        question: P,
        symmetry: Option<P::Symmetry>,
        (seed, stream): (u64, u64),
    ) -> Self {
        // Another key than those of symmetries and noise.
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x636f_6d6d_6974);
        rng.set_stream(stream);
        Self {
            board: question.image(symmetry.as_ref()),
            how,
            question,
            symmetry,
            age: 0,
            rng,
        }
    }

    /// The image that the run is at, from the asker's labelling to its own;
    /// none if that is the puzzle as it stands.
    #[must_use]
    pub fn symmetry(&self) -> Option<&P::Symmetry> {
        self.symmetry.as_ref()
    }

    /// The question with what is committed, in the asker's labelling.
    #[must_use]
    pub fn committed(&self) -> P {
        match &self.symmetry {
            Some(symmetry) => self.board.restored(symmetry),
            None => self.board.clone(),
        }
    }

    /// The cells that are committed, in the asker's labelling.
    #[must_use]
    pub fn cells(&self) -> Vec<usize> {
        let (now, given) = (self.committed().values(), self.question.values());
        (0..now.len()).filter(|&c| now[c] != given[c]).collect()
    }

    /// What to do after a segment that has not solved the puzzle; `output` is
    /// in the labelling of the image and has its logits.
    pub fn after(&mut self, output: &SegmentOutput) -> Move {
        self.age += 1;
        if self.age >= self.how.life.max(1) {
            return self.restart();
        }
        if !self.age.is_multiple_of(self.how.period.max(1)) {
            return Move::Stay;
        }
        match self.choose(output) {
            Some(board) => {
                self.board = board;
                Move::Commit(self.board.tokens())
            }
            // All is written, or nothing can be that the model believes.
            None => self.restart(),
        }
    }

    fn restart(&mut self) -> Move {
        let symmetry = P::random_symmetry(self.question.kind(), &mut self.rng);
        self.board = self.question.transformed(&symmetry);
        self.symmetry = Some(symmetry);
        self.age = 0;
        Move::Restart(self.board.tokens())
    }

    /// The board with one more cell, drawn among those where the model's
    /// answer can be written without breaking a rule. None if there are none.
    fn choose(&mut self, output: &SegmentOutput) -> Option<P> {
        let logits = output.logits.as_deref()?;
        let before = self.board.tokens();
        let vocab = logits.len() / before.len().max(1);
        let mut keys: Vec<(f64, usize)> = Vec::new();
        for (cell, row) in logits.chunks_exact(vocab.max(1)).enumerate() {
            if output.tokens.get(cell) == before.get(cell) {
                continue;
            }
            // The largest of these keys is a draw from the probabilities
            // (the Gumbel-max trick).
            let u = 1.0 - self.rng.random::<f64>();
            let gumbel = -(-u.ln()).max(f64::MIN_POSITIVE).ln();
            let temperature = self.how.temperature.max(1e-9);
            keys.push((log_largest_share(row) / temperature + gumbel, cell));
        }
        keys.sort_by(|a, b| b.0.total_cmp(&a.0));
        keys.iter().find_map(|&(_, cell)| {
            let mut tokens = before.clone();
            tokens[cell] = output.tokens[cell];
            let answer = P::from_tokens(self.question.kind(), &tokens).ok()?;
            // Keeps what is given, and gives the board back unchanged where
            // the new cell clashes.
            let board = self.board.agreed(&[answer]);
            (board != self.board).then_some(board)
        })
    }
}

/// Logarithm of the largest share of a softmax.
fn log_largest_share(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - largest).exp()).sum();
    -sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{Board, Shape, Symmetry};

    const QUESTION: &str = "1.........4...2.";
    const ANSWER: &str = "1234341221434321";

    fn board(text: &str) -> Board {
        text.parse().unwrap()
    }

    /// A model that answers `answer`, of one cell (or of none) as sure as it
    /// gets and of the others hardly.
    fn output(answer: &Board, sure: Option<usize>) -> SegmentOutput {
        let tokens = answer.tokens();
        let vocab = 1 + usize::from(*tokens.iter().max().unwrap());
        let mut logits = vec![0.0; tokens.len() * vocab];
        for (cell, &token) in tokens.iter().enumerate() {
            let height = if Some(cell) == sure { 30.0 } else { 0.1 };
            logits[cell * vocab + usize::from(token)] = height;
        }
        SegmentOutput {
            tokens,
            conflicts: answer.conflicts(),
            logits: Some(logits),
            ..SegmentOutput::default()
        }
    }

    fn committer(how: Commitment) -> Committer<Board> {
        let identity = Symmetry::identity(Shape::S4);
        Committer::new(how, board(QUESTION), Some(identity), (1, 2))
    }

    const SUREST: Commitment = Commitment {
        period: 2,
        life: 5,
        temperature: 0.0,
    };

    #[test]
    fn the_surest_cell_is_committed_at_its_time_and_life_ends() {
        let mut run = committer(SUREST);
        assert_eq!(run.after(&output(&board(ANSWER), Some(3))), Move::Stay);
        let mut expected = board(QUESTION);
        expected.set(3, 4);
        let made = run.after(&output(&board(ANSWER), Some(3)));
        assert_eq!(made, Move::Commit(expected.tokens()));
        assert_eq!(run.committed(), expected);
        assert_eq!(run.cells(), [3]);
        // Sure of what stands there already: another cell is taken.
        assert_eq!(run.after(&output(&board(ANSWER), Some(3))), Move::Stay);
        run.after(&output(&board(ANSWER), Some(3)));
        assert_eq!(run.committed().clues(), board(QUESTION).clues() + 2);
        assert!(board(ANSWER).keeps_givens(&run.committed()));
        let Move::Restart(tokens) = run.after(&output(&board(ANSWER), None)) else {
            panic!("its life is over");
        };
        assert_eq!(run.committed(), board(QUESTION), "all is taken back");
        let image = board(QUESTION).image(run.symmetry());
        assert_eq!(tokens, image.tokens());
    }

    #[test]
    fn what_clashes_or_is_given_is_never_committed() {
        // The surest cell repeats a given of its row, or overwrites one.
        for (cell, digit) in [(3, 1), (0, 2)] {
            let mut wrong = board(ANSWER);
            wrong.set(cell, digit);
            let mut run = committer(SUREST);
            run.after(&output(&wrong, Some(cell)));
            let made = run.after(&output(&wrong, Some(cell)));
            assert!(matches!(made, Move::Commit(_)));
            assert!(run.committed().keeps_givens(&board(QUESTION)));
            assert_eq!(run.committed().clash(), None);
        }
        // Where nothing at all can be written, it begins anew.
        let mut run = committer(SUREST);
        run.after(&output(&board(QUESTION), None));
        let made = run.after(&output(&board(QUESTION), None));
        assert!(matches!(made, Move::Restart(_)));
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let how = Commitment {
            temperature: 1.0,
            ..SUREST
        };
        let mut seen = [0_u32; 16];
        let n = 2000;
        for stream in 0..n {
            let mut run = Committer::new(how, board(QUESTION), None, (1, stream));
            let mut twin = run.clone();
            // Of cell 3 it is sure (1), of the 12 other blanks it has
            // exp(0.1) / (exp(0.1) + 5).
            run.after(&output(&board(ANSWER), Some(3)));
            run.after(&output(&board(ANSWER), Some(3)));
            twin.after(&output(&board(ANSWER), Some(3)));
            twin.after(&output(&board(ANSWER), Some(3)));
            assert_eq!(run.committed(), twin.committed());
            let cells = run.committed().cells().to_vec();
            let given = board(QUESTION);
            let cell = (0..16).find(|&c| cells[c] != given.cells()[c]).unwrap();
            seen[cell] += 1;
        }
        let tokens = board(ANSWER).tokens();
        let others = f64::from(*tokens.iter().max().unwrap());
        let other = 0.1_f64.exp() / (0.1_f64.exp() + others);
        let expected = 1.0 / (1.0 + 12.0 * other);
        let share = f64::from(seen[3]) / n as f64;
        // Four standard errors.
        assert!((share - expected).abs() < 0.045, "{share} for {expected}");
    }
}
