//! A stateful firewall: what leaves makes a pinhole for what answers. Nothing is translated.
//!
//! Follows RFC 6092's recommendations for UDP (§3.2.1), TCP (§3.3.1) and ICMP (§3.2.2). A
//! datagram's pinhole lives on when something leaves through it; a TCP session when anything
//! passes, as RFC 5382 §2.1 counts idleness.

use super::pinholes::Memory;
use super::session::{MidStream, Session};
use crate::address::{Endpoint, Family};
use crate::behaviour::{Filtering, Lifetimes};
use crate::middlebox::{Middlebox, Passage, Surroundings, Verdict, Way};
use crate::packet::{IcmpEcho, IcmpError, Packet, Protocol, TcpFlags, TcpSegment, Transport};
use crate::time::Time;
use crate::trace::DropReason;

/// What a stateful firewall is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirewallConfig {
    /// How closely it looks at who answers, and at who opens a TCP connection.
    pub filtering: Filtering,
    /// How long a pinhole stays open: after the last datagram went out through it, after the last
    /// segment of a connection.
    pub lifetimes: Lifetimes,
    /// The IP version it guards; `None` guards both. Beside a NAT that translates IPv4, a home
    /// router filters IPv6 alone (RFC 6092).
    pub family: Option<Family>,
    /// What it does with outgoing segments of connections that it knows nothing of.
    pub mid_stream: MidStream,
}

impl FirewallConfig {
    /// A firewall for both IP versions whose pinholes stay open as long as a NAT's mappings do by
    /// default: for UDP five minutes.
    pub const fn new(filtering: Filtering) -> Self {
        FirewallConfig {
            filtering,
            lifetimes: Lifetimes::STANDARD,
            family: None,
            mid_stream: MidStream::Loose,
        }
    }
}

/// Internal endpoint and what the filtering looks at of the remote one.
type PinholeKey = (Endpoint, Endpoint);

/// A stateful firewall at work.
pub struct Firewall {
    config: FirewallConfig,
    datagrams: Memory<PinholeKey, ()>,
    echoes: Memory<PinholeKey, ()>,
    /// Who may open a TCP connection to whom, where filtering looks at less than all.
    contacts: Memory<PinholeKey, ()>,
    /// By internal and remote endpoint.
    sessions: Memory<(Endpoint, Endpoint), Session>,
}

