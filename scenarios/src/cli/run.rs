//! `pinhole run`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::prelude::*;

use super::output::stdout;
use super::{Done, Everywhere, Failure};
use crate::report;
use crate::scenario::{Played, load, schema};

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
        let mut played = load(file.as_ref())?;
        match &mut played {
            Played::Call(scenario) if !scenario.has_seed => scenario.call.seed = everywhere.seed,
            Played::Conference(meeting) if !meeting.has_seed => {
                meeting.config.seed = everywhere.seed;
            }
            Played::Call(_) | Played::Conference(_) => {}
        }
        scenarios.push(played);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs.jobs.unwrap_or(0).into());
    let run = |played: Played| -> Result<report::Ended, String> {
        Ok(match played {
            Played::Call(scenario) => {
                let ran = scenario.run().map_err(|error| error.to_string())?;
                report::Ended::Call(scenario, Box::new(ran))
            }
            Played::Conference(meeting) => {
                let met = meeting.run().map_err(|error| error.to_string())?;
                report::Ended::Conference(meeting, Box::new(met))
            }
        })
    };
    let all: Vec<report::Ended> = threads
        .build()?
        .install(|| scenarios.into_par_iter().map(run).collect::<Result<_, _>>())?;
    let mut out = stdout();
    report::scenarios(&mut out, everywhere.format, &all)?;
    out.flush()?;
    Ok(if all.iter().all(report::Ended::holds) {
        Done::Well
    } else {
        Done::Unmet
    })
}
