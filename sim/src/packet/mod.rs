//! What travels: addresses, a payload of real bytes or only a size, and what the network needs to
//! know of it; several datagrams as one [`Train`].

mod arena;
mod icmp;
mod tcp;
pub mod train;

pub(crate) use arena::{PacketArena, Slot};
pub use icmp::{IcmpEcho, IcmpError, IcmpErrorKind};
pub use tcp::{TcpFlags, TcpOptions, TcpSegment};
pub use train::{Car, Train};

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
    /// Its number in the run; of a train, that of the datagram that was sent with it first.
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
    /// Whether nobody may cut it into fragments (IPv4's DF). On the way nobody ever does it to an
    /// IPv6 packet: of those it tells whether the sending host may.
    pub dont_fragment: bool,
    /// Which part of a larger packet it is, if it is a fragment.
    pub fragment: Option<Fragment>,
}

/// Which part of a larger packet a fragment is (RFC 791 §3.2, RFC 8200 §4.5).
///
/// Only the first fragment holds the transport header. In all others the ports of both endpoints
/// are 0, because nobody on the way can see them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// What the sender calls the packet: all its fragments say the same.
    pub identification: u32,
    /// How many bytes of the packet's IP payload come before this part. A multiple of eight.
    pub offset: u16,
    /// Whether more parts follow.
    pub more: bool,
}

impl Fragment {
    /// Whether this part begins with the transport header.
    pub const fn is_first(&self) -> bool {
        self.offset == 0
    }
}

/// A transport protocol, as rules and mappings tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// ICMP and ICMPv6: echo, and errors.
    Icmp,
}

/// What stands between the IP header and the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP (RFC 768).
    Udp,
    /// A TCP segment (RFC 9293).
    Tcp(TcpSegment),
    /// An ICMP or ICMPv6 echo request or reply (RFC 792, RFC 4443).
    IcmpEcho(IcmpEcho),
    /// An ICMP or ICMPv6 error about an earlier packet. Boxed, for it is rare and large.
    IcmpError(Box<IcmpError>),
}

impl Transport {
    /// The protocol.
    pub const fn protocol(&self) -> Protocol {
        match self {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp(_) => Protocol::Tcp,
            Transport::IcmpEcho(_) | Transport::IcmpError(_) => Protocol::Icmp,
        }
    }
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
    /// Not one datagram but several, which travel together. Boxed: few packets are trains.
    Train(Box<Train>),
}

impl Default for Payload {
    /// No bytes.
    fn default() -> Self {
        Payload::Bytes(Vec::new())
    }
}

impl Payload {
    /// The payload's length in bytes, real or claimed; of a train, all cars together.
    pub fn len(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Sized { length, .. } => *length as usize,
            Payload::Train(train) => train.payload_length(),
        }
    }

    /// Whether the payload has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The real bytes; empty where there is only a size, and for a train.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Bytes(bytes) => bytes,
            Payload::Sized { .. } | Payload::Train(_) => &[],
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
/// Bytes of the header by which IPv6 marks a fragment.
pub const IPV6_FRAGMENT_HEADER: usize = 8;
/// Bytes that an ICMP error quotes of the offending packet behind its IP header.
pub const ICMP_QUOTE: usize = 8;
/// The most payload that one UDP packet carries over IPv4: 65,535 less the two headers.
pub const LARGEST_UDP_PAYLOAD: usize = 65_535 - IPV4_HEADER - UDP_HEADER;

impl Packet {
    /// A packet that is not numbered yet, with the usual [hop limit](DEFAULT_HOP_LIMIT), not to be
    /// fragmented.
    pub fn new(
        source: Endpoint,
        destination: Endpoint,
        transport: Transport,
        payload: Payload,
        origin: NodeId,
    ) -> Self {
        Packet {
            id: PacketId(u64::MAX),
            source,
            destination,
            transport,
            payload,
            origin,
            translations: 0,
            hop_limit: DEFAULT_HOP_LIMIT,
            dont_fragment: true,
            fragment: None,
        }
    }

    /// The packet's length on the wire in bytes: IP header, transport header and payload. This is
    /// what links queue, rates count and MTUs limit. Of a train, all cars together.
    pub fn wire_length(&self) -> usize {
        if let Payload::Train(train) = &self.payload {
            let headers = train::headers(self.source.address.family());
            return train.len() * headers + train.payload_length();
        }
        self.ip_header() + self.transport_header() + self.payload.len()
    }

    /// How many datagrams this is: one, unless it is a train.
    pub fn count(&self) -> usize {
        match &self.payload {
            Payload::Train(train) => train.len(),
            Payload::Bytes(_) | Payload::Sized { .. } => 1,
        }
    }

    /// The numbers of the datagrams that this is: its own, or those of a train's cars.
    pub fn ids(&self) -> impl Iterator<Item = PacketId> + '_ {
        let (own, cars) = match &self.payload {
            Payload::Train(train) => (None, train.cars()),
            Payload::Bytes(_) | Payload::Sized { .. } => (Some(self.id), &[][..]),
        };
        let of_cars = cars.iter().map(|car| self.id_of(car));
        own.into_iter().chain(of_cars)
    }

    /// The number of a car of this train.
    pub(crate) fn id_of(&self, car: &Car) -> PacketId {
        PacketId(self.id.0 + u64::from(car.number))
    }

    /// Bytes of the IP header, with what IPv6 needs to say that this is a fragment.
    fn ip_header(&self) -> usize {
        match self.source.address.family() {
            Family::V4 => IPV4_HEADER,
            Family::V6 if self.fragment.is_some() => IPV6_HEADER + IPV6_FRAGMENT_HEADER,
            Family::V6 => IPV6_HEADER,
        }
    }

    /// Bytes between the IP header and the payload: none in a fragment that isn't the first.
    pub fn transport_header(&self) -> usize {
        if self.fragment.is_some_and(|part| !part.is_first()) {
            return 0;
        }
        match &self.transport {
            Transport::Udp => UDP_HEADER,
            Transport::Tcp(segment) => segment.header_length(),
            Transport::IcmpEcho(_) => ICMP_HEADER,
            // The error quotes the offending packet's IP header and eight bytes (RFC 792).
            Transport::IcmpError(_) => {
                let quoted = match self.source.address.family() {
                    Family::V4 => IPV4_HEADER,
                    Family::V6 => IPV6_HEADER,
                };
                ICMP_HEADER + quoted + ICMP_QUOTE
            }
        }
    }
}

/// A range of bytes in a recording.
pub(crate) type ByteRange = Range<usize>;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: Payload) -> Packet {
        Packet::new(
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:2".parse().unwrap(),
            Transport::Udp,
            payload,
            NodeId(0),
        )
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
