//! ICMP errors in the bytes in which the protocol crate wants them (RFC 8656 §11.5).

use std::net::IpAddr;

use crate::address::{Endpoint, Family};
use crate::packet::{ICMP_HEADER, IPV4_HEADER, IPV6_HEADER, IcmpErrorKind, UDP_HEADER};

/// The longest: an ICMPv6 header, a quoted IPv6 header and a quoted UDP header.
const LONGEST: usize = ICMP_HEADER + IPV6_HEADER + UDP_HEADER;
const UDP: u8 = 17;

/// An ICMP error about a datagram from `local` to `remote`; nothing if they are of two families.
pub(super) fn error(
    kind: IcmpErrorKind,
    local: Endpoint,
    remote: Endpoint,
    buffer: &mut [u8; LONGEST],
) -> &[u8] {
    *buffer = [0; LONGEST];
    let family = local.address.family();
    let ip = match family {
        Family::V4 => IPV4_HEADER,
        Family::V6 => IPV6_HEADER,
    };
    let (kind_of_error, code) = kind.type_and_code(family);
    buffer[..2].copy_from_slice(&[kind_of_error, code]);
    buffer[4..8].copy_from_slice(&kind.rest_of_header().to_be_bytes());
    let quoted = &mut buffer[ICMP_HEADER..];
    match (local.address.into(), remote.address.into()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            quoted[0] = 0x45;
            quoted[3] = (IPV4_HEADER + UDP_HEADER) as u8;
            quoted[9] = UDP;
            quoted[12..16].copy_from_slice(&local.octets());
            quoted[16..20].copy_from_slice(&remote.octets());
        }
        (IpAddr::V6(local), IpAddr::V6(remote)) => {
            quoted[0] = 0x60;
            quoted[5] = UDP_HEADER as u8;
            quoted[6] = UDP;
            quoted[8..24].copy_from_slice(&local.octets());
            quoted[24..40].copy_from_slice(&remote.octets());
        }
        // Of two families: nothing that the crate could read as a datagram.
        _ => return &[],
    }
    quoted[ip..ip + 2].copy_from_slice(&local.port.to_be_bytes());
    quoted[ip + 2..ip + 4].copy_from_slice(&remote.port.to_be_bytes());
    quoted[ip + 5] = UDP_HEADER as u8;
    &buffer[..ICMP_HEADER + ip + UDP_HEADER]
}

/// Room for [`error`]'s bytes.
pub(super) const fn buffer() -> [u8; LONGEST] {
    [0; LONGEST]
}
