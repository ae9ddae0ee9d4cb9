//! `pinhole nat`.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use pinhole::nat::{FilterMemory, Hairpinning};
use pinhole::topology::preset::{self, Preset};
use pinhole::topology::{Edge, Kind};

use super::options::{filter_memory, milliseconds};
use super::output::stdout;
use super::{Done, Everywhere, Failure};
use crate::check::{Subject, check};
use crate::discover::{DiscoverOptions, discover};
use crate::report::{self, Format};

#[derive(Args)]
pub(super) struct NatArgs {
    #[command(subcommand)]
    command: NatCommand,
}

#[derive(Subcommand)]
enum NatCommand {
    /// Finds out what a device does, from inside and over the wire, as RFC 5780 describes it
    Discover(DiscoverArgs),
    /// Examines a device by what RFC 4787, RFC 5382, RFC 6888 and RFC 7857 ask of a NAT
    Check(CheckArgs),
    /// Lists devices as they are in the wild: their names are kinds of network
    Presets(PresetsArgs),
}

#[derive(Args)]
struct DeviceArgs {
    /// The device, such as nat:eim/apdf or home-router, or several in a row:
    /// home-router>carrier-grade
    #[arg(long, value_name = "KIND")]
    nat: Kind,
    /// NATs of the kind nat:M/F send packets from inside to their own external addresses back in
    #[arg(long)]
    hairpin: bool,
    /// Whose past the filters of NATs of the kind nat:M/F remember: endpoint (RFC 4787) or mapping
    /// (connection tracking)
    #[arg(long, default_value = "endpoint", value_name = "WHOSE", value_parser = filter_memory)]
    filter_memory: FilterMemory,
}

impl DeviceArgs {
    fn hairpinning(&self) -> Hairpinning {
        if self.hairpin {
            Hairpinning::ExternalSource
        } else {
            Hairpinning::Off
        }
    }

    /// Options that nothing here is told by are refused: presets say everything themselves.
    fn refuse_idle_options(&self) -> Result<(), Failure> {
        let is_nat = |edge: &Edge| matches!(edge, Edge::Nat(..));
        if self.nat.edges().iter().any(is_nat) {
            return Ok(());
        }
        let option = match (self.hairpin, self.filter_memory) {
            (true, _) => "--hairpin",
            (false, FilterMemory::Mapping) => "--filter-memory",
            (false, FilterMemory::InternalEndpoint) => return Ok(()),
        };
        let message = format!(
            "{option} is for NATs of the kind nat:M/F, of which {} has none: presets say themselves \
             what they do (`pinhole nat presets`)",
            self.nat
        );
        Err(message.into())
    }
}

#[derive(Args)]
struct DiscoverArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// One way between the device and the STUN server, in milliseconds
    #[arg(long, default_value = "20", value_name = "MS", value_parser = milliseconds)]
    delay_ms: Duration,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Shows the packets that prove each verdict
    #[arg(long)]
    explain: bool,
}

#[derive(Args)]
struct PresetsArgs {
    /// Only these [default: all]
    #[arg(value_name = "NAME", value_parser = preset_named)]
    names: Vec<&'static Preset>,
}

fn preset_named(name: &str) -> Result<&'static Preset, String> {
    preset::find(name).ok_or_else(|| {
        let names: Vec<&str> = preset::all().map(|preset| preset.name).collect();
        format!("no preset is called that; there are {}", names.join(", "))
    })
}

pub(super) fn run(args: &NatArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    match &args.command {
        NatCommand::Discover(args) => run_discover(args, everywhere),
        NatCommand::Check(args) => run_check(args, everywhere),
        NatCommand::Presets(args) => run_presets(args, everywhere),
    }
}

fn run_discover(args: &DiscoverArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let device = &args.device;
    device.refuse_idle_options()?;
    let options = DiscoverOptions {
        delay: args.delay_ms,
        hairpinning: device.hairpinning(),
        filter_memory: device.filter_memory,
        ..DiscoverOptions::default()
    };
    let discovery = discover(&device.nat, &options, everywhere.seed)?;
    let mut out = stdout();
    report::discovery(&mut out, everywhere.format, &device.nat, &discovery)?;
    out.flush()?;
    Ok(Done::Well)
}

fn run_check(args: &CheckArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let device = &args.device;
    device.refuse_idle_options()?;
    if args.explain && everywhere.format == Format::Csv {
        return Err(
            "--explain shows packets, which csv has no place for; use table or json".into(),
        );
    }
    let subject = Subject::of(&device.nat, device.hairpinning(), device.filter_memory);
    let found = check(&subject, everywhere.seed)?;
    let mut out = stdout();
    let Everywhere { seed, format } = everywhere;
    report::check(&mut out, format, &device.nat, seed, &found, args.explain)?;
    out.flush()?;
    Ok(if found.passes() {
        Done::Well
    } else {
        Done::Unmet
    })
}

fn run_presets(args: &PresetsArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let mut out = stdout();
    report::presets(&mut out, everywhere.format, &args.names)?;
    out.flush()?;
    Ok(Done::Well)
}
