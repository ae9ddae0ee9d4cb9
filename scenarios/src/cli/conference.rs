//! `pinhole conference`.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;

use super::meeting::{MeetingOptions, PriceOptions, access, roams};
use super::output::{stdout, write_file};
use super::progress::{Bar, style};
use super::survey::interruption;
use super::{Done, Everywhere, Failure};
use crate::conference::{
    ConferenceConfig, Fidelity, MOST_PARTICIPANTS, Part, Participant, Plan, PlanError, Topology,
    bears, formula, run_watched,
};
use crate::file;
use crate::report;

#[derive(Args)]
pub(super) struct ConferenceArgs {
    /// How streams travel: mesh, sfu, mcu, or cascade:K with K servers
    #[arg(long, value_name = "TOPOLOGY")]
    topology: Topology,
    /// How many take part; they are called alice, bob, carol and so on
    #[arg(long, value_name = "N", required_unless_present = "publishers")]
    participants: Option<usize>,
    /// How many send, instead of --participants; with --viewers
    #[arg(
        long,
        value_name = "P",
        requires = "viewers",
        conflicts_with = "participants"
    )]
    publishers: Option<usize>,
    /// How many only watch; with --publishers
    #[arg(long, value_name = "V", requires = "publishers")]
    viewers: Option<usize>,
    /// How exactly it is simulated: full (a production stack), flow (every packet, sized only) or
    /// formula (instant)
    #[arg(long, default_value = "flow", value_name = "FIDELITY")]
    fidelity: Fidelity,
    /// What is different about one participant: "bob: access=adsl, network=udp-blocked"; also
    /// roams=KIND@20s, region=2
    #[arg(long, value_name = "NAME: …")]
    with: Vec<String>,
    /// Who shares a screen beside the camera
    #[arg(long, value_name = "NAME")]
    screen: Vec<String>,
    /// Over how many regions participants are spread, in turn [default: one for each server]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u16).range(1..))]
    regions: Option<u16>,
    #[command(flatten)]
    meeting: MeetingOptions,
    /// How long is measured, in seconds
    #[arg(long, default_value_t = 30, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// What passes before measuring begins, in seconds [default: 10]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    warmup: Option<u32>,
    #[command(flatten)]
    prices: PriceOptions,
    /// Draws each participant's rates, second by second, against its access link
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

pub(super) fn run(args: &ConferenceArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let plan = Plan::new(config(args, everywhere.seed)?)?;
    refuse_what_formulas_cannot(args, &plan)?;
    bears(&plan, args.fidelity)?;
    let mut warnings = args.meeting.idle(args.topology, args.fidelity);
    if args.fidelity == Fidelity::Formula && args.warmup.is_some() {
        warnings.push("--warmup makes no difference here: a formula has no beginning".to_owned());
    }
    warnings.extend(formula::overload(&plan).map(|it| report::overload(&plan, &it)));
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let interrupted = interruption()?;
    let until = plan.config.until().as_nanos() / 1_000_000;
    let bar = Bar::new(until, 0, style("{bar:40} {msg}, {eta} left"));
    let outcome = run_watched(&plan, args.fidelity, &mut |now| {
        let millis = now.as_nanos() / 1_000_000;
        bar.at(millis, || {
            format!("{:.1} of {} s", millis as f64 / 1_000.0, until / 1_000)
        });
        if interrupted.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) if interrupted.load(Ordering::Relaxed) => {
            eprintln!("interrupted: {error}");
            return Ok(Done::Interrupted);
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(path) = &args.plot {
        let command = command(args, everywhere.seed);
        let drawing = report::conference_plot(&plan, &outcome, &command);
        write_file(path, |file| file.write_all(drawing.as_bytes()))?;
    }
    let mut out = stdout();
    let prices = args.prices.prices();
    let held = report::Held {
        plan: &plan,
        outcome: &outcome,
        prices,
        warnings: &warnings,
    };
    report::conference(&mut out, everywhere.format, &held)?;
    out.flush()?;
    Ok(if outcome.measured < plan.config.measured {
        Done::Interrupted
    } else {
        Done::Well
    })
}

fn config(args: &ConferenceArgs, seed: u64) -> Result<ConferenceConfig, Failure> {
    let publishers = args.participants.or(args.publishers).unwrap_or(0);
    let participants = publishers.saturating_add(args.viewers.unwrap_or(0));
    if participants > MOST_PARTICIPANTS {
        return Err(PlanError::TooMany(participants).into());
    }
    if args.meeting.last_n().is_some() && !args.topology.selects() {
        return Err(PlanError::NobodySelects(args.topology).into());
    }
    let times = (
        Duration::from_secs(args.warmup.unwrap_or(10).into()),
        Duration::from_secs(args.seconds.into()),
    );
    let mut config = args
        .meeting
        .config(args.topology, participants, times, seed);
    for (place, participant) in config.participants.iter_mut().enumerate() {
        if let Some(regions) = args.regions {
            participant.region = place % usize::from(regions);
        }
        if place >= publishers {
            participant.part = Part::Views;
        }
    }
    for text in &args.with {
        let (name, changes) = text.split_once(':').ok_or_else(|| {
            format!("--with {text:?}: say whom and what, such as \"bob: access=adsl\"")
        })?;
        let participant = named("--with", name.trim(), &mut config.participants)?;
        change(participant, changes).map_err(|why| format!("--with {text:?}: {why}"))?;
    }
    for name in &args.screen {
        let participant = named("--screen", name, &mut config.participants)?;
        if participant.part == Part::Views {
            return Err(format!("--screen {name}: {name} only watches, and shares nothing").into());
        }
        participant.shares_screen = true;
    }
    let until = config.until();
    for participant in &config.participants {
        if let Some((at, _)) = participant.roams.as_ref().filter(|(at, _)| *at >= until) {
            let message = format!(
                "--with {}: roams at {} s, and the conference ends at {} s",
                participant.name,
                at.as_millis_f64() / 1_000.0,
                until.as_millis_f64() / 1_000.0
            );
            return Err(message.into());
        }
    }
    Ok(config)
}

fn named<'p>(
    option: &str,
    name: &str,
    participants: &'p mut [Participant],
) -> Result<&'p mut Participant, Failure> {
    let Some(place) = participants.iter().position(|it| it.name == name) else {
        let names: Vec<&str> = participants.iter().map(|it| &*it.name).take(30).collect();
        let instead = file::instead(name, &names);
        return Err(format!("{option}: nobody is called {name:?}; {instead}").into());
    };
    Ok(&mut participants[place])
}

