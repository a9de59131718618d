//! `hrm eval` of a model that plays ARC.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use hrm_core::reason::Stop;

use super::eval::RunArgs;
use crate::engine::Engine;
use crate::evaluate::arc::{self, Counted, Evaluation};
use crate::evaluate::{Model, Named, since};
use crate::output::outln;
use crate::puzzles::{file_name, sha256_of};

impl RunArgs {
    /// Refuses what an evaluation of ARC does not have.
    fn check_arc(&self) -> Result<()> {
        let set = [
            (self.guesses > 1, "--guesses"),
            (self.initial_noise > 0.0, "--initial-noise"),
            (self.update_noise > 0.0, "--update-noise"),
            (self.stop != Stop::Depth, "--stop"),
            (self.search.is_some(), "--search"),
            (self.records.is_some(), "--records"),
            (self.shard != [0, 1], "--shard"),
            (self.against.is_some(), "--against"),
            (self.puzzles.filled > 0.0, "--filled"),
            (self.puzzles.skip_bad, "--skip-bad"),
            (self.puzzles.columns.columns.is_some(), "--columns"),
        ];
        let given: Vec<&str> = set.iter().filter(|(is, _)| *is).map(|(_, n)| *n).collect();
        if given.is_empty() {
            return Ok(());
        }
        bail!(
            "{}: not for ARC, where the guesses at a test are its rewritings in the data, one pass each",
            given.join(", ")
        )
    }
}

/// Makes the passes of all checkpoints, and counts their votes.
pub(super) fn evaluation(args: &RunArgs, models: &[Model]) -> Result<Evaluation> {
    args.check_arc()?;
    let begun = Instant::now();
    let mut checkpoints = Vec::new();
    let mut passes = Vec::new();
    let mut known: Option<(Vec<_>, Engine)> = None;
    for model in models {
        let checkpoint = model.load()?;
        let rows = arc::load(&args.puzzles.data, &checkpoint.plan, args.puzzles.limit)?;
        if let Some((_, first)) = &known {
            let (theirs, ours) = (checkpoint.plan.config.puzzle, first.plan().config.puzzle);
            ensure!(
                theirs == ours,
                "{} plays {theirs}, not {ours}",
                model.path.display()
            );
        }
        checkpoints.push(model.named(&checkpoint));
        let (plan, weights) = (&checkpoint.plan, &checkpoint.weights);
        let engine = Engine::new(args.device, args.kernels, plan, weights)?;
        let threads = args.threads.unwrap_or_else(rayon::current_num_threads);
        let places = args.batch.unwrap_or(if engine.is_gpu() { 128 } else { 8 });
        ensure!(places > 0, "--batch must not be 0");
        let segments = args.segments as usize;
        passes.extend(arc::passes(&engine, &rows, segments, [threads, places])?);
        known = Some((rows, engine));
    }
    let Some((rows, engine)) = known else {
        bail!("no checkpoint is given");
    };
    let counted = Counted::new(&rows, &passes);
    Ok(Evaluation {
        puzzle: engine.plan().config.puzzle,
        data: Named {
            name: file_name(&args.puzzles.data),
            sha256: sha256_of(&args.puzzles.data)?,
        },
        checkpoints,
        segments: args.segments as usize,
        engine: engine.name().to_owned(),
        passes: passes.len(),
        readable: counted.readable,
        halted: counted.halted,
        passes_right: counted.right,
        pass_at: counted.pass_at,
        tasks: counted.tasks,
        seconds: since(begun),
    })
}

/// Prints a result for people.
pub(super) fn print(e: &Evaluation) {
    let names: Vec<&str> = e.checkpoints.iter().map(|c| c.name.as_str()).collect();
    let tests: usize = e.tasks.iter().map(|task| task.tests.len()).sum();
    outln!(
        "{} on {}: {} tasks, {tests} tests, {} passes of {} segments",
        names.join(", "),
        e.data.name,
        e.tasks.len(),
        e.passes,
        e.segments
    );
    for pass in &e.pass_at {
        let name = format!("pass@{}", pass.answers);
        outln!("  {:<29} {}", format!("{name}, whole tasks"), pass.tasks);
        outln!("  {:<29} {}", format!("{name}, tests"), pass.tests);
        outln!(
            "  {:<29} {:.2} %",
            format!("{name}, as published"),
            100.0 * pass.score
        );
    }
    for (name, share) in [
        ("single passes right", e.passes_right),
        ("passes that show a grid", e.readable),
        ("passes that halted", e.halted),
    ] {
        outln!("  {name:<29} {share}");
    }
    outln!("  {:.1} s on {}", e.seconds, e.engine);
}
