//! `pinhole run`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::prelude::*;

use super::output::stdout;
use super::{Done, Everywhere, Failure};
use crate::call::CallError;
use crate::report;
use crate::scenario::{Ran, Scenario, schema};

#[derive(Args)]
pub(super) struct RunArgs {
    /// Scenario files
    #[arg(value_name = "FILE.toml", required_unless_present = "schema")]
    files: Vec<PathBuf>,
    /// Prints the JSON Schema of scenario files, for editors, and runs nothing
    #[arg(long, conflicts_with = "files")]
    schema: bool,
    #[command(flatten)]
    jobs: JobsArg,
}

#[derive(Args, Clone, Copy)]
pub(super) struct JobsArg {
    /// How many scenarios are run at a time; results don't depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

pub(super) fn run(args: &RunArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    if args.schema {
        let mut out = stdout();
        serde_json::to_writer_pretty(&mut out, &schema())?;
        writeln!(out)?;
        out.flush()?;
        return Ok(Done::Well);
    }
    run_all(&args.files, args.jobs, everywhere)
}

/// Reads all files before any is run, so that bad input is refused at once.
pub(super) fn run_all(
    files: &[impl AsRef<Path>],
    jobs: JobsArg,
    everywhere: Everywhere,
) -> Result<Done, Failure> {
    let mut scenarios = Vec::with_capacity(files.len());
    for file in files {
        let mut scenario = Scenario::load(file.as_ref())?;
        if !scenario.has_seed {
            scenario.call.seed = everywhere.seed;
        }
        scenarios.push(scenario);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs.jobs.unwrap_or(0).into());
    let run = |scenario: Scenario| -> Result<(Scenario, Ran), CallError> {
        let ran = scenario.run()?;
        Ok((scenario, ran))
    };
    let all: Vec<(Scenario, Ran)> = threads
        .build()?
        .install(|| scenarios.into_par_iter().map(run).collect::<Result<_, _>>())?;
    let mut out = stdout();
    report::scenarios(&mut out, everywhere.format, &all)?;
    out.flush()?;
    Ok(if all.iter().all(|(_, ran)| ran.holds()) {
        Done::Well
    } else {
        Done::Unmet
    })
}
