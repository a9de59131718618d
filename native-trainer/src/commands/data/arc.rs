//! `hrm data arc`: training and test rows from ARC tasks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use hrm_core::puzzle::arc::files::{read_identifiers, read_tasks, solve_with, write_rows};
use hrm_core::puzzle::arc::{ArcRow, Augmented, Name, Pair, Task, augmentations};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::source::{HubArgs, locate};
use crate::output::outln;
use crate::paths::{ForceArgs, Paths};

#[derive(Debug, clap::Args)]
pub(super) struct ArcArgs {
    /// Tasks whose tests are to be answered, in the public JSON format: folders of files, or files
    /// of one task or many. Their demonstrations are training rows, their tests are held out.
    /// Paths, or hf:OWNER/DATASET/FILE of the dataset hub
    #[arg(required = true)]
    sources: Vec<String>,
    /// Tasks that are trained on as a whole, tests included, as published for the training set
    #[arg(long, value_name = "SOURCE", num_args = 1..)]
    training: Vec<String>,
    /// Files with the answers of tests, an object of lists of grids by task; those that lie beside
    /// a `…_challenges.json` as `…_solutions.json` are found
    #[arg(long, value_name = "FILE", num_args = 1..)]
    solutions: Vec<PathBuf>,
    /// File of the training rows; compressed if it ends in `.gz`
    #[arg(long)]
    output: PathBuf,
    /// File of the test rows, under every rewriting
    #[arg(long)]
    test_output: Option<PathBuf>,
    /// Rewritings of each task beside itself: one of the eight symmetries of the square and
    /// renamed colours, black kept. Each has a puzzle identifier of its own (the paper's: 1000)
    #[arg(long, default_value_t = 0)]
    augment: u32,
    /// Take rewritings and identifiers from a published identifiers.json, for its model
    #[arg(long, value_name = "FILE", conflicts_with = "augment")]
    identifiers: Option<PathBuf>,
    /// Hold out one demonstration of each task, drawn by the seed, in place of its tests
    #[arg(long)]
    leave_one_out: bool,
    /// Deal the identifiers of the training rows out at random: an ablation, in which they say
    /// nothing of the task
    #[arg(long)]
    shuffle_identifiers: bool,
    /// Decides rewritings and what is left out
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    hub: HubArgs,
}

/// A task and whether its tests are trained on.
struct Source {
    task: Task,
    whole: bool,
}

pub(super) fn run(args: &ArcArgs) -> Result<()> {
    try_outputs(args, &[])?;
    let all = args.sources.iter().chain(&args.training);
    let paths = all
        .map(|source| locate(source, &args.hub))
        .collect::<Result<Vec<_>>>()?;
    try_outputs(args, &paths)?;
    let sources = read(args, &paths)?;
    let rewritings = rewritings(args, &sources)?;
    let mut rows = Rows::default();
    for source in &sources {
        let held_out = left_out(args, &source.task);
        for (identifier, rewriting) in rewritings.get(&source.task.name).into_iter().flatten() {
            rows.add(args, source, held_out, *identifier, rewriting);
        }
    }
    ensure!(
        !rows.train.is_empty(),
        "there is nothing to train on: no task has a rewriting in {}",
        args.identifiers
            .as_deref()
            .unwrap_or(&args.output)
            .display()
    );
    if args.shuffle_identifiers {
        let mut dealt: Vec<u32> = rows.train.iter().map(|row| row.identifier).collect();
        dealt.shuffle(&mut ChaCha8Rng::seed_from_u64(args.seed));
        for (row, identifier) in rows.train.iter_mut().zip(dealt) {
            row.identifier = identifier;
        }
    }
    let largest = rewritings.values().flatten().map(|(id, _)| *id).max();
    outln!(
        "{} tasks, {} with their rewritings; puzzle identifiers up to {}",
        sources.len(),
        rewritings.values().map(Vec::len).sum::<usize>(),
        largest.unwrap_or(0)
    );
    write_rows(&args.output, &rows.train)?;
    outln!("{}: {} rows", args.output.display(), rows.train.len());
    if let Some(path) = &args.test_output {
        ensure!(
            !rows.test.is_empty(),
            "there is no test to write to {}",
            path.display()
        );
        write_rows(path, &rows.test)?;
        let unknown = rows.test.iter().filter(|row| row.answer.is_none()).count();
        let note = match unknown {
            0 => String::new(),
            n => format!(", {n} of them without an answer"),
        };
        outln!("{}: {} rows{note}", path.display(), rows.test.len());
    }
    Ok(())
}

fn try_outputs(args: &ArcArgs, sources: &[PathBuf]) -> Result<()> {
    let read = sources
        .iter()
        .chain(&args.solutions)
        .chain(&args.identifiers);
    let mut paths = read.fold(Paths::new(args.force), |paths, path| paths.reads(path));
    paths.writes("--output", &args.output)?;
    if let Some(path) = &args.test_output {
        paths.writes("--test-output", path)?;
    }
    Ok(())
}

