//! `hrm`: data, training, evaluation and export of Hierarchical Reasoning
//! Models from the command line.

mod checkpoint;
mod commands;
mod device;
mod engine;
mod evaluate;
mod foreign;
mod onnx;
mod plot;
mod puzzles;
mod quantize;
mod train;
mod tuning;

use std::process::ExitCode;

use clap::Parser;

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

fn main() -> ExitCode {
    let result = match &Cli::parse().command {
        Command::Analyze(args) => commands::analyze::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Data(args) => commands::data::run(args),
        Command::Demo(args) => commands::demo::run(args),
        Command::Eval(args) => commands::eval::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Solve(args) => match commands::solve::run(args) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(UNSOLVED),
            Err(error) => Err(error),
        },
        Command::Trace(args) => commands::trace::run(args),
        Command::Train(args) => commands::train::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
