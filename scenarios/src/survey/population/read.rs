//! A population's file, read.

use std::time::Duration;

use pinhole::link::AccessProfile;
use pinhole::nat::FilterMemory;
use pinhole::topology::Kind;
use pinhole::{Budget, Time};

use super::{Class, Group, Population, USUAL_PACKETS};
use crate::call::{CallConfig, Trickle, TurnOffer, TurnTransport};
use crate::file::{self, Document, Field, FileError, Table};
use crate::ice::Stack;
use crate::survey::stacks::StackMix;
use crate::survey::weighted::Weighted;

/// More classes than anybody tells apart; pairs are counted for every two of them.
const MOST_CLASSES: usize = 200;

/// The longest name: names are table headings and lines of files.
const LONGEST_NAME: usize = 80;

const EXAMPLE: &str = "[[class]] with network = \"nat:eim/apdf\" and weight = 1";

const FIELDS: [&str; 10] = [
    "name", "basis", "same_lan", "turn", "class", "group", "stacks", "stacks_a", "stacks_b", "call",
];

impl Population {
    /// Reads a population from the text of a file; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// It makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Population, FileError> {
        let document = Document::parse(file, text)?;
        let root = document.root(&FIELDS)?;
        let name = name(&root.require("name", "name = \"my users\"")?)?;
        let basis = root.get("basis").map(|field| field.text()).transpose()?;
        let share = |field: Field<'_>| field.share();
        let same_lan = root.get("same_lan").map(share).transpose()?.unwrap_or(0.0);
        let turn = match root.get("turn") {
            Some(field) => turn(&field)?,
            None => TurnOffer::all(),
        };
        let classes = classes(&root)?;
        let groups = groups(&root, &classes)?;
        let stacks = stacks(&root)?;
        let any = classes[0].kind.clone();
        let mut call = CallConfig {
            turn,
            budget: Budget {
                packets: USUAL_PACKETS,
                ..Budget::default()
            },
            ..CallConfig::new(any.clone(), any)
        };
        if let Some(field) = root.get("call") {
            settings(&field, &mut call)?;
        }
        Ok(Population {
            name,
            basis: basis.map(str::to_owned),
            same_lan,
            classes,
            groups,
            stacks,
            call,
        })
    }
}

fn name(field: &Field<'_>) -> Result<String, FileError> {
    let name = field.text()?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let message = format!("a name has from 1 to {LONGEST_NAME} characters");
        return Err(field.error(message));
    }
    if name.chars().any(char::is_control) {
        return Err(field.error("a name is one line of letters; this has control characters"));
    }
    Ok(name.to_owned())
}

/// A list of the transports that the service offers.
pub(crate) fn turn(field: &Field<'_>) -> Result<TurnOffer, FileError> {
    let mut offer = TurnOffer::OFF;
    for entry in field.list()? {
        let name = entry.text()?;
        let known = TurnTransport::ALL;
        let Some(transport) = known.into_iter().find(|it| it.name() == name) else {
            let message = format!(
                "no TURN transport is called {name:?}; {}",
                file::instead(name, &known.map(TurnTransport::name))
            );
            return Err(entry.error(message));
        };
        offer = offer.with(transport);
    }
    Ok(offer)
}

fn classes(root: &Table<'_>) -> Result<Vec<Class>, FileError> {
    let field = root.require("class", EXAMPLE)?;
    let mut classes: Vec<Class> = Vec::new();
    for entry in field.list()? {
        let table = entry.table(&["name", "network", "weight", "ipv6", "access"])?;
        let network = table.require("network", "network = \"nat:eim/apdf\"")?;
        let kind: Kind = network.parse()?;
        let name = match table.get("name") {
            Some(field) => {
                let name = name(&field)?;
                if classes.iter().any(|class| class.name == name) {
                    return Err(field.error(format!("two classes are called {name:?}")));
                }
                name
            }
            None => kind.to_string(),
        };
        let share = |field: Field<'_>| field.share();
        classes.push(Class {
            name,
            kind,
            weight: table.require("weight", "weight = 0.5")?.weight()?,
            ipv6: table.get("ipv6").map(share).transpose()?.unwrap_or(0.0),
            access: table.get("access").map(|it| access(&it)).transpose()?,
        });
    }
    if classes.is_empty() {
        return Err(field.error(format!("there is no class; for example: {EXAMPLE}")));
    }
    if classes.len() > MOST_CLASSES {
        let message = format!(
            "{} classes are more than the {MOST_CLASSES} that are counted",
            classes.len()
        );
        return Err(field.error(message));
    }
    let weights = classes.iter().map(|class| ((), class.weight)).collect();
    Weighted::new(weights).map_err(|error| field.error(format!("weight: {error}")))?;
    Ok(classes)
}

