//! A recorded packet as the bytes that stood on the wire: IP, UDP, TCP and ICMP headers with their
//! checksums.
//!
//! Endpoints, hop limit, TCP header and payload are the simulated packet's, and an IPv4 packet's
//! identification is its number in the run: no NAT changes it. A fragment has the identification
//! that all parts of its packet share; the first one's UDP or ICMP header has the length and the
//! checksum of the whole.

use std::net::IpAddr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IPV4_HEADER_LEN, IPV6_HEADER_LEN, Icmpv4Packet, Icmpv6Packet, IpAddress, IpProtocol,
    Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use crate::address::{Address, Endpoint, Family};
use crate::packet::{
    Fragment, ICMP_HEADER, ICMP_QUOTE, IPV6_FRAGMENT_HEADER, IcmpEcho, IcmpError, PacketId,
    TcpFlags, TcpSegment, Transport,
};

/// A packet, in full. Where only a size is known its payload is zeros, and not part of a capture.
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    /// Of the packet as it was sent: a link's copy has the original's.
    pub(super) id: PacketId,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) hop_limit: u8,
    pub(super) dont_fragment: bool,
    pub(super) fragment: Option<Fragment>,
    pub(super) transport: &'a Transport,
    pub(super) payload: &'a [u8],
    /// The payload's length, real or claimed.
    pub(super) length: usize,
    /// In a first fragment, whose header speaks of the whole packet, the payload is the whole
    /// packet's too; so much of it is in the fragment.
    pub(super) excerpt: Option<usize>,
}

