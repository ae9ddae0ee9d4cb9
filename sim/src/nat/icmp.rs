//! ICMP errors (RFC 4787 REQ-12, RFC 5508): translated by the mapping of the packet that they
//! quote, and what a NAT reports itself (RFC 6888 REQ-11).

use std::collections::VecDeque;

use super::config::IcmpErrors;
use super::table::{Kind, Outside};
use super::{Flow, Nat};
use crate::address::Endpoint;
use crate::middlebox::{Request, Surroundings, Verdict};
use crate::packet::{
    IcmpError, IcmpErrorKind, Packet, PacketId, Payload, Protocol, TcpFlags, Transport,
};
use crate::trace::{Cause, DropReason};

const NO_ERRORS: &str = "this NAT drops ICMP errors";

/// Packets that came in through mappings that were made for others, as endpoint-independent
/// filtering allows: by which mapping an error about one of them goes out, nothing else tells.
///
/// Errors come at once, so the last few are enough.
#[derive(Default)]
pub(super) struct Strangers(VecDeque<(Protocol, Endpoint, Endpoint, Outside)>);

const MOST_STRANGERS: usize = 256;

impl Strangers {
    pub(super) fn note(&mut self, flow: &Flow, through: Outside) {
        let seen = (flow.protocol, flow.internal, flow.remote, through);
        if self.0.back() == Some(&seen) {
            return;
        }
        if self.0.len() == MOST_STRANGERS {
            self.0.pop_front();
        }
        self.0.push_back(seen);
    }

    fn through(&self, flow: &Flow) -> Option<Outside> {
        let is_its = |(protocol, internal, remote, _): &&(_, _, _, _)| {
            (*protocol, *internal, *remote) == (flow.protocol, flow.internal, flow.remote)
        };
        self.0.iter().rev().find(is_its).map(|seen| seen.3)
    }
}

impl Nat {
    /// An ICMP error that goes out, about a packet that came in: the quoted destination is the
    /// internal endpoint, and what the outside knows is its external one. Refreshes nothing
    /// (RFC 7857 §7).
    pub(super) fn error_outbound(
        &mut self,
        packet: &mut Packet,
        around: &Surroundings<'_>,
    ) -> Verdict {
        let Transport::IcmpError(error) = &mut packet.transport else {
            unreachable!("errors are told apart before")
        };
        if self.config.icmp_errors == IcmpErrors::Dropped {
            return dropped(around);
        }
        let flow = Flow {
            protocol: error.quoted_protocol,
            internal: error.quoted_destination,
            remote: error.quoted_source,
            flags: TcpFlags::default(),
        };
        let now = around.now;
        let (external, mapping) = match self.pool.own_place(flow.internal.address) {
            Some(place) => {
                let port = flow.internal.port;
                (Endpoint::new(self.pool.address(place), port), None)
            }
            None => {
                let stranger = || {
                    let through = self.strangers.through(&flow)?;
                    let index = self.table.inbound(now, through, flow.remote)?;
                    (self.table.get(index).internal() == flow.internal).then_some(index)
                };
                let Some(index) = stranger().or_else(|| self.find(now, &flow)) else {
                    return Verdict::Drop(DropReason::NoMapping {
                        nat: around.node,
                        external: flow.internal,
                        remote: flow.remote,
                    });
                };
                let entry = self.table.get(index);
                let address = self.pool.address(entry.place);
                (Endpoint::new(address, entry.external_port), Some(index))
            }
        };
        error.quoted_destination = external;
        packet.source = external.without_port();
        packet.translations += 1;
        self.end_mapping(mapping, around);
        if self.pool.place_of(packet.destination.address).is_none() {
            return Verdict::PASS;
        }
        // About a packet that was hairpinned: the error is too (RFC 5508 REQ-7).
        match self.error_inbound(packet, around) {
            Verdict::Forward(passage) => Verdict::Hairpin(passage),
            other => other,
        }
    }

    /// An ICMP error that comes in, about a packet that went out. It passes whoever sent it
    /// (REQ-12), if the mapping it speaks of exists, and refreshes nothing.
    pub(super) fn error_inbound(
        &mut self,
        packet: &mut Packet,
        around: &Surroundings<'_>,
    ) -> Verdict {
        let remote = packet.source;
        let Transport::IcmpError(error) = &mut packet.transport else {
            unreachable!("errors are told apart before")
        };
        if self.config.icmp_errors == IcmpErrors::Dropped {
            return dropped(around);
        }
        let external = error.quoted_source;
        let unknown = Verdict::Drop(DropReason::NoMapping {
            nat: around.node,
            external,
            remote,
        });
        let Some(place) = self.pool.place_of(external.address) else {
            return unknown;
        };
        let (internal, mapping) = match self.pool.owner(place) {
            Some(owner) => (Endpoint::new(owner, external.port), None),
            None => {
                let outside = Outside {
                    protocol: error.quoted_protocol,
                    place,
                    port: external.port,
                };
                let found = self
                    .table
                    .inbound(around.now, outside, error.quoted_destination)
                    .filter(|index| self.table.get(*index).kind != Kind::Claim);
                let Some(index) = found else {
                    return unknown;
                };
                (self.table.get(index).internal(), Some(index))
            }
        };
        error.quoted_source = internal;
        packet.destination = internal.without_port();
        packet.translations += 1;
        self.end_mapping(mapping, around);
        Verdict::PASS
    }

    /// Ends a mapping because of an error about one of its packets, if that is what this NAT does.
    fn end_mapping(&mut self, mapping: Option<u32>, around: &Surroundings<'_>) {
        if self.config.icmp_errors == IcmpErrors::EndMapping
            && let Some(index) = mapping
        {
            let ended = self.table.remove(index);
            self.release(&ended, around.now);
        }
    }

    /// Tells a sender inside that there is nothing left for its packet (RFC 6888 REQ-11), if this
    /// NAT does that.
    pub(super) fn report_exhaustion(&mut self, packet: &Packet, drop: &DropReason) {
        let exhausted = matches!(
            drop,
            DropReason::NoFreePort { .. }
                | DropReason::SubscriberLimit { .. }
                | DropReason::TableFull { .. }
        );
        if !exhausted || !self.config.reports_exhaustion {
            return;
        }
        let family = packet.source.address.family();
        let own = self.pool.addresses().find(|own| own.family() == family);
        let Some(own) = own else { return };
        let about = Quoted {
            id: packet.id,
            protocol: packet.transport.protocol(),
            source: packet.source,
            destination: packet.destination,
        };
        let from = Endpoint::new(own, 0);
        self.report(IcmpErrorKind::HostUnreachable, from, about);
    }

    /// Sends an ICMP error of the NAT's own to the source of a packet.
    pub(super) fn report(&mut self, kind: IcmpErrorKind, from: Endpoint, about: Quoted) {
        let error = IcmpError {
            kind,
            quoted_protocol: about.protocol,
            quoted_source: about.source,
            quoted_destination: about.destination,
        };
        let packet = Packet::new(
            from,
            about.source.without_port(),
            Transport::IcmpError(Box::new(error)),
            Payload::default(),
            crate::NodeId(0),
        );
        let cause = Cause::ErrorAbout(about.id);
        self.requests.push_back(Request::Send(packet, cause));
    }
}

fn dropped(around: &Surroundings<'_>) -> Verdict {
    Verdict::Drop(DropReason::Custom {
        node: around.node,
        why: NO_ERRORS,
    })
}

/// What an error of the NAT's own is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) id: PacketId,
    pub(super) protocol: Protocol,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
}
