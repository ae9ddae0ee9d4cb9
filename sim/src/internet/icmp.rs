//! ICMP in the network: errors that routers, gateways and hosts send about packets that go no
//! further, and answers to pings (RFC 792, RFC 1812 §4.3, RFC 4443).
//!
//! **Who says what.** A packet that is too long for the next link is reported by the node before it
//! (RFC 1191, RFC 8201), unless that is a NAT that is told to be [silent](TooBig::Silent) about it;
//! hops that ran out, by the node where they did; an address that nobody has, by the router or
//! gateway that knows no way. A NAT reports by itself that its ports ran out, if it is
//! [told to](crate::nat::NatConfig::reports_exhaustion). Silence is kept about packets to private
//! and other special addresses, which real edges and cores filter without a word (so a check to the
//! other side's private address tells an ICE agent nothing), about whatever a firewall or a NAT's
//! filter refuses, and about stations that an access point keeps apart.
//!
//! **About what never** (RFC 1122 §3.2.2): an ICMP error, a fragment that isn't the first (IPv6 would
//! allow that, but nobody could tell which socket it is about), a packet from nobody or from a
//! group.
//!
//! **From which address.** A gateway has its first external address toward the outside, and toward
//! the inside the first address of its [subnet](crate::Topology::subnet), as custom has it
//! (192.168.1.1), where no host has that. Other nodes that forward have none in this model. They use
//! the dummy address 192.0.0.8 (RFC 7600 §4.8), and for IPv6, for which no such one is assigned,
//! `100::c000:8`, the same within the prefix of which nothing ever answers (RFC 6666). The trace
//! knows them apart: by the error's origin.
//!
//! **How.** An error that a gateway makes quotes the packet as it came in, before translation, and
//! goes back to that side past none of the gateway's own devices. Each node that forwards sends at
//! most 1000 errors a second, and 50 at once (RFC 4443 §2.4(f); Linux's `icmp_msgs_per_sec` and
//! `icmp_msgs_burst`). Hosts have no such limit.
//!
//! Gateways and routers don't answer pings to themselves.

use std::net::IpAddr;

use super::{DeviceAtWork, Internet, Node};
use crate::address::{Address, Endpoint, Family};
use crate::host::{EchoReply, Host, Input};
use crate::id::{DirectionId, NodeId};
use crate::nat::TooBig;
use crate::packet::{
    IPV4_HEADER, IPV6_HEADER, IcmpEcho, IcmpError, IcmpErrorKind, Packet, PacketId, Payload,
    Protocol, Slot, Transport,
};
use crate::time::Time;
use crate::topology::{Route, RouteTable};
use crate::trace::{Cause, DropReason, Fate};

/// RFC 7600 §4.8.
const DUMMY_V4: Address = Address::v4(192, 0, 0, 8);

/// The same within RFC 6666's prefix: `100::c000:8`.
fn dummy_v6() -> Address {
    std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0xc000, 8).into()
}

/// By how much an IPv6 header is longer.
const HEADERS_DIFFER: u16 = (IPV6_HEADER - IPV4_HEADER) as u16;

/// Nanoseconds between two errors in the long run.
const INTERVAL: u64 = 1_000_000;
/// How many errors may be sent at once.
const BURST: u64 = 50;

/// A node's limit of errors: when the last of those that it sent would have been sent, had it sent
/// them evenly.
#[derive(Default)]
pub(super) struct RateLimit(u64);

impl RateLimit {
    /// Whether one more error may be sent, which counts then.
    fn take(&mut self, now: Time) -> bool {
        let now = now.as_nanos();
        let next = self.0.max(now) + INTERVAL;
        let allowed = next - now <= BURST * INTERVAL;
        if allowed {
            self.0 = next;
        }
        allowed
    }
}

/// How a packet came to a node that forwards.
#[derive(Clone, Copy)]
pub(super) struct Came {
    pub(super) node: NodeId,
    pub(super) over: DirectionId,
    /// Before any translation there.
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
}

/// What an error says of the packet that it is about.
#[derive(Clone, Copy)]
pub(super) struct Offending {
    id: PacketId,
    protocol: Protocol,
    source: Endpoint,
    destination: Endpoint,
    /// Whether errors may be sent about it at all.
    may_be_told: bool,
}

impl Internet {
    /// What an error about this packet would say.
    pub(super) fn offending(&self, slot: Slot) -> Offending {
        let packet = self.arena.get(slot);
        let is_error = matches!(packet.transport, Transport::IcmpError(_));
        let is_first = packet.fragment.is_none_or(|part| part.is_first());
        Offending {
            id: packet.id,
            protocol: packet.transport.protocol(),
            source: packet.source,
            destination: packet.destination,
            may_be_told: !is_error && is_first && is_somebody(packet.source.address),
        }
    }

