//! `hrm report`: a page of tables and figures from result files.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hrm_core::reason::{Proportion, Stop};
use serde::Deserialize;
use std::fmt::Write as _;

use crate::evaluate::{Evaluation, Named};
use crate::output::outln;
use crate::paths::{Paths, try_new_folder, write};
use crate::puzzles::file_name;

const BEGIN: &str = "<!-- written by `hrm report`: from here -->";
const END: &str = "<!-- written by `hrm report`: to here -->";

/// Write the evaluation part of a results page from the files of `hrm eval
/// --output` and `hrm analyze`: what stands between its marks is replaced,
/// the rest of the page is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Result files of `hrm eval --output` that belong into Table 1
    #[arg(long, num_args = 1..)]
    table1: Vec<PathBuf>,
    /// The same, of models that were trained with easier puzzles mixed in
    #[arg(long, num_args = 1..)]
    table1_mixed: Vec<PathBuf>,
    /// Other result files of `hrm eval --output`
    #[arg(long, num_args = 1..)]
    eval: Vec<PathBuf>,
    /// Data files of `hrm analyze`, their figures beside them
    #[arg(long, num_args = 1..)]
    analysis: Vec<PathBuf>,
    /// Page to write into
    #[arg(long, default_value = "docs/generated/study.md")]
    output: PathBuf,
    /// Folder for copies of the figures
    #[arg(long, default_value = "docs/generated/figures")]
    figures: PathBuf,
}

/// A row of Table 1 of arXiv 2601.10679 (Sudoku-Extreme, 422,786 puzzles).
struct Published {
    what: &'static str,
    accuracy: f64,
    mixed: bool,
    checkpoints: bool,
    relabelled: bool,
}

const TABLE1: [Published; 6] = [
    row("baseline", 54.5, false, false, false),
    row("+ bootstrapping", 64.7, false, true, false),
    row("+ relabelling", 73.2, false, false, true),
    row("+ data mixing", 59.9, true, false, false),
    row("mixing + bootstrapping", 82.9, true, true, false),
    row("all three", 96.9, true, true, true),
];

const fn row(
    what: &'static str,
    accuracy: f64,
    mixed: bool,
    checkpoints: bool,
    relabelled: bool,
) -> Published {
    Published {
        what,
        accuracy,
        mixed,
        checkpoints,
        relabelled,
    }
}

/// What every analysis file has.
#[derive(Deserialize)]
struct Analysis {
    analysis: String,
    checkpoints: Vec<Named>,
    data: Named,
    rows: usize,
    filled: f64,
    findings: Vec<(String, String)>,
}

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    try_outputs(args)?;
    let read =
        |paths: &[PathBuf]| -> Result<Vec<Evaluation>> { paths.iter().map(|p| parse(p)).collect() };
    let plain = read(&args.table1)?;
    let mixed = read(&args.table1_mixed)?;
    let others = read(&args.eval)?;
    let mut text = format!(
        "{BEGIN}\n\n## Evaluation\n\nEvery row names its checkpoint, its data and how many puzzles; shares are in %, with 95 % Wilson intervals.\n"
    );
    table1(&mut text, &plain, &mixed);
    let all: Vec<&Evaluation> = plain.iter().chain(&mixed).chain(&others).collect();
    evaluations(&mut text, &all);
    graded(&mut text, &all);
    for path in &args.analysis {
        analysis(&mut text, path, args)?;
    }
    let _ = write!(text, "\n{END}\n");
    let page = match fs::read_to_string(&args.output) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Results\n".to_owned(),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", args.output.display()));
        }
    };
    let page = replaced(&page, &text)
        .with_context(|| format!("{} has only one of the marks", args.output.display()))?;
    write(&args.output, page.as_bytes())?;
    outln!("wrote {}", args.output.display());
    Ok(())
}

