//! The servers that an endpoint asks, and the ways to them.

use std::net::SocketAddr;

/// How clients reach a TURN server; the later, the longer the detour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TurnTransport {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
    /// Over TLS on TCP.
    Tls,
}

impl TurnTransport {
    /// Every transport there is.
    pub const ALL: [TurnTransport; 3] =
        [TurnTransport::Udp, TurnTransport::Tcp, TurnTransport::Tls];

    /// The name in commands and results.
    pub const fn name(self) -> &'static str {
        match self {
            TurnTransport::Udp => "udp",
            TurnTransport::Tcp => "tcp",
            TurnTransport::Tls => "tls",
        }
    }
}

/// The servers that an endpoint asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Servers {
    /// STUN servers, at most one for each IP version, and behind a NAT64 the IPv4 one once more
    /// under its prefix.
    pub stun: Vec<SocketAddr>,
    /// Ways to TURN servers, to be asked for a relayed address: of those to one address, the
    /// first is tried first.
    pub turn: Vec<TurnAccess>,
}

/// A way to a TURN server, and the credentials for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TurnAccess {
    /// Over what.
    pub transport: TurnTransport,
    /// Where it listens for that.
    pub server: SocketAddr,
    /// The name that its certificate must have, where there is one.
    pub name: String,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}
