//! A scenario from its text.

use std::path::Path;
use std::time::Duration;

use pinhole::Time;
use pinhole::link::{AccessProfile, Conditions, Link, Loss};
use pinhole::nat::FilterMemory;
use pinhole::topology::Kind;

use super::fields::{CALL, ENDPOINT, RESTART, ROOT, names};
use super::{Scenario, expect, fault, nat};
use crate::call::{self, CallConfig, Neighbourhood, RestartPolicy, Roles};
use crate::file::{self, Document, Field, FileError, Table};
use crate::survey;

/// An hour: more than any scenario lasts.
const MOST_MILLISECONDS: f64 = 3_600_000.0;

/// Packets of one call, if nothing is said: hundreds of times what a minute's call sends.
const USUAL_PACKETS: u64 = 1_000_000;

impl Scenario {
    /// Reads a scenario from the text of a file; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// It makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, FileError> {
        let document = Document::parse(file, text)?;
        let root = document.root(&names(ROOT))?;
        let description =
            description(&root.require("description", "description = \"Two homes\"")?)?;
        let field_a = root.require("a", "[a] with network = \"nat:eim/apdf\"")?;
        let a = field_a.table(&names(ENDPOINT))?;
        let b = match root.get("b") {
            Some(field) => Some(field.table(&names(ENDPOINT))?),
            None => None,
        };
        let kind = |table: &Table<'_>| -> Result<Kind, FileError> {
            let field = table.require("network", "network = \"nat:eim/apdf\"")?;
            field.parse()
        };
        let kind_a = kind(&a)?;
        let mut call = CallConfig::new(kind_a.clone(), kind_a);
        call.budget.packets = USUAL_PACKETS;
        if let Some(field) = root.get("call") {
            settings(&field, &mut call)?;
        }
        let apart = !call.neighbourhood.is_one_lan();
        match &b {
            Some(b) if apart => call.kinds[1] = kind(b)?,
            Some(b) => {
                // B's network is A's.
                for name in ["network", "access", "loss", "nat", "ipv6", "roams_to"] {
                    if let Some(field) = b.get(name) {
                        let message = "on one local network this is A's, and said of A only";
                        return Err(field.error(message));
                    }
                }
            }
            None if apart => {
                let example = "[b] with network = \"nat:eim/apdf\"";
                return Err(root.error(format!("b is missing; for example: {example}")));
            }
            None => {}
        }
        if let Some(carrier) = call.neighbourhood.carrier() {
            let homes = [Some(&a), b.as_ref()].into_iter().flatten();
            for (home, kind) in homes.zip(&call.kinds) {
                if let (Some(field), Err(error)) = (home.get("network"), kind.behind(carrier)) {
                    return Err(field.error(format!("behind the shared carrier: {error}")));
                }
            }
        }
        endpoint(&a, 0, &mut call)?;
        if let Some(b) = &b {
            endpoint(b, 1, &mut call)?;
        }
        if !apart {
            call.ipv6[1] = call.ipv6[0];
        }
        let seed = root.get("seed");
        if let Some(field) = &seed {
            call.seed = whole(field, 0, 1 << 53)?;
        }
        if let Some(field) = root.get("restart") {
            call.restart = restart(&field)?;
        }
        let mut net = call::lay_out(&call).map_err(|error| field_a.error(error))?;
        if let Some(field) = root.get("fault") {
            for entry in field.list()? {
                call.faults.push(fault::read(&entry, &mut net, call.until)?);
            }
        }
        let field = root.require("expect", "[[expect]] with path_class = \"reflexive\"")?;
        let tells = expect::Tells {
            course: !call.faults.is_empty(),
            roles: call.roles != Roles::Caller,
        };
        let expectations: Vec<_> = field
            .list()?
            .iter()
            .map(|entry| expect::read(entry, net.topology(), tells))
            .collect::<Result<_, FileError>>()?;
        if expectations.is_empty() {
            return Err(
                field.error("a scenario that expects nothing can't fail; add an [[expect]]")
            );
        }
        let name = Path::new(file).file_stem();
        Ok(Scenario {
            name: name.map_or_else(|| file.to_owned(), |it| it.to_string_lossy().into_owned()),
            description,
            call,
            has_seed: seed.is_some(),
            expectations,
        })
    }
}

