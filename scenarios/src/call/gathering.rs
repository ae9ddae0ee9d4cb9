//! Gathering candidates (RFC 8445 §5.1.1): the host's own addresses, what a STUN server sees of
//! them, and addresses on a TURN server. Everything goes over the virtual network.
//!
//! One socket serves all of it, as in the field: checks, STUN and TURN leave from the same port, so
//! that what a STUN server learns of a NAT's mapping is what peers will meet.

use std::net::{IpAddr, SocketAddr};

use pinhole::{Datagram, Endpoint, Io, Time};

use crate::ice::{Candidate, CandidateType};
use crate::stun_client::{BindingOutcome, BindingRequest, Retransmission, StunTransaction};
use crate::turn_client::{PeerData, Received, TurnClient, TurnEvent};

/// The servers that an endpoint asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Servers {
    /// STUN servers, at most one for each IP version, and behind a NAT64 the IPv4 one once more
    /// under its prefix.
    pub stun: Vec<SocketAddr>,
    /// TURN servers, to be asked for a relayed address.
    pub turn: Vec<TurnAccess>,
}

/// A TURN server and the credentials for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TurnAccess {
    /// Where it listens.
    pub server: SocketAddr,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}

/// The sockets of an endpoint, what it learns about them, and the relays it holds.
#[derive(Default)]
pub(super) struct Gathering {
    probes: Vec<Probe>,
    relays: Vec<Relay>,
    /// Addresses of the other side that were learned before there was a relay to permit them on.
    peers: Vec<IpAddr>,
    found: Vec<Candidate>,
}

/// A Binding transaction from one socket to one STUN server.
struct Probe {
    socket: SocketAddr,
    server: SocketAddr,
    transaction: StunTransaction,
    over: bool,
}

/// An allocation on a TURN server, or the wish for one.
struct Relay {
    socket: SocketAddr,
    client: TurnClient,
    relayed: Option<SocketAddr>,
    settled: bool,
}

/// Whose a datagram was.
pub(super) enum Taken<'a> {
    /// A server's answer: it is dealt with.
    Yes,
    /// Not a server's: it is for ICE, or it is data.
    No,
    /// It carried a peer's datagram over a relay.
    Relayed {
        /// The relayed address it was sent to.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
        /// What the TURN server had wrapped.
        data: PeerData<'a>,
    },
}

impl Gathering {
    /// Binds a socket on each of the host's addresses and asks every server that it can reach.
    pub(super) fn begin(&mut self, now: Time, servers: &Servers, io: &mut Io<'_>) {
        let port = io
            .bind(0)
            .expect("an endpoint binds the first socket of its host");
        let addresses: Vec<_> = io.addresses().collect();
        for address in addresses {
            let socket = SocketAddr::from(Endpoint::new(address, port));
            self.found.push(Candidate {
                kind: CandidateType::Host,
                address: socket,
                base: socket,
            });
            let reachable = |server: &SocketAddr| server.is_ipv4() == socket.is_ipv4();
            for server in servers.stun.iter().copied().filter(reachable) {
                let request = BindingRequest::default();
                let patience = Retransmission::default();
                let transaction = StunTransaction::new(now, request, patience, io.random());
                self.probes.push(Probe {
                    socket,
                    server,
                    transaction,
                    over: false,
                });
            }
            for access in servers.turn.iter().filter(|turn| reachable(&turn.server)) {
                let (user, password) = (&access.user, &access.password);
                let client = TurnClient::new(socket, access.server, user, password, now);
                self.relays.push(Relay {
                    socket,
                    client,
                    relayed: None,
                    settled: false,
                });
            }
        }
        // Popped from the end: the first interface's candidate comes first.
        self.found.reverse();
    }

    /// The next candidate that was found.
    pub(super) fn poll_candidate(&mut self) -> Option<Candidate> {
        self.found.pop()
    }

    /// Whether nothing more is to be found.
    pub(super) fn is_complete(&self) -> bool {
        self.probes.iter().all(|probe| probe.over) && self.relays.iter().all(|relay| relay.settled)
    }

