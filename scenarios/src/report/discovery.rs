//! What a device was found to do.

use std::io::{self, Write};

use pinhole::topology::Kind;
use pinhole::{Filtering, Mapping};
use serde::Serialize;

use super::span::span;
use super::style::{BOLD, DIM};
use super::{Format, print_json};
use crate::discover::{Device, Discovery, Hairpin, LIFETIME_SEARCH, Lifetime, Step};

#[derive(Serialize)]
struct DiscoveryRow {
    nat: String,
    mapping: &'static str,
    filtering: Option<&'static str>,
    hairpin: Option<bool>,
    port_preservation: Option<bool>,
    mapping_lifetime_ms: Option<u64>,
    external: Option<String>,
}

impl DiscoveryRow {
    fn new(kind: &Kind, discovery: &Discovery) -> Self {
        let device = discovery.device.as_ref();
        DiscoveryRow {
            nat: kind.to_string(),
            mapping: match device {
                None => "blocked",
                Some(device) => device.mapping.map_or("none", Mapping::name),
            },
            filtering: device.map(|device| device.filtering.name()),
            hairpin: device.map(|device| device.hairpinning == Hairpin::Yes),
            port_preservation: device.map(|device| device.port_preservation),
            mapping_lifetime_ms: device.and_then(|device| device.lifetime.as_millis()),
            external: device.map(|device| device.external.to_string()),
        }
    }
}

/// Prints what a device of this kind was found to do.
///
/// # Errors
///
/// `out` can't be written to.
pub fn discovery(
    out: &mut dyn Write,
    format: Format,
    kind: &Kind,
    discovery: &Discovery,
) -> io::Result<()> {
    let row = DiscoveryRow::new(kind, discovery);
    match format {
        Format::Table => table(out, kind, discovery),
        Format::Json => print_json(out, &row),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.serialize(row)?;
            csv.flush()
        }
    }
}

fn table(out: &mut dyn Write, kind: &Kind, discovery: &Discovery) -> io::Result<()> {
    writeln!(
        out,
        "{BOLD}What {kind} does, as a client behind it finds out{BOLD:#}\n"
    )?;
    match &discovery.device {
        None => writeln!(out, "UDP          blocked: no request was answered")?,
        Some(device) => verdicts(out, device)?,
    }
    writeln!(out, "\n{BOLD}The tests (RFC 5780){BOLD:#}")?;
    let width = discovery
        .log
        .iter()
        .map(|step| step.test.len())
        .max()
        .unwrap_or(0);
    for step in &discovery.log {
        tell(out, step, width)?;
    }
    Ok(())
}

fn verdicts(out: &mut dyn Write, device: &Device) -> io::Result<()> {
    let mapping = match device.mapping {
        None => "none: the server saw the client's own address",
        Some(Mapping::EndpointIndependent) => {
            "eim, endpoint-independent: one external endpoint for every destination"
        }
        Some(Mapping::AddressDependent) => {
            "adm, address-dependent: another external endpoint for each remote address"
        }
        Some(Mapping::AddressAndPortDependent) => {
            "apdm, address-and-port-dependent: another external endpoint for each remote endpoint"
        }
    };
    let filtering = match device.filtering {
        Filtering::EndpointIndependent => "eif, endpoint-independent: lets anybody in",
        Filtering::AddressDependent => {
            "adf, address-dependent: lets in addresses that were sent to"
        }
        Filtering::AddressAndPortDependent => {
            "apdf, address-and-port-dependent: lets in endpoints that were sent to"
        }
    };
    let hairpinning = match device.hairpinning {
        Hairpin::Yes => "yes",
        Hairpin::No => "no",
        Hairpin::Hidden => "none that a host inside could use",
    };
    let ports = if device.port_preservation {
        "preserved"
    } else {
        "not preserved"
    };
    let lifetime = match device.lifetime {
        Lifetime::Expires(after) => {
            format!("{} without a packet from inside", span(after))
        }
        Lifetime::Outlives(waited) => format!("longer than the {} tried", span(waited)),
    };
    writeln!(out, "mapping      {mapping}")?;
    writeln!(out, "filtering    {filtering}")?;
    writeln!(out, "hairpinning  {hairpinning}")?;
    writeln!(out, "ports        {ports}")?;
    writeln!(out, "lifetime     {lifetime}")?;
    writeln!(out, "external     {}", device.external)
}

/// A test in one line: when, what was asked of whom, what came back, and what that says.
fn tell(out: &mut dyn Write, step: &Step, width: usize) -> io::Result<()> {
    let at = step.at.as_millis_f64() / 1000.0;
    let (test, to) = (step.test, step.to);
    // The search for the lifetime asks the same thing many times over.
    if test == LIFETIME_SEARCH {
        return writeln!(
            out,
            "{DIM}{at:>9.3} s{DIM:#}  {test:<width$}  {}",
            step.conclusion
        );
    }
    let answer = match step.answer {
        None => "no answer".to_owned(),
        Some(answer) => match answer.mapped {
            Some(mapped) => format!("{} says {mapped}", answer.from),
            None => format!("it came back from {}", answer.from),
        },
    };
    writeln!(
        out,
        "{DIM}{at:>9.3} s{DIM:#}  {test:<width$}  to {to}: {answer}"
    )?;
    writeln!(
        out,
        "{:13}{:width$}  {DIM}{}{DIM:#}",
        "", "", step.conclusion
    )
}
