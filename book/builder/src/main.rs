//! Builds the course, and serves it: `cargo run --release -p pinhole-book -- serve`.
//!
//! The chapters hold directives in place of results. Each is a run of the `pinhole` command that is
//! built together with this program, so no figure can be older than the code, and a claim that has
//! stopped being true fails the build.

mod directive;
mod exercise;
mod fill;
mod run;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mdbook_driver::MDBook;

use fill::Fill;

/// Builds the course from its chapters and from runs.
#[derive(Parser)]
#[command(name = "pinhole-book", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the book into target/book (what happens if nothing else is asked)
    Build,
    /// Builds the book and shows it to this machine's browser
    Serve {
        /// The port on this machine's own address
        #[arg(long, default_value_t = 3000)]
        port: u16,
    },
}

/// Where the book's sources are: beside this package.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn main() -> ExitCode {
    // The runs of a build are processes of this very program.
    if std::env::args().nth(1).as_deref() == Some(run::AS_PINHOLE) {
        return pinhole_scenarios::cli::main_with(std::env::args().skip(2));
    }
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Build) {
        Command::Build => build().map(|directory| {
            println!("the book is at {}", directory.join("index.html").display());
        }),
        Command::Serve { port } => build().and_then(|directory| {
            serve::serve(&directory, port).map_err(|error| {
                format!("port {port} can't be listened on: {error}; --port takes another").into()
            })
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the book and says where it is.
fn build() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let mut book = MDBook::load(root()).map_err(told_whole)?;
    book.with_preprocessor(Fill);
    book.build().map_err(told_whole)?;
    Ok(book.build_dir_for("html").canonicalize()?)
}

/// An error with all that led to it: the outermost says no more than that a preprocessor failed.
fn told_whole(error: mdbook_driver::errors::Error) -> Box<dyn std::error::Error> {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.join("\n  because: ").into()
}
