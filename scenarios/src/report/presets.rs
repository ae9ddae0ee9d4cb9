//! The presets: what each is, what it is modelled on, and every parameter.

use std::io::{self, Write};

use pinhole::Mapping;
use pinhole::firewall::{Action, FirewallConfig, MidStream, Rule, Rules, States};
use pinhole::middlebox::Way;
use pinhole::packet::Protocol;
use pinhole::topology::preset::{FAMILIES, Preset, Requirement, Seen};
use pinhole::topology::{Device, EdgePlan};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::span::span;
use super::style::{BOLD, DIM};
use super::text::wrap;
use super::{Format, parameters, print_json};

/// Prints presets: all of them, or those that are named.
///
/// # Errors
///
/// `out` can't be written to.
pub fn presets(out: &mut dyn Write, format: Format, only: &[&'static Preset]) -> io::Result<()> {
    let wanted = |preset: &Preset| only.is_empty() || only.contains(&preset);
    match format {
        Format::Table => table(out, wanted),
        Format::Json => {
            let rows = FAMILIES.iter().flat_map(|(family, presets)| {
                let presets = presets.iter().filter(|preset| wanted(preset));
                presets.map(|preset| PresetRow::new(family, preset))
            });
            print_json(out, &json!({ "presets": rows.collect::<Vec<_>>() }))
        }
        Format::Csv => csv(out, wanted),
    }
}

#[derive(Serialize)]
struct PresetRow {
    name: &'static str,
    family: &'static str,
    summary: &'static str,
    modelled_on: &'static str,
    sources: &'static [&'static str],
    certainty: &'static str,
    mapping: &'static str,
    filtering: Option<&'static str>,
    hairpin: Option<bool>,
    port_preservation: Option<bool>,
    mapping_lifetime_ms: Option<u64>,
    fails: Vec<Value>,
    recommended_not_met: Vec<Value>,
    gateways: Vec<Value>,
}

impl PresetRow {
    fn new(family: &'static str, preset: &'static Preset) -> Self {
        let requirements = |list: &[Requirement]| {
            let rows = list
                .iter()
                .map(|(rfc, req)| json!({ "rfc": rfc, "req": req }));
            rows.collect()
        };
        let (mapping, device) = match preset.seen {
            Seen::Blocked => ("blocked", None),
            Seen::Device {
                mapping,
                filtering,
                hairpinning,
                port_preservation,
                lifetime,
            } => {
                let device = (filtering, hairpinning, port_preservation, lifetime);
                (mapping.map_or("none", Mapping::name), Some(device))
            }
        };
        PresetRow {
            name: preset.name,
            family,
            summary: preset.summary,
            modelled_on: preset.modelled_on,
            sources: preset.sources,
            certainty: preset.certainty.name(),
            mapping,
            filtering: device.map(|(filtering, ..)| filtering.name()),
            hairpin: device.map(|(_, hairpin, ..)| hairpin),
            port_preservation: device.map(|(_, _, preserved, _)| preserved),
            mapping_lifetime_ms: device.map(|(.., lifetime)| lifetime.as_millis() as u64),
            fails: requirements(preset.fails),
            recommended_not_met: requirements(preset.falls_short),
            gateways: preset.edges().iter().map(gateway).collect(),
        }
    }
}

fn gateway(edge: &EdgePlan) -> Value {
    json!({
        "gateway": edge.word,
        "external_addresses": edge.addresses,
        "isolated": edge.isolated,
        "devices": edge.devices.iter().map(device).collect::<Vec<_>>(),
    })
}

fn device(device: &Device) -> Value {
    match device {
        Device::Nat(config) => {
            let mut object = Map::new();
            object.insert("device".to_owned(), json!("nat"));
            let parameters = parameters::nat(config).into_iter();
            object.extend(parameters.map(|(name, value)| (name.to_owned(), value)));
            Value::Object(object)
        }
        Device::Firewall(config) => json!({
            "device": "firewall",
            "filtering": config.filtering.name(),
            "udp_ms": config.lifetimes.udp.as_millis() as u64,
        }),
        Device::Rules(rules) => {
            let lifetimes = parameters::lifetimes(&rules.lifetimes).into_iter();
            let mut object = Map::new();
            object.insert("device".to_owned(), json!("rules"));
            object.insert("rules".to_owned(), json!(in_words(rules)));
            object.insert("mid_stream".to_owned(), json!(mid_stream(rules.mid_stream)));
            object.extend(lifetimes.map(|(name, value)| (name.to_owned(), value)));
            Value::Object(object)
        }
        Device::Nat64(config) => {
            let lifetimes = parameters::lifetimes(&config.lifetimes).into_iter();
            let mut object = Map::new();
            object.insert("device".to_owned(), json!("nat64"));
            object.insert("prefix".to_owned(), json!(config.prefix.to_string()));
            object.insert("filtering".to_owned(), json!(config.filtering.name()));
            object.insert("hairpinning".to_owned(), json!(config.hairpinning));
            object.insert("most_sessions".to_owned(), json!(config.most_sessions));
            object.extend(lifetimes.map(|(name, value)| (name.to_owned(), value)));
            Value::Object(object)
        }
        Device::Clat(config) => json!({
            "device": "clat",
            "source": config.source.to_string(),
            "destination": config.destination.to_string(),
        }),
        Device::Custom(_) => json!({ "device": "custom" }),
    }
}