    /// A packet is too long for the link before it: it is cut, or dropped and its sender told.
    /// `came` says how it came, if the node isn't its sender.
    #[cold]
    pub(super) fn too_long(&mut self, slot: Slot, on: DirectionId, mtu: u16, came: Option<Came>) {
        let node = self.near_end(on);
        if let Payload::Train(_) = self.arena.get(slot).payload {
            return self.too_long_cars(slot, on, mtu, came);
        }
        let about = self.offending(slot);
        let family = about.source.address.family();
        let from = came.map_or(family, |came| came.source.address.family());
        // A translator from IPv4 to IPv6 cuts what IPv4 allows to be cut (RFC 7915 §4).
        let is_made_here = came.is_none() || from != family;
        if self.cut(slot, on, mtu, is_made_here) {
            return;
        }
        self.drop(slot, DropReason::TooBig { on, mtu });
        // Who translates between families tells how long a packet of the sender's may be (RFC 7915
        // §4.2, §5.2): their headers differ.
        let mtu = match (from, family) {
            (Family::V4, Family::V6) => mtu.saturating_sub(HEADERS_DIFFER),
            (Family::V6, Family::V4) => mtu.saturating_add(HEADERS_DIFFER),
            _ => mtu,
        };
        let kind = IcmpErrorKind::TooBig { mtu };
        match (came, &self.nodes[node.index()]) {
            (Some(came), Node::Gateway(gateway)) => {
                let is_silent = gateway.devices.iter().any(|device| match device {
                    DeviceAtWork::Nat(nat) => nat.config().too_big == TooBig::Silent,
                    _ => false,
                });
                if !is_silent {
                    self.tell_back(about, kind, came);
                }
            }
            (Some(came), _) => self.tell_back(about, kind, came),
            // It is the sender's own link: the kernel tells the program, at once.
            (None, _) => self.tell(node, about.source.address, about, kind),
        }
    }

    /// Drops a packet that a node can't forward, and tells its sender where that is done.
    #[cold]
    pub(super) fn turn_away(&mut self, slot: Slot, reason: DropReason, came: Came) {
        let about = self.offending(slot);
        let kind = told_as(&reason);
        self.drop(slot, reason);
        if let Some(kind) = kind {
            self.tell_back(about, kind, came);
        }
    }

    /// A node that forwards tells a packet's sender, on the side that the packet came from.
    fn tell_back(&mut self, about: Offending, kind: IcmpErrorKind, came: Came) {
        let about = Offending {
            source: came.source,
            destination: came.destination,
            ..about
        };
        if !about.may_be_told {
            return;
        }
        let sender = came.source.address;
        let family = sender.family();
        let external = || {
            let mut addresses = self.plan.addresses(came.node);
            addresses.find(|address| address.family() == family)
        };
        let (via, own) = match &self.nodes[came.node.index()] {
            Node::Host(_) => unreachable!("hosts don't forward"),
            Node::Router(router) => match router.table.route(sender) {
                Route::Via(via) => (via, by_custom(&router.table, family)),
                Route::Nowhere => return,
            },
            Node::Gateway(gateway) if came.over == gateway.uplink.reverse() => {
                (gateway.uplink, external())
            }
            Node::Gateway(gateway) => match gateway.table.exact(sender) {
                Some(via) => (via, by_custom(&gateway.table, family).or_else(external)),
                None => return,
            },
        };
        let limit = match &mut self.nodes[came.node.index()] {
            Node::Router(router) => &mut router.errors,
            Node::Gateway(gateway) => &mut gateway.errors,
            Node::Host(_) => unreachable!("hosts don't forward"),
        };
        if !limit.take(self.now) {
            return;
        }
        let own = own.unwrap_or_else(|| match family {
            Family::V4 => DUMMY_V4,
            Family::V6 => dummy_v6(),
        });
        let error = self.error(came.node, own, about, kind);
        self.number(error, Cause::ErrorAbout(about.id));
        if let Err(mtu) = self.transmit(error, via) {
            self.drop(error, DropReason::TooBig { on: via, mtu });
        }
    }

    /// A host tells a packet's sender, from the address that the packet was sent to.
    pub(super) fn tell_from(&mut self, host: NodeId, about: Offending, kind: IcmpErrorKind) {
        self.tell(host, about.destination.address, about, kind);
    }

    fn tell(&mut self, host: NodeId, own: Address, about: Offending, kind: IcmpErrorKind) {
        if about.may_be_told {
            let error = self.error(host, own, about, kind);
            self.launch(error, Cause::ErrorAbout(about.id));
        }
    }

    /// An error that is not sent yet.
    fn error(&mut self, by: NodeId, own: Address, about: Offending, kind: IcmpErrorKind) -> Slot {
        let error = IcmpError {
            kind,
            quoted_protocol: about.protocol,
            quoted_source: about.source,
            quoted_destination: about.destination,
        };
        self.arena.insert(Packet::new(
            Endpoint::new(own, 0),
            about.source.without_port(),
            Transport::IcmpError(Box::new(error)),
            Payload::default(),
            by,
        ))
    }

