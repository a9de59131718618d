//! Where a run's configuration comes from: the command line, files, overrides.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde::Deserialize;

use super::config::TrainConfig;

/// Arguments of `hrm train`.
#[derive(Debug, Clone)]
pub(crate) struct TrainArgs {
    config: TrainConfig,
    file: Option<PathBuf>,
    resume: Option<PathBuf>,
    report: Option<PathBuf>,
    pack: Option<PathBuf>,
    plain: bool,
    /// Overrides, `key=value`.
    set: Vec<String>,
    /// Fields given on the command line, which come before those of a file.
    given: HashSet<String>,
}

// What no saved configuration holds. Its description is the subcommand's, as
// it is added last.
/// Train a model. Checkpoints and a signal to stop leave everything that
/// `--resume` needs to go on.
#[derive(Debug, Args)]
struct Sources {
    /// Read the run's configuration from a TOML file
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on with a run: its directory, or one of its checkpoints
    #[arg(long, conflicts_with_all = ["init", "model", "config"])]
    resume: Option<PathBuf>,
    /// Override a key of the configuration, whatever file it comes from:
    /// `lr=0.001`, `data=["a.csv"]`, `architecture.hidden_size=256`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train nothing: draw the curves of a run directory as report.html in it
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "resume"])]
    report: Option<PathBuf>,
    /// Train nothing: write the newest checkpoint of a run directory to --out,
    /// without the rows in progress. That is small enough to be kept beside a
    /// model, and `--resume` goes on from it with new puzzles
    #[arg(long, value_name = "RUN", requires = "out", conflicts_with_all = ["config", "resume", "report"])]
    pack: Option<PathBuf>,
    /// Lines of progress even where a terminal could show curves
    #[arg(long)]
    plain: bool,
}

