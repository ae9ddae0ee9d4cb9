//! `pinhole survey`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use pinhole::Time;
use pinhole::nat::FilterMemory;

use super::options::{Jobs, filter_memory, milliseconds};
use super::output::{stdout, write_file};
use super::progress::{self, Bar};
use super::{Done, Everywhere, Failure};
use crate::call::{Trickle, TurnOffer};
use crate::file::FileError;
use crate::report;
use crate::survey::fit::{self, Claim, Range};
use crate::survey::{
    self, Collected, Journal, Population, Shard, StackMix, Survey, SurveyConfig, against, presets,
};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct SurveyArgs {
    #[command(subcommand)]
    command: Option<SurveyCommand>,
    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Subcommand)]
enum SurveyCommand {
    /// Which population would make a claim true, and what speaks against it
    Fit(FitArgs),
    /// The presets, surveyed, beside what has been published
    Against(AgainstArgs),
    /// Puts the files of all shards together: the whole survey
    Merge(MergeArgs),
    /// The populations that come with the program, and what each rests on
    Presets,
}

#[derive(Args)]
struct MakeArgs {
    /// A population file, or the name of a preset: see `survey presets`
    #[arg(default_value = presets::DEFAULT, value_name = "POPULATION")]
    population: String,
    /// How many calls, in all shards together
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    calls: u64,
    #[command(flatten)]
    options: PopulationOptions,
    /// Appends what comes of calls to a file as it comes, one JSON value a line
    #[arg(long, value_name = "FILE.ndjson")]
    out: Option<PathBuf>,
    /// Goes on with the file of --out where it stopped
    #[arg(long, requires = "out")]
    resume: bool,
    /// Makes only one part of the calls, such as 2/4, to be put together by `survey merge`
    #[arg(long, default_value_t = Shard::WHOLE, hide_default_value = true, value_name = "I/N")]
    shard: Shard,
    /// Draws the shares of path classes, with their intervals
    #[arg(long, value_name = "FILE.svg")]
    shares: Option<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
}

/// What may be changed of a population from the command line.
#[derive(Args)]
struct PopulationOptions {
    /// TURN transports that the service offers, instead of the population's
    #[arg(long, value_name = "LIST")]
    turn: Option<TurnOffer>,
    /// The ICE stacks of all endpoints: is, rtc-ice, or several by weight: is=0.7,rtc-ice=0.3
    #[arg(long, value_name = "STACKS")]
    stack: Option<StackMix>,
    /// The ICE stacks of callers
    #[arg(long, value_name = "STACKS")]
    stack_a: Option<StackMix>,
    /// The ICE stacks of callees
    #[arg(long, value_name = "STACKS")]
    stack_b: Option<StackMix>,
    /// One way between any two edges, in milliseconds; access links come on top [default: 20]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    delay_ms: Option<Duration>,
    /// What a signal takes from one endpoint to the other, in milliseconds [default: 50]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    signaling_delay_ms: Option<Duration>,
    /// Who signals candidates as they are found: both (true), only the callee (half), nobody (false)
    /// [default: true]
    #[arg(long, value_name = "WHO")]
    trickle: Option<Trickle>,
    /// NATs send packets from inside to their own external addresses back in
    #[arg(long)]
    hairpin: bool,
    /// Whose past NATs' filters remember: endpoint (RFC 4787) or mapping (connection tracking)
    #[arg(long, value_name = "WHOSE", value_parser = filter_memory)]
    filter_memory: Option<FilterMemory>,
    /// When a call is given up, in virtual milliseconds [default: 45000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    until_ms: Option<Duration>,
    /// Packets after which a call is stopped, and counts as not connected [default: 5000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    packets: Option<u64>,
}

