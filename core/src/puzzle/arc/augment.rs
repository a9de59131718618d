//! The rewritings of a task that a data set has.

use std::collections::HashSet;

use rand::Rng;

use super::name::Name;
use super::symmetry::ArcSymmetry;
use super::task::Task;

/// Draws for each rewriting that is wanted, after which a task is said to
/// have no more.
const TRIES: u32 = 5;

/// A task under one of its rewritings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Augmented {
    /// Task and rewriting.
    pub name: Name,
    /// The task rewritten.
    pub task: Task,
}

impl Augmented {
    /// A task under a symmetry.
    #[must_use]
    pub fn new(task: &Task, symmetry: ArcSymmetry) -> Self {
        Self {
            name: Name {
                task: task.name.clone(),
                symmetry,
            },
            task: task.rewritten(symmetry),
        }
    }
}

/// The task itself and so many random rewritings of it, no two alike. There
/// are fewer where a task has no more, as one that looks the same from every
/// side.
pub fn augmentations<R: Rng + ?Sized>(task: &Task, count: u32, rng: &mut R) -> Vec<Augmented> {
    let mut all = vec![Augmented::new(task, ArcSymmetry::identity())];
    let mut seen = HashSet::from([all[0].task.clone()]);
    let wanted = count as usize + 1;
    for _ in 0..count.saturating_mul(TRIES) {
        if all.len() >= wanted {
            break;
        }
        let next = Augmented::new(task, ArcSymmetry::random(rng));
        if seen.insert(next.task.clone()) {
            all.push(next);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn task(input: &str, output: &str) -> Task {
        let text =
            format!(r#"{{"train": [{{"input": {input}, "output": {output}}}], "test": []}}"#);
        let value = serde_json::from_str(&text).unwrap();
        Task::of_json("a", &value).unwrap().remove(0)
    }

    #[test]
    fn rewritings_differ_and_some_tasks_have_few() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let rich = task("[[1, 2], [3, 4]]", "[[5]]");
        let all = augmentations(&rich, 40, &mut rng);
        assert_eq!((all.len(), &all[0].task), (41, &rich));
        for (i, one) in all.iter().enumerate() {
            assert_eq!(one.task, rich.rewritten(one.name.symmetry));
            assert!(all[..i].iter().all(|other| other.task != one.task));
        }
        let black = task("[[0]]", "[[0]]");
        assert_eq!(augmentations(&black, 40, &mut rng).len(), 1);
        // A single colour in one cell: nine of them.
        let few = augmentations(&task("[[1]]", "[[0]]"), 100, &mut rng);
        assert_eq!(few.len(), 9);
    }
}
