//! A stateful firewall: what leaves makes a pinhole for what answers. Nothing is translated.

use std::collections::{HashMap, VecDeque};

use rustc_hash::FxBuildHasher;

use crate::address::{Endpoint, Family};
use crate::behaviour::{Filtering, Lifetimes};
use crate::middlebox::{Middlebox, Passage, Surroundings, Verdict};
use crate::packet::{Packet, Transport};
use crate::time::Time;
use crate::trace::DropReason;

/// What a stateful firewall is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirewallConfig {
    /// How closely it looks at who answers.
    pub filtering: Filtering,
    /// How long a pinhole stays open after the last packet went out through it.
    pub lifetimes: Lifetimes,
    /// The IP version it guards; `None` guards both. Beside a NAT that translates IPv4, a home
    /// router filters IPv6 alone (RFC 6092).
    pub family: Option<Family>,
}

impl FirewallConfig {
    /// A firewall for both IP versions whose pinholes stay open as long as a NAT's mappings do by
    /// default: for UDP five minutes.
    pub const fn new(filtering: Filtering) -> Self {
        FirewallConfig {
            filtering,
            lifetimes: Lifetimes::STANDARD,
            family: None,
        }
    }
}

type PinholeKey = (Endpoint, Endpoint);

/// A stateful firewall at work.
pub struct Firewall {
    config: FirewallConfig,
    /// (internal endpoint, remote key) to closing time.
    pinholes: HashMap<PinholeKey, Time, FxBuildHasher>,
    aging: VecDeque<(Time, PinholeKey)>,
}

impl Firewall {
    /// A firewall with nothing open.
    pub fn new(config: FirewallConfig) -> Self {
        Firewall {
            config,
            pinholes: HashMap::default(),
            aging: VecDeque::new(),
        }
    }

    fn guards(&self, packet: &Packet) -> bool {
        self.config
            .family
            .is_none_or(|family| family == packet.source.address.family())
    }

    fn key(&self, internal: Endpoint, remote: Endpoint) -> PinholeKey {
        (internal, self.config.filtering.key(remote))
    }

    fn is_open(&self, now: Time, internal: Endpoint, remote: Endpoint) -> bool {
        self.pinholes
            .get(&self.key(internal, remote))
            .is_some_and(|closes| *closes > now)
    }

    fn open(&mut self, now: Time, key: PinholeKey) -> bool {
        let closes = now + self.config.lifetimes.udp;
        if let Some(known) = self.pinholes.get_mut(&key) {
            let was_closed = *known <= now;
            *known = closes;
            return was_closed;
        }
        self.pinholes.insert(key, closes);
        self.aging.push_back((closes, key));
        self.clear_some(now);
        true
    }

    /// Clears away up to two pinholes that closed long ago, oldest first.
    fn clear_some(&mut self, now: Time) {
        for _ in 0..2 {
            let Some((due, key)) = self.aging.front().copied() else {
                return;
            };
            if due > now {
                return;
            }
            self.aging.pop_front();
            match self.pinholes.get(&key).copied() {
                Some(closes) if closes > now => self.aging.push_back((closes, key)),
                _ => {
                    self.pinholes.remove(&key);
                }
            }
        }
    }
}

impl Middlebox for Firewall {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.guards(packet) || matches!(packet.transport, Transport::IcmpError(_)) {
            return Verdict::PASS;
        }
        let key = self.key(packet.source, packet.destination);
        let opened = self.open(around.now, key);
        Verdict::Forward(Passage {
            mapped: false,
            opened,
        })
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.guards(packet) || self.config.filtering == Filtering::EndpointIndependent {
            return Verdict::PASS;
        }
        // An error belongs to the packet it quotes, whoever reports it.
        let (internal, remote) = match &packet.transport {
            Transport::Udp | Transport::Tcp(_) | Transport::IcmpEcho(_) => {
                (packet.destination, packet.source)
            }
            Transport::IcmpError(error) => (error.quoted_source, error.quoted_destination),
        };
        if self.is_open(around.now, internal, remote) {
            return Verdict::PASS;
        }
        let filtering = self.config.filtering;
        let firewall = around.node;
        Verdict::Drop(DropReason::FilteredByFirewall {
            firewall,
            internal,
            remote,
            filtering,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Stream;
    use crate::id::NodeId;
    use crate::middlebox::Way;
    use crate::packet::Payload;

    fn packet(source: Endpoint, destination: Endpoint) -> Packet {
        let payload = Payload::Bytes(Vec::new());
        Packet::new(source, destination, Transport::Udp, payload, NodeId(0))
    }

    fn passes(firewall: &mut Firewall, now: Time, way: Way, from: &str, to: &str) -> bool {
        let mut packet = packet(from.parse().unwrap(), to.parse().unwrap());
        let mut around = Surroundings {
            now,
            node: NodeId(1),
            random: &mut Stream::new(1, "firewall"),
        };
        let verdict = match way {
            Way::Out => firewall.outbound(&mut packet, &mut around),
            Way::In => firewall.inbound(&mut packet, &mut around),
        };
        matches!(verdict, Verdict::Forward(_))
    }

    #[test]
    fn a_firewall_for_one_family_lets_the_other_pass() {
        let guards = FirewallConfig {
            family: Some(Family::V6),
            ..FirewallConfig::new(Filtering::AddressAndPortDependent)
        };
        let mut firewall = Firewall::new(guards);
        let mut inbound = |from, to| passes(&mut firewall, Time::ZERO, Way::In, from, to);
        assert!(inbound("192.0.2.1:9", "203.0.113.1:5000"));
        assert!(!inbound("[2001:db8::1]:9", "[2001:db8:1::1]:5000"));
    }

    #[test]
    fn closed_pinholes_are_cleared_away_as_new_ones_come() {
        let mut config = FirewallConfig::new(Filtering::AddressAndPortDependent);
        config.lifetimes.udp = Duration::from_millis(100);
        let mut firewall = Firewall::new(config);
        for n in 0..50_000u64 {
            let remote = format!("192.0.2.1:{}", 1000 + n % 60_000);
            let now = Time::from_millis(n);
            assert!(passes(
                &mut firewall,
                now,
                Way::Out,
                "203.0.113.1:5000",
                &remote
            ));
        }
        // A hundred are open.
        assert!(
            firewall.pinholes.len() <= 300,
            "{}",
            firewall.pinholes.len()
        );
        assert!(firewall.aging.len() <= 300, "{}", firewall.aging.len());
    }
}
