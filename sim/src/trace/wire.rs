//! A recorded packet as the bytes that stood on the wire: IP, UDP and ICMP headers with their
//! checksums.
//!
//! Endpoints, hop limit and payload are the simulated packet's, and an IPv4 packet's identification
//! is its number in the run: no NAT changes it. What a simulated packet doesn't have is filled in as
//! today's hosts do: don't fragment, no options.

use std::net::IpAddr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IPV4_HEADER_LEN, IPV6_HEADER_LEN, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet,
    Icmpv6DstUnreachable, Icmpv6Message, Icmpv6Packet, IpProtocol, IpRepr, Ipv4Packet, Ipv4Repr,
    Ipv6Packet, Ipv6Repr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use crate::address::{Address, Endpoint, Family};
use crate::packet::{ICMP_HEADER, IcmpError, IcmpErrorKind, PacketId};

/// Bytes of the offending packet that an ICMP error quotes after its IP header (RFC 792).
const QUOTED: usize = 8;

/// What the IP header says.
#[derive(Clone, Copy)]
pub(super) struct Ip {
    /// Of the packet as it was sent: a link's copy has the original's.
    pub(super) id: PacketId,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) hop_limit: u8,
}

/// A UDP packet, in full. Where only a size is known its payload is zeros, and not part of a
/// capture.
pub(super) struct Udp<'a> {
    pub(super) id: PacketId,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) hop_limit: u8,
    pub(super) payload: &'a [u8],
    /// The payload's length, real or claimed.
    pub(super) length: usize,
}

impl Udp<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let ip = Ip {
            id: self.id,
            source: self.source.address,
            destination: self.destination.address,
            hop_limit: self.hop_limit,
        };
        let (header, mut bytes) = ip.bytes(IpProtocol::Udp, UDP_HEADER_LEN + self.length);
        let mut udp = UdpPacket::new_unchecked(&mut bytes[header.header_len()..]);
        let ports = UdpRepr {
            src_port: self.source.port,
            dst_port: self.destination.port,
        };
        ports.emit(
            &mut udp,
            &header.src_addr(),
            &header.dst_addr(),
            self.length,
            |room| room[..self.payload.len()].copy_from_slice(self.payload),
            &ChecksumCapabilities::default(),
        );
        bytes
    }
}

/// An ICMP or ICMPv6 error about `offending`, as the quote reads by now.
pub(super) fn icmp_error(ip: Ip, error: &IcmpError, offending: &Udp<'_>) -> Vec<u8> {
    let IcmpErrorKind::PortUnreachable = error.kind;
    let family = ip.source.family();
    let quote = &offending.bytes()[..ip_header(family) + QUOTED];
    let protocol = match family {
        Family::V4 => IpProtocol::Icmp,
        Family::V6 => IpProtocol::Icmpv6,
    };
    let (header, mut bytes) = ip.bytes(protocol, ICMP_HEADER + quote.len());
    let room = &mut bytes[header.header_len()..];
    room[ICMP_HEADER..].copy_from_slice(quote);
    match header {
        IpRepr::Ipv4(_) => {
            let mut icmp = Icmpv4Packet::new_unchecked(room);
            icmp.set_msg_type(Icmpv4Message::DstUnreachable);
            icmp.set_msg_code(Icmpv4DstUnreachable::PortUnreachable.into());
            icmp.fill_checksum();
        }
        IpRepr::Ipv6(header) => {
            let mut icmp = Icmpv6Packet::new_unchecked(room);
            icmp.set_msg_type(Icmpv6Message::DstUnreachable);
            icmp.set_msg_code(Icmpv6DstUnreachable::PortUnreachable.into());
            icmp.fill_checksum(&header.src_addr, &header.dst_addr);
        }
    }
    bytes
}

fn ip_header(family: Family) -> usize {
    match family {
        Family::V4 => IPV4_HEADER_LEN,
        Family::V6 => IPV6_HEADER_LEN,
    }
}

impl Ip {
    /// The header, and a packet that begins with it and has room for the rest.
    fn bytes(self, next_header: IpProtocol, payload_len: usize) -> (IpRepr, Vec<u8>) {
        let (source, destination) = (IpAddr::from(self.source), IpAddr::from(self.destination));
        let mut bytes = vec![0; ip_header(self.source.family()) + payload_len];
        let hop_limit = self.hop_limit;
        let header = match (source, destination) {
            (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
                let header = Ipv4Repr {
                    src_addr,
                    dst_addr,
                    next_header,
                    payload_len,
                    hop_limit,
                };
                let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
                header.emit(&mut packet, &ChecksumCapabilities::default());
                packet.set_ident(self.id.index() as u16);
                packet.fill_checksum();
                IpRepr::Ipv4(header)
            }
            (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
                let header = Ipv6Repr {
                    src_addr,
                    dst_addr,
                    next_header,
                    payload_len,
                    hop_limit,
                };
                header.emit(&mut Ipv6Packet::new_unchecked(&mut bytes));
                IpRepr::Ipv6(header)
            }
            _ => unreachable!("packets between two families never reach a link"),
        };
        (header, bytes)
    }
}