/// Reads `access=adsl, network=udp-blocked`.
fn change(participant: &mut Participant, changes: &str) -> Result<(), String> {
    for change in changes.split(',').map(str::trim) {
        let (name, value) = change
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .ok_or_else(|| {
                format!("{change:?} should be a name and a value, such as access=adsl")
            })?;
        match name {
            "access" => participant.access = access(value)?.0,
            "network" => participant.network = value.parse().map_err(|error| format!("{error}"))?,
            "roams" => participant.roams = Some(roams(value)?),
            "region" => {
                let region: u16 = value
                    .parse()
                    .map_err(|_| format!("region: {value:?} is no whole number from 1"))?;
                let region = region.checked_sub(1);
                let region = region.ok_or("region: they are counted from 1")?;
                participant.region = region.into();
            }
            _ => {
                let known = ["access", "network", "roams", "region"];
                return Err(format!(
                    "no such thing as {name:?}; {}",
                    file::instead(name, &known)
                ));
            }
        }
    }
    Ok(())
}

/// What needs time to pass.
fn refuse_what_formulas_cannot(args: &ConferenceArgs, plan: &Plan) -> Result<(), Failure> {
    if args.fidelity != Fidelity::Formula {
        return Ok(());
    }
    if args.plot.is_some() {
        return Err("--plot draws seconds, and a formula has none; use --fidelity flow".into());
    }
    if let Some(roams) = plan.participants().iter().find(|it| it.roams.is_some()) {
        let name = &roams.name;
        return Err(format!(
            "--with {name}: a formula has no time in which {name} could roam; use --fidelity flow"
        )
        .into());
    }
    Ok(())
}

/// The command that repeats this conference.
fn command(args: &ConferenceArgs, seed: u64) -> String {
    let mut line = format!("pinhole conference --topology {}", args.topology);
    let mut add = |text: String| line.push_str(&text);
    match (args.participants, args.publishers, args.viewers) {
        (None, Some(publishers), Some(viewers)) => {
            add(format!(" --publishers {publishers} --viewers {viewers}"));
        }
        (participants, ..) => add(format!(" --participants {}", participants.unwrap_or(0))),
    }
    add(args.meeting.written());
    if args.fidelity != Fidelity::Flow {
        add(format!(" --fidelity {}", args.fidelity));
    }
    for with in &args.with {
        add(format!(" --with {with:?}"));
    }
    for screen in &args.screen {
        add(format!(" --screen {screen}"));
    }
    if let Some(regions) = args.regions {
        add(format!(" --regions {regions}"));
    }
    if args.seconds != 30 {
        add(format!(" --seconds {}", args.seconds));
    }
    if let Some(warmup) = args.warmup.filter(|it| *it != 10) {
        add(format!(" --warmup {warmup}"));
    }
    if seed != 1 {
        add(format!(" --seed {seed}"));
    }
    line
}