/// One profile, or several by weight.
fn access(field: &Field<'_>) -> Result<Weighted<AccessProfile>, FileError> {
    let names: Vec<&str> = AccessProfile::ALL.iter().map(|it| it.name).collect();
    let named = |field: &Field<'_>, name: &str| {
        AccessProfile::named(name).map_err(|_| {
            let instead = file::instead(name, &names);
            field.error(format!("no access profile is called {name:?}; {instead}"))
        })
    };
    let entries = if field.is_text() {
        vec![(named(field, field.text()?)?, 1.0)]
    } else {
        field
            .table(&names)?
            .fields()
            .map(|(name, weight)| Ok((named(&weight, name)?, weight.weight()?)))
            .collect::<Result<_, FileError>>()?
    };
    Weighted::new(entries).map_err(|error| field.error(error))
}

fn groups(root: &Table<'_>, classes: &[Class]) -> Result<Vec<Group>, FileError> {
    let Some(field) = root.get("group") else {
        return Ok(Vec::new());
    };
    let mut groups = Vec::new();
    let mut sum = 0.0;
    for entry in field.list()? {
        let table = entry.table(&["name", "share", "classes"])?;
        let share = table.require("share", "share = 0.2")?;
        sum += share.share()?;
        if sum > 1.0 {
            let message = format!("the shares of all groups come to {sum}, which is above 1");
            return Err(share.error(message));
        }
        let list = table.require("classes", "classes = [\"home\", \"office\"]")?;
        let mut members = Vec::new();
        for member in list.list()? {
            let name = member.text()?;
            let before = members.len();
            let places = 0..classes.len();
            members.extend(places.filter(|place| classes[*place].name == name));
            if members.len() == before {
                let names: Vec<&str> = classes.iter().map(|class| &*class.name).collect();
                let instead = file::instead(name, &names);
                return Err(member.error(format!("no class is called {name:?}; {instead}")));
            }
        }
        members.sort_unstable();
        members.dedup();
        let weights = members.iter().map(|place| ((), classes[*place].weight));
        if let Err(error) = Weighted::new(weights.collect()) {
            return Err(list.error(error));
        }
        groups.push(Group {
            name: name(&table.require("name", "name = \"colleagues\"")?)?,
            share: share.share()?,
            classes: members,
        });
    }
    Ok(groups)
}

fn stacks(root: &Table<'_>) -> Result<[StackMix; 2], FileError> {
    let read = |name: &str| root.get(name).map(|field| stack_mix(&field)).transpose();
    let both = read("stacks")?.unwrap_or_else(|| StackMix::only(Stack::Is));
    Ok([
        read("stacks_a")?.unwrap_or_else(|| both.clone()),
        read("stacks_b")?.unwrap_or(both),
    ])
}

fn stack_mix(field: &Field<'_>) -> Result<StackMix, FileError> {
    if field.is_text() {
        return field.parse();
    }
    let names = Stack::ALL.map(Stack::name);
    let entries = field
        .table(&names)?
        .fields()
        .map(|(name, weight)| {
            let stack = name.parse().map_err(|error| weight.error(error))?;
            Ok((stack, weight.weight()?))
        })
        .collect::<Result<_, FileError>>()?;
    StackMix::new(entries).map_err(|error| field.error(error))
}

/// An hour: more than any call waits.
const MOST_MILLISECONDS: f64 = 3_600_000.0;

/// `true`, `false` or `"half"`.
pub(crate) fn trickle(field: &Field<'_>) -> Result<Trickle, FileError> {
    if field.is_text() && field.text()? == Trickle::Half.name() {
        return Ok(Trickle::Half);
    }
    match field.flag() {
        Ok(trickles) => Ok(trickles.into()),
        Err(_) => Err(field.error("this is true, false or \"half\"")),
    }
}