impl Wire<'_> {
    /// The packet's bytes. `offending` is what an ICMP error is about, as its quote reads by now.
    pub(super) fn bytes(&self, offending: Option<&Wire<'_>>) -> Vec<u8> {
        let (protocol, mut transport) = match self.transport {
            _ if self.fragment.is_some_and(|part| !part.is_first()) => {
                (self.ip_protocol(), self.claimed_payload())
            }
            Transport::Udp => (IpProtocol::Udp, self.udp()),
            Transport::Tcp(segment) => (IpProtocol::Tcp, self.tcp(segment)),
            Transport::IcmpEcho(echo) => (self.icmp_protocol(), self.echo(*echo)),
            Transport::IcmpError(error) => (self.icmp_protocol(), self.error(error, offending)),
        };
        if let Some(excerpt) = self.excerpt {
            transport.truncate(transport.len() - self.length + excerpt);
        }
        self.with_ip_header(protocol, &transport)
    }

    fn addresses(&self) -> (IpAddress, IpAddress) {
        let address = |address: Address| IpAddress::from(IpAddr::from(address));
        (
            address(self.source.address),
            address(self.destination.address),
        )
    }

    fn family(&self) -> Family {
        self.source.address.family()
    }

    fn icmp_protocol(&self) -> IpProtocol {
        match self.family() {
            Family::V4 => IpProtocol::Icmp,
            Family::V6 => IpProtocol::Icmpv6,
        }
    }

    fn ip_protocol(&self) -> IpProtocol {
        match self.transport {
            Transport::Udp => IpProtocol::Udp,
            Transport::Tcp(_) => IpProtocol::Tcp,
            Transport::IcmpEcho(_) | Transport::IcmpError(_) => self.icmp_protocol(),
        }
    }

    fn claimed_payload(&self) -> Vec<u8> {
        let mut bytes = self.payload.to_vec();
        bytes.resize(self.length, 0);
        bytes
    }

    fn udp(&self) -> Vec<u8> {
        let (source, destination) = self.addresses();
        let mut bytes = vec![0; UDP_HEADER_LEN + self.length];
        let mut udp = UdpPacket::new_unchecked(&mut bytes);
        let ports = UdpRepr {
            src_port: self.source.port,
            dst_port: self.destination.port,
        };
        ports.emit(
            &mut udp,
            &source,
            &destination,
            self.length,
            |room| room[..self.payload.len()].copy_from_slice(self.payload),
            &ChecksumCapabilities::default(),
        );
        bytes
    }

    fn tcp(&self, segment: &TcpSegment) -> Vec<u8> {
        let (source, destination) = self.addresses();
        let payload = self.claimed_payload();
        let repr = tcp_repr(segment, self.source.port, self.destination.port, &payload);
        let mut bytes = vec![0; repr.buffer_len()];
        let mut tcp = TcpPacket::new_unchecked(&mut bytes);
        repr.emit(
            &mut tcp,
            &source,
            &destination,
            &ChecksumCapabilities::default(),
        );
        // Combinations that no honest stack sends have no place in a `TcpRepr`.
        tcp.set_fin(segment.flags.contains(TcpFlags::FIN));
        tcp.set_syn(segment.flags.contains(TcpFlags::SYN));
        tcp.set_rst(segment.flags.contains(TcpFlags::RST));
        tcp.set_psh(segment.flags.contains(TcpFlags::PSH));
        tcp.fill_checksum(&source, &destination);
        bytes
    }

    fn echo(&self, echo: IcmpEcho) -> Vec<u8> {
        let identifier = if echo.is_reply {
            self.destination.port
        } else {
            self.source.port
        };
        let kind = match (self.family(), echo.is_reply) {
            (Family::V4, false) => 8,
            (Family::V4, true) => 0,
            (Family::V6, false) => 128,
            (Family::V6, true) => 129,
        };
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend(identifier.to_be_bytes());
        bytes.extend(echo.sequence.to_be_bytes());
        bytes.extend(self.claimed_payload());
        self.with_icmp_checksum(bytes)
    }

    fn error(&self, error: &IcmpError, offending: Option<&Wire<'_>>) -> Vec<u8> {
        let (kind, code) = error.kind.type_and_code(self.family());
        let mut bytes = vec![0; ICMP_HEADER];
        bytes[..2].copy_from_slice(&[kind, code]);
        bytes[4..8].copy_from_slice(&error.kind.rest_of_header().to_be_bytes());
        let header = ip_header(self.family());
        if let Some(offending) = offending {
            let quote = offending.bytes(None);
            bytes.extend_from_slice(&quote[..quote.len().min(header + ICMP_QUOTE)]);
        }
        bytes.resize(ICMP_HEADER + header + ICMP_QUOTE, 0);
        self.with_icmp_checksum(bytes)
    }

    fn with_icmp_checksum(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self.addresses() {
            (IpAddress::Ipv6(source), IpAddress::Ipv6(destination)) => {
                Icmpv6Packet::new_unchecked(&mut bytes).fill_checksum(&source, &destination);
            }
            _ => Icmpv4Packet::new_unchecked(&mut bytes).fill_checksum(),
        }
        bytes
    }

    fn with_ip_header(&self, next_header: IpProtocol, transport: &[u8]) -> Vec<u8> {
        let hop_limit = self.hop_limit;
        let header = ip_header(self.family());
        let mut bytes = vec![0; header];
        match self.addresses() {
            (IpAddress::Ipv4(src_addr), IpAddress::Ipv4(dst_addr)) => {
                bytes.extend_from_slice(transport);
                let repr = Ipv4Repr {
                    src_addr,
                    dst_addr,
                    next_header,
                    payload_len: transport.len(),
                    hop_limit,
                };
                let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
                repr.emit(&mut packet, &ChecksumCapabilities::default());
                packet.set_ident(self.id.index() as u16);
                packet.set_dont_frag(self.dont_fragment);
                if let Some(part) = self.fragment {
                    packet.set_ident(part.identification as u16);
                    packet.set_frag_offset(part.offset);
                    packet.set_more_frags(part.more);
                }
                packet.fill_checksum();
            }
            (IpAddress::Ipv6(src_addr), IpAddress::Ipv6(dst_addr)) => {
                let mut extension = Vec::new();
                if let Some(part) = self.fragment {
                    extension.extend([u8::from(next_header), 0]);
                    extension.extend((part.offset & !7 | u16::from(part.more)).to_be_bytes());
                    extension.extend(part.identification.to_be_bytes());
                    debug_assert_eq!(extension.len(), IPV6_FRAGMENT_HEADER);
                }
                bytes.extend_from_slice(&extension);
                bytes.extend_from_slice(transport);
                let repr = Ipv6Repr {
                    src_addr,
                    dst_addr,
                    next_header: if extension.is_empty() {
                        next_header
                    } else {
                        IpProtocol::Ipv6Frag
                    },
                    payload_len: extension.len() + transport.len(),
                    hop_limit,
                };
                repr.emit(&mut Ipv6Packet::new_unchecked(&mut bytes));
            }
            _ => unreachable!("packets between two families never reach a link"),
        }
        bytes
    }
}

/// A segment as the crate that writes and reads TCP headers has it.
fn tcp_repr<'a>(
    segment: &TcpSegment,
    src_port: u16,
    dst_port: u16,
    payload: &'a [u8],
) -> TcpRepr<'a> {
    let flags = segment.flags;
    TcpRepr {
        src_port,
        dst_port,
        control: match () {
            () if flags.contains(TcpFlags::RST) => TcpControl::Rst,
            () if flags.contains(TcpFlags::SYN) => TcpControl::Syn,
            () if flags.contains(TcpFlags::FIN) => TcpControl::Fin,
            () if flags.contains(TcpFlags::PSH) => TcpControl::Psh,
            () => TcpControl::None,
        },
        seq_number: TcpSeqNumber(segment.sequence as i32),
        ack_number: flags
            .contains(TcpFlags::ACK)
            .then_some(TcpSeqNumber(segment.acknowledgment as i32)),
        window_len: segment.window,
        window_scale: segment.options.window_scale,
        max_seg_size: segment.options.max_segment_size,
        sack_permitted: segment.options.sack_permitted,
        sack_ranges: segment.options.sack,
        timestamp: None,
        payload,
    }
}

const fn ip_header(family: Family) -> usize {
    match family {
        Family::V4 => IPV4_HEADER_LEN,
        Family::V6 => IPV6_HEADER_LEN,
    }
}
