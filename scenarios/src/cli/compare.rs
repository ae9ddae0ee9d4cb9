//! `pinhole compare`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pinhole::link::AccessProfile;

use super::meeting::{MeetingOptions, PriceOptions};
use super::options::Jobs;
use super::output::{stdout, write_file};
use super::progress::{Bar, style};
use super::survey::interruption;
use super::{Done, Everywhere, Failure};
use crate::conference::compare::{CompareConfig, compare, usual_topologies};
use crate::conference::{Fidelity, MOST_PARTICIPANTS, PlanError, Topology};
use crate::report;

#[derive(Args)]
pub(super) struct CompareArgs {
    /// The sizes: from and to, such as 2..20, or several, such as 2,5,10
    #[arg(long, default_value = "2..20", value_name = "FROM..TO", value_parser = sizes)]
    participants: Sizes,
    /// How exactly each is simulated: full, flow or formula
    #[arg(long, default_value = "flow", value_name = "FIDELITY")]
    fidelity: Fidelity,
    #[command(flatten)]
    meeting: MeetingOptions,
    /// How long is measured in each, in seconds
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// What passes before measuring begins, in seconds
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    warmup: u32,
    #[command(flatten)]
    prices: PriceOptions,
    /// Writes the pictures, uplink.svg, servers.svg and quality.svg, to a directory
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
}

/// Sizes of conferences, ascending.
#[derive(Clone, PartialEq, Debug)]
struct Sizes(Vec<usize>);

fn sizes(text: &str) -> Result<Sizes, String> {
    let wrong = || format!("{text:?} is no range of sizes; 2..20 is one, and 2,5,10 are three");
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
    let mut sizes: Vec<usize> = match text.split_once("..") {
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(format!("{text:?} goes down; say {to}..{from}"));
            }
            if to > MOST_PARTICIPANTS {
                return Err(PlanError::TooMany(to).to_string());
            }
            (from..=to).collect()
        }
        None => text.split(',').map(number).collect::<Result<_, _>>()?,
    };
    sizes.sort_unstable();
    sizes.dedup();
    Ok(Sizes(sizes))
}

pub(super) fn run(args: &CompareArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    if let Some(directory) = &args.plot {
        prepare(directory)?;
    }
    let config = config(args, everywhere.seed);
    for warning in args.meeting.idle(Topology::Sfu, args.fidelity) {
        eprintln!("warning: {warning}");
    }
    let interrupted = interruption()?;
    let conferences = style("{bar:40} {human_pos} of {human_len} conferences, {eta} left");
    let bar = Bar::new(0, 0, conferences);
    let comparison = compare(
        &config,
        &interrupted,
        |all| bar.lengthen(all as u64),
        || bar.step(1),
    )?;
    bar.finish();
    let command = command(args, everywhere.seed);
    let compared = report::Compared {
        config: &config,
        comparison: &comparison,
        prices: args.prices.prices(),
        command: &command,
    };
    if let Some(directory) = &args.plot {
        for plot in report::plots(&compared) {
            let path = directory.join(plot.file);
            write_file(&path, |file| file.write_all(plot.svg.as_bytes()))?;
        }
    }
    let mut out = stdout();
    report::compare(&mut out, everywhere.format, &compared)?;
    out.flush()?;
    Ok(if comparison.complete {
        Done::Well
    } else {
        Done::Interrupted
    })
}

/// Whether pictures can be written is found out before a minute is spent on them.
fn prepare(directory: &Path) -> Result<(), Failure> {
    let shown = directory.display();
    if directory.exists() && !directory.is_dir() {
        return Err(format!("--plot {shown} is a file; it has to be a directory").into());
    }
    fs::create_dir_all(directory)
        .map_err(|error| format!("--plot {shown} can't be made: {error}").into())
}

fn config(args: &CompareArgs, seed: u64) -> CompareConfig {
    let times = (
        Duration::from_secs(args.warmup.into()),
        Duration::from_secs(args.seconds.into()),
    );
    // As many as it takes until networks and links come in the same order again.
    let pattern = args.meeting.pattern();
    // Under an SFU, so that options for servers that select are kept.
    let base = args
        .meeting
        .config(Topology::Sfu, pattern.max(2), times, seed);
    CompareConfig {
        base,
        sizes: args.participants.0.clone(),
        topologies: usual_topologies(),
        fidelity: args.fidelity,
        crossovers: AccessProfile::ALL.to_vec(),
        jobs: args.jobs.get(),
    }
}

/// The command that repeats this comparison.
fn command(args: &CompareArgs, seed: u64) -> String {
    let sizes = &args.participants.0;
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let sizes = if last - first + 1 == sizes.len() {
        format!("{first}..{last}")
    } else {
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        sizes.join(",")
    };
    let mut line = format!("pinhole compare --participants {sizes}");
    line.push_str(&args.meeting.written());
    if args.fidelity != Fidelity::Flow {
        line.push_str(&format!(" --fidelity {}", args.fidelity));
    }
    if args.seconds != 10 {
        line.push_str(&format!(" --seconds {}", args.seconds));
    }
    if args.warmup != 10 {
        line.push_str(&format!(" --warmup {}", args.warmup));
    }
    if seed != 1 {
        line.push_str(&format!(" --seed {seed}"));
    }
    line
}

/// A bar on standard error, if that is a terminal.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_ranges_or_lists() {
        assert_eq!(sizes("2..5"), Ok(Sizes(vec![2, 3, 4, 5])));
        assert_eq!(sizes("10,2,5,2"), Ok(Sizes(vec![2, 5, 10])));
        assert_eq!(sizes("7"), Ok(Sizes(vec![7])));
        for nonsense in ["", "2..", "..", "5..2", "2-5", "2..1000000", "a"] {
            assert!(sizes(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
