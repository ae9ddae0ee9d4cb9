//! What becomes of a packet: exactly one fate each, with the place, the rule and the state that
//! decided it.

use crate::address::{Address, Endpoint};
use crate::behaviour::Filtering;
use crate::id::{DirectionId, NodeId};

/// How a packet's life ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// A program on this host took it.
    Delivered {
        /// The host.
        host: NodeId,
    },
    /// It was cut into fragments, which go on in its place.
    Fragmented {
        /// Who cut it.
        node: NodeId,
    },
    /// It went no further.
    Dropped(DropReason),
}

/// Why a packet was dropped, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DropReason {
    /// A link lost it.
    Lost {
        /// The direction of the link.
        on: DirectionId,
    },
    /// The queue before a link had no room for it.
    QueueFull {
        /// The direction of the link.
        on: DirectionId,
        /// Bytes that waited or were being sent.
        queued: u32,
        /// Bytes that may wait.
        limit: u32,
    },
    /// It is longer than the link carries in one piece.
    TooBig {
        /// The direction of the link.
        on: DirectionId,
        /// The most bytes the link carries.
        mtu: u16,
    },
    /// Nobody on the way knows the destination.
    NoRoute {
        /// Who gave up.
        node: NodeId,
        /// The address that leads nowhere.
        destination: Address,
    },
    /// It took more hops than it was allowed.
    TtlExpired {
        /// Where the last hop ended.
        node: NodeId,
    },
    /// The access point keeps its stations apart.
    LanIsolated {
        /// The access point.
        node: NodeId,
    },
    /// The NAT has a mapping for that external endpoint, but its filtering lets this remote
    /// endpoint not through (RFC 4787 §5).
    FilteredByNat {
        /// The NAT.
        nat: NodeId,
        /// The internal endpoint behind the mapping.
        internal: Endpoint,
        /// The external endpoint the packet was sent to.
        external: Endpoint,
        /// Who sent it.
        remote: Endpoint,
        /// The filtering behaviour.
        filtering: Filtering,
    },
    /// The NAT has no mapping for that external endpoint, or none any more.
    NoMapping {
        /// The NAT.
        nat: NodeId,
        /// The external endpoint the packet was sent to.
        external: Endpoint,
        /// Who sent it.
        remote: Endpoint,
    },
    /// The NAT has no external port left for a new mapping.
    NoFreePort {
        /// The NAT.
        nat: NodeId,
        /// Who wanted one.
        internal: Endpoint,
    },
    /// It was sent from inside to the NAT's own external endpoint, and the NAT doesn't hairpin
    /// (RFC 4787 §6).
    HairpinningOff {
        /// The NAT.
        nat: NodeId,
        /// The external endpoint the packet was sent to.
        external: Endpoint,
    },
    /// The stateful firewall has seen nothing leave toward that remote endpoint.
    FilteredByFirewall {
        /// The firewall.
        firewall: NodeId,
        /// Who it was sent to.
        internal: Endpoint,
        /// Who sent it.
        remote: Endpoint,
        /// How closely the firewall looks at the remote endpoint.
        filtering: Filtering,
    },
    /// A rule of the firewall denies it.
    DeniedByRule {
        /// The firewall.
        firewall: NodeId,
        /// The rule's place in the list, from 0.
        rule: u16,
    },
    /// A rule of the firewall denies all of UDP.
    UdpBlocked {
        /// The firewall.
        firewall: NodeId,
        /// The rule's place in the list, from 0.
        rule: u16,
    },
    /// It reached a host that doesn't have that address.
    WrongHost {
        /// The host.
        host: NodeId,
        /// The address it was sent to.
        destination: Address,
    },
    /// No socket of the host listens there. The sender is told by ICMP.
    PortUnreachable {
        /// The host.
        host: NodeId,
        /// Where nobody listens.
        endpoint: Endpoint,
    },
    /// The program that got it could make nothing of it.
    Rejected {
        /// The host the program runs on.
        host: NodeId,
        /// What was wrong, in the program's words.
        why: &'static str,
    },
    /// The link was down: cut, or the host had left it.
    LinkDown {
        /// The direction of the link.
        on: DirectionId,
    },
    /// It came from a node to one that it is parted from.
    Partitioned {
        /// Where it ended.
        node: NodeId,
        /// The node it had been at.
        from: NodeId,
    },
    /// Its source address is none of the sender's own.
    ForeignSource {
        /// The host.
        node: NodeId,
        /// The address.
        source: Address,
    },
    /// The subscriber has all the mappings that the NAT allows it (RFC 6888 REQ-4).
    SubscriberLimit {
        /// The NAT.
        nat: NodeId,
        /// Who wanted one more.
        internal: Endpoint,
        /// How many one subscriber may have.
        limit: u32,
    },
    /// The NAT or firewall has no memory for more state (RFC 6888 REQ-5).
    TableFull {
        /// The NAT or firewall.
        node: NodeId,
        /// Who wanted some.
        internal: Endpoint,
        /// How many entries it holds.
        limit: u32,
    },
    /// A TCP segment that belongs to no connection and opens none.
    OutOfState {
        /// The NAT, firewall or host.
        node: NodeId,
        /// The endpoint on the inside.
        internal: Endpoint,
        /// The endpoint on the outside.
        remote: Endpoint,
    },
    /// The router took it for itself: nobody inside had a mapping for it, and its own firewall
    /// accepts what comes (Linux connection tracking).
    ClaimedByRouter {
        /// The router.
        nat: NodeId,
        /// The endpoint it was sent to.
        external: Endpoint,
        /// Who sent it.
        remote: Endpoint,
    },
    /// No socket of the host listens for TCP there. The sender gets a reset.
    ConnectionRefused {
        /// The host.
        host: NodeId,
        /// Where nobody listens.
        endpoint: Endpoint,
    },
    /// A fragment whose packet never became whole.
    FragmentsIncomplete {
        /// Who waited for the rest.
        node: NodeId,
    },
    /// There is no room for more fragments of incomplete packets.
    FragmentsFull {
        /// Who keeps fragments.
        node: NodeId,
        /// Bytes that may be kept.
        limit: u32,
    },
    /// Its headers contradict each other.
    Malformed {
        /// Who looked.
        node: NodeId,
        /// What is wrong.
        why: &'static str,
    },
    /// A translator between IPv4 and IPv6 can make nothing of its addresses (RFC 6146, RFC 7915).
    NotTranslatable {
        /// The translator.
        nat: NodeId,
        /// Where it was to go.
        destination: Address,
    },
    /// A middlebox of the user's own dropped it.
    Custom {
        /// Where.
        node: NodeId,
        /// Why, in the middlebox's words.
        why: &'static str,
    },
}

