//! TCP on a host (RFC 9293), by smoltcp: retransmission (RFC 6298), congestion control (Reno,
//! RFC 5681, or CUBIC, RFC 9438), window scaling (RFC 7323), delayed acknowledgments, maximum
//! segment size, zero-window probes, keep-alive.
//!
//! Each connection is one smoltcp socket in a set of its own, found by its two endpoints. smoltcp
//! looks at every socket of a set for each segment and timer, which a server with thousands of
//! connections can't afford; with sets of one, a segment costs the same whether a host has one
//! connection or ten thousand. Listening is done here too: a segment that opens a connection makes
//! its socket.
//!
//! smoltcp sees neither addresses nor ports: all its sockets run between the same two made-up IPv4
//! endpoints, and an IPv6 connection has twenty bytes less of MTU. Headers are exchanged with it as
//! bytes, and travel as [`TcpSegment`](crate::packet::TcpSegment)s; see `wire`. A host has one
//! smoltcp interface for each MTU that its connections meet, mostly one.
//!
//! Memory: a connection holds about a kilobyte and its two buffers. Buffers begin as untouched
//! zeroed memory, which operating systems hand out page by page as it is written to.
//!
//! What it doesn't do: timestamps (RFC 7323 §3), selective retransmission (selective
//! acknowledgments are sent, and those received are not used), an initial window of ten segments
//! (smoltcp begins with 2,048 bytes), fast open, urgent data. When a path turns out to carry less
//! than the link (RFC 1191), later segments are shorter, but what was too long is sent again only
//! when the retransmission timer says so. SYN cookies: beyond its backlog a host drops what wants
//! to connect.

mod connection;
mod settings;
mod stack;
mod wire;

use std::net::SocketAddr;

pub use settings::{CongestionControl, TcpSettings};
pub(crate) use stack::{Happening, Incoming, Place, Tcp};
pub(crate) use wire::{Buffers, Wire};

use crate::packet::IcmpErrorKind;

/// A TCP connection of a host: a number that means something to that host only, and is never
/// given to another of its connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TcpId {
    place: u32,
    generation: u32,
}

/// What happened to a TCP connection.
#[derive(Clone, Copy, Debug)]
pub enum TcpEvent<'a> {
    /// Somebody has connected to a port that the program listens on.
    Accepted {
        /// The address and port they connected to.
        local: SocketAddr,
        /// Where they seem to come from: behind a NAT, the NAT's external endpoint.
        remote: SocketAddr,
    },
    /// The connection that the program asked for is there.
    Connected {
        /// This side's address and port.
        local: SocketAddr,
        /// The other side's.
        remote: SocketAddr,
    },
    /// The next bytes. Nothing is lost, repeated or out of order, but where one piece ends and the
    /// next begins means nothing.
    Data(&'a [u8]),
    /// There is room again in the send buffer, which took less than it was offered.
    Writable,
    /// The other side sends nothing more (FIN); it may still receive.
    PeerClosed,
    /// The connection is over; its id is void. A program that
    /// [aborts](crate::Io::tcp_abort) a connection is not told.
    Ended(TcpEnd),
}

/// How a TCP connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpEnd {
    /// Both sides have closed it, and everything arrived; or this side closed it before it was
    /// there.
    Finished,
    /// The other host answered the attempt with a reset: nobody listens.
    Refused,
    /// The other side reset it.
    Reset,
    /// Nobody answered for too long: see [`TcpSettings`].
    TimedOut,
    /// ICMP reported, while the connection was being opened, that the other side can't be reached.
    Unreachable(IcmpErrorKind),
}
