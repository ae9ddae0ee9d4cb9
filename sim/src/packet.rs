//! What travels: addresses, a payload of real bytes or only a size, and what the network needs to
//! know of it.

use std::fmt;
use std::ops::Range;

use crate::address::{Endpoint, Family};
use crate::id::NodeId;

/// A packet's number: packets are numbered from 0 in the order in which a run sends them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub(crate) u64);

impl PacketId {
    /// The number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An IP packet under way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Its number in the run.
    pub id: PacketId,
    /// Where it comes from, as translated so far.
    pub source: Endpoint,
    /// Where it goes, as translated so far.
    pub destination: Endpoint,
    /// What stands between the IP header and the payload.
    pub transport: Transport,
    /// What it carries.
    pub payload: Payload,
    /// The host or gateway that sent it.
    pub origin: NodeId,
    /// How many NATs have translated it so far.
    pub translations: u8,
    /// Hops it may still take (IPv4: time to live).
    pub hop_limit: u8,
}

/// What stands between the IP header and the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP (RFC 768).
    Udp,
    /// An ICMP or ICMPv6 error about an earlier packet. Boxed, for it is rare and large.
    IcmpError(Box<IcmpError>),
}

/// An ICMP error (RFC 792, RFC 4443) with the part of the offending packet that it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What went wrong.
    pub kind: IcmpErrorKind,
    /// The offending packet's source, as the reporter saw it.
    pub quoted_source: Endpoint,
    /// The offending packet's destination, as the reporter saw it.
    pub quoted_destination: Endpoint,
}

/// What an ICMP error reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpErrorKind {
    /// Nobody listens on that port.
    PortUnreachable,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Real bytes.
    Bytes(Vec<u8>),
    /// Only a size, and a tag by which the sender's twin knows what it stands for.
    Sized {
        /// Bytes that the payload would have.
        length: u32,
        /// The sender's own mark.
        tag: u64,
    },
}

impl Default for Payload {
    /// No bytes.
    fn default() -> Self {
        Payload::Bytes(Vec::new())
    }
}

impl Payload {
    /// The payload's length in bytes, real or claimed.
    pub fn len(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Sized { length, .. } => *length as usize,
        }
    }

    /// Whether the payload has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The real bytes; empty where there is only a size.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Bytes(bytes) => bytes,
            Payload::Sized { .. } => &[],
        }
    }
}

/// The hops a packet may take unless said otherwise (RFC 1700's recommendation for IPv4).
pub const DEFAULT_HOP_LIMIT: u8 = 64;

/// Bytes of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const IPV6_HEADER: usize = 40;
/// Bytes of a UDP header.
pub const UDP_HEADER: usize = 8;
/// Bytes of an ICMP error before what it quotes.
pub const ICMP_HEADER: usize = 8;
/// The most payload that one UDP packet carries over IPv4: 65,535 less the two headers.
pub const LARGEST_UDP_PAYLOAD: usize = 65_535 - IPV4_HEADER - UDP_HEADER;

impl Packet {
    /// The packet's length on the wire in bytes: IP header, transport header and payload. This is
    /// what links queue, rates count and MTUs limit.
    pub fn wire_length(&self) -> usize {
        let ip = match self.source.address.family() {
            Family::V4 => IPV4_HEADER,
            Family::V6 => IPV6_HEADER,
        };
        match &self.transport {
            Transport::Udp => ip + UDP_HEADER + self.payload.len(),
            // The error quotes the offending packet's IP header and eight bytes (RFC 792).
            Transport::IcmpError(_) => ip + ICMP_HEADER + ip + UDP_HEADER,
        }
    }
}

/// A packet's place in the arena while it is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(u32);

/// Every packet under way, in slots that are used again, with payload buffers that are used again:
/// after the first few packets nothing on the packet path allocates, and no packet is moved.
#[derive(Default)]
pub(crate) struct PacketArena {
    /// Packets under way, and the remains of those that were.
    slots: Vec<Packet>,
    free: Vec<u32>,
    buffers: Vec<Vec<u8>>,
}

