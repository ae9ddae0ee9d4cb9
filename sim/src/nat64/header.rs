//! What becomes of a packet's header from one IP version to the other (RFC 7915), addresses apart.
//!
//! ICMP types and codes follow from the [kind](crate::packet::IcmpErrorKind) of an error and the
//! packet's family, so that only what an error *says* has to be translated here: the MTU. Where
//! RFC 7915 §4.2 and §5.2 fold several codes of one version into one of the other, both are of one
//! kind here already.

use crate::packet::{IPV4_HEADER, IPV6_HEADER, IcmpErrorKind, Packet, Transport};

/// How much longer an IPv6 header is.
const GROWTH: u16 = (IPV6_HEADER - IPV4_HEADER) as u16;

/// The least that every link carries of IPv6 (RFC 8200 §5).
pub(super) const IPV6_LEAST_MTU: u16 = 1280;

/// Fits an IPv6 packet whose addresses are IPv4's by now with the rest of an IPv4 header.
pub(super) fn to_ipv4(packet: &mut Packet) {
    match &mut packet.fragment {
        Some(part) => {
            // RFC 7915 §5.1.1: the low half of the identification; and it may be cut further.
            part.identification &= 0xffff;
            packet.dont_fragment = false;
        }
        // RFC 7915 §5.1: what is short enough for every IPv6 link may be cut by IPv4 routers, for
        // its sender won't send it shorter whatever they report.
        None => {
            let longest = usize::from(IPV6_LEAST_MTU - GROWTH);
            packet.dont_fragment = packet.wire_length() > longest;
        }
    }
    if let Transport::IcmpError(error) = &mut packet.transport
        && let IcmpErrorKind::TooBig { mtu } = &mut error.kind
    {
        *mtu = mtu.saturating_sub(GROWTH);
    }
}

/// Fits an IPv4 packet whose addresses are IPv6's by now with the rest of an IPv6 header.
pub(super) fn to_ipv6(packet: &mut Packet) {
    packet.dont_fragment = true;
    if let Transport::IcmpError(error) = &mut packet.transport
        && let IcmpErrorKind::TooBig { mtu } = &mut error.kind
    {
        *mtu = mtu.saturating_add(GROWTH).max(IPV6_LEAST_MTU);
    }
}
