//! Why a packet was dropped, as a sentence.

use super::DropReason;
use crate::behaviour::Filtering;
use crate::id::{DirectionId, LinkId, NodeId};

/// What the nodes and links of a trace are called. A trace itself knows only their numbers.
pub trait Names {
    /// A node's name: `a.nat`.
    fn node(&self, node: NodeId) -> &str;

    /// A link's inner and outer end.
    fn ends(&self, link: LinkId) -> (NodeId, NodeId);

    /// What is worth knowing about a node's end of a link beyond both names: the node's role and
    /// its addresses there. May be empty.
    fn about(&self, node: NodeId, link: LinkId) -> String;

    /// The name of one direction of a link: `a.nat>internet`.
    fn direction(&self, direction: DirectionId) -> String {
        let (inner, outer) = self.ends(direction.link());
        let (from, to) = if direction == direction.link().forward() {
            (inner, outer)
        } else {
            (outer, inner)
        };
        format!("{}>{}", self.node(from), self.node(to))
    }
}

impl DropReason {
    /// Who dropped a packet and why, in words: `dropped by a.nat: …`.
    pub fn sentence(&self, names: &impl Names) -> String {
        let node = |node: &NodeId| names.node(*node).to_owned();
        let by = |who: &NodeId, why: String| format!("dropped by {}: {why}", node(who));
        match self {
            DropReason::Lost { on } => format!("lost on {}", names.direction(*on)),
            DropReason::QueueFull { on, queued, limit } => format!(
                "dropped before {}: {queued} of the queue's {limit} bytes were taken",
                names.direction(*on)
            ),
            DropReason::TooBig { on, mtu } => format!(
                "dropped before {}: longer than the link's MTU of {mtu} bytes",
                names.direction(*on)
            ),
            DropReason::NoRoute {
                node: who,
                destination,
            } => by(who, format!("no route from here to {destination}")),
            DropReason::TtlExpired { node: who } => by(who, "it took all its hops".to_owned()),
            DropReason::LanIsolated { node: who } => {
                by(who, "stations here are kept apart".to_owned())
            }
            DropReason::FilteredByNat {
                nat,
                internal,
                external,
                remote,
                filtering,
            } => by(
                nat,
                format!(
                    "filtered; {external} is mapped to {internal}, which has sent nothing to {}",
                    looked_at(*filtering, *remote)
                ),
            ),
            DropReason::NoMapping { nat, external, .. } => {
                by(nat, format!("{external} has no mapping here"))
            }
            DropReason::NoFreePort { nat, internal } => {
                by(nat, format!("no external port is left for {internal}"))
            }
            DropReason::HairpinningOff { nat, external } => by(
                nat,
                format!("sent from inside to {external}, and hairpinning is off"),
            ),
            DropReason::FilteredByFirewall {
                firewall,
                internal,
                remote,
                filtering,
            } => by(
                firewall,
                format!(
                    "filtered; {internal} has sent nothing to {}",
                    looked_at(*filtering, *remote)
                ),
            ),
            DropReason::DeniedByRule { firewall, rule } => {
                by(firewall, format!("denied by rule {rule}"))
            }
            DropReason::UdpBlocked { firewall, rule } => {
                by(firewall, format!("UDP is blocked by rule {rule}"))
            }
            DropReason::WrongHost { host, destination } => {
                by(host, format!("{destination} is none of its addresses"))
            }
            DropReason::PortUnreachable { host, endpoint } => {
                by(host, format!("nobody listens at {endpoint}"))
            }
            DropReason::Rejected { host, why } => by(host, format!("rejected: {why}")),
            DropReason::LinkDown { on } => {
                format!("dropped before {}: the link is down", names.direction(*on))
            }
            DropReason::Partitioned { node: who, from } => by(
                who,
                format!(
                    "it came by way of {}, and the two are parted",
                    names.node(*from)
                ),
            ),
            DropReason::ForeignSource { node: who, source } => {
                by(who, format!("{source} is none of the sender's addresses"))
            }
            DropReason::SubscriberLimit {
                nat,
                internal,
                limit,
            } => by(
                nat,
                format!("{internal} wants one more mapping than the {limit} of a subscriber"),
            ),
            DropReason::TableFull {
                node: who,
                internal,
                limit,
            } => by(
                who,
                format!("the table's {limit} entries are taken, and {internal} wants one more"),
            ),
            DropReason::OutOfState {
                node: who,
                internal,
                remote,
            } => by(
                who,
                format!(
                    "no TCP connection between {internal} and {remote} is open, and this opens none"
                ),
            ),
            DropReason::ClaimedByRouter {
                nat,
                external,
                remote,
            } => by(
                nat,
                format!(
                    "nobody inside had sent from {external} to {remote}, and the router took the \
                     packet for itself: that pair of endpoints is its own now"
                ),
            ),
            DropReason::ConnectionRefused { host, endpoint } => {
                by(host, format!("nobody listens for TCP at {endpoint}"))
            }
            DropReason::FragmentsIncomplete { node: who } => by(
                who,
                "the packet's other fragments didn't come in time".to_owned(),
            ),
            DropReason::FragmentsFull { node: who, limit } => by(
                who,
                format!("the {limit} bytes for fragments of incomplete packets are taken"),
            ),
            DropReason::Malformed { node: who, why } => by(who, format!("malformed: {why}")),
            DropReason::NotTranslatable { nat, destination } if destination.is_ipv4() => by(
                nat,
                format!("{destination} is private, and no IPv6 address stands for it"),
            ),
            DropReason::NotTranslatable { nat, destination } => {
                by(nat, format!("{destination} stands for no IPv4 address"))
            }
            DropReason::Custom { node: who, why } => by(who, (*why).to_owned()),
        }
    }
}

