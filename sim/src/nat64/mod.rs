//! Between IPv6 and IPv4: stateful NAT64 (RFC 6146), the stateless CLAT of 464XLAT (RFC 6877), the
//! addresses they share (RFC 6052), and what DNS64 answers (RFC 6147).
//!
//! A NAT64 stands between a network that has only IPv6 and the IPv4 internet. To its inside the
//! whole IPv4 internet lies under one IPv6 prefix; what is sent there is translated, everything else
//! of IPv6 passes as it came. To the outside its hosts look as if they were behind a NAT, one that
//! maps endpoint-independently.
//!
//! | module | holds |
//! |---|---|
//! | `prefix` | IPv4 addresses inside IPv6 ones, and the discovery of the prefix (RFC 7050) |
//! | `header` | the rest of the header (RFC 7915) |
//! | `sessions`, `tcp`, `ports` | the state of a NAT64: bindings, sessions, ports |
//! | `clat` | the stateless translator |
//! | `dns64` | which addresses a name has on a network with DNS64 |
//!
//! What it doesn't do: it waits for no SYN from inside where the filter refused one from outside
//! (RFC 6146 §3.5.2.2 would keep it for six seconds), probes no TCP session that ran out, cuts
//! nothing into fragments, and of fragmented packets it lets those parts pass that come after the
//! first.

mod clat;
mod config;
mod dns64;
mod header;
mod ports;
mod prefix;
mod sessions;
mod tcp;
#[cfg(test)]
mod tests;

pub use clat::Clat;
pub use config::{ClatConfig, Nat64Config};
pub use dns64::{IPV4_ONLY_NAME, Resolver, Zone};
pub use prefix::{IPV4_ONLY, NoPrefix64, Prefix64};
pub use sessions::Binding;

use std::collections::VecDeque;
use std::time::Duration;

use sessions::{Refused, Tables};
use tcp::TcpState;

use crate::address::{Address, Endpoint, Family};
use crate::behaviour::Lifetimes;
use crate::middlebox::{Middlebox, Passage, Surroundings, Verdict, Way};
use crate::packet::{Fragment, Packet, Protocol, Transport};
use crate::time::Time;
use crate::trace::DropReason;

/// A stateful NAT64 at work.
pub struct Nat64 {
    config: Nat64Config,
    tables: Tables,
    fragments: VecDeque<FirstFragment>,
}

/// Where the first fragment of a packet went, for those that follow: they have no ports.
struct FirstFragment {
    at: Time,
    before: (Address, Address),
    identification: u32,
    after: (Address, Address),
}

/// How long later fragments may be late (RFC 6146 §4, FRAGMENT_MIN), and how many packets may be
/// under way in fragments.
const FRAGMENT_PATIENCE: Duration = Duration::from_secs(2);
const MOST_FRAGMENTED: usize = 256;

impl Nat64 {
    /// A NAT64 with these external IPv4 addresses.
    pub fn new(config: Nat64Config, external: impl IntoIterator<Item = Address>) -> Self {
        let external = external.into_iter().filter(|address| address.is_ipv4());
        Nat64 {
            tables: Tables::new(config.filtering, config.most_sessions, external),
            config,
            fragments: VecDeque::new(),
        }
    }

    /// What it was told to do.
    pub fn config(&self) -> &Nat64Config {
        &self.config
    }

    /// The bindings alive at `now`, in no particular order.
    pub fn bindings(&mut self, now: Time) -> impl Iterator<Item = &Binding> {
        self.tables.expire(now);
        self.tables.bindings()
    }

    /// The IPv6 endpoint by which the inside knows an IPv4 one.
    fn known_inside(&self, remote: Endpoint) -> Endpoint {
        Endpoint::new(self.config.prefix.embed(remote.address), remote.port)
    }