impl Args for TrainArgs {
    fn augment_args(command: Command) -> Command {
        Sources::augment_args(TrainConfig::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TrainArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let sources = Sources::from_arg_matches(matches)?;
        let given =
            |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        Ok(Self {
            config: TrainConfig::from_arg_matches(matches)?,
            file: sources.config,
            resume: sources.resume,
            report: sources.report,
            pack: sources.pack,
            plain: sources.plain,
            set: sources.set,
            given: matches
                .ids()
                .filter(given)
                .map(ToString::to_string)
                .collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl TrainArgs {
    /// The directory given with `--resume`.
    pub(crate) fn resume(&self) -> Option<&Path> {
        self.resume.as_deref()
    }

    /// Whether the command line gives a field.
    pub(crate) fn gives(&self, field: &str) -> bool {
        let overrides = |assignment: &String| {
            assignment
                .split_once('=')
                .is_some_and(|(key, _)| key.trim() == field)
        };
        self.given.contains(field) || self.set.iter().any(overrides)
    }

    /// The configuration of a file as it stands, whatever the command line says.
    pub(crate) fn as_saved(file: &Path) -> Result<TrainConfig> {
        let usual = TrainConfig::augment_args(Command::new("train"));
        let usual = usual.try_get_matches_from(["train"])?;
        let args = Self {
            config: TrainConfig::from_arg_matches(&usual)?,
            file: Some(file.to_owned()),
            resume: None,
            report: None,
            pack: None,
            plain: true,
            set: Vec::new(),
            given: HashSet::new(),
        };
        args.config(None)
    }

    /// Whether the terminal is to get lines only.
    pub(super) fn plain(&self) -> bool {
        self.plain
    }

    /// The run given with `--pack`, and where to.
    pub(crate) fn pack(&self) -> Option<(&Path, &Path)> {
        self.pack.as_deref().zip(self.config.out.as_deref())
    }

    /// The directory given with `--report`.
    pub(crate) fn report(&self) -> Option<&Path> {
        self.report.as_deref()
    }

    /// The run's configuration: what `--set` says, then the other arguments, then `--config`
    /// or `saved` (the file of the run that goes on), then the defaults.
    pub(crate) fn config(&self, saved: Option<&Path>) -> Result<TrainConfig> {
        let mut merged = toml::Table::try_from(&self.config)?;
        let file = saved.or(self.file.as_deref());
        let named = || file.map_or_else(String::new, |path| format!("in {}", path.display()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))?;
            for (key, value) in text.parse::<toml::Table>().with_context(named)? {
                if !self.given.contains(&key) {
                    merged.insert(key, value);
                }
            }
            // Before the overrides, so that a mistake is blamed on the file it is in.
            TrainConfig::deserialize(merged.clone()).with_context(named)?;
        }
        for assignment in &self.set {
            let blame = || format!("--set {assignment}");
            override_key(&mut merged, assignment).with_context(blame)?;
            TrainConfig::deserialize(merged.clone()).with_context(blame)?;
        }
        let config = TrainConfig::deserialize(merged)?;
        match file {
            Some(_) => config.check().with_context(named)?,
            None => config.check()?,
        }
        Ok(config)
    }
}

/// Carries out `key=value` on a table; a dot leads into a table within it. The value is
/// one of TOML, or a text where it is none.
fn override_key(table: &mut toml::Table, assignment: &str) -> Result<()> {
    let Some((key, value)) = assignment.split_once('=') else {
        bail!("must have the form KEY=VALUE");
    };
    let value = match format!("value = {value}").parse::<toml::Table>() {
        Ok(mut parsed) => parsed.remove("value"),
        Err(_) => None,
    }
    .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    match key.trim().split_once('.') {
        None => {
            table.insert(key.trim().to_owned(), value);
        }
        Some((outer, inner)) => {
            let entry = table
                .entry(outer)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let Some(within) = entry.as_table_mut() else {
                bail!("`{outer}` is no table");
            };
            within.insert(inner.to_owned(), value);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TrainArgs,
    }

    /// The arguments after `hrm train`.
    pub(in crate::train) fn parse(args: &[&str]) -> TrainArgs {
        Cli::try_parse_from(std::iter::once(&"train").chain(args))
            .unwrap()
            .args
    }

    #[test]
    fn arguments_come_before_the_file_and_the_file_before_defaults() {
        let dir = std::env::temp_dir().join(format!("hrm-train-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("train.toml");
        std::fs::write(
            &path,
            "data = [\"generate:sudoku-4x4\"]\nlr = 0.5\nwarmup = 7\n",
        )
        .unwrap();
        let file = path.to_str().unwrap();
        let config = parse(&["--config", file, "--lr", "0.25"])
            .config(None)
            .unwrap();
        assert_eq!(
            (config.lr, config.warmup, config.batch_size),
            (0.25, 7, 768)
        );

        std::fs::write(&path, "data = [\"x.csv\"]\nlearning_rate = 1\n").unwrap();
        let error = format!("{:#}", parse(&["--config", file]).config(None).unwrap_err());
        assert!(
            error.contains("learning_rate") && error.contains("train.toml"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn overrides_reach_every_key_and_mistakes_are_named() {
        let set = |assignments: &[&str]| {
            let mut args = vec!["--data", "a.csv", "--lr", "0.5"];
            for assignment in assignments {
                args.extend(["--set", assignment]);
            }
            parse(&args).config(None)
        };
        let config = set(&[
            "lr=0.25",
            "preset=hrm-4x4",
            "data=[\"x.csv\", \"y.csv\"]",
            "epochs=7",
            "architecture.hidden_size=32",
            "architecture.puzzle=maze-8x8",
            "no_augment=true",
        ])
        .unwrap();
        assert_eq!((config.lr, config.epochs), (0.25, Some(7)));
        assert_eq!(config.data, ["x.csv", "y.csv"]);
        assert!(config.no_augment);
        let model = config.model_config().unwrap();
        assert_eq!((model.hidden_size, model.puzzle_emb_ndim), (32, 32));
        assert_eq!((model.seq_len, model.vocab_size), (64, 6));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);

        for (wrong, named) in [
            ("lrr=1", "lrr"),
            ("lr=fast", "fast"),
            ("lr", "KEY=VALUE"),
            ("lr.x=1", "`lr` is no table"),
            ("hints=2", "hints"),
        ] {
            let error = format!("{:#}", set(&[wrong]).unwrap_err());
            assert!(error.contains(named), "{wrong}: {error}");
        }
        let wrong = set(&["architecture.hidden=3"]).unwrap().model_config();
        assert!(format!("{:#}", wrong.unwrap_err()).contains("hidden"));
    }
}