/// The tasks of all sources with what is known of their tests.
fn read(args: &ArcArgs, paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut tasks = Vec::new();
    let mut whole = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        let found = read_tasks(path, &mut |line| outln!("{line}"))?;
        whole.resize(whole.len() + found.len(), i >= args.sources.len());
        tasks.extend(found);
    }
    for path in &args.solutions {
        let solved = solve_with(&mut tasks, path)?;
        ensure!(
            solved > 0,
            "{}: there is no answer for any of the tasks",
            path.display()
        );
        outln!("{}: the answers of {solved} tasks", path.display());
    }
    let mut names = HashSet::new();
    if let Some(twice) = tasks.iter().find(|task| !names.insert(task.name.as_str())) {
        bail!("two tasks are called {}; take one of them out", twice.name);
    }
    let pairs = tasks.into_iter().zip(whole);
    let sources = pairs.map(|(task, whole)| Source { task, whole });
    Ok(sources.collect())
}

/// Random numbers of a task that do not depend on which others there are.
fn stream(seed: u64, task: &Task) -> ChaCha8Rng {
    let hash = Sha256::digest(task.name.as_bytes());
    let word = hash.iter().take(8);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(word.fold(0, |word, &byte| word << 8 | u64::from(byte)));
    rng
}

/// By task: its rewritings with their identifiers.
type Rewritings = BTreeMap<String, Vec<(u32, Augmented)>>;

fn rewritings(args: &ArcArgs, sources: &[Source]) -> Result<Rewritings> {
    let mut all = Rewritings::new();
    if let Some(path) = &args.identifiers {
        let tasks = sources.iter().map(|s| (s.task.name.as_str(), &s.task));
        let tasks: HashMap<&str, &Task> = tasks.collect();
        for (identifier, text) in read_identifiers(path)?.iter().enumerate() {
            // Published names may be those of files.
            let text = text.replace(".json", "");
            let Name { task, symmetry } = Name::from(text.as_str());
            let short = task.rsplit(['/', '\\']).next().unwrap_or(&task);
            if let Some(task) = tasks.get(short) {
                let identifier = u32::try_from(identifier).context("too many identifiers")?;
                let list = all.entry(task.name.clone()).or_default();
                list.push((identifier, Augmented::new(task, symmetry)));
            }
        }
        let without = sources.iter().filter(|s| !all.contains_key(&s.task.name));
        let names: Vec<&str> = without.map(|s| s.task.name.as_str()).collect();
        if !names.is_empty() {
            outln!(
                "left out, as {} does not have them: {}",
                path.display(),
                names.join(", ")
            );
        }
        return Ok(all);
    }
    // Row 0 is of no puzzle, as published.
    let mut next = 1;
    for Source { task, .. } in sources {
        let mut rng = stream(args.seed, task);
        let list = augmentations(task, args.augment, &mut rng);
        if list.len() <= args.augment as usize {
            outln!(
                "{}: only {} different rewritings",
                task.name,
                list.len() - 1
            );
        }
        let numbered = list.into_iter().map(|rewriting| {
            next += 1;
            (next - 1, rewriting)
        });
        all.insert(task.name.clone(), numbered.collect());
    }
    Ok(all)
}

/// The demonstration of a task that is held out, if any is.
fn left_out(args: &ArcArgs, task: &Task) -> Option<usize> {
    if !args.leave_one_out {
        return None;
    }
    if task.train.len() < 2 {
        outln!("{}: its only demonstration is not left out", task.name);
        return None;
    }
    let mut rng = stream(!args.seed, task);
    Some(rng.random_range(0..task.train.len() as u32) as usize)
}

#[derive(Default)]
struct Rows {
    train: Vec<ArcRow>,
    test: Vec<ArcRow>,
}

impl Rows {
    /// Adds the pairs of a task under one rewriting.
    fn add(
        &mut self,
        args: &ArcArgs,
        source: &Source,
        held_out: Option<usize>,
        identifier: u32,
        rewriting: &Augmented,
    ) {
        let row = |pair: &Pair| ArcRow {
            name: rewriting.name.clone(),
            question: pair.input.clone(),
            answer: pair.output.clone(),
            identifier,
        };
        let task = &rewriting.task;
        for (at, pair) in task.train.iter().enumerate() {
            match held_out == Some(at) {
                true => self.test.push(row(pair)),
                false => self.train.push(row(pair)),
            }
        }
        if source.whole {
            let known = task.test.iter().filter(|pair| pair.output.is_some());
            self.train.extend(known.map(row));
        } else if !args.leave_one_out {
            self.test.extend(task.test.iter().map(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use hrm_core::puzzle::arc::ArcSymmetry;

    use super::*;

    #[test]
    fn what_is_drawn_for_a_task_is_its_own() {
        let task = |name: &str| Task {
            name: name.to_owned(),
            train: Vec::new(),
            test: Vec::new(),
        };
        let draw = |seed, name| stream(seed, &task(name)).random::<u64>();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        let symmetry = ArcSymmetry::identity();
        assert_eq!(Augmented::new(&task("a"), symmetry).name, Name::plain("a"));
    }
}