/// Where something happened to a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// In a node.
    Node(NodeId),
    /// On one direction of a link.
    Direction(DirectionId),
}

impl DropReason {
    /// The reason's name in results: `filtered_by_nat`.
    pub const fn code(&self) -> &'static str {
        Self::CODES[self.number() as usize - 1]
    }

    /// Every [code](DropReason::code), for messages and files, in the order of the
    /// reasons' numbers.
    pub const CODES: [&'static str; 29] = [
        "lost",
        "queue_full",
        "too_big",
        "no_route",
        "ttl_expired",
        "lan_isolated",
        "filtered_by_nat",
        "no_mapping",
        "no_free_port",
        "hairpinning_off",
        "filtered_by_firewall",
        "denied_by_rule",
        "udp_blocked",
        "wrong_host",
        "port_unreachable",
        "rejected",
        "custom",
        "link_down",
        "foreign_source",
        "subscriber_limit",
        "table_full",
        "out_of_state",
        "claimed_by_router",
        "connection_refused",
        "fragments_incomplete",
        "fragments_full",
        "malformed",
        "not_translatable",
        "partitioned",
    ];

    /// The reason's number in digests. Never given to another reason.
    pub(crate) const fn number(&self) -> u8 {
        match self {
            DropReason::Lost { .. } => 1,
            DropReason::QueueFull { .. } => 2,
            DropReason::TooBig { .. } => 3,
            DropReason::NoRoute { .. } => 4,
            DropReason::TtlExpired { .. } => 5,
            DropReason::LanIsolated { .. } => 6,
            DropReason::FilteredByNat { .. } => 7,
            DropReason::NoMapping { .. } => 8,
            DropReason::NoFreePort { .. } => 9,
            DropReason::HairpinningOff { .. } => 10,
            DropReason::FilteredByFirewall { .. } => 11,
            DropReason::DeniedByRule { .. } => 12,
            DropReason::UdpBlocked { .. } => 13,
            DropReason::WrongHost { .. } => 14,
            DropReason::PortUnreachable { .. } => 15,
            DropReason::Rejected { .. } => 16,
            DropReason::Custom { .. } => 17,
            DropReason::LinkDown { .. } => 18,
            DropReason::ForeignSource { .. } => 19,
            DropReason::SubscriberLimit { .. } => 20,
            DropReason::TableFull { .. } => 21,
            DropReason::OutOfState { .. } => 22,
            DropReason::ClaimedByRouter { .. } => 23,
            DropReason::ConnectionRefused { .. } => 24,
            DropReason::FragmentsIncomplete { .. } => 25,
            DropReason::FragmentsFull { .. } => 26,
            DropReason::Malformed { .. } => 27,
            DropReason::NotTranslatable { .. } => 28,
            DropReason::Partitioned { .. } => 29,
        }
    }

    /// Where it happened.
    pub const fn place(&self) -> Place {
        match *self {
            DropReason::Lost { on }
            | DropReason::QueueFull { on, .. }
            | DropReason::TooBig { on, .. }
            | DropReason::LinkDown { on } => Place::Direction(on),
            DropReason::NoRoute { node, .. }
            | DropReason::TtlExpired { node }
            | DropReason::LanIsolated { node }
            | DropReason::Partitioned { node, .. }
            | DropReason::Custom { node, .. }
            | DropReason::ForeignSource { node, .. }
            | DropReason::TableFull { node, .. }
            | DropReason::OutOfState { node, .. }
            | DropReason::FragmentsIncomplete { node }
            | DropReason::FragmentsFull { node, .. }
            | DropReason::Malformed { node, .. } => Place::Node(node),
            DropReason::FilteredByNat { nat, .. }
            | DropReason::NoMapping { nat, .. }
            | DropReason::NoFreePort { nat, .. }
            | DropReason::HairpinningOff { nat, .. }
            | DropReason::SubscriberLimit { nat, .. }
            | DropReason::ClaimedByRouter { nat, .. }
            | DropReason::NotTranslatable { nat, .. } => Place::Node(nat),
            DropReason::FilteredByFirewall { firewall, .. }
            | DropReason::DeniedByRule { firewall, .. }
            | DropReason::UdpBlocked { firewall, .. } => Place::Node(firewall),
            DropReason::WrongHost { host, .. }
            | DropReason::PortUnreachable { host, .. }
            | DropReason::Rejected { host, .. }
            | DropReason::ConnectionRefused { host, .. } => Place::Node(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Digests hold the numbers; scenario files, results and the book hold the codes. Neither may
    /// change, so each reason stands here with both, as literals.
    #[test]
    fn every_reason_keeps_its_number_and_its_code() {
        let (node, on) = (NodeId(0), DirectionId(0));
        let (nat, firewall, host) = (node, node, node);
        let address = Address::v4(192, 0, 2, 1);
        let endpoint = Endpoint::new(address, 4000);
        let (internal, external, remote) = (endpoint, endpoint, endpoint);
        let (source, destination) = (address, address);
        let filtering = Filtering::AddressDependent;
        let (rule, limit, why) = (0, 0, "");
        let (queued, mtu) = (0, 0);
        #[rustfmt::skip]
        let reasons = [
            (1, "lost", DropReason::Lost { on }),
            (2, "queue_full", DropReason::QueueFull { on, queued, limit }),
            (3, "too_big", DropReason::TooBig { on, mtu }),
            (4, "no_route", DropReason::NoRoute { node, destination }),
            (5, "ttl_expired", DropReason::TtlExpired { node }),
            (6, "lan_isolated", DropReason::LanIsolated { node }),
            (7, "filtered_by_nat", DropReason::FilteredByNat { nat, internal, external, remote, filtering }),
            (8, "no_mapping", DropReason::NoMapping { nat, external, remote }),
            (9, "no_free_port", DropReason::NoFreePort { nat, internal }),
            (10, "hairpinning_off", DropReason::HairpinningOff { nat, external }),
            (11, "filtered_by_firewall", DropReason::FilteredByFirewall { firewall, internal, remote, filtering }),
            (12, "denied_by_rule", DropReason::DeniedByRule { firewall, rule }),
            (13, "udp_blocked", DropReason::UdpBlocked { firewall, rule }),
            (14, "wrong_host", DropReason::WrongHost { host, destination }),
            (15, "port_unreachable", DropReason::PortUnreachable { host, endpoint }),
            (16, "rejected", DropReason::Rejected { host, why }),
            (17, "custom", DropReason::Custom { node, why }),
            (18, "link_down", DropReason::LinkDown { on }),
            (19, "foreign_source", DropReason::ForeignSource { node, source }),
            (20, "subscriber_limit", DropReason::SubscriberLimit { nat, internal, limit }),
            (21, "table_full", DropReason::TableFull { node, internal, limit }),
            (22, "out_of_state", DropReason::OutOfState { node, internal, remote }),
            (23, "claimed_by_router", DropReason::ClaimedByRouter { nat, external, remote }),
            (24, "connection_refused", DropReason::ConnectionRefused { host, endpoint }),
            (25, "fragments_incomplete", DropReason::FragmentsIncomplete { node }),
            (26, "fragments_full", DropReason::FragmentsFull { node, limit }),
            (27, "malformed", DropReason::Malformed { node, why }),
            (28, "not_translatable", DropReason::NotTranslatable { nat, destination }),
            (29, "partitioned", DropReason::Partitioned { node, from: node }),
        ];
        for (number, code, reason) in &reasons {
            assert_eq!((reason.number(), reason.code()), (*number, *code));
        }
        // All of them, each once: the literals above differ, and are as many.
        let numbers: BTreeSet<u8> = reasons.iter().map(|(number, ..)| *number).collect();
        let codes: BTreeSet<&str> = reasons.iter().map(|(_, code, _)| *code).collect();
        assert_eq!(numbers.len(), DropReason::CODES.len());
        assert_eq!(codes, DropReason::CODES.into_iter().collect());
        assert_eq!(codes.len(), DropReason::CODES.len());
    }
}
