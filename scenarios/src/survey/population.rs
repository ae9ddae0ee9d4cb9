//! Who calls whom: a population of endpoints, and the file that describes it.
//!
//! ```toml
//! name = "my users"
//! basis = "a guess"                # optional: what the numbers rest on, shown with results
//! same_lan = 0.02                  # share of pairs on one LAN, behind the first one's edge [0]
//! turn = ["udp", "tcp", "tls"]     # what the service offers; [] for none [all there are]
//! stacks = { is = 0.9, rtc-ice = 0.1 }   # or "is"; stacks_a and stacks_b for one side [is]
//!
//! [[class]]
//! name = "home"                    # optional: what groups call it [its network]
//! network = "nat:eim/apdf"
//! weight = 0.84                    # weights are normalised
//! ipv6 = 0.08                      # share of these endpoints with working IPv6 [0]
//! access = { fibre = 2, adsl = 1 } # or "fibre": access links by weight; none adds no delay [none]
//!
//! [[group]]                        # optional: matched pairs
//! name = "colleagues"
//! share = 0.2                      # share of all pairs both of whose endpoints are of …
//! classes = ["home", "office"]     # … these classes; all other pairs are independent
//!
//! [call]                           # optional: how calls are made, as the options of `call`
//! delay_ms = 20
//! signaling_delay_ms = 50
//! trickle = true
//! hairpin = false
//! filter_memory = "endpoint"
//! until_ms = 45000
//! packets = 5000                   # a call that sends more is stopped, and counts as none
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use pinhole::link::AccessProfile;
use pinhole::nat::FilterMemory;
use pinhole::topology::preset::Seen;
use pinhole::topology::{Edge, Kind};
use pinhole::{Budget, Mapping, Time};

use super::presets;
use super::stacks::StackMix;
use super::weighted::Weighted;
use crate::call::{CallConfig, Trickle, TurnOffer, TurnTransport};
use crate::file::{self, Document, Field, FileError, Table};
use crate::ice::Stack;

/// A population of endpoints, and how calls between them are made.
#[derive(Clone, PartialEq, Debug)]
pub struct Population {
    /// Its name.
    pub name: String,
    /// What its numbers rest on.
    pub basis: Option<String>,
    /// The share of pairs whose endpoints sit on one LAN behind the first one's edge.
    pub same_lan: f64,
    /// The kinds of endpoints there are. Never empty; the weights make a choice.
    pub classes: Vec<Class>,
    /// Pairs that don't form independently.
    pub groups: Vec<Group>,
    /// The ICE stacks of callers and of callees.
    pub stacks: [StackMix; 2],
    /// How every call is made. Its kinds, stacks, access links, IPv6, neighbourhood and seed don't
    /// count.
    pub call: CallConfig,
}

/// Endpoints that are alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Class {
    /// What groups call it.
    pub name: String,
    /// The kind of network they are on.
    pub kind: Kind,
    /// How many there are, beside the other classes' weights.
    pub weight: f64,
    /// The share of them with working IPv6.
    pub ipv6: f64,
    /// Their access links; `None` adds no delay, no loss and no bottleneck.
    pub access: Option<Weighted<AccessProfile>>,
}

/// Endpoints that call each other more than chance would have it.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The share of all pairs that are of this group.
    pub share: f64,
    /// The places of its classes.
    pub classes: Vec<usize>,
}

/// Packets of one call, if nothing is said: more than ten times what the longest of calls sends,
/// and few enough for a storm between two stacks to cost milliseconds.
pub const USUAL_PACKETS: u64 = 5_000;

/// More classes than anybody tells apart; pairs are counted for every two of them.
const MOST_CLASSES: usize = 200;

/// The longest name: names are table headings and lines of files.
const LONGEST_NAME: usize = 80;

const EXAMPLE: &str = "[[class]] with network = \"nat:eim/apdf\" and weight = 1";

const FIELDS: [&str; 10] = [
    "name", "basis", "same_lan", "turn", "class", "group", "stacks", "stacks_a", "stacks_b", "call",
];

impl Population {
    /// Reads a preset by its name, or a file.
    ///
    /// # Errors
    ///
    /// No preset has that name and no file can be read there, or the file makes no sense.
    pub fn load(name_or_path: &str) -> Result<Population, FileError> {
        if let Some(preset) = presets::named(name_or_path) {
            return Ok(preset);
        }
        let path = Path::new(name_or_path);
        let is_name = !name_or_path.contains(['/', '\\', '.']);
        if is_name && !path.exists() {
            let message = format!(
                "neither a population preset nor a file is called so; {}",
                file::instead(name_or_path, &presets::names())
            );
            return Err(FileError::new(name_or_path, message));
        }
        Population::parse(name_or_path, &file::read(path)?)
    }

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

    /// How likely an endpoint is of each class.
    pub fn shares(&self) -> Vec<f64> {
        let sum: f64 = self.classes.iter().map(|class| class.weight).sum();
        let share = |class: &Class| class.weight / sum;
        self.classes.iter().map(share).collect()
    }

