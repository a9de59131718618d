//! Choosing the rows of a training and a held-out set from a long list.

use std::collections::HashSet;
use std::hash::Hash;

use anyhow::{Result, bail, ensure};
use hrm_core::puzzle::Puzzle;
use hrm_core::puzzle::dataset::{DatasetError, Row};
use indicatif::ProgressBar;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::puzzles::BadLines;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// Training puzzles; all that there are without it.
    pub(super) train: Option<usize>,
    /// Held-out puzzles.
    pub(super) held_out: usize,
    /// Least rating of both.
    pub(super) min_rating: u32,
    /// Decides which.
    pub(super) seed: u64,
    /// Whether lines that are no puzzle are passed over.
    pub(super) skip_bad: bool,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Chosen<P> {
    pub(super) train: Vec<Row<P>>,
    /// No puzzle of it is equivalent to another of it or to one of `train`.
    pub(super) held_out: Vec<Row<P>>,
    /// Puzzles read, those passed over not counted.
    pub(super) read: usize,
    /// Of those, the ones rated too low.
    pub(super) easy: usize,
    /// Lines passed over because they are no puzzle.
    pub(super) bad: usize,
    /// Puzzles left out because an equivalent one is held out or excluded.
    pub(super) equivalent: usize,
}

/// Puzzles whose classes are found at a time: a 9x9 takes some 13 ms.
const AT_ONCE: usize = 512;

/// The forms that equivalent puzzles share, of many puzzles.
pub(super) fn classes<P: Puzzle + Send + Sync>(rows: &[Row<P>]) -> Vec<Option<P>> {
    rows.par_iter()
        .map(|row| P::class(&row.question, &row.answer))
        .collect()
}