    /// An ICMP packet has reached the host that it is for.
    pub(super) fn deliver_icmp(&mut self, host: NodeId, slot: Slot) {
        let packet = self.arena.get(slot);
        let (id, source, destination) = (packet.id, packet.source, packet.destination);
        let echo = match &packet.transport {
            Transport::IcmpError(error) => {
                let error = **error;
                return self.deliver_error(host, slot, error);
            }
            Transport::IcmpEcho(echo) => *echo,
            Transport::Udp | Transport::Tcp(_) => unreachable!("only ICMP comes here"),
        };
        if !echo.is_reply {
            return self.answer_echo(host, slot, echo.sequence);
        }
        let Some(program) = self.host(host).pinger(destination.port) else {
            let why = "an echo reply that nobody waits for";
            return self.drop(slot, DropReason::Rejected { host, why });
        };
        self.hand_over(host, slot, program, |payload| {
            Input::EchoReply(EchoReply {
                id,
                local: destination.address.into(),
                remote: source.address.into(),
                identifier: destination.port,
                sequence: echo.sequence,
                payload: payload.bytes(),
            })
        });
    }

    fn deliver_error(&mut self, host: NodeId, slot: Slot, error: IcmpError) {
        let (now, reporter) = (self.now, self.arena.get(slot).source.address);
        let at = self.host(host);
        if let IcmpErrorKind::TooBig { mtu } = error.kind
            && reporter.family() == Family::V6
        {
            let path_mtus = &mut at.network_layer().path_mtus;
            path_mtus.learn(now, error.quoted_destination.address, mtu);
        }
        let program = match error.quoted_protocol {
            Protocol::Udp => at.owner(error.quoted_source),
            Protocol::Icmp => at.pinger(error.quoted_source.port),
            // What concerns a connection is for the host's TCP, and no program's.
            Protocol::Tcp => None,
        };
        let Some(program) = program else {
            let why = "an ICMP error about a socket that is closed";
            return self.drop(slot, DropReason::Rejected { host, why });
        };
        self.hand_over(host, slot, program, |_| Input::Unreachable {
            local: error.quoted_source.into(),
            remote: error.quoted_destination.into(),
            kind: error.kind,
            reporter: reporter.into(),
        });
    }

    pub(super) fn host(&mut self, host: NodeId) -> &mut Host {
        match &mut self.nodes[host.index()] {
            Node::Host(host) => host,
            _ => unreachable!("packets are delivered to hosts"),
        }
    }

    /// A host answers a ping with the same bytes, which may be cut on their way back.
    pub(super) fn answer_echo(&mut self, host: NodeId, slot: Slot, sequence: u16) {
        let fate = Fate::Delivered { host };
        self.trace.ended(self.now, self.arena.get(slot), fate);
        let request = self.arena.get_mut(slot);
        let (from, to) = (request.destination, request.source);
        let payload = std::mem::take(&mut request.payload);
        self.arena.remove(slot);
        let reply = IcmpEcho {
            is_reply: true,
            sequence,
        };
        let reply = Packet {
            dont_fragment: false,
            ..Packet::new(from, to, Transport::IcmpEcho(reply), payload, host)
        };
        let reply = self.arena.insert(reply);
        self.launch(reply, Cause::Sent);
    }
}

/// The first address of a node's subnet of that family, where nobody else has it.
pub(super) fn by_custom(table: &RouteTable, family: Family) -> Option<Address> {
    let first = table.subnets().iter().find_map(|subnet| {
        let first = subnet.nth(1)?;
        (first.family() == family).then_some(first)
    })?;
    table.exact(first).is_none().then_some(first)
}

/// Whether packets may be sent back to this address (RFC 1122 §3.2.2).
fn is_somebody(source: Address) -> bool {
    let ip = IpAddr::from(source);
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || is_broadcast)
}

/// Whether somebody on the public internet could have this address.
fn is_public(destination: Address) -> bool {
    let reserved =
        matches!(IpAddr::from(destination), IpAddr::V4(v4) if v4.octets()[0] & 0xf0 == 0xf0);
    is_somebody(destination) && !destination.is_private() && !reserved
}

/// What a sender is told about such a drop, if anything.
fn told_as(reason: &DropReason) -> Option<IcmpErrorKind> {
    match reason {
        DropReason::TtlExpired { .. } => Some(IcmpErrorKind::TimeExceeded),
        DropReason::NoRoute { destination, .. } => {
            is_public(*destination).then_some(IcmpErrorKind::HostUnreachable)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_errors_at_once_and_then_one_each_millisecond() {
        let mut limit = RateLimit::default();
        let now = Time::from_millis(5);
        let burst = (0..1000).filter(|_| limit.take(now)).count();
        assert_eq!(burst, 50);
        let later =
            (1..=200).filter(|n| limit.take(now + std::time::Duration::from_micros(n * 100)));
        assert_eq!(later.count(), 20);
    }

    #[test]
    fn special_addresses_are_passed_over_in_silence() {
        for text in [
            "10.0.0.1",
            "192.168.1.2",
            "100.64.0.1",
            "169.254.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.251",
            "255.255.255.255",
            "240.0.0.1",
            "fd00::1",
            "fe80::1",
            "::",
            "::1",
            "ff02::fb",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["198.51.100.1", "2001:db8::1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
