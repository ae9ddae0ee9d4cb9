//! What a TURN server did, for those who ask what it costs.

use std::collections::BTreeMap;

/// How a client reaches its TURN server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClientTransport {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
    /// Over TLS on TCP.
    Tls,
}

impl ClientTransport {
    /// All of them.
    pub const ALL: [ClientTransport; 3] = [
        ClientTransport::Udp,
        ClientTransport::Tcp,
        ClientTransport::Tls,
    ];

    const fn index(self) -> usize {
        match self {
            ClientTransport::Udp => 0,
            ClientTransport::Tcp => 1,
            ClientTransport::Tls => 2,
        }
    }
}

/// Datagrams and the bytes of their payloads; what IP and UDP put around them isn't counted. Over
/// TCP and TLS: TURN messages and their bytes, without padding and records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// How many datagrams.
    pub packets: u64,
    /// How many bytes they carried.
    pub bytes: u64,
}

impl Traffic {
    pub(super) fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// What went through a server for the clients of one transport. Control traffic, which goes
/// between client and server only, is counted with the clients'.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TurnTraffic {
    /// From clients.
    pub client_in: Traffic,
    /// To clients.
    pub client_out: Traffic,
    /// From peers to relayed addresses, as far as permissions let it in.
    pub peer_in: Traffic,
    /// From relayed addresses to peers.
    pub peer_out: Traffic,
    /// From peers, let in by a permission, and dropped because the client reads its stream too
    /// slowly.
    pub overflow: Traffic,
}

/// What a [`TurnServer`](super::TurnServer) did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TurnCounters {
    /// Allocations made.
    pub allocations: u64,
    /// Allocations that stand now.
    pub active: u32,
    /// Error responses sent, by their code (RFC 8656 §19).
    pub errors: BTreeMap<u16, u64>,
    /// Datagrams that came to nothing: no TURN, no permission, a peer that the rules deny. And
    /// streams that ended in what is no TURN or no TLS.
    pub rejected: u64,
    /// TCP connections accepted, with TLS or without.
    pub connections: u64,
    traffic: [TurnTraffic; 3],
}

impl TurnCounters {
    /// The traffic of the clients that came over `transport`.
    pub fn traffic(&self, transport: ClientTransport) -> TurnTraffic {
        self.traffic[transport.index()]
    }

    pub(super) fn traffic_mut(&mut self, transport: ClientTransport) -> &mut TurnTraffic {
        &mut self.traffic[transport.index()]
    }
}
