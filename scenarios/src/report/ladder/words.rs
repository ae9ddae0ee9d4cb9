//! The drawing's words: short, for there is little room.

use pinhole::topology::Topology;
use pinhole::trace::{DropReason, Names, Place};
use pinhole::{Endpoint, Filtering, NodeId, Time};

use super::lanes::Lanes;

/// Where something happened.
pub(super) fn place(topology: &Topology, place: Place) -> String {
    match place {
        Place::Node(node) => topology.name(node).to_owned(),
        Place::Direction(direction) => topology.direction(direction),
    }
}

/// A pinhole that was opened, as wide as the device's filtering makes it.
pub(super) fn opened(topology: &Topology, by: NodeId, remote: Endpoint) -> String {
    let nat64 = topology.nat64_config(by).map(|config| config.filtering);
    let nat = topology.nat_behaviour(by).map(|(_, filtering)| filtering);
    let nat = nat.or(nat64);
    let firewall = topology.firewall_config(by).map(|config| config.filtering);
    // Beside a NAT, which translates IPv4, a firewall guards IPv6.
    let filtering = if remote.address.is_ipv4() {
        nat.or(firewall)
    } else {
        firewall.or(nat)
    };
    let filtering = filtering.unwrap_or(Filtering::AddressAndPortDependent);
    format!("opens for {}", looked_at(filtering, remote))
}

/// The part of a remote endpoint that a filtering behaviour looks at.
fn looked_at(filtering: Filtering, remote: Endpoint) -> String {
    match filtering {
        Filtering::EndpointIndependent => "anybody".to_owned(),
        Filtering::AddressDependent => remote.address.to_string(),
        Filtering::AddressAndPortDependent => remote.to_string(),
    }
}

/// Why a packet was dropped, in a word or two.
pub(super) fn brief(reason: &DropReason) -> String {
    match reason {
        DropReason::FilteredByNat { .. } | DropReason::FilteredByFirewall { .. } => "filtered",
        DropReason::UdpBlocked { .. } => "UDP is blocked",
        other => return other.code().replace('_', " "),
    }
    .to_owned()
}

/// Why a packet was dropped, with the state that decided. The drawing shows the place.
pub(super) fn why(topology: &Topology, lanes: &Lanes, reason: &DropReason) -> String {
    let whose = |endpoint: &Endpoint| match lanes.owner(endpoint.address) {
        Some(lane) => topology.name(lanes.lane(lane).node).to_owned(),
        None => endpoint.to_string(),
    };
    let filtered = |internal, remote, filtering| {
        let remote = looked_at(filtering, remote);
        format!("filtered: {} has sent nothing to {remote}", whose(internal))
    };
    match reason {
        DropReason::FilteredByNat {
            internal,
            remote,
            filtering,
            ..
        }
        | DropReason::FilteredByFirewall {
            internal,
            remote,
            filtering,
            ..
        } => filtered(internal, *remote, *filtering),
        DropReason::NoMapping { external, .. } => format!("no mapping for {external}"),
        DropReason::HairpinningOff { external, .. } => {
            format!("{external} is its own, and it doesn't hairpin")
        }
        DropReason::UdpBlocked { .. } => "UDP is blocked here".to_owned(),
        DropReason::LanIsolated { .. } => "stations here are kept apart".to_owned(),
        DropReason::NoRoute { destination, .. } if destination.is_private() => {
            format!("no route: {destination} is private")
        }
        DropReason::NoRoute { destination, .. } => format!("no route to {destination}"),
        DropReason::Lost { on } => format!("lost on {}", topology.direction(*on)),
        DropReason::PortUnreachable { endpoint, .. } => format!("nobody listens at {endpoint}"),
        DropReason::Rejected { why, .. } => format!("rejected: {why}"),
        DropReason::Custom { why, .. } => (*why).to_owned(),
        // Rare enough for a whole sentence.
        other => other.sentence(topology),
    }
}

/// What TLS shows of itself: the type of a segment's first record (RFC 8446 §5.1). Without lengths,
/// so that one is like the other.
pub(super) fn tls(payload: &[u8]) -> Option<&'static str> {
    match payload {
        [0x16, 3, _, _, _, 1, ..] => Some("TLS ClientHello"),
        [0x16, 3, _, _, _, 2, ..] => Some("TLS ServerHello, certificate"),
        [0x14, 3, ..] => Some("TLS Finished"),
        [0x15, 3, ..] => Some("TLS alert"),
        [0x17, 3, ..] => Some("TLS data"),
        _ => None,
    }
}

/// A time as the margin shows it.
pub(super) fn time(time: Time) -> String {
    format!("{:.1} ms", time.as_millis_f64())
}
