//! `hrm`: data, training, evaluation and export of Hierarchical Reasoning
//! Models from the command line.

mod checkpoint;
mod commands;
mod device;
mod engine;
mod evaluate;
mod foreign;
mod names;
mod onnx;
mod output;
mod paths;
mod plot;
mod puzzles;
mod quantize;
mod train;
mod tuning;

#[cfg(target_os = "linux")]
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use commands::solve::Outcome;
use output::errln;

/// Train, run and take apart Hierarchical Reasoning Models.
#[derive(Debug, Parser)]
#[command(name = "hrm", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Analyze(Box<commands::analyze::AnalyzeArgs>),
    Bench(commands::bench::BenchArgs),
    Data(commands::data::DataArgs),
    Demo(commands::demo::DemoArgs),
    Eval(Box<commands::eval::EvalArgs>),
    Export(commands::export::ExportArgs),
    Import(commands::import::ImportArgs),
    Report(commands::report::ReportArgs),
    Solve(commands::solve::SolveArgs),
    Trace(commands::trace::TraceArgs),
    Train(Box<commands::train::TrainArgs>),
}

/// Exit code of `hrm solve` when some puzzle was not solved.
const UNSOLVED: u8 = 3;

/// The arguments, or the end of the process with what is wrong with them. A value may be
/// a negative number everywhere: what it means there is for its option to say.
fn arguments() -> Cli {
    fn negative(command: clap::Command) -> clap::Command {
        let values = |arg: clap::Arg| {
            let takes = arg.get_action().takes_values();
            arg.allow_negative_numbers(takes)
        };
        command.mut_args(values).mut_subcommands(negative)
    }
    let mut command = negative(Cli::command());
    let matches = command.get_matches_mut();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Where there is no desktop, Mesa's layer that asks it for its favourite GPU prints
/// lines that begin with "error:". Which GPU to use is chosen here anyway.
#[cfg(target_os = "linux")]
fn ask_no_desktop() {
    let desktop = std::env::var_os("XDG_RUNTIME_DIR");
    if desktop.is_none_or(|folder| !Path::new(&folder).is_absolute()) {
        // SAFETY: this is the beginning of the process, which has no other thread yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    ask_no_desktop();
    let result = run().and_then(|code| match output::failure() {
        Some(error) => Err(anyhow::anyhow!("writing the output: {error}")),
        None => Ok(code),
    });
    result.unwrap_or_else(|error| {
        errln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    match &arguments().command {
        Command::Analyze(args) => commands::analyze::run(args)?,
        Command::Bench(args) => commands::bench::run(args)?,
        Command::Data(args) => commands::data::run(args)?,
        Command::Demo(args) => commands::demo::run(args)?,
        Command::Eval(args) => commands::eval::run(args)?,
        Command::Export(args) => commands::export::run(args)?,
        Command::Import(args) => commands::import::run(args)?,
        Command::Report(args) => commands::report::run(args)?,
        Command::Solve(args) => {
            return Ok(match commands::solve::run(args)? {
                Outcome::Solved => ExitCode::SUCCESS,
                Outcome::Unsolved => ExitCode::from(UNSOLVED),
                Outcome::Bad => ExitCode::FAILURE,
            });
        }
        Command::Trace(args) => commands::trace::run(args)?,
        Command::Train(args) => {
            commands::train::run(args)?;
            // What a run is for is in its folder.
            output::forgive();
        }
    }
    Ok(ExitCode::SUCCESS)
}
