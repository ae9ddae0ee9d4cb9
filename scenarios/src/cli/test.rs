//! `pinhole test`.

use std::path::PathBuf;

use clap::Args;

use super::options::Jobs;
use super::run::run_all;
use super::{Done, Everywhere, Failure};

#[derive(Args)]
pub(super) struct TestArgs {
    /// A directory of scenario files; every .toml file in it is run
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    jobs: Jobs,
}

pub(super) fn run(args: &TestArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let shown = args.directory.display();
    let entries = std::fs::read_dir(&args.directory)
        .map_err(|error| format!("{shown} can't be read as a directory: {error}"))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!(
            "{shown} has no .toml file; the library is scenarios/library/scenarios"
        )
        .into());
    }
    files.sort();
    run_all(&files, args.jobs, false, everywhere)
}