impl Firewall {
    /// A firewall with nothing open.
    pub fn new(config: FirewallConfig) -> Self {
        Firewall {
            config,
            datagrams: Memory::new(),
            echoes: Memory::new(),
            contacts: Memory::new(),
            sessions: Memory::new(),
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

    /// A segment leaves. Returns whether that opened something; `None` refuses it.
    fn segment_leaves(
        &mut self,
        now: Time,
        (internal, remote): (Endpoint, Endpoint),
        segment: &TcpSegment,
    ) -> Option<bool> {
        let opened = match self.follow(now, (internal, remote), Way::Out, segment) {
            Some(()) => false,
            None => {
                let opens = segment.is_opening();
                if !opens && self.config.mid_stream == MidStream::Strict {
                    return None;
                }
                if segment.flags.contains(TcpFlags::RST) {
                    // It ends something, and nobody will answer it.
                    return Some(false);
                }
                self.begin(now, (internal, remote), Way::Out, segment);
                true
            }
        };
        if self.config.filtering != Filtering::AddressAndPortDependent
            && let Some((until, _)) = self.sessions.get_mut(now, &(internal, remote))
        {
            let (until, key) = (*until, self.key(internal, remote));
            self.contacts.remember(now, key, until, ());
        }
        Some(opened)
    }

    /// Takes note of a segment of a known session, which lives on.
    fn follow(
        &mut self,
        now: Time,
        ends: (Endpoint, Endpoint),
        way: Way,
        segment: &TcpSegment,
    ) -> Option<()> {
        let (until, session) = self.sessions.get_mut(now, &ends)?;
        // Only the inside begins anew between the same endpoints.
        if way == Way::In && session.is_over() && segment.is_opening() {
            return None;
        }
        session.follow(way, segment);
        *until = now + session.lifetime(&self.config.lifetimes);
        Some(())
    }

    fn begin(&mut self, now: Time, ends: (Endpoint, Endpoint), way: Way, segment: &TcpSegment) {
        let session = Session::begin(way, segment);
        let until = now + session.lifetime(&self.config.lifetimes);
        self.sessions.remember(now, ends, until, session);
    }

    fn segment_enters(
        &mut self,
        now: Time,
        (internal, remote): (Endpoint, Endpoint),
        segment: &TcpSegment,
    ) -> bool {
        if let Some(()) = self.follow(now, (internal, remote), Way::In, segment) {
            return true;
        }
        let welcome = segment.is_opening()
            && self.config.filtering != Filtering::AddressAndPortDependent
            && self.contacts.holds(now, &self.key(internal, remote));
        if welcome {
            self.begin(now, (internal, remote), Way::In, segment);
        }
        welcome
    }

    /// An error belongs to the packet that it quotes, whoever reports it.
    fn is_related(&self, now: Time, error: &IcmpError) -> bool {
        let (internal, remote) = (error.quoted_source, error.quoted_destination);
        let key = self.key(internal, remote);
        match error.quoted_protocol {
            Protocol::Udp => self.datagrams.holds(now, &key),
            Protocol::Tcp => self.sessions.holds(now, &(internal, remote)),
            Protocol::Icmp => self.echoes.holds(now, &key),
        }
    }
}

impl Middlebox for Firewall {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.guards(packet) {
            return Verdict::PASS;
        }
        let (now, ends) = (around.now, (packet.source, packet.destination));
        let key = self.key(ends.0, ends.1);
        let lifetimes = &self.config.lifetimes;
        let opened = match &packet.transport {
            Transport::Udp => (self.datagrams).remember(now, key, now + lifetimes.udp, ()),
            Transport::IcmpEcho(IcmpEcho {
                is_reply: false, ..
            }) => (self.echoes).remember(now, key, now + lifetimes.icmp_query, ()),
            Transport::IcmpEcho(_) | Transport::IcmpError(_) => false,
            Transport::Tcp(segment) => match self.segment_leaves(now, ends, segment) {
                Some(opened) => opened,
                None => {
                    return Verdict::Drop(DropReason::OutOfState {
                        node: around.node,
                        internal: ends.0,
                        remote: ends.1,
                    });
                }
            },
        };
        Verdict::Forward(Passage {
            mapped: false,
            opened,
        })
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.guards(packet) || self.config.filtering == Filtering::EndpointIndependent {
            return Verdict::PASS;
        }
        let now = around.now;
        let (mut internal, mut remote) = (packet.destination, packet.source);
        let key = self.key(internal, remote);
        let is_open = match &packet.transport {
            Transport::Udp => self.datagrams.holds(now, &key),
            Transport::IcmpEcho(echo) => echo.is_reply && self.echoes.holds(now, &key),
            Transport::Tcp(segment) => self.segment_enters(now, (internal, remote), segment),
            Transport::IcmpError(error) => {
                (internal, remote) = (error.quoted_source, error.quoted_destination);
                self.is_related(now, error)
            }
        };
        if is_open {
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

    /// Whether a packet passes a firewall at a time, given in seconds.
    fn passes_at(
        firewall: &mut Firewall,
        seconds: u64,
        way: Way,
        (source, destination): (&str, &str),
        transport: Transport,
    ) -> bool {
        let [source, destination] = [source, destination].map(|end| end.parse().unwrap());
        let payload = Payload::default();
        let mut packet = Packet::new(source, destination, transport, payload, NodeId(0));
        let mut around = Surroundings {
            now: Time::from_millis(1000 * seconds),
            node: NodeId(1),
            random: &mut Stream::new(1, "firewall"),
        };
        let verdict = match way {
            Way::Out => firewall.outbound(&mut packet, &mut around),
            Way::In => firewall.inbound(&mut packet, &mut around),
        };
        matches!(verdict, Verdict::Forward(_))
    }

    fn echo(is_reply: bool) -> Transport {
        Transport::IcmpEcho(IcmpEcho {
            is_reply,
            sequence: 1,
        })
    }

    #[test]
    fn who_was_pinged_may_answer_for_the_lifetime_of_a_query() {
        for (seconds, passes) in [(59, true), (60, false)] {
            let mut firewall = Firewall::new(FirewallConfig::new(Filtering::AddressDependent));
            let (asker, asked) = ("203.0.113.1:77", "192.0.2.1:0");
            let mut at = |seconds, way, ends, transport| {
                passes_at(&mut firewall, seconds, way, ends, transport)
            };
            assert!(!at(0, Way::In, (asked, asker), echo(true)), "unasked");
            assert!(at(0, Way::Out, (asker, asked), echo(false)));
            // Nobody may ask back, or answer to another identifier, or answer for another.
            let other = "203.0.113.1:78";
            let stranger = "192.0.2.2:0";
            assert!(!at(
                1,
                Way::In,
                ("192.0.2.1:77", "203.0.113.1:0"),
                echo(false)
            ));
            assert!(!at(1, Way::In, (asked, other), echo(true)));
            assert!(!at(1, Way::In, (stranger, asker), echo(true)));
            assert_eq!(at(seconds, Way::In, (asked, asker), echo(true)), passes);
        }
    }

    fn tcp(flags: TcpFlags) -> Transport {
        Transport::Tcp(TcpSegment {
            flags,
            ..TcpSegment::default()
        })
    }

    const INSIDE: &str = "203.0.113.1:5000";
    const OUTSIDE: &str = "192.0.2.1:80";

    #[test]
    fn what_is_opening_or_closing_is_forgotten_after_the_transitory_lifetime() {
        let (syn, ack, fin, rst) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST);
        let opened = vec![(Way::Out, syn), (Way::In, syn | ack), (Way::Out, ack)];
        let ended = |last: &[(Way, TcpFlags)]| [&opened[..], last].concat();
        let table = [
            (vec![(Way::Out, syn)], 240),
            (vec![(Way::Out, syn), (Way::In, syn | ack)], 240),
            (opened.clone(), 7440),
            (ended(&[(Way::Out, fin | ack)]), 7440),
            (ended(&[(Way::Out, fin | ack), (Way::In, fin | ack)]), 240),
            (ended(&[(Way::In, rst)]), 240),
            (ended(&[(Way::Out, rst)]), 240),
        ];
        for (segments, lifetime) in table {
            for (early, passes) in [(1, true), (0, false)] {
                let config = FirewallConfig::new(Filtering::AddressAndPortDependent);
                let mut firewall = Firewall::new(config);
                let mut at = |seconds, way, flags| {
                    let ends = match way {
                        Way::Out => (INSIDE, OUTSIDE),
                        Way::In => (OUTSIDE, INSIDE),
                    };
                    passes_at(&mut firewall, seconds, way, ends, tcp(flags))
                };
                for (way, flags) in &segments {
                    assert!(at(0, *way, *flags), "{segments:?}");
                }
                let late = at(lifetime - early, Way::In, ack);
                assert_eq!(late, passes, "{segments:?}, {lifetime} s");
            }
        }
    }

    #[test]
    fn after_the_end_the_outside_does_not_begin_anew() {
        let mut firewall = Firewall::new(FirewallConfig::new(Filtering::AddressAndPortDependent));
        let out = |firewall: &mut Firewall, flags| {
            passes_at(firewall, 0, Way::Out, (INSIDE, OUTSIDE), tcp(flags))
        };
        let back = |firewall: &mut Firewall, flags| {
            passes_at(firewall, 0, Way::In, (OUTSIDE, INSIDE), tcp(flags))
        };
        assert!(!back(&mut firewall, TcpFlags::SYN), "unsolicited");
        assert!(out(&mut firewall, TcpFlags::SYN));
        assert!(back(&mut firewall, TcpFlags::SYN), "both open at once");
        assert!(back(&mut firewall, TcpFlags::RST | TcpFlags::ACK));
        assert!(!back(&mut firewall, TcpFlags::SYN));
        assert!(out(&mut firewall, TcpFlags::SYN));
        assert!(back(&mut firewall, TcpFlags::SYN | TcpFlags::ACK));
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
            firewall.datagrams.len() <= 300,
            "{}",
            firewall.datagrams.len()
        );
    }
}