#[derive(Args)]
struct FitArgs {
    /// The share of calls that is claimed to be direct
    #[arg(long, value_name = "SHARE", value_parser = share)]
    direct: f64,
    /// The share of calls that is claimed to be reflexive
    #[arg(long, value_name = "SHARE", value_parser = share)]
    reflexive: f64,
    /// The share of calls that is claimed to be relayed
    #[arg(long, value_name = "SHARE", value_parser = share)]
    relayed: f64,
    /// The population whose shares are changed: a file or a preset
    #[arg(long, default_value = presets::DEFAULT, value_name = "POPULATION")]
    base: String,
    /// Bounds of the share of endpoints behind symmetric NATs
    #[arg(long, default_value = "0..0.5", value_name = "FROM..TO")]
    symmetric: Range,
    /// Bounds of the share of endpoints on networks that block UDP
    #[arg(long, default_value = "0..0.3", value_name = "FROM..TO")]
    udp_blocked: Range,
    /// Bounds of the share of endpoints with IPv6
    #[arg(long, default_value = "0..1", value_name = "FROM..TO")]
    ipv6: Range,
    /// Bounds of the share of pairs on one local network
    #[arg(long, default_value = "0..0.5", value_name = "FROM..TO")]
    same_lan: Range,
    /// How far each share may be from the claim
    #[arg(long, default_value = "0.005", value_name = "SHARE", value_parser = share)]
    tolerance: f64,
    /// How many calls each answer is surveyed with
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    calls: u64,
    #[command(flatten)]
    options: PopulationOptions,
    /// Writes the first answer as a population file
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
}

#[derive(Args)]
struct AgainstArgs {
    /// How many calls each preset is surveyed with
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    calls: u64,
    #[command(flatten)]
    options: PopulationOptions,
    #[command(flatten)]
    jobs: Jobs,
}

#[derive(Args)]
struct MergeArgs {
    /// The files that --out made
    #[arg(required = true, value_name = "FILE.ndjson")]
    files: Vec<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

impl PopulationOptions {
    fn apply(&self, population: &mut Population) {
        if let Some(turn) = &self.turn {
            population.call.turn = turn.clone();
        }
        for (side, own) in [&self.stack_a, &self.stack_b].into_iter().enumerate() {
            if let Some(stacks) = own.as_ref().or(self.stack.as_ref()) {
                population.stacks[side] = stacks.clone();
            }
        }
        let call = &mut population.call;
        call.delay = self.delay_ms.unwrap_or(call.delay);
        call.signaling_delay = self.signaling_delay_ms.unwrap_or(call.signaling_delay);
        call.trickle = self.trickle.unwrap_or(call.trickle);
        call.hairpinning |= self.hairpin;
        call.filter_memory = self.filter_memory.unwrap_or(call.filter_memory);
        call.until = self.until_ms.map_or(call.until, |until| Time::ZERO + until);
        call.budget.packets = self.packets.unwrap_or(call.budget.packets);
    }

