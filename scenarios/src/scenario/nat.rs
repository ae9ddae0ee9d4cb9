//! `[a.nat]`: what the innermost NAT of a network does beyond what its kind says.

use std::time::Duration;

use pinhole::nat::{
    Capacity, ChangeOfMind, Conflict, Fragments, IcmpErrors, NatConfig, Pooling, PortAllocation,
    PortBlocks, PortConflict, PortOverloading, Refresh, RouterInput, TooBig, UnsolicitedSyn,
    WhenFull,
};

use super::fields::{MIND, NAT, names};
use super::read::{choose, whole};
use crate::file::{Field, FileError, Table};

/// What `nat` becomes by the fields of a table.
pub(super) fn change(field: &Field<'_>, nat: &mut NatConfig) -> Result<(), FileError> {
    let table = field.table(&names(NAT))?;
    ports(&table, nat)?;
    lifetimes(&table, nat)?;
    let flag = |name: &str, target: &mut bool| -> Result<(), FileError> {
        if let Some(field) = table.get(name) {
            *target = field.flag()?;
        }
        Ok(())
    };
    flag("port_parity", &mut nat.port_parity)?;
    flag("port_contiguity", &mut nat.port_contiguity)?;
    flag("reports_exhaustion", &mut nat.reports_exhaustion)?;
    flag("rewrites_payloads", &mut nat.rewrites_payloads)?;
    choice(
        &table,
        "pooling",
        &mut nat.pooling,
        &[
            ("paired", Pooling::Paired),
            ("arbitrary", Pooling::Arbitrary),
        ],
    )?;
    choice(
        &table,
        "refresh",
        &mut nat.refresh,
        &[
            ("outbound", Refresh::Outbound),
            ("both-ways", Refresh::BothWays),
            ("refused-too", Refresh::RefusedToo),
        ],
    )?;
    choice(
        &table,
        "icmp_errors",
        &mut nat.icmp_errors,
        &[
            ("translated", IcmpErrors::Translated),
            ("dropped", IcmpErrors::Dropped),
            ("end-mapping", IcmpErrors::EndMapping),
        ],
    )?;
    choice(
        &table,
        "fragments",
        &mut nat.fragments,
        &[
            ("any-order", Fragments::AnyOrder { limit: 256 * 1024 }),
            ("in-order", Fragments::InOrder),
            ("dropped", Fragments::Dropped),
        ],
    )?;
    choice(
        &table,
        "too_big",
        &mut nat.too_big,
        &[("reported", TooBig::Reported), ("silent", TooBig::Silent)],
    )?;
    choice(
        &table,
        "unsolicited_syn",
        &mut nat.unsolicited_syn,
        &[
            ("wait", UnsolicitedSyn::Wait(Duration::from_secs(6))),
            ("silence", UnsolicitedSyn::Silence),
            ("reset", UnsolicitedSyn::Reset),
        ],
    )?;
    choice(
        &table,
        "router_input",
        &mut nat.router_input,
        &[("drop", RouterInput::Drop), ("accept", RouterInput::Accept)],
    )?;
    if let Some(field) = table.get("capacity") {
        let mut when_full = WhenFull::Drop;
        choice(
            &table,
            "when_full",
            &mut when_full,
            &[
                ("drop", WhenFull::Drop),
                ("evict-oldest", WhenFull::EvictOldest),
            ],
        )?;
        let mappings = whole(&field, 0, u32::MAX.into())? as u32;
        nat.capacity = Some(Capacity {
            mappings,
            when_full,
        });
    } else if let Some(field) = table.get("when_full") {
        return Err(
            field.error("a NAT is never full without a capacity; for example: capacity = 100")
        );
    }
    if let Some(field) = table.get("subscriber_limit") {
        nat.subscriber_limit = Some(whole(&field, 0, u32::MAX.into())? as u32);
    }
    if let Some(field) = table.get("changes_mind") {
        nat.change_of_mind = Some(change_of_mind(&field)?);
    }
    Ok(())
}