/// Tries the page and the figures' folder. Figures are copied under their names, so that
/// no two may have one.
fn try_outputs(args: &ReportArgs) -> Result<()> {
    let all = [&args.table1, &args.table1_mixed, &args.eval, &args.analysis];
    let read = all.into_iter().flatten();
    let mut paths = read.fold(Paths::default(), |paths, path| paths.reads(path));
    paths.goes_on("--output", &args.output)?;
    if !args.analysis.is_empty() {
        try_new_folder("--figures", &args.figures)?;
    }
    let mut names = HashSet::new();
    for path in &args.analysis {
        ensure!(
            names.insert(file_name(path)),
            "two --analysis files are called {}, and with them their figures",
            file_name(path)
        );
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// The page with its generated part replaced, or put at its end.
fn replaced(page: &str, text: &str) -> Option<String> {
    match (page.find(BEGIN), page.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            let after = page[end + END.len()..].trim_start_matches('\n');
            let gap = if after.is_empty() { "" } else { "\n" };
            Some(format!("{}{text}{gap}{after}", &page[..begin]))
        }
        (None, None) => Some(format!("{}\n\n{text}", page.trim_end())),
        _ => None,
    }
}

/// `12.3 [11.2, 13.4]`.
fn share(p: &Proportion) -> String {
    format!(
        "{:.1} [{:.1}, {:.1}]",
        100.0 * p.value,
        100.0 * p.low,
        100.0 * p.high
    )
}

fn rule(e: &Evaluation, name: &str) -> String {
    named(e.summary.rules.iter().chain(&e.summary.labelled), name)
}

/// The share of that name. With one guess, every rule is the single pass, the first.
fn named<'a>(
    mut shares: impl Iterator<Item = &'a (String, Proportion)> + Clone,
    name: &str,
) -> String {
    let found = shares.clone().find(|(n, _)| n == name);
    found
        .or_else(|| shares.next())
        .map(|(_, p)| share(p))
        .unwrap_or_default()
}

/// The checkpoints' names; a series by its first and last.
fn models(checkpoints: &[Named]) -> String {
    match checkpoints {
        [] => String::new(),
        [one] => one.name.clone(),
        [first, .., last] => format!("{} to {} ({})", first.name, last.name, checkpoints.len()),
    }
}

/// Table 1 beside the published one, once for every puzzle file.
fn table1(text: &mut String, plain: &[Evaluation], mixed: &[Evaluation]) {
    let mut sets: Vec<&str> = plain
        .iter()
        .chain(mixed)
        .map(|e| e.setup.data.name.as_str())
        .collect();
    sets.dedup();
    sets.sort_unstable();
    sets.dedup();
    for set in sets {
        let _ = write!(
            text,
            "\n### Table 1 of arXiv 2601.10679, on {set}\n\n\
             The paper's column is its own model on Sudoku-Extreme by the reference's rule, which uses the labels to choose; the other models and sets are other models and sets, so only the steps from row to row compare.\n\n\
             | | paper | reference rule (labels) | majority | halt-first | verifier | n | checkpoint |\n|---|---|---|---|---|---|---|---|\n"
        );
        for published in &TABLE1 {
            let group = if published.mixed { mixed } else { plain };
            let ours = group.iter().find(|e| {
                e.setup.data.name == set
                    && (e.setup.checkpoints.len() > 1) == published.checkpoints
                    && (e.setup.how.guesses > 1) == published.relabelled
            });
            let _ = write!(text, "| {} | {:.1} |", published.what, published.accuracy);
            let _ = match ours {
                None => writeln!(text, " | | | | | not run |"),
                Some(e) => writeln!(
                    text,
                    " {} | {} | {} | {} | {} | {} |",
                    rule(e, "reference rule (uses labels)"),
                    rule(e, "majority"),
                    rule(e, "halt-first"),
                    rule(e, "verifier"),
                    e.summary.puzzles,
                    models(&e.setup.checkpoints)
                ),
            };
        }
    }
}

/// How the guesses of an evaluation differ and end.
fn method(e: &Evaluation) -> String {
    let how = &e.setup.how;
    let mut words = vec![format!("{} × {} segments", how.guesses, how.segments)];
    if how.guesses > 1 {
        let p = &how.perturbation;
        if e.setup.search.is_none() {
            words.push(format!("{:?}", p.images).to_lowercase());
        }
        for (name, noise) in [("start", p.initial_noise), ("updates", p.update_noise)] {
            if noise > 0.0 {
                words.push(format!("noise {noise} at {name}"));
            }
        }
    }
    if let Some(search) = &e.setup.search {
        words.push(format!("search: {search:?}"));
    } else if how.stop != Stop::Depth {
        words.push(format!("stop: {:?}", how.stop));
    }
    words.join(", ")
}