impl PacketArena {
    pub(crate) fn insert(&mut self, packet: Packet) -> Slot {
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = packet;
                Slot(index)
            }
            None => self.grow(packet),
        }
    }

    /// Adds a UDP packet that is not numbered yet. Writes field by field what stands in a used
    /// slot: a packet that is put together first and then moved costs a stall for each of its small
    /// fields, a tenth of its whole way.
    #[inline]
    pub(crate) fn insert_udp(
        &mut self,
        source: Endpoint,
        destination: Endpoint,
        payload: Payload,
        origin: NodeId,
    ) -> Slot {
        let Some(index) = self.free.pop() else {
            return self.grow(Packet {
                id: PacketId(u64::MAX),
                source,
                destination,
                transport: Transport::Udp,
                payload,
                origin,
                translations: 0,
                hop_limit: DEFAULT_HOP_LIMIT,
            });
        };
        let packet = &mut self.slots[index as usize];
        packet.source = source;
        packet.destination = destination;
        // What was removed owns nothing any more, and is of UDP: see `remove`.
        std::mem::forget(std::mem::replace(&mut packet.payload, payload));
        packet.origin = origin;
        packet.translations = 0;
        packet.hop_limit = DEFAULT_HOP_LIMIT;
        Slot(index)
    }

    #[cold]
    fn grow(&mut self, packet: Packet) -> Slot {
        self.slots.push(packet);
        Slot(self.slots.len() as u32 - 1)
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> &Packet {
        &self.slots[slot.0 as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Packet {
        &mut self.slots[slot.0 as usize]
    }

    /// Frees a packet's slot and keeps its payload's buffer for the next packet.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let packet = self.get_mut(slot);
        if packet.transport != Transport::Udp {
            packet.transport = Transport::Udp;
        }
        let payload = std::mem::take(&mut packet.payload);
        self.recycle(payload);
        self.free.push(slot.0);
    }

    /// A payload that holds a copy of `bytes`, in a used buffer where there is one.
    pub(crate) fn payload(&mut self, bytes: &[u8]) -> Payload {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        Payload::Bytes(buffer)
    }

    fn recycle(&mut self, payload: Payload) {
        if let Payload::Bytes(mut buffer) = payload
            && buffer.capacity() > 0
        {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// How many packets are under way.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Drops every packet, keeps the memory.
    pub(crate) fn clear(&mut self) {
        while let Some(packet) = self.slots.pop() {
            self.recycle(packet.payload);
        }
        self.free.clear();
    }
}

/// A range of bytes in a recording.
pub(crate) type ByteRange = Range<usize>;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: Payload) -> Packet {
        Packet {
            id: PacketId(0),
            source: "192.0.2.1:1".parse().unwrap(),
            destination: "192.0.2.2:2".parse().unwrap(),
            transport: Transport::Udp,
            payload,
            origin: NodeId(0),
            translations: 0,
            hop_limit: 64,
        }
    }

    #[test]
    fn slots_and_buffers_are_used_again() {
        let mut arena = PacketArena::default();
        let payload = arena.payload(&[7; 1200]);
        let first = arena.insert(packet(payload));
        assert_eq!(arena.len(), 1);
        let address = arena.get(first).payload.bytes().as_ptr();
        arena.remove(first);
        assert_eq!(arena.len(), 0);
        let payload = arena.payload(&[8; 1200]);
        assert_eq!(payload.bytes().as_ptr(), address);
        assert_eq!(arena.insert(packet(payload)), first);
    }

    #[test]
    fn length_on_the_wire_counts_headers() {
        assert_eq!(packet(Payload::Bytes(vec![0; 100])).wire_length(), 128);
        assert_eq!(
            packet(Payload::Sized {
                length: 1200,
                tag: 0
            })
            .wire_length(),
            1228
        );
        let mut v6 = packet(Payload::Bytes(vec![0; 100]));
        v6.source = "[2001:db8::1]:1".parse().unwrap();
        assert_eq!(v6.wire_length(), 148);
    }
}