    /// The session's external endpoint for a packet from inside to an IPv4 endpoint.
    fn send(
        &mut self,
        packet: &Packet,
        remote: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<(Endpoint, Passage), DropReason> {
        let (now, nat, internal) = (around.now, around.node, packet.source);
        let protocol = packet.transport.protocol();
        let key = (protocol, internal, remote);
        if let Some(session) = self.tables.session(key) {
            let lifetime = match (&packet.transport, session.tcp) {
                (Transport::Tcp(segment), Some(state)) => {
                    let (state, lifetime) = state.after(segment, Way::Out, &self.config.lifetimes);
                    session.tcp = Some(state);
                    lifetime
                }
                _ => Some(lifetime(&self.config.lifetimes, protocol)),
            };
            self.tables
                .refresh(key, lifetime.map(|lifetime| now + lifetime));
            let binding = self.tables.binding(protocol, internal);
            let binding = binding.expect("a session has a binding");
            return Ok((binding.external, Passage::default()));
        }
        let tcp = match &packet.transport {
            Transport::Tcp(segment) => match TcpState::opened_by(segment, Way::Out) {
                Some(state) => Some(state),
                None => {
                    return Err(DropReason::OutOfState {
                        node: nat,
                        internal,
                        remote,
                    });
                }
            },
            Transport::IcmpEcho(echo) if echo.is_reply => {
                return Err(DropReason::Malformed {
                    node: nat,
                    why: "an echo reply that nobody has asked for",
                });
            }
            _ => None,
        };
        let opened = !self.tables.admits(key);
        let expires = now + lifetime(&self.config.lifetimes, protocol);
        match self.tables.open(key, tcp, expires, around.random) {
            Ok((external, mapped)) => Ok((
                external,
                Passage {
                    mapped,
                    // What lets anybody in is opened by the binding.
                    opened: opened || mapped,
                },
            )),
            Err(refused) => Err(self.refused(refused, internal, around)),
        }
    }

    fn refused(
        &self,
        refused: Refused,
        internal: Endpoint,
        around: &Surroundings<'_>,
    ) -> DropReason {
        match refused {
            Refused::NoFreePort => DropReason::NoFreePort {
                nat: around.node,
                internal,
            },
            Refused::TableFull => DropReason::TableFull {
                node: around.node,
                internal,
                limit: self.config.most_sessions,
            },
        }
    }

    /// The internal endpoint that a packet from IPv4 goes to, if the filter lets it in.
    fn admit(
        &mut self,
        transport: &Transport,
        external: Endpoint,
        remote: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<Endpoint, DropReason> {
        let (now, nat) = (around.now, around.node);
        let protocol = transport.protocol();
        let Some(internal) = self.tables.internal(protocol, external) else {
            return Err(DropReason::NoMapping {
                nat,
                external,
                remote,
            });
        };
        let key = (protocol, internal, remote);
        if let Some(session) = self.tables.session(key) {
            let lifetime = match (transport, session.tcp) {
                (Transport::Tcp(segment), Some(state)) => {
                    let (state, lifetime) = state.after(segment, Way::In, &self.config.lifetimes);
                    session.tcp = Some(state);
                    lifetime
                }
                _ => Some(lifetime(&self.config.lifetimes, protocol)),
            };
            self.tables
                .refresh(key, lifetime.map(|lifetime| now + lifetime));
            return Ok(internal);
        }
        if !self.tables.admits(key) {
            return Err(DropReason::FilteredByNat {
                nat,
                internal,
                external,
                remote,
                filtering: self.config.filtering,
            });
        }
        let tcp = match transport {
            Transport::Tcp(segment) => match TcpState::opened_by(segment, Way::In) {
                Some(state) => Some(state),
                None => {
                    return Err(DropReason::OutOfState {
                        node: nat,
                        internal,
                        remote,
                    });
                }
            },
            _ => None,
        };
        let expires = now + lifetime(&self.config.lifetimes, protocol);
        match self.tables.open(key, tcp, expires, around.random) {
            Ok(_) => Ok(internal),
            Err(refused) => Err(self.refused(refused, internal, around)),
        }
    }

    /// An error from inside, about a packet that came in.
    fn error_outbound(
        &mut self,
        packet: &mut Packet,
        around: &Surroundings<'_>,
    ) -> Result<(), DropReason> {
        let Transport::IcmpError(error) = &mut packet.transport else {
            return Ok(());
        };
        let nat = around.node;
        let destination = packet.destination.address;
        let not_translatable = DropReason::NotTranslatable { nat, destination };
        let prefix = self.config.prefix;
        let remote = prefix
            .extract(error.quoted_source.address)
            .ok_or(not_translatable)?;
        let reported_to = prefix.extract(destination).ok_or(not_translatable)?;
        let internal = error.quoted_destination;
        let binding = self.tables.binding(error.quoted_protocol, internal);
        let Some(binding) = binding else {
            return Err(DropReason::NoMapping {
                nat,
                external: internal,
                remote: error.quoted_source,
            });
        };
        error.quoted_destination = binding.external;
        error.quoted_source = Endpoint::new(remote, error.quoted_source.port);
        // Whoever inside reports it has no IPv4 address but this (RFC 6791 knows others).
        packet.source = binding.external.without_port();
        packet.destination = Endpoint::new(reported_to, 0);
        Ok(())
    }

    /// An error from outside, about a packet that went out. It passes the filter, whoever sent it,
    /// if it speaks of a binding that exists; it ends and prolongs nothing.
    fn error_inbound(
        &mut self,
        packet: &mut Packet,
        around: &Surroundings<'_>,
    ) -> Result<(), DropReason> {
        let reporter = packet.source;
        let destination = packet.destination.address;
        let nat = around.node;
        let Transport::IcmpError(error) = &mut packet.transport else {
            return Ok(());
        };
        let external = error.quoted_source;
        let Some(internal) = self.tables.internal(error.quoted_protocol, external) else {
            return Err(DropReason::NoMapping {
                nat,
                external,
                remote: reporter,
            });
        };
        let prefix = self.config.prefix;
        let quoted = error.quoted_destination;
        if !prefix.may_hold(reporter.address) || !quoted.address.is_ipv4() {
            return Err(DropReason::NotTranslatable { nat, destination });
        }
        error.quoted_source = internal;
        error.quoted_destination = Endpoint::new(prefix.embed(quoted.address), quoted.port);
        packet.source = Endpoint::new(prefix.embed(reporter.address), 0);
        packet.destination = internal.without_port();
        Ok(())
    }

    /// Where a fragment without ports goes, if the first one of its packet has passed.
    fn follow(
        &mut self,
        packet: &Packet,
        part: Fragment,
        around: &Surroundings<'_>,
    ) -> Result<(Endpoint, Endpoint), DropReason> {
        let before = (packet.source.address, packet.destination.address);
        let first = self.fragments.iter().find(|first| {
            first.before == before
                && first.identification == part.identification
                && around.now <= first.at + FRAGMENT_PATIENCE
        });
        let (source, destination) = first
            .ok_or(DropReason::FragmentsIncomplete { node: around.node })?
            .after;
        Ok((Endpoint::new(source, 0), Endpoint::new(destination, 0)))
    }

    /// Rewrites a packet's endpoints, and remembers them for the other fragments of it.
    fn rewrite(&mut self, packet: &mut Packet, source: Endpoint, destination: Endpoint, now: Time) {
        if let Some(part) = packet.fragment.filter(Fragment::is_first) {
            if self.fragments.len() == MOST_FRAGMENTED {
                self.fragments.pop_front();
            }
            self.fragments.push_back(FirstFragment {
                at: now,
                before: (packet.source.address, packet.destination.address),
                identification: part.identification,
                after: (source.address, destination.address),
            });
        }
        (packet.source, packet.destination) = (source, destination);
    }

    /// Out of IPv6 into IPv4.
    fn leave(
        &mut self,
        packet: &mut Packet,
        remote: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<Passage, DropReason> {
        let mut passage = Passage::default();
        match (&packet.transport, packet.fragment) {
            (_, Some(part)) if !part.is_first() => {
                (packet.source, packet.destination) = self.follow(packet, part, around)?;
            }
            (Transport::IcmpError(_), _) => self.error_outbound(packet, around)?,
            _ => {
                let (external, changed) = self.send(packet, remote, around)?;
                passage = changed;
                self.rewrite(packet, external, remote, around.now);
            }
        }
        packet.translations = packet.translations.saturating_add(1);
        header::to_ipv4(packet);
        Ok(passage)
    }

    /// Out of IPv4 into IPv6.
    fn enter(
        &mut self,
        packet: &mut Packet,
        around: &mut Surroundings<'_>,
    ) -> Result<(), DropReason> {
        let (external, remote) = (packet.destination, packet.source);
        match (&packet.transport, packet.fragment) {
            (_, Some(part)) if !part.is_first() => {
                (packet.source, packet.destination) = self.follow(packet, part, around)?;
            }
            (Transport::IcmpError(_), _) => self.error_inbound(packet, around)?,
            _ => {
                if !self.config.prefix.may_hold(remote.address) {
                    return Err(DropReason::NotTranslatable {
                        nat: around.node,
                        destination: external.address,
                    });
                }
                let internal = self.admit(&packet.transport, external, remote, around)?;
                let remote = self.known_inside(remote);
                self.rewrite(packet, remote, internal, around.now);
            }
        }
        packet.translations = packet.translations.saturating_add(1);
        header::to_ipv6(packet);
        Ok(())
    }
}

/// What a session of this protocol has to live, after a packet that says nothing of its end.
const fn lifetime(lifetimes: &Lifetimes, protocol: Protocol) -> Duration {
    match protocol {
        Protocol::Udp => lifetimes.udp,
        Protocol::Tcp => lifetimes.tcp_transitory,
        Protocol::Icmp => lifetimes.icmp_query,
    }
}

impl Middlebox for Nat64 {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        let prefix = self.config.prefix;
        let destination = packet.destination.address;
        // IPv4 from inside, and IPv6 to other IPv6 hosts, are none of its business.
        if packet.source.address.family() == Family::V4 || !prefix.contains(destination) {
            return Verdict::PASS;
        }
        let not_translatable = DropReason::NotTranslatable {
            nat: around.node,
            destination,
        };
        let remote = match prefix.extract(destination) {
            // RFC 6146 §3.5: what claims to come from there is a loop or a lie.
            Some(_) if prefix.contains(packet.source.address) => None,
            Some(remote) => prefix.may_hold(remote).then_some(remote),
            None => None,
        };
        let Some(remote) = remote else {
            return Verdict::Drop(not_translatable);
        };
        let remote = Endpoint::new(remote, packet.destination.port);
        let turns_back = self.tables.is_external(remote.address);
        if turns_back && !self.config.hairpinning {
            return Verdict::Drop(DropReason::HairpinningOff {
                nat: around.node,
                external: remote,
            });
        }
        self.tables.expire(around.now);
        let passed = self.leave(packet, remote, around);
        match passed {
            Err(reason) => Verdict::Drop(reason),
            Ok(passage) if turns_back => match self.enter(packet, around) {
                Ok(()) => Verdict::Hairpin(passage),
                Err(reason) => Verdict::Drop(reason),
            },
            Ok(passage) => Verdict::Forward(passage),
        }
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.tables.is_external(packet.destination.address) {
            return Verdict::PASS;
        }
        self.tables.expire(around.now);
        match self.enter(packet, around) {
            Ok(()) => Verdict::PASS,
            Err(reason) => Verdict::Drop(reason),
        }
    }
}