    /// The share of endpoints of which this is true.
    pub fn share_of(&self, is: impl Fn(&Class) -> f64) -> f64 {
        let classes = self.classes.iter().zip(self.shares());
        classes.map(|(class, share)| share * is(class)).sum()
    }

    /// The population as a file, complete: what [`parse`](Population::parse) reads it as again.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.write_toml(&mut out).expect("a string takes any text");
        out
    }

    fn write_toml(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "name = {}", quoted(&self.name))?;
        if let Some(basis) = &self.basis {
            writeln!(out, "basis = {}", quoted(basis))?;
        }
        writeln!(out, "same_lan = {}", self.same_lan)?;
        let transports = self.call.turn.transports().iter();
        let turn: Vec<String> = transports.map(|it| quoted(it.name())).collect();
        writeln!(out, "turn = [{}]", turn.join(", "))?;
        let [a, b] = &self.stacks;
        if a == b {
            writeln!(out, "stacks = {}", mix(a.entries(), |stack| stack.name()))?;
        } else {
            writeln!(out, "stacks_a = {}", mix(a.entries(), |stack| stack.name()))?;
            writeln!(out, "stacks_b = {}", mix(b.entries(), |stack| stack.name()))?;
        }
        for class in &self.classes {
            writeln!(out, "\n[[class]]")?;
            let network = class.kind.to_string();
            if class.name != network {
                writeln!(out, "name = {}", quoted(&class.name))?;
            }
            writeln!(out, "network = {}", quoted(&network))?;
            writeln!(out, "weight = {}", class.weight)?;
            writeln!(out, "ipv6 = {}", class.ipv6)?;
            if let Some(access) = &class.access {
                writeln!(out, "access = {}", mix(access.entries(), |it| it.name))?;
            }
        }
        for group in &self.groups {
            writeln!(out, "\n[[group]]")?;
            writeln!(out, "name = {}", quoted(&group.name))?;
            writeln!(out, "share = {}", group.share)?;
            let classes = group.classes.iter();
            let names: Vec<String> = classes
                .map(|place| quoted(&self.classes[*place].name))
                .collect();
            writeln!(out, "classes = [{}]", names.join(", "))?;
        }
        let call = &self.call;
        writeln!(out, "\n[call]")?;
        writeln!(out, "delay_ms = {}", millis(call.delay))?;
        writeln!(out, "signaling_delay_ms = {}", millis(call.signaling_delay))?;
        let trickle = match call.trickle {
            Trickle::Half => quoted(call.trickle.name()),
            _ => call.trickle.to_string(),
        };
        writeln!(out, "trickle = {trickle}")?;
        writeln!(out, "hairpin = {}", call.hairpinning)?;
        let memory = match call.filter_memory {
            FilterMemory::InternalEndpoint => "endpoint",
            FilterMemory::Mapping => "mapping",
        };
        writeln!(out, "filter_memory = {}", quoted(memory))?;
        writeln!(out, "until_ms = {}", call.until.as_millis_f64())?;
        writeln!(out, "packets = {}", call.budget.packets)
    }
}

impl Class {
    /// Whether its NATs give every destination another mapping: what people call symmetric.
    pub fn is_symmetric(&self) -> bool {
        let mapping = |edge: &Edge| match edge {
            Edge::Nat(mapping, _) => Some(*mapping),
            Edge::Preset(preset) => match preset.seen {
                Seen::Device { mapping, .. } => mapping,
                Seen::Blocked => None,
            },
            Edge::Open | Edge::Firewall(_) | Edge::UdpBlocked | Edge::Nat64(_) | Edge::Clat => None,
        };
        let mut mappings = self.kind.edges().iter().filter_map(mapping);
        mappings.any(|mapping| mapping != Mapping::EndpointIndependent)
    }
}

fn quoted(text: &str) -> String {
    // A text of JSON is one of TOML, which wants this character escaped as well.
    let text = serde_json::to_string(text).expect("any text is JSON");
    text.replace('\u{7f}', "\\u007F")
}

fn mix<T>(entries: &[(T, f64)], name: impl Fn(&T) -> &str) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(entry, weight)| format!("{} = {weight}", name(entry)))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
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

    #[test]
    fn a_device_is_symmetric_if_it_looks_so() {
        for (network, is_symmetric) in [
            ("nat:apdm/apdf", true),
            ("nat:eim/apdf>nat:adm/eif", true),
            ("pf", true),
            ("home-router>cloud-nat-aws", true),
            ("home-router", false),
            ("nat:eim/apdf", false),
            ("udp-blocked", false),
        ] {
            let text = format!("name = \"x\"\n[[class]]\nnetwork = {network:?}\nweight = 1");
            let population = Population::parse("x", &text).unwrap();
            assert_eq!(
                population.classes[0].is_symmetric(),
                is_symmetric,
                "{network}"
            );
        }
    }
}
