//! What a TURN client has to report, and what it makes of a datagram.

use std::net::{IpAddr, SocketAddr};

use turn_client_proto::api::TurnPeerData;

/// What a [`TurnClient`](super::TurnClient) reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TurnEvent {
    /// The server allocated an address.
    Allocated {
        /// The relayed address: a relayed candidate.
        relayed: SocketAddr,
        /// The client's address as the server sees it: a server-reflexive candidate, for free.
        mapped: Option<SocketAddr>,
    },
    /// There will be no allocation.
    AllocationFailed {
        /// The error code of the last response; `None` where there was no response at all.
        code: Option<u16>,
    },
    /// Data may be exchanged with this peer from now on.
    PermissionCreated {
        /// The peer.
        peer: IpAddr,
    },
    /// Data can't be exchanged with this peer: the server refused, or the permission ran out.
    PermissionFailed {
        /// The peer.
        peer: IpAddr,
    },
    /// Data to and from this peer goes through a channel from now on.
    ChannelBound {
        /// The peer.
        peer: SocketAddr,
    },
    /// Data to and from this peer goes in indications: the server refused a channel, or it ran out.
    ChannelFailed {
        /// The peer.
        peer: SocketAddr,
    },
    /// The allocation is gone: deleted, or not to be refreshed.
    Closed,
}

/// What a datagram from the server turned out to be.
#[derive(Debug)]
pub enum Received<'a> {
    /// The client's own business.
    Handled,
    /// Data from a peer.
    Peer(PeerData<'a>),
    /// ICMP says that data to this peer didn't get there (RFC 8656 §11.6).
    PeerUnreachable(SocketAddr),
    /// Nothing that this client waits for.
    Ignored,
}

/// Data from a peer, within the datagram that brought it.
#[derive(Debug)]
pub struct PeerData<'a>(pub(super) TurnPeerData<&'a [u8]>);

impl PeerData<'_> {
    /// Who sent it.
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// What.
    pub fn bytes(&self) -> &[u8] {
        self.0.data()
    }
}