/// A sentence or two for people.
pub(super) fn description(field: &Field<'_>) -> Result<String, FileError> {
    let text = field.text()?.trim();
    if text.is_empty() {
        return Err(field.error("this is what people are told; say it in a sentence"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(field.error("this has control characters, which a terminal would obey"));
    }
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn endpoint(table: &Table<'_>, side: usize, call: &mut CallConfig) -> Result<(), FileError> {
    if let Some(field) = table.get("stack") {
        call.stacks[side] = field.parse()?;
    }
    if let Some(field) = table.get("port") {
        call.ports[side] = Some(whole(&field, 1, u16::MAX.into())? as u16);
    }
    if let Some(field) = table.get("ipv6") {
        call.ipv6[side] = field.flag()?;
    }
    if let Some(field) = table.get("synthesize") {
        call.synthesize[side] = field.flag()?;
    }
    if let Some(field) = table.get("access") {
        let profiles: Vec<_> = AccessProfile::ALL.iter().map(|it| (it.name, *it)).collect();
        call.access[side] = Some(choose(&field, &profiles)?.link());
    }
    if let Some(field) = table.get("loss") {
        let share = field.share()?;
        let none = Link::symmetric(Conditions::new(Duration::ZERO));
        let link = call.access[side].get_or_insert(none);
        link.up.loss = Loss::Independent(share);
        link.down.loss = Loss::Independent(share);
    }
    if let Some(field) = table.get("roams_to") {
        call.roams_to[side] = Some(field.parse()?);
    }
    if let Some(field) = table.get("nat") {
        let Some(mut config) = call::innermost_nat(&call.kinds[side]) else {
            let kind = &call.kinds[side];
            return Err(field.error(format!("no NAT is on the network {kind}")));
        };
        nat::change(&field, &mut config)?;
        call.nats[side] = Some(config);
    }
    Ok(())
}

fn settings(field: &Field<'_>, call: &mut CallConfig) -> Result<(), FileError> {
    let table = field.table(&names(CALL))?;
    let flag = |name: &str| match table.get(name) {
        Some(field) => field.flag(),
        None => Ok(false),
    };
    call.neighbourhood = match (flag("lan_isolated")?, flag("same_lan")?) {
        (true, _) => Neighbourhood::IsolatedLan,
        (false, true) => Neighbourhood::SameLan,
        (false, false) => Neighbourhood::Apart,
    };
    if let Some(field) = table.get("shared_carrier") {
        if call.neighbourhood.is_one_lan() {
            let message = "both are on one local network, which has no second way out; leave \
                           same_lan and lan_isolated out for two homes behind one carrier";
            return Err(field.error(message));
        }
        call.neighbourhood = Neighbourhood::SharedCarrier(field.parse()?);
    }
    call.hairpinning = flag("hairpin")?;
    call.turn_terms.expired = flag("turn_credentials_expired")?;
    if let Some(field) = table.get("turn") {
        call.turn = survey::turn(&field)?;
    }
    if let Some(field) = table.get("turn_quota") {
        call.turn_terms.quota = Some(whole(&field, 0, u32::MAX.into())? as u32);
    }
    if let Some(field) = table.get("delay_ms") {
        call.delay = milliseconds(&field)?;
    }
    if let Some(field) = table.get("signaling_delay_ms") {
        call.signaling_delay = milliseconds(&field)?;
    }
    if let Some(field) = table.get("until_ms") {
        call.until = Time::ZERO + milliseconds(&field)?;
    }
    if let Some(field) = table.get("trickle") {
        call.trickle = survey::trickle(&field)?;
    }
    if let Some(field) = table.get("roles") {
        let all = Roles::ALL.map(|roles| (roles.name(), roles));
        call.roles = choose(&field, &all)?;
    }
    if let Some(field) = table.get("filter_memory") {
        call.filter_memory = choose(
            &field,
            &[
                ("endpoint", FilterMemory::InternalEndpoint),
                ("mapping", FilterMemory::Mapping),
            ],
        )?;
    }
    if let Some(field) = table.get("packets") {
        call.budget.packets = whole(&field, 1, 1_000_000_000)?;
    }
    Ok(())
}

fn restart(field: &Field<'_>) -> Result<RestartPolicy, FileError> {
    let table = field.table(&names(RESTART))?;
    let flag = |name: &str| match table.get(name) {
        Some(field) => field.flag(),
        None => Ok(true),
    };
    Ok(RestartPolicy {
        on_network_change: flag("on_network_change")?,
        on_disconnected: flag("on_disconnected")?,
        on_failed: flag("on_failed")?,
    })
}

/// Milliseconds, from 0 to an hour.
pub(super) fn milliseconds(field: &Field<'_>) -> Result<Duration, FileError> {
    let millis = field.number()?;
    if !(0.0..=MOST_MILLISECONDS).contains(&millis) {
        let message = format!("milliseconds are from 0 to {MOST_MILLISECONDS}, not {millis}");
        return Err(field.error(message));
    }
    Ok(Duration::from_secs_f64(millis / 1000.0))
}

/// A whole number.
pub(super) fn whole(field: &Field<'_>, least: u64, most: u64) -> Result<u64, FileError> {
    let number = field.number()?;
    if number.fract() != 0.0 || number < least as f64 || number > most as f64 {
        let message = format!("this is a whole number from {least} to {most}, not {number}");
        return Err(field.error(message));
    }
    Ok(number as u64)
}

/// One of these names, and what it stands for.
pub(super) fn choose<T: Copy>(field: &Field<'_>, choices: &[(&str, T)]) -> Result<T, FileError> {
    let written = field.text()?;
    let found = choices.iter().find(|(name, _)| *name == written);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let instead = file::instead(written, &names);
        field.error(format!(
            "{written:?} is none of what this may be; {instead}"
        ))
    })
}
