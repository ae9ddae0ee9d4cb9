//! ICMP and ICMPv6: what a host is told about its packets, and pings.

use std::fmt;

use super::Protocol;
use crate::address::{Endpoint, Family};

/// An ICMP error (RFC 792, RFC 4443) with the part of the offending packet that it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What went wrong.
    pub kind: IcmpErrorKind,
    /// The offending packet's protocol.
    pub quoted_protocol: Protocol,
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
    /// The host can't be reached: also what a NAT says that is out of ports (RFC 6888 REQ-11:
    /// type 3, code 1).
    HostUnreachable,
    /// Somebody on the way forbids it.
    Prohibited,
    /// It is longer than the next link carries, and must not be fragmented (RFC 1191, RFC 8201).
    TooBig {
        /// The most bytes that the next link carries.
        mtu: u16,
    },
    /// It took more hops than it was allowed.
    TimeExceeded,
    /// Fragments of it are missing, and the destination waits no longer (RFC 1122 §3.3.2).
    ReassemblyTimeExceeded,
}

/// An echo request or reply. The identifier stands where other protocols have a port: in the
/// asker's endpoint. NATs translate it as one (RFC 5508 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpEcho {
    /// Whether it is the reply.
    pub is_reply: bool,
    /// The how manyth.
    pub sequence: u16,
}

impl IcmpErrorKind {
    /// Type and code as the header of ICMP or ICMPv6 has them.
    pub const fn type_and_code(self, family: Family) -> (u8, u8) {
        match (self, family) {
            (IcmpErrorKind::PortUnreachable, Family::V4) => (3, 3),
            (IcmpErrorKind::PortUnreachable, Family::V6) => (1, 4),
            (IcmpErrorKind::HostUnreachable, Family::V4) => (3, 1),
            (IcmpErrorKind::HostUnreachable, Family::V6) => (1, 3),
            (IcmpErrorKind::Prohibited, Family::V4) => (3, 13),
            (IcmpErrorKind::Prohibited, Family::V6) => (1, 1),
            (IcmpErrorKind::TooBig { .. }, Family::V4) => (3, 4),
            (IcmpErrorKind::TooBig { .. }, Family::V6) => (2, 0),
            (IcmpErrorKind::TimeExceeded, Family::V4) => (11, 0),
            (IcmpErrorKind::TimeExceeded, Family::V6) => (3, 0),
            (IcmpErrorKind::ReassemblyTimeExceeded, Family::V4) => (11, 1),
            (IcmpErrorKind::ReassemblyTimeExceeded, Family::V6) => (3, 1),
        }
    }

    /// The header's second word: the next link's MTU, where the error tells it (RFC 1191 §4 puts
    /// it into the lower half, as RFC 4443 §3.2 into the whole).
    pub const fn rest_of_header(self) -> u32 {
        match self {
            IcmpErrorKind::TooBig { mtu } => mtu as u32,
            _ => 0,
        }
    }
}

impl fmt::Display for IcmpErrorKind {
    /// `port unreachable`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IcmpErrorKind::PortUnreachable => f.write_str("port unreachable"),
            IcmpErrorKind::HostUnreachable => f.write_str("host unreachable"),
            IcmpErrorKind::Prohibited => f.write_str("administratively prohibited"),
            IcmpErrorKind::TooBig { mtu } => write!(f, "too big for an MTU of {mtu}"),
            IcmpErrorKind::TimeExceeded => f.write_str("time exceeded"),
            IcmpErrorKind::ReassemblyTimeExceeded => f.write_str("reassembly time exceeded"),
        }
    }
}