fn ports(table: &Table<'_>, nat: &mut NatConfig) -> Result<(), FileError> {
    let mut on_conflict = PortConflict::NextFree;
    choice(
        table,
        "on_conflict",
        &mut on_conflict,
        &[
            ("next-free", PortConflict::NextFree),
            ("sequential", PortConflict::Sequential),
            ("random", PortConflict::Random),
            ("takeover", PortConflict::Takeover),
        ],
    )?;
    let step = match table.get("step") {
        Some(field) => whole(&field, 1, u16::MAX.into())? as u16,
        None => 1,
    };
    choice(
        table,
        "ports",
        &mut nat.ports,
        &[
            ("preserving", PortAllocation::Preserving { on_conflict }),
            ("sequential", PortAllocation::Sequential { step }),
            ("random", PortAllocation::Random),
        ],
    )?;
    let says = |name: &str| {
        table
            .get("ports")
            .is_some_and(|ports| ports.text() == Ok(name))
    };
    for (field, needs) in [("on_conflict", "preserving"), ("step", "sequential")] {
        if let Some(field) = table.get(field).filter(|_| !says(needs)) {
            return Err(field.error(format!("this counts only with ports = {needs:?}")));
        }
    }
    choice(
        table,
        "port_overloading",
        &mut nat.port_overloading,
        &[
            ("never", PortOverloading::Never),
            ("distinct-remotes", PortOverloading::DistinctRemotes),
            ("always", PortOverloading::Always),
        ],
    )?;
    if let Some(field) = table.get("port_range") {
        let ends = field.list()?;
        let [low, high] = &ends[..] else {
            return Err(field.error("a range has two ends: [1024, 65535]"));
        };
        let port = |field: &Field<'_>| Ok::<_, FileError>(whole(field, 1, u16::MAX.into())? as u16);
        nat.port_range = port(low)?..=port(high)?;
        if nat.port_range.is_empty() {
            return Err(field.error("a range has its lower end first: [1024, 65535]"));
        }
    }
    if let Some(field) = table.get("port_blocks") {
        let blocks = field.table(&["size", "most"])?;
        let number = |name: &str, example: &str| {
            let field = blocks.require(name, example)?;
            Ok::<_, FileError>(whole(&field, 1, u16::MAX.into())? as u16)
        };
        nat.port_blocks = Some(PortBlocks {
            size: number("size", "size = 512")?,
            most: number("most", "most = 4")?,
        });
    }
    Ok(())
}

fn lifetimes(table: &Table<'_>, nat: &mut NatConfig) -> Result<(), FileError> {
    let seconds = |name: &str| -> Result<Option<Duration>, FileError> {
        let Some(field) = table.get(name) else {
            return Ok(None);
        };
        let seconds = field.number()?;
        let least = if name == "port_rest_s" { 0.0 } else { 0.001 };
        if !(least..=86_400.0).contains(&seconds) {
            return Err(field.error(format!(
                "seconds are from {least} to 86400 here, not {seconds}"
            )));
        }
        Ok(Some(Duration::from_secs_f64(seconds)))
    };
    let lives = &mut nat.lifetimes;
    lives.udp = seconds("lifetime_s")?.unwrap_or(lives.udp);
    lives.udp_unanswered = seconds("unanswered_lifetime_s")?.or(lives.udp_unanswered);
    lives.tcp_transitory = seconds("tcp_opening_lifetime_s")?.unwrap_or(lives.tcp_transitory);
    lives.tcp_established = seconds("tcp_lifetime_s")?.unwrap_or(lives.tcp_established);
    lives.icmp_query = seconds("ping_lifetime_s")?.unwrap_or(lives.icmp_query);
    nat.port_rest = seconds("port_rest_s")?.unwrap_or(nat.port_rest);
    Ok(())
}

fn change_of_mind(field: &Field<'_>) -> Result<ChangeOfMind, FileError> {
    let table = field.table(&names(MIND))?;
    let when = match table.get("at_mappings") {
        Some(field) => Conflict::Mappings(whole(&field, 0, u32::MAX.into())? as u32),
        None => Conflict::PortTaken,
    };
    Ok(ChangeOfMind {
        when,
        mapping: table.require("mapping", "mapping = \"apdm\"")?.parse()?,
        filtering: table
            .require("filtering", "filtering = \"apdf\"")?
            .parse()?,
    })
}

/// Sets what a field chooses, if it is there.
fn choice<T: Copy>(
    table: &Table<'_>,
    name: &str,
    target: &mut T,
    choices: &[(&str, T)],
) -> Result<(), FileError> {
    if let Some(field) = table.get(name) {
        *target = choose(&field, choices)?;
    }
    Ok(())
}