/// The part of a remote endpoint that a filtering behaviour looks at.
fn looked_at(filtering: Filtering, remote: crate::Endpoint) -> String {
    match filtering {
        Filtering::EndpointIndependent => "anybody".to_owned(),
        Filtering::AddressDependent => remote.address.to_string(),
        Filtering::AddressAndPortDependent => remote.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TwoNodes;

    impl Names for TwoNodes {
        fn node(&self, node: NodeId) -> &str {
            ["a.nat", "internet"][node.index()]
        }

        fn ends(&self, _: LinkId) -> (NodeId, NodeId) {
            (NodeId(0), NodeId(1))
        }

        fn about(&self, _: NodeId, _: LinkId) -> String {
            String::new()
        }
    }

    #[test]
    fn a_sentence_names_the_place_and_the_state_that_decided() {
        let filtered = |filtering| DropReason::FilteredByNat {
            nat: NodeId(0),
            internal: "192.168.1.2:5000".parse().unwrap(),
            external: "203.0.113.1:5001".parse().unwrap(),
            remote: "192.0.2.1:3478".parse().unwrap(),
            filtering,
        };
        // Address-dependent filtering doesn't look at ports, and neither does its sentence.
        for (filtering, looked_at) in [
            (Filtering::AddressDependent, "192.0.2.1"),
            (Filtering::AddressAndPortDependent, "192.0.2.1:3478"),
        ] {
            assert_eq!(
                filtered(filtering).sentence(&TwoNodes),
                format!(
                    "dropped by a.nat: filtered; 203.0.113.1:5001 is mapped to 192.168.1.2:5000, \
                     which has sent nothing to {looked_at}"
                )
            );
        }
        let on = LinkId(0).backward();
        assert_eq!(
            DropReason::Lost { on }.sentence(&TwoNodes),
            "lost on internet>a.nat"
        );
        let (queued, limit) = (4000, 5000);
        let full = DropReason::QueueFull { on, queued, limit };
        assert_eq!(
            full.sentence(&TwoNodes),
            "dropped before internet>a.nat: 4000 of the queue's 5000 bytes were taken"
        );
    }
}