fn evaluations(text: &mut String, all: &[&Evaluation]) {
    if all.is_empty() {
        return;
    }
    text.push_str(
        "\n### All rules, one pass over the data each\n\n\
         | checkpoint | data, n | guesses | single | majority | halt-first | lowest residual | q head | verifier | oracle (labels) | segments: mean, 90 % | s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for e in all {
        let filled = if e.setup.filled > 0.0 {
            format!(", {:.0} % filled in", 100.0 * e.setup.filled)
        } else {
            String::new()
        };
        let columns: Vec<String> = [
            "single",
            "majority",
            "halt-first",
            "lowest-residual",
            "q-head",
            "verifier",
            "oracle (uses labels)",
        ]
        .iter()
        .map(|name| rule(e, name))
        .collect();
        let _ = writeln!(
            text,
            "| {} | {}{filled}, {} | {} | {} | {:.1}, {} | {:.0} |",
            models(&e.setup.checkpoints),
            e.setup.data.name,
            e.summary.puzzles,
            method(e),
            columns.join(" | "),
            e.summary.spent.mean,
            e.summary.spent.p90,
            e.seconds
        );
    }
}

/// What there is to say of mazes beside whether an answer equals the key.
fn graded(text: &mut String, all: &[&Evaluation]) {
    let rules = ["single", "majority", "halt-first", "verifier"];
    let mut begun = false;
    for e in all {
        let Some(graded) = &e.summary.graded else {
            continue;
        };
        if !begun {
            begun = true;
            let _ = write!(
                text,
                "\n### Mazes: valid and optimal routes\n\n\
                 The table above counts answers that equal the file's. A route is valid if it keeps walls, start and goal and leads from one to the other, optimal if none is shorter.\n\n\
                 | checkpoint | data, n | guesses | | {} |\n|---|---|---|---|{}\n",
                rules.join(" | "),
                "---|".repeat(rules.len())
            );
        }
        for (what, shares) in [("valid", &graded.valid), ("optimal", &graded.optimal)] {
            let columns = rules.map(|name| named(shares.iter(), name));
            let _ = writeln!(
                text,
                "| {} | {}, {} | {} | {what} | {} |",
                models(&e.setup.checkpoints),
                e.setup.data.name,
                e.summary.puzzles,
                method(e),
                columns.join(" | ")
            );
        }
    }
}

/// An analysis with its findings and its figure.
fn analysis(text: &mut String, path: &Path, args: &ReportArgs) -> Result<()> {
    let a: Analysis = parse(path)?;
    let figure = path.with_extension("svg");
    let name = file_name(&figure);
    fs::create_dir_all(&args.figures)
        .with_context(|| format!("creating {}", args.figures.display()))?;
    let copy = args.figures.join(&name);
    let svg = fs::read(&figure).with_context(|| format!("reading {}", figure.display()))?;
    write(&copy, &svg)?;
    let Some(folder) = args.output.parent() else {
        bail!("{} is no file", args.output.display());
    };
    let link = copy.strip_prefix(folder).unwrap_or(&copy);
    let names: Vec<&str> = a.checkpoints.iter().map(|c| c.name.as_str()).collect();
    let filled = if a.filled > 0.0 {
        format!(", {:.0} % of the blanks filled in", 100.0 * a.filled)
    } else {
        String::new()
    };
    let _ = write!(
        text,
        "\n### `hrm analyze {}`: {} on {}\n\nData: the first {} rows{filled}.\n\n| | |\n|---|---|\n",
        a.analysis,
        names.join(", "),
        a.data.name,
        a.rows
    );
    for (what, value) in &a.findings {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    let _ = writeln!(
        text,
        "\n![{} of {}]({})",
        a.analysis,
        names.join(", "),
        link.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let first = format!("{BEGIN}\nold\n{END}\n");
        let page = replaced("# Results\n\nmine\n", &first).unwrap();
        assert_eq!(page, format!("# Results\n\nmine\n\n{first}"));
        let page = page + "\n## Mine too\n";
        let second = format!("{BEGIN}\nnew\n{END}\n");
        let page = replaced(&page, &second).unwrap();
        assert_eq!(
            page,
            format!("# Results\n\nmine\n\n{second}\n## Mine too\n")
        );
        assert_eq!(replaced(&page, &second).unwrap(), page);
        assert_eq!(replaced(BEGIN, &second), None);
    }
}