    fn load(&self, name: &str) -> Result<Population, FileError> {
        let mut population = Population::load(name)?;
        self.apply(&mut population);
        Ok(population)
    }
}

pub(super) fn run(args: &SurveyArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    match &args.command {
        None => make(&args.make, everywhere),
        Some(SurveyCommand::Fit(args)) => fit(args, everywhere),
        Some(SurveyCommand::Against(args)) => beside(args, everywhere),
        Some(SurveyCommand::Merge(args)) => merge(args, everywhere),
        Some(SurveyCommand::Presets) => list(everywhere),
    }
}

fn make(args: &MakeArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let config = SurveyConfig {
        population: args.options.load(&args.population)?,
        calls: args.calls,
        seed: everywhere.seed,
        shard: args.shard,
    };
    let (mut journal, made) = match &args.out {
        Some(path) if args.resume => {
            let (journal, made) = Journal::resume(path, &config)?;
            (Some(journal), made)
        }
        Some(path) => (
            Some(Journal::create(path, &config)?),
            Collected::nothing(&config),
        ),
        None => (None, Collected::nothing(&config)),
    };
    let interrupted = interruption()?;
    let bar = Bar::new(config.shard_calls(), made.calls(), progress::calls());
    let survey = survey::run(&config, made, args.jobs.get(), &interrupted, |chunk| {
        bar.step(chunk.calls.len() as u64);
        let kept = journal.as_mut().map(|journal| journal.append(chunk));
        kept.transpose().map(drop).map_err(Failure::from)
    })?;
    bar.finish();
    if let Some(path) = &args.shares {
        let drawing = report::bars(&survey);
        write_file(path, |file| file.write_all(drawing.as_bytes()))?;
    }
    let mut out = stdout();
    report::survey(&mut out, everywhere.format, &survey)?;
    out.flush()?;
    Ok(if survey.complete {
        Done::Well
    } else {
        Done::Interrupted
    })
}

fn merge(args: &MergeArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let survey = survey::merge(&args.files)?;
    let mut out = stdout();
    report::survey(&mut out, everywhere.format, &survey)?;
    out.flush()?;
    Ok(Done::Well)
}

fn list(everywhere: Everywhere) -> Result<Done, Failure> {
    let all: Vec<Population> = presets::names()
        .into_iter()
        .filter_map(presets::named)
        .collect();
    let mut out = stdout();
    report::populations(&mut out, everywhere.format, &all)?;
    out.flush()?;
    Ok(Done::Well)
}

/// A survey that nothing keeps.
fn survey_of(
    population: Population,
    (calls, seed, jobs): (u64, u64, usize),
    interrupted: &AtomicBool,
) -> Result<Survey, Failure> {
    let config = SurveyConfig {
        population,
        calls,
        seed,
        shard: Shard::WHOLE,
    };
    let bar = Bar::new(calls, 0, progress::calls());
    let nothing = Collected::nothing(&config);
    let survey = survey::run(&config, nothing, jobs, interrupted, |chunk| {
        bar.step(chunk.calls.len() as u64);
        Ok::<(), Failure>(())
    })?;
    bar.finish();
    Ok(survey)
}

fn beside(args: &AgainstArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let interrupted = interruption()?;
    let mut all = Vec::new();
    for name in against::presets() {
        let population = args.options.load(name)?;
        let how = (args.calls, everywhere.seed, args.jobs.get());
        let survey = survey_of(population, how, &interrupted)?;
        if !survey.complete {
            break;
        }
        all.push(against::beside(survey));
    }
    let mut out = stdout();
    report::against(&mut out, everywhere.format, &all)?;
    out.flush()?;
    Ok(if interrupted.load(Ordering::Relaxed) {
        Done::Interrupted
    } else {
        Done::Well
    })
}

fn fit(args: &FitArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let claim = Claim::new(args.direct, args.reflexive, args.relayed)?;
    let base = args.options.load(&args.base)?;
    let interrupted = interruption()?;
    let table = fit::Table::measure(&base, everywhere.seed)?;
    let bounds = [args.symmetric, args.udp_blocked, args.ipv6, args.same_lan];
    let found = fit::search(&table, &claim, &bounds, args.tolerance);
    let mut confirmed = Vec::new();
    for answer in &found.answers {
        let population = table.population(&answer.parameters, &claim);
        let how = (args.calls, everywhere.seed, args.jobs.get());
        confirmed.push(survey_of(population, how, &interrupted)?);
    }
    if let Some(path) = &args.out {
        let population = &confirmed[0].config.population;
        write_file(path, |file| file.write_all(population.to_toml().as_bytes()))?;
    }
    let mut out = stdout();
    let asked = report::FitAsked {
        base: &base.name,
        bounds: &bounds,
        tolerance: args.tolerance,
        table_calls: table.calls(),
    };
    report::fit(&mut out, everywhere.format, &asked, &found, &confirmed)?;
    out.flush()?;
    Ok(if interrupted.load(Ordering::Relaxed) {
        Done::Interrupted
    } else if found.exists {
        Done::Well
    } else {
        Done::Unmet
    })
}

/// What counts as one Ctrl-C: programs that stand before this one may pass it on a second time.
const ONE_KEYSTROKE: Duration = Duration::from_millis(500);

/// A flag that the first Ctrl-C sets; a later one ends the process at once.
pub(super) fn interruption() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let mut first: Option<Instant> = None;
    ctrlc::set_handler(move || {
        flag.store(true, Ordering::Relaxed);
        if first.get_or_insert_with(Instant::now).elapsed() > ONE_KEYSTROKE {
            std::process::exit(130);
        }
    })?;
    Ok(interrupted)
}
