//! Fragments: packets that are cut because the next link is too narrow, and put together again by
//! the host that they are for (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! An IPv4 packet whose sender allows it is cut by whoever stands before the link, a fragment too;
//! an IPv6 packet by its sending host only, or by who made it of an IPv4 packet. The packet ends there, and its fragments are packets of
//! their own. Fragments that wait in a host are under way; when the last one is there they are
//! delivered together, and the first one goes on as the whole packet that the program gets.
//!
//! The transport header is never split: a link that is too narrow for it drops the packet.

use super::{Internet, Node, What};
use crate::address::Family;
use crate::engine::{Entity, Rank};
use crate::host::Kept;
use crate::id::{DirectionId, NodeId};
use crate::packet::{
    Fragment, IPV4_HEADER, IPV6_FRAGMENT_HEADER, IPV6_HEADER, IcmpErrorKind, Packet, PacketArena,
    Payload, Slot,
};
use crate::trace::{Cause, DropReason, Fate};

/// Fragments begin at multiples of this many bytes.
const UNIT: usize = 8;
/// The most bytes behind an IP header.
const LONGEST: usize = 65_535;

impl Internet {
    /// Cuts a packet that is longer than the `mtu` of the link before it, and sends the fragments.
    /// Does nothing, and returns false, if that isn't allowed or not possible. Whether the packet
    /// was made here counts for IPv6.
    pub(super) fn cut(
        &mut self,
        slot: Slot,
        on: DirectionId,
        mtu: u16,
        is_made_here: bool,
    ) -> bool {
        let node = self.near_end(on);
        let packet = self.arena.get(slot);
        let ip_header = match packet.source.address.family() {
            Family::V4 => IPV4_HEADER,
            Family::V6 => IPV6_HEADER + IPV6_FRAGMENT_HEADER,
        };
        let may = match packet.source.address.family() {
            Family::V4 => !packet.dont_fragment,
            Family::V6 => !packet.dont_fragment && is_made_here,
        };
        let room = usize::from(mtu).saturating_sub(ip_header) / UNIT * UNIT;
        let header = packet.transport_header();
        let length = header + packet.payload.len();
        let part = packet.fragment.unwrap_or(Fragment {
            identification: packet.id.index() as u32,
            offset: 0,
            more: false,
        });
        let before = usize::from(part.offset);
        if !may || room < UNIT.max(header) || before + length > LONGEST {
            return false;
        }

        let fate = Fate::Fragmented { node };
        self.trace.ended(self.now, self.arena.get(slot), fate);
        let payload = std::mem::take(&mut self.arena.get_mut(slot).payload);
        let whole = self.arena.get(slot).clone();
        self.arena.remove(slot);
        for start in (0..length).step_by(room) {
            let end = length.min(start + room);
            let piece = start.saturating_sub(header)..end - header;
            let mut fragment = Packet {
                payload: excerpt(&mut self.arena, &payload, piece),
                fragment: Some(Fragment {
                    offset: (before + start) as u16,
                    more: part.more || end < length,
                    ..part
                }),
                ..whole.clone()
            };
            if before + start > 0 {
                fragment.source = fragment.source.without_port();
                fragment.destination = fragment.destination.without_port();
            }
            let fragment = self.arena.insert(fragment);
            self.number(fragment, Cause::FragmentOf(whole.id));
            if let Err(mtu) = self.transmit(fragment, on) {
                self.drop(fragment, DropReason::TooBig { on, mtu });
            }
        }
        self.arena.recycle(payload);
        true
    }

    /// The node that sends on this direction.
    pub(super) fn near_end(&self, on: DirectionId) -> NodeId {
        self.directions[on.reverse().index()].to
    }

    /// A fragment has reached its host. Returns the packet, if that is whole now: it stands where
    /// its first fragment stood.
    pub(super) fn reassemble(&mut self, host: NodeId, slot: Slot) -> Option<Slot> {
        let Node::Host(at) = &mut self.nodes[host.index()] else {
            unreachable!("packets are delivered to hosts")
        };
        let reassembly = &mut at.network_layer().reassembly;
        match reassembly.take(self.now, host, self.arena.get(slot), slot) {
            Kept::Waits => {
                self.set_fragment_alarm(host);
                None
            }
            Kept::Dropped(reason) => {
                self.drop(slot, reason);
                None
            }
            Kept::Spoilt(slots, reason) => {
                for slot in slots {
                    self.drop(slot, reason);
                }
                None
            }
            Kept::Whole(slots) => {
                let whole = self.join(&slots);
                for slot in &slots[1..] {
                    self.end(*slot, Fate::Delivered { host });
                }
                let first = self.arena.get_mut(slots[0]);
                first.fragment = None;
                let payload = std::mem::replace(&mut first.payload, whole);
                self.arena.recycle(payload);
                Some(slots[0])
            }
        }
    }

    /// The payload that fragments carry together: real bytes, unless one of them has only a size.
    fn join(&mut self, slots: &[Slot]) -> Payload {
        let mut whole = self.arena.payload(&[]);
        for slot in slots {
            let next = std::mem::take(&mut self.arena.get_mut(*slot).payload);
            whole = match (whole, &next) {
                (Payload::Bytes(mut bytes), Payload::Bytes(more)) => {
                    bytes.extend_from_slice(more);
                    Payload::Bytes(bytes)
                }
                (Payload::Sized { length, tag }, next) => Payload::Sized {
                    length: length + next.len() as u32,
                    tag,
                },
                (before, Payload::Sized { length, tag }) => Payload::Sized {
                    length: before.len() as u32 + length,
                    tag: *tag,
                },
                (Payload::Train(_), _) | (_, Payload::Train(_)) => {
                    unreachable!("no train is cut")
                }
            };
            self.arena.get_mut(*slot).payload = next;
        }
        whole
    }

    fn set_fragment_alarm(&mut self, host: NodeId) {
        let reassembly = &mut self.host(host).network_layer().reassembly;
        if let Some((when, packet)) = reassembly.set_alarm() {
            let rank = Rank::new(when, Entity::node(host.index()), packet.index() as u64);
            self.queue.push(rank, What::GiveUp(host));
        }
    }

    /// A host stops waiting for the rest of those packets whose time is over. Their senders are
    /// told, where the first fragment is here to be quoted (RFC 1122 §3.3.2).
    pub(super) fn give_up_fragments(&mut self, host: NodeId) {
        let now = self.now;
        if !self.host(host).network_layer().reassembly.is_due(now) {
            return;
        }
        while let Some(slots) = self.host(host).network_layer().reassembly.give_up(now) {
            let about = slots.first().map(|first| self.offending(*first));
            for slot in slots {
                self.drop(slot, DropReason::FragmentsIncomplete { node: host });
            }
            if let Some(about) = about {
                self.tell_from(host, about, IcmpErrorKind::ReassemblyTimeExceeded);
            }
        }
        self.set_fragment_alarm(host);
    }
}

/// A part of a payload, as a payload of its own.
fn excerpt(arena: &mut PacketArena, payload: &Payload, range: std::ops::Range<usize>) -> Payload {
    match payload {
        Payload::Bytes(bytes) => arena.payload(&bytes[range]),
        Payload::Sized { tag, .. } => Payload::Sized {
            length: range.len() as u32,
            tag: *tag,
        },
        Payload::Train(_) => unreachable!("no train is cut"),
    }
}