fn settings(field: &Field<'_>, call: &mut CallConfig) -> Result<(), FileError> {
    let table = field.table(&[
        "delay_ms",
        "signaling_delay_ms",
        "trickle",
        "hairpin",
        "filter_memory",
        "until_ms",
        "packets",
    ])?;
    let duration = |name: &str| -> Result<Option<Duration>, FileError> {
        let Some(field) = table.get(name) else {
            return Ok(None);
        };
        let millis = field.number()?;
        if !(0.0..=MOST_MILLISECONDS).contains(&millis) {
            let message = format!("milliseconds are from 0 to {MOST_MILLISECONDS}, not {millis}");
            return Err(field.error(message));
        }
        Ok(Some(Duration::from_secs_f64(millis / 1000.0)))
    };
    if let Some(delay) = duration("delay_ms")? {
        call.delay = delay;
    }
    if let Some(delay) = duration("signaling_delay_ms")? {
        call.signaling_delay = delay;
    }
    if let Some(until) = duration("until_ms")? {
        call.until = Time::ZERO + until;
    }
    if let Some(field) = table.get("trickle") {
        call.trickle = trickle(&field)?;
    }
    if let Some(field) = table.get("hairpin") {
        call.hairpinning = field.flag()?;
    }
    if let Some(field) = table.get("filter_memory") {
        call.filter_memory = match field.text()? {
            "endpoint" => FilterMemory::InternalEndpoint,
            "mapping" => FilterMemory::Mapping,
            other => {
                let message = format!("filters remember by endpoint or by mapping, not {other:?}");
                return Err(field.error(message));
            }
        };
    }
    if let Some(field) = table.get("packets") {
        let packets = field.number()?;
        if packets < 1.0 || packets.fract() != 0.0 || packets > 1e9 {
            let message = format!("a call may send from 1 to 1000000000 packets, not {packets}");
            return Err(field.error(message));
        }
        call.budget.packets = packets as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        name = "every \"field\""
        basis = "two\nlines and a \u007f"
        same_lan = 0.125
        turn = ["udp"]
        stacks = { is = 0.9, rtc-ice = 0.1 }
        stacks_b = "rtc-ice"
        [[class]]
        name = "home"
        network = "nat:eim/apdf>nat:eim/eif"
        weight = 3
        ipv6 = 0.1
        access = { fibre = 2, wpt-3g = 1 }
        [[class]]
        network = "nat:apdm/apdf"
        weight = 1e-3
        [[group]]
        name = "family"
        share = 0.5
        classes = ["home", "home"]
        [call]
        delay_ms = 12.5
        signaling_delay_ms = 0
        trickle = false
        hairpin = true
        filter_memory = "mapping"
        until_ms = 9000
        packets = 700
    "#;

    #[test]
    fn a_population_is_read_as_it_is_written() {
        let population = Population::parse("full", FULL).unwrap();
        assert_eq!(population.same_lan, 0.125);
        assert_eq!(population.classes[0].ipv6, 0.1);
        assert_eq!(population.groups[0].classes, [0]);
        assert_eq!(population.stacks[0].entries().len(), 2);
        assert_eq!(population.stacks[1], StackMix::only(Stack::Rtc));
        assert_eq!(population.call.delay, Duration::from_micros(12_500));
        assert_eq!(population.call.budget.packets, 700);
        assert!(population.call.hairpinning);
        assert_eq!(population.call.trickle, Trickle::Off);
        let written = population.to_toml();
        let again = Population::parse("written", &written).unwrap();
        assert_eq!(again, population, "{written}");
        assert_eq!(again.to_toml(), written);
    }

    #[test]
    fn the_contracts_example_is_read() {
        let text = r#"
            name = "my users"
            same_lan = 0.02            # share of pairs whose endpoints sit on one LAN
            turn = ["udp", "tcp", "tls"]
            [[class]]
            network = "nat:eim/apdf"
            weight = 0.84
            ipv6 = 0.08
            [[class]]
            network = "udp-blocked"
            weight = 0.03
        "#;
        let population = Population::parse("example", text).unwrap();
        assert_eq!(population.call.turn, TurnOffer::all());
        let shares = population.shares();
        assert!((shares[0] - 84.0 / 87.0).abs() < 1e-12);
        let none = text.replace("[\"udp\", \"tcp\", \"tls\"]", "[]");
        let none = Population::parse("example", &none).unwrap();
        assert!(none.call.turn.transports().is_empty());
    }
}