    /// Takes a datagram that comes from one of the servers asked.
    pub(super) fn handle_datagram<'a>(&mut self, now: Time, datagram: &Datagram<'a>) -> Taken<'a> {
        let (local, remote) = (datagram.local, datagram.remote);
        for probe in self
            .probes
            .iter_mut()
            .filter(|probe| probe.server == remote)
        {
            if !probe.transaction.handle_datagram(remote, datagram.payload) {
                continue;
            }
            probe.over = true;
            if let Some(BindingOutcome::Success(response)) = probe.transaction.outcome() {
                self.found.push(Candidate {
                    kind: CandidateType::ServerReflexive,
                    address: response.mapped,
                    base: probe.socket,
                });
            }
            return Taken::Yes;
        }
        let Some(relay) = self
            .relays
            .iter_mut()
            .find(|relay| relay.client.server() == remote && relay.socket == local)
        else {
            return Taken::No;
        };
        match relay.client.handle_datagram(now, datagram.payload) {
            Received::Peer(data) => Taken::Relayed {
                local: relay.relayed.unwrap_or(local),
                remote: data.peer(),
                data,
            },
            Received::Handled | Received::PeerUnreachable(_) => Taken::Yes,
            Received::Ignored => Taken::No,
        }
    }

    /// ICMP says that nobody is at `remote`.
    pub(super) fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        for probe in &mut self.probes {
            if probe.server == remote && probe.socket == local {
                probe.transaction.handle_unreachable();
                probe.over = true;
            }
        }
        for relay in &mut self.relays {
            if relay.client.server() == remote && relay.socket == local {
                relay.client.handle_unreachable();
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        for probe in self.probes.iter_mut().filter(|probe| !probe.over) {
            probe.transaction.handle_timeout(now);
            probe.over = probe.transaction.outcome().is_some();
        }
        for relay in &mut self.relays {
            relay.client.handle_timeout(now);
        }
    }

    /// Lets datagrams from this address come in over relays.
    pub(super) fn permit(&mut self, now: Time, peer: IpAddr) {
        if self.relays.is_empty() || self.peers.contains(&peer) {
            return;
        }
        self.peers.push(peer);
        for relay in &mut self.relays {
            relay.permit(now, peer);
        }
    }

    /// This pair is used from now on: if it is a relay's, it gets a channel.
    pub(super) fn prefer(&mut self, now: Time, local: SocketAddr, remote: SocketAddr) {
        if let Some(relay) = self.relay_of(local) {
            relay.client.bind_channel(remote, now);
        }
    }

    fn relay_of(&mut self, relayed: SocketAddr) -> Option<&mut Relay> {
        self.relays
            .iter_mut()
            .find(|relay| relay.relayed == Some(relayed))
    }

    /// Sends a datagram: from a host address as it is, from a relayed one over its relay.
    pub(super) fn send(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
        io: &mut Io<'_>,
    ) {
        match self.relay_of(local) {
            Some(relay) => relay.client.send_to(remote, payload, now),
            None => io.send(local, remote, payload),
        }
    }

    /// Sends what servers are to be asked and told, and takes what they have granted.
    pub(super) fn transmit(&mut self, now: Time, io: &mut Io<'_>) {
        for probe in &mut self.probes {
            if let Some(request) = probe.transaction.poll_transmit() {
                io.send(probe.socket, probe.server, request);
            }
        }
        for relay in &mut self.relays {
            while let Some(event) = relay.client.poll_event() {
                match event {
                    TurnEvent::Allocated { relayed, .. } => {
                        relay.relayed = Some(relayed);
                        relay.settled = true;
                        self.found.push(Candidate {
                            kind: CandidateType::Relayed,
                            address: relayed,
                            base: relayed,
                        });
                        for peer in &self.peers {
                            relay.permit(now, *peer);
                        }
                    }
                    TurnEvent::AllocationFailed { .. } | TurnEvent::Closed => relay.settled = true,
                    TurnEvent::PermissionCreated { .. }
                    | TurnEvent::PermissionFailed { .. }
                    | TurnEvent::ChannelBound { .. }
                    | TurnEvent::ChannelFailed { .. } => {}
                }
            }
            while let Some(payload) = relay.client.poll_transmit() {
                io.send(relay.socket, relay.client.server(), &payload);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let probes = self.probes.iter().filter(|probe| !probe.over);
        let probes = probes.filter_map(|probe| probe.transaction.poll_timeout());
        let relays = self
            .relays
            .iter()
            .filter_map(|relay| relay.client.poll_timeout());
        probes.chain(relays).min()
    }
}

impl Relay {
    /// A relay reaches addresses of its own family only.
    fn permit(&mut self, now: Time, peer: IpAddr) {
        if peer.is_ipv4() == self.client.lends_ipv4() {
            self.client.permit(peer, now);
        }
    }
}