/// Chooses from `rows`. Puzzles equivalent to one of `excluded` are not chosen; bad
/// lines go to `report`.
pub(super) fn choose<P: Puzzle + Hash + Send + Sync>(
    rows: impl Iterator<Item = Result<Row<P>, DatasetError>>,
    wish: &Wish,
    excluded: &HashSet<P>,
    mut report: impl FnMut(&DatasetError),
) -> Result<Chosen<P>> {
    let mut rng = ChaCha8Rng::seed_from_u64(wish.seed);
    let mut chosen = Chosen {
        train: Vec::new(),
        held_out: Vec::new(),
        read: 0,
        easy: 0,
        bad: 0,
        equivalent: 0,
    };
    // A uniformly random part of the list, whatever its length (reservoir sampling),
    // with some to spare for those that turn out to be equivalent.
    let room = wish.train.map(|train| {
        let wanted = train.saturating_add(wish.held_out);
        wanted.saturating_mul(2).saturating_add(1_000)
    });
    let mut pool: Vec<Row<P>> = Vec::new();
    let mut bad = BadLines::new(wish.skip_bad);
    for row in rows {
        let Some(row) = bad.pass(row, &mut report)? else {
            continue;
        };
        chosen.read += 1;
        if row.rating < wish.min_rating {
            chosen.easy += 1;
            continue;
        }
        let seen = (chosen.read - chosen.easy) as u64;
        match room {
            Some(room) if pool.len() >= room => {
                let place = rng.random_range(0..seen) as usize;
                if place < room {
                    pool[place] = row;
                }
            }
            _ => pool.push(row),
        }
    }
    chosen.bad = bad.count;
    ensure!(
        !pool.is_empty(),
        "there is no puzzle to choose from: {} read, {} of them rated below {}",
        chosen.read,
        chosen.easy,
        wish.min_rating
    );
    if wish.train.is_some() || wish.held_out > 0 {
        pool.shuffle(&mut rng);
    }

    let available = pool.len();
    let apart = wish.held_out > 0 || !excluded.is_empty();
    let bar = ProgressBar::new(available as u64).with_message("puzzles compared");
    // The first of the order are held out, each of another class; no puzzle of these
    // classes is trained on.
    let mut held: HashSet<P> = HashSet::new();
    for part in pool.chunks(AT_ONCE) {
        let full = |train: &[Row<P>]| wish.train.is_some_and(|wanted| train.len() >= wanted);
        if full(&chosen.train) && chosen.held_out.len() >= wish.held_out {
            break;
        }
        let forms = if apart { classes(part) } else { Vec::new() };
        let mut forms = forms.into_iter();
        for row in part {
            let form = forms.next().flatten();
            if form
                .as_ref()
                .is_some_and(|f| excluded.contains(f) || held.contains(f))
            {
                chosen.equivalent += 1;
                continue;
            }
            match form {
                Some(form) if chosen.held_out.len() < wish.held_out => {
                    held.insert(form);
                    chosen.held_out.push(row.clone());
                }
                _ if !full(&chosen.train) => chosen.train.push(row.clone()),
                _ => {}
            }
        }
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    if chosen.held_out.len() < wish.held_out || chosen.train.len() < wish.train.unwrap_or(1) {
        bail!(
            "only {} training and {} held-out puzzles could be chosen from {available} ({} are \
             equivalent to held-out or excluded ones); ask for fewer",
            chosen.train.len(),
            chosen.held_out.len(),
            chosen.equivalent
        );
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use hrm_core::puzzle::dataset::Records;
    use hrm_core::puzzle::{Board, GeneratorOptions, Shape, Symmetry, generate};

    use super::*;

    /// `count` classes of 4x4 puzzles, each with three equivalent members.
    fn rows(count: u64) -> Vec<Row> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        let options = GeneratorOptions::minimal(Shape::S4);
        for seed in 0.. {
            let made = generate(seed, &options).unwrap();
            if !seen.insert(Board::class(&made.question, &made.answer).unwrap()) {
                continue;
            }
            for _ in 0..3 {
                let symmetry = Symmetry::random(Shape::S4, &mut rng);
                rows.push(Row {
                    source: String::new(),
                    question: symmetry.apply(&made.question),
                    answer: symmetry.apply(&made.answer),
                    rating: (seed % 5) as u32,
                });
            }
            if rows.len() as u64 == 3 * count {
                break;
            }
        }
        rows
    }

    fn pick(rows: &[Row], wish: &Wish, excluded: &HashSet<Board>) -> Result<Chosen<Board>> {
        choose(rows.iter().cloned().map(Ok), wish, excluded, |_| {})
    }

    fn forms(rows: &[Row]) -> HashSet<Board> {
        classes(rows).into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn no_equivalent_puzzle_is_on_both_sides() {
        let rows = rows(20);
        let wish = Wish {
            held_out: 6,
            ..Wish::default()
        };
        let chosen = pick(&rows, &wish, &HashSet::new()).unwrap();
        assert_eq!(forms(&chosen.held_out).len(), 6);
        assert!(forms(&chosen.train).is_disjoint(&forms(&chosen.held_out)));
        // Whole classes: the three members of each of the 14 that are left, and of the
        // six the two that are not held out.
        assert_eq!((chosen.train.len(), chosen.equivalent), (42, 12));

        let excluded = forms(&chosen.held_out);
        let again = pick(&rows, &Wish::default(), &excluded).unwrap();
        assert_eq!((again.train.len(), again.equivalent), (42, 18));
        assert!(forms(&again.train).is_disjoint(&excluded));
    }

    #[test]
    fn parts_are_random_and_decided_by_the_seed() {
        let rows = rows(20);
        let part = |seed| {
            let wish = Wish {
                train: Some(10),
                seed,
                ..Wish::default()
            };
            pick(&rows, &wish, &HashSet::new()).unwrap().train
        };
        assert_eq!(part(1), part(1));
        assert_ne!(part(1), part(2));
        assert_eq!(part(1).len(), 10);

        // Every row is as likely, also in a list longer than what is kept of it.
        let long: Vec<Row> = rows.iter().cycle().take(3_000).cloned().collect();
        let mut counts = [0; 3];
        for seed in 0..200 {
            let wish = Wish {
                train: Some(5),
                seed,
                ..Wish::default()
            };
            let numbered = long.iter().cloned().enumerate().map(|(i, mut row)| {
                row.source = i.to_string();
                Ok(row)
            });
            for row in choose(numbered, &wish, &HashSet::new(), |_| {})
                .unwrap()
                .train
            {
                counts[row.source.parse::<usize>().unwrap() / 1_000] += 1;
            }
        }
        // 1,000 draws over three equal parts: 333 each, deviation 15.
        assert!(
            counts.iter().all(|&n| (260..410).contains(&n)),
            "{counts:?}"
        );
    }

    #[test]
    fn ratings_count_and_shortages_are_said() {
        let rows = rows(20);
        let wish = |min_rating, train| Wish {
            min_rating,
            train,
            ..Wish::default()
        };
        let hard = pick(&rows, &wish(2, None), &HashSet::new()).unwrap();
        assert!(hard.train.iter().all(|row| row.rating >= 2) && hard.easy > 0);
        assert_eq!(hard.read, 60);
        let few = pick(&rows, &wish(0, Some(61)), &HashSet::new()).unwrap_err();
        assert!(few.to_string().contains("only 60 training"), "{few}");
        let none = pick(&rows, &wish(9, None), &HashSet::new()).unwrap_err();
        assert!(none.to_string().contains("rated below 9"), "{none}");
    }

    #[test]
    fn bad_lines_stop_unless_they_are_to_be_skipped() {
        let text = "question,answer\n12.4341221434321,1234341221434321\nx,y\n1,2\n\
                    1.34341221434321,1234341221434321\n";
        let read = |skip_bad| {
            let wish = Wish {
                skip_bad,
                ..Wish::default()
            };
            let mut reported = Vec::new();
            let records = Records::<Board>::new(text.as_bytes(), "a.csv").unwrap();
            choose(records, &wish, &HashSet::new(), |e| {
                reported.push(e.to_string());
            })
            .map(|chosen| (chosen.train.len(), chosen.bad, reported))
        };
        let error = format!("{:#}", read(false).unwrap_err());
        assert!(
            error.contains("--skip-bad") && error.contains("a.csv, line 3"),
            "{error}"
        );
        let (rows, bad, reported) = read(true).unwrap();
        assert_eq!((rows, bad), (2, 2));
        assert!(reported[0].contains("line 3") && reported[1].contains("line 4"));
    }
}
