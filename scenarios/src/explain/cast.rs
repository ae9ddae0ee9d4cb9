//! Who is where: the hosts, their gateways and what those do, the servers.

use pinhole::firewall::{Rule, Rules};
use pinhole::internet::Fault;
use pinhole::topology::Device;
use pinhole::{Address, Family, Mapping, NodeId};

use super::evidence::Evidence;
use super::story::{Chapter, Sentence};
use super::words;
use crate::call::{Scene, Side};

pub(super) fn chapter(evidence: &Evidence<'_>) -> Chapter {
    let mut sentences = vec![hosts(evidence)];
    sentences.extend(gateways(evidence));
    sentences.push(servers(evidence));
    Chapter {
        title: "Who is where",
        sentences: sentences.into_iter().map(Sentence::still).collect(),
    }
}

fn hosts(evidence: &Evidence<'_>) -> String {
    let scene = &evidence.call.scene;
    let [a, b] = Side::BOTH.map(|side| {
        let addresses = addresses(evidence, scene.hosts[side.index()]);
        let stack = evidence.call.config.stacks[side.index()];
        let behind = names(evidence, &scene.edges[side.index()]);
        let name = side.name();
        (
            format!("{name} is at {addresses}"),
            format!("behind {behind}"),
            stack,
        )
    });
    let mut text = if scene.edges[0] == scene.edges[1] {
        format!("{} and {}, both {}.", a.0, b.0, a.1)
    } else {
        format!("{}, {}; {}, {}.", a.0, a.1, b.0, b.1)
    };
    text += &if a.2 == b.2 {
        format!(" Both run the ICE stack `{}`.", a.2)
    } else {
        format!(" a runs the ICE stack `{}`, b `{}`.", a.2, b.2)
    };
    text
}

fn addresses(evidence: &Evidence<'_>, node: NodeId) -> String {
    let addresses: Vec<String> = at_first(evidence, node)
        .iter()
        .map(ToString::to_string)
        .collect();
    words::list(&addresses)
}

/// The addresses that a node had before any fault.
fn at_first(evidence: &Evidence<'_>, node: NodeId) -> Vec<Address> {
    let net = evidence.call.net;
    let changed = net
        .inflicted()
        .iter()
        .find(|inflicted| match inflicted.fault {
            Fault::Reboot { gateway, .. } => gateway == node,
            Fault::Roam { host, .. }
            | Fault::FamilyLost { host, .. }
            | Fault::FamilyRegained { host, .. } => host == node,
            _ => false,
        });
    match changed {
        Some(inflicted) => inflicted.before.clone(),
        None if evidence.call.scene.hosts.contains(&node) => net.host_addresses(node),
        None => evidence.topology().addresses(node).collect(),
    }
}

fn names(evidence: &Evidence<'_>, nodes: &[NodeId]) -> String {
    let names = nodes.iter().map(|node| evidence.name(*node).to_owned());
    words::list(&names.collect::<Vec<_>>())
}

/// A sentence for each sort of gateway.
fn gateways(evidence: &Evidence<'_>) -> Vec<String> {
    let mut sorts: Vec<(Does, Vec<NodeId>)> = Vec::new();
    let mut seen: Vec<NodeId> = Vec::new();
    for node in gateways_of(&evidence.call.scene) {
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let does = behaviour(evidence, node);
        match sorts.iter_mut().find(|(known, _)| *known == does) {
            Some((_, nodes)) => nodes.push(node),
            None => sorts.push((does, vec![node])),
        }
    }
    let sentence = |(does, nodes): (Does, Vec<NodeId>)| {
        let who = nodes.iter().map(|node| {
            let name = evidence.name(*node);
            match addresses(evidence, *node).as_str() {
                "" => name.to_owned(),
                outside => format!("{name} ({outside})"),
            }
        });
        let who = words::list(&who.collect::<Vec<_>>());
        let is = match nodes.len() {
            1 => format!("is a {}", does.noun),
            _ => format!("are {}s", does.noun),
        };
        format!("{who} {is}{}", does.rest)
    };
    sorts.into_iter().map(sentence).collect()
}

/// Those on the two sides' networks, and on the networks that they may roam to.
fn gateways_of(scene: &Scene) -> impl Iterator<Item = NodeId> + '_ {
    let all = scene.edges.iter().chain(&scene.roams_to);
    all.flatten().copied()
}

/// What a gateway is, and what it does to packets.
#[derive(PartialEq)]
struct Does {
    noun: &'static str,
    rest: String,
}

/// What a gateway does to packets, device by device.
fn behaviour(evidence: &Evidence<'_>, node: NodeId) -> Does {
    let devices = evidence.topology().devices(node);
    let noun = match devices {
        [] => "plain router",
        [Device::Nat(_), ..] => "NAT",
        [Device::Nat64(_), ..] => "NAT64",
        [Device::Clat(_), ..] => "CLAT",
        [Device::Firewall(_) | Device::Rules(_), ..] => "firewall",
        [Device::Custom(_), ..] => "device of its owner's own",
    };
    let does = devices.iter().map(|device| match device {
        Device::Nat(config) => format!(
            " Mapping: {}. Filtering: {}.",
            words::mapping(config.mapping),
            words::filtering(config.filtering)
        ),
        Device::Nat64(config) => format!(
            " Inside there is only IPv6: the IPv4 internet lies under {}, where its DNS64 places \
             whatever has no IPv6 address. Mapping: {}. Filtering: {}.",
            config.prefix,
            words::mapping(Mapping::EndpointIndependent),
            words::filtering(config.filtering)
        ),
        Device::Clat(config) => format!(
            " It gives its hosts IPv4 and sends that on as IPv6: its hosts' own addresses under {}, \
             others' under {}.",
            config.source, config.destination
        ),
        Device::Firewall(config) => {
            let guarded = match config.family {
                Some(Family::V6) => " of IPv6",
                Some(Family::V4) => " of IPv4",
                None => "",
            };
            let filtering = words::filtering(config.filtering);
            format!(" Filtering{guarded}: {filtering}.")
        }
        Device::Rules(rules) if *rules == Rules::tcp_443_only() => {
            " TCP connections from inside to port 443 pass, and nothing else: no UDP.".to_owned()
        }
        Device::Rules(rules) if rules.rules.first() == Some(&Rule::deny_udp()) => {
            " No UDP passes, in or out.".to_owned()
        }
        Device::Rules(rules) => {
            format!(" It has {}.", words::count(rules.rules.len(), "fixed rule"))
        }
        Device::Custom(_) => String::new(),
    });
    let does: String = does.collect();
    let rest = match devices {
        [] => ": nothing is translated or filtered.".to_owned(),
        _ => format!(".{does}"),
    };
    Does { noun, rest }
}

fn servers(evidence: &Evidence<'_>) -> String {
    let scene = &evidence.call.scene;
    let at = |node| addresses(evidence, node);
    let relays = match scene.turn {
        Some(turn) => format!("A TURN server at {} relays.", at(turn)),
        None => "There is no TURN server.".to_owned(),
    };
    format!(
        "A STUN server at {} tells clients which address it sees. {relays}",
        at(scene.stun)
    )
}
