//! `pinhole run`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::prelude::*;

use super::options::Jobs;
use super::output::{stdout, write_file};
use super::{Done, Everywhere, Failure};
use crate::call::Caller;
use crate::report::{self, Format};
use crate::scenario::{Played, Scenario, load, schema};

#[derive(Args)]
pub(super) struct RunArgs {
    /// Scenario files
    #[arg(value_name = "FILE.toml", required_unless_present = "schema")]
    files: Vec<PathBuf>,
    /// Prints the JSON Schema of scenario files, for editors, and runs nothing
    #[arg(long, conflicts_with = "files")]
    schema: bool,
    /// Tells the story of every call, not only of those that fail
    #[arg(long, conflicts_with = "schema")]
    explain: bool,
    /// Draws how the call of a single file with a [[fault]] went on: data, gaps, who noticed when
    #[arg(long, value_name = "FILE.svg", conflicts_with = "schema")]
    timeline: Option<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
}

pub(super) fn run(args: &RunArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    if args.schema {
        let mut out = stdout();
        serde_json::to_writer_pretty(&mut out, &schema())?;
        writeln!(out)?;
        out.flush()?;
        return Ok(Done::Well);
    }
    if args.explain && everywhere.format == Format::Csv {
        return Err(
            "--explain tells a story, which csv has no place for; use table or json".into(),
        );
    }
    if let Some(path) = &args.timeline {
        draw(&args.files, path, everywhere.seed)?;
    }
    run_all(&args.files, args.jobs, args.explain, everywhere)
}

/// Draws how the one scenario's call went on.
fn draw(files: &[PathBuf], path: &Path, seed: u64) -> Result<(), Failure> {
    let [file] = files else {
        return Err("--timeline draws one scenario; name one file".into());
    };
    let scenario: Box<Scenario> = match seeded(file, seed)? {
        Played::Call(scenario) => scenario,
        Played::Conference(_) => {
            let shown = file.display();
            return Err(format!("{shown} is a conference; --timeline draws calls").into());
        }
    };
    let mut caller = Caller::new();
    let call = caller.call(&scenario.call)?;
    let drawing = report::timeline(&call).ok_or_else(|| {
        let shown = file.display();
        format!(
            "{shown} has no [[fault]], and ends once it is connected: there is no course to draw"
        )
    })?;
    write_file(path, |file| file.write_all(drawing.as_bytes()))
}

/// Reads a scenario; one that names no seed gets the command line's.
fn seeded(file: &Path, seed: u64) -> Result<Played, Failure> {
    let mut played = load(file)?;
    match &mut played {
        Played::Call(scenario) if !scenario.has_seed => scenario.call.seed = seed,
        Played::Conference(meeting) if !meeting.has_seed => meeting.config.seed = seed,
        Played::Call(_) | Played::Conference(_) => {}
    }
    Ok(played)
}

/// Reads all files before any is run, so that bad input is refused at once.
pub(super) fn run_all(
    files: &[impl AsRef<Path>],
    jobs: Jobs,
    explain: bool,
    everywhere: Everywhere,
) -> Result<Done, Failure> {
    let mut scenarios = Vec::with_capacity(files.len());
    for file in files {
        scenarios.push(seeded(file.as_ref(), everywhere.seed)?);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs.get());
    let run = |played: Played| -> Result<report::Ended, String> {
        Ok(match played {
            Played::Call(scenario) => {
                let ran = if explain {
                    scenario.run_telling()
                } else {
                    scenario.run()
                };
                let ran = ran.map_err(|error| error.to_string())?;
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
