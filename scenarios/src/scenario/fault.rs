//! `[[fault]]`: what goes wrong, and when.

use pinhole::internet::FaultError;
use pinhole::{Family, Internet, Time};

use super::fields::{FAULT, FAULTS, names};
use super::read::{choose, milliseconds};
use crate::call::{CallFault, CallFaultError};
use crate::file::{self, Field, FileError, Table};

/// Reads a fault, and asks the call's internet whether it can be.
pub(super) fn read(
    field: &Field<'_>,
    net: &mut Internet,
    until: Time,
) -> Result<(Time, CallFault), FileError> {
    let table = field.table(&names(FAULT))?;
    let time = table.require("at_ms", "at_ms = 10000")?;
    let at = Time::ZERO + milliseconds(&time)?;
    if at >= until {
        let until = until.as_millis_f64();
        let message = format!("the call ends at {until} ms, before this fault strikes");
        return Err(time.error(message));
    }
    let what = table.require("fault", "fault = \"reboot\"")?;
    let kinds: Vec<(&str, &str)> = FAULTS.iter().map(|name| (*name, *name)).collect();
    let kind = choose(&what, &kinds)?;
    // What other kinds of fault have is none of this one's.
    let own: &[&str] = match kind {
        "reboot" => &["at_ms", "fault", "node", "external"],
        "flush" | "restart" => &["at_ms", "fault", "node"],
        "roam" => &["at_ms", "fault", "host", "to"],
        "link-down" | "link-up" => &["at_ms", "fault", "link"],
        "partition" | "heal" => &["at_ms", "fault", "between"],
        _ => &["at_ms", "fault", "host", "family"],
    };
    let table = field.table(own)?;
    let node = |name: &str, example: &str| node(&table, name, example, net);
    let two = |name: &str| two(&table, name, net);
    let fault = match kind {
        "reboot" => CallFault::Reboot {
            node: node("node", "node = \"a.nat\"")?,
            external: match table.get("external") {
                Some(field) => {
                    let parse = |entry: &Field<'_>| entry.parse();
                    field.list()?.iter().map(parse).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            },
        },
        "flush" => CallFault::Flush {
            node: node("node", "node = \"a.nat\"")?,
        },
        "restart" => CallFault::Restart {
            node: node("node", "node = \"turn\"")?,
        },
        "roam" => CallFault::Roam {
            host: node("host", "host = \"a\"")?,
            to: node("to", "to = \"a.mobile.nat\"")?,
        },
        "link-down" => CallFault::LinkDown { link: two("link")? },
        "link-up" => CallFault::LinkUp { link: two("link")? },
        "partition" => CallFault::Partition {
            between: two("between")?,
        },
        "heal" => CallFault::Heal {
            between: two("between")?,
        },
        _ => {
            let host = node("host", "host = \"a\"")?;
            let family = table.require("family", "family = \"ipv6\"")?;
            let family = choose(&family, &[("ipv4", Family::V4), ("ipv6", Family::V6)])?;
            if kind == "family-lost" {
                CallFault::FamilyLost { host, family }
            } else {
                CallFault::FamilyRegained { host, family }
            }
        }
    };
    let refused = |error: CallFaultError| table.error(error);
    for one in fault.resolve(net.topology()).map_err(refused)? {
        let accepted = net.schedule_fault(at, one);
        accepted.map_err(|error: FaultError| table.error(error))?;
    }
    Ok((at, fault))
}

fn node(table: &Table<'_>, name: &str, example: &str, net: &Internet) -> Result<String, FileError> {
    known(&table.require(name, example)?, net)
}

fn two(table: &Table<'_>, name: &str, net: &Internet) -> Result<[String; 2], FileError> {
    let example = format!("{name} = [\"a.nat\", \"internet\"]");
    let field = table.require(name, &example)?;
    let ends = field.list()?;
    let [one, other] = &ends[..] else {
        return Err(field.error(format!("these are two nodes: {example}")));
    };
    Ok([known(one, net)?, known(other, net)?])
}

/// The name of a node that there is.
fn known(field: &Field<'_>, net: &Internet) -> Result<String, FileError> {
    let (written, topology) = (field.text()?, net.topology());
    if topology.find(written).is_some() {
        return Ok(written.to_owned());
    }
    let known: Vec<&str> = topology.nodes().map(|node| topology.name(node)).collect();
    let instead = file::instead(written, &known);
    Err(field.error(format!("no node is called {written:?}; {instead}")))
}
