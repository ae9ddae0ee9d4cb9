//! Network address translation, in the RFCs' own words: mapping, filtering, port allocation,
//! lifetimes, hairpinning, each independent of the others (RFC 4787 for UDP, RFC 5382 for TCP, RFC
//! 5508 for ICMP, RFC 6888 for carriers, RFC 7857 for what was learned later).
//!
//! A NAT translates the address family of its external addresses and lets the other pass. It
//! knows UDP, TCP, ICMP queries and ICMP errors about all of these, whole and in fragments. It looks
//! into payloads only if it is [told to meddle](NatConfig::rewrites_payloads).
//!
//! Where external ports are [shared by distinct remotes](PortOverloading::DistinctRemotes), it works
//! as Linux connection tracking does: each pair of endpoints is an entry of its own, and the port is
//! picked for the pair. Such a NAT *reads* as endpoint-independent as long as nobody else has the
//! pair: see [`RouterInput`].

mod aging;
mod alg;
mod blocks;
mod check;
mod config;
mod connections;
mod filter;
mod fragments;
mod icmp;
mod mapping;
mod memory;
mod pairs;
mod pool;
mod ports;
mod portset;
mod syn;
mod table;
mod tcp;

pub use check::NatConfigError;
pub use config::{
    Capacity, ChangeOfMind, Conflict, FilterMemory, Fragments, Hairpinning, IcmpErrors, NatConfig,
    Pooling, PortAllocation, PortBlocks, PortConflict, PortOverloading, Refresh, RouterInput,
    TooBig, UnsolicitedSyn, WhenFull,
};

use std::collections::VecDeque;
use std::time::Duration;

use fragments::FragmentTable;
use icmp::Strangers;
use memory::Memory;
use pool::Pool;
use syn::Unsolicited;
use table::Table;

use crate::address::{Address, Endpoint};
use crate::middlebox::{Middlebox, Request, Surroundings, Verdict, Way};
use crate::packet::{Packet, Protocol, TcpFlags, Transport};
use crate::time::Time;
use crate::trace::DropReason;

/// A mapping between an internal and an external endpoint (RFC 4787 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappingEntry {
    /// The protocol. An ICMP query's identifier stands where others have a port.
    pub protocol: Protocol,
    /// The internal endpoint, X:x.
    pub internal: Endpoint,
    /// The external endpoint, X1':x1'.
    pub external: Endpoint,
    /// The part of the remote endpoint that the mapping was made for; unspecified for
    /// endpoint-independent mapping.
    pub remote_key: Endpoint,
    /// When it dies, unless refreshed.
    pub expires: Time,
}

/// A NAT at work.
pub struct Nat {
    config: NatConfig,
    pool: Pool,
    table: Table,
    memory: Memory,
    fragments: FragmentTable,
    unsolicited: Unsolicited,
    strangers: Strangers,
    /// Where counting goes on, for ports of pairs.
    next_pair_port: u16,
    requests: VecDeque<Request>,
}

/// One packet's protocol and endpoints, as the inside sees them.
#[derive(Clone, Copy, Debug)]
struct Flow {
    protocol: Protocol,
    internal: Endpoint,
    remote: Endpoint,
    /// Of TCP: the segment's flags.
    flags: TcpFlags,
}

/// The flags of a packet that has some.
fn flags_of(transport: &Transport) -> TcpFlags {
    match transport {
        Transport::Tcp(segment) => segment.flags,
        _ => TcpFlags::default(),
    }
}

impl Nat {
    /// A NAT with these external addresses.
    pub fn new(config: NatConfig, external: impl IntoIterator<Item = Address>) -> Self {
        Nat {
            pool: Pool::new(&config, external),
            table: Table::new(config.port_overloading == PortOverloading::DistinctRemotes),
            memory: Memory::default(),
            fragments: FragmentTable::default(),
            unsolicited: Unsolicited::default(),
            strangers: Strangers::default(),
            next_pair_port: 0,
            requests: VecDeque::new(),
            config,
        }
    }

    /// What it was told to do.
    pub fn config(&self) -> &NatConfig {
        &self.config
    }

