//! Rules that choose one answer among several guesses, none of which looks
//! at the solution.

use serde::{Deserialize, Serialize};

/// One finished run on (a symmetric image of) a puzzle, mapped back to the
/// asker's labelling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guess {
    /// The answer, 0 for blank.
    pub grid: Vec<u8>,
    /// First segment after which the model said it was done, from 1.
    pub halted_at: Option<usize>,
    /// Whether it says so at the end.
    pub halted: bool,
    /// Logit of halting at the end.
    pub q_halt: f32,
    /// RMS change of `z_H` in the last segment.
    pub residual: f32,
    /// Whether the rules accept the grid and it keeps the givens.
    pub solved: bool,
}

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The first guess, whatever it is.
    Single,
    /// The most frequent grid among the guesses that halted, or among all if
    /// none did; among equals the one that came first.
    Majority,
    /// The guess that halted in the earliest segment.
    HaltFirst,
    /// The guess whose state moved least in the last segment.
    LowestResidual,
    /// The guess with the largest `q_halt`.
    QHead,
    /// The first guess that the rules accept, else as [`Rule::Majority`].
    Verifier,
}

impl Rule {
    /// Every rule, with the name that the command line uses.
    pub const ALL: [(&'static str, Self); 6] = [
        ("single", Self::Single),
        ("majority", Self::Majority),
        ("halt-first", Self::HaltFirst),
        ("lowest-residual", Self::LowestResidual),
        ("q-head", Self::QHead),
        ("verifier", Self::Verifier),
    ];

    /// Index of the chosen guess; none only if there are none.
    #[must_use]
    pub fn choose(self, guesses: &[Guess]) -> Option<usize> {
        let first_min_by = |key: &dyn Fn(&Guess) -> f32| {
            (0..guesses.len()).min_by(|&a, &b| key(&guesses[a]).total_cmp(&key(&guesses[b])))
        };
        match self {
            Self::Single => (!guesses.is_empty()).then_some(0),
            Self::Majority => majority(guesses),
            Self::HaltFirst => first_min_by(&|g| g.halted_at.map_or(f32::INFINITY, |s| s as f32)),
            Self::LowestResidual => first_min_by(&|g| g.residual),
            Self::QHead => first_min_by(&|g| -g.q_halt),
            Self::Verifier => guesses
                .iter()
                .position(|g| g.solved)
                .or_else(|| majority(guesses)),
        }
    }
}

fn majority(guesses: &[Guess]) -> Option<usize> {
    let any_halted = guesses.iter().any(|g| g.halted);
    let voters: Vec<usize> = (0..guesses.len())
        .filter(|&i| guesses[i].halted || !any_halted)
        .collect();
    let votes = |i: usize| {
        voters
            .iter()
            .filter(|&&j| guesses[j].grid == guesses[i].grid)
            .count()
    };
    // `max_by_key` keeps the last of equals; reversed, the first.
    voters.iter().rev().copied().max_by_key(|&i| votes(i))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(
        grid: u8,
        halted_at: Option<usize>,
        q_halt: f32,
        residual: f32,
        solved: bool,
    ) -> Guess {
        Guess {
            grid: vec![grid],
            halted_at,
            halted: halted_at.is_some(),
            q_halt,
            residual,
            solved,
        }
    }

    #[test]
    fn each_rule_looks_at_its_own_evidence() {
        let guesses = [
            guess(1, None, -3.0, 0.5, false),
            guess(2, Some(9), 1.0, 0.3, false),
            guess(3, Some(4), 2.0, 0.2, true),
            guess(2, Some(7), 4.0, 0.4, false),
        ];
        let chosen: Vec<_> = Rule::ALL.iter().map(|(_, r)| r.choose(&guesses)).collect();
        assert_eq!(
            chosen,
            [Some(0), Some(1), Some(2), Some(2), Some(3), Some(2)]
        );
    }

    #[test]
    fn ties_go_to_the_first_and_no_halted_means_all_vote() {
        let tie = [
            guess(1, Some(2), 0.0, 0.1, false),
            guess(2, Some(2), 0.0, 0.1, false),
        ];
        for (name, rule) in Rule::ALL {
            assert_eq!(rule.choose(&tie), Some(0), "{name}");
            assert_eq!(rule.choose(&[]), None, "{name}");
        }
        let none_halted = [
            guess(1, None, 0.0, 0.1, false),
            guess(2, None, 0.0, 0.1, false),
            guess(2, None, 0.0, 0.1, false),
        ];
        assert_eq!(Rule::Majority.choose(&none_halted), Some(1));
    }
}