/// Rules in words, and what becomes of the rest.
fn in_words(rules: &Rules) -> Vec<String> {
    let mut words: Vec<String> = rules.rules.iter().map(rule).collect();
    words.push(format!("{} everything else", action(rules.otherwise)));
    words
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    }
}

const fn mid_stream(mid_stream: MidStream) -> &'static str {
    match mid_stream {
        MidStream::Loose => "loose",
        MidStream::Strict => "strict",
    }
}

/// A rule in words: `allow new TCP going out at port 443 outside`.
fn rule(rule: &Rule) -> String {
    let Rule {
        action: what,
        way,
        protocol,
        inner,
        outer,
        inner_port,
        outer_port,
        state,
    } = rule;
    let mut words = action(*what).to_owned();
    if let Some(states) = state {
        let names = [
            (States::NEW, "new"),
            (States::ESTABLISHED, "established"),
            (States::RELATED, "related"),
        ];
        let named = names.iter().filter(|(one, _)| states.contains(*one));
        let named: Vec<&str> = named.map(|(_, name)| *name).collect();
        words += " ";
        words += &if named.is_empty() {
            "stateless".to_owned()
        } else {
            named.join(" or ")
        };
    }
    words += match protocol {
        None if state.is_some() => "",
        None => " everything",
        Some(Protocol::Udp) => " UDP",
        Some(Protocol::Tcp) => " TCP",
        Some(Protocol::Icmp) => " ICMP",
    };
    words += match way {
        None => "",
        Some(Way::Out) => " going out",
        Some(Way::In) => " coming in",
    };
    for (prefix, side) in [(inner, "inside"), (outer, "outside")] {
        if let Some(prefix) = prefix {
            words += &format!(" of {prefix} {side}");
        }
    }
    for (ports, side) in [(inner_port, "inside"), (outer_port, "outside")] {
        let Some(ports) = ports else { continue };
        let (start, end) = (*ports.start(), *ports.end());
        words += &match (start, end) {
            (0, u16::MAX) => String::new(),
            _ if start == end => format!(" at port {start} {side}"),
            _ => format!(" at ports {start} to {end} {side}"),
        };
    }
    words
}

/// A row for each preset; the parameters of its NATs, one after the other, in one field.
fn csv(out: &mut dyn Write, wanted: impl Fn(&Preset) -> bool) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "name",
        "family",
        "summary",
        "modelled_on",
        "sources",
        "certainty",
        "mapping",
        "filtering",
        "hairpin",
        "port_preservation",
        "mapping_lifetime_ms",
        "fails",
        "recommended_not_met",
        "gateways",
    ])?;
    for (family, presets) in &FAMILIES {
        for preset in presets.iter().filter(|preset| wanted(preset)) {
            let row = PresetRow::new(family, preset);
            let text = |value: Option<String>| value.unwrap_or_default();
            csv.write_record([
                row.name.to_owned(),
                row.family.to_owned(),
                row.summary.to_owned(),
                row.modelled_on.to_owned(),
                row.sources.join("; "),
                row.certainty.to_owned(),
                row.mapping.to_owned(),
                text(row.filtering.map(str::to_owned)),
                text(row.hairpin.map(|it| it.to_string())),
                text(row.port_preservation.map(|it| it.to_string())),
                text(row.mapping_lifetime_ms.map(|it| it.to_string())),
                numbers(preset.fails),
                numbers(preset.falls_short),
                Value::Array(row.gateways).to_string(),
            ])?;
        }
    }
    csv.flush()
}

