//! `pinhole nat`.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use pinhole::nat::{FilterMemory, Hairpinning};
use pinhole::topology::Kind;

use super::options::{filter_memory, milliseconds};
use super::output::stdout;
use super::{Done, Everywhere, Failure};
use crate::discover::{DiscoverOptions, discover};
use crate::report;

#[derive(Args)]
pub(super) struct NatArgs {
    #[command(subcommand)]
    command: NatCommand,
}

#[derive(Subcommand)]
enum NatCommand {
    /// Finds out what a device does, from inside and over the wire, as RFC 5780 describes it
    Discover(DiscoverArgs),
}

#[derive(Args)]
struct DiscoverArgs {
    /// The device, such as nat:eim/apdf, or several in a row: nat:eim/apdf>nat:eim/eif
    #[arg(long, value_name = "KIND")]
    nat: Kind,
    /// One way between the device and the STUN server, in milliseconds
    #[arg(long, default_value = "20", value_name = "MS", value_parser = milliseconds)]
    delay_ms: Duration,
    /// NATs send packets from inside to their own external addresses back in
    #[arg(long)]
    hairpin: bool,
    /// Whose past NATs' filters remember: endpoint (RFC 4787) or mapping (connection tracking)
    #[arg(long, default_value = "endpoint", value_name = "WHOSE", value_parser = filter_memory)]
    filter_memory: FilterMemory,
}

pub(super) fn run(args: &NatArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let NatCommand::Discover(args) = &args.command;
    let options = DiscoverOptions {
        delay: args.delay_ms,
        hairpinning: if args.hairpin {
            Hairpinning::ExternalSource
        } else {
            Hairpinning::Off
        },
        filter_memory: args.filter_memory,
        ..DiscoverOptions::default()
    };
    let discovery = discover(&args.nat, &options, everywhere.seed)?;
    let mut out = stdout();
    report::discovery(&mut out, everywhere.format, &args.nat, &discovery)?;
    out.flush()?;
    Ok(Done::Well)
}