    /// The mappings alive at `now`, in no particular order. Static addresses need none.
    pub fn mappings(&self, now: Time) -> impl Iterator<Item = MappingEntry> + '_ {
        self.table.alive(now).map(|entry| MappingEntry {
            protocol: entry.protocol,
            internal: entry.internal(),
            external: Endpoint::new(self.pool.address(entry.place), entry.external_port),
            remote_key: entry.remote_key(),
            expires: entry.expires,
        })
    }

    /// Forgets everything, as if it had been switched off and on: mappings, what the filter
    /// remembers, fragments that wait.
    pub fn restart(&mut self, node: crate::NodeId) {
        let external: Vec<_> = self.pool.addresses().collect();
        let fragments = std::mem::take(&mut self.fragments);
        *self = Nat::new(self.config.clone(), external);
        let waiting = fragments.into_waiting();
        self.requests.extend(
            waiting.map(|id| Request::Discard(id, DropReason::FragmentsIncomplete { node })),
        );
    }

    /// Whether mappings are of one pair of endpoints each.
    fn tracks_pairs(&self) -> bool {
        self.config.port_overloading == PortOverloading::DistinctRemotes
    }

    /// How long state of this protocol lives that is not of TCP.
    #[inline]
    fn lifetime(&self, protocol: Protocol, answered: bool) -> Duration {
        let lifetimes = &self.config.lifetimes;
        match protocol {
            Protocol::Udp if answered => lifetimes.udp,
            Protocol::Udp => lifetimes.udp_unanswered.unwrap_or(lifetimes.udp),
            Protocol::Tcp => lifetimes.tcp_transitory,
            Protocol::Icmp => lifetimes.icmp_query,
        }
    }

    /// From the inside to the outside, whole or the first fragment.
    fn translate_out(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        match &packet.transport {
            Transport::IcmpError(_) => return self.error_outbound(packet, around),
            Transport::IcmpEcho(echo) if echo.is_reply => {
                return self.reply_outbound(packet, around);
            }
            _ => {}
        }
        let flow = Flow {
            protocol: packet.transport.protocol(),
            internal: packet.source,
            remote: packet.destination,
            flags: flags_of(&packet.transport),
        };
        if flow.protocol == Protocol::Tcp
            && let Some(why) = tcp::malformed(flow.flags)
        {
            let node = around.node;
            return Verdict::Drop(DropReason::Malformed { node, why });
        }
        if let Some(place) = self.pool.place_of(packet.destination.address) {
            return self.hairpin(packet, &flow, place, around);
        }
        match self.map(&flow, around) {
            Ok((external, passage)) => {
                if self.config.rewrites_payloads {
                    alg::rewrite(packet, flow.internal, external);
                }
                packet.source = external;
                packet.translations += 1;
                Verdict::Forward(passage)
            }
            Err(drop) => {
                self.report_exhaustion(packet, &drop);
                Verdict::Drop(drop)
            }
        }
    }

    /// From the outside to the inside, whole or the first fragment, to an external address.
    fn translate_in(
        &mut self,
        packet: &mut Packet,
        place: u32,
        around: &mut Surroundings<'_>,
    ) -> Verdict {
        if matches!(packet.transport, Transport::IcmpError(_)) {
            return self.error_inbound(packet, around);
        }
        match self.admit(packet, place, packet.source, around) {
            Ok(internal) => {
                if self.config.rewrites_payloads {
                    alg::rewrite(packet, packet.destination, internal);
                }
                packet.destination = internal;
                packet.translations += 1;
                Verdict::PASS
            }
            Err(drop) => {
                self.answer_unsolicited(packet, &drop, around);
                Verdict::Drop(drop)
            }
        }
    }

    /// From the inside to one of the NAT's own external addresses (RFC 4787 §6).
    fn hairpin(
        &mut self,
        packet: &mut Packet,
        flow: &Flow,
        place: u32,
        around: &mut Surroundings<'_>,
    ) -> Verdict {
        if self.config.hairpinning == Hairpinning::Off {
            let external = packet.destination;
            return Verdict::Drop(DropReason::HairpinningOff {
                nat: around.node,
                external,
            });
        }
        let (source, passage) = match self.map(flow, around) {
            Ok(mapped) => mapped,
            Err(drop) => {
                self.report_exhaustion(packet, &drop);
                return Verdict::Drop(drop);
            }
        };
        match self.admit(packet, place, source, around) {
            Ok(internal) => {
                if self.config.hairpinning == Hairpinning::ExternalSource {
                    packet.source = source;
                }
                packet.destination = internal;
                packet.translations += 1;
                Verdict::Hairpin(passage)
            }
            Err(reason) => Verdict::Refuse {
                passage,
                external: source,
                reason,
            },
        }
    }

    /// An echo reply from inside belongs to a request that came in; only to static addresses do
    /// requests come in.
    fn reply_outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        let (internal, remote) = (packet.source, packet.destination);
        match self.pool.own_place(internal.address) {
            Some(place) if self.pool.place_of(remote.address).is_none() => {
                packet.source.address = self.pool.address(place);
                packet.translations += 1;
                Verdict::PASS
            }
            _ => Verdict::Drop(DropReason::OutOfState {
                node: around.node,
                internal,
                remote,
            }),
        }
    }

    fn passes_untranslated(&self, packet: &Packet) -> bool {
        let to = packet.destination.address;
        let exempt = || {
            self.config
                .not_translated
                .iter()
                .any(|some| some.contains(to))
        };
        !self.pool.translates(packet.source.address) || exempt()
    }
}

impl Middlebox for Nat {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if self.passes_untranslated(packet) {
            return Verdict::PASS;
        }
        match packet.fragment {
            None => self.translate_out(packet, around),
            Some(fragment) => self.fragment(Way::Out, 0, fragment, packet, around),
        }
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        let Some(place) = self.pool.place_of(packet.destination.address) else {
            return Verdict::PASS;
        };
        match packet.fragment {
            None => self.translate_in(packet, place, around),
            Some(fragment) => self.fragment(Way::In, place, fragment, packet, around),
        }
    }

    fn wake(&mut self, around: &mut Surroundings<'_>) {
        self.give_up_fragments(around);
        self.answer_overdue(around.now);
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }
}

#[cfg(test)]
mod tests;