/// `RFC 4787 REQ-1, REQ-5; RFC 7857 §12`.
fn numbers(requirements: &[Requirement]) -> String {
    let mut text = String::new();
    let mut before = 0;
    for (rfc, req) in requirements {
        let mark = if *rfc == 7857 { "§" } else { "REQ-" };
        if *rfc == before {
            text += &format!(", {mark}{req}");
        } else {
            let between = if text.is_empty() { "" } else { "; " };
            text += &format!("{between}RFC {rfc} {mark}{req}");
        }
        before = *rfc;
    }
    text
}

/// Columns of a terminal that everybody has.
const WIDTH: usize = 80;
/// Columns before what is told of a preset.
const MARGIN: usize = 15;

fn table(out: &mut dyn Write, wanted: impl Fn(&Preset) -> bool) -> io::Result<()> {
    let mut first = true;
    for (family, presets) in &FAMILIES {
        let mut presets = presets.iter().filter(|preset| wanted(preset)).peekable();
        if presets.peek().is_none() {
            continue;
        }
        if !std::mem::take(&mut first) {
            writeln!(out)?;
        }
        writeln!(out, "{DIM}── {family} ──{DIM:#}")?;
        for preset in presets {
            tell(out, preset)?;
        }
    }
    Ok(())
}

fn tell(out: &mut dyn Write, preset: &Preset) -> io::Result<()> {
    writeln!(out, "\n{BOLD}{}{BOLD:#}", preset.name)?;
    for line in wrap(preset.summary, WIDTH - 2) {
        writeln!(out, "  {line}")?;
    }
    let certainty = preset.certainty.name();
    let modelled_on = format!("{} ({certainty})", preset.modelled_on);
    field(out, "modelled on", &modelled_on)?;
    if !preset.sources.is_empty() {
        field(out, "sources", &preset.sources.join("; "))?;
    }
    field(out, "looks like", &looks_like(preset.seen))?;
    for (label, requirements) in [("fails", preset.fails), ("falls short", preset.falls_short)] {
        if !requirements.is_empty() {
            field(out, label, &numbers(requirements))?;
        }
    }
    for edge in preset.edges() {
        if edge.isolated {
            field(out, edge.word, "hosts on the inside are kept apart")?;
        }
        for device in &edge.devices {
            match device {
                Device::Nat(config) => {
                    let addresses = match edge.addresses {
                        1 => "1 external address".to_owned(),
                        more => format!("{more} external addresses"),
                    };
                    let words = parameters::nat(config);
                    let words = words.iter();
                    let words = words.map(|(name, value)| parameters::words(name, value));
                    let words: Vec<String> = std::iter::once(addresses).chain(words).collect();
                    field(out, edge.word, &words.join(" · "))?;
                }
                Device::Rules(rules) => {
                    field(out, "rules", &in_words(rules).join(" · "))?;
                }
                Device::Firewall(FirewallConfig { filtering, .. }) => {
                    field(out, "firewall", filtering.name())?;
                }
                Device::Nat64(config) => {
                    let words = format!("{}, filtering {}", config.prefix, config.filtering);
                    field(out, "nat64", &words)?;
                }
                Device::Clat(config) => {
                    let words = format!("{} to {}", config.source, config.destination);
                    field(out, "clat", &words)?;
                }
                Device::Custom(_) => {}
            }
        }
    }
    Ok(())
}

fn looks_like(seen: Seen) -> String {
    let Seen::Device {
        mapping,
        filtering,
        hairpinning,
        port_preservation,
        lifetime,
    } = seen
    else {
        return "no UDP gets through".to_owned();
    };
    let mapping = mapping.map_or("none", Mapping::name);
    let hairpins = if hairpinning {
        "hairpins"
    } else {
        "no hairpinning"
    };
    let ports = if port_preservation {
        "keeps ports"
    } else {
        "other ports"
    };
    let lifetime = span(lifetime);
    format!("{mapping}/{filtering}, {hairpins}, {ports}, mappings live {lifetime}")
}

fn field(out: &mut dyn Write, label: &str, words: &str) -> io::Result<()> {
    let mut label = label;
    // A parameter is not torn from its value.
    let glued: Vec<String> = words
        .split(" · ")
        .map(|it| it.replace(' ', "\u{a0}"))
        .collect();
    let words = if glued.len() > 1 {
        glued.join("\u{a0}· ")
    } else {
        words.to_owned()
    };
    for line in wrap(&words, WIDTH - MARGIN) {
        let line = line.replace('\u{a0}', " ");
        writeln!(
            out,
            "  {DIM}{label:<width$}{DIM:#}{line}",
            width = MARGIN - 2
        )?;
        label = "";
    }
    Ok(())
}
