//! The command line: one thin function for each command.

mod call;
mod compare;
mod conference;
mod congestion;
mod matrix;
mod meeting;
mod nat;
mod options;
mod output;
mod progress;
mod report;
mod run;
mod survey;
mod test;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::report::Format;

/// An internet in one process: real ICE across every kind of NAT, on virtual time.
#[derive(Parser)]
#[command(name = "pinhole", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    everywhere: Everywhere,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command has.
#[derive(Args, Clone, Copy)]
struct Everywhere {
    /// What everything random is drawn from: one seed, one run
    #[arg(
        long,
        global = true,
        default_value_t = 1,
        value_name = "N",
        help_heading = "Everywhere"
    )]
    seed: u64,
    /// How results are printed: table, json or csv
    #[arg(long, global = true, default_value_t = Format::Table, value_name = "FORMAT", help_heading = "Everywhere")]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// One call between two endpoints, from their networks' kinds to its outcome
    Call(call::CallArgs),
    /// Every kind of network against every other
    Matrix(matrix::MatrixArgs),
    /// What NATs and firewalls do, as experiments show it
    Nat(nat::NatArgs),
    /// Of a population's calls: how many connect, over which path, how fast
    Survey(Box<survey::SurveyArgs>),
    /// One conference: who sends and gets how much, with what delay and quality, at what cost
    Conference(Box<conference::ConferenceArgs>),
    /// Mesh, SFU, cascade and MCU side by side over a range of sizes, and where the lines cross
    Compare(Box<compare::CompareArgs>),
    /// Congestion control in the test cases of RFC 8867: rates, queues, and which cases are met
    Congestion(congestion::CongestionArgs),
    /// The tour: matrix, surveys, the record and three calls, as one web page and on the terminal
    Report(report::ReportArgs),
    /// Scenario files: calls, what goes wrong during them, and what must come of them
    Run(run::RunArgs),
    /// All scenario files of a directory
    Test(test::TestArgs),
}

/// How a command ended that did not fail.
enum Done {
    /// It did what it was asked.
    Well,
    /// It did what it was asked, and an expectation did not hold.
    Unmet,
    /// It was interrupted; what was measured until then was printed.
    Interrupted,
}

/// Why a command could not be done. Its message says what is wrong, where, and what would be right.
type Failure = Box<dyn std::error::Error>;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    main_with(std::env::args().skip(1))
}

/// Runs a command line: what follows the program's name. It prints and may end the process, as
/// [`main`] does.
pub fn main_with(args: impl IntoIterator<Item = String>) -> ExitCode {
    let args: Vec<String> = args.into_iter().collect();
    let line = std::iter::once("pinhole").chain(args.iter().map(String::as_str));
    let cli = Cli::try_parse_from(line).unwrap_or_else(|error| refuse(&error, &args));
    quiet_stacks();
    let done = match cli.command {
        Command::Call(args) => call::run(&args, cli.everywhere),
        Command::Matrix(args) => matrix::run(&args, cli.everywhere),
        Command::Nat(args) => nat::run(&args, cli.everywhere),
        Command::Survey(args) => survey::run(&args, cli.everywhere),
        Command::Conference(args) => conference::run(&args, cli.everywhere),
        Command::Compare(args) => compare::run(&args, cli.everywhere),
        Command::Congestion(args) => congestion::run(&args, cli.everywhere),
        Command::Report(args) => report::run(&args, cli.everywhere),
        Command::Run(args) => run::run(&args, cli.everywhere),
        Command::Test(args) => test::run(&args, cli.everywhere),
    };
    match done {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Unmet) => ExitCode::from(1),
        Ok(Done::Interrupted) => ExitCode::from(130),
        Err(failure) if output::is_broken_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Says what is wrong with the command line, and what would be right, and ends the process.
fn refuse(error: &clap::Error, args: &[String]) -> ! {
    // Errors only; help and the version are told on standard output.
    if !matches!(
        error.kind(),
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument
    ) {
        error.exit();
    }
    let mut command = Cli::command();
    command.build();
    for word in args {
        if let Some(inner) = command.find_subcommand(word).cloned() {
            command = inner;
        }
    }
    let _ = error.print();
    let names: Vec<String> = if error.kind() == ErrorKind::InvalidSubcommand {
        command
            .get_subcommands()
            .map(|inner| inner.get_name().to_owned())
            .collect()
    } else {
        command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .map(|name| format!("--{name}"))
            .collect()
    };
    eprintln!(
        "`{}` knows {}",
        command.get_bin_name().unwrap_or("pinhole"),
        names.join(", ")
    );
    std::process::exit(2)
}

/// A stack's panic is a finding in the result, and is told there. Ours are told as ever.
fn quiet_stacks() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !crate::ice::is_in_a_stack() {
            tell(panic);
        }
    }));
}
