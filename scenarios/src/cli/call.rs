//! `pinhole call`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use pinhole::topology::Kind;

use super::options::CallOptions;
use super::output::{stdout, write_file};
use super::{Done, Everywhere, Failure};
use crate::call::{CallConfig, Caller, Neighbourhood, Roles};
use crate::explain::explain;
use crate::report::{self, Format};

#[derive(Args)]
pub(super) struct CallArgs {
    /// The kind of network that A is on, such as nat:eim/apdf, open or nat:eim/apdf>nat:eim/eif
    #[arg(long, value_name = "KIND")]
    a: Kind,
    /// The kind of network that B is on; with --same-lan it is A's
    #[arg(long, value_name = "KIND", required_unless_present_any = ["same_lan", "lan_isolated"])]
    b: Option<Kind>,
    /// Both endpoints are on one local network, behind A's edge
    #[arg(long)]
    same_lan: bool,
    /// Both endpoints are behind A's edge, but can't reach each other on the local network
    #[arg(long)]
    lan_isolated: bool,
    /// Both endpoints' edges are behind one carrier of this kind, and not on the internet
    #[arg(long, value_name = "KIND", conflicts_with_all = ["same_lan", "lan_isolated"])]
    shared_carrier: Option<Kind>,
    /// Who believes that it controls: caller, both-controlling, both-controlled, or glare (both make
    /// an offer at once)
    #[arg(long, default_value = "caller", value_name = "ROLES")]
    roles: Roles,
    #[command(flatten)]
    options: CallOptions,
    /// Writes every packet, at every interface it passed, to a pcapng file for Wireshark
    #[arg(long, value_name = "FILE.pcapng")]
    pcap: Option<PathBuf>,
    /// Draws the call as a sequence diagram
    #[arg(long, value_name = "FILE.svg")]
    ladder: Option<PathBuf>,
    /// Draws the network that the call happens on
    #[arg(long, value_name = "FILE.svg")]
    plan: Option<PathBuf>,
    /// Tells the story of the call: what was dropped where and why, and what opened the way
    #[arg(long)]
    explain: bool,
}

/// Columns of a story: what most terminals have, and most eyes can follow.
const STORY_WIDTH: usize = 100;

pub(super) fn run(args: &CallArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    if args.explain && everywhere.format == Format::Csv {
        return Err(
            "--explain tells a story, which csv has no place for; use table or json".into(),
        );
    }
    let config = config(args, everywhere.seed)?;
    let records = args.pcap.is_some() || args.ladder.is_some() || args.explain;
    let mut caller = if records {
        Caller::recording()
    } else {
        Caller::new()
    };
    let call = caller.call(&config)?;
    if let Some(path) = &args.pcap {
        write_file(path, |file| call.net.write_pcapng(file))?;
    }
    if let Some(path) = &args.ladder {
        let drawing = report::ladder::ladder(&call);
        write_file(path, |file| file.write_all(drawing.as_bytes()))?;
    }
    if let Some(path) = &args.plan {
        let drawing = report::plan(&call);
        write_file(path, |file| file.write_all(drawing.as_bytes()))?;
    }
    let story = args
        .explain
        .then(|| report::story(&explain(&call), STORY_WIDTH));
    let mut out = stdout();
    let told = story.clone().filter(|_| everywhere.format == Format::Json);
    report::call(&mut out, everywhere.format, &config, &call.outcome, told)?;
    if let Some(story) = story.filter(|_| everywhere.format == Format::Table) {
        writeln!(out)?;
        for line in story {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(Done::Well)
}

fn config(args: &CallArgs, seed: u64) -> Result<CallConfig, Failure> {
    let neighbourhood = match (args.lan_isolated, args.same_lan, &args.shared_carrier) {
        (true, ..) => Neighbourhood::IsolatedLan,
        (_, true, _) => Neighbourhood::SameLan,
        (_, _, Some(carrier)) => Neighbourhood::SharedCarrier(carrier.clone()),
        _ => Neighbourhood::Apart,
    };
    let b = args.b.clone().unwrap_or_else(|| args.a.clone());
    if neighbourhood.is_one_lan() && b != args.a {
        let message = format!(
            "on one local network both endpoints are behind A's edge, {}; leave --b out instead of \
             asking for {b}",
            args.a
        );
        return Err(message.into());
    }
    if neighbourhood.is_one_lan() && args.options.names_one_side_ipv6() {
        let message = "on one local network both endpoints have IPv6 or neither; use --ipv6";
        return Err(message.into());
    }
    if let Some(carrier) = neighbourhood.carrier() {
        for home in [&args.a, &b] {
            home.behind(carrier).map_err(|error| error.to_string())?;
        }
    }
    let config = args.options.config([args.a.clone(), b], seed);
    Ok(CallConfig {
        neighbourhood,
        roles: args.roles,
        ..config
    })
}
