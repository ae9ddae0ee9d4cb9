//! `pinhole report`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use pinhole::topology::Kind;

use super::options::Jobs;
use super::output::{stdout, write_file};
use super::progress::{self, Bar};
use super::survey::interruption;
use super::{Done, Everywhere, Failure};
use crate::call::CallConfig;
use crate::conference::compare::compare;
use crate::matrix::{self, MatrixConfig, pair_count};
use crate::report::{self, CALLS, Groups, TOLD_CALLS, Tour, tell};
use crate::survey::{self, Collected, Population, Shard, SurveyConfig, against, presets};

#[derive(Args)]
pub(super) struct ReportArgs {
    /// The directory that the page, index.html, and the drawing of all at a glance, tour.svg, are
    /// written to; it is made if it isn't there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many calls of each population are made
    #[arg(long, default_value_t = CALLS, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    calls: u64,
    #[command(flatten)]
    jobs: Jobs,
}

pub(super) fn run(args: &ReportArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let [path, card] = prepare(&args.out)?;
    let interrupted = interruption()?;
    let bar = bar(args.calls);
    let tour = make(args, everywhere.seed, &interrupted, &bar)?;
    bar.finish();
    write_file(&path, |file| file.write_all(tour.page().as_bytes()))?;
    write_file(&card, |file| file.write_all(tour.card().as_bytes()))?;
    let mut out = stdout();
    report::tour(&mut out, everywhere.format, &tour, &[&path, &card])?;
    out.flush()?;
    Ok(if tour.complete {
        Done::Well
    } else {
        Done::Interrupted
    })
}

/// Where the page and the drawing go. Whether they can be written is found out before a minute is
/// spent on them.
fn prepare(directory: &Path) -> Result<[PathBuf; 2], Failure> {
    let shown = directory.display();
    if directory.exists() && !directory.is_dir() {
        return Err(format!("--out {shown} is a file; it has to be a directory").into());
    }
    fs::create_dir_all(directory)
        .map_err(|error| format!("--out {shown} can't be made: {error}"))?;
    let paths = ["index.html", "tour.svg"].map(|name| directory.join(name));
    for path in &paths {
        // What stands there stays until there is something to put in its place.
        let mut open = OpenOptions::new();
        open.create(true)
            .append(true)
            .open(path)
            .map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    }
    Ok(paths)
}

fn make(
    args: &ReportArgs,
    seed: u64,
    interrupted: &AtomicBool,
    bar: &Bar,
) -> Result<Tour, Failure> {
    let jobs = args.jobs.get();
    let mut tour = Tour {
        seed,
        calls: args.calls,
        told: Vec::new(),
        matrix: None,
        populations: Vec::new(),
        groups: None,
        complete: false,
    };
    for place in 0..TOLD_CALLS {
        tour.told.push(tell(place, seed)?);
        bar.step(1);
    }
    let kinds = Kind::all();
    let call = CallConfig {
        seed,
        ..CallConfig::new(kinds[0].clone(), kinds[0].clone())
    };
    let config = MatrixConfig { kinds, call, jobs };
    let matrix = matrix::run(&config, interrupted, || bar.step(1))?;
    tour.matrix = Some((config.call, matrix));
    for population in presets::names().into_iter().filter_map(presets::named) {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(tour);
        }
        let survey = survey_of(population, (args.calls, seed, jobs), interrupted, bar)?;
        if survey.tally.calls() > 0 {
            tour.populations.push(against::beside(survey));
        }
    }
    if !interrupted.load(Ordering::Relaxed) {
        let config = Groups::config(seed, jobs);
        let begins = |all| bar.lengthen(all as u64);
        let comparison = compare(&config, interrupted, begins, || bar.step(1))?;
        tour.groups = Some(Groups { config, comparison });
    }
    let groups = tour.groups.as_ref();
    let mut surveys = tour.populations.iter().map(|beside| &beside.survey);
    let matrix = tour.matrix.iter().all(|(_, matrix)| matrix.complete);
    tour.complete = matrix
        && groups.is_some_and(|groups| groups.comparison.complete)
        && tour.populations.len() == presets::names().len()
        && surveys.all(|survey| survey.complete);
    Ok(tour)
}

fn survey_of(
    population: Population,
    (calls, seed, jobs): (u64, u64, usize),
    interrupted: &AtomicBool,
    bar: &Bar,
) -> Result<survey::Survey, Failure> {
    let config = SurveyConfig {
        population,
        calls,
        seed,
        shard: Shard::WHOLE,
    };
    let nothing = Collected::nothing(&config);
    survey::run(&config, nothing, jobs, interrupted, |chunk| {
        bar.step(chunk.calls.len() as u64);
        Ok::<(), Failure>(())
    })
}

/// A bar of everything that is run.
fn bar(calls: u64) -> Bar {
    let kinds = Kind::all().len();
    let surveyed = calls * presets::names().len() as u64;
    let all = (TOLD_CALLS + pair_count(kinds)) as u64 + surveyed;
    Bar::new(all, 0, progress::calls())
}
