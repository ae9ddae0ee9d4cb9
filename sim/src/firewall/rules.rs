//! Stateless rules: an ordered list, the first that matches decides.

use std::ops::RangeInclusive;

use crate::address::{Endpoint, Prefix};
use crate::middlebox::{Middlebox, Surroundings, Verdict, Way};
use crate::packet::{Packet, Protocol};
use crate::trace::DropReason;

/// What a rule does with a packet that matches it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Lets it pass, whatever later rules say.
    Allow,
    /// Drops it.
    Deny,
}

/// A rule. `None` in a field matches anything.
///
/// ```
/// use pinhole::firewall::{Action, Protocol, Rule};
///
/// let block_udp = Rule { protocol: Some(Protocol::Udp), ..Rule::new(Action::Deny) };
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What to do.
    pub action: Action,
    /// Which way the packet goes.
    pub way: Option<Way>,
    /// Its protocol.
    pub protocol: Option<Protocol>,
    /// The address block that its inner endpoint lies in.
    pub inner: Option<Prefix>,
    /// The address block that its outer endpoint lies in.
    pub outer: Option<Prefix>,
    /// The outer endpoint's port. Matches no packet without ports.
    pub outer_port: Option<RangeInclusive<u16>>,
}

impl Rule {
    /// A rule that matches every packet.
    pub fn new(action: Action) -> Self {
        Rule {
            action,
            way: None,
            protocol: None,
            inner: None,
            outer: None,
            outer_port: None,
        }
    }

    /// Denies all of UDP, both ways.
    pub fn deny_udp() -> Self {
        Rule {
            protocol: Some(Protocol::Udp),
            ..Rule::new(Action::Deny)
        }
    }

    fn matches(&self, way: Way, packet: &Packet) -> bool {
        let (inner, outer) = match way {
            Way::Out => (packet.source, packet.destination),
            Way::In => (packet.destination, packet.source),
        };
        let protocol = packet.transport.protocol();
        let lies_in = |prefix: Option<Prefix>, endpoint: Endpoint| {
            prefix.is_none_or(|prefix| prefix.contains(endpoint.address))
        };
        self.way.is_none_or(|wanted| wanted == way)
            && self.protocol.is_none_or(|wanted| wanted == protocol)
            && lies_in(self.inner, inner)
            && lies_in(self.outer, outer)
            && self
                .outer_port
                .as_ref()
                .is_none_or(|ports| protocol != Protocol::Icmp && ports.contains(&outer.port))
    }

    /// Whether the rule denies UDP as such, not some of it.
    fn denies_all_udp(&self) -> bool {
        *self == Rule::deny_udp()
    }
}

/// An ordered list of rules. A packet that no rule matches passes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    fn judge(&self, way: Way, packet: &Packet, around: &Surroundings<'_>) -> Verdict {
        let first = self
            .0
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.matches(way, packet));
        let firewall = around.node;
        match first {
            Some((place, rule)) if rule.action == Action::Deny => {
                let place = place as u16;
                Verdict::Drop(if rule.denies_all_udp() {
                    DropReason::UdpBlocked {
                        firewall,
                        rule: place,
                    }
                } else {
                    DropReason::DeniedByRule {
                        firewall,
                        rule: place,
                    }
                })
            }
            _ => Verdict::PASS,
        }
    }
}

impl Middlebox for Rules {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge(Way::Out, packet, around)
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge(Way::In, packet, around)
    }
}
